"""Coverage of condensed sets: the share of test samples that have one of them near by.

Near is measured in the feature space of one network trained on the whole training split
(:mod:`condense.engine.feature_space.network`), within a radius taken from the training set's own
distances (:mod:`condense.engine.feature_space.radius`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from condense.components import resolve_options
from condense.data import Modality, TrainingSet
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.feature_space.difficulty import Halves, halves_of_test
from condense.engine.feature_space.neighbours import area_under, coverage
from condense.engine.feature_space.radius import (
    CoverageOptions,
    CoverageReference,
    coverage_reference,
)
from condense.engine.graph import Plan, planned
from condense.engine.jobs.driver import Crew, Target
from condense.engine.jobs.extra import Extra
from condense.engine.pipeline import Pipeline, Tools
from condense.engine.rebind import check_kind, rebind
from condense.engine.stages.features import FeatureStage
from condense.errors import DataError, OptionError
from condense.layers import assignments_layer
from condense.options import COMPONENT, paths_among
from condense.places import without_home
from condense.plugin.host import Host
from condense.recipe import take_paths
from condense.resolve import Request
from condense.studies.coverage.result import (
    PARTS,
    Coverage,
    CoveragePoint,
    Curve,
    RunCoverage,
    Shares,
)
from condense.studies.run_names import run_names

CURVE_POINTS = 101  # radii of the curve, 0 included


def coverage_of_runs(
    folders: Sequence[Path],
    request: Request,
    host: Host,
    *,
    crew: Crew | None = None,
    **tools: Unpack[Tools],
) -> Coverage:
    """Coverage of the artefacts in ``folders`` over their saved iterations.

    Args:
        folders: written by ``run`` or ``CondensedDataset.save``, all of one data set.
        request: ``data`` replaces that of the recipes; of its assignments those of ``data`` and
            ``evaluator`` count, the latter as options of :class:`CoverageOptions`.
        crew: trains the feature networks elsewhere; None trains them here.

    Raises:
        DataError: if there is no artefact, the data have no test split, or two runs differ in
            their data, naming both.
        OptionError: for options that do not suit.
    """
    sets, pipeline, options = _prepared(folders, request, host, **tools)
    features = FeatureStage(pipeline, options)
    if crew is not None:
        crew.work_all_off(Target(pipeline, [features], extra=Extra.of(features=options)))
    data, networks = pipeline.data, features.result
    reference, parts = coverage_reference(networks, options), halves_of_test(networks)
    radii = torch.linspace(0, reference.max_radius, CURVE_POINTS, dtype=torch.float64).tolist()
    labels = run_names([(one.method, one.recipe) for one in sets.values()])
    runs = []
    with tools["progress"].task("coverage", len(sets), "run") as task:
        for (folder, condensed), label in zip(sets.items(), labels, strict=True):
            runs.append(
                _measure(without_home(str(folder)), label, condensed, reference, parts, radii)
            )
            task.advance()
    return Coverage(
        data=data.name,
        data_fingerprints=data.fingerprints,
        radius=reference.radius,
        quantile=options.radius_quantile,
        same_class=options.same_class,
        runs=tuple(runs),
        options=_plain(options),
    )


def plan_coverage(
    folders: Sequence[Path], request: Request, host: Host, **tools: Unpack[Tools]
) -> Plan:
    """What :func:`coverage_of_runs` would train; arguments and errors are its own."""
    _, pipeline, options = _prepared(folders, request, host, **tools)
    recipe = {"data": pipeline.recipe["data"].portable, "evaluator": _plain(options)}
    return Plan([planned(FeatureStage(pipeline, options), set())], recipe)


def _prepared(
    folders: Sequence[Path], request: Request, host: Host, **tools: Unpack[Tools]
) -> tuple[dict[Path, CondensedDataset], Pipeline, CoverageOptions]:
    """The sets, what loads their data, and the options of the feature space."""
    sets = {folder: CondensedDataset.load(folder) for folder in folders}
    given = assignments_layer(request.assignments).stages
    modality = next(iter(sets.values())).geometry.modality
    options = _options(host, given.get("evaluator", {}), modality)
    pipeline = _bound(sets, request, host, **tools)
    return sets, pipeline, options


def _plain(options: CoverageOptions) -> dict[str, Any]:
    """As they may be handed on: without places of files."""
    return take_paths(options.model_dump(mode="json"), paths_among(options))[0]


def _options(host: Host, given: Mapping[str, Any], modality: Modality) -> CoverageOptions:
    if COMPONENT in given:
        raise OptionError(
            f"`evaluator={given[COMPONENT]}` has no effect here; coverage takes options alone, "
            "for example `evaluator.radius_quantile=0.9`"
        )
    return resolve_options(host, CoverageOptions, given, "evaluator", modality)


def _measure(
    folder: str,
    label: str,
    condensed: CondensedDataset,
    reference: CoverageReference,
    parts: Halves,
    radii: Sequence[float],
) -> RunCoverage:
    points = []
    for iteration, samples in stages_of(condensed).items():
        distances = reference.distances(samples)
        covered = shares(partial(coverage, radius=reference.radius), distances, parts)
        area = Shares(**shares(partial(area_under, largest=reference.max_radius), distances, parts))
        points.append(CoveragePoint(iteration=iteration, **covered, area=area))
    curve = [shares(partial(coverage, radius=r), distances, parts) for r in radii]
    by_part = {part: tuple(share[part] for share in curve) for part in PARTS}
    return RunCoverage(
        artefact=folder,
        fingerprint=condensed.content_fingerprint,
        method=condensed.method,
        label=label,
        samples=len(condensed),
        iterations=tuple(points),
        curve=Curve(radii=tuple(radii), **by_part),
        area=area,
    )


def shares(figure: Callable[[Tensor], float], values: Tensor, parts: Halves) -> dict[str, float]:
    """``figure`` of ``values`` [N_test] and of both halves of it, by :data:`PARTS`."""
    halves = (values, values[parts.easy], values[parts.hard])
    return dict(zip(PARTS, map(figure, halves), strict=True))


def stages_of(condensed: CondensedDataset) -> dict[int, TrainingSet]:
    """The set by iteration: its real sources at 0, every snapshot, and last the final set.

    A set of which nothing was distilled has the one entry 0.
    """
    final = condensed.training_set()
    start = replace(final, inputs=condensed.source_inputs, normalization=condensed.normalization)
    found = {0: start}
    for iteration, inputs in sorted(condensed.snapshots.items()):
        found[iteration] = replace(final, inputs=inputs)
    if bool(condensed.distilled.any()):
        found[len(condensed.trace.loss) or max(found) + 1] = final
    return found


def _bound(
    sets: Mapping[Path, CondensedDataset], request: Request, host: Host, **tools: Unpack[Tools]
) -> Pipeline:
    """What loads the data that all ``sets`` are made of, or those that are asked for."""
    (first, one), *others = sets.items()
    asked = tuple((path, value) for path, value in request.assignments if path[0] == "data")
    of_data = Request(data=request.data, assignments=asked)
    bound = rebind(first, one, of_data, host, stages=("data",), **tools)
    for folder, other in others:
        if not bound.renamed and other.data_fingerprint != one.data_fingerprint:
            raise DataError(
                f"{first} was made of {one.data_name}, {folder} of "
                f"{_apart(other.data_name, one.data_name)}; coverage compares runs on the "
                "same data: leave one out, or name the data to measure on with `data`"
            )
    data = bound.data
    for folder, other in others:
        check_kind(folder, other, data)
        if other.normalization != one.normalization:
            raise DataError(
                f"{first} and {folder} are normalised by figures of different data, so that "
                "distances in the one mean nothing in the other; measure them one at a time"
            )
    return bound.pipeline


def _apart(name: str, other: str) -> str:
    return name if name != other else f"{name} with other content"
