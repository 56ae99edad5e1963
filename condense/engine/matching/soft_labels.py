"""Learned labels: which samples have one, where they start, and what they say in the end."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from condense.capabilities import HasTeachers, LabelsSamples
from condense.engine.runtime.guard import contents, guarded
from condense.errors import BrokenPlugin, OptionError
from condense.interfaces import (
    Context,
    LabeledData,
    LabelPlan,
    Matcher,
    Role,
    Scores,
    SyntheticSet,
    TrainingSet,
    UpdatePolicy,
)
from condense.traits import MatcherTraits, advice_of, traits_of

MATCHED = "matched"  # of LabelPlan.start
TINY = torch.finfo(torch.float32).tiny
CERTAIN = 200.0  # a logit above the others' by which softmax is 1 and 0 exactly, in float32


def has_soft_label(plan: LabelPlan, role: Tensor) -> Tensor:
    """bool [M], true for samples whose label is learned: all, or those of role DISTILLED."""
    return (role == Role.DISTILLED) | plan.all_samples


def plan_for(
    plan: LabelPlan | None, distilled: Tensor, matcher: Matcher, policy: type[UpdatePolicy]
) -> LabelPlan | None:
    """``plan`` where some sample gets such a label; None where labels stay what they are.

    Args:
        distilled: bool [M].

    Raises:
        OptionError: if ``matcher`` can neither learn labels nor give them, as ``policy`` asks.
    """
    matches = matcher.plan.iterations > 0
    if plan is None or not (matches or plan.start == "scores"):
        return None
    if not bool(has_soft_label(plan, distilled).any()):
        return None
    if plan.start == MATCHED:
        if not isinstance(matcher, LabelsSamples):
            raise OptionError(
                f"matcher '{matcher.name}' has no teachers (sample_logits) to label what it has "
                f"moved, as policy '{policy.name}' asks; take another matcher or policy"
                f"{advice_of(policy, 'no-teachers')}"
            )
    elif matches and not traits_of(type(matcher), MatcherTraits).learns_labels:
        raise OptionError(
            f"matcher '{matcher.name}' cannot learn labels, as policy '{policy.name}' asks; "
            "take another policy, for example `policy=partial`, or another matcher"
        )
    return plan


def starting_logits(
    plan: LabelPlan,
    synthetic: SyntheticSet,
    matcher: Matcher,
    data: LabeledData,
    context: Context,
    rng: Generator,
    scores: Scores | None = None,
    advice: str = "",
) -> Tensor:
    """float32 [M, C] on the CPU, the label logits before the first iteration.

    Args:
        plan: of the update policy.
        synthetic: the set before matching, on the CPU.
        matcher: prepared on ``data``.
        data: the training split.
        context, rng: as for ``matcher.prepare``.
        scores: of ``data``, where labels start at those.
        advice: of the update policy, where there are no teachers: ``"; TEXT"``.

    Raises:
        OptionError: if the matcher has no teachers to ask, or the scores no logits.
        BrokenPlugin: if what they say is not one finite row of logits a sample.
    """
    classes = len(data.classes)
    own = one_hot(synthetic.labels, classes).float()
    if plan.start == "teachers":
        if not isinstance(matcher, HasTeachers):
            raise OptionError(
                f"matcher '{matcher.name}' has no teachers (label_logits) that labels could start "
                f"from, as this update policy asks; take another matcher or policy{advice}"
            )
        logits = teacher_logits(matcher, data, synthetic, context, rng) / plan.temperature
    elif plan.start == "scores":
        if scores is None or scores.logits is None:
            raise OptionError(
                "labels are to start at what the networks of the scores say, and this scorer has "
                f"none; take one of the dynamics pass, `scorer=cscore` for example{advice}"
            )
        logits = scores.logits[synthetic.source_index] / plan.temperature
    else:  # p/(1-p) times as probable as all others together, which have equal parts
        odds = plan.confidence / (1 - plan.confidence) * (classes - 1)
        logits = own * math.log(odds)
    return torch.where(has_soft_label(plan, synthetic.role)[:, None], logits, own * CERTAIN)


def said_of_moved(
    matched: SyntheticSet,
    matcher: LabelsSamples,
    data: LabeledData,
    context: Context,
    rng: Generator,
) -> Tensor:
    """float32 [M, C] on the CPU, what the teachers say of the samples as matching has left them.

    Args:
        matched: on the CPU; other arguments as for :func:`starting_logits`.

    Raises:
        BrokenPlugin: if it is not one finite row of logits a sample.
    """
    samples = TrainingSet(matched.inputs, matched.labels, matched.role, None, data.geometry)
    with guarded("matcher", matcher, *contents(data), matched.inputs):
        said = matcher.sample_logits(samples, data, context, rng)
    return _checked(said, (len(matched), len(data.classes)), matcher.name, "sample_logits")


def given_logits(plan: LabelPlan, matched: SyntheticSet, said: Tensor) -> Tensor:
    """float32 [M, C], logits of share · softmax(said / temperature) + (1 − share) · own class."""
    own = one_hot(matched.labels, said.shape[1]).float()
    mixed = plan.share * (said / plan.temperature).softmax(1) + (1 - plan.share) * own
    soft = mixed.clamp_min(TINY).log()
    return torch.where(has_soft_label(plan, matched.role)[:, None], soft, own * CERTAIN)


def label_shares(soft: Tensor, labels: Tensor) -> tuple[float, int, int]:
    """What soft labels say of the class that a sample was chosen for.

    Args:
        soft: [M, C], a distribution over the classes each.
        labels: int64 [M].

    Returns:
        its mean probability in 0–1; how many put another class first; M.
    """
    own = float(soft.gather(1, labels[:, None]).mean())
    return own, int((soft.argmax(1) != labels).sum()), len(labels)


def teacher_logits(
    matcher: HasTeachers,
    data: LabeledData,
    synthetic: SyntheticSet,
    context: Context,
    rng: Generator,
) -> Tensor:
    """float32 [M, C] on the CPU, what the teachers of ``matcher`` say of the source samples.

    Raises:
        BrokenPlugin: if it is not one finite row of logits a sample.
    """
    with guarded("matcher", matcher, *contents(data)):
        logits = matcher.label_logits(data, synthetic.source_index, context, rng)
    return _checked(logits, (len(synthetic), len(data.classes)), matcher.name, "label_logits")


def _checked(logits: object, shape: tuple[int, int], matcher: str, method: str) -> Tensor:
    """``logits`` as float32 on the CPU, if they are finite floats of ``shape``."""
    if not isinstance(logits, Tensor):
        got = type(logits).__name__
    elif not logits.is_floating_point() or tuple(logits.shape) != shape:
        got = f"{logits.dtype} of shape {tuple(logits.shape)}"
    elif not bool(torch.isfinite(logits).all()):
        got = "values that are not finite"
    else:
        return logits.detach().to("cpu", torch.float32)
    raise BrokenPlugin(
        f"matcher '{matcher}' returned {got} from {method}, expected finite floats of shape {shape}"
    )
