"""Every benchmark runs at a tiny size and writes the rows that its readers rely on."""

import json

import numpy as np
import pytest
import torch

NAMES = ("matching", "experts", "evaluation", "scoring", "startup", "profiles")
TINY = {
    "matching": ["--steps", "2,3", "--ipc", "1,2", "--geometry", "digits"],
    "experts": ["--geometry", "digits", "--samples", "60", "--epochs", "2"],
    "evaluation": ["--geometry", "digits", "--samples", "20", "--width", "4"],
    "scoring": ["--geometry", "digits", "--samples", "70", "--epochs", "2"],
    "startup": [],
    "profiles": ["--geometry", "digits"],
}
COMMON = {"form", "seconds", "spread", "n", "peak_mb"}


@pytest.fixture
def ran(load, tmp_path, capsys):
    """A function that runs a benchmark on one thread and gives its document."""

    def call(name, *more):
        out = tmp_path / f"{name}.json"
        flags = ["--device", "cpu", "--threads", "1", "-n", "1", "--out", str(out)]
        load(name).main([*TINY[name], *more, *flags])
        assert len(capsys.readouterr().out.splitlines()) == len(json.loads(out.read_text())["rows"])
        return json.loads(out.read_text())

    return call


@pytest.mark.parametrize("name", NAMES)
def test_documents_have_their_surroundings_and_rows(ran, load, monkeypatch, name):
    if name == "startup":  # four processes a way: without the two ways that import torch
        ways = load("startup").WAYS
        monkeypatch.setattr(load("startup"), "WAYS", dict(list(ways.items())[::2]))
    document = ran(name)
    assert document["benchmark"] == name
    assert document["command"].startswith(f"python benchmarks/{name}.py")
    assert {"device", "threads", "torch", "commit"} <= set(document["environment"])
    assert document["rows"]
    for row in document["rows"]:
        assert set(row) >= COMMON
        assert row["seconds"] > 0
        assert row["n"] == 1


def test_matching_rows_hold_every_form_and_its_error(ran):
    rows = ran("matching")["rows"]
    assert [(r["steps"], r["ipc"]) for r in rows][::4] == [(2, 1), (2, 2), (3, 1), (3, 2)]
    assert {r["form"] for r in rows} == {"plain", "constant", "unrolled", "auto"}
    for row in rows:
        assert set(row) >= {"steps", "ipc", "form", "seconds", "peak_mb", "theta_mb"}
        assert row["gradient_error"] < 1e-4  # float32 against float64
        assert row["reference"] == "plain float64"
    kept = [r["theta_mb"] for r in rows if r["form"] == "constant" and r["ipc"] == 1]
    assert kept[1] / kept[0] == pytest.approx(4 / 3)


def test_unrolling_that_would_not_fit_is_skipped_and_said_so(ran, load, monkeypatch):
    monkeypatch.setattr(load("matching"), "free_bytes", lambda device: 2**10)
    rows = ran("matching")["rows"]
    skipped = [r for r in rows if "skipped" in r]
    assert {r["form"] for r in skipped} == {"plain", "unrolled"}
    assert all("GiB" in r["skipped"] for r in skipped)
    assert {r["form"] for r in rows if "skipped" not in r} == {"constant", "auto"}


def test_experts_and_evaluation_compare_with_a_bare_loop(ran, load, monkeypatch):
    monkeypatch.setattr(load("evaluation"), "ACCURACY_EPOCHS", 2)
    experts = ran("experts")["rows"]
    assert [r["form"] for r in experts] == ["ours", "bare"]
    assert experts[0]["gradient_error"] < 1e-4
    assert 0 < experts[0]["bf16_error"] < 1 / 128
    evaluation = ran("evaluation", "--seeds", "2")["rows"]
    assert {"accuracy", "accuracy_std"} <= set(evaluation[-1])
    assert [r["form"] for r in evaluation] == ["ours", "plain"] * 2


def test_a_way_is_warmed_up_and_runs_in_turns(load):
    order = []
    ways = {name: lambda name=name: order.append(name) for name in "ab"}
    seconds = load("_common").in_turns(ways, 2, torch.device("cpu"))
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2}


def test_a_folder_of_photos_can_be_made(load, tmp_path, monkeypatch):
    from PIL import Image

    photos = load("photos")
    monkeypatch.setattr(photos, "SIZES", {"train": (3, 2), "test": (1, 1)})
    labels = np.repeat([0, 1], 4)
    arrays = {f"{part}_images": np.zeros((8, 32, 32, 3), np.uint8) for part in photos.SIZES}
    arrays |= {f"{part}_labels": labels for part in photos.SIZES}
    np.savez(tmp_path / "toy.npz", classes=["cat", "dog"], **arrays)
    assert photos.main([str(tmp_path / "toy.npz"), str(tmp_path / "photos")]) == 0
    made = sorted(tmp_path.glob("photos/*/*/*.jpg"))
    assert [str(p.parent.relative_to(tmp_path / "photos")) for p in made] == [
        "test/cat", "test/dog", *["train/cat"] * 3, *["train/dog"] * 2,
    ]  # fmt: skip
    for path in made:
        with Image.open(path) as image:
            assert all(48 <= side <= 96 for side in image.size)
