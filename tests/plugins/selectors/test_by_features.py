"""Selectors by features against enumeration of all subsets and against plain loops."""

import itertools
import math

import numpy as np
import pytest
import torch

from condense.capabilities import EstimatesCost, HasCacheToken
from condense.data import LabeledData, Normalization
from condense.engine.checked import run_selector
from condense.engine.training.sgd import SgdOptions
from condense.errors import DataError
from condense.options import part_of
from condense.resolve import Request, resolve
from condense.results import Budget
from condense_plugins.selectors import facility_location
from condense_plugins.selectors.window import SPACE  # before tests shorten it

NAMES = ("ant", "bee", "cat")
BY_FEATURES = ("kcenter", "herding", "facility-location", "moderate")


def points(values, labels):
    inputs = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    width = inputs.shape[1]
    norm = Normalization((0.0,) * width, (1.0,) * width)
    labels = torch.as_tensor(labels)
    return LabeledData(inputs, labels, NAMES[: int(labels.max()) + 1], norm, name="points")


def clusters(seed, sizes=(10, 8), width=2):
    """Two classes, interleaved: some tight clusters each, of unequal size, one point doubled."""
    rng = np.random.default_rng(seed)
    rows, labels = [], []
    for label, size in enumerate(sizes):
        centres = rng.normal(0, 10, (3, width))
        own = centres[rng.integers(3, size=size)] + rng.normal(0, 0.5, (size, width))
        own[-1] = own[0]
        rows.append(own)
        labels += [label] * size
    order = rng.permutation(len(labels))
    return points(np.concatenate(rows)[order], np.array(labels)[order])


def members(data, label):
    """float64 features of a class, and their positions."""
    places = data.class_indices(label).tolist()
    return data.inputs[places].double().numpy(), places


def between(x):
    return np.linalg.norm(x[:, None] - x[None], axis=-1)


@pytest.fixture
def pick(host, context):
    """Positions that the selector of a name takes, class by class."""

    def pick(name, data, *, seed=0, options=None, **budget):
        cls = host.registry("selector").get(name)
        selector = cls(cls.Options(**(options or {})))
        rng = torch.Generator().manual_seed(seed)
        chosen = run_selector(selector, data, None, Budget(**budget), context, rng)
        return [part.tolist() for part in torch.split(chosen.indices, list(chosen.counts))]

    return pick


SEEDS = pytest.mark.parametrize("seed", range(6))


@SEEDS
@pytest.mark.parametrize("count", [1, 2, 3])
def test_kcenter_is_within_twice_the_best_radius_of_each_class(pick, seed, count):
    data = clusters(seed)
    for label, chosen in enumerate(pick("kcenter", data, ipc=count)):
        x, places = members(data, label)
        distances = between(x)

        def radius(some, distances=distances):
            return distances[:, list(some)].min(1).max()

        radii = [radius(some) for some in itertools.combinations(range(len(x)), count)]
        own = radius([places.index(p) for p in chosen])
        assert own <= 2 * min(radii) + 1e-5
        if count == 3:  # the bound tells good sets from bad ones
            assert max(radii) > 2 * min(radii) + 1e-5


@SEEDS
def test_kcenter_takes_what_a_plain_loop_takes(pick, seed):
    data = clusters(seed, (30, 20), width=4)
    for label, chosen in enumerate(pick("kcenter", data, ipc=8)):
        x, places = members(data, label)
        distances = between(x)
        taken = [int(np.linalg.norm(x - x.mean(0), axis=1).argmin())]
        while len(taken) < 8:
            taken.append(int(distances[:, taken].min(1).argmax()))
        assert chosen == [places[i] for i in taken]


@SEEDS
def test_herding_takes_what_a_plain_loop_takes(pick, seed):
    data = clusters(seed, (30, 20), width=4)
    for label, chosen in enumerate(pick("herding", data, ipc=9)):
        x, places = members(data, label)
        mean, taken = x.mean(0), []
        for _ in range(9):
            left = [i for i in range(len(x)) if i not in taken]
            off = [np.linalg.norm(mean - x[[*taken, i]].mean(0)) for i in left]
            taken.append(left[int(np.argmin(off))])
        loop = x[taken].mean(0)
        ours = x[[places.index(p) for p in chosen]].mean(0)
        assert np.linalg.norm(ours - mean) == pytest.approx(np.linalg.norm(loop - mean), abs=1e-5)
        assert chosen == [places[i] for i in taken]


