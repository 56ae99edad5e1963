"""Tuning: what it reads, what a second call costs, what it writes."""

import csv
import io
import json
from dataclasses import replace

import pytest
import torch

from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.errors import CondenseError, DataError, OptionError
from condense.recipe import read_recipe
from condense.resolve import Request, resolve
from condense.studies.ablation.design import Cell, make_cell
from condense.studies.tuning.files import OWNED, in_words, to_csv, tuning_folder, write_tuning
from condense.studies.tuning.objective import Cost
from condense.studies.tuning.result import Arm, Row, Stage, Tuning
from condense.studies.tuning.run import tune
from condense.studies.tuning.settings import Settings

SMALL = Settings("selector.beta", seeds=2, most=3, share=1.0, scan=3, tolerance=0.3)


@pytest.fixture(scope="module")
def bench(host, digits, tiny, tmp_path_factory):
    """Tunes tiny digits; gives the result and the store."""
    stores = tmp_path_factory.mktemp("stores")
    small = {k: v for k, v in tiny.items() if not k.startswith("scorer.")} | {"scorer": "random"}

    def go(settings=SMALL, data=digits, store="store", over=None, **options):
        given = small | {k.replace("__", "."): v for k, v in options.items()}
        assignments = tuple((tuple(key.split(".")), value) for key, value in given.items())
        request = Request(assignments=assignments)
        base = resolve(host, request)
        kept = Store(stores / store)
        tools = {"store": kept, "device": torch.device("cpu"), "progress": SilentProgress()}

        def bind(recipe, **more):
            return Pipeline(recipe, host, **tools, **({"data": data} | more))

        cells = [Cell("", {}, base)]
        if over is not None:
            key, values = over
            cells = [make_cell(host, request, base, {key: value}) for value in values]
        return tune(host, base, cells, settings, bind, SilentProgress())

    return go


def test_the_test_split_makes_no_difference(bench, digits):
    settings = replace(SMALL, grid=3)
    result = bench(settings)
    flipped = replace(digits, test=replace(digits.test, labels=9 - digits.test.labels))
    assert bench(settings, data=flipped, store="flipped").to_json() == result.to_json()
    without = bench(settings, data=digits.without_test(), store="none")
    assert without.to_json() == result.to_json()


def test_a_second_call_computes_nothing_and_says_the_same(bench):
    first = bench(store="again")
    second = bench(store="again")
    assert first.computed > 0
    assert second.computed == 0
    assert second.to_json() == first.to_json()
    assert second.arms[0].stages[0].cost == first.arms[0].stages[0].cost


def test_the_recipe_is_whole_and_holds_what_was_found(bench, tmp_path, host):
    settings = replace(SMALL, share=0.5)
    result = bench(settings, evaluator__steps=8, evaluator__repeats=3)
    arm = result.arms[0]
    assert (arm.steps, arm.whole_steps) == (4, 8)
    value = arm.stages[0].best.values[0]
    assert arm.found == {"selector.beta": value}
    write_tuning(result, tmp_path / "out")
    again = resolve(host, Request(recipe=read_recipe(tmp_path / "out" / "recipe.toml")))
    changed = {"selector": {**result.base["selector"].table, "beta": value}}
    assert again.to_dict() == result.base.to_dict() | changed


def test_costs_by_hand(bench):
    settings = replace(SMALL, share=0.5, repeats=2, finals=0)
    (arm,) = bench(settings, evaluator__steps=8).arms
    stage = arm.stages[0]
    evaluations = sum(len(row.accuracies) for row in stage.rows)
    assert stage.cost.trainings == 2 * evaluations
    assert stage.cost.steps == 4 * stage.cost.trainings
    seeds = len(stage.best.accuracies)
    assert arm.grid == {"places": 10, "trainings": 10 * 2 * seeds, "steps": 8 * 10 * 2 * seeds}
    assert stage.cost.seconds > 0


