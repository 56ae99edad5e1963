"""Nobody is told of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from condense.interfaces import TrackedRun
from condense_plugins._built_in import BuiltIn


class NoneTracker(BuiltIn):
    """Keeps nothing, as without a tracker."""

    name: ClassVar[str] = "none"
    version: ClassVar[str] = "1"

    def begin(self, run: TrackedRun) -> None:
        """Nothing happens."""

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """They are forgotten."""

    def picture(self, step: int, image: npt.NDArray[np.uint8]) -> None:
        """It is forgotten."""

    def artefact(self, folder: Path) -> None:
        """Nothing happens."""

    def close(self, done: bool) -> None:
        """Nothing happens."""
