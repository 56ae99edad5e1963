"""What is handed to those beside a recipe: jobs as calls to executors, a run to trackers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import Field

from condense.options import Options

Blobs = Mapping[str, bytes]
Work = Callable[[str, Blobs], bytes]  # a function of a module, so that its name alone travels


class ExecutorOptions(Options):
    """What executors have in common; each derives its options from it."""

    threads: int | None = Field(
        None,
        ge=1,
        description="torch threads of a job; unset = as many as here. Results depend on it",
    )
    gpus: float | None = Field(
        None,
        gt=0,
        description="GPUs of a job, such as 0.25; unset = as much of one as its memory asks for",
    )
    memory: float | None = Field(None, gt=0, description="GiB of main memory of a job")
    ranks: int = Field(
        1,
        ge=1,
        description="processes that share a matching's trajectories, in one job; each has the "
        "threads of a job, and its GPUs, one at least",
    )
    at_once: int | None = Field(None, ge=1, description="most jobs under way at once")
    retries: int = Field(
        3, ge=0, description="how often a job is started again whose process or machine died"
    )

    @property
    def elsewhere(self) -> bool:
        """Whether jobs may run on other machines, which may have GPUs where this one has none."""
        return False


@dataclass(frozen=True)
class Resources:
    """What a job is to have.

    Attributes:
        threads: CPU threads.
        gpus: GPUs, or a share of one; 0 on a CPU.
        memory: bytes of main memory; None where nobody said.
    """

    threads: int = 1
    gpus: float = 0.0
    memory: int | None = None


@dataclass(frozen=True, eq=False)
class Job:
    """A call that may be made anywhere: ``function(argument, blobs)``.

    It may be made twice, or killed, without harm.

    Attributes:
        name: in a few words, ``"experts 3"``.
        function: of a module that every machine has.
        argument: JSON text.
        resources: that it needs.
        blobs: bytes that it needs besides, by a digest of their content: jobs that name the same
            one need it only once. Each is made when it is asked for.
    """

    name: str
    function: Work
    argument: str
    resources: Resources = Resources()
    blobs: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Done:
    """A job that has ended.

    Attributes:
        job: which.
        result: what the call gave; None where it never returned.
        error: why it did not, in one line: its process or machine died, say. It is tried again.
    """

    job: Job
    result: bytes | None
    error: str = ""


@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker knows it.

    Attributes:
        name: of the folder of its result, ``selmatch-digits-ipc5-s0-…``.
        parameters: its recipe as text, by dotted key: ``matcher.network.width``; no path.
    """

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def echo(argument: str, blobs: Blobs) -> bytes:
    """What it is given: a job to try an executor with, for which nothing heavy is imported."""
    return b"|".join([argument.encode(), *(blobs[name] for name in sorted(blobs))])


def fail(argument: str, blobs: Blobs) -> bytes:
    """Raises ``ValueError(argument)``, to try an executor with."""
    raise ValueError(argument)
