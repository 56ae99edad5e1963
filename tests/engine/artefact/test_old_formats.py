"""Artefacts, recipes and score files as they were written at f2f1254, in formats 1 and 2."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from condense import CondensedDataset

OLD = Path(__file__).parents[2] / "data" / "f2f1254"
WRITTEN = "/work/tmp/h3tmp/old"  # where the data and scores lay then


@pytest.fixture
def old(tmp_path):
    """A copy, in which the absolute paths are those of the copy."""
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    for path in (*folder.glob("*/manifest.json"), *folder.glob("*/recipe.toml")):
        text = path.read_text()
        assert WRITTEN in text or path.parent.name == "scores"
        path.write_text(text.replace(WRITTEN, str(folder)))
    return folder


@pytest.mark.parametrize(("name", "form", "soft"), [("hard", 1, False), ("soft", 2, True)])
def test_an_artefact_loads_evaluates_and_exports(call, old, tmp_path, name, form, soft):
    manifest = json.loads((old / name / "manifest.json").read_text())
    stored = safetensors.numpy.load_file(old / name / "condensed.safetensors")
    assert manifest["format"] == form
    small = CondensedDataset.load(old / name)
    assert np.array_equal(small.inputs.numpy(), stored["inputs"])
    assert (small.soft_labels is not None) == soft
    assert small.recipe == manifest["recipe"]
    assert sorted(small.snapshots) == [1]

    document = json.loads(call("evaluate", old / name, "--json").stdout)
    told = json.loads((old / name / "results.json").read_text())["arms"]["condensed"]
    assert document["accuracy"]["values"] == pytest.approx(told["values"], abs=0.1)
    assert document["protocol"]["network"] == told["protocol"]["network"]

    call("export", old / name, "--to", "npz", "--out", tmp_path / "x.npz")
    assert np.array_equal(np.load(tmp_path / "x.npz")["inputs"], stored["inputs"])
    call("export", old / name, "--to", "folder", "--out", tmp_path / "images")
    assert len(list(tmp_path.glob("images/train/*/*.png"))) == len(small)
    small.save(tmp_path / "again")
    assert np.array_equal(CondensedDataset.load(tmp_path / "again").inputs, small.inputs)


@pytest.mark.parametrize("name", ["hard", "soft"])
def test_a_recipe_with_absolute_paths_repeats_its_run(call, old, tmp_path, name):
    given = ("run", "--no-baselines", "--recipe", old / name / "recipe.toml")
    given += ("-o", "selector.width=null")  # was not there then: the preset's value stands
    call(*given, "--out", tmp_path / "again")
    again = CondensedDataset.load(tmp_path / "again")
    was = CondensedDataset.load(old / name)
    assert again.source_index.tolist() == was.source_index.tolist()
    assert again.inputs.numpy() == pytest.approx(was.inputs.numpy(), rel=1e-3, abs=1e-3)
    assert again.data_fingerprint == was.data_fingerprint


def test_a_score_file_is_read(call, old, tmp_path):
    given = ("--data", f"npz:{old}/squares.npz", "-o", f"scorer=file:{old}/scores")
    call("score", *given, "--out", tmp_path / "read")
    first = safetensors.numpy.load_file(old / "scores" / "scores.safetensors")
    again = safetensors.numpy.load_file(tmp_path / "read" / "scores.safetensors")
    assert np.array_equal(first["scores"], again["scores"])
