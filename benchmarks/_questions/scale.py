"""Question 3, scale: seconds, memory and gain over images and classes, on parts of CIFAR-100."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from _questions.commands import Piece, Row, condense_apart
from _questions.settings import Setting, Sources, as_named, part

SIZES = ((2_000, 10), (5_000, 10), (5_000, 100), (10_000, 100), (50_000, 100))  # images, classes
FRACTION = 0.05
ITERATIONS = 50
NETWORKS = 3


def pieces(sources: Sources) -> Iterator[Piece]:
    """One run a size."""
    for samples, classes in SIZES:
        yield Piece(f"{samples} {classes}", partial(one, sources, samples, classes))


def one(sources: Sources, samples: int, classes: int) -> list[Row]:
    """What a run of SelMatch with its baselines takes and gives."""
    name = f"cifar100-{samples}-{classes}"
    path = sources.work / f"{name}.npz"
    if not path.exists():
        sources.save(path, part(as_named(sources.cifar100), samples, classes))
    setting = Setting(name, FRACTION, path)
    options = ("-o", f"matcher.iterations={ITERATIONS}", "-o", f"evaluator.repeats={NETWORKS}")
    out = ("--out", sources.work / "sets" / name, "--force")
    # alone in a process and with an empty store, as memory and seconds are asked for
    with tempfile.TemporaryDirectory(dir=sources.work) as store:
        told = condense_apart(Path(store), "run", "--method", "selmatch",
                              *setting.sized, *options, *out)  # fmt: skip
    kept = ("accuracy", "baselines", "stages", "peak_memory_mb")
    return [{"samples": samples, "classes": classes} | {key: told[key] for key in kept}]
