"""What is tried and how minutes become rungs."""

import random
import re

import pytest

from condense import Method
from condense.errors import OptionError
from condense.options import assignments_of
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.resolve import Request
from condense.studies.choosing.design import (
    Costs,
    Rung,
    candidates,
    make_plan,
    rungs_for,
    seconds_of,
)


def as_pairs(rungs):
    return [(rung.candidates, rung.seeds) for rung in rungs]


def asked(options=None, **more):
    return Request(method="auto", assignments=assignments_of(options or {}), **more)


@pytest.mark.parametrize(
    ("count", "pairs"),
    [
        (1, [(1, 6)]),
        (2, [(2, 1), (1, 6)]),
        (3, [(3, 1), (2, 2), (1, 6)]),
        (7, [(7, 1), (4, 2), (1, 6)]),
    ],
)
def test_candidates_are_halved_and_then_the_best_is_left(count, pairs):
    assert as_pairs(rungs_for(count)) == pairs
    assert as_pairs(rungs_for(count, 3)) == [(left, 3 * seeds) for left, seeds in pairs]


def test_seconds_by_hand():
    # b and c share what takes 5 s; random takes 2 s a seed
    costs = [Costs({}, 1), Costs({"s": 5}, 10), Costs({"s": 5, "e": 7}, 20)]
    rungs = (Rung(candidates=3, seeds=1), Rung(candidates=2, seeds=2), Rung(candidates=1, seeds=4))
    # once 12, random 4 · 2, all three 31, the two dearest 30, the dearest twice 40
    assert seconds_of(costs, 2, rungs) == 12 + 8 + 31 + 30 + 40

    # a part a seed: 5 + 7 for the first, min(12, 12 + 5) for the second, 12 twice; not once before
    assert seconds_of(costs, 2, rungs, folded=True) == 8 + 31 + 30 + 40 + 12 + 12 + 2 * 12


def test_minutes_are_candidates_first_and_then_seeds():
    costs = {"dear": Costs({"e": 60}, 60), "cheap": Costs({}, 3), "fair": Costs({"s": 6}, 6)}
    # cheap alone under 6 seeds: 6 · (1 + 3) = 24; with fair: 6 + 6 + 9 + 5 · 6 = 51;
    # with dear: 66 + 6 + 69 + 66 + 240 = 447
    plan = make_plan(51 / 60, costs, 1)
    assert ([c.name for c in plan.candidates], plan.seconds) == (["cheap", "fair"], 51)
    assert as_pairs(plan.rungs) == [(2, 1), (1, 6)]
    assert [(c.name, c.seconds_once, c.seconds_a_seed) for c in plan.left_out] == [("dear", 60, 60)]
    assert [c.name for c in make_plan(50 / 60, costs, 1).candidates] == ["cheap"]
    # 6 + 2 · 45 = 96 for twice the seeds
    assert as_pairs(make_plan(96 / 60, costs, 1).rungs) == [(2, 2), (1, 12)]
    assert make_plan(447 / 60, costs, 1).left_out == ()
    # never more than four times the seeds
    assert as_pairs(make_plan(10_000, costs, 1).rungs) == [(3, 4), (2, 8), (1, 24)]


def test_every_seed_may_hold_out_its_own_part():
    costs = {"cheap": Costs({}, 3), "fair": Costs({"s": 6}, 6)}
    assert make_plan(10, costs, 1).folds == 1
    # 6 + 9 + 6 + 5 · (6 + 6) = 81: scores are worked out for each part
    plan = make_plan(81 / 60, costs, 1, samples=500)
    assert (plan.seconds, as_pairs(plan.rungs), plan.folds) == (81, [(2, 1), (1, 6)], 6)
    assert [c.name for c in make_plan(80 / 60, costs, 1, samples=500).candidates] == ["cheap"]
    assert make_plan(10, costs, 1, samples=500).folds == 24
    assert make_plan(10, costs, 1, samples=9).folds == 9  # no part is empty


def test_too_few_minutes_say_how_many_would_do():
    # 6 · (15 + 15) = 180 s; half as many again, as the next call times anew
    with pytest.raises(
        OptionError, match=r"minutes=1.*slow alone.*about 3 minutes.*; give `minutes=4.5`"
    ):
        make_plan(1, {"slow": Costs({}, 15)}, 15)


def test_the_last_that_is_left_is_the_one_that_takes_least_in_all():
    # alone under one seed 10 + 1 and 9, under six 10 + 6 and 54
    costs = {"once": Costs({"s": 10}, 1), "each": Costs({}, 9)}
    plan = make_plan(22 / 60, costs, 1)
    assert ([c.name for c in plan.candidates], plan.seconds) == (["once"], 22)
    assert [c.name for c in plan.left_out] == ["each"]


