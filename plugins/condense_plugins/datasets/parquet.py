"""Rows of a Parquet file; needs the extra ``table``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from condense.data import LabeledData, Modality
from condense.engine.ingest.tabular.frame import read_parquet
from condense.traits import DatasetTraits
from condense_plugins._built_in import BuiltIn
from condense_plugins.datasets._tables import TableOptions, loaded

if TYPE_CHECKING:
    from condense.interfaces import Context


class Parquet(BuiltIn):
    """A Parquet file, one column of it labels (data.label); needs the extra ``table``.

    Numbers are features as they are, categories one-hot; real samples come back as their rows.
    """

    name: ClassVar[str] = "parquet"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "path"
    traits: ClassVar[DatasetTraits] = DatasetTraits(opens=(".parquet",))

    class Options(TableOptions):
        """Those of every file of rows."""

    options: Options

    def load(self, context: Context) -> LabeledData:
        """float32 [N, D], with the rows that they were made of."""
        return loaded(self.options, read_parquet, context)

    def modality(self) -> Modality:
        """Rows are features."""
        return "features"
