"""Rows of a CSV file; needs no pandas."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from condense.engine.ingest.tabular.csv_file import read_csv
from condense.engine.ingest.tabular.rows import Rows
from condense.reading import Separator
from condense.traits import DatasetTraits
from condense_plugins.datasets._tables import TableFile, TableOptions


class Csv(TableFile):
    """A CSV file whose first line names the columns, one of them of labels (data.label).

    Numbers are features as they are, categories one-hot; real samples come back as their rows.
    """

    name: ClassVar[str] = "csv"
    version: ClassVar[str] = "1"
    traits: ClassVar[DatasetTraits] = DatasetTraits(opens=(".csv",))

    class Options(TableOptions):
        """How the file is written, besides."""

        separator: Separator = Field(",", description="between cells")
        encoding: str = Field("utf-8", min_length=1, description="of the text")

    options: Options

    def read(self, path: Path) -> Rows:
        """Its cells as they stand there."""
        return read_csv(path, self.options.separator, self.options.encoding)
