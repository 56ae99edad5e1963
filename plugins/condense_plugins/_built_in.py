"""What the classes of built-in components have in common."""

from __future__ import annotations

from condense.interfaces import Context, Cost, LabeledData
from condense.options import Options as BaseOptions


class BuiltIn:
    """A component that keeps its options, of which it has none unless it declares some."""

    class Options(BaseOptions):
        """None."""

    options: BaseOptions

    def __init__(self, options: BaseOptions) -> None:
        self.options = options


class Instant(BuiltIn):
    """One whose stage takes next to nothing, and says so."""

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Nothing worth mentioning."""
        return Cost()
