"""A component under test with its options and surroundings, and how a check says what broke."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, TypeVar

from pydantic import ValidationError
from torch import Tensor

from condense.engine.training.dynamics import DynamicsOptions
from condense.errors import BrokenPlugin, OptionError, closest, describe
from condense.options import Options
from condense.plugin.host import Host, build_host
from condense.testing.observation import Observation, Work, observe
from condense.testing.toys import Given, WatchedContext, modes
from condense.traits import ScorerTraits, traits_of

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


Check = Callable[["Subject"], None]
C = TypeVar("C", bound=Check)


def label_of(component: Any) -> str:
    """The component's name, or its class's where it has none."""
    return str(getattr(component, "name", getattr(component, "__name__", component)))


class CheckFailed(AssertionError):
    """What broke, with which input, and what was expected, in one line."""


def excused_by(tag: str) -> Callable[[C], C]:
    """Mark a check that components with ``tag`` need not pass."""
    assert tag in TAGS

    def mark(check: C) -> C:
        check.excused_by = tag  # type: ignore[attr-defined]
        return check

    return mark


@dataclass(frozen=True)
class Setup:
    """What the kit needs to know of a component to run it, and its kind has no word for.

    Attributes:
        options: values under which it runs on toy data in a second or so; None for its defaults.
        exact_options: of a matcher, values under which a student that is trained on the training
            data themselves ends at the target, so that loss and gradient are 0.
        tags: of :data:`TAGS`, what it does not claim.

    Raises:
        OptionError: for a tag that there is not.
    """

    options: Options | Mapping[str, Any] | None = None
    exact_options: Mapping[str, Any] | None = None
    tags: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for tag in self.tags:
            if tag not in TAGS:
                raise OptionError(
                    f"unknown tag '{tag}'{closest(tag, TAGS)} (tags: {', '.join(TAGS)})"
                )


@dataclass(eq=False)
class Subject:
    """A component with its options and surroundings; what every check takes.

    Attributes:
        kind: as on the command line.
        cls: the component's class (for a method, the record).
        options: what it is made with.
        setup: how the kit is to run it.
        host: where nested components (networks, augmentations) are looked up.
        work: makes a fresh :class:`Work` from (subject, seed); set by the kind.
    """

    kind: str
    cls: Any
    options: Any
    setup: Setup
    host: Host
    work: Callable[[Subject, int], Work]
    _memory: dict[str, Any] = field(default_factory=dict, repr=False)
    _given: Given | None = field(default=None, repr=False)  # networks, while it is observed

    @property
    def name(self) -> str:
        """The component's name, or its class's where it has none."""
        return label_of(self.cls)

    @property
    def tags(self) -> frozenset[str]:
        """Properties it does not claim."""
        easy = self.kind == "scorer" and not traits_of(self.cls, ScorerTraits).difficulty
        return self.setup.tags | ({"no-hardness"} if easy else set())

    def create(self, **changes: Any) -> Any:
        """A fresh instance, with options ``changes``."""
        if not changes:
            return self.cls(self.options)
        values = {**self.options.model_dump(), **changes}
        return self.cls(type(self.options).model_validate(values))

    def takes(self, **changes: Any) -> bool:
        """Whether its Options allow ``changes`` beside the other values, as a validator may not."""
        try:
            type(self.options).model_validate({**self.options.model_dump(), **changes})
        except ValidationError:
            return False
        return True

    def context(self) -> WatchedContext:
        """A fresh context with an empty cache."""
        return WatchedContext(self.host, self._given)

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

    @contextlib.contextmanager
    def held_to_the_engine(self, case: str = "") -> Iterator[None]:
        """What the engine's own check refuses inside has failed, with the ``case`` it was in."""
        try:
            yield
        except BrokenPlugin as error:
            raise CheckFailed(f"{error}{case and f' ({case})'}") from None

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
    setup: Setup | None = None,
    host: Host | None = None,
) -> Subject:
    """The subject of ``thing``: a component class, or an instance whose ``options`` are used.

    Args:
        kind: as on the command line.
        thing: what to check.
        work: of the kind.
        setup: how to run it; what it leaves open is as :func:`declared`. Options that neither has
            are those of the instance, else the defaults (for a class derived from
            ``DynamicsOptions`` :data:`TOY_DYNAMICS`).
        host: for nested components; by default the built-in ones.

    Raises:
        CheckFailed: if the options cannot be made.
    """
    host, setup = host or _built_ins(), setup or Setup()
    if kind == "method":
        return Subject(kind, thing, None, setup, host, work)
    cls: Any = thing if isinstance(thing, type) else type(thing)
    found = declared(kind, cls)
    setup = Setup(
        setup.options if setup.options is not None else found.options,
        setup.exact_options if setup.exact_options is not None else found.exact_options,
        setup.tags | found.tags,
    )
    own = None if thing is cls else vars(thing).get("options")
    options = own if own is not None else setup.options
    try:
        if options is None:
            options = TOY_DYNAMICS if issubclass(cls.Options, DynamicsOptions) else {}
        if isinstance(options, Mapping):
            options = cls.Options(**options)
    except AttributeError:
        raise CheckFailed(f"{kind} {cls.__name__} has no nested class Options") from None
    except ValidationError as error:
        raise CheckFailed(
            f"{kind} {cls.__name__} cannot be made with options {options}: give values "
            f"for the kit's toy data ({error.errors()[0]['loc']}: {error.errors()[0]['msg']})"
        ) from None
    return Subject(kind, cls, options, setup, host, work)


def declared(kind: str, cls: type[Any]) -> Setup:
    """What the class's package says of it in ``CONFORMANCE``, a table by ``kind:name``.

    It stands in the module ``conformance`` of the package, or in the class's own module. A value
    is a table with the fields of :class:`Setup`.

    Raises:
        CheckFailed: for a field that there is not.
    """
    place = f"{cls.__module__.partition('.')[0]}.conformance"
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not place.startswith(error.name):
            raise  # it is there, and imports something that is not
        module = sys.modules.get(cls.__module__, sys)
    table = dict(vars(module).get("CONFORMANCE", {}).get(f"{kind}:{label_of(cls)}", {}))
    table["tags"] = frozenset(table.get("tags", ()))
    try:
        return Setup(**table)
    except TypeError as error:
        raise CheckFailed(f"CONFORMANCE of {kind} {label_of(cls)} is no Setup: {error}") from None
