"""What a component did when it was run once: everything that it could have disturbed."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from condense.data import content_digest
from condense.randomness import GlobalRandomness


@dataclass(frozen=True)
class Work:
    """One use of a component, repeatable: what it is given, and a call that returns its results.

    Attributes:
        given: tensors that it must leave as they are, by name.
        call: runs it; returns its results as tensors by name.
    """

    given: Mapping[str, Tensor]
    call: Callable[[], dict[str, Tensor]]


@dataclass(frozen=True)
class Observation:
    """Everything noticed while a component ran once."""

    results: dict[str, Tensor]
    error: BaseException | None
    changed_inputs: list[str]
    changed_randomness: list[str]
    changed_settings: list[str]
    printed: str
    changed_modes: list[str] = field(default_factory=list)


def observe(work: Work) -> Observation:
    """Run ``work`` once and look at everything it could have disturbed; randomness is put back."""
    before = {name: content_digest(t.detach()) for name, t in work.given.items()}
    settings, randomness = torch_settings(), GlobalRandomness()
    printed, results, error = io.StringIO(), {}, None
    with quiet(printed):
        try:
            results = work.call()
        except Exception as raised:  # noqa: BLE001 – of the component
            error = raised
    after = torch_settings()
    return Observation(
        results,
        error,
        [n for n, t in work.given.items() if content_digest(t.detach()) != before[n]],
        randomness.restore(),
        [f"{n} {v} → {after[n]}" for n, v in settings.items() if after[n] != v],
        printed.getvalue(),
    )


@contextlib.contextmanager
def quiet(sink: io.StringIO) -> Iterator[None]:
    """What is printed inside goes to ``sink``; warnings are dropped."""
    out, err = contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink)
    with out, err, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Global randomness inside is of a seed that nobody else uses; it and torch's settings are
    put back afterwards, whatever a component did to them."""
    settings, randomness = torch_settings(), GlobalRandomness()
    try:
        torch.manual_seed(_SEED)
        np.random.seed(_SEED)
        random.seed(_SEED)
        torch.set_num_threads(1)  # toy tensors: further threads only wait for each other
        yield
    finally:
        randomness.restore()
        for name, value in settings.items():
            _SETTINGS[name][1](value)


_SEED = 271828182


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "matmul precision": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
}


def torch_settings() -> dict[str, Any]:
    """Global settings of torch that a component must leave as they are."""
    return {name: get() for name, (get, _) in _SETTINGS.items()}


def first_difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> str | None:
    """Name and place of the first value that differs between two results; None if none does."""
    for name, tensor in one.items():
        twin = other.get(name)
        if twin is None or twin.shape != tensor.shape:
            return f"{name} has another shape"
        same = (twin == tensor) | ((twin != twin) & (tensor != tensor))  # NaN equals NaN here
        if not bool(same.all()):
            place = tuple(torch.nonzero(~same)[0].tolist()) if tensor.dim() else ()
            return f"{name}{list(place)} is {tensor[place].item()!r} and {twin[place].item()!r}"
    return None
