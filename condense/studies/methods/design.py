"""What is compared: methods by label regimes by budgets, each under the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from condense.errors import CondenseError, OptionError, closest
from condense.kinds import CHOOSE, EVERY, RANDOM, WHOLE
from condense.plugin.host import Host
from condense.reading import in_one_line
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.results import Budget
from condense.studies.binding import check_seeds
from condense.studies.suited import check_evaluated_alike, suited
from condense.studies.validation import check_validation

LABELS = ("evaluator", "labels")


@dataclass(frozen=True)
class Column:
    """What figures are to stand in one column: a label regime and a budget.

    Attributes:
        labels: value of ``evaluator.labels``; None for an evaluator as the request has it.
        budget: of every condensed set.
    """

    labels: str | None
    budget: Budget


@dataclass(frozen=True)
class Entry:
    """A method in a column.

    Attributes:
        method: its name; ``random`` and ``whole`` are arms beside all others.
        column: where it stands.
        recipe: resolved; None where that failed. Of ``whole``, that of ``random``.
        error: why it failed.
    """

    method: str
    column: Column
    recipe: Recipe | None
    error: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Everything a comparison is to do.

    Attributes:
        methods: without ``random`` and ``whole``, in the order asked for.
        columns: label regimes by budgets.
        entries: column by column: ``random``, the methods, ``whole``.
        seeds: of selection, matching and evaluation; scores and experts are those of the first.
        validation: share of the training split that is held out and stands in the test split's
            place; None tests on the test split.
    """

    methods: tuple[str, ...]
    columns: tuple[Column, ...]
    entries: tuple[Entry, ...]
    seeds: tuple[int, ...]
    validation: float | None = None

    @property
    def base(self) -> Recipe:
        """That of ``random``, which always resolves."""
        recipe = self.entries[0].recipe
        assert recipe is not None
        return recipe


def make_comparison(
    host: Host,
    request: Request,
    methods: Sequence[str],
    *,
    labels: Sequence[str] = (),
    budgets: Sequence[Budget] = (),
    seeds: int = 3,
    validation: float | None = None,
) -> Comparison:
    """``methods`` under what ``request`` asks of all of them.

    Args:
        host: what methods are looked up in.
        request: without a method; of its ``-o`` each method gets those that its components have.
        methods: names, or :data:`EVERY`; ``random`` is always there.
        labels: values of ``evaluator.labels``; none leaves that to the request.
        budgets: of the sets; none leaves that to the request.
        seeds: how many, counted up from the request's.
        validation: as in :class:`Comparison`.

    Raises:
        OptionError: for an unknown name, a value given twice, or what no method has.
    """
    check_seeds(seeds, example=3)
    check_validation(validation)
    names, every = _names(host, methods), list(methods) == [EVERY]
    own = [value for path, value in request.assignments if path == LABELS]
    if labels and own:
        raise OptionError(
            f"`labels={','.join(labels)}` and `evaluator.labels={own[-1]}` exclude each other; "
            "give one"
        )
    _check_once(labels)
    _check_once([budget.words for budget in budgets])
    among = (RANDOM, *names)
    columns, entries = [], []
    for regime in labels or (None,):
        for budget in budgets or (None,):
            asked = _in_column(request, regime, budget)
            random = resolve(host, suited(host, asked, RANDOM, among))
            column = Column(regime, random.budget)
            columns.append(column)
            entries.append(Entry(RANDOM, column, random))
            for name in names:
                try:
                    found = Entry(name, column, _recipe(host, asked, name, among, random))
                except CondenseError as error:
                    if not every:  # a name that was given is meant
                        raise
                    found = Entry(name, column, None, in_one_line(error))
                entries.append(found)
            entries.append(Entry(WHOLE, column, random))
    first = tuple(range(random.seed, random.seed + seeds))
    return Comparison(names, tuple(columns), tuple(entries), first, validation)


def _names(host: Host, asked: Sequence[str]) -> tuple[str, ...]:
    """The methods meant, each once and without the arms that always stand beside."""
    registered = [name for name, _ in host.registry("method").items()]
    names = registered if list(asked) == [EVERY] else list(asked)
    for name in names:
        if name in (CHOOSE, *registered, WHOLE):
            continue
        raise OptionError(
            f"unknown method '{name}'{closest(name, registered)} "
            f"(methods: {', '.join(registered)}, or {EVERY})"
        )
    if CHOOSE in names:
        raise OptionError(
            f"`method={CHOOSE}` chooses among methods and is none itself; compare those that it "
            f"tries by their names"
        )
    _check_once([f"method {name}" for name in names])
    others = tuple(name for name in names if name not in (RANDOM, WHOLE))
    if not others:
        raise OptionError(
            f"nothing to compare with {RANDOM}; give one or more methods, for example "
            f"{', '.join([n for n in registered if n != RANDOM][:3])}, or {EVERY}"
        )
    return others


def _check_once(values: Sequence[str]) -> None:
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    if twice:
        raise OptionError(f"{twice[0]} is there twice; give it once")


def _in_column(request: Request, labels: str | None, budget: Budget | None) -> Request:
    """``request`` under a label regime and a budget."""
    if labels is not None:
        request = replace(request, assignments=(*request.assignments, (LABELS, labels)))
    if budget is None:
        return request
    return replace(request, ipc=budget.ipc, fraction=budget.fraction)


def _recipe(
    host: Host, asked: Request, method: str, among: Sequence[str], random: Recipe
) -> Recipe:
    """That of ``method``.

    Raises:
        CondenseError: if it cannot be resolved, or is evaluated otherwise than ``random``.
    """
    recipe = resolve(host, suited(host, asked, method, among))
    check_evaluated_alike(method, recipe, random)
    return recipe
