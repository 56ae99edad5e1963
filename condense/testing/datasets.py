"""What a data set promises: checked tensors, every class in use, the same bytes each time."""

from __future__ import annotations

import torch
from torch import Tensor

from condense.capabilities import KnowsModality
from condense.data import LabeledData
from condense.engine.checked import check_data
from condense.testing.observation import Work
from condense.testing.subject import Subject


def load(subject: Subject) -> LabeledData:
    """The data, loaded once per subject, of the form that the engine asks for."""
    data: LabeledData = subject.once("data", lambda: subject.create().load(subject.context()))
    with subject.held_to_the_engine():
        check_data(subject.create(), data)
    return data


def work(subject: Subject, seed: int) -> Work:
    """Loading; nothing is given, so nothing can be changed."""

    def call() -> dict[str, Tensor]:
        data = subject.create().load(subject.context())
        held = {} if data.test is None else {"test": data.test.inputs}
        return {"inputs": data.inputs, "labels": data.labels, **held}

    return Work({}, call)


def _splits(data: LabeledData) -> list[tuple[str, LabeledData]]:
    return [("train", data)] + ([("test", data.test)] if data.test is not None else [])


def check_inputs_are_images_or_features(subject: Subject) -> None:
    """uint8 [N, H, W, C] with C = 1 or 3, or float32 [N, D], finite; the splits alike."""
    data = load(subject)
    subject.require(
        data.geometry.is_image or isinstance(subject.create(), KnowsModality),
        "has features and no method `modality` that says so, so networks would be those for images",
    )
    for split, part in _splits(data):
        inputs = part.inputs
        subject.require(
            inputs.dim() != 4 or inputs.shape[-1] in (1, 3),
            f"has {split} images {tuple(inputs.shape)}, expected [N, H, W, C] with C = 1 or 3",
        )
        subject.require(
            bool(torch.isfinite(inputs.float()).all()), f"has {split} inputs that are not finite"
        )
        subject.require(
            inputs.shape[1:] == data.inputs.shape[1:],
            f"has test samples {tuple(inputs.shape[1:])} and train samples "
            f"{tuple(data.inputs.shape[1:])}, expected one shape",
        )


def check_labels_name_classes(subject: Subject) -> None:
    """int64 [N] from 0 to the number of classes − 1, every class in the training split."""
    data = load(subject)
    sizes = torch.bincount(data.labels, minlength=len(data.classes)).tolist()
    empty = [name for name, size in zip(data.classes, sizes, strict=True) if not size]
    subject.require(not empty, f"has no training sample of {', '.join(empty)}")
    subject.require(len(data.classes) >= 2, f"has {len(data.classes)} class, expected two or more")
    subject.require(
        len(set(data.classes)) == len(data.classes), f"has equal class names: {data.classes}"
    )


def check_normalization_fits(subject: Subject) -> None:
    """One mean and one positive standard deviation per channel or feature (or one for all)."""
    data = load(subject)
    width = data.inputs.shape[-1]
    for name, values in (("mean", data.normalization.mean), ("std", data.normalization.std)):
        subject.require(
            len(values) in (1, width),
            f"has a normalization with {len(values)} values of {name}, expected {width}",
        )
    subject.require(
        all(s > 0 for s in data.normalization.std),
        f"has standard deviations {data.normalization.std[:4]}, expected them above 0",
    )


def check_test_split_has_the_same_classes(subject: Subject) -> None:
    """The test split shares classes and normalization, and has no test split of its own."""
    data = load(subject)
    if data.test is None:
        return
    subject.require(
        data.test.classes == data.classes and data.test.normalization == data.normalization,
        "has other classes or another normalization in its test split",
    )
    subject.require(data.test.test is None, "has a test split that has a test split")


def check_test_split_is_not_the_training_split(subject: Subject) -> None:
    """At most one test sample in ten is a copy of a training sample."""
    data = load(subject)
    if data.test is None:
        return
    known = {row.numpy().tobytes() for row in data.inputs}
    copies = sum(row.numpy().tobytes() in known for row in data.test.inputs)
    subject.require(
        copies <= 0.1 * len(data.test),
        f"has {copies} of {len(data.test)} test samples in its training split as well",
    )
