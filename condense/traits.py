"""What a component class says of itself beside what it does: one frozen dataclass a kind.

A class declares its own as the class attribute ``traits``; one without has the defaults::

    class Euclid:
        name = "euclid"
        version = "1"
        traits = MatcherTraits(relative_loss=True)

``advice`` is what a user can do about a finding of ``condense report`` or a note of a run, by the
finding's code, in option keys: the component alone knows which of its options helps. A code that
it has no text for is reported without advice of this component. The codes are :data:`CODES`, and
``OPTION-lowest`` and ``OPTION-highest`` for an option at an end of the range that the data allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from typing_extensions import Protocol, runtime_checkable

CODES = (
    "nothing-distilled",  # the update policy leaves no sample to distil
    "no-finite-loss",  # no step of the matcher has had a finite loss for long
    "samples-diverged",  # the matcher has moved samples far out of the range of pixels
    "labels-diverged",  # the update policy's labels have grown out of all sense
    "no-teachers",  # its labels are to start at teachers' that the matcher does not have
    # those of the diagnosis, which docs/report.md explains
    "worse-than-random",
    "not-told-from-random",
    "test-split-small",
    "network-diverged",
    "whole-at-chance",
    "class-never-right",
    "single-repeat",
    "loss-no-progress",
    "loss-rises",
    "loss-flat",
    "not-finite",
    "step-size-collapsed",
    "step-size-grew",
    "labels-foreign",
    "scores-unreliable",
    "scorer-at-chance",  # networks that scores, or targets, come from are no better than guessing
    "teachers-at-chance",
    "many-classes",
    "wide-scale",  # a few values set the scale of a feature
    "copies",  # samples are equal to others
    "near-copies",  # samples are nearly equal to others
    "best-at-end",
    "augmentation-mismatch",
    "baseline-augmentation",
    "protocols-differ",
    "coverage-falls",
)
OF_OPTIONS = ("lowest", "highest")  # after the name of an option


@dataclass(frozen=True)
class Traits:
    """Of every kind.

    Attributes:
        advice: text by code of a finding, for example ``{"samples-diverged": "lower
            matcher.image_lr"}``; part of a sentence, without a full stop.
    """

    advice: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class DatasetTraits(Traits):
    """Of a data set.

    Attributes:
        opens: bare paths, given for data, that are its argument: endings of files (``.npz``), or
            ``/`` for a folder.
    """

    opens: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkTraits(Traits):
    """Of a network."""


@dataclass(frozen=True)
class ScorerTraits(Traits):
    """Of a scorer.

    Attributes:
        difficulty: whether a high score means a hard sample; false for one whose values say
            nothing of difficulty, as those of a random one.
    """

    difficulty: bool = True


@dataclass(frozen=True)
class SelectorTraits(Traits):
    """Of a selector."""


@dataclass(frozen=True)
class UpdatePolicyTraits(Traits):
    """Of an update policy."""


@dataclass(frozen=True)
class MatcherTraits(Traits):
    """Of a matcher.

    Attributes:
        relative_loss: whether a loss of 1 means no progress at all, as where it is relative to
            the distance to be gone; ``condense report`` judges it then.
        learns_labels: whether its steps give a gradient of labels that are learned. Where not, a
            policy that learns them is refused before anything is prepared.
    """

    relative_loss: bool = False
    learns_labels: bool = True


@dataclass(frozen=True)
class ReselectorTraits(Traits):
    """Of a reselector."""


@dataclass(frozen=True)
class AugmentationTraits(Traits):
    """Of an augmentation.

    Attributes:
        by_role: whether it treats samples by their role. A set that nothing was matched for is
            then evaluated under the evaluator's baseline augmentations instead.
        on_distilled: name of the augmentation that distilled samples get, by which ``condense
            report`` compares matching with evaluation; "" for its own name, or not known where
            samples are treated by role.
    """

    by_role: bool = False
    on_distilled: str = ""


@dataclass(frozen=True)
class EvaluatorTraits(Traits):
    """Of an evaluator.

    Attributes:
        measure: the word for its figures.
    """

    measure: str = "accuracy"


@dataclass(frozen=True)
class ExecutorTraits(Traits):
    """Of an executor.

    Attributes:
        in_process: whether jobs would run in the process that hands them out; none are made then.
    """

    in_process: bool = False


@dataclass(frozen=True)
class TrackerTraits(Traits):
    """Of a tracker."""


@runtime_checkable
class HasTraits(Protocol):
    """A component class that declares its traits."""

    traits: ClassVar[Traits]


def advice_of(component: object, code: str) -> str:
    """``"; TEXT"`` with what a component, or its class, advises about ``code``; else ""."""
    text = component.traits.advice.get(code) if isinstance(component, HasTraits) else None
    return f"; {text}" if text else ""


T = TypeVar("T", bound=Traits)


def traits_of(component: Any, of: type[T]) -> T:
    """The traits that a component, or its class, declares; the defaults of ``of`` otherwise.

    Args:
        component: registered, so that its traits are those of its kind.
        of: the traits of that kind.
    """
    found = component.traits if isinstance(component, HasTraits) else of()
    assert isinstance(found, of)
    return found
