"""What ``--method auto`` tries, and the rungs that its minutes are turned into."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field

from condense.capabilities import HasRanges
from condense.data import LabeledData
from condense.engine.documents import Document
from condense.engine.runtime.guard import contents, guarded
from condense.errors import CondenseError, OptionError
from condense.kinds import CHOOSE, RANDOM
from condense.options import assignments_of, format_value
from condense.plugin.host import Host
from condense.reading import in_one_line
from condense.recipe import Method, Recipe
from condense.resolve import Request, resolve
from condense.studies.suited import check_evaluated_alike, suited
from condense.studies.tuning.search import rounded

MINUTES = 2.0  # unless others are given
MARGIN = 1.5  # times what is estimated, in advice: the next call times the same steps anew
SEEDS = (1, 2, 6)  # of each rung, in all; the best is compared with random on the last four
MOST = 4  # times as many, where the minutes allow it
NETWORKS = 3  # trained under each seed, at most: seeds tell more than networks do


@dataclass(frozen=True)
class Candidate:
    """Something that may be chosen.

    Attributes:
        name: of the method, with the values that set it apart.
        values: of options and stages, by dotted key.
        request: what was asked for, with the method and the values.
        recipe: that of the request.
        follows: options that take the value of the best candidate of another method, by dotted
            key, once such candidates have been measured.
    """

    name: str
    values: Mapping[str, Any]
    request: Request
    recipe: Recipe
    follows: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Costs:
    """Estimated seconds of a candidate: of scores and experts, by their key, which candidates
    share, as seeds on the same held-out part do; and of each seed.

    At least these if a stage is ``unknown``, which counts as nothing.
    """

    once: Mapping[str, float]
    each: float
    unknown: bool = False


class Rung(Document):
    """How many candidates are left, and under how many seeds each of them has been then."""

    candidates: int = Field(ge=1)
    seeds: int = Field(ge=1)


class Planned(Document):
    """A candidate.

    Attributes:
        seconds_once, seconds_a_seed: that it is thought to take, once a held-out part and each
            seed; not in the file, which is free of them.
    """

    name: str
    seconds_once: float = Field(0.0, ge=0, exclude=True)
    seconds_a_seed: float = Field(0.0, ge=0, exclude=True)
    at_least: bool = Field(False, description="whether a stage of it does not say what it takes")

    def timed(self) -> dict[str, Any]:
        """JSON-ready, with the seconds."""
        seconds = {"seconds_once": self.seconds_once, "seconds_a_seed": self.seconds_a_seed}
        return self.to_json() | seconds


class Plan(Document):
    """What the minutes were turned into before the start; the clock has no say afterwards.

    Attributes:
        seconds: estimate of the whole; not in the file, as those of the candidates.
    """

    minutes: float = Field(gt=0)
    seconds: float = Field(0.0, ge=0, exclude=True)
    candidates: tuple[Planned, ...] = Field(min_length=1, description="cheap to dear")
    left_out: tuple[Planned, ...] = Field(description="those that the minutes are too few for")
    rungs: tuple[Rung, ...] = Field(min_length=1)
    folds: int = Field(
        1,
        ge=1,
        description="parts that the training split is divided into, of which each seed holds out "
        "the next one; 1 where all seeds hold out the same part",
    )

    def timed(self) -> dict[str, Any]:
        """JSON-ready, with all seconds."""
        tried = {"candidates": self.candidates, "left_out": self.left_out}
        listed = {key: [one.timed() for one in some] for key, some in tried.items()}
        return self.to_json() | {"seconds": self.seconds} | listed


def candidates(
    host: Host, request: Request, data: LabeledData
) -> tuple[list[Candidate], dict[str, str]]:
    """All that registered methods offer (:attr:`Method.tried`) under what else was asked for.

    Args:
        host: what methods are looked up in.
        request: whose method is to be chosen.
        data: the part to condense, whose classes limit some options.

    Returns:
        the candidates, each recipe once, and why methods have none, by name.

    Raises:
        OptionError: for an option that no candidate has, or if there is no candidate.
    """
    found: dict[str, Candidate] = {}
    failed: dict[str, str] = {}
    offered = tried_methods(host)
    for name in offered:
        if name == RANDOM:
            continue
        try:
            asked = suited(host, request, name, offered)
            for one in _variants(host, asked, host.registry("method").get(name), data):
                stages = {stage: one.recipe[stage].table for stage in one.recipe.stages}
                found.setdefault(str(stages), one)
        except CondenseError as error:
            if isinstance(error, OptionError) and _is_fine(host, request, name, data):
                raise  # a mistake in what was asked for
            failed[name] = in_one_line(error)
    if not found:
        raise OptionError(
            f"`method={CHOOSE}` has nothing to choose from: "
            + ("; ".join(failed.values()) or "no method that is registered can be tried")
        )
    return list(found.values()), failed


def tried_methods(host: Host) -> list[str]:
    """Names of the methods that offer something to be tried."""
    return [n for n, e in host.registry("method").items() if e.component.tried is not None]


def _is_fine(host: Host, request: Request, name: str, data: LabeledData) -> bool:
    """Whether the method ``name`` can be tried without any ``-o``."""
    bare, method = replace(request, method=name, assignments=()), host.registry("method").get(name)
    try:
        return bool(list(_variants(host, bare, method, data)))
    except CondenseError:
        return False


def _variants(host: Host, asked: Request, method: Method, data: LabeledData) -> Iterator[Candidate]:
    """``method``, as ``asked`` for, with every combination of the values that it is tried with."""
    recipe = resolve(host, asked)
    evaluated = tuple(given for given in asked.assignments if given[0][0] == "evaluator")
    random = resolve(host, replace(asked, method=RANDOM, assignments=evaluated))
    check_evaluated_alike(method.name, recipe, random)
    free = {
        key: each
        for key, each in (method.tried or {}).items()
        if not any(".".join(path) in (key, key.partition(".")[0]) for path, _ in asked.assignments)
    }
    follows = {key: each for key, each in free.items() if isinstance(each, str)}
    values = {
        key: each if isinstance(each, tuple) else _spread(recipe, key, each, data)
        for key, each in free.items()
        if not isinstance(each, str)
    }
    for row in itertools.product(*values.values()):
        own = dict(zip(values, row, strict=True))
        words = (f"{key}={format_value(value)}" for key, value in own.items())
        one = Candidate(" ".join([method.name, *words]), {}, asked, recipe, follows)
        yield with_values(host, one, own)


def with_values(host: Host, one: Candidate, values: Mapping[str, Any]) -> Candidate:
    """``one`` with ``values``, by dotted key, beside its own."""
    more = assignments_of(values)
    request = replace(one.request, assignments=(*more, *one.request.assignments))
    own = {**one.values, **values}
    return replace(one, values=own, request=request, recipe=resolve(host, request))


def _spread(recipe: Recipe, key: str, count: int, data: LabeledData) -> tuple[float, ...]:
    """The value that the recipe has of the selector's option ``key``, and ``count`` others at equal
    distances inside its range."""
    stage, _, option = key.partition(".")
    selector = recipe[stage].create()
    ranges: Mapping[str, tuple[float, float]] = {}
    if isinstance(selector, HasRanges):
        with guarded(stage, selector, *contents(data)):
            ranges = selector.option_ranges(data, recipe.budget)
    if option not in ranges:
        raise OptionError(
            f"method '{recipe.method}' is tried with {count} values of {key}, whose range "
            f"{stage} '{recipe[stage].name}' does not give"
        )
    low, high = ranges[option]
    steps = [low + (high - low) * place / (count + 1) for place in range(1, count + 1)]
    own = getattr(recipe[stage].options, option)
    values = [*steps, own] if low <= own <= high else steps
    return tuple(sorted({rounded(value, (low, high)) for value in values}))


def rungs_for(count: int, times: int = 1) -> tuple[Rung, ...]:
    """Halving ``count`` candidates down to one: all of them, half of them, the best."""
    rungs: list[Rung] = []
    for left, seeds in zip((count, math.ceil(count / 2), 1), SEEDS, strict=True):
        if rungs and rungs[-1].candidates == left:
            rungs.pop()
        rungs.append(Rung(candidates=left, seeds=times * seeds))
    return tuple(rungs)


def seconds_of(
    costs: Sequence[Costs], random: float, rungs: Sequence[Rung], folded: bool = False
) -> float:
    """What ``rungs`` take at most: as if the dearest candidates were the best.

    Args:
        costs: of the candidates.
        random: seconds of random subsets under a seed.
        rungs: of them.
        folded: whether each seed holds out another part, and shares nothing with other seeds.
    """
    once: dict[str, float] = {}
    for one in costs:
        once |= one.once
    dear = sorted((one.each for one in costs), reverse=True)
    before_seeds = sorted((sum(one.once.values()) for one in costs), reverse=True)
    shared = sum(once.values())
    total, before = random * rungs[-1].seeds + (0 if folded else shared), 0
    for rung in rungs:
        left = rung.candidates
        again = min(shared, sum(before_seeds[:left])) if folded else 0
        total += (rung.seeds - before) * (sum(dear[:left]) + again)
        before = rung.seeds
    return total


def make_plan(
    minutes: float, costs: Mapping[str, Costs], random: float, samples: int | None = None
) -> Plan:
    """As many candidates as ``minutes`` allow, cheap to dear, and then as many seeds.

    Args:
        minutes: for all of it.
        costs: of the candidates, by name.
        random: seconds of random subsets under a seed.
        samples: to be divided into a part for each seed, or into single samples; None if all seeds
            are to hold out the same part.

    Raises:
        OptionError: if they do not allow one, saying how many would.
    """

    def alone(name: str) -> float:
        return sum(costs[name].once.values()) + costs[name].each

    def planned(name: str) -> Planned:
        once, each = sum(costs[name].once.values()), costs[name].each
        return Planned(
            name=name,
            seconds_once=round(once, 2),
            seconds_a_seed=round(each, 2),
            at_least=costs[name].unknown,
        )

    def seconds_for(tried: Sequence[str], rungs: Sequence[Rung]) -> float:
        return seconds_of([costs[n] for n in tried], random, rungs, samples is not None)

    names = sorted(costs, key=alone)
    least = min(names, key=lambda name: seconds_for([name], rungs_for(1)))
    for count in range(len(names), 0, -1):
        tried = names[:count] if count > 1 else [least]
        for times in range(MOST, 0, -1):
            rungs = rungs_for(count, times)
            seconds = seconds_for(tried, rungs)
            if seconds <= 60 * minutes:
                return Plan(
                    minutes=minutes,
                    seconds=round(seconds, 2),
                    candidates=tuple(map(planned, tried)),
                    left_out=tuple(planned(name) for name in names if name not in tried),
                    rungs=rungs,
                    folds=1 if samples is None else min(rungs[-1].seeds, samples),
                )
    # of the last turn: the cheapest under the fewest seeds
    about, enough = in_minutes(seconds), in_minutes(MARGIN * seconds)
    raise OptionError(
        f"`minutes={minutes:g}` is too short to try anything beside random subsets: {least} "
        f"alone takes about {about:g} minutes here and now; give `minutes={enough:g}` or more"
    )


def in_minutes(seconds: float) -> float:
    """``seconds`` in minutes, rounded up to two digits and tenths: no more than ``:g`` shows."""
    minutes = seconds / 60
    digits = 1 - math.floor(math.log10(minutes)) if minutes >= 1 else 1
    return math.ceil(minutes * 10.0**digits) / 10.0**digits
