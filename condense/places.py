"""Where files lie, in the words of a file that is handed on: never by way of somebody's home."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def relative_path(path: str | Path, folder: str | Path) -> str | None:
    """The way from ``folder`` to ``path``, with ``/`` on every system.

    None where it would lead into or out of the user's home folder, over the root, or to another
    drive: it would tell where the home folder is, and lead nowhere on another machine.
    """
    there, here = os.path.abspath(path), os.path.abspath(folder)
    try:
        above = os.path.commonpath([there, here])
    except ValueError:  # two drives
        return None
    home = os.path.expanduser("~")
    inside = [Path(one).is_relative_to(home) for one in (there, here)]
    if inside[0] != inside[1] or (above == os.path.dirname(above) and there != above):
        return None
    return Path(os.path.relpath(there, here)).as_posix()


def without_home(value: Any) -> Any:
    """``value``, text or what holds texts, with ``~`` for the user's home folder in each.

    For what was typed and for messages, in files that are handed on.
    """
    home = os.path.expanduser("~")
    if os.path.dirname(home) == home or not os.path.isabs(home):  # no folder of one's own
        return value
    if isinstance(value, str):
        return re.sub(rf"(?<![\w~-]){re.escape(home)}(?![\w.-])", "~", value)
    if isinstance(value, Mapping):
        return {without_home(key): without_home(inner) for key, inner in value.items()}
    return [without_home(inner) for inner in value] if isinstance(value, list | tuple) else value
