"""What arrays and torch data sets become, and what is refused with which words."""

import re

import numpy as np
import pytest
import scipy.sparse
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset

from condense.data import Normalization
from condense.engine.ingest import from_user
from condense.engine.ingest.from_user import channel_statistics, from_torch_dataset, labeled_data
from condense.errors import DataError

LABELS = [0, 1, 2, 0, 1, 2]


def images(n=6, side=4, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def test_statistics_of_images_match_numpy():
    pixels = images(n=50)
    found = channel_statistics(torch.from_numpy(pixels))
    scaled = pixels.reshape(-1, 3) / 255
    assert found.mean == pytest.approx(scaled.mean(0), abs=1e-9)
    assert found.std == pytest.approx(scaled.std(0), abs=1e-9)


def test_statistics_of_features_do_not_depend_on_the_parts_they_are_worked_off_in(monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.normal(rng.normal(0, 1e3, 7), rng.uniform(0.1, 50, 7), (1000, 7)).astype("f4")
    values[:, 3] = 1e5
    expected = values.astype(np.float64).mean(0), values.astype(np.float64).std(0)
    expected[1][3] = 1  # constant
    for at_once in (1, 7 * 64, 10**6):
        monkeypatch.setattr(from_user, "AT_ONCE", at_once)
        found = channel_statistics(torch.from_numpy(values))
        np.testing.assert_allclose((found.mean, found.std), expected, rtol=1e-12)


def test_statistics_of_a_blank_channel_are_floored():
    assert channel_statistics(torch.zeros(3, 2, 2, 1, dtype=torch.uint8)).std == (1e-3,)


def test_statistics_of_features_are_per_dimension_and_in_their_unit():
    features = torch.randn(200, 70) * 1e-5
    features[:, 3] = 0.1
    found = channel_statistics(features)
    expected = features.double().std(0, correction=0)
    assert found.std[3] == 1.0
    assert found.std[:3] == pytest.approx(expected[:3].tolist())
    assert found.mean == pytest.approx(features.double().mean(0).tolist())


def test_uint8_images_are_kept_as_they_are():
    pixels = images()
    data = labeled_data(pixels, LABELS)
    assert data.inputs.dtype == torch.uint8
    assert data.inputs.is_contiguous()
    assert np.array_equal(data.inputs.numpy(), pixels)
    assert data.labels.dtype == torch.int64
    assert data.classes == ("0", "1", "2")
    assert data.flip
    assert data.test is None
    assert data.geometry.shape == (3, 4, 4)


def test_grey_images_gain_a_channel_and_are_not_mirrored():
    data = labeled_data(images(channels=1)[..., 0], LABELS)
    assert data.inputs.shape == (6, 4, 4, 1)
    assert not data.flip


def test_flip_can_be_chosen():
    assert not labeled_data(images(), LABELS, flip=False).flip
    assert labeled_data(images(channels=1), LABELS, flip=True).flip


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_float_images_become_the_uint8_they_came_from(dtype):
    pixels = images()
    data = labeled_data((pixels / 255).astype(dtype), LABELS)
    assert np.array_equal(data.inputs.numpy(), pixels)


def test_channels_first_tensors_are_turned():
    pixels = images()
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    data = labeled_data(tensor, torch.tensor(LABELS))
    assert data.inputs.is_contiguous()
    assert np.array_equal(data.inputs.numpy(), pixels)


def test_read_only_and_strided_arrays_are_accepted_and_left_alone():
    pixels = images(n=12)
    before = pixels.copy()
    pixels.setflags(write=False)
    data = labeled_data(pixels[::-2], LABELS)
    assert np.array_equal(data.inputs.numpy(), before[::-2])
    assert np.array_equal(pixels, before)


def test_features_stay_float32_and_are_not_mirrored():
    data = labeled_data(np.random.default_rng(0).normal(size=(6, 5)), LABELS)
    assert data.inputs.dtype == torch.float32
    assert not data.flip
    assert data.geometry.shape == (5,)


def test_numbers_of_several_types_are_features():
    mixed = np.array([[1, True, 0.5]] * 6, dtype=object)
    assert labeled_data(mixed, LABELS).inputs.tolist() == [[1.0, 1.0, 0.5]] * 6


def test_test_split_shares_classes_and_normalization():
    data = labeled_data(images(), LABELS, test=(images(n=2, seed=1), [2, 0]), name="mine")
    assert data.test is not None
    assert data.test.normalization == data.normalization
    assert data.test.classes == data.classes
    assert data.test.name == data.name == "mine"
    assert data.test.labels.tolist() == [2, 0]


def test_given_normalization_is_used():
    scale = Normalization((0.5,), (0.25,))
    assert labeled_data(images(), LABELS, normalization=scale).normalization == scale


def test_gaps_in_the_labels_are_closed():
    data = labeled_data(images(), [7, 3, 40, 7, 3, 40], test=(images(n=1), [40]))
    assert data.classes == ("3", "7", "40")
    assert data.labels.tolist() == [1, 0, 2, 1, 0, 2]
    assert data.test is not None
    assert data.test.labels.tolist() == [2]


@pytest.mark.parametrize("make", [list, np.array, lambda x: np.array(x, dtype=object), np.bytes_])
def test_string_labels_become_classes(make):
    names = ["cat", "ant", "cat", "ant", "bee", "bee"]
    labels = np.array(names, dtype="S") if make is np.bytes_ else make(names)
    data = labeled_data(images(), labels)
    assert data.classes == ("ant", "bee", "cat")
    assert data.labels.tolist() == [2, 0, 2, 0, 1, 1]


def test_classes_set_the_order_of_names():
    data = labeled_data(images(n=2), ["cat", "ant"], classes=["cat", "ant", "bee"])
    assert data.labels.tolist() == [0, 1]
    assert labeled_data(images(n=2), [2, 0], classes=["c", "a", "b"]).labels.tolist() == [2, 0]


def test_whole_floats_bools_and_small_integers_are_labels():
    for labels in (np.array(LABELS, float), np.array(LABELS, np.uint8), torch.tensor(LABELS).int()):
        assert labeled_data(images(), labels).labels.tolist() == LABELS
    assert labeled_data(images(n=2), np.array([True, False])).classes == ("0", "1")


def refused(*words, inputs=None, labels=LABELS, **rest):
    with pytest.raises(DataError) as caught:
        labeled_data(images() if inputs is None else inputs, labels, **rest)
    message = str(caught.value)
    for word in words:
        assert word in message
    assert "\n" not in message
    assert not message.endswith(".")
    assert message[0].islower()


def test_wrong_inputs_are_refused():
    refused("(6, 4, 4, 4)", "C = 1 or 3", inputs=images(channels=4))
    refused("(6,)", inputs=np.zeros(6))
    refused("(0, 4, 4, 3)", inputs=images(n=0), labels=[])
    refused("int64", inputs=images().astype(np.int64))
    refused("object", inputs=np.array([[object()] * 2] * 6))
    mixed = np.array([[1, True, "red"]] * 6, dtype=object)
    refused("train inputs hold 'red' at [0, 2], which is no number", "csv:PATH", inputs=mixed)
    refused("hold 'a' at [0, 0]", "no number", inputs=np.array([["a", "b"]] * 6))
    refused("nan at row 0, column 0", inputs=np.array([[None, 1]] * 6, dtype=object))
    refused("hold a number that no float can", inputs=np.array([[10**400, 1]] * 6, dtype=object))
    refused("sparse matrix", "X.toarray()", inputs=scipy.sparse.eye_array(6).tocsr())
    refused("sparse tensor", "X.to_dense()", inputs=torch.eye(6).to_sparse())
    refused("inhomogeneous", inputs=[[1.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("value", "told"),
    [(1.5, "0–1"), (-0.25, "reshape(len(X), -1)"), (float("inf"), "0–1"), (float("nan"), "drop")],
)
def test_float_images_out_of_range_are_refused(value, told):
    pixels = np.full((6, 4, 4, 3), 0.5, np.float32)
    pixels[4, 1, 2, 0] = value
    refused(f"{value:g}", "image 4", told, inputs=pixels)


def test_float_images_that_8_bits_would_not_tell_apart_are_refused():
    pixels = np.linspace(0, 1 / 300, 6 * 48, dtype=np.float32).reshape(6, 4, 4, 3)
    refused("reach 0.0033", "tell 2 of their 288 values apart", "scale them", inputs=pixels)
    black = np.zeros((6, 4, 4, 3), np.float32)
    black[0, 0, 0, 0] = 9 / 255  # dark, and nothing is lost
    labeled_data(black, [0, 1] * 3)


@pytest.mark.parametrize(
    "column",
    [
        1_700_000_000 + np.arange(60),  # seconds: float32 has one number in 128 there
        1_700_000_000 + np.arange(60, dtype=np.uint32),
        np.append(1_700_000_000 + np.arange(59), 0),  # one is missing
        1e7 + np.arange(60) / 10,
        10**9 + np.arange(60) % 2,
    ],
)
def test_numbers_that_float32_does_not_tell_apart_are_refused(column):
    assert 2 * len(np.unique(column.astype(np.float32))) <= len(np.unique(column))
    values = np.stack([np.arange(60), column], 1).astype(column.dtype)
    told = re.escape(f"X[:, 1] -= {np.unique(column)[int(column.min() == 0)]:.15g}")
    with pytest.raises(DataError, match=rf"in column 1, which are one number in float32.*{told}"):
        labeled_data(values, [0, 1] * 30)
    values[:, 1] -= np.median(column).astype(column.dtype)
    labeled_data(values.astype(np.int64), [0, 1] * 30)


@pytest.mark.parametrize(
    "column",
    [
        np.full(60, 1e9) * (1 + 1e-15 * np.arange(60)),  # constant but for rounding
        np.append(np.zeros(59), 1e-60),
        1_700_000_000 + 86_400 * np.arange(60),
        2_459_000 + np.arange(60.0),  # days: whole numbers below 2**24 are exact
        np.float32(1e7) + np.arange(60, dtype=np.float32),  # as it was handed over
        (1 + 6e-8 * np.arange(60)).astype(np.float32).astype(np.float64),
    ],
)
def test_other_large_numbers_are_taken(column):
    labeled_data(np.stack([column, column], 1), [0, 1] * 30)


def test_float_overshoot_of_resampling_is_accepted():
    pixels = np.full((6, 4, 4, 3), np.float32(1) + np.float32(2e-7))
    assert labeled_data(pixels, LABELS).inputs.unique().tolist() == [255]


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 1e300])
def test_features_that_are_not_finite_are_refused(value):
    features = np.zeros((6, 5))
    features[2:, 3] = value
    refused(str(value), "row 2, column 3", inputs=features)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float32])
