"""The one matching loop: a matcher gives gradients, the engine moves the distilled samples.

Frozen samples are not masked, they are simply not in the optimiser: only the rows of distilled
samples are ever written, so neither momentum nor weight decay can reach the others. Learned labels
move in the same way, each row of logits on its own.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from condense.capabilities import ChangesOverIterations
from condense.engine.matching.state import LabelState, MatchState
from condense.engine.runtime.expected import is_finite
from condense.engine.runtime.interrupt import deferred_interrupt
from condense.engine.runtime.malloc import retain_freed_memory
from condense.errors import CondenseError
from condense.interfaces import (
    LabelPlan,
    Matcher,
    MatchPlan,
    MatchStep,
    Progress,
    SyntheticSet,
)
from condense.traits import advice_of

CHECKPOINT_SECONDS = 20.0
LOG_EVERY = 10  # iterations between looks at the loss; each look waits for the device
MIN_STEP_SIZE = 1e-8
MAX_SKIPPED = 50  # consecutive non-finite iterations after which matching gives up


@torch.no_grad()
def update(state: MatchState, plan: MatchPlan, step: MatchStep) -> None:
    """One SGD update of the distilled rows, step size and learned labels, by ``step``'s gradients.

    An iteration whose loss or gradient is not finite changes nothing: one NaN would otherwise
    stay in the images for good. The decision is taken on the device, without waiting for it.

    Raises:
        CondenseError: if labels are learned and the matcher gives no gradient for them.
    """
    synthetic, at = state.synthetic, state.iteration
    gradient = step.grad_inputs[state.rows]
    finite = torch.isfinite(step.loss) & torch.isfinite(gradient.sum())
    if step.grad_step_size is not None:
        finite &= torch.isfinite(step.grad_step_size)
    if state.labels is not None:
        of_labels = _label_gradient(state.labels, step)
        finite &= torch.isfinite(of_labels.sum())
    change = _momentum(state.image_momentum, plan.image_momentum, gradient, finite)
    synthetic.inputs.index_add_(0, state.rows, change, alpha=-plan.image_lr)
    if state.average is not None:
        state.average.lerp_(synthetic.inputs[state.rows], 1 - plan.image_ema)
    if state.labels is not None:
        moving = state.labels
        assert synthetic.label_logits is not None
        change = _momentum(moving.momentum, moving.plan.momentum, of_labels, finite)
        synthetic.label_logits.index_add_(0, moving.rows, change, alpha=-moving.plan.lr)
    if step.grad_step_size is not None:
        slope = plan.step_size_momentum * state.step_momentum + step.grad_step_size
        state.step_momentum.copy_(torch.where(finite, slope, state.step_momentum))
        moved = synthetic.step_size - plan.step_size_lr * slope
        # a step size that turns negative climbs the loss and ends in NaN: keep it above zero
        moved = torch.maximum(moved, synthetic.step_size * 0.1).clamp(min=MIN_STEP_SIZE)
        synthetic.step_size.copy_(torch.where(finite, moved, synthetic.step_size))
    state.loss[at] = step.loss
    state.step_size[at] = synthetic.step_size


def _momentum(momentum: Tensor, kept: float, gradient: Tensor, finite: Tensor) -> Tensor:
    """SGD's direction, with ``momentum`` moved on in place; 0 and as it was unless ``finite``."""
    moved = kept * momentum + gradient
    momentum.copy_(torch.where(finite, moved, momentum))
    return torch.where(finite, moved, torch.zeros_like(moved))


def _label_gradient(labels: LabelState, step: MatchStep) -> Tensor:
    """Gradient of the label logits that move."""
    if step.grad_labels is None:
        raise CondenseError(
            "the matcher gives no gradient of labels (grad_labels), so that they cannot be "
            "learned; take another matcher, or an update policy that leaves labels as they are"
        )
    return step.grad_labels[labels.rows]


def match(
    matcher: Matcher,
    synthetic: SyntheticSet,
    rng: Generator,
    progress: Progress,
    *,
    checkpoint: Path | None = None,
    key: dict[str, Any] | None = None,
    labels: LabelPlan | None = None,
) -> MatchState:
    """Run ``matcher.plan`` on ``synthetic``, in place; no iteration where nothing can move.

    Args:
        matcher: prepared.
        synthetic: on the device; only rows of role DISTILLED change, to their running average at
            the end if ``plan.image_ema`` asks for one.
        rng: the one source of randomness of the steps.
        progress: shows iteration, loss and step size.
        checkpoint: where an interrupted run continues; removed by the caller once the result is
            kept.
        key: identifies the run a checkpoint belongs to.
        labels: how ``synthetic.label_logits`` are learned, where they are.

    Returns:
        the state at the end, with ``snapshots``.

    Raises:
        CondenseError: if the loss stays non-finite, naming the options to lower.
    """
    plan = matcher.plan
    state, key = MatchState.start(synthetic, plan, labels), key or {}
    if checkpoint is not None:
        damage = state.load(checkpoint, key, rng, plan.snapshots)
        if damage is not None:
            progress.note(f"warning: checkpoint {checkpoint} is damaged ({damage}); starting anew")
    saved = time.monotonic()
    bar = progress.task("matching", state.iterations, "it")
    with retain_freed_memory(), deferred_interrupt() as interrupted, bar as task:
        task.advance(state.iteration)
        shown = state.iteration
        while state.iteration < state.iterations:
            if isinstance(matcher, ChangesOverIterations):
                matcher.at_iteration(state.iteration)
            update(state, plan, matcher.step(synthetic, rng))
            state.iteration += 1
            if state.iteration in plan.snapshots:
                state.snapshots[state.iteration] = state.result().cpu()
            if state.iteration % LOG_EVERY == 0 or state.iteration == state.iterations:
                figures = _look(state, matcher)
                task.advance(state.iteration - shown, **figures)
                shown = state.iteration
            # Only between iterations is the state whole, so that a continued run agrees to the bit
            # with one that was not interrupted.
            due = interrupted() or time.monotonic() - saved > CHECKPOINT_SECONDS
            if checkpoint is not None and due:
                state.save(checkpoint, key, rng)
                saved = time.monotonic()
            if interrupted():
                raise KeyboardInterrupt
    state.finish()
    if not is_finite(state.result()) or bool(synthetic.step_size.isinf()):
        raise CondenseError(
            "matching diverged: distilled samples or step size are not finite after the last "
            f"iteration{advice_of(matcher, 'no-finite-loss')}"
        )
    return state


def _look(state: MatchState, matcher: Matcher) -> dict[str, float]:
    """Loss and step size for the progress bar; gives up on a run that has diverged.

    Raises:
        CondenseError: after MAX_SKIPPED iterations in a row, or a whole run, without a finite loss.
    """
    recent = state.loss[max(0, state.iteration - MAX_SKIPPED) : state.iteration]
    enough = state.iteration >= MAX_SKIPPED or state.iteration == state.iterations
    if enough and not bool(torch.isfinite(recent).any()):
        labels = "; lower the rate at which labels are learned" if state.labels is not None else ""
        raise CondenseError(
            f"matching diverged: no finite loss in the last {len(recent)} iterations (step size "
            f"{float(state.synthetic.step_size):.3g}){advice_of(matcher, 'no-finite-loss')}{labels}"
        )
    return {
        "loss": float(state.loss[state.iteration - 1]),
        "step size": float(state.synthetic.step_size),
    }
