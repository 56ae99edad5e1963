"""The teacher of an evaluation: one network of the whole training split, in the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Generator

from condense.engine.runtime.precision import precision_of
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher
from condense.engine.training.estimate import sgd_cost
from condense.engine.training.loop import evaluating, predict
from condense.engine.training.sgd import SgdOptions
from condense.engine.training.step import Teacher
from condense.engine.training.stored import KIND, stored_key, stored_network
from condense.interfaces import Context, Cost, LabeledData, StoreEntry, TrainingSet


@dataclass(frozen=True)
class StoredTeacher:
    """How a teacher is trained and asked; the same one for all arms, repeats and seeds of a run.

    Attributes:
        options: of its training.
        number: the seed it has a stream of its own under.
        temperature: that it is asked at.
    """

    options: SgdOptions
    number: int
    temperature: float

    @property
    def _seed(self) -> Seed:
        return Seed(self.number).fork("teacher")

    def entry(self, training: TrainingSet, context: Context) -> StoreEntry:
        """Where it is kept."""
        return KIND, stored_key(training, context, self.options, self._seed)

    def train(self, training: TrainingSet, context: Context) -> Teacher:
        """It, from the store where it is there, in the mode its network was built in."""
        rate = f"`evaluator.lr={self.options.lr:g}`"
        given = (training, context, self.options, self._seed)
        return Teacher(stored_network(*given, "teacher", rate), self.temperature)

    @contextmanager
    def asked(self, training: TrainingSet, context: Context) -> Iterator[Teacher]:
        """Inside, it answers as a trained network does; its mode is restored."""
        teacher = self.train(training, context)
        with evaluating(teacher.network):
            yield teacher

    def untrained(self, data: LabeledData, context: Context) -> Teacher:
        """One that knows nothing and takes as long to ask."""
        rng = Generator().manual_seed(0)
        network = context.network(self.options.network, data.geometry, rng)
        return Teacher(network.eval(), self.temperature)

    def cost(self, data: LabeledData, context: Context) -> Cost:
        """An estimate of its training, nothing where it is stored."""
        entry = self.entry(TrainingSet.of(data), context)
        if context.cache.has(*entry):
            return Cost()
        return sgd_cost(data, context, self.options).shared_as(lambda _: [entry])

    def said_of(self, teacher: Teacher, tests: Batcher) -> dict[str, object]:
        """What a protocol has of it; nothing is chosen by its accuracy."""
        precision = precision_of(self.options, tests.device)
        logits = predict(teacher.network, tests, precision=precision)
        return {
            "accuracy": float((logits.argmax(1) == tests.labels).double().mean()),
            "temperature": self.temperature,
            "epochs": self.options.epochs,
            "augmentation": self.options.augmentation.component,
            "seed": self.number,
        }
