"""Which candidates go on and what is better than random: by numbers worked out by hand."""

import random
from collections import Counter

import numpy as np
import pytest

from condense.errors import DataError
from condense.studies.choosing.design import Rung, rungs_for
from condense.studies.choosing.halving import (
    chosen_on,
    halve,
    is_better,
    to_random,
    with_rows,
)

RUNGS = (Rung(candidates=4, seeds=1), Rung(candidates=2, seeds=2), Rung(candidates=1, seeds=4))


def halved(table, rungs=RUNGS):
    """The result, and what was asked in order; an accuracy that is None fails."""
    asked = []

    def measure(name, seed):
        asked.append((name, seed))
        if table[name][seed] is None:
            kind = MemoryError if name == "m" else DataError  # which no component turns into ours
            raise kind(f"{name} has\nno seed {seed}")
        return table[name][seed]

    return halve(measure, list(table), rungs), asked


def test_the_better_half_goes_on_under_further_seeds():
    table = {
        "a": (0.5,),  # out at once
        "b": (0.8, 0.6),  # leads after one seed, 0.70 after two
        "c": (0.7, 0.9, 0.1, 0.2),  # 0.80 after two
        "d": (0.6,),
    }
    found, asked = halved(table)
    first = [(name, 0) for name in "abcd"]
    assert asked == [*first, ("b", 1), ("c", 1), ("c", 2), ("c", 3)]
    assert found.accuracies == {name: list(values) for name, values in table.items()}
    assert found.rungs == {"a": 1, "b": 2, "c": 3, "d": 1}
    assert (found.best, found.errors) == ("c", {})


def test_of_equal_ones_the_cheaper_goes_on():
    table = dict.fromkeys("abcd", (0.5,) * 4)
    found, _ = halved(table)
    assert (found.best, found.rungs) == ("a", {"a": 3, "b": 2, "c": 1, "d": 1})


def test_what_fails_goes_no_further_and_says_why():
    table = {"a": (None,), "b": (0.6, 0.6, 0.6, 0.6), "c": (0.9, None), "d": (0.1,)}
    found, _ = halved(table)
    assert found.best == "b"
    assert found.errors == {"a": "a has no seed 0", "c": "c has no seed 1"}
    assert found.accuracies["c"] == [0.9]
    full, _ = halved({"m": (None,), "b": (0.6,) * 4, "c": (0.5,) * 2, "d": (0.1,)})
    assert (full.best, full.errors) == ("b", {"m": "MemoryError: m has no seed 0"})
    nothing, _ = halved({"a": (None,)}, (Rung(candidates=1, seeds=4),))
    assert (nothing.best, nothing.accuracies) == (None, {"a": []})


def test_better_is_beyond_noise_seed_by_seed():
    draws = (0.70, 0.60, 0.80, 0.50)
    # differences 0.10, 0.12, 0.08, 0.10: mean 0.10, s² = 0.0008 / 3, s / √4 = 0.0081650,
    # t(0.975, 3) = 3.1824: half 0.025984
    gain = to_random((0.80, 0.72, 0.88, 0.60), draws)
    assert (gain.mean, gain.n) == (pytest.approx(0.10), 4)
    assert gain.low == pytest.approx(0.10 - 0.025984, abs=1e-6)
    assert is_better(gain)
    # the same mean from 0.30, 0.00, 0.10, 0.00: s² = 0.06 / 3, half 3.1824 · 0.070711 = 0.2250
    unsure = to_random((1.00, 0.60, 0.90, 0.50), draws)
    assert (unsure.mean, unsure.low) == (pytest.approx(0.10), pytest.approx(-0.1250, abs=1e-4))
    assert not is_better(unsure)
    assert not is_better(to_random((0.60, 0.48, 0.72, 0.40), draws))  # surely worse
    assert to_random((0.8, 0.7), draws).n == 2  # over the seeds that both have


@pytest.mark.parametrize("accuracies", [(), (0.9,)])
def test_no_seed_and_one_tell_nothing(accuracies):
    assert not is_better(to_random(accuracies, (0.1, 0.1)))


