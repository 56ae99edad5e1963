"""A matcher after ``prepare``, with a set to take its steps at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from condense.data import LabeledData, SyntheticSet
from condense.engine.training.batches import initial_set
from condense.testing.subject import Subject
from condense.testing.toys import generator, toy_data, toy_selection


@dataclass(frozen=True)
class Prepared:
    """A matcher after ``prepare``, with a set that its step size suits."""

    matcher: Any
    synthetic: SyntheticSet


def start_set(subject: Subject, data: LabeledData) -> SyntheticSet:
    """Five samples a class, every other one distilled."""
    chosen = toy_selection((5, 5, 5))
    mask = torch.arange(len(chosen.indices)) % 2 == 0
    return initial_set(data, chosen, mask, usual_step_size(subject.create()))


def whole_set(matcher: Any, data: LabeledData) -> SyntheticSet:
    """All samples of ``data``, each of them distilled."""
    chosen = toy_selection(tuple(torch.bincount(data.labels).tolist()))
    mask = torch.ones(len(data), dtype=torch.bool)
    return initial_set(data, chosen, mask, usual_step_size(matcher))


def usual_step_size(matcher: Any) -> float:
    """The plan's, or some number where it has none."""
    size = float(matcher.plan.step_size)
    return size if math.isfinite(size) else 0.01


def in_float64(synthetic: SyntheticSet) -> SyntheticSet:
    """The same set, its samples and step size in float64."""
    return replace(
        synthetic, inputs=synthetic.inputs.double(), step_size=synthetic.step_size.double()
    )


def prepare(
    subject: Subject, context: Any = None, options: Mapping[str, Any] | None = None
) -> Prepared:
    """Prepared on the toy data, from an empty cache unless a context is given."""
    data = toy_data().without_test()
    matcher = subject.create(**(options or {}))
    matcher.prepare(data, context or subject.context(), generator(1))
    return Prepared(matcher, start_set(subject, data))
