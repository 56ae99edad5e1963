"""From the folder of a condensed set back to its data."""

import numpy as np
import pytest
import torch

from condense.api import bind
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.rebind import rebind
from condense.engine.runtime.store import Store
from condense.errors import DataError, UnknownComponent
from condense.resolve import Request
from condense.testing.toys import Notes

SELECT = {"selector": "random", "matcher": "none", "policy": "frozen"}


@pytest.fixture
def back(host, tmp_path):
    """Calls ``rebind`` on a folder; what it noted is at ``.told``."""
    notes = Notes()

    def call(folder, stages=None, **request):
        tools = {"store": Store(tmp_path / "store"), "device": torch.device("cpu")}
        small = CondensedDataset.load(folder)
        made = Request(**request)
        return rebind(folder, small, made, host, stages=stages, progress=notes, **tools)

    call.told = notes.lines
    return call


def write(path, seed, classes=3, size=8, names=None):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(12, size, size, 3), dtype=np.uint8)
    named = {} if names is None else {"classes": names}
    np.savez(path, train_images=images, train_labels=np.arange(12) % classes, **named)
    return f"npz:{path}"


@pytest.fixture
def run(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = write(tmp_path / "d.npz", 0)
    return bind(data, host=host, ipc=2, options=SELECT).condensed.save(tmp_path / "run")


def test_the_data_of_the_recipe_come_back(run, back):
    bound = back(run)
    assert bound.data.fingerprint == bound.condensed.data_fingerprint
    assert bound.pipeline.condensed.content_fingerprint == bound.condensed.content_fingerprint
    assert back.told == []


def test_data_that_changed_are_noted_and_others_only_where_they_are_named(run, back, tmp_path):
    write(tmp_path / "d.npz", 1)
    assert back(run).data.name == "d"
    assert back.told == [f"note: d is not as it was when {run} was made of it"]
    back.told.clear()
    other = write(tmp_path / "e.npz", 2)
    assert back(run, data=other).data.name == "e"
    assigned = ((("data",), other),)
    assert back(run, assignments=assigned).data.name == "e"
    assert back.told == []


def test_other_data_are_normalised_as_the_set_is(run, back, tmp_path):
    """What a network that is trained on the set is shown must be in the set's own unit."""
    bright = np.full((12, 8, 8, 3), 200, np.uint8)
    parts = {"train": np.random.default_rng(2).integers(0, 50, bright.shape), "test": bright}
    arrays = {f"{part}_images": images.astype(np.uint8) for part, images in parts.items()}
    labels = {f"{part}_labels": np.arange(12) % 3 for part in parts}
    np.savez(tmp_path / "e.npz", **arrays, **labels)
    bound = back(run, data=f"npz:{tmp_path / 'e.npz'}")
    own = bound.condensed.normalization
    assert bound.data.normalization == bound.pipeline.test_split().normalization == own
    assert not bound.pipeline.has_named_data  # the file alone says nothing of that
    assert back(run).pipeline.has_named_data


def test_tables_whose_columns_become_other_features_are_refused(back, host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, other in (("a", "red"), ("b", "blue")):
        rows = [f"{colour},{k % 2}" for k, colour in enumerate(["green", other] * 6)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["colour,y", *rows]) + "\n")
    asked = {"options": SELECT | {"data.label": "y"}, "host": host, "ipc": 2}
    made = bind("csv:a.csv", **asked).condensed.save(tmp_path / "made")
    assert back(made, data="csv:a.csv").data.name == "a"
    with pytest.raises(DataError, match=r"'colour=green' as feature 0, b 'colour=blue'"):
        _ = back(made, data="csv:b.csv").data


def test_data_that_are_gone_are_to_be_named(run, back, tmp_path):
    (tmp_path / "d.npz").rename(tmp_path / "moved.npz")
    with pytest.raises(DataError, match=r"run was made of cannot be read: .*d\.npz.*with `data`$"):
        back(run).data  # noqa: B018
    assert back(run, data=f"npz:{tmp_path}/moved.npz").data.name == "moved"
    assert back.told == []
    with pytest.raises(DataError, match=r"^[^ ]*gone\.npz does not exist"):
        back(run, data=f"npz:{tmp_path}/gone.npz").data  # noqa: B018


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"classes": 2}, r"run holds 3 classes, other 2;"),
        ({"size": 9}, r"run holds samples of shape \(3, 8, 8\), other \(3, 9, 9\);"),
        ({"names": ["0", "one", "2"]}, "run holds '1' as class 1, other 'one';"),
    ],
)
def test_data_of_another_kind_are_refused(run, back, tmp_path, other, what):
    named = back(run, data=write(tmp_path / "other.npz", 0, **other))
    with pytest.raises(DataError, match=f"{what} name data of the same kind with `data`"):
        named.data  # noqa: B018


def test_what_lived_in_memory_needs_data_only_when_they_are_asked_for(host, back, tmp_path):
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(12, 4)).astype(np.float32), np.arange(12) % 3
    folder = bind(arrays, host=host, ipc=2, options=SELECT).condensed.save(tmp_path / "memory")
    bound = back(folder)
    assert bound.pipeline.recipe["selector"].name == "random"
    with pytest.raises(DataError, match="made of arrays in memory; say what to test on"):
        bound.data  # noqa: B018


def test_components_that_are_gone_matter_only_where_they_are_asked_for(run, back):
    toml = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(toml.replace('"component": "random"', '"component": "x"'))
    with pytest.raises(UnknownComponent, match="'x'"):
        back(run)
    assert back(run, stages=("data",)).data.name == "d"
