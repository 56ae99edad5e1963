"""Selections against windows worked out by hand, and by brute force."""

import pytest
import torch

from condense.data import LabeledData, Normalization
from condense.engine.checked import run_selector
from condense.errors import DataError, OptionError
from condense.options import build_options
from condense.results import Budget
from condense.testing.toys import data_of, scores_of
from condense_plugins.selectors.easiest import EasiestSelector
from condense_plugins.selectors.hardest import HardestSelector
from condense_plugins.selectors.random import RandomSelector
from condense_plugins.selectors.window import WindowSelector

UNIT = Normalization((0.0,), (1.0,))


def select(selector, data, scores, seed=0, **budget):
    rng = torch.Generator().manual_seed(seed)
    return run_selector(selector, data, scores, Budget(**budget), None, rng)


def window(**options):
    return WindowSelector(WindowSelector.Options(**options))


def hardest():
    return HardestSelector(HardestSelector.Options())


def easiest():
    return EasiestSelector(EasiestSelector.Options())


def uniform():
    return RandomSelector(RandomSelector.Options())


# two classes, interleaved; ranked hardest first: ant 4 0 6 2, bee 1 5 3 7
LABELS = [0, 1, 0, 1, 0, 1, 0, 1]
VALUES = [0.7, 0.9, 0.1, 0.5, 0.8, 0.6, 0.4, 0.2]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (window(beta=0.0), [4, 0, 1, 5]),
        (window(beta=0.25), [0, 6, 5, 3]),
        (window(beta=0.49), [0, 6, 5, 3]),  # ⌊.49·4⌋ = 1
        (window(beta=0.5), [6, 2, 3, 7]),
        (window(beta=0.5, unit="ipc"), [0, 6, 5, 3]),  # ⌊.5·2⌋ = 1
        (hardest(), [4, 0, 1, 5]),
        (easiest(), [6, 2, 3, 7]),
    ],
)
def test_selection_by_hand(selector, expected):
    selection = select(selector, data_of(LABELS), scores_of(VALUES), ipc=2)
    assert selection.indices.tolist() == expected
    assert selection.labels.tolist() == [0, 0, 1, 1]
    assert selection.counts == (2, 2)
    assert selection.indices.dtype == selection.labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("beta", "unit", "start"),
    [(0.29, "class", 29), (0.57, "class", 57), (0.58, "class", 58), (0.07, "class", 7),
     (0.299, "class", 29), (0.29, "ipc", 2), (0.7, "ipc", 7), (0.99, "ipc", 9)],
)  # fmt: skip
def test_beta_is_rounded_down_but_not_by_float_noise(beta, unit, start):
    """0.29 · 100 is 28.999… in floating point, and 29."""
    data, scores = data_of([0] * 100), scores_of(torch.arange(100).flip(0))
    selection = select(window(beta=beta, unit=unit), data, scores, ipc=10)
    assert selection.indices.tolist() == list(range(start, start + 10))


@pytest.mark.parametrize("selector", [window(beta=0.2), hardest(), easiest()])
def test_ties_keep_the_order_of_the_data(selector):
    data = data_of([0, 1] * 50)
    scores = scores_of(torch.zeros(100))
    start = {"window": 10, "hardest": 0, "easiest": 43}[selector.name]
    selection = select(selector, data, scores, ipc=7)
    ants = [2 * i for i in range(start, start + 7)]
    assert selection.indices.tolist() == ants + [i + 1 for i in ants]


def test_classes_of_unequal_size_with_a_fraction():
    # 10, 5 and 2 samples; half is 5, 2 and 1; β = .4 of the class skips 4, 2 and 0
    data = data_of([0] * 10 + [1] * 5 + [2] * 2)
    scores = scores_of([*range(10, 0, -1), 3, 5, 1, 4, 2, 0.5, 0.7])
    selection = select(window(beta=0.4), data, scores, fraction=0.5)
    assert selection.indices.tolist() == [4, 5, 6, 7, 8, 10, 14, 16]
    assert selection.counts == (5, 2, 1)


