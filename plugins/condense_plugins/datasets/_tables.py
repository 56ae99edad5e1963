"""What data sets that are files of rows have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from condense.data import LabeledData, Modality
from condense.engine.ingest.tabular.rows import Rows
from condense.engine.ingest.tabular.tables import Roles, table_data
from condense.errors import DataError
from condense.options import Options as BaseOptions, PathOption, TestPart
from condense_plugins._built_in import BuiltIn

if TYPE_CHECKING:
    from condense.interfaces import Context


def _listed(value: Any) -> Any:
    """``a,b`` as a list; a name that has a comma in it is given in one, ``["a, b"]``."""
    is_list = not isinstance(value, str) or value.startswith("[")
    return value if is_list else [name.strip() for name in value.split(",")]


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class TableOptions(BaseOptions):
    """Where the rows are and what their columns mean."""

    path: PathOption = Field(description="file with a row a sample and names of columns")
    label: str | None = Field(None, description="column of labels: whole numbers, text, true/false")
    ignore: Names = Field(
        (), description="columns that are no features, but come back with real samples"
    )
    categories: Names = Field(
        (), description="columns that are categories, though their cells are numbers"
    )
    test: TestPart | None = Field(
        None,
        description="the test split: another file with these columns, or a share > 0, < 1 of every "
        "class, always the same rows; unset = none",
    )


class TableFile(BuiltIn, ABC):
    """A file of rows; what it is made of is its own."""

    arg: ClassVar[str] = "path"

    options: TableOptions

    @abstractmethod
    def read(self, path: Path) -> Rows:
        """The rows of the file at ``path``."""

    def load(self, context: Context) -> LabeledData:
        """float32 [N, D], with the rows that they were made of; ``items`` are FILE#ROW.

        Raises:
            DataError: naming the file.
        """
        options = self.options
        path, test = Path(options.path).expanduser(), options.test
        rows = self.read(path)
        held = replace(self.read(Path(test)), apart=True) if isinstance(test, str) else test
        if options.label is None:
            columns = ", ".join(list(rows.cells)[:20])
            raise DataError(
                f"{path}: which column are the labels? set `data.label=COLUMN` (columns: {columns})"
            )
        roles = Roles(options.label, options.ignore, options.categories)
        try:
            return table_data(rows, roles, test=held, name=path.stem, note=context.progress.note)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def modality(self) -> Modality:
        """Rows are features."""
        return "features"
