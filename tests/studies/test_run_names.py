"""Labels of runs beside one another."""

import pytest

from condense.studies.run_names import run_names

BASE = {
    "method": "selmatch",
    "seed": 0,
    "ipc": 5,
    "selector": {"component": "window", "beta": 0.5},
    "policy": {"component": "partial", "alpha": 0.5},
    "matcher": {"component": "trajectory", "network": {"component": "convnet", "width": 32}},
}
FULL = BASE | {"policy": {"component": "full"}}


@pytest.mark.parametrize(
    ("recipes", "labels"),
    [
        ([BASE], ["selmatch"]),
        ([BASE, FULL], ["selmatch policy=partial", "selmatch policy=full"]),
        ([BASE, BASE | {"method": "mtt", "seed": 3}], ["selmatch", "mtt"]),
        ([BASE, BASE | {"seed": 1}], ["selmatch seed=0", "selmatch seed=1"]),
        ([BASE, BASE], ["selmatch (1)", "selmatch (2)"]),
        (
            [BASE, BASE | {"policy": {"component": "partial", "alpha": 0.3}}],
            ["selmatch policy.alpha=0.5", "selmatch policy.alpha=0.3"],
        ),
        (
            [
                BASE,
                BASE | {"matcher": {"component": "trajectory", "network": {"component": "mlp"}}},
            ],
            ["selmatch matcher.network=convnet", "selmatch matcher.network=mlp"],
        ),
    ],
)
def test_runs_are_told_apart_by_what_differs(recipes, labels):
    assert run_names([(r["method"], r) for r in recipes]) == labels
