"""What every component promises, whatever its kind."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import random
import socket
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin
from unittest import mock

import numpy as np
import torch
from pydantic.fields import FieldInfo

from condense.capabilities import argument_name
from condense.errors import BrokenPlugin, OptionError, describe
from condense.options import build_options, format_value, limits
from condense.plugin import contract
from condense.randomness import GlobalRandomness
from condense.testing.observation import first_difference, observe
from condense.testing.subject import Subject

UNKNOWN = "no_such_option"


def check_has_the_form_of_its_kind(subject: Subject) -> None:
    """A kebab-case name, a nested Options, the methods of the Protocol."""
    try:
        contract.check_component(subject.cls, subject.kind)
    except BrokenPlugin as error:
        raise subject.failed(f"cannot be registered: {error}") from None


def check_class_has_a_docstring(subject: Subject) -> None:
    """``condense plugins show`` quotes its first line."""
    text = subject.cls.__dict__.get("__doc__") or ""
    subject.require(bool(text.strip()), "has no docstring; its first line is what users see")


def check_options_are_frozen(subject: Subject) -> None:
    """Options do not change once they are made."""
    config = type(subject.options).model_config
    subject.require(
        bool(config.get("frozen")), "has options that can be assigned to; they must be frozen"
    )
    subject.require(
        config.get("extra") == "forbid", "has options that accept unknown keys; forbid them"
    )


def check_options_have_help_and_default(subject: Subject) -> None:
    """Every option says what it is and in which unit; only ``arg`` may be required."""
    for name, field in type(subject.options).model_fields.items():
        subject.require(
            bool((field.description or "").strip()),
            f"has an option '{name}' without help; write Field(default, description=…)",
        )
        subject.require(
            not field.is_required() or name == argument_name(subject.cls),
            f"has an option '{name}' without a default; only the one named by `arg` may lack it",
        )


def check_options_survive_json(subject: Subject) -> None:
    """Options written as JSON are read back equal: recipes and cache keys depend on it."""
    text = subject.options.model_dump_json()
    again = type(subject.options).model_validate_json(text)
    subject.require(
        again == subject.options, f"has options that JSON changes: {text} came back as {again!r}"
    )


def check_bad_option_is_named(subject: Subject) -> None:
    """A value that an option cannot take raises an error naming both option and value."""
    model = type(subject.options)
    for name, value in _bad_values(subject):
        try:
            build_options(model, {**subject.options.model_dump(), name: value}, "")
        except OptionError as error:
            told = str(error)
            subject.require(
                name in told and (name == UNKNOWN or format_value(value) in told),
                f"refuses {name}={value!r} with '{told}', expected option and value in it",
            )
        except Exception as error:
            raise subject.failed(
                f"raises {describe(error)} for {name}={value!r}, expected a ValueError that "
                "pydantic can report"
            ) from error
        else:
            raise subject.failed(f"accepts {name}={value!r}, which its field should refuse")


def _bad_values(subject: Subject) -> Iterator[tuple[str, Any]]:
    """(option, value) pairs just outside what each field allows."""
    yield UNKNOWN, 1
    for name, field in type(subject.options).model_fields.items():
        if field.annotation in (int, float, bool):
            yield name, "no-number"
        if get_origin(field.annotation) is Literal:
            yield name, f"not-{get_args(field.annotation)[0]}"
        step = 1 if field.annotation is int else 0.5
        for sign, inclusive, edge in edges_of(field):
            yield name, edge + (sign * step if inclusive else 0)


def edges_of(field: FieldInfo) -> Iterator[tuple[int, bool, float]]:
    """(−1 or 1, whether it is allowed, value) of the low and the high end of a field's range."""
    ends = {"ge": (-1, True), "le": (1, True), "gt": (-1, False), "lt": (1, False)}
    for bound, edge in limits(field).items():
        yield *ends[bound], edge


def check_constructor_does_no_work(subject: Subject) -> None:
    """Making a component draws nothing, opens nothing and starts no GPU; stages do the work."""
    states = GlobalRandomness()
    with _no_outside(subject):
        try:
            subject.create()
        finally:
            changed = states.restore()
    subject.require(
        not changed, f"draws from the global randomness of {', '.join(changed)} in __init__"
    )


