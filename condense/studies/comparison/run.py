"""Several scorers on the same data: how far they agree, and how far each agrees with itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from condense.engine.checked import run_replicates
from condense.engine.pipeline import Pipeline
from condense.engine.training.ranking import end_overlap, rank_correlation, reliability_of
from condense.errors import OptionError
from condense.interfaces import LabeledData
from condense.options import format_value
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.results import Scores
from condense.studies.documents import ComparisonDocument, ScorerCompared

END = 0.1  # share of the samples called hardest, and easiest


@dataclass(frozen=True, eq=False)
class Compared:
    """One scorer's part.

    Attributes:
        name: as it was asked for.
        table: the scorer with all its options, as in a recipe.
        scores: higher = harder.
        seconds: spent on its scores in this call; a pass that several read counts for the first.
        cached: whether nothing of it had to be computed.
        replicates: independent estimates it averages (networks, repeats); None if it gives none.
        split_half: raw ρ of the means of two halves of them; None where that is not known.
    """

    name: str
    table: Mapping[str, Any]
    scores: Scores
    seconds: float
    cached: bool
    replicates: int | None
    split_half: float | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Scorers side by side; matrices are S × S, in the order of ``scorers``.

    Attributes:
        data: what was scored, without its test split.
        scorers: one entry each.
        correlation: Spearman's ρ, ties at their mean rank.
        hardest: part of the hardest tenth that two have in common; chance is a tenth.
        easiest: likewise for the easiest tenth.
        seed: of the run.
    """

    data: LabeledData
    scorers: tuple[Compared, ...]
    correlation: list[list[float]]
    hardest: list[list[float]]
    easiest: list[list[float]]
    seed: int

    @property
    def document(self) -> ComparisonDocument:
        """``comparison.json``: free of the clock."""
        return ComparisonDocument(
            data=self.data.name,
            data_fingerprint=self.data.fingerprint,
            samples=len(self.data),
            seed=self.seed,
            scorers=tuple(_entry(one) for one in self.scorers),
            rank_correlation=tuple(map(tuple, self.correlation)),
            overlap_share=END,
            overlap_hardest=tuple(map(tuple, self.hardest)),
            overlap_easiest=tuple(map(tuple, self.easiest)),
        )

    def to_json(self) -> dict[str, Any]:
        """:attr:`document`, JSON-ready."""
        return self.document.to_json()


def _entry(one: Compared) -> ScorerCompared:
    error = one.scores.standard_error
    return ScorerCompared(
        name=one.name,
        scorer=dict(one.table),
        estimator=one.scores.estimator,
        replicates=one.replicates,
        split_half=one.split_half,
        mean_standard_error=None if error is None else float(error.mean()),
    )


def compared_recipes(host: Host, request: Request, names: Sequence[str]) -> list[Recipe]:
    """``request`` once for each scorer in ``names``, each with the options that it knows.

    Args:
        names: as after ``-o scorer=``, at least two, for example ``"cscore:holdout"``.

    Raises:
        OptionError: for fewer than two, one named twice, or an option that none of them has.
    """
    if len(names) < 2 or len(set(names)) < len(names) or "" in names:
        raise OptionError(
            f"--compare {','.join(names)} must name two or more different scorers; "
            "try --compare cscore,forgetting,el2n"
        )
    models = [host.registry("scorer").get(n.partition(":")[0]).Options for n in names]
    given = [(p, v) for p, v in request.assignments if p != ("scorer",)]
    for path, value in given:
        if path[0] == "scorer" and not any(path[1] in m.model_fields for m in models):
            raise OptionError(
                f"-o {'.'.join(path)}={format_value(value)}: none of {', '.join(names)} has an "
                f"option {path[1]}; see `condense plugins show scorer {names[0].partition(':')[0]}`"
            )
    recipes = []
    for name, model in zip(names, models, strict=True):
        known = [a for a in given if a[0][0] != "scorer" or a[0][1] in model.model_fields]
        assignments = ((("scorer",), name), *known)
        recipes.append(resolve(host, replace(request, assignments=assignments)))
    return recipes


def compare(
    recipes: Sequence[Recipe], names: Sequence[str], pipeline: Callable[..., Pipeline]
) -> Comparison:
    """Scores of every recipe on the first one's data, and how they relate.

    Scorers that read the training-dynamics pass under the same options share it through the store.

    Args:
        recipes: of :func:`compared_recipes`.
        names: of the scorers, likewise.
        pipeline: makes a :class:`Pipeline` of a recipe and, by keyword, its data.
    """
    data = pipeline(recipes[0]).data.without_test()
    scorers = tuple(
        _scored(pipeline(recipe, data=data), name)
        for recipe, name in zip(recipes, names, strict=True)
    )
    values = [one.scores.values for one in scorers]

    def matrix(measure: Callable[[Tensor, Tensor], float]) -> list[list[float]]:
        # on the diagonal 1, although tied samples make even the expected overlap less
        return [[1.0 if a is b else measure(a, b) for b in values] for a in values]

    return Comparison(
        data,
        scorers,
        matrix(rank_correlation),
        matrix(lambda a, b: end_overlap(a, b, END, hardest=True)),
        matrix(lambda a, b: end_overlap(a, b, END, hardest=False)),
        recipes[0].seed,
    )


def _scored(pipeline: Pipeline, name: str) -> Compared:
    scores, data = pipeline.scores, pipeline.data
    time, resolved = pipeline.timings["scorer"], pipeline.recipe["scorer"]
    given = (data, pipeline.context, pipeline.rng("scorer"))
    replicates = run_replicates(resolved.create(), *given)
    count = None if replicates is None else len(replicates)
    reliability = reliability_of(replicates)
    spent = (time.seconds, time.cached)
    return Compared(name, resolved.portable, scores, *spent, count, reliability)


def extremes(
    data: LabeledData, scores: Tensor, label: int, count: int
) -> tuple[list[int], list[int]]:
    """Positions of the ``count`` easiest of class ``label``, easiest first, and hardest, likewise.

    Ties in the data's order.
    """
    members = data.class_indices(label)
    rising = members[scores[members].argsort(stable=True)]
    falling = members[(-scores[members]).argsort(stable=True)]
    return rising[:count].tolist(), falling[:count].tolist()
