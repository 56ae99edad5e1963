"""The frozen dataclasses that stages hand on: budgets, scores, selections, steps, evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from typing import Any, Final, Literal

import torch
from torch import Generator, Tensor

from condense.data import LabeledData, TrainingSet, content_digest, portion
from condense.errors import DataError, OptionError

StoreEntry = tuple[str, Mapping[str, Any]]  # folder in the store, and key
# what a component leaves in the store, by the generator it works with
Entries = Callable[[Generator], Sequence[StoreEntry]]


@dataclass(frozen=True)
class Budget:
    """How many samples to keep: ``ipc`` per class, or a ``fraction`` of every class.

    Exactly one is given; ``fraction`` keeps at least one sample a class.
    """

    ipc: int | None = None
    fraction: float | None = None

    def __post_init__(self) -> None:
        if (self.ipc is None) == (self.fraction is None):
            raise OptionError("give either ipc or fraction, not both and not neither")
        if self.ipc is not None and (type(self.ipc) is not int or self.ipc < 1):
            raise OptionError(
                f"ipc must be a whole number of at least 1, got {self.ipc!r}; try `ipc=5`"
            )
        share = self.fraction
        if share is not None and (not isinstance(share, (int, float)) or not 0 < share <= 1):
            raise OptionError(f"fraction must be in (0, 1], got {share!r}; try `fraction=0.1`")

    @property
    def words(self) -> str:
        """``"ipc 5"`` or ``"fraction 0.1"``."""
        return f"ipc {self.ipc}" if self.ipc is not None else f"fraction {self.fraction:g}"

    def counts(self, data: LabeledData) -> tuple[int, ...]:
        """Samples to keep of each class.

        Raises:
            DataError: naming the class, the count asked and the count there.
        """
        sizes = torch.bincount(data.labels, minlength=len(data.classes)).tolist()
        if self.fraction is not None:
            return tuple(max(1, portion(self.fraction, n)) if n else 0 for n in sizes)
        assert self.ipc is not None
        for name, size in zip(data.classes, sizes, strict=True):
            if size == 0:
                raise DataError(
                    f"class {name} has 0 samples; add some, or leave it out of the classes"
                )
            if size < self.ipc:
                least = min(sizes)
                smallest = data.classes[sizes.index(least)]
                whose = "" if least == size else f" (all of class {smallest})"
                raise DataError(
                    f"class {name} has {size} samples in {data.name}, ipc {self.ipc} asks for "
                    f"more; lower `ipc` to at most {least}{whose} or use `fraction`"
                )
        return (self.ipc,) * len(sizes)

    def rounding(self, data: LabeledData) -> str:
        """Why ``fraction`` keeps another number of samples than that share of all; "" if it does
        not."""
        if self.fraction is None:
            return ""
        kept, share = sum(self.counts(data)), round(self.fraction * len(data))
        why = "rounded down" if kept < share else "at least one"
        said = f"`fraction={self.fraction:g}` keeps {kept} of {len(data)} samples, not {share}"
        return "" if kept == share else f"{said}: of every class its share, {why}"

    def empty(self, data: LabeledData) -> str:
        """Of which classes ``fraction`` keeps nothing, as nothing is there; "" for none.

        No error, as ``ipc`` gives: of data that were filtered, labels keep the names of all.
        """
        names = [n for n, kept in zip(data.classes, self.counts(data), strict=True) if not kept]
        if not names:
            return ""
        which = f"class {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        what = f"`fraction={self.fraction:g}` keeps 0 samples of {which}, as {data.name} has none"
        return f"{what}; add some, or leave them out of the classes"


@dataclass(frozen=True, eq=False)
class Scores:
    """Difficulty of every training sample; **higher = harder, always**.

    Attributes:
        values: float32 [N], finite.
        estimator: what they are, in a few words, for example ``"cscore (learning-speed)"``.
        standard_error: float32 [N] of the estimate, or None where there is none.
        companions: further figures of every sample, float32 [N] each, finite, that the scorer read
            in the same pass, by name, for selectors that need them. Those of the training dynamics:
            ``probability``, the mean softmax probability of the true class, and ``aum``, the mean
            margin in logits, low where a label is likely wrong.
        logits: float32 [N, C], finite: what the networks that the scores are from say of a sample,
            for labels that start there (:class:`LabelPlan`); None where there are none.
    """

    values: Tensor
    estimator: str
    standard_error: Tensor | None = None
    companions: Mapping[str, Tensor] = field(default_factory=dict)
    logits: Tensor | None = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that a selector may go by: values, standard error, companions; not the logits."""
        error = () if self.standard_error is None else (self.standard_error,)
        return (self.values, *error, *(self.companions[name] for name in sorted(self.companions)))

    @property
    def fingerprint(self) -> str:
        """SHA-256 (32 hex digits) of :attr:`tensors` and what they are."""
        which = (self.standard_error is not None, *sorted(self.companions))
        return content_digest(*self.tensors, extra=which)


