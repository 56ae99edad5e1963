"""Optuna (extra ``tune``), for several options at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from condense.errors import importing


def import_optuna() -> Any:
    """The library.

    Raises:
        OptionError: if it is not installed.
    """
    otherwise = " or leave `also` out"
    with importing("tune", "`also` needs Optuna", "optuna", otherwise=otherwise):
        import optuna
    return optuna


def sample(
    evaluate: Callable[[tuple[float, ...]], float],
    ranges: Sequence[tuple[float, float]],
    start: Sequence[float],
    trials: int,
    seed: int,
) -> None:
    """Call ``evaluate`` for ``start`` and then for what Optuna's sampler asks for.

    That is the tree-structured Parzen estimator (Bergstra et al., 2011, "Algorithms for
    Hyper-Parameter Optimization"). Equal arguments and results give equal places, so that a
    repeated call finds all of them in the store.

    Args:
        evaluate: (values, one a range) → what is maximised.
        ranges: (lowest, highest) of each option.
        start: tried first, within the ranges.
        trials: how many in all.
        seed: of the sampler.

    Raises:
        OptionError: if Optuna is not installed.
    """
    optuna = import_optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({str(number): value for number, value in enumerate(start)})
    for _ in range(trials):
        trial = study.ask()
        asked = (trial.suggest_float(str(number), *ends) for number, ends in enumerate(ranges))
        study.tell(trial, evaluate(tuple(asked)))
