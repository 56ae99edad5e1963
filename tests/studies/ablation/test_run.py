"""Ablations: figures against hand-worked ones, what cells share, what a failure leaves standing."""

import csv
import io
import json
import math
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
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.resolve import Request
from condense.studies.ablation.design import Cell, Factor, Study, make_study, parse_factor
from condense.studies.ablation.files import ablation_folder, to_csv, write_ablation
from condense.studies.ablation.result import Ablation, Row
from condense.studies.ablation.run import ablate
from condense.studies.statistics import difference, estimate, main_effect, t_quantile
from condense.traits import EvaluatorTraits

# Student's t at 97.5 %, from a printed table
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262}

# ---- figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("freedom", T)
def test_the_quantile_is_that_of_the_printed_table(freedom):
    assert t_quantile(freedom) == pytest.approx(T[freedom], abs=5e-4)


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
    assert estimate([0.25, 0.25, 0.25]).half == 0


def test_differences_are_taken_in_pairs():
    # the seeds differ by 0.2, the arms by 0.01 and 0.03: mean 0.02, deviations ±0.01
    found = difference([0.51, 0.73], [0.50, 0.70])
    assert found.mean == pytest.approx(0.02)
    assert found.half == pytest.approx(T[1] * 0.01, rel=1e-4)
    assert found.half < estimate([0.51, 0.73]).half / 5
    with_hole = difference([0.51, None, 0.73], [0.50, 0.9, 0.70])
    assert (with_hole.mean, with_hole.half) == (found.mean, found.half)
    assert difference([None, 0.5], [0.5, None]) is None


def test_main_effects_by_hand():
    # seed 0: (1 + 3) / 2 - (1 + 3 + 5 + 7) / 4 = -2
    # seed 1: (2 + 2) / 2 - (2 + 2 + 2 + 10) / 4 = -2
    cells = {"ax": [1, 2], "ay": [3, 2], "bx": [5, 2], "by": [7, 10]}
    found = main_effect(cells, ["ax", "ay"])
    assert (found.mean, found.half, found.n) == (-2.0, 0.0, 2)
    opposite = main_effect(cells, ["bx", "by"])
    assert (opposite.mean, opposite.half) == (2.0, 0.0)
    # seed 0: (1 + 5) / 2 - 4 = -1; seed 1: (2 + 2) / 2 - 4 = -2
    other = main_effect(cells, ["ax", "bx"])
    assert other.mean == -1.5
    assert other.half == pytest.approx(T[1] * 0.5, rel=1e-4)
    assert main_effect(cells, []) is None


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
    return Ablation(
        Study(recipe, factors, tuple(cells), tuple(range(count)), one_at_a_time), "digits", rows
    )


def test_the_document_holds_means_differences_and_effects():
    result = table({"s=a": [0.5, 0.7], "s=b": [0.6, 0.9]}, base="s=a")
    document = result.document.to_json()
    base, other = document["cells"]
    assert base["accuracy"]["mean"] == pytest.approx(0.6)
    assert base["difference"] is None
    assert other["difference"]["mean"] == pytest.approx(0.15)
    assert other["difference"]["half"] == pytest.approx(T[1] * 0.05, rel=1e-4)
    assert other["difference"]["low"] == pytest.approx(0.15 - T[1] * 0.05, abs=1e-4)
    effects = {e["value"]: e["effect"]["mean"] for e in document["main_effects"]}
    assert effects == {"a": pytest.approx(-0.075), "b": pytest.approx(0.075)}
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_the_document_names_what_the_evaluator_measures():
    class Overlap:
        traits = EvaluatorTraits(measure="overlap")

    assert table({"s=a": [0.5]}, base="s=a").document.to_json()["measure"] == "accuracy"
    assert (
        table({"s=a": [0.5]}, base="s=a", evaluator=Overlap).document.to_json()["measure"]
        == "overlap"
    )


def test_an_incomplete_cell_and_a_base_outside_the_grid_are_no_part_of_the_effects():
    result = table(
        {"s=a": [0.5, 0.5], "s=b": [0.7, 0.7], "s=c": [0.1, None], "s=d": [0.9, 0.9]},
        base="s=d",
        outside=("s=d",),
    )
    effects = {e.value: e for e in result.effects()}
    assert effects["a"].effect.mean == pytest.approx(-0.1)  # of the mean of a and b
    assert (effects["c"].effect, effects["c"].cells) == (None, 0)
    assert (effects["d"].effect, effects["d"].cells) == (None, 0)
    assert result.rows[2].mean.n == 1
    assert result.rows[2].error == "no"
    assert not result.failed


def test_a_value_with_no_other_to_compare_with_has_no_effect():
    # all that is left of the factor s is a; what is left of t can be compared
    cells = {"s=a t=x": [0.5, 0.5], "s=a t=y": [0.7, 0.7], "s=b t=x": [None, None]}
    effects = {f"{e.key}={e.value}": e for e in table(cells, base="s=a t=x").effects()}
    assert (effects["s=a"].effect, effects["s=a"].cells) == (None, 2)
    assert effects["t=y"].effect.mean == pytest.approx(0.1)


def test_one_at_a_time_has_no_main_effects():
    result = table({"s=a": [0.5], "s=b": [0.6]}, base="s=a", one_at_a_time=True)
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


def study_of(host, *vary, seeds=2, one_at_a_time=False, validation=None, assignments=(), **request):
    given = tuple((tuple(key.split(".")), value) for key, value in assignments)
    factors = [parse_factor(text) for text in vary]
    base = Request(assignments=given, **request)
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


def test_options_go_over_to_a_swapped_component_that_has_them(host):
    study = study_of(
        host,
        *("scorer=el2n,cscore", "selector=random,window"),
        assignments=[("scorer.networks", 1), ("selector", "window"), ("selector.beta", 0.3)],
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


class Notes(SilentProgress):
    def __init__(self):
        self.lines = []

    def note(self, message):
        self.lines.append(message)


@pytest.fixture
def bench(tmp_path, tiny):
    """Runs a study on tiny digits; gives the result and the store."""
    host = build_host(external=False, extra=[Plugin()])
    Stumbling.drawn.clear()

    def go(*vary, data=None, store="store", observe=lambda so_far: None, **more):
        study = study_of(host, *vary, assignments=tuple(tiny.items()), **more)
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
    from condense.engine.evaluation import condensed_plan, evaluate

    result, store, _ = bench("selector=random,window", seeds=2, seed=3)
    misses = store.misses
    base = result.study.base
    plain = Pipeline(base, host, store=store, device=torch.device("cpu"), progress=SilentProgress())
    accuracy = evaluate(plain, condensed_plan(plain, plain.condensed)).mean
    assert store.misses == misses
    assert accuracy == result.base.accuracies[0]


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
    assert [e.cells for e in result.effects()] == [0, 1, 1]
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
    with pytest.raises(Exception, match="the test split was read"):
        bench("policy=full,partial", data=sealed, seeds=1)


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
