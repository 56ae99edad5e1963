"""A run as a report shows it: what was done, what came out, how long it took."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.documents import OWN, RunLog
from condense.engine.graph import SERVED_BY
from condense.engine.matching.soft_labels import label_shares
from condense.figures.formats import setting
from condense.kinds import RANDOM, STAGES
from condense.options import COMPONENT
from condense.places import without_home
from condense.recipe import LEFT_OUT, flatten, recipe_toml
from condense.report.diagnosis.facts import RunFacts
from condense.report.page.pictures import GridRow, Picture, grid, plane
from condense.report.page.sources import RunSource
from condense.results import Evaluation, Finding
from condense.studies.statistics import Estimate, estimate, unpaired

MOST = 6  # options shown of a component, in its own order; the recipe below has all of them


@dataclass(frozen=True)
class StageView:
    """A stage: its component and the first of its options, as text."""

    stage: str
    component: str
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ArmView:
    """An evaluated training set; accuracies in 0–1.

    Attributes:
        name: the method, ``random`` or ``whole``.
        is_own: whether it is the run's own set.
        mean: as it stands in ``results.json``.
        half: half the 95 % interval of the mean; None for a single value.
        values: one a repeat.
        augmentation: it was trained under; empty for features, which none changes.
        gain: over ``random``, with its interval; None for ``random`` itself or without it.
    """

    name: str
    is_own: bool
    mean: float
    half: float | None
    values: tuple[float, ...]
    augmentation: str
    gain: Estimate | None

    @property
    def n(self) -> int:
        """Number of repeats."""
        return len(self.values)


@dataclass(frozen=True)
class ClassView:
    """Accuracy of a class in 0–1, mean over repeats, of the set and of random ones."""

    name: str
    own: float
    random: float | None


@dataclass(frozen=True)
class TimeView:
    """Seconds of a stage."""

    stage: str
    seconds: float
    cached: bool


@dataclass(frozen=True)
class RunView:
    """A run.

    Attributes:
        letter: A, B, C …, by which figures and tables name it.
        label: its method, and what sets it apart from the others.
        measure: what its figures in 0–1 are, ``accuracy`` as a rule.
        path: as it was given.
        method, data, seed: of its recipe.
        measured_on: fingerprint of the data and what ``data.test`` says; figures of runs in which
            they differ say nothing of their methods.
        size: ``"5 a class"`` or ``"10 % of each class"``.
        samples, distilled: in the set.
        labels: what soft ones say, in a few words; empty where labels are plain.
        stages: in order.
        arms: its own, then the baselines.
        classes: per-class accuracy, in the data's order.
        times: by stage, in order.
        peak_memory_mb: 2²⁰ bytes; None if unknown.
        device, torch: what it ran on; empty if unknown.
        loss, steps: by iteration.
        grid: pictures by class; empty for feature vectors.
        plane: these as points; None for images.
        recipe: text of ``recipe.toml``.
        command: that repeats it; empty for data that only lived in memory.
        findings: worst first.
    """

    letter: str
    label: str
    measure: str
    path: str
    method: str
    data: str
    measured_on: tuple[str, str]
    size: str
    seed: int
    samples: int
    distilled: int
    labels: str
    stages: tuple[StageView, ...]
    arms: tuple[ArmView, ...]
    classes: tuple[ClassView, ...]
    times: tuple[TimeView, ...]
    peak_memory_mb: float | None
    device: str
    torch: str
    loss: tuple[float, ...]
    steps: tuple[float, ...]
    grid: tuple[GridRow, ...]
    plane: Picture | None
    recipe: str
    command: str
    findings: tuple[Finding, ...]

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rstrip("/").rpartition("/")[2] or self.path

    def to_json(self) -> dict[str, Any]:
        """All but pictures and ``measured_on``, JSON-ready; a loss that was not finite is None."""
        # NaN as null; a test split is an absolute path
        left = {"grid", "plane", "measured_on"}
        text = TypeAdapter(RunView).dump_json(self, exclude=left)
        found: dict[str, Any] = json.loads(text)
        return found

    @property
    def own(self) -> ArmView | None:
        """The arm that is the set itself."""
        return next((arm for arm in self.arms if arm.is_own), None)


def run_view(
    source: RunSource, letter: str, label: str, facts: RunFacts, findings: Sequence[Finding]
) -> RunView:
    """``source`` as it is shown under ``letter`` and ``label``."""
    small, log = source.condensed, source.log
    recipe = dict(small.recipe)
    return RunView(
        letter=letter,
        label=label,
        measure=facts.measure,
        path=without_home(source.path.as_posix()),
        method=small.method,
        data=small.data_name,
        measured_on=(small.data_fingerprint or small.data_name, _test_part(small)),
        size=_size(recipe),
        seed=small.seed,
        samples=len(small),
        distilled=int(small.distilled.sum()),
        labels=_labels(small),
        stages=stage_views(recipe, _used(recipe, small, log), facts.idle),
        arms=arm_views(source.evaluations, small.method, small.geometry.is_image),
        classes=class_views(source.evaluations, small.classes),
        times=tuple(TimeView(n, t.seconds, t.cached) for n, t in log.stages.items()),
        peak_memory_mb=log.peak_memory_mb,
        device=log.device,
        torch=log.torch,
        loss=small.trace.loss,
        steps=small.trace.step_size,
        grid=grid(small),
        plane=plane(small),
        recipe=recipe_toml(small.recipe_in(source.path)) if recipe else "",
        command=_command(source, recipe),
        findings=tuple(findings),
    )


def _test_part(small: CondensedDataset) -> str:
    """What ``data.test`` says, a file by where it lies; of one left out of the recipe its name."""
    given = small.bound_recipe.get("data", {}).get("test")
    return str(given or small.recipe.get(LEFT_OUT, {}).get("data.test", ""))


def _labels(small: CondensedDataset) -> str:
    """What soft labels say of the class that a sample was chosen for."""
    if small.soft_labels is None:
        return ""
    own, others, _ = label_shares(small.soft_labels, small.labels)
    return f"{own:.2f} on the own class on average, another class ahead in {others}"


def _size(recipe: Mapping[str, Any]) -> str:
    if recipe.get("ipc") is not None:
        return f"{recipe['ipc']} a class"
    if recipe.get("fraction") is not None:
        return f"{100 * recipe['fraction']:g} % of each class"
    return "not recorded"


def _command(source: RunSource, recipe: Mapping[str, Any]) -> str:
    """What repeats the run from the folder the report was made in."""
    if not recipe or recipe.get("data", {}).get("component") == "memory":
        return ""
    more = "".join(
        f" --data {recipe['data']['component']}:PATH" if key == "data.path" else f" -o {key}=PATH"
        for key in recipe.get(LEFT_OUT, {})
    )
    place = without_home((source.path / "recipe.toml").as_posix())
    home = "~/" if place.startswith("~/") else ""  # which a shell expands where it is not quoted
    return f"condense run --recipe {home}{shlex.quote(place.removeprefix(home))}{more}"


def _used(recipe: Mapping[str, Any], small: CondensedDataset, log: RunLog) -> set[str]:
    """The stages that had a part in the result, as far as that is known."""
    used = {stage for stage in STAGES if stage in recipe}
    if log.stages:
        used -= set(SERVED_BY.values()) - {SERVED_BY.get(name) for name in log.stages}
    if not small.matched:
        used.discard("matcher")
    return used


def stage_views(
    recipe: Mapping[str, Any], used: set[str], idle: Collection[str] = ()
) -> tuple[StageView, ...]:
    """The stages of ``recipe``; those not ``used`` say so instead of naming a component.

    Args:
        idle: keys of options that are left out, as they have no effect.
    """
    found = []
    for stage in STAGES:
        table = recipe.get(stage)
        if table is None:
            continue
        if stage not in used:
            found.append(StageView(stage, "not used", ()))
            continue
        given = [
            (key, setting(value))
            for key, value in table.items()
            if key != COMPONENT and value is not None and f"{stage}.{key}" not in idle
        ]
        found.append(StageView(stage, str(table[COMPONENT]), tuple(given[:MOST])))
    return tuple(found)


def arm_views(
    evaluations: Mapping[str, Evaluation], method: str, images: bool
) -> tuple[ArmView, ...]:
    """The arms of ``results.json``, in its order."""
    random = evaluations[RANDOM].values if RANDOM in evaluations else ()
    return tuple(
        ArmView(
            name=method if name == OWN else name,
            is_own=name == OWN,
            mean=arm.mean,
            half=_half(arm.values),
            values=arm.values,
            augmentation=setting(arm.protocol.get("augmentation", "")) if images else "",
            gain=None if name == RANDOM else unpaired(arm.values, random),
        )
        for name, arm in evaluations.items()
    )


def _half(values: Sequence[float]) -> float | None:
    found = estimate(values)
    return None if found is None else found.half


def class_views(
    evaluations: Mapping[str, Evaluation], classes: Sequence[str]
) -> tuple[ClassView, ...]:
    """Accuracy of the set by class, of those that were tested; empty where it was not measured."""
    own, random = (
        evaluations[name].per_class if name in evaluations else () for name in (OWN, RANDOM)
    )
    if len(own) != len(classes):
        return ()
    others = random if len(random) == len(classes) else [None] * len(classes)
    sizes = evaluations[OWN].class_sizes
    if len(sizes) != len(classes):  # a file of before
        sizes = (1,) * len(classes)
    rows = zip(classes, own, others, sizes, strict=True)
    return tuple(ClassView(name, a, b) for name, a, b, tested in rows if tested)


def differences(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    """Option keys with the values of each recipe, for those that are not alike in all of them.

    An option that only some have, with one value, says no more than that another component was
    taken, which is a line of its own.
    """
    flat = [{key: setting(v) for key, v in flatten(recipe).items()} for recipe in runs]
    keys = dict.fromkeys(key for recipe in flat for key in recipe)
    rows = [(key, [recipe.get(key) for recipe in flat]) for key in keys]
    return [
        (key, tuple("–" if value is None else value for value in values))
        for key, values in rows
        if len(set(values) - {None}) > 1 or (None in values and _stands_alone(key, flat))
    ]


def _stands_alone(key: str, flat: Sequence[Mapping[str, str]]) -> bool:
    """Whether no component tells why some of the recipes ``flat`` lack ``key``."""
    above = [key[:place] for place, sign in enumerate(key) if sign == "."]
    return not any(len({recipe.get(name) for recipe in flat}) > 1 for name in above)
