"""The plugin host: built-ins and strangers through the same hooks, each isolated."""

import importlib.metadata
import random
import signal
import sys
import types
from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import Field

from condense import Options, hookimpl
from condense.capabilities import argument_name
from condense.errors import CondenseError, DuplicateComponent, OptionError, UnknownComponent
from condense.kinds import KINDS, STAGES
from condense.options import ComponentSpec, spec_fields
from condense.plugin.host import build_host
from condense.randomness import GlobalRandomness
from condense.recipe import Method, Preset
from condense.resolve import Request, resolve
from condense.traits import MatcherTraits, ScorerTraits

# the table of design.md, "first" column; `coverage` comes later
BUILT_INS = {
    "data": {"digits", "cifar10", "cifar100", "tiny-imagenet", "folder", "npz"},
    "network": {"convnet", "resnet18", "vgg11", "mlp"},
    "scorer": {
        *("cscore", "forgetting", "el2n", "grand", "aum", "loss", "entropy", "dual", "tdds"),
        *("knn", "random", "file"),
    },
    "selector": {
        *("window", "random", "hardest", "easiest", "stratified", "dual-beta"),
        *("kcenter", "herding", "facility-location", "moderate"),
    },
    "matcher": {"trajectory", "distribution", "gradient", "none"},
    "policy": {"partial", "full", "frozen"},
    "reselector": {"curriculum", "none"},
    "augmentation": {"dsa", "simple", "combined", "none"},
    "evaluator": {"accuracy"},
    "executor": {"local", "ray", "submitit"},
    "tracker": {"none", "tensorboard", "mlflow"},
    "method": {
        *(
            "selmatch",
            "selmatch-plus",
            "mtt",
            "dm",
            "dc",
            "random",
            "window",
            "random-partial",
            "window-full",
            "ccfs",
        ),
        *("ccs", "dual", "tdds", "kcenter", "herding", "facility-location", "moderate"),
    },
    "preset": {"quick", "paper-cifar10-ipc500", "paper-cifar100-ipc50"},
}


def scorer(name="margin", **members):
    """A well-formed scorer class."""

    class Given(Options):
        epoch: int = Field(3, ge=0, description="epoch to read")

    def init(self, options):
        self.options = options

    def score(self, data, context, rng):
        raise AssertionError("not called here")

    body = {
        "name": name,
        "version": "1",
        "Options": Given,
        "__init__": init,
        "score": score,
        **members,
    }
    return type("Margin", (), {k: v for k, v in body.items() if v is not ...})


def plugin(*components, hook="condense_register_scorers", then=None):
    """A plugin object that registers ``components`` and then raises ``then``."""

    def register_all(register):
        for component in components:
            register(component)
        if then is not None:
            raise then

    return types.SimpleNamespace(**{hook: hookimpl(register_all)})


class Point:
    """An entry point of an installed package."""

    def __init__(self, name, load, package="pkg", version="1.2"):
        self.name, self.value, self._load = name, f"{name}.module", load
        self.dist = types.SimpleNamespace(name=package, version=version)

    def load(self):
        if isinstance(self._load, BaseException):
            raise self._load
        return self._load


@pytest.fixture
def install(monkeypatch):
    monkeypatch.delenv("CONDENSE_PLUGINS", raising=False)

    def install(*points):
        def entry_points(*, group):
            return list(points) if group == "condense" else []

        monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)

    return install


def names(host):
    return {kind: set(host.registries[kind].names()) for kind in KINDS}


def test_every_built_in_of_the_design_is_registered(host):
    found = names(host)
    assert found.keys() == BUILT_INS.keys()
    for kind, wanted in BUILT_INS.items():
        assert wanted <= found[kind], kind
    assert found["method"] == BUILT_INS["method"]
    assert host.broken == []
    for registry in host.registries.values():
        for _, entry in registry.items():
            assert entry.package == "condense-data"
            assert entry.version


def every_component(host):
    for kind in KINDS:
        if kind not in ("method", "preset"):
            for name, entry in host.registries[kind].items():
                yield f"{kind} {name}", entry.component


def test_every_option_of_a_built_in_says_what_it_is_and_has_a_default(host):
    lacking = []
    checked = 0
    for label, cls in every_component(host):
        for field_name, field in cls.Options.model_fields.items():
            checked += 1
            if not field.description or field.description != field.description.strip():
                lacking.append(f"{label}.{field_name}: description")
            if field.is_required() and field_name != (argument_name(cls)):
                lacking.append(f"{label}.{field_name}: default")
    assert lacking == []
    assert checked > 60


def test_every_built_in_class_says_what_it_is(host):
    silent = [
        label for label, cls in every_component(host) if not (cls.__dict__.get("__doc__") or "")
    ]
    assert silent == []


