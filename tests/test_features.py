"""Feature data from one end to the other: nothing has to be set for them."""

import numpy as np
import pytest
import torch

from condense import CondensedDataset, condense
from condense.api import bind
from condense.engine.checked import run_dataset
from condense.engine.ingest.from_user import labeled_data
from condense.errors import BrokenPlugin
from condense.options import COMPONENT, assignments_of
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.recipe import flatten, read_recipe
from condense.resolve import Request, resolve
from condense_plugins._built_in import BuiltIn
from condense_plugins.datasets.npz import Npz

STAGES = ("scorer", "matcher", "evaluator")


def table(each=12, seed=0):
    """Three classes of 5 features in units of their own, the second constant."""
    rng = np.random.default_rng(seed)
    labels = np.arange(3).repeat(each)
    centres = np.random.default_rng(9).normal(0, 2, (3, 5))
    values = (centres[labels] + rng.normal(size=(len(labels), 5))) * [1, 0, 100, 0.01, 5]
    return values + np.array([0, 7, 300, 0, -2]), labels


@pytest.fixture
def call(calling, tiny_flags):
    return calling(more=tiny_flags)


@pytest.fixture
def npz(tmp_path):
    values, labels = table()
    held = dict(zip(("test_inputs", "test_labels"), table(4, seed=1), strict=True))
    path = tmp_path / "table.npz"
    np.savez(path, train_inputs=values, train_labels=labels, **held)
    return path


def test_a_run_on_features_needs_no_option(call, npz, tmp_path):
    told = call("run", "--data", f"npz:{npz}", "--ipc", "4", "--out", tmp_path / "out")
    assert "\nnetwork mlp\n" in told.stdout
    recipe = read_recipe(tmp_path / "out" / "recipe.toml")
    assert [recipe[s]["network"]["component"] for s in STAGES] == ["mlp"] * 3
    again = ("evaluate", tmp_path / "out", "-o", "evaluator=coverage")
    coverage = [*again, "-o", "evaluator.feature_epochs=1", "--data", f"npz:{npz}"]
    call(*coverage, more=())
    call("coverage", tmp_path / "out", "--data", f"npz:{npz}", more=())
    call("report", tmp_path / "out", "--out", tmp_path / "page.html", more=())


def test_images_have_the_network_that_they_had(call, tmp_path):
    told = call("run", "--out", tmp_path / "out", "--no-baselines")
    assert "\nnetwork convnet\n" in told.stdout
    recipe = read_recipe(tmp_path / "out" / "recipe.toml")
    assert [recipe[s]["network"]["component"] for s in STAGES] == ["convnet"] * 3


def test_arrays_in_memory_likewise(tiny, host):
    values, labels = table()
    small = condense((values, labels), ipc=4, options=tiny, host=host, device="cpu")
    assert [small.recipe[s]["network"]["component"] for s in STAGES] == ["mlp"] * 3
    whole = condense(((values * 7).astype(int), labels), ipc=4, options=tiny, host=host)
    assert torch.equal(whole.source_inputs, whole.source_inputs.round())


def networks(host, options, **fields):
    recipe = resolve(host, Request(assignments=assignments_of(options), **fields))
    return {stage: recipe[stage].table["network"] for stage in STAGES}


def test_auto_is_resolved_before_layers_are_merged(host, npz):
    features, images = {"data": f"npz:{npz}"}, {"data": "digits"}
    plain = networks(host, {}, **features)
    # of a modality's own values in the preset
    assert {stage: n["width"] for stage, n in plain.items()} == dict.fromkeys(STAGES, 128)
    assert networks(host, {"matcher.network": "auto"}, **features) == plain
    named = networks(host, {"matcher.network": "convnet"}, **images)
    assert named == networks(host, {}, **images)
    assert named["matcher"]["width"] == 32  # the preset's, as if it named a convnet
    wide = networks(host, {"matcher.network.width": 9}, **features)["matcher"]
    assert (wide["component"], wide["width"]) == ("mlp", 9)
    normed = networks(host, {"matcher.network.norm": "instance"}, **images)["matcher"]
    assert (normed["component"], normed["norm"]) == ("convnet", "instance")
    other = networks(host, {"evaluator.network": "resnet18"}, **images)["evaluator"]
    assert (other["component"], other["width"]) == ("resnet18", 64)


def test_a_recipe_never_names_auto(host, npz):
    for data in ("digits", f"npz:{npz}", "npz:/gone.npz", "folder:/gone"):
        for preset in host.registry("preset").names():
            for name in ("accuracy", "coverage"):
                asked = Request(data=data, preset=preset, assignments=((("evaluator",), name),))
                options = flatten(resolve(host, asked).to_dict())
                named = {value for key, value in options.items() if key.endswith("network")}
                assert named <= {"mlp", "convnet", "resnet18"}, (data, preset, named)


class Rows(BuiltIn):
    """Features from a plugin, which says what they are or says it wrongly."""

    name = "rows"
    version = "1"

    def load(self, context):
        return labeled_data(*table(), name="rows")

    def modality(self):
        return "features"


class Wrong(Rows):
    name = "wrong"

    def modality(self):
        return "image"


class Plugin:
    @hookimpl
    def condense_register_datasets(self, register):
        register(Rows)
        register(Wrong)


def test_a_plugins_features_are_told_by_its_modality(context):
    host = build_host(external=False, extra=[Plugin()])
    assert bind("rows", host=host, ipc=2).recipe["matcher"].table["network"][COMPONENT] == "mlp"
    with pytest.raises(BrokenPlugin, match="'image' before it is loaded, then 'features'"):
        run_dataset(Wrong(Wrong.Options()), context)


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_a_plugins_features_that_are_no_numbers_are_refused(context, value):
    class Holed(Rows):
        def load(self, context):
            data = super().load(context)
            data.inputs[3, 1] = value
            return data

    with pytest.raises(BrokenPlugin, match=r"train.* has inputs that are not finite"):
        run_dataset(Holed(Holed.Options()), context)


def test_an_export_of_features_is_read_again(call, npz, tmp_path):
    call("run", "--data", f"npz:{npz}", "--ipc", "4", "--out", tmp_path / "out", "--no-baselines")
    for _ in range(2):  # the second one replaces the first
        call("export", tmp_path / "out", "--to", "npz", "--out", tmp_path / "small.npz", more=())
    small = CondensedDataset.load(tmp_path / "out")
    with np.load(tmp_path / "small.npz") as arrays:
        assert "train_images" not in arrays
        values = arrays["train_inputs"]
    read = Npz(Npz.Options(path=str(tmp_path / "small.npz"))).load(None)
    assert read.inputs.numpy().tolist() == values.tolist()
    assert read.labels.tolist() == small.labels.tolist()
