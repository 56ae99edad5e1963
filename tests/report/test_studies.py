"""Studies in a report: ablations, tunings, coverage and comparisons, from made documents."""

import json
import shutil

import pytest

from condense.options import assignments_of
from condense.report.page.page import render, report_of
from condense.report.page.runs import class_views
from condense.report.page.sources import read_sources
from condense.report.page.studies import split_half_of
from condense.resolve import Request
from condense.results import Evaluation
from condense.studies.coverage.result import Coverage
from condense.studies.scorers.run import compared_recipes
from condense.studies.statistics import estimate


def interval(values):
    found = estimate(values)
    return {"mean": found.mean, "half": found.half, "low": found.low, "high": found.high, "n": 3}


ABLATION = {
    "method": "selmatch",
    "data": "digits",
    "seeds": [0, 1, 2],
    "shared_seed": 0,
    "cells": [
        {
            **{"name": "policy=full", "base": False, "error": None},
            "accuracy": interval([0.9, 0.91, 0.93]),
            "difference": interval([-0.01, -0.02, 0.0]),
        },
        {
            **{"name": "policy=partial", "base": True, "error": None, "difference": None},
            "accuracy": interval([0.91, 0.93, 0.93]),
        },
        {
            **{"name": "policy=<x>", "base": False, "error": "no <x>", "difference": None},
            "accuracy": None,
        },
    ],
    "main_effects": [
        {"key": "policy", "value": "full", "cells": 1, "effect": interval([0.1, 0.2, 0.1])}
    ],
}


def search_of(keys, points, best, **more):
    return {
        "keys": keys,
        "matched": False,
        "ranges": [[0.0, 0.99]] * len(keys),
        "points": [{"values": v, "accuracies": a} for v, a in points],
        "best": best,
        "plateau": None,
        "stop": "narrow",
        **more,
    }


BETA = search_of(
    ["selector.beta"],
    [([0.1], [0.8, 0.82]), ([0.5], [0.9, 0.91]), ([0.9], [0.7, 0.72])],
    [0.5],
)
TUNING = {
    **{"method": "selmatch", "data": "digits", "ipc": 5, "fraction": None, "seed": 0},
    **{"key": "selector.beta", "also": None, "finals": 3, "seeds": 2, "max_seeds": 4, "repeats": 1},
    "validation": {"share": 0.2, "fit": 80, "held_out": 20},
    "arms": [{"name": "", "values": {}, "error": None, "stages": [BETA]}],
}


def coverage(artefact, hard, fingerprint=None):
    points = [
        {"iteration": 10 * k, "all": h, "easy": 0.9, "hard": h, "area": dict.fromkeys(
            ("all", "easy", "hard"), 0.5)}
        for k, h in enumerate(hard)
    ]  # fmt: skip
    curve = {"radii": [0.0, 1.0], "all": [0.0, 1.0], "easy": [0.0, 1.0], "hard": [0.0, 1.0]}
    run = {"artefact": str(artefact), "label": "selmatch", "iterations": points, "curve": curve}
    if fingerprint is not None:
        run["fingerprint"] = fingerprint
    return {"data": "digits", "radius": 1.0, "quantile": 0.95, "same_class": True, "runs": [run]}


@pytest.fixture
def folder(tmp_path):
    """Writes a document as a study's folder."""

    def write(name, document):
        place = tmp_path / name.partition(".")[0]
        place.mkdir()
        (place / name).write_text(json.dumps(document))
        return place

    return write


def shown(*folders, **more):
    report = report_of(read_sources(folders), **more)
    render(report)
    return report


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_an_ablation_on_a_held_out_part_says_so(folder):
    held_out = {"share": 0.2, "fit": 80, "held_out": 20}
    (view,) = shown(folder("ablation.json", ABLATION | {"validation": held_out})).studies
    assert view.tables[0].caption.startswith("Validation accuracy of every cell")
    assert "validation accuracy, %" in view.figures[0].svg
    assert any("on 20 training samples held out of 100; the test split" in w for w in view.words)


