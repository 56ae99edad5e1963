"""Scores: how hard every training sample is."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from condense.engine.checked import run_label_plan, run_scorer
from condense.engine.checked.networks import run_replicates, run_training_accuracy
from condense.engine.documents import Document, Share
from condense.engine.runtime.expected import Expected, check_tensors
from condense.engine.runtime.store import Payload
from condense.engine.stages.stage import Key, Piece, StageInPieces, StoredStage
from condense.engine.training.ranking import reliability_of
from condense.interfaces import Scores
from condense.options import format_value
from condense.recipe import Recipe
from condense.resolve import Request

COMPANION = "companion."  # before the names of further figures among the tensors
LOGITS = "logits"


def needs_scores(recipe: Recipe) -> bool:
    """Whether selector, update policy or reselector looks at scores; if not, none are made."""
    return starts_at_scores(recipe) or any(
        stage in recipe.stages and recipe[stage].cls.needs_scores
        for stage in ("selector", "reselector")
    )


def stages_in_use(recipe: Recipe) -> list[str]:
    """Its stages, without the scorer where nobody looks at scores."""
    return [stage for stage in recipe.stages if stage != "scorer" or needs_scores(recipe)]


def unread_options(recipe: Recipe, request: Request) -> list[str]:
    """A line about each assignment of ``request`` to the scorer where nobody looks at scores.

    Of use where all that is asked for is a run of ``recipe``.
    """
    given = [(path, value) for path, value in request.assignments if path[0] == "scorer"]
    if not given or needs_scores(recipe):
        return []
    return [
        f"note: `{'.'.join(path)}={format_value(value)}` has no effect: no stage of this recipe "
        "reads scores"
        for path, value in given
    ]


def starts_at_scores(recipe: Recipe) -> bool:
    """Whether labels start at what the networks of the scores say."""
    plan = run_label_plan(recipe["policy"].create())
    return plan is not None and plan.start == "scores"


class _Said(Document):
    """Values of an entry."""

    estimator: str
    split_half: float | None
    learned: list[Share] = Field([])  # training accuracy of each network


def tensors_of(scores: Scores) -> dict[str, Tensor]:
    """The figures of every sample, float32 [N] each, by the names that they are stored under."""
    tensors = {"scores": scores.values}
    if scores.standard_error is not None:
        tensors["standard_error"] = scores.standard_error
    return tensors | {COMPANION + name: t for name, t in scores.companions.items()}


class ScoresStage(StoredStage[Scores], StageInPieces[Scores]):
    """Difficulty of every training sample; needed only where somebody looks at it."""

    name = component = "scorer"
    kind = "scores"

    @property
    def needed(self) -> bool:
        """Whether anything looks at scores; if not, no scorer is trained."""
        return needs_scores(self.bound.recipe)

    @property
    def reads(self) -> str | None:
        """Digest of the file that the scorer reads; None where it reads none.

        Raises:
            DataError: if that cannot be read.
        """
        return next(iter(self.bound.files_read("scorer")), None)

    def key(self) -> Key:
        """Everything the scores depend on."""
        return self.key_of(self.bound.data.fingerprint)

    def key_of(self, fingerprint: str) -> Key:
        """The key for data of that fingerprint, which need not be loaded."""
        own = {"data": fingerprint, "seed": self.bound.forked_seed("scorer")}
        return self.bound.component_key("scorer") | own

    def compute(self) -> Payload:
        """The values, and what the scorer gave beside them."""
        bound = self.bound
        scorer = bound.recipe["scorer"].create()
        data, context = bound.data, bound.context
        scores = run_scorer(scorer, data, context, self.rng)
        said = _Said(
            estimator=scores.estimator,
            split_half=reliability_of(run_replicates(scorer, data, context, self.rng)),
            learned=run_training_accuracy("scorer", scorer, data, context, self.rng),
        )
        tensors = tensors_of(scores)
        if scores.logits is not None:
            tensors[LOGITS] = scores.logits
        return Payload(tensors, said.to_json())

    def check(self, payload: Payload) -> None:
        """That they are finite, one a sample."""
        count, classes = len(self.bound.data), len(self.bound.data.classes)
        one = Expected(torch.float32, (count,))
        beside = {name: one for name in payload.tensors if name.startswith(COMPANION)}
        beside[LOGITS] = Expected(torch.float32, (count, classes))
        check_tensors(payload.tensors, {"scores": one}, {"standard_error": one, **beside})
        _Said.model_validate(payload.values)

    def unpack(self, payload: Payload) -> Scores:
        """The scores, of this data."""
        return Scores(
            payload.tensors["scores"],
            payload.values["estimator"],
            payload.tensors.get("standard_error"),
            {
                name.removeprefix(COMPANION): tensor
                for name, tensor in payload.tensors.items()
                if name.startswith(COMPANION)
            },
            payload.tensors.get(LOGITS),
        )

    def pieces(self) -> list[Piece]:
        """Those of the scorer, such as one a network; else the scores as a whole."""
        return StageInPieces.pieces(self) or super().pieces()

    def run_piece(self, number: int) -> None:
        """Piece ``number``, and no score yet where the scorer works in pieces."""
        if StageInPieces.pieces(self):
            StageInPieces.run_piece(self, number)
        else:
            _ = self.result
