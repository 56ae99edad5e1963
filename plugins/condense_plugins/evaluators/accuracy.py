"""Test accuracy of fresh networks trained on a set; the last epoch counts."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator as Steps, Iterator
from dataclasses import asdict, replace
from typing import ClassVar

from pydantic import Field
from torch import Generator

from condense.engine.runtime.rng import Seed
from condense.engine.training import sgd
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import train_concurrently
from condense.engine.training.estimate import training_seconds
from condense.engine.training.loop import Training, predict
from condense.engine.training.schedule import Schedule, batches_per_epoch
from condense.engine.training.sgd import SgdOptions, part_of
from condense.interfaces import (
    Arm,
    Augmentation,
    Context,
    Cost,
    Evaluation,
    LabeledData,
    TrainingSet,
)
from condense.options import SPEED_ONLY, AugmentationSpec, NetworkSpec, Options as BaseOptions
from condense.traits import EvaluatorTraits
from condense_plugins._built_in import BuiltIn
from condense_plugins.evaluators._per_class import per_class


class AccuracyEvaluator(BuiltIn):
    """Trains ``repeats`` networks by SGD with a cosine schedule and tests each of them once.

    Every arm gets the same number of optimiser steps: ``steps``, or what ``epochs`` + 1 epochs of
    the condensed set come to (SelMatch's protocol, arXiv 2406.18561).
    """

    name: ClassVar[str] = "accuracy"
    version: ClassVar[str] = "2"
    traits: ClassVar[EvaluatorTraits] = EvaluatorTraits(
        advice={
            "network-diverged": "lower evaluator.lr",
            "single-repeat": "set evaluator.repeats=5",
            "not-told-from-random": "raise evaluator.repeats",
            "baseline-augmentation": "add it to evaluator.baseline_augmentations",
        }
    )

    class Options(BaseOptions):
        network: NetworkSpec = Field(
            NetworkSpec.of("auto"), description="network trained on the set"
        )
        repeats: int = Field(5, ge=1, description="networks trained, each with its own seed")
        epochs: int = Field(500, ge=1, description="epochs of the condensed set, plus one")
        steps: int | None = Field(None, ge=1, description="optimiser steps; replaces epochs")
        batch_size: sgd.BatchSize = 128
        lr: sgd.LearningRate = 0.1
        momentum: sgd.Momentum = 0.9
        weight_decay: sgd.WeightDecay = 5e-4
        precision: sgd.PrecisionBf16 = "auto"
        baseline_augmentations: tuple[str, ...] = Field(
            ("simple", "dsa"),
            min_length=1,
            description="an arm that nothing was matched for is trained under each; the better "
            "counts",
        )

        at_once: int | None = Field(
            None,
            ge=1,
            description="networks trained side by side; unset = on a GPU as many as its memory "
            "has room for, at most 8, on a CPU one",
            json_schema_extra=SPEED_ONLY,
        )

    options: Options

    @property
    def baseline_augmentations(self) -> tuple[str, ...]:
        """Augmentations under which arms of real samples only are tried."""
        return self.options.baseline_augmentations

    def steps(self, size: int) -> int:
        """Optimiser steps every arm gets beside a condensed set of ``size`` samples."""
        o = self.options
        return o.steps or (o.epochs + 1) * batches_per_epoch(size, o.batch_size)

    @property
    def repeats(self) -> int:
        """Networks trained, each with its own seed."""
        return self.options.repeats

    def evaluate(
        self,
        arm: Arm,
        test: TrainingSet,
        augmentation: Augmentation,
        context: Context,
        rng: Generator,
    ) -> Evaluation:
        """Accuracy in 0-1 of every repeat, the test split read once for each."""
        given = (arm, test, augmentation, context, rng)
        parts = dict(self.evaluate_repeats(*given, range(self.repeats)))
        return Evaluation.of_repeats([parts[repeat] for repeat in range(self.repeats)])

    def evaluate_repeats(
        self,
        arm: Arm,
        test: TrainingSet,
        augmentation: Augmentation,
        context: Context,
        rng: Generator,
        repeats: Collection[int],
    ) -> Steps[tuple[int, Evaluation], None, None]:
        """Accuracy in 0-1 of each of ``repeats`` as it is done."""
        start = time.perf_counter()
        schedule = self._schedule(arm.size, context)
        protocol = self._protocol(schedule, context, augmentation)
        tests = Batcher(test, context.device)
        order: list[int] = []
        title = f"evaluate {arm.name} ({augmentation.name})"
        with context.progress.task(title, len(repeats) * schedule.steps, "step") as task:

            def trainings() -> Iterator[Training]:
                for repeat in repeats:
                    order.append(repeat)
                    init = Seed.of(rng).fork("init", repeat).generator()
                    yield Training(
                        context.network(self.options.network, test.geometry, init),
                        Batcher(arm.draw(repeat), context.device),
                        schedule,
                        augmentation,
                        Seed.of(rng).fork("batches", repeat).generator(context.device),
                        task=task,
                    )

            for place, done in train_concurrently(trainings(), self.options.at_once):
                logits = predict(done.network, tests, precision=schedule.precision)
                right = (logits.argmax(1) == tests.labels).cpu()
                diverged = int(not logits.isfinite().all())
                seconds = time.perf_counter() - start
                rates = per_class(right, test.labels, test.geometry.classes)
                value, each = int(right.sum()) / len(right), tuple(rates.tolist())
                found = Evaluation((value,), protocol, seconds, each, right.float(), diverged)
                yield order[place], found
                start = time.perf_counter()

    def cost(self, data: LabeledData, samples: int, context: Context) -> Cost:
        """Estimate for one arm beside a condensed set of ``samples`` samples."""
        augmentation = context.augmentation(AugmentationSpec.of(self.baseline_augmentations[-1]))
        schedule = self._schedule(samples, context)
        network = self.options.network
        one = training_seconds(data, context, network, augmentation, schedule, samples)
        return Cost(seconds=self.options.repeats * one)

    def _schedule(self, size: int, context: Context) -> Schedule:
        sgd = part_of(SgdOptions, self.options)
        return replace(sgd.schedule(size, context.device), steps=self.steps(size))

    def _protocol(
        self, schedule: Schedule, context: Context, augmentation: Augmentation
    ) -> dict[str, object]:
        budget = {name: value for name, value in asdict(schedule).items() if name != "cosine_to"}
        return {
            "network": context.identity(self.options.network),
            **budget,
            "augmentation": augmentation.name,
            "counted": "last epoch",
        }
