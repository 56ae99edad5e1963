"""How messages name options: by a neutral key, which each door spells its own way.

Components and the engine write ``selector.beta=0.2``, ``ipc=5`` or ``data``, each between single
backticks. The command line shows ``-o selector.beta=0.2``, ``--ipc 5`` and ``--data``; the Python
API ``options={"selector.beta": 0.2}``, ``ipc=5`` and ``data``.
"""

from __future__ import annotations

import json
import re
import shlex

# what has a flag and an argument of its own; everything else is an option
FLAGS = (
    *("data", "method", "preset", "ipc", "fraction", "seed", "seeds", "device", "out", "force"),
    *("vary", "validation", "over", "also", "max-seeds", "range", "share", "compare", "into"),
    *("minutes", "executor", "tracker", "labels", "to", "real-only"),
    *("keep", "metric", "methods", "max-fraction"),
)
_KEY = re.compile(rf"`(?:([a-z][\w.-]*)=([^`]*)|({'|'.join(FLAGS)}))`")
_SPLIT = re.compile(r"""[\s"'[{*?;|&$()<>\\~#!`]""")  # what a shell would not leave as it is


def on_command_line(message: str) -> str:
    """``message`` as the command line shows it."""

    def spell(found: re.Match[str]) -> str:
        key, value, name = found.groups()
        if name:
            return f"--{name}"
        if key in FLAGS:
            return f"--{key} {value}"
        text = f"{key}={value}"
        return f"-o {shlex.quote(text)}" if _SPLIT.search(text) else f"-o {text}"

    return _KEY.sub(spell, message)


def in_python(message: str) -> str:
    """``message`` as the Python API shows it."""

    def spell(found: re.Match[str]) -> str:
        key, value, name = found.groups()
        if name:
            return str(name).replace("-", "_")
        literal = _literal(value)
        if key in FLAGS:
            return f"{key.replace('-', '_')}={literal}"
        return f'options={{"{key}": {literal}}}'

    return _KEY.sub(spell, message)


def _literal(value: str) -> str:
    """``value`` as Python would have it: numbers and lists as they are, text in quotes."""
    return value if re.fullmatch(r"[\d.e+-]+|…|\[.*", value) else json.dumps(value)
