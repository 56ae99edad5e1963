"""Modules of ``benchmarks/``, which is no package."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def load():
    """Imports a module of ``benchmarks/``; none is left afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module
    for name, module in list(sys.modules.items()):
        if FOLDER in Path(getattr(module, "__file__", None) or "").parents:
            del sys.modules[name]
