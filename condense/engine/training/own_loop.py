"""Recordings of somebody's own training, in place of the dynamics pass: written, checked, read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from condense.data import LabeledData
from condense.engine.runtime.expected import Expected, check_tensors
from condense.engine.runtime.files import not_written, write_atomic
from condense.engine.training.gradient_norms import full_gradient_norms, predict_with_inputs
from condense.engine.training.statistics import (
    LARGEST_ERROR,
    SampleStatistics,
    evaluated_figures,
    expected_figures,
    sample_figures,
)
from condense.errors import DataError, DivergedError, OptionError
from condense.reading import in_one_line, read_regular, shown

FORMAT = 2  # of a file; another number is another format
ENDING = ".safetensors"
_AGAIN = "record the training again with `condense.Recorder`"
_EVAL = "eval_correct"  # uint8 [V, N] in a file: V evaluations
_SIZES = {  # from which it follows what else a file holds
    "format": Expected(torch.int64, ()),
    "classes": Expected(torch.int64, ()),
    "labels": Expected(torch.int64, (None,)),
    "margin": Expected(torch.float16, (None, None)),
    "evaluated": Expected(torch.int64, (None,), low=1),
}


class Recorder:
    """Records a training of your own, for the scorers that read training dynamics.

    ``save`` writes what ``scorer.dynamics=FILE`` reads. An epoch ends by itself once as many
    samples were logged as there are; each must have been among them once. A part of an epoch at
    the end counts for nothing, nor does an epoch that was refused. Logits may be on a GPU: they
    are reduced there, and one small result a sample and epoch stays, until it is saved.

    Args:
        n: training samples, in the order that condense is given them in.
        classes: how many there are.
    """

    def __init__(self, n: int, classes: int) -> None:
        for name, value, least in (("n", n, 1), ("classes", classes, 2)):
            if type(value) is not int or value < least:
                raise OptionError(
                    f"{name} must be a whole number of at least {least}, got {shown(value)}"
                )
        self.samples = n
        self.classes = classes
        self.epochs = 0
        self._statistics: SampleStatistics | None = None  # where the first logits are
        self._logged = 0  # samples, of the epoch under way
        self._evaluated: dict[int, dict[str, Tensor]] = {}  # by the epochs trained before

    def log(self, indices: Any, logits: Tensor, labels: Any) -> None:
        """One batch, as the network gave it in training.

        Args:
            indices: int [B], which samples of the training data these are, from 0.
            logits: float [B, classes], before the step they lead to: a tensor on any device, or an
                array.
            labels: int [B], the class of each, as in the data.

        Raises:
            DataError: for other shapes; at the end of an epoch in which a sample was missing, or
                had another label than before, or an index or label lies out of range.
            DivergedError: at the end of an epoch in which logits were not finite.
        """
        logits = _tensor(logits, "logits")
        if not logits.is_floating_point():
            raise DataError(f"logits must be floating-point numbers, got {logits.dtype}")
        self._begin(logits)
        places, given = (self._whole(v, n) for v, n in ((indices, "indices"), (labels, "labels")))
        if logits.shape != (len(places), self.classes) or len(given) != len(places):
            raise DataError(
                f"a batch of {len(places)} indices needs logits [{len(places)}, {self.classes}] "
                f"and as many labels, got logits {list(logits.shape)} and {len(given)} labels"
            )
        while len(places):  # a batch may end one epoch and begin the next
            room = self.samples - self._logged
            self._put(places[:room], logits[:room], given[:room])
            places, logits, given = places[room:], logits[room:], given[room:]

    def evaluate(
        self, network: nn.Module, batches: Iterable[Sequence[Any]], *, full_gradient: bool = False
    ) -> None:
        """Look at all samples in evaluation mode, between two epochs.

        ``el2n`` and ``grand`` read one such look early in training, ``forgetting:epoch`` needs one
        after every epoch.

        Args:
            network: in training; its mode is restored.
            batches: tuples of indices [B] and inputs [B, …] as the network sees them, without
                augmentation; what follows them in a tuple is passed over. All samples, once.
            full_gradient: whether the gradients of all parameters are taken as well, which
                ``grand:full`` reads, from the last look with them up to its ``eval_epoch``, and
                which costs some epochs of training; ``batches`` are then gone through twice, so
                they must not be a generator.

        Raises:
            DataError: before the first epoch or within one, if a sample is missing, or for a
                generator where they are gone through twice.
        """
        if not self.epochs or self._logged:
            raise DataError(
                f"evaluate() is for the end of an epoch, {self._logged} of {self.samples} samples "
                f"of epoch {self.epochs + 1} are logged; call it when a whole one is done"
            )
        if full_gradient and iter(batches) is batches:
            raise DataError(
                "evaluate(full_gradient=True) goes through its batches twice, which a generator "
                "gives once; give a list or a DataLoader, no generator"
            )
        device, order = self._device, list[Tensor]()

        def seen(batch: Sequence[Any]) -> tuple[Tensor, Tensor]:
            return self._whole(batch[0], "indices"), torch.as_tensor(batch[1]).to(device)

        def inputs() -> Iterable[Tensor]:
            for places, batch in map(seen, batches):
                order.append(places)
                yield batch

        logits, lengths = predict_with_inputs(network, inputs(), device)
        every = torch.cat(order)
        if not torch.equal(every.sort().values, torch.arange(self.samples, device=device)):
            raise DataError(
                f"evaluate() needs each of the {self.samples} samples once, got {len(every)} "
                f"indices of {len(torch.unique(every))} samples"
            )
        labels = self._labels[every]
        found = evaluated_figures(logits, lengths, labels)
        found[_EVAL] = (sample_figures(logits, labels)[0] > 0).to(torch.uint8)
        back = every.argsort()
        known = {name: values[back] for name, values in found.items()}
        if full_gradient:
            known["full_gradient_norm"] = self._full_gradient_norms(network, map(seen, batches))
        self._evaluated[self.epochs] = known

    def _full_gradient_norms(
        self, network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]
    ) -> Tensor:
        """float32 [N] in the order of the samples; a loader that shuffles gives them in another
        order each time it is gone through."""
        order: list[Tensor] = []

        def pairs() -> Iterable[tuple[Tensor, Tensor]]:
            for places, batch in batches:
                order.append(places)
                yield batch, self._labels[places]

        norms = full_gradient_norms(network, pairs(), self._device)
        return norms[torch.cat(order).argsort()]

    def save(self, path: str | Path) -> None:
        """Write what was recorded: ``dynamics.safetensors``, say. Its folder is made.

        Raises:
            DataError: if no whole epoch was.
            OutputError: if the file cannot be written.
        """
        if self._statistics is None or not self.epochs:
            raise DataError(
                f"nothing to save: {self._logged} of {self.samples} samples of the first epoch "
                "are logged; log each sample once an epoch"
            )
        tensors = self._statistics.tensors() | {
            "format": torch.tensor(FORMAT),
            "classes": torch.tensor(self.classes),
            "labels": self._labels.cpu(),
            "evaluated": torch.tensor(list(self._evaluated), dtype=torch.int64),
        }
        looks = list(self._evaluated.values())
        # gradients by all parameters, where another look has them
        untaken = torch.full((self.samples,), torch.nan, device=self._device)
        for name in dict.fromkeys(name for look in looks for name in look):
            tensors[name] = torch.stack([look.get(name, untaken) for look in looks]).cpu()
        try:
            Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
            write_atomic(Path(path), safetensors.torch.save(tensors))
        except OSError as error:
            raise not_written(Path(path), error) from None

    def _begin(self, logits: Tensor) -> None:
        if self._statistics is None:
            self._device = logits.device
            self._statistics = SampleStatistics(self.samples, self.classes, self._device)
            self._labels = torch.full((self.samples,), -1, device=self._device)  # of whole epochs
            self._forget()

    def _forget(self) -> None:
        """What is known of an epoch, at its start; on the device, so that nothing waits for it."""
        self._logged = 0
        self._given = torch.full_like(self._labels, -1)
        self._seen = torch.zeros(self.samples, dtype=torch.int32, device=self._device)
        # indices out of range, labels out of range, labels unlike those of before
        self._wrong = torch.zeros(3, dtype=torch.int64, device=self._device)

    def _whole(self, values: Any, name: str) -> Tensor:
        """int64 [B] on the device."""
        found = _tensor(values, name).to(self._device)
        if found.dim() != 1 or found.is_floating_point() or found.dtype == torch.bool:
            raise DataError(
                f"{name} must be whole numbers [B], got {found.dtype} of shape {list(found.shape)}"
            )
        return found.long()

    def _put(self, places: Tensor, logits: Tensor, labels: Tensor) -> None:
        assert self._statistics is not None
        inside = places.clamp(0, self.samples - 1)
        before = self._labels[inside]
        self._wrong += torch.stack(
            [
                (places != inside).sum(),
                (labels != labels.clamp(0, self.classes - 1)).sum(),
                ((before >= 0) & (before != labels)).sum(),
            ]
        )
        self._seen.index_add_(0, inside, torch.ones_like(inside, dtype=torch.int32))
        self._given[inside] = labels
        self._statistics.log(inside, logits.to(self._device))
        self._logged += len(places)
        if self._logged == self.samples:
            self._end_epoch()

    def _end_epoch(self) -> None:
        assert self._statistics is not None
        try:
            self._check_epoch(self._statistics)
            self._labels = self._given
            self._statistics.end_epoch(self._labels)
            self.epochs += 1
        finally:  # of an epoch that is refused nothing stays
            self._forget()

    def _check_epoch(self, statistics: SampleStatistics) -> None:
        missing = self._seen == 0
        finite = statistics.logits.isfinite().all()
        outside, unknown, unlike = self._wrong.tolist()
        epoch, n = f"epoch {self.epochs + 1}", self.samples
        if outside:
            raise DataError(
                f"{epoch}: {outside} of {n} indices lie outside of 0 to {n - 1}; log the place of "
                "each sample in the training data"
            )
        if bool(missing.any()):
            raise DataError(
                f"{epoch}: {n} samples were logged, but {int(missing.sum())} of {n} not at all "
                f"(the first is {int(missing.nonzero()[0])}), others more than once; log each "
                "sample once an epoch, with a loader that shuffles and drops no last batch"
            )
        if unknown:
            raise DataError(
                f"{epoch}: {unknown} labels lie outside of 0 to {self.classes - 1}; log the class "
                "of each sample"
            )
        if unlike:
            raise DataError(
                f"{epoch}: {unlike} samples have another label than before; log the label of the "
                "sample at each index, not a mixed or a shuffled one"
            )
        if not bool(finite):
            raise DivergedError(
                f"{epoch}: the network's logits are not finite; lower its learning rate"
            )


def _tensor(values: Any, name: str) -> Tensor:
    """``values`` of any library, without their gradients; a copy of what is no tensor."""
    if isinstance(values, Tensor):
        return values.detach()
    try:
        return torch.as_tensor(values if isinstance(values, Sequence) else np.array(values))
    except (TypeError, ValueError, RuntimeError):
        raise DataError(
            f"{name} must be a tensor or an array of numbers, got a {type(values).__name__}"
        ) from None


def recordings_at(path: Path) -> list[Path]:
    """The file ``path``, or those in the folder ``path``, one a network, by name.

    Raises:
        DataError: if there is none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(path.glob(f"*{ENDING}"))
    if not found:
        raise DataError(f"{path} holds no {ENDING} file; save one there with `condense.Recorder`")
    return found


