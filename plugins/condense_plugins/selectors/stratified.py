"""CCS: the hardest left out, the rest sampled stratum by stratum (arXiv 2210.15809)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from condense.data import portion
from condense.errors import DataError
from condense.interfaces import Budget, Context, LabeledData, Scores, Selection
from condense.options import Options as BaseOptions
from condense.selection import hardest_first, require
from condense.traits import SelectorTraits
from condense_plugins._built_in import Instant


class StratifiedSelector(Instant):
    """Leaves out the hardest, and samples all levels of difficulty alike (CCS, arXiv 2210.15809).

    "Coverage-centric Coreset Selection for High Pruning Rates" (Zheng et al., ICLR 2023,
    arXiv 2210.15809, algorithm 1): without the hard cutoff β, scores are cut into ``strata`` of
    equal width; from the smallest stratum on, each gives min(its size, ⌊what is still to be
    kept / strata still to come⌋) of its samples, drawn at random.

    The cutoff takes those of the lowest area under the margin (the companion ``aum`` of the
    scores), whatever the scores are, as in the paper's experiments; without it those of the
    highest scores.

    Departures: cutoff, strata and budget are those of each class (the paper's are of all samples
    together, which leaves the counts of classes to chance), and the highest score is in the
    highest stratum also where all scores are negative.
    """

    name: ClassVar[str] = "stratified"
    version: ClassVar[str] = "1"
    needs_scores: ClassVar[bool] = True
    traits: ClassVar[SelectorTraits] = SelectorTraits(
        advice={
            "cutoff-lowest": "selector.cutoff=0.1 and more, as nothing is left out, mislabelled "
            "samples included",
            "cutoff-highest": "a smaller selector.cutoff, as only the easiest samples of a class "
            "are left",
            "worse-than-random": "another selector.cutoff",
            "not-told-from-random": "another selector.cutoff",
        }
    )

    class Options(BaseOptions):
        cutoff: float = Field(
            0.3,
            ge=0,
            lt=1,
            description="share of the hardest samples left out, 0-1 (β in the paper, which has 0.3 "
            "where a tenth is kept, 0.1 for a fifth, 0 for a half)",
        )
        strata: int = Field(50, ge=1, description="levels of difficulty of equal width")

    options: Options

    def option_ranges(self, data: LabeledData, budget: Budget) -> dict[str, tuple[float, float]]:
        """Cutoffs that leave enough of every class."""
        counts = budget.counts(data)
        sizes = [len(data.class_indices(label)) for label in range(len(counts))]
        left = [(size - n) / size for size, n in zip(sizes, counts, strict=True) if size]
        return {"cutoff": (0.0, min(left))}

    def select(
        self,
        data: LabeledData,
        scores: Scores | None,
        budget: Budget,
        context: Context,
        rng: Generator,
    ) -> Selection:
        """``count`` samples of every class, hardest first.

        Raises:
            OptionError: without scores.
            DataError: if the cutoff leaves too few of a class.
        """
        scores = require(scores, self.name)
        margin = scores.companions.get("aum")
        hardness = scores.values if margin is None else -margin
        chosen = []
        for label, count in enumerate(budget.counts(data)):
            members = data.class_indices(label)
            cut = portion(self.options.cutoff, len(members))
            if cut + count > len(members):
                most = (len(members) - count) / len(members)
                raise DataError(
                    f"class {data.classes[label]} has {len(members)} samples, of which "
                    f"selector.cutoff={self.options.cutoff} leaves {len(members) - cut}, asked for "
                    f"are {count}; lower selector.cutoff to at most {most:.3g}, or `ipc` "
                    "(`fraction`)"
                )
            left = hardest_first(hardness, members)[cut:]
            taken = [
                group[torch.randperm(len(group), generator=rng)[:share]]
                for group, share in _shared_out(_strata(scores.values, left, self.options), count)
            ]
            together = torch.cat([members[:0], *taken]).sort().values
            chosen.append(hardest_first(scores.values, together))
        return Selection.of_classes(chosen)


def _strata(values: Tensor, members: Tensor, options: StratifiedSelector.Options) -> list[Tensor]:
    """``members`` (int64 [n]) by stratum of ``values[members]``, easy to hard; none is empty."""
    own = values[members].double()
    if not len(own) or own.max() == own.min():
        return [members] if len(own) else []
    share = (own - own.min()) / (own.max() - own.min())
    number = (share * options.strata).long().clamp(max=options.strata - 1)
    return [members[number == n] for n in sorted(set(number.tolist()))]


def _shared_out(groups: Sequence[Tensor], count: int) -> list[tuple[Tensor, int]]:
    """Each of ``groups`` and how many of its samples to take, ``count`` in all."""
    smallest_first = sorted(groups, key=len)
    shares = stratum_budgets([len(group) for group in smallest_first], count)
    return list(zip(smallest_first, shares, strict=True))


def stratum_budgets(sizes: Sequence[int], count: int) -> list[int]:
    """How many to take of strata of ``sizes``, smallest first, at least ``count`` together."""
    budgets: list[int] = []
    for number, size in enumerate(sizes):
        budgets.append(min(size, (count - sum(budgets)) // (len(sizes) - number)))
    return budgets