def test_the_finals_at_full_length_decide(bench):
    settings = replace(SMALL, share=0.25, finals=2)
    (arm,) = bench(settings, evaluator__steps=12).arms
    (short,) = bench(replace(settings, finals=0), evaluator__steps=12).arms
    stage, before = arm.stages[0], short.stages[0]
    assert [(r.values, r.accuracies) for r in stage.rows] == [
        (r.values, r.accuracies) for r in before.rows
    ]
    assert before.finals == ()
    one, two = stage.finals
    assert two.values[0] - one.values[0] >= settings.tolerance / 2
    assert before.best.values in (one.values, two.values)
    leader = one if one.values == before.best.values else two
    other = two if leader is one else one
    gains = [a - b for a, b in zip(other.accuracies, leader.accuracies, strict=True)]
    # two seeds: the standard error of their mean is half their distance
    overtaken = sum(gains) / 2 > abs(gains[0] - gains[1]) / 2
    assert stage.best.values == (other if overtaken else leader).values
    assert stage.top in stage.finals
    assert arm.found == {"selector.beta": stage.top.values[0]}
    # two finals, two seeds, one network each
    assert stage.cost.trainings == before.cost.trainings + 4
    assert stage.cost.steps == before.cost.steps + 4 * 12
    # at full length they are what a grid of that length says
    grid = replace(settings, share=1.0, grid=2, bounds=(one.values[0], two.values[0]))
    rows = bench(grid, evaluator__steps=12).arms[0].stages[0].rows
    assert [r.accuracies for r in rows] == [one.accuracies, two.accuracies]
    lines = list(csv.DictReader(io.StringIO(to_csv(bench(settings, evaluator__steps=12)))))
    assert [float(x["selector.beta"]) for x in lines if x["best"] == "1"] == [stage.top.values[0]]
    assert [x["full_length"] for x in lines][-2:] == ["1", "1"]


def test_a_grid_has_the_places_asked_for_under_the_same_seeds(bench):
    result = bench(replace(SMALL, grid=4, bounds=(0.0, 0.6)))
    stage = result.arms[0].stages[0]
    assert [row.values for row in stage.rows] == [(0.0,), (0.2,), (0.4,), (0.6,)]
    assert {len(row.accuracies) for row in stage.rows} == {2}
    assert stage.ranges == ((0.0, 0.6),)
    assert all(row.guess is not None for row in stage.rows)
    assert {row.values[0] for row in stage.rows} <= {at for at, _ in stage.guessed.curve}


def test_alpha_is_searched_around_its_value_with_matching(bench):
    settings = replace(SMALL, also="policy.alpha", step=0.3, seeds=1, most=1)
    result = bench(settings, policy__alpha=0.6)
    first, second = result.arms[0].stages
    assert (first.matched, second.matched) == (False, True)
    tried = [row.values[0] for row in second.rows]
    assert {0.3, 0.6, 0.9} <= set(tried) <= {0.0, 0.3, 0.6, 0.9, 1.0}
    assert second.cost.matchings == len(tried)
    found = result.arms[0].found
    assert result.arms[0].tuned["policy"].options.alpha == found["policy.alpha"]
    assert result.arms[0].tuned["selector"].options.beta == first.best.values[0]


@pytest.mark.parametrize("also", [None, "policy.alpha"])
def test_optuna_searches_alone_or_jointly_and_repeats(bench, also):
    pytest.importorskip("optuna")
    settings = replace(SMALL, sampler="tpe", trials=3, seeds=1, most=1, also=also)
    one = bench(settings)
    (stage,) = one.arms[0].stages
    assert stage.matched == (also is not None)
    assert len(stage.keys) == len(one.arms[0].found) == 1 + (also is not None)
    assert len(stage.rows) == 3
    again = bench(settings)
    assert (again.computed, again.to_json()) == (0, one.to_json())


def test_over_keeps_a_failure_in_its_arm_and_picks_the_best(bench):
    result = bench(over=("selector", ["window", "random"]))
    window, random = result.arms
    assert window.name == "selector=window"
    assert "selector 'random' has no option beta" in random.error
    assert result.best is window
    with pytest.raises(OptionError, match="has no option beta"):
        bench(selector="random")


def test_over_goes_by_the_last_search(bench):
    base = bench().base
    ahead_at_first = (stage_of((0.5, (0.9,)), best=0), stage_of((0.5, (0.7,)), best=0))
    ahead_at_last = (stage_of((0.5, (0.8,)), best=0), stage_of((0.5, (0.85,)), best=0))
    arms = [
        Arm(name, {}, base, tuple(replace(s, cost=Cost()) for s in stages), base)
        for name, stages in (("one", ahead_at_first), ("two", ahead_at_last))
    ]
    result = Tuning(base, SMALL, "digits", (8, 2), tuple(arms))
    assert result.best is arms[1]
    best = result.to_json()["best"]
    assert (best["name"], best["accuracy"]["mean"]) == ("two", 0.85)


@pytest.mark.parametrize("key", ["policy", "matcher.iterations"])
def test_what_only_matching_reads_cannot_be_compared_without_it(bench, key):
    values = {"policy": ["full", "partial"], "matcher.iterations": ["1", "2"]}[key]
    with pytest.raises(OptionError, match=r"^--over .* add --also policy\.alpha$") as caught:
        bench(over=(key, values))
    assert f"--over {key}={','.join(values)} compares nothing" in str(caught.value)


