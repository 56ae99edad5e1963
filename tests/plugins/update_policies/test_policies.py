"""Which samples the policies let distillation move."""

import pytest
import torch

from condense.engine.checked import run_policy
from condense.errors import OptionError
from condense.options import build_options
from condense.results import Selection
from condense_plugins.update_policies.frozen import FrozenPolicy
from condense_plugins.update_policies.full import FullPolicy
from condense_plugins.update_policies.partial import PartialPolicy


def selection_of(*counts):
    """Counts per class; the data's positions descend, so that order alone can tell."""
    chosen = [torch.arange(100 * c + n, 100 * c, -1) for c, n in enumerate(counts)]
    return Selection.of_classes(chosen)


def split(policy, *counts):
    return run_policy(policy, selection_of(*counts)).int().tolist()


def partial(alpha):
    return PartialPolicy(PartialPolicy.Options(alpha=alpha))


def test_partial_distils_the_easier_end_of_every_class():
    # hardest first: the first two of five stay real
    assert split(partial(0.6), 5, 5) == [0, 0, 1, 1, 1] * 2


def test_partial_with_unequal_classes():
    assert split(partial(0.5), 4, 1, 3, 0, 2) == [0, 0, 1, 1, 0, 0, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("alpha", "count", "distilled"),
    [(0.0, 7, 0), (1.0, 7, 7), (0.29, 100, 29), (0.57, 100, 57), (0.7, 10, 7), (0.1, 10, 1),
     (0.1, 9, 0), (0.6, 50, 30), (0.299, 100, 29), (0.3, 1, 0), (0.999, 1, 0)],
)  # fmt: skip
def test_alpha_counts_are_rounded_down_but_not_by_float_noise(alpha, count, distilled):
    assert split(partial(alpha), count) == [0] * (count - distilled) + [1] * distilled


def test_full_and_frozen():
    full, frozen = FullPolicy(FullPolicy.Options()), FrozenPolicy(FrozenPolicy.Options())
    assert split(full, 2, 3) == [1] * 5
    assert split(frozen, 2, 3) == [0] * 5


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_partial_at_its_ends_is_frozen_and_full(alpha):
    twin = FullPolicy(FullPolicy.Options()) if alpha else FrozenPolicy(FrozenPolicy.Options())
    assert split(partial(alpha), 3, 8, 1) == split(twin, 3, 8, 1)


@pytest.mark.parametrize("alpha", [-0.01, 1.01, "half"])
def test_alpha_out_of_range_is_refused_with_its_value(alpha):
    with pytest.raises(OptionError, match=rf"policy\.alpha={alpha}"):
        build_options(PartialPolicy.Options, {"alpha": alpha}, "policy")
