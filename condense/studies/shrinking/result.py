"""What a shrinking found: rows as they were measured, and the contents of ``shrink.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from condense.data import LabeledData
from condense.engine.documents import OWN, Document, FindingNote, Share, notes_of
from condense.interfaces import Evaluation
from condense.kinds import RANDOM, WHOLE
from condense.results import Budget, Finding
from condense.studies.shrinking.design import FOLDS, Shrinking
from condense.studies.shrinking.search import Found
from condense.studies.shrinking.sizes import SURE, Floats, chance, score, upper_ends
from condense.studies.validation import HeldOut


class CurvePoint(Document):
    """A method at a size."""

    method: str
    samples: int
    mean: Share = Field(description="of the metric on what each seed holds out, over the seeds")
    low: Share = Field(
        description="end of the interval for one more training, one-sided at level; of the whole, "
        "for the mean"
    )
    high: Share
    seconds: float | None = Field(
        description="that the set takes from nothing, its scores and experts included; null where "
        "that is not known, and in the file, which is free of the clock"
    )
    bytes: int = Field(description="that keeping the set takes")

    @staticmethod
    def of(
        method: str, samples: int, accuracies: Floats, made: Sequence[tuple[float | None, int]]
    ) -> CurvePoint:
        """Of the metric in every draw, the samples as they are first, and what each set took."""
        low, high = np.quantile(accuracies[1:], [1 - SURE, SURE])
        known = [seconds for seconds, _ in made if seconds is not None]
        return CurvePoint(
            method=method,
            samples=samples,
            mean=float(accuracies[0]),
            low=float(low),
            high=float(high),
            seconds=fmean(known) if len(known) == len(made) else None,
            bytes=round(fmean(size for _, size in made)),
        )


class Size(Document):
    """How small the training data can get."""

    samples: int = Field(description="kept out of the whole training split")
    fraction: float = Field(description="of every class, likewise; what the recipe has")
    estimate: float = Field(description="samples that just keep enough")
    low: float = Field(description="end of its interval, one-sided at level")
    high: float = Field(
        description="the other one, whichever method is picked by it; `samples` are at least these"
    )


class ToRandom(Document):
    """How many times as many samples a random subset takes that keeps as much."""

    times: float
    low: float = Field(description="end of its interval, one-sided at level")
    smaller: bool = Field(description="whether that lies above 1")


class Tested(Document):
    """The metric on the test split, 0–1, mean over the evaluator's networks."""

    condensed: Share
    random: Share = Field(description="a fresh random subset of the same size for each network")
    whole: Share
    kept: float = Field(description="condensed as a share of whole", ge=0)


class ShrinkDocument(Document):
    """``shrink.json`` and ``condense shrink --json``."""

    data: str
    keep: float
    metric: str
    method: str | None = Field(description="that the size is of; null where no size is enough")
    size: Size | None = Field(description="null where nothing up to max_fraction is enough")
    to_random: ToRandom | None = Field(description="null for random subsets themselves")
    whole: CurvePoint = Field(description="of all that a seed has left")
    target: Share = Field(
        description="that is to be reached: keep × the whole, with what the held-out samples would "
        "add to it"
    )
    test: Tested | None = Field(None, description="null without a size or a test split")
    curve: tuple[CurvePoint, ...]
    errors: dict[str, str] = Field(description="of methods, or sizes of one, that were left out")
    findings: tuple[FindingNote, ...] = Field((), description="signs that the size says nothing")
    level: float = Field(SURE, description="of every interval, one-sided")
    max_fraction: float
    samples: int = Field(description="of the whole training split")
    validation: HeldOut = Field(description="another part for each seed")
    seeds: tuple[int, ...]
    evaluator: dict[str, Any] = Field(description="of the answer; one network a seed before it")
    artefact: str | None = Field(None, description="the folder written; null in the file in it")

    @property
    def for_file(self) -> ShrinkDocument:
        """Without what depends on the clock or the place."""
        curve = tuple(point.model_copy(update={"seconds": None}) for point in self.curve)
        found = self.model_copy(update={"curve": curve, "artefact": None}).without_home()
        assert isinstance(found, ShrinkDocument)
        return found

    @property
    def verdict(self) -> str:
        """The answer in a sentence."""
        kept = f"{100 * self.keep:g} % of the whole's {self.metric}"
        if self.size is None:
            return (
                f"nothing up to {100 * self.max_fraction:g} % of the training split is sure to "
                f"keep {kept}; keep more of it, or ask for less"
            )
        size = self.size
        end = f"{size.high:.0f}"
        rounded = f", and the next size up in whole samples of every class is {size.samples}"
        return (
            f"{size.samples} samples ({100 * size.samples / self.samples:.3g} % of "
            f"{self.samples}), chosen by {self.method}, keep {kept}: about {size.estimate:.0f} "
            f"would do, {end} is the upper end of a one-sided {100 * self.level:g} % interval"
            f"{rounded if end != str(size.samples) else ''}"
        )

    @property
    def beside_random(self) -> str:
        """How much smaller that is than a random subset of equal accuracy, or that it is not."""
        if self.size is None:
            return ""
        if self.to_random is None:
            return "no method needs fewer samples than a random subset"
        times, low = self.to_random.times, self.to_random.low
        if self.to_random.smaller:
            return (
                f"a random subset of equal {self.metric} takes {times:.1f} times as many samples "
                f"(at least {low:.2f} times)"
            )
        return (
            f"not significantly smaller than a random subset: one of equal {self.metric} takes "
            f"{times:.2f} times as many samples, but that may be as little as {low:.2f}"
        )


