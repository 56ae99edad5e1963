"""``benchmarks/experiments.py``: its arithmetic by hand, and that its figures are drawn."""

import importlib
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

FOLDER = Path(__file__).parent.parent.parent / "benchmarks"
COVERED = [
    {"set": name, "feature_seed": seed, "iteration": at, "easy": easy + seed / 10, "hard": hard}
    for name, at, easy, hard in (
        ("partial", 0, 0.5, 0.2),
        ("partial", 20, 0.6, 0.3),
        ("full", 0, 0.5, 0.2),
        ("full", 20, 0.7, 0.1),
        ("random", 0, 0.4, 0.25),
    )
    for seed in (0, 1)
]


@pytest.fixture
def experiments(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("experiments")
    for name in ("_common", "experiments"):
        sys.modules.pop(name, None)


def difficulty(augmentation, *accuracies):
    """A row a seed; easy is .1 above all, hard .1 below."""
    return [
        {"augmentation": augmentation, "seed": seed, "all": a, "easy": a + 0.1, "hard": a - 0.1}
        for seed, a in enumerate(accuracies)
    ]


def axes_of(draw, *given):
    axes = Figure().subplots()
    draw(axes, *given)
    return axes


def test_spread_is_mean_and_standard_error(experiments):
    mean, error = experiments.spread([0.1, 0.2, 0.6])
    assert mean == pytest.approx(0.3)
    # deviations −.2, −.1, .3: squares sum to .14, variance .07
    assert error == pytest.approx((0.07 / 3) ** 0.5)
    assert experiments.spread([0.4]) == (0.4, 0.0)


def test_differences_are_in_pairs_over_the_seeds(experiments):
    """Seeds differ by far more than augmentations; pairs take that out."""
    rows = [
        *difficulty("combined", 0.5, 0.7),
        *difficulty("dsa", 0.4, 0.6),
        *difficulty("simple", 0.48, 0.72),
    ]
    rows[2]["hard"] = 0.1  # seed 0 of dsa: −.3 to combined's .4, seed 1: −.1
    dsa, simple = experiments.differences(rows)
    assert (dsa["augmentation"], simple["augmentation"]) == ("dsa", "simple")
    assert dsa["all"] == pytest.approx(-0.1)
    assert dsa["all ±"] == pytest.approx(0, abs=1e-12)
    assert dsa["hard"] == pytest.approx(-0.2)
    assert dsa["hard ±"] == pytest.approx(0.1)
    assert simple["all"] == pytest.approx(0, abs=1e-12)
    assert simple["easy ±"] == pytest.approx(0.02)


def test_a_seed_that_is_missing_is_not_paired_with_another(experiments):
    rows = difficulty("combined", 0.5, 0.7) + difficulty("dsa", 0.4) + difficulty("simple", 0.4)
    with pytest.raises(ValueError, match="longer"):
        experiments.differences(rows)


def test_only_the_grid_of_a_tuning_is_drawn(experiments):
    grid = [
        {"arm": "grid", "value": v, "accuracy": a, "standard_error": 0.01}
        for v, a in ((0.2, 0.5), (0.4, 0.55))
    ]
    tuned = {"arm": "tune", "value": 0.9, "accuracy": 0.9, "standard_error": 0.0}
    axes = axes_of(experiments.draw_beta, {"rows": [*grid, tuned]})
    (line,) = [drawn for drawn in axes.lines if len(drawn.get_xdata()) == 2][:1]
    assert list(line.get_xdata()) == [0.2, 0.4]
    assert list(line.get_ydata()) == pytest.approx([50, 55])


def test_coverage_is_the_mean_over_feature_networks(experiments):
    axes = axes_of(experiments.draw_coverage, COVERED)
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["partial, easy"].get_ydata()) == pytest.approx([55, 65])
    assert list(lines["full, hard"].get_ydata()) == pytest.approx([20, 10])
    assert list(lines["random, easy"].get_xdata()) == [0, 20]  # level, over the whole width
    assert list(lines["random, easy"].get_ydata()) == pytest.approx([45, 45])


def test_a_bar_is_a_mean_over_seeds(experiments):
    rows = [r for name in experiments.AUGMENTATIONS for r in difficulty(name, 0.5, 0.7)]
    axes = axes_of(experiments.draw_difficulty, rows)
    assert [bar.get_height() for bar in axes.patches] == pytest.approx(
        [60] * 3 + [70] * 3 + [50] * 3
    )


def test_figures_are_saved(experiments, monkeypatch, tmp_path):
    monkeypatch.setattr(experiments, "IMAGES", tmp_path)
    rows = [r for name in experiments.AUGMENTATIONS for r in difficulty(name, 0.5, 0.7)]
    grid = [{"arm": "grid", "value": 0.2, "accuracy": 0.5, "standard_error": 0.01}]
    experiments.save("beta", experiments.draw_beta, {"rows": grid})
    experiments.save("coverage", experiments.draw_coverage, COVERED)
    experiments.save("difficulty", experiments.draw_difficulty, rows)
    for name in ("beta", "coverage", "difficulty"):
        made = (tmp_path / f"experiment-{name}.png").read_bytes()
        assert made.startswith(b"\x89PNG")
        assert len(made) > 5_000  # an empty axes is smaller
