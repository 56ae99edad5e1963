"""Evaluation: an arm under each of its augmentations, every repeat stored by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator as Steps, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from condense.capabilities import (
    EstimatesPreparation,
    EvaluatesRepeats,
    NeedsTraining,
    PreparesForSize,
)
from condense.engine.checked import run_evaluator, run_repeats
from condense.engine.documents import Document, Share
from condense.engine.runtime.expected import Expected, check_tensors
from condense.engine.runtime.store import Payload
from condense.engine.stages.stage import Bound, Key, Piece, Stage, StageInPieces
from condense.engine.training.concurrent import MissingFrom
from condense.interfaces import Cost, Evaluation, Evaluator, TrainingSet
from condense.options import paths_among
from condense.reading import PlainTable
from condense.recipe import Resolved, replaced
from condense.results import Arm, StoreEntry

Found = Steps[tuple[int, Evaluation], None, None]  # numbers of repeats, and what they gave


@dataclass(frozen=True, eq=False)
class EvaluationPlan:
    """An arm with the augmentations it is tried under; the better one counts.

    Attributes:
        stage: name its time is recorded under.
        arm: what is trained on.
        content: gives what its training sets depend on, for the cache.
        augmentations: one or more.
    """

    stage: str
    arm: Arm
    content: Callable[[], Mapping[str, Any]]
    augmentations: Sequence[Resolved]


class TeachingStage(StageInPieces[None]):
    """What the evaluator works out once for all arms, such as a teacher, from the data alone."""

    name = "teacher"
    component = "evaluator"

    def __init__(self, bound: Bound, size: int | None = None) -> None:
        """``size`` is that of the condensed set, where it is not of the recipe's budget."""
        super().__init__(bound)
        self._size = size

    @property
    def samples(self) -> int:
        """Size of the condensed set."""
        return super().samples if self._size is None else self._size

    @property
    def made(self) -> Any:
        """The evaluator, for sets of this size."""
        evaluator = super().made
        return (
            evaluator.for_size(self.samples)
            if isinstance(evaluator, PreparesForSize)
            else evaluator
        )

    @property
    def needed(self) -> bool:
        """Where there is something of the kind, and arms to evaluate."""
        return self.bound.data.test is not None and bool(self._entries)

    @property
    def stored(self) -> bool:
        """Whether every piece is."""
        return all(self.bound.store.has(*entry) for entry in self._entries)

    def likeness(self) -> Key:
        """The pieces themselves, which no run's seed need be part of."""
        return {"stage": self.name, "pieces": [[kind, dict(key)] for kind, key in self._entries]}

    @cached_property
    def _entries(self) -> Sequence[StoreEntry]:
        return self.entries()

    @cached_property
    def result(self) -> None:
        """Nothing: it is in the store then, where the evaluator finds it."""
        if not self._entries:
            return
        with self.bound.timed(self.name):
            for number in range(len(self._entries)):
                self.run_piece(number)

    def cost(self) -> Cost | None:
        """The evaluator's own estimate of what is not stored yet; None if it makes none."""
        evaluator = self.made
        known = isinstance(evaluator, EstimatesPreparation)
        return evaluator.prepare_cost(*self._given) if known else None


