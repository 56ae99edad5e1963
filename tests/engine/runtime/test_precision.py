"""Cache keys hold the precision that a result was worked out in, never ``auto``."""

import json

import pytest
import torch
from pydantic import Field

from condense import Options
from condense.data import TrainingSet
from condense.engine.arms import random_plan
from condense.engine.context import EngineContext
from condense.engine.feature_space.network import FeatureNetworks, FeatureOptions
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.precision import PrecisionOption, auto_means, key_options, precision_of
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.rng import Seed
from condense.engine.runtime.store import Store
from condense.engine.stages.evaluation import EvaluationStage
from condense.engine.training.dynamics import DynamicsOptions, DynamicsPass
from condense.options import assignments_of
from condense.resolve import Request, resolve
from condense_plugins.scorers._holdout import Holdout, HoldoutOptions, Subset

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def capability(monkeypatch):
    """Sets what GPUs there can do; none is needed."""

    def set_to(major):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (major, 0))

    set_to(9)
    return set_to


@pytest.fixture
def keys(host, tiny, tiny_images, tmp_path):
    """The keys of a run's stages, and of what lies below them in the store, on a device."""
    store = Store(tmp_path)

    def of(device, **more):
        options = tiny | more
        recipe = resolve(host, Request(assignments=assignments_of(options)))
        tools = {"store": store, "progress": SilentProgress()}
        p = Pipeline(recipe, host, device=device, data=tiny_images, **tools)
        context = EngineContext(host, store, device, p.progress)
        whole = TrainingSet.of(tiny_images)
        measuring = resolve(host, Request(assignments=((("evaluator",), "coverage"),)))
        q = Pipeline(measuring, host, device=device, data=tiny_images, **tools)
        subset = Subset(0.5, 0, 0, torch.arange(3))
        return {
            "scores": p.scoring.key(),
            "selector": p.component_key("selector"),  # a wide window trains a network
            "coverage": EvaluationStage(q, random_plan(q)).keys()[0],
            "matcher": p.component_key("matcher"),
            "evaluation": EvaluationStage(p, random_plan(p)).keys()[0],
            "dynamics": DynamicsPass(tiny_images, context, Seed(0), DynamicsOptions()).keys()[0],
            "holdout": Holdout(tiny_images, context, Seed(0), HoldoutOptions()).key(subset),
            "features": FeatureNetworks(whole, whole, context, FeatureOptions()).key(0),
        }

    return of


def test_a_result_of_a_gpu_is_not_that_of_a_cpu(keys, capability):
    on_cpu, on_gpu = keys(CPU), keys(GPU)
    assert [name for name in on_cpu if on_cpu[name] == on_gpu[name]] == []
    assert "auto" not in [
        value
        for key in (*on_cpu.values(), *on_gpu.values())
        for name, value in [*key.items(), *key.get("options", {}).items()]
        if name.endswith("precision")
    ]
    capability(7)  # one that computes in fp32 as a CPU does
    assert keys(GPU) == on_cpu


def test_a_precision_that_was_asked_for_is_the_same_result_everywhere(keys, capability):
    named = ("scorer", "selector", "matcher", "evaluator")
    asked = {f"{stage}.precision": "fp32" for stage in named}
    stages = ("scores", "selector", "matcher", "evaluation")
    on_cpu, on_gpu, automatic = keys(CPU, **asked), keys(GPU, **asked), keys(CPU)
    assert [on_cpu[s] for s in stages] == [on_gpu[s] for s in stages]
    assert [on_cpu[s] for s in stages] == [automatic[s] for s in stages]


def test_every_stage_names_the_engine(keys):
    found = keys(CPU)
    assert all(found[s]["engine"] for s in ("scores", "matcher", "evaluation"))


class Declared(Options):
    precision: PrecisionOption = Field("auto", json_schema_extra=auto_means("tf32"))


class Undeclared(Options):
    precision: PrecisionOption = "auto"
    other: str = "auto"


def test_auto_is_what_the_option_declares(capability):
    assert precision_of(Declared(), CPU) == "fp32"
    assert precision_of(Declared(), GPU) == "tf32"
    assert precision_of(Declared(precision="bf16"), CPU) == "bf16"
    assert key_options(Declared(), GPU) == {"precision": "tf32"}


def test_an_option_that_does_not_declare_it_still_tells_devices_apart(capability):
    assert key_options(Undeclared(), CPU) == {"precision": "fp32", "other": "auto"}
    assert key_options(Undeclared(), GPU) == {"precision": "auto", "other": "auto"}
    assert json.dumps(key_options(Undeclared(precision="bf16"), CPU))
