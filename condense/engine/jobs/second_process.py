"""A second process that works off, in the same store, what this one would come to later.

On small samples a step leaves a second core idle, however many threads it has. So a copy of this
process trains what needs nothing that is not there yet: experts, baselines, the last networks of
the scores. Whoever comes first to a piece works it off, the other one waits for it or finds it in
the store, so that the bytes are those of one process. What the copy cannot do is done here.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from condense.components import resolve_spec
from condense.engine.graph import stages
from condense.engine.jobs.launch import die_with_the_parent
from condense.engine.matching.ranks import ALONE
from condense.engine.pipeline import Pipeline, StageTime
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.stages.stage import Stage
from condense.engine.training.threads import is_small
from condense.errors import is_ours
from condense.options import spec_fields

LOOK = 0.1  # seconds between two looks at what has been stored
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container
STOPS = (signal.SIGINT, signal.SIGTERM)


def pays(pipeline: Pipeline, threads: int) -> bool:
    """Whether a second process would have a core of its own and something to gain by it.

    Args:
        threads: that this process may have.
    """
    # elsewhere, and beside a GPU, a copy of a process may not go on with what it has loaded
    if sys.platform != "linux" or torch.cuda.is_available():
        return False
    if threading.current_thread() is not threading.main_thread():  # others go on without a copy
        return False
    cores = min(len(os.sched_getaffinity(0)), threads, _quota())
    here = pipeline.device.type == "cpu" and pipeline.ranks is ALONE
    return cores >= 2 and here and is_small(pipeline.data.geometry.shape)


def _quota() -> float:
    """How many CPUs' time a container has."""
    try:
        most, period = map(int, QUOTA.read_text().split())
    except (OSError, ValueError):  # no container, or "max"
        return math.inf
    return most / period


def _may_be_copied(stage: Stage[Any]) -> bool:
    """Whether all that is at work in it is ours: of a stranger's component nobody knows whether it
    goes on in a copy, as with threads of its own it does not."""
    recipe, host = stage.bound.recipe, stage.bound.host
    options = recipe[stage.component].options
    inner = [resolve_spec(host, getattr(options, name)) for name in spec_fields(type(options))]
    served = [recipe[stage.component], recipe["augmentation"], *inner]
    return all(is_ours(resolved.cls) for resolved in served)


@contextlib.contextmanager
def helped(
    pipeline: Pipeline, todo: Sequence[Stage[Any]], threads: int
) -> Iterator[Collection[str]]:
    """While it is open a copy of this process works off pieces of the stages ``todo``.

    Args:
        threads: that this process may have.

    Yields:
        the names of those stages; none where no copy is at work. What they take of this process is
        half their work at most, and none of it was there before.
    """
    names: set[str] = set()
    if pays(pipeline, threads):
        found = [stage for stage in todo if stage.most_pieces > 1 and not stage.stored]
        names = {stage.name for stage in found if _may_be_copied(stage)}
    if not names:
        yield names
        return
    parent, mask = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    handle = None
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until it is known what is to be killed
        handle = _copied(pipeline, names, parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield names if handle is not None else ()
    finally:
        if handle is not None:
            _end(handle)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if handle is not None:
        for name in names & pipeline.timings.keys():
            pipeline.timings[name] = StageTime(pipeline.timings[name].seconds, cached=False)


def _copied(pipeline: Pipeline, names: Collection[str], parent: int) -> int | None:
    """A handle of the copy, which is no other process's later; None where there can be none."""
    copy = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that the process has threads
            copy = os.fork()
        if copy == 0:
            _help(pipeline, names, parent)
        return os.pidfd_open(copy)
    except OSError:  # too many processes, no memory, a kernel without handles
        if copy:
            with contextlib.suppress(OSError):
                os.kill(copy, signal.SIGKILL)
                os.waitpid(copy, 0)
        return None


def _end(handle: int) -> None:
    """Kill the copy, if it has not ended, and wait for it."""
    with contextlib.suppress(OSError):  # where nobody waits for children, it is gone
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.waitid(os.P_PIDFD, handle, os.WEXITED)
    os.close(handle)


def _help(pipeline: Pipeline, names: Collection[str], parent: int) -> None:
    """What the copy of the process ``parent`` does; it never returns."""
    try:
        die_with_the_parent(signal.SIGKILL)
        if os.getppid() != parent:  # killed before
            return
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # nobody waits for this process at the end of a pipe
            os.dup2(nothing, stream)
        sys.stdout = sys.stderr = open(os.devnull, "w")
        torch.set_num_threads(1)
        copy = Pipeline(
            pipeline.recipe,
            pipeline.host,
            store=Store(pipeline.store.root),
            device=pipeline.device,
            progress=SilentProgress(),
            data=pipeline.data,
            shared_seed=pipeline.shared_seed,
        )
        left = [stage for stage in stages(copy, baselines=True) if stage.name in names]
        while left:
            ready = [s for s in left if all(need.stored for need in s.needs)]
            for stage in ready:
                left.remove(stage)
                # from the last one on, as the other process begins with the first
                for piece in reversed(range(len(stage.pieces()))):
                    stage.run_piece(piece)
            if not ready:
                time.sleep(LOOK)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)  # nothing of the other process is closed or flushed
