"""The one table of the kinds of components, and of the stages of a recipe that they serve.

A recipe's stages are its tables, one component each. What a run works off one after another, where
a component may serve several (a matcher prepares and matches), is :mod:`condense.engine.graph`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CHOOSE = "auto"  # in a method's place: the best for the data, chosen before anything is resolved
EVERY = "all"  # in the place of the methods to compare
RANDOM = "random"  # the arm of random subsets, drawn anew for every network; a method, too
WHOLE = "whole"  # the arm of the whole training split, beside all methods


@dataclass(frozen=True)
class Kind:
    """A kind of components; the host, the generator of packages, the kit and the docs read it.

    Attributes:
        name: as on the command line.
        suffix: of its hook, ``condense_register_SUFFIX``.
        stage: of a recipe that it serves; None for one that options or flags name.
        protocol: of :mod:`condense.interfaces`, and how a generated class's name ends; its traits
            are ``PROTOCOLTraits``. Empty for a record, which is no class.
        capabilities: Protocols of :mod:`condense.capabilities` that its components may have.
        flag: what ``condense run`` is given to use the component {name}, for a kind that serves no
            stage or has a flag of its own.
        optional: whether a recipe may do without the stage, which is then no part of a run; naming
            its component :data:`NONE` is the same, where the method has none.
        reserved: names that no component may have, and what each of them stands for.
    """

    name: str
    suffix: str
    stage: str | None = None
    protocol: str = ""
    capabilities: tuple[str, ...] = ()
    flag: str = ""
    optional: bool = False
    reserved: Mapping[str, str] = field(default_factory=dict)

    @property
    def use(self) -> str:
        """What uses {name}; empty for a kind that ``condense plugins new`` does not write."""
        return self.flag or (f"-o {self.stage}={{name}}" if self.stage else "")


_TABLE = (
    Kind(
        "data", "datasets", "data", "Dataset", ("HasCacheToken", "KnowsModality"), "--data {name}"
    ),
    Kind("network", "networks", None, "Network", ("StandsFor",), "-o evaluator.network={name}"),
    Kind(
        "scorer",
        "scorers",
        "scorer",
        "Scorer",
        ("EstimatesCost", "HasCacheToken", "HasReplicates", "KnowsItsNetworks", "WorksInPieces"),
    ),
    Kind(
        "selector",
        "selectors",
        "selector",
        "Selector",
        ("EstimatesCost", "HasCacheToken", "HasRanges"),
    ),
    Kind("policy", "update_policies", "policy", "UpdatePolicy", ("LearnsLabels",)),
    Kind(
        "matcher",
        "matchers",
        "matcher",
        "Matcher",
        (
            "EstimatesCost",
            "EstimatesPreparation",
            "HasCacheToken",
            "HasTeachers",
            "LabelsSamples",
            "KnowsItsNetworks",
            "ChangesOverIterations",
            "CarriesState",
            "MatchesUnder",
            "WorksInPieces",
        ),
    ),
    Kind(
        "reselector",
        "reselectors",
        "reselector",
        "Reselector",
        ("EstimatesCost", "HasCacheToken"),
        optional=True,
    ),
    Kind("augmentation", "augmentations", "augmentation", "Augmentation"),
    Kind(
        "evaluator",
        "evaluators",
        "evaluator",
        "Evaluator",
        (
            "EstimatesCost",
            "HasCacheToken",
            "HasBaselineAugmentations",
            "CountsSteps",
            "EstimatesPreparation",
            "EvaluatesRepeats",
            "HasLabelRegime",
            "NeedsTraining",
            "PreparesForSize",
            "WorksInPieces",
        ),
    ),
    Kind("executor", "executors", None, "Executor", (), "--executor {name}"),
    Kind("tracker", "trackers", None, "Tracker", (), "--tracker {name}"),
    Kind(
        "method",
        "methods",
        flag="--method {name}",
        reserved={
            CHOOSE: f"`method={CHOOSE}` chooses among the others",
            EVERY: f"`condense compare {EVERY}` compares the others",
            WHOLE: "the whole training split is called so beside the others",
        },
    ),
    Kind("preset", "presets"),
)
KINDS = {kind.name: kind for kind in _TABLE}
STAGES = {kind.stage: kind.name for kind in _TABLE if kind.stage is not None}  # stage → kind
LOCAL = "local"  # the executor where none is asked for: this process
NONE = "none"  # as the component of an optional stage: the recipe is without it; the usual tracker
OPTIONAL = tuple(kind.stage for kind in _TABLE if kind.stage is not None and kind.optional)
