"""Fixtures that several folders of tests share."""

import json
import os

import click.testing
import numpy as np
import pytest
import torch

from condense.data import LabeledData
from condense.engine.context import EngineContext
from condense.engine.graph import stages
from condense.engine.ingest.from_user import labeled_data
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.options import NetworkSpec
from condense.plugin.host import Host, build_host
from condense_plugins._features import FeatureOptions, HasFeatures
from condense_plugins.selectors import window

# These tensors are small: a second thread gains nothing, and beside another busy process its
# spinning barriers cost a factor of ten. Nor have processes that tests start more than one.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    group = parser.getgroup("stress", "tests/stress (pytest -m stress)")
    group.addoption(
        "--stress-scale",
        type=float,
        default=0.1,
        help="share of all cases; 1 runs each and writes benchmarks/results/stress.md [0.1]",
    )
    group.addoption("--stress-seed", type=int, default=0, help="all cases follow from it [0]")
    group.addoption("--stress-case", type=int, help="of every row only this case, to repeat it")


@pytest.fixture(autouse=True)
def _store_of_its_own(tmp_path, monkeypatch):
    """No test reads or writes the user's store."""
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="session", autouse=True)
def _wide_tables():
    """Room for every table, so that a row is a line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        yield


@pytest.fixture(scope="session")
def datasets(tmp_path_factory):
    """Hugging Face's package, which reads where it may write as it is imported; no network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        import datasets

        datasets.disable_progress_bars()
        yield datasets


@pytest.fixture(scope="session", autouse=True)
def _short_feature_network():
    """One epoch, not twenty, of a narrow network in whose features a window is thinned: it would
    take a second of every run on digits. Its options are part of the store's keys."""
    small = {"epochs": 1, "batch_size": 256, "network": NetworkSpec.of("auto", width=8)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "SPACE", HasFeatures(FeatureOptions(**small)))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks():
    """No test ends the power; a run waits some thirty times for its files to be on the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session")
def host() -> Host:
    """The built-in components, whatever else is installed."""
    return build_host(external=False)


@pytest.fixture(scope="session")
def pieces():
    """Gives the independent pieces of all work of a pipeline whose inputs are stored, in order."""

    def found(pipeline, baselines):
        every = stages(pipeline, baselines)
        ready = [stage for stage in every if all(need.stored for need in stage.needs)]
        return [piece for stage in ready for piece in stage.pieces()]

    return found


@pytest.fixture
def context(host, tmp_path) -> EngineContext:
    """An engine context on the CPU with an empty store."""
    store = Store(tmp_path / "store")
    return EngineContext(host, store, torch.device("cpu"), SilentProgress())


@pytest.fixture(scope="session")
def digits(host) -> LabeledData:
    """The embedded digits: 1437 training and 360 test images, 8×8 grey."""
    component = host.registry("data").get("digits")
    return component(component.Options()).load(None)


@pytest.fixture(scope="session")
def tiny_images() -> LabeledData:
    """3 classes × 30 (test: 12) colour images of 16×16: a pattern per class under noise."""
    rng = np.random.default_rng(0)
    patterns = rng.uniform(60, 196, (3, 4, 4, 3)).repeat(4, 1).repeat(4, 2)  # blocks of 4×4 pixels

    def draw(each: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(3).repeat(each)
        images = patterns[labels] + rng.normal(0, 40, (len(labels), 16, 16, 3))
        return images.clip(0, 255).astype(np.uint8), labels

    images, labels = draw(30)
    return labeled_data(
        images, labels, test=draw(12), classes=["ant", "bee", "cat"], name="tiny-images"
    )


@pytest.fixture(scope="session")
def tiny() -> dict[str, object]:
    """Options by dotted key under which any method runs on digits in about half a second."""
    return {
        "scorer.networks": 1,
        "scorer.epochs": 2,
        "scorer.network.width": 8,
        "matcher.iterations": 3,
        "matcher.experts": 1,
        "matcher.max_start_epoch": 2,
        "matcher.steps": 2,
        "matcher.network.width": 8,
        "evaluator.steps": 5,
        "evaluator.repeats": 2,
        "evaluator.network.width": 8,
    }


@pytest.fixture(scope="session")
def as_flags():
    """Makes of options by dotted key what is typed."""

    def make(values):
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
        return tuple(part for k, v in texts.items() for part in ("-o", f"{k}={v}"))

    return make


@pytest.fixture(scope="session")
def tiny_flags(tiny, as_flags):
    """``tiny`` as it is typed."""
    return as_flags(tiny)


@pytest.fixture(scope="session")
def calling():
    """Makes what calls ``condense`` on a store in a folder, where later calls find results; without
    a folder, on the store of the test."""
    from condense.cli.main import main

    def make(place=None, *command, plugins=(), more=()):
        host = build_host(external=False, extra=plugins)

        def call(*args, code=0, store="store", environment=(), more=more):
            given = [str(arg) for arg in (*command, *args, *more)]
            env = {"CONDENSE_STORE": str(place / store)} if place else {}
            result = click.testing.CliRunner().invoke(
                main, given, obj=host, env=env | dict(environment)
            )
            assert result.exit_code == code, result.output + repr(result.exception)
            return result

        return call

    return make


@pytest.fixture
def call(calling):
    """Calls ``condense`` with the built-in components on the store of the test."""
    return calling()
