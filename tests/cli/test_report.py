"""``condense report`` on the real engine, with tiny settings on digits."""

import json
import re

import pytest

from condense.engine.artefact.dataset import CondensedDataset


@pytest.fixture(scope="module")
def call(calling, place):
    """Runs a command in ``place``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        yield calling(place)


@pytest.fixture(scope="module")
def small(call, place, tiny_flags):
    call("run", *tiny_flags, "--out", "small")
    return place / "small"


def test_one_run_by_default(call, place, small):
    before = sorted(p.name for p in small.iterdir())
    result = call("report", "small")
    page = place / result.stdout.splitlines()[-1].strip()
    assert page.parent == place / "runs"
    assert page.name.startswith("report-")
    first = page.read_bytes()
    assert b"selmatch on digits" in first
    call("report", "small")
    assert page.read_bytes() == first
    assert sorted(p.name for p in small.iterdir()) == before  # the artefact stays as it was
    CondensedDataset.load(small)


def test_findings_are_printed_worst_first(call, small):
    lines = call("report", "small", "--out", "r.html").stdout.splitlines()
    assert lines[0].split() == ["of", "what", "finding"]
    rows = [line for line in lines[2:] if line[:1].strip() and ": " in line]  # not what is wrapped
    told = [re.split(r"\s{2,}", line)[1].partition(":")[0] for line in rows]
    assert set(told) <= {"problem", "worth a look"}
    assert told == sorted(told, key=["problem", "worth a look"].index)


def test_letters_of_several_runs_are_explained(call, small, place):
    CondensedDataset.load(small).save(place / "other")
    lines = call("report", "small", "other", "--out", "two.html").stdout.splitlines()
    legend = [line.split() for line in lines[lines.index("") :]]
    assert ["run", "folder"] in legend
    assert [(row[0], row[-1]) for row in legend if row and row[0] in "AB"] == [
        ("A", "small"),
        ("B", "other"),
    ]


def test_json_is_one_document(call, small):
    document = json.loads(call("report", "small", "--out", "r.html", "--json").stdout)
    assert document["out"] == "r.html"
    arms = json.loads((small / "results.json").read_text())["arms"]
    shown = {arm["name"]: arm["mean"] for arm in document["runs"][0]["arms"]}
    assert shown["selmatch"] == arms["condensed"]["mean"]
    assert shown["random"] == arms["random"]["mean"]


def test_coverage_is_worked_out_on_request(call, small):
    # the feature network is that of `condense coverage` and trains for a few seconds
    document = json.loads(call("report", "small", "--coverage", "--out", "c.html", "--json").stdout)
    (study,) = document["studies"]
    assert study["document"]["runs"][0]["artefact"] == "small"
    assert "coverage" in [f["check"] for f in document["runs"][0]["findings"]]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ([], 2, "missing argument 'RUN...'"),
        (["nowhere"], 1, "nowhere does not exist; give the folder"),
        (["small", "--out", "small/report.html"], 1, "choose another --out"),
        (["small", "--out", "report.pdf"], 1, "must end in .html"),
        (["study", "--coverage"], 2, "--coverage needs a run"),
    ],
)
def test_mistakes_are_one_line(call, place, small, args, code, message):
    study = place / "study"
    study.mkdir(exist_ok=True)
    document = {"method": "x", "data": "y", "seeds": [], "shared_seed": 0}
    document |= {"cells": [], "main_effects": []}
    (study / "ablation.json").write_text(json.dumps(document))
    result = call("report", *args, code=code)
    assert result.stdout == ""
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
