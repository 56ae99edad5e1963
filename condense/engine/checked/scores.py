"""Scores: a finite number per sample, and what is given beside it."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from condense.engine.checked.common import described, kind_of, require
from condense.engine.runtime.guard import contents, guarded
from condense.errors import BrokenPlugin
from condense.interfaces import Context, LabeledData, Scorer, Scores


def run_scorer(scorer: Scorer, data: LabeledData, context: Context, rng: Generator) -> Scores:
    """Scores of ``data``'s training split, checked.

    Raises:
        BrokenPlugin: if they are not one finite number per sample, or as :func:`guarded` does.
    """
    with guarded("scorer", scorer, *contents(data)):
        result = scorer.score(data.without_test(), context, rng)
    if not isinstance(result, Scores):
        try:
            plain = torch.as_tensor(result)
        except (TypeError, ValueError, RuntimeError):
            raise BrokenPlugin(
                f"scorer '{scorer.name}' returned {kind_of(result)}, expected a float tensor "
                f"({len(data)},)"
            ) from None
        result = Scores(plain, scorer.name)
    values = result.values.detach().to("cpu", torch.float32)
    require(
        values.shape == (len(data),),
        f"scorer '{scorer.name}' returned shape {tuple(values.shape)}, expected ({len(data)},)",
    )
    bad = torch.nonzero(~torch.isfinite(values)).flatten()
    if len(bad):
        raise BrokenPlugin(
            f"scorer '{scorer.name}' rated sample {int(bad[0])} {float(values[bad[0]])}, "
            "scores must be finite"
        )
    return _with_others(result, values, f"scorer '{scorer.name}' returned", data)


def _with_others(found: Scores, values: Tensor, who: str, data: LabeledData) -> Scores:
    """``values`` with what ``found`` has beside them, checked."""
    one = (len(data),)
    error, logits = found.standard_error, found.logits
    if error is not None:
        error = _finite(f"{who} a standard error", error, one)
    companions = {
        name: _finite(f"{who} a companion {name}", tensor, one)
        for name, tensor in found.companions.items()
    }
    if logits is not None:
        logits = _finite(f"{who} logits", logits, (*one, len(data.classes)))
    return Scores(values, found.estimator, error, companions, logits)


def _finite(what: str, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    found = tensor.detach().to("cpu", torch.float32)
    require(
        found.shape == shape and bool(torch.isfinite(found).all()),
        f"{what} {described(tensor)}, expected finite floats {shape}",
    )
    return found