def test_a_fraction_keeps_at_least_one_sample_of_a_class():
    data = data_of([0] * 100 + [1] * 3)
    selection = select(hardest(), data, scores_of(torch.arange(103)), fraction=0.29)
    assert selection.counts == (29, 1)
    assert selection.indices[-1] == 102


@pytest.mark.parametrize("unit", ["class", "ipc"])
@pytest.mark.parametrize("seed", range(5))
def test_window_by_brute_force(unit, seed):
    rng = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.arange(3), torch.randint(3, (77,), generator=rng)])
    values = torch.randint(12, (80,), generator=rng).float()  # many ties
    beta, fraction = 0.1 * seed, 0.3
    selection = select(
        window(beta=beta, unit=unit), data_of(labels.tolist()), scores_of(values), fraction=fraction
    )
    expected = []
    for c in range(3):
        ranked = sorted((i for i in range(80) if labels[i] == c), key=lambda i: (-values[i], i))
        count = max(1, int(fraction * len(ranked) + 1e-9))
        start = int(beta * (len(ranked) if unit == "class" else count) + 1e-9)
        expected += ranked[start : start + count]
    assert selection.indices.tolist() == expected


def test_moving_to_easier_never_raises_the_mean_difficulty():
    rng = torch.Generator().manual_seed(0)
    values = torch.rand(120, generator=rng)
    data = data_of([0, 1, 2] * 40)
    means = []
    for step in range(31):
        selection = select(window(beta=step / 40), data, scores_of(values), ipc=10)
        means.append(values[selection.indices].mean())
    assert bool((torch.stack(means).diff() <= 1e-7).all())
    assert means[-1] < means[0] - 0.5


def test_ends_of_the_window_are_hardest_and_easiest():
    rng = torch.Generator().manual_seed(0)
    data, scores = data_of([0, 1] * 20), scores_of(torch.rand(40, generator=rng))
    for beta, twin in ((0.0, hardest()), (0.75, easiest())):
        ours = select(window(beta=beta), data, scores, ipc=5)
        assert torch.equal(ours.indices, select(twin, data, scores, ipc=5).indices)


def test_a_window_past_the_end_names_class_counts_and_beta():
    data = data_of([0] * 40 + [1] * 10)
    scores = scores_of(torch.arange(50))
    with pytest.raises(DataError) as caught:
        select(window(beta=0.55), data, scores, ipc=6)
    message = str(caught.value)
    for part in ("class bee", "10 samples", "start 5", "beta=0.55", "ipc 6", "needs 11", "lower"):
        assert part in message
    select(window(beta=0.55), data, scores, ipc=5)  # 5 + 5 = 10 just fits


def test_a_fraction_past_the_end_is_refused_too():
    data, scores = data_of([0] * 10), scores_of(torch.arange(10))
    with pytest.raises(DataError, match=r"class ant has 10 samples.*0\.6.*needs 11"):
        select(window(beta=0.6), data, scores, fraction=0.5)


@pytest.mark.parametrize("selector", [window(), hardest(), easiest(), uniform()])
def test_a_class_too_small_is_named_and_nothing_is_cut_short(selector):
    data = data_of([0] * 8 + [1] * 3)
    with pytest.raises(
        DataError, match=r"class bee has 3 samples in .*, ipc 4 asks for more.*at most 3"
    ):
        select(selector, data, scores_of(torch.arange(11)), ipc=4)


@pytest.mark.parametrize("selector", [window(), hardest(), easiest()])
def test_no_scores_is_an_error_that_names_the_selector(selector):
    assert selector.needs_scores
    with pytest.raises(OptionError, match=f"'{selector.name}' needs scores.*scorer"):
        select(selector, data_of(LABELS), None, ipc=1)


@pytest.mark.parametrize("beta", [-0.1, 1.0, "much", float("nan")])
def test_beta_out_of_range_is_refused_with_its_value(beta):
    with pytest.raises(OptionError) as caught:
        build_options(WindowSelector.Options, {"beta": beta}, "selector")
    assert f"selector.beta={beta}".lower() in str(caught.value).lower()


