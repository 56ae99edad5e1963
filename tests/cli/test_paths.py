"""Where data lie: what a recipe says of it, and what it takes to repeat a run elsewhere."""

import json
import shutil
from pathlib import Path

import click.testing
import numpy as np
import pytest
import tomllib

from condense.cli.main import main
from condense.plugin.host import build_host

SMALL = {
    "matcher": "none",
    "scorer": "random",
    "selector.beta": "0.1",
    "evaluator.steps": "2",
    "evaluator.repeats": "1",
    "evaluator.network": "mlp",
}
OPTIONS = [part for key, value in SMALL.items() for part in ("-o", f"{key}={value}")]
FILES = ("condensed.safetensors", "manifest.json", "recipe.toml", "results.json", "trace.csv")


@pytest.fixture(scope="module")
def builtin():
    return build_host(external=False)


@pytest.fixture
def call(builtin):
    def run(*args, code=0):
        given = [str(a) for a in args]
        result = click.testing.CliRunner().invoke(main, given, obj=builtin)
        assert result.exit_code == code, result.stderr
        return result

    return run


def write_data(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 12)
    images = rng.integers(0, 200, (24, 8, 8, 1)).astype(np.uint8)
    half = {"test_images": images[::3], "test_labels": labels[::3]}
    np.savez(path, train_images=images, train_labels=labels, **half)
    return path


