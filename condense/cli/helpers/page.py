"""The page: topics with their examples, and what helps, described by its docstrings.

A test fails when the file is stale, and runs the examples.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from condense.cli.helpers.topics import TOPICS
from condense.cli.reference import option_table
from condense.options import ComponentSpec, Options

TARGET = Path("docs") / "helpers.md"
HEAD = """\
# Helpers for plugin authors

Written by `python -m condense.cli.helpers` out of the docstrings; do not edit it.

What helps a component to keep the contract of its [kind](plugins/scorer.md), by what one wants to
do: the part that most need of what [CONTRIBUTING](../CONTRIBUTING.md) opens
to the built-in components.

The examples are bodies of a component's method: `data` (the training split, a
`condense.data.LabeledData`), `context` and `rng` are its arguments, `scores` and `budget` those of
a selector. A test runs them.
"""

SECTION = re.compile(r"(Args|Returns|Yields|Raises|Attributes|Warns):")
SINGLE = ("Returns", "Yields")  # whose text is no list of names

# what the engine lends, by the name under which a component has it
LENT = {"Context": "context", "Cache": "context.cache", "Progress": "context.progress"}


def helpers() -> str:
    """The whole text."""
    parts = [HEAD]
    for topic in TOPICS:
        parts += [f"## {topic.title}\n", f"```python\n{topic.example}```\n"]
        for home, names in topic.names.items():
            for name in names.split():
                parts += _described(home, name)
    return "\n".join(parts).rstrip("\n") + "\n"


def _described(home: str, name: str) -> Iterator[str]:
    """Heading and text of ``name``, a function, class or ``CLASS.MEMBER`` of module ``home``."""
    found: Any = importlib.import_module(home)
    for word in name.split("."):
        found = getattr(found, word)
    owner, _, member = name.rpartition(".")
    called = f"{LENT[owner]}.{member}" if owner in LENT else name
    yield f"### `{called}`\n"
    doc, is_class = inspect.getdoc(found) or "", inspect.isclass(found)
    is_options = is_class and issubclass(found, Options) and not issubclass(found, ComponentSpec)
    told = is_options or "Attributes:" in doc or isinstance(found, property)
    signature = "" if told else _signature(found)
    importing = f"from {home} import {name.partition('.')[0]}"
    lines = [] if owner in LENT else [importing]
    lines += [f"{called}{signature}"] if signature else []
    if lines:
        yield "\n".join(f"`{line}`  " for line in lines).rstrip() + "\n"
    yield _rendered(doc)
    if is_options:
        yield option_table(found)
    elif is_class:
        yield from _methods(found)


def _signature(found: Any) -> str:
    """``(data: LabeledData, …) -> Tensor``, annotations as they are written."""
    signature = inspect.signature(found)
    own = [p for name, p in signature.parameters.items() if name != "self"]
    back = inspect.Signature.empty if inspect.isclass(found) else signature.return_annotation
    text = str(signature.replace(parameters=own, return_annotation=back))
    text = text.replace("typing.", "")  # which Python 3.13 leaves out in places
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)


def _methods(cls: type) -> Iterator[str]:
    """Public methods and properties that ``cls`` itself has, by the first line of their text."""
    rows = []
    for name, member in vars(cls).items():
        told = inspect.getdoc(member) if callable(member) or isinstance(member, property) else None
        told = inspect.getdoc(member.__func__) if isinstance(member, staticmethod) else told
        if told and not name.startswith("_"):
            call = "" if isinstance(member, property) else "(…)"
            rows.append(f"- `.{name}{call}`: {_inline(told.partition(chr(10) * 2)[0])}")
    if rows:
        yield "\n".join(rows) + "\n"


def _rendered(doc: str) -> str:
    """A docstring as Markdown: paragraphs, and its sections as lists."""
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", doc):
        head, _, rest = block.partition("\n")
        section = SECTION.fullmatch(head.strip())
        if section is None:
            parts.append(_inline(block) + "\n")
        elif section[1] in SINGLE:
            parts.append(f"{section[1]}: {_inline(rest)}\n")
        else:
            parts.append(f"{section[1]}:\n\n" + "\n".join(_items(rest)) + "\n")
    return "\n".join(parts)


def _items(block: str) -> Iterator[str]:
    """``name: text`` a line; what is indented further goes on with it."""
    for item in re.split(r"\n(?=    \S)", block):
        name, _, text = item.strip().partition(":")
        yield f"- {', '.join(f'`{one.strip()}`' for one in name.split(','))}: {_inline(text)}"


def _inline(text: str) -> str:
    """One line, roles and double backticks as Markdown has them."""
    line = " ".join(text.split())
    line = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", line)
    return line.replace("``", "`")
