"""Options that matchers share; a preset's value for one of them holds for each matcher."""

from __future__ import annotations

from pydantic import Field

from condense.options import NetworkSpec, Options


class MatcherOptions(Options):
    """Of every matcher with networks of its own."""

    network: NetworkSpec = Field(NetworkSpec.of("auto"), description="network of the matching")