class EvaluationStage(Stage[Evaluation]):
    """What ``plan`` comes to: the evaluation with the highest mean over its augmentations.

    ``protocol["tried"]`` of the result holds all means.
    """

    component = "evaluator"
    kind = "evaluations"

    def __init__(
        self, bound: Bound, plan: EvaluationPlan, needs: Sequence[Stage[Any]] = ()
    ) -> None:
        super().__init__(bound, [*needs, TeachingStage(bound, plan.arm.size)])
        self.name = plan.stage
        self.plan = plan

    @property
    def needed(self) -> bool:
        """Only with a test split."""
        return self.bound.data.test is not None

    @property
    def stored(self) -> bool:
        """Whether every piece is."""
        here = self.bound.store
        before = all(stage.stored for stage in self.needs)
        return before and all(here.has(self.kind, key) for key in self.keys())

    @property
    def tasks(self) -> int:
        """One an augmentation."""
        return len(self.plan.augmentations)

    @property
    def samples(self) -> int:
        """Size of the arm."""
        return self.plan.arm.size

    @property
    def rng(self) -> torch.Generator:
        """The same for every arm."""
        return self.bound.rng(self.component)

    @property
    def most_pieces(self) -> int:
        """One a repeat and augmentation, where repeats are stored singly."""
        evaluator = self._evaluator()
        each = evaluator.repeats if isinstance(evaluator, EvaluatesRepeats) else 1
        return each * len(self.plan.augmentations)

    def likeness(self) -> Key:
        """Of the arm's size and the augmentations, too."""
        names = [augmentation.identity for augmentation in self.plan.augmentations]
        return super().likeness() | {"size": self.samples, "augmentations": names}

    def cost(self) -> Cost | None:
        """As often as there are augmentations."""
        one = super().cost()
        return one and one.times(self.tasks)

    def keys(self) -> list[Key]:
        """Of all that is stored: by augmentation, and by repeat where those are stored singly."""
        return [key for augmentation in self.plan.augmentations for key in self._keys(augmentation)]

    def pieces(self) -> list[Piece]:
        """One a repeat where those are stored singly, else one an augmentation."""
        return Piece.all_of(self.name, [(self.kind, key) for key in self.keys()])

    def run_piece(self, number: int) -> None:
        """One repeat under one augmentation, where repeats are stored singly."""
        each = len(self.keys()) // len(self.plan.augmentations)
        self._under(self.plan.augmentations[number // each], [number % each])

    def _keys(self, augmentation: Resolved) -> list[Key]:
        """Everything the accuracy under ``augmentation`` depends on, or that of each repeat."""
        bound, plan, evaluator = self.bound, self.plan, self._evaluator()
        key = bound.component_key("evaluator") | {
            "content": dict(plan.content()),
            "size": plan.arm.size,
            "test": bound.test_split().fingerprint,
            "seed": bound.forked_seed("evaluator"),
            "augmentation": augmentation.identity,
        }
        if self._needs_training:
            key["training"] = bound.data.fingerprint
        if not isinstance(evaluator, EvaluatesRepeats):
            return [key]
        key["options"] = {k: v for k, v in key["options"].items() if k != "repeats"}
        return [key | {"repeat": repeat} for repeat in range(evaluator.repeats)]

    @cached_property
    def result(self) -> Evaluation:
        """The better of the augmentations."""
        bound = self.bound
        for stage in self.needs:
            _ = stage.result
        tried = []
        for augmentation in self.plan.augmentations:
            with bound.timed(self.name):
                tried.append(self._under(augmentation))
        best = max(tried, key=lambda e: e.mean)
        means = {str(e.protocol["augmentation"]): e.mean for e in tried}
        protocol = {**best.protocol, "tried": means}
        for path in paths_among(bound.recipe["evaluator"].options).values():
            protocol = replaced(protocol, path, Path(path).name)  # nothing that is handed on has it
        labels, classes = bound.test_split().labels, len(bound.data.classes)
        sizes = torch.bincount(labels, minlength=classes).tolist()
        return replace(best, protocol=protocol, class_sizes=tuple(sizes))

    def _under(self, augmentation: Resolved, wanted: Sequence[int] | None = None) -> Evaluation:
        """The evaluation under ``augmentation``, of its ``wanted`` repeats or of all."""
        bound, evaluator, keys = self.bound, self._evaluator(), self._keys(augmentation)
        whole = TrainingSet.of(bound.data) if self._needs_training else None
        arm = replace(self.plan.arm, training=whole)
        given = (arm, TrainingSet.of(bound.test_split()), augmentation.create(), bound.context)

        def start(repeats: Collection[int]) -> Found:
            assert isinstance(evaluator, EvaluatesRepeats)
            return run_repeats(evaluator, *given, self.rng, repeats)

        if not isinstance(evaluator, EvaluatesRepeats):
            return self._stored(keys[0], lambda: run_evaluator(evaluator, *given, self.rng))
        missing = wanted or MissingFrom(bound.store, self.kind, keys)
        with closing(_Repeats(start, missing)) as repeats:
            parts = [
                self._stored(keys[repeat], partial(repeats.take, repeat))
                for repeat in wanted or range(len(keys))
            ]
        return Evaluation.of_repeats(parts)

    def _stored(self, key: Key, evaluate: Callable[[], Evaluation]) -> Evaluation:
        def check(payload: Payload) -> None:
            right = Expected(torch.float32, (len(self.bound.test_split()),), low=0, high=1)
            check_tensors(payload.tensors, {}, {"right": right})
            _Said.model_validate_json(json.dumps(payload.values))

        packed = self.bound.store.fetch(self.kind, key, lambda: _packed(evaluate()), check)[0]
        return _unpacked(packed)

    def _evaluator(self) -> Evaluator:
        evaluator: Evaluator = self.bound.recipe["evaluator"].create()
        return evaluator

    @property
    def _needs_training(self) -> bool:
        evaluator = self._evaluator()
        return isinstance(evaluator, NeedsTraining) and evaluator.needs_training


class _Said(Document):
    """Values of an entry."""

    values: tuple[Share, ...] = Field(min_length=1)
    per_class: tuple[Share, ...]
    protocol: PlainTable
    seconds: float = Field(ge=0)
    diverged: int = Field(0, ge=0)


class _Repeats:
    """Repeats, each done when it is asked for; those that follow may be trained beside it."""

    def __init__(
        self,
        start: Callable[[Collection[int]], Found],
        missing: Collection[int],
    ) -> None:
        self._start = start
        self._under_way = start(missing)
        self._done: dict[int, Evaluation] = {}

    def take(self, repeat: int) -> Evaluation:
        """Repeat number ``repeat``."""
        while repeat not in self._done:
            # where nothing is left it was not thought to be missing: it was stored, but damaged
            number, found = next(self._under_way, None) or next(self._start([repeat]))
            self._done[number] = found
        return self._done.pop(repeat)

    def close(self) -> None:
        self._under_way.close()


def _packed(evaluation: Evaluation) -> Payload:
    said = {name: getattr(evaluation, name) for name in _Said.model_fields}
    return Payload({} if evaluation.right is None else {"right": evaluation.right}, said)


def _unpacked(payload: Payload) -> Evaluation:
    v = payload.values
    right = payload.tensors.get("right")
    each = tuple(v["per_class"])
    return Evaluation(
        tuple(v["values"]), v["protocol"], v["seconds"], each, right, v.get("diverged", 0)
    )
