"""How to tune: the settings of ``condense tune``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from condense.engine.documents import Document
from condense.errors import OptionError
from condense.studies.tuning.sampling import import_optuna

MATCHING = ("policy", "matcher")  # stages that a training on a selection alone does not reach


def _several(value: Any) -> Any:
    """``also`` as it is; earlier versions wrote a single option, or none."""
    if isinstance(value, (tuple, list)):
        return tuple(value)
    return () if value is None else (value,)


class Settings(Document):
    """How to tune.

    Attributes:
        key: the option to tune.
        also: further ones, searched jointly with it.
        over: a stage or an option with several values, each of which is tuned; None for none.
        seeds: of every place.
        max_seeds: seeds at most, of places that are hard to tell apart; of a single option.
        share: of evaluation steps and matching iterations that is kept, in (0, 1].
        repeats: networks a seed.
        held_out: share of every class that is held out.
        bounds: ends of ``key``'s range; None for all that is possible.
        finals: of the best places, this many are evaluated again at full length, where one may
            overtake the best; 0 for none. Not where trainings have full length anyway.
        trials: places tried where there are several options.
    """

    key: str
    also: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    over: str | None = None
    seeds: int = 3
    max_seeds: int = 6
    share: float = 0.25
    repeats: int = 1
    held_out: float = 0.2
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

    def check(self, values: Sequence[str] = ()) -> None:
        """Raises an OptionError that names settings whose values do not go together.

        Args:
            values: of :attr:`over`, as they are typed.
        """
        if self.over is not None and not self.matched and self.over.partition(".")[0] in MATCHING:
            raise OptionError(
                f"`over={self.over}={','.join(values)}` compares nothing: only selections are "
                f"trained on and {' and '.join(MATCHING)} change none; tune an option of theirs "
                "too (`also=STAGE.OPTION`)"
            )
        if self.max_seeds < self.seeds:
            raise OptionError(
                f"`max-seeds` must be at least `seeds={self.seeds}`, got {self.max_seeds}"
            )
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            low, high = self.bounds
            raise OptionError(f"`range` must be LOW,HIGH with LOW below HIGH, got {low:g},{high:g}")
        for place, key in enumerate(self.also):
            if key in self.keys[: place + 1]:
                raise OptionError(f"`also={key}` is tuned already; name another option")
        if self.also:
            import_optuna()
