"""Where learned labels start: at what teachers say, or at the sample's own class."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from condense.engine.guard import contents, guarded
from condense.errors import BrokenPlugin, OptionError
from condense.interfaces import Context, LabeledData, LabelPlan, Matcher, Role, SyntheticSet

CERTAIN = 200.0  # a logit above the others' by which softmax is 1 and 0 exactly, in float32


def starting_logits(
    plan: LabelPlan,
    synthetic: SyntheticSet,
    matcher: Matcher,
    data: LabeledData,
    context: Context,
    rng: Generator,
) -> Tensor:
    """float32 [M, C] on the CPU, the label logits before the first iteration.

    Args:
        plan: of the update policy.
        synthetic: the set before matching, on the CPU.
        matcher: prepared on ``data``.
        data: the training split.
        context, rng: as for ``matcher.prepare``.

    Raises:
        OptionError: if the matcher has no teachers to ask.
        BrokenPlugin: if what they say is not one finite row of logits a sample.
    """
    classes = len(data.classes)
    own = one_hot(synthetic.labels, classes).float()
    if plan.taught:
        logits = _taught(synthetic, matcher, data, context, rng)
    else:  # p/(1-p) times as probable as all others together, which have equal parts
        odds = plan.confidence / (1 - plan.confidence) * (classes - 1)
        logits = own * math.log(odds)
    if plan.frozen:
        return logits
    return torch.where((synthetic.role == Role.DISTILLED)[:, None], logits, own * CERTAIN)


def _taught(
    synthetic: SyntheticSet, matcher: Matcher, data: LabeledData, context: Context, rng: Generator
) -> Tensor:
    ask = getattr(matcher, "label_logits", None)
    if ask is None:
        raise OptionError(
            f"matcher '{matcher.name}' has no teachers that labels could start from; set "
            "policy.start=class"
        )
    with guarded("matcher", matcher, *contents(data)):
        logits: Tensor = ask(data, synthetic.source_index, context, rng)
    shape = (len(synthetic), len(data.classes))
    if tuple(logits.shape) != shape or not bool(torch.isfinite(logits).all()):
        raise BrokenPlugin(
            f"matcher '{matcher.name}' returned label_logits of shape {tuple(logits.shape)}, "
            f"expected finite ones of shape {shape}"
        )
    return logits.detach().to("cpu", torch.float32)
