"""SelMatch and the baselines it is compared with: a page of data, not code."""

from __future__ import annotations

from collections.abc import Callable

from condense import Method, hookimpl

SCORER = {"component": "cscore"}
WINDOW = {"component": "window"}
RANDOM = {"component": "random"}
PARTIAL = {"component": "partial"}
FULL = {"component": "full"}
FROZEN = {"component": "frozen"}
TRAJECTORY = {"component": "trajectory"}
NOTHING = {"component": "none"}
# By role: DSA on distilled samples, crop and flip on real ones. Where all samples are distilled
# (mtt, window-full) it is DSA; where all are real, the evaluator tries its baselines' ones.
COMBINED = {"component": "combined"}
ACCURACY = {"component": "accuracy"}


def _method(
    name: str,
    summary: str,
    selector: dict[str, str],
    policy: dict[str, str],
    matcher: dict[str, str],
) -> Method:
    return Method(
        name,
        summary,
        {
            "scorer": SCORER,
            "selector": selector,
            "policy": policy,
            "matcher": matcher,
            "augmentation": COMBINED,
            "evaluator": ACCURACY,
        },
        defaults=("scorer",),  # the paper takes forgetting scores for Tiny-ImageNet
    )


METHODS = (
    _method(
        "selmatch",
        "window of difficulty, partial update, trajectory matching (arXiv 2406.18561)",
        WINDOW,
        PARTIAL,
        TRAJECTORY,
    ),
    _method(
        "mtt",
        "random start, every sample updated by trajectory matching (arXiv 2203.11932)",
        RANDOM,
        FULL,
        TRAJECTORY,
    ),
    _method("random", "a random subset of each class", RANDOM, FROZEN, NOTHING),
    _method("window", "SelMatch's selection alone", WINDOW, FROZEN, NOTHING),
    _method("random-partial", "SelMatch with a random selection", RANDOM, PARTIAL, TRAJECTORY),
    _method("window-full", "SelMatch with every sample updated", WINDOW, FULL, TRAJECTORY),
)


@hookimpl
def condense_register_methods(register: Callable[[Method], None]) -> None:
    for method in METHODS:
        register(method)
