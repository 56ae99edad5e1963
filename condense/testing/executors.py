"""What an executor promises: every job once, with what it needs, and no word of what it does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from condense.errors import describe
from condense.jobs import Done, ExecutorOptions, Job, echo, fail
from condense.testing.observation import Work
from condense.testing.subject import Subject

JOBS = 3


@contextlib.contextmanager
def opened(subject: Subject) -> Iterator[Any]:
    """An executor that is closed in the end."""
    executor = subject.create()
    try:
        yield executor
    finally:
        executor.close()


def toy_job(number: int) -> Job:
    """A call that gives back its argument and its two blobs, one of which all of them share."""
    blobs = {"shared": lambda: b"shared", f"own-{number}": lambda: bytes([number])}
    return Job(f"toy {number}", echo, f"argument {number}", blobs=blobs)


def work_off(subject: Subject, executor: Any, jobs: list[Job]) -> list[Done]:
    """All ``jobs`` submitted, and as many taken back."""
    try:
        for job in jobs:
            executor.submit(job)
        return [executor.next_done() for _ in jobs]
    except Exception as error:
        raise subject.failed(f"raised {describe(error)} for {len(jobs)} toy jobs") from error


def work(subject: Subject, seed: int) -> Work:
    """Three jobs, by name."""

    def call() -> dict[str, torch.Tensor]:
        with opened(subject) as executor:
            for number in range(JOBS):
                executor.submit(toy_job(number))
            done = [executor.next_done() for _ in range(JOBS)]
        found = sorted((one.job.name, one.result or b"") for one in done)
        return {name: torch.tensor(list(result), dtype=torch.uint8) for name, result in found}

    return Work({}, call)


def check_options_are_those_of_executors(subject: Subject) -> None:
    """``Options`` derive from ``condense.jobs.ExecutorOptions``: condense reads them as well."""
    subject.require(
        issubclass(type(subject.options), ExecutorOptions),
        "has Options that do not derive from condense.jobs.ExecutorOptions",
    )


def check_every_job_comes_back_once(subject: Subject) -> None:
    """As many as were submitted, each as it was given, in whatever order they end."""
    jobs = [toy_job(number) for number in range(JOBS)]
    with opened(subject) as executor:
        done = work_off(subject, executor, jobs)
    for job in jobs:
        times = sum(one.job is job for one in done)
        subject.require(times == 1, f"handed back job '{job.name}' {times} times, expected once")


def check_a_job_gets_what_it_needs(subject: Subject) -> None:
    """Its argument and all its blobs, and gives back the bytes that the call returned."""
    job = toy_job(7)
    with opened(subject) as executor:
        (done,) = work_off(subject, executor, [job])
    wanted = echo(job.argument, {name: make() for name, make in job.blobs.items()})
    subject.require(
        done.result == wanted, f"handed back {done.result!r} ({done.error}), expected {wanted!r}"
    )


def check_a_job_that_raises_is_done(subject: Subject) -> None:
    """Without a result, with the error in a line; the others go on."""
    bad, good = Job("bad", fail, "on purpose"), toy_job(1)
    with opened(subject) as executor:
        done = {one.job.name: one for one in work_off(subject, executor, [bad, good])}
    subject.require(done["bad"].result is None, "gave a result for a job that raised")
    subject.require(
        "on purpose" in done["bad"].error and "\n" not in done["bad"].error,
        f"says {done['bad'].error!r} of a job that raised, expected its message in one line",
    )
    subject.require(done[good.name].result is not None, "lost a job beside one that raised")


def check_it_works_again_after_close(subject: Subject) -> None:
    """``close`` twice does no harm, and a job submitted after it is worked off."""
    executor = subject.create()
    try:
        executor.close()
        executor.close()
        (done,) = work_off(subject, executor, [toy_job(2)])
    finally:
        executor.close()
    subject.require(done.result is not None, f"works no job off after close(): {done.error}")
