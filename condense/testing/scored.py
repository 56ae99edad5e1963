"""What a component that may ask for scores promises, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable

from condense.data import LabeledData
from condense.errors import CondenseError, describe
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


def require_word_of_missing_scores(subject: Subject, work: Callable[[], object]) -> None:
    """``work``, which is given no scores, succeeds, or says that it needs them."""
    try:
        work()
    except CondenseError as error:
        needs = subject.cls.needs_scores
        subject.require(needs, f"declares needs_scores = False, yet says '{error}' without")
    except Exception as error:
        raise subject.failed(
            f"raised {describe(error)} without scores, expected an OptionError that asks for them"
        ) from error