def bytes_of(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def test_data_below_the_working_folder_are_named_relative_to_the_recipe(
    call, tmp_path, monkeypatch
):
    here = tmp_path / "here"
    write_data(here / "data" / "squares.npz")
    monkeypatch.chdir(here)
    call("run", "--data", "npz:data/squares.npz", "--out", "runs/a", *OPTIONS)
    first = bytes_of(here / "runs/a")
    recipe = tomllib.loads(first["recipe.toml"].decode())
    assert recipe["data"]["path"] == "../../data/squares.npz"
    assert json.loads(first["manifest.json"])["recipe"]["data"]["path"] == "../../data/squares.npz"
    assert not any(str(tmp_path).encode() in text for text in first.values())
    log = json.loads((here / "runs/a/run.log.json").read_text())
    assert log["paths"] == {"data.path": str(here / "data/squares.npz")}
    # from another folder
    monkeypatch.chdir(tmp_path)
    call("run", "--recipe", "here/runs/a/recipe.toml", "--out", "here/runs/b")
    assert bytes_of(here / "runs/b") == first
    call("evaluate", "here/runs/a")
    # and moved, under another name
    shutil.move(here, tmp_path / "there")
    monkeypatch.chdir("/")
    there = tmp_path / "there" / "runs"
    call("run", "--recipe", there / "a/recipe.toml", "--out", there / "c")
    assert bytes_of(there / "c") == first


def test_data_elsewhere_are_left_out_of_what_is_written(call, tmp_path, monkeypatch):
    data = write_data(tmp_path / "home" / "squares.npz")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    document = json.loads(call("run", "--json", "--data", f"npz:{data}", *OPTIONS).stdout)
    made = Path(document["artefact"])
    first = bytes_of(made)
    assert not any(str(tmp_path).encode() in text for text in first.values())
    manifest = json.loads(first["manifest.json"])
    left = tomllib.loads(first["recipe.toml"].decode())["left_out"]
    fingerprint = manifest["data"]["fingerprint"]
    assert left == {"data.path": f"squares, fingerprint {fingerprint}"}
    assert json.loads((made / "run.log.json").read_text())["paths"] == {"data.path": str(data)}

    recipe = f"{made}/recipe.toml"
    for args in (
        ("run", "--recipe", recipe),
        ("evaluate", made),
        ("coverage", made),
        ("report", made, "--coverage"),
    ):
        error = call(*args, code=2).stderr
        assert f"fingerprint {fingerprint}" in error
        assert "squares" in error
        assert "--data npz:PATH" in error
        assert error.count("\n") == 1
    # moved, it is found by who says where it is, and the same comes out
    moved = tmp_path / "moved" / "squares.npz"
    moved.parent.mkdir()
    shutil.move(data, moved)
    call("run", "--recipe", recipe, "--data", f"npz:{moved}", "--out", "again")
    assert bytes_of(work / "again") == first
    assert call("evaluate", made, "--data", f"npz:{moved}").stderr == ""
    other = write_data(tmp_path / "other" / "squares.npz", seed=1)
    assert "is not as it was" in call("evaluate", made, "--data", f"npz:{other}").stderr
    small = ["-o", "evaluator.feature_epochs=1", "-o", "evaluator.feature_network=mlp"]
    call("coverage", made, "--data", f"npz:{moved}", *small, "--out", "covered")
    assert call("report", made, "--out", "r.html").stderr == ""
    assert call("report", made, "--out", "r.html", "--data", f"npz:{moved}").stderr == ""
    assert str(tmp_path) not in (work / "r.html").read_text()


def test_the_default_folder_is_named_after_the_data_not_their_place(call, tmp_path, monkeypatch):
    names = set()
    for place in ("one", "two"):
        data = write_data(tmp_path / place / "squares.npz")
        work = tmp_path / "work" / place
        work.mkdir(parents=True)
        monkeypatch.chdir(work)
        call("run", "--data", f"npz:{data}", *OPTIONS)
        names |= {path.name for path in (work / "runs").iterdir()}
    assert len(names) == 1
    other = write_data(tmp_path / "three" / "squares.npz", seed=1)
    call("run", "--data", f"npz:{other}", *OPTIONS)
    assert len(list((work / "runs").iterdir())) == 2


def test_a_recipe_file_names_data_from_its_own_folder(call, tmp_path, monkeypatch):
    write_data(tmp_path / "shared" / "squares.npz")
    (tmp_path / "shared" / "r.toml").write_text(
        'method = "window"\nipc = 2\n[data]\ncomponent = "npz"\npath = "squares.npz"\n'
    )
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    call("run", "--recipe", "../shared/r.toml", "--out", "made", "--no-baselines", *OPTIONS)
    recipe = tomllib.loads((tmp_path / "work/made/recipe.toml").read_text())
    assert recipe["data"]["path"] == "../../shared/squares.npz"


def test_score_files_follow_the_rule(call, tmp_path, monkeypatch):
    work = tmp_path / "work"
    write_data(work / "squares.npz")
    monkeypatch.chdir(work)
    np.save(work / "near.npy", np.arange(24.0))
    np.save(tmp_path / "far.npy", np.arange(24.0)[::-1])
    data = ["run", "--data", "npz:squares.npz", "--no-baselines", *OPTIONS]
    call(*data, "--out", "near", "-o", "scorer=file:near.npy")
    call(*data, "--out", "far", "-o", f"scorer=file:{tmp_path}/far.npy")
    near = tomllib.loads((work / "near/recipe.toml").read_text())
    far = tomllib.loads((work / "far/recipe.toml").read_text())
    assert near["scorer"]["path"] == "../near.npy"
    assert "path" not in far["scorer"]
    assert far["left_out"] == {"scorer.path": "far.npy"}
    call("evaluate", "far")  # no scores are asked for
    error = call("run", "--recipe", "far/recipe.toml", code=2).stderr
    assert "scorer.path" in error
    assert "-o scorer=file:PATH" in error
    again = ("-o", "scorer.path=../far.npy")
    call("run", "--recipe", "far/recipe.toml", "--no-baselines", "--out", "again", *again)
    assert bytes_of(work / "again") == bytes_of(work / "far")
    # two files of one name are two folders
    call(*data, "-o", "scorer=file:near.npy")
    np.save(work / "near.npy", np.arange(24.0)[::-1])
    call(*data, "-o", "scorer=file:near.npy")
    assert len(list((work / "runs").iterdir())) == 2


def test_a_set_that_is_saved_again_still_finds_its_data(call, tmp_path, monkeypatch):
    from condense import CondensedDataset

    write_data(tmp_path / "squares.npz")
    monkeypatch.chdir(tmp_path)
    call("run", "--data", "npz:squares.npz", "--no-baselines", "--out", "a", *OPTIONS)
    CondensedDataset.load("a").save("deep/er/b")
    recipe = tomllib.loads((tmp_path / "deep/er/b/recipe.toml").read_text())
    assert recipe["data"]["path"] == "../../../squares.npz"
    call("evaluate", "deep/er/b")


def test_a_folder_of_scores_does_not_say_where_their_file_lay(call, tmp_path, monkeypatch):
    write_data(tmp_path / "home" / "squares.npz")
    np.save(tmp_path / "home" / "s.npy", np.arange(24.0))
    monkeypatch.chdir(tmp_path)
    given = ("--data", "npz:home/squares.npz", "-o", f"scorer=file:{tmp_path}/home/s.npy")
    call("score", *given, "--out", "read")
    manifest = json.loads((tmp_path / "read/manifest.json").read_text())
    assert manifest["scorer"]["component"] == "file"
    assert str(tmp_path) not in (tmp_path / "read/manifest.json").read_text()


def test_an_option_for_a_folder_is_a_path_too(builtin, tmp_path, monkeypatch):
    from condense.options import parse_assignment
    from condense.resolve import Request, resolve

    monkeypatch.chdir(tmp_path)
    asked = Request(data="cifar10", assignments=(parse_assignment("data.root=files"),))
    recipe = resolve(builtin, asked)
    assert recipe["data"].options.root == f"{tmp_path}/files"
    assert recipe.paths == {"data.root": f"{tmp_path}/files"}
    assert "root" not in recipe.portable()["data"]
    elsewhere = Request(data="cifar10", assignments=(parse_assignment("data.root=/files"),))
    assert resolve(builtin, elsewhere).paths == {}
    assert resolve(builtin, elsewhere).portable("x")["left_out"] == {"data.root": "x"}
