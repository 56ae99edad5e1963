"""Which component a preset's values reach."""

import json
import re
from typing import ClassVar

import pytest
import torch
from pydantic import Field

from condense.api import bind
from condense.engine.training.dynamics import DynamicsOptions
from condense.errors import OptionError
from condense.interfaces import MatchPlan, MatchStep
from condense.options import COMPONENT, Options, format_value
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.recipe import Preset
from condense.resolve import Request, resolve, without_effect
from condense.studies.ablation.design import make_study, parse_factor
from condense_plugins.matchers._options import MatcherOptions


class Strange:
    """A matcher of somebody else's, whose ``steps`` are not those of a trajectory."""

    name: ClassVar[str] = "strange"
    version: ClassVar[str] = "1"

    class Options(Options):
        steps: int = Field(7, description="of another kind")
        batch_size: int = Field(3, description="of another kind")

    def __init__(self, options):
        self.options = options

    @property
    def plan(self):
        return MatchPlan(iterations=1)

    def prepare(self, data, context, rng):
        """Nothing."""

    def step(self, synthetic, rng):
        return MatchStep(torch.zeros(()), torch.zeros_like(synthetic.inputs))


class Early:
    """Scores out of the pass that all scorers share."""

    name: ClassVar[str] = "early"
    version: ClassVar[str] = "1"

    class Options(DynamicsOptions):
        lr: float = Field(0.3, description="declared anew, so its own")
        first: int = Field(2, description="epochs that count")

    def __init__(self, options):
        self.options = options

    def score(self, data, context, rng):
        right = context.dynamics(data, rng, self.options).correct
        return -right[:, : self.options.first].float().mean(dim=(0, 1))


class Sharing(Early):
    """As ``early``, with nothing of the pass declared anew."""

    name: ClassVar[str] = "sharing"

    class Options(DynamicsOptions):
        first: int = Field(2, description="epochs that count")


class Plugin:
    @hookimpl
    def condense_register_matchers(self, register):
        register(Strange)

    @hookimpl
    def condense_register_scorers(self, register):
        register(Early)
        register(Sharing)


@pytest.fixture(scope="module")
def extended():
    return build_host(external=False, extra=[Plugin()])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"temperature": 9},
            ["temperature=9` has no effect without `evaluator.labels=teacher`"],
        ),
        ({"temperature": 9, "labels": "teacher"}, []),
        (
            {"epochs": 7, "steps": 5},
            ["epochs=7` has no effect beside `evaluator.steps=5`"],
        ),
        ({"repeats": 7}, []),
    ],
)
def test_an_option_without_effect_is_said(host, given, told):
    assignments = tuple((("evaluator", key), value) for key, value in given.items())
    request = Request(assignments=assignments)
    found = without_effect(resolve(host, request), request)
    assert [f"note: `evaluator.{rest}" for rest in told] == found


@pytest.mark.parametrize(
    ("scorer", "given", "why"),
    [
        ("cscore", {"repeats": 3}, "without `scorer.estimator=holdout`"),
        ("cscore", {"ratios": [0.5]}, "without `scorer.estimator=holdout`"),
        ("cscore:holdout", {"networks": 3}, "without `scorer.estimator=learning-speed`"),
        ("cscore:holdout", {"stable_at": 0.5, "epochs": 3}, None),
        ("cscore", {"networks": 3}, None),
        ("knn", {"epochs": 3}, "without `scorer.space=network`"),
        ("knn", {"components": 3}, None),
        ("knn:network", {"components": 3}, "without `scorer.space=pixels`"),
        ("knn:network", {"lr": 0.1, "network": "mlp"}, None),
        ("knn:network", {"features": "f.npy", "lr": 0.1}, "beside `scorer.features=.*f.npy`"),
    ],
)
def test_an_inherited_option_without_effect_is_said(host, scorer, given, why):
    options = tuple((("scorer", key), value) for key, value in given.items())
    request = Request(assignments=((("scorer",), scorer), *options))
    found = without_effect(resolve(host, request), request)
    assert len(found) == (why is not None)
    if why is not None:
        key, value = [*given.items()][-1]
        asked = f"note: `scorer.{key}={format_value(value)}` has no effect "
        assert re.fullmatch(re.escape(asked) + why, found[0])


def test_a_preset_leaves_options_that_only_share_a_name(extended):
    for preset in extended.registry("preset").names():
        asked = Request(preset=preset, in_memory=True, assignments=((("matcher",), "strange"),))
        options = resolve(extended, asked)["matcher"].options
        assert (options.steps, options.batch_size) == (7, 3), preset


