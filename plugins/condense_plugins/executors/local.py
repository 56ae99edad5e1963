"""Works jobs off in this process, one after another."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from condense.errors import describe
from condense.jobs import Done, ExecutorOptions, Job
from condense.traits import ExecutorTraits


class LocalExecutor:
    """Works jobs off in this process, one after another.

    A command that is given it, or none, makes no jobs at all: stages run as they come, several
    trainings side by side on a GPU.
    """

    name: ClassVar[str] = "local"
    version: ClassVar[str] = "1"
    traits: ClassVar[ExecutorTraits] = ExecutorTraits(in_process=True)

    class Options(ExecutorOptions):
        """Those that all executors have."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._waiting: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        """Keep ``job`` until its turn comes."""
        self._waiting.append(job)

    def next_done(self) -> Done:
        """Work the next job off."""
        job = self._waiting.popleft()
        blobs = {name: make() for name, make in job.blobs.items()}
        try:
            return Done(job, job.function(job.argument, blobs))
        except Exception as error:  # noqa: BLE001 – whatever a job raises, others go on
            return Done(job, None, describe(error))

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
