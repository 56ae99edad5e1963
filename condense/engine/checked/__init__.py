"""Running one component under the engine's checks, so that a wrong one is named, not trusted."""

from condense.engine.checked.data import check_data as check_data, run_dataset as run_dataset
from condense.engine.checked.evaluations import (
    run_evaluator as run_evaluator,
    run_repeats as run_repeats,
)
from condense.engine.checked.scores import run_scorer as run_scorer
from condense.engine.checked.selections import (
    check_selection as check_selection,
    run_selector as run_selector,
)
from condense.engine.checked.sets import (
    check_frozen as check_frozen,
    check_real_part as check_real_part,
    run_label_plan as run_label_plan,
    run_policy as run_policy,
    run_reselector as run_reselector,
)
