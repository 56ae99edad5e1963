"""Rows as they came, and how messages speak of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from condense.errors import DataError, closest
from condense.tabular.column import Cells


@dataclass(frozen=True)
class Wording:
    """How a user says what is to be done with columns; ``{}`` stands for their names.

    Attributes:
        ignore: that they are no features.
        category: that they are no numbers.
        between: two names.
        unit: what rows are counted in: the ``line`` of a file, or the ``row``.
        already: columns that were said to be no features.
    """

    ignore: str
    category: str
    between: str
    unit: str
    already: tuple[str, ...] = ()

    def ignored(self, *names: str) -> str:
        """How it is said that ``names`` are no features, beside those that are none already."""
        return self.ignore.format(self.between.join((*self.already, *names)))

    def as_category(self, name: str) -> str:
        """How it is said that ``name`` is no number."""
        return self.category.format(name)


OF_LINES = Wording("`data.ignore={}`", "`data.categories={}`", ",", "line")
OF_ROWS = replace(OF_LINES, unit="row")
OF_FRAME = Wording("ignore=['{}']", "frame['{}'].astype('category')", "', '", "row")


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a file or data frame.

    Attributes:
        cells: of every column, one a row.
        dtypes: of every column, as pandas spells it; ``text`` may stand for anything, as in CSV.
        numbers: of the rows, as the user counts them.
        places: of the rows in the file, from 0; None where they are all of it.
        apart: whether they are of another file than most, so that messages name it.
        source: name of the file, of which samples are the rows; None where there is none.
        wording: how messages speak of them.
        separator, encoding: as of :class:`~condense.tabular.table.Table`.
    """

    cells: Mapping[str, Cells]
    dtypes: Mapping[str, str]
    numbers: Sequence[int]
    source: str | None = None
    wording: Wording = OF_LINES
    places: Sequence[int] | None = None
    apart: bool = False
    separator: str = ","
    encoding: str = "utf-8"

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, row: int) -> str:
        """Where ``row`` is, counted from 0: ``line 7``."""
        of_file = f" of {self.source or 'the test split'}" if self.apart else ""
        return f"{self.wording.unit} {self.numbers[row]}{of_file}"

    @property
    def items(self) -> list[str] | None:
        """The place of every row in the file: ``people.csv#7``."""
        places = range(len(self)) if self.places is None else self.places
        return None if self.source is None else [f"{self.source}#{place}" for place in places]

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at ``indices``."""
        chosen = list(indices)
        places = range(len(self)) if self.places is None else self.places
        return replace(
            self,
            cells={name: cells[chosen] for name, cells in self.cells.items()},
            numbers=[self.numbers[row] for row in chosen],
            places=[places[row] for row in chosen],
        )

    def check_columns(self, names: Sequence[str]) -> None:
        """That ``names`` are among the columns.

        Raises:
            DataError: naming the first that is not.
        """
        for name in names:
            if name not in self.cells:
                listed = ", ".join(list(self.cells)[:20]) + (", …" if len(self.cells) > 20 else "")
                hint = closest(name, self.cells)
                where = f" in {self.source or 'the test split'}" if self.apart else ""
                raise DataError(f"there is no column '{name}'{where}{hint} (columns: {listed})")
