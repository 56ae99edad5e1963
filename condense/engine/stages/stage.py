"""What all stages have in common: the recipe and tools they are bound to, and the store."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Generic, TypedDict, TypeVar

import torch

from condense.capabilities import EstimatesCost, HasCacheToken, WorksInPieces
from condense.components import resolve_spec
from condense.data import Normalization
from condense.engine.context import EngineContext
from condense.engine.matching.ranks import ALONE, Ranks
from condense.engine.runtime.guard import contents, guarded
from condense.engine.runtime.precision import key_options
from condense.engine.runtime.rng import Seed
from condense.engine.runtime.store import Payload, Store
from condense.engine.stages.data import load_data
from condense.engine.tracking import UNTRACKED, Tracking
from condense.engine.training.dynamics import recordings_token
from condense.engine.training.threads import threads_for
from condense.errors import DataError
from condense.interfaces import Cost, LabeledData, Progress
from condense.options import spec_fields
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.results import StoreEntry

# Raised by whoever changes a bit of what the engine itself works out in a stage: the training and
# matching loops, batches, schedules, learned labels, how arms are drawn and repeats averaged.
ENGINE_VERSION = "2"
SHARED = ("scorer", "prepare")  # stages that the cells of a study have in common

Key = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class StageTime:
    """Seconds a stage took, and whether its result came from the store."""

    seconds: float
    cached: bool


@dataclass(frozen=True)
class Piece:
    """A part of a stage's heavy work that needs no other part, as plain data: no tensor in it.

    Whoever has the recipe can look it up in the store, or compute it and leave it there.

    Attributes:
        stage: name of the stage.
        number: which of its pieces, from 0.
        kind: folder in the store.
        key: of the entry in it, as JSON.
    """

    stage: str
    number: int
    kind: str
    key: str

    @staticmethod
    def all_of(stage: str, entries: Sequence[StoreEntry]) -> list[Piece]:
        """The pieces of ``stage``, whose results lie under ``entries``."""
        texts = [(kind, json.dumps(key, sort_keys=True)) for kind, key in entries]
        return [Piece(stage, number, *entry) for number, entry in enumerate(texts)]

    @property
    def entry(self) -> StoreEntry:
        """Where its result lies."""
        return self.kind, json.loads(self.key)

    def serves(self, asked: Piece) -> bool:
        """Whether its entry is that of ``asked``, or one that has more recorded.

        Which of them a stage names goes by what is stored at the moment; what is recorded on top
        is marked in the key.
        """
        if replace(self, key=asked.key) != asked:
            return False
        own, theirs = json.loads(self.key), json.loads(asked.key)
        return bool(own == theirs | dict.fromkeys(own.keys() - theirs.keys(), True))


class _Company(TypedDict, total=False):
    ranks: Ranks
    tracking: Tracking


class Tools(_Company):
    """What a library call works with, as keyword arguments of :class:`Bound`: the store, the
    device, where progress is shown; and what else shares or watches a matching."""

    store: Store
    device: torch.device
    progress: Progress


class Bound:
    """A recipe bound to a host, a store, a device and data: what stages work with.

    Args:
        recipe: what to do.
        host: the plugins the recipe's nested components are looked up in.
        store: the stage cache.
        device: where tensors are worked on.
        progress: where long stages report.
        data: used instead of the recipe's data stage.
        normalization: of the data in the place of their own: that of a set which they are to test.
        shared_seed: seed of the stages :data:`SHARED` (scores, experts), so that runs of several
            seeds have them in common; the recipe's by default, else it does not repeat the run.
        ranks: processes that share its matching.
        tracking: who is told of its matching.
    """

    def __init__(
        self,
        recipe: Recipe,
        host: Host,
        *,
        store: Store,
        device: torch.device,
        progress: Progress,
        data: LabeledData | None = None,
        normalization: Normalization | None = None,
        shared_seed: int | None = None,
        ranks: Ranks = ALONE,
        tracking: Tracking = UNTRACKED,
    ) -> None:
        self.recipe = recipe
        self.tracking = tracking
        self.ranks = ranks
        self.shared_seed = recipe.seed if shared_seed is None else shared_seed
        self.host = host
        self.store = store
        self.device = device
        self.progress = progress
        self.context = EngineContext(host, store, device, progress)
        self.timings: dict[str, StageTime] = {}
        self._data = data
        self._normalization = normalization
        self._costs: dict[tuple[str, int], Cost | None] = {}

    @cached_property
    def data(self) -> LabeledData:
        """The training split, its test split attached."""
        if self._data is not None:
            return self._data
        own, wanted = self._as_named, self._normalization
        return own if wanted in (None, own.normalization) else own.normalized_by(wanted)

    @cached_property
    def _as_named(self) -> LabeledData:
        return load_data(self.recipe["data"], self.context)

    @property
    def has_named_data(self) -> bool:
        """Whether another process gets :attr:`data`, or what they are a part of, by the recipe."""
        if self.recipe["data"].name not in self.host.registry("data"):
            return False
        return self._data is not None or self.data is self._as_named

    def test_split(self) -> LabeledData:
        """The test split.

        Raises:
            DataError: if there is none.
        """
        if self.data.test is None:
            raise DataError(
                f"{self.data.name} has no test split, so nothing can be evaluated on it; "
                f"{self.ways_to_a_test_split}"
            )
        return self.data.test

    @property
    def ways_to_a_test_split(self) -> str:
        """What a user may do where the data have none."""
        source = self.recipe.stages.get("data")
        if source is None:
            return "give the call test=0.2, a share of it, or test=(X, y)"
        if "test" in type(source.options).model_fields:
            return "give one with the data, or hold a share out by `data.test=0.2`"
        return "give one with the data"

    def rng(self, stage: str) -> torch.Generator:
        """The CPU generator of ``stage``; independent of which component serves it."""
        return Seed(self.seed(stage)).fork(stage).generator()

    def seed(self, stage: str) -> int:
        """The seed that ``stage`` is forked from."""
        return self.shared_seed if stage in SHARED else self.recipe.seed

    def forked_seed(self, stage: str) -> int:
        """The seed of :meth:`rng`, for keys."""
        return Seed(self.seed(stage)).fork(stage).value

    def component_key(self, stage: str) -> Key:
        """Engine, component, version, and options as they are on the device.

        Also those of the networks and augmentations named in the options; and the component's
        ``cache_token`` where it has one, and what recordings of a training hold that it reads.
        """
        resolved = self.recipe[stage]
        component = resolved.create()
        names = spec_fields(type(resolved.options))
        nested = {
            name: resolve_spec(self.host, getattr(resolved.options, name)).identity
            for name in names
        }
        return (
            resolved.identity
            | {"engine": ENGINE_VERSION, "options": key_options(resolved.options, self.device)}
            | ({"nested": nested} if nested else {})
            | ({"token": component.cache_token()} if isinstance(component, HasCacheToken) else {})
            | recordings_token(resolved.options)
        )

    def files_read(self, stage: str) -> list[str]:
        """Digests of what the files hold that the component reads.

        Raises:
            DataError: if one cannot be read.
        """
        key = self.component_key(stage)
        return [key[name] for name in ("token", "dynamics") if name in key]

    def cost(self, stage: str, samples: int) -> Cost | None:
        """The component's own estimate for a set of ``samples``, from a few timed steps.

        None if it makes none.
        """
        key = (stage, samples)
        if key not in self._costs:
            component = self.recipe[stage].create()
            known = isinstance(component, EstimatesCost)
            self._costs[key] = component.cost(self.data, samples, self.context) if known else None
        return self._costs[key]

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Record the stage's own seconds, and whether all that it asked for was in the store.

        Inside there are as many threads as its samples are worked on by.
        """
        start = time.perf_counter()
        before = sum(t.seconds for t in self.timings.values())
        hits, misses = self.store.hits, self.store.misses
        with threads_for(self.data.geometry.shape):
            yield
        cached = self.store.hits > hits and self.store.misses == misses
        inner = sum(t.seconds for t in self.timings.values()) - before
        past = self.timings.get(stage, StageTime(0.0, True))
        seconds = past.seconds + time.perf_counter() - start - inner
        self.timings[stage] = StageTime(seconds, past.cached and cached)


