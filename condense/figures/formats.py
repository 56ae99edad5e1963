"""Figures as text, the same wherever a report shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def percent(value: float) -> str:
    """0–1 as ``"97.58"``."""
    return f"{100 * value:.2f}"


def points(value: float) -> str:
    """A difference in 0–1 as ``"+0.58"``; what rounds to nothing as ``"+0.00"``."""
    return f"{round(100 * value, 2) + 0.0:+.2f}"


def spread(mean: float, half: float | None, form: Callable[[float], str] = percent) -> str:
    """``"97.58 ± 0.31"``: a mean in 0–1 as ``form`` writes it, and what lies either side of it."""
    return f"{form(mean)} ± {'–' if half is None else percent(half)}"


def arm_name(name: str, method: str) -> str:
    """What the baseline ``name`` is called beside ``method``, which may itself be ``random``."""
    return f"{name} (baseline)" if name == method else name


def counted(count: int, what: str) -> str:
    """``"1 seed"``, ``"3 seeds"``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def seconds(value: float) -> str:
    """A duration as ``"0.4 s"``, ``"2 min 05 s"`` or ``"3 h 10 min"``."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def setting(value: Any) -> str:
    """The value of an option as it would stand after ``-o``, components by their name alone."""
    if isinstance(value, Mapping):
        return str(value.get("component", "{…}"))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, (list, tuple)):
        return ", ".join(setting(v) for v in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