@pytest.mark.parametrize("samples", [None, 500])
def test_the_minutes_that_are_advised_are_accepted(samples):
    rng = random.Random(0)

    def slower(costs):
        """As the next call times them: up to half as long again."""
        return {
            name: Costs(
                {key: s * rng.uniform(0.7, 1.5) for key, s in one.once.items()},
                one.each * rng.uniform(0.7, 1.5),
            )
            for name, one in costs.items()
        }

    for _ in range(300):
        costs = {
            name: Costs({"s": 10 ** rng.uniform(-3, 5)}, 10 ** rng.uniform(-3, 5)) for name in "abc"
        }
        subset = 10 ** rng.uniform(-3, 5)
        with pytest.raises(OptionError) as refused:
            make_plan(1e-9, costs, subset, samples)
        advised = re.search("give `minutes=(.*?)`", str(refused.value))[1]
        make_plan(float(advised), costs, subset, samples)
        make_plan(float(advised), slower(costs), subset * rng.uniform(0.7, 1.5), samples)


def test_methods_offer_candidates(host, digits):
    found, failed = candidates(host, asked(), digits)
    names = [one.name for one in found]
    assert failed == {}
    assert "random" not in names  # what everything else is compared with
    assert {"dm", "mtt", "selmatch policy=partial", "selmatch policy=learned-labels"} < {*names}
    assert {"ccs", "facility-location"} < {*names}
    # classes have at least 139 samples: β up to (139 - 5) / 139 = 0.964, in four equal parts; and
    # that of the preset
    betas = [one.values["selector.beta"] for one in found if one.name.startswith("window")]
    assert betas == [0.1, 0.241, 0.482, 0.723]
    for one in found:
        assert one.recipe.method == one.name.split(" ")[0] == one.request.method
        for key, value in one.values.items():
            stage, _, option = key.partition(".")
            chosen = one.recipe[stage]
            assert (chosen.table[option] if option else chosen.name) == value


def test_what_a_user_sets_is_not_varied_and_goes_where_it_is_known(host, digits):
    given = asked({"selector.beta": 0.3, "policy": "full", "matcher.iterations": 7})
    found, failed = candidates(host, given, digits)
    by_name = {one.name: one.recipe for one in found}
    assert failed == {}
    assert by_name.keys() == {"dm", "mtt", "selmatch", "window", "ccs", "facility-location"}
    assert by_name["window"]["selector"].options.beta == 0.3
    assert by_name["selmatch"]["policy"].name == "full"
    assert by_name["selmatch"]["matcher"].options.iterations == 7
    assert by_name["window"]["matcher"].name == "none"
    assert all(one.follows == {} for one in found)


@pytest.mark.parametrize("given", [("matcher.stepz", 1), ("matcher.steps", 0), ("matchr", "none")])
def test_a_wrong_option_is_a_mistake(host, digits, given):
    """Also one that not every candidate has."""
    with pytest.raises(OptionError, match=given[0]):
        candidates(host, asked(dict([given])), digits)


@pytest.mark.parametrize("some", [[0.1], (), 0, True, 0.1, ""])
def test_what_a_method_is_tried_with_is_values_or_a_number_of_them(some):
    with pytest.raises(OptionError, match=r"method 'm': tried\['selector.beta'\] must be a tuple"):
        Method("m", "a method", {}, tried={"selector.beta": some})


class Odd:
    """Methods of a plugin."""

    @hookimpl
    def condense_register_methods(self, register):
        stages = {
            "selector": {"component": "easiest"},
            "scorer": {"component": "random"},
            "policy": {"component": "frozen"},
            "matcher": {"component": "none"},
            "augmentation": {"component": "combined"},
            "evaluator": {"component": "accuracy"},
        }
        register(Method("mine", "the easiest", stages, tried={}))
        register(Method("again", "the easiest", stages, tried={}))
        register(Method("quiet", "the easiest", stages))
        register(Method("odd", "no range", stages, tried={"selector.beta": 3}))


def test_a_plugin_offers_a_candidate_and_what_is_wrong_with_one_is_kept(digits):
    found, failed = candidates(build_host(external=False, extra=[Odd()]), asked(), digits)
    names = {one.name for one in found}
    assert len({"mine", "again"} & names) == 1  # equal recipes, once
    assert "quiet" not in names
    assert failed.keys() == {"odd"}
    assert "3 values of selector.beta" in failed["odd"]
