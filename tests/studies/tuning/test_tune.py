"""Tuning: what it reads, what a second call costs, what it writes."""

import csv
import io
import json
from dataclasses import replace

import pytest
import torch

from condense.cli.schema import FOLDER
from condense.engine.documents import read_document
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.errors import CondenseError, DataError, OptionError
from condense.options import assignments_of
from condense.recipe import read_recipe
from condense.resolve import Request, resolve
from condense.studies.ablation.design import make_cell
from condense.studies.binding import study_folder
from condense.studies.tuning.files import OWNED, in_words, to_csv, write_tuning
from condense.studies.tuning.result import (
    OptionSearch,
    Place,
    TunedRecipe,
    Tuning,
    TuningDocument,
)
from condense.studies.tuning.run import tune
from condense.studies.tuning.settings import Settings
from condense.studies.validation import HeldOut

SMALL = Settings(key="selector.beta", seeds=2, max_seeds=3, share=1.0)


def with_(settings, **changes):
    return settings.model_copy(update=changes)


@pytest.fixture(autouse=True)
def few_places(monkeypatch):
    """4 places and a zoom once: the rules are the same."""
    monkeypatch.setattr("condense.studies.tuning.search.SCAN", 4)
    monkeypatch.setattr("condense.studies.tuning.search.ZOOMS", 1)


@pytest.fixture(scope="module")
def request_of(tiny):
    """A tiny request that scores at random, with options changed."""
    small = {k: v for k, v in tiny.items() if not k.startswith("scorer.")} | {"scorer": "random"}

    def make(**options):
        given = small | {k.replace("__", "."): v for k, v in options.items()}
        return Request(assignments=assignments_of(given))

    return make


@pytest.fixture(scope="module")
def resolved(host, request_of):
    """The recipe of that request."""
    return lambda **options: resolve(host, request_of(**options))


@pytest.fixture(scope="module")
def bench(host, digits, request_of, tmp_path_factory):
    """Tunes tiny digits; gives the result."""
    stores = tmp_path_factory.mktemp("stores")

    def go(settings=SMALL, data=digits, store="store", over=None, **options):
        request = request_of(**options)
        base = resolve(host, request)
        kept = Store(stores / store)
        tools = {"store": kept, "device": torch.device("cpu"), "progress": SilentProgress()}

        def bind(recipe, **more):
            return Pipeline(recipe, host, **tools, **({"data": data} | more))

        recipes = None
        if over is not None:
            key, values = over
            settings = with_(settings, over=key)
            recipes = {v: make_cell(host, request, base, {key: v}).recipe for v in values}
        return tune(host, base, settings, bind, SilentProgress(), recipes)

    return go


def test_the_test_split_makes_no_difference(bench, digits):
    settings = with_(SMALL, bounds=(0.0, 0.5), max_seeds=2)
    result = bench(settings).document.model_dump()  # without the seconds
    flipped = replace(digits, test=replace(digits.test, labels=9 - digits.test.labels))
    assert bench(settings, data=flipped, store="flipped").document.model_dump() == result
    without = bench(settings, data=digits.without_test(), store="none")
    assert without.document.model_dump() == result


def test_a_second_call_computes_nothing_and_says_the_same(bench):
    first = bench(store="again")
    second = bench(store="again")
    assert first.computed > 0
    assert second.computed == 0
    assert second.document == first.document
    (arm,) = first.document.arms
    assert arm.cost.seconds > 0


def test_the_recipe_is_whole_and_holds_what_was_found(bench, resolved, tmp_path, host):
    settings = with_(SMALL, share=0.5)
    result = bench(settings, evaluator__steps=8, evaluator__repeats=3)
    arm = result.document.arms[0]
    assert (arm.steps, arm.whole_steps) == (4, 8)
    value = arm.stages[0].best[0]
    assert arm.found == {"selector.beta": value}
    write_tuning(result, tmp_path / "out")
    again = resolve(host, Request(recipe=read_recipe(tmp_path / "out" / "recipe.toml")))
    base = resolved(evaluator__steps=8, evaluator__repeats=3)
    changed = {"selector": {**base["selector"].table, "beta": value}}
    assert again.to_dict() == base.to_dict() | changed


