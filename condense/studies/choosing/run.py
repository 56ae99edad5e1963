"""Choosing a method on a validation part of the training split, never on the test split."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from condense.data import LabeledData
from condense.engine.evaluation import RANDOM, measure_of, random_plan
from condense.engine.graph import stages
from condense.engine.ingest.holdout import validation_part
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import over_all
from condense.engine.runtime.store import Payload
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.stages.stage import ENGINE_VERSION, SHARED
from condense.errors import OptionError
from condense.interfaces import Progress, Task
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.studies.ablation.result import HeldOut
from condense.studies.binding import Bind
from condense.studies.choosing.design import (
    MINUTES,
    NETWORKS,
    Candidate,
    Costs,
    Plan,
    candidates,
    make_plan,
    tried_methods,
    with_values,
)
from condense.studies.choosing.halving import Halved, chosen_on, halve, is_better, to_random
from condense.studies.choosing.result import Choice, ChoiceDocument, Tried
from condense.studies.statistics import estimate
from condense.studies.suited import suited
from condense.studies.tuning.result import Spent

HELD_OUT = 0.2  # share of every class
KIND = "choices"  # folder in the store


@dataclass(frozen=True)
class Choosing:
    """A choice that is planned.

    Attributes:
        host, bind: what recipes are looked up and bound with.
        name: of the data.
        data: the part to condense, what is held out in its test split's place.
        random: random subsets, which anything else must be better than.
        candidates: all there are.
        failed: methods without a candidate, and why.
        plan: which of the candidates are tried, and how.
    """

    host: Host
    bind: Bind
    name: str
    data: LabeledData
    random: Candidate
    candidates: tuple[Candidate, ...]
    failed: dict[str, str]
    plan: Plan

    @property
    def held_out(self) -> HeldOut:
        """How many samples either side of the part has."""
        count = 0 if self.data.test is None else len(self.data.test)
        return HeldOut(share=HELD_OUT, fit=len(self.data), held_out=count)


def plan_choice(
    host: Host, request: Request, minutes: float | None, bind: Bind, keep: bool = True
) -> Choosing:
    """What is to be tried for ``request`` within ``minutes``.

    The plan is kept in the store, so that a second or interrupted call has the same.

    Args:
        host: what components are looked up in.
        request: whose method is to be chosen.
        minutes: for the choice, :data:`MINUTES` by default; the run of what is chosen comes on
            top.
        bind: makes a pipeline.
        keep: whether a plan that is made now is stored.

    Raises:
        CondenseError: for options or data that do not suit, or too few minutes.
    """
    minutes = float(MINUTES if minutes is None else minutes)
    if not 0 < minutes < math.inf:
        raise OptionError(f"`minutes` must be above 0, got {minutes:g}; try `minutes=10`")
    asked = suited(host, request, RANDOM, tried_methods(host))
    random = Candidate(RANDOM, {}, asked, resolve(host, asked))
    whole = bind(random.recipe)
    seed = random.recipe.seed
    part = validation_part(whole.data, HELD_OUT, seed)
    random.recipe.budget.counts(part)
    found, failed = candidates(host, request, part)

    def bound(one: Candidate) -> Pipeline:
        return bind(_measured(host, one), shared_seed=seed, data=part)

    def make() -> Plan:
        draws = bound(random)
        cost = EvaluationStage(draws, random_plan(draws)).cost()
        known: dict[str, float | None] = {}
        costs = {one.name: costs_of(bound(one), known) for one in found}
        return make_plan(minutes, costs, cost.seconds if cost else 0.0)

    key = {
        "minutes": minutes,
        "recipes": [_measured(host, one).portable() for one in (random, *found)],
        "data": part.fingerprint,
        "device": str(whole.device),
        "engine": ENGINE_VERSION,
    }

    def read(payload: Payload) -> Plan:
        return Plan.model_validate_json(json.dumps(payload.values))

    if keep:
        payload, _ = whole.store.fetch(KIND, key, lambda: Payload({}, make().to_json()), read)
    else:
        payload = whole.store.get(KIND, key, read) or Payload({}, make().to_json())
    plan = read(payload)
    return Choosing(host, bind, whole.data.name, part, random, tuple(found), failed, plan)


def _measured(host: Host, one: Candidate) -> Recipe:
    """The recipe of ``one`` with at most :data:`NETWORKS` networks a seed."""
    options: Any = one.recipe["evaluator"].options
    repeats = options.model_dump().get("repeats")
    if not isinstance(repeats, int) or repeats <= NETWORKS:
        return one.recipe
    fewer = (*one.request.assignments, (("evaluator", "repeats"), NETWORKS))
    return resolve(host, replace(one.request, assignments=fewer))


def costs_of(pipeline: Pipeline, known: dict[str, float | None]) -> Costs:
    """Estimates of the stages of ``pipeline`` as if none had been worked out.

    Args:
        pipeline: of a candidate.
        known: those made so far, by what they depend on; so that equal work costs the same.
    """
    once: dict[str, float] = {}
    each, unknown = 0.0, False
    for stage in stages(pipeline, baselines=False):
        ways = len(stage.plan.augmentations) if isinstance(stage, EvaluationStage) else 1
        of = [stage.name, ways, pipeline.component_key(stage.component)]
        key = json.dumps(of, sort_keys=True)
        if key not in known:
            cost = stage.cost()
            known[key] = None if cost is None else cost.seconds
        seconds = known[key]
        unknown = unknown or seconds is None
        if stage.name in SHARED:
            once[key] = seconds or 0.0
        else:
            each += seconds or 0.0
    return Costs(once, each, unknown)


def choose(choosing: Choosing, progress: Progress) -> Choice:
    """Try what is planned; the best is chosen if it is better than random beyond noise.

    Raises:
        CondenseError: if random subsets cannot be evaluated. A candidate that fails goes no
            further.
    """
    plan, names = choosing.plan, [one.name for one in choosing.plan.candidates]
    seeds = [rung.seeds for rung in plan.rungs]
    fresh = (now - before for now, before in zip(seeds, (0, *seeds), strict=False))
    total = sum(n * rung.candidates for n, rung in zip(fresh, plan.rungs, strict=True)) + seeds[-1]
    each = [[plan.seconds / total]] * total  # at most; which candidates go on shows later
    with over_all(progress, "choose", total, "run", lambda: each) as task:
        arms = _Arms(choosing, task)
        # those that follow others are measured after them
        names.sort(key=lambda name: bool(arms.by_name[name].follows))
        random = [arms.measure(RANDOM, number) for number in range(seeds[-1])]
        halved = halve(arms.measure, names, plan.rungs)
    rows = [arms.tried(name, halved, random) for name in names]
    # the order of names is kept among equals
    rows.sort(key=lambda row: (row.name != halved.best, -row.rung, -_mean(row)))
    better = halved.best is not None and is_better(rows[0].to_random)
    chosen = arms.by_name[rows[0].name if better else RANDOM]
    own = Halved({RANDOM: random}, {RANDOM: len(plan.rungs)})
    document = ChoiceDocument(
        data=choosing.name,
        ipc=chosen.recipe.budget.ipc,
        fraction=chosen.recipe.budget.fraction,
        seed=chosen.recipe.seed,
        measure=measure_of(chosen.recipe["evaluator"]),
        validation=choosing.held_out,
        plan=plan,
        random=arms.tried(RANDOM, own, random).model_copy(update={"to_random": None}),
        tried=tuple(rows),
        failed=choosing.failed,
        best=halved.best,
        better=better,
        chosen=chosen.name,
    )
    return Choice(document, chosen.request, chosen.recipe)


class _Arms:
    """Random subsets and the candidates by name, measured one seed at a time."""

    def __init__(self, choosing: Choosing, task: Task) -> None:
        self.choosing, self.task = choosing, task
        self.by_name = {one.name: one for one in (choosing.random, *choosing.candidates)}
        self.spent = {name: Spent() for name in self.by_name}
        self.seconds = dict.fromkeys(self.by_name, 0.0)
        self.found: dict[str, list[float]] = {}

    def measure(self, name: str, number: int) -> float:
        """Accuracy of ``name``, 0–1, under seed ``number``, counted from the recipe's."""
        choosing = self.choosing
        if number == 0:
            self._follow(name)
        recipe = _measured(choosing.host, self.by_name[name])
        seeded = replace(recipe, seed=recipe.seed + number)
        pipeline = choosing.bind(seeded, shared_seed=recipe.seed, data=choosing.data)
        if name == RANDOM:
            stage, matched = EvaluationStage(pipeline, random_plan(pipeline)), False
        else:
            stage, matched = pipeline.evaluating, pipeline.matching.needed
        mean = self.spent[name].count(stage, matched).mean
        self.seconds[name] += sum(lap.seconds for lap in pipeline.timings.values())
        self.task.advance(1)
        self.found.setdefault(name, []).append(mean)
        return mean

    def _follow(self, name: str) -> None:
        """Give ``name`` the values of the best candidates so far that it is to follow."""
        one = self.by_name[name]
        for key, method in one.follows.items():
            there = [n for n in self.found if self.by_name[n].recipe.method == method]
            if there:
                best = self.by_name[max(there, key=lambda n: fmean(self.found[n]))].recipe
                stage, _, option = key.partition(".")
                value = getattr(best[stage].options, option)
                one = with_values(self.choosing.host, one, {key: value})
        self.by_name[name] = one

    def tried(self, name: str, halved: Halved, random: Sequence[float]) -> Tried:
        """What was measured of ``name``."""
        accuracies = halved.accuracies[name]
        return Tried(
            name=name,
            values=dict(self.by_name[name].values),
            accuracies=tuple(accuracies),
            accuracy=estimate(accuracies),
            to_random=to_random(accuracies, random, self._seen(name, halved)),
            rung=halved.rungs[name],
            cost=self.spent[name],
            error=halved.errors.get(name),
            seconds=self.seconds[name],
        )

    def _seen(self, name: str, halved: Halved) -> int:
        """Seeds that ``name`` was chosen on, which say nothing of its gain; 0 for all others."""
        return chosen_on(self.choosing.plan.rungs) if name == halved.best else 0


def _mean(row: Tried) -> float:
    return -1.0 if row.accuracy is None else row.accuracy.mean
