"""Tuning options on a validation part of the training split, never on the test split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from condense.data import LabeledData
from condense.engine.ingest.holdout import validation_part
from condense.engine.pipeline import Pipeline
from condense.errors import CondenseError
from condense.interfaces import Progress
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.studies.ablation.design import Cell
from condense.studies.ablation.run import Bind
from condense.studies.tuning.objective import (
    Objective,
    declared_range,
    option_value,
    real_option,
    shortened,
    training_steps,
    with_options,
)
from condense.studies.tuning.result import HeldOut, Spent, TunedRecipe, Tuning, TuningDocument
from condense.studies.tuning.search import search
from condense.studies.tuning.settings import Settings


@dataclass(frozen=True)
class _Bench:
    """What all recipes are tuned with."""

    settings: Settings
    host: Host
    bind: Bind

    def part(self, whole: Pipeline) -> LabeledData:
        """The samples to condense, those held out in the place of their test split."""
        return validation_part(whole.data, self.settings.validation, whole.recipe.seed)


def tune(
    host: Host,
    base: Recipe,
    cells: Sequence[Cell],
    settings: Settings,
    bind: Bind,
    progress: Progress,
    observe: Callable[[TunedRecipe], None] = lambda arm: None,
) -> Tuning:
    """Tune every recipe of ``cells``; what goes wrong in one of several is kept beside its name.

    Args:
        host: what components are looked up in.
        base: the recipe that nothing was swapped in.
        cells: recipes to tune; one that could not be resolved keeps its error.
        settings: how.
        bind: makes a pipeline.
        progress: where the whole and each training report.
        observe: called after every recipe.

    Raises:
        CondenseError: before any work for settings or data that do not suit; if the only recipe
            fails.
    """
    settings.check()
    for key in dict.fromkeys(key for cell in cells for key in cell.values):
        settings.check_over(key, [cell.values[key] for cell in cells if key in cell.values])
    bench, whole = _Bench(settings, host, bind), bind(base)
    misses = whole.store.misses
    part = bench.part(whole)
    base.budget.counts(part)
    arms: list[TunedRecipe] = []
    with progress.task("tune", len(cells), "recipe") as task:
        for cell in cells:
            shared = cell.recipe is None or cell.recipe["data"].identity == base["data"].identity
            own = part if shared else None
            arms.append(_tuned_or_error(bench, cell, own, alone=len(cells) == 1))
            observe(arms[-1])
            task.advance(1)
    document = _document(base, settings, whole.data.name, part, arms)
    top = document.top
    chosen = None if top is None else cells[arms.index(top)].recipe
    if top is None or chosen is None:
        return Tuning(document, None, whole.store.misses - misses)
    recipe = with_options(host, chosen, top.found)
    document = document.model_copy(update={"recipe": recipe.portable()})
    return Tuning(document, recipe, whole.store.misses - misses)


def _document(
    base: Recipe, settings: Settings, data: str, part: LabeledData, arms: Sequence[TunedRecipe]
) -> TuningDocument:
    held_out = 0 if part.test is None else len(part.test)
    return TuningDocument(
        method=base.method,
        data=data,
        ipc=base.budget.ipc,
        fraction=base.budget.fraction,
        seed=base.seed,
        key=settings.key,
        also=settings.also,
        finals=settings.finals,
        seeds=settings.seeds,
        max_seeds=settings.most,
        repeats=settings.repeats,
        validation=HeldOut(share=settings.validation, fit=len(part), held_out=held_out),
        arms=tuple(arms),
    )


def _tuned_or_error(
    bench: _Bench, cell: Cell, part: LabeledData | None, alone: bool
) -> TunedRecipe:
    """The cell tuned on ``part``, or on that of its own data where it is None."""
    error = cell.error
    if cell.recipe is not None:
        try:
            own = bench.part(bench.bind(cell.recipe)) if part is None else part
            return _tuned(bench, cell, cell.recipe, own)
        except CondenseError as caught:
            if alone:
                raise
            error = " ".join(str(caught).split())
    return TunedRecipe(name=cell.name, values=dict(cell.values), error=error)


def _tuned(bench: _Bench, cell: Cell, recipe: Recipe, data: LabeledData) -> TunedRecipe:
    """The best options of ``recipe``, that of ``cell``."""
    s, host = bench.settings, bench.host
    size = sum(recipe.budget.counts(data))
    # before the evaluator is touched, so that a misspelt option is what is complained about
    real_option(recipe, s.key)
    others = [declared_range(recipe, key) for key in s.also]
    spent = Spent()

    def objective(of: Recipe, keys: Sequence[str] = s.keys) -> Objective:
        return Objective(bench.bind, host, of, data, keys, s.matched, spent)

    short, whole = (shortened(host, recipe, size, share, s.repeats) for share in (s.share, 1.0))
    ranges = (objective(short, (s.key,)).range_of(s.bounds), *others)
    full = objective(whole) if s.finals and whole.to_dict() != short.to_dict() else None
    start = tuple(option_value(recipe, key) for key in s.keys)
    found = search(objective(short), full, ranges, start, s, recipe.seed)
    return TunedRecipe(
        name=cell.name,
        values=dict(cell.values),
        steps=training_steps(short, size),
        whole_steps=training_steps(recipe, size),
        stages=(found,),
        cost=spent,
    )
