"""``condense compare`` on the real engine with tiny settings on digits."""

import csv
import io
import json
import re

import pytest

from condense.plugin import hookimpl
from condense.plugin.host import build_host

NAMES = "window,mtt,falls"


class Plugin:
    @hookimpl
    def condense_register_methods(self, register):
        from condense import Method

        window = build_host(external=False).registry("method").get("window").stages
        falls = {**window, "selector": {"component": "falling"}}
        register(Method("falls", "falls", falls))
        own = {**window, "evaluator": {"component": "accuracy", "momentum": 0.5}}
        register(Method("own-rules", "is evaluated by options of its own", own))


@pytest.fixture(scope="module")
def call(calling, place, tiny_flags, falling_plugin):
    """Runs ``condense compare`` on one store with tiny settings."""
    more = (*tiny_flags, "--device", "cpu")
    return calling(place, "compare", plugins=[falling_plugin, Plugin()], more=more)


@pytest.fixture(scope="module")
def document(call, place):
    found = call(NAMES, "--ipc", "2,3", "--seeds", 2, "--out", place / "one", "--json")
    return json.loads(found.stdout)


def rows_of(document, method):
    return [row for row in document["rows"] if row["method"] == method]


def test_random_and_whole_stand_beside_every_method_at_every_size(document):
    found = [(row["method"], row["ipc"]) for row in document["rows"]]
    names = ["random", "window", "mtt", "falls", "whole"]
    assert found == [(name, ipc) for ipc in (2, 3) for name in names]


def test_figures_are_those_of_runs(calling, document, place, tiny, as_flags):
    """Seed by seed those of ``condense run`` with the same scores and experts."""
    shared = {k: v for k, v in tiny.items() if k.split(".")[0] in ("scorer", "evaluator")}
    given = ("--method", "window", "--ipc", 3, *as_flags(shared), "--out", place / "run")
    run = json.loads(calling(place, "run")(*given, "--json").stdout)
    (window,) = [row for row in rows_of(document, "window") if row["ipc"] == 3]
    (random,) = [row for row in rows_of(document, "random") if row["ipc"] == 3]
    (whole,) = [row for row in rows_of(document, "whole") if row["ipc"] == 3]
    assert window["accuracies"][0] == run["accuracy"]["mean"]
    assert random["accuracies"][0] == run["baselines"]["random"]["mean"]
    assert whole["accuracies"][0] == run["baselines"]["whole"]["mean"]


def test_differences_are_paired(document):
    for row in document["rows"]:
        if row["method"] in ("window", "mtt"):
            (random,) = [r for r in rows_of(document, "random") if r["ipc"] == row["ipc"]]
            pairs = zip(row["accuracies"], random["accuracies"], strict=True)
            assert row["to_random"]["mean"] == pytest.approx(sum(a - b for a, b in pairs) / 2)


def test_one_is_the_best_of_each_size_and_whole_is_not_it(document):
    for ipc in (2, 3):
        rows = [r for r in document["rows"] if r["ipc"] == ipc and r["accuracy"]]
        best = [r for r in rows if r["to_best"] is None and r["method"] != "whole"]
        assert len(best) == 1
        rivals = [r["accuracy"]["mean"] for r in rows if r["method"] != "whole"]
        assert best[0]["accuracy"]["mean"] == max(rivals)


def test_bytes_are_those_of_the_samples(document):
    # digits: 8 × 8 uint8, int64 labels; distilled ones in float32
    assert [r["bytes"] for r in rows_of(document, "window")] == [20 * 72, 30 * 72]
    assert [r["bytes"] for r in rows_of(document, "mtt")] == [20 * 264, 30 * 264]
    assert [r["bytes"] for r in rows_of(document, "whole")] == [1437 * 72] * 2


def test_seconds_of_shared_stages_count_for_each(document, call, place):
    window, mtt = rows_of(document, "window")[1], rows_of(document, "mtt")[1]
    assert window["seconds"] > 0  # its scores were made for ipc 2
    assert mtt["seconds"] > 0
    again = json.loads(
        call(NAMES, "--ipc", "2,3", "--seeds", 2, "--out", place / "one", "--json").stdout
    )
    assert rows_of(again, "mtt")[1]["seconds"] == pytest.approx(mtt["seconds"], rel=0.2, abs=0.05)


def test_a_method_that_fails_is_a_row(document):
    for row in rows_of(document, "falls"):
        assert row["error"] == "fell"
        assert row["accuracies"] == [None, None]
        assert row["accuracy"] is row["seconds"] is row["bytes"] is None


def test_files(document, place):
    folder = place / "one"
    assert {p.name for p in folder.iterdir()} == {
        f"compare.{e}" for e in ("csv", "json", "png", "svg", "tex")
    }
    stored = json.loads((folder / "compare.json").read_text())
    assert stored == {k: v for k, v in document.items() if k != "out"}
    lines = list(csv.DictReader(io.StringIO((folder / "compare.csv").read_text())))
    assert [(line["method"], line["ipc"]) for line in lines] == [
        (r["method"], str(r["ipc"])) for r in document["rows"]
    ]
    assert lines[1]["seed_1"] == str(document["rows"][1]["accuracies"][1])


