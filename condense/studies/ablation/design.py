"""What an ablation varies: ``--vary`` as factors, and the cells they make around a base."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from condense.engine.arms import measure_of
from condense.errors import CondenseError, OptionError, closest
from condense.kinds import STAGES
from condense.options import Assignment, is_shared, parse_assignment
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.resolve import Request, component_names, resolve
from condense.results import Budget
from condense.studies.binding import check_seeds
from condense.studies.validation import check_validation

BASE = "base"  # the name of a base that is no cell of the grid
SIZES = {"ipc": int, "fraction": float}  # varied by key, and what they are
WHOLE = (*SIZES, "preset", "method")  # what is varied of the recipe as a whole, not of a stage
TASKS = (*SIZES, "preset", "data")  # stages and keys that may change a set's size or its data


@dataclass(frozen=True)
class Factor:
    """One ``--vary``: a stage, an option or one of :data:`WHOLE`, and the values it takes.

    Attributes:
        key: as it is typed, ``"selector"``, ``"selector.beta"`` or ``"ipc"``.
        values: as they are typed.
    """

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One combination of values.

    Attributes:
        name: ``"selector=random policy=full"``.
        values: the value of each varied key, as typed; those not named are the base's.
        recipe: resolved; None where that failed.
        error: why it failed.
        is_base: whether it is the recipe that nothing was varied of.
        in_grid: whether it is one of the combinations asked for.
    """

    name: str
    values: Mapping[str, str]
    recipe: Recipe | None
    error: str | None = None
    is_base: bool = False
    in_grid: bool = True

    @property
    def task(self) -> tuple[str, Budget] | None:
        """Data, with all options that results depend on (the test split is one), and size.

        Figures of cells in which they differ say nothing of their methods.
        """
        if self.recipe is None:
            return None
        data = self.recipe.stages.get("data")
        if data is None:  # handed over in Python, the same for all cells
            return "", self.recipe.budget
        return str(data.identity), self.recipe.budget


@dataclass(frozen=True)
class Study:
    """Everything an ablation is to do.

    Attributes:
        base: the recipe that nothing is varied of; its seed is shared by all cells for what is
            made once (scores, experts).
        factors: what is varied.
        cells: the base among them once, unless others than it differ in data or size.
        seeds: of selection, matching and evaluation.
        one_at_a_time: whether one factor at a time differs from the base, not all combinations.
        validation: share of the training split that is held out and stands in the test split's
            place; None tests on the test split.
        references: name of what a cell is compared with, by its own name, where that is not the
            base: the base as it is on the cell's own data and at its size, which may be the cell
            itself. None where that is no cell.
        instead: of each factor the value that its effects are counted from: the base's where that
            is among its values, else the first.
    """

    base: Recipe
    factors: tuple[Factor, ...]
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    one_at_a_time: bool
    validation: float | None = None
    references: Mapping[str, str | None] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)

    @property
    def first(self) -> Recipe:
        """The base where it is a cell, else the first cell's that has one."""
        is_cell = any(cell.is_base for cell in self.cells)
        return self.base if is_cell else next(c.recipe for c in self.cells if c.recipe is not None)

    @property
    def is_sweep(self) -> bool:
        """Whether sets of several sizes are made, each of which is held against random ones."""
        return len({cell.recipe.budget for cell in self.cells if cell.recipe is not None}) > 1

    def reference(self, cell: Cell) -> str | None:
        """Name of the other cell that ``cell`` is compared with; None if there is none."""
        bases = [one.name for one in self.cells if one.is_base]
        name = self.references.get(cell.name, bases[0] if bases else None)
        return None if name == cell.name else name


