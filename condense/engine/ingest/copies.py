"""Samples that are exact copies of others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from condense.data import LabeledData
from condense.engine.ingest.arrays import Array


@dataclass(frozen=True)
class Copies:
    """How many samples occur more than once.

    Attributes:
        samples, test_samples: of the splits; 0 where there is no test split.
        copies: training samples that are equal to an earlier one.
        mislabeled: of those, how many have another label than that one.
        tested: test samples that are equal to a training sample.
        example: two equal training samples, by name or position, under two labels if any are;
            empty where there are none.
    """

    samples: int
    copies: int
    mislabeled: int
    example: tuple[str, str] | tuple[()] = ()
    test_samples: int = 0
    tested: int = 0


def copies_in(data: LabeledData) -> Copies:
    """The copies in ``data``: samples whose inputs are equal to the byte."""
    count, test = len(data), data.test
    first = _first(data.inputs, *([] if test is None else [test.inputs]))
    first, of_test = first[:count], first[count:]
    (places,) = np.nonzero(first != np.arange(count))
    labels = data.labels.numpy()
    wrong = labels[places] != labels[first[places]]
    example: tuple[str, str] | tuple[()] = ()
    if len(places):
        place = places[np.argmax(wrong)]  # the first of them; of all, where none is
        example = name_of(data, int(first[place])), name_of(data, int(place))
    tested = int((of_test < count).sum())
    return Copies(count, len(places), int(wrong.sum()), example, len(of_test), tested)


def distinct(*parts: Tensor) -> list[int]:
    """Places of those samples, in one of ``parts`` [N, …] after the other, that are no copy of an
    earlier one."""
    found: list[int] = np.unique(_first(*parts)).tolist()
    return found


def _first(*parts: Tensor) -> Array:
    """For each sample of ``parts`` [N, …], one after the other, the place of the first that is
    equal to it, int64 [ΣN]."""
    digests = np.concatenate([*map(_digests, parts)])
    _, index, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return index[inverse]


def _digests(inputs: Tensor) -> Array:
    """uint64 [N]: of ten million samples, two that differ have the same with odds of 3 to a
    million."""
    rows = inputs.flatten(1).contiguous().numpy()
    found = (hashlib.blake2b(row.data, digest_size=8).digest() for row in rows)
    return np.fromiter(found, "S8", len(rows)).view(np.uint64)


def name_of(data: LabeledData, place: int) -> str:
    """What a sample is called: by its name, else its place; from ``len(data)`` on, those of the
    test split."""
    if place >= len(data) and data.test is not None:
        name = name_of(data.test, place - len(data))
        return name if data.test.items is not None else f"{name} of the test split"
    return str(place) if data.items is None else data.items[place]
