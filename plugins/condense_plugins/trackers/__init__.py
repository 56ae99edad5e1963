"""Built-in trackers."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Tracker
from condense_plugins.trackers.none import NoneTracker
from condense_plugins.trackers.to_mlflow import MlflowTracker
from condense_plugins.trackers.to_tensorboard import TensorboardTracker


@hookimpl
def condense_register_trackers(register: Callable[[type[Tracker]], None]) -> None:
    register(MlflowTracker)
    register(NoneTracker)
    register(TensorboardTracker)
