"""How to tune: the settings of ``condense tune``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from condense.errors import OptionError
from condense.studies.tuning.sampling import import_optuna

MATCHING = ("policy", "matcher")  # stages that a training on a selection alone does not reach


@dataclass(frozen=True)
class Settings:
    """How to tune.

    Attributes:
        key: the option to tune.
        also: further ones, searched jointly with it.
        seeds: of every place.
        most: seeds at most, of places that are hard to tell apart; of a single option.
        share: of evaluation steps and matching iterations that is kept, in (0, 1].
        repeats: networks a seed.
        validation: share of every class that is held out.
        bounds: ends of ``key``'s range; None for all that is possible.
        finals: of the best places, this many are evaluated again at full length, where one may
            overtake the best; 0 for none. Not where trainings have full length anyway.
        trials: places tried where there are several options.
    """

    key: str
    also: tuple[str, ...] = ()
    seeds: int = 3
    most: int = 6
    share: float = 0.25
    repeats: int = 1
    validation: float = 0.2
    bounds: tuple[float, float] | None = None
    finals: int = 3
    trials: int = 20

    @property
    def keys(self) -> tuple[str, ...]:
        """Everything that is tuned."""
        return (self.key, *self.also)

    @property
    def matched(self) -> bool:
        """Whether sets have to be matched; if not, selections are evaluated as they are."""
        return any(key.partition(".")[0] in MATCHING for key in self.keys)

    def check_over(self, key: str, values: Sequence[str]) -> None:
        """Raises an OptionError if no search could tell ``values`` of ``key`` apart.

        Args:
            key: of ``--over``, ``"scorer"`` or ``"policy.alpha"``.
            values: as they are typed.
        """
        if not self.matched and key.partition(".")[0] in MATCHING:
            raise OptionError(
                f"--over {key}={','.join(values)} compares nothing: only selections are trained on "
                f"and {' and '.join(MATCHING)} change none; tune an option of theirs too "
                "(--also STAGE.OPTION)"
            )

    def check(self) -> None:
        """Raises an OptionError that names flags whose values do not go together."""
        if self.most < self.seeds:
            raise OptionError(f"--max-seeds must be at least --seeds {self.seeds}, got {self.most}")
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            low, high = self.bounds
            raise OptionError(f"--range must be LOW,HIGH with LOW below HIGH, got {low:g},{high:g}")
        for place, key in enumerate(self.also):
            if key in self.keys[: place + 1]:
                raise OptionError(f"--also {key} is tuned already; name another option")
        if self.also:
            import_optuna()
