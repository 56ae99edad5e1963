"""``condense shrink`` on the real engine with short trainings on digits."""

import csv
import io
import json
import shutil

import pytest

from condense import CondensedDataset
from condense.cli.schema import FOLDER

TINY = {
    **{"evaluator.steps": 40, "evaluator.network.width": 8, "evaluator.repeats": 2},
    **{"selector.epochs": 2, "selector.network.width": 8},
}
ASKED = ("--keep", "0.5", "--methods", "herding", "--seeds", 2)
STUDY = {"shrink.json", "shrink.csv", "shrink.png", "shrink.svg"}


@pytest.fixture(scope="module")
def call(calling, place, as_flags):
    """Runs ``condense`` on one store with short trainings."""
    return calling(place, more=as_flags(TINY))


@pytest.fixture(scope="module")
def document(call, place):
    return json.loads(call("shrink", *ASKED, "--out", place / "one", "--json").stdout)


def test_the_document_has_what_others_build_on(document, place):
    assert document.keys() >= {*("keep", "metric", "size", "test", "curve", "artefact")}
    assert document["size"].keys() >= {"samples", "fraction", "low", "high"}
    assert document["test"].keys() >= {"condensed", "random", "whole"}
    point = {"method", "samples", "mean", "low", "high", "seconds", "bytes"}
    assert all(row.keys() == point for row in document["curve"])
    assert {row["method"] for row in document["curve"]} == {"herding", "random"}
    assert document["artefact"] == str(place / "one")
    # 8 × 8 and int64, of sizes that are means over the parts
    assert all(abs(row["bytes"] - 72 * row["samples"]) <= 36 for row in document["curve"])
    assert all(row["seconds"] > 0 for row in document["curve"] if row["method"] == "herding")