@dataclass(frozen=True, eq=False)
class Selection:
    """The samples chosen, grouped by class, hardest first where scores were used.

    Attributes:
        indices: int64 [M] positions in the training data.
        labels: int64 [M] of these samples, ascending.
        counts: samples of each class, summing to M.
    """

    indices: Tensor
    labels: Tensor
    counts: tuple[int, ...]

    @staticmethod
    def of_classes(chosen: list[Tensor]) -> Selection:
        """The selection of ``chosen[c]`` (int64 [n_c], in order) for each class c."""
        labels = [torch.full((len(part),), c) for c, part in enumerate(chosen)]
        return Selection(torch.cat(chosen), torch.cat(labels), tuple(len(p) for p in chosen))


@dataclass(frozen=True, eq=False)
class Arm:
    """One thing to evaluate: a condensed set, or a baseline of its size.

    Attributes:
        name: for tables.
        draw: the training set of a repeat (the same one each time for a condensed set, a fresh
            subset for random).
        size: samples of the condensed set. Epochs are counted in it for every arm, so that all
            get the same number of optimiser steps.
        training: the whole training split, for evaluators that need it
            (``NeedsTraining``); None for the others, whose results are not stored under it.
    """

    name: str
    draw: Callable[[int], TrainingSet]
    size: int
    training: TrainingSet | None = None


@dataclass(frozen=True, eq=False)
class Dynamics:
    """One pass of training, seen sample by sample; networks K, epochs E, samples N.

    Attributes:
        margin: float32 [K, E, N], correct-class logit minus the largest other logit, as
            recorded in train mode just before the sample's own update in that epoch.
        probability: float32 [K, E, N], softmax probability of the true class, likewise.
        error_norm: float32 [K, E, N], ‖softmax − onehot‖₂, likewise.
        loss: float32 [K, E, N], −log of that probability, likewise.
        entropy: float32 [K, E, N], −Σ p log p of the softmax p, likewise.
        change: float32 [K, E − 1, N], Σ |p log(p / q)| of the softmax p in an epoch, from the
            second on, and q in the one before.
        correct: bool [K, E, N], margin > 0.
        logits: float32 [N, C], mean over the networks of what they gave a sample in their last
            epochs, under the augmentation of training, before its own update (an average in which
            each epoch weighs 1.25 times as much as the one before).
        eval_error_norm: float32 [K, N], ‖softmax − onehot‖₂ in eval mode after
            ``eval_epoch`` epochs; NaN where somebody's own training was recorded without it.
        eval_gradient_norm: float32 [K, N], norm of the gradient of the sample's loss by weight and
            bias of the last layer, likewise; NaN where the network does not end in a linear layer.
        eval_epoch: number of epochs trained before that evaluation pass.
        eval_correct: bool [K, E, N], right in eval mode at the end of each epoch, or None where
            it was not asked for.
        full_gradient_norm: float32 [K, N], as ``eval_gradient_norm`` by all parameters, or None
            where it was not asked for.
    """

    margin: Tensor
    probability: Tensor
    error_norm: Tensor
    loss: Tensor
    entropy: Tensor
    change: Tensor
    correct: Tensor
    logits: Tensor
    eval_error_norm: Tensor
    eval_gradient_norm: Tensor
    eval_epoch: int
    eval_correct: Tensor | None = None
    full_gradient_norm: Tensor | None = None

    @property
    def epochs(self) -> int:
        """E."""
        return self.margin.shape[1]


@dataclass(frozen=True, eq=False)
class MatchStep:
    """The outcome of one matching iteration.

    Attributes:
        loss: scalar tensor.
        grad_inputs: like ``SyntheticSet.inputs``, zero for samples that were not drawn.
        grad_labels: gradient of ``SyntheticSet.label_logits`` and like them, or None where labels
            are not learned.
        grad_step_size: scalar tensor, or None where it is not learned.
    """

    loss: Tensor
    grad_inputs: Tensor
    grad_labels: Tensor | None = None
    grad_step_size: Tensor | None = None


AUTO: Final = "auto"  # a rate that the engine finds by itself
Rate = float | Literal["auto"]


