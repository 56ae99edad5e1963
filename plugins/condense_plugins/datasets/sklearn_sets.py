"""The tables that come with scikit-learn; need no download."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from condense.data import LabeledData, Modality
from condense.engine.ingest.tabular.rows import OF_ROWS, Rows
from condense.engine.ingest.tabular.tables import Roles, table_data
from condense.options import Options as BaseOptions
from condense_plugins._built_in import BuiltIn

if TYPE_CHECKING:
    from condense.interfaces import Context

_LABEL = "class"


class SklearnSets(BuiltIn):
    """A classification set that scikit-learn ships: iris, wine, breast_cancer or digits.

    Features have their names, as do classes; of digits every pixel is a feature.
    """

    name: ClassVar[str] = "sklearn"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "set"

    class Options(BaseOptions):
        """Which one."""

        set: Literal["iris", "wine", "breast_cancer", "digits"] = Field(description="its name")
        test: float = Field(
            0.2, gt=0, lt=1, description="share of every class in the test split, always the same"
        )

    options: Options

    def load(self, context: Context) -> LabeledData:
        """float32 [N, D], with rows that name columns and classes."""
        from sklearn import datasets

        loaders = {
            "iris": datasets.load_iris,
            "wine": datasets.load_wine,
            "breast_cancer": datasets.load_breast_cancer,
            "digits": datasets.load_digits,
        }
        source = loaders[self.options.set]()
        names = [str(name) for name in source.feature_names]
        cells = dict(zip(names, source.data.T.astype(object), strict=True))
        classes = source.target_names[source.target]
        dtypes = dict.fromkeys(names, "float64") | {_LABEL: "int64"}
        if classes.dtype.kind == "U":
            dtypes[_LABEL] = "text"
        rows = Rows(
            cells | {_LABEL: classes.astype(object)},
            dtypes,
            range(len(classes)),
            self.options.set,
            OF_ROWS,
        )
        note = context.progress.note
        return table_data(
            rows, Roles(_LABEL), test=self.options.test, name=self.options.set, note=note
        )

    def modality(self) -> Modality:
        """Rows are features."""
        return "features"
