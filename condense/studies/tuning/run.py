"""Tuning options on a validation part of the training split, never on the test split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from condense.data import LabeledData
from condense.engine.ingest.holdout import validation_part
from condense.engine.jobs.driver import Crew
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import over_all
from condense.errors import message_of
from condense.interfaces import Progress
from condense.places import without_home
from condense.plugin.host import Host
from condense.reading import in_one_line
from condense.recipe import Recipe
from condense.studies.binding import Bind
from condense.studies.tuning import objective as objectives
from condense.studies.tuning.planning import Count, TuningPlan, TuningPlanner
from condense.studies.tuning.result import Spent, TunedRecipe, Tuning, TuningDocument, Values
from condense.studies.tuning.search import Evaluations, search
from condense.studies.tuning.settings import Settings
from condense.studies.validation import HeldOut, held_out_of


def tune(
    host: Host,
    base: Recipe,
    settings: Settings,
    bind: Bind,
    progress: Progress,
    recipes: Mapping[str, Recipe] | None = None,
    crew: Crew | None = None,
) -> Tuning:
    """Tune ``base``, or every one of ``recipes``; what fails among several keeps its error.

    Args:
        host: what components are looked up in.
        base: the recipe that nothing was swapped in.
        settings: how.
        bind: makes a pipeline.
        progress: where the whole and each training report.
        recipes: ``base`` with each value of ``settings.over`` swapped in.
        crew: works the stages off elsewhere; None works them off here.

    Raises:
        CondenseError: before any work for settings or data that do not suit; if the only recipe
            fails.
    """
    given = {"": base} if recipes is None else recipes
    settings.check(tuple(given))
    bench, whole = _Bench(host, bind, settings, crew), bind(base)
    misses = whole.store.misses
    part = bench.part(whole)
    base.budget.counts(part)
    document = TuningDocument(
        **settings.model_dump(),
        method=base.method,
        data=whole.data.name,
        ipc=base.budget.ipc,
        fraction=base.budget.fraction,
        seed=base.seed,
        validation=HeldOut.of(settings.held_out, part),
        arms=tuple(_all_tuned(bench, given, base, part, progress)),
    )
    best, tuned = document.top, None
    if best is not None:
        chosen = list(given.values())[document.arms.index(best)]
        tuned = objectives.with_options(host, chosen, best.found)
        document = document.model_copy(update={"recipe": tuned.portable(whole.data.name)})
    return Tuning(document, tuned, whole.store.misses - misses)


def _all_tuned(
    bench: _Bench,
    recipes: Mapping[str, Recipe],
    base: Recipe,
    part: LabeledData,
    progress: Progress,
) -> Iterator[TunedRecipe]:
    """Every one of ``recipes``, on ``part`` or on its own data where these are not the base's."""
    over = bench.settings.over
    units = len(recipes) * bench.units
    with over_all(
        progress, "tune", units, "training", lambda: _planned(bench, recipes, base, part).parts
    ) as task:
        for value, recipe in recipes.items():
            values = {} if over is None else {over: without_home(value)}
            count = Count(task, bench.units)
            try:
                own = bench.data_of(recipe, base, part)
                yield bench.tuned(values, recipe, own, count)
            except Exception as error:
                if len(recipes) == 1:
                    raise
                message = without_home(message_of(error))
                failed = TunedRecipe(values=values, error=message)
                progress.note(f"{failed.name} failed: {failed.error}")
                yield failed
            count.end()


def plan_tuning(
    host: Host,
    base: Recipe,
    settings: Settings,
    bind: Bind,
    recipes: Mapping[str, Recipe] | None = None,
) -> TuningPlan:
    """What :func:`tune` would take, with its arguments; nothing is stored.

    Raises:
        CondenseError: as :func:`tune` does. A recipe among several that cannot be planned is named.
    """
    given = {"": base} if recipes is None else recipes
    settings.check(tuple(given))
    bench = _Bench(host, bind, settings)
    part = bench.part(bind(base))
    base.budget.counts(part)
    return _planned(bench, given, base, part, alone=len(given) == 1)


def _planned(
    bench: _Bench,
    recipes: Mapping[str, Recipe],
    base: Recipe,
    part: LabeledData,
    alone: bool = False,
) -> TuningPlan:
    """All of ``recipes``; an error of one is raised if it is ``alone``."""
    planner = TuningPlanner(bench.settings)
    for value, recipe in recipes.items():
        try:
            planner.add(value, *bench.objectives(recipe, bench.data_of(recipe, base, part)))
        except Exception as error:
            if alone:
                raise
            planner.fail(value, in_one_line(error))
    return planner.plan()


@dataclass(frozen=True)
class _Bench:
    """What all recipes are tuned with."""

    host: Host
    bind: Bind
    settings: Settings
    crew: Crew | None = None

    def part(self, whole: Pipeline) -> LabeledData:
        """The samples to condense, those held out in the place of their test split."""
        return validation_part(whole.data, self.settings.held_out, whole.recipe.seed)

    @property
    def units(self) -> int:
        """Evaluations that are thought of for a recipe."""
        s = self.settings
        return Evaluations.short(s).likely + Evaluations.full(s).likely

    def data_of(self, recipe: Recipe, base: Recipe, part: LabeledData) -> LabeledData:
        """``part``, that of ``base``, or another where ``recipe`` has data of its own."""
        same = recipe["data"].identity == base["data"].identity
        return part if same else self.part(self.bind(recipe))

    def objectives(
        self, recipe: Recipe, data: LabeledData
    ) -> tuple[Values, objectives.Objective, objectives.Objective | None]:
        """Where the options of ``recipe`` stand, and it with short and with full trainings.

        Without the latter where there are no finals.
        """
        s, host, size = self.settings, self.host, sum(recipe.budget.counts(data))
        # before the evaluator is touched, so that a misspelt option is what is complained about
        start = tuple(objectives.option_value(recipe, key) for key in s.keys)
        short, whole = (
            objectives.shortened(host, recipe, size, share, s.repeats) for share in (s.share, 1.0)
        )
        spent = Spent()

        def objective(of: Recipe) -> objectives.Objective:
            part = held_out_of(s.held_out, of.seed)
            own = (self.bind, host, of, data, s.keys, s.matched, spent, self.crew, part)
            return objectives.Objective(*own)

        full = objective(whole) if s.finals and whole.to_dict() != short.to_dict() else None
        return start, objective(short), full

    def tuned(
        self, values: dict[str, str], recipe: Recipe, data: LabeledData, count: Count
    ) -> TunedRecipe:
        """The best options of ``recipe`` on ``data``; ``count`` counts evaluations."""
        s, size = self.settings, sum(recipe.budget.counts(data))
        start, short, full = self.objectives(recipe, data)
        short.prepare_scores(start)
        others = [objectives.declared_range(recipe, key) for key in s.also]
        first = replace(short, keys=s.keys[:1])
        ranges = (first.range_of(s.bounds), *others)
        counted = count.phase(short, Evaluations.short(s).likely)
        finals = None if full is None else count.phase(full, Evaluations.full(s).likely)
        ahead = (short.prepare, short.prepare if full is None else full.prepare)
        found = search(counted, finals, ranges, start, s, recipe.seed, *ahead)
        return TunedRecipe(
            values=values,
            steps=objectives.training_steps(short.recipe, size),
            whole_steps=objectives.training_steps(recipe, size),
            stages=(found,),
            cost=short.spent,
        )