@dataclass(frozen=True)
class MatchPlan:
    """What the engine's matching loop does with a matcher's gradients.

    Attributes:
        iterations: number of matching iterations; 0 means nothing is distilled.
        image_lr: learning rate of the distilled samples (SGD); ``auto``: the engine moves them by
            shares of their own spread (:mod:`condense.engine.matching.own_rates`).
        image_momentum: their momentum.
        image_reach: where the engine has their rate, how far one may get from its start, in
            spreads (root mean square over its values).
        step_size: initial synthetic step size. It may be known only once the matcher is prepared,
            and NaN before.
        step_size_lr: its learning rate; ``auto``: the engine changes it by shares of itself.
        step_size_momentum: its momentum.
        snapshots: iterations after which the set is saved beside the result.
        image_ema: share of the running average of the distilled samples that an iteration keeps,
            in [0, 1). The result and its snapshots are then the average, which starts at the
            initial samples; gradients are still taken at the samples themselves. 0 means no
            average: the result is the samples as they are. Learned labels are never averaged.
        trajectories: steps that an iteration takes the mean of, each drawn from a stream of its
            own. They must need nothing of each other, as several processes may share them.
    """

    iterations: int
    image_lr: Rate = 0.0
    image_momentum: float = 0.0
    step_size: float = float("nan")
    step_size_lr: Rate = 0.0
    step_size_momentum: float = 0.0
    snapshots: tuple[int, ...] = ()
    image_ema: float = 0.0
    image_reach: float = 0.5
    trajectories: int = 1


Start = Literal["teachers", "scores", "classes", "matched"]  # of soft labels


@dataclass(frozen=True)
class LabelPlan:
    """What an update policy wants done with soft labels, learned (DATM, arXiv 2310.05773) or not.

    A sample's label is then the softmax of a row of logits.

    Attributes:
        lr: learning rate of the logits (SGD); 0 keeps them as they start.
        momentum: their momentum.
        start: where logits start: at what the matcher's teachers say of the source samples, at
            what the networks of the scores say (``Scores.logits``), or at the samples' classes.
            "matched": nothing is learned; matching has the classes for labels, and the set in the
            end what the teachers say of the samples as they have become (``LabelsSamples``).
        temperature: that the logits of teachers or scores are divided by at the start.
        confidence: probability of the sample's own class at the start where nobody is asked; the
            other classes have equal parts of the rest.
        share: of a label that is given in the end, what teachers say; the rest is its class.
        all_samples: whether samples that are not distilled, whose inputs stay as they are, have
            such labels too.
    """

    lr: float
    momentum: float = 0.0
    start: Start = "teachers"
    temperature: float = 1.0
    confidence: float = 0.9
    share: float = 1.0
    all_samples: bool = True


@dataclass(frozen=True)
class Trace:
    """Loss and step size after every matching iteration, and the samples' rate in it.

    Attributes:
        image_lr: empty where the rate was given.
    """

    loss: tuple[float, ...] = ()
    step_size: tuple[float, ...] = ()
    image_lr: tuple[float, ...] = ()


UNEVEN = 1.5  # times the smallest class


