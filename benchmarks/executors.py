"""What handing jobs out costs, and how it scales: jobs that sleep, do nothing, or train.

On a cluster of Ray's own on this machine, with as many CPUs as it is told; in a network with
nothing but loopback: ``unshare -n sh -c 'ip link set lo up; python benchmarks/executors.py'``.
``--work`` instead: networks trained by two warm workers, against two bare processes side by side
that train the same ones; it needs two free cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy
import torch
from _common import environment, made_up

from condense.jobs import Job, Resources, echo
from condense.options import assignments_of
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


# of CIFAR's size: 32×32×3, ConvNet 128×3; two seconds a piece or so on a core
WORK = {
    "scorer.networks": 4,
    "scorer.epochs": 2,
    "scorer.network": "convnet",
    "scorer.network.width": 128,
    "matcher.experts": 4,
    "matcher.max_start_epoch": 1,
    "matcher.network.width": 128,
    "evaluator.repeats": 4,
    "evaluator.steps": 9,
    "evaluator.network.width": 128,
    "evaluator.baseline_augmentations": ["simple"],
}
KINDS = ("scoring", "experts", "evaluation")


def stages_of_work(place: Path, store: str, seed: int) -> tuple[Any, list[Any]]:
    """A pipeline on made-up images, and a stage of four pieces of each kind."""
    from condense.engine.arms import random_plan
    from condense.engine.pipeline import Pipeline
    from condense.engine.runtime.progress import SilentProgress
    from condense.engine.runtime.store import Store
    from condense.engine.stages.evaluation import EvaluationStage
    from condense.resolve import Request, resolve

    host = build_host()
    few = dict.fromkeys(("scorer.networks", "matcher.experts", "evaluator.repeats"), 2)
    options = WORK | (few if seed else {})  # other seeds only warm up
    data = f"npz:{place / 'made-up.npz'}"
    recipe = resolve(
        host, Request(data=data, ipc=20, seed=seed, assignments=assignments_of(options))
    )
    tools = {"store": Store(place / store), "progress": SilentProgress()}
    pipeline = Pipeline(recipe, host, **tools, device=torch.device("cpu"))
    random = EvaluationStage(pipeline, random_plan(pipeline))
    return pipeline, [pipeline.scoring, pipeline.matching.preparing, random]


def bare(place: Path, number: int) -> None:
    """One of two processes: half of the pieces of each kind, when it is told to on stdin."""
    torch.set_num_threads(1)
    _, warm = stages_of_work(place, f"bare-{number}", 1)
    _, stages = stages_of_work(place, f"bare-{number}", 0)
    for stage in warm:
        stage.run_piece(number)
    for stage in stages:
        print("ready", flush=True)
        sys.stdin.readline()
        for piece in (number, number + 2):
            stage.run_piece(piece)
    print("ready", flush=True)


def work() -> dict[str, dict[str, float]]:
    """Seconds of four pieces of each kind, and what share of the bare speed workers reach."""
    from condense.engine.jobs.driver import Crew, Target
    from condense.engine.runtime.progress import SilentProgress

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place, made = Path(folder), made_up("cifar", 256, 64)
        parts = {"train": made, "test": made.test}
        arrays = {f"{n}_images": p.inputs.numpy() for n, p in parts.items()}
        arrays |= {f"{n}_labels": p.labels.numpy() for n, p in parts.items()}
        numpy.savez(place / "made-up.npz", classes=numpy.array(made.classes), **arrays)
        command = [sys.executable, __file__, "--bare", folder]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        sides = [subprocess.Popen([*command, str(n)], **pipes) for n in (0, 1)]
        seconds: dict[str, list[float]] = {}
        for one in sides:
            one.stdout.readline()
        for kind in KINDS:
            start = time.perf_counter()
            for one in sides:
                one.stdin.write("go\n")
                one.stdin.flush()
            for one in sides:
                assert one.stdout.readline() == "ready\n"
            seconds[kind] = [time.perf_counter() - start]
        for one in sides:
            one.communicate()
        crew = Crew(started(2), SilentProgress())
        for number, pipeline_and_stages in enumerate(
            [stages_of_work(place, "workers", 1), stages_of_work(place, "workers", 0)]
        ):
            pipeline, stages = pipeline_and_stages
            for kind, stage in zip(KINDS, stages, strict=True):
                start = time.perf_counter()
                crew.work_all_off(Target(pipeline, [stage]))
                if number:
                    seconds[kind].append(time.perf_counter() - start)
        crew.close()
    return {
        kind: {"bare": two[0], "workers": two[1], "share": two[0] / two[1]}
        for kind, two in seconds.items()
    }


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
    parser.add_argument("--work", action="store_true")
    parser.add_argument("--bare", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        bare(Path(given.bare[0]), int(given.bare[1]))
        return
    command = f"python benchmarks/executors.py {' '.join(sys.argv[1:])}".rstrip()
    if given.work:
        found = work()
        print(json.dumps(found, indent=2))
        write(given.out, command, {"work": found})
        return
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
    write(given.out, command, result)


def write(path: Path, command: str, result: dict[str, Any]) -> None:
    head = {"benchmark": "executors", "command": command}
    surroundings = {"environment": environment(torch.device("cpu"))}
    path.write_text(json.dumps(head | surroundings | result, indent=2) + "\n")


if __name__ == "__main__":
    main()