def test_minus_one_and_one_are_two_classes(dtype):
    labels = np.array([-1, 1, 1, -1, 1, -1], dtype)
    data = labeled_data(images(), labels, test=(images(), [1] * 6))
    assert data.classes == ("-1", "1")
    assert data.labels.tolist() == [0, 1, 1, 0, 1, 0]
    assert data.test.labels.tolist() == [1] * 6
    refused("-1", "position 0", labels=labels, classes=["a", "b"])


def test_wrong_labels_are_refused():
    refused("6 inputs", "5 labels", labels=LABELS[:5])
    refused("(6, 3)", "argmax", labels=np.eye(3)[LABELS])
    refused("(6, 1)", "ravel", labels=np.array(LABELS)[:, None])
    refused("-1", "position 2", labels=[0, 1, -1, 0, 1, 2])
    refused("0.5", "position 1", labels=[0, 0.5, 1, 1, 1, 1])
    refused("nan", "position 0", labels=[float("nan"), 1, 1, 1, 1, 1])
    refused("object", labels=np.array(LABELS, dtype=object))
    for make in (list, tuple, lambda x: np.array(x, dtype=object)):
        refused("None at position 2", "numbers or names", labels=make([0, 1, None, 1, 0, 1]))
        for hole in (float("nan"), None, 3):
            names = make(["ant", "bee", hole, "ant", "bee", "bee"])
            refused(f"train labels hold {hole} at position 2", "names; drop", labels=names)
            refused(f"test labels hold {hole} at position 2", labels=LABELS, test=(images(), names))
    refused("'2'", "at least two", labels=[2] * 6)
    refused("'bee'", "at least two", labels=[1] * 6, classes=["ant", "bee"])


