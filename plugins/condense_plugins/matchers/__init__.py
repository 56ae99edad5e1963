"""Built-in matchers."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Matcher
from condense_plugins.matchers.distribution import DistributionMatcher
from condense_plugins.matchers.gradient import GradientMatcher
from condense_plugins.matchers.none import NoMatcher
from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher


@hookimpl
def condense_register_matchers(register: Callable[[type[Matcher]], None]) -> None:
    register(DistributionMatcher)
    register(GradientMatcher)
    register(NoMatcher)
    register(TrajectoryMatcher)
