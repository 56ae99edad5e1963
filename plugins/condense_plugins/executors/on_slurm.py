"""Works jobs off as Slurm jobs, by submitit."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from condense.errors import CondenseError, OptionError
from condense.jobs import Done, ExecutorOptions, Job

MISSING = "executor 'submitit' needs submitit; install it with `pip install 'condense-data[slurm]'`"
POLL = 0.2  # seconds between two looks at what runs


class SubmititExecutor:
    """Works jobs off as Slurm jobs, by submitit (github.com/facebookincubator/submitit).

    Jobs that are submitted together are one array. The folder in which submitit writes what it
    sends and gets is only the user's to read, and must be seen by all nodes, as must the store.
    """

    name: ClassVar[str] = "submitit"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "cluster"

    class Options(ExecutorOptions):
        cluster: Literal["slurm", "local", "debug"] = Field(
            "slurm", description="slurm; local: processes of this machine; debug: this process"
        )
        folder: str = Field("submitit", description="of submitit's own files; all nodes see it")
        minutes: int = Field(240, ge=1, description="time limit of a job")
        partition: str | None = Field(None, description="of Slurm; unset = Slurm's default")
        account: str | None = Field(None, description="that Slurm charges; unset = the user's")

    def __init__(self, options: Options) -> None:
        self.options = options
        self._waiting: deque[Job] = deque()
        self._running: list[tuple[Any, Job]] = []

    def submit(self, job: Job) -> None:
        """Start ``job`` with others that are submitted before :meth:`next_done`.

        Raises:
            OptionError: without submitit, or for a job that needs bytes sent along.
        """
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise OptionError(MISSING) from None
        if job.blobs:
            raise OptionError(
                "executor 'submitit' sends no data along, and a node does not see the store or "
                "data were handed over in memory; set CONDENSE_STORE to a folder that all nodes "
                "see, and name data by a file or folder there"
            )
        self._waiting.append(job)

    def next_done(self) -> Done:
        """The next job that has ended; waits for it."""
        while True:
            self._start()
            for place, (running, job) in enumerate(self._running):
                if running.done():
                    del self._running[place]
                    return self._ended(running, job)
            time.sleep(POLL)

    def close(self) -> None:
        """Cancel what runs."""
        self._waiting.clear()
        for running, _ in self._running:
            with contextlib.suppress(Exception):
                running.cancel()
        self._running.clear()

    @staticmethod
    def _ended(running: Any, job: Job) -> Done:
        import submitit

        try:
            result: bytes = running.result()
        except submitit.core.utils.UncompletedJobError as error:
            first = next(iter(str(error).strip().splitlines()), "no word of why")
            return Done(job, None, f"Slurm job {running.job_id} died ({first})")
        except Exception as error:  # noqa: BLE001 – whatever the job raised
            last = next(iter(reversed(str(error).strip().splitlines())), "")
            return Done(job, None, f"job {running.job_id} failed: {last}")
        return Done(job, result)

    def _start(self) -> None:
        room = (self._most() or len(self._waiting)) - len(self._running)
        batch = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        if not batch:
            return
        executor = self._executor(batch[0])
        with executor.batch() if len(batch) > 1 else contextlib.nullcontext():
            sent = [executor.submit(job.function, job.argument, {}) for job in batch]
        self._running += list(zip(sent, batch, strict=True))

    def _most(self) -> int | None:
        """Jobs at once; on this machine by default as many as it has processors for."""
        if self.options.at_once is not None or self.options.cluster == "slurm":
            return self.options.at_once
        first = self._running[0][1] if self._running else next(iter(self._waiting), None)
        threads = 1 if first is None else first.resources.threads
        return max(1, (os.cpu_count() or 1) // threads)

    def _executor(self, job: Job) -> Any:
        import submitit

        o, need = self.options, job.resources
        folder = Path(o.folder).expanduser().absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        try:
            executor = submitit.AutoExecutor(folder=folder, cluster=o.cluster)
        except RuntimeError as error:  # no srun on the path
            raise CondenseError(
                f"executor 'submitit' finds no Slurm here ({' '.join(str(error).split())}); type "
                "the command where `srun` is, or give `executor=submitit:local` for processes of "
                "this machine"
            ) from None
        slurm = {"partition": o.partition, "account": o.account}
        executor.update_parameters(
            name="condense",
            timeout_min=o.minutes,
            cpus_per_task=need.threads,
            **({"mem_gb": need.memory / 2**30} if need.memory else {}),
            **({"gpus_per_node": max(1, round(need.gpus))} if need.gpus else {}),
            **{f"slurm_{name}": value for name, value in slurm.items() if value is not None},
        )
        return executor
