"""The folder of images as torchvision and Hugging Face read it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.datasets import ImageFolder

from condense.engine.artefact.exports.image_folder import folder_names


def test_torchvision_reads_the_classes_and_nothing_else(condensed, tiny_images, tmp_path):
    small = condensed(tiny_images)
    small.export("folder", tmp_path / "f")
    read = ImageFolder(tmp_path / "f" / "train")
    assert read.classes == ["ant", "bee", "cat"]
    assert [label for _, label in read] == small.labels.tolist()
    for (image, _), own in zip(read, small.images, strict=True):
        assert (np.array(image) == own.numpy()).all()


def test_metadata_has_a_row_a_file(condensed, tiny_images, tmp_path):
    small = condensed(tiny_images, soft=True)
    small.export("folder", tmp_path / "f")
    text = (tmp_path / "f" / "train" / "metadata.jsonl").read_text(encoding="utf-8")
    told = [json.loads(line) for line in text.splitlines()]
    assert [row["file_name"] for row in told[:2]] == [
        "ant/00000-real.png",
        "ant/00001-distilled.png",
    ]
    assert all((tmp_path / "f" / "train" / row["file_name"]).is_file() for row in told)
    assert [row["label"] for row in told] == [small.classes[k] for k in small.labels]
    assert [row["label_index"] for row in told] == small.labels.tolist()
    assert [row["role"] for row in told] == ["real", "distilled", "distilled", "real"] * 3
    assert [row["source_index"] for row in told] == small.source_index.tolist()
    assert [row["source"] for row in told] == [f"für/{i}.png" for i in small.source_index]
    assert torch.equal(torch.tensor([row["score"] for row in told]), small.scores)
    assert torch.equal(torch.tensor([row["soft_label"] for row in told]), small.soft_labels)


def test_metadata_leaves_out_what_nobody_knows(condensed, tiny_images, tmp_path):
    small = replace(condensed(tiny_images, scored=False), items=None)
    small.export("folder", tmp_path / "f")
    first = (tmp_path / "f" / "train" / "metadata.jsonl").read_text().splitlines()[0]
    assert json.loads(first).keys() == {
        *("file_name", "label", "label_index", "role", "source_index"),
    }


@pytest.mark.extras
def test_load_dataset_reads_every_column(datasets, condensed, tiny_images, tmp_path):
    small = condensed(tiny_images, soft=True)
    small.export("folder", tmp_path / "f")
    (split,) = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "f")).values()
    assert split.split == "train"
    assert {*split.column_names} == {
        *("image", "label", "label_index", "role", "source_index", "source", "score", "soft_label"),
    }
    assert len(split) == len(small)
    for i, row in enumerate(split):
        assert (np.array(row["image"]) == small.images[i].numpy()).all()
        assert row["label"] == small.classes[small.labels[i]]
        assert row["role"] == ("distilled" if small.role[i] else "real")
        assert row["source_index"] == small.source_index[i]
        assert torch.equal(torch.tensor(row["soft_label"]), small.soft_labels[i])


def test_a_folder_is_called_after_its_class_where_every_system_can():
    names = ("bee, wild", "Ka\u0308se", "R&B (live)", "a/b", "what?", "..")
    assert folder_names(names) == [*names[:3], "a_b", "what_", "class-5"]
