"""The arms of a headline run: their pipelines, networks one by one, and what those reached."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cached_property
from typing import Any

from _common import environment

from condense.engine.arms import condensed_plan, random_plan
from condense.engine.ingest.holdout import validation_part
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.device import pick_device
from condense.engine.runtime.rng import Seed
from condense.engine.runtime.store import Store, digest
from condense.engine.stages.evaluation import EvaluationPlan, EvaluationStage
from condense.interfaces import LabeledData, Progress
from condense.kinds import RANDOM
from condense.options import parse_assignment
from condense.plugin.host import build_host
from condense.published import flat
from condense.recipe import Recipe, Resolved
from condense.resolve import Request, resolve
from condense.results import Arm, Evaluation

ARMS = ("selmatch", "window", "random", "mtt")
# samples of the training and test split, classes
SIZES = {"cifar10": (50_000, 10_000, 10), "cifar100": (50_000, 10_000, 100)}
PLACES = ("data.path", "data.root", "data.download")  # options that say where the data are
SHARED = ("data", "scorer", "augmentation", "evaluator")  # stages that do not tell arms apart


class Arms:
    """One preset's arms, all with the same data, store, device and evaluator.

    Args:
        arguments: the flags of headline.py.
        store: the stage cache.
        progress: where long stages report.
    """

    def __init__(self, arguments: argparse.Namespace, store: Store, progress: Progress) -> None:
        self.arguments = arguments
        self.store = store
        self.progress = progress
        self.host = build_host(external=False)
        self.device = pick_device(arguments.device)
        self.pipelines: dict[str, Pipeline] = {}

    def request(self, arm: str) -> Request:
        """What ``condense run`` would be asked for.

        All that ``-o`` says holds for SelMatch. Another arm keeps the components that make it what
        it is: it follows ``-o STAGE=COMPONENT`` in the shared stages alone, and takes those of the
        options that its components have.
        """
        a = self.arguments
        plain = Request(arm, a.preset, data=a.data, ipc=a.ipc, seed=a.seed)
        given = [parse_assignment(text) for text in a.assignments]
        if arm != ARMS[0]:
            swaps = [(at, v) for at, v in given if len(at) == 1 and at[0] in SHARED]
            stages = resolve(self.host, replace(plain, assignments=tuple(swaps))).stages
            given = [(at, v) for at, v in given if _takes(stages.get(at[0]), at)]
        return replace(plain, assignments=tuple(given))

    @cached_property
    def departures(self) -> list[str]:
        """Options, ``ipc`` and ``data.…`` included, that the flags set otherwise than the preset.

        A setting of the preset for data that the flags replaced counts as well. Where the files
        are does not, nor that they are an npz file, if it holds what the preset's data hold.
        """
        there, here = self._options
        found = [o for o in dict.fromkeys([*there, *here]) if there.get(o) != here.get(o)]
        if "data.component" in found and self.data_of_preset:
            found.remove("data.component")
        return [o for o in found if o not in PLACES]

    @property
    def changed(self) -> dict[str, Any]:
        """The departures other than in the data, with what they are set to."""
        here = self._options[1]
        return {o: here.get(o) for o in self.departures if not o.startswith("data.")}

    @property
    def options_digest(self) -> str:
        """Eight hex digits for :attr:`changed`."""
        return digest("options", self.changed)[:8]

    @cached_property
    def _options(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Every option of the preset as it is, and of this run."""
        preset = self.arguments.preset
        data = str(self.host.registry("preset").get(preset).stages["data"]["component"])
        if getattr(self.host.registry("data").get(data), "arg", None):
            data += ":anywhere"  # tiny-imagenet:PATH; a place is no departure
        plain, request = Request(ARMS[0], preset, data=data), self.request(ARMS[0])
        return flat(resolve(self.host, plain)), flat(resolve(self.host, request))

    @property
    def data_of_preset(self) -> bool:
        """Whether the data are the preset's by name, size and number of classes.

        An npz file is named by its file; that its pixels are the published ones is not checked.
        """
        name = str(self._options[0].get("data.component"))
        loaded = self.whole
        test = len(loaded.test) if loaded.test is not None else 0
        return (loaded.name, len(loaded), test, len(loaded.classes)) == (name, *SIZES.get(name, ()))

    @cached_property
    def data(self) -> LabeledData:
        """Training split and what arms are tested on."""
        share = self.arguments.validation
        if share is None:
            return self.whole
        return validation_part(self.whole, share, self.arguments.seed)

    @cached_property
    def whole(self) -> LabeledData:
        """The data as they are loaded."""
        return self._pipeline(resolve(self.host, self.request(ARMS[0])), None).data

    def pipeline(self, arm: str) -> Pipeline:
        """The stages of ``arm``."""
        if arm not in self.pipelines:
            recipe = resolve(self.host, self.request(arm))
            self.pipelines[arm] = self._pipeline(recipe, self.data)
        return self.pipelines[arm]

    def _pipeline(self, recipe: Any, data: LabeledData | None) -> Pipeline:
        tools: dict[str, Any] = {"store": self.store, "device": self.device}
        return Pipeline(recipe, self.host, **tools, progress=self.progress, data=data)

    def matches(self, arm: str) -> bool:
        """Whether ``arm`` has samples to distil, or labels to learn."""
        return arm != RANDOM and self.pipeline(arm).matching.needed

    def matched(self, arm: str) -> bool:
        """Whether ``arm``'s set is ready to be trained on."""
        p = self.pipeline(arm)
        return not self.matches(arm) or self.store.has("matching", p.matching.key())

    def may_match(self, arm: str) -> bool:
        return bool(self.pipeline(arm).recipe["matcher"].create().plan.iterations > 0)

    def repeats(self, arm: str) -> int:
        """Networks that the recipe asks for."""
        return int(getattr(self.pipeline(arm).recipe["evaluator"].options, "repeats", 1))

    def trial(self, arm: str) -> EvaluationPlan:
        """What ``arm``'s networks are trained on."""
        p = self.pipeline(arm)
        return random_plan(p) if arm == RANDOM else condensed_plan(p, p.condensed)

    def networks(self, arm: str, trial: EvaluationPlan, repeat: int) -> list[EvaluationStage]:
        """Network ``repeat`` of ``trial`` under each of its augmentations, each alone."""
        if repeat >= self.repeats(arm):
            return []
        p = self.pipeline(arm)
        evaluator = p.recipe["evaluator"]
        single = replace(evaluator, options=evaluator.options.model_copy(update={"repeats": 1}))
        seed = p.recipe.seed if repeat == 0 else Seed(p.recipe.seed).fork("network", repeat).value
        stages = {**p.recipe.stages, "evaluator": single}
        alone = self._pipeline(replace(p.recipe, seed=seed, stages=stages), self.data)
        drawn = Arm(arm, lambda _: trial.arm.draw(repeat), trial.arm.size)
        content = {**trial.content(), "repeat": repeat}
        single_arm = replace(trial, arm=drawn, content=lambda: content)
        return [
            EvaluationStage(alone, replace(single_arm, augmentations=[augmentation]))
            for augmentation in trial.augmentations
        ]

    def figures(self, arm: str) -> dict[str, Any] | None:
        """Accuracy of ``arm`` over the networks trained so far; None before the first."""
        p = self.pipeline(arm)
        scored = arm == RANDOM or not p.scoring.needed or p.scoring.stored
        if not scored or not self.matched(arm):
            return None
        trial = self.trial(arm)
        tried: dict[str, list[float]] = {a.name: [] for a in trial.augmentations}
        for repeat in range(self.repeats(arm)):
            for one in self.networks(arm, trial, repeat):
                payload = self.store.get(one.kind, one.keys()[0])
                if payload is not None:
                    tried[one.plan.augmentations[0].name] += payload.values["values"]
        done = min(len(values) for values in tried.values())
        if done == 0:
            return None
        results = {name: Evaluation(tuple(values[:done])) for name, values in tried.items()}
        best = max(results, key=lambda name: results[name].mean)
        return {
            "accuracy": results[best].summary(),
            "augmentation": best,
            "tried": {name: result.summary() for name, result in results.items()},
            "complete": done == self.repeats(arm),
        }

    @cached_property
    def identity(self) -> str:
        """What must be equal for results of several stays to belong together."""
        recipes = {arm: resolve(self.host, self.request(arm)) for arm in ARMS}
        key = {arm: _identity(recipe) for arm, recipe in recipes.items()}
        around = {"data": self.data.fingerprint, "device": environment(self.device)["device"]}
        return digest("headline", {"arms": key} | around)


def _identity(recipe: Recipe) -> dict[str, Any]:
    """Seed, budget, and name, version and options of every component but the data's.

    Their path may differ from machine to machine, their content not.
    """
    stages = {s: resolved.identity for s, resolved in recipe.stages.items() if s != "data"}
    budget = {"ipc": recipe.budget.ipc, "fraction": recipe.budget.fraction}
    return {"seed": recipe.seed, "budget": budget, "stages": stages}


def _takes(stage: Resolved | None, path: tuple[str, ...]) -> bool:
    """Whether an arm other than the first, with ``stage`` at that place, follows ``path``."""
    if len(path) == 1:
        return path[0] in SHARED
    return stage is None or path[1] in type(stage.options).model_fields
