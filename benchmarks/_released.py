"""The matching loop of the released SelMatch code, from a clone of it that lies elsewhere.

Its network, its parameter vector and its augmentation are imported; the loop over them, which the
released file holds in one long function, is written anew here.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision  # noqa: F401 – before the stand-ins below, which it would look into
from torch import Tensor
from torch.nn import functional as F

from condense_plugins.matchers.trajectory.gradient import Batch, Rollout

STRATEGY = "color_crop_cutout_flip_scale_rotate"
# imported at the head of its files, used in none of what is run here
UNUSED = (
    "einops", "einops.layers", "einops.layers.torch", "kornia", "pandas", "requests",
    "scipy.ndimage.interpolation", "tqdm",
)  # fmt: skip


class _Unused(types.ModuleType):
    """Stands in for a package that is not installed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


class Released:
    """The loop of the clone at ``path``."""

    def __init__(self, path: Path) -> None:
        for name in UNUSED:
            try:
                importlib.import_module(name)
            except ImportError:
                sys.modules[name] = _Unused(name)
        sys.path.insert(0, str(path))
        try:
            self._networks, self._utils, self._reparam = (
                importlib.import_module(n) for n in ("networks", "utils", "reparam_module")
            )
        finally:
            sys.path.remove(str(path))
        words = ["git", "-C", str(path), "rev-parse", "--short=12", "HEAD"]
        self.commit = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        self.commit = self.commit.strip() or None

    def way(
        self, rollout: Rollout, inputs: Tensor, labels: Tensor, width: int, strategy: str = STRATEGY
    ) -> Callable[[Sequence[Batch] | None], Tensor]:
        """A function that gives dL/dX of one iteration over some batches.

        Args:
            width: of its ConvNet of depth 3, with batch norm.
            strategy: of its augmentation, which draws for itself; "none" for no augmentation.
        """
        network = self._networks.ConvNet(
            channel=3, num_classes=10, net_width=width, net_depth=3, net_act="relu",
            net_norm="batchnorm", net_pooling="avgpooling", im_size=(32, 32),
        )  # fmt: skip
        student = self._reparam.ReparamModule(network.to(inputs.dtype)).train()
        draws = self._utils.ParamDiffAug()

        def call(batches: Sequence[Batch] | None = None) -> Tensor:
            leaf = inputs.clone().requires_grad_()
            step_size = rollout.step_size.clone().requires_grad_()
            theta = rollout.start.clone().requires_grad_()
            for batch in rollout.batches if batches is None else batches:
                images = self._utils.DiffAugment(leaf[batch.indices], strategy, param=draws)
                logits = student(images, flat_param=theta)
                loss = F.cross_entropy(logits, labels[batch.indices])
                (gradient,) = torch.autograd.grad(loss, theta, create_graph=True)
                theta = theta - step_size * gradient
            miss = F.mse_loss(theta, rollout.target, reduction="sum")
            way = F.mse_loss(rollout.start, rollout.target, reduction="sum")
            return torch.autograd.grad(miss / way, (leaf, step_size))[0]

        return call
