"""One request for several methods: each with those options that its components have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from condense.errors import CondenseError, OptionError
from condense.kinds import STAGES
from condense.options import format_value
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.resolve import Request, resolve


def suited(host: Host, request: Request, method: str, among: Sequence[str]) -> Request:
    """``request`` for ``method``, with those of its ``-o`` that the method's components have.

    Args:
        host: what methods are looked up in.
        request: what all of them are asked for.
        method: one of them.
        among: names of all of them.

    Raises:
        OptionError: as :func:`resolve` does; for an option that none of ``among`` has.
    """
    swaps = tuple(given for given in request.assignments if len(given[0]) == 1)
    bare = resolve(host, replace(request, method=method, assignments=swaps))
    kept = []
    for path, value in request.assignments:
        known = len(path) == 1 or path[0] not in STAGES or _has(bare, path)
        if known or not _somebody_has(host, request, swaps, path, among):
            kept.append((path, value))  # what nobody has is complained about
    asked = replace(request, method=method, assignments=tuple(kept))
    resolve(host, asked)
    return asked


def check_evaluated_alike(method: str, recipe: Recipe, random: Recipe) -> None:
    """That the figures of ``method`` can stand beside those of random subsets.

    Raises:
        OptionError: if its ``recipe`` is evaluated otherwise than ``random``.
    """
    own, common = recipe["evaluator"], random["evaluator"]
    if own.identity != common.identity:
        differing = [
            f"evaluator.{key}={format_value(value)}"
            for key, value in own.table.items()
            if common.table.get(key) != value
        ]
        raise OptionError(
            f"method '{method}' is evaluated by options of its own ({', '.join(differing)}), so "
            "that its figures cannot stand beside the others'; give those options to all methods"
        )


def _somebody_has(
    host: Host, request: Request, swaps: Any, path: Sequence[str], among: Sequence[str]
) -> bool:
    for name in among:
        try:
            other = resolve(host, replace(request, method=name, assignments=swaps))
        except CondenseError:
            continue
        if _has(other, path):
            return True
    return False


def _has(recipe: Recipe, path: Sequence[str]) -> bool:
    return path[0] in recipe.stages and path[1] in type(recipe[path[0]].options).model_fields
