"""The benchmark of update rules at a tiny size: cells, what it skips, differences by hand."""

import json
from statistics import mean

import pytest

TINY = {
    "scorer.networks": 1,
    "scorer.epochs": 2,
    "matcher.iterations": 30,
    "matcher.experts": 1,
    "matcher.max_start_epoch": 2,
    "matcher.steps": 2,
    "evaluator.steps": 5,
    "evaluator.repeats": 1,
}


@pytest.fixture
def bench(load):
    return load("update_rules")


def test_every_rule_has_a_cell_and_none_is_run_twice(bench, tmp_path, monkeypatch, capsys):
    out = tmp_path / "rules.json"
    flags = ["iris", "--threads", "1", "--out", str(out)]
    flags += [f"-o{key}={value}" for key, value in TINY.items()]
    bench.main([*flags, "--seeds", "0"])
    rows = json.loads(out.read_text())["rows"]
    cells = [row for row in rows if "set" in row]
    assert [row["rule"] for row in cells] == list(bench.RULES)
    assert all(0 <= row[kind] <= 1 for row in cells for kind in bench.KINDS)
    matched = [row for row in cells if row["rule"] not in ("random", "window")]
    assert len({row["last"] for row in matched}) == 4  # four rules, four ways
    assert all(row["last"] < row["first"] for row in matched)

    fresh = []

    def counted(name, seed, rule, options):
        fresh.append((seed, rule))
        return dict.fromkeys(bench.KINDS, 0.5)

    monkeypatch.setattr(bench, "cell", counted)
    bench.main([*flags, "--seeds", "0,1"])
    assert fresh == [(1, rule) for rule in bench.RULES]
    rows = json.loads(out.read_text())["rows"]
    (pair,) = [r for r in rows if r["rule"] == "adam" and r.get("minus") == "random"]
    gain = {row["rule"]: row["logistic"] for row in cells}
    assert pair["logistic"] == pytest.approx(mean([100 * (gain["adam"] - gain["random"]), 0]))
    assert pair["n"] == 1
    capsys.readouterr()


def test_a_set_counts_once_whatever_its_seeds(bench):
    gains = {("a", 0): 0.01, ("a", 1): 0.03, ("b", 0): 0.04}
    rows = [
        {"set": name, "seed": seed, "rule": rule, **dict.fromkeys(bench.KINDS, value)}
        for (name, seed), gain in gains.items()
        for rule, value in (("random", 0.5), ("adam", 0.5 + gain))
    ]
    pair = bench.pooled(rows, "adam", "random")
    assert pair["n"] == 2
    assert pair["forest"] == pytest.approx(3)  # of 2 and 4 points
    assert pair["forest_half"] == pytest.approx(12.706, abs=1e-3)  # t(0.975, 1) · √2 / √2
