"""How long stages show on stderr, with options spelt as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from condense.engine.runtime.progress import make_progress as make
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.interfaces import Progress


def make_progress() -> Progress:
    """Bars if stderr is a terminal, else a line now and then."""
    return make(on_command_line)