def test_every_built_in_is_built_from_its_defaults_without_work(host):
    for _, cls in every_component(host):
        takes = argument_name(cls)
        fields = cls.Options.model_fields
        required = takes is not None and fields[takes].is_required()
        # one of a few names, or any text
        named = (*get_args(fields[takes].annotation), "/nowhere")[0] if required else None
        options = cls.Options(**({takes: named} if required else {}))
        assert cls(options).options == options
        again = cls.Options.model_validate_json(options.model_dump_json())
        assert again == options


def test_components_that_options_name_by_default_exist(host):
    for label, cls in every_component(host):
        for key, spec in spec_fields(cls.Options).items():
            default = cls.Options.model_fields[key].default
            assert isinstance(default, ComponentSpec), label
            assert default.component in host.registries[spec.kind], f"{label}.{key}"


def test_no_preset_sets_an_option_that_nothing_has(host):
    # presets are soft, so that a misspelt key would be ignored without a word
    dead = []
    for name, entry in host.registry("preset").items():
        preset = entry.component
        tables = [preset.stages, *preset.for_data.values()]
        assert set(preset.for_data) <= set(host.registry("data").names())
        for stage, table in ((s, t) for stages in tables for s, t in stages.items()):
            kind = host.registries[STAGES[stage]]
            has = {k for _, e in kind.items() for k in e.component.Options.model_fields}
            dead += [f"{name}: {stage}.{k}" for k in table if k not in has | {"component"}]
    assert dead == []


def test_hosts_share_nothing():
    first, second = build_host(external=False), build_host(external=False)
    assert first.manager is not second.manager
    third = build_host(external=False, extra=[plugin(scorer())])
    assert "margin" in third.registry("scorer")
    assert "margin" not in first.registry("scorer")
    assert "margin" not in second.registry("scorer")
    assert names(first) == names(second)


def test_a_stranger_comes_in_through_an_entry_point(install):
    install(Point("mine", plugin(scorer()), package="condense-margin", version="0.3"))
    host = build_host()
    entry = host.registry("scorer").entry("margin")
    assert (entry.package, entry.version) == ("condense-margin", "0.3")
    recipe = resolve(host, Request(assignments=((("scorer",), "margin"),)))
    assert recipe["scorer"].options.epoch == 3
    assert "margin" not in build_host(external=False).registry("scorer")


def half_shaped(**members):
    return plugin(scorer("fine"), scorer(**members))


