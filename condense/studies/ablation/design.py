"""What an ablation varies: ``--vary`` as factors, and the cells they make around a base."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from condense.engine.evaluation import measure_of
from condense.errors import CondenseError, OptionError, closest
from condense.kinds import STAGES
from condense.options import is_shared, parse_assignment
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.studies.binding import check_seeds

BASE = "base"  # the name of a base that is no cell of the grid
Assignment = tuple[tuple[str, ...], Any]


@dataclass(frozen=True)
class Factor:
    """One ``--vary``: a stage or an option, and the values it takes.

    Attributes:
        key: as it is typed, ``"selector"`` or ``"selector.beta"``.
        values: as they are typed.
    """

    key: str
    values: tuple[str, ...]

    @property
    def stage(self) -> str:
        """The stage it belongs to."""
        return self.key.partition(".")[0]


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


@dataclass(frozen=True)
class Study:
    """Everything an ablation is to do.

    Attributes:
        base: the recipe that nothing is varied of; its seed is shared by all cells for what is
            made once (scores, experts).
        factors: what is varied.
        cells: the base among them, once.
        seeds: of selection, matching and evaluation.
        one_at_a_time: whether one factor at a time differs from the base, not all combinations.
        validation: share of the training split that is held out and stands in the test split's
            place; None tests on the test split.
    """

    base: Recipe
    factors: tuple[Factor, ...]
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    one_at_a_time: bool
    validation: float | None = None


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
    if stage not in STAGES:
        raise OptionError(
            f"`{flag}={text}`: unknown stage '{stage}'{closest(stage, STAGES)} "
            f"(stages: {', '.join(STAGES)})"
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
    if validation is not None and not 0 < validation < 1:
        raise OptionError(f"`validation` must be in (0, 1), got {validation:g}; try 0.2")
    keys = [factor.key for factor in factors]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            raise OptionError(f"`vary={key}` is given twice; write all its values after one")
    base = resolve(host, request)
    combinations = _singles(factors) if one_at_a_time else _grid(factors)
    cells = [make_cell(host, request, base, values) for values in combinations]
    _check_values(factors, cells)
    first = range(base.seed, base.seed + seeds)
    kept = _with_base(cells, base, one_at_a_time)
    return Study(base, tuple(factors), tuple(kept), tuple(first), one_at_a_time, validation)


def _grid(factors: Sequence[Factor]) -> list[dict[str, str]]:
    keys = [factor.key for factor in factors]
    rows = itertools.product(*(factor.values for factor in factors))
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _singles(factors: Sequence[Factor]) -> list[dict[str, str]]:
    return [{factor.key: value} for factor in factors for value in factor.values]


def make_cell(host: Host, request: Request, base: Recipe, values: Mapping[str, str]) -> Cell:
    """``request`` with ``values`` by key instead of the base's; a failure is kept in the cell."""
    name = " ".join(f"{key}={value}" for key, value in values.items())
    varied = [parse_assignment(f"{key}={value}") for key, value in values.items()]
    try:
        # a stage's component before its options, whatever the order of the flags
        varied.sort(key=lambda assignment: len(assignment[0]) > 1)
        kept = _kept(host, request.assignments, base, dict(varied))
        recipe = resolve(host, replace(request, assignments=(*kept, *varied)))
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


def _kept(
    host: Host,
    assignments: Sequence[Assignment],
    base: Recipe,
    varied: Mapping[tuple[str, ...], Any],
) -> Iterator[Assignment]:
    """The base's ``-o`` that hold in a cell.

    Where a cell swaps the component of a stage, the options set for the base's go over to the
    new one as a preset's would: those that both have from the same base class of options.
    """
    for path, value in assignments:
        swapped = varied.get(path[:1])
        if swapped is None:
            yield path, value
            continue
        name = str(swapped).partition(":")[0]
        own, meant = host.registry(STAGES[path[0]]).get(name).Options, base[path[0]].cls.Options
        if len(path) > 1 and is_shared(path[1], own, meant):
            yield path, value


def _check_values(factors: Sequence[Factor], cells: Sequence[Cell]) -> None:
    """A value that no cell can be made with is a mistake; one that fails in some is a row."""
    for factor in factors:
        for value in factor.values:
            having = [cell for cell in cells if cell.values.get(factor.key) == value]
            if having and all(cell.recipe is None for cell in having):
                raise OptionError(f"`vary={factor.key}={value}`: {having[0].error}")


def _with_base(cells: Sequence[Cell], base: Recipe, one_at_a_time: bool) -> list[Cell]:
    """``cells`` with exactly one base, first if it had to be added."""
    own = [cell for cell in cells if cell.is_base]
    if own and not one_at_a_time:
        return [replace(cell, is_base=cell is own[0]) for cell in cells]
    added = Cell(BASE, {}, base, is_base=True, in_grid=False)
    return [added, *(cell for cell in cells if not cell.is_base)]
