"""Of every sample that is kept one can say which of the user's files it is."""

import csv
import io
import json
import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

from condense import CondensedDataset, condense
from condense.data import LabeledData, Normalization
from condense.engine.artefact.exports.image_folder import folder_names
from condense.engine.ingest.from_user import from_torch_dataset
from condense.errors import DataError

CLASSES = ("ant", "bee, wild")
COLUMNS = ["class", "role", "source_index", "source", "score"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of eight 8×8 images, each of one grey that no other has, and a test split."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for split, each in (("train", 8), ("test", 2)):
        for k, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for n in range(each):
                value = 120 * k + 10 * n + (split == "test")
                pixels = np.full((8, 8, 3), value, np.uint8)
                pixels[rng.integers(8), :, 1] += 5
                Image.fromarray(pixels).save(folder / f"photo {n:02d}.png")
    return root


def grey(pixels):
    """The value that tells an image from all others."""
    return int(np.asarray(pixels)[..., 0].flat[0])


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def check(rows, photos, small):
    """That the file named in each of ``rows`` is the image that the sample is or started from."""
    assert len(rows) == len(small)
    for i, row in enumerate(rows):
        with Image.open(photos / row["source"]) as image:
            assert np.array_equal(np.asarray(image), small.source_inputs[i].numpy())
        assert row["class"] == small.classes[small.labels[i]]
        assert row["role"] == ("distilled" if small.distilled[i] else "real")
        assert int(row["source_index"]) == int(small.source_index[i])
        assert float(row["score"]) == pytest.approx(float(small.scores[i]), rel=1e-6)


def test_a_run_an_export_and_a_selection_name_the_files(call, tiny_flags, photos, tmp_path):
    out = tmp_path / "out"
    call("run", "--data", f"folder:{photos}", "--ipc", 4, "--out", out, *tiny_flags)
    small = CondensedDataset.load(out)
    assert small.distilled.any()
    assert not small.distilled.all()
    check(table((out / "index.csv").read_text()), photos, small)
    document = json.loads((out / "results.json").read_text())
    check(document["kept"], photos, small)
    assert small.results["kept"] == document["kept"]

    call("export", out, "--to", "folder", "--out", tmp_path / "folder")
    rows = table((tmp_path / "folder" / "index.csv").read_text())
    check(rows, photos, small)
    for i, row in enumerate(rows):
        with Image.open(tmp_path / "folder" / row["file"]) as image:
            assert np.array_equal(np.asarray(image), small.images[i].numpy())
    call("export", out, "--to", "npz", "--out", tmp_path / "small.npz")
    with np.load(tmp_path / "small.npz") as arrays:
        assert tuple(arrays["source"]) == small.items
        assert np.array_equal(arrays["score"], small.scores.numpy())

    asked = ("select", "--data", f"folder:{photos}", "--ipc", 4, *tiny_flags)
    for _ in range(2):  # a selection of its own may be replaced
        call(*asked, "--out", tmp_path / "kept.csv")
    chosen = table((tmp_path / "kept.csv").read_text())
    assert list(chosen[0]) == COLUMNS
    check([{**row, "role": k["role"]} for row, k in zip(chosen, rows, strict=True)], photos, small)
    assert {row["role"] for row in chosen} == {"real"}
    call(*asked, "--out", tmp_path / "kept.json")
    kept = json.loads((tmp_path / "kept.json").read_text())["kept"]
    assert [k["source"] for k in kept] == [row["source"] for row in chosen]
    call(*asked, "--out", tmp_path / "kept.npz")
    with np.load(tmp_path / "kept.npz") as arrays:
        assert arrays["source"].tolist() == [row["source"] for row in chosen]
    assert json.loads(call(*asked, "--json").stdout)["kept"] == kept
    assert "photo 0" not in call(*asked).stdout  # a summary for people
    (tmp_path / "mine.csv").write_text("file,class\n")
    assert (
        "is no .csv file that condense wrote"
        in call(*asked, "--out", tmp_path / "mine.csv", code=1).stderr
    )

    for path in [*out.iterdir(), *(tmp_path / "folder").iterdir(), *tmp_path.glob("kept.*")]:
        if path.suffix in (".json", ".csv", ".toml") and path.name != "run.log.json":
            text = path.read_text().replace(str(tmp_path / "kept.json"), "")
            assert str(photos) not in text, path
            assert str(tmp_path) not in text, path


def test_a_selection_beside_a_share_says_where_samples_lay_in_the_file(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    features = np.arange(40, dtype=np.float32).reshape(20, 2)
    np.savez("mine.npz", train_inputs=features, train_labels=np.arange(20) % 2)
    asked = ("select", "--data", "npz:mine.npz", "-o", "data.test=0.4", "--method", "random")
    call(*asked, "--ipc", 3, "--out", "kept.npz")
    with np.load("kept.npz") as arrays:
        places = [int(source.removeprefix("mine.npz#")) for source in arrays["source"]]
        assert (np.array(places) % 2 == arrays["labels"]).all()  # the labels of those rows
        assert places != arrays["indices"].tolist()
        assert 12 > arrays["indices"].max()  # counted in what the share leaves
    call(*asked, "--ipc", 2, "--out", "kept.npz")  # of its own


def test_without_names_or_scores_the_rest_is_said(call, tiny_flags, tmp_path):
    out = tmp_path / "out"
    options = [*tiny_flags, "-o", "selector=random", "--no-baselines"]
    call("run", "--ipc", 2, "--out", out, *options)
    small = CondensedDataset.load(out)
    assert small.items is None
    assert small.scores is None
    rows = table((out / "index.csv").read_text())
    assert [int(row["source_index"]) for row in rows] == small.source_index.tolist()
    assert {(row["source"], row["score"]) for row in rows} == {("", "")}
    assert {row["score"] for row in small.results["kept"]} == {None}


def test_names_and_scores_survive_saving(photos, host, tiny, tmp_path):
    small = condense(f"folder:{photos}", ipc=4, options=tiny, host=host, device="cpu")
    again = CondensedDataset.load(small.save(tmp_path / "a"))
    assert again.items == small.items
    assert torch.equal(again.scores, small.scores)
    assert again.kept == small.kept
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    (tmp_path / "a" / "manifest.json").write_text(json.dumps(manifest | {"items": ["x"]}))
    with pytest.raises(DataError, match="items has 1 of 8 samples"):
        CondensedDataset.load(tmp_path / "a")


def test_image_folders_of_torchvision_and_their_subsets_have_files(photos):
    from torchvision.datasets import ImageFolder

    whole = ImageFolder(str(photos / "train"))
    data = from_torch_dataset(whole)
    assert data.items[0] == f"{CLASSES[0]}/photo 00.png"
    part = from_torch_dataset(Subset(Subset(whole, [9, 1, 4, 12]), [2, 0, 3]))
    assert part.items == tuple(data.items[i] for i in (4, 9, 12))
    for inputs, name in zip(part.inputs, part.items, strict=True):
        with Image.open(photos / "train" / name) as image:
            assert grey(image) == grey(inputs)
    assert (
        from_torch_dataset(torch.utils.data.TensorDataset(data.inputs, data.labels)).items is None
    )


@pytest.mark.parametrize("item", ["/home/me/a.png", "C:\\me\\a.png", "\\\\host\\a.png"])
def test_absolute_paths_are_refused(item):
    norm = Normalization((0.0,), (1.0,))
    with pytest.raises(DataError, match="tells of this machine"):
        LabeledData(torch.zeros(1, 2), torch.zeros(1).long(), ("a",), norm, items=(item,))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_text_are_spelt_out(call, tiny_flags, photos, tmp_path):
    for path in sorted((photos / "train").rglob("*.png")):
        folder = tmp_path / "odd" / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        target = os.fsencode(folder / path.stem) + b"\xff.png"
        with open(target, "wb") as file:
            file.write(path.read_bytes())
    call(
        "run",
        "--data",
        f"folder:{tmp_path / 'odd'}",
        "--ipc",
        4,
        "--out",
        tmp_path / "out",
        *tiny_flags,
    )
    rows = table((tmp_path / "out" / "index.csv").read_text())
    assert rows[0]["source"].endswith("\\udcff.png")
    assert CondensedDataset.load(tmp_path / "out").items[0] == rows[0]["source"]


def test_an_older_index_marks_an_export_that_may_be_replaced(call, tiny_flags, tmp_path):
    out, folder = tmp_path / "out", tmp_path / "folder"
    call("run", "--ipc", 2, "--out", out, "--no-baselines", *tiny_flags)
    call("export", out, "--to", "folder", "--out", folder)
    (folder / "index.csv").write_text("file,class,role,source_index\n")
    call("export", out, "--to", "folder", "--out", folder)
    assert len(table((folder / "index.csv").read_text())) == 20
    found = {p.name for p in (folder / "train").iterdir() if p.is_dir()}
    assert found == set(folder_names(tuple("0123456789")))
