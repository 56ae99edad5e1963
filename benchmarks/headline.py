"""SelMatch beside its selection alone, random subsets and MTT, in stays of limited length.

    python benchmarks/headline.py --preset paper-cifar100-ipc50 --budget-minutes 9 --keep kept
    python benchmarks/headline.py --preset cpu-cifar10-ipc50 --data npz:cifar10.npz

Stages in order of worth: scores, experts, SelMatch's matching; then network by network the first
matched arm and the arms that need no matching; then each further matched arm. Each network, expert
and scoring pass is stored when it is done, matching every 20 s; at the budget the run stops between
two steps (or before a network that it would cut off), and the same command continues it, until
``complete`` says that all it named is done.
The results file is written after every unit.

All arms share scores, experts, evaluator, networks, steps and seeds; only the method differs. An
arm without distilled samples is trained under each of the evaluator's baseline augmentations, and
the better mean counts; `random` takes a fresh subset for every network. Network r is trained with a
seed of its own, so that networks can be spread over stays.

On a machine that is given back in between, `--keep DIR` holds the small part of the state
(benchmarks/_keep.py). `--validation SHARE` replaces the test split by a part of the training split,
for whatever is to be chosen.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from _arms import ARMS, RANDOM, Arms
from _clock import Clock, interruptible
from _common import HERE, environment
from _flags import parse
from _keep import Keep

from condense.cli.progress import make_progress
from condense.engine.runtime.files import write_atomic
from condense.engine.runtime.memory import peak_memory_mb
from condense.engine.runtime.store import Store
from condense.engine.stages.evaluation import EvaluationStage
from condense.errors import CondenseError
from condense.published import preset_differences
from condense.resolve import preset_of, resolve


class Headline:
    """One preset's arms, as far as they are by now."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.clock = Clock(make_progress(), 60 * arguments.budget_minutes)
        work: Path | None = arguments.work
        self.store = Store(work / "store", self.clock) if work else Store.default(self.clock)
        self.arms = Arms(arguments, self.store, self.clock)
        self.keep = Keep(arguments.keep, self.store) if arguments.keep else None
        self.seconds: dict[str, float] = {}
        self.network_seconds = 0.0  # the longest network of this stay
        self.finished = False  # all that was asked for

    # ---- units of work ------------------------------------------------------------------------

    def run(self) -> None:
        """All that ``--only`` and ``--arms`` name, until it is done or interrupted."""
        only, arms = self.arguments.only, self.arguments.arms
        scored = [arm for arm in arms if arm != RANDOM and self.arms.pipeline(arm).scoring.needed]
        if scored:
            self.scores(scored[0])
        matching = [arm for arm in arms if arm != RANDOM and self.arms.may_match(arm)]
        if "experts" in only and matching:
            self.experts(matching[0])
        plain = [arm for arm in arms if arm not in matching]
        groups = [[*matching[:1], *plain], *([arm] for arm in matching[1:])]
        for group in groups:
            for arm in group:
                if arm in matching:
                    self.match(arm, "match" in only)
            if "evaluate" in only:
                self.evaluate([arm for arm in group if self.arms.matched(arm)])
        self.finished = True

    @contextlib.contextmanager
    def unit(self, stage: str) -> Iterator[None]:
        """Book the seconds of a piece of work, finished or not, and write the results file."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
        self.write()
        self.clock.look()

    def scores(self, arm: str) -> None:
        """Difficulty scores; the other stages need them, so ``--only`` does not leave them out."""
        p = self.arms.pipeline(arm)
        if self.keep is not None:
            self.keep.give("scores", p.scoring.key())
        with self.unit("scores"):
            _ = p.scores
            if self.keep is not None:
                self.keep.take("scores", p.scoring.key())

    def experts(self, arm: str) -> None:
        """Expert trajectories, those in the store only read."""
        p = self.arms.pipeline(arm)
        with self.unit("experts"):
            matcher = p.recipe["matcher"].create()
            matcher.prepare(p.data.without_test(), p.context, p.rng("prepare"))

    def match(self, arm: str, go_on: bool) -> None:
        """``arm``'s matching, continued from where it is; only fetched unless ``go_on``."""
        p, keep = self.arms.pipeline(arm), self.keep
        if keep is not None:
            keep.restore(arm, p)
        if not go_on or not self.arms.matches(arm) or self.arms.matched(arm):
            if keep is not None and self.arms.matches(arm) and self.arms.matched(arm):
                self.round(arm, keep)
            return
        self.experts(arm)
        self.clock.keeper = (lambda: keep.save_checkpoint(arm, p)) if keep is not None else None
        try:
            with self.unit(f"match {arm}"):
                _ = p.condensed
        finally:
            self.clock.keeper = None
            if keep is not None and self.arms.matched(arm):
                self.round(arm, keep)
            elif keep is not None:
                keep.save_checkpoint(arm, p)

    def round(self, arm: str, keep: Keep) -> None:
        """Keep ``arm``'s finished matching, unless it is; from here on only its rounded form."""
        p = self.arms.pipeline(arm)
        if not keep.has_result(arm, p):
            keep.save_result(arm, p)
            self.arms.pipelines.pop(arm)  # it holds the set as it was before rounding

    def evaluate(self, arms: Sequence[str]) -> None:
        """Every network of ``arms``, the first of each before the second of any."""
        trials = {arm: self.arms.trial(arm) for arm in arms}
        for repeat in range(max((self.arms.repeats(arm) for arm in arms), default=0)):
            for arm, trial in trials.items():
                for one in self.arms.networks(arm, trial, repeat):
                    self.network(arm, one)
        self.write()

    def network(self, arm: str, one: EvaluationStage) -> None:
        """One network of ``arm``, trained unless it is stored or kept."""
        (key,) = one.keys()
        if self.keep is not None:
            self.keep.give("evaluations", key)
        if self.store.has("evaluations", key):
            return
        # what is left of a network at the end of a stay is lost: rather give the machine back
        self.clock.end_before(self.network_seconds)
        start = time.perf_counter()
        with self.unit(f"evaluate {arm}"):
            _ = one.result
            self.network_seconds = max(self.network_seconds, time.perf_counter() - start)
            if self.keep is not None:
                self.keep.take("evaluations", key)

    # ---- results ------------------------------------------------------------------------------

    @cached_property
    def before(self) -> dict[str, Any]:
        """The results of earlier stays, empty if there are none of this run."""
        places = [self.out, *([self.arguments.keep / "results.json"] if self.keep else [])]
        for path in places:
            try:
                document = json.loads(path.read_text())
            except (OSError, ValueError):
                continue
            if document.get("run") == self.arms.identity:
                return dict(document)
        return {}

    @property
    def out(self) -> Path:
        """The results file."""
        a = self.arguments
        part = "-validation" if a.validation is not None else ""
        # a trial with other options must not write over the preset's own result
        part += f"-{self.arms.options_digest}" if self.arms.changed else ""
        name = f"headline-{a.preset}{part}-s{a.seed}-{self.arms.device.type}.json"
        return Path(a.out or HERE / "results" / name)

    @cached_property
    def surroundings(self) -> dict[str, Any]:
        """Hardware, versions and commit, asked for once: git is slower than a tiny network."""
        return environment(self.arms.device)

    def document(self) -> dict[str, Any]:
        """The results file's content."""
        a, request = self.arguments, self.arms.request(ARMS[0])
        arms = dict(self.before.get("arms", {}))
        for arm in a.arms:
            found, n = self.arms.figures(arm), arms.get(arm, {}).get("accuracy", {}).get("n", 0)
            # networks of earlier stays come back one by one
            if found is not None and found["accuracy"]["n"] >= n:
                arms[arm] = found
        seconds = dict(self.before.get("seconds", {}))
        for stage, spent in self.seconds.items():
            seconds[stage] = round(seconds.get(stage, 0.0) + spent, 2)
        around = self.surroundings
        command = shlex.join(["python", "benchmarks/headline.py", *a.argv])
        return {
            "benchmark": "headline",
            "command": command,
            "commands": self._stays("command", command),
            "run": self.arms.identity,
            "preset": a.preset,
            "published": preset_of(self.arms.host, request).published,
            "differences": [vars(d) for d in preset_differences(self.arms.host, request)],
            "departures": self.arms.departures,
            "data": self.arms.data.name,
            "samples": len(self.arms.data),
            "ipc": resolve(self.arms.host, request).budget.ipc,
            "seed": a.seed,
            "validation": a.validation,
            "arms": {arm: arms[arm] for arm in sorted(arms, key=_order)},
            "complete": self._complete(arms),
            "seconds": seconds,
            "peak_memory_mb": max(self.before.get("peak_memory_mb", 0.0), peak_memory_mb()),
            "device": around["device"],
            "commit": around["commit"],
            "commits": self._stays("commit", around["commit"]),
            "environment": around,
        }

    def _complete(self, arms: dict[str, Any]) -> bool:
        """Whether all is there that ``--only`` and ``--arms`` name."""
        if "evaluate" not in self.arguments.only:
            return self.finished
        return all(arm in arms and arms[arm]["complete"] for arm in self.arguments.arms)

    def _stays(self, name: str, latest: Any) -> list[Any]:
        """The different values of ``name`` in all stays, in order."""
        before = self.before.get(f"{name}s", [])
        return list(dict.fromkeys([*before, latest]))

    def write(self) -> dict[str, Any]:
        """Write the results file, and its copy among the small files."""
        document = self.document()
        text = (json.dumps(document, indent=1) + "\n").encode()
        folders = [self.out] + ([self.arguments.keep / "results.json"] if self.keep else [])
        for path in folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, text)
        return document


def _order(arm: str) -> tuple[int, str]:
    return (ARMS.index(arm) if arm in ARMS else len(ARMS), arm)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and print one line per arm; 0 even if the budget ended it (see ``complete``)."""
    arguments = parse(sys.argv[1:] if argv is None else argv, __doc__)
    torch.set_num_threads(arguments.threads)
    try:
        run = Headline(arguments)
        with interruptible():
            run.run()
        document = run.write()
    except CondenseError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for arm, found in document["arms"].items():
        row = {"arm": arm, "augmentation": found["augmentation"], **found["accuracy"]}
        sys.stdout.write(json.dumps(row) + "\n")
    state = {"complete": document["complete"], "seconds": document["seconds"]}
    sys.stdout.write(json.dumps(state) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
