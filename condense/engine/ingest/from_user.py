"""Checks on what users bring: arrays and torch data sets become :class:`LabeledData`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from condense.data import LabeledData, Normalization
from condense.engine.ingest.arrays import (
    Array,
    ArrayLike,
    as_inputs,
    as_sample,
    encode,
    raw_labels,
    renumbered,
    vocabulary,
)
from condense.errors import DataError

AT_ONCE = 2**18  # values that are copied to be measured
_STD_FLOOR = 1e-3  # of the 0–1 range, so that a blank channel does not divide by zero


def channel_statistics(inputs: Tensor) -> Normalization:
    """Mean and standard deviation of each channel or feature.

    Args:
        inputs: uint8 [N, H, W, C] images or float [N, D] features.

    Returns:
        One value per channel in units of the 0–1 range (std at least 0.001), or one per feature
        in its own unit (std 1 for a feature that is constant).
    """
    if inputs.ndim == 2:
        return _feature_statistics(inputs)
    level = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in inputs.unbind(-1):
        counts = torch.zeros(256, dtype=torch.int64)
        for part in torch.split(channel, max(1, AT_ONCE // max(1, channel[:1].numel()))):
            counts += torch.bincount(part.flatten(), minlength=256)
        share = counts.double() / channel.numel()
        mean = float(share @ level)
        means.append(mean)
        stds.append(max(_STD_FLOOR, float(share @ (level - mean) ** 2) ** 0.5))
    return Normalization(tuple(means), tuple(stds))


def _feature_statistics(features: Tensor) -> Normalization:
    """In parts of :data:`AT_ONCE` values, as a float64 copy of all may not fit (the pairwise update
    of Chan, Golub and LeVeque, 1979)."""
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for part in torch.split(features, max(1, AT_ONCE // features.shape[1])):
        wide, share = part.double(), len(part) / (count + len(part))
        apart = wide.mean(0) - mean
        mean = mean + share * apart
        squares = squares + len(part) * wide.var(0, correction=0) + count * share * apart.square()
        count += len(part)
    std = (squares / count).sqrt()
    constant = std <= 1e-6 * mean.abs()  # float32 rounding noise, not signal
    return Normalization(tuple(mean.tolist()), tuple(torch.where(constant, 1.0, std).tolist()))


def labeled_data(
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    classes: Sequence[str] | None = None,
    flip: bool | None = None,
    name: str = "data",
    normalization: Normalization | None = None,
    items: tuple[Sequence[str] | None, Sequence[str] | None] = (None, None),
    texts: Sequence[str] | None = None,
    numbered: tuple[Sequence[str], Sequence[str]] | None = None,
) -> LabeledData:
    """Arrays as checked :class:`LabeledData`; memory is shared where no conversion is needed.

    Args:
        inputs: uint8 or float 0–1 [N, H, W, C], [N, H, W] or [N, C, H, W] images, or
            [N, D] features, any numbers.
        labels: [N] whole numbers from 0, or -1 and 1, or class names; gaps are closed.
        test: inputs and labels of the test split.
        classes: class names; number k then means ``classes[k]``.
        flip: whether a mirror image keeps its label; None = for colour images only.
        name: what to call the data.
        normalization: None = measured on ``inputs``; the test split gets the same.
        items: names of the samples, and of those of the test split, as of :class:`LabeledData`.
        texts: that go with the samples, likewise.
        numbered: class names by the numbers of the train split, and by those of the test split,
            which may be others: its labels are matched by name.

    Raises:
        DataError: naming the offending value, shape, type or length.
    """
    images = as_inputs(inputs, "train")
    raw = raw_labels(labels, "train", len(images))
    names, keys = vocabulary(raw, classes)
    encoded = encode(raw, keys, "train", named=classes is not None)
    _check_two_classes(encoded, names)
    scale = normalization or channel_statistics(images)
    mirror = images.ndim == 4 and images.shape[-1] == 3 if flip is None else flip
    own, tested, beside = (_encodable(given) for given in (*items, texts))
    train = LabeledData(*(images, encoded, names, scale, mirror, name), items=own, texts=beside)
    if test is None:
        return train
    held = as_inputs(test[0], "test")
    _check_shapes(held, images)
    raw = raw_labels(test[1], "test", len(held))
    if numbered is not None:
        raw = renumbered(raw, numbered[1], numbered[0], "test")
    found = encode(raw, keys, "test", named=classes is not None)
    return replace(train, test=replace(train, inputs=held, labels=found, items=tested, texts=None))


def _encodable(items: Sequence[str] | None) -> tuple[str, ...] | None:
    """``items`` as every file can hold them: of a name that is no UTF-8 the bytes are spelt out."""
    if items is None:
        return None
    return tuple(item.encode("utf-8", "backslashreplace").decode() for item in items)


def _check_two_classes(labels: Tensor, names: tuple[str, ...]) -> None:
    present = torch.unique(labels)
    if len(present) < 2:
        raise DataError(
            f"train labels hold only class '{names[int(present[0])]}', at least two classes are "
            "needed; check the labels or add the samples of another class"
        )


def _check_shapes(held: Tensor, images: Tensor) -> None:
    if held.shape[1:] != images.shape[1:]:
        raise DataError(
            f"test samples have shape {tuple(held.shape[1:])}, train samples "
            f"{tuple(images.shape[1:])}; give both splits the same shape"
        )


def from_torch_dataset(dataset: Any, *, test: Any = None, name: str = "data") -> LabeledData:
    """A map-style torch data set of (image, label) items, read once, as :class:`LabeledData`.

    Args:
        dataset: items hold a PIL image, a uint8 HWC array, a float 0–1 CHW tensor (as ToTensor
            gives) or a feature vector [D]; ``dataset.classes`` is used if it is there.
        test: the test split, likewise; where both have ``classes``, labels are matched by name.
        name: what to call the data.

    Raises:
        DataError: naming the item, or as :func:`labeled_data` does.
    """
    names, tested = _class_names(dataset), _class_names(test)
    return labeled_data(
        *_items(dataset, "train"),
        test=None if test is None else _items(test, "test"),
        classes=None if isinstance(dataset, torch.utils.data.Subset) else names,
        name=name,
        items=(_files(dataset), None if test is None else _files(test)),
        numbered=None if names is None or tested is None else (names, tested),
    )


def _class_names(dataset: Any) -> tuple[str, ...] | None:
    """What the numbers of the labels mean, as torchvision's data sets and subsets of them say."""
    if isinstance(dataset, torch.utils.data.Subset):
        return _class_names(dataset.dataset)
    names = getattr(dataset, "classes", None)
    return tuple(names) if isinstance(names, list | tuple) else None


