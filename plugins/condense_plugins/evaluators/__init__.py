"""Built-in evaluators."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Evaluator
from condense_plugins.evaluators.accuracy import AccuracyEvaluator
from condense_plugins.evaluators.coverage import CoverageEvaluator


@hookimpl
def condense_register_evaluators(register: Callable[[type[Evaluator]], None]) -> None:
    register(AccuracyEvaluator)
    register(CoverageEvaluator)