def test_an_ablation(folder):
    report = shown(folder("ablation.json", ABLATION))
    (view,) = report.studies
    cells, effects = view.tables
    first = ABLATION["cells"][0]["accuracy"]
    assert texts(cells)[0][1] == f"{100 * first['mean']:.2f} ± {100 * first['half']:.2f}"
    assert cells.rows[0][1].value == first["mean"]
    assert [row[3] for row in texts(cells)] == ["", "base", "failed: no <x>"]
    assert texts(cells)[2][1:3] == ["–", "–"]
    assert texts(effects)[0][0] == "policy=full"
    (figure,) = view.figures
    assert figure.alt == "policy=full 91.33; policy=partial 92.33"  # what failed has no dot
    assert cells.headers[1] == "accuracy, %"
    assert view.words[1] == "1 of 3 cells are incomplete and left out of main effects."
    # an error is a sentence: it is wrapped, not squeezed into a column of figures
    assert [cells.kind(column) for column in (1, 2, 4)] == ["words", "figure", "remark"]
    assert '<td class="remark">failed: no &lt;x&gt;</td>' in render(report)


def test_an_ablation_names_what_its_evaluator_measures(folder):
    report = shown(folder("ablation.json", ABLATION | {"measure": "overlap"}))
    (cells, _) = report.studies[0].tables
    assert cells.headers[1] == "overlap, %"
    assert cells.caption.startswith("Test overlap of every cell")
    page = render(report)
    assert "test overlap, %" in page
    assert "accuracy" not in page.partition("</style>")[2].lower()


def test_a_tuning(folder):
    (view,) = shown(folder("tune.json", TUNING)).studies
    (table,) = view.tables
    assert texts(table)[0][:2] == ["selmatch", "selector.beta = 0.5"]
    assert table.rows[0][2].value == pytest.approx(0.905)
    (figure,) = view.figures
    assert "highest 90.5 at 0.5" in figure.alt
    assert [(f.check, f.severity) for f in view.findings] == [("selector.beta", "ok")]
    assert "20 training samples held out of 100" in view.words[0]


def test_a_tuning_shows_the_best_value_at_full_length(folder):
    finals = [
        {"values": [0.1], "accuracies": [0.84, 0.86]},
        {"values": [0.5], "accuracies": [0.95, 0.97]},
    ]
    arms = [{"name": "", "values": {}, "stages": [BETA | {"finals": finals}]}]
    (view,) = shown(folder("tune.json", TUNING | {"arms": arms})).studies
    (table,) = view.tables
    assert table.rows[0][2].value == pytest.approx(0.96)
    assert "full length" in table.caption
    (figure,) = view.figures
    curve, again = figure.alt.split("; ")
    assert curve.endswith("highest 90.5 at 0.5")
    assert again == "at full length: 85 at 0.1, 96 at 0.5, highest 96 at 0.5"


def test_a_best_value_without_a_final_keeps_its_own_figure(folder):
    finals = [{"values": [0.1], "accuracies": [0.99, 0.99]}]
    arms = [{"name": "", "values": {}, "stages": [BETA | {"finals": finals}]}]
    (view,) = shown(folder("tune.json", TUNING | {"arms": arms})).studies
    assert view.tables[0].rows[0][2].value == pytest.approx(0.905)


def test_a_tuning_over_arms_with_two_keys_and_a_failure(folder):
    edge = search_of(["selector.beta"], [([0.1], [0.9]), ([0.5], [0.8])], [0.1])
    both = search_of(
        ["selector.beta", "policy.alpha"], [([0.1, 1.0], [0.9]), ([0.5, 0.5], [0.8])], [0.1, 1.0]
    )
    arms = [
        {"name": "scorer=a", "values": {"scorer": "a"}, "error": None, "stages": [edge]},
        {"name": "scorer=b", "values": {"scorer": "b"}, "error": None, "stages": [both]},
        {"name": "scorer=c", "values": {"scorer": "c"}, "error": "no such scorer", "stages": []},
    ]
    document = TUNING | {"arms": arms, "also": "policy.alpha"}  # as written before several
    (view,) = shown(folder("tune.json", document)).studies
    assert [row[1] for row in texts(view.tables[0])] == [
        "selector.beta = 0.1",
        "selector.beta = 0.1, policy.alpha = 1",
    ]
    assert [(f.check, f.severity) for f in view.findings] == [("selector.beta, scorer=a", "look")]
    beta, alpha = view.figures
    assert [title.partition(",")[0] for title in (beta.title, alpha.title)] == [
        "selector.beta",
        "policy.alpha",
    ]
    assert "scorer=a" not in alpha.alt  # it has no such option
    assert "scorer=c failed: no such scorer" in view.words


