"""Which rule moves samples well where nobody sets a rate? On held-out parts of training splits.

    python benchmarks/update_rules.py wine breast_cancer digits npz:vowels.npz --seeds 3

A tenth of each class is kept (`--fraction 0.1`, preset `quick`) of seven tenths of the training
split; the rest judges: the evaluator, and scikit-learn's logistic regression, random forest and
nearest neighbours. Test splits are not read. `random` and `window` are real samples, `running-rms`
is the engine's rule; its rivals share step size and trust region with it. A cell that the JSON file
holds is not run again.

Defaults are compared on the training parts of benchmarks/own_data.py likewise, each way by its
options (`method` among them):

    python benchmarks/update_rules.py own:wine own:vowels --wheels WHEELS --rules random,window \\
      --way spread:selector.beta=0.1,selector.width=1 --seeds 0,1,2 --out defaults.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import _own_sets
import torch
from _common import HERE, finish, numbers, parser, write
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from condense.api import bind
from condense.data import LabeledData
from condense.engine.arms import condensed_plan, evaluate, random_plan, random_subset
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.ingest.from_user import labeled_data
from condense.engine.ingest.holdout import validation_part
from condense.engine.matching.calibration import calibrate_step_size
from condense.engine.matching.own_rates import MEMORY, SHARE, mean_square
from condense.engine.matching.ranks import mean_step
from condense.engine.matching.state import MatchState
from condense.engine.matching.updates import update
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.store import Payload
from condense.engine.training.batches import affine, normalise
from condense.interfaces import MatchStep
from condense.options import parse_assignment
from condense.studies.statistics import estimate

RULES = ("random", "window", "running-rms", "adam", "sgd", "line-search")
KINDS: dict[str, Callable[[], Any]] = {
    "evaluator": lambda: None,
    "logistic": lambda: LogisticRegression(max_iter=1000),
    "forest": lambda: RandomForestClassifier(random_state=0),
    "neighbours": lambda: KNeighborsClassifier(3),
}
SEARCH_EVERY, TRIED, STUDENTS = 25, (0.25, 1.0, 4.0), 3
FIRST = 10  # gradients that a rate is calibrated on
IMAGES = {  # small, for time
    **{f"{stage}.network.width": 16 for stage in ("scorer", "matcher", "evaluator")},
    "matcher.iterations": 60,
    "evaluator.steps": 200,
}


def samples(name: str, wheels: Path | None, seed: int) -> LabeledData:
    """The training part of an ``own:`` set, a set of scikit-learn, or whatever ``--data`` takes."""
    if name.startswith("own:"):
        assert wheels is not None, "own: needs --wheels"
        return labeled_data(*_own_sets.load(name[4:], wheels, seed).train, name=name[4:])
    load = getattr(datasets, f"load_{name}", None)
    if load is None:
        return bind(name, method="random").data
    return labeled_data(*load(return_X_y=True), name=name)


class Walk:
    """A matching whose updates are another rule's."""

    def __init__(self, pipeline: Pipeline, rule: str) -> None:
        self.stage, self.rule = pipeline.matching, rule
        self.matcher, initial = self.stage.preparing.result, self.stage.initial
        self.plan = self.matcher.plan
        size = torch.tensor(self.plan.step_size)
        moving = replace(initial, inputs=initial.inputs.clone(), step_size=size)
        self.state = MatchState.start(moving, self.plan)
        self.rng = pipeline.rng("matcher")
        step = partial(mean_step, self.matcher, moving, self.rng)
        calibrate_step_size(self.matcher, moving, self.rng, step)
        self.squares = torch.zeros_like(self.state.image_momentum)
        self.rate = 0.0 if rule == "adam" else self.calibrated()

    def calibrated(self) -> float:
        """The rate at which a usual gradient at the start moves samples by SHARE of the spread."""
        before = self.rng.get_state()
        steps = [self.matcher.step(self.state.synthetic, self.rng) for _ in range(FIRST)]
        self.rng.set_state(before)
        sizes = [float(mean_square(s.grad_inputs[self.state.rows])) ** 0.5 for s in steps]
        assert self.state.own_rates is not None
        spread = float(self.state.own_rates.spread)
        return SHARE * spread * (1 - self.plan.image_momentum) / statistics.median(sizes)

    def run(self) -> CondensedDataset:
        """The set that the rule leads to."""
        state = self.state
        searched = self.rule == "line-search"
        while state.iteration < state.iterations:
            if searched and state.iteration and state.iteration % SEARCH_EVERY == 0:
                self.rate *= min(TRIED, key=self.loss_at)
            step, plan = self.matcher.step(state.synthetic, self.rng), self.plan
            if self.rule == "adam":
                step = self.element_wise(step)
            else:
                left = 1 if searched else 1 - state.iteration / state.iterations
                plan = replace(plan, image_lr=self.rate * left)
            update(state, plan, step)
            self.draw_back()
            state.iteration += 1
        tensors = {"step_size": state.synthetic.step_size, "loss": state.loss}
        tensors |= {"distilled": state.result(), "step_sizes": state.step_size}
        return self.stage.unpack(Payload(tensors))

    def draw_back(self) -> None:
        rows, own = self.state.rows, self.state.own_rates
        assert own is not None
        self.state.synthetic.inputs[rows] = own.within_reach(self.state.synthetic.inputs[rows])

    def element_wise(self, step: MatchStep) -> MatchStep:
        """``step`` with each value of a gradient divided by its own running size."""
        gradient = step.grad_inputs.clone()
        mine = gradient[self.state.rows]
        self.squares.mul_(MEMORY).addcmul_(mine, mine, value=1 - MEMORY)
        sizes = (self.squares / (1 - MEMORY ** (self.state.iteration + 1))).sqrt()
        gradient[self.state.rows] = mine / (sizes + 1e-12 * sizes.max())
        return replace(step, grad_inputs=gradient)

    def loss_at(self, factor: float) -> float:
        """Loss of a few students after some updates at ``factor`` times the rate."""
        inputs, rows = self.state.synthetic.inputs, self.state.rows
        before, kept = self.rng.get_state(), inputs[rows]
        inputs[rows] = kept - 4 * factor * self.rate * self.state.image_momentum
        self.draw_back()
        losses = [self.matcher.step(self.state.synthetic, self.rng).loss for _ in range(STUDENTS)]
        inputs[rows] = kept
        self.rng.set_state(before)
        return float(sum(losses))


