"""Several scorers on the same data: how far they agree, and how far each agrees with itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field
from torch import Tensor

from condense.engine.checked.networks import run_replicates
from condense.engine.documents import Document
from condense.engine.pipeline import Pipeline
from condense.engine.training.ranking import end_overlap, rank_correlation, reliability_of
from condense.errors import OptionError
from condense.interfaces import LabeledData
from condense.options import format_value
from condense.places import without_home
from condense.plugin.host import Host
from condense.recipe import Recipe
from condense.resolve import Request, resolve
from condense.results import Scores

Matrix = tuple[tuple[float, ...], ...]
END = 0.1  # share of the samples called hardest, and easiest


class ScorerFigures(Document):
    """One scorer's part.

    Attributes:
        name: as it was asked for.
        scorer: the component with all its options, as in a recipe; None in an old file.
        estimator: what its scores are.
        replicates: independent estimates it averages (networks, repeats); None if it gives none.
        split_half: raw ρ of the means of two halves of them; None where that is not known.
        mean_standard_error: of its scores, where they have one.
        reads: digest of the file that it reads, if it does.
        seconds: spent on its scores in this call; a pass that several read counts for the first.
        cached: whether nothing of it had to be computed.
    """

    name: str
    scorer: dict[str, Any] | None = None
    estimator: str = ""
    replicates: int | None = None
    split_half: float | None
    mean_standard_error: float | None = None
    reads: str | None = None
    seconds: float = Field(0.0, exclude=True)
    cached: bool = Field(False, exclude=True)


class ComparisonDocument(Document):
    """``comparison.json``, free of the clock; matrices are S × S, in the order of ``scorers``.

    Attributes:
        data, data_fingerprint, samples: what was scored.
        seed: of the run.
        scorers: one entry each.
        rank_correlation: Spearman's ρ, ties at their mean rank.
        overlap_share: of the samples, so many are called hardest, and easiest.
        overlap_hardest: part of the hardest that two have in common; chance is the share.
        overlap_easiest: likewise for the easiest.
    """

    data: str
    data_fingerprint: str = ""
    samples: int | None = None
    seed: int | None = None
    scorers: tuple[ScorerFigures, ...]
    rank_correlation: Matrix
    overlap_share: float = END
    overlap_hardest: Matrix = ()
    overlap_easiest: Matrix = ()


@dataclass(frozen=True, eq=False)
class ScorerComparison:
    """Scorers side by side.

    Attributes:
        document: how they agree.
        data: what was scored, without its test split.
        scores: of every scorer, higher = harder.
    """

    document: ComparisonDocument
    data: LabeledData
    scores: tuple[Scores, ...]


def compared_recipes(host: Host, request: Request, names: Sequence[str]) -> list[Recipe]:
    """``request`` once for each scorer in ``names``, each with the options that it knows.

    Args:
        names: as after ``-o scorer=``, at least two, for example ``"cscore:holdout"``.

    Raises:
        OptionError: for fewer than two, one named twice, or an option that none of them has.
    """
    if len(names) < 2 or len(set(names)) < len(names) or "" in names:
        raise OptionError(
            f"`compare={','.join(names)}` must name two or more different scorers; "
            "try `compare=cscore,forgetting,el2n`"
        )
    models = [host.registry("scorer").get(n.partition(":")[0]).Options for n in names]
    given = [(p, v) for p, v in request.assignments if p != ("scorer",)]
    for path, value in given:
        if path[0] == "scorer" and not any(path[1] in m.model_fields for m in models):
            raise OptionError(
                f"`{'.'.join(path)}={format_value(value)}`: none of {', '.join(names)} has an "
                f"option {path[1]}; see `condense plugins show scorer {names[0].partition(':')[0]}`"
            )
    recipes = []
    for name, model in zip(names, models, strict=True):
        known = [a for a in given if a[0][0] != "scorer" or a[0][1] in model.model_fields]
        assignments = ((("scorer",), name), *known)
        recipes.append(resolve(host, replace(request, assignments=assignments)))
    return recipes


def compare_scorers(
    recipes: Sequence[Recipe], names: Sequence[str], pipeline: Callable[..., Pipeline]
) -> ScorerComparison:
    """Scores of every recipe on the first one's data, and how they relate.

    Scorers that read the training-dynamics pass under the same options share it through the store.

    Args:
        recipes: of :func:`compared_recipes`.
        names: of the scorers, likewise.
        pipeline: makes a :class:`Pipeline` of a recipe and, by keyword, its data.
    """
    data = pipeline(recipes[0]).data.without_test()
    scorers, scores = [], []
    for recipe, name in zip(recipes, names, strict=True):
        bound = pipeline(recipe, data=data)
        scores.append(bound.scores)
        scorers.append(_compared(bound, name))
    values = [one.values for one in scores]

    def matrix(measure: Callable[[Tensor, Tensor], float]) -> Matrix:
        # on the diagonal 1, although tied samples make even the expected overlap less
        return tuple(tuple(1.0 if a is b else measure(a, b) for b in values) for a in values)

    document = ComparisonDocument(
        data=data.name,
        data_fingerprint=data.fingerprint,
        samples=len(data),
        seed=recipes[0].seed,
        scorers=tuple(scorers),
        rank_correlation=matrix(rank_correlation),
        overlap_hardest=matrix(lambda a, b: end_overlap(a, b, END, hardest=True)),
        overlap_easiest=matrix(lambda a, b: end_overlap(a, b, END, hardest=False)),
    )
    return ScorerComparison(document, data, tuple(scores))


def _compared(pipeline: Pipeline, name: str) -> ScorerFigures:
    time, resolved = pipeline.timings["scorer"], pipeline.recipe["scorer"]
    replicates = run_replicates(
        resolved.create(), pipeline.data, pipeline.context, pipeline.rng("scorer")
    )
    error = pipeline.scores.standard_error
    return ScorerFigures(
        name=without_home(name),
        scorer=dict(resolved.portable),
        estimator=pipeline.scores.estimator,
        replicates=None if replicates is None else len(replicates),
        split_half=reliability_of(replicates),
        mean_standard_error=None if error is None else float(error.mean()),
        reads=pipeline.scoring.reads,
        seconds=time.seconds,
        cached=time.cached,
    )


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
