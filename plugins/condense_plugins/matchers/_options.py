"""Options that matchers share; a preset's value for one of them holds for each matcher."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from condense.options import NetworkSpec, Options, OrAuto
from condense.results import Rate

# of matchers that each set their own: a preset's value for one of them holds for no other
ImageRate = Annotated[
    Rate,
    OrAuto(gt=0),
    Field(
        description="learning rate of the distilled samples; auto: the first update moves them by "
        "2 % of their spread, later ones by less",
    ),
]
ImageReach = Annotated[
    float,
    Field(
        gt=0,
        description="how far from its start a sample may get where image_lr is auto, in spreads "
        "(root mean square over its values)",
    ),
]


class MatcherOptions(Options):
    """Of every matcher with networks of its own."""

    network: NetworkSpec = Field(NetworkSpec.of("auto"), description="network of the matching")
    image_momentum: float = Field(0.5, ge=0, lt=1, description="momentum of the distilled samples")
    image_ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share that their running average keeps in an iteration (as in FTD); the "
        "result is the average. 0: no average",
    )
    snapshots: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="iterations after which the set is saved"
    )
