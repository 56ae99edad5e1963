"""What a matcher prepares before it is given a set, such as experts."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from condense.capabilities import EstimatesPreparation
from condense.engine.runtime.guard import contents, guarded
from condense.engine.stages.stage import Stage, StageInPieces
from condense.interfaces import Cost, Matcher


class PreparationStage(StageInPieces[Matcher]):
    """The matcher with all that does not depend on the set, such as experts; they outlive it."""

    name = "prepare"
    component = "matcher"

    def __init__(self, matching: Stage[Any]) -> None:
        super().__init__(matching.bound)
        self.matching = matching

    @property
    def needed(self) -> bool:
        """As the matching is."""
        return self.matching.needed

    @property
    def stored(self) -> bool:
        """Also where the matching that it would be for is stored: then nothing is prepared."""
        estimate = None if self.matching.stored else self.cost()
        return self.matching.stored or (estimate is not None and not estimate.seconds)

    def cost(self) -> Cost | None:
        """The matcher's own estimate of what is not stored yet; None if it makes none."""
        return self._estimate

    @cached_property
    def _estimate(self) -> Cost | None:
        bound = self.bound
        matcher = bound.recipe["matcher"].create()
        if not isinstance(matcher, EstimatesPreparation):
            return None
        return matcher.prepare_cost(bound.data, bound.context, self.rng)

    @property
    def result(self) -> Matcher:
        """A matcher ready for its first step."""
        bound = self.bound
        matcher: Matcher = bound.recipe["matcher"].create()
        with bound.timed(self.name), guarded("matcher", matcher, *contents(bound.data)):
            matcher.prepare(bound.data.without_test(), bound.context, self.rng)
        return matcher
