"""Running checks one by one and reporting them together."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from condense.errors import OptionError, closest
from condense.testing.subject import TAGS, CheckFailed, Subject, describe, isolated, quiet

Check = Callable[[Subject], None]
C = TypeVar("C", bound=Check)
Result = Literal["passed", "failed", "excused", "expected"]


class ConformanceError(AssertionError):
    """The checks that a component failed, one a line."""


@dataclass(frozen=True)
class Outcome:
    """How one check ended.

    Attributes:
        check: name of the check.
        result: passed, failed, excused (by a tag) or expected (a failure that was announced).
        message: what broke, with which input, what was expected; or why it was excused.
    """

    check: str
    result: Result
    message: str = ""


@dataclass(frozen=True)
class Report:
    """All outcomes of one component."""

    kind: str
    name: str
    outcomes: tuple[Outcome, ...]

    @property
    def failures(self) -> list[Outcome]:
        """The checks that failed."""
        return [o for o in self.outcomes if o.result == "failed"]

    def text(self) -> str:
        """The failures, those with one and the same message together."""
        by_message: dict[str, list[str]] = {}
        for outcome in self.failures:
            by_message.setdefault(outcome.message, []).append(outcome.check)
        total = sum(o.result != "excused" for o in self.outcomes)
        head = f"{self.kind} '{self.name}' fails {len(self.failures)} of {total} checks:"
        lines = [f"  {', '.join(names)}: {message}" for message, names in by_message.items()]
        return "\n".join([head, *lines])

    def raise_failures(self) -> None:
        """Nothing if all is well.

        Raises:
            ConformanceError: with :meth:`text`.
        """
        if self.failures:
            raise ConformanceError(self.text())


def excused_by(tag: str) -> Callable[[C], C]:
    """Mark a check that components with ``tag`` need not pass."""
    assert tag in TAGS

    def mark(check: C) -> C:
        check.excused_by = tag  # type: ignore[attr-defined]
        return check

    return mark


def excuse(check: Check, subject: Subject) -> str | None:
    """Why ``subject`` need not pass ``check``, or None."""
    tag: str | None = getattr(check, "excused_by", None)
    return f"tagged '{tag}': {TAGS[tag]}" if tag is not None and tag in subject.tags else None


def name_of(check: Check) -> str:
    """The name a check is known by."""
    return str(getattr(check, "__name__", check))


def expect(checks: Sequence[Check], expected_failures: Mapping[str, str] | None) -> dict[str, str]:
    """``expected_failures``, whose keys are known checks.

    Raises:
        OptionError: for a name that no check has, with the nearest one.
    """
    known = [name_of(check) for check in checks]
    for name, reason in (expected_failures or {}).items():
        if name not in known:
            raise OptionError(f"expected_failures names no check '{name}'{closest(name, known)}")
        if not reason.strip():
            raise OptionError(f"expected_failures gives no reason for '{name}'")
    return dict(expected_failures or {})


def run_all(
    subject: Subject,
    checks: Sequence[Check],
    expected_failures: Mapping[str, str] | None = None,
) -> Report:
    """Every check of ``checks`` on ``subject``; a failure does not stop the others."""
    expected = expect(checks, expected_failures)
    outcomes = []
    for check in checks:
        name = name_of(check)
        reason = excuse(check, subject)
        if reason is not None:
            outcomes.append(Outcome(name, "excused", reason))
            continue
        message = run_one(check, subject)
        if name in expected:
            outcomes.append(_expected(name, message, expected[name]))
        else:
            outcomes.append(Outcome(name, "failed" if message else "passed", message or ""))
    return Report(subject.kind, subject.name, tuple(outcomes))


def _expected(name: str, message: str | None, reason: str) -> Outcome:
    if message:
        return Outcome(name, "expected", reason)
    return Outcome(
        name, "failed", f"was expected to fail ({reason}) but passes; drop it from the list"
    )


def run_one(check: Check, subject: Subject) -> str | None:
    """The message of what broke, or None."""
    try:
        with isolated(), quiet(io.StringIO()):
            check(subject)
    except CheckFailed as failure:
        return str(failure)
    except Exception as error:  # noqa: BLE001 – of the component
        return f"{subject.kind} '{subject.name}' raised {describe(error)}"
    return None