@dataclass(frozen=True)
class Evaluation:
    """Test accuracy of networks trained on one arm, or another share where the evaluator says so.

    Attributes:
        values: accuracy in 0–1 of each repeat, last epoch.
        protocol: how it was measured (network, steps, …), JSON-ready. The engine adds the name of
            the ``augmentation``, unless the evaluator has said it.
        seconds: spent training and testing.
        per_class: mean accuracy over the repeats for each class, or empty.
        right: float32 [N_test], share of the repeats in which each test sample was right; None
            where the evaluator does not say.
        diverged: how many of the repeats gave logits that are not finite; their share of right
            answers is that of one class.
        class_sizes: test samples of each class, which the engine adds; empty where it did not.
        each: ``per_class`` of every repeat; empty where the repeats were not made singly.
    """

    values: tuple[float, ...]
    protocol: dict[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    per_class: tuple[float, ...] = ()
    right: Tensor | None = field(default=None, compare=False, repr=False)
    diverged: int = 0
    class_sizes: tuple[int, ...] = field(default=(), compare=False)
    each: tuple[tuple[float, ...], ...] = field(default=(), compare=False, repr=False)

    @staticmethod
    def of_repeats(parts: Sequence[Evaluation]) -> Evaluation:
        """The evaluation whose repeats are ``parts``, in order, all by one protocol."""
        rates = torch.tensor([part.per_class for part in parts], dtype=torch.float64)
        right = [part.right for part in parts if part.right is not None]
        return Evaluation(
            tuple(value for part in parts for value in part.values),
            parts[0].protocol,
            sum(part.seconds for part in parts),
            tuple(rates.mean(0).tolist()),
            torch.stack(right).sum(0) / len(parts) if len(right) == len(parts) else None,
            sum(part.diverged for part in parts),
            each=tuple(part.per_class for part in parts),
        )

    @property
    def _tested(self) -> list[float]:
        """``per_class`` of the classes that the test split has, as far as that is known."""
        sizes = self.class_sizes or (1,) * len(self.per_class)
        return [rate for rate, size in zip(self.per_class, sizes, strict=False) if size]

    @property
    def balanced(self) -> float | None:
        """Balanced accuracy, in which every class counts the same; None where it is not known."""
        return sum(self._tested) / len(self._tested) if self._tested else None

    @property
    def worst_class(self) -> float | None:
        """The lowest accuracy of a class; None where it is not known."""
        return min(self._tested, default=None)

    @property
    def is_uneven(self) -> bool:
        """Whether a class has well more test samples than another, so that the mean hides it."""
        sizes = [size for size in self.class_sizes if size]
        return bool(sizes) and max(sizes) > UNEVEN * min(sizes)

    @property
    def teacher(self) -> float | None:
        """Accuracy in 0–1 of the network that others were trained towards, where there is one."""
        said = self.protocol.get("teacher")
        found = said.get("accuracy") if isinstance(said, Mapping) else None
        return found if isinstance(found, float) and 0 <= found <= 1 else None

    @property
    def n(self) -> int:
        """Number of repeats."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Over the repeats."""
        return sum(self.values) / self.n

    @property
    def std(self) -> float:
        """Sample standard deviation (ddof 1); 0 for a single repeat."""
        if self.n < 2:
            return 0.0
        return float((sum((v - self.mean) ** 2 for v in self.values) / (self.n - 1)) ** 0.5)

    def summary(self) -> dict[str, object]:
        """``mean, std, n, values`` for JSON."""
        return {"mean": self.mean, "std": self.std, "n": self.n, "values": list(self.values)}


@dataclass(frozen=True)
class Cost:
    """An estimate for ``--dry-run``: seconds, peak memory and disk in bytes.

    Memory is what comes on top of that which the estimate itself took. ``shared`` are parts of it
    whose results stay in the store, where other stages find them (:meth:`shared_as`).
    """

    seconds: float = 0.0
    memory: int = 0
    disk: int = 0
    shared: tuple[tuple[Cost, Entries], ...] = ()

    def times(self, count: float) -> Cost:
        """The same ``count`` times, one after another; what is shared is done once."""
        own = self.own
        found = Cost(count * own.seconds, own.memory, int(count * own.disk))
        for cost, entries in self.shared:
            found = found.then(cost.shared_as(entries))
        return found

    def then(self, other: Cost) -> Cost:
        """This, and ``other`` after it."""
        memory, disk = max(self.memory, other.memory), self.disk + other.disk
        return Cost(self.seconds + other.seconds, memory, disk, self.shared + other.shared)

    def shared_as(self, entries: Entries) -> Cost:
        """The same, all of it for ``entries`` of the store, equal shares of it for each.

        A plan counts an entry once, however many stages have it, and not at all where it is stored.

        Args:
            entries: folder and key of each, given the generator that the component works with.
        """
        return replace(self, shared=((replace(self, shared=()), entries),))

    def less(self, part: Cost, share: float = 1.0) -> Cost:
        """Without that ``share`` of ``part``."""
        disk = self.disk - int(share * part.disk)
        return replace(self, seconds=self.seconds - share * part.seconds, disk=disk)

    @property
    def own(self) -> Cost:
        """Without what is shared."""
        return reduce(Cost.less, (cost for cost, _ in self.shared), replace(self, shared=()))


Severity = Literal["problem", "look", "ok"]


@dataclass(frozen=True)
class Finding:
    """What a check of a run found, in plain words.

    Attributes:
        code: stable name of this outcome of the check, by which components give advice
            (:attr:`condense.traits.Traits.advice`).
        check: short name of what was looked at.
        severity: ``problem``, ``look`` (worth a look) or ``ok``.
        seen: what was seen, with its figure.
        means: what that means.
        advice: what to try, in option keys; empty where all is well or nobody knows.
    """

    code: str
    check: str
    severity: Severity
    seen: str
    means: str
    advice: str = ""

    @property
    def message(self) -> str:
        """What was seen and what it means."""
        return f"{self.seen}; {self.means}"

    def summary(self) -> dict[str, str]:
        """``code, message, advice`` for JSON."""
        return {"code": self.code, "message": self.message, "advice": self.advice}

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def with_advice(message: str, advice: str) -> str:
    """A finding's ``message`` in one line with its ``advice``, where it has one."""
    return f"{message}; try: {advice}" if advice else message
