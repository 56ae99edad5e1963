"""What the figures of a run say about it, in plain words; pure functions of numbers.

The signs are those under which the SelMatch paper (arXiv 2406.18561) and its users saw the method
fail. A check returns None where what it needs is not known, never a guess. Which options would help
is for the components to say (:attr:`condense.traits.Traits.advice`), by the code of a finding; a
check advises only on what is no component's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from condense.engine.feature_space.near_copies import NearCopies
from condense.engine.ingest.copies import Copies
from condense.engine.matching.updates import MIN_STEP_SIZE
from condense.results import Evaluation, Finding, Severity
from condense.studies.statistics import unpaired

# A relative loss is 1 where the student ends as far from its target as it began.
NO_PROGRESS = 0.95
# The loss of one iteration varies by half with its starting epoch; over a tenth of 300 iterations
# its median still does by some 8 %, so that less than this is no fall.
FLAT = 0.05
RISE = 0.25  # a rise that such variation does not explain
SHORTEST = 20  # iterations; with fewer, a tenth is less than two of them
# A step size is tuned within an order of magnitude; beyond, students no longer train as experts do.
STEP_FACTOR = 10.0
SKIPPED = 0.01  # share of iterations without effect that is more than an accident
# Raw split-half ρ; by Spearman–Brown the whole score then has 2ρ/(1+ρ) = 0.67 and 0.82.
UNRELIABLE, DOUBTFUL = 0.5, 0.7
ALMOST = 1 - 1e-12  # of a correlation, whose transform is infinite at 1
FOREIGN = 0.15  # of labels; sound runs on a part of CIFAR-10 had 0.03 to 0.06
COVERAGE_FALL = 0.01  # of the hard half; a test half of 5 000 samples has a standard error of 0.007
LEAKED = 0.01  # of the test split; more copies of training samples move accuracy visibly
EDGE = 1e-9


def _ends(values: Sequence[float]) -> tuple[float, float] | None:
    """Medians of the first and the last tenth of the finite ``values``; None if too few."""
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < SHORTEST:
        return None
    tenth = len(finite) // 10
    return median(finite[:tenth]), median(finite[-tenth:])


def check_loss(loss: Sequence[float], relative: bool) -> Finding | None:
    """Whether matching got anywhere.

    Args:
        loss: one value an iteration.
        relative: whether 1 means that the student did not come nearer to its target.
    """
    ends = _ends(loss)
    if ends is None:
        return None
    first, last = ends
    seen = f"the loss went from {first:.3g} to {last:.3g} (medians of the first and last tenth)"
    if relative and last >= NO_PROGRESS:
        means = "near 1 the student ends no nearer to its target than it began"
        return Finding("loss-no-progress", "loss", "problem", seen, means)
    if last - first > RISE * abs(first):
        return Finding("loss-rises", "loss", "problem", seen, "it rises: updates overshoot")
    if first - last < FLAT * abs(first):
        means = "it is flat: too few samples may move, or too little at a time"
        return Finding("loss-flat", "loss", "look", seen, means)
    return Finding("loss", "loss", "ok", seen, "matching made progress")


def check_skipped(loss: Sequence[float]) -> Finding | None:
    """Whether iterations were skipped because something was not finite."""
    if not loss:
        return None
    count = sum(not math.isfinite(v) for v in loss)
    if not count:
        seen = f"all {len(loss)} iterations were finite"
        return Finding("finite", "finite", "ok", seen, "none was lost")
    return Finding(
        "not-finite",
        "finite",
        "problem" if count > SKIPPED * len(loss) else "look",
        f"{count} of {len(loss)} iterations were not finite and had no effect",
        "students diverge under the present step size, or half precision overflows",
    )


def check_step_size(steps: Sequence[float], initial: float | None = None) -> Finding | None:
    """Whether the learned step size stayed within a factor of ten of where it began.

    Args:
        steps: after each iteration.
        initial: before the first; by default the first of ``steps``.
    """
    finite = [s for s in steps if math.isfinite(s) and s > 0]
    if not finite:
        return None
    last = finite[-1]
    first = initial if initial is not None and initial > 0 else finite[0]
    seen = f"the step size went from {first:.3g} to {last:.3g} (× {last / first:.3g})"
    # it is kept as float32, whose nearest to the floor may lie above it
    at_floor = last <= 1.01 * MIN_STEP_SIZE
    if at_floor or last / first < 1 / STEP_FACTOR:
        seen += ", its floor" if at_floor else ""
        means = "it collapsed: students hardly train on the set, and the samples get no signal"
        return Finding("step-size-collapsed", "step size", "problem", seen, means)
    if last / first > STEP_FACTOR:
        means = "it blew up: students take larger steps than what they follow"
        return Finding("step-size-grew", "step size", "problem", seen, means)
    return Finding("step-size", "step size", "ok", seen, "it stayed within a factor of ten")


def check_labels(own: float, others: int, total: int) -> Finding:
    """Whether soft labels still speak for the classes that samples were chosen for.

    Args:
        own: mean probability of the own class, 0–1.
        others: samples whose label puts another class first.
        total: samples.
    """
    seen = f"{own:.2f} of a label is on its own class; another is first in {others} of {total}"
    if others > FOREIGN * total:
        means = "labels have moved far, or their teachers do not know these samples"
        return Finding("labels-foreign", "labels", "look", seen, means)
    return Finding("labels", "labels", "ok", seen, "labels stand for the classes of their samples")


def check_random(values: Sequence[float], random: Sequence[float]) -> Finding | None:
    """Whether the set is better than random subsets of its size, beyond chance.

    Args:
        values, random: accuracy in 0–1 of every repeat.
    """
    gain = unpaired(values, random)
    if gain is None or gain.low is None or gain.high is None or gain.half is None:
        return None
    points = f"{100 * gain.mean:+.2f} ± {100 * gain.half:.2f} points over random (95 % interval)"
    advice = "look at the other findings; `condense compare` shows how other methods do here"
    if gain.high < 0:
        means = "the set is worse than a random one"
        return Finding("worse-than-random", "random", "problem", points, means, advice)
    if gain.low <= 0:
        means = "the interval holds 0: the difference to a random one is not significant"
        return Finding("not-told-from-random", "random", "look", points, means, advice)
    means = "the set is better than a random one of its size"
    return Finding("random", "random", "ok", points, means)


def check_diverged(name: str, evaluation: Evaluation) -> Finding | None:
    """Whether the networks that an arm was measured with were finite.

    Args:
        name: of the arm.
        evaluation: of the arm.
    """
    if not evaluation.diverged:
        return None
    return Finding(
        "network-diverged",
        "networks",
        "problem",
        f"{evaluation.diverged} of {evaluation.n} networks trained on {name} have outputs that are "
        "not finite",
        "each of them answers one class throughout, so this accuracy says nothing of the set",
    )


def check_repeats(n: int) -> Finding | None:
    """Whether there are repeats enough for an interval."""
    if n < 1:
        return None
    if n == 1:
        seen = "the accuracy is that of a single network"
        means = "there is no interval, and differences to other arms cannot be judged"
        return Finding("single-repeat", "repeats", "look", seen, means)
    seen = f"{n} networks were trained"
    return Finding("repeats", "repeats", "ok", seen, "the mean has an interval")


def check_reliability(rho: float | None, scorer: str, samples: int = 0) -> Finding | None:
    """Whether the difficulty scores rank, as their replicates taken together do.

    Args:
        rho: raw split-half ρ between halves of the replicates. All of them have
            2ρ / (1 + ρ) (Spearman and Brown).
        samples: that were ranked; of few, only what is low beyond chance (the upper end of the
            95 % interval by Fisher's z) is a sign. 0 where not known.
    """
    if rho is None:
        return None
    whole = 2 * rho / (1 + rho) if rho > 0 else rho
    chance = 1.96 / math.sqrt(samples - 3) if samples > 3 else 0.0
    most = math.tanh(math.atanh(min(max(whole, -ALMOST), ALMOST)) + chance)
    seen = f"two halves of the {scorer} replicates agree with ρ = {rho:.2f}, all with {whole:.2f}"
    if most >= DOUBTFUL:
        return Finding("scores", "scores", "ok", seen, "the scores rank")
    return Finding(
        "scores-unreliable",
        "scores",
        "problem" if most < UNRELIABLE else "look",
        seen,
        "which sample is called hard depends much on chance, so the selection is blurred",
        "average more replicates, or take another scorer; see `condense score --compare`",
    )


def best_guess(sizes: Sequence[int]) -> tuple[float, float]:
    """Accuracy of always naming the largest class, and two standard errors above it, 0–1.

    Args:
        sizes: samples of each class, one or more in all.
    """
    guess, samples = max(sizes) / sum(sizes), sum(sizes)
    return guess, guess + 2 * math.sqrt(guess * (1 - guess) / samples)


def check_learned(
    code: str, who: str, accuracy: Sequence[float], class_sizes: Sequence[int]
) -> Finding | None:
    """Whether networks know what they were trained on better than a guess does.

    Args:
        code: of the finding where they do not.
        who: they are, in the plural.
        accuracy: on their own training data, 0–1, one a network.
        class_sizes: samples of each class among these data.
    """
    samples = sum(class_sizes)
    if not accuracy or not samples:
        return None
    guess, most = best_guess(class_sizes)
    low = [value for value in accuracy if value <= most]
    seen = (
        f"{who} are right about {min(accuracy):.1%} to {max(accuracy):.1%} of their own training "
        f"data, where always naming the largest class makes {guess:.1%}"
    )
    if not low:
        return Finding("learned", who, "ok", seen, "they have learned from them")
    means = f"{len(low)} of {len(accuracy)} have learned nothing that could be used"
    return Finding(code, who, "problem" if 2 * len(low) > len(accuracy) else "look", seen, means)


def check_copies(copies: Copies) -> Finding | None:
    """Whether samples are exact copies of others, in the training split or across the splits."""
    found, tests = copies.copies, copies.tested
    if not found and not tests:
        return None
    seen, means = [], []
    if found:
        other = f", {copies.mislabeled} under another label" if copies.mislabeled else ""
        pair = f" (first {' and '.join(copies.example)})"
        seen.append(
            f"{found} of {copies.samples} training samples are exact copies of another{other}{pair}"
        )
        means.append("a copy that is kept takes the place of a sample that says more")
    if tests:
        seen.append(f"{tests} of {copies.test_samples} test samples are copies of training samples")
        means.append("accuracy is higher on samples that were trained on")
    severity: Severity = "problem" if tests > LEAKED * copies.test_samples else "look"
    advice = "leave copies out of the data"
    return Finding("copies", "copies", severity, ", ".join(seen), "; ".join(means), advice)


def check_near_copies(near: NearCopies) -> Finding | None:
    """Whether samples are nearly equal to others, in the training split or across the splits."""
    found, tests = near.copies, near.tested
    if not found and not tests:
        return None
    seen = []
    if found:
        other = f", {near.mislabeled} under another label" if near.mislabeled else ""
        seen.append(
            f"{found} of {near.samples} training samples are nearly equal to another{other}"
        )
    if tests:
        seen.append(
            f"{tests} of {near.test_samples} test samples are nearly equal to training samples"
        )
    pairs = "; ".join(f"{one} and {two}" for one, two, _ in near.nearest)
    return Finding(
        "near-copies",
        "near copies",
        "problem" if tests > LEAKED * near.test_samples else "look",
        f"{', '.join(seen)} (nearest: {pairs})",
        "what is there twice counts twice, and accuracy is higher on what was trained on",
        "look at these pairs, and leave out what shows the same thing",
    )


def check_range(key: str, value: float, low: float, high: float) -> Finding:
    """Whether an option lies at an end of what the data allow it.

    Args:
        key: of the option, as after ``-o``; its last part is the first of the finding's code.
        value: chosen.
        low, high: of the allowed range.
    """
    option, given = key.rpartition(".")[2], f"`{key}={value:g}`"
    if value <= low + EDGE:
        seen = f"{given} is the low end of its range"
        return Finding(f"{option}-lowest", option, "look", seen, "nothing below it can be tried")
    if value >= high - EDGE:
        seen = f"{given} is the high end of its range"
        return Finding(f"{option}-highest", option, "look", seen, "nothing above it can be tried")
    seen = f"{given}, where {high:.3g} is the most that the data allow"
    return Finding(option, option, "ok", seen, "not at an edge")


def check_best(key: str, best: float, tried: Sequence[float]) -> Finding | None:
    """Whether the best value of an option is the smallest or largest that was tried.

    Args:
        key: of the option, as after ``-o``.
        best: of ``tried``.
        tried: where the curve was measured.
    """
    if len(set(tried)) < 2:
        return None
    low, high = min(tried), max(tried)
    if low + EDGE < best < high - EDGE:
        where = f"within the {low:.3g} to {high:.3g} that were tried"
        seen = f"its best value, {best:.3g}, lies {where}"
        return Finding("best", key, "ok", seen, "the curve has its top inside")
    return Finding(
        "best-at-end",
        key,
        "look",
        f"its best value, {best:.3g}, is an end of what was tried ({low:.3g} to {high:.3g})",
        "the optimum may lie outside, or the option has little to give here",
        "tune over a wider range, or with another scorer",
    )


def check_augmentation(matched: str | None, evaluated: str | None) -> Finding | None:
    """Whether distilled samples are trained on under what they were matched under.

    Args:
        matched: augmentation of the matching; None without distilled samples.
        evaluated: the one that the evaluation gives to distilled samples; None if unknown.
    """
    if matched is None or evaluated is None:
        return None
    seen = f"distilled samples were matched under {matched} and evaluated under {evaluated}"
    if matched == evaluated:
        return Finding("augmentation", "augmentation", "ok", seen, "the two agree")
    return Finding(
        "augmentation-mismatch",
        "augmentation",
        "problem",
        seen,
        "they are made to work under the one and tried under another, which costs points",
        f"evaluate under the matching's with `augmentation={matched}`",
    )


def check_baseline(evaluated: str | None, tried: Sequence[str]) -> Finding | None:
    """Whether the random baseline could be trained under what the set was trained under.

    Args:
        evaluated: the augmentation that the set's evaluation gives to its samples.
        tried: those of which the baseline's best counts.
    """
    if evaluated is None or not tried:
        return None
    seen = f"the set was evaluated under {evaluated}, random subsets under {' and '.join(tried)}"
    if evaluated in tried:
        return Finding("baseline", "baseline", "ok", seen, "the baseline had the same chance")
    means = "part of the difference to random may be the augmentation's"
    return Finding("baseline-augmentation", "baseline", "look", seen, means)


def check_protocols(protocols: Mapping[str, Mapping[str, Any]]) -> Finding | None:
    """Whether several sets were evaluated alike.

    Args:
        protocols: what was done, by name of the set.
    """
    if len(protocols) < 2:
        return None
    every = list(protocols.values())
    keys = dict.fromkeys(key for protocol in every for key in protocol)
    differing = [k for k in keys if any(p.get(k) != every[0].get(k) for p in every)]
    if not differing:
        seen, means = "all runs were evaluated alike", "their accuracies can be compared"
        return Finding("protocol", "protocol", "ok", seen, means)
    return Finding(
        "protocols-differ",
        "protocol",
        "look",
        f"the runs were evaluated with different {', '.join(differing)}",
        "differences between their accuracies are not those of the sets alone",
        "evaluate them alike with `condense evaluate`",
    )


def check_coverage(hard: Sequence[float]) -> Finding | None:
    """Whether distilling loses hard test samples.

    Args:
        hard: coverage of the hard half in 0–1, by iteration, first to last.
    """
    if len(hard) < 2:
        return None
    change = hard[-1] - hard[0]
    seen = (
        f"coverage of the hard half went from {hard[0]:.3f} to {hard[-1]:.3f} over the iterations"
    )
    if change < -COVERAGE_FALL:
        means = "distilled samples drift to what is easy, and too few hard ones are kept"
        return Finding("coverage-falls", "coverage", "look", seen, means)
    return Finding("coverage", "coverage", "ok", seen, "hard samples are not lost")
