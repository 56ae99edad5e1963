"""What the figures of a run say about it, in plain words; pure functions of numbers.

The signs are those under which the SelMatch paper (arXiv 2406.18561) and its users saw the method
fail. A check returns None where what it needs is not known, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

from condense.engine.matching.loop import MIN_STEP_SIZE
from condense.studies.statistics import unpaired

Severity = Literal["problem", "look", "ok"]
SEVERITIES: tuple[Severity, ...] = ("problem", "look", "ok")  # worst first

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
FOREIGN = 0.15  # of labels; sound runs on a part of CIFAR-10 had 0.03 to 0.06
COVERAGE_FALL = 0.01  # of the hard half; a test half of 5 000 samples has a standard error of 0.007
EDGE = 1e-9


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: short name of what was looked at.
        severity: ``problem``, ``look`` (worth a look) or ``ok``.
        seen: what was seen, with its figure.
        means: what that means.
        advice: which option to try; empty where all is well.
    """

    check: str
    severity: Severity
    seen: str
    means: str
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def sorted_findings(findings: Sequence[Finding | None]) -> tuple[Finding, ...]:
    """Those that are there, worst first, else in their order."""
    there = [f for f in findings if f is not None]
    return tuple(sorted(there, key=lambda f: SEVERITIES.index(f.severity)))


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
        return Finding(
            "loss",
            "problem",
            seen,
            "near 1 the student ends no nearer to the expert than it began: the synthetic step "
            "size is too small, too large, or the experts have moved too little",
            "raise matcher.step_size or matcher.steps; check matcher.expert_epochs",
        )
    if last - first > RISE * abs(first):
        return Finding(
            "loss",
            "problem",
            seen,
            "it rises: updates overshoot",
            "lower matcher.image_lr, then matcher.step_size_lr",
        )
    if first - last < FLAT * abs(first):
        return Finding(
            "loss",
            "look",
            seen,
            "it is flat: too few samples may move (α too low), or too little at a time",
            "raise policy.alpha or matcher.image_lr, or give more matcher.iterations",
        )
    return Finding("loss", "ok", seen, "matching made progress")


