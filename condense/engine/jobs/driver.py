"""Handing out the pieces of many runs' stages as soon as what they read is there."""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from condense.engine.documents import JobNote
from condense.engine.ingest.holdout import HeldOutOf
from condense.engine.jobs.environment import environment
from condense.engine.jobs.extra import Extra, set_bytes
from condense.engine.jobs.share import Shares, gpu_memory
from condense.engine.jobs.task import DataOfTask, Outcome, Task, data_bytes, unpacked
from condense.engine.jobs.worker import run_task
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.claims import claimed, sweep
from condense.engine.runtime.housekeeping import digest
from condense.engine.stages.matching import MatchingStage
from condense.engine.stages.scores import ScoresStage
from condense.engine.stages.stage import Piece, Stage
from condense.engine.training.threads import SMALL, is_small
from condense.errors import CondenseError
from condense.interfaces import Executor, Progress
from condense.jobs import Done, ExecutorOptions, Job, Resources
from condense.options import part_of
from condense.reading import in_one_line
from condense.results import StoreEntry

GIB = 2**30
SIGN = ".driver-"
K = TypeVar("K")


@dataclass(frozen=True, eq=False)
class Target:
    """Stages that are to be stored.

    Attributes:
        pipeline: whose they are; its data are loaded.
        stages: in order; what they need is among them, or needs nothing.
        held_out: of what the data are a part; None where they are those that the recipe names, or
            were handed over.
        extra: what stages beside the recipe's are made of.
    """

    pipeline: Pipeline
    stages: Sequence[Stage[Any]]
    held_out: HeldOutOf | None = None
    extra: Extra = field(default_factory=Extra)


@dataclass
class _Sent:
    """A piece under way."""

    piece: Piece
    targets: list[int]
    since: float
    tries: int = 1
    apart: bool = False


@dataclass
class Crew:
    """An executor at work until it is closed, and what it has done.

    Args:
        executor: works jobs off.
        progress: where they are shown.
    """

    executor: Executor
    progress: Progress
    notes: list[JobNote] = field(default_factory=list)

    def close(self) -> None:
        """Cancel what runs, and let the executor go; it may be asked for more work after it."""
        self.executor.close()

    def work_all_off(self, *targets: Target) -> None:
        """As :meth:`work_off`.

        Raises:
            CondenseError: also for the first thing that goes wrong.
        """
        for error in self.work_off(dict(enumerate(targets))).values():
            raise CondenseError(error)

    def work_off(self, targets: Mapping[K, Target]) -> dict[K, str]:
        """Have all that ``targets`` need in their store, each piece worked off once.

        Returns:
            what went wrong, by key. The others are stored.

        Raises:
            CondenseError: for a job that the executor refuses.
        """
        if not targets:
            return {}
        keys = list(targets)
        work = _Work(self, list(targets.values()))
        with work.visible():
            return {keys[place]: error for place, error in work.done().items()}


