"""Scores: a finite number per sample."""

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
    who, logits = f"scorer '{scorer.name}' returned", result.logits
    companions = {
        name: _finite(f"{who} a companion {name}", tensor, (len(data),))
        for name, tensor in result.companions.items()
    }
    if logits is not None:
        logits = _finite(f"{who} logits", logits, (len(data), len(data.classes)))
    return Scores(values, result.estimator, result.standard_error, companions, logits)


def _finite(what: str, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    found = tensor.detach().to("cpu", torch.float32)
    require(
        found.shape == shape and bool(torch.isfinite(found).all()),
        f"{what} {described(tensor)}, expected finite floats {shape}",
    )
    return found
