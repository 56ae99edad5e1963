"""How to tune: the settings of ``condense tune``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from condense.errors import OptionError
from condense.studies.tuning.sampling import SAMPLERS, import_optuna

GOLDEN = "golden"
MATCHING = ("policy", "matcher")  # stages that a training on a selection alone does not reach


@dataclass(frozen=True)
class Settings:
    """How to tune.

    Attributes:
        key: the option searched with selections alone.
        also: an option searched afterwards with matching, or None.
        seeds: of every place.
        most: seeds at most, of places that are hard to tell apart.
        share: of evaluation steps and matching iterations that is kept, in (0, 1].
        steps: evaluation steps instead of that share.
        repeats: networks a seed.
        validation: share of every class that is held out.
        bounds: ends of ``key``'s range; None for all that is possible.
        scan: places at equal distances that golden section starts from; 0 for none.
        finals: of the best places, this many are evaluated again at full length, where one may
            overtake the best; 0 for none. Not where trainings have full length anyway.
        tolerance: width of the interval at which narrowing stops.
        grid: so many places at equal distances instead of a search.
        sampler: ``golden``, or one of Optuna's; that one searches ``key`` and ``also`` jointly.
        trials: places that an Optuna sampler tries.
        step: distance of the places of ``also``.
    """

    key: str
    also: str | None = None
    seeds: int = 3
    most: int = 6
    share: float = 0.25
    steps: int | None = None
    repeats: int = 1
    validation: float = 0.2
    bounds: tuple[float, float] | None = None
    scan: int = 10
    finals: int = 3
    tolerance: float = 0.05
    grid: int | None = None
    sampler: str = GOLDEN
    trials: int = 20
    step: float = 0.2

    def check_over(self, key: str, values: Sequence[str]) -> None:
        """Raises an OptionError if no search could tell ``values`` of ``key`` apart.

        Args:
            key: of ``--over``, ``"scorer"`` or ``"policy.alpha"``.
            values: as they are typed.
        """
        if self.also is None and key.partition(".")[0] in MATCHING:
            raise OptionError(
                f"--over {key}={','.join(values)} compares nothing: without --also only selections "
                f"are trained on, and {' and '.join(MATCHING)} change none; add --also policy.alpha"
            )

    def check(self) -> None:
        """Raises an OptionError that names the flag of a value that makes no sense."""
        whole = {"--seeds": self.seeds, "--repeats": self.repeats, "--trials": self.trials}
        for flag, value in (whole | {"--steps": 1 if self.steps is None else self.steps}).items():
            if value < 1:
                raise OptionError(f"{flag} must be at least 1, got {value}")
        if self.most < self.seeds:
            raise OptionError(f"--max-seeds must be at least --seeds {self.seeds}, got {self.most}")
        if not 0 < self.share <= 1:
            raise OptionError(f"--share must be in (0, 1], got {self.share}; try 0.25")
        if self.grid is not None and self.grid < 2:
            raise OptionError(f"--grid must be at least 2, got {self.grid}; try 10")
        if self.scan != 0 and self.scan < 3:
            raise OptionError(f"--scan must be at least 3, or 0 for none, got {self.scan}")
        if self.finals < 0:
            raise OptionError(f"--finals must be at least 0, got {self.finals}")
        if self.tolerance <= 0 or self.step <= 0:
            flag = "--tolerance" if self.tolerance <= 0 else "--step"
            raise OptionError(f"{flag} must be above 0, got {min(self.tolerance, self.step)}")
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            raise OptionError(
                f"--range must be LOW,HIGH with LOW below HIGH, got {self.bounds[0]:g},"
                f"{self.bounds[1]:g}"
            )
        if self.sampler in SAMPLERS:
            import_optuna()
            if self.grid is not None:
                raise OptionError(f"--grid and --sampler {self.sampler} exclude each other")
        if self.also == self.key:
            raise OptionError(f"--also {self.also} is tuned already by --key; name another option")
