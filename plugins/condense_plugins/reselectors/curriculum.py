"""Curriculum coarse-to-fine selection after distilling: CCFS (arXiv 2503.18872, Algorithm 1)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import network_inputs
from condense.engine.training.estimate import sgd_cost
from condense.engine.training.sgd import SgdOptions
from condense.interfaces import (
    Context,
    Cost,
    LabeledData,
    Role,
    Scores,
    SyntheticSet,
    TrainingSet,
)
from condense.options import AugmentationSpec, part_of
from condense.selection import hardest_first, real_places, require
from condense_plugins._built_in import BuiltIn
from condense_plugins.reselectors._right import KIND, ShortOptions, right_key, right_samples

COARSE, KNOWN, REST = 0, 1, 2  # what a place is filled with, best first


class CurriculumReselector(BuiltIn):
    """Fills the real part in rounds with the easiest samples that the set so far gets wrong.

    Before each round a network is trained on the set so far: the distilled samples, and the real
    ones of the rounds before. Coarse: samples that it gets wrong, and a network trained on the
    whole training split right. Fine: the easiest of these by score, of each class its share of a
    round. Where a class has too few, the easiest that the whole split's network gets right fill it
    up, then the easiest that are left, and a note says how many. Without distilled samples the
    first round knows nothing, so that all are wrong.

    Departs from the paper: distilled samples are those of any matcher, not CDA's; networks of a
    round are trained towards the set's own labels, not a teacher's; a sample that a distilled one
    started from is no candidate (CDA's start from none); the paper leaves short classes short.
    """

    name: ClassVar[str] = "curriculum"
    version: ClassVar[str] = "2"
    needs_scores: ClassVar[bool] = True

    class Options(SgdOptions):
        """Of both kinds of networks, but for the epochs and augmentation of those of a round."""

        epochs: int = Field(
            40, ge=1, description="epochs of the network trained on the whole training split"
        )
        rounds: int = Field(3, ge=1, description="rounds in which the real samples are chosen")
        round_steps: int = Field(
            500, ge=1, description="optimiser steps of a network trained on the set so far"
        )
        round_augmentation: AugmentationSpec = Field(
            AugmentationSpec.of("combined"), description="augmentation while that is trained"
        )
        whole_seed: int = Field(
            0, ge=0, description="seed of the whole split's network, whatever the run's is"
        )

    options: Options

    def complete(
        self,
        synthetic: SyntheticSet,
        data: LabeledData,
        scores: Scores | None,
        context: Context,
        rng: Generator,
    ) -> Tensor:
        """The samples of all rounds, of each class hardest first; ties keep the data's order."""
        values = require(scores, self.name, "reselector").values
        whole = TrainingSet.of(data)
        places, rounds = list(real_places(synthetic, data)), self.options.rounds
        most = max(count for _, count in places)
        if rounds > max(most, type(self.options).model_fields["rounds"].default):
            context.progress.note(
                f"note: `reselector.rounds={rounds}`: no class has more than {most} real samples "
                "to be chosen, so that no more rounds than that choose any"
            )
        known = right_samples(*self._known(whole, context))
        chosen = torch.empty(0, dtype=torch.int64)
        filled = torch.zeros(len(data), dtype=torch.bool)
        for number in range(rounds):
            so_far = joined(synthetic, data, chosen)
            shares = [n * (number + 1) // rounds - n * number // rounds for _, n in places]
            if not any(shares):
                continue
            seed = Seed.of(rng).fork("round", number)
            wrong = torch.ones(len(data), dtype=torch.bool)
            if len(so_far):
                wrong = ~right_samples(so_far, whole, context, self._round, seed)
            tier = torch.where(known, torch.where(wrong, COARSE, KNOWN), REST)
            tier[chosen] = REST + 1
            for (members, _), share in zip(places, shares, strict=True):
                took = best_of(members, tier, values, share)
                filled[took] = tier[took] != COARSE
                chosen = torch.cat([chosen, took])
        self._say(filled, data, len(chosen), context)
        return torch.cat(
            [hardest_first(values, chosen[data.labels[chosen] == c]) for c in range(len(places))]
        )

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """The network of the whole split, and one a round."""
        count = min(samples, len(data))
        part = data.subset(torch.arange(count))
        rounds = sgd_cost(part, context, self._round).times(self.options.rounds)
        known = self._known(TrainingSet.of(data), context)
        first = sgd_cost(data, context, self._whole)
        return first.shared_as(lambda _: [(KIND, right_key(*known))]).then(rounds)

    def _known(
        self, whole: TrainingSet, context: Context
    ) -> tuple[TrainingSet, TrainingSet, Context, SgdOptions, Seed]:
        """Of what is right by a network of the ``whole`` split, whatever the run's seed is."""
        seed = Seed(self.options.whole_seed).fork("whole")
        return whole, whole, context, self._whole, seed

    @property
    def _whole(self) -> SgdOptions:
        return part_of(SgdOptions, self.options)

    @property
    def _round(self) -> SgdOptions:
        o = self.options
        changed = {"augmentation": o.round_augmentation, "steps": o.round_steps}
        return part_of(ShortOptions, o).model_copy(update=changed)

    def _say(self, filled: Tensor, data: LabeledData, places: int, context: Context) -> None:
        """How many places were filled otherwise, and in which class most."""
        if not bool(filled.any()):
            return
        each = torch.bincount(data.labels[filled], minlength=len(data.classes))
        most = int(each.argmax())
        context.progress.note(
            f"note: reselector '{self.name}' filled {int(filled.sum())} of {places} places, in "
            f"{int((each > 0).sum())} of {len(each)} classes (most, {int(each[most])}, in "
            f"{data.classes[most]}), with the easiest samples left: too few were wrong for the set "
            "so far and right for the whole split"
        )


def best_of(members: Tensor, tier: Tensor, values: Tensor, count: int) -> Tensor:
    """int64 [count] of ``members``, by rising ``tier``, then rising score, then position.

    Args:
        members: int64 [n], ascending.
        tier: int64 [N].
        values: float [N], higher = harder.
        count: at most n.
    """
    easiest = members[torch.argsort(values[members], stable=True)]
    return easiest[torch.argsort(tier[easiest], stable=True)][:count]


def joined(synthetic: SyntheticSet, data: LabeledData, chosen: Tensor) -> TrainingSet:
    """The distilled samples of ``synthetic``, and those of ``data`` at ``chosen`` as real ones."""
    moved = synthetic.role == Role.DISTILLED
    labels = torch.cat([synthetic.labels[moved], data.labels[chosen]])
    role = torch.cat([synthetic.role[moved], torch.full((len(chosen),), int(Role.REAL))])
    soft = None
    if synthetic.label_logits is not None:
        hard = one_hot(data.labels[chosen], len(data.classes)).float()
        soft = torch.cat([synthetic.label_logits[moved].softmax(1), hard])
    inputs = torch.cat([synthetic.inputs[moved], network_inputs(data, chosen)])
    return TrainingSet(inputs, labels, role.to(torch.uint8), None, data.geometry, soft)
