"""Selection: the real samples that the small set is made of."""

from __future__ import annotations

import torch

from condense.engine.checked import check_selection, run_selector
from condense.engine.runtime.expected import Expected, check_tensors
from condense.engine.runtime.store import Payload
from condense.engine.stages.scores import ScoresStage
from condense.engine.stages.stage import Bound, Key, StoredStage
from condense.errors import BrokenPlugin
from condense.interfaces import Scores, Selection
from condense.reading import shown


class SelectionStage(StoredStage[Selection]):
    """The samples chosen."""

    name = component = "selector"
    kind = "selections"

    def __init__(self, bound: Bound, scoring: ScoresStage) -> None:
        super().__init__(bound, [scoring] if bound.recipe["selector"].cls.needs_scores else [])
        self.scoring = scoring

    @property
    def scores(self) -> Scores | None:
        """What the selector is given."""
        return self.scoring.result if self.scoring in self.needs else None

    def likeness(self) -> Key:
        """Of the budget, too."""
        budget = self.bound.recipe.budget
        return super().likeness() | {"budget": [budget.ipc, budget.fraction]}

    def key(self) -> Key:
        """Everything the selection depends on; asks for the scores where they matter."""
        budget, scores = self.bound.recipe.budget, self.scores
        return self.bound.component_key("selector") | {
            "data": self.bound.data.fingerprint,
            "scores": None if scores is None else scores.fingerprint,
            "budget": [budget.ipc, budget.fraction],
            "seed": self.bound.forked_seed("selector"),
        }

    def compute(self) -> Payload:
        """Positions, and how many a class."""
        bound = self.bound
        chosen = run_selector(
            bound.recipe["selector"].create(),
            bound.data,
            self.scores,
            bound.recipe.budget,
            bound.context,
            self.rng,
        )
        return Payload({"indices": chosen.indices}, {"counts": list(chosen.counts)})

    def check(self, payload: Payload) -> None:
        """That it is a selection by the budget."""
        data = self.bound.data
        check_tensors(
            payload.tensors,
            {"indices": Expected(torch.int64, (None,), low=0, high=len(data) - 1)},
        )
        counts = list(self.bound.recipe.budget.counts(data))
        if payload.values.get("counts") != counts:
            raise ValueError(f"counts is {shown(payload.values.get('counts'))}, expected {counts}")
        try:
            check_selection("it", self.unpack(payload), data, tuple(counts))
        except BrokenPlugin as error:
            raise ValueError(str(error)) from None

    def unpack(self, payload: Payload) -> Selection:
        """The selection, with the labels of its samples."""
        indices = payload.tensors["indices"]
        counts = tuple(payload.values["counts"])
        return Selection(indices, self.bound.data.labels[indices], counts)

    def likely(self) -> Selection:
        """The selection if it is known, else one of its size, to see what would become of it."""
        if self.stored:
            return self.result
        data = self.bound.data
        counts = self.bound.recipe.budget.counts(data)
        return Selection.of_classes([data.class_indices(c)[:n] for c, n in enumerate(counts)])
