"""Rows, tests and tables of a comparison against hand-worked figures and scipy."""

import pytest
from scipy.stats import ttest_rel

from condense.studies.methods.files import to_csv
from condense.studies.methods.result import CompareDocument, ComparedRow, ranked
from condense.studies.statistics import Estimate, ShareEstimate, holm, paired_p


def test_p_of_pairs_is_scipys():
    values, base = [0.91, 0.88, 0.93, 0.90], [0.90, 0.85, 0.91, 0.91]
    assert paired_p(values, base) == pytest.approx(ttest_rel(values, base).pvalue, rel=1e-12)


def test_p_needs_two_pairs():
    assert paired_p([0.9], [0.8]) is None
    assert paired_p([0.9, None], [0.8, 0.7]) is None


@pytest.mark.parametrize(("values", "p"), [([0.5, 0.75], 1.0), ([0.75, 1.0], None)])
def test_p_of_equal_differences(values, p):
    assert paired_p(values, [0.5, 0.75]) == p


def test_holm_by_hand():
    # sorted .01 .02 .03 .5: × 4, × 3, × 2, × 1 = .04 .06 .06 .5
    assert holm([0.03, 0.01, None, 0.5, 0.02]) == pytest.approx([0.06, 0.04, None, 0.5, 0.06])


def test_holm_stays_below_one_and_keeps_the_order():
    assert holm([0.6, 0.4]) == [0.8, 0.8]
    assert holm([]) == []


def row(method, labels, *accuracies, ipc=5):
    """As much of a row as the ranking reads."""
    known = [a for a in accuracies if a is not None]
    mean = ShareEstimate(mean=sum(known) / len(known), half=None, n=len(known))
    others = dict.fromkeys(set(ComparedRow.model_fields) - {"errors", "findings"})
    others |= {"method": method, "labels": labels, "ipc": ipc}
    return ComparedRow(**{**others, "accuracies": accuracies, "accuracy": mean})


@pytest.mark.parametrize(
    ("difference", "differs", "level"),
    [
        (-0.1, True, False),
        (-0.1, False, True),
        (-0.1, None, True),  # one seed: no test could tell it from the best
        (None, None, False),  # the best itself, `whole`, or a seed is missing
    ],
)
def test_what_is_not_told_from_the_best(difference, differs, level):
    to_best = None if difference is None else Estimate(mean=difference, half=None, n=1)
    found = row("mtt", "own", 0.5).model_copy(update={"to_best": to_best, "differs": differs})
    assert found.is_level is level


@pytest.mark.parametrize("measure", ["accuracy", "coverage"])
def test_the_csv_calls_figures_what_they_are(measure):
    values = {"data": "toy", "measure": measure, "seeds": (0, 1), "shared_seed": 0, "methods": ()}
    values |= {"rows": (row("random", "own", 0.5, 0.6),), "evaluator": {}, "recipes": {}}
    names = to_csv(CompareDocument(**values)).splitlines()[0].split(",")
    assert names[names.index(measure) : names.index(measure) + 3] == [
        *(measure, f"{measure}_low", f"{measure}_high")
    ]


def test_dd_ranking_by_hand():
    """HLR .80 − .65 = .15 in both columns; IOR .65 − .60 under hard, .75 − .70 under a teacher."""
    rows = [
        *(row("random", "hard", 0.58, 0.62), row("mtt", "hard", 0.6, 0.7)),
        *(row("whole", "hard", 0.8, 0.8), row("random", "teacher", 0.7, 0.7)),
        *(row("mtt", "teacher", 0.7, 0.8), row("whole", "teacher", 0.9, 0.9)),
    ]
    hard, teacher = ranked(rows)
    assert (hard.labels, teacher.labels) == ("hard", "teacher")
    for one in (hard, teacher):
        assert one.method == "mtt"
        assert one.ipc == 5
        assert one.hlr == pytest.approx(0.15)
        assert one.ior == pytest.approx(0.05)
        # α = (.05 − .15)/2 = −.05: (0.951229 − 0.367879) / 2.350402
        assert one.lrs == pytest.approx(0.248192, abs=1e-5)


def test_dd_ranking_needs_hard_labels_of_the_size_and_every_seed():
    rows = [row("random", "own", 0.6), row("mtt", "own", 0.7), row("whole", "own", 0.9)]
    assert ranked(rows) == ()
    others = [row(one.method, "hard", 0.5, ipc=10) for one in rows]
    assert {one.ipc for one in ranked([*rows, *others])} == {10}
    failed = [row("mtt", "hard", 0.5, None) if r.method == "mtt" else r for r in others]
    assert ranked([*rows, *failed]) == ()