def test_labels_beyond_classes_are_refused():
    refused("2 at position 2", "2 names", "0, 1", classes=["ant", "bee"])
    refused("fly at position 1", "ant, bee", labels=["ant", "fly"] * 3, classes=["ant", "bee"])
    refused("'ant'", "twice", classes=["ant", "bee", "ant"])
    refused("0 at position 0", "none", classes=[])


def test_wrong_test_splits_are_refused():
    refused("(5, 5, 3)", "(4, 4, 3)", test=(images(side=5), LABELS))
    refused("test labels hold 9 at position 1", "0, 1, 2", test=(images(n=2), [0, 9]))
    refused("test labels hold cat", test=(images(n=2), ["cat", "cat"]))
    refused("test split has 2 inputs but 1 labels", test=(images(n=2), [0]))
    refused("test inputs", "(0, 4, 4, 3)", test=(images(n=0), []))


class Items(Dataset):
    def __init__(self, items, classes=None):
        self.items = items
        if classes is not None:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def as_float(array):
    return torch.from_numpy(array).permute(2, 0, 1).float() / 255


@pytest.mark.parametrize(
    "form",
    [
        Image.fromarray,
        lambda a: a,
        torch.from_numpy,
        as_float,
        lambda a: torch.from_numpy(a).permute(2, 0, 1),
        lambda a: (a / 255).astype(np.float32),
    ],
    ids=["pil", "array", "hwc", "totensor", "chw-uint8", "float-array"],
)
def test_torch_items_of_every_form_give_the_same_images(form):
    pixels = images()
    items = [(form(p), torch.tensor(y)) for p, y in zip(pixels, LABELS, strict=True)]
    data = from_torch_dataset(Items(items, ["a", "b", "c"]), test=Items(items[:2]), name="t")
    assert np.array_equal(data.inputs.numpy(), pixels)
    assert data.labels.tolist() == LABELS
    assert data.classes == ("a", "b", "c")
    assert data.test is not None
    assert np.array_equal(data.test.inputs.numpy(), pixels[:2])


