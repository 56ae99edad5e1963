"""Works jobs off on a Ray cluster, or on one that it starts on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from condense.errors import CondenseError, importing
from condense.jobs import Done, ExecutorOptions, Job, Resources, Work

LOOK = 5.0  # seconds without a job that ends, then one looks whether there is room for them
PATIENCE = 120.0  # seconds in which a cluster of others may grow, or get back what it lost
UNITS = {"CPU": (1, "threads"), "GPU": (1, "GPUs"), "memory": (2**30, "GiB")}  # Ray's, and ours


class RayExecutor:
    """Works jobs off on a Ray cluster (docs.ray.io), or on one that it starts on this machine.

    Each job is a Ray task; the name of a function, JSON text and bytes travel, nothing else. What
    jobs have in common goes once into Ray's object store. Ray retries nothing by itself: a task
    whose process or machine dies is handed back and started again by condense, which counts.
    """

    name: ClassVar[str] = "ray"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "address"

    class Options(ExecutorOptions):
        address: str | None = Field(
            None,
            description="of the cluster: auto (the one of this machine), HOST:PORT or "
            "ray://HOST:PORT; unset = one of its own on this machine",
        )

        @property
        def elsewhere(self) -> bool:
            """On a cluster that somebody else has started."""
            return self.address is not None

    def __init__(self, options: Options) -> None:
        self.options = options
        self._waiting: deque[Job] = deque()
        self._running: dict[Any, Job] = {}  # by the reference of its result
        self._blobs: dict[str, Any] = {}  # references, by digest
        self._call: Any = None  # what Ray calls on CPUs
        self._gpu_call: Any = None  # and on GPUs
        self._ours = False  # whether the connection is of our making
        self._homeless = 0.0  # seconds for which some job has had no node that can hold it,
        # since a job ended

    def submit(self, job: Job) -> None:
        """Start ``job`` as soon as the cluster has room for it.

        Raises:
            OptionError: without Ray.
            CondenseError: for a cluster that cannot be reached.
        """
        self._connect()
        self._waiting.append(job)
        self._start()

    def next_done(self) -> Done:
        """The next job that has ended; waits for it.

        Raises:
            CondenseError: for a job that no node can hold, which Ray would wait with for ever.
        """
        import ray

        ended: list[Any] = []
        while not ended:
            ended, _ = ray.wait(list(self._running), num_returns=1, timeout=LOOK)
            if not ended:
                self._check_room()
        (ref,) = ended
        self._homeless = 0.0
        job = self._running.pop(ref)
        self._start()
        try:
            result: bytes = ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            cause = " ".join(str(error.cause).split())
            return Done(job, None, f"{type(error.cause).__name__}: {cause}")
        except ray.exceptions.RayError as error:
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            return Done(job, None, f"its process or machine died ({first})")
        return Done(job, result)

    def close(self) -> None:
        """Cancel what runs and release what was sent; leave a cluster of others as it is."""
        self._waiting.clear()
        self._blobs.clear()
        if not (self._running or self._ours):
            return
        import ray

        for ref in self._running:
            with contextlib.suppress(Exception):
                ray.cancel(ref, force=True)
        self._running.clear()
        if self._ours:
            ray.shutdown()
            self._ours = False

    def _connect(self) -> None:
        with importing("ray", "executor 'ray' needs Ray", "ray"):
            import ray
        if ray.is_initialized():
            if self._call is None:
                self._send_calls(ray)
            return
        try:
            ray.init(
                address=self.options.address or "local",
                include_dashboard=False if self.options.address is None else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise CondenseError(
                f"no Ray cluster at {self.options.address or 'local'}: {first}; start one with "
                "`ray start --head`, or leave the address out for one on this machine"
            ) from None
        self._ours = True
        self._send_calls(ray)

    def _send_calls(self, ray: Any) -> None:
        """To the cluster, once.

        A process stays on the first GPU that it was given, whichever Ray means next, so that it
        ends with its job; without GPUs it goes on to the next one.
        """
        self._call, self._gpu_call = ray.remote(_call), ray.remote(max_calls=1)(_call)

    def _start(self) -> None:
        import ray

        while self._waiting and len(self._running) < (self.options.at_once or float("inf")):
            job = self._waiting.popleft()
            for digest, make in job.blobs.items():
                if digest not in self._blobs:
                    self._blobs[digest] = ray.put(make())
            need = _need(job.resources)
            task = (self._gpu_call if "GPU" in need else self._call).options(
                name=job.name,
                num_cpus=need["CPU"],
                num_gpus=need.get("GPU", 0),
                memory=need.get("memory"),
                max_retries=0,
            )
            blobs = {digest: self._blobs[digest] for digest in job.blobs}
            self._running[task.remote(job.function, job.argument, blobs)] = job

    def _check_room(self) -> None:
        """That for every job there is a node that can hold it, or was a moment ago."""
        import ray

        known: Any = ray  # whose `nodes` has no types
        nodes: list[dict[str, float]] = [n["Resources"] for n in known.nodes() if n["Alive"]]
        without = [job for job in self._running.values() if not _fits(job.resources, nodes)]
        self._homeless = self._homeless + LOOK if without else 0.0
        others = not self._ours or self.options.address is not None
        growing = others and self._homeless < PATIENCE
        if without and not growing:
            need = _need(without[0].resources)
            nearest = max([{}, *nodes], key=lambda node: _held(need, node))
            raise CondenseError(
                f"job {without[0].name} needs {_words(need, need)}, the largest node of the Ray "
                f"cluster has {_words(need, nearest)}; lower `executor.threads`, `executor.gpus`, "
                "`executor.memory` or `executor.ranks`, or add a larger node"
            )


def _need(resources: Resources) -> dict[str, float]:
    """What Ray calls them, those that a job needs."""
    need = {"CPU": resources.threads, "GPU": resources.gpus, "memory": resources.memory or 0}
    return {name: amount for name, amount in need.items() if amount}


def _held(need: Mapping[str, float], node: Mapping[str, float]) -> float:
    """How much of ``need`` a node has, from 0 to as many as there are kinds."""
    return sum(min(1.0, node.get(name, 0.0) / amount) for name, amount in need.items())


def _fits(resources: Resources, nodes: Sequence[Mapping[str, float]]) -> bool:
    need = _need(resources)
    return any(_held(need, node) >= len(need) for node in nodes)


def _words(need: Mapping[str, float], what: Mapping[str, float]) -> str:
    """``what`` there is of each kind of ``need``: "8 threads, 0 GPUs"."""
    units = ((name, *UNITS[name]) for name in need)
    return ", ".join(f"{what.get(name, 0.0) / unit:.3g} {word}" for name, unit, word in units)


def _call(function: Work, argument: str, blobs: Mapping[str, Any]) -> bytes:
    """On a worker: the call, what it needs fetched."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    os.environ["CONDENSE_NODE"] = f"{socket.gethostname()}/{node[:8]}"
    return function(argument, {digest: ray.get(ref) for digest, ref in blobs.items()})
