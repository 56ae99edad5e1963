"""What handing jobs out costs, and how it scales: jobs that sleep, and jobs that do nothing.

On a cluster of Ray's own on this machine, with as many CPUs as it is told; in a network with
nothing but loopback: ``unshare -n sh -c 'ip link set lo up; python benchmarks/executors.py'``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from condense.jobs import Job, Resources, echo
from condense.plugin.host import build_host


def nap(argument: str, blobs: Any) -> bytes:
    """Sleep for ``argument`` seconds."""
    time.sleep(float(argument))
    return b""


def seconds_of(executor: Any, jobs: list[Job]) -> float:
    start = time.perf_counter()
    for job in jobs:
        executor.submit(job)
    for _ in jobs:
        done = executor.next_done()
        assert done.result is not None, done.error
    return time.perf_counter() - start


def started(workers: int) -> Any:
    """A Ray executor whose ``workers`` processes are up."""
    import ray

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, address="local")
    cls = build_host(external=False).registry("executor").get("ray")
    executor = cls(cls.Options())
    # a worker is up once it has slept beside all the others
    seconds_of(executor, [Job(f"up {k}", nap, "1", Resources(1)) for k in range(2 * workers)])
    return executor


def scaling(workers: int, jobs: int, seconds: float, rounds: int) -> dict[str, float]:
    """Share of linear speed-up that ``jobs`` sleeping jobs reach; median, lowest, highest."""
    import ray

    executor = started(workers)
    ideal = seconds * -(-jobs // workers)
    found = []
    for _ in range(rounds):
        naps = [Job(f"nap {k}", nap, str(seconds), Resources(1)) for k in range(jobs)]
        found.append(ideal / seconds_of(executor, naps))
    ray.shutdown()
    return spread(found)


def overhead(jobs: int, rounds: int) -> dict[str, float]:
    """Milliseconds that an empty job takes, one worker."""
    import ray

    executor = started(1)
    found = []
    for _ in range(rounds):
        empty = [Job(f"echo {k}", echo, "", Resources(1)) for k in range(jobs)]
        found.append(1000 * seconds_of(executor, empty) / jobs)
    ray.shutdown()
    return spread(found)


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="8,32")
    parser.add_argument("--nap", type=float, default=2.0, help="seconds that a job sleeps")
    parser.add_argument("--each", type=int, default=4, help="jobs a worker")
    parser.add_argument("--empty", type=int, default=1000, help="jobs that do nothing")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/executors-cpu.json"))
    given = parser.parse_args()
    result: dict[str, Any] = {
        "nap": given.nap,
        "rounds": given.rounds,
        "jobs a worker": given.each,
        "linear": {},
    }
    for workers in map(int, given.workers.split(",")):
        share = scaling(workers, given.each * workers, given.nap, given.rounds)
        result["linear"][str(workers)] = share
        print(f"{workers} workers: {share['median']:.3f} of linear", flush=True)
    result["empty jobs"] = given.empty
    result["ms a job"] = overhead(given.empty, given.rounds)
    print(f"{result['ms a job']['median']:.2f} ms an empty job")
    given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
