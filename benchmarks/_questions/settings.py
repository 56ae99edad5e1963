"""Data sets, sizes and label noise that the questions are asked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import _own_sets
import numpy as np

from condense.data import portion

# grey: ten classes of CIFAR-100 without their colours
IMAGES = ("digits", "mnist", "cifar10", "grey")
# rows of numbers, features of spoken vowels, rows of yes and no, TF-IDF of docstrings
TABLES = ("segment", "vowels", "phishing", "docstrings")
SEARCHED = (*TABLES, "digits", "mnist", "cifar10")
MATCHED = ("segment", "phishing", "docstrings", *IMAGES)
ONE_SIZE = ("mnist", "cifar10", "grey")  # of the matched: at the first size only
NARROW, WIDTH = ("cifar10", "grey"), 16  # networks of this width, question 3 apart
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
FEWEST = 2  # samples that a size must leave of every class, of what a search sees too
HELD_OUT = 0.2  # of the training split, where something is chosen
MOST = 5000  # samples of a set, before the test part is taken off


@dataclass(frozen=True)
class Setting:
    """A data set as it is run on.

    Attributes:
        data: name of the set.
        fraction: share of every class that is kept.
        noise: share of the training labels that are another class's.
        path: npz file.
        executor: what works the commands off, as ``--executor`` takes it.
    """

    data: str
    fraction: float
    path: Path
    noise: float = 0.0
    executor: str = "local"

    def __str__(self) -> str:
        return f"{self.data} {self.fraction:g}" + (f" noise {self.noise:g}" if self.noise else "")

    @property
    def flags(self) -> tuple[str, ...]:
        """Of a condense command that knows of no size."""
        return ("--data", f"npz:{self.path}", "--executor", self.executor)

    @property
    def sized(self) -> tuple[str, ...]:
        """Of a condense command."""
        return (*self.flags, "--fraction", f"{self.fraction:g}")

    @property
    def augmented(self) -> tuple[str, ...]:
        """Flags for one augmentation of whatever is trained on images."""
        return ("-o", "augmentation=dsa") if self.data in IMAGES else ()

    def networks(self, *stages: str) -> tuple[str, ...]:
        """Flags for the networks of ``stages``, where they are not the default ones."""
        narrow = stages if self.data in NARROW else ()
        return tuple(w for stage in narrow for w in ("-o", f"{stage}.network.width={WIDTH}"))

    @property
    def row(self) -> dict[str, object]:
        """Of a result."""
        return {"set": self.data, "fraction": self.fraction, "noise": self.noise}


@dataclass(frozen=True)
class Sources:
    """Where data come from, and where they go to as npz files.

    Attributes:
        wheels: folder of the wheels that ``_own_sets.py`` reads.
        cifar10, cifar100: npz files; that of CIFAR-10 with its first 10 000 training images alone.
        work: folder to write to.
        executor: as of :class:`Setting`.
    """

    wheels: Path
    cifar10: Path
    cifar100: Path
    work: Path
    executor: str = "local"

    def settings(
        self, sets: Sequence[str], fractions: Sequence[float], noises: Sequence[float] = (0.0,)
    ) -> Iterator[Setting]:
        """All combinations but those that leave a class fewer than :data:`FEWEST` samples, judged
        by the labels before any is flipped."""
        for name in sets:
            seen = int((1 - HELD_OUT) * np.bincount(np.load(self.npz(name))["train_labels"]).min())
            for noise in noises:
                for fraction in fractions:
                    if portion(fraction, seen) >= FEWEST:
                        yield Setting(name, fraction, self.npz(name, noise), noise, self.executor)

    def npz(self, name: str, noise: float = 0.0) -> Path:
        """The set as a file, made where it is missing."""
        path = self.work / f"{name}{f'-noise{noise:g}' if noise else ''}.npz"
        if not path.exists():
            arrays = self._arrays(name)
            arrays["train_labels"] = flipped(arrays["train_labels"], noise)
            self.save(path, arrays)
        return path

    def save(self, path: Path, arrays: dict[str, np.ndarray]) -> None:
        """Write ``arrays``, whole or not at all."""
        self.work.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft.npz")
        np.savez(draft, **arrays)
        draft.rename(path)

    def _arrays(self, name: str) -> dict[str, np.ndarray]:
        if name == "cifar10":
            return as_named(self.cifar10)
        if name == "grey":
            return greyed(part(as_named(self.cifar100), MOST, 10))
        split = _own_sets.load(name, self.wheels, most=MOST)
        parts = (*split.train, *split.test)
        return dict(zip(NAMES, parts, strict=True))


NAMES = ("train_inputs", "train_labels", "test_inputs", "test_labels")


def as_named(path: Path) -> dict[str, np.ndarray]:
    """The four arrays of an npz file of images."""
    with np.load(path) as file:
        return {name: file[name.replace("inputs", "images")] for name in NAMES}


def part(arrays: dict[str, np.ndarray], samples: int, classes: int) -> dict[str, np.ndarray]:
    """The first ``classes`` classes: ``samples`` training images, equally many of each, and all
    test images of theirs."""
    labels = arrays["train_labels"]
    each = samples // classes
    chosen = [np.flatnonzero(labels == label)[:each] for label in range(classes)]
    train = np.sort(np.concatenate(chosen))
    test = np.flatnonzero(arrays["test_labels"] < classes)
    return {k: v[train if k.startswith("train") else test] for k, v in arrays.items()}


def greyed(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The luminance of all images, uint8 [N, H, W, 1], and their labels."""
    return {
        name: np.round(values @ LUMA).astype(np.uint8)[..., None] if "inputs" in name else values
        for name, values in arrays.items()
    }


def flipped(labels: np.ndarray, noise: float) -> np.ndarray:
    """``labels`` with ⌊noise · N⌋ of them, drawn at random, replaced by another class's."""
    rng = np.random.default_rng(0)
    classes = int(labels.max()) + 1
    chosen = rng.permutation(len(labels))[: int(noise * len(labels))]
    found = labels.copy()
    found[chosen] = (labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return found
