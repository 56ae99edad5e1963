"""Tar shards, read by the standard library and by ``load_dataset``."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from condense.engine.artefact.exports import webdataset
from condense.engine.ingest.from_user import labeled_data


def members(folder):
    found = {}
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as file:
            found |= {m.name: file.extractfile(m).read() for m in file.getmembers()}
    return found


def test_a_png_a_class_and_a_row_of_each_image(condensed, tiny_images, tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset, "PER_SHARD", 5)
    small = condensed(tiny_images, soft=True)
    small.export("webdataset", tmp_path / "w")
    index = json.loads((tmp_path / "w" / "index.json").read_text())
    assert index["classes"] == ["ant", "bee", "cat"]
    assert index["shards"] == [f"train-{k:06d}.tar" for k in range(3)]
    assert {p.name for p in (tmp_path / "w").iterdir()} == {"index.json", *index["shards"]}
    files = members(tmp_path / "w")
    assert len(files) == 3 * len(small)
    for i in range(len(small)):
        image = np.array(Image.open(io.BytesIO(files[f"{i:05d}.png"])))
        assert (image == small.images[i].numpy()).all()
        assert int(files[f"{i:05d}.cls"]) == small.labels[i]
        row = json.loads(files[f"{i:05d}.json"])
        assert row["role"] == ("distilled" if small.role[i] else "real")
        assert row["source"] == small.items[i]


def test_features_are_npy_and_equal_sets_equal_bytes(condensed, tmp_path):
    rng = np.random.default_rng(0)
    data = labeled_data(rng.normal(3, 5, (16, 6)).astype(np.float32), np.arange(16) % 2)
    small = condensed(data)
    for name in ("one", "two"):
        small.export("webdataset", tmp_path / name)
    for i in range(len(small)):
        stored = np.load(io.BytesIO(members(tmp_path / "one")[f"{i:05d}.npy"]))
        assert (stored == small.features[i].numpy()).all()
    tar = "train-000000.tar"
    assert (tmp_path / "one" / tar).read_bytes() == (tmp_path / "two" / tar).read_bytes()


@pytest.mark.extras
def test_load_dataset_reads_it(datasets, condensed, tiny_images, tmp_path):
    small = condensed(tiny_images)
    small.export("webdataset", tmp_path / "w")
    shards = str(tmp_path / "w" / "*.tar")
    read = datasets.load_dataset("webdataset", data_files={"train": shards})["train"]
    assert [row["cls"] for row in read] == small.labels.tolist()
    for row, own in zip(read, small.images, strict=True):
        assert (np.array(row["png"]) == own.numpy()).all()
        assert row["json"]["role"] in ("real", "distilled")
