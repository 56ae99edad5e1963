"""Logits of a training, epoch by epoch, as figures of each sample.

What the dynamics pass and a recorder of somebody's own training have in common: the arithmetic, and
what is kept in which precision. Logits are reduced once an epoch: 13 bytes per sample and epoch,
and one more where correctness in eval mode after every epoch was asked for. Of the logits
themselves their average over the last epochs stays, two bytes a class.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from condense.engine.runtime.expected import Expected

BYTES_PER_SAMPLE = 13  # six half-precision figures and one flag per epoch
LATE = 0.8  # weight of the epochs before in the average: most of it is of the last five
LARGEST_ERROR = 1.5  # above √2, the longest that ‖softmax − onehot‖₂ can be


def sample_figures(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Margin, true-class probability and ‖softmax − onehot‖₂, each float32 [N], from [N, C]."""
    probabilities = F.softmax(logits.float(), dim=1)
    onehot = F.one_hot(labels, logits.shape[1]).to(probabilities.dtype)
    true_logit = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.masked_fill(onehot.bool(), -torch.inf).amax(1)
    true_probability = probabilities.gather(1, labels[:, None]).squeeze(1)
    return true_logit - others, true_probability, (probabilities - onehot).norm(dim=1)


def softmax_figures(
    logits: Tensor, labels: Tensor, before: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Loss, entropy and change of the softmax of ``logits`` [N, C], float32 [N] each.

    Args:
        logits: float32.
        labels: int64 [N].
        before: the log-softmax [N, C] of an epoch earlier, from which the change is; else None.

    Returns:
        loss, entropy, change or None, and the log-softmax.
    """
    logs = F.log_softmax(logits, dim=1)
    probabilities = logs.exp()
    loss = -logs.gather(1, labels[:, None]).squeeze(1)
    entropy = -(probabilities * logs).sum(1)
    change = None if before is None else (probabilities * (logs - before)).abs().sum(1)
    return loss, entropy, change, logs


def evaluated_figures(logits: Tensor, lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What is kept of a look at all samples in eval mode, float32 [N] each.

    Args:
        logits: float32 [N, C].
        lengths: float32 [N], of what goes into the last layer
            (:func:`~condense.engine.training.gradient_norms.predict_with_inputs`).
        labels: int64 [N].
    """
    _, _, error = sample_figures(logits, labels)
    return {"eval_error_norm": error, "eval_gradient_norm": error * lengths}


def half(values: Tensor) -> Tensor:
    """In half precision, finite ones beyond its range at its ends."""
    largest = torch.finfo(torch.float16).max
    return values.clamp(-largest, largest).half()


def expected_figures(epochs: int, samples: int, classes: int) -> dict[str, Expected]:
    """What :meth:`SampleStatistics.tensors` must be."""
    figure = Expected(torch.float16, (epochs, samples))
    return {
        "margin": figure,
        "probability": replace(figure, low=0, high=1),
        "error_norm": replace(figure, low=0, high=LARGEST_ERROR),
        "loss": replace(figure, low=0),
        "entropy": figure,
        "change": Expected(torch.float16, (epochs - 1, samples), low=0),
        "correct": Expected(torch.uint8, (epochs, samples), low=0, high=1),
        "logits": Expected(torch.float16, (samples, classes)),
    }


class SampleStatistics:
    """Collects one network's logits batch by batch and reduces them once an epoch.

    Args:
        samples: N.
        classes: C.
        device: where logits come from, and figures lie until they are asked for.
    """

    def __init__(self, samples: int, classes: int, device: torch.device) -> None:
        self.logits = torch.zeros(samples, classes, device=device)
        self._average: Tensor | None = None  # of the logits of all epochs, the last ones above all
        self._before: Tensor | None = None  # log-softmax of the last epoch
        self._figures: dict[str, list[Tensor]] = {}  # of each epoch, float16 or uint8 [N]

    def log(self, indices: Tensor, logits: Tensor) -> None:
        """Keeps the ``logits`` [B, C] of the samples at ``indices`` [B]."""
        self.logits[indices] = logits.float()

    def end_epoch(self, labels: Tensor) -> None:
        """Reduces the epoch's logits to a few figures of each sample, by ``labels`` int64 [N]."""
        before = self.logits if self._average is None else self._average
        self._average = torch.lerp(self.logits, before, LATE)
        margin, probability, error = sample_figures(self.logits, labels)
        loss, entropy, change, self._before = softmax_figures(self.logits, labels, self._before)
        self.keep(margin=margin, probability=probability, error_norm=error)
        self.keep(loss=loss, entropy=entropy)
        if change is not None:
            self.keep(change=change)
        # correctness from the float32 margin: half precision may round a small one to zero
        self.keep(correct=margin > 0)

    def keep(self, **figures: Tensor) -> None:
        """One more row [N] of each of ``figures``, in half precision, or bytes where bool."""
        for name, values in figures.items():
            small = values.to(torch.uint8) if values.dtype == torch.bool else half(values)
            self._figures.setdefault(name, []).append(small)

    def tensors(self) -> dict[str, Tensor]:
        """float16 or uint8 [E, N] of each figure (``change`` [E − 1, N]), on the CPU.

        And ``logits``, float16 [N, C]: their average over the epochs, in which each weighs
        1 / :data:`LATE` times as much as the one before.
        """
        figures = {name: torch.stack(parts).cpu() for name, parts in self._figures.items()}
        none = torch.empty(0, len(self.logits), dtype=torch.float16)
        average = self.logits if self._average is None else self._average
        return {"change": none, "logits": half(average).cpu()} | figures
