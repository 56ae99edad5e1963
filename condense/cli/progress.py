"""How long stages show on stderr: bars on a terminal, nothing elsewhere; notes always."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from condense.engine.runtime.progress import SilentProgress
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.interfaces import Progress


def make_progress() -> Progress:
    """Bars if stderr is a terminal, else only notes."""
    if not sys.stderr.isatty():
        return QuietProgress()
    from condense.cli.bars import TerminalProgress

    return TerminalProgress()


class QuietProgress(SilentProgress):
    """No bars; notes as lines on stderr."""

    def note(self, message: str) -> None:
        """Print ``message`` on a line of its own."""
        click.echo(on_command_line(" ".join(message.split())), err=True)
