"""``condense run --method auto`` on the real engine with tiny settings on digits."""

import json
import re

import pytest

from condense.cli.running.choosing import show_choice
from condense.studies.choosing.result import ChoiceDocument

CLOCK = {"run.log.json", "choice.json"}


@pytest.fixture(scope="module", autouse=True)
def few_seeds():
    """No more seeds than there must be: the rules are the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("condense.studies.choosing.design.MOST", 1)
        yield


@pytest.fixture(scope="module")
def call(calling, place):
    return calling(place, "run", more=("--device", "cpu"))


@pytest.fixture(scope="module")
def auto(call, tiny, as_flags):
    """A call with ``--method auto``; twenty steps teach the networks something."""
    small = {"selector.epochs": 2, "selector.network.width": 8}  # of what goes by features
    values = tiny | {"evaluator.steps": 20, "scorer.epochs": 3} | small
    return lambda *args, **more: call("--method", "auto", *args, *as_flags(values), **more)


@pytest.fixture(scope="module")
def made(auto, place):
    return auto("--out", place / "out", "--no-baselines")


@pytest.fixture(scope="module")
def document(made, place):
    return json.loads((place / "out" / "choice.json").read_text())


def rungs_of(document):
    """``"9 under 1 seed, 5 under 2 seeds, 1 under 6 seeds"``."""
    rungs = [(rung["candidates"], rung["seeds"]) for rung in document["plan"]["rungs"]]
    assert [seeds for _, seeds in rungs] == [1, 2, 6]
    return ", ".join(f"{n} under {s} seed{'s' * (s != 1)}" for n, s in rungs)


def test_the_table_has_the_figures_of_the_file(made, document):
    rows = [re.split(r"\s{2,}", line) for line in made.stdout.splitlines()]
    for one in (document["random"], *document["tried"]):
        called = one["name"].replace("selector.", "").replace("policy=", "")
        (row,) = [r for r in rows if r[0] == called and len(r) > 3]
        assert row[1] == str(len(one["accuracies"]))
        assert row[2].startswith(f"{100 * one['accuracy']['mean']:.2f}")
        if one["to_random"] is not None:
            assert row[3].startswith(f"{100 * one['to_random']['mean']:+.2f}")
    assert "the test split was not read" in made.stdout
    told = "is chosen: " if document["better"] else "random is kept: the best, "
    assert told in made.stdout
    assert f"candidates and rungs: {rungs_of(document)} (at most" in made.stderr
    # neither of them twice, though both streams may be one terminal
    assert "candidates and rungs" not in made.stdout
    assert told not in made.stderr


def test_the_table_has_a_line_a_candidate_at_80_columns(document, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    show_choice(ChoiceDocument.model_validate_json(json.dumps(document)))
    lines = capsys.readouterr().out.splitlines()
    end = lines.index("")
    start = next(n for n, line in enumerate(lines) if line.startswith("---"))
    named = [line.split()[0] for line in lines[start + 1 : end] if not line.startswith("(no room")]
    tried = [one["name"].split()[0] for one in (document["random"], *document["tried"])]
    assert sorted(named) == sorted(tried)
    assert max(map(len, lines)) <= 80
    assert len(lines) < 24


def test_the_noise_rule_holds_in_the_file(document):
    best = document["tried"][0]
    assert best["name"] == document["best"]
    assert document["better"] == (best["to_random"]["low"] > 0)
    assert document["chosen"] == (best["name"] if document["better"] else "random")
    differences = [
        a - b for a, b in zip(best["accuracies"], document["random"]["accuracies"], strict=True)
    ]
    fresh = differences[2:]  # it was chosen on the first two
    assert best["to_random"]["mean"] == pytest.approx(sum(fresh) / 4)


@pytest.mark.parametrize("kept", ["random", "the best"])
def test_the_recipe_repeats_the_run_to_the_byte_without_choosing(
    kept, auto, call, made, place, monkeypatch
):
    better = kept == "the best"
    monkeypatch.setattr("condense.studies.choosing.run.is_better", lambda gain: better)
    out = place / f"kept {kept}"
    auto("--out", out, "--no-baselines")
    document, recipe = json.loads((out / "choice.json").read_text()), out / "recipe.toml"
    assert document["chosen"] == (document["best"] if better else "random")
    assert f'method = "{document["chosen"].split(" ")[0]}"' in recipe.read_text()
    own, other = ("--no-baselines", "--out", place / f"again {kept}"), f"another {kept}"
    again = call("--recipe", recipe, *own, store=other)
    assert "rungs" not in again.stdout + again.stderr
    files = {p.name: p.read_bytes() for p in out.iterdir() if p.name not in CLOCK}
    repeated = {p.name: p.read_bytes() for p in (place / f"again {kept}").iterdir()}
    assert repeated.keys() == {*files, "run.log.json"}
    assert {name: repeated[name] for name in files} == files


TIMES = {"seconds", "seconds_once", "seconds_a_seed"}


def untimed(value):
    """``value`` without the seconds in its tables."""
    if isinstance(value, list):
        return [untimed(one) for one in value]
    if isinstance(value, dict):
        return {key: untimed(one) for key, one in value.items() if key not in TIMES}
    return value


def test_a_second_call_chooses_the_same_in_the_same_folder(made, document, auto, place):
    printed = json.loads(auto("--out", place / "out", "--no-baselines", "--json").stdout)
    assert untimed(document) == document  # nothing of the clock
    assert untimed(printed["choice"]) == document
    plan = printed["choice"]["plan"]
    assert {*plan, *plan["candidates"][0]} >= TIMES
    assert json.loads((place / "out" / "choice.json").read_text()) == document


def test_a_dry_run_says_candidates_and_rungs_and_does_nothing(made, document, auto, place):
    plan = json.loads(auto("--dry-run", "--json").stdout)["plan"]
    assert untimed(plan) == document["plan"]
    assert {*plan, *plan["candidates"][0]} >= TIMES
    shown = auto("--dry-run", store="dry").stdout
    for one in plan["candidates"]:
        assert re.search(
            rf"^{re.escape(one['name'])} +(< )?\S+ s +(< )?\S+ s$", shown, re.MULTILINE
        )
    assert rungs_of(document) in shown
    assert not (place / "dry" / "choices").exists()


def test_several_seeds_are_of_one_choice(made, document, auto, place):
    auto("--seeds", 2, "--no-baselines", "--out", place / "two")
    for seed in (0, 1):
        assert json.loads((place / "two" / f"s{seed}" / "choice.json").read_text()) == document


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (("--method", "auto", "--minutes", 0), "--minutes must be above 0, got 0"),
        (("--method", "mtt", "--minutes", 3), "--minutes 3 is for the choice of a method"),
        (("--method", "auto", "-o", "matcher.stepz=1"), "stepz"),
        (("--method", "auto", "--minutes", 0.0001), "is too short to try anything beside random"),
    ],
)
def test_mistakes_are_said_before_any_work(args, part, call):
    result = call(*args, code=2)
    assert part in result.stderr
    assert result.stderr.count("\n") == 1