def test_herding_keeps_the_mean_and_its_opposite_does_not(pick):
    """Taking the largest distance in the place of the smallest, as is done elsewhere, is seen."""
    data = clusters(0, (40, 40), width=8)
    for label, chosen in enumerate(pick("herding", data, ipc=10)):
        x, places = members(data, label)
        spread = np.linalg.norm(x - x.mean(0), axis=1)
        far = x[np.argsort(spread)[-10:]].mean(0)
        ours = x[[places.index(p) for p in chosen]].mean(0)
        random = [
            np.linalg.norm(x[np.random.default_rng(s).permutation(40)[:10]].mean(0) - x.mean(0))
            for s in range(50)
        ]
        assert np.linalg.norm(ours - x.mean(0)) < 0.3 * np.mean(random)
        assert np.linalg.norm(far - x.mean(0)) > 0.5 * np.mean(random)


def represented(x, some):
    """f with the smallest c under which no similarity is negative, where its share says most."""
    similarities = between(x).max() - between(x)
    return similarities[:, list(some)].max(1).sum()


@SEEDS
@pytest.mark.parametrize("count", [1, 2, 3])
def test_facility_location_has_its_share_of_the_best_of_each_class(pick, seed, count):
    rng = np.random.default_rng(seed)
    sizes = np.repeat(np.arange(4), [4, 3, 2, 1])
    groups = np.stack([rng.permutation(sizes) for _ in range(2)], axis=1).ravel()
    corners = 10 * np.eye(4)[groups] + rng.normal(0, 0.2, (20, 4))  # all as far from each other
    data = points(corners, [0, 1] * 10)
    for label, chosen in enumerate(pick("facility-location", data, ipc=count)):
        x, places = members(data, label)
        every = [represented(x, s) for s in itertools.combinations(range(len(x)), count)]
        own = represented(x, [places.index(p) for p in chosen])
        assert own >= (1 - 1 / math.e) * max(every)
        assert min(every) < (1 - 1 / math.e) * max(every)  # not every set has it


@SEEDS
@pytest.mark.parametrize("stored", [2**28, 0], ids=["stored", "worked out anew"])
def test_facility_location_takes_the_largest_gain_each_time(pick, seed, stored, monkeypatch):
    monkeypatch.setattr(facility_location, "STORED", stored)
    monkeypatch.setattr(facility_location, "BLOCK", 3)
    data = clusters(seed, (30, 20), width=4)
    for label, chosen in enumerate(pick("facility-location", data, ipc=8)):
        x, places = members(data, label)
        ours = [places.index(p) for p in chosen]
        for done in range(8):
            left = [i for i in range(len(x)) if i not in ours[:done]]
            most = max(represented(x, [*ours[:done], i]) for i in left)
            # two that nobody else is like add equally much, so that only the value tells
            assert represented(x, ours[: done + 1]) == pytest.approx(most, rel=1e-6)


def test_moderate_by_hand(pick):
    # ant: mean 4, distances 4 3 1 2 6, median 3; bee: mean 25, distances 15 5 5 15, median 5
    data = points([[0], [1], [3], [6], [10], [10], [20], [30], [40]], [0] * 5 + [1] * 4)
    assert pick("moderate", data, ipc=3) == [[1, 0, 3], [6, 7, 5]]


@pytest.mark.parametrize("name", BY_FEATURES)
def test_what_is_taken_does_not_depend_on_the_unit_or_the_origin(pick, name):
    data = clusters(3, (30, 20), width=4)
    first = pick(name, data, ipc=6)
    for scale, shift in ((2.0**60, 0.0), (2.0**-60, 0.0), (1.0, 64.0)):
        moved = points(data.inputs.numpy() * scale + shift, data.labels)
        assert pick(name, moved, ipc=6) == first


@pytest.mark.parametrize("name", BY_FEATURES)
def test_samples_that_are_all_alike_and_classes_without_any(pick, name):
    alike = points(np.ones((12, 3)), [0] * 6 + [2] * 6)
    chosen = pick(name, alike, fraction=0.5)
    assert [len(part) for part in chosen] == [3, 0, 3]


@pytest.mark.parametrize("name", BY_FEATURES)
def test_a_column_does_not_count_for_its_unit(pick, name):
    """Features are measured as networks see them."""
    data = clusters(1, (20, 20), width=3)
    units = torch.tensor([1.0, 1024.0, 2.0**-10])
    norm = Normalization((0.0,) * 3, tuple(units.tolist()))
    other = LabeledData(data.inputs * units, data.labels, data.classes, norm)
    assert pick(name, other, ipc=5) == pick(name, data, ipc=5)


# files of embeddings


