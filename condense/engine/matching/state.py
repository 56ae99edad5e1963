"""Where a matching stands, and its checkpoint: a run that goes on agrees with a whole one."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from torch import Generator, Tensor

from condense.capabilities import CarriesState
from condense.engine.matching.own_rates import OwnRates
from condense.engine.matching.soft_labels import has_soft_label
from condense.engine.runtime.expected import Expected, check_tensors, is_finite
from condense.engine.runtime.files import discard, read_sealed, write_sealed
from condense.interfaces import LabelPlan, MatchPlan, Role, SyntheticSet
from condense.reading import in_one_line

SNAPSHOT = "snapshot-"
CARRIED = "carried-"  # of the matcher
GOOD = "good-"  # of the state that a run which diverges goes back to
MAX_RETRIES = 6
LOWER = 0.25  # times the rates at every retry


def named_snapshots(snapshots: Mapping[int, Tensor]) -> dict[str, Tensor]:
    """Distilled rows by iteration, under names that :func:`snapshots_among` finds again."""
    return {f"{SNAPSHOT}{iteration}": rows for iteration, rows in snapshots.items()}


def snapshots_among(tensors: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """The snapshots among named ``tensors``, by iteration and in order."""
    return dict(sorted((int(n), rows) for n, rows in named_by(SNAPSHOT, tensors).items()))


def carried_by(matcher: object) -> dict[str, Tensor]:
    """What ``matcher`` carries from step to step, on the CPU; {} for most."""
    found = matcher.carried() if isinstance(matcher, CarriesState) else {}
    return {name: tensor.detach().cpu() for name, tensor in found.items()}


def hand_back(matcher: object, carried: Mapping[str, Tensor]) -> None:
    """Let ``matcher`` go on from ``carried``."""
    if isinstance(matcher, CarriesState):
        matcher.carry(carried)


class CheckpointHead(BaseModel):
    """First line of a checkpoint, as JSON; the tensors follow.

    Attributes:
        key: of the matching, as sorted JSON.
        iteration: iterations done.
        retries: how often it has gone back to a good state.
        good: iterations done in that state; None where there is none yet.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    key: str
    iteration: int
    retries: int = Field(0, ge=0, le=MAX_RETRIES)
    good: int | None = None


