"""Works jobs off as Slurm jobs, by submitit."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from condense.engine.runtime.files import private_folder
from condense.errors import CondenseError, OptionError, importing
from condense.jobs import Done, ExecutorOptions, Job

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

        @property
        def elsewhere(self) -> bool:
            """On Slurm's nodes."""
            return self.cluster == "slurm"

    def __init__(self, options: Options) -> None:
        self.options = options
        self._waiting: deque[Job] = deque()
        self._running: list[tuple[Any, Job]] = []
        self._given: dict[Any, tuple[int, ...]] = {}  # GPUs of jobs that run on this machine

    def submit(self, job: Job) -> None:
        """Start ``job`` with others that are submitted before :meth:`next_done`.

        Raises:
            OptionError: without submitit, or for a job that needs bytes sent along.
        """
        with importing("slurm", "executor 'submitit' needs submitit", "submitit"):
            import submitit  # noqa: F401
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
                    self._given.pop(running.job_id, None)
                    return self._ended(running, job)
            time.sleep(POLL)

    def close(self) -> None:
        """Cancel what runs."""
        self._waiting.clear()
        for running, _ in self._running:
            with contextlib.suppress(Exception):
                running.cancel()
        self._running.clear()
        self._given.clear()

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
        most = self._most()
        room = len(self._waiting) if most is None else most - len(self._running)
        batch = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        if not batch:
            return
        if self.options.cluster == "local":
            for job in batch:
                self._start_here(job)
            return
        for need in dict.fromkeys(job.resources for job in batch):  # an array each
            same = [job for job in batch if job.resources == need]
            executor = self._executor(same[0])
            with executor.batch() if len(same) > 1 else contextlib.nullcontext():
                sent = [executor.submit(job.function, job.argument, {}) for job in same]
            self._running += list(zip(sent, same, strict=True))

    def _start_here(self, job: Job) -> None:
        executor, need = self._executor(job), job.resources.gpus
        used = [gpu for gpus in self._given.values() for gpu in gpus]
        least = sorted(_visible_gpus(), key=used.count) if need else []
        own = tuple(least[: _whole(need)])
        if own:
            executor.update_parameters(visible_gpus=own)
        with _unheard():
            running = executor.submit(job.function, job.argument, {})
        self._given[running.job_id] = own
        self._running.append((running, job))

    def _most(self) -> int | None:
        """Jobs at once; on this machine by default as many as it has processors and GPUs for."""
        if self.options.at_once is not None or self.options.cluster == "slurm":
            return self.options.at_once
        first = self._running[0][1] if self._running else next(iter(self._waiting), None)
        if first is None:
            return 1
        need = first.resources
        room = (os.cpu_count() or 1) // need.threads
        return max(1, min(room, int(len(_visible_gpus()) / need.gpus)) if need.gpus else room)

    def _executor(self, job: Job) -> Any:
        import submitit

        o, need = self.options, job.resources
        folder = private_folder(Path(o.folder).expanduser().resolve())
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
            **({"gpus_per_node": _whole(need.gpus)} if need.gpus else {}),
            **{f"slurm_{name}": value for name, value in slurm.items() if value is not None},
        )
        return executor


def _whole(gpus: float) -> int:
    """Neither Slurm nor submitit knows parts of one."""
    return max(1, round(gpus))


def _visible_gpus() -> list[int]:
    """Numbers of this machine's GPUs: those of CUDA_VISIBLE_DEVICES, where that is set.

    Raises:
        OptionError: for one that has no number there, which submitit cannot hand on.
    """
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is None:
        import torch

        return list(range(torch.cuda.device_count()))
    names = [name.strip() for name in told.split(",") if name.strip()]
    if not all(name.isdigit() for name in names):
        raise OptionError(
            f"executor 'submitit:local' takes numbers in CUDA_VISIBLE_DEVICES, got {told!r}; set "
            "CUDA_VISIBLE_DEVICES=0,1, or give `executor=ray`"
        )
    return [int(name) for name in names]


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """What is started inside has no terminal to print on.

    submitit's process beside a job would meet Ctrl-C there with a traceback; the job's own output
    goes to its folder.
    """
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
