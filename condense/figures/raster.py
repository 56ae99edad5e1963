"""What pictures that Pillow draws have in common: their type, and the PNG that they become.

The type is DejaVu Sans, which comes with matplotlib. It has Latin, Greek, Cyrillic, Arabic and
more; of a sign that it lacks a box is drawn.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

MADE_BY = ("Software", "condense")  # in the text of every such PNG


@cache
def typeface(size: int) -> FreeTypeFont:
    """The face at ``size`` pixels."""
    import matplotlib
    from PIL.ImageFont import Layout, truetype

    file = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    # the same letters whether or not libraqm is there
    return truetype(str(file), size, layout_engine=Layout.BASIC)


def text_width(text: str, size: int) -> int:
    """Pixels that ``text`` takes, rounded up."""
    return int(-(-typeface(size).getlength(text) // 1))


def clipped(text: str, size: int, width: int) -> str:
    """``text`` in one line, cut with an ellipsis where it is wider than ``width`` pixels."""
    line = " ".join(text.split())
    if text_width(line, size) <= width:
        return line
    while line and text_width(f"{line}…", size) > width:
        line = line[:-1]
    return f"{line}…"


def as_png(canvas: Image) -> bytes:
    """``canvas`` as a PNG that says who made it."""
    from PIL.PngImagePlugin import PngInfo

    out, text = io.BytesIO(), PngInfo()
    text.add_text(*MADE_BY)
    canvas.save(out, "PNG", pnginfo=text)
    return out.getvalue()


def is_preview(file: BinaryIO) -> bool:
    """Whether ``file`` is a picture of :func:`as_png`."""
    return "tEXt{}\0{}".format(*MADE_BY).encode() in file.read(1000)
