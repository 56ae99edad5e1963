"""An iteration's trajectories shared out among several processes, the ranks that torchrun starts.

Rank 0 runs the command. The others follow it: they are told of a matching, then of each iteration
what has moved since, and hand back the steps of their trajectories one by one. No sum is made
before rank 0 has all of them, so that the result does not depend on how many ranks there are. This
is no DistributedDataParallel, which cannot be differentiated twice, nor a split of batches, on
whose statistics a batch norm depends.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Protocol

import safetensors.torch
import torch
from torch import Generator, Tensor

from condense.capabilities import ChangesOverIterations
from condense.data import Modality
from condense.engine.documents import Document
from condense.engine.runtime.exhaustion import is_out_of_memory
from condense.engine.runtime.rng import Seed
from condense.errors import CondenseError
from condense.interfaces import Matcher, MatchStep, SyntheticSet
from condense.reading import in_one_line

# those who follow wait for a matching as long as scores, experts and evaluations take on rank 0;
# one that dies is noticed by its connection, not by the clock
PATIENCE = timedelta(days=365)
HELLO, BEGIN, TURN, END = "hello", "begin", "turn", "end"  # messages of rank 0
MOVING = ("inputs", "step_size", "label_logits")  # what of a set changes between two iterations


class Turn(Document):
    """An iteration: which one, where its trajectories draw from, and how many there are."""

    iteration: int
    seed: int
    trajectories: int


class Order(Document):
    """A matching, for those who follow.

    Attributes:
        recipe: resolved, as a table.
        shared_seed: of the stages that cells of a study share.
        data, modality: fingerprint and kind of the training split.
        device: ``"cpu"`` or ``"cuda"``.
        store: folder of the store on rank 0.
        held: a file in it that is there as long as the matching lasts.
    """

    recipe: dict[str, Any]
    shared_seed: int
    data: str
    modality: Modality
    device: str
    store: str
    held: str


class Ranks(Protocol):
    """Whoever works out an iteration's trajectories."""

    @property
    def size(self) -> int:
        """How many processes they are."""

    def begin(self, order: Order, synthetic: SyntheticSet) -> None:
        """A matching of ``synthetic``, which is on the device, begins."""

    def steps(self, matcher: Matcher, synthetic: SyntheticSet, turn: Turn) -> Iterable[MatchStep]:
        """The step of trajectory 0, 1, …, in order."""


def own_steps(
    matcher: Matcher, synthetic: SyntheticSet, turn: Turn, numbers: Iterable[int]
) -> Iterator[MatchStep]:
    """The steps of the trajectories ``numbers``, each from a stream forked by its number: it does
    not depend on how many others there are, nor on who works it out."""
    for number in numbers:
        yield matcher.step(synthetic, Seed(turn.seed).fork("trajectory", number).generator())


@dataclass(frozen=True)
class Alone:
    """This process and no other."""

    size: int = 1

    def begin(self, order: Order, synthetic: SyntheticSet) -> None:
        """Nobody is to be told."""

    def steps(self, matcher: Matcher, synthetic: SyntheticSet, turn: Turn) -> Iterable[MatchStep]:
        """One after another."""
        return own_steps(matcher, synthetic, turn, range(turn.trajectories))


ALONE = Alone()


def mean_step(
    matcher: Matcher,
    synthetic: SyntheticSet,
    rng: Generator,
    ranks: Ranks = ALONE,
    iteration: int = 0,
) -> MatchStep:
    """A step of ``matcher``, or the mean over as many as its plan asks for.

    Args:
        rng: draws what the trajectories are forked from, once whatever their number.
        ranks: that share them.
        iteration: iterations done.
    """
    _reach(matcher, iteration)
    count = matcher.plan.trajectories
    if count == 1:
        return matcher.step(synthetic, rng)
    seed = int(torch.randint(2**62, (), generator=rng))
    turn = Turn(iteration=iteration, seed=seed, trajectories=count)
    return mean_of(ranks.steps(matcher, synthetic, turn))


def _reach(matcher: Matcher, iteration: int) -> None:
    if isinstance(matcher, ChangesOverIterations):
        matcher.at_iteration(iteration)


def mean_of(steps: Iterable[MatchStep]) -> MatchStep:
    """The mean of ``steps``, one at least, added in their order: the same bytes wherever each was
    worked out."""
    total: dict[str, Tensor] = {}
    count = 0
    for step in steps:
        parts = _parts(step)
        total = {name: total[name] + t for name, t in parts.items()} if count else parts
        count += 1
    return MatchStep(**{name: t / count for name, t in total.items()})


def _parts(step: MatchStep) -> dict[str, Tensor]:
    """What a step has, by name. In one layout, as that decides the order of later sums."""
    found = {field.name: getattr(step, field.name) for field in fields(step)}
    return {name: t.contiguous() for name, t in found.items() if t is not None}


class Lost(CondenseError):
    """Another rank has ended."""


