"""What can be said of a run, and of several together: which figures go into which check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.documents import OWN
from condense.engine.matching.soft_labels import label_shares
from condense.engine.pipeline import Pipeline
from condense.kinds import RANDOM
from condense.report.diagnosis import checks, source, tested
from condense.report.diagnosis.facts import (
    RunFacts,
    SourceFacts,
    advice_of,
    collect,
    collect_source,
)
from condense.results import Evaluation, Finding, Severity
from condense.traits import EvaluatorTraits

SEVERITIES: tuple[Severity, ...] = ("problem", "look", "ok")  # worst first
# of an arm's protocol, what follows from the result and is no setting
OUTCOMES = ("tried",)
NETWORKS = {  # by stage: code of the finding and what they are called
    "scorer": ("scorer-at-chance", "networks of the scorer"),
    "matcher": ("teachers-at-chance", "teachers"),
}


def findings_of(facts: RunFacts) -> tuple[Finding, ...]:
    """All that can be said of one run, worst first, with the advice of its components."""
    small, evaluations = facts.condensed, facts.evaluations
    evaluated = evaluations.get(OWN)
    own = () if evaluated is None else evaluated.values
    random = evaluations.get(RANDOM)
    # a set that is itself made as a baseline is has nothing to gain over it
    gains = random is not None and small.method not in evaluations
    distilled, soft = bool(small.distilled.any()), small.soft_labels
    found = [
        checks.check_random(own, random.values) if random is not None and gains else None,
        *(checks.check_diverged(name, found) for name, found in evaluations.items()),
        *_of_test_split(facts, evaluated, random if gains else None),
        checks.check_repeats(len(own)),
        checks.check_loss(small.trace.loss, facts.relative_loss),
        checks.check_skipped(small.trace.loss),
        None if soft is None else checks.check_labels(*label_shares(soft, small.labels)),
        checks.check_step_size(small.trace.step_size, facts.step_size),
        *_of_source(facts),
        *(checks.check_range(key, *values) for key, values in facts.ranges.items()),
    ]
    if distilled:
        found += [
            checks.check_augmentation(facts.matched_under, facts.evaluated_under),
            checks.check_baseline(facts.evaluated_under, _tried(random)),
            checks.check_coverage(facts.hard_coverage),
        ]
    return _advised(found, facts.advice)


def _of_test_split(
    facts: RunFacts, own: Evaluation | None, random: Evaluation | None
) -> list[Finding | None]:
    """What counts test samples, where figures are shares of these.

    Args:
        facts: of the run.
        own: of the set.
        random: that it is held against; None where it is not.
    """
    if own is None or not facts.measure.startswith(EvaluatorTraits.measure):
        return []
    others = {name: found for name, found in facts.evaluations.items() if name != OWN}
    count = sum(own.class_sizes)
    return [
        None if random is None else tested.check_resolution(own.values, random.values, count),
        tested.check_whole(own, others),
        tested.check_classes(own, others, facts.condensed.classes),
    ]


def _of_source(facts: SourceFacts) -> list[Finding | None]:
    """Of the data and their scores."""
    return [
        checks.check_reliability(facts.split_half, facts.scorer, sum(facts.class_sizes)),
        *(
            checks.check_learned(code, who, facts.learned.get(stage, ()), facts.class_sizes)
            for stage, (code, who) in NETWORKS.items()
        ),
        source.check_class_count(facts.class_sizes),
        None if facts.scale is None else source.check_scale(facts.scale),
        None if facts.copies is None else checks.check_copies(facts.copies),
        None if facts.near_copies is None else checks.check_near_copies(facts.near_copies),
    ]


def _tried(evaluation: Evaluation | None) -> list[str]:
    """The augmentations of which the best counts."""
    tried = None if evaluation is None else evaluation.protocol.get("tried")
    return list(tried) if isinstance(tried, Mapping) else []


def problems(
    pipeline: Pipeline, condensed: CondensedDataset, evaluations: Mapping[str, Evaluation]
) -> tuple[Finding, ...]:
    """What is wrong with a run that has just been done; nothing for one without a real sign.

    Args:
        pipeline: that was run, its data loaded.
        condensed: the set it made.
        evaluations: by arm, its own called ``condensed``.
    """
    data = pipeline.data
    # near copies within a split are no problem, so that without tests none need be looked for
    found = findings_of(collect(pipeline, condensed, evaluations, data, data.test is not None))
    return tuple(finding for finding in found if finding.severity == "problem")


def problems_of_arm(pipeline: Pipeline, name: str, evaluation: Evaluation) -> tuple[Finding, ...]:
    """What is wrong with the networks of an arm that nothing was made for."""
    return _advised([checks.check_diverged(name, evaluation)], advice_of(pipeline))


def signs_in_source(pipeline: Pipeline) -> tuple[Finding, ...]:
    """What is wrong with the data of ``pipeline`` and the scores that it has read, or worth a look,
    as no report will show it: nothing is matched or evaluated.

    Near copies are left to `run` and `report`: to look for them takes as much memory as the data.
    """
    data = pipeline.data
    facts = collect_source(pipeline, data.fingerprint, data, near=False)
    return tuple(f for f in _advised(_of_source(facts), facts.advice) if f.severity != "ok")


def shared_findings(runs: Mapping[str, RunFacts]) -> tuple[Finding, ...]:
    """What concerns runs together, by their names; runs on different data apart."""
    by_data: dict[str, dict[str, dict[str, object]]] = {}
    for name, facts in runs.items():
        if OWN in facts.evaluations and facts.evaluations[OWN].protocol:
            peers = by_data.setdefault(facts.condensed.data_fingerprint, {})
            peers[name] = dict(facts.evaluations[OWN].protocol)
    # a set that matching had no part in counts the better of two augmentations, as random does
    matched = all(facts.condensed.matched for facts in runs.values())
    ignored = OUTCOMES if matched else (*OUTCOMES, "augmentation")
    for peers in by_data.values():
        for protocol in peers.values():
            for key in ignored:
                protocol.pop(key, None)
    return sorted_findings([checks.check_protocols(peers) for peers in by_data.values()])


def sorted_findings(findings: Sequence[Finding | None]) -> tuple[Finding, ...]:
    """Those that are there, worst first, else in their order."""
    there = [f for f in findings if f is not None]
    return tuple(sorted(there, key=lambda f: SEVERITIES.index(f.severity)))


def _advised(found: Sequence[Finding | None], advice: Mapping[str, str]) -> tuple[Finding, ...]:
    """Those that are there, worst first, with what the components advise before what holds for all
    of them."""
    there = []
    for finding in sorted_findings(found):
        texts = [text for text in (advice.get(finding.code), finding.advice) if text]
        there.append(replace(finding, advice="; ".join(texts)))
    return tuple(there)
