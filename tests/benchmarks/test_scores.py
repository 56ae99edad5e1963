"""``benchmarks/scores.py`` at a tiny size."""

import json

import numpy as np
import pytest


@pytest.fixture
def scores(load):
    return load("scores")


def test_it_writes_curves_matrices_and_a_figure(scores, tmp_path, capsys):
    np.save(tmp_path / "theirs.npy", np.arange(1437.0))
    flags = "--data digits --samples 80 --networks 4 --epochs 2 --width 2 --per-epoch"
    flags += " --holdout-epochs 1 -n 2"
    places = ["--out", tmp_path / "s.json", "--figure", tmp_path / "s.png"]
    against = ["--against", tmp_path / "theirs.npy"]
    scores.main([*flags.split(), "--threads", "1", *map(str, [*places, *against])])
    rows = json.loads((tmp_path / "s.json").read_text())["rows"]
    curves = {row["name"]: set(row["split_half"]) for row in rows if row["part"] == "scorer"}
    assert curves["cscore"] == curves["el2n"] == curves["forgetting:epoch"] == {"2", "4"}
    assert curves["cscore:holdout"] == {"2"}
    matrix = next(row["matrix"] for row in rows if row["part"] == "rank correlation")
    assert np.allclose(np.array(matrix), np.array(matrix).T)
    assert [row["part"] for row in rows[-2:]] == ["published", "all"]
    assert (tmp_path / "s.png").stat().st_size > 5000
