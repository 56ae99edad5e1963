"""How hard each test sample was for the feature networks to learn, and the test split in two.

All this measures; nothing is chosen by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from condense.engine.feature_space.network import FeatureNetworks

_LARGEST_ERROR = 2**0.5  # of ‖softmax − onehot‖₂


@dataclass(frozen=True, eq=False)
class Halves:
    """The test split in two, as positions (int64), ascending."""

    easy: Tensor
    hard: Tensor


def difficulty_of_test(networks: FeatureNetworks) -> Tensor:
    """How late each test sample was learned, float32 [N_test] in 0–1, higher = harder.

    The share of epochs, over all networks, after which the sample was wrong: the learning speed
    of Jiang et al. (arXiv 2002.03206) on held-out samples. Ties are broken by the mean
    ‖softmax − onehot‖₂, which counts for less than one epoch.
    """
    every = [networks.trained(k) for k in range(networks.options.networks)]
    wrong = torch.cat([one.wrong for one in every])  # [K·E, N_test]
    error = torch.stack([one.error_norm for one in every]).double().mean(0) / _LARGEST_ERROR
    return ((wrong.double().sum(0) + error.clamp(max=1 - 1e-6)) / (len(wrong) + 1)).float()


def halves(difficulty: Tensor, labels: Tensor) -> Halves:
    """The easier and the harder half of every class.

    Within each class, because otherwise the halves would differ in their classes and a set could
    cover one of them better for that alone. The odd sample of a class goes to the hard and to the
    easy half alternately, so that sizes differ by one at most.

    Args:
        difficulty: float [N]; equal values are told apart by position.
        labels: int64 [N].
    """
    easy, hard = [], []
    extra = 0
    for label in sorted(set(labels.tolist())):
        members = torch.nonzero(labels == label).flatten()
        order = members[difficulty[members].argsort(stable=True)]
        middle = (len(order) + extra) // 2
        extra = (len(order) + extra) % 2
        easy.append(order[:middle])
        hard.append(order[middle:])
    return Halves(torch.cat(easy).sort().values, torch.cat(hard).sort().values)


def halves_of_test(networks: FeatureNetworks) -> Halves:
    """:func:`halves` by :func:`difficulty_of_test`."""
    return halves(difficulty_of_test(networks), networks.test.labels)


def by_difficulty(right: Tensor, parts: Halves) -> dict[str, float]:
    """Mean of ``right`` (float [N_test], 0–1) over ``all``, ``easy`` and ``hard`` samples.

    With ``Evaluation.right`` these are accuracies.
    """
    shares = {"all": right, "easy": right[parts.easy], "hard": right[parts.hard]}
    return {name: float(part.double().mean()) for name, part in shares.items()}
