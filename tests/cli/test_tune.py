"""``condense tune`` on the real engine with tiny settings on digits."""

import json
import re
import sys

import click.testing
import pytest

from condense.plugin.host import build_host

SHORT = ("--seeds", 2, "--share", 1, "--grid", 3)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("tune")


@pytest.fixture(scope="module")
def call(place, tiny):
    """Runs ``condense tune`` on one store with tiny settings."""
    from condense.cli.main import main

    host = build_host(external=False)
    values = {k: v if isinstance(v, str) else json.dumps(v) for k, v in tiny.items()}
    options = [part for k, v in values.items() for part in ("-o", f"{k}={v}")]

    def run(*args, code=0, environment=()):
        given = ["tune", *map(str, args), *options, "--device", "cpu"]
        env = {"CONDENSE_STORE": str(place / "store")} | dict(environment)
        result = click.testing.CliRunner().invoke(main, given, obj=host, env=env)
        assert result.exit_code == code, result.stderr
        return result

    return run


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
    (stage,) = document["arms"][0]["stages"]
    assert len(stage["points"]) == 3
    for point in stage["points"]:
        (row,) = [r for r in rows if r[0] == f"{point['values'][0]:g}"]
        accuracy = point["accuracy"]
        shown = f"{100 * accuracy['mean']:.2f} ± {100 * accuracy['standard_error']:.2f}"
        assert row[1:4] == [str(accuracy["n"]), shown, f"{100 * point['guess']:.2f}"]
    best = document["best"]["found"]["selector.beta"]
    assert f"Best: selector.beta = {best:g}, at " in printed
    assert re.search(r"rank agreement with the trained values is [+-]\d\.\d\d", printed)
    assert "the test split was not read" in printed
    assert "60 trainings" not in printed  # 10 places × 2 seeds
    assert "20 trainings" in printed


def test_the_cost_held_against_a_grid_is_that_of_the_first_search(printed, call, place):
    assert "; the search took" in printed
    also = ("--also", "policy.alpha", "--step", 1)
    both = call(*SHORT, *also, "--out", place / "also").stdout
    assert "matching runs" in both
    assert "; that over selector.beta took" in both


def test_the_recipe_runs(printed, call, place):
    from condense.cli.main import main

    args = ["run", "--recipe", str(place / "out" / "recipe.toml"), "--no-baselines", "--json"]
    env = {"CONDENSE_STORE": str(place / "store")}
    run = click.testing.CliRunner().invoke(main, [*args, "--out", str(place / "run")], env=env)
    assert run.exit_code == 0, run.stderr
    document = json.loads((place / "out" / "tune.json").read_text())
    text = (place / "run" / "recipe.toml").read_text()
    assert f"beta = {document['best']['found']['selector.beta']}" in text


def test_without_out_the_folder_is_named_after_the_question(printed, call, place, monkeypatch):
    monkeypatch.chdir(place)
    folder = json.loads(call(*SHORT, "--json").stdout)["out"]
    assert re.fullmatch(r"runs/tune-selmatch-digits-[0-9a-f]{8}", folder)
    assert (place / folder / "tune.png").read_bytes()[:4] == b"\x89PNG"


def test_over_prints_one_table_and_writes_the_best(printed, call, place):
    args = ("--over", "scorer=cscore,el2n", "--seeds", 1, "--share", 1, "--grid", 2)
    document = json.loads(call(*args, "--out", place / "over", "--json").stdout)
    assert [arm["name"] for arm in document["arms"]] == ["scorer=cscore", "scorer=el2n"]
    assert document["recipe"]["scorer"]["component"] == document["best"]["values"]["scorer"]
    out = call(*args, "--out", place / "over").stdout
    lines = [line for line in out.splitlines() if re.match(r"scorer=\w+ +selector.beta=", line)]
    assert len(lines) == 2
    (best,) = [line for line in lines if line.endswith("best")]
    assert best.startswith(document["best"]["name"])
    means = [max(p["accuracy"]["mean"] for p in arm["stages"][0]["points"])
             for arm in document["arms"]]  # fmt: skip
    assert document["best"]["accuracy"]["mean"] == max(means)


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["--range", "0.5"], "--range must be two numbers LOW,HIGH such as 0.1,0.9, got 0.5"),
        (["--range", "0.9,0.1"], "--range must be LOW,HIGH with LOW below HIGH, got 0.9,0.1"),
        (["--sampler", "grid"], "'grid' is not one of"),
        (["--key", "selector.betta"], "has no option betta; did you mean 'beta'?"),
        (["--key", "beta"], "beta is no STAGE.OPTION"),
        (["--also", "policy.alfa"], "policy 'partial' has no option alfa; did you mean 'alpha'?"),
        (["--over", "scorer"], "--over scorer: expected STAGE=COMPONENT"),
        (["--over", "policy=full,partial"], "compares nothing: without --also only selections"),
        (["--over", "scorer=cscroe"], "--over scorer=cscroe: "),
        (["--validation", "1"], "the validation share must be in (0, 1), got 1.0"),
        (["-o", "selector=random"], "selector 'random' has no option beta"),
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
    result = call("--sampler", "tpe", code=2)
    assert (
        "install the extra `tune` (pip install 'condense-data[tune]') or use --sampler golden"
        in result.stderr
    )


def test_a_folder_that_holds_something_else_is_refused_before_any_work(call, place):
    other = place / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("all of it")
    before = sorted((place / "store").rglob("entry.json"))
    result = call("--grid", 4, "--out", other, code=1)
    assert "holds other files" in result.stderr
    assert sorted((place / "store").rglob("entry.json")) == before
