"""What every study writes: its document, tables and one figure, in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from condense.engine.runtime.files import csv_lines
from condense.engine.runtime.folders import Layout, check_folder, json_with, replace_folder
from condense.figures.files import FORMATS, PANEL, save_figure
from condense.figures.plots import Dot
from condense.studies.statistics import Estimate


def study_layout(study: str, *keys: str, more: Sequence[str] = ()) -> Layout:
    """What the folder of a study with a table and a figure holds.

    Args:
        study: that its document, table and figure are called after.
        keys: of its document.
        more: names of its other files.
    """
    names = (f"{study}.{ending}" for ending in ("csv", *FORMATS))
    return Layout(f"{study}.json", (*names, *more), json_with(*keys))


def write_study(
    folder: Path,
    owned: Layout,
    document: Mapping[str, Any],
    files: Mapping[str, str | bytes],
    panels: Sequence[Callable[[Axes], None]] = (),
    size: tuple[float, float] = PANEL,
) -> Path:
    """A study's files in ``folder``, all or nothing; equal results give equal bytes.

    Args:
        folder: replaced if it holds a study of this kind already.
        owned: what it may hold, its marker being the document; the figure is called like that.
        document: of the study.
        files: contents of its other files, by name.
        panels: of the figure, each of which draws into its axes; ``.png`` and ``.svg`` are written.
        size: of a panel, its width and height in inches.

    Raises:
        OutputError: if it cannot be written or holds something else.
    """
    fill = partial(fill_study, owned.marker, document, files, panels, size)
    return replace_folder(folder, fill, partial(check_folder, folder, owned))


def fill_study(
    marker: str,
    document: Mapping[str, Any],
    files: Mapping[str, str | bytes],
    panels: Sequence[Callable[[Axes], None]],
    size: tuple[float, float],
    draft: Path,
) -> None:
    """The files of :func:`write_study` in the folder ``draft``."""
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    for name, content in {marker: text, **files}.items():
        data = content if isinstance(content, bytes) else content.encode()
        (draft / name).write_bytes(data)
    if panels:
        save_figure((draft / marker).with_suffix(""), panels, size=size)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """``rows`` under all their keys, in the order in which they come up."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return csv_lines([keys, *([row.get(key, "") for key in keys] for row in rows)])


def ends(name: str, value: Estimate | None, before: str | None = None) -> dict[str, float | None]:
    """Mean, lower and upper end of ``value`` in the columns NAME, NAME_low and NAME_high.

    Args:
        before: of ``low`` and ``high``, instead of ``NAME_``.
    """
    first = f"{name}_" if before is None else before
    figures = (None,) * 3 if value is None else (value.mean, value.low, value.high)
    return dict(zip((name, f"{first}low", f"{first}high"), figures, strict=True))


def dot_of(name: str, value: Estimate | None, place: int | None = None) -> Dot:
    """``value``, in 0–1, as a dot in %."""
    if value is None:
        return Dot(name, None, None, place)
    half = None if value.half is None else 100 * value.half
    return Dot(name, 100 * value.mean, half, place)