def test_it_follows_its_schema(document):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((FOLDER / "shrink.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
    assert document.keys() == schema["properties"].keys()


def test_the_folder_is_a_runs(document, place, call):
    folder = place / "one"
    names = {path.name for path in folder.iterdir()}
    assert names >= {*STUDY, "condensed.safetensors", "manifest.json", "recipe.toml", "index.csv"}
    small = CondensedDataset.load(folder)
    assert len(small) == document["size"]["samples"] >= document["size"]["high"]
    assert small.recipe["fraction"] == document["size"]["fraction"]
    results = json.loads((folder / "results.json").read_text())
    assert results["accuracy"]["mean"] == document["test"]["condensed"]
    assert results["baselines"]["whole"]["mean"] == document["test"]["whole"]
    call("export", folder, "--to", "npz", "--out", place / "small.npz", more=())
    page = place / "page.html"
    call("report", folder, "--out", page, more=())
    assert page.is_file()


def test_its_recipe_repeats_the_set_and_its_accuracy(document, place, call):
    given = ("--recipe", place / "one/recipe.toml", "--out", place / "again", "--json")
    again = json.loads(call("run", *given, more=()).stdout)
    assert again["accuracy"]["mean"] == document["test"]["condensed"]
    names = ("condensed.safetensors", "index.csv")
    for name in names:
        assert (place / "again" / name).read_bytes() == (place / "one" / name).read_bytes()
    told = json.loads(call("evaluate", place / "one", "--json", more=()).stdout)
    assert told["accuracy"]["mean"] == document["test"]["condensed"]


def test_the_study_stays_beside_the_set_where_its_recipe_is_run_again(document, place, call):
    shutil.copytree(place / "one", place / "repeated")
    study = {name: (place / "one" / name).read_bytes() for name in STUDY}
    recipe = place / "repeated/recipe.toml"
    call("run", "--recipe", recipe, "--out", place / "repeated", more=())
    assert {n: (place / "repeated" / n).read_bytes() for n in STUDY} == study
    other = ("--recipe", recipe, "--seed", 7, "--out", place / "repeated", "--force")
    call("run", *other, more=())
    assert not STUDY & {path.name for path in (place / "repeated").iterdir()}


def test_the_file_is_the_document_without_the_clock(document, place):
    stored = json.loads((place / "one/shrink.json").read_text())
    assert stored["artefact"] is None
    assert all(row["seconds"] is None for row in stored["curve"])
    for key in stored.keys() - {"artefact", "curve"}:
        assert stored[key] == document[key]
    lines = list(csv.DictReader(io.StringIO((place / "one/shrink.csv").read_text())))
    assert [line["method"] for line in lines][-1] == "whole"
    assert [float(line["mean"]) for line in lines[:-1]] == [r["mean"] for r in document["curve"]]


def test_from_nothing_it_is_the_same_to_the_byte(document, place, call):
    call("shrink", *ASKED, "--out", place / "fresh", store="other")
    for name in (*STUDY, "condensed.safetensors", "recipe.toml", "index.csv"):
        assert (place / "fresh" / name).read_bytes() == (place / "one" / name).read_bytes(), name


def test_what_is_printed(document, place, call):
    out = call("shrink", *ASKED, "--out", place / "one").stdout
    flat = " ".join(out.split())
    size = document["size"]
    assert f"{size['samples']} samples (" in flat
    assert "is the upper end of a one-sided 90 % interval" in flat
    assert "random subset" in flat
    assert f"condensed {100 * document['test']['condensed']:.2f}" in flat
    assert str(place / "one") in out


def test_where_nothing_is_enough_there_is_no_set(place, call):
    given = ("--keep", "0.99", "--max-fraction", "0.01", *ASKED[2:], "--out", place / "none")
    found = call("shrink", *given)
    assert "nothing up to 1 % of the training split is sure to keep 99 %" in found.stdout
    assert {path.name for path in (place / "none").iterdir()} == STUDY
    document = json.loads(call("shrink", *given, "--json").stdout)
    assert (document["size"], document["test"], document["artefact"]) == (None,) * 3


def test_a_folder_of_its_own_may_be_replaced_and_no_other(document, place, call):
    shutil.copytree(place / "one", place / "copy")
    (place / "copy/notes.txt").write_text("mine")
    error = call("shrink", *ASKED, "--out", place / "copy", code=1).stderr
    assert "holds other files (notes.txt)" in error
    (place / "copy/notes.txt").unlink()
    given = ("--keep", "0.99", "--max-fraction", "0.01", *ASKED[2:], "--out", place / "copy")
    before = {path.name: path.read_bytes() for path in (place / "copy").iterdir() if path.is_file()}
    error = call("shrink", *given, code=1).stderr
    assert "no size is enough, and" in error
    assert "holds the set of another answer" in error
    after = {path.name: path.read_bytes() for path in (place / "copy").iterdir() if path.is_file()}
    assert after == before


def test_a_dry_run_does_nothing(place, call):
    given = ("--dry-run", "--out", place / "nowhere", "--json")
    plan = json.loads(call("shrink", *ASKED, *given, store="empty").stdout)
    assert plan["dry_run"]
    assert plan["seconds"] > 0
    assert not (place / "nowhere").exists()
    assert "runs; what they share is counted once" in call("shrink", *ASKED, *given[:-1]).stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--keep", "1.5"], "--keep must be in (0, 1), got 1.5; try --keep 0.95"),
        (["--keep", "nan"], "--keep must be in (0, 1), got nan"),
        (
            ["--max-fraction", "0"],
            "--max-fraction must be in (0, 0.8), as each seed holds the rest out, got 0",
        ),
        (["--metric", "f1"], "unknown --metric f1"),
        (["--metric", "worst-clas"], "did you mean 'worst-class'"),
        (["--methods", "herdin"], "unknown method 'herdin'"),
        (["--methods", "herding,"], "--methods herding,: value 2 is empty"),
        (["--methods", "random"], "nothing to compare with random"),
        (["--seeds", "1"], "says nothing of how trainings differ"),
        (["--executor", "nope"], "unknown executor 'nope'"),
        (["-o", "selector.nothing=1"], "unknown option"),
    ],
)
def test_mistakes(call, place, given, said):
    result = call("shrink", *given, "--out", place / "wrong", code=2)
    (line,) = [text for text in result.stderr.splitlines() if text.startswith("error:")]
    assert said in line
    assert not (place / "wrong").exists()
