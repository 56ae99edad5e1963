"""From a user's data through a run and an export back to the user's tools."""

import numpy as np
import pytest
from PIL import Image

from condense.engine.artefact.dataset import CondensedDataset

pytestmark = pytest.mark.extras
NAMES = ["bee", "ant"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)


# two thirds stay real, a third is distilled
SMALL = (
    *("--method", "dm", "--ipc", 3, "--device", "cpu", "--no-baselines", "--out", "small"),
    *("-o", "policy=partial", "-o", "policy.alpha=0.34", "-o", "matcher.iterations=1"),
    *("-o", "matcher.real_per_class=4", "-o", "matcher.network.width=8"),
)


def check(read, small, pixels):
    """That ``read``, by row, is the set, and its real images are the user's."""
    assert len(read) == len(small) == 6
    assert sorted(read["role"]) == ["distilled"] * 2 + ["real"] * 4
    for row, own, role in zip(read, small.images, small.role, strict=True):
        image = np.array(row["image"])
        assert (image == own.numpy()).all()
        assert row["role"] == ("distilled" if role else "real")
        if row["role"] == "real":
            assert (image == pixels[int(row["source"].removesuffix(".png")[-2:])]).all()


def test_a_folder_comes_back_by_imagefolder(datasets, call, pixels, tmp_path):
    for i, image in enumerate(pixels):
        path = tmp_path / "photos" / NAMES[i % 2] / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    call("run", "--data", "photos", *SMALL)
    call("export", "small", "--to", "folder", "--out", "out")
    small = CondensedDataset.load(tmp_path / "small")
    cache = str(tmp_path / "cache")
    read = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=cache)
    check(read["train"], small, pixels)
    assert read["train"]["label"] == [small.classes[k] for k in small.labels]


def test_a_data_set_of_hugging_face_comes_back(datasets, call, pixels, tmp_path):
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=NAMES))
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    files = [str(tmp_path / f"{i:02d}.png") for i in range(24)]
    table = {"image": files, "label": [i % 2 for i in range(24)]}
    given = datasets.Dataset.from_dict(table, features=features)
    given.save_to_disk(tmp_path / "given")
    call("run", "--data", "hf:given", *SMALL)
    call("export", "small", "--to", "hf", "--out", "out")
    small = CondensedDataset.load(tmp_path / "small")
    assert small.classes == tuple(NAMES)
    read = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    check(read, small, pixels)
    assert read["label"] == small.labels.tolist()
    assert read.features["label"].names == NAMES
    for row in read:
        if row["role"] == "real":
            assert row["label"] == given[row["source_index"]]["label"]
