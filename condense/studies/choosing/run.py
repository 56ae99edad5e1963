"""Choosing a method on a validation part of the training split, never on the test split."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch

from condense.data import LabeledData
from condense.engine.arms import measure_of, random_plan
from condense.engine.graph import all_within, stages
from condense.engine.ingest.holdout import HeldOutOf, validation_part
from condense.engine.jobs.driver import Crew, Target
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import over_all
from condense.engine.runtime.store import Payload
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.stages.stage import ENGINE_VERSION, SHARED
from condense.errors import CondenseError, OptionError
from condense.interfaces import Progress, Task
from condense.kinds import RANDOM
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.results import Evaluation
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
from condense.studies.choosing.halving import (
    Halved,
    chosen_on,
    halve,
    is_better,
    to_random,
    with_rows,
)
from condense.studies.choosing.result import Choice, ChoiceDocument, Tried
from condense.studies.statistics import estimate_shares
from condense.studies.suited import suited
from condense.studies.tuning.result import Spent
from condense.studies.validation import HeldOut

HELD_OUT = 0.2  # share of every class, where all seeds hold out the same
ENOUGH = 1000  # samples of such a part; fewer judge too roughly, and every seed holds out its own
KIND = "choices"  # folder in the store


@dataclass(frozen=True)
class Choosing:
    """A choice that is planned.

    Attributes:
        host, bind: what recipes are looked up and bound with.
        whole: the training split to choose for.
        random: random subsets, which anything else must be better than.
        candidates: all there are.
        failed: methods without a candidate, and why.
        plan: which of the candidates are tried, and how.
    """

    host: Host
    bind: Bind
    whole: LabeledData
    random: Candidate
    candidates: tuple[Candidate, ...]
    failed: dict[str, str]
    plan: Plan

    def part(self, number: int) -> LabeledData:
        """What the seed ``number`` condenses; what it holds out is in the test split's place.

        A seed's own part brings in the chance of which samples are held out, and of what scores,
        experts and selection make of the others, beside that of the seed.
        """
        return self.division(number).of(self.whole)

    def division(self, number: int) -> HeldOutOf:
        """How :meth:`part` divides the data."""
        folds = self.plan.folds
        return HeldOutOf(HELD_OUT, self.random.recipe.seed, number % folds, folds)

    def bound(self, one: Candidate, number: int) -> Pipeline:
        """The stages of ``one`` under the seed ``number``, counted from the recipe's."""
        recipe = _measured(self.host, one)
        seeded = replace(recipe, seed=recipe.seed + number)
        shared = recipe.seed if self.plan.folds == 1 else None
        return self.bind(seeded, shared_seed=shared, data=self.part(number))

    @property
    def held_out(self) -> HeldOut:
        """How many samples either side of the part has, the first of several."""
        share = HELD_OUT if self.plan.folds == 1 else 1 / self.plan.folds
        return HeldOut.of(share, self.part(0))


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

    assert part.test is not None
    folded = len(part.test) < ENOUGH

    def bound(one: Candidate) -> Pipeline:
        return bind(_measured(host, one), shared_seed=seed, data=part)

    def make() -> Plan:
        draws = bound(random)
        cost = EvaluationStage(draws, random_plan(draws)).cost()
        known: dict[str, float | None] = {}
        costs = {}
        for one in found:
            try:
                costs[one.name] = costs_of(bound(one), known)
            except Exception:  # noqa: BLE001 – said when it is tried
                costs[one.name] = Costs({}, 0.0, unknown=True)
        samples = len(whole.data) if folded else None
        return make_plan(minutes, costs, cost.seconds if cost else 0.0, samples)

    key = {
        "minutes": minutes,
        "recipes": [_measured(host, one).portable() for one in (random, *found)],
        "data": part.fingerprint,
        "folded": folded,
        "device": str(whole.device),
        "engine": ENGINE_VERSION,
    }

    def read(payload: Payload) -> Plan:
        return Plan.model_validate_json(json.dumps(payload.values))

    if keep:
        payload, _ = whole.store.fetch(KIND, key, lambda: Payload({}, make().timed()), read)
    else:
        payload = whole.store.get(KIND, key, read) or Payload({}, make().timed())
    plan = read(payload)
    made = Choosing(host, bind, whole.data, random, tuple(found), failed, plan)
    for number in range(plan.folds):
        random.recipe.budget.counts(made.part(number))
    return made


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


