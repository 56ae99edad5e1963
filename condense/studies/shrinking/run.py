"""Measuring sizes on a held-out part, and at the end the answer on the test split, once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from condense.engine.arms import whole_plan
from condense.engine.graph import all_within, stages
from condense.engine.ingest.holdout import HeldOutOf, fold_mask
from condense.engine.jobs.driver import Crew, Target
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import over_all
from condense.engine.runtime.rng import Seed
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.stages.stage import Stage
from condense.errors import CondenseError, OptionError, message_of
from condense.interfaces import Evaluation, Progress, Task
from condense.kinds import RANDOM, WHOLE
from condense.results import Budget
from condense.studies.binding import Bind
from condense.studies.methods.result import samples_bytes, set_bytes
from condense.studies.planning import Planner, StudyPlan
from condense.studies.shrinking.design import ALL, FOLDS, LEFT, Shrinking, fraction_of, sizes_of
from condense.studies.shrinking.final import final_pipeline, final_stages
from condense.studies.shrinking.result import CurvePoint, Shrunk
from condense.studies.shrinking.search import Bar, Curve, Found, sizes_found, wanted
from condense.studies.shrinking.sizes import Draws, Floats, training_spread

SIZES = 4  # of a method, as a rule, for the time left


@dataclass(frozen=True)
class Cell:
    """A method, or the whole, at a size."""

    method: str
    fraction: float


def shrink(
    shrinking: Shrinking,
    bind: Bind,
    progress: Progress,
    observe: Callable[[Shrunk], None] = lambda so_far: None,
    crew: Crew | None = None,
) -> Shrunk:
    """Find the smallest size that keeps enough, on the held-out part; the test split is not read.

    Each stage is looked up in the store first: a second or interrupted call re-uses all that was
    finished.

    Args:
        shrinking: what to do.
        bind: makes a pipeline.
        progress: where the whole and each training report.
        observe: called with the result so far after every round of sizes.
        crew: works the stages off elsewhere; None works them off here.

    Raises:
        CondenseError: for data or an evaluator that do not suit, or if random subsets fail. A
            size that fails for a method is left out, and why is kept.
    """
    bench = _Bench(shrinking, bind, progress, crew)
    units = bench.units
    with over_all(progress, "shrink", units, "training", lambda: bench.plan().parts) as task:
        bench.task = task
        bench.search(observe)
        task.advance(max(0, units - bench.done))
    return bench.shrunk


def plan_shrinking(shrinking: Shrinking, bind: Bind, progress: Progress) -> StudyPlan:
    """What :func:`shrink` and the test would take with :data:`SIZES` sizes a method."""
    return _Bench(shrinking, bind, progress, None).plan()


@dataclass
class _Bench:
    """Measures cells, all seeds of each, and keeps the result so far."""

    shrinking: Shrinking
    bind: Bind
    progress: Progress
    crew: Crew | None
    task: Task | None = None
    done: int = 0
    right: dict[Cell, dict[int, Floats]] = field(default_factory=dict)  # in all draws, by seed
    made: dict[Cell, list[tuple[float | None, int]]] = field(default_factory=dict)
    failed: dict[Cell, str] = field(default_factory=dict)  # and why

    def __post_init__(self) -> None:
        asked = self.shrinking
        self.data = self.bind(asked.base).data
        numbers = [place % FOLDS for place in range(len(self.seeds))]
        where = {n: HeldOutOf(1 / FOLDS, asked.base.seed, n, FOLDS) for n in set(numbers)}
        parts = {n: one.of(self.data) for n, one in where.items()}
        self.parts = {seed: parts[n] for seed, n in zip(self.seeds, numbers, strict=True)}
        self.where = {seed: where[n] for seed, n in zip(self.seeds, numbers, strict=True)}
        self.size = round(fmean(map(len, self.parts.values())))
        self.fractions = sizes_of(self.parts[self.seeds[0]], asked.max_fraction / LEFT)
        self.totals = [
            fmean(sum(Budget(fraction=f).counts(part)) for part in self.parts.values())
            for f in self.fractions
        ]
        masks = [fold_mask(self.data, n, FOLDS, asked.base.seed).numpy() for n in numbers]
        self.draws = Draws.of(
            self.data.labels.numpy(),
            [np.flatnonzero(mask) for mask in masks],
            asked.metric,
            np.random.default_rng(Seed(asked.base.seed).fork("shrink").value),
        )
        self.whole, self.less = Cell(WHOLE, ALL), Cell(RANDOM, LEFT)
        self.found: Found | None = None
        self.curves: dict[str, Curve] = {}

    @property
    def seeds(self) -> Sequence[int]:
        return self.shrinking.measured.seeds

    @property
    def units(self) -> int:
        """Networks that are thought of."""
        return len(self.seeds) * (2 + SIZES * len(self.shrinking.methods)) + 2

    # ---- the search ---------------------------------------------------------------------------

    def search(self, observe: Callable[[Shrunk], None]) -> None:
        """Measure what is needed."""
        self.measure([self.whole, self.less])
        start = self._start()
        next_ones = {m: sorted({max(0, start - 2), start}) for m in self.shrinking.methods}
        while next_ones:
            self.measure([Cell(m, self.fractions[p]) for m, own in next_ones.items() for p in own])
            self._fit()
            assert self.found is not None
            observe(self.shrunk)
            next_ones = wanted(self.curves, self.totals, self.found, self._closed)
            next_ones |= self._further(start)

    def _further(self, start: int) -> dict[str, list[int]]:
        """Of methods that failed at both sizes that were tried first: one on either side."""
        beside = {max(0, start - 4), min(len(self.fractions) - 1, start + 2)}
        without = {m: own for m, own in self._closed.items() if m not in self.curves}
        return {m: sorted(beside - own) for m, own in without.items() if beside - own}

    def _start(self) -> int:
        """Where to look first: about where a random subset of the first seed is good enough."""
        seed, low, high = self.seeds[0], 0, len(self.fractions) - 1
        keep = self.shrinking.keep
        while high - low > 2:
            middle = (low + high) // 2
            cell = Cell(RANDOM, self.fractions[middle])
            self.measure([cell], [seed])
            random, whole = (self.right[one][seed][0] for one in (cell, self.whole))
            low, high = (low, middle) if random >= keep * whole else (middle, high)
        return high

    def _fit(self) -> None:
        """Curves and sizes out of all cells that every seed has measured."""
        tables = {
            (method, place): self._table(cell)
            for method in self.shrinking.methods
            for place, fraction in enumerate(self.fractions)
            if self._complete(cell := Cell(method, fraction))
        }
        spread = training_spread(np.stack(list(tables.values())))
        spread *= np.sqrt(1 + 1 / len(self.seeds))  # of one more training from the mean of these
        self.curves = {}
        for method in self.shrinking.methods:
            places = tuple(place for name, place in tables if name == method)
            if places:
                means = np.stack([tables[method, place].mean(0) for place in places], 1)
                more = spread * self.draws.more[:, None]
                self.curves[method] = Curve(places, np.clip(means + more, 0, 1))
        self.found = sizes_found(self.curves, self.totals, self.size, self._bar)

    @property
    def _bar(self) -> Bar:
        whole, less = (self._table(cell).mean(0) for cell in (self.whole, self.less))
        return Bar(self.shrinking.keep, whole, less)

    def _complete(self, cell: Cell) -> bool:
        return len(self.right.get(cell, ())) == len(self.seeds)

    def _table(self, cell: Cell) -> Floats:
        """[S, B + 1]."""
        return np.stack([self.right[cell][seed] for seed in self.seeds])

    # ---- measuring ----------------------------------------------------------------------------

    def measure(self, cells: Sequence[Cell], seeds: Sequence[int] | None = None) -> None:
        """``cells`` under ``seeds``, all by default; one that fails is left out."""
        todo = [
            (cell, seed)
            for seed in seeds or self.seeds
            for cell in cells
            if seed not in self.right.get(cell, ()) and cell not in self.failed
        ]
        failed = self._hand_out(todo)
        for cell, seed in todo:
            if cell in self.failed:
                continue
            try:
                if (cell, seed) in failed:
                    raise CondenseError(failed[cell, seed])
                self._measure(cell, seed)
            except Exception as error:
                if cell.method in (RANDOM, WHOLE):
                    raise
                self._leave_out(cell, message_of(error))

    def _leave_out(self, cell: Cell, why: str) -> None:
        if (cell.method, why) not in {(one.method, said) for one, said in self.failed.items()}:
            size = round(self.totals[self.fractions.index(cell.fraction)])
            self.progress.note(f"{cell.method} at {size} samples is left out: {why}")
        self.failed[cell] = why

    @property
    def _closed(self) -> dict[str, set[int]]:
        """Places of the sizes that failed, by method."""
        found: dict[str, set[int]] = {method: set() for method in self.shrinking.methods}
        for cell in self.failed:
            found[cell.method].add(self.fractions.index(cell.fraction))
        return found

    @property
    def _errors(self) -> dict[str, str]:
        """Why methods of which no size was measured are left out, and sizes of others."""
        sizes: dict[tuple[str, str], list[int]] = {}
        for method, places in self._closed.items():
            for place in sorted(places):
                why = self.failed[Cell(method, self.fractions[place])]
                sizes.setdefault((method, why), []).append(round(self.totals[place]))
        found: dict[str, str] = {}
        for (method, why), own in sizes.items():
            at = f" at {', '.join(map(str, own))} samples" if method in self.curves else ""
            found.setdefault(f"{method}{at}", why)
        return found

    def _hand_out(self, todo: Iterable[tuple[Cell, int]]) -> dict[tuple[Cell, int], str]:
        if self.crew is None:
            return {}
        targets = {}
        for cell, seed in todo:
            with contextlib.suppress(CondenseError):  # said in its turn
                pipeline = self._bound(cell, seed)
                targets[cell, seed] = Target(
                    pipeline, self._stages(cell, pipeline), self.where[seed]
                )
        return self.crew.work_off(targets)

    def _measure(self, cell: Cell, seed: int) -> None:
        pipeline = self._bound(cell, seed)
        if cell.method != WHOLE:
            with pipeline.store.ledger.work() as making:
                condensed = pipeline.condensed
            size = set_bytes(condensed, pipeline.data)
            self.made.setdefault(cell, []).append((making.seconds, size))
        found = self._arm(cell, pipeline).result
        if found.right is None:
            name = pipeline.recipe["evaluator"].name
            raise OptionError(
                f"the evaluator '{name}' does not say which samples were right, so there is no "
                "interval on a size; try `evaluator=accuracy`"
            )
        right = found.right.double().numpy()
        in_draws = self.draws.accuracies(self.seeds.index(seed), right)
        self.right.setdefault(cell, {})[seed] = in_draws
        self.done += 1
        if self.task is not None and self.done < self.units:
            self.task.advance(1)

    def _bound(self, cell: Cell, seed: int) -> Pipeline:
        method = RANDOM if cell.method == WHOLE else cell.method
        recipe = self.shrinking.recipe(method, cell.fraction, seed)
        return self.bind(recipe, data=self.parts[seed])

    @staticmethod
    def _arm(cell: Cell, pipeline: Pipeline) -> Stage[Evaluation]:
        whole = cell.method == WHOLE
        return EvaluationStage(pipeline, whole_plan(pipeline)) if whole else pipeline.evaluating

    def _stages(self, cell: Cell, pipeline: Pipeline) -> list[Stage[Any]]:
        if cell.method != WHOLE:
            return stages(pipeline, baselines=False)
        arm = self._arm(cell, pipeline)
        return all_within([*arm.needs, arm])

    # ---- what came of it ----------------------------------------------------------------------

    def plan(self) -> StudyPlan:
        """All runs with :data:`SIZES` sizes of every method, in the middle, and the test."""
        planner, middle = Planner(), len(self.fractions) // 2
        places = range(max(0, middle - SIZES // 2), min(len(self.fractions), middle + SIZES // 2))
        cells = [self.whole, self.less]
        cells += [Cell(m, self.fractions[p]) for m in self.shrinking.methods for p in places]
        for seed in self.seeds:
            for cell in cells:
                with planner.run(cell.method):
                    planner.add(self._stages(cell, self._bound(cell, seed)))
        last = final_pipeline(
            self.shrinking, self.bind, self.shrinking.methods[0], self.fractions[middle]
        )
        with contextlib.suppress(CondenseError):  # named above
            planner.add([s for _, todo in final_stages(last, self.bind) for s in todo])
        return planner.plan()

    @property
    def shrunk(self) -> Shrunk:
        """The result so far."""
        assert self.found is not None
        rows = []
        for method, curve in self.curves.items():
            for number, place in enumerate(curve.places):
                made = self.made[Cell(method, self.fractions[place])]
                rows.append(
                    CurvePoint.of(
                        method, round(self.totals[place]), curve.accuracies[:, number], made
                    )
                )
        high = float(self.found.high[self.found.best])
        most = Budget(fraction=self.shrinking.max_fraction).counts(self.data)
        enough = high <= min(self.totals[-1], sum(most))
        fraction = fraction_of(self.data, high) if enough else None
        bar, everything = self._bar, samples_bytes(self.data, self.size)
        return Shrunk(
            self.shrinking,
            self.data,
            self.size,
            CurvePoint.of(WHOLE, self.size, bar.whole, [(0.0, everything)]),
            float(bar.target[0]),
            tuple(rows),
            self.found,
            fraction,
            self._errors,
        )
