"""When memory runs out."""

from __future__ import annotations

from condense.errors import describe

OUT_OF_MEMORY = (
    "out of memory; lower one of `matcher.memory=constant`, `matcher.batch_size=…`, "
    "`evaluator.batch_size=…`, or give fewer or smaller images"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is one of the ways in which Python and torch say so.

    By name, as torch's own class is no MemoryError and torch need not be imported to ask.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in describe(error)
