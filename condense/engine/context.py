"""What the engine lends a component while its stage runs; implements ``interfaces.Context``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from condense.components import resolve_spec
from condense.engine.feature_space.features import run_features
from condense.engine.runtime.rng import global_seed
from condense.engine.training.dynamics import Extras, dynamics_pass
from condense.errors import BrokenPlugin
from condense.interfaces import (
    Augmentation,
    Cache,
    Dynamics,
    Geometry,
    LabeledData,
    Progress,
)
from condense.options import AugmentationSpec, ComponentSpec, NetworkSpec, Options
from condense.plugin.host import Host


class EngineContext:
    """Device, store, progress and the components that options name.

    Args:
        host: where nested components are looked up.
        store: the stage cache.
        device: where tensors are worked on.
        progress: where long stages report.
    """

    def __init__(self, host: Host, store: Cache, device: torch.device, progress: Progress) -> None:
        self.host = host
        self.cache: Cache = store
        self.device = device
        self.progress = progress

    def network(self, spec: NetworkSpec, geometry: Geometry, rng: Generator) -> nn.Module:
        """A freshly initialised network on the device; ``rng`` gives only its seed."""
        component = resolve_spec(self.host, spec, geometry.modality).create()
        with global_seed(rng.initial_seed()):
            network = component.build(geometry)
        if not isinstance(network, nn.Module):
            raise BrokenPlugin(
                f"network '{spec.component}' built a {type(network).__name__}, expected a "
                "torch.nn.Module"
            )
        return network.to(self.device)

    def augmentation(self, spec: AugmentationSpec) -> Augmentation:
        """The augmentation that ``spec`` names."""
        augmentation: Augmentation = resolve_spec(self.host, spec).create()
        return augmentation

    def dynamics(
        self,
        data: LabeledData,
        rng: Generator,
        options: Options | None = None,
        *,
        epoch_eval: bool = False,
        full_gradient: bool = False,
    ) -> Dynamics:
        """The dynamics pass; see :class:`~condense.engine.training.dynamics.DynamicsPass`."""
        extras = Extras(epoch_eval=epoch_eval, full_gradient=full_gradient)
        return dynamics_pass(data, self, rng, options, extras).run()

    def features(self, data: LabeledData, rng: Generator, options: Options | None = None) -> Tensor:
        """Features float32 [N, D]; see
        :func:`~condense.engine.feature_space.features.run_features`."""
        return run_features(data, self, rng, options)

    def identity(self, spec: ComponentSpec) -> dict[str, Any]:
        """Component, version and every option of ``spec``, for cache keys."""
        return resolve_spec(self.host, spec).identity
