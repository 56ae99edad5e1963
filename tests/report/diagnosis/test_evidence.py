"""What a diagnosis finds out besides a run's own files, and what it leaves alone."""

from dataclasses import replace

import pytest
import torch

from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.training.ranking import split_half
from condense.errors import DataError
from condense.report.diagnosis.evidence import RunFacts, gather
from condense.resolve import Request, resolve


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return {"store": store, "device": torch.device("cpu"), "progress": SilentProgress()}


@pytest.fixture
def tools(shared):
    return dict(shared)


@pytest.fixture(scope="module")
def pipeline(host, tiny, shared):
    """Of a tiny run whose scorer has two replicates."""
    values = {**tiny, "scorer.networks": 2, "matcher.iterations": 1}
    assignments = tuple((tuple(k.split(".")), v) for k, v in values.items())
    return Pipeline(resolve(host, Request(assignments=assignments)), host, **shared)


def test_what_is_known_of_a_run(pipeline, host, tools):
    small = pipeline.condensed
    known = gather(small, "combined", host, **tools)
    assert known.relative_loss
    assert known.measure == "accuracy"
    assert known.on_distilled == "dsa"
    scorer = pipeline.recipe["scorer"].create()
    replicates = scorer.replicates(pipeline.data, pipeline.context, pipeline.rng("scorer"))
    assert known.split_half == pytest.approx(split_half(replicates))
    sizes = torch.bincount(pipeline.data.labels).tolist()
    assert known.highest_beta == pytest.approx(min((n - 5) / n for n in sizes))
    # and that is indeed how far a window goes
    beyond = ((("selector", "beta"), known.highest_beta + 0.01),)
    further = resolve(host, Request(recipe=small.recipe, assignments=beyond))
    with pytest.raises(DataError, match="window start"):
        Pipeline(further, host, **tools).selection  # noqa: B018


def test_nothing_is_computed(pipeline, host, tools, tmp_path, monkeypatch):
    small = pipeline.condensed
    tools["store"] = Store(tmp_path / "empty")
    monkeypatch.setattr(Pipeline, "data", property(lambda self: pytest.fail("data were loaded")))
    known = gather(small, "simple", host, **tools)
    assert known == RunFacts(True, "accuracy", "simple")
    assert not (tmp_path / "empty").exists()


def test_data_that_changed_meanwhile_say_nothing(pipeline, host, tools, monkeypatch):
    small = pipeline.condensed
    changed = pipeline.data.subset(torch.arange(1000))
    monkeypatch.setattr(Pipeline, "data", property(lambda self: changed))
    known = gather(small, "dsa", host, **tools)
    assert (known.split_half, known.highest_beta) == (None, None)
    assert known.on_distilled == "dsa"


def test_data_in_memory_leave_the_components(pipeline, host, tools):
    recipe = {**pipeline.condensed.recipe, "data": {"component": "memory", "fingerprint": "x"}}
    known = gather(replace(pipeline.condensed, recipe=recipe), None, host, **tools)
    assert known == RunFacts(True, "accuracy", None)


@pytest.mark.parametrize("recipe", [{}, {"method": "gone"}, {"matcher": {"component": "gone"}}])
def test_without_its_components_nothing_is_known(recipe, pipeline, host, tools):
    small: CondensedDataset = replace(pipeline.condensed, recipe=recipe)
    assert gather(small, "combined", host, **tools) == RunFacts()
