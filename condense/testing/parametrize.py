"""One pytest test per component and check."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from condense.plugin.host import Host
from condense.testing.report import Check, excuse, expect, name_of
from condense.testing.run import checks_of, subject_of
from condense.testing.subject import CheckFailed, Subject, isolated


def parametrize_with_checks(
    kind: str,
    components: Iterable[Any],
    *,
    expected_failures: Mapping[str, str] | None = None,
    host: Host | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator for ``def test_conforms(component, check): check(component)``.

    Args:
        kind: as on the command line, for example ``"scorer"``.
        components: classes, or instances whose options are used (``toy_options`` of the class
            where it has them).
        expected_failures: reason by name of a check; marked xfail, strictly: a check that passes
            after all is a failure.
        host: where nested components are looked up; by default the built-in ones.

    Raises:
        OptionError: for a kind or a check that does not exist.
    """
    import pytest

    checks = checks_of(kind)
    expected = expect(checks, expected_failures)
    cases = []
    for thing in components:
        subject = subject_of(kind, thing, host=host)
        for check in checks:
            name, marks = name_of(check), []
            reason = excuse(check, subject)
            if reason is not None:
                marks.append(pytest.mark.skip(reason=reason))
            if name in expected:
                mark = pytest.mark.xfail(reason=expected[name], strict=True, raises=CheckFailed)
                marks.append(mark)
            cases.append(
                pytest.param(subject, _apart(check), id=f"{subject.name}-{name}", marks=marks)
            )
    return pytest.mark.parametrize(("component", "check"), cases)


def _apart(check: Check) -> Check:
    """``check``, leaving no trace of the component in global state."""

    @functools.wraps(check)
    def run(component: Subject) -> None:
        with isolated():
            check(component)

    return run
