"""Loading: the one stage that is never stored, as its source is there anyway."""

from __future__ import annotations

from condense.engine.checked import run_dataset
from condense.engine.runtime.exhaustion import is_out_of_memory
from condense.errors import CapacityError
from condense.interfaces import Context, LabeledData
from condense.recipe import Resolved


def load_data(resolved: Resolved, context: Context) -> LabeledData:
    """The training split, its test split attached; hashed once, here.

    Raises:
        CapacityError: for every way in which memory is said to have run out. No option of a
            matcher or evaluator would help against that.
        CondenseError: for whatever the source cannot do.
    """
    try:
        data = run_dataset(resolved.create(), context)
        _ = data.fingerprint
        return data
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    smaller = "resize" in type(resolved.options).model_fields
    advice = "set a smaller `data.resize=N`, or " if smaller else ""
    raise CapacityError(
        f"out of memory while loading data '{resolved.name}'; {advice}give fewer or smaller images"
    )