def test_data_too_small_are_refused_before_any_training(bench, digits):
    # 6 a class, of which ⌊0.4 · 6⌋ = 2 are held out: 4 left for an ipc of 5
    few = digits.subset(torch.cat([digits.class_indices(c)[:6] for c in range(10)]))
    with pytest.raises(DataError, match="class 0 has 4 images, ipc 5 asks for more"):
        bench(replace(SMALL, validation=0.4), data=few, store="few")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"seeds": 0}, "--seeds must be at least 1, got 0"),
        ({"most": 1}, "--max-seeds must be at least --seeds 2, got 1"),
        ({"share": 0.0}, "--share must be in (0, 1], got 0.0"),
        ({"steps": 0}, "--steps must be at least 1, got 0"),
        ({"grid": 1}, "--grid must be at least 2, got 1"),
        ({"scan": 2}, "--scan must be at least 3, or 0 for none, got 2"),
        ({"finals": -1}, "--finals must be at least 0, got -1"),
        ({"tolerance": 0.0}, "--tolerance must be above 0, got 0.0"),
        ({"bounds": (0.5, 0.5)}, "--range must be LOW,HIGH with LOW below HIGH, got 0.5,0.5"),
        ({"also": "selector.beta"}, "--also selector.beta is tuned already by --key"),
    ],
)
def test_settings_that_make_no_sense_are_named(change, part):
    with pytest.raises(CondenseError) as caught:
        replace(SMALL, **change).check()
    assert part in str(caught.value)


# ---- files ------------------------------------------------------------------------------------


def test_files_repeat_to_the_byte_and_say_the_same(bench, tmp_path):
    result = bench()
    for name in ("one", "two"):
        write_tuning(result, tmp_path / name)
    names = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert names == ["recipe.toml", "tune.csv", "tune.json", "tune.png"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    document = json.loads((tmp_path / "one" / "tune.json").read_text())
    assert document["best"]["found"] == {
        "selector.beta": document["arms"][0]["stages"][0]["best"][0]
    }
    assert document["recipe"]["selector"]["beta"] == document["best"]["found"]["selector.beta"]
    assert document["validation"]["fit"] + document["validation"]["held_out"] == 1437
    points = document["arms"][0]["stages"][0]["points"]
    lines = list(csv.DictReader(io.StringIO(to_csv(result))))
    for line, point in zip(lines, points, strict=True):
        assert [float(line["selector.beta"])] == point["values"]
        assert float(line["accuracy"]) == point["accuracy"]["mean"]
        assert float(line["standard_error"]) == point["accuracy"]["standard_error"]
        seeds = [float(line[f"seed_{i}"]) for i in range(3) if line[f"seed_{i}"]]
        assert seeds == point["accuracies"]
    best = [float(line["selector.beta"]) for line in lines if line["best"] == "1"]
    assert best == [document["best"]["found"]["selector.beta"]]
    assert (tmp_path / "one" / "tune.png").read_bytes()[:4] == b"\x89PNG"


def stage_of(*rows, best, **more):
    """A stage of rows (value, accuracies); nothing is run."""
    made = [Row((at,), tuple(values)) for at, values in rows]
    given = {"plateau": None, "shape": None, "stop": "narrow", "cost": None} | more
    return Stage(("selector.beta",), False, ((0.0, 0.9),), tuple(made), made[best], **given)


def test_words_say_where_the_best_lies():
    words = in_words(stage_of((0.0, (0.9, 0.92)), (0.5, (0.8, 0.8)), best=0, plateau=(0.0, 0.5)))
    # deviations ±0.01: s = 0.01·√2, over √2
    assert words[0] == "Best: selector.beta = 0, at 91.00 ± 1.00 % (2 seeds)."
    assert "from 0 to 0.5" in words[1]
    assert "at the edge of the range 0 to 0.9 (lowest value)" in words[2]
    inside = in_words(stage_of((0.0, (0.9,)), (0.5, (0.95,)), best=1, stop="noise"))
    assert inside == [
        "Best: selector.beta = 0.5, at 95.00 % (1 seed).",
        "The search stopped where noise hides the optimum.",
    ]


def test_failures_alone_are_written_without_figure_or_recipe(bench, tmp_path):
    base = bench().base
    failed = Tuning(base, SMALL, "digits", (8, 2), (Arm("scorer=x", {}, None, error="no"),))
    write_tuning(failed, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["tune.csv", "tune.json"]
    assert failed.best is None


def test_equal_questions_have_equal_folders(bench):
    base = bench().base
    one = tuning_folder(base, {}, SMALL)
    assert str(one).startswith("runs/tune-selmatch-digits-")
    assert one == tuning_folder(base, {}, Settings(**vars(SMALL)))
    assert one != tuning_folder(base, {}, replace(SMALL, seeds=3))
    assert one != tuning_folder(base, {"scorer": ("el2n",)}, SMALL)
    assert OWNED[0] == "tune.json"