def figure_of(found: Evaluation, counts: npt.NDArray[np.int64], metric: str) -> float:
    """A metric of an arm, 0–1: its mean over the networks, each by itself where that is known.

    Args:
        found: the arm's evaluation.
        counts: test samples of each class.
        metric: one of :data:`~condense.studies.shrinking.sizes.METRICS`.
    """
    if metric == "accuracy":
        return found.mean
    rates = np.array(found.each or [found.per_class])
    return float(score(rates.T, counts, metric).mean())


@dataclass(frozen=True, eq=False)
class Shrunk:
    """What a shrinking measured.

    Attributes:
        shrinking: what was to be done.
        data: the whole training split.
        fit: samples of it that a seed has left to be condensed.
        whole: measured of all of these.
        target: of the metric.
        rows: by method and size.
        found: sizes, in samples.
        fraction: of every class of ``data`` that is kept; None where nothing is enough.
        errors: of methods, or sizes of one, that were left out.
        arms: evaluations on the test split, the set's own called ``condensed``.
    """

    shrinking: Shrinking
    data: LabeledData
    fit: int
    whole: CurvePoint
    target: float
    rows: tuple[CurvePoint, ...]
    found: Found
    fraction: float | None
    errors: Mapping[str, str]
    arms: Mapping[str, Evaluation] | None = None

    @property
    def method(self) -> str:
        """That needs the fewest samples."""
        return self.found.methods[self.found.best]

    @property
    def document(self) -> ShrinkDocument:
        """``shrink.json``."""
        asked = self.shrinking
        return ShrinkDocument(
            data=self.data.name,
            keep=asked.keep,
            metric=asked.metric,
            method=None if self.fraction is None else self.method,
            size=self._size,
            to_random=self._to_random,
            whole=self.whole,
            target=self.target,
            test=self._tested,
            curve=self.rows,
            errors=dict(self.errors),
            findings=notes_of(self._findings),
            max_fraction=asked.max_fraction,
            samples=len(self.data),
            validation=HeldOut(share=1 / FOLDS, fit=self.fit, held_out=len(self.data) - self.fit),
            seeds=asked.measured.seeds,
            evaluator=asked.asked.base["evaluator"].portable,
        )

    @property
    def _findings(self) -> list[Finding]:
        metric, counts = self.shrinking.metric, np.bincount(self.data.labels.numpy())
        blind = chance(counts, metric)
        if self.target > blind:
            return []
        return [
            Finding(
                "target-at-chance",
                "target",
                "problem",
                f"the target, {100 * self.target:.2f} % {metric}, is not above what guessing "
                f"reaches ({100 * blind:.2f} %)",
                "any set is enough, and its size says nothing of the data",
                "more of `keep`, `metric=balanced-accuracy`, a longer training of the whole "
                "(`evaluator.epochs`)",
            )
        ]

    @property
    def _size(self) -> Size | None:
        if self.fraction is None:
            return None
        found, best = self.found, self.found.best
        return Size(
            samples=sum(Budget(fraction=self.fraction).counts(self.data)),
            fraction=self.fraction,
            estimate=float(found.estimates[best]),
            low=float(found.low[best]),
            high=float(found.high[best]),
        )

    @property
    def _to_random(self) -> ToRandom | None:
        found = self.found
        if self.fraction is None or self.method == RANDOM:
            return None
        random = found.methods.index(RANDOM)
        others = [place for place in range(len(found.methods)) if place != random]
        times = found.draws[:, [random]] / found.draws[:, others]
        low = float(-upper_ends(-times)[others.index(found.best)])
        estimate = float(found.estimates[random] / found.estimates[found.best])
        return ToRandom(times=estimate, low=low, smaller=low > 1)

    @property
    def _tested(self) -> Tested | None:
        if not self.arms or self.data.test is None:
            return None
        counts = np.bincount(self.data.test.labels.numpy(), minlength=len(self.data.test.classes))

        arms, metric = self.arms, self.shrinking.metric
        own, random, whole = (
            figure_of(arms[name], counts, metric) for name in (OWN, RANDOM, WHOLE)
        )
        kept = own / whole if whole else 0.0
        return Tested(condensed=own, random=random, whole=whole, kept=kept)
