"""Built-in reselectors."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Reselector
from condense_plugins.reselectors.curriculum import CurriculumReselector
from condense_plugins.reselectors.none import NoReselector


@hookimpl
def condense_register_reselectors(register: Callable[[type[Reselector]], None]) -> None:
    register(CurriculumReselector)
    register(NoReselector)
