"""What an evaluation says of its classes, by hand."""

from condense.results import Evaluation


def test_classes_count_the_same_and_those_without_test_samples_not_at_all():
    found = Evaluation((0.9,), per_class=(0.5, 0.0, 1.0), class_sizes=(30, 0, 10))
    assert (found.balanced, found.worst_class, found.is_uneven) == (0.75, 0.5, True)
    assert not Evaluation((0.9,), per_class=(0.5, 1.0), class_sizes=(12, 10)).is_uneven
    silent = Evaluation((0.9,))
    assert (silent.balanced, silent.worst_class, silent.is_uneven) == (None, None, False)