def parse_factor(text: str, flag: str = "vary") -> Factor:
    """``"selector=random,window"`` as a factor; commas in brackets or quotes do not separate.

    Args:
        text: what was given for ``flag``, which messages name.
        flag: what it was given for.

    Raises:
        OptionError: if it is not KEY=VALUE,…, its stage is unknown, or a value is empty or twice
            there.
    """
    key, sign, rest = text.partition("=")
    key = key.strip()
    if not sign or not all(key.split(".")):
        raise OptionError(
            f"`{flag}={text}`: expected STAGE=COMPONENT,… or STAGE.OPTION=VALUE,…, "
            f"for example `{flag}=selector=random,window`"
        )
    stage = key.partition(".")[0]
    if stage not in STAGES and key not in WHOLE:
        unknown = key if stage in WHOLE else stage
        raise OptionError(
            f"`{flag}={text}`: unknown stage '{unknown}'{closest(unknown, [*STAGES, *WHOLE])} "
            f"(stages: {', '.join(STAGES)}; also {', '.join(WHOLE)})"
        )
    values = tuple(_split(rest))
    if "" in values:
        raise OptionError(
            f"`{flag}={text}`: value {values.index('') + 1} is empty; give one or more values "
            "separated by commas"
        )
    twice = [v for i, v in enumerate(values) if v in values[:i]]
    if twice:
        raise OptionError(f"`{flag}={text}`: value {twice[0]} is there twice; give it once")
    return Factor(key, values)


def _split(text: str) -> Iterator[str]:
    """The parts between commas that are outside brackets and double quotes."""
    part, depth, quoted = "", 0, False
    for sign in text:
        if sign == "," and depth <= 0 and not quoted:
            yield part.strip()
            part = ""
            continue
        part += sign
        if sign == '"':
            quoted = not quoted
        elif sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
    yield part.strip()


def make_study(
    host: Host,
    request: Request,
    factors: Sequence[Factor],
    seeds: int,
    one_at_a_time: bool = False,
    validation: float | None = None,
) -> Study:
    """The cells of all combinations of ``factors``, or of one at a time, around ``request``.

    Args:
        host: what components are looked up in.
        request: the base.
        factors: one or more, of different keys.
        seeds: how many, counted up from the base's seed.
        one_at_a_time, validation: as in :class:`Study`.

    Raises:
        OptionError: for a base that cannot be resolved, or a value that is wrong in every cell.
    """
    check_seeds(seeds, example=5)
    check_validation(validation)
    keys = [factor.key for factor in factors]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            raise OptionError(f"`vary={key}` is given twice; write all its values after one")
    _check_sizes(keys, request)
    base = resolve(host, request)
    combinations = _singles(factors) if one_at_a_time else _grid(factors)
    cells = [make_cell(host, request, base, values) for values in combinations]
    _check_values(factors, cells)
    first = range(base.seed, base.seed + seeds)
    kept = _with_base(cells, base, one_at_a_time)
    return Study(
        base,
        tuple(factors),
        tuple(kept),
        tuple(first),
        one_at_a_time,
        validation,
        _references(host, request, base, kept),
        {one.key: _instead(host, request, base, one) for one in factors},
    )


def _instead(host: Host, request: Request, base: Recipe, factor: Factor) -> str:
    """As in :class:`Study`; of ``factor`` alone, as the base need not be a cell of the grid."""
    for value in factor.values:
        if make_cell(host, request, base, {factor.key: value}).is_base:
            return value
    return factor.values[0]


def _check_sizes(keys: Sequence[str], request: Request) -> None:
    """A set has a number of samples a class or a fraction of each, not both."""
    if set(SIZES) <= set(keys):
        raise OptionError("`vary=ipc` and `vary=fraction` exclude each other; vary one of them")
    for key, other in zip(SIZES, reversed(SIZES), strict=True):
        if key not in keys:
            continue
        flag, file = getattr(request, other), request.recipe.get(other)
        if flag is not None:
            raise OptionError(f"`vary={key}` and `{other}={flag}` exclude each other; give one")
        if file is not None:
            raise OptionError(
                f"`vary={key}` and {other} = {file} of the recipe file exclude each other; take "
                f"that out of the file, or `vary={other}`"
            )


def _grid(factors: Sequence[Factor]) -> list[dict[str, str]]:
    keys = [factor.key for factor in factors]
    rows = itertools.product(*(factor.values for factor in factors))
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _singles(factors: Sequence[Factor]) -> list[dict[str, str]]:
    return [{factor.key: value} for factor in factors for value in factor.values]


