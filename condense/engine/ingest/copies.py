"""Samples that are exact copies of others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from torch import Tensor

from condense.data import LabeledData


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
    first: dict[bytes, int] = {}
    pairs = [
        (before, place)
        for place, digest in enumerate(_digests(data.inputs))
        if (before := first.setdefault(digest, place)) != place
    ]
    labels = data.labels.tolist()
    mislabeled = [pair for pair in pairs if labels[pair[0]] != labels[pair[1]]]
    example: tuple[str, str] | tuple[()] = ()
    if pairs:
        before, place = (mislabeled or pairs)[0]
        example = name_of(data, before), name_of(data, place)
    test = data.test
    tested = 0 if test is None else sum(digest in first for digest in _digests(test.inputs))
    tests = 0 if test is None else len(test)
    return Copies(len(data), len(pairs), len(mislabeled), example, tests, tested)


def distinct(*parts: Tensor) -> list[int]:
    """Places of those samples, in one of ``parts`` [N, …] after the other, that are no copy of an
    earlier one."""
    first: dict[bytes, int] = {}
    for place, digest in enumerate(digest for part in parts for digest in _digests(part)):
        first.setdefault(digest, place)
    return list(first.values())


def _digests(inputs: Tensor) -> list[bytes]:
    rows = inputs.flatten(1).contiguous().numpy()
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def name_of(data: LabeledData, place: int) -> str:
    """What a sample is called: by its name, else its place; from ``len(data)`` on, those of the
    test split."""
    if place >= len(data) and data.test is not None:
        name = name_of(data.test, place - len(data))
        return name if data.test.items is not None else f"{name} of the test split"
    return str(place) if data.items is None else data.items[place]
