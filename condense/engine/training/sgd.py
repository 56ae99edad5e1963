"""SGD with momentum and a cosine to 1 %, as options; each class sets its own defaults."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from condense.engine.runtime.precision import (
    PrecisionOption,
    auto_means,
    key_options,
    precision_of,
)
from condense.engine.training.schedule import Schedule, batches_per_epoch
from condense.interfaces import Context
from condense.options import AugmentationSpec, NetworkSpec, Options

Epochs = Annotated[int, Field(ge=1, description="epochs each is trained")]
BatchSize = Annotated[int, Field(ge=1, description="samples per step")]
LearningRate = Annotated[float, Field(gt=0, description="initial SGD learning rate, cosine to 1 %")]
Momentum = Annotated[float, Field(ge=0, lt=1, description="SGD momentum")]
WeightDecay = Annotated[float, Field(ge=0, description="SGD weight decay")]
PrecisionBf16 = Annotated[
    PrecisionOption,
    Field(
        description="auto (bf16 on GPUs) | fp32 | tf32 | bf16",
        json_schema_extra=auto_means("bf16"),
    ),
]


class SgdOptions(Options):
    """How the networks of a pass over the training split are trained."""

    epochs: Epochs = 40
    batch_size: BatchSize = 64
    lr: LearningRate = 0.05
    momentum: Momentum = 0.9
    weight_decay: WeightDecay = 5e-4
    network: NetworkSpec = Field(
        NetworkSpec.of("auto", width=32), description="network that is trained"
    )
    augmentation: AugmentationSpec = Field(
        AugmentationSpec.of("simple"), description="augmentation while it is trained"
    )
    precision: PrecisionBf16 = "auto"

    def schedule(self, samples: int, device: torch.device) -> Schedule:
        """The steps over ``samples`` samples."""
        return Schedule(
            steps=self.epochs * batches_per_epoch(samples, self.batch_size),
            batch_size=self.batch_size,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            cosine_to=0.01,
            precision=precision_of(self, device),
        )

    def key(self, context: Context) -> dict[str, Any]:
        """The part of a cache key that says how networks are trained."""
        nested = {"network", "augmentation"}
        plain = key_options(self, context.device).items()
        return {
            "options": {name: value for name, value in plain if name not in nested},
            "network": context.identity(self.network),
            "augmentation": context.identity(self.augmentation),
        }
