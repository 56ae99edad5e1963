"""A component under test, what it did when it was run once, and how a check says what broke."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from condense.data import content_digest
from condense.engine.training.dynamics import DynamicsOptions
from condense.options import Options
from condense.plugin.host import Host, build_host
from condense.randomness import GlobalRandomness
from condense.testing.toys import Given, WatchedContext, modes, toy_context

TAGS = {
    "no-hardness": "a scorer that makes no claim about difficulty (random ones)",
    "order-sensitive": "a scorer whose scores belong to positions, not to samples",
    "no-gradient": "a matcher that distils nothing",
    "float32": "a matcher that computes in float32 whatever it is given",
    "not-accuracy": "an evaluator whose figures are not shares of right answers",
}

# a training-dynamics pass over 60 images of 8×8 in a tenth of a second
TOY_DYNAMICS: dict[str, Any] = {
    "networks": 2,
    "epochs": 6,
    "batch_size": 10,
    "network": {"component": "convnet", "width": 8},
}


class CheckFailed(AssertionError):
    """What broke, with which input, and what was expected, in one line."""


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


@dataclass(eq=False)
class Subject:
    """A component with its options and surroundings; what every check takes.

    Attributes:
        kind: as on the command line.
        cls: the component's class (for a method, the record).
        options: what it is made with.
        host: where nested components (networks, augmentations) are looked up.
        work: makes a fresh :class:`Work` from (subject, seed); set by the kind.
    """

    kind: str
    cls: Any
    options: Any
    host: Host
    work: Callable[[Subject, int], Work]
    _memory: dict[str, Any] = field(default_factory=dict, repr=False)
    _given: Given | None = field(default=None, repr=False)  # networks, while it is observed

    @property
    def name(self) -> str:
        """The component's name, or its class's where it has none."""
        return str(getattr(self.cls, "name", getattr(self.cls, "__name__", self.cls)))

    @property
    def tags(self) -> frozenset[str]:
        """Properties it does not claim."""
        return frozenset(getattr(self.cls, "tags", ()))

    def create(self, **changes: Any) -> Any:
        """A fresh instance, with options ``changes``."""
        if not changes:
            return self.cls(self.options)
        values = {**self.options.model_dump(), **changes}
        return self.cls(type(self.options).model_validate(values))

    def context(self) -> WatchedContext:
        """A fresh context with an empty cache."""
        return toy_context(self.host, self._given)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """``make()``, called once per subject."""
        if name not in self._memory:
            self._memory[name] = make()
        return self._memory[name]

    @cached_property
    def seen(self) -> Observation:
        """What was noticed when it ran once, with seed 0."""
        given: Given = []
        self._given = given
        seen = observe(self.work(self, 0))
        self._given = None
        changed = [type(n).__name__ for n, before in given if modes(n) != before]
        return replace(seen, changed_modes=changed)

    def results(self) -> dict[str, Tensor]:
        """The results of that run.

        Raises:
            CheckFailed: if it raised.
        """
        if self.seen.error is not None:
            raise self.failed(f"raised {describe(self.seen.error)} on the kit's toy data")
        return self.seen.results

    def failed(self, message: str) -> CheckFailed:
        """The error that says so of this component."""
        return CheckFailed(f"{self.kind} '{self.name}' {message}")

    def require(self, condition: bool, message: str) -> None:
        """Fail with ``message`` unless ``condition``."""
        if not condition:
            raise self.failed(message)


@cache
def _built_ins() -> Host:
    return build_host(external=False)


def make_subject(
    kind: str,
    thing: Any,
    work: Callable[[Subject, int], Work],
    options: Options | Mapping[str, Any] | None = None,
    host: Host | None = None,
) -> Subject:
    """The subject of ``thing``: a component class, or an instance whose ``options`` are used.

    Args:
        kind: as on the command line.
        thing: what to check.
        work: of the kind.
        options: option values; by default those of the instance, else ``toy_options`` of the
            class, else its defaults (for one derived from ``DynamicsOptions``
            :data:`TOY_DYNAMICS`).
        host: for nested components; by default the built-in ones.

    Raises:
        CheckFailed: if the options cannot be made.
    """
    cls: Any = thing if isinstance(thing, type) else type(thing)
    if kind == "method":
        return Subject(kind, thing, None, host or _built_ins(), work)
    if options is None:
        options = getattr(thing, "options", None) if thing is not cls else None
    if options is None:
        options = getattr(cls, "toy_options", _toy_options(cls))
    if isinstance(options, Mapping):
        try:
            options = cls.Options(**options)
        except AttributeError:
            raise CheckFailed(f"{kind} {cls.__name__} has no nested class Options") from None
        except ValidationError as error:
            raise CheckFailed(
                f"{kind} {cls.__name__} cannot be made with options {dict(options)}: give values "
                f"for the kit's toy data ({error.errors()[0]['loc']}: {error.errors()[0]['msg']})"
            ) from None
    return Subject(kind, cls, options, host or _built_ins(), work)


def _toy_options(cls: Any) -> Mapping[str, Any]:
    model = getattr(cls, "Options", None)
    derived = isinstance(model, type) and issubclass(model, DynamicsOptions)
    return TOY_DYNAMICS if derived else {}


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


def describe(error: BaseException) -> str:
    """``ErrorType: message`` on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


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