def digest_of(path: Path) -> str:
    """SHA-256 of the recordings at ``path``.

    Raises:
        DataError: if they cannot be read.
    """
    return hashlib.sha256(
        b"".join(hashlib.sha256(_bytes(p)).digest() for p in recordings_at(path))
    ).hexdigest()


def read_recordings(path: Path, data: LabeledData) -> list[dict[str, Tensor]]:
    """What was recorded of each network, checked, on the CPU.

    Figures are those of :func:`~condense.engine.training.statistics.expected_figures`; of V looks
    in eval mode ``evaluated`` int64 [V], after how many epochs, and [V, N] each of
    ``eval_error_norm``, ``eval_gradient_norm``, ``eval_correct``; ``full_gradient_norm`` where it
    was taken at any, NaN at the others.

    Args:
        path: a file, or a folder of files.
        data: that they are to be of.

    Raises:
        DataError: naming the file and what is wrong with it.
    """
    files = recordings_at(path)
    found = [_read(file, data) for file in files]
    for file, one in zip(files, found, strict=True):
        if len(one["margin"]) != len(found[0]["margin"]):
            raise DataError(
                f"{file} has {len(one['margin'])} epochs, {files[0].name} {len(found[0]['margin'])}"
                "; train all networks for the same number"
            )
    return found


