"""SelMatch and the baselines it is compared with: a page of data, not code."""

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
    stages = {stage: {"component": component} for stage, component in components.items()}
    # the paper takes forgetting scores for Tiny-ImageNet
    return Method(name, summary, stages, () if scorer else ("scorer",), tried)


METHODS = (
    _method(
        "selmatch",
        "window",
        "partial",
        "trajectory",
        "window of difficulty, partial update, trajectory matching (arXiv 2406.18561)",
        tried={"policy": ("partial", "learned-labels")},
    ),
    _method(
        "mtt",
        "random",
        "full",
        "trajectory",
        "random start, every sample updated by trajectory matching (arXiv 2203.11932)",
        tried={},
    ),
    _method("random", "random", "frozen", "none", "a random subset of each class"),
    _method(
        "window",
        "window",
        "frozen",
        "none",
        "SelMatch's selection alone",
        tried={"selector.beta": 4},
    ),
    _method(
        "random-partial", "random", "partial", "trajectory", "SelMatch with a random selection"
    ),
    _method("window-full", "window", "full", "trajectory", "SelMatch with every sample updated"),
    _method(
        "tdds",
        "hardest",
        "frozen",
        "none",
        "the highest temporal dual-depth scores of each class (arXiv 2311.13613)",
        scorer="tdds",
    ),
)
