"""What the benchmarks share: turns within one process, memory, the environment, the JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from condense.data import Geometry, LabeledData
from condense.engine.context import EngineContext
from condense.engine.ingest.from_user import labeled_data
from condense.engine.runtime.device import pick_device
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.options import NetworkSpec
from condense.plugin.host import build_host

HERE = Path(__file__).parent
MIB = 2**20
GEOMETRIES = {
    "digits": (Geometry((1, 8, 8), 10, flip=False), NetworkSpec.of("convnet", width=32, depth=2)),
    "cifar": (Geometry((3, 32, 32), 10, flip=True), NetworkSpec.of("convnet", width=128, depth=3)),
    "narrow": (Geometry((3, 32, 32), 10, flip=True), NetworkSpec.of("convnet", width=32, depth=3)),
}


def parser(description: str | None) -> argparse.ArgumentParser:
    """The flags that every benchmark has."""
    found = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    found.add_argument("--device", default=None, help="cpu or cuda; the first GPU by default")
    found.add_argument("--threads", type=int, default=torch.get_num_threads())
    found.add_argument("-n", "--repeats", type=int, default=5, help="timed turns of each way")
    found.add_argument("--out", type=Path, default=None, help="JSON file to write")
    return found


def numbers(text: str) -> list[int]:
    """ "10,25" → [10, 25]."""
    return [int(part) for part in text.split(",")]


def begin(arguments: argparse.Namespace, store: Path) -> EngineContext:
    """Threads set, and an engine context with a store of its own."""
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    return EngineContext(build_host(external=False), Store(store), device, SilentProgress())


def made_up(geometry: str, samples: int, test: int = 0) -> LabeledData:
    """``samples`` random images of ``geometry``; speed does not depend on what they show."""
    shape, classes = GEOMETRIES[geometry][0].shape, GEOMETRIES[geometry][0].classes
    rng = torch.Generator().manual_seed(0)

    def draw(count: int) -> tuple[Any, Any]:
        size = (count, *shape[1:], shape[0])
        images = torch.randint(0, 256, size, generator=rng, dtype=torch.uint8)
        return images.numpy(), (torch.arange(count) % classes).numpy()

    return labeled_data(
        *draw(samples),
        test=draw(test) if test else None,
        classes=[str(c) for c in range(classes)],
        name=f"made-up-{geometry}",
    )


def synchronise(device: torch.device) -> None:
    """Wait for the device, so that the clock sees its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_turns(
    ways: Mapping[str, Callable[[], object]],
    repeats: int,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of every way, run in turns after one warm-up each; every other round backwards."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for call in ways.values():
        call()
    for turn in range(repeats):
        for name in list(ways) if turn % 2 == 0 else reversed(list(ways)):
            synchronise(device)
            start = clock()
            ways[name]()
            synchronise(device)
            seconds[name].append(clock() - start)
    return seconds


def figures(seconds: Sequence[float]) -> dict[str, Any]:
    """Median, spread (greatest less least) and n."""
    return {
        "seconds": statistics.median(seconds),
        "spread": max(seconds) - min(seconds),
        "n": len(seconds),
    }


class LiveBytes(TorchDispatchMode):
    """Bytes of tensor storage made inside and still alive; exact, but blind to scratch memory."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._follow(tensor.untyped_storage())
        self.peak = max(self.peak, self.now)
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        name, size = storage._cdata, storage.nbytes()
        if name not in self.known:
            self.known.add(name)
            self.now += size
            weakref.finalize(storage, self._forget, name, size)

    def _forget(self, name: int, size: int) -> None:
        self.known.discard(name)
        self.now -= size


def peak_mb(call: Callable[[], object], device: torch.device) -> float:
    """Peak memory that ``call`` adds: tensor storage on a CPU, the allocator's on a GPU."""
    if device.type == "cuda":
        call()  # graphs and workspaces
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return (torch.cuda.max_memory_allocated(device) - before) / MIB
    with LiveBytes() as live:
        call()
    return live.peak / MIB


def free_bytes(device: torch.device) -> int:
    """Memory that may still be taken."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


COMMIT = "CONDENSE_COMMIT"  # names the commit where the files are a copy without its history


def commit() -> str | None:
    """The commit of these files, ``-dirty`` if they were changed; $CONDENSE_COMMIT without git.

    Results do not count: a run that writes its own is not one of changed files.
    """
    found = _git("rev-parse", "--short=12", "HEAD")
    files = (":/", ":(top,exclude)benchmarks/results")
    dirty = found and _git("status", "--porcelain", "--untracked-files=no", "--", *files)
    return (found + "-dirty" * bool(dirty)) or os.environ.get(COMMIT)


def _git(*words: str) -> str:
    """What git says of this checkout; nothing where there is no git, or no checkout."""
    command = ["git", "-C", str(HERE), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def environment(device: torch.device) -> dict[str, Any]:
    """Hardware, versions and commit."""
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else _cpu_name()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if cuda else None,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "commit": commit(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "cpu")


def write(
    name: str, arguments: argparse.Namespace, argv: Sequence[str], rows: list[dict[str, Any]],
    device: torch.device,
) -> Path:  # fmt: skip
    """Write the rows with their surroundings."""
    path = Path(arguments.out or HERE / "results" / f"{name}-{device.type}.json")
    save(path, name, argv, rows, device)
    return path


def save(
    path: Path, name: str, argv: Sequence[str], rows: list[dict[str, Any]], device: torch.device
) -> None:
    """Write the rows with their surroundings to ``path``; who is stopped meanwhile leaves those
    that were there."""
    document = {
        "benchmark": name,
        "command": " ".join(["python", f"benchmarks/{name}.py", *argv]),
        "environment": environment(device),
        "rows": rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_suffix(".part")
    partly.write_text(json.dumps(document, indent=1) + "\n")
    partly.replace(path)


def saved(path: Path) -> list[dict[str, Any]]:
    """The rows in ``path``, none where it is not there."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return rows


def finish(
    name: str, arguments: argparse.Namespace, argv: Sequence[str], rows: list[dict[str, Any]],
    device: torch.device,
) -> Path:  # fmt: skip
    """Write the rows with their surroundings, and show them."""
    path = write(name, arguments, argv, rows, device)
    for row in rows:
        sys.stdout.write(json.dumps({k: _short(v) for k, v in row.items()}) + "\n")
    return path


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
