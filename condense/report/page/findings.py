"""The diagnosis of what a report shows: which figures go into which check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from condense.engine.documents import OWN
from condense.engine.matching.soft_labels import label_shares
from condense.figures.formats import setting
from condense.report.diagnosis import checks as diagnosis
from condense.report.diagnosis.checks import Finding
from condense.report.diagnosis.evidence import RunFacts
from condense.report.page.sources import RunSource

# of an arm's protocol, what must be alike for accuracies to be compared
PROTOCOL = ("network", "steps", "epochs", "batch_size", "lr", "augmentation")


def evaluated_under(source: RunSource) -> str | None:
    """The augmentation of the set's own evaluation; None if there was none."""
    protocol = source.arms.get(OWN, {}).get("protocol", {})
    return setting(protocol["augmentation"]) if "augmentation" in protocol else None


def run_findings(
    source: RunSource,
    known: RunFacts,
    hard_coverage: Sequence[float] = (),
    split_half: float | None = None,
) -> tuple[Finding, ...]:
    """All that can be said of one run.

    Args:
        source: its files.
        known: what was found out besides.
        hard_coverage: of the hard half in 0–1, by iteration.
        split_half: of its scorer from a comparison, where the store did not have it.
    """
    small, arms, recipe = source.condensed, source.arms, source.condensed.recipe
    soft = small.soft_labels
    own, random = arms.get(OWN, {}), arms.get("random", {})
    # a set that is itself made as a baseline is has nothing to gain over it
    is_baseline, of_random = small.method in arms, random.get("values", ())
    distilled = bool(small.distilled.any())
    matcher, selector = recipe.get("matcher", {}), recipe.get("selector", {})
    matched = setting(matcher["augmentation"]) if matcher.get("augmentation") else None
    rho = known.split_half if known.split_half is not None else split_half
    tried = list(random.get("protocol", {}).get("tried", {}))
    findings = [
        None if is_baseline else diagnosis.check_random(own.get("values", ()), of_random),
        diagnosis.check_repeats(len(own.get("values", ()))),
        diagnosis.check_loss(small.trace.loss, known.relative_loss),
        diagnosis.check_skipped(small.trace.loss),
        None if soft is None else diagnosis.check_labels(*label_shares(soft, small.labels)),
        diagnosis.check_step_size(small.trace.step_size, matcher.get("step_size")),
        diagnosis.check_reliability(rho, str(recipe.get("scorer", {}).get("component", ""))),
        diagnosis.check_beta(selector.get("beta"), known.highest_beta),
        diagnosis.check_augmentation(matched if distilled else None, known.on_distilled),
        diagnosis.check_baseline(known.on_distilled if distilled else None, tried),
        diagnosis.check_coverage(hard_coverage if distilled else ()),
    ]
    return diagnosis.sorted_findings(findings)


def shared_findings(sources: Mapping[str, RunSource]) -> tuple[Finding, ...]:
    """What concerns the runs together, by their names; runs on different data apart."""
    by_data: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, source in sources.items():
        protocol = source.arms.get(OWN, {}).get("protocol")
        if protocol:
            peers = by_data.setdefault(source.condensed.data_fingerprint, {})
            peers[name] = {key: protocol[key] for key in PROTOCOL if key in protocol}
    # a set that matching had no part in counts the better of two augmentations, as random does
    if not all(source.condensed.matched for source in sources.values()):
        for protocols in by_data.values():
            protocols.update({n: _without_augmentation(p) for n, p in protocols.items()})
    return diagnosis.sorted_findings(
        [diagnosis.check_protocols(protocols) for protocols in by_data.values()]
    )


def _without_augmentation(protocol: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in protocol.items() if key != "augmentation"}
