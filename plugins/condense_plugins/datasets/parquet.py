"""Rows of a Parquet file; needs the extra ``table``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from condense.engine.ingest.tabular.frame import read_parquet
from condense.engine.ingest.tabular.rows import Rows
from condense.traits import DatasetTraits
from condense_plugins.datasets._tables import TableFile, TableOptions


class Parquet(TableFile):
    """A Parquet file, one column of it labels (data.label); needs the extra ``table``.

    Numbers are features as they are, categories one-hot; real samples come back as their rows.
    """

    name: ClassVar[str] = "parquet"
    version: ClassVar[str] = "1"
    traits: ClassVar[DatasetTraits] = DatasetTraits(opens=(".parquet",))

    class Options(TableOptions):
        """Those of every file of rows."""

    options: Options

    def read(self, path: Path) -> Rows:
        """Its cells as pandas reads them."""
        return read_parquet(path)
