"""One update of what matching moves, by the gradients of one step of the matcher."""

from __future__ import annotations

import torch
from torch import Tensor

from condense.engine.matching.own_rates import SHARE, STEP_SHARE
from condense.engine.matching.state import LabelState, MatchState
from condense.errors import CondenseError
from condense.interfaces import MatchPlan, MatchStep
from condense.results import AUTO

MIN_STEP_SIZE = 1e-8


@torch.no_grad()
def update(state: MatchState, plan: MatchPlan, step: MatchStep) -> None:
    """One SGD update of the distilled rows, step size and learned labels, by ``step``'s gradients.

    An iteration whose loss or gradient is not finite changes nothing: one NaN would otherwise
    stay in the images for good. The decision is taken on the device, without waiting for it.

    Raises:
        CondenseError: if labels are learned and the matcher gives no gradient for them.
    """
    synthetic, at = state.synthetic, state.iteration
    gradient, slope = step.grad_inputs[state.rows], step.grad_step_size
    finite = torch.isfinite(step.loss) & torch.isfinite(gradient.sum())
    if slope is not None:
        if plan.step_size_lr == AUTO:
            slope = slope * synthetic.step_size  # of the step size's logarithm
        finite &= torch.isfinite(slope)
    if state.labels is not None:
        of_labels = _label_gradient(state.labels, step)
        finite &= torch.isfinite(of_labels.sum())
    if state.own_rates is not None:
        state.own_rates.see(gradient, slope, finite)
    change = _momentum(state.image_momentum, plan.image_momentum, gradient, finite)
    _move_samples(state, plan, change)
    if state.average is not None:
        state.average.lerp_(synthetic.inputs[state.rows], 1 - plan.image_ema)
    if state.labels is not None:
        moving = state.labels
        assert synthetic.label_logits is not None
        change = _momentum(moving.momentum, moving.plan.momentum, of_labels, finite)
        rate = moving.plan.lr * state.caution
        synthetic.label_logits.index_add_(0, moving.rows, change, alpha=-rate)
    if slope is not None:
        _change_step_size(state, plan, slope, finite)
    state.loss[at] = step.loss
    state.step_size[at] = synthetic.step_size


def _move_samples(state: MatchState, plan: MatchPlan, change: Tensor) -> None:
    """Against ``change``, like the distilled rows."""
    synthetic, own = state.synthetic, state.own_rates
    if plan.image_lr != AUTO:
        synthetic.inputs.index_add_(0, state.rows, change, alpha=-plan.image_lr * state.caution)
        return
    assert own is not None
    rate = SHARE * own.spread * _left(state) * own.rates(_momenta(plan))[0]
    moved = synthetic.inputs[state.rows] - rate.to(change.dtype) * change
    synthetic.inputs.index_copy_(0, state.rows, own.within_reach(moved))
    own.image_lr[state.iteration] = rate


def _change_step_size(state: MatchState, plan: MatchPlan, slope: Tensor, finite: Tensor) -> None:
    now, own = state.synthetic.step_size, state.own_rates
    slope = plan.step_size_momentum * state.step_momentum + slope
    state.step_momentum.copy_(torch.where(finite, slope, state.step_momentum))
    if plan.step_size_lr == AUTO:
        assert own is not None
        most = STEP_SHARE * _left(state)
        moved = now * torch.exp(-most * (own.rates(_momenta(plan))[1] * slope).clamp(-1, 1))
    else:
        moved = now - plan.step_size_lr * state.caution * slope
    # a step size that turns negative climbs the loss and ends in NaN: keep it above zero
    moved = torch.maximum(moved, now * 0.1).clamp(min=MIN_STEP_SIZE)
    now.copy_(torch.where(finite, moved, now))


def _left(state: MatchState) -> float:
    """Share of the first update's size that the next may have."""
    return state.caution * (1 - state.iteration / state.iterations)


def _momenta(plan: MatchPlan) -> tuple[float, float]:
    return plan.image_momentum, plan.step_size_momentum


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
