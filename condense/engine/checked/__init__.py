"""Running one component under the engine's checks, so that a wrong one is named, not trusted."""

from condense.engine.checked.data import check_data, run_dataset
from condense.engine.checked.evaluations import run_evaluator, run_repeats
from condense.engine.checked.scores import run_scorer
from condense.engine.checked.selections import check_selection, run_selector
from condense.engine.checked.sets import (
    check_frozen,
    check_real_part,
    run_label_plan,
    run_policy,
    run_reselector,
)

__all__ = [
    "check_data",
    "check_frozen",
    "check_real_part",
    "check_selection",
    "run_dataset",
    "run_evaluator",
    "run_label_plan",
    "run_policy",
    "run_repeats",
    "run_reselector",
    "run_scorer",
    "run_selector",
]
