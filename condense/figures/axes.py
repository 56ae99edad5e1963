"""What axes of all figures have in common."""

from __future__ import annotations

from matplotlib.axes import Axes

# a dollar sign in the name of a class or a path is a dollar sign
PLAIN = {"text.parse_math": False}


def span_at_least(axes: Axes, width: float) -> None:
    """The horizontal axis ``width`` or wider, about its middle.

    Values that agree but for rounding would otherwise be labelled ``1e-10+9.222e1``.
    """
    low, high = axes.get_xlim()
    if high - low < width:
        middle = (low + high) / 2
        axes.set_xlim(middle - width / 2, middle + width / 2)
