"""Two small runs on digits, made once, that the tests of reports look at."""

import pytest
import torch

from condense.engine.pipeline import Pipeline
from condense.engine.run import run
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.options import assignments_of
from condense.resolve import Request, resolve


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """Store, device and progress of the runs."""
    store = Store(tmp_path_factory.mktemp("report-store"))
    return {"store": store, "device": torch.device("cpu"), "progress": SilentProgress()}


@pytest.fixture(scope="session")
def make_run(tmp_path_factory, host, tiny, tools):
    """Runs selmatch on digits with tiny options, and more of them, into a new folder."""
    place = tmp_path_factory.mktemp("runs")

    def call(name, baselines=True, **more):
        values = {**tiny, "matcher.iterations": 40, "scorer.networks": 2, **more}
        recipe = resolve(host, Request(assignments=assignments_of(values)))
        return run(Pipeline(recipe, host, **tools), place / name, baselines).artefact

    return call


@pytest.fixture(scope="session")
def plain(make_run):
    return make_run("plain")


@pytest.fixture(scope="session")
def full(make_run):
    return make_run("full <b>", policy="full", **{"matcher.snapshots": [1, 2]})