def test_costs_by_hand(bench):
    settings = with_(SMALL, share=0.5, repeats=2, finals=0)
    (arm,) = bench(settings, evaluator__steps=8).document.arms
    evaluations = sum(len(place.accuracies) for place in arm.stages[0].points)
    assert arm.cost.trainings == 2 * evaluations
    assert arm.cost.steps == 4 * arm.cost.trainings
    assert arm.cost.matchings == 0
    assert arm.cost.seconds > 0


def test_the_finals_at_full_length_decide(bench):
    settings = with_(SMALL, share=0.25, finals=2)
    result = bench(settings, evaluator__steps=12)
    (arm,) = result.document.arms
    (short,) = bench(with_(settings, finals=0), evaluator__steps=12).document.arms
    found, before = arm.stages[0], short.stages[0]
    assert found.points == before.points
    assert before.finals == ()
    one, two = found.finals
    low, high = found.ranges[0]
    assert two.values[0] - one.values[0] >= 0.05 * (high - low)
    assert before.best in (one.values, two.values)
    leader = one if one.values == before.best else two
    other = two if leader is one else one
    gains = [a - b for a, b in zip(other.accuracies, leader.accuracies, strict=True)]
    # two seeds: the standard error of their mean is half their distance
    overtaken = sum(gains) / 2 > abs(gains[0] - gains[1]) / 2
    assert found.best == (other if overtaken else leader).values
    assert found.top in found.finals
    assert arm.found == {"selector.beta": found.top.values[0]}
    # two finals, two seeds, one network each
    assert arm.cost.trainings == short.cost.trainings + 4
    assert arm.cost.steps == short.cost.steps + 4 * 12
    # at full length they are what a search of that length says
    ends = (one.values[0], two.values[0])
    points = bench(with_(settings, share=1.0, bounds=ends), evaluator__steps=12)
    whole = {p.values: p.accuracies[:2] for p in points.document.arms[0].stages[0].points}
    assert [whole[p.values] for p in found.finals] == [one.accuracies, two.accuracies]
    lines = list(csv.DictReader(io.StringIO(to_csv(result.document))))
    assert [float(x["selector.beta"]) for x in lines if x["best"] == "1"] == [found.top.values[0]]
    assert [x["full_length"] for x in lines][-2:] == ["1", "1"]


def test_an_option_of_matching_is_tuned_by_whole_runs(bench):
    settings = Settings(key="policy.alpha", seeds=1, max_seeds=1, share=1.0)
    (arm,) = bench(settings).document.arms
    (found,) = arm.stages
    assert found.matched
    assert found.ranges == ((0.0, 1.0),)
    assert arm.cost.matchings == len(found.points) > 4


def test_several_options_are_searched_jointly_and_the_same_again(bench, resolved):
    pytest.importorskip("optuna")
    settings = with_(SMALL, also=("policy.alpha",), trials=3, seeds=1, max_seeds=1)
    one = bench(settings, policy__alpha=0.6)
    (arm,) = one.document.arms
    (found,) = arm.stages
    assert found.matched
    assert found.keys == ("selector.beta", "policy.alpha")
    assert arm.cost.matchings == len(found.points) == 3
    base = resolved(policy__alpha=0.6)
    start = (base["selector"].options.beta, 0.6)
    assert start in [place.values for place in found.points]
    assert one.recipe["policy"].options.alpha == arm.found["policy.alpha"]
    assert one.recipe["selector"].options.beta == arm.found["selector.beta"]
    again = bench(settings, policy__alpha=0.6)
    assert (again.computed, again.document) == (0, one.document)