def judged(pipeline: Pipeline, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy on the test part of scikit-learn's classifiers, trained on normalised ``inputs``."""
    test = pipeline.data.test
    assert test is not None
    scale = affine(test.normalization, test.inputs, torch.device("cpu"))
    unseen = normalise(test.inputs, *scale).flatten(1).numpy()
    models = {name: make() for name, make in KINDS.items() if name != "evaluator"}
    return {
        name: float(model.fit(inputs.flatten(1).numpy(), labels.numpy()).score(unseen, test.labels))
        for name, model in models.items()
    }


def cell(data: LabeledData, seed: int, rule: str, options: dict[str, Any]) -> dict[str, Any]:
    """The figures of ``rule``, or of another way, which is in the ``options``."""
    part = validation_part(data, 0.3, seed)
    options = (IMAGES if part.geometry.is_image else {}) | options
    method = options.pop("method", "window" if rule == "window" else "selmatch")
    if method == "window":  # nothing is matched
        options = {key: value for key, value in options.items() if not key.startswith("matcher.")}
    asked: dict[str, Any] = {"method": method, "fraction": 0.1, "seed": seed}
    pipeline = bind(part, options=options, device="cpu", **asked)
    if rule == "random":
        subset = random_subset(pipeline, pipeline.recipe.budget.counts(part), 0)
        scale = affine(part.normalization, part.inputs, torch.device("cpu"))
        plan, inputs, labels = (
            random_plan(pipeline),
            normalise(subset.inputs, *scale),
            subset.labels,
        )
    else:
        rival = rule in RULES[3:]
        small = Walk(pipeline, rule).run() if rival else pipeline.condensed
        plan, inputs, labels = condensed_plan(pipeline, small), small.inputs, small.labels
    own = statistics.mean(evaluate(pipeline, plan).values)
    found = {"evaluator": own} | judged(pipeline, inputs, labels)
    if rule == "random" or not small.trace.loss:
        return found
    loss, tenth = small.trace.loss, len(small.trace.loss) // 10
    ends = {"first": statistics.mean(loss[:tenth]), "last": statistics.mean(loss[-tenth:])}
    return found | ends


def pooled(rows: list[dict[str, Any]], rule: str, base: str) -> dict[str, Any]:
    """Points of ``rule`` over ``base``: mean over sets, half of its 95 % interval.

    A set counts once, with the mean of its seeds: these share most of their samples.
    """
    cells = {(r["set"], r["seed"], r["rule"]): r for r in rows if "set" in r}
    found: dict[str, Any] = {"rule": rule, "minus": base}
    for kind in KINDS:
        gains: dict[str, list[float]] = {}
        for (name, seed, which), row in cells.items():
            if which == rule and (name, seed, base) in cells:
                gain = 100 * (row[kind] - cells[name, seed, base][kind])
                gains.setdefault(name, []).append(gain)
        over = estimate([statistics.mean(each) for each in gains.values()])
        assert over is not None
        found |= {kind: over.mean, f"{kind}_half": over.half, "n": over.n}
    return found


def way(text: str) -> tuple[str, dict[str, Any]]:
    """``NAME:KEY=VALUE,KEY=VALUE``."""
    name, _, rest = text.partition(":")
    return name, assigned(rest.split(","))


def assigned(texts: list[str]) -> dict[str, Any]:
    """Options by dotted key."""
    return {".".join(key): value for key, value in map(parse_assignment, texts)}


def main(argv: list[str]) -> None:
    flags = parser(__doc__)
    flags.add_argument("sets", nargs="+", help="of scikit-learn, own:NAME, or as for --data")
    flags.add_argument("--seeds", type=numbers, default=[0, 1, 2], help="of part and run: 0,1,2")
    flags.add_argument("-o", dest="options", action="append", default=[], metavar="KEY=VALUE")
    flags.add_argument("--rules", default=",".join(RULES), help="which of these")
    flags.add_argument("--way", type=way, action="append", default=[], help=way.__doc__)
    flags.add_argument("--wheels", type=Path, help="folder of the wheels, for own:NAME")
    arguments = flags.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    arguments.out = arguments.out or HERE / "results" / "update-rules-cpu.json"
    rows = filled(arguments, argv)
    names = list(dict.fromkeys(row["rule"] for row in rows))
    bases = [name for name in ("random", "window") if name in names]
    pairs = [(rule, base) for base in bases for rule in names if rule != base]
    differences = [pooled(rows, *pair) for pair in pairs]
    finish("update_rules", arguments, argv, rows + differences, torch.device("cpu"))


def filled(arguments: argparse.Namespace, argv: list[str]) -> list[dict[str, Any]]:
    """A row for each cell; each is written as it is done."""
    old = json.loads(arguments.out.read_text())["rows"] if arguments.out.exists() else []
    rows = [row for row in old if "set" in row]
    known = {(r["set"], r["seed"], r["rule"]) for r in rows}
    options = assigned(arguments.options)
    ways = dict.fromkeys(arguments.rules.split(","), options)
    ways |= {name: options | own for name, own in arguments.way}
    for seed in arguments.seeds:
        for name in arguments.sets:
            said = Path(name).stem.removeprefix("npz:").removeprefix("own:")
            missing = [rule for rule in ways if (said, seed, rule) not in known]
            data = samples(name, arguments.wheels, seed) if missing else None
            for rule in missing:
                assert data is not None
                figures = cell(data, seed, rule, ways[rule])
                rows.append({"set": said, "seed": seed, "rule": rule} | figures)
                write("update_rules", arguments, argv, rows, torch.device("cpu"))
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])
