"""Which figures of a run go into which check."""

from dataclasses import replace

import pytest

from condense.report.diagnosis.evidence import RunFacts
from condense.report.page.findings import run_findings, shared_findings
from condense.report.page.sources import read_sources
from condense.results import Trace


@pytest.fixture(scope="module")
def source(plain):
    return read_sources([plain]).runs[0]


def changed(source, **values):
    return replace(source, condensed=replace(source.condensed, **values))


def by_check(findings):
    return {f.check: f for f in findings}


def test_nothing_known_besides_leaves_out_what_it_needs(source):
    found = by_check(run_findings(source, RunFacts()))
    assert set(found) == {"random", "repeats", "loss", "finite", "step size"}


def test_all_that_is_known_is_used(source):
    known = RunFacts(True, "accuracy", "dsa", 0.6, 0.9)
    found = by_check(run_findings(source, known, [0.5, 0.5]))
    assert {"scores", "beta", "augmentation", "baseline", "coverage"} <= set(found)
    assert "cscore" in found["scores"].seen
    assert found["augmentation"].severity == found["baseline"].severity == "ok"
    found = by_check(run_findings(source, replace(known, on_distilled="simple")))
    assert found["augmentation"].severity == "problem"
    assert "matched under dsa and evaluated under simple" in found["augmentation"].seen


def test_a_relative_loss_near_one(source):
    stuck = changed(source, trace=Trace((0.99,) * 40, (0.05,) * 40))
    assert by_check(run_findings(stuck, RunFacts(True)))["loss"].severity == "problem"
    assert by_check(run_findings(stuck, RunFacts(False)))["loss"].severity == "look"


def test_the_initial_step_size_is_the_recipes(source):
    matcher = {**source.condensed.recipe["matcher"], "step_size": 5.0}
    recipe = {**source.condensed.recipe, "matcher": matcher}
    found = by_check(run_findings(changed(source, recipe=recipe), RunFacts()))
    assert found["step size"].severity == "problem"
    assert "from 5 to" in found["step size"].seen


def test_without_distilled_samples_there_is_no_mismatch(source):
    frozen = changed(source, role=source.condensed.role * 0, trace=Trace())
    known = RunFacts(True, "accuracy", "simple")
    found = by_check(run_findings(frozen, known, [0.5, 0.1]))
    assert set(found) == {"random", "repeats"}


def test_a_random_set_is_not_blamed_for_being_no_better_than_random(source):
    assert "random" in by_check(run_findings(source, RunFacts()))
    random = changed(source, method="random", role=source.condensed.role * 0, trace=Trace())
    assert set(by_check(run_findings(random, RunFacts()))) == {"repeats"}


def test_the_store_goes_before_a_comparison(source):
    found = by_check(run_findings(source, RunFacts(split_half=0.9), split_half=0.1))
    assert found["scores"].severity == "ok"


def test_protocols_are_compared_on_the_same_data_alone(source, full):
    other = read_sources([full]).runs[0]
    assert [f.severity for f in shared_findings({"A": source, "B": other})] == ["ok"]
    own = other.results.arms["condensed"]
    own = own.model_copy(update={"protocol": {**own.protocol, "augmentation": "dsa"}})
    arms = {**other.results.arms, "condensed": own}
    differing = replace(other, results=other.results.model_copy(update={"arms": arms}))
    (finding,) = shared_findings({"A": source, "B": differing})
    assert finding.severity == "look"
    assert "augmentation" in finding.seen
    elsewhere = changed(differing, data_fingerprint="other")
    assert shared_findings({"A": source, "B": elsewhere}) == ()
    # the better of two counts for sets of real samples, whichever it is
    real = changed(differing, role=differing.condensed.role * 0)
    assert [f.severity for f in shared_findings({"A": source, "B": real})] == ["ok"]