def _read(path: Path, data: LabeledData) -> dict[str, Tensor]:
    written = _bytes(path)
    try:
        tensors = safetensors.torch.load(written)
    except (SafetensorError, ValueError, RuntimeError, KeyError):
        raise DataError(f"{path} is no {ENDING} file, or is damaged; {_AGAIN}") from None
    form = tensors.get("format")
    if form is None or form.numel() != 1 or form.item() != FORMAT:
        raise DataError(f"{path} is no recording of this version of condense; {_AGAIN}")
    _check(path, {name: tensors[name] for name in _SIZES if name in tensors}, _SIZES)
    _check_fits(path, tensors, data)
    epochs, samples = len(tensors["margin"]), len(data)
    looks = (len(tensors["evaluated"]), samples)
    norm = Expected(torch.float32, looks, finite=False)
    at_looks = {
        "eval_error_norm": Expected(torch.float32, looks, low=0, high=LARGEST_ERROR),
        "eval_gradient_norm": norm,
        _EVAL: Expected(torch.uint8, looks, low=0, high=1),
    }
    _check(
        path,
        tensors,
        _SIZES
        | expected_figures(epochs, samples, len(data.classes))
        | {"evaluated": replace(_SIZES["evaluated"], high=epochs)}
        | (at_looks if looks[0] else {}),
        {"full_gradient_norm": norm},
    )
    return tensors


