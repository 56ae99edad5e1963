"""Time left: against hand-worked figures, and against runs whose true length is known."""

import random

import pytest

from condense.engine.runtime.pace import Left, Pace, Whole


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (Left(0.4), "0:00 left"),
        (Left(83.2), "1:23 left"),
        (Left(3600), "1:00:00 left"),
        (Left(59.6), "1:00 left"),
        (Left(3725, at_least=True), "at least 1:02:05 left"),
    ],
)
def test_what_is_left_in_words(left, text):
    assert str(left) == text


def test_a_pace_is_the_mean_of_the_units_and_runs_down_between_them():
    pace = Pace(5, 0.0)
    assert pace.left(1.0) is None
    pace.advance(2, 40.0)
    assert pace.left(40.0) == 60.0
    assert pace.left(50.0) == 50.0
    assert pace.left(500.0) == 0.0


def test_what_starting_takes_is_left_out_after_a_few_units():
    pace = Pace(100, 0.0)
    pace.advance(1, 24.0)  # 24 s of compiling, then a second each
    for now in range(25, 34):
        pace.advance(1, float(now))
    assert pace.left(33.0) == 90.0


def test_a_task_of_unknown_length_says_nothing_at_once():
    pace = Pace(600, 0.0)
    pace.advance(1, 0.9)
    assert pace.left(0.9) is None
    pace.advance(100, 2.0)
    assert pace.left(2.0) == pytest.approx(1.1 / 100 * 499)


def test_an_estimate_counts_less_and_less():
    pace = Pace(100, 0.0)
    assert pace.left(1.0, expected=10.0) == 9.0
    pace.advance(5, 1.0)  # at this pace 19 more; a fifth of the way to being trusted
    assert pace.left(1.0, expected=10.0) == pytest.approx(0.2 * 19 + 0.8 * 9)
    pace.advance(20, 5.0)
    assert pace.left(5.0, expected=10.0) == pytest.approx(15.0)


def test_units_without_a_task_run_down_by_their_estimates():
    whole = Whole([[10.0], [], [20.0, 30.0]], 0.0)
    assert whole.left(0.0) == Left(60.0)
    assert whole.left(4.0) == Left(56.0)
    assert whole.share(0.0) == 0.0
    assert whole.share(15.0) == pytest.approx(15 / (15 + 50))
    assert whole.left(15.0) == Left(50.0)  # the first takes longer than was thought


def test_what_is_unknown_comes_on_top():
    whole = Whole([[5.0], [None], [7.0]], 0.0)
    assert whole.left(0.0) == Left(12.0, at_least=True)
    assert whole.share(3.0) == 0.0
    whole.advance(1, 5.0)
    assert whole.left(5.0).at_least
    pace = Pace(10, 5.0)
    whole.begin(pace)
    pace.advance(5, 15.0)  # its pace makes it known
    assert whole.left(15.0) == Left(17.0)
    assert Whole([[None], [None]], 0.0).left(0.0) is None


def test_a_machine_that_is_slower_corrects_what_comes_later():
    whole = Whole([[10.0], [10.0], [10.0]], 0.0)
    whole.advance(1, 30.0)  # doubt: a tenth of 30 s, and one second
    assert whole.left(30.0).seconds == pytest.approx(20 * (30 + 4) / (10 + 4))
    stored = Whole([[10.0], [10.0], [10.0]], 0.0)
    stored.advance(1, 0.1)  # found in the store after all: says nothing of the pace
    assert stored.left(0.1) == Left(20.0)


def test_units_that_are_not_needed_are_dropped():
    whole = Whole([[10.0]] * 5, 0.0)
    whole.advance(3, 10.0)
    assert whole.done == 3
    assert whole.left(10.0) == Left(20.0)
    whole.advance(2, 20.0)
    assert whole.left(20.0) == Left(0.0)
    whole.advance(1, 30.0)  # more than were thought of
    assert whole.left(31.0) == Left(0.0)


def test_several_tasks_in_a_part_are_not_taken_for_the_whole_of_it():
    whole = Whole([[50.0]], 0.0)
    now = 0.0
    for done in range(5):  # five of ten seconds
        pace = Pace(10, now)
        whole.begin(pace)
        pace.advance(5, now + 5)
        left = whole.left(now + 5).seconds
        assert left == pytest.approx(50 - 10 * done - 5, rel=0.15)
        pace.advance(5, now + 10)
        whole.end()
        now += 10


def replayed(true, thought, rng):
    """(elapsed, left, true left) twice a second of units of one task each, with uneven steps."""
    whole, now, total, seen = Whole([[t] for t in thought], 0.0), 0.0, sum(true), []
    for seconds in true:
        pace = Pace(200, now)
        whole.begin(pace)
        steps = [rng.uniform(0.7, 1.3) for _ in range(200)]
        for step in steps:
            now += step * seconds / sum(steps)
            pace.advance(1, now)
            if now - (seen[-1][0] if seen else 0) > 0.5:
                seen.append((now, whole.left(now).seconds, total - now))
        whole.end()
        whole.advance(1, now)
    return seen


@pytest.mark.parametrize("off", [0.5, 1.0, 2.0])
def test_from_the_first_figure_on_it_is_no_worse_than_the_estimates_were(off):
    rng = random.Random(7)
    for _ in range(20):
        true = [rng.uniform(3, 60) for _ in range(6)]
        thought = [t * off * rng.uniform(0.8, 1.25) for t in true]
        seen = replayed(true, thought, rng)
        wrong = max(off, 1 / off) * 1.3
        long = [(left, real) for _, left, real in seen if real > 5]
        assert all(1 / wrong < left / real < wrong for left, real in long)
        # half-way through, estimates that were wrong by a factor of two are corrected
        later = [(left, real) for now, left, real in seen if now > sum(true) / 2 and real > 5]
        assert all(abs(left / real - 1) < 0.5 for left, real in later)
