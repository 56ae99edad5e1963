"""What the kit hands to components: data with a known answer, a context without a disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from condense.data import Geometry, LabeledData, Normalization
from condense.engine.context import EngineContext
from condense.engine.runtime.expected import Expected
from condense.engine.runtime.progress import SilentProgress
from condense.options import NetworkSpec
from condense.plugin.host import Host
from condense.results import Scores, Selection

SIDE = 8
CLASSES = ("ant", "bee", "cat")
PER_CLASS, TEST_PER_CLASS = 20, 8
PLANTED_PER_CLASS = 2
TEST_READ = "read data.test; the test split is the evaluator's alone"


class TestSplitRead(AssertionError):
    """A component read the test split, which only the evaluator may."""

    __test__ = False  # not a test class


class GuardedData(LabeledData):
    """Training data whose ``test`` raises :class:`TestSplitRead` when it is read.

    Attributes:
        reads: how often that has happened, to any of them: ``dataclasses.replace`` copies them.
    """

    reads: ClassVar[int] = 0

    def __getattribute__(self, name: str) -> Any:
        if name != "test":
            return super().__getattribute__(name)
        if sys._getframe(1).f_globals.get("__name__") == "dataclasses":
            return None  # replace(data, labels=…) reads every field, and looks at none
        GuardedData.reads += 1
        raise TestSplitRead(TEST_READ)

    def without_test(self) -> LabeledData:
        """The same training split as ordinary data, without a test split."""
        return LabeledData(
            self.inputs, self.labels, self.classes, self.normalization, self.flip, self.name
        )

    def subset(self, indices: Tensor) -> LabeledData:
        """The samples at ``indices`` (int64 [M]), as ordinary data."""
        return self.without_test().subset(indices)

    @staticmethod
    def of(data: LabeledData) -> GuardedData:
        """``data`` under guard."""
        return GuardedData(
            data.inputs, data.labels, data.classes, data.normalization, data.flip, data.name, None
        )


def reads_test(work: Callable[[LabeledData], object], data: LabeledData) -> bool:
    """Whether ``work`` looks at the test split of ``data``, even if it swallows the error."""
    before = GuardedData.reads
    try:
        work(GuardedData.of(data))
    except Exception:
        if GuardedData.reads == before:
            raise
    return GuardedData.reads > before


class MemoryCache:
    """A :class:`condense.interfaces.Cache` that lives in memory; always empty at first."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Tensor]] = {}

    def tensors(
        self,
        kind: str,
        key: Mapping[str, Any],
        compute: Callable[[], dict[str, Tensor]],
        expected: Mapping[str, Expected] | None = None,
    ) -> dict[str, Tensor]:
        """The tensors under (``kind``, ``key``), computed once; copies, as a store would give."""
        name = f"{kind} {key!r}"
        if name not in self._entries:
            self._entries[name] = {k: v.clone() for k, v in compute().items()}
        return {k: v.clone() for k, v in self._entries[name].items()}

    def has(self, kind: str, key: Mapping[str, Any]) -> bool:
        """Whether it was computed before."""
        return f"{kind} {key!r}" in self._entries

    def free_disk(self) -> tuple[str, int]:
        """As much as anyone asks for."""
        return "memory", sys.maxsize


class Notes(SilentProgress):
    """A progress that keeps its notes as ``lines``."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        """One line more."""
        self.lines.append(message)


Given = list[tuple[nn.Module, dict[str, bool]]]  # networks, and the modes each came in


class WatchedContext(EngineContext):
    """On the CPU with an empty cache and no bars; the networks that it gives go into ``given``."""

    def __init__(self, host: Host, given: Given | None = None) -> None:
        super().__init__(host, MemoryCache(), torch.device("cpu"), SilentProgress())
        self.given = given

    def network(self, spec: NetworkSpec, geometry: Geometry, rng: Generator) -> nn.Module:
        """As the engine's."""
        network = super().network(spec, geometry, rng)
        if self.given is not None:
            self.given.append((network, modes(network)))
        return network


def modes(network: nn.Module) -> dict[str, bool]:
    """Whether each module of ``network`` is in train mode, by name."""
    return {name: module.training for name, module in network.named_modules()}


