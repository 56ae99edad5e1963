"""Each check of the diagnosis with cases made for it."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from condense.engine.feature_space.scales import Scale
from condense.engine.matching.updates import MIN_STEP_SIZE
from condense.report.diagnosis import checks as diagnosis, source, tested
from condense.results import Evaluation
from condense.studies.statistics import unpaired
from condense.traits import CODES


def severity(finding):
    return None if finding is None else finding.severity


def code(finding):
    return None if finding is None else finding.code


def fall(first, last, n=100):
    """A straight line, bent a little so that its ends are not its extremes."""
    return [first + (last - first) * i / (n - 1) for i in range(n)]


@pytest.mark.parametrize(
    ("loss", "relative", "expected"),
    [
        (fall(0.5, 0.1), True, "ok"),
        (fall(1.0, 0.97), True, "problem"),  # near 1: not moving
        (fall(1.0, 0.97), False, "look"),  # of an absolute loss 1 means nothing, but it is flat
        (fall(0.5, 0.49), True, "look"),
        (fall(0.2, 0.6), True, "problem"),  # rises
        (fall(0.5, 0.1, n=19), True, None),  # too short to say
        ([math.nan] * 100, True, None),
        ([], True, None),
    ],
)
def test_loss(loss, relative, expected):
    assert severity(diagnosis.check_loss(loss, relative)) == expected


def test_loss_names_the_medians_of_its_ends():
    # the first tenth is 1 … 10 with median 5.5, the last 91 … 100 with 95.5
    found = diagnosis.check_loss([float(v) for v in range(100, 0, -1)], False)
    assert "95.5 to 5.5" in found.seen
    # a spike moves no median
    spiked = [*fall(0.5, 0.1)[:-1], 50.0]
    assert severity(diagnosis.check_loss(spiked, True)) == "ok"


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((0.5, 0.1), "loss"),
        ((1.0, 0.97), "loss-no-progress"),
        ((0.5, 0.49), "loss-flat"),
        ((0.2, 0.6), "loss-rises"),
    ],
)
def test_each_fate_of_the_loss_has_its_code(ends, expected):
    assert code(diagnosis.check_loss(fall(*ends), True)) == expected


@pytest.mark.parametrize(
    ("others", "expected"), [(0, "ok"), (15, "ok"), (16, "look"), (99, "look")]
)
def test_labels(others, expected):
    found = diagnosis.check_labels(0.8, others, 100)
    assert severity(found) == expected
    assert f"0.80 of a label is on its own class; another is first in {others} of 100" in found.seen
    assert (found.code == "labels-foreign") == (expected == "look")


@pytest.mark.parametrize(
    ("bad", "expected"), [(0, "ok"), (1, "look"), (2, "look"), (3, "problem"), (200, "problem")]
)
def test_skipped_iterations(bad, expected):
    # one in a hundred is still an accident: 2 of 200
    loss = [math.nan, *[math.inf] * (bad - 1)][:bad] + [0.1] * (200 - bad)
    found = diagnosis.check_skipped(loss)
    assert found.severity == expected
    assert f"{bad} of 200" in found.seen or bad == 0


def test_nothing_is_skipped_where_nothing_was_matched():
    assert diagnosis.check_skipped([]) is None


@pytest.mark.parametrize(
    ("last", "expected", "word"),
    [
        (0.05, "ok", "within"),
        (0.0051, "ok", "within"),
        (0.0049, "problem", "collapsed"),
        (0.49, "ok", "within"),
        (0.51, "problem", "blew up"),
    ],
)
def test_step_size(last, expected, word):
    found = diagnosis.check_step_size([0.05, 0.05, last])
    assert found.severity == expected
    assert word in found.means


def test_step_size_at_its_floor_is_said_even_if_it_began_there():
    found = diagnosis.check_step_size([MIN_STEP_SIZE] * 3, MIN_STEP_SIZE)
    assert found.severity == "problem"
    assert "its floor" in found.seen


def test_step_size_counts_from_the_initial_one():
    assert severity(diagnosis.check_step_size([0.01, 0.01], initial=0.5)) == "problem"
    assert severity(diagnosis.check_step_size([0.01, 0.01], initial=None)) == "ok"
    assert diagnosis.check_step_size([math.nan]) is None


def test_unpaired_difference_is_welchs():
    from scipy.stats import ttest_ind

    one, other = [0.95, 0.96, 0.97, 0.93], [0.90, 0.94, 0.88, 0.91, 0.99]
    interval = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    found = unpaired(one, other)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert unpaired(one, []) is None
    assert unpaired([0.9], other).half is None
    # measured too coarsely to say how others would spread
    assert unpaired([0.5, 0.5], [0.25, 0.25]).half is None
    assert unpaired([0.5, 0.5], [0.25, 0.3]).half > 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.95, 0.96, 0.97], "ok"),
        ([0.90, 0.91, 0.93], "look"),
        ([0.80, 0.81, 0.80], "problem"),
        ([0.95], None),  # a single network has no interval
        ([], None),
    ],
)
def test_better_than_random(values, expected):
    assert severity(diagnosis.check_random(values, [0.90, 0.91, 0.92])) == expected


def test_the_gain_is_in_points():
    # standard errors of 1 point each, Welch's degrees of freedom (1 + 1)² / (1 + 1) = 2
    found = diagnosis.check_random([0.94, 0.96], [0.89, 0.91])
    assert found.seen.startswith(f"+5.00 ± {4.302653 * 2**0.5:.2f} points")
    assert diagnosis.check_random([0.95, 0.95], [0.90, 0.90]) is None


@pytest.mark.parametrize(("n", "expected"), [(0, None), (1, "look"), (2, "ok"), (5, "ok")])
def test_repeats(n, expected):
    assert severity(diagnosis.check_repeats(n)) == expected


@pytest.mark.parametrize(
    ("rho", "samples", "expected"),
    [
        (None, 0, None),
        # together 2ρ / (1 + ρ): 0.333, 0.507, 0.693, 0.701
        *((0.2, 0, "problem"), (0.34, 0, "look"), (0.53, 0, "look"), (0.54, 0, "ok")),
        *((1.0, 0, "ok"), (-1.0, 0, "problem")),
        # 60 samples: tanh(atanh(0.333) + 1.96 / √57) = 0.54; 0.182 has 0.42
        *((0.2, 60, "look"), (0.1, 60, "problem"), (0.2, 5000, "problem")),
    ],
)
def test_reliability(rho, samples, expected):
    assert severity(diagnosis.check_reliability(rho, "cscore", samples)) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, "beta-lowest"), (0.5, "beta"), (0.9, "beta-highest")]
)
def test_an_option_within_the_range_that_the_data_allow(value, expected):
    found = diagnosis.check_range("selector.beta", value, 0.0, 0.9)
    assert found.code == expected
    assert found.severity == ("ok" if expected == "beta" else "look")
    assert found.seen.startswith(f"`selector.beta={value:g}`")


@pytest.mark.parametrize(
    ("best", "tried", "expected"),
    [
        (0.5, [0.1, 0.5, 0.9], "ok"),
        (0.1, [0.1, 0.5, 0.9], "look"),
        (0.9, [0.1, 0.5, 0.9], "look"),
        (0.5, [0.5], None),
    ],
)
def test_best_of_a_curve(best, tried, expected):
    assert severity(diagnosis.check_best("selector.beta", best, tried)) == expected


@pytest.mark.parametrize(
    ("matched", "evaluated", "expected"),
    [
        ("dsa", "dsa", "ok"),
        ("dsa", "simple", "problem"),
        (None, "simple", None),  # nothing was distilled
        ("dsa", None, None),  # what it does to distilled samples is not known
    ],
)
def test_augmentation(matched, evaluated, expected):
    assert severity(diagnosis.check_augmentation(matched, evaluated)) == expected


@pytest.mark.parametrize(
    ("evaluated", "tried", "expected"),
    [
        ("dsa", ["simple", "dsa"], "ok"),
        ("dsa", ["simple"], "look"),
        ("dsa", [], None),
        (None, ["simple"], None),
    ],
)
def test_baseline(evaluated, tried, expected):
    assert severity(diagnosis.check_baseline(evaluated, tried)) == expected


def test_protocols_name_what_differs():
    one = {"network": {"width": 8}, "steps": 5, "lr": 0.1}
    assert diagnosis.check_protocols({"A": one}) is None
    assert severity(diagnosis.check_protocols({"A": one, "B": dict(one)})) == "ok"
    found = diagnosis.check_protocols({"A": one, "B": {**one, "steps": 6}})
    assert found.severity == "look"
    assert "different steps;" in f"{found.seen};"


@pytest.mark.parametrize(
    ("hard", "expected"),
    [
        ([], None),
        ([0.4], None),
        ([0.4, 0.5, 0.45], "ok"),
        ([0.4, 0.395], "ok"),  # within chance
        ([0.4, 0.6, 0.38], "look"),
    ],
)
def test_coverage_of_the_hard_half(hard, expected):
    assert severity(diagnosis.check_coverage(hard)) == expected


@pytest.mark.parametrize(
    ("accuracy", "sizes", "expected"),
    [
        # guesses are right about 0.5 of 100, with a standard error of 0.05
        ([0.61, 0.99], [50, 50], "ok"),
        ([0.59, 0.30, 0.99], [50, 50], "problem"),
        ([0.59, 0.99], [50, 50], "look"),  # half of them
        ([0.95], [90, 10], "problem"),  # of 0.9 it is 0.03
        ([0.97], [90, 10], "ok"),
        ([0.25], [10] * 10, "ok"),  # of 0.1 as well
        ([1.0], [100], "problem"),  # of one class nothing can be learned
        ([], [50, 50], None),
        ([0.5], [], None),
    ],
)
def test_whether_networks_have_learned_anything(accuracy, sizes, expected):
    found = diagnosis.check_learned("teachers-at-chance", "teachers", accuracy, sizes)
    assert severity(found) == expected
    assert code(found) == {"ok": "learned", None: None}.get(expected, "teachers-at-chance")


@pytest.mark.parametrize(
    ("values", "samples", "expected"),
    [
        # 20 points over random; of 20 test samples 0.8 is known to 1.96 · √(0.8 · 0.2 / 20) = 0.175
        ([0.8, 0.8, 0.8], 20, None),
        ([0.8, 0.8, 0.8], 15, "problem"),  # to 0.202
        ([0.6, 0.6, 0.6], 0, None),  # nobody knows how many
        ([0.61, 0.6, 0.59], 20, None),  # no difference is told
        ([0.4, 0.4, 0.4], 20, "problem"),  # worse, but by less than 0.215
        ([1.0, 1.0, 1.0], 4, None),  # 40 points are more than one sample of four
        ([1.0, 1.0, 1.0], 2, "problem"),  # and less than one of two
        ([0.8], 15, None),  # a single network has no interval
        ([0.6, 0.6, 0.6], 20, None),  # there is no difference to tell
    ],
)
def test_the_test_split_is_large_enough_for_what_repeats_tell(values, samples, expected):
    found = tested.check_resolution(values, [0.6, 0.6, 0.6], samples)
    assert severity(found) == expected
    if expected:
        assert found.code == "test-split-small"
        assert f"a test split of {samples} samples" in found.seen
        assert f"to random is {100 * (values[0] - 0.6):+.2f}" in found.seen


def test_half_of_the_binomial_interval_by_another_library():
    from scipy.stats import binom

    # of 150 samples, each told with 0.8, the share told is within 0.064 of that in 95 % of cases
    within = sum(binom.pmf(k, 150, 0.8) for k in range(151) if abs(k / 150 - 0.8) <= 0.064)
    assert within == pytest.approx(0.95, abs=0.01)
    assert "± 6.40 points" in tested.check_resolution([0.8] * 2, [0.75] * 2, 150).seen


CLASSES = ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("rates", "sizes", "expected"),
    [
        ((0.5, 0.0, 0.9), (20, 10, 20), "problem"),
        ((0.5, 0.0, 0.9), (20, 9, 20), "look"),  # too few to say much
        ((0.5, 0.0, 0.9), (20, 0, 20), None),  # nothing to be right about
        ((0.5, 0.01, 0.9), (20, 10, 20), None),
        ((0.5, 0.0, 0.9), (), None),  # nobody knows
        ((), (20, 10, 20), None),
    ],
)
def test_classes_that_no_network_is_right_about(rates, sizes, expected):
    own = Evaluation((0.5, 0.6), per_class=rates, class_sizes=sizes)
    found = tested.check_classes(own, {}, CLASSES)
    assert severity(found) == expected
    if expected:
        told = "none of 2 networks is right about any test sample of 1 of the 3 classes: 'bee' ("
        assert found.seen.startswith(f"{told}{sizes[1]} test samples)")
        assert found.means.endswith("random subsets and the whole beside it would tell")


def test_what_other_arms_do_not_know_either_is_not_for_the_set():
    def arm(*rates):
        return Evaluation((0.5,), per_class=rates, class_sizes=(20, 20, 20))

    others = {"random": arm(0.9, 0.0, 0.9), "whole": arm(0.9, 0.1, 0.9)}
    found = tested.check_classes(arm(0.9, 0.0, 0.9), others, CLASSES)
    assert found.means == "nor is any trained on random, so that it is not for this set alone"
    both = tested.check_classes(arm(0.0, 0.0, 0.9), others, CLASSES)
    told = "the network is not right about any test sample of 2 of the 3 classes: 'ant' (20 test"
    assert both.seen.startswith(told)
    assert "does not teach" in both.means  # random knows one of the two
    diverged = replace(arm(0.9, 0.0, 0.9), diverged=1)
    assert tested.check_classes(diverged, others, CLASSES) is None


def test_texts_are_parts_of_a_sentence():
    blind = Evaluation((0.5,), per_class=(0.5, 0.5), class_sizes=(9, 9))
    findings = [
        diagnosis.check_loss(fall(1.0, 0.97), True),
        diagnosis.check_skipped([math.nan]),
        diagnosis.check_step_size([0.05, 1e-4]),
        diagnosis.check_random([0.5, 0.51], [0.9, 0.91]),
        diagnosis.check_repeats(1),
        tested.check_resolution([0.8, 0.8], [0.6, 0.6], 15),
        tested.check_classes(
            Evaluation((0.5,), per_class=(0.0, 1.0), class_sizes=(9, 9)), {}, "ab"
        ),
        tested.check_whole(blind, {"whole": blind}),
        source.check_class_count([1] * 30),
        source.check_scale(Scale("3", 1e9, 500)),
        diagnosis.check_reliability(0.1, "el2n"),
        diagnosis.check_learned("teachers-at-chance", "teachers", [0.5], [5, 5]),
        diagnosis.check_range("selector.beta", 0.0, 0.0, 1.0),
        diagnosis.check_best("policy.alpha", 1.0, [0.5, 1.0]),
        diagnosis.check_augmentation("dsa", "none"),
        diagnosis.check_baseline("dsa", ["none"]),
        diagnosis.check_coverage([0.5, 0.1]),
    ]
    assert len({finding.code for finding in findings}) == len(findings)
    for finding in findings:
        assert finding.severity != "ok"
        for text in (finding.seen, finding.means, finding.advice):
            assert text == text.strip()
            assert not text.endswith(".")  # sentences are made where they are shown


def test_the_codes_that_components_may_advise_on_are_those_that_are_given():
    root = Path(__file__).parents[3]
    rows = re.findall(r"^\| \S[^|]+\|([^|]+)\|", (root / "docs/report.md").read_text("utf-8"), re.M)
    of_diagnosis = {code for row in rows for code in re.findall(r"`([\w-]+)`", row)}
    assert of_diagnosis - set(CODES) == {"beta-lowest", "beta-highest"}
    engine = "".join(p.read_text("utf-8") for p in (root / "condense/engine").rglob("*.py"))
    of_notes = set(re.findall(r"advice_of\(.*?, ['\"]([\w-]+)['\"]\)", engine))
    assert set(CODES) - of_diagnosis == of_notes
    files = (root / "condense/report/diagnosis").glob("*.py")
    checks = "".join(file.read_text("utf-8") for file in files)
    worth_a_look = r'"([\w-]+)",\s+(?:"[^"]+"|\w+),\s+"(?:problem|look)"'
    assert set(re.findall(worth_a_look, checks)) <= set(CODES)
