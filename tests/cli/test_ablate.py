"""``condense ablate`` on the real engine with tiny settings on digits."""

import io
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from condense.studies.ablation.design import Cell
from condense.traits import EvaluatorTraits

VARY = ("--vary", "selector=random,window", "--vary", "policy=full,partial")


@pytest.fixture(scope="module")
def call(calling, place, tiny_flags, falling_plugin):
    """Runs ``condense ablate`` on one store with tiny settings, but steps enough for every class to
    be told by some network."""
    flags = [flag.replace("evaluator.steps=5", "evaluator.steps=40") for flag in tiny_flags]
    more = (*flags, "--device", "cpu")
    return calling(place, "ablate", plugins=[falling_plugin], more=more)


@pytest.fixture(scope="module")
def printed(call, place):
    """What the first call printed."""
    result = call("selmatch", *VARY, "--seeds", 2, "--out", place / "out")
    assert result.stderr == ""  # no terminal, no progress
    return result.stdout


def shown(value, sign=""):
    """A figure of the document as the table has it; worked out here."""
    if value is None:
        return "–"
    return f"{100 * value['mean']:{sign}.2f} ± {100 * value['half']:.2f}"


def test_the_table_and_the_json_have_the_same_figures(printed, call, place):
    result = call("selmatch", *VARY, "--seeds", 2, "--out", place / "out", "--json")
    document = json.loads(result.stdout)
    assert (document["runs"], document["computed"]) == (8, 0)
    written = json.loads((place / "out" / "ablation.json").read_text())
    assert {k: document[k] for k in written} == written
    assert document["out"] == str(place / "out")
    rows = [re.split(r"\s{2,}", line) for line in printed.splitlines()]
    assert len(document["cells"]) == 4
    for cell in document["cells"]:
        (row,) = [r for r in rows if r[0] == cell["name"]]
        wanted = [str(cell["accuracy"]["n"]), shown(cell["accuracy"])]
        assert row[1:4] == [*wanted, shown(cell["difference"], "+")]
    assert [r[4:] for r in rows if r[0] == "selector=window policy=partial"] == [["base"]]
    assert len(document["main_effects"]) == 2
    for effect in document["main_effects"]:
        name = f"{effect['key']}={effect['value']}, not {effect['instead']}"
        (row,) = [r for r in rows if r[0] == name]
        assert row[1:] == [str(effect["cells"]), shown(effect["effect"], "+")]
    assert "8 runs, 0 of them from the store" in printed


def test_a_dry_run_counts_what_is_shared_once_and_leaves_nothing(call, place):
    asked = ("selmatch", "--vary", "selector=window,random,falling", "--seeds", 2, "--ipc", 3)
    before = sorted(place.rglob("*"))
    plan = json.loads(call(*asked, "--dry-run", "--json").stdout)
    assert (plan["cells"], plan["seeds"], plan["runs"]) == (3, [0, 1], 6)
    times = {work["stage"]: work["times"] for work in plan["stages"]}
    assert times == {"scorer": 1, "selector": 6, "prepare": 1, "matcher": 6, "evaluator": 6}
    assert plan["unknown"] == ["selector"]  # of the one that does not say
    assert plan["seconds"] == pytest.approx(sum(work["seconds"] for work in plan["stages"]))
    lines = call(*asked, "--dry-run").stdout.splitlines()
    headings = ["stage", "component", "times", "cached", "jobs", "about", "memory", "disk"]
    assert lines[0].split() == headings
    selector = next(line for line in lines if line.startswith("selector"))
    cells = re.split("  +", selector)
    assert cells[:4] == ["selector", "window, random, falling", "6", "0"]
    assert cells[4].startswith("6 × ")
    assert cells[5].startswith("at least ")
    assert lines[-1] == "3 cells × 2 seeds: 6 runs; what they share is counted once"
    assert sorted(place.rglob("*")) == before


def test_one_at_a_time_prints_differences_alone(printed, call, place):
    out = call("selmatch", *VARY, "--seeds", 1, "--one-at-a-time", "--out", place / "one").stdout
    lines = out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:5]] == [
        *("base", "selector=random", "policy=full"),
    ]
    assert "main effect" not in out
    assert re.search(r"^base .* \d+\.\d\d ± –  +–", lines[2])
    assert "3 runs, 3 of them from the store" in out


def test_choosing_says_so_in_the_table_and_in_the_document(call, place):
    args = ("selmatch", "--vary", "selector=random", "--seeds", 1, "--validation", 0.2)
    out = call(*args, "--out", place / "chosen").stdout
    assert "validation accuracy, % ± 95 %" in out
    # Σ⌊n/5⌋ over the ten classes of 1437 digits
    assert "condensed from 1153 training samples, validated on 284 held out" in out
    assert "the test split was not read" in out
    document = json.loads((place / "chosen" / "ablation.json").read_text())
    assert document["validation"] == {"share": 0.2, "fit": 1153, "held_out": 284}


