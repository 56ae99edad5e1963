"""Re-selection: other real samples in the place of those of a matched set."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from condense.data import SyntheticSet, content_digest
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.checked import check_real_part, run_reselector
from condense.engine.runtime.expected import Expected, check_tensors
from condense.engine.runtime.store import Payload
from condense.engine.stages.matching import MatchingStage
from condense.engine.stages.scores import ScoresStage
from condense.engine.stages.stage import Bound, Key, Piece, StoredStage
from condense.engine.training.batches import network_inputs
from condense.errors import BrokenPlugin
from condense.interfaces import Scores


class ReselectionStage(StoredStage[CondensedDataset]):
    """The set as it is in the end; that of the matching where the recipe has no reselector."""

    name = component = "reselector"
    kind = "reselections"

    def __init__(self, bound: Bound, matching: MatchingStage) -> None:
        self.matching = matching
        self.scoring: ScoresStage = matching.selecting.scoring
        asks = self.component in bound.recipe.stages and self._asks_for_scores(bound)
        super().__init__(bound, [matching, self.scoring] if asks else [matching])

    def _asks_for_scores(self, bound: Bound) -> bool:
        return bool(bound.recipe[self.component].cls.needs_scores)

    @property
    def needed(self) -> bool:
        """Whether the recipe has one, and there are real samples to be replaced."""
        return self.component in self.bound.recipe.stages and self.matching.keeps_some

    @property
    def stored(self) -> bool:
        """Without a reselector the matching is all of it."""
        return super().stored if self.needed else self.matching.stored

    def pieces(self) -> list[Piece]:
        """The stage as a whole; none without a reselector."""
        return super().pieces() if self.needed else []

    def likeness(self) -> Key:
        """Without a reselector that of the matching."""
        there = self.component in self.bound.recipe.stages
        return super().likeness() if there else self.matching.likeness()

    @cached_property
    def result(self) -> CondensedDataset:
        """The condensed set."""
        matched = self.matching.result
        if self.needed:
            return self.unpack(self.fetch())
        if self.component in self.bound.recipe.stages:
            self.bound.progress.note(
                f"note: reselector '{self.bound.recipe[self.component].name}' finds no real sample "
                "to replace, as all are distilled; lower policy.alpha or take policy=partial"
            )
        return matched

    @property
    def _scores(self) -> Scores | None:
        return self.scoring.result if self._asks_for_scores(self.bound) else None

    @cached_property
    def _matched(self) -> SyntheticSet:
        return self.matching.result.synthetic_set()

    def key(self) -> Key:
        """Everything the real samples depend on."""
        matched, scores = self.matching.result, self._scores
        return self.bound.component_key(self.component) | {
            "data": self.bound.data.fingerprint,
            "set": matched.content_fingerprint,
            "sources": content_digest(matched.source_index),
            "scores": None if scores is None else scores.fingerprint,
            "seed": self.bound.forked_seed(self.name),
        }

    def compute(self) -> Payload:
        """Their positions."""
        bound = self.bound
        reselector = bound.recipe[self.component].create()
        given = (self._matched, bound.data, self._scores, bound.context, self.rng)
        return Payload({"indices": run_reselector(reselector, *given)})

    def check(self, payload: Payload) -> None:
        """That they may be the set's real ones."""
        last = len(self.bound.data) - 1
        indices = Expected(torch.int64, (None,), low=0, high=last)
        check_tensors(payload.tensors, {"indices": indices})
        try:
            check_real_part("it", payload.tensors["indices"], self._matched, self.bound.data)
        except BrokenPlugin as error:
            raise ValueError(str(error)) from None

    def unpack(self, payload: Payload) -> CondensedDataset:
        """The matched set with them in the place of its real ones, in order within each class."""
        indices, data, before = payload.tensors["indices"], self.bound.data, self.matching.result
        places = torch.nonzero(~before.distilled).flatten()
        places = places[torch.argsort(before.labels[places], stable=True)]
        inputs = network_inputs(data, indices)
        sources = before.source_index.index_copy(0, places, indices)
        snapshots = {n: s.index_copy(0, places, inputs) for n, s in before.snapshots.items()}
        scores = self.scoring.result.values[sources] if self.scoring.needed else None
        started = data.subset(sources)
        return replace(
            before,
            inputs=before.inputs.index_copy(0, places, inputs),
            source_index=sources,
            source_inputs=started.inputs,
            soft_labels=_soft_labels(before, places, indices),
            snapshots=snapshots,
            items=started.items,
            table=started.table,
            texts=started.texts,
            scores=scores,
        )


def _soft_labels(before: CondensedDataset, places: Tensor, indices: Tensor) -> Tensor | None:
    """Where labels are soft: of samples that stay their own, of new ones their class alone."""
    if before.soft_labels is None:
        return None
    old = before.source_index[places]
    own = one_hot(before.labels[places], len(before.classes)).to(before.soft_labels.dtype)
    row = {int(source): place for place, source in zip(places, old, strict=True)}
    for at, index in enumerate(indices.tolist()):
        if index in row:
            own[at] = before.soft_labels[row[index]]
    return before.soft_labels.index_copy(0, places, own)
