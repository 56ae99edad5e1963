"""Ablations: figures against hand-worked ones, what cells share, what a failure leaves standing."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from pydantic import Field, model_validator

from condense import Options
from condense.data import LabeledData
from condense.engine.ingest.holdout import validation_part
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.errors import CondenseError, DataError, OptionError
from condense.interfaces import Selection
from condense.options import assignments_of
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.resolve import Request
from condense.studies.ablation.design import Cell, Factor, Study, make_study, parse_factor
from condense.studies.ablation.files import ablation_folder, size_lines, to_csv, write_ablation
from condense.studies.ablation.result import Ablation, Row
from condense.studies.ablation.run import ablate
from condense.studies.statistics import (
    ShareEstimate,
    common_effect,
    difference,
    estimate,
    estimate_shares,
    t_quantile,
)
from condense.testing.toys import Notes
from condense.traits import EvaluatorTraits

# Student's t at 97.5 %, from a printed table
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262}

# ---- figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("freedom", T)
def test_the_quantile_is_that_of_the_printed_table(freedom):
    assert t_quantile(freedom) == pytest.approx(T[freedom], abs=5e-4)


def test_an_interval_of_shares_ends_where_shares_do():
    """95.3 ± 15.8 % and its mirror image; differences have no such ends."""
    high, low = estimate_shares([0.99, 0.99, 0.88]), estimate_shares([0.01, 0.01, 0.12])
    assert (high.high, low.low) == (1.0, 0.0)
    assert high.half == low.half == pytest.approx(4.3027 * 0.11 / 3, rel=1e-4)
    assert high.low == pytest.approx(high.mean - high.half)
    again = ShareEstimate.model_validate_json(high.model_dump_json())
    assert (again.high, again.low) == (high.high, high.low)
    assert estimate([0.99, 0.99, 0.88]).high > 1


def test_the_interval_by_hand():
    # deviations -0.03, -0.01, 0.01, 0.03: variance 0.002 / 3, standard error √(0.002 / 12)
    found = estimate([0.90, 0.92, 0.94, 0.96])
    assert found.mean == pytest.approx(0.93)
    assert found.half == pytest.approx(T[3] * math.sqrt(0.002 / 12), rel=2e-4)
    assert (found.low, found.high) == (found.mean - found.half, found.mean + found.half)
    assert found.n == 4


def test_one_value_has_no_interval_and_none_no_mean():
    one = estimate([0.5])
    assert (one.mean, one.half, one.low, one.high, one.n) == (0.5, None, None, None, 1)
    assert estimate([]) is None


def test_values_that_are_all_equal_say_nothing_of_their_spread():
    for values in ([0.25] * 3, [0.9 - 0.8, 0.7 - 0.6]):  # the second are equal but for rounding
        found = estimate(values)
        assert (found.half, found.low, found.high, found.n) == (None, None, None, len(values))


def test_differences_are_taken_in_pairs():
    # the seeds differ by 0.2, the arms by 0.01 and 0.03: mean 0.02, deviations ±0.01
    found = difference([0.51, 0.73], [0.50, 0.70])
    assert found.mean == pytest.approx(0.02)
    assert found.half == pytest.approx(T[1] * 0.01, rel=1e-4)
    assert found.half < estimate([0.51, 0.73]).half / 5
    with_hole = difference([0.51, None, 0.73], [0.50, 0.9, 0.70])
    assert (with_hole.mean, with_hole.half) == (found.mean, found.half)
    assert difference([None, 0.5], [0.5, None]) is None


def test_a_common_effect_by_hand():
    # seed 0: (2 + 4) / 2 = 3 points; seed 1: (1 + 3) / 2 = 2 points
    found, note = common_effect({"x": [0.02, 0.01], "y": [0.04, 0.03]})
    assert (found.mean, found.n, note) == (pytest.approx(0.025), 2, "")
    assert found.half == pytest.approx(T[1] * 0.005, rel=1e-4)
    assert common_effect({"x": [0.02, 0.01]}) == (None, "one pair of cells alone")


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_pair_that_broke_down_is_no_common_effect(seeds):
    pairs = {"s=a": [0.02, 0.01, 0.02], "s=b": [0.01, 0.02, 0.02], "s=c": [-0.7, -0.8, -0.6]}
    pairs = {name: values[:seeds] for name, values in pairs.items()}
    found, note = common_effect(pairs)
    assert found is None
    assert re.fullmatch(r"-70.00 at s=c, \+1.\d\d elsewhere", note)
    del pairs["s=c"]
    assert common_effect(pairs)[0].mean == pytest.approx(0.015, abs=0.002)


def test_noise_is_not_taken_for_a_break_down():
    wild = {"s=a": [0.3, -0.2, 0.1, -0.25], "s=b": [-0.2, 0.4, -0.1, 0.2]}
    assert common_effect(wild)[0].half > 0.05


class FakeRecipe(SimpleNamespace):
    """As much of a recipe as an ablation reads."""

    def __init__(self, evaluator, **fields):
        super().__init__(**fields)
        self.stages = {"evaluator": SimpleNamespace(cls=evaluator, create=evaluator)}

    def __getitem__(self, stage):
        return self.stages[stage]

    def portable(self, data=""):
        return self.to_dict()


def table(accuracies, base, one_at_a_time=False, outside=(), evaluator=object):
    """An ablation of cells named ``"a=1 b=2"`` with these accuracies; nothing is run."""
    values = {name: dict(part.split("=") for part in name.split()) for name in accuracies}
    keys = {key for name in values for key in values[name]}
    taken = {k: dict.fromkeys(v[k] for v in values.values() if k in v) for k in sorted(keys)}
    cells = [
        Cell(n, values[n], None, is_base=n == base, in_grid=n not in outside) for n in accuracies
    ]
    rows = tuple(
        Row(
            cell,
            tuple(accuracies[cell.name]),
            {} if None not in accuracies[cell.name] else {1: "no"},
        )
        for cell in cells
    )
    count = len(rows[0].accuracies)
    recipe = FakeRecipe(
        evaluator,
        method="selmatch",
        seed=0,
        budget=SimpleNamespace(ipc=5, fraction=None),
        to_dict=lambda: {"method": "selmatch"},
    )
    factors = tuple(Factor(k, tuple(v)) for k, v in taken.items())
    instead = {one.key: values[base].get(one.key, one.values[0]) for one in factors}
    given = (recipe, factors, tuple(cells), tuple(range(count)), one_at_a_time)
    return Ablation(Study(*given, instead=instead), "digits", rows)


def test_the_document_holds_means_differences_and_effects():
    result = table({"s=a": [0.5, 0.7], "s=b": [0.6, 0.9]}, base="s=a")
    document = result.document.to_json()
    base, other = document["cells"]
    assert base["accuracy"]["mean"] == pytest.approx(0.6)
    assert base["difference"] is None
    assert other["difference"]["mean"] == pytest.approx(0.15)
    assert other["difference"]["half"] == pytest.approx(T[1] * 0.05, rel=1e-4)
    assert other["difference"]["low"] == pytest.approx(0.15 - T[1] * 0.05, abs=1e-4)
    assert document["main_effects"] == []  # of one factor they are the differences
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_the_document_names_what_the_evaluator_measures():
    class Overlap:
        traits = EvaluatorTraits(measure="overlap")

    assert table({"s=a": [0.5]}, base="s=a").document.to_json()["measure"] == "accuracy"
    assert (
        table({"s=a": [0.5]}, base="s=a", evaluator=Overlap).document.to_json()["measure"]
        == "overlap"
    )


def test_main_effects_are_differences_to_the_base_s_value_over_pairs_that_are_there():
    # s=c stands in no complete pair but one; a broken s=c changes nothing for s=b
    cells = {
        "s=a t=x": [0.50, 0.52],
        "s=a t=y": [0.60, 0.62],
        "s=b t=x": [0.52, 0.56],
        "s=b t=y": [0.64, 0.64],
        "s=c t=x": [0.10, None],
        "s=c t=y": [0.11, 0.10],
    }
    result = table(cells, base="s=a t=y")
    effects = {(e.key, e.value): e for e in result.effects()}
    assert set(effects) == {("s", "b"), ("s", "c"), ("t", "x")}
    # seed 0: (2 + 4) / 2 = 3; seed 1: (4 + 2) / 2 = 3
    one = effects["s", "b"]
    assert (one.instead, one.cells, one.effect.mean) == ("a", 2, pytest.approx(0.03))
    assert one.effect.half is None  # equal in both seeds
    # x for y under a: -10, -10; under b: -12, -8
    other = effects["t", "x"]
    assert (other.instead, other.cells, other.effect.mean) == ("y", 2, pytest.approx(-0.10))
    assert other.effect.half == pytest.approx(T[1] * 0.01, rel=1e-4)
    assert (effects["s", "c"].cells, effects["s", "c"].effect) == (1, None)
    assert result.rows[4].mean.n == 1
    assert result.rows[4].error == "no"
    assert not result.failed


def test_a_cell_that_broke_down_gives_no_other_factor_an_effect():
    cells = {
        **{"s=a t=x": [0.90, 0.91], "s=a t=y": [0.91, 0.92]},
        **{"s=b t=x": [0.10, 0.12], "s=b t=y": [0.92, 0.91]},
        **{"s=c t=x": [0.89, 0.90], "s=c t=y": [0.90, 0.92]},
    }
    effects = {f"{e.key}={e.value}": e for e in table(cells, base="s=a t=x").effects()}
    assert effects["t=y"].effect is None
    assert effects["t=y"].note == "+80.50 at s=b, +1.25 elsewhere"
    assert effects["s=b"].effect is None
    assert effects["s=c"].effect.mean == pytest.approx(-0.0075)


def test_one_factor_has_no_main_effects():
    assert table({"s=a": [0.5, 0.6], "s=b": [0.6, 0.9]}, base="s=a").effects() == []


def test_one_at_a_time_has_no_main_effects():
    cells = {"s=a t=x": [0.5], "s=b t=x": [0.6], "s=a t=y": [0.7], "s=b t=y": [0.8]}
    assert len(table(cells, base="s=a t=x").effects()) == 2
    result = table(cells, base="s=a t=x", one_at_a_time=True)
    assert result.effects() == []
    assert result.document.to_json()["design"] == "one-at-a-time"


def test_the_files_repeat_to_the_byte_and_the_csv_says_what_the_json_says(tmp_path):
    rows = {"s=a": [0.5, 0.7], "s=b": [0.6, 0.9], "s=c": [None, None]}
    result = table(rows, base="s=a")
    for name in ("one", "two"):
        write_ablation(result.document, tmp_path / name)
    files = ("ablation.csv", "ablation.json", "ablation.png", "ablation.svg")
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == sorted(files)
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    cells = json.loads((tmp_path / "one" / "ablation.json").read_text())["cells"]
    lines = list(csv.DictReader(io.StringIO(to_csv(result.document))))
    assert [line["cell"] for line in lines] == list(rows)
    for line, cell in zip(lines[:2], cells[:2], strict=True):
        assert float(line["accuracy"]) == cell["accuracy"]["mean"]
        assert float(line["low"]) == cell["accuracy"]["low"]
        assert [float(line["seed_0"]), float(line["seed_1"])] == cell["accuracies"]
    assert float(lines[1]["difference"]) == cells[1]["difference"]["mean"]
    assert (lines[2]["accuracy"], lines[2]["error"], lines[2]["n"]) == ("", "no", "0")


def test_a_dollar_in_a_name_is_no_formula(tmp_path):
    result = table({"scorer=file:$x_{$": [0.5, 0.5], "scorer=y": [0.5, 0.6]}, base="scorer=y")
    write_ablation(result.document, tmp_path / "out")
    assert (tmp_path / "out" / "ablation.png").stat().st_size > 10_000


def test_a_figure_of_failures_alone_can_be_drawn(tmp_path):
    write_ablation(table({"s=a": [None], "s=b": [None]}, base="s=a").document, tmp_path / "out")
    assert (tmp_path / "out" / "ablation.png").stat().st_size > 1000


# ---- cells ------------------------------------------------------------------------------------


def study_of(host, *vary, seeds=2, one_at_a_time=False, validation=None, options=None, **request):
    factors = [parse_factor(text) for text in vary]
    base = Request(assignments=assignments_of(options or {}), **request)
    return make_study(host, base, factors, seeds, one_at_a_time, validation)


def test_values_are_split_at_commas_outside_brackets_and_quotes():
    assert parse_factor("selector=random,window").values == ("random", "window")
    assert parse_factor("matcher.snapshots=1,[2,3]").values == ("1", "[2,3]")
    assert parse_factor('data=folder:x,"npz:a,b"').values == ("folder:x", '"npz:a,b"')


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("selector", "`vary=selector`: expected STAGE=COMPONENT"),
        ("=random", "`vary==random`: expected"),
        ("selector=", "`vary=selector=`: value 1 is empty"),
        ("selector=random,", "`vary=selector=random,`: value 2 is empty"),
        ("selector=random,random", "value random is there twice"),
        ("selektor=random", "unknown stage 'selektor'; did you mean 'selector'?"),
        ("ipk=5", "unknown stage 'ipk'; did you mean 'ipc'?"),
        ("ipc.x=5", "unknown stage 'ipc.x'; did you mean 'ipc'?"),
    ],
)
def test_a_bad_vary_is_named(text, part):
    with pytest.raises(OptionError) as caught:
        parse_factor(text)
    assert part in str(caught.value)
    assert f"`vary={text}`" in str(caught.value)


@pytest.mark.parametrize(
    ("vary", "part"),
    [
        (("selector=randm,window",), "`vary=selector=randm`: "),
        (("selector.beta=0.3,7",), "`vary=selector.beta=7`: "),
        (("selector.betta=0.3",), "`vary=selector.betta=0.3`: unknown option selector.betta"),
        (("selector=random", "selector=window"), "`vary=selector` is given twice"),
        (("ipc=5,five",), "`vary=ipc=five`: ipc must be a whole number of at least 1, got 'five'"),
        (("ipc=5,0",), "`vary=ipc=0`: ipc must be a whole number of at least 1, got 0"),
        (("fraction=0.1,1.5",), "`vary=fraction=1.5`: fraction must be in (0, 1], got 1.5"),
        (("preset=quick,quik",), "`vary=preset=quik`: unknown preset 'quik'; did you mean 'quick'"),
        (("method=mtt,mtd",), "`vary=method=mtd`: unknown method 'mtd'; did you mean 'mtt'"),
        (("method=auto",), "`vary=method=auto`: `method=auto` chooses a method"),
        (("ipc=5", "fraction=0.1"), "`vary=ipc` and `vary=fraction` exclude each other"),
    ],
)
def test_a_value_that_no_cell_can_be_made_with_is_named(host, vary, part):
    with pytest.raises(OptionError) as caught:
        study_of(host, *vary)
    assert part in str(caught.value)


@pytest.mark.parametrize("vary", ["evaluator.labels=own,teacher", "evaluator=accuracy,coverage"])
def test_figures_of_two_kinds_are_never_cells_of_one_study(host, vary):
    with pytest.raises(OptionError, match=r"do not stand in one column.*a study of each"):
        study_of(host, vary)


@pytest.mark.parametrize(
    ("vary", "given", "part"),
    [
        ("fraction=0.1", {"ipc": 5}, "`vary=fraction` and `ipc=5` exclude each other; give one"),
        ("ipc=1,5", {"fraction": 0.1}, "`vary=ipc` and `fraction=0.1` exclude each other"),
        ("fraction=0.1", {"recipe": {"ipc": 5}}, "ipc = 5 of the recipe file exclude each other"),
        ("ipc=1,5", {"recipe": {"fraction": 0.1}}, "fraction = 0.1 of the recipe file exclude"),
    ],
)
def test_a_number_a_class_and_a_fraction_exclude_each_other(host, vary, given, part):
    with pytest.raises(OptionError, match=re.escape(part)):
        study_of(host, vary, **given)


def test_sizes_methods_and_presets_are_varied_of_the_whole_recipe(host):
    study = study_of(host, "ipc=1,5", "method=window,random", seeds=1)
    assert [(c.name, c.recipe.budget.ipc, c.recipe.method) for c in study.cells] == [
        ("ipc=1 method=window", 1, "window"),
        ("ipc=1 method=random", 1, "random"),
        ("ipc=5 method=window", 5, "window"),
        ("ipc=5 method=random", 5, "random"),
    ]
    assert study_of(host, "preset=quick,cpu-cifar10-ipc50").cells[1].recipe.budget.ipc == 50
    fractions = [c.recipe.budget for c in study_of(host, "fraction=0.1,0.2").cells]
    assert [(b.ipc, b.fraction) for b in fractions] == [(None, 0.1), (None, 0.2)]


def test_a_cell_is_compared_with_the_base_of_its_own_size(host):
    study = study_of(host, "method=selmatch,window", "ipc=1,5,10")
    assert {c.name: study.reference(c) for c in study.cells} == {
        "method=selmatch ipc=1": None,
        "method=selmatch ipc=5": None,
        "method=selmatch ipc=10": None,
        "method=window ipc=1": "method=selmatch ipc=1",
        "method=window ipc=5": "method=selmatch ipc=5",
        "method=window ipc=10": "method=selmatch ipc=10",
    }
    alone = study_of(host, "ipc=1,10")  # the base has another size than either
    assert [(c.name, alone.reference(c)) for c in alone.cells] == [
        ("ipc=1", None),
        ("ipc=10", None),
    ]
    data = study_of(host, "data=digits,folder:c", "selector=window,random")
    assert [data.reference(c) for c in data.cells[1::2]] == [
        "data=digits selector=window",
        "data=folder:c selector=window",  # of the preset's values for these data
    ]


@pytest.mark.parametrize("option", ["test=a.npz,b.npz", "test=0.2,0.3"])
def test_cells_on_other_test_splits_are_not_compared(host, option):
    vary = (f"data.{option}", "selector=window,random")
    study = study_of(host, *vary, data="npz:x.npz")
    one, other = option.removeprefix("test=").split(",")
    assert {c.name: study.reference(c) for c in study.cells} == {
        f"data.test={one} selector=window": None,
        f"data.test={one} selector=random": f"data.test={one} selector=window",
        f"data.test={other} selector=window": None,
        f"data.test={other} selector=random": f"data.test={other} selector=window",
    }
    assert [c.task == study.cells[0].task for c in study.cells] == [True, True, False, False]
    alone = study_of(host, f"data.{option}", data="npz:x.npz", one_at_a_time=True)
    assert [alone.reference(c) for c in alone.cells] == [None, None, None]


def test_options_hold_where_a_method_s_components_have_them(host):
    options = {"selector.beta": 0.3, "scorer.networks": 1}
    study = study_of(host, "method=selmatch,random,window-full", options=options)
    full, random = study.cells[2].recipe, study.cells[1].recipe
    assert full["selector"].options.beta == 0.3
    assert (random["selector"].name, random["scorer"].options.networks) == ("random", 1)


def test_a_method_without_a_stage_has_no_use_for_its_options(host):
    options = {"reselector.rounds": 2}
    study = study_of(host, "method=ccfs,selmatch", method="ccfs", options=options)
    assert [("reselector" in cell.recipe.stages) for cell in study.cells] == [True, False]
    assert study.cells[0].recipe["reselector"].options.rounds == 2


def test_no_reselector_is_the_base_that_has_none(host):
    study = study_of(host, "reselector=none,curriculum")
    assert [(cell.name, cell.is_base) for cell in study.cells] == [
        ("reselector=none", True),
        ("reselector=curriculum", False),
    ]


def test_no_seeds_are_refused(host):
    with pytest.raises(OptionError, match="`seeds` must be at least 1, got 0"):
        study_of(host, "selector=random", seeds=0)


def test_the_grid_holds_every_combination_and_the_base_once(host):
    study = study_of(host, "selector=random,window", "policy=full,partial", seeds=3, seed=4)
    assert [cell.name for cell in study.cells] == [
        *("selector=random policy=full", "selector=random policy=partial"),
        *("selector=window policy=full", "selector=window policy=partial"),
    ]
    assert [cell.is_base for cell in study.cells] == [False, False, False, True]
    assert all(cell.in_grid for cell in study.cells)
    assert study.seeds == (4, 5, 6)
    assert study.cells[0].recipe["selector"].name == "random"
    assert study.cells[0].recipe["policy"].name == "full"


def test_a_base_outside_the_grid_is_added(host):
    study = study_of(host, "selector=random,hardest")
    assert [(c.name, c.is_base, c.in_grid) for c in study.cells] == [
        ("base", True, False),
        ("selector=random", False, True),
        ("selector=hardest", False, True),
    ]


def test_one_at_a_time_leaves_the_rest_as_in_the_base(host):
    study = study_of(host, "selector=random,window", "policy.alpha=0.2,0.8,1", one_at_a_time=True)
    names = [cell.name for cell in study.cells]
    assert names == ["base", "selector=random", "policy.alpha=0.2", "policy.alpha=1"]
    alphas = [cell.recipe["policy"].options.alpha for cell in study.cells]
    assert alphas == [0.8, 0.8, 0.2, 1.0]


def test_effects_are_counted_from_the_base_s_value_though_it_is_no_cell_of_the_grid(host):
    study = study_of(host, "selector=random,hardest", "policy=full,partial")
    assert [cell.name for cell in study.cells if cell.is_base] == ["base"]  # window, partial
    assert study.instead == {"selector": "random", "policy": "partial"}


def test_one_at_a_time_has_the_base_beside_other_sizes_too(host):
    study = study_of(host, "ipc=10,20", "policy=full,frozen", one_at_a_time=True)
    names = [cell.name for cell in study.cells]
    assert names == ["base", "ipc=10", "ipc=20", "policy=full", "policy=frozen"]
    assert [cell.is_base for cell in study.cells] == [True, False, False, False, False]


def test_options_go_over_to_a_swapped_component_that_has_them(host):
    study = study_of(
        host,
        *("scorer=el2n,cscore", "selector=random,window"),
        options={"scorer.networks": 1, "selector": "window", "selector.beta": 0.3},
    )
    by_name = {cell.name: cell.recipe for cell in study.cells}
    assert all(recipe["scorer"].options.networks == 1 for recipe in by_name.values())
    window = by_name["scorer=el2n selector=window"]
    assert window["selector"].options.beta == 0.3
    assert by_name["scorer=cscore selector=window"].to_dict() == study.base.to_dict()


@pytest.fixture
def folder_of(host, digits, context):
    """The folder of a study of digits."""
    tools = {"store": context.cache, "device": context.device, "progress": context.progress}
    return lambda study: ablation_folder(
        study, lambda recipe: Pipeline(recipe, host, **tools, data=digits)
    )


def test_equal_studies_have_equal_folders_and_others_their_own(host, folder_of):
    one, two = (study_of(host, "selector=random,window") for _ in range(2))
    assert folder_of(one) == folder_of(two)
    assert str(folder_of(one)).startswith("runs/ablate-selmatch-digits-")
    assert folder_of(replace(one, seeds=(0, 1, 2))) != folder_of(one)


# ---- running ----------------------------------------------------------------------------------


class Stumbling:
    """Selects the first samples; fails, for one seed or for all."""

    name, version, needs_scores = "stumbling", "1", False
    drawn: list = []  # noqa: RUF012

    class Options(Options):
        always: bool = Field(False, description="whether it fails for every seed")
        never: bool = Field(False, description="whether it fails for none")

        @model_validator(mode="after")
        def _not_both(self):
            if self.always and self.never:
                raise ValueError("always and never exclude each other")
            return self

    def __init__(self, options):
        self.options = options

    def select(self, data, scores, budget, context, rng):
        first = not self.drawn or self.drawn[0] == rng.initial_seed()
        self.drawn.append(rng.initial_seed())
        if self.options.always or not (first or self.options.never):
            raise CondenseError("stumbled\nover its feet")
        counts = budget.counts(data)
        chosen = [data.class_indices(c)[:n] for c, n in enumerate(counts)]
        indices = torch.cat(chosen)
        return Selection(indices, data.labels[indices], tuple(counts))


class Plugin:
    @hookimpl
    def condense_register_selectors(self, register):
        register(Stumbling)


@pytest.fixture
def bench(tmp_path, tiny):
    """Runs a study on tiny digits; gives the result and the store."""
    host = build_host(external=False, extra=[Plugin()])
    Stumbling.drawn.clear()

    def go(*vary, data=None, store="store", observe=lambda so_far: None, **more):
        study = study_of(host, *vary, options=tiny, **more)
        kept, progress = Store(tmp_path / store), Notes()

        def bind(recipe, **given):
            given["data"] = given.get("data") or data
            surroundings = {"store": kept, "device": torch.device("cpu"), "progress": progress}
            return Pipeline(recipe, host, **surroundings, **given)

        return ablate(study, bind, progress, observe), kept, progress

    return go


GRID = ("selector=hardest,window", "policy=full,partial", "augmentation=dsa,combined")


def kinds(store):
    found = [entry.kind for entry in store.entries()]
    return {kind: found.count(kind) for kind in set(found)}


def test_scores_and_experts_are_made_once_and_a_second_call_computes_nothing(bench):
    result, store, _ = bench(*GRID, seeds=2)
    count = kinds(store)
    assert (count["scores"], count["dynamics"], count["experts"]) == (1, 1, 1)
    # two selectors draw no lots, so that seeds differ in matching and evaluation alone
    assert count["matching"] == 2 * 2 * 2
    assert (result.runs, result.computed) == (16, 16)
    assert all(len(row.values) == 2 and not row.errors for row in result.rows)
    assert any(row.accuracies[0] != row.accuracies[1] for row in result.rows)
    again, store, _ = bench(*GRID, seeds=2)
    assert (again.runs, again.computed) == (16, 0)
    assert again.document.to_json() == result.document.to_json()
    more, store, _ = bench(*GRID, seeds=3)
    assert (more.runs, more.computed) == (24, 8)
    assert kinds(store)["experts"] == 1


def test_the_first_seed_is_that_of_a_plain_run(bench, host, tmp_path, tiny):
    from condense.engine.arms import condensed_plan, evaluate

    result, store, _ = bench("selector=random,window", seeds=2, seed=3)
    misses = store.misses
    base = result.study.base
    plain = Pipeline(base, host, store=store, device=torch.device("cpu"), progress=SilentProgress())
    accuracy = evaluate(plain, condensed_plan(plain, plain.condensed)).mean
    assert store.misses == misses
    (own,) = [row for row in result.rows if row.cell.is_base]
    assert accuracy == own.accuracies[0]


def test_results_do_not_depend_on_what_was_in_the_store(bench):
    one, _, _ = bench("selector=random,window", seeds=2)
    # seed 1 alone first, with the experts of seed 1: it must not pass for the shared ones
    other, _, _ = bench("selector=random,window", seeds=1, seed=1, store="other")
    two, _, _ = bench("selector=random,window", seeds=2, store="other")
    assert one.document.to_json() == two.document.to_json()
    assert other.rows[1].accuracies[0] != one.rows[1].accuracies[1]


def test_an_interrupted_study_goes_on_where_it_stopped(bench):
    def stop(so_far):
        if so_far.runs == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench("selector=random,window", "policy=full,partial", seeds=1, observe=stop)
    result, _, _ = bench("selector=random,window", "policy=full,partial", seeds=1)
    assert (result.runs, result.computed) == (4, 1)


def test_a_failed_cell_is_a_row_and_the_rest_go_on(bench):
    result, _, progress = bench("selector=stumbling,random,window", seeds=2, seed=5)
    stumbled, random, window = result.rows
    assert stumbled.accuracies[0] is not None
    assert stumbled.accuracies[1] is None
    assert stumbled.errors == {6: "stumbled over its feet"}
    assert len(random.values) == len(window.values) == 2
    assert result.difference(stumbled).n == 1
    assert result.difference(random).n == 2
    assert result.effects() == []
    assert (result.runs, result.failures) == (6, 1)
    assert result.stored == 6 - 1 - result.computed
    assert progress.lines == [
        "selector=stumbling, seed 6, failed: stumbled over its feet",
    ]
    assert not result.failed


def test_a_combination_that_makes_no_sense_is_a_row_too(bench):
    vary = ("selector=stumbling", "selector.always=false,true", "selector.never=true,false")
    result, _, progress = bench(*vary, seeds=1)
    senseless = result.rows[3]
    assert senseless.cell.name == "selector=stumbling selector.always=true selector.never=true"
    assert senseless.error.endswith("always and never exclude each other")
    assert [row.error is None for row in result.rows] == [True, True, True, False, False]
    assert len(progress.lines) == 2


def test_every_size_has_random_sets_of_its_own_shared_by_the_cells_of_that_size(
    bench, host, tmp_path
):
    from condense.engine.arms import evaluate, random_plan

    result, _, _ = bench("ipc=1,3", "method=window,random", seeds=2)
    by_name = {row.cell.name: row for row in result.rows}
    for size in (1, 3):
        one, other = by_name[f"ipc={size} method=window"], by_name[f"ipc={size} method=random"]
        assert one.random == other.random
        # worked out apart from the study
        for seed, found in zip((0, 1), one.random, strict=True):
            recipe = replace(one.cell.recipe, seed=seed)
            surroundings = {"device": torch.device("cpu"), "progress": SilentProgress()}
            plain = Pipeline(recipe, host, store=Store(tmp_path / "apart"), **surroundings)
            assert found == evaluate(plain, random_plan(plain)).mean
            drawn = random_plan(plain).arm.draw(0)
            assert drawn.labels.bincount().tolist() == [size] * 10
    assert by_name["ipc=1 method=window"].random != by_name["ipc=3 method=window"].random
    document = result.document.to_json()
    cell = document["cells"][0]
    assert cell["random_accuracies"] == list(result.rows[0].random)
    gaps = [
        own - other for own, other in zip(cell["accuracies"], result.rows[0].random, strict=True)
    ]
    assert cell["to_random"]["mean"] == pytest.approx(sum(gaps) / 2)
    assert [e["key"] for e in document["main_effects"]] == ["method"]  # none of the size itself


def test_no_random_sets_are_evaluated_where_all_sizes_are_equal(bench):
    result, _, _ = bench("method=window,random", seeds=1)
    assert all(row.random == () for row in result.rows)
    assert result.document.to_json()["cells"][0]["to_random"] is None


@pytest.mark.parametrize(
    ("vary", "given", "part"),
    [
        (("ipc=1,150",), {}, "`vary=ipc=150`: class 0 has 142 samples"),
        (("method=window", "ipc=150,1"), {}, "`vary=ipc=150`: class 0 has 142 samples"),
        (("selector=random",), {"ipc": 150}, "class 0 has 142 samples"),
    ],
)
def test_a_size_that_a_class_cannot_meet_is_named_before_any_work(
    bench, tmp_path, vary, given, part
):
    with pytest.raises(DataError) as caught:
        bench(*vary, **given)
    assert str(caught.value).startswith(part)
    assert not list((tmp_path / "store").rglob("entry.json"))


def test_accuracy_over_the_size_is_what_the_figure_shows(bench, tmp_path):
    result, _, _ = bench("ipc=1,2,4", "method=window,random", seeds=1)
    key, lines = size_lines(result.document)
    assert key == "ipc"
    assert [(line.name, line.x, line.muted) for line in lines] == [
        ("window", (1, 2, 4), False),
        ("random", (1, 2, 4), False),
        ("random subsets", (1, 2, 4), True),
    ]
    means = [100 * row.values[0] for row in result.rows if "window" in row.cell.name]
    assert list(lines[0].y) == means
    write_ablation(result.document, tmp_path / "out")
    assert (tmp_path / "out" / "ablation.png").stat().st_size > 10_000


def test_a_cell_that_always_fails_is_noted_once_and_a_study_of_them_has_failed(bench):
    result, _, progress = bench("selector=stumbling", "selector.always=true", seeds=3)
    row = result.rows[1]
    assert row.mean is None
    assert list(row.errors) == [0, 1, 2]
    assert len(progress.lines) == 1
    assert not result.failed  # the base went well


class Sealed(LabeledData):
    """A test split that must not be read."""

    def __getattribute__(self, name):
        if name in ("inputs", "labels", "fingerprint", "geometry"):
            raise AssertionError(f"{name} of the test split was read")
        return super().__getattribute__(name)


def test_choosing_never_reads_the_test_split(bench, tiny_images):
    inner = tiny_images.test
    values = (inner.inputs, inner.labels, inner.classes, inner.normalization, inner.flip)
    sealed = replace(tiny_images, test=Sealed(*values))
    result, _, _ = bench("policy=full,partial", data=sealed, seeds=2, seed=3, validation=0.2)
    assert all(not row.errors and len(row.values) == 2 for row in result.rows)
    document = result.document.to_json()
    # ⌊30/5⌋ of each of the three classes
    assert document["validation"] == {"share": 0.2, "fit": 72, "held_out": 18}
    assert document["data"] == "tiny-images"
    # each held-out sample is right or wrong in two networks
    assert all((36 * v) % 1 == pytest.approx(0, abs=1e-9) for v in result.rows[0].values)
    part = validation_part(tiny_images, 0.2, 3)
    again, _, _ = bench("policy=full,partial", data=part, seeds=2, seed=3)
    assert again.computed == 0  # it is the part that tuning chooses on, too
    assert again.document.to_json()["validation"] is None
    read, _, _ = bench("policy=full,partial", data=sealed, seeds=1)
    assert all("of the test split was read" in row.error for row in read.rows)


def test_what_a_preset_says_for_the_data_holds_on_a_part_of_it(host, folder_of):
    study = study_of(host, "selector.beta=0.2,0.3", preset="quick", validation=0.2)
    assert study.cells[1].recipe["policy"].options.alpha == 0.8  # of quick for digits alone
    assert folder_of(study) != folder_of(replace(study, validation=None))
    assert folder_of(study) != folder_of(replace(study, validation=0.3))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_of_all_or_nothing_is_refused(host, share):
    with pytest.raises(OptionError, match=r"`validation` must be in \(0, 1\), got .*; try 0.2"):
        study_of(host, "selector=random", validation=share)


def test_data_without_a_test_split_can_be_chosen_on(bench, tiny_images):
    result, _, _ = bench("selector=random", data=tiny_images.without_test(), validation=0.4)
    assert not result.failed


def test_data_without_a_test_split_is_refused_before_any_work(bench, tiny_images):
    with pytest.raises(DataError, match="has no test split"):
        bench("selector=random", data=tiny_images.without_test())
