"""CIFAR-10 and CIFAR-100, read through torchvision."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from condense.data import LabeledData
from condense.engine.ingest.from_user import labeled_data
from condense.errors import DataError
from condense.options import SPEED_ONLY, PathOption
from condense.reading import in_one_line
from condense_plugins._built_in import BuiltIn
from condense_plugins.datasets._norms import NormOptions, normalization

if TYPE_CHECKING:
    from condense.interfaces import Context

ROOT_VARIABLE = "CONDENSE_DATA"


class _Cifar(BuiltIn):
    """What both have in common."""

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    source: ClassVar[str]  # class in torchvision.datasets
    folder: ClassVar[str]  # where the unpacked files lie in the root

    class Options(NormOptions):
        """Where the files are and how they are normalised."""

        root: PathOption | None = Field(
            None,
            description="folder of the files; unset = $CONDENSE_DATA or ~/.cache/condense-data",
            json_schema_extra=SPEED_ONLY,
        )
        download: bool = Field(True, description="download the files if they are not there")

    options: Options

    @property
    def root(self) -> Path:
        """The folder that holds (or will hold) the files."""
        chosen = self.options.root or os.environ.get(ROOT_VARIABLE) or "~/.cache/condense-data"
        return Path(os.path.expanduser(chosen))

    def load(self, context: Context) -> LabeledData:
        """50 000 training and 10 000 test images, uint8 [N, 32, 32, 3]."""
        train, test = self._open(train=True), self._open(train=False)
        return labeled_data(
            train.data,
            train.targets,
            test=(test.data, test.targets),
            classes=train.classes,
            flip=True,
            name=self.name,
            normalization=normalization(self.options.norm),
        )

    def _open(self, train: bool) -> Any:
        """torchvision's data set; it checks the MD5 of every file before unpickling it."""
        import torchvision.datasets

        source = getattr(torchvision.datasets, self.source)
        with contextlib.suppress(RuntimeError):  # not there, or damaged
            return source(str(self.root), train=train, download=False)
        if not self.options.download:
            raise self._missing("data.download is false")
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # stdout is for results
                return source(str(self.root), train=train, download=True)
        except (OSError, RuntimeError) as error:
            raise self._missing(f"the download failed: {in_one_line(error)}") from None

    def _missing(self, reason: str) -> DataError:
        return DataError(
            f"{self.name} is not in {self.root} or is damaged there, and {reason}; put "
            f"{self.folder} into {self.root} (or set `data.root=DIR`), or use `data=npz:PATH` "
            "or folder:PATH"
        )


class Cifar10(_Cifar):
    """Ten classes of 5000 colour images each."""

    name: ClassVar[str] = "cifar10"
    source: ClassVar[str] = "CIFAR10"
    folder: ClassVar[str] = "cifar-10-batches-py"


class Cifar100(_Cifar):
    """A hundred classes of 500 colour images each."""

    name: ClassVar[str] = "cifar100"
    source: ClassVar[str] = "CIFAR100"
    folder: ClassVar[str] = "cifar-100-python"
