"""The other end of a task: whoever runs it, wherever that is."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import torch

from condense.data import LabeledData
from condense.engine.graph import run_piece
from condense.engine.jobs.distributed import run_distributed
from condense.engine.jobs.environment import environment
from condense.engine.jobs.extra import extra_stages
from condense.engine.jobs.task import Outcome, Task, data_from, packed
from condense.engine.matching.ranks import ALONE, Lost, Ranks
from condense.engine.pipeline import Pipeline, Tools
from condense.engine.runtime.device import pick_device
from condense.engine.runtime.files import private_folder
from condense.engine.runtime.store import Store
from condense.engine.stages.stage import Piece
from condense.errors import CondenseError, message_of
from condense.jobs import Blobs
from condense.plugin.host import Host, build_host
from condense.resolve import Request, resolve

NODE = "CONDENSE_NODE"  # what an executor calls the machine that a job runs on
PRIVATE = "condense-worker"  # folder of a store that only the tasks of this machine see


def run_task(argument: str, blobs: Blobs) -> bytes:
    """Work off a task and leave its result in the store.

    Args:
        argument: a :class:`Task` as JSON.
        blobs: what it names.

    Returns:
        an :class:`Outcome`, whatever happens, and the entry's bytes where the driver does not see
        this store.
    """
    try:  # before all else: the task of another version may be none here
        theirs = json.loads(argument).get("environment", {})
        environment(host_of_worker()).check(theirs, "other programs than on the driver")
        task = Task.model_validate_json(argument)
    except Exception as failure:  # noqa: BLE001 – the driver says it
        return packed(_outcome(message_of(failure)))
    return run_task_here(task, blobs) if task.ranks == 1 else run_distributed(task, blobs)


def run_task_here(task: Task, blobs: Blobs, ranks: Ranks = ALONE) -> bytes:
    """As :func:`run_task`, in this process, with the ranks that share its matching.

    Raises:
        Lost: if one of them has ended, which is no failure of the task itself.
    """
    start = time.perf_counter()
    torch.set_num_threads(task.threads)  # before any tensor: results depend on it
    error, apart, entry = None, False, b""
    try:
        entry = _worked_off(task, blobs, ranks)
    except Lost:
        raise
    except _Apart:
        apart = True
    except Exception as failure:  # noqa: BLE001 – the driver says it
        error = message_of(failure)
    return packed(_outcome(error, apart, time.perf_counter() - start), entry)


def _outcome(error: str | None, apart: bool = False, seconds: float = 0.0) -> Outcome:
    return Outcome(
        error=error,
        apart=apart,
        node=os.environ.get(NODE) or socket.gethostname(),
        pid=os.getpid(),
        threads=torch.get_num_threads(),
        seconds=seconds,
    )


class _Apart(Exception):
    """This machine does not see the driver's store, and no entries were sent."""


def _worked_off(task: Task, blobs: Blobs, ranks: Ranks) -> bytes:
    store, shared = _store(task, blobs)
    piece = Piece(task.stage, task.number, task.kind, task.key)
    if not store.has(*piece.entry):
        pipeline = pipeline_of(task, blobs, host_of_worker(), store.root, ranks=ranks)
        piece = run_piece(pipeline, piece, extra_stages(pipeline, task.extra, blobs))
    return b"" if shared else store.packed(*piece.entry)


@lru_cache(maxsize=1)
def host_of_worker() -> Host:
    """The plugins here, loaded once."""
    return build_host()


def _store(task: Task, blobs: Blobs) -> tuple[Store, bool]:
    """The driver's store and true, or one of this machine with all that the task reads."""
    root = Path(task.store)
    if (root / task.token).is_file():
        return Store(root), True
    if not task.apart:
        raise _Apart
    place = private_folder(Path(tempfile.gettempdir()) / f"{PRIVATE}-{os.getuid()}")
    store = Store(place / "store")
    for digest in task.entries:
        store.unpack(blobs[digest])
    return store, False


def pipeline_of(
    task: Task, blobs: Blobs, host: Host, root: Path, local: int = 0, ranks: Ranks = ALONE
) -> Pipeline:
    """The stages of the task's recipe on its data, in the store at ``root``.

    Args:
        local: which of the job's GPUs is this process's.
        ranks: that share a matching.

    Raises:
        CondenseError: if data of this machine are others.
    """
    sent = bool(task.data.blob)
    table = {k: v for k, v in task.recipe.items() if not (sent and k == "data")}
    request = Request(recipe=table, in_memory=sent, modality=task.data.modality)
    recipe = resolve(host, request)
    device = pick_device(f"cuda:{local}" if local and task.device == "cuda" else task.device)
    store = Store(root)
    tools: Tools = {"store": store, "device": device, "progress": store.progress, "ranks": ranks}
    data = _data(task, blobs, Pipeline(recipe, host, **tools))
    return Pipeline(recipe, host, **tools, data=data, shared_seed=task.shared_seed)


_LOADED: dict[str, LabeledData] = {}  # the data of the last task: the next one has the same


def _data(task: Task, blobs: Blobs, bound: Pipeline) -> LabeledData:
    """The data that the task is about.

    Raises:
        CondenseError: if those of this machine are others.
    """
    wanted = task.data
    name = wanted.model_dump_json()
    if name not in _LOADED:
        data = data_from(blobs[wanted.blob]) if wanted.blob else bound.data
        if wanted.part is not None:
            data = wanted.part.of(data)
        if data.fingerprints != (wanted.fingerprint, wanted.test):
            raise CondenseError(
                f"data {wanted.name} are others here (fingerprint {data.fingerprint}) than on the "
                f"driver ({wanted.fingerprint}); copy them to all machines, or to a folder that "
                "all of them see"
            )
        _LOADED.clear()
        _LOADED[name] = data
    return _LOADED[name]
