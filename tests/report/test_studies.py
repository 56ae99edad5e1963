"""Studies in a report: ablations, tunings, coverage and comparisons, from made documents."""

import json

import pytest

from condense.engine.statistics import estimate
from condense.report.page.page import render, report_of
from condense.report.page.sources import read_sources
from condense.report.page.studies import split_halves


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


def stage(keys, points, best):
    return {
        "keys": keys,
        "points": [{"values": v, "accuracies": a} for v, a in points],
        "best": best,
        "shape": {"verdict": "concave", "dents": [], "triples": 1},
    }


BETA = stage(
    ["selector.beta"],
    [([0.1], [0.8, 0.82]), ([0.5], [0.9, 0.91]), ([0.9], [0.7, 0.72])],
    [0.5],
)
TUNING = {
    "method": "selmatch",
    "data": "digits",
    "validation": {"share": 0.2, "fit": 80, "held_out": 20},
    "arms": [{"name": "", "error": None, "stages": [BETA]}],
}


def coverage(artefact, hard):
    points = [
        {"iteration": 10 * k, "all": h, "easy": 0.9, "hard": h, "area": dict.fromkeys(
            ("all", "easy", "hard"), 0.5)}
        for k, h in enumerate(hard)
    ]  # fmt: skip
    curve = {"radii": [0.0, 1.0], "all": [0.0, 1.0], "easy": [0.0, 1.0], "hard": [0.0, 1.0]}
    run = {"artefact": str(artefact), "label": "selmatch", "iterations": points, "curve": curve}
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


def test_an_ablation(folder):
    (view,) = shown(folder("ablation.json", ABLATION)).studies
    cells, effects = view.tables
    first = ABLATION["cells"][0]["accuracy"]
    assert texts(cells)[0][1] == f"{100 * first['mean']:.2f} ± {100 * first['half']:.2f}"
    assert cells.rows[0][1].value == first["mean"]
    assert [row[3] for row in texts(cells)] == ["", "base", "failed: no <x>"]
    assert texts(cells)[2][1:3] == ["–", "–"]
    assert texts(effects)[0][0] == "policy=full"
    (figure,) = view.figures
    assert figure.alt == "policy=full 91.33; policy=partial 92.33"  # what failed has no dot


def test_a_tuning(folder):
    (view,) = shown(folder("tune.json", TUNING)).studies
    (table,) = view.tables
    assert texts(table)[0][:2] == ["selmatch", "selector.beta = 0.5"]
    assert table.rows[0][2].value == pytest.approx(0.905)
    (figure,) = view.figures
    assert "highest 90.5 at 0.5" in figure.alt
    assert [(f.check, f.severity) for f in view.findings] == [("selector.beta", "ok")]
    assert "20 training samples held out of 100" in view.words[0]


def test_a_tuning_over_arms_with_two_keys_and_a_failure(folder):
    edge = stage(["selector.beta"], [([0.1], [0.9]), ([0.5], [0.8])], [0.1])
    both = stage(
        ["selector.beta", "policy.alpha"], [([0.1, 1.0], [0.9]), ([0.5, 0.5], [0.8])], [0.1, 1.0]
    )
    arms = [
        {"name": "scorer=a", "error": None, "stages": [edge]},
        {"name": "scorer=b", "error": None, "stages": [both]},
        {"name": "scorer=c", "error": "no such scorer", "stages": []},
    ]
    (view,) = shown(folder("tune.json", TUNING | {"arms": arms})).studies
    assert [row[1] for row in texts(view.tables[0])] == [
        "selector.beta = 0.1",
        "selector.beta = 0.1, policy.alpha = 1",
    ]
    assert [(f.check, f.severity) for f in view.findings] == [("selector.beta, scorer=a", "look")]
    assert len(view.figures) == 1  # no curve of two options
    assert "scorer=c failed: no such scorer" in view.words


def test_coverage_names_its_runs_and_tells_the_diagnosis(folder, plain):
    falls = shown(plain, folder("coverage.json", coverage(plain, [0.5, 0.6, 0.3])))
    found = [f for f in falls.runs[0].findings if f.check == "coverage"]
    assert [f.severity for f in found] == ["look"]
    (view,) = falls.studies
    assert texts(view.tables[0]) == [["A", "0.3000", "0.9000", "0.3000", *["0.5000"] * 3]]
    assert [figure.name.rpartition("-")[2] for figure in view.figures] == ["iterations", "radius"]


def test_coverage_worked_out_for_the_report(plain):
    report = shown(plain, coverage=coverage(plain, [0.5, 0.6]))
    assert [f.severity for f in report.runs[0].findings if f.check == "coverage"] == ["ok"]
    assert report.to_json()["studies"][0]["document"]["radius"] == 1.0


def test_coverage_of_other_runs_says_nothing_of_these(folder, plain):
    report = shown(plain, folder("coverage.json", coverage("elsewhere", [0.5, 0.1])))
    assert "coverage" not in [f.check for f in report.runs[0].findings]
    assert report.studies[0].tables[0].rows[0][0].text == "selmatch"


def comparison(fingerprint):
    scorers = [{"name": "cscore", "split_half": 0.3}, {"name": "place", "split_half": None}]
    return {
        "data": "digits",
        "data_fingerprint": fingerprint,
        "scorers": scorers,
        "rank_correlation": [[1.0, -0.5], [-0.5, 1.0]],
    }


def test_a_comparison_tells_how_far_scores_rank(folder, plain):
    data = read_sources([plain]).runs[0].condensed.data_fingerprint
    report = shown(plain, folder("comparison.json", comparison(data)))
    assert texts(report.studies[0].tables[0])[1] == ["place", "–", "-0.500", "1.000"]
    assert [f.severity for f in report.studies[0].findings] == ["problem"]
    assert [f.severity for f in report.runs[0].findings if f.check == "scores"] == ["problem"]


def test_a_comparison_on_other_data_does_not(folder, plain):
    place = folder("comparison.json", comparison("other"))
    assert "scores" not in [f.check for f in shown(plain, place).runs[0].findings]
    assert split_halves(read_sources([place]).studies, "other") == {"cscore": 0.3}


def test_studies_alone_make_a_page(folder):
    report = shown(folder("ablation.json", ABLATION), folder("tune.json", TUNING))
    assert report.title == "Ablation and Tuning"
    assert report.runs == ()
    assert "no &lt;x&gt;" in render(report)
