"""Test accuracy of fresh networks trained on a set; the last epoch counts."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator as Steps, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import ClassVar, Literal

from pydantic import Field
from torch import Generator

from condense.engine.runtime.precision import key_options
from condense.engine.runtime.rng import Seed
from condense.engine.training import sgd
from condense.engine.training.batches import Batcher
from condense.engine.training.concurrent import train_concurrently
from condense.engine.training.estimate import training_cost
from condense.engine.training.loop import Training, predict
from condense.engine.training.schedule import Schedule, batches_per_epoch
from condense.engine.training.sgd import SgdOptions
from condense.engine.training.step import Teacher
from condense.errors import DataError
from condense.interfaces import (
    Arm,
    Augmentation,
    Context,
    Cost,
    Evaluation,
    LabeledData,
    StoreEntry,
    TrainingSet,
)
from condense.options import (
    SPEED_ONLY,
    AugmentationSpec,
    NetworkSpec,
    Options as BaseOptions,
    part_of,
    without_effect_beside,
    without_effect_unless,
)
from condense.traits import EvaluatorTraits
from condense_plugins._built_in import BuiltIn
from condense_plugins.evaluators._batch_size import NETWORKS, TRIED, Choice, worth_trying
from condense_plugins.evaluators._per_class import per_class
from condense_plugins.evaluators._teacher import StoredTeacher

_OF_A_TEACHER = without_effect_unless("labels", "teacher")


class AccuracyEvaluator(BuiltIn):
    """Trains ``repeats`` networks by SGD with a cosine schedule and tests each of them once.

    Every arm gets the same number of optimiser steps: ``steps``, or what ``epochs`` + 1 epochs of
    the condensed set come to (SelMatch's protocol, arXiv 2406.18561). The rate falls once an epoch,
    and of an arm to which they are fewer than ten epochs with every step. Under teacher labels one
    network of the same kind is trained on the whole training split, once for all arms, as arm
    ``whole`` is but for its epochs; its outputs on every augmented batch are then the targets.
    """

    name: ClassVar[str] = "accuracy"
    version: ClassVar[str] = "3"
    traits: ClassVar[EvaluatorTraits] = EvaluatorTraits(
        advice={
            "network-diverged": "lower evaluator.lr",
            "class-never-right": "raise evaluator.epochs or evaluator.steps",
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
        epochs: int = Field(
            500,
            ge=1,
            description="epochs of the condensed set, plus one",
            json_schema_extra=without_effect_beside("steps"),
        )
        steps: int | None = Field(None, ge=1, description="optimiser steps; replaces epochs")
        batch_size: Literal["auto"] | sgd.BatchSize = Field(
            128,
            description="samples per step; auto: of 128, 64 and 32 the one with which random "
            "subsets do best on a held-out part of the training split, the same for all arms",
        )
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

        labels: Literal["own", "hard", "teacher"] = Field(
            "own",
            description="own: as the set has them, soft where it has such | hard: of the "
            "classes, even then | teacher: the outputs of a network trained on the whole training "
            "split",
        )
        temperature: float = Field(
            4.0,
            gt=0,
            description="by which a teacher's logits and a network's are divided (20 in CCFS)",
            json_schema_extra=_OF_A_TEACHER,
        )
        teacher_epochs: int = Field(
            40,
            ge=1,
            description="epochs of the whole training split that a teacher is trained",
            json_schema_extra=_OF_A_TEACHER,
        )
        teacher_seed: int = Field(
            0,
            ge=0,
            description="seed of the teacher, whatever the run's is",
            json_schema_extra=_OF_A_TEACHER,
        )
        at_once: int | None = Field(
            None,
            ge=1,
            description="networks trained side by side; unset = on a GPU as many as its memory "
            "has room for, at most 8, on a CPU one",
            json_schema_extra=SPEED_ONLY,
        )

    options: Options
    _size: int | None = None  # of condensed sets, where it is known before there is one

    def for_size(self, size: int) -> AccuracyEvaluator:
        """The same, whose pieces have the choice of a batch size for sets of ``size`` samples."""
        found = self._with()
        found._size = size
        return found

    @property
    def baseline_augmentations(self) -> tuple[str, ...]:
        """Augmentations under which arms of real samples only are tried."""
        return self.options.baseline_augmentations

    def steps(self, size: int) -> int:
        """Optimiser steps every arm gets beside a condensed set of ``size`` samples, at most."""
        return self._steps(size, self._known_batch_size(min(TRIED)))

    def _steps(self, size: int, batch_size: int) -> int:
        o = self.options
        return o.steps or (o.epochs + 1) * batches_per_epoch(size, batch_size)

    @property
    def repeats(self) -> int:
        """Networks trained, each with its own seed."""
        return self.options.repeats

    @property
    def label_regime(self) -> str:
        """The option ``labels``."""
        return self.options.labels

    @property
    def needs_training(self) -> bool:
        """For a teacher, and for a part of it to choose the batch size on."""
        return self.options.labels == "teacher" or self.options.batch_size == "auto"

    def pieces(self, data: LabeledData, context: Context, rng: Generator) -> Sequence[StoreEntry]:
        """The teacher under teacher labels, and the choice of a batch size where there is one."""
        teacher, choice = self._teacher, self._choice_for(data, context)
        found = [] if teacher is None else [teacher.entry(TrainingSet.of(data), context)]
        return found if choice is None else [*found, choice.entry]

    def run_piece(self, number: int, data: LabeledData, context: Context, rng: Generator) -> None:
        """Train the teacher, or try batch sizes, unless that is there."""
        teacher, choice = self._teacher, self._choice_for(data, context)
        if teacher is not None and number == 0:
            teacher.train(TrainingSet.of(data), context)
        elif choice is not None:
            choice.means()

    def prepare_cost(self, data: LabeledData, context: Context, rng: Generator) -> Cost:
        """Of the teacher, and of trying batch sizes; nothing of what is stored."""
        cost = Cost() if self._teacher is None else self._teacher.cost(data, context)
        choice = self._choice_for(data, context)
        if choice is None or context.cache.has(*choice.entry):
            return cost
        for tried in worth_trying(choice.size):
            cost = cost.then(self._trying(tried).cost(data, choice.size, context))
        return cost

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
        batch_size, tried = self._batch_size(arm, context)
        schedule = self._schedule(arm.size, context, batch_size)
        tests = Batcher(test, context.device)
        order: list[int] = []
        title = f"evaluate {arm.name}"
        if test.geometry.is_image:
            title += f" ({augmentation.name})"
        with (
            self._asking_teacher(arm, context) as teacher,
            context.progress.task(title, len(repeats) * schedule.steps, "step") as task,
        ):
            protocol = self._protocol(schedule, context, augmentation)
            protocol |= self._label_protocol(teacher, tests) | tried

            def trainings() -> Iterator[Training]:
                for repeat in repeats:
                    order.append(repeat)
                    init = Seed.of(rng).fork("init", repeat).generator()
                    yield Training(
                        context.network(self.options.network, test.geometry, init),
                        Batcher(self._targets(arm.draw(repeat)), context.device),
                        schedule,
                        augmentation,
                        Seed.of(rng).fork("batches", repeat).generator(context.device),
                        task=task,
                        teacher=teacher,
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
        schedule = self._schedule(samples, context, self._known_batch_size(min(TRIED)))
        network, stored = self.options.network, self._teacher
        teacher = None if stored is None else stored.untrained(data, context)
        one = training_cost(data, context, network, augmentation, schedule, samples, teacher)
        return one.times(self.options.repeats)

    @property
    def _teacher(self) -> StoredTeacher | None:
        """Trained as arm ``whole`` is, but for the epochs; None under other labels."""
        o = self.options
        if o.labels != "teacher":
            return None
        augmentation = AugmentationSpec.of(o.baseline_augmentations[0])
        own = {"epochs": o.teacher_epochs, "augmentation": augmentation}
        how = self._sgd(self._known_batch_size(max(TRIED)))
        return StoredTeacher(how.model_copy(update=own), o.teacher_seed, o.temperature)

    @contextmanager
    def _asking_teacher(self, arm: Arm, context: Context) -> Iterator[Teacher | None]:
        """Inside, the teacher can be asked; None where there is none."""
        if self._teacher is None:
            yield None
            return
        with self._teacher.asked(_training_of(arm, "trains its teacher on"), context) as teacher:
            yield teacher

    def _targets(self, drawn: TrainingSet) -> TrainingSet:
        return replace(drawn, soft_labels=None) if self.options.labels == "hard" else drawn

    def _schedule(self, size: int, context: Context, batch_size: int) -> Schedule:
        schedule = self._sgd(batch_size).schedule(size, context.device)
        return replace(schedule, steps=self._steps(size, batch_size), in_steps=True)

    def _sgd(self, batch_size: int) -> SgdOptions:
        return part_of(SgdOptions, self._with(batch_size=batch_size).options)

    def _with(self, **options: object) -> AccuracyEvaluator:
        return AccuracyEvaluator(self.options.model_copy(update=options))

    def _trying(self, batch_size: int) -> AccuracyEvaluator:
        """By which a batch size is tried; the whole split's teacher has seen what is held out."""
        return self._with(batch_size=batch_size, labels="hard", repeats=NETWORKS)

    def _known_batch_size(self, otherwise: int) -> int:
        """That of the options, or what is said for one that has yet to be chosen."""
        size = self.options.batch_size
        return otherwise if size == "auto" else size

    def _batch_size(self, arm: Arm, context: Context) -> tuple[int, dict[str, object]]:
        """Of the networks of ``arm``, and what the protocol has of how it was chosen."""
        if self.options.batch_size != "auto":
            return self.options.batch_size, {}
        if len(sizes := worth_trying(arm.size)) == 1:
            return sizes[0], {}
        whole = _training_of(arm, "chooses its batch size on")
        tried = self._choice(whole, arm.size, context).means()
        said = {str(size): mean for size, mean in tried.items()}
        return max(tried, key=tried.__getitem__), {"batch_size_tried": said}

    def _choice_for(self, data: LabeledData, context: Context) -> Choice | None:
        """The choice of a batch size; None where it is given, or all come to the same."""
        size = self._size
        if self.options.batch_size != "auto" or size is None or len(worth_trying(size)) == 1:
            return None
        return self._choice(TrainingSet.of(data), size, context)

    def _choice(self, whole: TrainingSet, size: int, context: Context) -> Choice:
        """The choice of a batch size for sets of ``size`` samples of ``whole``."""
        augmentation = AugmentationSpec.of(self.baseline_augmentations[0])
        simple = context.augmentation(augmentation)

        def mean(tried: int, subsets: Arm, held_out: TrainingSet, rng: Generator) -> float:
            return self._trying(tried).evaluate(subsets, held_out, simple, context, rng).mean

        own = {"repeats", "labels", "temperature", "teacher_epochs", "teacher_seed"}
        options = key_options(self.options, context.device)
        key = {name: value for name, value in options.items() if name not in own} | {
            "network": context.identity(self.options.network),
            "augmentation": context.identity(augmentation),
            "evaluator": [self.name, self.version],
        }
        return Choice(whole, size, key, mean, context)

    def _protocol(
        self, schedule: Schedule, context: Context, augmentation: Augmentation
    ) -> dict[str, object]:
        # all but what every evaluation has alike
        budget = {k: v for k, v in asdict(schedule).items() if k not in ("cosine_to", "in_steps")}
        return {
            "network": context.identity(self.options.network),
            **budget,
            "augmentation": augmentation.name,
            "counted": "last epoch",
        }

    def _label_protocol(self, teacher: Teacher | None, tests: Batcher) -> dict[str, object]:
        """Of labels that are not the set's own; the teacher's accuracy chooses nothing."""
        labels, stored = self.options.labels, self._teacher
        if labels == "own":
            return {}
        said = {} if teacher is None or stored is None else stored.said_of(teacher, tests)
        return {"labels": labels, **({"teacher": said} if said else {})}


def _training_of(arm: Arm, use: str) -> TrainingSet:
    """The whole training split."""
    if arm.training is None:
        raise DataError(
            f"evaluator accuracy {use} the whole training split, which arm {arm.name} comes "
            f"without; give Arm(…, training=TrainingSet.of(data))"
        )
    return arm.training
