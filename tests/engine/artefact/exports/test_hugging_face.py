"""Parquet with a dataset card, read back by ``load_dataset`` and by ``hf:PATH``."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from condense.engine.artefact.exports.hugging_face import card
from condense.engine.ingest.from_user import labeled_data
from condense.errors import OptionError, OutputError
from condense_plugins.datasets.hugging_face import HuggingFace


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    return labeled_data(rng.normal(3, 5, (16, 6)).astype(np.float32), np.arange(16) % 2)


def test_without_the_extra_it_is_named(condensed, tiny_images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(OptionError, match=r"install the extra `hf` \(pip install .*\[hf\]'\)"):
        condensed(tiny_images).export("hf", tmp_path / "h")
    assert list(tmp_path.iterdir()) == []


def test_the_card_has_recipe_and_results(condensed, tiny_images):
    small = condensed(tiny_images)
    assert "## Results" not in card(small)
    accuracy = {"mean": 0.5, "std": 0.0123, "n": 3, "values": []}
    told = {"accuracy": accuracy, "baselines": {"random": accuracy | {"mean": 0.25, "std": None}}}
    text = card(replace(small, results=told))
    assert "| this set | 50.00 ± 1.23 | 3 |\n| random | 25.00 | 3 |" in text
    assert 'method = "selmatch"' in text
    assert "12 samples in 3 classes: 6 real ones as they were, 6 distilled" in text
    assert text.startswith("---\n")


@pytest.mark.extras
def test_images_read_back(datasets, condensed, tiny_images, tmp_path, context):
    small = condensed(tiny_images, soft=True)
    small.export("hf", tmp_path / "h")
    small.export("hf", tmp_path / "h")  # an export is replaced by the next
    (split,) = datasets.load_dataset(
        str(tmp_path / "h"), cache_dir=str(tmp_path / "cache")
    ).values()
    assert split.features["label"].names == ["ant", "bee", "cat"]
    assert split["label"] == small.labels.tolist()
    assert split["role"] == ["real", "distilled", "distilled", "real"] * 3
    assert split["source_index"] == small.source_index.tolist()
    assert split["source"] == list(small.items)
    assert torch.equal(torch.tensor(split["score"][:]), small.scores)
    assert torch.equal(torch.tensor(split["soft_label"][:]), small.soft_labels)
    for image, own in zip(split["image"], small.images, strict=True):
        assert (np.array(image) == own.numpy()).all()
    back = HuggingFace(HuggingFace.Options(path=str(tmp_path / "h"))).load(context)
    assert torch.equal(back.inputs, small.images)
    assert torch.equal(back.labels, small.labels)
    assert back.classes == small.classes


@pytest.mark.extras
@pytest.mark.parametrize(
    "change", [lambda t: t + "\nMore.\n", lambda t: t.replace("real", "true", 1)]
)
def test_an_edited_card_is_not_replaced(datasets, condensed, vectors, tmp_path, change):
    small, readme = condensed(vectors), tmp_path / "h" / "README.md"
    small.export("hf", tmp_path / "h")
    mine = change(readme.read_text("utf-8"))
    readme.write_text(mine, "utf-8")
    with pytest.raises(OutputError, match=r"README\.md, which is not as condense writes"):
        small.export("hf", tmp_path / "h")
    assert readme.read_text("utf-8") == mine


@pytest.mark.extras
def test_features_read_back(datasets, condensed, vectors, tmp_path, context):
    small = condensed(vectors, soft=True)
    small.export("hf", tmp_path / "h")
    (split,) = datasets.load_dataset(
        str(tmp_path / "h"), cache_dir=str(tmp_path / "cache")
    ).values()
    assert torch.equal(torch.tensor(split["features"][:]), small.features)
    back = HuggingFace(HuggingFace.Options(path=str(tmp_path / "h"))).load(context)
    assert torch.equal(back.inputs, small.features)
    assert torch.equal(back.labels, small.labels)
