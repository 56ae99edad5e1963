"""Rows of a CSV file; needs no pandas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from condense.data import LabeledData, Modality
from condense.engine.ingest.tabular.csv_file import read_csv
from condense.engine.ingest.tabular.rows import Rows
from condense.traits import DatasetTraits
from condense_plugins._built_in import BuiltIn
from condense_plugins.datasets._tables import TableOptions, loaded

if TYPE_CHECKING:
    from condense.interfaces import Context


class Csv(BuiltIn):
    """A CSV file whose first line names the columns, one of them of labels (data.label).

    Numbers are features as they are, categories one-hot; real samples come back as their rows.
    """

    name: ClassVar[str] = "csv"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "path"
    traits: ClassVar[DatasetTraits] = DatasetTraits(opens=(".csv",))

    class Options(TableOptions):
        """How the file is written, besides."""

        separator: str = Field(",", min_length=1, max_length=1, description="between cells")
        encoding: str = Field("utf-8", min_length=1, description="of the text")

    options: Options

    def load(self, context: Context) -> LabeledData:
        """float32 [N, D], with the rows that they were made of."""
        return loaded(self.options, self._read, context)

    def modality(self) -> Modality:
        """Rows are features."""
        return "features"

    def _read(self, path: Path) -> Rows:
        return read_csv(path, self.options.separator, self.options.encoding)
