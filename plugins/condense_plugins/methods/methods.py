"""SelMatch and what it is compared with: a page of data, not code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from condense import Method


def _method(
    name: str,
    selector: str,
    policy: str,
    matcher: str,
    summary: str,
    tried: Mapping[str, Any] | None = None,
    scorer: str | None = None,
    yields: tuple[str, ...] = (),
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> Method:
    components = {
        "scorer": scorer or "cscore",
        "selector": selector,
        "policy": policy,
        "matcher": matcher,
        # By role: DSA on distilled samples, crop and flip on real ones. Where all samples are
        # distilled (mtt, window-full) it is DSA; where all are real, the evaluator tries its
        # baselines' ones.
        "augmentation": "combined",
        "evaluator": "accuracy",
    }
    stages: dict[str, dict[str, Any]] = {s: {"component": c} for s, c in components.items()}
    stages |= {s: {**stages.get(s, {}), **table} for s, table in (more or {}).items()}
    # SelMatch's paper takes forgetting scores for Tiny-ImageNet
    defaults = yields if scorer else ("scorer", *yields)
    return Method(name, summary, stages, defaults, tried)


def _subset(
    name: str,
    selector: str,
    summary: str,
    tried: Mapping[str, Any] | None = None,
    scorer: str | None = None,
) -> Method:
    """Of real samples only."""
    return _method(name, selector, "frozen", "none", summary, tried, scorer)


METHODS = (
    _method(
        "selmatch",
        "window",
        "partial",
        "trajectory",
        "window of difficulty, partial update, trajectory matching (arXiv 2406.18561)",
        tried={"policy": ("partial", "learned-labels"), "selector.beta": "window"},
    ),
    # What each part adds, and what was tried besides: benchmarks/results/README.md.
    _method(
        "selmatch-plus",
        "window",
        "relabel",
        "trajectory",
        "SelMatch's set, its samples labelled anew by the experts once they are matched",
    ),
    _method(
        "mtt",
        "random",
        "full",
        "trajectory",
        "random start, every sample updated by trajectory matching (arXiv 2203.11932)",
        tried={},
    ),
    _method(
        "dm",
        "random",
        "full",
        "distribution",
        "random start, every sample updated by distribution matching (arXiv 2110.04181)",
        tried={},
        yields=("augmentation",),  # to the papers' own, DSA by the batch
    ),
    _method(
        "dc",
        "random",
        "full",
        "gradient",
        "random start, every sample updated by gradient matching (arXiv 2006.05929, 2102.08259)",
        yields=("augmentation",),
    ),
    _subset("random", "random", "a random subset of each class"),
    _subset("window", "window", "SelMatch's selection alone", {"selector.beta": 3}),
    _subset(
        "ccs",
        "stratified",
        "the hardest left out, all levels of difficulty alike (CCS, arXiv 2210.15809)",
        {},
        scorer="aum",
    ),
    _subset(
        "dual",
        "dual-beta",
        "uncertain and difficult samples, the fewer the easier (DUAL, arXiv 2502.06905)",
        scorer="dual",
    ),
    _subset(
        "tdds",
        "hardest",
        "the highest temporal dual-depth scores of each class (arXiv 2311.13613)",
        scorer="tdds",
    ),
    _subset(
        "kcenter",
        "kcenter",
        "k-center, greedy: the sample farthest from those kept (arXiv 1708.00489)",
    ),
    _subset("herding", "herding", "the mean of each class is kept (Welling, ICML 2009)"),
    _subset(
        "facility-location",
        "facility-location",
        "every sample has one like it among those kept (lazy greedy, as in arXiv 1906.01827)",
        {},
    ),
    _subset(
        "moderate",
        "moderate",
        "samples at the median distance to the mean of their class (Moderate Coreset, ICLR 2023)",
    ),
    _method(
        "random-partial", "random", "partial", "trajectory", "SelMatch with a random selection"
    ),
    # CCFS keeps a fifth distilled; here by trajectory matching, in the place of its CDA, and
    # evaluated under the set's own labels unless `evaluator.labels=teacher` asks for its KD
    _method(
        "ccfs",
        "random",
        "partial",
        "trajectory",
        "a fifth distilled, the real rest chosen after it by curriculum (arXiv 2503.18872)",
        more={"policy": {"alpha": 0.2}, "reselector": {"component": "curriculum"}},
    ),
    _method("window-full", "window", "full", "trajectory", "SelMatch with every sample updated"),
)
