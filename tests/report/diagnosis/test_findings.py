"""Which facts of a run go into which check, and whose advice comes with what is found."""

from dataclasses import replace

import pytest

from condense.engine.documents import OWN
from condense.kinds import STAGES
from condense.report.diagnosis.facts import RunFacts
from condense.report.diagnosis.findings import findings_of, shared_findings, sorted_findings
from condense.report.page.sources import read_sources
from condense.results import Evaluation, Finding, Trace
from condense.traits import Traits, traits_of


@pytest.fixture(scope="module")
def facts(plain):
    """What the files of a run say, but for the size of its test split."""
    source = read_sources([plain]).runs[0]
    arms = source.evaluations.items()
    evaluations = {name: replace(found, class_sizes=()) for name, found in arms}
    return RunFacts(condensed=source.condensed, evaluations=evaluations)


def test_the_test_split_is_counted_where_figures_are_shares_of_it(facts):
    sizes, rates = (12,) * 10, (0.0, *[0.9] * 9)
    own = Evaluation((0.8, 0.8), per_class=rates, class_sizes=sizes)
    arms = {OWN: own, "random": Evaluation((0.75, 0.75))}
    found = by_check(replace(facts, evaluations=arms))
    assert "'0' (12 test samples)" in found["classes"].seen
    assert found["test split"].seen.startswith("a test split of 120 samples gives")
    covered = by_check(replace(facts, evaluations=arms, measure="coverage"))
    assert not {"classes", "test split"} & set(covered)
    itself = changed(replace(facts, evaluations=arms), method="random")
    assert "test split" not in by_check(itself)  # a random set has nothing to gain over random ones


def changed(facts, **values):
    return replace(facts, condensed=replace(facts.condensed, **values))


def by_check(facts):
    return {f.check: f for f in findings_of(facts)}


def test_nothing_known_besides_leaves_out_what_it_needs(facts):
    assert set(by_check(facts)) == {"random", "repeats", "loss", "finite", "step size"}


def test_all_that_is_known_is_used(facts):
    known = replace(
        facts,
        relative_loss=True,
        matched_under="dsa",
        evaluated_under="dsa",
        scorer="cscore",
        split_half=0.6,
        ranges={"selector.beta": (0.5, 0.0, 0.9)},
        hard_coverage=(0.5, 0.5),
    )
    found = by_check(known)
    assert {"scores", "beta", "augmentation", "baseline", "coverage"} <= set(found)
    assert "cscore" in found["scores"].seen
    assert found["augmentation"].severity == found["baseline"].severity == "ok"
    found = by_check(replace(known, evaluated_under="simple"))
    assert found["augmentation"].severity == "problem"
    assert "matched under dsa and evaluated under simple" in found["augmentation"].seen


def test_no_advice_begins_with_the_word_that_stands_before_it(host):
    given = [
        text
        for kind in STAGES.values()
        for name in host.registry(kind).names()
        for text in traits_of(host.registry(kind).get(name), Traits).advice.values()
    ]
    assert "another selector.beta" in given
    assert [text for text in given if text.startswith("try ")] == []


def test_a_relative_loss_near_one(facts):
    stuck = changed(facts, trace=Trace((0.99,) * 40, (0.05,) * 40))
    assert by_check(replace(stuck, relative_loss=True))["loss"].severity == "problem"
    assert by_check(stuck)["loss"].severity == "look"


def test_the_step_size_counts_from_where_it_began(facts):
    found = by_check(replace(facts, step_size=5.0))
    assert found["step size"].code == "step-size-collapsed"
    assert "from 5 to" in found["step size"].seen


def test_without_distilled_samples_there_is_no_mismatch(facts):
    frozen = changed(facts, role=facts.condensed.role * 0, trace=Trace())
    known = replace(frozen, matched_under="dsa", evaluated_under="simple", hard_coverage=(0.5, 0.1))
    assert set(by_check(known)) == {"random", "repeats"}


def test_a_random_set_is_not_blamed_for_being_no_better_than_random(facts):
    assert "random" in by_check(facts)
    random = changed(facts, method="random", role=facts.condensed.role * 0, trace=Trace())
    assert set(by_check(random)) == {"repeats"}


def test_the_advice_of_components_goes_before_what_holds_for_all(facts):
    advice = {"scores-unreliable": "raise scorer.networks", "loss-flat": "raise policy.alpha"}
    known = replace(facts, split_half=0.1, advice=advice)
    found = by_check(changed(known, trace=Trace((0.5,) * 40, (0.05,) * 40)))
    assert found["scores"].advice.startswith("raise scorer.networks; average more")
    assert found["loss"].advice == "raise policy.alpha"
    assert found["repeats"].advice == ""


def test_worst_first_and_the_unknown_left_out():
    severities = ("ok", "problem", "look", "ok")
    found = [Finding(str(k), "", s, "", "") for k, s in enumerate(severities)]
    assert [f.code for f in sorted_findings([None, *found, None])] == ["1", "2", "0", "3"]


def test_protocols_are_compared_on_the_same_data_alone(facts, full):
    source = read_sources([full]).runs[0]
    other = RunFacts(condensed=source.condensed, evaluations=source.evaluations)
    assert [f.severity for f in shared_findings({"A": facts, "B": other})] == ["ok"]
    own = other.evaluations[OWN]
    under_dsa = replace(own, protocol={**own.protocol, "augmentation": "dsa"})
    differing = replace(other, evaluations={OWN: under_dsa})
    (finding,) = shared_findings({"A": facts, "B": differing})
    assert finding.severity == "look"
    assert "different augmentation;" in finding.message
    elsewhere = changed(differing, data_fingerprint="other")
    assert shared_findings({"A": facts, "B": elsewhere}) == ()
    # the better of two counts for sets of real samples, whichever it is
    real = changed(differing, role=differing.condensed.role * 0)
    assert [f.severity for f in shared_findings({"A": facts, "B": real})] == ["ok"]
