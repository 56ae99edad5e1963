"""``condense tune`` on the real engine with tiny settings on digits."""

import json
import re
import sys

import pytest

SHORT = ("--seeds", 2, "--share", 0.5)


@pytest.fixture(scope="module", autouse=True)
def few_places():
    """3 places and no zoom: the rules are the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("condense.studies.tuning.search.SCAN", 3)
        patch.setattr("condense.studies.tuning.search.ZOOMS", 0)
        yield


@pytest.fixture(scope="module")
def call(calling, place, tiny_flags):
    """Runs ``condense tune`` on one store with tiny settings."""
    return calling(place, "tune", more=(*tiny_flags, "--device", "cpu"))


@pytest.fixture(scope="module")
def printed(call, place):
    """What the first call printed."""
    result = call(*SHORT, "--out", place / "out")
    assert result.stderr == ""  # no terminal, no progress
    return result.stdout


def test_the_table_the_json_and_the_files_have_the_same_figures(printed, call, place):
    document = json.loads(call(*SHORT, "--out", place / "out", "--json").stdout)
    assert document["computed"] == 0  # the store had it all
    written = json.loads((place / "out" / "tune.json").read_text())
    assert {k: document[k] for k in written} == written
    rows = [re.split(r"\s{2,}", line) for line in printed.splitlines()]
    (search,) = document["arms"][0]["stages"]
    assert len(search["points"]) == 3
    for point in (*search["points"], *search["finals"]):
        accuracy = point["accuracy"]
        shown = f"{100 * accuracy['mean']:.2f} ± {100 * accuracy['standard_error']:.2f}"
        assert [f"{point['values'][0]:g}", str(accuracy["n"]), shown] in [r[:3] for r in rows]
    best = document["best"]["found"]["selector.beta"]
    assert f"Best: selector.beta = {best:g}, at " in printed
    assert "the test split was not read" in printed
    cost = document["arms"][0]["cost"]
    assert f"{cost['trainings']} trainings with {cost['steps']} optimiser steps in all (" in printed


def test_a_dry_run_says_how_many_trainings_and_leaves_nothing(call, tmp_path):
    store = {"CONDENSE_STORE": str(tmp_path / "dry")}
    plan = json.loads(call(*SHORT, "--dry-run", "--json", environment=store).stdout)
    assert not (tmp_path / "dry").exists()
    assert plan["trainings"] == {"least": 3 * 2 + 2, "most": 3 * 4 + 3 * 2}
    assert plan["matchings"] == {"least": 0, "most": 0}
    assert (plan["unknown"], plan["failed"]) == ([], {})
    shared = [one for one in plan["stages"] if "least" not in one]
    each = [one for one in plan["stages"] if "least" in one]
    # in a feature space of each seed every window is thinned
    assert {one["stage"]: one["times"] for one in shared} == {"scorer": 1, "selector": 2}
    for end in ("least", "most"):
        total = sum(one["seconds"] for one in shared)
        total += sum(one[end] * one["seconds"] for one in each)
        assert plan["seconds"][end] == pytest.approx(total)
    made = json.loads(call(*SHORT, "--json", "--out", tmp_path / "out", environment=store).stdout)
    (arm,) = made["arms"]
    assert plan["trainings"]["least"] <= arm["cost"]["trainings"] <= plan["trainings"]["most"]
    text = call(*SHORT, "--over", "scorer=cscore,el2n", "--dry-run", environment=store).stdout
    assert "16–36 trainings, as the curve asks for:" in text  # of two recipes
    assert "evaluator, full length (el2n)" in text


def test_two_options_take_matching_runs(call, place):
    pytest.importorskip("optuna")
    args = ("--also", "policy.alpha", "--trials", 2, "--seeds", 1, "--finals", 0)
    both = call(*args, "--out", place / "also").stdout
    assert re.search(r"^selector.beta +policy.alpha +n +accuracy", both, flags=re.MULTILINE)
    assert "and 2 matching runs (" in both


def test_the_recipe_runs(printed, calling, place):
    given = ("--recipe", place / "out" / "recipe.toml", "--no-baselines", "--json")
    calling(place, "run")(*given, "--out", place / "run")
    document = json.loads((place / "out" / "tune.json").read_text())
    text = (place / "run" / "recipe.toml").read_text()
    assert f"beta = {document['best']['found']['selector.beta']}" in text


def test_without_out_the_folder_is_named_after_the_question(printed, call, place, monkeypatch):
    monkeypatch.chdir(place)
    folder = json.loads(call(*SHORT, "--json").stdout)["out"]
    assert re.fullmatch(r"runs/tune-selmatch-digits-[0-9a-f]{8}", folder)
    assert (place / folder / "tune.png").read_bytes()[:4] == b"\x89PNG"


def test_over_prints_one_table_and_writes_the_best(printed, call, place):
    args = ("--over", "scorer=cscore,el2n", "--seeds", 1, "--share", 1)
    document = json.loads(call(*args, "--out", place / "over", "--json").stdout)
    assert [arm["name"] for arm in document["arms"]] == ["scorer=cscore", "scorer=el2n"]
    assert document["recipe"]["scorer"]["component"] == document["best"]["values"]["scorer"]
    out = call(*args, "--out", place / "over").stdout
    lines = [line for line in out.splitlines() if re.match(r"scorer=\w+ +selector.beta=", line)]
    assert len(lines) == 2
    (best,) = [line for line in lines if line.endswith("best")]
    assert best.startswith(document["best"]["name"])
    means = [
        max(p["accuracy"]["mean"] for p in arm["stages"][0]["points"]) for arm in document["arms"]
    ]
    assert document["best"]["accuracy"]["mean"] == max(means)


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--seeds", "0"], "invalid value for '--seeds': 0 is not in the range 1<=x<=10000"),
        (["--share", "0"], "invalid value for '--share': 0.0 is not in the range 0<x<=1"),
        (["--finals", "-1"], "invalid value for '--finals': -1 is not in the range x>=0"),
        (["--seeds", "3", "--max-seeds", "2"], "--max-seeds must be at least --seeds 3, got 2"),
        (["--range", "0.5"], "--range must be two numbers LOW,HIGH such as 0.1,0.9, got 0.5"),
        (["--range", "0.9,0.1"], "--range must be LOW,HIGH with LOW below HIGH, got 0.9,0.1"),
        (["--key", "selector.betta"], "has no real-valued option betta; did you mean 'beta'?"),
        (["--key", "beta"], "key 'beta' is no STAGE.OPTION"),
        (
            ["--also", "policy.alfa"],
            "policy 'partial' has no real-valued option alfa; did you mean 'alpha'?",
        ),
        (["--over", "scorer"], "--over scorer: expected STAGE=COMPONENT"),
        (["--over", "policy=full,partial"], "compares nothing: only selections are trained on"),
        (["--over", "scorer=cscroe"], "--over scorer=cscroe: "),
        (["--validation", "1"], "1.0 is not in the range 0<x<1"),
        (["-o", "selector=random"], "selector 'random' has no real-valued option beta"),
    ],
)
def test_a_usage_mistake_is_named_and_exits_with_2(call, args, part):
    result = call(*args, code=2)
    assert part in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_optuna_the_extra_is_named(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = call("--also", "policy.alpha", code=2)
    assert re.search(
        r"install the extra `tune` \(pip install .*\[tune\]'\) or leave", result.stderr
    )


def test_a_folder_that_holds_something_else_is_refused_before_any_work(call, place):
    other = place / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("all of it")
    before = sorted((place / "store").rglob("entry.json"))
    result = call("--seeds", 4, "--out", other, code=1)
    assert "holds other files" in result.stderr
    assert sorted((place / "store").rglob("entry.json")) == before


@pytest.mark.parametrize(("flag", "value"), [("--share", "nan"), ("--range", "0,inf")])
def test_a_number_that_is_none_is_refused_in_one_line(call, flag, value):
    result = call(flag, value, code=2)
    (line,) = result.stderr.splitlines()
    assert flag in line
    assert value in line