# random


def test_random_needs_no_scores_and_is_a_permutation_of_each_class():
    data = data_of([0] * 6 + [1] * 9)
    assert not uniform().needs_scores
    selection = select(uniform(), data, None, fraction=1.0)
    assert sorted(selection.indices.tolist()) == list(range(15))
    assert selection.labels.tolist() == [0] * 6 + [1] * 9
    assert selection.indices.tolist() != list(range(15))


def test_random_does_not_look_at_scores_and_follows_its_generator():
    data = data_of([0, 1] * 30)
    first = select(uniform(), data, None, seed=1, ipc=10).indices
    assert torch.equal(first, select(uniform(), data, scores_of(range(60)), seed=1, ipc=10).indices)
    assert not torch.equal(first, select(uniform(), data, None, seed=2, ipc=10).indices)


def test_random_draws_every_sample_equally_often():
    data, times = data_of([0] * 10), torch.zeros(10)
    rng = torch.Generator().manual_seed(0)
    for _ in range(2000):
        times[uniform().select(data, None, Budget(ipc=3), None, rng).indices] += 1
    # binomial: 600 ± 20.5; five standard deviations
    assert bool(((times - 600).abs() < 103).all())


class Features:
    """A context whose features are known."""

    def __init__(self, features):
        self.known = features

    def features(self, data, rng, options=None):
        self.asked = options
        return self.known


@pytest.mark.parametrize(("unit", "highest"), [("class", 0.5), ("ipc", 1.0)])
def test_a_class_without_samples_bounds_no_window(unit, highest):
    labels = torch.tensor([0] * 6 + [2] * 8)
    data = LabeledData(torch.zeros(14, 1), labels, ("ant", "bee", "cat"), UNIT)
    selector, budget = window(unit=unit), Budget(fraction=0.5)
    assert budget.counts(data) == (3, 0, 4)
    # of 6 samples 3 may be skipped, of 8 four: half of a class, or as many as are taken
    assert selector.option_ranges(data, budget) == {"beta": (0.0, highest)}


def test_a_wider_window_asks_for_features_of_the_precision_that_is_set(tiny_images):
    context, scores = Features(torch.randn(90, 2)), scores_of(range(90))
    rng = torch.Generator().manual_seed(0)
    for precision in ("auto", "bf16"):
        selector = window(beta=0, width=0.5, precision=precision)
        run_selector(selector, tiny_images, scores, Budget(ipc=2), context, rng)
        assert context.asked.precision == precision


def test_a_wider_window_is_thinned_to_those_that_stand_for_the_others():
    # ranked hardest first the samples lie at 0 … 9; β = .2 skips 0 and 1, .7 spans 2 … 8
    places = torch.tensor([50.0, 50.0, 1.0, 2.0, 3.0, 3.2, 20.0, 21.0, 22.5, 70.0])
    data = LabeledData(places[:, None], torch.zeros(10, dtype=torch.int64), ("ant",), UNIT)
    scores = scores_of(torch.arange(10).flip(0))
    rng = torch.Generator().manual_seed(0)
    selector = window(beta=0.2, width=0.7)
    chosen = run_selector(selector, data, scores, Budget(ipc=2), Features(data.inputs), rng)
    # the one in the middle of all, then that of the far group; hardest first
    assert chosen.indices.tolist() == [5, 7]
    whole = run_selector(selector, data, scores, Budget(ipc=7), Features(data.inputs), rng)
    assert whole.indices.tolist() == [2, 3, 4, 5, 6, 7, 8]
    # a window narrower than the budget has the budget's width, one too wide ends with the class
    narrow = window(beta=0.2, width=0.1)
    same = run_selector(narrow, data, scores, Budget(ipc=4), Features(data.inputs), rng)
    assert same.indices.tolist() == [2, 3, 4, 5]
    wide = window(beta=0.8, width=1.0)
    easy = run_selector(wide, data, scores, Budget(ipc=2), Features(data.inputs), rng)
    assert easy.indices.tolist() == [8, 9]
