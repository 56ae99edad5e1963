"""A matching as one job of several processes, which share its trajectories as torchrun's ranks do.

The job's process starts torchrun, whose ranks find the task in a folder and leave its result there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from condense.engine.jobs.task import Task, unpacked
from condense.jobs import Blobs

MODULE = "condense.engine.jobs.rank"  # what the processes run
TASK, RESULT, BLOBS = "task.json", "result", "blobs"
# what standard error has of why ranks ended, the best first: how a traceback ends (not torchrun's
# own, which is empty there), the signal that torchrun saw, and that rank 0 was left alone
_REASONS = (
    r"^(?:\[rank\d+\]: )?(\S*Error: .*\S)",
    r"^  traceback : (Signal .*)",
    r"^(?:\[rank\d+\]: )?\S*(Lost: .*)",
)


def run_distributed(task: Task, blobs: Blobs) -> bytes:
    """What :func:`~condense.engine.jobs.worker.run_task` gives, worked off by ``task.ranks``.

    Raises:
        RuntimeError: if the ranks ended without a result, as when one of them is killed, or with
            an error that the end of one may have brought about.
    """
    with tempfile.TemporaryDirectory() as place:
        _write(Path(place), task, blobs)
        command = [sys.executable, "-m", MODULE, place, str(task.ranks)]
        own = {**os.environ, "OMP_NUM_THREADS": str(task.threads)}
        done = subprocess.run(  # noqa: S603 – this package itself
            command, env=own, capture_output=True, text=True, check=False
        )
        file = Path(place) / RESULT
        result = file.read_bytes() if file.is_file() else None
        error = None if result is None else unpacked(result)[0].error
        if result is None or (error and done.returncode):
            why = error or _reason(done.stderr)
            raise RuntimeError(f"{task.ranks} ranks ended with code {done.returncode} ({why})")
        return result


def _reason(stderr: str) -> str:
    found = (re.findall(reason, stderr, re.MULTILINE) for reason in _REASONS)
    return next((lines[-1] for lines in found if lines), "no word of why")


def _write(place: Path, task: Task, blobs: Blobs) -> None:
    (place / TASK).write_text(task.model_dump_json())
    for name, content in blobs.items():  # names have folders
        (place / BLOBS / name).parent.mkdir(parents=True, exist_ok=True)
        (place / BLOBS / name).write_bytes(content)


def read_task(place: Path) -> tuple[Task, Blobs]:
    """What the job was given."""
    task = Task.model_validate_json((place / TASK).read_text())
    files = [path for path in (place / BLOBS).rglob("*") if path.is_file()]
    return task, {str(path.relative_to(place / BLOBS)): path.read_bytes() for path in files}


def write_result(place: Path, result: bytes) -> None:
    """Leave what the job is to hand back, all or nothing."""
    draft = place / f"{RESULT}.draft"
    draft.write_bytes(result)
    draft.rename(place / RESULT)