def make_cell(host: Host, request: Request, base: Recipe, values: Mapping[str, str]) -> Cell:
    """``request`` with ``values`` by key instead of the base's; a failure is kept in the cell."""
    name = " ".join(f"{key}={value}" for key, value in values.items())
    of_stages = {key: value for key, value in values.items() if key not in WHOLE}
    varied = [parse_assignment(f"{key}={value}") for key, value in of_stages.items()]
    try:
        asked = replace(request, **{k: _typed(k, v) for k, v in values.items() if k in WHOLE})
        # a stage's component before its options, whatever the order of the flags
        varied.sort(key=lambda assignment: len(assignment[0]) > 1)
        kept = _kept(host, asked, base, varied)
        recipe = resolve(host, replace(asked, assignments=(*kept, *varied)))
        _check_comparable(base, recipe)
    except CondenseError as error:
        return Cell(name, values, None, " ".join(str(error).split()))
    return Cell(name, values, recipe, is_base=recipe.to_dict() == base.to_dict())


def _check_comparable(base: Recipe, recipe: Recipe) -> None:
    own, other = (measure_of(one["evaluator"]) for one in (base, recipe))
    if own != other:
        raise OptionError(
            f"its figures are {other}, the base's {own}, which do not stand in one column; give "
            "the evaluator and its labels with `-o` and make a study of each"
        )


def _typed(key: str, value: str) -> Any:
    """``value`` of one of :data:`WHOLE`; what is no number is left for the budget to refuse."""
    try:
        return SIZES.get(key, str)(value)
    except ValueError:
        return value


def _kept(
    host: Host, asked: Request, base: Recipe, varied: Sequence[Assignment]
) -> Iterator[Assignment]:
    """The ``-o`` of ``asked`` that hold in a cell where ``varied`` comes on top.

    Where a cell has another component at a stage than the base, the options set for the base's go
    over to it as a preset's would: those that both have from the same base class of options.
    """
    swaps = [given for given in (*asked.assignments, *varied) if len(given[0]) == 1]
    names = component_names(host, replace(asked, assignments=tuple(swaps)))
    for path, value in asked.assignments:
        stage = path[0]
        if len(path) > 1 and stage in STAGES and names.get(stage) != base[stage].name:
            if stage not in names:  # a stage that the cell does without
                continue
            own = host.registry(STAGES[stage]).get(names[stage], stage).Options
            if not is_shared(path[1], own, base[stage].cls.Options):
                continue
        yield path, value


def by_value(factors: Sequence[Factor], cells: Sequence[Cell]) -> list[tuple[str, str, list[Cell]]]:
    """Every value of ``factors`` by its key, with those of ``cells`` that have it, if any have."""
    values = [(factor.key, value) for factor in factors for value in factor.values]
    found = [(key, v, [c for c in cells if c.values.get(key) == v]) for key, v in values]
    return [entry for entry in found if entry[2]]


def _check_values(factors: Sequence[Factor], cells: Sequence[Cell]) -> None:
    """A value that no cell can be made with is a mistake; one that fails in some is a row."""
    for key, value, having in by_value(factors, cells):
        if all(cell.recipe is None for cell in having):
            raise OptionError(f"`vary={key}={value}`: {having[0].error}")


def _with_base(cells: Sequence[Cell], base: Recipe, one_at_a_time: bool) -> list[Cell]:
    """``cells`` with the base once, first if it had to be added.

    Where it was not asked for, a grid is without it if cells differ in data or size from it: others
    than it stand beside those.
    """
    own = [cell for cell in cells if cell.is_base]
    if own and not one_at_a_time:
        return [replace(cell, is_base=cell is own[0]) for cell in cells]
    added = Cell(BASE, {}, base, is_base=True, in_grid=False)
    if not own and not one_at_a_time and any(cell.task not in (added.task, None) for cell in cells):
        return list(cells)
    return [added, *(cell for cell in cells if not cell.is_base)]


def _references(
    host: Host, request: Request, base: Recipe, cells: Sequence[Cell]
) -> dict[str, str | None]:
    """As in :class:`Study`, of the cells of other data or another size than the base."""
    names = {str(cell.recipe.to_dict()): cell.name for cell in cells if cell.recipe is not None}
    task = Cell(BASE, {}, base).task
    found: dict[str, str | None] = {}
    for cell in cells:
        if cell.task not in (task, None):
            values = {k: v for k, v in cell.values.items() if k.partition(".")[0] in TASKS}
            plain = make_cell(host, request, base, values).recipe
            name = None if plain is None else names.get(str(plain.to_dict()))
            found[cell.name] = name
    return found
