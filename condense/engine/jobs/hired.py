"""The executor that was asked for."""

from __future__ import annotations

from condense.components import resolve_beside
from condense.interfaces import Executor
from condense.layers import EXECUTOR
from condense.plugin.host import Host
from condense.resolve import Request
from condense.traits import ExecutorTraits, traits_of


def hired(host: Host, request: Request) -> Executor | None:
    """The executor of ``request``; None where this process does the work itself.

    Raises:
        UnknownComponent, OptionError: for a name or option that does not exist.
    """
    resolved = resolve_beside(host, EXECUTOR, request.executor, request.executor_options)
    if resolved is None or traits_of(resolved.cls, ExecutorTraits).in_process:
        return None
    executor: Executor = resolved.create()
    return executor