def test_over_keeps_a_failure_beside_its_name_and_picks_the_best(bench):
    document = bench(over=("selector", ["window", "random"])).document
    window, random = document.arms
    assert window.name == "selector=window"
    assert "selector 'random' has no real-valued option beta" in random.error
    assert document.top is window
    with pytest.raises(OptionError, match="has no real-valued option beta"):
        bench(selector="random")


def test_over_goes_by_accuracies_at_full_length():
    one = search_of((0.5, (0.9,)), best=0.5, finals=(Place(values=(0.5,), accuracies=(0.8,)),))
    two = search_of((0.5, (0.7,)), best=0.5, finals=(Place(values=(0.5,), accuracies=(0.85,)),))
    best = document_of(one, two).best
    assert (best.name, best.accuracy.mean) == ("arm=1", 0.85)


@pytest.mark.parametrize("key", ["policy", "matcher.iterations"])
def test_what_only_matching_reads_cannot_be_compared_without_it(bench, key):
    values = {"policy": ["full", "partial"], "matcher.iterations": ["1", "2"]}[key]
    with pytest.raises(OptionError, match=r"^`over=.* \(`also=STAGE\.OPTION`\)$") as caught:
        bench(over=(key, values))
    assert f"`over={key}={','.join(values)}` compares nothing" in str(caught.value)


def test_data_too_small_are_refused_before_any_training(bench, digits):
    # 6 a class, of which ⌊0.4 · 6⌋ = 2 are held out: 4 left for an ipc of 5
    few = digits.subset(torch.cat([digits.class_indices(c)[:6] for c in range(10)]))
    with pytest.raises(DataError, match="4 samples in digits without what is held out, ipc 5 asks"):
        bench(with_(SMALL, held_out=0.4), data=few, store="few")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"max_seeds": 1}, "`max-seeds` must be at least `seeds=2`, got 1"),
        ({"bounds": (0.5, 0.5)}, "`range` must be LOW,HIGH with LOW below HIGH, got 0.5,0.5"),
        ({"also": ("selector.beta",)}, "`also=selector.beta` is tuned already; name another"),
        ({"also": ("policy.alpha",) * 2}, "`also=policy.alpha` is tuned already; name another"),
    ],
)
def test_settings_that_make_no_sense_are_named(change, part):
    with pytest.raises(CondenseError) as caught:
        with_(SMALL, **change).check()
    assert part in str(caught.value)


# ---- files ------------------------------------------------------------------------------------


