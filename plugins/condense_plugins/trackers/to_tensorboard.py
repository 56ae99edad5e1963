"""Event files for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from condense.errors import OptionError, importing
from condense.interfaces import TrackedRun
from condense.options import Options as BaseOptions, PathOption
from condense.reading import in_one_line
from condense_plugins._built_in import BuiltIn


class TensorboardTracker(BuiltIn):
    """Writes event files for TensorBoard: figures, pictures, the recipe, where the result is.

    One folder a run, named as its result is; a second run of that name gets a number.
    ``tensorboard --logdir tensorboard`` shows all of them, while they run too.
    """

    name: ClassVar[str] = "tensorboard"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "folder"

    class Options(BaseOptions):
        folder: PathOption = Field("tensorboard", description="holds a folder of events a run")

    options: Options

    def begin(self, run: TrackedRun) -> None:
        """Opens the event file.

        Raises:
            OptionError: without TensorBoard, or for a folder that cannot be made.
        """
        needs, module = "tracker 'tensorboard' needs TensorBoard", "torch.utils.tensorboard"
        with importing("track", needs, "tensorboard", module):
            from torch.utils.tensorboard import SummaryWriter
        self._writer: Any = SummaryWriter(self._folder(run.name))
        rows = [f"| {key} | {value} |" for key, value in run.parameters.items()]
        self._writer.add_text("recipe", "\n".join(["| option | value |", "|---|---|", *rows]))

    def _folder(self, name: str) -> Path:
        root = Path(self.options.folder)
        for number in count(1):
            folder = root / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                if root.is_dir():
                    continue
                raise OptionError(
                    f"`tracker.folder={root}` is no folder; choose another place"
                ) from None
            except OSError as error:
                reason = in_one_line(error)
                raise OptionError(f"`tracker.folder={root}` cannot be made: {reason}") from None
            return folder
        raise AssertionError

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """A point of each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, image: npt.NDArray[np.uint8]) -> None:
        """One of the pictures ``samples``."""
        self._writer.add_image("samples", image, step, dataformats="HWC")
        self._writer.flush()

    def artefact(self, folder: Path) -> None:
        """Its place, as text."""
        self._writer.add_text("artefact", os.path.abspath(folder))

    def close(self, done: bool) -> None:
        """Writes what is left."""
        self._writer.close()