class Team:
    """The ranks that torchrun started, once they have met: over gloo, GPUs' gradients over nccl.

    Args:
        rank: of this process, from 0.
        size: how many there are.
    """

    def __init__(self, rank: int, size: int) -> None:
        import torch.distributed

        self._group = torch.distributed
        self.rank, self.size = rank, size
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        with _noticing():
            self._group.init_process_group(backend, timeout=PATIENCE)
        # its threads would otherwise abort a process that ends in any way
        atexit.register(self._group.destroy_process_group)

    # ---- rank 0 -------------------------------------------------------------------------------

    def tell(self, what: str, content: Any = None, **tensors: Tensor) -> None:
        """Send those who follow a message: which one, JSON, and tensors."""
        head = json.dumps([what, content]).encode()
        body = safetensors.torch.save(
            {n: t.detach().cpu().contiguous() for n, t in tensors.items()}
        )
        text = bytearray(head + b"\n" + body)
        with _noticing():
            self._group.broadcast(torch.tensor([len(text)]), 0)
            self._group.broadcast(torch.frombuffer(text, dtype=torch.uint8), 0)

    def begin(self, order: Order, synthetic: SyntheticSet) -> None:
        """All of the set is sent once."""
        self.tell(BEGIN, order.to_json(), **_tensors(synthetic))

    def steps(self, matcher: Matcher, synthetic: SyntheticSet, turn: Turn) -> Iterable[MatchStep]:
        """Each from the rank whose number is its own modulo :attr:`size`."""
        moved = {name: t for name, t in _tensors(synthetic).items() if name in MOVING}
        self.tell(TURN, turn.to_json(), **moved)
        return self._exchanged(matcher, synthetic, turn)

    def end(self) -> None:
        """Let those who follow go."""
        self.tell(END)

    # ---- those who follow ---------------------------------------------------------------------

    def heard(self) -> tuple[str, Any, dict[str, Tensor]]:
        """The next message of rank 0."""
        length = torch.tensor([0])
        with _noticing():
            self._group.broadcast(length, 0)
            text = torch.empty(int(length), dtype=torch.uint8)
            self._group.broadcast(text, 0)
        head, _, body = text.numpy().tobytes().partition(b"\n")
        what, content = json.loads(head)
        return what, content, safetensors.torch.load(body)

    def take_part(
        self, matcher: Matcher, synthetic: SyntheticSet, turn: Turn, moved: dict[str, Tensor]
    ) -> None:
        """Work out this rank's trajectories and hand them over.

        Args:
            moved: what rank 0 said of ``synthetic``, which is brought to it.
        """
        for name, tensor in moved.items():
            getattr(synthetic, name).copy_(tensor)
        _reach(matcher, turn.iteration)
        self._exchanged(matcher, synthetic, turn)

    # ---- all ----------------------------------------------------------------------------------

    def _exchanged(self, matcher: Matcher, synthetic: SyntheticSet, turn: Turn) -> list[MatchStep]:
        """Every trajectory's step on rank 0, nothing on the others."""
        numbers = range(self.rank, turn.trajectories, self.size)
        own = [_parts(step) for step in own_steps(matcher, synthetic, turn, numbers)]
        most = -(-turn.trajectories // self.size)
        found = {name: self._gathered(torch.stack([s[name] for s in own]), most) for name in own[0]}
        if self.rank:
            return []
        places = [(n % self.size, n // self.size) for n in range(turn.trajectories)]
        return [
            MatchStep(**{name: of_ranks[rank][row] for name, of_ranks in found.items()})
            for rank, row in places
        ]

    def _gathered(self, own: Tensor, most: int) -> list[Tensor]:
        """``own`` of every rank [≤ ``most``, …], filled up to ``most``; empty but on rank 0."""
        own = torch.cat([own, own.new_zeros(most - len(own), *own.shape[1:])])
        with _noticing():
            if own.device.type != "cpu":  # over gloo first, which notices a rank that has died
                self._collect(torch.zeros(1))
            return self._collect(own)

    def _collect(self, own: Tensor) -> list[Tensor]:
        found = [] if self.rank else [torch.empty_like(own) for _ in range(self.size)]
        self._group.gather(own, None if self.rank else found)
        return found


def _tensors(synthetic: SyntheticSet) -> dict[str, Tensor]:
    found = {field.name: getattr(synthetic, field.name) for field in fields(synthetic)}
    return {name: t for name, t in found.items() if t is not None}


@contextmanager
def _noticing() -> Iterator[None]:
    """Inside, a connection that breaks is another rank's end.

    Raises:
        Lost: then.
    """
    try:
        yield
    except RuntimeError as error:  # gloo has no other
        if is_out_of_memory(error):
            raise
        raise Lost(
            "another rank has ended in the middle of the work, or cannot be reached "
            f"({in_one_line(error)}); what it said itself, if anything, stands above; the same "
            "command continues from the last checkpoint"
        ) from None