def test_without_out_the_folder_is_named_after_the_study(printed, call, place, monkeypatch):
    monkeypatch.chdir(place)
    args = ("selmatch", *VARY, "--seeds", 1, "--json")
    folder = json.loads(call(*args).stdout)["out"]
    assert re.fullmatch(r"runs/ablate-selmatch-digits-[0-9a-f]{8}", folder)
    assert (place / folder / "ablation.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads(call(*args).stdout)["out"] == folder


def test_a_failed_cell_is_a_row_with_its_error(printed, call, place):
    args = ("selmatch", "--vary", "selector=falling,window", "--seeds", 2)
    result = call(*args, "--out", place / "failed")
    row = next(r for r in result.stdout.splitlines() if r.startswith("selector=falling"))
    assert re.split(r"\s{2,}", row)[1:] == ["0", "–", "–", "error: fell"]
    assert "main effect" not in result.stdout
    assert result.stderr == "selector=falling, seed 0, failed: fell\n"
    assert "4 runs, 2 of them from the store, 2 failed" in result.stdout
    again = json.loads(call(*args, "--out", place / "failed", "--json").stdout)
    assert [again[key] for key in ("runs", "computed", "failed")] == [4, 0, 2]


def test_exit_code_1_if_all_fail(call, place):
    args = ("--vary", "policy=full", "--seeds", 1, "-o", "selector=falling", "--json")
    result = call(*args, "--out", place / "none", code=1)
    assert [cell["error"] for cell in json.loads(result.stdout)["cells"]] == ["fell", "fell"]


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--vary", "selektor=random"], "unknown stage 'selektor'; did you mean 'selector'?"),
        (["--vary", "selector=randm"], "--vary selector=randm: "),
        (["--vary", "selector="], "--vary selector=: value 1 is empty"),
        (["--vary", "selector.beta=0.3,2"], "--vary selector.beta=2: "),
        (["--vary", "selector=random", "--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["--vary", "policy=full", "--seeds", "9" * 30], "--seeds must be at most 10000, got 99"),
        (["--vary", "policy=full", "--validation", "1"], "--validation must be in (0, 1), got 1"),
        (["nonsense", "--vary", "selector=random"], "nonsense"),
        ([], "missing option '--vary'"),
    ],
)
def test_a_usage_mistake_is_named_and_exits_with_2(call, args, part):
    result = call(*args, code=2)
    assert part in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_folder_that_holds_something_else_is_refused_before_any_work(call, place):
    other = place / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("all of it")
    before = sorted((place / "store").rglob("entry.json"))
    result = call("--vary", "selector=easiest", "--seeds", 1, "--out", other, code=1)
    assert "holds other files" in result.stderr
    assert sorted((place / "store").rglob("entry.json")) == before


def test_on_a_terminal_the_table_stands_above_the_bars():
    from condense.cli.ablate import _live
    from condense.engine.runtime.bars import TerminalProgress
    from condense.studies.ablation.design import Study
    from condense.studies.ablation.run import Ablation, Row

    cells = (Cell("base", {}, None, is_base=True), Cell("selector=random", {}, None))
    rows = (Row(cells[0], (0.25, 0.75)), Row(cells[1], (0.5, None)))
    base = {
        "evaluator": SimpleNamespace(
            cls=SimpleNamespace(traits=EvaluatorTraits(measure="coverage")), create=lambda: None
        )
    }
    so_far = replace(Ablation(Study(base, (), cells, (0, 1), True), "digits", rows), runs=3)
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    progress = TerminalProgress(console=console, delay=0.0)
    _live(progress)(so_far)
    with progress.task("ablation", 4, "run") as task:
        task.advance(1)
        progress._bars.refresh()
    text = console.file.getvalue()
    assert re.search(r"selector=random +1 +50.00 ± – +\+25.00 ± –", text)
    assert text.index("selector=random") < text.index("ablation")
    assert "coverage, % ± 95 %" in text


def test_without_a_terminal_lines_tell_what_the_last_run_gave(capfd, monkeypatch):
    from condense.cli import ablate as command
    from condense.engine.runtime import lines
    from condense.studies.ablation.design import Study
    from condense.studies.ablation.run import Ablation, Row

    now = [100.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])
    cells = (Cell("base", {}, None, is_base=True), Cell("selector=random", {}, None))
    rows = (Row(cells[0], (0.25, None)), Row(cells[1], (0.5, None), {1: "fell"}))
    so_far = Ablation(Study({}, (), cells, (7, 8), True), "digits", rows)
    progress = lines.LineProgress()
    tell = command._live(progress)
    with progress.task("matching", 40) as task:
        for runs in (0, 1, 2, 3):
            tell(replace(so_far, runs=runs))
            for _ in range(2 if runs else 1):
                now[0] += 30
                task.advance()
    assert capfd.readouterr().err.splitlines() == [
        "matching: it 1 of 40",
        "matching: it 2 of 40, 19:00 left; last base, seed 7: 25.00 %",
        "matching: it 3 of 40, 18:30 left",
        "matching: it 4 of 40, 18:00 left; last selector=random, seed 7: 50.00 %",
        "matching: it 5 of 40, 17:30 left",
        "matching: it 6 of 40, 17:00 left; last base, seed 8: failed",
        "matching: it 7 of 40, 16:30 left",
    ]
