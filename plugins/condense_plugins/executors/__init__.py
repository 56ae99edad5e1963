"""Built-in executors."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Executor
from condense_plugins.executors.local import LocalExecutor
from condense_plugins.executors.on_ray import RayExecutor
from condense_plugins.executors.on_slurm import SubmititExecutor


@hookimpl
def condense_register_executors(register: Callable[[type[Executor]], None]) -> None:
    register(LocalExecutor)
    register(RayExecutor)
    register(SubmititExecutor)
