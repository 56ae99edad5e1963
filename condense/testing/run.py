"""Which checks there are, running them on anything registered, and reporting them together."""

from __future__ import annotations

import functools
import importlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from condense.errors import OptionError, closest, describe
from condense.kinds import KINDS
from condense.options import Options
from condense.plugin.host import Host
from condense.testing import common
from condense.testing.observation import isolated, quiet
from condense.testing.subject import TAGS, Check, CheckFailed, Setup, Subject, make_subject

CHECKED = {name: kind for name, kind in KINDS.items() if kind.use}
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


def checks_of(kind: str) -> tuple[Check, ...]:
    """The checks of ``kind``, common ones first.

    Raises:
        OptionError: for a kind that has none.
    """
    module = _module(kind)
    files = [module, *vars(module).get("FURTHER", ())]
    every = files if kind == "method" else [common, *files]  # a method is a record: nothing runs
    return tuple(
        value
        for file in every
        for name, value in vars(file).items()
        if name.startswith("check_") and value.__module__ == file.__name__
    )


def _module(kind: str) -> ModuleType:
    """The file of a kind, called as its hook is: ``work`` and the checks."""
    if kind not in CHECKED:
        raise OptionError(
            f"no checks for kind '{kind}'{closest(kind, CHECKED)} (kinds: {', '.join(CHECKED)})"
        )
    return importlib.import_module(f"{__package__}.{KINDS[kind].suffix}")


def subject_of(
    kind: str, thing: Any, setup: Setup | None = None, host: Host | None = None
) -> Subject:
    """What the checks of ``kind`` take; see :func:`~condense.testing.subject.make_subject`."""
    return make_subject(kind, thing, _module(kind).work, setup, host)


def run_checks(
    kind: str,
    thing: Any,
    options: Options | Mapping[str, Any] | None = None,
    *,
    setup: Setup | None = None,
    expected_failures: Mapping[str, str] | None = None,
    host: Host | None = None,
) -> Report:
    """A report of all checks of ``kind`` on ``thing``; raises nothing for what they find.

    Args:
        kind: as on the command line.
        thing: a class, an instance whose options are used, or a method's record.
        options: short for ``setup=Setup(options)``.
        setup: how the kit is to run it, where its package does not say.
        expected_failures: reason by name of a check that is known to fail; it must fail.
        host: where nested components are looked up; by default the built-in ones.
    """
    setup = Setup(options) if setup is None else setup
    return run_all(subject_of(kind, thing, setup, host), checks_of(kind), expected_failures)


def check_component(kind: str, thing: Any, **settings: Any) -> None:
    """Hold a component against all checks of its kind; arguments as of :func:`run_checks`.

    Raises:
        ConformanceError: with every failure.
    """
    run_checks(kind, thing, **settings).raise_failures()


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


def parametrize_with_checks(
    kind: str,
    components: Iterable[Any],
    *,
    setup: Setup | None = None,
    expected_failures: Mapping[str, str] | None = None,
    host: Host | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator for ``def test_conforms(component, check): check(component)``.

    Args:
        kind: as on the command line, for example ``"scorer"``.
        components: classes, or instances whose options are used.
        setup: how the kit is to run them; by default what their package declares
            (:func:`~condense.testing.subject.declared`).
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
        subject = subject_of(kind, thing, setup, host)
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
