"""The benchmark of default options on small data sets: rows, and what it concludes from them."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def own_data(load):
    return load("own_data")


def test_a_row_is_made_once_and_kept(own_data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path / "store"))
    out = tmp_path / "own.json"
    flags = ["--wheels", str(tmp_path), "--sets", "wine", "--methods", "random", "--seeds", "1"]
    flags += ["--threads", "1", "--out", str(out)]
    for _ in range(2):
        assert own_data.main(flags) == 0
        (row,) = json.loads(out.read_text())["rows"]
        assert (row["set"], row["seed"], row["method"]) == ("wine", 0, "random")
        assert set(row["accuracy"]) == {"own", "logistic", "forest", "knn"}
        assert min(row["accuracy"].values()) > 0.6  # the classes of wine are easily told
    assert own_data.main([*flags, "--fraction", "0.2"]) == 0
    tenth, fifth = json.loads(out.read_text())["rows"]
    assert (tenth["fraction"], fifth["fraction"]) == (0.1, 0.2)
    assert tenth["accuracy"] != fifth["accuracy"]
    assert capsys.readouterr().out.count('"wine"') == 2


def test_the_summary_is_of_the_rows_asked_for(own_data, tmp_path, capsys):
    out = tmp_path / "own.json"
    ahead = {("wine", 0): 0.1, ("wine", 1): 0.3, ("cancer", 0): 0.4}
    rows = [
        {"set": name, "seed": seed, "method": method, "fraction": 0.1}
        | {"accuracy": {"own": 0.5 + (more if method == "window" else 0)}}
        for (name, seed), more in ahead.items()
        for method in ("random", "window")
    ]
    out.write_text(json.dumps({"rows": rows}))
    flags = ["--out", str(out), "--methods", "random,window", "--sets"]
    assert own_data.main([*flags, "wine", "--seeds", "2"]) == 0
    assert "own: +20.00 ± nan points over 1 sets (wine +20.0 ± 10.0)" in capsys.readouterr().out
    assert own_data.main([*flags, "wine,cancer", "--seeds", "1"]) == 0
    assert "own: +25.00 ± 190.59 points over 2 sets" in capsys.readouterr().out


def test_gains_are_paired_by_seed_and_pooled_over_sets(own_data):
    figures = {  # accuracy by set, method and seed
        ("a", "random"): (0.5, 0.6),
        ("a", "selmatch"): (0.6, 0.7),  # +10, +10
        ("b", "random"): (0.9, 0.9),
        ("b", "selmatch"): (0.8, 0.82),  # -10, -8: worse by 9 points, standard error 1
    }
    rows = [
        {"set": name, "method": method, "seed": seed, "accuracy": {"own": value}}
        for (name, method), values in figures.items()
        for seed, value in enumerate(values)
    ]
    rows.append({"set": "c", "method": "selmatch", "seed": 0, "error": "diverged"})
    line, losses = own_data.summary(rows)
    # mean of +10 and -9; half a t interval of two values 19 apart: 12.706 * 9.5
    assert line == (
        "selmatch - random, own: +0.50 ± 120.71 points over 2 sets "
        "(a +10.0 ± 0.0, b -9.0 ± 1.0); WORSE: b"
    )
    assert losses == "the loss fell in 0 of 0 runs; 1 failed"


def test_the_page_has_what_the_rows_say(own_data, tmp_path):
    figures = {"random": (0.5, 0.6), "window": (0.6, 0.8), "selmatch": (0.5, None)}
    rows = [
        {"set": "wine", "method": method, "seed": seed, "accuracy": {"own": value}}
        for method, values in figures.items()
        for seed, value in enumerate(values)
        if value is not None
    ]
    assert own_data.domains(rows).splitlines()[2:] == [
        "| wine | 55.0 | +15.0 ± 5.0 (2) | +0.0 (1) | – |",
        "| mean over sets ± half of a 95 % interval |  | +15.0 (1 sets) | +0.0 (1 sets) | – |",
    ]


def test_the_page_of_other_domains_is_not_stale(own_data, tmp_path):
    page = FOLDER.parent / "docs" / "domains.md"
    copy = tmp_path / "domains.md"
    copy.write_text(page.read_text())
    assert own_data.main(["--page", str(copy)]) == 0
    assert copy.read_text() == page.read_text()


def test_a_choice_that_failed_has_no_regret_and_minutes_tell_rows_apart(own_data):
    def row(method, seed, value, name="a"):
        told = {"error": "no room"} if value is None else {"accuracy": {"own": value}}
        return {"set": name, "method": method, "seed": seed, "fraction": 0.1} | told

    rows = [
        *(row("random", seed, 0.5) for seed in (0, 1)), row("auto", 0, 0.48), row("auto", 1, None),
        row("random", 0, 0.6, "b"), row("auto", 0, 0.57, "b"),
    ]  # fmt: skip
    assert list(own_data.regrets(rows)) == ["regret of auto: 3.00 points (b 3.0)"]
    few, many = (own_data.cell_of(rows[2] | {"minutes": minutes}) for minutes in ("1", "10"))
    assert few != many
