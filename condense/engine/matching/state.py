"""Where a matching stands, and its checkpoint: a run that goes on agrees with a whole one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Generator, Tensor

from condense.engine.matching.soft_labels import has_soft_label
from condense.engine.runtime.files import write_atomic
from condense.interfaces import LabelPlan, MatchPlan, Role, SyntheticSet

SNAPSHOT = "snapshot-"


def named_snapshots(snapshots: Mapping[int, Tensor]) -> dict[str, Tensor]:
    """Distilled rows by iteration, under names that :func:`snapshots_among` finds again."""
    return {f"{SNAPSHOT}{iteration}": rows for iteration, rows in snapshots.items()}


def snapshots_among(tensors: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """The snapshots among named ``tensors``, by iteration and in order."""
    names = [name for name in tensors if name.startswith(SNAPSHOT)]
    return dict(sorted((int(name.removeprefix(SNAPSHOT)), tensors[name]) for name in names))


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

    @staticmethod
    def start(
        synthetic: SyntheticSet, plan: MatchPlan, labels: LabelPlan | None = None
    ) -> MatchState:
        """The state before the first iteration."""
        rows = torch.nonzero(synthetic.role == Role.DISTILLED).flatten()
        device = synthetic.inputs.device
        moving = LabelState.start(synthetic, labels)
        iterations = plan.iterations if len(rows) or moving is not None else 0
        return MatchState(
            synthetic,
            rows,
            torch.zeros_like(synthetic.inputs[rows]),
            torch.zeros((), device=device),
            torch.full((iterations,), math.nan, device=device),
            torch.full((iterations,), math.nan, device=device),
            average=synthetic.inputs[rows] if plan.image_ema else None,
            labels=moving,
        )

    @property
    def iterations(self) -> int:
        """How many there are to be."""
        return len(self.loss)

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
        """What a checkpoint holds; frozen rows are left out, they never change."""
        return {
            "inputs": self.synthetic.inputs[self.rows].cpu(),
            "synthetic_step_size": self.synthetic.step_size.cpu(),
            "image_momentum": self.image_momentum.cpu(),
            "step_momentum": self.step_momentum.cpu(),
            "loss": self.loss.cpu(),
            "step_size": self.step_size.cpu(),
            "rng": rng.get_state().cpu(),
            **({} if self.average is None else {"image_average": self.average.cpu()}),
            **self._of_labels(),
            **named_snapshots(self.snapshots),
        }

    def _of_labels(self) -> dict[str, Tensor]:
        """Logits [M, C] and momentum, where labels move."""
        logits = self.synthetic.label_logits
        if logits is None or self.labels is None:
            return {}
        return {"label_logits": logits.cpu(), "label_momentum": self.labels.momentum.cpu()}

    def save(self, path: Path, key: dict[str, Any], rng: Generator) -> None:
        """Write a checkpoint to ``path``, all or nothing."""
        metadata = {"key": json.dumps(key, sort_keys=True), "iteration": str(self.iteration)}
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {k: v.contiguous() for k, v in self.tensors(rng).items()}
        write_atomic(path, safetensors.torch.save(tensors, metadata))

    def load(self, path: Path, key: dict[str, Any], rng: Generator) -> None:
        """Continue from the checkpoint at ``path``, unless it is absent, damaged or another's."""
        try:
            with safetensors.safe_open(str(path), "pt") as file:
                metadata = file.metadata()
                if metadata.get("key") != json.dumps(key, sort_keys=True):
                    return
                saved = {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, SafetensorError):
            return
        self.synthetic.inputs[self.rows] = saved["inputs"].to(self.synthetic.inputs.device)
        self.synthetic.step_size.copy_(saved["synthetic_step_size"])
        self.image_momentum.copy_(saved["image_momentum"])
        if self.average is not None:
            self.average.copy_(saved["image_average"])
        if self.synthetic.label_logits is not None and self.labels is not None:
            self.synthetic.label_logits.copy_(saved["label_logits"])
            self.labels.momentum.copy_(saved["label_momentum"])
        self.step_momentum.copy_(saved["step_momentum"])
        self.loss.copy_(saved["loss"])
        self.step_size.copy_(saved["step_size"])
        rng.set_state(saved["rng"])
        self.snapshots = snapshots_among(saved)
        self.iteration = int(metadata["iteration"])