def test_plain_text_fits_80_columns(call, place):
    out = call("window,mtt", "--ipc", "2", "--seeds", 1, "--out", place / "two").stdout
    table = out[: out.index("mean ±")]
    assert max(map(len, table.splitlines())) <= 80
    assert "digits, ipc 2, labels own" in out
    assert re.search(r"^\s*\*?\s+window ", out, re.MULTILINE)


def test_a_dry_run_counts_what_is_shared_once(call, place):
    given = ("window,mtt", "--ipc", "4,5", "--seeds", 2, "--dry-run", "--json")
    plan = json.loads(call(*given, "--out", place / "nowhere").stdout)
    times = {work["stage"]: work["times"] for work in plan["stages"]}
    assert (plan["rows"], plan["runs"]) == (8, 16)
    assert times["scorer"] == 1
    assert times["selector"] == 8  # two methods, two sizes, two seeds
    assert times["random"] == times["whole"] == 4
    assert not (place / "nowhere").exists()


def test_latex(call, place):
    out = call(
        "window,mtt", "--ipc", "2,3", "--seeds", 1, "--latex", "--out", place / "three"
    ).stdout
    assert out == (place / "three/compare.tex").read_text()
    assert r"\begin{tabular}{lrr}" in out
    assert out.count(r"\textbf{") == 2


def test_validation_does_not_read_the_test_split(call, place):
    given = ("window,mtt", "--ipc", "2", "--seeds", 1, "--validation", "0.25", "--json")
    out = call(*given, "--out", place / "four")
    part = json.loads(out.stdout)["validation"]
    assert part["fit"] + part["held_out"] == 1437


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["windw"], "unknown method 'windw'"),
        (["random"], "nothing to compare with random"),
        (["window,window"], "method window is there twice"),
        (["window,"], "'window,': name 2 is empty"),
        (["auto"], "chooses among methods"),
        (["window", "--ipc", "2,x"], "'x' is not a whole number"),
        (["window", "--ipc", "2,2"], "ipc 2 is there twice"),
        (["window", "--ipc", "2", "--fraction", "0.1"], "exclude each other"),
        (["window,mtt", "--ipc", "5000"], "ipc 5000 asks for more"),
        (["window", "--fraction", "2"], "fraction must be in (0, 1]"),
        (["window,mtt", "--labels", "hard", "-o", "evaluator.labels=own"], "exclude each other"),
        (["window,mtt", "--executor", "nope", "--dry-run"], "unknown executor 'nope'"),
        (["window", "--seeds", "0"], "--seeds must be at least 1"),
        (["window", "--validation", "1"], "--validation must be in (0, 1)"),
        (["window", "-o", "matcher.nothing=1"], "unknown option"),
        (["own-rules,mtt"], "evaluated by options of its own (evaluator.momentum=0.5)"),
    ],
)
def test_mistakes(call, given, said):
    result = call(*given, code=2) if "5000" not in given else call(*given, code=1)
    (line,) = [text for text in result.stderr.splitlines() if text.startswith("error:")]
    assert said in line


def test_an_option_goes_to_those_that_have_it(call, place):
    given = ("window,mtt", "--ipc", "2", "--seeds", 1, "-o", "selector.beta=0.1", "--json")
    recipes = json.loads(call(*given, "--out", place / "five").stdout)["recipes"]
    assert recipes["window"]["selector"]["beta"] == 0.1
    assert recipes["mtt"]["selector"] == {"component": "random"}


def test_all_leaves_out_what_does_not_suit(call, place):
    given = ("all", "--ipc", "2", "--seeds", 1, "--json", "--out", place / "six")
    document = json.loads(call(*given).stdout)
    (own,) = rows_of(document, "own-rules")
    assert "of its own" in own["error"]
    assert {"selmatch", "random-partial", "window-full"} <= set(document["methods"])


def test_it_is_a_section_of_the_report(calling, document, place):
    page = place / "page.html"
    calling(place, "report")(place / "one", "--out", page)
    text = page.read_text()
    assert "ipc 3, labels own" in text
    assert "failed: fell" in text


def test_a_teacher_and_dd_ranking_are_said(call, place):
    options = ("-o", "evaluator.teacher_epochs=1", "--labels", "hard,teacher", "--seeds", 1)
    found = call("window,mtt", "--ipc", 2, *options, "--out", place / "teacher", "--json")
    document = json.loads(found.stdout)
    assert [row["labels"] for row in document["rows"]] == ["hard"] * 4 + ["teacher"] * 4
    teacher = document["teacher"]
    assert 0 < teacher["accuracy"] < 1
    assert teacher["seconds"] > 0
    means = {(r["labels"], r["method"]): r["accuracy"]["mean"] for r in document["rows"]}
    ranked = document["dd_ranking"]
    assert [(r["labels"], r["method"]) for r in ranked] == [
        (labels, method) for labels in ("hard", "teacher") for method in ("window", "mtt")
    ]
    for one in ranked:
        labels, method = one["labels"], one["method"]
        assert one["hlr"] == means["hard", "whole"] - means["hard", method]
        assert one["ior"] == means[labels, method] - means[labels, "random"]
    text = call("window,mtt", "--ipc", 2, *options, "--out", place / "teacher").stdout
    assert f"teacher {100 * teacher['accuracy']:.2f} % right, made once in" in text
    assert "DD-Ranking" in text
