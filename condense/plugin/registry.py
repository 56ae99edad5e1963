"""One table of components per kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from condense.errors import DuplicateComponent, UnknownComponent, closest
from condense.kinds import CHOOSE, KINDS

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered component with the package it came from."""

    component: T
    package: str
    version: str


class Registry(Generic[T]):
    """Components of one kind by name; a taken name is an error.

    Args:
        kind: as on the command line, for messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        # what `condense run` takes in a component's place, where there is such a thing
        self.also = CHOOSE if CHOOSE in KINDS[kind].reserved else ""
        self.unavailable = 0  # plugins that failed to load; mentioned when a name is unknown
        self._entries: dict[str, Entry[T]] = {}

    def add(self, name: str, entry: Entry[T]) -> None:
        """Register ``entry`` under ``name``.

        Raises:
            DuplicateComponent: naming both packages.
        """
        taken = self._entries.get(name)
        if taken is not None:
            raise DuplicateComponent(
                f"{self.kind} '{name}' is registered by both {taken.package} and {entry.package}; "
                "rename one or leave one out with CONDENSE_PLUGINS"
            )
        self._entries[name] = entry

    def entry(self, name: str, key: str = "") -> Entry[T]:
        """The entry called ``name``.

        Args:
            name: of a component.
            key: of the option that names it, where that is not called like the kind.

        Raises:
            UnknownComponent: with the nearest name, all names and any plugin that failed to load.
        """
        if name not in self._entries:
            also = f"; `condense run` and condense() take {self.also}, too" if self.also else ""
            known = ", ".join(self.names()) + also
            near = closest(name, [*self.names(), *filter(None, [self.also])])
            note = (
                f"; {self.unavailable} plugin(s) failed to load, see `condense plugins`"
                if self.unavailable
                else ""
            )
            asked = f" in `{key}={name}`" if key not in ("", self.kind) else ""
            raise UnknownComponent(
                f"unknown {self.kind} '{name}'{asked}{near} (known: {known}){note}"
            )
        return self._entries[name]

    def get(self, name: str, key: str = "") -> T:
        """The component called ``name``; arguments and errors are those of :meth:`entry`."""
        return self.entry(name, key).component

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def items(self) -> Iterator[tuple[str, Entry[Any]]]:
        """(name, entry) pairs, sorted by name."""
        return ((name, self._entries[name]) for name in self.names())
