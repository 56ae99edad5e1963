"""``condense coverage`` on the real engine with tiny settings on digits."""

import json

import pytest

OPTIONS = (
    *("-o", "evaluator.feature_network.width=8", "-o", "evaluator.feature_epochs=1"),
    *("-o", "evaluator.networks=1", "--device", "cpu"),
)


@pytest.fixture(scope="module")
def call(calling, place):
    """Runs ``condense`` on one store."""
    return calling(place)


@pytest.fixture(scope="module")
def runs(call, place, tiny_flags):
    """Two artefacts: partial with a snapshot, and full."""
    options = [*tiny_flags, "-o", "matcher.snapshots=[2]", "--ipc", "2", "--no-baselines"]
    made = []
    for policy in ("partial", "full"):
        made.append(place / policy)
        call("run", *options, "-o", f"policy={policy}", "--out", made[-1])
    return made


@pytest.fixture(scope="module")
def printed(call, runs, place):
    result = call("coverage", *runs, *OPTIONS, "--out", place / "out")
    assert result.stderr == ""  # no terminal, no progress
    return result.stdout


def test_a_dry_run_says_what_is_trained_and_writes_nothing(printed, call, runs, place):
    asked = ("coverage", *runs, *OPTIONS, "--dry-run", "--json", "--out", place / "dry")
    before = sorted(place.rglob("*"))
    (stage,) = json.loads(call(*asked).stdout)["stages"]
    assert (stage["stage"], stage["component"], stage["cached"]) == ("features", "convnet", True)
    (fresh,) = json.loads(call(*asked, "-o", "evaluator.feature_seed=5").stdout)["stages"]
    assert (fresh["cached"], fresh["seconds"] > 0) == (False, True)
    assert sorted(place.rglob("*")) == before
    assert "radius_quantile=2" in call(*asked, "--radius-quantile", 2, code=2).stderr


def test_the_table_has_the_figures_of_the_json(printed, call, runs, place):
    result = call("coverage", *runs, *OPTIONS, "--out", place / "out", "--json")
    document = json.loads(result.stdout)
    assert document["out"] == str(place / "out")
    lines = printed.splitlines()[2:]
    expected = [
        [run["label"], p["iteration"], p["all"], p["easy"], p["hard"], p["area"]["all"]]
        for run in document["runs"]
        for p in run["iterations"]
    ]
    assert [e[1] for e in expected] == [0, 2, 3] * 2
    for line, (label, iteration, *shares) in zip(lines, expected, strict=False):
        assert line.startswith(f"{label}  ")
        assert line.split()[2:] == [str(iteration), *(f"{100 * s:.2f}" for s in shares)]
    assert {run["label"] for run in document["runs"]} == {
        "selmatch policy=partial",
        "selmatch policy=full",
    }
    written = json.loads((place / "out" / "coverage.json").read_text())
    assert written == {k: v for k, v in document.items() if k != "out"}
    assert "95 % of training samples" in printed


def test_a_second_call_trains_nothing_and_writes_the_same_bytes(printed, call, runs, place):
    entries = sorted((place / "store" / "coverage").glob("*/entry.json"))
    assert len(entries) == 1
    before = {p.name: p.read_bytes() for p in (place / "out").iterdir()}
    call("coverage", *runs, *OPTIONS, "--out", place / "out")
    assert sorted((place / "store" / "coverage").glob("*/entry.json")) == entries
    assert {p.name: p.read_bytes() for p in (place / "out").iterdir()} == before


def test_flags_of_the_radius(call, runs, place):
    out = ("--out", place / "other", "--json")
    loose = json.loads(call("coverage", *runs, *OPTIONS, *out).stdout)
    flags = ("--radius-quantile", "0.5", "--same-class")
    strict = json.loads(call("coverage", *runs, *OPTIONS, *flags, *out).stdout)
    assert (strict["quantile"], strict["same_class"]) == (0.5, True)
    assert strict["radius"] < loose["radius"]
    for one, other in zip(strict["runs"], loose["runs"], strict=True):
        assert one["iterations"][-1]["all"] <= other["iterations"][-1]["all"]


@pytest.mark.parametrize(
    ("args", "code", "part"),
    [
        ((), 2, "missing argument"),
        (("nowhere",), 1, "nowhere is not a condensed set"),
        (("RUN", "--radius-quantile", "0"), 2, "radius_quantile=0"),
        (("RUN", "-o", "matcher.steps=3"), 2, "only the stages data, evaluator"),
        (("RUN", "-o", "evaluator.steps=3"), 2, "unknown option evaluator.steps"),
        (("RUN", "-o", "evaluator=accuracy"), 2, "has no effect here"),
        (("RUN", "--out", "RUN"), 1, "holds other files"),
    ],
)
def test_mistakes_are_one_line(call, runs, args, code, part):
    given = [runs[0] if a == "RUN" else a for a in args]
    result = call("coverage", *given, code=code)
    assert part in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_run_and_evaluate_name_what_the_evaluator_measures(call, runs, place, tiny, as_flags):
    given = ["-o", "evaluator=coverage", *OPTIONS]
    shown = call("evaluate", runs[0], *given)
    assert "coverage, % ± std (n)" in shown.stdout
    document = json.loads(call("evaluate", runs[0], *given, "--json").stdout)
    assert document["measure"] == "coverage"
    covered = json.loads(
        call("coverage", runs[0], *OPTIONS, "--out", place / "one", "--json").stdout
    )
    same = covered["runs"][0]["iterations"][-1]["all"]
    assert document["accuracy"]["mean"] == pytest.approx(same)
    options = as_flags({k: v for k, v in tiny.items() if not k.startswith("evaluator")})
    out = ("--ipc", "2", "--out", place / "covered")
    shown = call("run", *options, *given, *out).stdout
    assert "coverage, % ± std (n)" in shown
    assert {"random", "whole"} <= {line.split(" ")[0] for line in shown.splitlines()}
