"""What trackers are told of a run before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker knows it.

    Attributes:
        name: of the folder of its result, ``selmatch-digits-ipc5-s0-…``.
        parameters: its recipe as text, by dotted key: ``matcher.network.width``; no path.
    """

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)