class Stage(ABC, Generic[T]):
    """A stage of a bound recipe; it runs when its :attr:`result` is first asked for.

    Attributes:
        name: under which its time is recorded.
        component: stage of the recipe whose component serves it.
    """

    name: str
    component: ClassVar[str]

    def __init__(self, bound: Bound, needs: Sequence[Stage[Any]] = ()) -> None:
        """``needs`` are the stages whose results it reads."""
        self.bound = bound
        self.needs = needs

    @property
    def needed(self) -> bool:
        """Whether a run has this stage at all."""
        return True

    @property
    @abstractmethod
    def stored(self) -> bool:
        """Whether its result can be had without work; nothing is computed to find out."""

    @property
    @abstractmethod
    def result(self) -> T:
        """What it gives, worked out once."""

    @abstractmethod
    def pieces(self) -> list[Piece]:
        """What its heavy work falls into, in order."""

    def run_piece(self, number: int) -> None:
        """Leave piece ``number`` in the store, by itself; at once if it is there."""
        _ = self.result

    @property
    def within(self) -> Sequence[Stage[Any]]:
        """Stages that run inside this one, when it is asked for its result."""
        return ()

    @property
    def tasks(self) -> int:
        """How many tasks of about equal length it comes to."""
        return 1

    @property
    def samples(self) -> int:
        """Size of the condensed set that it works for."""
        return sum(self.bound.recipe.budget.counts(self.bound.data))

    @property
    def rng(self) -> torch.Generator:
        """The generator that its component works with, at its start."""
        return self.bound.rng(self.name)

    @property
    def served_by(self) -> str:
        """Name of the component."""
        return self.bound.recipe[self.component].name

    @property
    def most_pieces(self) -> int:
        """How many pieces it has at most: those of some are not known before what they read is."""
        return 1 if self.needs else max(1, len(self.pieces()))

    def likeness(self) -> Key:
        """What its result depends on, as far as that is known before anything is worked out.

        Stages of equal likeness, of different runs, come to one entry of the store.
        """
        return {
            "stage": self.name,
            "component": self.bound.component_key(self.component),
            "data": self.bound.data.fingerprint,
            "seed": self.bound.seed(self.name),
            "needs": [need.likeness() for need in self.needs],
        }

    def work(self) -> Key:
        """What its work is; equal work of different runs is done once."""
        return self.likeness()

    def cost(self) -> Cost | None:
        """What it would take; None where its component does not say."""
        return self.bound.cost(self.component, self.samples)