BROKEN = {
    "import-error": (ModuleNotFoundError("No module named 'numba'"), "numba"),
    "syntax-error": (SyntaxError("invalid syntax"), "invalid syntax"),
    "exits-on-import": (SystemExit("no licence"), "no licence"),
    "raises-in-hook": (plugin(scorer("fine"), then=RuntimeError("two\nlines")), "two lines"),
    "exits-in-hook": (plugin(scorer("fine"), then=SystemExit("bye")), "bye"),
    "misspelt-hook": (
        plugin(scorer("fine"), hook="condense_register_scorer"),
        "condense_register_scorer",
    ),
    "wrong-argument": (
        types.SimpleNamespace(
            condense_register_scorers=hookimpl(lambda registry: registry(scorer("fine")))
        ),
        "registry",
    ),
    "no-name": (half_shaped(name=...), "needs a kebab-case `name`, has None"),
    "camel-case": (half_shaped(name="MyScorer"), "'MyScorer'"),
    "number-for-name": (half_shaped(name=3), "has 3"),
    "no-options": (half_shaped(Options=...), "needs a nested `class Options"),
    "strange-options": (half_shaped(Options=dict), "needs a nested `class Options"),
    "no-method": (half_shaped(score=...), "needs a method `score`"),
    "method-is-a-number": (half_shaped(score=3), "needs a method `score`"),
    "an-instance": (plugin(scorer("fine"), scorer("obj")(None)), "registered as a class"),
    "matcher-without-step": (
        plugin(scorer("m", prepare=print), hook="condense_register_matchers"),
        "needs a method `step`",
    ),
    "selector-without-needs-scores": (
        plugin(scorer("s", select=print), hook="condense_register_selectors"),
        "needs_scores",
    ),
    "no-version": (half_shaped(version=...), "needs a `version`, a text that is part of its cache"),
    "version-is-a-number": (half_shaped(version=2), "has 2"),
    "docstring-is-a-number": (half_shaped(__doc__=3), "needs text as its __doc__"),
    "replicate": (
        half_shaped(replicate=print),
        "scorer 'margin' has `replicate`, which no scorer has; did you mean `replicates`?",
    ),
    "trait": (half_shaped(trait=ScorerTraits()), "did you mean `traits`?"),
    "traits-of-another-kind": (
        half_shaped(traits=MatcherTraits()),
        "has traits of MatcherTraits, expected ScorerTraits",
    ),
    "a-trait-of-its-own": (
        half_shaped(difficulty=False),
        "has `difficulty`; a trait is written traits = ScorerTraits(difficulty=…)",
    ),
    "a-misspelt-trait": (
        half_shaped(dificulty=False),
        "has `dificulty`; a trait is written traits = ScorerTraits(difficulty=…)",
    ),
    "a-misspelt-code": (
        half_shaped(traits=ScorerTraits(advice={"scores-unreliabel": "average more"})),
        "has advice for 'scores-unreliabel', which is no code; did you mean 'scores-unreliable'?",
    ),
    "cost-without-samples": (
        half_shaped(cost=lambda self, data, context: None),
        "has cost(data, context), which cannot be called as cost(data, samples, context)",
    ),
    "replicates-is-no-method": (half_shaped(replicates=3), "needs a method `replicates`, has 3"),
    "needs-score": (
        plugin(scorer("s", select=print, needs_score=True), hook="condense_register_selectors"),
        "selector 's' has `needs_score`, which no selector has; did you mean `needs_scores`?",
    ),
    "at-iterations": (
        plugin(
            scorer("m", prepare=print, step=print, at_iterations=print),
            hook="condense_register_matchers",
        ),
        "did you mean `at_iteration`?",
    ),
    "the-select-of-before": (
        plugin(
            scorer("s", needs_scores=True, select=lambda self, data, scores, budget, rng: None),
            hook="condense_register_selectors",
        ),
        "has select(data, scores, budget, rng), which cannot be called as "
        "select(data, scores, budget, context, rng)",
    ),
    "arg-is-no-option": (half_shaped(arg="path"), "path"),
    "method-of-another-shape": (
        plugin(types.SimpleNamespace(name="odd"), hook="condense_register_methods"),
        "odd",
    ),
    "preset-of-another-shape": (
        plugin(Method("odd", "no preset", {}), hook="condense_register_presets"),
        "odd",
    ),
    **{
        f"method-with-{what}": (
            plugin(Method("odd", "an odd one", stages), hook="condense_register_methods"),
            f"method 'odd' must be a condense.recipe.Method with a `stages` that is a table of "
            f"tables, {{'scorer': {{'component': 'el2n'}}}} for example; has {stages!r}",
        )
        for what, stages in {
            "text-for-a-stage": {"scorer": "el2n"},
            "text-for-stages": "el2n",
            "stages-in-a-list": ["scorer"],
            "a-stage-by-number": {3: {"component": "el2n"}},
            "an-option-by-number": {"scorer": {3: "el2n"}},
        }.items()
    },
    "method-called-auto": (
        plugin(Method("auto", "s", {}), hook="condense_register_methods"),
        "method 'auto' needs another name: `method=auto` chooses among the others",
    ),
    **{
        f"method-called-{name}": (
            plugin(Method(name, "s", {}), hook="condense_register_methods"),
            f"method '{name}' needs another name: ",
        )
        for name in ("all", "whole")
    },
    "method-without-text": (
        plugin(Method("odd", None, {}), hook="condense_register_methods"),
        "with a `summary` that is a text; has None",
    ),
    **{
        f"preset-with-{attribute}": (
            plugin(Preset("odd", "s", {}, **{attribute: value}), hook="condense_register_presets"),
            f"preset 'odd' must be a condense.recipe.Preset with a `{attribute}` that is",
        )
        for attribute, value in {
            "for_data": {3: {}},
            "for_modality": {"image": {3: {}}},
            "sources": "a paper",
            "written_for": "el2n",
            "method": None,
        }.items()
    },
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_named_and_leaves_nothing_behind(install, case):
    load, reason = BROKEN[case]
    install(
        Point("aa-good", plugin(scorer("before")), package="good-before"),
        Point("bad", load, package="bad-package"),
        Point("zz-good", plugin(scorer("after")), package="good-after"),
    )
    host = build_host()
    assert [(b.name, b.package) for b in host.broken] == [("bad", "bad-package")]
    assert reason in host.broken[0].reason
    assert "\n" not in host.broken[0].reason
    assert not host.manager.has_plugin("bad")
    expected = names(build_host(external=False))
    expected["scorer"] |= {"before", "after"}
    assert names(host) == expected


def test_every_broken_component_of_a_plugin_is_named(install):
    bad = plugin(scorer("one", version=...), scorer("fine"), scorer("two", score=...))
    install(Point("bad", bad))
    (broken,) = build_host().broken
    one, two = broken.reason.split("; ")
    assert one.startswith("scorer 'one' needs a `version`")
    assert two == "scorer 'two' needs a method `score`"


def test_members_of_its_own_do_not_make_a_component_broken(install):
    mine = scorer(
        replicates=lambda self, data, context, rng: None,
        mean_of=print,
        scores=print,  # near to `score`, which is there
        traits=ScorerTraits(difficulty=False),
    )
    install(Point("mine", plugin(mine)))
    assert build_host().broken == []


def test_an_unknown_name_points_at_plugins_that_failed(install):
    install(Point("bad", ImportError("x")))
    with pytest.raises(UnknownComponent, match=r"1 plugin\(s\) failed to load"):
        build_host().registry("scorer").get("nope")
    with pytest.raises(UnknownComponent) as caught:
        build_host(external=False).registry("scorer").get("nope")
    assert "failed" not in str(caught.value)


def test_an_interrupt_while_loading_is_not_swallowed(install):
    point = Point("slow", None)
    point.load = lambda: signal.raise_signal(signal.SIGINT)
    install(point)
    with pytest.raises(KeyboardInterrupt):
        build_host()
    install(Point("its-own", KeyboardInterrupt()))
    assert [broken.name for broken in build_host().broken] == ["its-own"]


def test_a_name_that_a_built_in_has_names_both_packages(install):
    install(Point("mine", plugin(scorer("el2n")), package="other-package"))
    with pytest.raises(DuplicateComponent) as caught:
        build_host()
    for part in ("scorer 'el2n'", "condense-data", "other-package", "CONDENSE_PLUGINS"):
        assert part in str(caught.value)


def test_a_name_that_two_strangers_share_names_both(install):
    install(
        Point("one", plugin(scorer("margin")), package="package-one"),
        Point("two", plugin(scorer("margin")), package="package-two"),
    )
    with pytest.raises(DuplicateComponent, match=r"'margin'.*package-one.*package-two"):
        build_host()


def test_equal_names_of_different_kinds_do_not_clash(host):
    assert "random" in host.registry("scorer")
    assert "random" in host.registry("selector")
    assert "random" in host.registry("method")


def test_two_packages_may_call_their_entry_points_the_same(install):
    install(
        Point("plugin", plugin(scorer("margin")), package="package-one"),
        Point("plugin", plugin(scorer("lateness")), package="package-two"),
    )
    host = build_host()
    assert host.broken == []
    assert host.registry("scorer").entry("margin").package == "package-one"
    assert host.registry("scorer").entry("lateness").package == "package-two"


def three(install):
    install(*(Point(n, plugin(scorer(n)), package=f"package-{n}") for n in ("cc", "aa", "bb")))


@pytest.mark.parametrize(
    ("value", "loaded"),
    [
        (None, {"aa", "bb", "cc"}),
        ("", set()),
        (" ", set()),
        ("bb", {"bb"}),
        ("cc, aa", {"aa", "cc"}),
        ("aa,aa", {"aa"}),
    ],
)
def test_condense_plugins_says_which_strangers_load(install, monkeypatch, value, loaded):
    three(install)
    if value is not None:
        monkeypatch.setenv("CONDENSE_PLUGINS", value)
    host = build_host()
    assert set(host.registry("scorer").names()) - BUILT_INS["scorer"] == loaded
    assert host.broken == []


def test_condense_plugins_with_a_stranger_that_is_not_there(install, monkeypatch):
    three(install)
    monkeypatch.setenv("CONDENSE_PLUGINS", "aa,dd")
    with pytest.raises(OptionError, match=r"'dd'.*aa, bb, cc"):
        build_host()
    assert build_host(external=False).broken == []


def test_a_kind_that_does_not_exist(host):
    with pytest.raises(CondenseError, match=r"'scorers'.*did you mean 'scorer'"):
        host.registry("scorers")


@pytest.mark.parametrize(
    ("statement", "brand_new", "accused"),
    [
        ("pass", True, []),
        ("random.random()", True, []),  # as rich does while it is imported
        ("random.random()", False, ["random"]),
        ("random.seed(0)", True, []),
        ("random.seed(0)", False, ["random"]),
        ("numpy.random.rand()", True, ["numpy"]),
        ("torch.manual_seed(0)", True, ["torch"]),
    ],
)
def test_only_an_import_may_draw_from_pythons_own(monkeypatch, statement, brand_new, accused):
    states = GlobalRandomness()
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    exec(statement, {"random": random, "numpy": np, "torch": torch})
    if brand_new:
        monkeypatch.setitem(sys.modules, "brand_new", types.ModuleType("brand_new"))
    assert states.restore() == accused
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