def drawn_classes(names, numbered):
    """Two grey images of each of ``names``, as bright as its first letter; ``numbered`` says which
    number each class has."""
    pixels = [np.full((2, 2), ord(name[0]), np.uint8) for name in names for _ in range(2)]
    labels = [numbered.index(name) for name in names for _ in range(2)]
    return Items(list(zip(pixels, labels, strict=True)), numbered)


@pytest.mark.parametrize("cut", [lambda d: d, lambda d: torch.utils.data.Subset(d, range(len(d)))])
@pytest.mark.parametrize("numbered", [["ant", "cat"], ["cat", "bee", "ant"], ["dog", "cat", "ant"]])
def test_classes_of_a_torch_test_set_are_matched_by_name(numbered, cut):
    names = ["ant", "bee", "cat"]
    data = from_torch_dataset(
        cut(drawn_classes(names, names)), test=cut(drawn_classes(["cat", "ant"], numbered))
    )
    for split in (data, data.test):
        for image, label in zip(split.inputs, split.labels.tolist(), strict=True):
            assert image.unique().tolist() == [ord(names[label][0])]


def test_a_class_that_the_train_set_has_not_is_refused():
    train = drawn_classes(["ant", "cat"], ["ant", "cat"])
    with pytest.raises(DataError, match=r"test labels hold class 'bee' at position 2.* ant, cat;"):
        from_torch_dataset(train, test=drawn_classes(["ant", "bee"], ["ant", "bee", "cat"]))
    with pytest.raises(DataError, match="test labels hold 2 at position 2, classes has 2 names"):
        from_torch_dataset(train, test=Items([*train.items[:2], (train[0][0], 2)], ["cat", "ant"]))


