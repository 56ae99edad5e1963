"""A recipe's stages, each run when it is first asked for and kept by the content it depends on."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any

from condense.engine.arms import coming_plan
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.stages.evaluation import EvaluationStage, TeachingStage
from condense.engine.stages.matching import MatchingStage
from condense.engine.stages.reselection import ReselectionStage
from condense.engine.stages.scores import ScoresStage, stages_in_use
from condense.engine.stages.selection import SelectionStage
from condense.engine.stages.stage import Bound, StageTime, Tools
from condense.interfaces import Evaluation, Scores, Selection
from condense.recipe import LEFT_OUT

__all__ = ["Pipeline", "StageTime", "Tools"]


class Pipeline(Bound):
    """A recipe bound to a host, a store and a device; each stage runs when first asked for.

    Arguments are those of :class:`Bound`. ``recipe``, ``data``, ``context``, ``store`` and
    ``timings`` (seconds of the stages so far, by name) are its own; ``scoring``, ``selecting``,
    ``matching``, ``reselecting``, ``teaching`` and ``evaluating`` are the stages, the others their
    results.
    """

    @cached_property
    def scoring(self) -> ScoresStage:
        """The stage of the scores."""
        return ScoresStage(self)

    @cached_property
    def selecting(self) -> SelectionStage:
        """The stage of the selection."""
        return SelectionStage(self, self.scoring)

    @cached_property
    def matching(self) -> MatchingStage:
        """The stage of the set as it is matched."""
        return MatchingStage(self, self.selecting)

    @cached_property
    def reselecting(self) -> ReselectionStage:
        """The stage of the condensed set."""
        return ReselectionStage(self, self.matching)

    @cached_property
    def teaching(self) -> TeachingStage:
        """The stage of what all evaluations have in common."""
        return TeachingStage(self)

    @cached_property
    def evaluating(self) -> EvaluationStage:
        """The stage of its evaluation."""
        return EvaluationStage(self, coming_plan(self.reselecting), [self.reselecting])

    @cached_property
    def content(self) -> list[Any]:
        """All that a run depends on, JSON-ready: what the files that it reads hold, not where.

        Raises:
            CondenseError: for files that cannot be read.
        """
        used = stages_in_use(self.recipe)
        read = [digest for stage in used for digest in self.files_read(stage)]
        table = {k: v for k, v in self.recipe.portable().items() if k != LEFT_OUT}
        # who has scores and experts of another seed has another result
        shared = [self.shared_seed] if self.shared_seed != self.recipe.seed else []
        return [table, *self.data.fingerprints, *read, *shared]

    @cached_property
    def content_digest(self) -> str:
        """SHA-256 (32 hex digits) of :attr:`content`."""
        text = json.dumps(self.content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def check_budget(self) -> None:
        """Say where a fraction keeps another number of samples than one would think, or none.

        Raises:
            DataError: where the data have fewer than are asked for.
        """
        budget = self.recipe.budget
        budget.counts(self.data)
        for said in (budget.rounding(self.data), budget.empty(self.data)):
            if said:
                self.progress.note(f"note: {said}")

    @property
    def scores(self) -> Scores:
        """Difficulty of every training sample."""
        return self.scoring.result

    @property
    def selection(self) -> Selection:
        """The samples chosen."""
        return self.selecting.result

    @property
    def condensed(self) -> CondensedDataset:
        """The condensed set: selected, split, matched, its real part chosen anew if asked for."""
        return self.reselecting.result

    @property
    def evaluation(self) -> Evaluation:
        """What networks that are trained on the condensed set reach on the test split."""
        return self.evaluating.result