def test_files_repeat_to_the_byte_and_say_the_same(bench, tmp_path):
    result = bench()
    for name in ("one", "two"):
        write_tuning(result, tmp_path / name)
    names = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert names == ["recipe.toml", "tune.csv", "tune.json", "tune.png", "tune.svg"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    document = json.loads((tmp_path / "one" / "tune.json").read_text())
    schema = json.loads((FOLDER / "tune.json").read_text(encoding="utf-8"))
    pytest.importorskip("jsonschema").validate(document, schema)
    read = read_document(tmp_path / "one" / "tune.json", TuningDocument)
    assert read.model_dump() == result.document.model_dump()
    assert document["best"]["found"] == {
        "selector.beta": document["arms"][0]["stages"][0]["best"][0]
    }
    assert document["recipe"]["selector"]["beta"] == document["best"]["found"]["selector.beta"]
    assert document["validation"]["fit"] + document["validation"]["held_out"] == 1437
    points = document["arms"][0]["stages"][0]["points"]
    lines = list(csv.DictReader(io.StringIO(to_csv(result.document))))
    for line, point in zip(lines, points, strict=True):
        assert [float(line["selector.beta"])] == point["values"]
        assert float(line["accuracy"]) == point["accuracy"]["mean"]
        assert float(line["standard_error"]) == point["accuracy"]["standard_error"]
        seeds = [float(line[f"seed_{i}"]) for i in range(3) if line[f"seed_{i}"]]
        assert seeds == point["accuracies"]
    best = [float(line["selector.beta"]) for line in lines if line["best"] == "1"]
    assert best == [document["best"]["found"]["selector.beta"]]
    assert (tmp_path / "one" / "tune.png").read_bytes()[:4] == b"\x89PNG"


def search_of(*places, best, **more):
    """A search of places (value, accuracies); nothing is run."""
    points = tuple(Place(values=(at,), accuracies=tuple(found)) for at, found in places)
    given = {"plateau": None, "stop": "narrow"} | more
    return OptionSearch(keys=("selector.beta",), matched=False, ranges=((0.0, 0.9),),
                        points=points, best=(best,), **given)  # fmt: skip


def document_of(*searches, error=None):
    """A document of recipes ``arm=0`` … with a search each; without any, one that failed."""
    arms = [TunedRecipe(values={"arm": str(i)}, stages=(s,)) for i, s in enumerate(searches)]
    arms = arms or [TunedRecipe(values={"scorer": "x"}, error="no")]
    return TuningDocument(
        **{"method": "m", "data": "digits", "ipc": 1, "fraction": None, "seed": 0},
        **{"key": "selector.beta", "validation": HeldOut(share=0.2, fit=8, held_out=2)},
        arms=tuple(arms),
    )


def test_words_say_where_the_best_lies():
    words = in_words(search_of((0.0, (0.9, 0.92)), (0.5, (0.8, 0.8)), best=0.0, plateau=(0.0, 0.5)))
    # deviations ±0.01: s = 0.01·√2, over √2
    assert words[0] == "Best: selector.beta = 0, at 91.00 ± 1.00 % (2 seeds)."
    assert "from 0 to 0.5" in words[1]
    assert "at the edge of the range 0 to 0.9 (lowest value)" in words[2]
    inside = in_words(search_of((0.0, (0.9,)), (0.5, (0.95,)), best=0.5, stop="noise"))
    assert inside == [
        "Best: selector.beta = 0.5, at 95.00 % (1 seed).",
        "The search stopped where noise hides the optimum.",
    ]


def test_failures_alone_are_written_without_anything_else(tmp_path):
    failed = Tuning(document_of(), None, 0)
    write_tuning(failed, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["tune.json"]
    assert failed.document.best is None


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda d: d.pop("method"), "'method' is missing"),
        (lambda d: d["arms"][0]["stages"][0]["points"][0].update(accuracies=[]), "accuracies: tup"),
        (lambda d: d["arms"][0]["stages"][0].update(best=[9.5]), "best is [9.5], which is none"),
        (lambda d: d["arms"][0]["stages"][0].update(keys=["a", "b"]), "keys has 2 options"),
        (lambda d: d["arms"][0].update(stages=[]), "stages is empty"),
        (lambda d: d["validation"].update(fit="many"), "validation.fit: input should be"),
    ],
)
def test_a_damaged_document_is_named_with_the_place(tmp_path, damage, part):
    document = json.loads(document_of(search_of((0.5, (0.9,)), best=0.5)).model_dump_json())
    path = tmp_path / "tune.json"
    path.write_text(json.dumps(document | {"of a later version": 1}))
    assert read_document(path, TuningDocument).best.name == "arm=0"
    damage(document)
    path.write_text(json.dumps(document))
    with pytest.raises(DataError) as caught:
        read_document(path, TuningDocument)
    assert f"{path} is damaged: " in str(caught.value)
    assert part in str(caught.value)


def test_equal_questions_have_equal_folders(resolved, host, digits, context):
    base = resolved()
    tools = {"store": context.cache, "device": context.device, "progress": context.progress}

    def folder(recipes, settings):
        bind = lambda recipe: Pipeline(recipe, host, **tools, data=digits)  # noqa: E731
        return study_folder("tune", base, recipes, settings.model_dump(), bind)

    one = folder((), SMALL)
    assert str(one).startswith("runs/tune-selmatch-digits-")
    assert one == folder((), Settings(**SMALL.model_dump()))
    assert one != folder((), with_(SMALL, seeds=3))
    assert one != folder((resolved(scorer="el2n"),), SMALL)
    assert OWNED.marker == "tune.json"