class StoredStage(Stage[T]):
    """A stage whose result is one entry of the store.

    Attributes:
        kind: folder in the store.
        said: values of the result, once it is there: nobody may have cleaned it away since.
    """

    kind: ClassVar[str]
    said: Mapping[str, Any] | None = None

    @abstractmethod
    def key(self) -> Key:
        """Everything the result depends on; reads the results of :attr:`needs`."""

    @abstractmethod
    def compute(self) -> Payload:
        """The result, packed."""

    @abstractmethod
    def check(self, payload: Payload) -> None:
        """That a stored ``payload`` is what :meth:`compute` gives: types, shapes, ranges.

        Raises:
            ValueError: in one line; the entry is then worked out anew.
        """

    @abstractmethod
    def unpack(self, payload: Payload) -> T:
        """The result."""

    @property
    def stored(self) -> bool:
        """Looked up only if all that it needs are stored, as the key depends on their results."""
        here = self.bound.store
        return all(stage.stored for stage in self.needs) and here.has(self.kind, self.key())

    def fetch(self) -> Payload:
        """The packed result, from the store or computed now; the stages it needs come first."""
        for stage in self.needs:
            _ = stage.result
        key = self.key()
        with self.bound.timed(self.name):
            payload, _ = self.bound.store.fetch(self.kind, key, self.compute, self.check)
        self.said = payload.values
        return payload

    @cached_property
    def result(self) -> T:
        """What it gives, worked out or read once."""
        return self.unpack(self.fetch())

    def pieces(self) -> list[Piece]:
        """The stage as a whole."""
        return Piece.all_of(self.name, [(self.kind, self.key())])


class StageInPieces(Stage[T]):
    """A stage whose component may work in pieces, on the training split."""

    def work(self) -> Key:
        """Its pieces, which stages of other options may have in common."""
        pieces = self.pieces()
        return {"pieces": [[p.kind, p.key] for p in pieces]} if pieces else super().work()

    @property
    def _given(self) -> tuple[LabeledData, EngineContext, torch.Generator]:
        return self.bound.data.without_test(), self.bound.context, self.rng

    @property
    def made(self) -> Any:
        """The component, as its pieces are asked for."""
        return self.bound.recipe[self.component].create()

    def entries(self) -> Sequence[StoreEntry]:
        """Where each piece of the component is kept."""
        component = self.made
        return component.pieces(*self._given) if isinstance(component, WorksInPieces) else []

    def pieces(self) -> list[Piece]:
        """Those of the component."""
        return Piece.all_of(self.name, self.entries())

    def run_piece(self, number: int) -> None:
        """Piece ``number`` of the component."""
        component = self.made
        with guarded(self.component, component, *contents(self.bound.data)):
            component.run_piece(number, *self._given)
