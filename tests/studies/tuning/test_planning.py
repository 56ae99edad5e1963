"""Evaluations as units of the whole: there may be fewer than were thought of, or more."""

import pytest

from condense.studies.tuning.planning import Count


class Units:
    def __init__(self):
        self.done, self.at = 0, []

    def advance(self, n=1):
        self.done += n


@pytest.mark.parametrize(
    ("short", "full", "at"),
    [
        (3, 2, [0, 1, 2, 3, 4]),  # as was thought
        (1, 2, [0, 3, 4]),  # fewer: what comes next begins where it was to begin
        (5, 2, [0, 1, 2, 2, 2, 3, 4]),  # more are the last one of their phase
        (3, 1, [0, 1, 2, 3]),
        (3, 4, [0, 1, 2, 3, 4, 4, 4]),
    ],
)
def test_units_begin_where_they_were_thought_to(short, full, at):
    task, begun = Units(), []
    count = Count(task, 5)
    first = count.phase(lambda values, number: begun.append(task.done) or 0.5, 3)
    second = count.phase(lambda values, number: begun.append(task.done) or 0.5, 2)
    for number in range(short):
        assert first((0.1,), number) == 0.5
    for number in range(full):
        second((0.1,), number)
    count.end()
    assert begun == at
    assert task.done == 5


def test_a_recipe_that_fails_leaves_no_units():
    task = Units()
    Count(task, 5).end()
    assert task.done == 5