class _Work:
    """Targets under way."""

    def __init__(self, crew: Crew, targets: Sequence[Target]) -> None:
        self.crew, self.targets = crew, targets
        self.stages = [target.stages for target in targets]
        self.ready: list[set[str]] = [set() for _ in targets]  # names of stages that are stored
        self.sent: dict[str, _Sent] = {}
        self.errors: dict[int, str] = {}
        self.store = targets[0].pipeline.store
        self.token = f"{SIGN}{secrets.token_hex(8)}"
        self.apart = False
        self.shares: Shares | None = None
        self.environment = environment(targets[0].pipeline.host)
        self.options = part_of(ExecutorOptions, crew.executor.options)

    @contextlib.contextmanager
    def visible(self) -> Iterator[None]:
        """A file in the store while this driver works, by which others know that it is the same."""
        self.store.root.mkdir(parents=True, exist_ok=True)
        sweep(self.store.root, f"{SIGN}*")
        with claimed(self.store.root / self.token):
            yield

    def done(self) -> dict[int, str]:
        """Work until nothing is left."""
        self._check_ranks()
        self._note_threads()
        total = sum(stage.most_pieces for stages in self.stages for stage in stages)
        with self.crew.progress.task("jobs", total, "job") as self.task:
            for place in range(len(self.targets)):
                self._advance(place)
            while self.sent:
                ended = self.crew.executor.next_done()
                for place in self._take(ended):
                    self._advance(place)
        return self.errors

    def _note_threads(self) -> None:
        """That threads were asked for in vain, of jobs whose samples are too small for several."""
        asked, shapes = self.options.threads, {t.pipeline.data.geometry.shape for t in self.targets}
        if asked not in (None, 1) and any(is_small(shape) for shape in shapes):
            self.crew.progress.note(
                f"note: `executor.threads={asked}` has no effect on samples of up to {SMALL} "
                "values, which have one thread"
            )

    def _check_ranks(self) -> None:
        """That no matching has fewer trajectories than ranks; what is wrong is said at once."""
        for stage in (one for stages in self.stages for one in stages):
            if isinstance(stage, MatchingStage):
                stage.ranks(self.options.ranks)

    def _advance(self, place: int) -> None:
        """Send every piece of target ``place`` that is missing and has all it reads.

        What cannot be put together of its pieces is an error of this target, as it is of a cell
        that is worked off here.
        """
        if place in self.errors:
            return
        try:
            self._send_missing(place)
        except CondenseError as error:
            self.errors[place] = in_one_line(error)

    def _send_missing(self, place: int) -> None:
        going = True
        while going:
            going = False
            for stage in self.stages[place]:
                if stage.name in self.ready[place] or self._is_under_way(place, stage):
                    continue
                if not self._has_needs(place, stage):
                    continue
                missing = self._missing(stage)
                for piece in missing:
                    self._send(place, stage, piece)
                if not missing:
                    if isinstance(stage, ScoresStage):
                        _ = stage.result  # put together of its pieces
                    self.ready[place].add(stage.name)
                    self.task.advance(stage.most_pieces)
                    going = True

    def _is_under_way(self, place: int, stage: Stage[Any]) -> bool:
        """Whether pieces of it are; it is looked at again when the last of them is done."""
        under_way = (s for s in self.sent.values() if s.piece.stage == stage.name)
        return any(place in sent.targets for sent in under_way)

    def _has_needs(self, place: int, stage: Stage[Any]) -> bool:
        return all(
            need.name in self.ready[place]
            if self._is_asked_for(place, need)
            else self._has_needs(place, need)
            for need in _needs(stage)
        )

    def _is_asked_for(self, place: int, need: Stage[Any]) -> bool:
        """Whether it is a stage of the target, not only called as one that works for another
        size."""
        same = (one for one in self.stages[place] if one.name == need.name)
        return any(one is need or one.samples == need.samples for one in same)

    def _missing(self, stage: Stage[Any]) -> list[Piece]:
        if isinstance(stage, ScoresStage) and stage.stored:
            return []
        return [p for p in stage.pieces() if not self.store.has(*p.entry)]

    def _send(self, place: int, stage: Stage[Any], piece: Piece) -> None:
        name = _name(piece)
        if name in self.sent:
            if place not in self.sent[name].targets:
                self.sent[name].targets.append(place)
            return
        self.sent[name] = _Sent(piece, [place], time.monotonic(), apart=self.apart)
        self._submit(name)

    def _submit(self, name: str) -> None:
        sent = self.sent[name]
        target = self.targets[sent.targets[0]]
        job = self._job(target, sent, name)
        self.crew.executor.submit(job)

    def _job(self, target: Target, sent: _Sent, name: str) -> Job:
        pipeline, piece, o = target.pipeline, sent.piece, self.options
        small = is_small(pipeline.data.geometry.shape)
        threads = 1 if small else o.threads or torch.get_num_threads()
        matching = self._stage_of(target, piece)
        ranks = matching.ranks(o.ranks) if isinstance(matching, MatchingStage) else 1
        device = pipeline.device.type
        blobs: dict[str, Callable[[], bytes]] = {}
        data = _data_of(target)
        if data.blob:
            blobs[data.blob] = partial(data_bytes, pipeline.data)
        read = []
        if sent.apart:
            for kind, key in self._read_by(target, piece):
                read.append(f"{kind}/{digest(kind, key)}")
                blobs[read[-1]] = partial(self.store.packed, kind, key)
            if target.extra.folder:
                blobs[target.extra.blob] = partial(set_bytes, Path(target.extra.folder))
        task = Task(
            recipe=pipeline.recipe.to_dict(),
            shared_seed=pipeline.shared_seed,
            stage=piece.stage,
            number=piece.number,
            kind=piece.kind,
            key=piece.key,
            data=data,
            device=device,
            threads=threads,
            environment=self.environment,
            store=str(self.store.root.absolute()),
            token=self.token,
            apart=sent.apart,
            entries=tuple(read),
            extra=target.extra,
            ranks=ranks,
        )
        gpus = (o.gpus or self._share(target, piece)) if device == "cuda" else 0.0
        if ranks > 1:  # rank r works on GPU r
            gpus = math.ceil(gpus)
        memory = None if o.memory is None else int(o.memory * GIB)
        resources = Resources(ranks * threads, ranks * gpus, memory)
        return Job(name, run_task, task.model_dump_json(), resources, blobs)

    def _share(self, target: Target, piece: Piece) -> float:
        if self.shares is None:
            self.shares = Shares(gpu_memory(target.pipeline.device))
        return self.shares.of(self._stage_of(target, piece))

    def _stage_of(self, target: Target, piece: Piece) -> Stage[Any]:
        (stage,) = (one for one in target.stages if one.name == piece.stage)
        return stage

    def _read_by(self, target: Target, piece: Piece) -> list[StoreEntry]:
        """Entries that working off ``piece`` reads: all of the stages before it that are there."""
        found: dict[str, StoreEntry] = {}
        waiting, seen = deque(_needs(self._stage_of(target, piece))), set()
        while waiting:
            need = waiting.popleft()
            if need.name in seen:
                continue
            seen.add(need.name)
            waiting.extend(_needs(need))
            own = [p.entry for p in need.pieces()]
            if isinstance(need, ScoresStage):
                own.append((need.kind, need.key()))
            found |= {digest(*entry): entry for entry in own if self.store.has(*entry)}
        return list(found.values())

    def _take(self, ended: Done) -> list[int]:
        """Note how a job ended; the targets that may go on."""
        name = ended.job.name
        sent = self.sent[name]
        if ended.result is None:
            if sent.tries <= self.options.retries:
                sent.tries += 1
                self._submit(name)
                return []
            return self._failed(name, f"{ended.error}, {sent.tries} times")
        outcome, entry = unpacked(ended.result)
        if outcome.apart and not sent.apart:
            self.apart = sent.apart = True
            self._submit(name)
            return []
        if outcome.error is not None:
            self.crew.progress.note(f"note: job {name} failed on {outcome.node}: {outcome.error}")
            return self._failed(name, outcome.error)
        if entry:
            self.store.unpack(entry)
        self._note(sent, outcome)
        return self.sent.pop(name).targets

    def _failed(self, name: str, error: str) -> list[int]:
        for place in self.sent.pop(name).targets:
            self.errors.setdefault(place, error)
        return []

    def _note(self, sent: _Sent, outcome: Outcome) -> None:
        waited = max(0.0, time.monotonic() - sent.since - outcome.seconds)
        self.crew.notes.append(
            JobNote(
                stage=sent.piece.stage,
                piece=sent.piece.number,
                key=digest(*sent.piece.entry),
                executor=self.crew.executor.name,
                node=outcome.node,
                pid=outcome.pid,
                threads=outcome.threads,
                seconds=round(outcome.seconds, 3),
                waited=round(waited, 3),
                tries=sent.tries,
            )
        )


def _needs(stage: Stage[Any]) -> list[Stage[Any]]:
    """What ``stage`` reads: also what is prepared for a matching, which it asks for itself."""
    return [*stage.needs, *stage.within]


def _name(piece: Piece) -> str:
    return f"{piece.stage} {piece.number} {digest(*piece.entry)}"


def _data_of(target: Target) -> DataOfTask:
    """How a worker gets the target's data: by the recipe, or sent along."""
    pipeline, part = target.pipeline, target.held_out
    data = pipeline.data
    training, test = data.fingerprints
    named = pipeline.has_named_data
    return DataOfTask(
        name=data.name,
        fingerprint=training,
        test=test,
        blob="" if named else f"data/{training}{test or ''}",
        part=part if named else None,
        modality=data.geometry.modality,
    )
