"""Copies among samples, counted by hand."""

import numpy as np
import pytest

from condense import labeled_data
from condense.engine.ingest.copies import Copies, copies_in
from condense.report.diagnosis.checks import check_copies

VALUES = np.array([[1, 2], [3, 4], [1, 2], [5, 6], [1, 2], [3, 4.0]])
LABELS = [0, 1, 0, 1, 1, 1]


def test_copies_are_counted_with_those_under_another_label():
    data = labeled_data(VALUES, LABELS, test=([[3, 4], [9, 9], [1, 2]], [1, 0, 0]))
    # samples 2 and 4 are the first again, 4 under another label; sample 5 is the second again
    assert copies_in(data) == Copies(6, 3, 1, ("0", "4"), 3, 2)


def test_images_and_names():
    images = np.zeros((4, 2, 2, 3), np.uint8)
    images[1, 0, 0, 2] = 1
    images[2] = 7
    data = labeled_data(images, [0, 1, 0, 1], items=(["a", "b", "c", "d"], None))
    assert copies_in(data) == Copies(4, 1, 1, ("a", "d"))


def test_what_is_said_of_them():
    assert check_copies(Copies(100, 0, 0, (), 50, 0)) is None
    few = check_copies(Copies(100, 3, 1, ("x#0", "x#7"), 50, 0))
    assert few.severity == "look"
    assert few.code == "copies"
    told = "3 of 100 training samples are exact copies of another, 1 under another label"
    assert few.seen.startswith(told)
    assert "x#0 and x#7" in few.message


@pytest.mark.parametrize(("tested", "severity"), [(1, "look"), (2, "problem")])
def test_test_samples_that_are_trained_on_are_a_problem(tested, severity):
    found = check_copies(Copies(1000, 0, 0, (), 100, tested))
    assert found.severity == severity
    assert f"{tested} of 100 test samples are copies of training samples" in found.message
