"""Trainings that end in NaN: scores and experts are refused, accuracies come with a warning."""

import json
from pathlib import Path

import click.testing
import pytest

from condense.cli.main import main
from condense.plugin.host import build_host

ENOUGH = ("-o", "evaluator.repeats=2", "-o", "evaluator.network=convnet", "-o", "evaluator.steps=4")
DYNAMICS = ("-o", "scorer.epochs=1", "-o", "scorer.networks=1")


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs a command on a store of its own, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    host = build_host(external=False)
    environment = {"CONDENSE_STORE": str(tmp_path / "store")}

    def run(*args):
        return click.testing.CliRunner().invoke(main, args, obj=host, env=environment)

    return run


def test_an_accuracy_of_networks_that_are_not_finite_is_not_believed(call):
    options = (*ENOUGH, "-o", "evaluator.lr=1e30")
    for _ in range(2):  # made, then read from the store
        done = call("run", "--method", "random", "--ipc", "2", "--force", "--json", *options)
        assert done.exit_code == 0, done.stderr
        codes = [
            (f["code"], f["message"].split(" trained")[0])
            for f in json.loads(done.stdout)["findings"]
        ]
        assert ("network-diverged", "2 of 2 networks") in codes
        assert "warning: 2 of 2 networks trained on condensed" in done.stderr
        assert "try: lower evaluator.lr" in done.stderr


def test_a_comparison_tells_of_every_arm_whose_networks_are_not_finite(call):
    options = (*ENOUGH, "-o", "evaluator.lr=1e30", *DYNAMICS)
    done = call("compare", "window", "--ipc", "2", "--seeds", "1", "--json", *options)
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    found = {
        row["method"]: [(f["code"], f["message"].split(" have")[0]) for f in row["findings"]["0"]]
        for row in document["rows"]
    }
    assert found == {
        arm: [("network-diverged", f"2 of 2 networks trained on {name}")]
        for arm, name in (("random", "random"), ("window", "condensed"), ("whole", "whole"))
    }
    assert "warning: 3 of 3 runs, first random, ipc 2, seed 0: 2 of 2" in done.stderr
    shown = call("report", document["out"], "--out", "report.html")
    assert shown.exit_code == 0, shown.stderr
    assert Path("report.html").read_text().count(", network-diverged") >= 1


@pytest.mark.parametrize("scorer", ["cscore", "forgetting", "el2n", "cscore:holdout"])
def test_scores_of_networks_that_are_not_finite_are_refused(call, scorer):
    more = ("-o", "scorer.repeats=1") if "holdout" in scorer else DYNAMICS[2:]
    rate = ("-o", "scorer.lr=1e30", "-o", f"scorer={scorer}", *DYNAMICS[:2], *more)
    done = call("score", *rate, "--out", "scores.npz")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == (
        "error: a network trained for the scores diverged: its parameters are not finite; lower "
        "scorer.lr"
    )


def test_experts_that_are_not_finite_are_refused(call):
    matching = (
        "-o",
        "matcher.experts=1",
        "-o",
        "matcher.expert_lr=1e38",
        "-o",
        "matcher.iterations=2",
    )
    done = call("run", "--method", "mtt", "--ipc", "2", *matching)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == (
        "error: an expert diverged: its parameters are not finite; lower matcher.expert_lr"
    )


def test_a_cell_of_an_ablation_says_what_is_wrong_with_its_set(call):
    broken = ("-o", "evaluator.lr=1e30")
    vary = ("--vary", "selector=random,easiest", "--seeds", "1")
    done = call("ablate", "random", "--ipc", "2", *vary, *ENOUGH, *broken, *DYNAMICS, "--json")
    assert done.exit_code == 0, done.stderr
    cells = json.loads(done.stdout)["cells"]
    for cell in cells:
        assert "network-diverged" in [finding["code"] for finding in cell["findings"]["0"]]
    assert "warning: 2 of 2 runs, first " in done.stderr
