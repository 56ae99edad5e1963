"""Executors against the kit; and that each of its checks catches a wrong one."""

from pathlib import Path

import pytest

from condense.jobs import Done, ExecutorOptions, Job
from condense.options import Options
from condense.plugin.host import build_host
from condense.testing import checks_of, parametrize_with_checks, run_checks

LOCAL = build_host(external=False).registry("executor").get("local")


@parametrize_with_checks("executor", [LOCAL])
def test_local(component, check):
    check(component)


class Plain(Options):
    """No executor's."""


class Careless(LOCAL):
    """Any number of things wrong with it."""

    name = "careless"


class OtherOptions(Careless):
    """Takes options of its own alone."""

    Options = Plain


class Forgetful(Careless):
    """Hands back every job as the one that it was given first."""

    def submit(self, job):
        self.first = vars(self).get("first", job)
        super().submit(job)

    def next_done(self):
        return Done(self.first, super().next_done().result)


class WithoutBlobs(Careless):
    """Sends the argument alone."""

    def next_done(self):
        job = self._waiting.popleft()
        return Done(job, job.function(job.argument, {}))


class Raising(Careless):
    """Raises what a job raises."""

    def next_done(self):
        job = self._waiting.popleft()
        return Done(job, job.function(job.argument, {n: make() for n, make in job.blobs.items()}))


class Once(Careless):
    """Is of no use after it was closed."""

    def close(self):
        del self._waiting


@pytest.mark.parametrize(
    ("wrong", "caught"),
    [
        (OtherOptions, "check_options_are_those_of_executors"),
        (Forgetful, "check_every_job_comes_back_once"),
        (WithoutBlobs, "check_a_job_gets_what_it_needs"),
        (Raising, "check_a_job_that_raises_is_done"),
        (Once, "check_it_works_again_after_close"),
    ],
)
def test_a_wrong_executor_is_caught(wrong, caught):
    report = run_checks("executor", wrong)
    assert caught in {outcome.check for outcome in report.failures}


def test_every_check_of_the_kind_has_a_wrong_executor():
    own = [c.__name__ for c in checks_of("executor") if c.__module__.endswith(".executors")]
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in own if name not in text] == []


def test_a_job_is_a_call_with_defaults():
    job = Job("x", len, "y")
    assert (job.resources.threads, job.resources.gpus, job.blobs) == (1, 0.0, {})
    assert ExecutorOptions().retries == 3
