"""All kinds together: which checks there are, and running them on anything registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from condense.errors import OptionError, closest
from condense.options import Options
from condense.plugin.host import Host
from condense.testing import (
    augmentations,
    datasets,
    evaluators,
    matchers,
    methods,
    networks,
    scorers,
    selectors,
    update_policies,
)
from condense.testing.report import Check, Report, run_all
from condense.testing.subject import Subject, Work, make_subject

_KINDS: dict[str, tuple[Callable[[Subject, int], Work], tuple[Check, ...]]] = {
    "data": (datasets.work, datasets.CHECKS),
    "network": (networks.work, networks.CHECKS),
    "scorer": (scorers.work, scorers.CHECKS),
    "selector": (selectors.work, selectors.CHECKS),
    "matcher": (matchers.work, matchers.CHECKS),
    "update-policy": (update_policies.work, update_policies.CHECKS),
    "augmentation": (augmentations.work, augmentations.CHECKS),
    "evaluator": (evaluators.work, evaluators.CHECKS),
    "method": (methods.work, methods.CHECKS),
}


def checks_of(kind: str) -> tuple[Check, ...]:
    """The checks of ``kind``, common ones first.

    Raises:
        OptionError: for a kind that has none.
    """
    return _of(kind)[1]


def subject_of(
    kind: str,
    thing: Any,
    options: Options | Mapping[str, Any] | None = None,
    host: Host | None = None,
) -> Subject:
    """What the checks of ``kind`` take; arguments as of ``check_KIND``."""
    return make_subject(kind, thing, _of(kind)[0], options, host)


def run_checks(
    kind: str,
    thing: Any,
    options: Options | Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
    host: Host | None = None,
) -> Report:
    """A report of all checks of ``kind`` on ``thing``; raises nothing for what they find."""
    return run_all(subject_of(kind, thing, options, host), checks_of(kind), expected_failures)


def _of(kind: str) -> tuple[Callable[[Subject, int], Work], tuple[Check, ...]]:
    if kind not in _KINDS:
        raise OptionError(
            f"no checks for kind '{kind}'{closest(kind, _KINDS)} (kinds: {', '.join(_KINDS)})"
        )
    return _KINDS[kind]
