"""How the recipe of a preset departs from the published experiment that it repeats or shortens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from condense.plugin.host import Host
from condense.recipe import Recipe, flatten
from condense.resolve import Request, method_of, preset_of, resolve


@dataclass(frozen=True)
class Difference:
    """An option that is set to another value than published (None: one of them lacks it)."""

    option: str
    published: Any
    here: Any


def preset_differences(host: Host, request: Request) -> list[Difference]:
    """Where the recipe of ``request`` departs from the published preset of its own.

    Both are resolved with the request's method; what its recipe file and ``-o`` say counts as a
    departure. The data stage is left out: which data it is stands beside any result. Empty for a
    preset that belongs to no published experiment.

    Raises:
        UnknownComponent, OptionError: as :func:`resolve` does.
    """
    name = preset_of(host, request).published
    if name is None:
        return []
    method = method_of(host, request).name
    published = resolve(host, Request(method=method, preset=name, in_memory=True))
    there, here = flat(published), flat(resolve(host, request))
    options = [o for o in dict.fromkeys([*there, *here]) if not o.startswith("data.")]
    differ = [o for o in options if there.get(o) != here.get(o)]
    return [Difference(o, there.get(o), here.get(o)) for o in differ]


def flat(recipe: Recipe) -> dict[str, Any]:
    """``ipc`` or ``fraction``, and every option by its dotted key, nested components included."""
    table = {k: v for k, v in recipe.to_dict().items() if k not in ("method", "seed")}
    return flatten(table, main="")  # "selector.component", as sources name it