def check_skipped(loss: Sequence[float]) -> Finding | None:
    """Whether iterations were skipped because something was not finite."""
    if not loss:
        return None
    count = sum(not math.isfinite(v) for v in loss)
    if not count:
        return Finding("finite", "ok", f"all {len(loss)} iterations were finite", "none was lost")
    return Finding(
        "finite",
        "problem" if count > SKIPPED * len(loss) else "look",
        f"{count} of {len(loss)} iterations were not finite and had no effect",
        "students diverge under the present step size, or half precision overflows",
        "lower matcher.step_size and matcher.step_size_lr, or set matcher.precision=fp32",
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
    if last <= 1.01 * MIN_STEP_SIZE or last / first < 1 / STEP_FACTOR:
        floor = ", its floor" if last <= 1.01 * MIN_STEP_SIZE else ""
        return Finding(
            "step size",
            "problem",
            seen + floor,
            "it collapsed: students hardly train on the set, and the images get no signal",
            "lower matcher.step_size_lr or start from a smaller matcher.step_size",
        )
    if last / first > STEP_FACTOR:
        return Finding(
            "step size",
            "problem",
            seen,
            "it blew up: students take larger steps than the experts they follow",
            "lower matcher.step_size_lr, or start from a larger matcher.step_size",
        )
    return Finding("step size", "ok", seen, "it stayed within a factor of ten")


def check_labels(own: float, others: int, total: int) -> Finding:
    """Whether soft labels still speak for the classes that samples were chosen for.

    Args:
        own: mean probability of the own class, 0–1.
        others: samples whose label puts another class first.
        total: samples.
    """
    seen = f"{own:.2f} of a label is on its own class; another is first in {others} of {total}"
    if others > FOREIGN * total:
        return Finding(
            "labels",
            "look",
            seen,
            "labels have moved far, or the experts do not know these samples",
            "lower policy.label_lr if it is above 0; raise matcher.max_start_epoch, up to which "
            "experts are trained",
        )
    return Finding("labels", "ok", seen, "labels stand for the classes of their samples")


def check_random(values: Sequence[float], random: Sequence[float]) -> Finding | None:
    """Whether the set is better than random subsets of its size, beyond chance.

    Args:
        values, random: accuracy in 0–1 of every repeat.
    """
    gain = unpaired(values, random)
    if gain is None or gain.low is None or gain.high is None or gain.half is None:
        return None
    points = f"{100 * gain.mean:+.2f} ± {100 * gain.half:.2f} points to random (95 % interval)"
    advice = "look at the other findings; try another selector.beta and policy.alpha"
    if gain.high < 0:
        return Finding("random", "problem", points, "the set is worse than a random one", advice)
    if gain.low <= 0:
        return Finding(
            "random",
            "look",
            points,
            "the interval holds 0: on these repeats the set is not told from a random one",
            f"raise evaluator.repeats; {advice}",
        )
    return Finding("random", "ok", points, "the set is better than a random one of its size")


def check_repeats(n: int) -> Finding | None:
    """Whether there are repeats enough for an interval."""
    if n < 1:
        return None
    if n == 1:
        return Finding(
            "repeats",
            "look",
            "the accuracy is that of a single network",
            "there is no interval, and differences to other arms cannot be judged",
            "set evaluator.repeats=5",
        )
    return Finding("repeats", "ok", f"{n} networks were trained", "the mean has an interval")


def check_reliability(rho: float | None, scorer: str) -> Finding | None:
    """Whether the difficulty scores rank: raw split-half ρ between halves of their replicates."""
    if rho is None:
        return None
    seen = f"two halves of the {scorer} replicates agree with ρ = {rho:.2f}"
    if rho >= DOUBTFUL:
        return Finding("scores", "ok", seen, "the scores rank")
    return Finding(
        "scores",
        "problem" if rho < UNRELIABLE else "look",
        seen,
        "which sample is called hard depends much on chance, so the window is blurred",
        "raise scorer.networks or scorer.epochs, or take another scorer; see `condense score "
        "--compare`",
    )


def check_beta(beta: float | None, highest: float | None) -> Finding | None:
    """Whether β lies at an end of its range.

    Args:
        beta: share of a class skipped, 0–1.
        highest: largest share at which the window still ends within every class; None if unknown.
    """
    if beta is None:
        return None
    if beta <= EDGE:
        return Finding(
            "beta",
            "look",
            "selector.beta is 0, the low end of its range",
            "the window begins at the very hardest samples, noise and mislabelled ones included",
            "try selector.beta=0.1 and more; `condense tune` finds it",
        )
    if highest is None:
        return None
    if beta >= highest - EDGE:
        return Finding(
            "beta",
            "look",
            f"selector.beta is {beta:g}, the high end of its range",
            "the window holds the easiest samples of a class only",
            "try a smaller selector.beta; `condense tune` finds it",
        )
    return Finding(
        "beta", "ok", f"selector.beta is {beta:g} of at most {highest:.3g}", "not at an edge"
    )


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
        return Finding(
            key,
            "ok",
            f"its best value, {best:.3g}, lies within the {low:.3g} to {high:.3g} that were tried",
            "the curve has its top inside",
        )
    return Finding(
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
        return Finding("augmentation", "ok", seen, "the two agree")
    return Finding(
        "augmentation",
        "problem",
        seen,
        "they are made to work under the one and tried under another, which costs points",
        f"evaluate with -o augmentation={matched}, or match with -o matcher.augmentation="
        f"{evaluated}",
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
        return Finding("baseline", "ok", seen, "the baseline had the same chance")
    return Finding(
        "baseline",
        "look",
        seen,
        "part of the difference to random may be the augmentation's",
        f"add {evaluated} to evaluator.baseline_augmentations",
    )


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
        return Finding(
            "protocol", "ok", "all runs were evaluated alike", "their accuracies can be compared"
        )
    return Finding(
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
        return Finding(
            "coverage",
            "look",
            seen,
            "distilled samples drift to what is easy, and too few hard ones are kept (α too high)",
            "lower policy.alpha, so that more of the window stays real",
        )
    return Finding("coverage", "ok", seen, "hard samples are not lost")
