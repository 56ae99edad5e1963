"""condense: make a small training set out of a large one.

>>> from condense import condense
>>> small = condense("digits", method="selmatch", ipc=5)  # doctest: +SKIP
>>> image, label = small[0]  # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
DISTRIBUTION = "condense-data"  # its name on the package index, where `condense` is another project
__all__ = [
    "DISTRIBUTION",
    "Batcher",
    "CondenseSampler",
    "CondensedDataset",
    "DynamicsOptions",
    "FindingWarning",
    "LabeledData",
    "Method",
    "Options",
    "Pipeline",
    "Preset",
    "Recorder",
    "Store",
    "__version__",
    "bind",
    "build_host",
    "choose",
    "class_means",
    "condense",
    "hookimpl",
    "labeled_data",
    "network_inputs",
    "shrink",
]

if TYPE_CHECKING:
    from condense.api import bind, choose, condense, shrink
    from condense.data import LabeledData
    from condense.engine.artefact.dataset import CondensedDataset
    from condense.engine.ingest.from_user import labeled_data
    from condense.engine.pipeline import Pipeline
    from condense.engine.runtime.store import Store
    from condense.engine.training.batches import Batcher, class_means, network_inputs
    from condense.engine.training.dynamics import DynamicsOptions
    from condense.engine.training.own_loop import Recorder
    from condense.errors import FindingWarning
    from condense.options import Options
    from condense.plugin import hookimpl
    from condense.plugin.host import build_host
    from condense.recipe import Method, Preset
    from condense.sklearn import CondenseSampler

_HOMES = {
    "Batcher": "condense.engine.training.batches",
    "CondenseSampler": "condense.sklearn",
    "CondensedDataset": "condense.engine.artefact.dataset",
    "DynamicsOptions": "condense.engine.training.dynamics",
    "FindingWarning": "condense.errors",
    "LabeledData": "condense.data",
    "Method": "condense.recipe",
    "Options": "condense.options",
    "Pipeline": "condense.engine.pipeline",
    "Preset": "condense.recipe",
    "Recorder": "condense.engine.training.own_loop",
    "Store": "condense.engine.runtime.store",
    "bind": "condense.api",
    "build_host": "condense.plugin.host",
    "choose": "condense.api",
    "class_means": "condense.engine.training.batches",
    "condense": "condense.api",
    "hookimpl": "condense.plugin",
    "labeled_data": "condense.engine.ingest.from_user",
    "network_inputs": "condense.engine.training.batches",
    "shrink": "condense.api",
}


def __getattr__(name: str) -> Any:
    # Public names load on first use, so that `condense --help` never waits for torch.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'condense' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"Any", "TYPE_CHECKING", "importlib"})
