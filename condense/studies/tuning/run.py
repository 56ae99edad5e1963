"""Tuning an option on a validation part of the training split, never on the test split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from condense.data import LabeledData
from condense.engine.ingest.holdout import validation_part
from condense.engine.training.ranking import rank_correlation
from condense.errors import CondenseError
from condense.interfaces import Progress
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.studies.ablation.design import Cell
from condense.studies.ablation.run import Bind
from condense.studies.tuning.curve import ahead, apart, plateau, shape
from condense.studies.tuning.guess import Guess
from condense.studies.tuning.objective import (
    PLACES,
    Cost,
    Objective,
    declared_range,
    real_option,
    shortened,
    training_steps,
    with_options,
)
from condense.studies.tuning.result import Arm, Guessed, Row, Stage, Tuning, Values
from condense.studies.tuning.sampling import SAMPLERS, sample
from condense.studies.tuning.search import (
    DONE,
    Evaluate,
    Search,
    climb,
    golden_section,
    spaced,
    sweep,
)
from condense.studies.tuning.settings import Settings

GUESSES = 40  # places of the guessed curve


def tune(
    host: Host,
    base: Recipe,
    cells: Sequence[Cell],
    settings: Settings,
    bind: Bind,
    progress: Progress,
    observe: Callable[[Arm], None] = lambda arm: None,
) -> Tuning:
    """Tune every recipe of ``cells``; what goes wrong in one of several is kept in its arm.

    Args:
        host: what components are looked up in.
        base: the recipe that nothing was swapped in.
        cells: recipes to tune; one that could not be resolved is an arm with its error.
        settings: how.
        bind: makes a pipeline.
        progress: where the whole and each training report.
        observe: called after every arm.

    Raises:
        CondenseError: before any work for settings or data that do not suit; if the only recipe
            fails.
    """
    settings.check()
    for key in dict.fromkeys(key for cell in cells for key in cell.values):
        settings.check_over(key, [cell.values[key] for cell in cells if key in cell.values])
    whole = bind(base)
    store = whole.store
    misses = store.misses
    part = validation_part(whole.data, settings.validation, base.seed)
    base.budget.counts(part)
    assert part.test is not None
    result = Tuning(base, settings, whole.data.name, (len(part), len(part.test)))
    with progress.task("tune", len(cells), "recipe") as task:
        for cell in cells:
            shared = cell.recipe is None or cell.recipe["data"].identity == base["data"].identity
            own = part if shared else None
            arm = _arm(host, cell, own, settings, bind, alone=len(cells) == 1)
            arms = (*result.arms, arm)
            result = replace(result, arms=arms, computed=store.misses - misses)
            observe(arm)
            task.advance(1)
    return result


def _arm(
    host: Host, cell: Cell, part: LabeledData | None, settings: Settings, bind: Bind, alone: bool
) -> Arm:
    """The cell tuned on ``part``, or on that of its own data where it is None."""
    arm = Arm(cell.name, cell.values, cell.recipe, error=cell.error)
    if cell.recipe is None:
        return arm
    try:
        if part is None:
            whole = bind(cell.recipe).data
            part = validation_part(whole, settings.validation, cell.recipe.seed)
        return _tuned(host, arm, cell.recipe, part, settings, bind)
    except CondenseError as error:
        if alone:
            raise
        return replace(arm, error=" ".join(str(error).split()))


def _tuned(
    host: Host, arm: Arm, recipe: Recipe, data: LabeledData, settings: Settings, bind: Bind
) -> Arm:
    """``arm`` with its searches done."""
    size = sum(recipe.budget.counts(data))
    s = settings
    # before the evaluator is touched, so that a misspelt option is what is complained about
    real_option(recipe, s.key)
    if s.also is not None:
        declared_range(recipe, s.also)
    short = shortened(host, recipe, size, s.share, s.steps, s.repeats)
    objective = Objective(bind, host, short, data)
    if s.also is not None and s.sampler in SAMPLERS:
        stages = [_jointly(objective, (s.key, s.also), s)]
    else:
        whole = shortened(host, recipe, size, 1.0, None, s.repeats)
        full = Objective(bind, host, whole, data) if whole.to_dict() != short.to_dict() else None
        stages = [_first(objective, full, s)]
        if s.also is not None:
            found = with_options(host, short, {s.key: stages[0].best.values[0]})
            stages.append(_second(Objective(bind, host, found, data), s.also, s))
    arm = replace(arm, stages=tuple(stages))
    return replace(
        arm,
        tuned=with_options(host, recipe, arm.found),
        steps=training_steps(short, size),
        whole_steps=training_steps(recipe, size),
    )


def _first(objective: Objective, full: Objective | None, s: Settings) -> Stage:
    """The search over ``s.key`` with selections alone, its finals by ``full``."""
    low, high = objective.range_of(s.key, s.bounds)

    def accuracy(value: float, number: int) -> float:
        return objective.selected({s.key: value}, number)

    if s.grid is not None:
        search = sweep(accuracy, spaced(low, high, s.grid, PLACES), s.seeds)
    elif s.sampler in SAMPLERS:
        search = _sampled(objective, s, accuracy, (low, high))
    else:
        search = golden_section(
            accuracy,
            low,
            high,
            tolerance=s.tolerance,
            seeds=s.seeds,
            most=s.most,
            scan=s.scan,
            places=PLACES,
        )
    stage = _stage(s.key, False, (low, high), search, objective.cost)
    if full is not None and s.finals and s.grid is None:
        stage = _decided(full, stage, s)
    return _guessed(objective, s.key, stage)


def _decided(full: Objective, stage: Stage, s: Settings) -> Stage:
    """``stage`` with its best places evaluated at full length.

    That turns their order only beyond noise: the highest of the finals wins if it is ahead of the
    highest of the short trainings, by their paired standard error.
    """
    points = [row.point for row in stage.rows]
    finals = []
    for point in sorted(apart(points, s.finals, s.tolerance / 2), key=lambda p: p.at):
        found = tuple(full.selected({s.key: point.at}, number) for number in range(s.seeds))
        finals.append(Row((point.at,), found))
    won = max(finals, key=lambda row: row.point.mean)
    leader = next(row for row in finals if row.values == stage.best.values)
    won = won if ahead(won.point, leader.point) > 0 else leader
    best = next(row for row in stage.rows if row.values == won.values)
    width = plateau(points, best.point)
    cost = stage.cost.plus(full.cost)
    return replace(stage, best=best, plateau=width, cost=cost, finals=tuple(finals))


def _second(objective: Objective, key: str, s: Settings) -> Stage:
    """The search over ``key`` around its present value, with matching."""
    low, high = declared_range(objective.recipe, key)
    stage, _, name = key.partition(".")
    start = float(getattr(objective.recipe[stage].options, name))

    def accuracy(value: float, number: int) -> float:
        return objective.matched({key: value}, number)

    search = climb(accuracy, start, s.step, low, high, seeds=s.seeds, most=s.most, places=PLACES)
    return _stage(key, True, (low, high), search, objective.cost)


def _sampled(
    objective: Objective, s: Settings, accuracy: Evaluate, ends: tuple[float, float]
) -> Search:
    """The places that an Optuna sampler tries."""
    found: dict[tuple[float, int], float] = {}

    def remembered(value: float, number: int) -> float:
        if (value, number) not in found:
            found[value, number] = accuracy(value, number)
        return found[value, number]

    def mean(values: Values) -> float:
        return sum(remembered(values[0], number) for number in range(s.seeds)) / s.seeds

    sample(mean, [ends], s.sampler, s.trials, objective.recipe.seed, PLACES)
    return sweep(remembered, sorted({value for value, _ in found}), s.seeds)


def _jointly(objective: Objective, keys: tuple[str, str], s: Settings) -> Stage:
    """Both keys by an Optuna sampler, with matching."""
    ranges = (objective.range_of(keys[0], s.bounds), declared_range(objective.recipe, keys[1]))
    rows: dict[Values, Row] = {}

    def mean(values: Values) -> float:
        if values not in rows:
            named = dict(zip(keys, values, strict=True))
            found = tuple(objective.matched(named, number) for number in range(s.seeds))
            rows[values] = Row(values, found)
        return rows[values].point.mean

    sample(mean, ranges, s.sampler, s.trials, objective.recipe.seed, PLACES)
    best = max(rows.values(), key=lambda row: row.point.mean)
    ordered = tuple(rows[values] for values in sorted(rows))
    return Stage(keys, True, ranges, ordered, best, None, None, DONE, objective.cost)


def _stage(key: str, matched: bool, ends: tuple[float, float], search: Search, cost: Cost) -> Stage:
    rows = tuple(Row((point.at,), point.values) for point in search.points)
    best = next(row for row in rows if row.values[0] == search.best.at)
    width = plateau(search.points, search.best)
    form = shape(search.points)
    return Stage((key,), matched, (ends,), rows, best, width, form, search.stop, cost)


def _guessed(objective: Objective, key: str, stage: Stage) -> Stage:
    """``stage`` with the training-free curve, and its guess of every row."""
    guess = Guess(objective.data)
    found: dict[float, float] = {}

    def at(value: float) -> float:
        if value not in found:
            found[value] = guess.accuracy(objective.select({key: value}))
        return found[value]

    low, high = stage.ranges[0]
    rows = tuple(replace(row, guess=at(row.values[0])) for row in stage.rows)
    for value in spaced(low, high, GUESSES, PLACES):
        at(value)
    curve = tuple(sorted(found.items()))
    trained = torch.tensor([row.point.mean for row in rows])
    agreement = rank_correlation(torch.tensor([row.guess for row in rows]), trained)
    best = max(curve, key=lambda pair: pair[1])[0]
    chosen = next(row for row in rows if row.values == stage.best.values)
    return replace(stage, rows=rows, best=chosen, guessed=Guessed(curve, best, agreement))