@pytest.fixture
def images():
    """Images that are all black: only embeddings tell them apart."""
    data = clusters(2)
    inputs = torch.zeros(len(data), 8, 8, 1, dtype=torch.uint8)
    norm = Normalization((0.5,), (0.25,))
    return data, LabeledData(inputs, data.labels, data.classes, norm, name="black")


@pytest.mark.parametrize("name", BY_FEATURES)
def test_embeddings_of_ones_own(pick, name, images, tmp_path):
    data, black = images
    np.save(tmp_path / "e.npy", data.inputs.numpy())
    np.savez(tmp_path / "e.npz", features=data.inputs.double().numpy(), labels=data.labels)
    np.savez(tmp_path / "o.npz", mine=data.inputs.half().float().numpy())
    first = pick(name, data, ipc=4)
    for options in (
        {"features": str(tmp_path / "e.npy")},
        {"features": str(tmp_path / "e.npz")},
    ):
        assert pick(name, black, options=options, ipc=4) == first
    own = {"features": str(tmp_path / "o.npz"), "array": "mine"}
    assert [len(part) for part in pick(name, black, options=own, ipc=4)] == [4, 4]


BAD = np.full((18, 2), 0.5)
BAD[7, 1] = np.nan


@pytest.mark.parametrize(
    ("file", "values", "told"),
    [
        ("e.npy", np.ones((17, 2)), ["17 rows", "black has 18"]),
        ("e.npy", np.ones(18), ["[18]", "[samples, dimensions]"]),
        ("e.npy", np.ones((18, 0)), ["[18, 0]"]),
        ("e.npy", np.ones((18, 2), int), ["int64", "floats"]),
        ("e.npy", BAD, ["nan at row 7, column 1", "finite"]),
        ("e.npy", np.full((18, 2), 1e300), ["row 0", "finite float32"]),
        ("e.npz", {"other": np.ones((18, 2))}, ["no 'features'", "other", "selector.array"]),
        ("e.npy", b"no array", ["is no .npy file, or is damaged", "numpy.save"]),
        ("e.npy", None, ["does not exist"]),
        ("e.csv", b"1,2", ["must end in .npy, .npz"]),
    ],
)
def test_embeddings_that_do_not_fit_are_refused_in_one_line(
    pick, images, tmp_path, file, values, told
):
    path = tmp_path / file
    if isinstance(values, bytes):
        path.write_bytes(values)
    elif isinstance(values, dict):
        np.savez(path, **values)
    elif values is not None:
        np.save(path, values)
    with pytest.raises(DataError) as caught:
        pick("herding", images[1], options={"features": str(path)}, ipc=2)
    message = str(caught.value)
    assert "\n" not in message
    for part in (path.name, *told):
        assert part in message


@pytest.mark.parametrize("name", BY_FEATURES)
def test_the_cache_token_follows_the_file(host, tmp_path, name):
    cls, path = host.registry("selector").get(name), tmp_path / "e.npy"
    selector = cls(cls.Options(features=str(path)))
    assert isinstance(selector, HasCacheToken)
    with pytest.raises(DataError, match=r"e\.npy cannot be read"):
        selector.cache_token()
    np.save(path, np.ones((3, 2)))
    first = selector.cache_token()
    np.save(path, np.zeros((3, 2)))
    assert len({first, selector.cache_token(), cls(cls.Options()).cache_token()}) == 3


def test_only_a_network_to_be_trained_takes_time(host, context, images, tmp_path):
    data, black = images
    cls = host.registry("selector").get("kcenter")
    selector = cls(cls.Options(epochs=3, network={"component": "convnet", "width": 4}))
    assert isinstance(selector, EstimatesCost)
    assert selector.cost(black, 4, context).seconds > 0
    assert selector.cost(data, 4, context).seconds == 0
    given = cls(cls.Options(features=str(tmp_path / "e.npy")))
    assert given.cost(black, 4, context).seconds == 0


def test_features_of_images_are_those_of_a_network_trained_as_the_options_say(
    pick, host, context, tiny_images
):
    small = {"epochs": 3, "network": {"component": "convnet", "width": 4}}
    cls = host.registry("selector").get("herding")
    found = pick("herding", tiny_images, options=small, ipc=4, seed=7)
    rng = torch.Generator().manual_seed(7)
    features = context.features(tiny_images.without_test(), rng, cls.Options(**small))
    assert found == pick("herding", points(features, tiny_images.labels), ipc=4)


def test_a_wide_window_is_thinned_among_the_features_that_other_selectors_have(host, context):
    recipe = resolve(host, Request(assignments=((("selector",), "facility-location"),)))
    asked = (recipe["selector"].options, SPACE.options)
    one, other = (part_of(SgdOptions, options).key(context) for options in asked)
    assert one == other