@contextlib.contextmanager
def _no_outside(subject: Subject) -> Iterator[None]:
    """Inside, opening a file, a folder, a socket or CUDA fails."""

    def forbid(what: str) -> Any:
        def refuse(*args: Any, **kwargs: Any) -> Any:
            raise subject.failed(
                f"{what} in __init__ ({', '.join(repr(a) for a in args[:1])}); a constructor only "
                "keeps its options, the work belongs into the stage's method"
            )

        return refuse

    places: tuple[tuple[Any, str, str], ...] = (
        (builtins, "open", "opens a file"),
        (io, "open", "opens a file"),
        (os, "listdir", "lists a folder"),
        (os, "scandir", "lists a folder"),
        (socket.socket, "connect", "opens a connection"),
        (torch.cuda, "_lazy_init", "starts CUDA"),
    )
    with contextlib.ExitStack() as stack:
        for owner, name, what in places:
            stack.enter_context(mock.patch.object(owner, name, forbid(what)))
        yield


def check_works_on_toy_data(subject: Subject) -> None:
    """It runs to the end on the kit's toy data."""
    subject.results()


def check_global_randomness_untouched(subject: Subject) -> None:
    """The global generators of torch, numpy and random are as they were."""
    changed = subject.seen.changed_randomness
    subject.require(
        not changed,
        f"changed the global random state of {', '.join(changed)}; draw from the rng it is given, "
        "or work under torch.random.fork_rng()",
    )


def check_global_settings_untouched(subject: Subject) -> None:
    """Grad mode, default dtype, threads and the like are as they were."""
    changed = subject.seen.changed_settings
    subject.require(not changed, f"changed torch's global {', '.join(changed)}; put it back")


def check_inputs_not_modified(subject: Subject) -> None:
    """What it is given keeps its bytes."""
    changed = subject.seen.changed_inputs
    subject.require(
        not changed, f"changed its input: {', '.join(changed)}; work on a copy (.clone())"
    )


def check_network_modes_are_restored(subject: Subject) -> None:
    """Networks from ``context.network`` are left in the train or eval mode they came in."""
    changed = subject.seen.changed_modes
    subject.require(
        not changed,
        f"left {len(changed)} of its networks ({', '.join(sorted(set(changed)))}) in another "
        "train/eval mode than they came in; put it back (network.train(before))",
    )


def check_prints_nothing(subject: Subject) -> None:
    """stdout belongs to the command's result; long work reports to ``context.progress``."""
    line = subject.seen.printed.strip().partition("\n")[0]
    subject.require(
        not subject.seen.printed,
        f"printed {line[:60]!r}; report to context.progress instead",
    )


def check_result_is_on_the_cpu(subject: Subject) -> None:
    """Given CPU tensors, it gives CPU tensors."""
    for name, tensor in subject.results().items():
        subject.require(
            tensor.device.type == "cpu", f"returned {name} on {tensor.device}, expected cpu"
        )


def check_same_seed_same_result(subject: Subject) -> None:
    """Equal seeds, equal bytes, from an empty cache each time."""
    again = observe(subject.work(subject, 0))
    if again.error is not None:
        raise subject.failed(f"raised {describe(again.error)} when it was run a second time")
    place = first_difference(subject.results(), again.results)
    subject.require(place is None, f"gives another result with the same seed: {place}")


def check_does_not_depend_on_global_seed(subject: Subject) -> None:
    """With the same rng, the state of global generators makes no difference."""
    states = GlobalRandomness()
    try:
        torch.manual_seed(987654321)
        np.random.seed(987654321)
        random.seed(987654321)
        other = observe(subject.work(subject, 0))
    finally:
        states.restore()
    if other.error is not None:
        raise subject.failed(f"raised {describe(other.error)} under another global seed")
    place = first_difference(subject.results(), other.results)
    subject.require(
        place is None,
        f"depends on the global seed: under torch.manual_seed(987654321) {place}, with the same "
        "rng; draw from the rng it is given",
    )
