"""A second process that works off, in the same store, what this one would come to later.

On small samples a step leaves a second core idle, however many threads it has. So a copy of this
process trains what needs nothing that is not there yet: experts, baselines, the last networks of
the scores. Whoever comes first to a piece works it off, the other one waits for it or finds it in
the store, so that the bytes are those of one process. What the copy cannot do is done here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch

from condense.engine.graph import stages
from condense.engine.matching.ranks import ALONE
from condense.engine.pipeline import Pipeline, StageTime
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.stages.stage import Stage
from condense.engine.training.threads import is_small

LOOK = 0.1  # seconds between two looks at what has been stored


def pays(pipeline: Pipeline) -> bool:
    """Whether a second process would have a core of its own and something to gain by it."""
    if sys.platform != "linux":  # where a copy of a process may not go on with what it has loaded
        return False
    cores = min(len(os.sched_getaffinity(0)), torch.get_num_threads())
    here = pipeline.device.type == "cpu" and pipeline.ranks is ALONE
    return cores > 1 and here and is_small(pipeline.data.geometry.shape)


@contextlib.contextmanager
def helped(pipeline: Pipeline, todo: Sequence[Stage[Any]]) -> Iterator[Collection[str]]:
    """While it is open a copy of this process works off pieces of the stages ``todo``.

    Yields:
        the names of those stages; none where no copy is at work. What they take of this process is
        half their work at most, and none of it was there before.
    """
    names: set[str] = set()
    if pays(pipeline):
        names = {stage.name for stage in todo if stage.most_pieces > 1 and not stage.stored}
    if not names:
        yield names
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that the process has threads
        copy = os.fork()
    if copy == 0:
        _help(pipeline, names)
    try:
        yield names
    finally:
        with contextlib.suppress(OSError):  # where nobody waits for children, it is gone
            os.kill(copy, signal.SIGKILL)
            os.waitpid(copy, 0)
    for name in names & pipeline.timings.keys():
        pipeline.timings[name] = StageTime(pipeline.timings[name].seconds, cached=False)


def _help(pipeline: Pipeline, names: Collection[str]) -> None:
    """What the copy does; it never returns."""
    try:
        parent = os.getppid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
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
        while left and os.getppid() == parent:
            ready = [s for s in left if all(need.stored for need in s.needs)]
            for stage in ready:
                left.remove(stage)
                # from the last one on, as the other process begins with the first
                for piece in reversed(range(len(stage.pieces()))):
                    if os.getppid() == parent:
                        stage.run_piece(piece)
            if not ready:
                time.sleep(LOOK)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)  # nothing of the other process is closed or flushed
