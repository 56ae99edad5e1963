"""Optuna's samplers: repeatable, inside the ranges, and a clear word where it is missing."""

import sys

import pytest

from condense.errors import OptionError
from condense.studies.tuning.sampling import sample


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_equal_arguments_give_equal_places_inside_the_ranges(sampler):
    pytest.importorskip("optuna")

    def run(seed):
        tried = []

        def evaluate(values):
            tried.append(values)
            return -((values[0] - 0.3) ** 2) - (values[1] - 5) ** 2

        sample(evaluate, [(0.0, 0.5), (4.0, 6.0)], sampler, 15, seed, 3)
        return tried

    one = run(0)
    assert one == run(0) != run(1)
    assert len(one) == 15
    assert all(0 <= a <= 0.5 and 4 <= b <= 6 and (round(a, 3), round(b, 3)) == (a, b)
               for a, b in one)  # fmt: skip


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError, match=r"pip install 'condense-data\[tune\]'"):
        sample(lambda values: 0.0, [(0, 1)], "tpe", 1, 0, 3)
