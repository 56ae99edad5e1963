"""The one matching loop: a matcher gives gradients, the engine moves the distilled samples.

Frozen samples are not masked, they are simply not in the optimiser: only the rows of distilled
samples are ever written, so neither momentum nor weight decay can reach the others. Learned labels
move in the same way, each row of logits on its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from torch import Generator

from condense.engine.matching.calibration import calibrate_step_size
from condense.engine.matching.divergence import divergence, is_sound
from condense.engine.matching.ranks import ALONE, Ranks, mean_step
from condense.engine.matching.state import LOWER, MatchState
from condense.engine.matching.updates import update
from condense.engine.runtime.expected import is_finite
from condense.engine.runtime.interrupt import deferred_interrupt
from condense.engine.runtime.malloc import retain_freed_memory
from condense.errors import CondenseError
from condense.interfaces import (
    LabelPlan,
    Matcher,
    MatchStep,
    Progress,
    SyntheticSet,
)
from condense.results import AUTO
from condense.traits import advice_of

CHECKPOINT_SECONDS = 20.0
LOG_EVERY = 10  # iterations between looks at the loss; each look waits for the device


def match(
    matcher: Matcher,
    synthetic: SyntheticSet,
    rng: Generator,
    progress: Progress,
    *,
    checkpoint: Path | None = None,
    key: dict[str, Any] | None = None,
    labels: LabelPlan | None = None,
    ranks: Ranks = ALONE,
    watch: Callable[[MatchState], None] = lambda state: None,
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
        ranks: that share the trajectories of an iteration.
        watch: is shown the state at the start and at every look at the loss.

    Returns:
        the state at the end, with ``snapshots``.

    Raises:
        CondenseError: if the loss stays non-finite, naming the options to lower.
    """
    plan = matcher.plan
    state, key = MatchState.start(synthetic, plan, labels, matcher), key or {}

    def take_step() -> MatchStep:
        return mean_step(matcher, synthetic, rng, ranks, state.iteration)

    if checkpoint is not None:
        _resume(state, checkpoint, key, rng, plan.snapshots, progress)
    if plan.step_size_lr == AUTO and state.iteration == 0 < state.iterations:
        calibrate_step_size(matcher, synthetic, rng, take_step)
    saved = time.monotonic()
    bar = progress.task("matching", state.iterations, "it")
    with retain_freed_memory(), deferred_interrupt() as interrupted, bar as task:
        task.advance(state.iteration)
        shown = state.iteration
        watch(state)
        while state.iteration < state.iterations:
            here = state.copy(rng) if state.iteration % LOG_EVERY == 0 else None
            step = take_step()
            if here is not None and is_sound(
                state.loss[: state.iteration], step.loss, step.grad_inputs[state.rows]
            ):
                state.good = here
            update(state, plan, step)
            state.iteration += 1
            if state.iteration in plan.snapshots:
                state.snapshots[state.iteration] = state.result().cpu()
            if state.iteration % LOG_EVERY == 0 or state.iteration == state.iterations:
                figures = _look(state, matcher, rng, progress)
                task.advance(max(0, state.iteration - shown), **figures)
                shown = max(shown, state.iteration)
                watch(state)
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


def _resume(
    state: MatchState,
    checkpoint: Path,
    key: dict[str, Any],
    rng: Generator,
    snapshots: Collection[int],
    progress: Progress,
) -> None:
    """Go on from ``checkpoint``, where there is one for this matching."""
    damage = state.load(checkpoint, key, rng, snapshots)
    if damage is not None:
        progress.note(f"warning: checkpoint {checkpoint} is damaged ({damage}); starting anew")
    elif state.iteration:
        progress.note(
            f"note: going on from iteration {state.iteration} of {state.iterations}, stored by an "
            "earlier run"
        )


def _look(
    state: MatchState, matcher: Matcher, rng: Generator, progress: Progress
) -> dict[str, float]:
    """Loss, and step size where there is one, for the progress bar; a run that has diverged goes
    back, or gives up.

    Raises:
        CondenseError: where no loss is finite, and there is no good state to go back to or that
            has not helped.
    """
    figures, said = {"loss": float(state.loss[state.iteration - 1])}, ""
    if not bool(state.synthetic.step_size.isnan()):
        figures["step size"] = float(state.synthetic.step_size)
        said = f" (step size {figures['step size']:.3g})"
    found = divergence(state.loss[: state.iteration], state.iterations)
    if found is None:
        return figures
    why = f"matching diverged: {found.seen}{said}"
    if state.go_back(rng):
        progress.note(
            f"note: {why}; it goes on from iteration {state.iteration} at {LOWER:g} times its rates"
        )
        return figures
    if not found.final:
        return figures
    labels = "; lower the rate at which labels are learned" if state.labels is not None else ""
    raise CondenseError(f"{why}{advice_of(matcher, 'no-finite-loss')}{labels}")