def test_grey_torch_items_and_features():
    pixels = images(channels=1)
    for form in (lambda a: Image.fromarray(a[..., 0]), as_float, lambda a: as_float(a)[0]):
        items = [(form(p), y) for p, y in zip(pixels, LABELS, strict=True)]
        assert np.array_equal(from_torch_dataset(Items(items)).inputs.numpy(), pixels)
    features = torch.randn(6, 5)
    data = from_torch_dataset(torch.utils.data.TensorDataset(features, torch.tensor(LABELS)))
    assert torch.equal(data.inputs, features)


def test_grey_images_of_16_bits_are_scaled_and_those_with_alpha_are_grey():
    levels = np.array([[0, 300], [32896, 65535]], np.uint16)
    deep = [(Image.fromarray(levels), 0), (Image.fromarray(levels.astype(np.int32)), 1)]
    for given in from_torch_dataset(Items(deep)).inputs:
        assert given[..., 0].tolist() == [[0, 1], [128, 255]]  # 257 levels are one
    veiled = Image.fromarray(np.dstack([levels // 257, levels]).astype(np.uint8))
    assert veiled.mode == "LA"
    data = from_torch_dataset(Items([(veiled, 0), (veiled, 1)]))
    assert data.inputs[0, ..., 0].tolist() == [[0, 1], [128, 255]]
    real = Image.fromarray(np.ones((2, 2), np.float32))
    with pytest.raises(DataError, match="item 0 of the train set is an image of mode F: floating"):
        from_torch_dataset(Items([(real, 0), (real, 1)]))


def test_ambiguous_float_tensors_are_read_channels_first():
    tensor = torch.rand(3, 5, 3)
    data = from_torch_dataset(Items([(tensor, 0), (tensor, 1)]))
    expected = (tensor.permute(1, 2, 0) * 255).round().to(torch.uint8)
    assert torch.equal(data.inputs[0], expected)


class Stream(IterableDataset):
    def __iter__(self):
        yield torch.zeros(3, 2, 2), 0


GOOD = (torch.zeros(3, 2, 2), 0)


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (Items([GOOD, (torch.full((3, 2, 2), -2.25), 1)]), ["item 1", "-2.25", "Normalize"]),
        (Items([GOOD, (torch.zeros(3, 4, 2), 1)]), ["item 1", "(4, 2, 3)", "(2, 2, 3)", "Resize"]),
        (Items([GOOD, 7]), ["item 1", "int", "(image, label)"]),
        (Items([("text", 0)]), ["item 0", "str"]),
        (Items([(torch.zeros(3, 2, 2).long(), 0)]), ["item 0", "int64"]),
        (Items([(torch.zeros(2, 3, 2, 2), 0)]), ["item 0", "(2, 3, 2, 2)"]),
        (Items([(torch.zeros(3, 2, 2), torch.zeros(5))]), ["item 0", "(5,)"]),
        (Items([]), ["Items", "0 items"]),
        (Stream(), ["Stream", "map-style"]),
    ],
)
def test_wrong_torch_datasets_are_refused(dataset, words):
    with pytest.raises(DataError) as caught:
        from_torch_dataset(dataset)
    for word in words:
        assert word in str(caught.value)