def set_of(run):
    return read_sources([run]).runs[0].condensed.content_fingerprint


def test_coverage_names_its_runs_and_tells_the_diagnosis(folder, plain):
    own = set_of(plain)
    # told by what is in the set, however its folder was named when it was measured
    falls = shown(plain, folder("coverage.json", coverage("../x/plain", [0.5, 0.6, 0.3], own)))
    found = [f for f in falls.runs[0].findings if f.check == "coverage"]
    assert [f.severity for f in found] == ["look"]
    (view,) = falls.studies
    assert texts(view.tables[0]) == [["A", "0.3000", "0.9000", "0.3000", *["0.5000"] * 3]]
    assert [figure.name.rpartition("-")[2] for figure in view.figures] == ["iterations", "radius"]


def test_coverage_worked_out_for_the_report(plain):
    covered = Coverage.model_validate_json(json.dumps(coverage(plain, [0.5, 0.6], set_of(plain))))
    report = shown(plain, coverage=covered)
    assert [f.severity for f in report.runs[0].findings if f.check == "coverage"] == ["ok"]
    assert report.to_json()["studies"][0]["document"]["radius"] == 1.0


@pytest.mark.parametrize("fingerprint", ["0" * 32, None])
def test_coverage_of_other_sets_says_nothing_of_these(folder, plain, fingerprint):
    # a set that lay at the same path before says nothing either
    report = shown(plain, folder("coverage.json", coverage(plain, [0.5, 0.1], fingerprint)))
    assert "coverage" not in [f.check for f in report.runs[0].findings]
    assert report.studies[0].tables[0].rows[0][0].text == "selmatch"


