"""Trajectory matching (MTT, arXiv 2203.11932) with an exact meta-gradient at constant memory."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Matcher
from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher


@hookimpl
def condense_register_matchers(register: Callable[[type[Matcher]], None]) -> None:
    register(TrajectoryMatcher)
