"""When a matching has diverged: while it runs by its loss, afterwards by how far all has moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from condense.data import LabeledData
from condense.engine.ingest.arrays import CHUNK
from condense.engine.training.batches import affine, largest_magnitude, normalise
from condense.traits import advice_of

# pixel ranges, or standard deviations of features: distilled images of sound runs stay within a
# few, features within some tens
FAR = 100.0
BEYOND = 10.0  # times what the data's own features reach, where these go further out
WINDOW = 10  # iterations; the loss of a single one varies by half with what it draws
# consecutive non-finite iterations after which matching has diverged; of a short run, half of it
MAX_SKIPPED = 50
RISE = 10.0  # times the first losses: no draw explains it
SOUND = 2.0
FAR_LOGIT = 1000.0  # logits; those of sound runs stay within some tens


@dataclass(frozen=True)
class Divergence:
    """What shows that a matching has diverged.

    Attributes:
        seen: in words.
        final: whether nothing more can come of it as it is.
    """

    seen: str
    final: bool


def divergence(loss: Tensor, iterations: int) -> Divergence | None:
    """No finite loss for long, or a far rise; None for a matching that has not diverged.

    A rise is not final: from a start that is all but perfect, any way leads up.

    Args:
        loss: of the iterations so far.
        iterations: that there are to be.
    """
    long = min(MAX_SKIPPED, max(WINDOW, iterations // 2))
    recent = loss[-long:]
    if len(loss) >= min(long, iterations) and not bool(torch.isfinite(recent).any()):
        return Divergence(f"no finite loss in the last {len(recent)} iterations", True)
    rise = _rise(loss, loss[-WINDOW:]) if len(loss) >= 2 * WINDOW else 0.0
    if rise > RISE:
        return Divergence(f"the loss is {rise:.3g} times that of the first iterations", False)
    return None


def is_sound(loss: Tensor, now: Tensor, gradient: Tensor) -> bool:
    """Whether a step, after iterations with ``loss``, says well of the state it was taken at.

    Args:
        loss: of the iterations before.
        now: of the step.
        gradient: of the distilled samples.
    """
    finite = torch.isfinite(now) & torch.isfinite(gradient.sum())
    return bool(finite) and not _rise(loss, now.reshape(1)) > SOUND


def _rise(loss: Tensor, now: Tensor) -> float:
    """How many times the median of the first losses that of ``now`` is, NaN among them left out.

    NaN if that means nothing, as where the first ones are not positive.
    """
    first, last = float(loss[:WINDOW].nanmedian()), float(now.nanmedian())
    return last / first if 0 < first < float("inf") else float("nan")


def divergence_notes(
    matched: Mapping[str, Tensor], data: LabeledData, matcher: object, policy: object
) -> Iterator[str]:
    """A note on distilled samples, and one on learned labels, that are far from any sense.

    Features are so beyond 100 standard deviations, and beyond ten times what those of the data
    reach.

    Args:
        matched: what matching gave: ``distilled``, and ``label_logits`` where labels were learned.
        data: that the samples are of.
        matcher, policy: components, or their classes, for what they advise.
    """
    logits = matched.get("label_logits")
    most = 0.0 if logits is None else float(logits.abs().max())
    if not most <= FAR_LOGIT:
        lower = advice_of(policy, "labels-diverged")
        yield f"note: label logits reach {most:.3g}, as after their learning has diverged{lower}"
    if data.geometry.is_image:
        far = largest_magnitude(matched["distilled"], data.normalization)
        limit, unit = FAR, "times the pixel range"
    else:
        far, unit = largest(matched["distilled"]), "standard deviations of the features"
        limit = FAR if far <= FAR else max(FAR, BEYOND * largest(*_normalised(data)))
    if not far <= limit:
        yield (
            f"note: distilled samples reach {far:.3g} {unit}, as after matching has diverged"
            f"{advice_of(matcher, 'samples-diverged')}"
        )


def _normalised(data: LabeledData) -> Iterator[Tensor]:
    """The features of ``data`` as a network sees them, in parts."""
    mean, scale = affine(data.normalization, data.inputs, data.inputs.device)
    for part in torch.split(data.inputs, CHUNK):
        yield normalise(part, mean, scale)


def largest(*tensors: Tensor) -> float:
    """Greatest size of a value in ``tensors``; 0 where there is none."""
    return max((float(t.abs().max()) for t in tensors if t.numel()), default=0.0)