def test_runs_with_the_same_set_share_its_coverage(folder, plain, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(plain, again)
    report = shown(plain, again, folder("coverage.json", coverage("x", [0.5, 0.1], set_of(plain))))
    assert report.studies[0].tables[0].rows[0][0].text == "A B"
    assert all("coverage" in [f.check for f in run.findings] for run in report.runs)


def comparison(fingerprint, scorer=None, seed=0):
    scorers = [
        {"name": "cscore", "split_half": 0.3, "scorer": scorer},
        {"name": "place", "split_half": None, "scorer": {"component": "place"}},
    ]
    return {
        "data": "digits",
        "data_fingerprint": fingerprint,
        "seed": seed,
        "scorers": scorers,
        "rank_correlation": [[1.0, -0.5], [-0.5, 1.0]],
    }


@pytest.fixture
def scored(host, tiny):
    """The scorer's table as a comparison under the options of the run has it, and others."""

    def table(**more):
        values = {**tiny, "scorer.networks": 2, **more}
        given = Request(assignments=assignments_of(values))
        recipes = compared_recipes(host, given, ["cscore", "el2n"])
        return json.loads(json.dumps(recipes[0]["scorer"].table))

    return table


def test_a_comparison_tells_how_far_scores_rank(folder, plain, scored):
    data = read_sources([plain]).runs[0].condensed.data_fingerprint
    report = shown(plain, folder("comparison.json", comparison(data, scored())))
    assert texts(report.studies[0].tables[0])[1] == ["place", "–", "-0.500", "1.000"]
    assert [f.severity for f in report.studies[0].findings] == ["problem"]
    assert [f.severity for f in report.runs[0].findings if f.check == "scores"] == ["problem"]


@pytest.mark.parametrize("change", ["data", "seed", "options", "no options", "no seed"])
def test_a_comparison_of_other_scores_does_not(folder, plain, scored, change):
    run = read_sources([plain]).runs[0].condensed
    document = comparison(run.data_fingerprint, scored(), run.seed)
    place = folder("comparison.json", document)

    def found():
        studies = [study.document for study in read_sources([place]).studies]
        return split_half_of(studies, run.recipe, run.data_fingerprint)

    assert found() == 0.3
    if change == "data":
        document["data_fingerprint"] = "other"
    elif change == "seed":
        document["seed"] += 1
    elif change == "options":
        document["scorers"][0]["scorer"] = scored(**{"scorer.networks": 3})
    elif change == "no options":  # a file of before they were written
        del document["scorers"][0]["scorer"]
    else:
        del document["seed"]
    (place / "comparison.json").write_text(json.dumps(document))
    assert found() is None
    assert "scores" not in [f.check for f in shown(plain, place).runs[0].findings]


def test_studies_alone_make_a_page(folder):
    report = shown(folder("ablation.json", ABLATION), folder("tune.json", TUNING))
    assert report.title == "Ablation and Tuning"
    assert report.runs == ()
    assert "no &lt;x&gt;" in render(report)


def point(method, samples, mean):
    span = {"mean": mean, "low": mean - 0.01, "high": min(1, mean + 0.01)}
    return {"method": method, "samples": samples, "seconds": None, "bytes": 80 * samples} | span


SHRINK = {
    **{"data": "digits", "keep": 0.95, "metric": "accuracy", "method": None, "size": None},
    **{"to_random": None, "target": 0.855, "max_fraction": 0.5, "samples": 100, "seeds": [0, 1]},
    "whole": point("whole", 80, 0.9),
    "curve": [point("random", 10, 0.6), point("random", 40, 0.8)],
    "errors": {"ccs": "no `selector.beta`"},
    "evaluator": {"component": "accuracy"},
    "validation": {"share": 0.2, "fit": 80, "held_out": 20},
}


def test_a_shrinking_that_found_no_size(folder):
    (view,) = shown(folder("shrink.json", SHRINK)).studies
    assert view.words[0].startswith("digits: nothing up to 50 % of the training split is sure to")
    assert "ccs is left out: no `selector.beta`" in view.words
    (table,) = view.tables
    assert texts(table) == [
        ["random", "10", "60.0 (59.0 to 61.0)", "66.7"],
        ["random", "40", "80.0 (79.0 to 81.0)", "88.9"],
        ["whole", "80", "90.0 (89.0 to 91.0)", "100.0"],
    ]
    curves = "random: 60 at 10, 80 at 40, highest 80 at 40"
    assert view.figures[0].alt == f"{curves}; whole: 90 throughout; target: 85.5 throughout"


def test_a_shrinking_that_found_one(folder):
    size = {"samples": 60, "fraction": 0.6, "estimate": 52.3, "low": 47.0, "high": 58.0}
    test = {"condensed": 0.88, "random": 0.8, "whole": 0.92, "kept": 0.9565}
    document = SHRINK | {"method": "window", "size": size, "test": test}
    document["to_random"] = {"times": 1.5, "low": 1.2, "smaller": True}
    (view,) = shown(folder("shrink.json", document)).studies
    assert "60 samples (60 % of 100), chosen by window, keep 95 %" in view.words[0]
    assert view.words[1].startswith("a random subset of equal accuracy takes 1.5 times")
    assert texts(view.tables[1]) == [
        ["condensed", "88.00"], ["random", "80.00"], ["whole", "92.00"],
    ]  # fmt: skip
    assert view.tables[1].rows[0][1].value == pytest.approx(88.0)


def test_a_class_without_test_samples_is_left_out():
    evaluations = {
        "condensed": Evaluation((0.9,), per_class=(0.8, 0.0, 1.0), class_sizes=(5, 0, 5)),
        "random": Evaluation((0.8,), per_class=(0.6, 0.0, 1.0), class_sizes=(5, 0, 5)),
    }
    found = class_views(evaluations, "abc")
    assert [(one.name, one.own, one.random) for one in found] == [("a", 0.8, 0.6), ("c", 1.0, 1.0)]
    older = {"condensed": Evaluation((0.9,), per_class=(0.8, 0.0, 1.0))}  # sizes are not known
    assert [one.name for one in class_views(older, "abc")] == ["a", "b", "c"]