def _files(dataset: Any) -> list[str] | None:
    """The paths of the files of torchvision's ImageFolder, or of a subset of it, below its root."""
    if isinstance(dataset, torch.utils.data.Subset):
        whole = _files(dataset.dataset)
        return None if whole is None else [whole[i] for i in dataset.indices]
    torchvision = sys.modules.get("torchvision.datasets")  # there, where one of its sets is
    if torchvision is None or not isinstance(dataset, torchvision.DatasetFolder):
        return None
    return [Path(os.path.relpath(path, dataset.root)).as_posix() for path, _ in dataset.samples]


def _items(dataset: Any, split: str) -> tuple[Array, list[Any]]:
    if isinstance(dataset, torch.utils.data.IterableDataset) or not hasattr(dataset, "__len__"):
        raise DataError(
            f"{split} set is a {type(dataset).__name__} without length and index; "
            "give a map-style torch data set, or arrays"
        )
    if not len(dataset):
        raise DataError(f"{split} set {type(dataset).__name__} has 0 items; give at least two")
    inputs, labels = np.empty(0), []
    for index in range(len(dataset)):
        where = f"item {index} of the {split} set"
        item = dataset[index]
        if isinstance(item, Mapping):  # as of Hugging Face
            keys = ", ".join(f"item[{key!r}]" for key in (*item, "label")[:2])
            raise DataError(
                f"{where} is a {type(item).__name__} with the keys {', '.join(map(str, item))}, "
                f"expected (image, label); give pairs: [({keys}) for item in data]"
            )
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(f"{where} is a {type(item).__name__}, expected (image, label)")
        sample = as_sample(item[0], where)
        if index == 0:
            inputs = np.empty((len(dataset), *sample.shape), sample.dtype)
        elif sample.shape != inputs.shape[1:] or sample.dtype != inputs.dtype:
            raise DataError(
                f"{where} is {sample.dtype} {sample.shape}, item 0 is {inputs.dtype} "
                f"{inputs.shape[1:]}; add a Resize or Grayscale transform to the data set"
            )
        inputs[index] = sample
        label = np.asarray(item[1])
        if label.size != 1:
            raise DataError(f"{where} has a label of shape {label.shape}, expected one number")
        labels.append(label.item())
    return inputs, labels
