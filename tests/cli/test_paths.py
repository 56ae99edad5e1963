"""Where data lie: what a recipe says of it, and what it takes to repeat a run elsewhere."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tomllib
import torch
from pydantic import Field

from condense import hookimpl
from condense.options import Options as BaseOptions, PathOption
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
EVALUATED = OPTIONS[-6:]  # the options of the evaluator
FILES = ("condensed.safetensors", "manifest.json", "recipe.toml", "results.json", "trace.csv")


def write_data(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 12)
    images = rng.integers(0, 200, (24, 8, 8, 1)).astype(np.uint8)
    half = {"test_images": images[::3, ::-1], "test_labels": labels[::3]}
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


def test_another_test_split_has_a_default_folder_of_its_own(call, tmp_path, monkeypatch):
    """Results on the one would replace those on the other."""
    monkeypatch.chdir(tmp_path)
    data, other = (write_data(tmp_path / place / "squares.npz") for place in ("one", "two"))
    arrays = dict(np.load(data))
    np.savez(other, **arrays | {"test_images": arrays["test_images"][:, ::-1]})
    for path in (data, other):
        call("run", "--data", f"npz:{path}", *OPTIONS)
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_the_same_recipe_on_other_files_replaces_only_when_told(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = dict(np.load(write_data(tmp_path / "squares.npz")))
    np.savez("other.npz", **arrays | {"test_images": arrays["test_images"][:, ::-1]})
    for name, values in (("a", np.arange(24.0)), ("b", np.arange(24.0)[::-1])):
        np.save(f"{name}.npy", values)
    plain = (*OPTIONS[:2], *OPTIONS[4:])  # but for the scorer
    scored = ("--out", "made", "--data", "npz:squares.npz", *plain, "-o")
    call("run", *scored, "scorer=file:a.npy")
    first = bytes_of(tmp_path / "made")
    call("run", *scored, "scorer=file:a.npy")
    refused = call("run", *scored, "scorer=file:b.npy", code=1).stderr
    assert "made holds the result of this recipe on other files (data.path, scorer.path)" in refused
    os.replace("other.npz", "squares.npz")  # another test split alone
    assert "on other files" in call("run", *scored, "scorer=file:a.npy", code=1).stderr
    assert bytes_of(tmp_path / "made") == first
    call("run", *scored, "scorer=file:a.npy", "--force")
    assert bytes_of(tmp_path / "made") != first


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
    data = ["run", "--data", "npz:squares.npz", "--no-baselines", *OPTIONS[:2], *OPTIONS[4:]]
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


def test_files_of_embeddings_follow_the_rule(call, tmp_path, monkeypatch):
    """Also where the component can do without: without them it would choose other samples."""
    work = tmp_path / "work"
    write_data(work / "squares.npz")
    monkeypatch.chdir(work)
    points = np.random.default_rng(0).normal(size=(24, 3))
    np.save(work / "near.npy", points)
    np.savez(tmp_path / "far.npz", features=points**3)
    data = ["run", "--data", "npz:squares.npz", "--no-baselines", "--method", "herding", *EVALUATED]
    call(*data, "--out", "near", "-o", "selector.features=near.npy")
    call(*data, "--out", "far", "-o", f"selector.features={tmp_path}/far.npz")
    near = tomllib.loads((work / "near/recipe.toml").read_text())
    far = tomllib.loads((work / "far/recipe.toml").read_text())
    assert near["selector"]["features"] == "../near.npy"
    assert far["left_out"] == {"selector.features": "far.npz"}
    assert str(tmp_path) not in (work / "far/recipe.toml").read_text()
    call("run", "--recipe", "near/recipe.toml", "--no-baselines", "--out", "same")
    assert bytes_of(work / "same") == bytes_of(work / "near")
    assert bytes_of(work / "far") != bytes_of(work / "near")
    call("evaluate", "far")  # nothing is selected
    error = call("run", "--recipe", "far/recipe.toml", code=2).stderr
    assert "selector.features" in error
    assert "far.npz" in error
    assert "-o selector.features=PATH" in error
    again = ("-o", "selector.features=../far.npz")
    call("run", "--recipe", "far/recipe.toml", "--no-baselines", "--out", "again", *again)
    assert bytes_of(work / "again") == bytes_of(work / "far")
    # a changed file is read again
    np.save(work / "near.npy", -(points**5))
    call("run", "--recipe", "near/recipe.toml", "--no-baselines", "--out", "new")
    assert bytes_of(work / "new") != bytes_of(work / "near")


def test_test_splits_and_items_elsewhere_follow_the_rule(call, real_host, tmp_path, monkeypatch):
    """Also where the data can do without: they would be others."""
    from condense.recipe import read_recipe
    from condense.resolve import Request, resolve

    work, far = tmp_path / "work", tmp_path / "far"
    for path in (work / "squares.npz", far / "held.npz"):
        path.parent.mkdir()
        shutil.move(write_data(tmp_path / "all.npz", seed=len(path.name)), path)
        arrays = dict(np.load(path))
        np.savez(path, **{k: v for k, v in arrays.items() if k.startswith("train")})
    (far / "names.txt").write_text("\n".join(f"square {i}" for i in range(24)))
    monkeypatch.chdir(work)
    there = [f"data.test={far}/held.npz", f"data.items={far}/names.txt"]
    there = [part for text in there for part in ("-o", text)]
    call("run", "--data", "npz:squares.npz", *there, "--out", "a", "--no-baselines", *OPTIONS)
    recipe = tomllib.loads((work / "a/recipe.toml").read_text())
    assert recipe["left_out"] == {"data.test": "held.npz", "data.items": "names.txt"}
    again = ("run", "--recipe", "a/recipe.toml", "--no-baselines", "--out", "b")
    error = call(*again, code=2).stderr
    assert "does not hold data.test, which lay outside of its folder (held.npz)" in error
    assert "-o data.test=PATH" in error
    error = call(*again, *there[:2], "--data", "npz:squares.npz", code=2).stderr
    assert "data.items, which lay outside of its folder (names.txt)" in error
    call(*again, *there)
    assert bytes_of(work / "b") == bytes_of(work / "a")
    assert "-o data.test=PATH" in call("evaluate", "a", code=2).stderr
    call("evaluate", "a", *there[:2])  # names are of no use there
    call("report", "a", "--out", "r.html")
    told = "run --recipe a/recipe.toml -o data.test=PATH -o data.items=PATH<"
    assert told in (work / "r.html").read_text()

    read = read_recipe(work / "a/recipe.toml")
    without = ((("data", "test"), None), (("data", "items"), None))
    found = resolve(real_host, Request(recipe=read, assignments=without))
    assert found["data"].options.test is None
    for other in ("digits", "folder:photos"):  # nothing of npz holds for them
        assert resolve(real_host, Request(recipe=read, data=other))["data"].spelled.startswith(
            other[:6]
        )


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


def test_an_option_for_a_folder_is_a_path_too(real_host, tmp_path, monkeypatch):
    from condense.options import parse_assignment
    from condense.resolve import Request, resolve

    monkeypatch.chdir(tmp_path)
    asked = Request(data="cifar10", assignments=(parse_assignment("data.root=files"),))
    recipe = resolve(real_host, asked)
    assert recipe["data"].options.root == f"{tmp_path}/files"
    assert recipe.paths == {"data.root": f"{tmp_path}/files"}
    assert "root" not in recipe.portable()["data"]
    elsewhere = Request(data="cifar10", assignments=(parse_assignment("data.root=/files"),))
    assert resolve(real_host, elsewhere).paths == {}
    left = resolve(real_host, elsewhere).portable("x")
    assert left["left_out"] == {"data.root": "x"}
    # the same files lie in the usual place, too
    assert resolve(real_host, Request(recipe=left))["data"].options.root is None


# ---- the user's home ---------------------------------------------------------------------------


@pytest.fixture
def alice(tmp_path, monkeypatch):
    """A user's home folder, with data in it, and a working folder below."""
    home = tmp_path / "users" / "alice"
    monkeypatch.setenv("HOME", str(home))
    write_data(home / "data" / "squares.npz")
    np.save(home / "data" / "s.npy", np.arange(24.0))
    (home / "work").mkdir()
    monkeypatch.chdir(home / "work")
    return home


