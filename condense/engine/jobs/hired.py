"""The executor that was asked for."""

from __future__ import annotations

from condense.components import argument_of, resolve_component
from condense.interfaces import Executor
from condense.layers import name_and_argument
from condense.plugin.host import Host
from condense.resolve import EXECUTOR, Request
from condense.traits import ExecutorTraits, traits_of


def hired(host: Host, request: Request) -> Executor | None:
    """The executor of ``request``; None where this process does the work itself.

    Raises:
        UnknownComponent, OptionError: for a name or option that does not exist.
    """
    if request.executor is None:
        return None
    name, argument = name_and_argument(request.executor)
    cls = host.registry(EXECUTOR).get(name, EXECUTOR)
    values = dict(request.executor_options)
    if argument:
        values |= argument_of(EXECUTOR, cls, argument, EXECUTOR)
    resolved = resolve_component(host, EXECUTOR, name, values, EXECUTOR)
    if traits_of(cls, ExecutorTraits).in_process:
        return None
    executor: Executor = resolved.create()
    return executor
