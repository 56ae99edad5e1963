"""A matching as one job of several processes, which share its trajectories as torchrun's ranks do.

The job's process starts torchrun, whose ranks run this module: rank 0 works the task off, the
others follow it. None outlives the process that started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from condense.engine.jobs.follower import follow
from condense.engine.jobs.launch import dismissed, launch, set_threads, team
from condense.engine.jobs.task import Task
from condense.engine.matching.ranks import HELLO, Order
from condense.engine.pipeline import Pipeline
from condense.jobs import Blobs

TASK, RESULT, BLOBS = "task.json", "result", "blobs"
AGENT = "agent"


def run_ranked(task: Task, blobs: Blobs) -> bytes:
    """What :func:`~condense.engine.jobs.worker.run_task` gives, worked off by ``task.ranks``.

    Raises:
        RuntimeError: if the ranks ended without a result, as when one of them is killed.
    """
    with tempfile.TemporaryDirectory() as place:
        _write(Path(place), task, blobs)
        command = [sys.executable, "-m", __name__, AGENT, place, str(task.ranks)]
        own = {**os.environ, "OMP_NUM_THREADS": str(task.threads)}
        done = subprocess.run(  # noqa: S603 – this module itself
            command, env=own, capture_output=True, text=True, check=False
        )
        result = Path(place) / RESULT
        if not result.is_file():
            last = next(iter(reversed(done.stderr.strip().splitlines())), "no word of why")
            raise RuntimeError(f"{task.ranks} ranks ended with code {done.returncode} ({last})")
        return result.read_bytes()


def _write(place: Path, task: Task, blobs: Blobs) -> None:
    (place / TASK).write_text(task.model_dump_json())
    (place / BLOBS).mkdir()
    for name, content in blobs.items():  # names have folders
        (place / BLOBS / name).parent.mkdir(parents=True, exist_ok=True)
        (place / BLOBS / name).write_bytes(content)


def _read(place: Path) -> tuple[Task, Blobs]:
    task = Task.model_validate_json((place / TASK).read_text())
    files = [path for path in (place / BLOBS).rglob("*") if path.is_file()]
    names = {str(path.relative_to(place / BLOBS)): path for path in files}
    return task, {name: path.read_bytes() for name, path in names.items()}


def _dies_with_its_parent() -> None:
    """Whoever started this process may be killed, and nobody would end it then."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _agent(place: str, ranks: str) -> None:
    from torch.distributed.run import main

    given = ["--standalone", "--nproc-per-node", ranks, "-m", __spec__.name, place]
    main(given)


def _rank(place: Path) -> None:
    from condense.engine.jobs.environment import environment
    from condense.engine.jobs.worker import host_of_worker, pipeline_of, run_task_here

    warnings.simplefilter("ignore")  # the job's process has no one to tell
    set_threads()
    task, blobs = _read(place)
    which, others = launch(), team()
    assert which is not None
    assert others is not None
    host = host_of_worker()
    if which.rank:

        def bound(order: Order) -> Pipeline:
            return pipeline_of(task, blobs, host, Path(order.store), local=which.local)

        follow(others, which.local, bound)
        return
    others.tell(HELLO, environment(host).to_json())
    result = run_task_here(task, blobs, others)
    draft = place / f"{RESULT}.draft"
    draft.write_bytes(result)
    draft.rename(place / RESULT)
    dismissed()


if __name__ == "__main__":
    _dies_with_its_parent()
    if sys.argv[1] == AGENT:
        _agent(*sys.argv[2:])
    else:
        _rank(Path(sys.argv[1]))
