"""What notebooks show: small pieces of HTML in which every text is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

MOST = 300  # signs of a cell


def paragraph(text: str, strong: bool = False) -> str:
    """``text`` in a line of its own."""
    inner = escape(text)
    return f"<p>{f'<strong>{inner}</strong>' if strong else inner}</p>"


def bullets(texts: Sequence[str]) -> str:
    """``texts`` as a list; nothing without any."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>" if texts else ""


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table with a row of ``headers``; long cells are cut."""
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    lines = ("".join(f"<td>{_cell(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def picture(image: bytes, kind: str, told: str) -> str:
    """``image`` (``png`` or ``jpeg``) inline, ``told`` in words for who cannot see it."""
    data = b64encode(image).decode("ascii")
    style = "max-width:100%"
    return f'<img style="{style}" alt="{escape(told)}" src="data:image/{kind};base64,{data}">'


def _cell(value: object) -> str:
    text = str(value)
    return escape(text if len(text) <= MOST else f"{text[: MOST - 1]}…")
