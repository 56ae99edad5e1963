"""Notes on a matching that has diverged: finite, but far from any sense, it trains nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from condense.data import LabeledData
from condense.engine.training.batches import largest_magnitude
from condense.traits import advice_of

FAR = 100.0  # pixel ranges; distilled images of sound runs stay within a few
FAR_LOGIT = 1000.0  # logits; those of sound runs stay within some tens


def divergence_notes(
    matched: Mapping[str, Tensor], data: LabeledData, matcher: object, policy: object
) -> Iterator[str]:
    """A note on distilled samples, and one on learned labels, that are far from any sense.

    Args:
        matched: what matching gave: ``distilled``, and ``label_logits`` where labels were learned.
        data: that the samples are of.
        matcher, policy: components, or their classes, for what they advise.
    """
    logits = matched.get("label_logits")
    most = 0.0 if logits is None else float(logits.abs().max())
    if most > FAR_LOGIT:
        lower = advice_of(policy, "labels-diverged")
        yield f"note: label logits reach {most:.3g}, as after their learning has diverged{lower}"
    far = (
        largest_magnitude(matched["distilled"], data.normalization)
        if data.geometry.is_image
        else 0.0
    )
    if far > FAR:
        yield (
            f"note: distilled samples reach {far:.3g} times the pixel range, as after matching "
            f"has diverged{advice_of(matcher, 'samples-diverged')}"
        )
