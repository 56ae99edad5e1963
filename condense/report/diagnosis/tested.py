"""What a test split can say, by how many samples it has; a check returns None where all is well, or
where what it needs is not known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from condense.kinds import WHOLE
from condense.report.diagnosis.checks import best_guess
from condense.results import Evaluation, Finding, Severity
from condense.studies.statistics import unpaired

# of a class; where none of ten is right, up to 26 % of all may be (binomial, one-sided 95 %)
FEW_TESTED = 10
LISTED = 5  # classes in a message


def check_resolution(
    values: Sequence[float], random: Sequence[float], tested: int
) -> Finding | None:
    """Whether the test split has samples enough for the difference to random that repeats tell.

    Args:
        values, random: accuracy in 0–1 of every repeat.
        tested: test samples; 0 where that is not known.
    """
    gain = unpaired(values, random)
    if not tested or gain is None or gain.n < 2:
        return None
    # equal repeats have no interval, and few samples are why they are equal
    noise = gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high
    mean = sum(values) / len(values)
    known = max(1.96 * math.sqrt(mean * (1 - mean) / tested), 1 / tested)
    if noise or not 0.5 / tested <= abs(gain.mean) < known:  # less than half a sample is none
        return None
    return Finding(
        "test-split-small",
        "test split",
        "problem",
        f"a test split of {tested} samples gives an accuracy to ± {100 * known:.2f} points (95 %, "
        f"binomial; a sample is {100 / tested:.2f}), the difference to random is "
        f"{100 * gain.mean:+.2f}",
        "repeats tell it on these test samples; on others it may be none",
        "test on more samples",
    )


def check_whole(own: Evaluation, others: Mapping[str, Evaluation]) -> Finding | None:
    """Whether networks that were trained on the whole split know more than a guess does, of all
    samples or of each class (two standard errors), without which it is no measure of a set.

    Args:
        own: of the set.
        others: of other arms, by name.
    """
    whole = others.get(WHOLE)
    if whole is None or whole.diverged or _guesses(whole) is not True:
        return None
    guess, _ = best_guess([size for size in whole.class_sizes if size])
    arms = {"this set": own, **others}
    know = [name for name, arm in arms.items() if _guesses(arm) is False]
    means = "nothing is learned that a smaller set could keep: any set is as good as another"
    if know:
        means = f"those trained on {' and '.join(know)} know more, so it is no measure of them"
    return Finding(
        "whole-at-chance",
        "whole",
        "problem",
        f"trained on the whole split, networks are right about {whole.mean:.1%} of the test "
        f"samples, where always naming the largest class makes {guess:.1%}",
        means,
        "see whether another model learns from these data; where one class is most of them, see "
        "`balanced` in the results",
    )


def _guesses(evaluation: Evaluation) -> bool | None:
    """Whether its networks know no more than a guess; None where too little is tested to tell."""
    sizes = [size for size in evaluation.class_sizes if size]
    balanced = evaluation.balanced
    if len(sizes) < 2 or balanced is None:
        return None
    (_, most), blind = best_guess(sizes), 1 / len(sizes)
    even = blind + 2 * blind * math.sqrt(sum(blind * (1 - blind) / size for size in sizes))
    return None if even >= 1 else balanced <= even and evaluation.mean <= most


def check_classes(
    own: Evaluation, others: Mapping[str, Evaluation], classes: Sequence[str]
) -> Finding | None:
    """Whether networks that were trained on the set are ever right about each class.

    Args:
        own: of the set.
        others: of other arms, by name.
        classes: their names.
    """
    never, sizes = _never_right(own), own.class_sizes
    if not never or own.diverged:  # such a network answers one class throughout, which is said
        return None
    listed = ", ".join(f"'{classes[k]}' ({sizes[k]} test samples)" for k in never[:LISTED])
    more = f" and {len(never) - LISTED} more" if never[LISTED:] else ""
    alike = [name for name, arm in others.items() if {*never} <= {*_never_right(arm)}]
    if alike:
        means = f"nor is any trained on {' and '.join(alike)}, so that it is not for this set alone"
    elif others:
        means = "others are: the set does not teach what sets them apart"
    else:
        means = "whether that is for the set, random subsets and the whole beside it would tell"
    severity: Severity = "problem" if max(sizes[k] for k in never) >= FEW_TESTED else "look"
    return Finding(
        "class-never-right",
        "classes",
        severity,
        f"{'the network is not' if own.n == 1 else f'none of {own.n} networks is'} right about any "
        f"test sample of {len(never)} of the "
        f"{len(classes)} classes: {listed}{more}",
        means,
        "look at the samples of these classes, or keep more of them",
    )


def _never_right(found: Evaluation) -> list[int]:
    """Numbers of the classes of which no test sample was told, by no network; none if unknown."""
    if len(found.class_sizes) != len(found.per_class):
        return []
    pairs = zip(found.class_sizes, found.per_class, strict=True)
    return [k for k, (size, rate) in enumerate(pairs) if size and not rate]
