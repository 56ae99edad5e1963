"""``condense run --seeds``: what differs between the runs, what is shared, and what is printed."""

import json
import re

import numpy as np
import pytest
from scipy.stats import t

from condense.cli.schema import FOLDER
from condense.engine.runtime.store import Store


@pytest.fixture(scope="module")
def call(calling, place, tiny_flags):
    """Runs a command with tiny settings on a store of the module."""
    plain, tiny = calling(place), calling(place, more=(*tiny_flags, "--device", "cpu"))
    return lambda command, *args, **how: (tiny if command == "run" else plain)(
        command, *args, **how
    )


@pytest.fixture(scope="module")
def document(call, place):
    return json.loads(call("run", "--seeds", 3, "--seed", 4, "--out", place / "o", "--json").stdout)


def made(place, store, kind):
    return sum(entry.kind == kind for entry in Store(place / store).entries())


def test_every_seed_is_a_run_of_its_own(document, call, place):
    assert [run["seed"] for run in document["runs"]] == [4, 5, 6]
    assert [run["artefact"] for run in document["runs"]] == [
        str(place / f"o/s{k}") for k in (4, 5, 6)
    ]
    assert made(place, "store", "scores") == made(place, "store", "experts") == 3
    alone = json.loads(call("run", "--seed", 5, "--out", place / "alone", "--json").stdout)
    assert all(stage["cached"] for stage in alone["stages"].values())
    assert alone["accuracy"] == document["runs"][1]["accuracy"]
    for name in ("condensed.safetensors", "recipe.toml", "results.json"):
        assert (place / "alone" / name).read_bytes() == (place / "o" / "s5" / name).read_bytes()


def test_the_interval_is_students_over_the_means_of_the_seeds(document):
    arms = {"accuracy": document["accuracy"]} | document["baselines"]
    assert arms.keys() == {"accuracy", "random", "whole"}
    for name, arm in arms.items():
        runs = [
            r["accuracy"] if name == "accuracy" else r["baselines"][name] for r in document["runs"]
        ]
        means = [run["mean"] for run in runs]
        low, high = t.interval(0.95, 2, np.mean(means), np.std(means, ddof=1) / 3**0.5)
        assert arm["n"] == 3
        assert arm["std"] == pytest.approx(np.std(means, ddof=1), abs=1e-12)
        assert (arm["mean"], arm["low"], arm["high"]) == pytest.approx(
            (np.mean(means), low, high), abs=1e-12
        )


def test_the_document_follows_its_schema(document):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((FOLDER / "run-seeds.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
    assert document.keys() == schema["properties"].keys()


def test_the_table_has_the_figures_of_the_document(document, call, place):
    out = call("run", "--seeds", 3, "--seed", 4, "--out", place / "o").stdout
    rows = [re.split(r"\s{2,}", line) for line in out.splitlines()]
    assert rows[0] == ["seed", *(f"{n}, accuracy in %" for n in ("selmatch", "random", "whole"))]
    accuracy = document["runs"][0]["accuracy"]
    assert rows[2][:2] == ["4", f"{100 * accuracy['mean']:.2f} ± {100 * accuracy['std']:.2f} (2)"]
    over = document["accuracy"]
    assert rows[5][:2] == ["mean", f"{100 * over['mean']:.2f}"]
    ends = f"{100 * over['low']:.2f} to {100 * over['high']:.2f}"
    assert rows[6][:2] == ["95 % interval", ends]
    assert "over the means of 3 seeds" in out
    assert "are advised" not in out
    assert "the seeds share nothing but the data" in out


def test_shared_scores_and_experts_are_made_once_and_the_table_says_so(call, place):
    args = ("run", "--seeds", 2, "--shared", "--no-baselines")
    out = call(*args, "--out", place / "shared", store="other").stdout
    assert "scores and experts are shared, those of seed 0" in out
    assert "2 seeds: intervals of t(1) = 12.7; 3 or more are advised" in out
    assert made(place, "other", "scores") == made(place, "other", "experts") == 1
    shared = json.loads(call(*args, "--out", place / "shared", "--json", store="other").stdout)
    assert (shared["shared_seed"], shared["baselines"]) == (0, {})
    own, other = shared["runs"]
    assert own["accuracy"]["values"] != other["accuracy"]["values"]


def test_one_seed_has_no_interval(call, place):
    one = json.loads(call("run", "--seeds", 1, "--out", place / "one", "--json").stdout)["accuracy"]
    assert (one["n"], one["std"], one["low"], one["high"]) == (1, 0, None, None)


def test_a_report_reads_the_folder(document, call, place):
    made = json.loads(call("report", place / "o", "--out", place / "r.html", "--json").stdout)
    assert [run["seed"] for run in made["runs"]] == [4, 5, 6]


@pytest.mark.parametrize("shared", [(), ("--shared",)])
def test_a_dry_run_counts_what_seeds_share_once(call, place, shared):
    """Of those of :func:`document`, stored, and one more."""
    asked = ("run", "--seeds", 2, "--seed", 21, *shared, "--dry-run")
    plan = json.loads(call(*asked, "--json", store="dry").stdout)
    times = {work["stage"]: (work["times"], work["cached"]) for work in plan["stages"]}
    once = (1 if shared else 2, 0)
    each = dict.fromkeys(("selector", "matcher", "evaluator", "random", "whole"), (2, 0))
    assert times == {"scorer": once, "prepare": once, **each}
    assert (plan["runs"], plan["seeds"], plan["recipe"]["seed"]) == (2, [21, 22], 21)
    assert call(*asked, store="dry").stdout.splitlines()[-3] == (
        "2 seeds: 2 runs; what they share is counted once"
    )
    assert not (place / "dry").exists()


def test_a_dry_run_of_seeds_knows_what_is_stored(call, document):
    plan = json.loads(call("run", "--seeds", 3, "--seed", 4, "--dry-run", "--json").stdout)
    assert {(work["times"], work["cached"]) for work in plan["stages"]} == {(3, 3)}
    assert plan["seconds"] == plan["disk_mb"] == 0


def test_without_out_the_folder_is_that_of_a_run_with_the_seeds(call, place, monkeypatch):
    monkeypatch.chdir(place)
    out = json.loads(call("run", "--seeds", 2, "--shared", "--json").stdout)["out"]
    assert re.fullmatch(r"runs/selmatch-digits-ipc5-s0-[0-9a-f]+-seeds2-shared", out)


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--seeds", 0], "--seeds must be at least 1, got 0"),
        (["--shared"], "--shared says what several seeds share; give --seeds N"),
        (
            ["--seeds", 2, "--dry-run", "--method", "auto"],
            "--seeds 2: --dry-run of --method auto plans the choice alone; leave --seeds out",
        ),
    ],
)
def test_flags_that_make_no_sense_are_refused(call, args, part):
    result = call("run", *args, code=2)
    assert part in result.stderr
    assert result.stdout == ""


def test_a_folder_that_holds_something_else_is_refused_before_any_work(call, place):
    (place / "taken" / "s1").mkdir(parents=True)
    (place / "taken" / "s1" / "thesis.txt").write_text("all of it")
    call("run", "--seeds", 2, "--out", place / "taken", code=1, store="empty")
    assert made(place, "empty", "scores") == 0