def _check(
    path: Path,
    tensors: dict[str, Tensor],
    needed: dict[str, Expected],
    optional: dict[str, Expected] | None = None,
) -> None:
    try:
        check_tensors(tensors, needed, optional)
    except ValueError as error:
        raise DataError(f"{path} is damaged: {in_one_line(error)}; {_AGAIN}") from None


def _check_fits(path: Path, tensors: dict[str, Tensor], data: LabeledData) -> None:
    """That samples, classes and labels are those of ``data``."""
    labels, classes = tensors["labels"], int(tensors["classes"])
    data.check_count(len(labels), f"{path} is a recording of {len(labels)} samples")
    if classes != len(data.classes):
        raise DataError(
            f"{path} is a recording of {classes} classes, {data.name} has "
            f"{len(data.classes)}; give `condense.Recorder` that number"
        )
    unlike = (labels != data.labels).nonzero()
    if len(unlike):
        first = int(unlike[0])
        raise DataError(
            f"{path} has other labels than {data.name}: {len(unlike)} of {len(data)} differ, the "
            f"first at sample {first} ({int(labels[first])} where the data say "
            f"{int(data.labels[first])}); record a training on these samples, in their order"
        )


def _bytes(path: Path) -> bytes:
    try:
        return read_regular(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"recording {path} cannot be read: {in_one_line(error)}; is the path right?"
        ) from None
