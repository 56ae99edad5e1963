"""A condensed set in a folder, evaluated: under its own recipe unless told otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from condense.components import resolve_options
from condense.engine.arms import condensed_plan, measure_of
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.documents import OWN, ArmResult, EvaluateDocument, notes_of, stage_seconds
from condense.engine.feature_space.difficulty import by_difficulty, halves_of_test
from condense.engine.feature_space.network import FeatureOptions
from condense.engine.graph import ARMS, Plan, all_within, in_turn, plan_of
from condense.engine.jobs.driver import Crew, Target
from condense.engine.jobs.extra import Extra
from condense.engine.pipeline import Pipeline, Tools
from condense.engine.rebind import Rebound, rebind
from condense.engine.run import Diagnose, no_findings
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.stages.features import FeatureStage
from condense.engine.stages.stage import Stage
from condense.errors import OptionError
from condense.interfaces import Evaluation
from condense.plugin.host import Host
from condense.resolve import Request


def evaluate_artefact(
    folder: Path,
    request: Request,
    host: Host,
    *,
    halved: bool = False,
    diagnose: Diagnose = no_findings,
    crew: Crew | None = None,
    **tools: Unpack[Tools],
) -> tuple[Evaluation, EvaluateDocument]:
    """Test accuracy of the artefact in ``folder``, under its own recipe unless told otherwise.

    Args:
        folder: written by ``run`` or ``CondensedDataset.save``.
        request: overrides; its data is what is tested on.
        halved: whether to give it for the easier and the harder half of the test split, too.
        diagnose: finds what is wrong with the set under this evaluation.
        crew: trains the networks elsewhere; None trains them here.

    Raises:
        DataError: if there is no artefact, or its classes or shape differ from the data's.
        OptionError: for ``halved`` with an evaluator that does not say which samples were right.
    """
    bound, evaluating, features = _to_evaluate(folder, request, host, halved, tools)
    condensed, data, pipeline = bound.condensed, bound.data, bound.pipeline
    todo = _evaluation_stages(evaluating, features)
    if crew is not None:
        options = None if features is None else features.networks.options
        extra = Extra.of(folder, condensed, options)
        crew.work_all_off(Target(pipeline, all_within(todo), extra=extra))
    in_turn(pipeline.progress, todo)
    evaluation = evaluating.result
    timings = {name: time for name, time in pipeline.timings.items() if name in ARMS}
    return evaluation, EvaluateDocument(
        method=condensed.method,
        data=data.name,
        samples=len(condensed),
        seed=pipeline.recipe.seed,
        accuracy=ArmResult.of(evaluation).accuracy,
        artefact=str(folder),
        measure=measure_of(pipeline.recipe["evaluator"]),
        per_class=dict(zip(data.classes, evaluation.per_class, strict=False)),
        protocol=evaluation.protocol,
        findings=notes_of(diagnose(pipeline, condensed, {OWN: evaluation})),
        by_difficulty=None if features is None else _by_difficulty(features, evaluation),
        stages=stage_seconds(timings),
    )


def plan_evaluation(
    folder: Path, request: Request, host: Host, *, halved: bool = False, **tools: Unpack[Tools]
) -> Plan:
    """What :func:`evaluate_artefact` would take; arguments and errors are its own."""
    bound, evaluating, features = _to_evaluate(folder, request, host, halved, tools)
    todo = all_within(_evaluation_stages(evaluating, features))
    return plan_of(bound.pipeline.recipe, todo)


def _to_evaluate(
    folder: Path, request: Request, host: Host, halved: bool, tools: Tools
) -> tuple[Rebound, EvaluationStage, FeatureStage | None]:
    """The artefact in ``folder``, its evaluation, and where that is ``halved`` what halves it."""
    bound = rebind(folder, CondensedDataset.load(folder), request, host, **tools)
    pipeline = bound.pipeline
    _ = bound.data, pipeline.test_split()  # data that do not suit are refused before all else
    evaluating = EvaluationStage(pipeline, condensed_plan(pipeline, bound.condensed))
    features = FeatureStage(pipeline, _feature_options(pipeline)) if halved else None
    return bound, evaluating, features


def _feature_options(pipeline: Pipeline) -> FeatureOptions:
    modality = pipeline.data.geometry.modality
    return resolve_options(pipeline.host, FeatureOptions, {}, "evaluator", modality)


def _evaluation_stages(
    evaluating: EvaluationStage, features: FeatureStage | None
) -> list[Stage[Any]]:
    """All that is trained, the teacher too."""
    # for the size of the set: the recipe's budget need not fit other data
    found = [*evaluating.needs, evaluating, *(() if features is None else (features,))]
    return [stage for stage in found if stage.needed]


def _by_difficulty(features: FeatureStage, evaluation: Evaluation) -> dict[str, float]:
    """Accuracy over ``all``, ``easy`` and ``hard`` test samples, as ``coverage`` halves them."""
    if evaluation.right is None:
        name = features.bound.recipe["evaluator"].name
        raise OptionError(
            f"the evaluator '{name}' does not say which test samples were right, so its result "
            "cannot be split by difficulty; try `evaluator=accuracy`"
        )
    return by_difficulty(evaluation.right, halves_of_test(features.result))
