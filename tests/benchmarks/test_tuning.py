"""The tuning benchmark at a tiny size: its rows, and that its verdict is the one by hand."""

import json

import pytest


@pytest.fixture
def rows(load, tmp_path, capsys):
    out = tmp_path / "tuning.json"
    options = ["evaluator.steps=8", "scorer=random", "selector.unit=ipc"]
    flags = ["--device", "cpu", "--threads", "1", "--out", str(out), "--places", "3"]
    flags += ["--seeds", "2", "--search-seeds", "1", *(f"-o{text}" for text in options)]
    load("tuning").main(flags)
    capsys.readouterr()
    return json.loads(out.read_text())["rows"]


def test_candidates_are_judged_by_the_grids_own_budget(rows):
    grid = [row for row in rows if row["arm"] == "grid"]
    (best,) = [row for row in grid if row["best"]]
    assert best["accuracy"] == max(row["accuracy"] for row in grid)
    whole = rows[-1]
    assert (whole["trainings"], whole["steps"]) == (3 * 2, 3 * 2 * 8)
    for name in ("tune", "short", "guess"):
        (row,) = [row for row in rows if row["arm"] == name]
        assert row["n"] == 2
        assert row["lost"] == best["accuracy"] - row["accuracy"]
        assert row["within_one_standard_error"] == (row["lost"] <= best["standard_error"])
        assert row["share_of_steps"] == row["steps"] / whole["steps"]
        same = [g for g in grid if g["value"] == row["value"]]
        assert all(g["accuracies"] == row["accuracies"] for g in same)
    assert rows[-2]["steps"] == 0
    tuned, short = rows[-4], rows[-3]
    assert short["steps"] == 2 * short["trainings"]  # a quarter of 8 steps each
    finals = tuned["trainings"] - short["trainings"]
    assert 1 <= finals <= 3  # one seed each
    assert tuned["steps"] == short["steps"] + 8 * finals