def test_an_ablation_leaves_them_too(extended):
    asked = Request(in_memory=True, assignments=((("matcher", "steps"), 2),))
    factor = parse_factor("matcher=trajectory,strange")
    own, strange = make_study(extended, asked, [factor], seeds=1).cells
    assert own.recipe["matcher"].options.steps == 2
    assert strange.recipe["matcher"].options.steps == 7


def test_the_command_line_leaves_them_too(extended, tmp_path):
    from click.testing import CliRunner

    from condense.cli.main import main

    environment = {"CONDENSE_STORE": str(tmp_path / "store")}
    given = ["run", "--dry-run", "--json", "--no-baselines", "-o", "matcher=strange"]
    given += ["-o", "selector=random", "-o", "evaluator.steps=1", "-o", "evaluator.repeats=1"]
    result = CliRunner().invoke(main, given, obj=extended, env=environment)
    assert result.exit_code == 0, result.stderr
    recipe = json.loads(result.stdout)["recipe"]
    assert recipe["matcher"] == {COMPONENT: "strange", "steps": 7, "batch_size": 3}
    assert recipe["evaluator"]["batch_size"] == 64  # quick's, for the evaluator it is meant for


def test_a_preset_reaches_what_derives_from_the_options_of_the_pass(extended):
    def scorer(name):
        asked = Request(preset="quick", data="digits", assignments=((("scorer",), name),))
        return resolve(extended, asked)["scorer"].options

    early, sharing, cscore = scorer("early"), scorer("sharing"), scorer("cscore")
    pass_options = DynamicsOptions.model_fields
    assert all(getattr(sharing, key) == getattr(cscore, key) for key in pass_options)
    assert (early.lr, cscore.lr) == (0.3, 0.05)
    assert (early.epochs, cscore.epochs) == (15, 15)


def test_under_a_preset_all_scorers_share_one_pass(extended, tmp_path, monkeypatch):
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path))
    small = {"scorer.networks": 1, "scorer.epochs": 2}
    for name in ("cscore", "sharing", "el2n"):
        pipeline = bind("digits", options={"scorer": name, **small}, host=extended)
        assert len(pipeline.scores.values) == 1437
        assert len(list(tmp_path.glob("dynamics/**/*.safetensors"))) == 1, name


def test_every_value_of_a_builtin_preset_reaches_the_builtin_methods(host):
    """Between built-in components options of one name are one option."""
    paths = {"npz": "npz:/x.npz", "tiny-imagenet": "tiny-imagenet:/x"}
    for preset in (host.registry("preset").get(name) for name in host.registry("preset").names()):
        own_values = [paths.get(name, name) for name in preset.for_data]
        for method in host.registry("method").names():
            for data in {None, "npz:/x.npz", *own_values}:
                if data is None and preset.intended("data") == "tiny-imagenet":
                    continue
                recipe = resolve(host, Request(method=method, preset=preset.name, data=data))
                special = preset.for_data.get(recipe["data"].name, {})
                for stage in recipe.stages:
                    own = special.get(stage, {})
                    table = {**preset.stages.get(stage, {}), **own}
                    keys = table.keys() & type(recipe[stage].options).model_fields.keys()
                    keys -= host.registry("method").get(method).stages.get(stage, {}).keys()
                    if stage == "matcher" and recipe[stage].name != preset.intended(stage):
                        # iterations and rates of one are nothing to another
                        keys &= MatcherOptions.model_fields.keys()
                    for key in keys:
                        got = recipe[stage].table[key]
                        expected = table[key]
                        if isinstance(expected, dict):
                            got = {k: got[k] for k in expected}
                            named = expected[COMPONENT]
                            named = "convnet" if named == "auto" else named
                            expected = {**expected, COMPONENT: named}
                        assert got == expected, (preset.name, method, data, stage, key)


def test_a_preset_says_what_its_values_are_for():
    with pytest.raises(OptionError, match=r"sets matcher\.steps without saying for which"):
        Preset("mine", "for tests", {"matcher": {"steps": 3}})
    with pytest.raises(OptionError, match=r"written_for=\{'scorer': NAME\}"):
        Preset("mine", "for tests", {}, {"digits": {"scorer": {"epochs": 3}}})
    Preset("mine", "for tests", {"matcher": {COMPONENT: "trajectory", "steps": 3}})
