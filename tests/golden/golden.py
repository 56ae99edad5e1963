"""Golden values: how results are held against those recorded in ``values.json``.

A component's ``version`` is part of the keys of the store, so results may change only with it.
``python tests/golden/golden.py`` records anew what changed with its version, and refuses the rest.
"""

from __future__ import annotations

import contextlib
import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from cases import CASES, Tensors, Tools
from torch import Tensor

from condense.plugin.host import Host, build_host

VALUES = Path(__file__).with_name("values.json")
COMMAND = "python tests/golden/golden.py"
NOT_NUMERIC = (
    "method",
    "preset",
    "executor",
    "tracker",
)  # names for recipes; what no result depends on
WITH_EXTRAS = ("data hf", "data parquet")  # what they read goes the way of `npz` and `csv`


def computed(host: Host, folder: Path, title: str) -> Tensors:
    """The tensors of a case, in one thread."""
    folder.mkdir(parents=True, exist_ok=True)
    return CASES[title](Tools(host, folder))


def version_of(host: Host, title: str) -> str:
    kind, name = title.split(",")[0].split(" ")
    return str(host.registry(kind).get(name).version)


def machine() -> dict[str, str]:
    """Where results are equal to the bit: the kernels that torch has, and those that it picks.

    Of two processors with one capability, oneDNN may still choose differently; hence the model.
    """
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "processor": models[0] if models else platform.processor(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def recorded() -> dict[str, Any]:
    return json.loads(VALUES.read_text(encoding="utf-8"))


def packed(tensor: Tensor) -> dict[str, Any]:
    """As JSON; floats in the fewest digits that give them back to the bit."""
    values = tensor.flatten().numpy()
    plain = [float(str(v)) for v in values] if tensor.is_floating_point() else values.tolist()
    dtype = str(tensor.dtype).removeprefix("torch.")
    return {"dtype": dtype, "shape": list(tensor.shape), "values": plain}


def unpacked(entry: dict[str, Any]) -> Tensor:
    dtype = getattr(torch, entry["dtype"])
    return torch.tensor(entry["values"], dtype=dtype).view(entry["shape"])


TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}  # of the largest value; others exactly


def differences(old: dict[str, Any], new: Tensors, bits: bool) -> list[str]:
    """What of ``new`` is not as recorded, in words."""
    found = [f"{name} is new or gone" for name in sorted(old.keys() ^ new.keys())]
    for name in sorted(old.keys() & new.keys()):
        before, after = unpacked(old[name]), new[name]
        if (before.dtype, before.shape) != (after.dtype, after.shape):
            found.append(f"{name} was {before.dtype} {tuple(before.shape)}")
        elif torch.equal(before, after):
            continue
        elif bits or before.dtype not in TOLERANCE:
            found.append(f"{name} differs in {int((before != after).sum())} values")
        else:
            off = float((before - after).abs().max() / before.abs().max().clamp(min=1e-30))
            if not off <= TOLERANCE[before.dtype]:
                found.append(f"{name} is off by {off:.1e}")
    return found


def complaint(host: Host, title: str, entry: dict[str, Any], new: Tensors, bits: bool) -> str:
    """What is wrong and what to do about it; empty where nothing is."""
    found = differences(entry["tensors"], new, bits)
    version = version_of(host, title)
    if version != entry["version"]:
        return f"{title} has version {version}, recorded is {entry['version']}; run `{COMMAND}`"
    if not found:
        return ""
    return (
        f"results of {title} changed under version {version}: {'; '.join(found)}. stored results "
        "would be trusted although they are others now: undo the change, or, where it is meant, "
        f"raise the version of the component (or of the part of the engine) and run `{COMMAND}`"
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def record(same_version: bool) -> int:
    """Write ``values.json``; 1 where results changed under a version that did not."""
    host = build_host(external=False)
    old = recorded()["cases"] if VALUES.is_file() else {}
    cases, refused = {}, []
    with tempfile.TemporaryDirectory() as folder, one_thread():
        for number, title in enumerate(CASES):
            new = computed(host, Path(folder) / str(number), title)
            version = version_of(host, title)
            before = old.get(title, {"version": None, "tensors": {}})
            changed = differences(before["tensors"], new, bits=False)
            if changed and version == before["version"] and not same_version:
                refused.append(complaint(host, title, before, new, bits=False))
            tensors = {name: packed(tensor) for name, tensor in new.items()}
            cases[title] = {"version": version, "tensors": tensors}
    if refused:
        print("\n".join([*refused, "nothing is written; --same-version writes all the same"]))
        return 1
    lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in cases.items())
    head = json.dumps(machine())
    text = f'{{\n "machine": {head},\n "cases": {{\n{lines}\n }}\n}}\n'
    VALUES.write_text(text, encoding="utf-8")
    print(f"{len(cases)} cases, {VALUES.stat().st_size} bytes in {VALUES}")
    return 0


if __name__ == "__main__":
    sys.exit(record("--same-version" in sys.argv))
