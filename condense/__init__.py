"""condense: make a small training set out of a large one.

>>> from condense import condense
>>> small = condense("digits", method="selmatch", ipc=5)  # doctest: +SKIP
>>> image, label = small[0]  # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
DISTRIBUTION = "condense-data"  # its name on the package index, where `condense` is another project

if TYPE_CHECKING:
    from condense.api import bind as bind, choose as choose, condense as condense, shrink as shrink
    from condense.data import LabeledData as LabeledData
    from condense.engine.artefact.dataset import CondensedDataset as CondensedDataset
    from condense.engine.ingest.from_user import labeled_data as labeled_data
    from condense.engine.pipeline import Pipeline as Pipeline
    from condense.engine.runtime.store import Store as Store
    from condense.engine.training.batches import (
        Batcher as Batcher,
        class_means as class_means,
        network_inputs as network_inputs,
    )
    from condense.engine.training.dynamics import DynamicsOptions as DynamicsOptions
    from condense.engine.training.own_loop import Recorder as Recorder
    from condense.errors import FindingWarning as FindingWarning
    from condense.options import Options as Options
    from condense.plugin import hookimpl as hookimpl
    from condense.plugin.host import build_host as build_host
    from condense.recipe import Method as Method, Preset as Preset
    from condense.sklearn import CondenseSampler as CondenseSampler

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
if not TYPE_CHECKING:  # type checkers read no list that is put together: theirs are the imports
    __all__ = list(_HOMES)
    __all__ += ["DISTRIBUTION", "__version__"]


def __getattr__(name: str) -> Any:
    # Public names load on first use, so that `condense --help` never waits for torch.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'condense' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES} - {"Any", "TYPE_CHECKING", "importlib"})
