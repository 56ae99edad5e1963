"""What a component that may ask for scores promises, whatever its kind."""

from __future__ import annotations

from condense.data import LabeledData
from condense.results import Scores
from condense.testing.subject import Subject
from condense.testing.toys import distinct_scores


def scores_for(subject: Subject, data: LabeledData) -> Scores | None:
    """Scores of ``data``, made up, where the component needs some."""
    return distinct_scores(data) if subject.cls.needs_scores else None


def check_needs_scores_is_declared(subject: Subject) -> None:
    """A class attribute tells the engine whether to train a scorer at all."""
    value = subject.cls.needs_scores
    subject.require(
        isinstance(value, bool), f"has needs_scores = {value!r}, expected True or False"
    )