def texts_in(folder):
    """What can be read in a folder, the log left out, as that alone may name paths."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "run.log.json"]
    assert files
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def keeps_quiet(folder, word=b"alice"):
    for name, text in texts_in(folder).items():
        assert word not in text, name


def test_a_run_outside_of_the_home_folder_does_not_tell_where_that_is(call, alice, tmp_path):
    """The way from there to data in the home folder would name it."""
    given = ("--data", "npz:../data/squares.npz", "-o", "scorer=file:../data/s.npy")
    out = tmp_path / "elsewhere" / "a"
    call("run", *given, "--out", out, *OPTIONS[:2], *OPTIONS[4:])
    keeps_quiet(out)
    left = tomllib.loads((out / "recipe.toml").read_text())["left_out"]
    assert left["scorer.path"] == "s.npy"
    assert left["data.path"].startswith("squares, fingerprint ")
    shutil.rmtree(out)
    write_data(alice / "work" / "near.npz")  # below the working folder
    call("run", "--data", "npz:near.npz", "--out", out, *OPTIONS)
    keeps_quiet(out)
    assert "path" not in tomllib.loads((out / "recipe.toml").read_text())["data"]
    assert call("evaluate", out, "--data", "npz:near.npz").stderr == ""
    assert "fingerprint" in call("evaluate", out, code=2).stderr
    call("run", "--data", "npz:near.npz", "--out", "in/side", *OPTIONS)
    recipe = tomllib.loads((alice / "work/in/side/recipe.toml").read_text())
    assert recipe["data"]["path"] == "../../near.npz"
    keeps_quiet(alice / "work/in/side")


def test_the_same_run_in_two_places_gives_the_same_bytes(call, alice, tmp_path, monkeypatch):
    made = []
    for place in (alice / "work", tmp_path / "users" / "bob" / "deep" / "er"):
        write_data(place / "data" / "squares.npz")
        monkeypatch.chdir(place)
        monkeypatch.setenv("CONDENSE_STORE", str(place / "store"))
        call("run", "--data", "npz:data/squares.npz", *OPTIONS)
        (folder,) = (place / "runs").iterdir()
        made.append((folder.name, bytes_of(folder)))
    assert made[0] == made[1]


TUNE = ("--seeds", "1", "--finals", "0", "--share", "1")


def test_folders_of_studies_are_named_by_content_and_hold_no_path(
    call, alice, tmp_path, monkeypatch
):
    """Data and scores at other places, the same questions: the same names of folders."""
    monkeypatch.setattr("condense.studies.tuning.search.SCAN", 2)
    monkeypatch.setattr("condense.studies.tuning.search.ZOOMS", 0)
    names = []
    for user in ("alice", "bob"):
        home = alice.parent / user
        monkeypatch.setenv("HOME", str(home))
        write_data(home / "data" / "squares.npz")
        np.save(home / "data" / "s.npy", np.arange(24.0))
        (home / "work").mkdir(exist_ok=True)
        monkeypatch.chdir(home / "work")
        data = ("--data", f"npz:{home}/data/squares.npz", "--ipc", "3")
        vary = f"scorer=random,file:{home}/data/s.npy,file:{home}/gone.npy"
        call("ablate", "window", *data, "--vary", vary, "--seeds", "1", *OPTIONS[4:])
        call("tune", "window", *data, "--over", f"scorer=random,file:{home}/data/s.npy", *TUNE)
        call(
            "score", *data, "--compare", f"random,file:{home}/data/s.npy", "--out", "runs/compared"
        )
        call("select", *data, "--method", "random", "--out", f"{home}/work/runs/chosen/i.json")
        call("run", *data, *OPTIONS, "--out", "a")
        small = ("-o", "evaluator.feature_epochs=1", "-o", "evaluator.feature_network=mlp")
        call("coverage", f"{home}/work/a", "--data", data[1], *small)
        studies = [f"{home}/work/{p}" for p in Path("runs").iterdir() if p.name != "chosen"]
        call("report", f"{home}/work/a", *studies, "--out", "runs/page/r.html")
        keeps_quiet(Path("runs"), user.encode())
        names.append(sorted(path.name for path in Path("runs").iterdir()))
        page = Path("runs/page/r.html").read_text()
        assert "~/work/a" in page
        assert "condense run --recipe ~/work/a/recipe.toml" in page
    assert names[0] == names[1]
    assert len(names[0]) == 6
    named = {name.rpartition("-")[0] for name in names[0]}  # after the data, not their component
    assert {"ablate-window-squares", "tune-window-squares", "coverage-squares"} <= named


class Place(BaseOptions):
    inner: Path | None = None


class Warm:
    """A network that names files."""

    name, version, arg = "warm", "1", "weights"

    class Options(BaseOptions):
        weights: PathOption = Field(description="of the network")
        log: Path | None = Field(None, description="where it reports")
        more: Place = Field(Place(), description="further places")

    def __init__(self, options):
        self.options = options

    def build(self, geometry):
        size = geometry.shape[0] * geometry.shape[1] * geometry.shape[2]
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(size, geometry.classes))


class Plugin:
    @hookimpl
    def condense_register_networks(self, register):
        register(Warm)


def test_results_of_a_nested_component_with_a_path_do_not_say_it(calling, alice):
    """A network with weights in a file: not in the protocol of its evaluation, nor in coverage."""
    run = calling(plugins=[Plugin()])
    warm = f"warm:{alice}/data/w.pt"
    data = ("--data", f"npz:{alice}/data/squares.npz")
    run("run", *data, *OPTIONS[:-2], "-o", f"evaluator.network={warm}", "--out", "a")
    keeps_quiet(Path("a"))
    results = json.loads(Path("a/results.json").read_text())
    assert "w.pt" in json.dumps(results["arms"]["condensed"]["protocol"])
    options = ("-o", f"evaluator.feature_network={warm}", "-o", "evaluator.feature_epochs=1")
    run("coverage", "a", *data, *options, "--out", "c")
    keeps_quiet(Path("c"))
    run("report", "a", "c", "--out", "p/r.html")
    keeps_quiet(Path("p"))


def test_paths_of_nested_components_follow_the_rule(tmp_path, monkeypatch):
    """A network with weights in a file, named by an option of the evaluator."""
    from condense.options import parse_assignment
    from condense.recipe import read_recipe, recipe_toml, written_in
    from condense.resolve import Request, resolve

    host = build_host(external=False, extra=[Plugin()])
    assert not host.broken
    home = tmp_path / "alice"
    monkeypatch.setenv("HOME", str(home))
    work = home / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    given = (
        "evaluator.network=warm:w.pt",
        f"evaluator.network.log={home}/log",
        "evaluator.network.more.inner=in",
        f"matcher.network=warm:{home}/w.pt",
    )
    recipe = resolve(host, Request(assignments=tuple(map(parse_assignment, given))))
    assert recipe.all_paths() == {
        "matcher.network.weights": f"{home}/w.pt",
        "evaluator.network.weights": f"{work}/w.pt",
        "evaluator.network.log": f"{home}/log",
        "evaluator.network.more.inner": f"{work}/in",
    }
    assert str(home) not in recipe_toml(recipe.portable("digits"))
    table, named = written_in(work / "runs" / "a", recipe.portable("d"), recipe.paths, "d")
    assert table["left_out"] == {"matcher.network.weights": "w.pt", "evaluator.network.log": "log"}
    assert named == {
        "evaluator.network.weights": "../../w.pt",
        "evaluator.network.more.inner": "../../in",
    }
    assert table["evaluator"]["network"]["weights"] == "../../w.pt"
    # and read from there, wherever one is
    file = work / "runs" / "a" / "recipe.toml"
    file.parent.mkdir(parents=True)
    file.write_text(recipe_toml(table))
    monkeypatch.chdir("/")
    again = Request(
        recipe=read_recipe(file),
        assignments=(
            parse_assignment(f"matcher.network.weights={home}/w.pt"),
            parse_assignment(f"evaluator.network.log={home}/log"),
        ),
    )
    assert resolve(host, again).to_dict() == recipe.to_dict()
    file.write_text('scorer = "file:near.npy"\n[evaluator]\nnetwork = "warm:w.pt"\n')
    found = resolve(host, Request(recipe=read_recipe(file))).all_paths()
    assert found["scorer.path"] == f"{file.parent}/near.npy"
    assert found["evaluator.network.weights"] == f"{file.parent}/w.pt"