def write_checkpoint(path: Path, head: CheckpointHead, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint, all or nothing, with a checksum over all of it."""
    blob = safetensors.torch.save({name: t.contiguous() for name, t in tensors.items()})
    write_sealed(path, head.model_dump_json().encode() + b"\n" + blob)


def read_checkpoint(path: Path) -> tuple[CheckpointHead, dict[str, Tensor]]:
    """What :func:`write_checkpoint` was given.

    Raises:
        OSError, ValueError, SafetensorError: if it cannot be read or is not as it was written.
    """
    head, _, blob = read_sealed(path).partition(b"\n")
    return CheckpointHead.model_validate_json(head), safetensors.torch.load(blob)


def named_by(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of ``tensors`` whose names begin with ``prefix``, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _must_be_finite(name: str, before: Tensor) -> bool:
    """Of a tensor of a checkpoint, which was ``before`` at the start: losses need not be, nor what
    a matcher carries, such as a network that has diverged."""
    return name != "loss" and not name.startswith(CARRIED) and is_finite(before)


@dataclass(eq=False)
class LabelState:
    """What of learned labels moves, and how.

    Attributes:
        plan: their rates.
        rows: int64, samples whose label logits move.
        momentum: like these rows of ``SyntheticSet.label_logits``.
    """

    plan: LabelPlan
    rows: Tensor
    momentum: Tensor

    @staticmethod
    def start(synthetic: SyntheticSet, plan: LabelPlan | None) -> LabelState | None:
        """Before the first iteration; None where no label moves."""
        logits = synthetic.label_logits
        if plan is None or plan.lr == 0 or logits is None:
            return None
        rows = torch.nonzero(has_soft_label(plan, synthetic.role)).flatten()
        return LabelState(plan, rows, torch.zeros_like(logits[rows])) if len(rows) else None


@dataclass(eq=False)
class MatchState:
    """Everything a later iteration depends on; :meth:`save` and :meth:`load` keep it exactly.

    Attributes:
        synthetic: updated in place.
        image_momentum: like the distilled rows of ``synthetic.inputs``.
        step_momentum: scalar tensor.
        loss, step_size: float32 [iterations], filled up to ``iteration``; of length 0 where nothing
            can move, as no iteration is needed then.
        iteration: iterations done.
        snapshots: distilled rows after the iterations of ``plan.snapshots`` so far, on the CPU.
        average: running average of the distilled rows where the plan asks for one, else None.
        labels: those that move; None where none do.
        own_rates: where the plan leaves a rate to the engine, else None.
        matcher: that may carry something from step to step.
        retries: how often the run has diverged and gone back to :attr:`good`.
        good: the last state that is known to be sound: its iteration and :meth:`tensors`.
    """

    synthetic: SyntheticSet
    rows: Tensor
    image_momentum: Tensor
    step_momentum: Tensor
    loss: Tensor
    step_size: Tensor
    iteration: int = 0
    snapshots: dict[int, Tensor] = field(default_factory=dict)
    average: Tensor | None = None
    labels: LabelState | None = None
    own_rates: OwnRates | None = None
    matcher: object = None
    retries: int = 0
    good: tuple[int, dict[str, Tensor]] | None = None

    @staticmethod
    def start(
        synthetic: SyntheticSet,
        plan: MatchPlan,
        labels: LabelPlan | None = None,
        matcher: object = None,
    ) -> MatchState:
        """The state before the first iteration."""
        rows = torch.nonzero(synthetic.role == Role.DISTILLED).flatten()
        device = synthetic.inputs.device
        moving = LabelState.start(synthetic, labels)
        iterations = plan.iterations if len(rows) or moving is not None else 0
        trace = torch.full((iterations,), math.nan, device=device)
        return MatchState(
            synthetic,
            rows,
            torch.zeros_like(synthetic.inputs[rows]),
            torch.zeros((), device=device),
            trace,
            trace.clone(),
            average=synthetic.inputs[rows] if plan.image_ema else None,
            labels=moving,
            own_rates=OwnRates.begin(plan, synthetic.inputs, rows, trace),
            matcher=matcher,
        )

    @property
    def iterations(self) -> int:
        """How many there are to be."""
        return len(self.loss)

    @property
    def caution(self) -> float:
        """What all rates are multiplied with: less after every retry."""
        return LOWER**self.retries

    def result(self) -> Tensor:
        """A copy of the distilled rows as they are handed on: their average, if there is one."""
        average = self.average
        return self.synthetic.inputs[self.rows] if average is None else average.clone()

    def finish(self) -> None:
        """Put the average in the place of the distilled rows, if there is one.

        Only at the end: checkpoints hold the samples themselves.
        """
        if self.average is not None:
            self.synthetic.inputs.index_copy_(0, self.rows, self.average)

    def tensors(self, rng: Generator) -> dict[str, Tensor]:
        """What changes but snapshots, on the CPU; frozen rows are left out, they never do.

        Args:
            rng: what the next step draws from.
        """
        return {
            "inputs": self.synthetic.inputs[self.rows].cpu(),
            "rng": rng.get_state().cpu(),
            **{name: tensor.cpu() for name, tensor in self._in_place().items()},
            **{CARRIED + name: tensor for name, tensor in carried_by(self.matcher).items()},
        }

    def _in_place(self) -> dict[str, Tensor]:
        """The tensors themselves that iterations write to, by their names in a checkpoint."""
        found = {
            "synthetic_step_size": self.synthetic.step_size,
            "image_momentum": self.image_momentum,
            "step_momentum": self.step_momentum,
            "loss": self.loss,
            "step_size": self.step_size,
        }
        if self.average is not None:
            found["image_average"] = self.average
        if self.own_rates is not None:
            found |= self.own_rates.tensors()
        if self.synthetic.label_logits is not None and self.labels is not None:
            found["label_logits"] = self.synthetic.label_logits
            found["label_momentum"] = self.labels.momentum
        return found

    def copy(self, rng: Generator) -> tuple[int, dict[str, Tensor]]:
        """What :attr:`good` is to be if this state turns out to be sound."""
        now = self.tensors(rng).items()
        return self.iteration, {name: tensor.clone() for name, tensor in now}

    def go_back(self, rng: Generator) -> bool:
        """To the last good state, with lower rates.

        Returns:
            false, and nothing is changed, after :data:`MAX_RETRIES`, and where no loss was finite
            since, for which no rate is to blame.
        """
        if self.good is None or self.retries == MAX_RETRIES:
            return False
        iteration, tensors = self.good
        if not bool(torch.isfinite(self.loss[iteration : self.iteration]).any()):
            return False
        self._set(tensors, rng)
        self.snapshots = {at: rows for at, rows in self.snapshots.items() if at <= iteration}
        self.iteration = iteration
        self.retries += 1
        return True

    def save(self, path: Path, key: dict[str, Any], rng: Generator) -> None:
        """Write a checkpoint to ``path``, all or nothing, with a checksum over all of it."""
        tensors = self.tensors(rng) | named_snapshots(self.snapshots)
        if self.good is not None:
            tensors |= {GOOD + name: tensor for name, tensor in self.good[1].items()}
        head = CheckpointHead(
            key=json.dumps(key, sort_keys=True),
            iteration=self.iteration,
            retries=self.retries,
            good=None if self.good is None else self.good[0],
        )
        write_checkpoint(path, head, tensors)

    def load(
        self, path: Path, key: dict[str, Any], rng: Generator, snapshots: Collection[int] = ()
    ) -> str | None:
        """Continue from the checkpoint at ``path``, if it is there and all of it is as it must be.

        Args:
            path: written by :meth:`save`.
            key: of this matching.
            rng: set to where it stood.
            snapshots: iterations of which they are kept.

        Returns:
            what is wrong with the checkpoint, which is removed then; else None.
        """
        if not os.path.lexists(path):
            return None
        try:
            head, saved = self._read(path, key, rng, snapshots)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            discard(path)
            return in_one_line(error)
        self._set(saved, rng)
        self.snapshots = snapshots_among(saved)
        self.iteration, self.retries = head.iteration, head.retries
        self.good = None if head.good is None else (head.good, named_by(GOOD, saved))
        return None

    def _set(self, saved: Mapping[str, Tensor], rng: Generator) -> None:
        """Go on from ``saved``, of :meth:`tensors`."""
        self.synthetic.inputs[self.rows] = saved["inputs"].to(self.synthetic.inputs.device)
        for name, tensor in self._in_place().items():
            tensor.copy_(saved[name])
        hand_back(self.matcher, named_by(CARRIED, saved))
        rng.set_state(saved["rng"])

    def _read(
        self, path: Path, key: dict[str, Any], rng: Generator, snapshots: Collection[int]
    ) -> tuple[CheckpointHead, dict[str, Tensor]]:
        """Head and tensors of a checkpoint that fits; nothing of the state is touched.

        Raises:
            OSError, ValueError, RuntimeError, SafetensorError: for any other.
        """
        head, saved = read_checkpoint(path)
        if head.key != json.dumps(key, sort_keys=True):
            raise ValueError("it was written by another run")
        if not 0 <= head.iteration <= self.iterations:
            raise ValueError(f"iteration {head.iteration} of {self.iterations} in it")
        if head.good is not None and not 0 <= head.good <= head.iteration:
            raise ValueError(f"good iteration {head.good} of {head.iteration} in it")
        expected = {
            name: Expected(t.dtype, tuple(t.shape), finite=_must_be_finite(name, t))
            for name, t in self.tensors(rng).items()
        }
        good = {} if head.good is None else {GOOD + name: e for name, e in expected.items()}
        rows = self.result()  # which are kept after an iteration: never before the first
        taken = {at: rows for at in snapshots if 0 < at <= head.iteration}
        moved = {
            name: Expected(t.dtype, tuple(t.shape)) for name, t in named_snapshots(taken).items()
        }
        check_tensors(saved, expected | good | moved)
        for done_in, name in ((head.iteration, "step_size"), (head.good, GOOD + "step_size")):
            if done_in is None or not is_finite(self.synthetic.step_size):
                continue
            if not is_finite(saved[name][:done_in]):
                raise ValueError(f"{name} has values that are not finite")
        for name in ("rng", GOOD + "rng"):
            if name in saved:
                Generator(rng.device).set_state(saved[name])  # refuses what is no state
        return head, saved
