"""A process of a job of several: torchrun's own, or one of the ranks that it starts.

``python -m condense.engine.jobs.rank FOLDER [RANKS]``: the former with their number.
"""

from __future__ import annotations

import signal
import sys
import warnings
from pathlib import Path

from condense.engine.jobs.distributed import MODULE, read_task, write_result
from condense.engine.jobs.environment import environment
from condense.engine.jobs.follower import follow
from condense.engine.jobs.launch import (
    die_with_the_parent,
    dismissed,
    launch,
    set_threads,
    team,
)
from condense.engine.jobs.task import unpacked
from condense.engine.jobs.worker import host_of_worker, pipeline_of, run_task_here
from condense.engine.matching.ranks import HELLO, Order
from condense.engine.pipeline import Pipeline


def start(place: Path, ranks: int) -> None:
    """Start them and wait, as torchrun does."""
    from torch.distributed.run import main

    main(["--standalone", "--nproc-per-node", str(ranks), "-m", MODULE, str(place)])


def work(place: Path) -> None:
    """Rank 0 works the task in ``place`` off, the others follow it.

    Raises:
        Lost: on rank 0, if another has ended.
    """
    warnings.simplefilter("ignore")  # the job's process has nobody to tell
    set_threads()
    task, blobs = read_task(place)
    which, others, host = launch(), team(), host_of_worker()
    assert which is not None
    assert others is not None
    if which.rank:

        def bound(order: Order) -> Pipeline:
            return pipeline_of(task, blobs, host, Path(order.store), local=which.local)

        follow(others, which.local, bound)
        return
    others.tell(HELLO, environment(host).to_json())
    result = run_task_here(task, blobs, others)
    write_result(place, result)
    if unpacked(result)[0].error is None:  # else they may wait in the middle of an iteration,
        dismissed()  # and notice that this process ends


if __name__ == "__main__":
    die_with_the_parent(signal.SIGTERM)
    if len(sys.argv) > 2:
        start(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        work(Path(sys.argv[1]))
