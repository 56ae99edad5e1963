"""Optuna's sampler: repeatable, inside the ranges, and a clear word where it is missing."""

import sys

import pytest

from condense.errors import OptionError
from condense.studies.tuning.sampling import sample


def test_equal_arguments_give_equal_places_inside_the_ranges():
    pytest.importorskip("optuna")

    def run(seed):
        tried = []

        def evaluate(values):
            tried.append(values)
            return -((values[0] - 0.3) ** 2) - (values[1] - 5) ** 2

        sample(evaluate, [(0.0, 0.5), (4.0, 6.0)], (0.125, 4.5), 15, seed)
        return tried

    one = run(0)
    assert one == run(0) != run(1)
    assert len(one) == 15
    assert one[0] == (0.125, 4.5)  # where it stood
    assert all(0 <= a <= 0.5 and 4 <= b <= 6 for a, b in one)


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError, match=r"pip install .*\[tune\]'"):
        sample(lambda values: 0.0, [(0, 1)], (0.5,), 1, 0)
