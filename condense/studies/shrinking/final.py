"""The answer: the set of that size out of the whole training split, and the test split, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from condense.engine.arms import random_plan, whole_plan
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.artefact.notebook import as_html
from condense.engine.documents import OWN
from condense.engine.graph import all_within, stages
from condense.engine.jobs.driver import Crew, Target
from condense.engine.pipeline import Pipeline
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.stages.stage import Stage
from condense.engine.target import run_name
from condense.figures import html
from condense.figures.formats import percent
from condense.interfaces import Evaluation
from condense.kinds import RANDOM, WHOLE
from condense.results import Budget
from condense.studies.binding import Bind
from condense.studies.shrinking.design import ALL, Shrinking
from condense.studies.shrinking.result import ShrinkDocument, Shrunk


@dataclass(frozen=True, eq=False)
class Answer:
    """What a shrinking comes to.

    Attributes:
        document: for ``shrink.json``; its ``verdict`` says it in a sentence.
        condensed: the set; None where nothing is enough.
        pipeline: that made it.
        arms: evaluations on the test split by arm, its own called ``condensed``; none without one.
    """

    document: ShrinkDocument
    condensed: CondensedDataset | None = None
    pipeline: Pipeline | None = None
    arms: Mapping[str, Evaluation] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Answer({self.document.verdict!r})"

    def _repr_html_(self) -> str:
        """As a notebook shows it: the verdict, the curve, and the set."""
        document = self.document
        rows = [
            (p.method, p.samples, f"{percent(p.mean)} ({percent(p.low)} to {percent(p.high)})")
            for p in (*document.curve, document.whole)
        ]
        headers = ("method", "samples", f"{document.metric}, %, interval")
        shown = html.paragraph(document.verdict, strong=True) + html.table(headers, rows)
        return shown + ("" if self.condensed is None else as_html(self.condensed))


def answer(shrunk: Shrunk, bind: Bind, crew: Crew | None = None) -> Answer:
    """The set of the size that was found; it, random subsets like it and the whole are tested.

    Args:
        shrunk: what the search found.
        bind: makes a pipeline.
        crew: works the stages off elsewhere.
    """
    if shrunk.fraction is None:
        return Answer(shrunk.document)
    pipeline = final_pipeline(shrunk.shrinking, bind, shrunk.method, shrunk.fraction)
    with pipeline.tracking.over(pipeline.recipe, lambda: run_name(pipeline)):
        if crew is not None:
            crew.work_all_off(*(Target(p, todo) for p, todo in final_stages(pipeline, bind)))
        condensed = pipeline.condensed
        stages_of = {OWN: pipeline.evaluating, **_beside(pipeline, bind)}
        arms = {name: arm.result for name, arm in stages_of.items() if arm.needed}
        pipeline.tracking.result(condensed, arms)
    return Answer(replace(shrunk, arms=arms).document, condensed, pipeline, arms)


def final_pipeline(shrinking: Shrinking, bind: Bind, method: str, fraction: float) -> Pipeline:
    """Of the set that is the answer."""
    return bind(shrinking.recipe(method, fraction, shrinking.base.seed, final=True))


def final_stages(pipeline: Pipeline, bind: Bind) -> list[tuple[Pipeline, list[Stage[Any]]]]:
    """All that the set and its evaluations come to."""
    own = stages(pipeline, baselines=False)
    random, whole = _beside(pipeline, bind).values()
    assert isinstance(whole.bound, Pipeline)
    beside = all_within([*whole.needs, whole])
    return [(pipeline, [*own, *all_within([random])]), (whole.bound, beside)]


def _beside(pipeline: Pipeline, bind: Bind) -> dict[str, EvaluationStage]:
    """Random subsets of the set's size, and the whole trained for as long as is its own."""
    recipe = replace(pipeline.recipe, budget=Budget(fraction=ALL))
    whole = bind(recipe, data=pipeline.data)
    return {
        RANDOM: EvaluationStage(pipeline, random_plan(pipeline)),
        WHOLE: EvaluationStage(whole, whole_plan(whole)),
    }
