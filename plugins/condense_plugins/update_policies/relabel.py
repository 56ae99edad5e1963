"""SelMatch's partial update, the experts' labels for what it has become."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from condense.interfaces import LabelPlan
from condense.traits import UpdatePolicyTraits
from condense_plugins.update_policies._share import ALPHA_ADVICE, EasierShare, ShareOptions


class RelabelPolicy(EasierShare):
    """A partial update whose set gets soft labels once matching is over.

    Distils the easier share α of each class, as ``partial`` does and to the same bytes. Then every
    sample's label becomes (1 − s) · its class + s · softmax(z / T), z being the mean logits that
    the experts give it, of distilled samples as they have become, s ``share``, T ``temperature``.
    Networks are trained towards that, as in distillation (arXiv 1503.02531). Ours, of no paper:
    DATM (arXiv 2310.05773) asks before matching, of the samples that it starts from. Measured gain
    over ``partial``: benchmarks/results/README.md. Samples that a reselector brings in afterwards
    have their class.
    """

    name: ClassVar[str] = "relabel"
    version: ClassVar[str] = "1"
    traits: ClassVar[UpdatePolicyTraits] = UpdatePolicyTraits(
        ALPHA_ADVICE
        | {
            "labels-foreign": "lower policy.share",
            "no-teachers": "or keep hard labels (policy=partial)",
        }
    )

    class Options(ShareOptions):
        share: float = Field(
            0.7, ge=0, le=1, description="of a label that is what the experts say, 0-1"
        )
        temperature: float = Field(
            3.0, gt=0, description="that the experts' logits are divided by: higher is softer"
        )
        all_samples: bool = Field(
            True, description="whether samples that are not distilled have such labels too"
        )

    options: Options

    @property
    def label_plan(self) -> LabelPlan:
        """That labels are the experts', and nothing is learned."""
        o = self.options
        return LabelPlan(
            lr=0.0,
            start="matched",
            temperature=o.temperature,
            share=o.share,
            all_samples=o.all_samples,
        )
