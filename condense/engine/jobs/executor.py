"""The executor that was asked for."""

from __future__ import annotations

import torch

from condense.components import resolve_beside
from condense.errors import OptionError
from condense.interfaces import Executor
from condense.jobs import ExecutorOptions
from condense.layers import EXECUTOR
from condense.options import format_value
from condense.plugin.host import Host
from condense.recipe import Resolved
from condense.resolve import Request
from condense.traits import ExecutorTraits, traits_of


def executor_of(host: Host, request: Request) -> Executor | None:
    """The executor of ``request``; None where this process does the work itself.

    Raises:
        UnknownComponent, OptionError: for a name or option that does not exist.
    """
    resolved = _asked(host, request)
    if resolved is None or _in_process(resolved):
        return None
    executor: Executor = resolved.create()
    return executor


def jobs_at_once(host: Host, request: Request) -> int | None:
    """The most jobs that are to be under way; None where there are none, or nobody said.

    Raises:
        UnknownComponent, OptionError: as :func:`executor_of`.
    """
    resolved = _asked(host, request)
    if resolved is None or _in_process(resolved):
        return None
    assert isinstance(resolved.options, ExecutorOptions)
    return resolved.options.at_once


def remarks(host: Host, request: Request, device: torch.device) -> list[str]:
    """A line about each option of an executor that makes no jobs, or that its jobs have no GPU.

    Args:
        device: of this process; that of every job is of its kind.

    Raises:
        UnknownComponent, OptionError: as :func:`executor_of`; also for GPUs that no job would use.
    """
    resolved = _asked(host, request)
    if resolved is None:
        return []
    if _in_process(resolved):
        why = f"has no effect with `{EXECUTOR}={resolved.name}`, which makes no jobs"
        values = resolved.options.model_dump()
        keys = request.executor_options
        given = (f"{EXECUTOR}.{key}={format_value(values[key])}" for key in keys)
        return [f"note: `{one}` {why}" for one in given]
    options = resolved.options
    assert isinstance(options, ExecutorOptions)
    if device.type == "cuda":
        return []
    if options.gpus is not None:
        raise OptionError(
            f"`{EXECUTOR}.gpus={options.gpus:g}` has no effect, as jobs train on {device.type}, "
            "the device of this command; start it where there is a GPU, or leave the option out"
        )
    if not options.elsewhere or torch.cuda.is_available():
        return []
    why = "jobs train on CPUs; start the command where there is one"
    return [f"note: this machine has no GPU, so {why}"]


def _asked(host: Host, request: Request) -> Resolved | None:
    return resolve_beside(host, EXECUTOR, request.executor, request.executor_options)


def _in_process(resolved: Resolved) -> bool:
    return traits_of(resolved.cls, ExecutorTraits).in_process