def test_equal_ones_are_not_better():
    assert not is_better(to_random((0.5, 0.6), (0.5, 0.6)))


def test_seeds_that_the_best_was_chosen_on_say_nothing_of_its_gain():
    assert chosen_on(RUNGS) == 2
    assert chosen_on((Rung(candidates=3, seeds=4), Rung(candidates=1, seeds=9))) == 4
    assert chosen_on((Rung(candidates=1, seeds=6),)) == 0  # there was no choice
    gain = to_random((0.99, 0.99, 0.6, 0.7), (0.1, 0.1, 0.5, 0.6), after=2)
    assert (gain.mean, gain.n) == (pytest.approx(0.1), 2)


@pytest.mark.parametrize("count", [5, 8])
def test_how_often_noise_is_taken_for_a_gain(count):
    """Of candidates like random, with independent noise, 2.5 of 100 are taken (docs/choose.md), and
    of a gain of three times the noise nearly all."""
    noise, kept, times = random.Random(0), Counter(), 2000
    rungs = rungs_for(count, 2)
    for gain in (0.0, 3.0):
        for _ in range(times):
            draws = [noise.gauss(0, 1) for _ in range(rungs[-1].seeds)]

            def measure(name, seed, lead=gain):
                return noise.gauss(lead if name == "0" else 0, 1)

            found = halve(measure, [str(n) for n in range(count)], rungs)
            best = found.accuracies[found.best]
            kept[gain] += is_better(to_random(best, draws, chosen_on(rungs)))
    # 25 of 1000 by the interval's own level, give or take 3 standard errors
    assert abs(kept[0.0] / times - 0.025) < 3 * (0.025 * 0.975 / times) ** 0.5
    assert kept[3.0] / times > 0.97


def test_the_interval_is_for_other_held_out_samples_too():
    gain = to_random((0.80, 0.72, 0.88, 0.60), (0.70, 0.60, 0.80, 0.50))  # half 0.025984, as above
    # gains on five samples: mean 0.1, s² = (0.16 + 0.01 + 0.01 + 0.01 + 0.01) / 4, s / √5 = 0.1,
    # t(0.975, 4) = 2.77645; of two candidates t(0.9875, 4) = 3.49541
    rows = (0.5, 0.0, 0.0, 0.0, 0.0)
    for looks, quantile in ((1, 2.77645), (2, 3.49541)):
        wider = with_rows(gain, rows, looks)
        assert (wider.mean, wider.n) == (gain.mean, gain.n)
        assert wider.half == pytest.approx((0.025984**2 + (0.1 * quantile) ** 2) ** 0.5, abs=1e-5)
    assert with_rows(gain, (), 2) == gain  # they are not known


def test_how_often_the_chance_of_the_held_out_samples_is_taken_for_a_gain():
    """Each of eight candidates is right on other samples than random, and on as many: on 60 of
    them, the same for choice and judgement, one is often ahead under every seed."""
    noise, candidates, rows, times = np.random.default_rng(0), 8, 60, 1500
    kept, without = 0, 0
    for _ in range(times):
        of_rows = noise.normal(0, 0.4, (candidates, rows))
        best = of_rows[of_rows.mean(1).argmax()]
        seeds = best + noise.normal(0, 0.2, (4, rows))
        gain = to_random(seeds.mean(1).tolist(), [0.0] * 4)
        without += is_better(gain)
        kept += is_better(with_rows(gain, seeds.mean(0).tolist(), candidates))
    assert without / times > 0.5
    assert kept / times < 0.025


def test_all_of_a_rung_is_prepared_before_it_is_measured():
    table, told = {"a": (0.5,), "b": (0.8, 0.6), "c": (0.7, 0.9, 0.1, 0.2), "d": (0.6,)}, []

    def measure(name, seed):
        told.append((name, seed))
        return table[name][seed]

    halve(measure, list(table), RUNGS, lambda pairs: told.append(list(pairs)))
    first = [(name, 0) for name in "abcd"]
    second, third = [("b", 1), ("c", 1)], [("c", 2), ("c", 3)]
    assert told == [first, *first, second, *second, third, *third]