def choose(choosing: Choosing, progress: Progress, crew: Crew | None = None) -> Choice:
    """Try what is planned; the best is chosen if it is better than random beyond noise.

    Args:
        choosing: what is planned.
        progress: where it is told.
        crew: works the stages off elsewhere, a rung at a time; None works them off here.

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
        arms = _Arms(choosing, task, crew)
        # those that follow others are measured after them
        names.sort(key=lambda name: bool(arms.by_name[name].follows))
        arms.prepare([(RANDOM, number) for number in range(seeds[-1])])
        random = [arms.measure(RANDOM, number) for number in range(seeds[-1])]
        halved = halve(arms.measure, names, plan.rungs, arms.prepare)
    rows = [arms.tried(name, halved, random) for name in names]
    # the order of names is kept among equals
    rows.sort(key=lambda row: (row.name != halved.best, -row.rung, -_mean(row)))
    better = halved.best is not None and is_better(rows[0].to_random)
    chosen = arms.by_name[rows[0].name if better else RANDOM]
    own = Halved({RANDOM: random}, {RANDOM: len(plan.rungs)})
    document = ChoiceDocument(
        data=choosing.whole.name,
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

    def __init__(self, choosing: Choosing, task: Task, crew: Crew | None) -> None:
        self.choosing, self.task, self.crew = choosing, task, crew
        self.errors: dict[tuple[str, int], str] = {}  # of jobs
        self.ready: set[str] = set()  # those that follow others, once they have their values
        self.by_name = {one.name: one for one in (choosing.random, *choosing.candidates)}
        self.spent = {name: Spent() for name in self.by_name}
        self.seconds = dict.fromkeys(self.by_name, 0.0)
        self.found: dict[str, list[Evaluation]] = {}

    def prepare(self, pairs: Sequence[tuple[str, int]]) -> None:
        """Have the crew store all that ``pairs`` of names and seeds come to.

        Those that follow others are prepared when these have been measured, in their turn.
        """
        if self.crew is None:
            return
        targets = {}
        for name, number in pairs:
            if self.by_name[name].follows and name not in self.ready:
                continue
            pipeline = self.choosing.bound(self.by_name[name], number)
            todo = stages(pipeline, baselines=False)
            if name == RANDOM:
                last = EvaluationStage(pipeline, random_plan(pipeline))
                todo = all_within([pipeline.teaching, last])
            targets[name, number] = Target(pipeline, todo, self.choosing.division(number))
        self.errors |= self.crew.work_off(targets)

    def measure(self, name: str, number: int) -> float:
        """Accuracy of ``name``, 0–1, under seed ``number``, counted from the recipe's.

        Raises:
            CondenseError: for whatever goes wrong with it.
        """
        choosing = self.choosing
        if number == 0:
            self._follow(name)
        if (name, number) in self.errors:
            raise CondenseError(self.errors[name, number])
        pipeline = choosing.bound(self.by_name[name], number)
        if name == RANDOM:
            stage, matched = EvaluationStage(pipeline, random_plan(pipeline)), False
        else:
            stage, matched = pipeline.evaluating, pipeline.matching.needed
        found = self.spent[name].count(stage, matched)
        self.seconds[name] += sum(lap.seconds for lap in pipeline.timings.values())
        self.task.advance(1)
        self.found.setdefault(name, []).append(found)
        return found.mean

    def _follow(self, name: str) -> None:
        """Give ``name`` the values of the best candidates so far that it is to follow."""
        one = self.by_name[name]
        for key, method in one.follows.items():
            there = [n for n in self.found if self.by_name[n].recipe.method == method]
            if there:
                best = self.by_name[max(there, key=self._mean)].recipe
                stage, _, option = key.partition(".")
                value = getattr(best[stage].options, option)
                one = with_values(self.choosing.host, one, {key: value})
        self.by_name[name] = one
        if one.follows:
            self.ready.add(name)
            rung = self.choosing.plan.rungs[0]
            self.prepare([(name, number) for number in range(rung.seeds)])

    def tried(self, name: str, halved: Halved, random: Sequence[float]) -> Tried:
        """What was measured of ``name``."""
        accuracies, after = halved.accuracies[name], self._seen(name, halved)
        gain = to_random(accuracies, random, after)
        if gain is not None:
            gain = with_rows(gain, self._rows(name, after), len(halved.accuracies))
        return Tried(
            name=name,
            values=dict(self.by_name[name].values),
            accuracies=tuple(accuracies),
            accuracy=estimate_shares(accuracies),
            to_random=gain,
            rung=halved.rungs[name],
            cost=self.spent[name],
            error=halved.errors.get(name),
            seconds=self.seconds[name],
        )

    def _mean(self, name: str) -> float:
        return fmean(each.mean for each in self.found[name])

    def _rows(self, name: str, after: int) -> list[float]:
        """The gain of ``name`` on each held-out sample that all seeds have in common, mean over the
        seeds from ``after`` on; none where they have none, or the evaluator does not say."""
        pairs = list(zip(self.found.get(name, []), self.found[RANDOM], strict=False))[after:]
        gains = [
            own.right - base.right
            for own, base in pairs
            if own.right is not None and base.right is not None
        ]
        if self.choosing.plan.folds > 1 or not gains or len(gains) < len(pairs):
            return []
        mean: list[float] = torch.stack(gains).double().mean(0).tolist()
        return mean

    def _seen(self, name: str, halved: Halved) -> int:
        """Seeds that ``name`` was chosen on, which say nothing of its gain; 0 for all others."""
        return chosen_on(self.choosing.plan.rungs) if name == halved.best else 0


def _mean(row: Tried) -> float:
    return -1.0 if row.accuracy is None else row.accuracy.mean