def generator(seed: int = 0) -> Generator:
    """A CPU generator."""
    return Generator().manual_seed(seed)


def toy_data(
    channels: int = 1, per_class: int = PER_CLASS, classes: tuple[str, ...] = CLASSES
) -> LabeledData:
    """``per_class`` uint8 8×8 images of each class: a pattern of its own under noise, shuffled.

    The test split has :data:`TEST_PER_CLASS` of each. A linear model tells the classes apart.
    """
    rng = generator(1)
    count = len(classes)
    patterns = torch.rand(count, 4, 4, channels, generator=rng)
    patterns = patterns.repeat_interleave(2, 1).repeat_interleave(2, 2) * 200 + 25

    def draw(each: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(count).repeat_interleave(each)
        labels = labels[torch.randperm(len(labels), generator=rng)]
        noise = torch.randn(len(labels), SIDE, SIDE, channels, generator=rng) * 15
        return (patterns[labels] + noise).clamp(0, 255).to(torch.uint8), labels

    inputs, labels = draw(per_class)
    norm = Normalization((0.5,) * channels, (0.25,) * channels)
    data = LabeledData(inputs, labels, classes, norm, flip=False, name="toy")
    held, answers = draw(TEST_PER_CLASS)
    return replace(data, test=replace(data, inputs=held, labels=answers))


def toy_features(size: int = 6) -> LabeledData:
    """float32 [60, ``size``] features of three classes, without a test split."""
    rng = generator(2)
    labels = torch.arange(len(CLASSES)).repeat_interleave(PER_CLASS)
    centres = torch.randn(len(CLASSES), size, generator=rng) * 3
    values = centres[labels] + torch.randn(len(labels), size, generator=rng)
    norm = Normalization((0.0,) * size, (1.0,) * size)
    return LabeledData(values, labels, CLASSES, norm, flip=False, name="toy-features")


def data_of(labels: Sequence[int] | Tensor) -> LabeledData:
    """Samples of which nothing but the labels is looked at, of as many classes as there are."""
    labels = torch.as_tensor(labels)
    names = CLASSES[: int(labels.max()) + 1]
    return LabeledData(torch.zeros(len(labels), 1), labels, names, Normalization((0.0,), (1.0,)))


def scores_of(values: Sequence[float] | Tensor, **companions: Sequence[float] | Tensor) -> Scores:
    """These scores, with these companions."""
    beside = {name: torch.as_tensor(v, dtype=torch.float32) for name, v in companions.items()}
    return Scores(torch.as_tensor(values, dtype=torch.float32), "toy", companions=beside)


def planted() -> tuple[LabeledData, Tensor]:
    """Toy data of which :data:`PLANTED_PER_CLASS` samples a class carry a wrong label.

    Returns:
        the data, and bool [N], true where the label is wrong: there difficulty is high.
    """
    data = toy_data()
    labels = data.labels.clone()
    wrong = torch.zeros(len(data), dtype=torch.bool)
    for label in range(len(data.classes)):
        members = data.class_indices(label)[:PLANTED_PER_CLASS]
        labels[members] = (label + 1) % len(data.classes)
        wrong[members] = True
    return replace(data, labels=labels), wrong


def tied_scores(data: LabeledData) -> Scores:
    """Scores with only five different values, so that there are many ties."""
    return _scored(torch.randint(5, (len(data),), generator=generator(3)).float() / 5)


def distinct_scores(data: LabeledData) -> Scores:
    """A different score for every sample."""
    order = torch.randperm(len(data), generator=generator(4))
    return _scored(order.float() / len(data))


def _scored(values: Tensor) -> Scores:
    """``values`` (float32 [N] in 0–1) with the companions that the dynamics pass would give."""
    return scores_of(values, probability=1 - values, aum=1 - 2 * values)


def toy_selection(counts: tuple[int, ...] = (7, 10, 5)) -> Selection:
    """A selection of ``counts`` samples a class out of :func:`toy_data`."""
    data = toy_data()
    return Selection.of_classes([data.class_indices(c)[:n] for c, n in enumerate(counts)])
