"""How layers of a recipe combine, and what is said of the ones that make no sense."""

import itertools
from dataclasses import replace
from typing import Any, Literal

import pytest
import tomllib
from pydantic import Field

from condense.cli.flags import make_request
from condense.errors import CondenseError, DataError, OptionError, UnknownComponent
from condense.layers import merge
from condense.options import Options, build_options, parse_assignment
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.recipe import Method, Preset, read_recipe, recipe_toml
from condense.resolve import Request, resolve

WINDOW = {"component": "window"}
WRITTEN_FOR = {"selector": "window", "matcher": "trajectory", "scorer": "cscore"}


class Layers:
    """A preset and a method that both set ``selector.beta``."""

    @hookimpl
    def condense_register_presets(self, register):
        stages = {
            "data": {"component": "digits"},
            "selector": {"beta": 0.11, "no-component-has-this": 1},
            "matcher": {"network": {"component": "convnet", "width": 11}, "steps": 11},
            "scorer": {"epochs": 11},
        }
        for_data = {"digits": {"matcher": {"steps": 12}}, "npz": {"matcher": {"steps": 13}}}
        register(Preset("layered", "for tests", stages, for_data, WRITTEN_FOR, ipc=11))

    @hookimpl
    def condense_register_methods(self, register):
        base = {
            "scorer": {"component": "cscore"},
            "policy": {"component": "partial"},
            "matcher": {"component": "trajectory"},
            "augmentation": {"component": "combined"},
            "evaluator": {"component": "accuracy"},
        }
        register(Method("plain", "sets nothing", {**base, "selector": WINDOW}))
        register(Method("layered", "sets beta", {**base, "selector": {**WINDOW, "beta": 0.33}}))


@pytest.fixture(scope="module")
def layered():
    return build_host(external=False, extra=[Layers()])


def request(*assignments, **fields):
    return Request(assignments=tuple(parse_assignment(a) for a in assignments), **fields)


def beta(host, *assignments, **fields):
    recipe = resolve(host, request(*assignments, preset="layered", **fields))
    return recipe["selector"].options.beta


def test_precedence_of_preset_recipe_file_method_and_o(layered):
    file = {"selector": {**WINDOW, "beta": 0.22}}
    assert beta(layered, method="plain") == 0.11
    assert beta(layered, recipe={**file, "method": "plain"}) == 0.22
    assert beta(layered, recipe=file, method="plain") == 0.22  # the method says nothing of beta
    assert beta(layered, recipe=file, method="layered") == 0.33
    assert beta(layered, recipe={**file, "method": "layered"}) == 0.22  # it lies under the file
    assert beta(layered, "selector.beta=0.44", recipe=file, method="layered") == 0.44
    assert beta(layered, "selector.beta=0.4", "selector.beta=0.5", method="layered") == 0.5


def test_flags_are_over_the_recipe_file_and_o_over_flags(layered):
    file = {
        "method": "plain",
        "preset": "layered",
        "seed": 1,
        "ipc": 2,
        "data": {"component": "npz", "path": "/file.npz"},
    }
    recipe = resolve(layered, request(recipe=file))
    assert (recipe.method, recipe.seed, recipe.budget.ipc) == ("plain", 1, 2)
    assert recipe["data"].options.path == "/file.npz"
    assert recipe["matcher"].options.steps == 13  # the preset's values for npz
    recipe = resolve(layered, request(recipe=file, data="npz:/flag.npz", seed=0, ipc=3))
    assert (recipe.seed, recipe.budget.ipc) == (0, 3)
    assert recipe["data"].options.path == "/flag.npz"
    recipe = resolve(layered, request("data=npz:/o.npz", recipe=file, data="npz:/flag.npz"))
    assert recipe["data"].options.path == "/o.npz"
    recipe = resolve(layered, request("data=digits", recipe=file))
    assert (recipe["data"].name, recipe["matcher"].options.steps) == ("digits", 12)


def test_a_preset_flag_is_over_the_one_in_the_file(layered):
    recipe = resolve(layered, request(recipe={"preset": "layered"}, preset="quick"))
    assert recipe["matcher"].options.steps != 12


def test_a_budget_layer_that_sets_one_drops_the_other(layered):
    def budget(recipe, **flags):
        found = resolve(layered, request(preset="layered", recipe=recipe, **flags)).budget
        return found.ipc, found.fraction

    assert budget({}) == (11, None)
    assert budget({"fraction": 0.5}) == (None, 0.5)
    assert budget({"fraction": 0.5}, ipc=4) == (4, None)
    assert budget({"ipc": 4}, fraction=0.25) == (None, 0.25)


@pytest.mark.parametrize("where", ["flags", "file"])
def test_ipc_and_fraction_exclude_each_other(host, where):
    both = {"ipc": 5, "fraction": 0.1}
    with pytest.raises(OptionError, match="either ipc or fraction"):
        resolve(host, Request(**both) if where == "flags" else Request(recipe=both))


def test_options_of_a_replaced_component_are_dropped(layered):
    file = {
        "method": "plain",
        "preset": "layered",
        "scorer": {"component": "cscore", "epochs": 77, "batch_size": 99},
        "selector": {**WINDOW, "beta": 0.22},
    }
    recipe = resolve(layered, request("scorer=el2n", "selector=hardest", recipe=file))
    assert recipe["scorer"].options.epochs == 11  # the preset's
    assert recipe["scorer"].options.batch_size != 99
    assert recipe["selector"].options.model_dump() == {}
    with pytest.raises(OptionError, match=r"selector\.beta"):
        resolve(layered, request("selector=hardest", "selector.beta=0.2", recipe=file))


def network(host, *assignments):
    file = {"matcher": {"network": {"component": "convnet", "width": 16, "depth": 2}}}
    return resolve(host, request(*assignments, recipe=file))["matcher"].options.network


def test_replacing_a_nested_network_drops_its_width(host):
    own = host.registry("network").get("mlp").Options()
    assert network(host, "matcher.network=mlp").options == own
    assert network(host, "matcher.network=mlp", "matcher.network.width=7").options.width == 7


def test_a_nested_option_keeps_the_others(host):
    options = network(host, "matcher.network.width=8").options
    assert (options.width, options.depth) == (8, 2)
    assert network(host, "matcher.network=convnet").options.width == 16


def test_nested_assignments_mean_the_same_in_either_order(host):
    orders = itertools.permutations(["matcher.network=mlp", "matcher.network.width=9"])
    got = [network(host, *order) for order in orders]
    assert got[0] == got[1]
    assert (got[0].component, got[0].options.width) == ("mlp", 9)


def test_stage_assignments_mean_the_same_in_either_order(host):
    for order in itertools.permutations(["scorer=el2n", "scorer.epochs=9"]):
        scorer = resolve(host, request(*order))["scorer"]
        assert (scorer.name, scorer.options.epochs) == ("el2n", 9)


def test_a_preset_sets_only_what_the_component_has(layered):
    recipe = resolve(layered, request("selector=random", method="plain", preset="layered"))
    assert recipe["selector"].name == "random"


@pytest.mark.parametrize(("method", "scorer"), [("tdds",) * 2, ("dual",) * 2, ("ccs", "aum")])
def test_a_method_that_a_scorer_makes_keeps_it_under_every_preset(host, method, scorer):
    for preset in host.registry("preset").names():
        recipe = resolve(host, request("data=npz:/x.npz", method=method, preset=preset))
        assert recipe["scorer"].name == scorer
    assert resolve(host, request("scorer=el2n", method=method))["scorer"].name == "el2n"


def test_the_recipes_of_the_methods_are_those_of_the_design(host):
    recipes = {
        name: resolve(host, request(method=name)) for name in host.registry("method").names()
    }
    table = {
        name: tuple(recipe[stage].name for stage in ("selector", "policy", "matcher"))
        for name, recipe in recipes.items()
    }
    assert table == {
        "selmatch": ("window", "partial", "trajectory"),
        "selmatch-plus": ("window", "relabel", "trajectory"),
        "mtt": ("random", "full", "trajectory"),
        "dm": ("random", "full", "distribution"),
        "dc": ("random", "full", "gradient"),
        "random": ("random", "frozen", "none"),
        "window": ("window", "frozen", "none"),
        "random-partial": ("random", "partial", "trajectory"),
        "window-full": ("window", "full", "trajectory"),
        "tdds": ("hardest", "frozen", "none"),
        "ccs": ("stratified", "frozen", "none"),
        "dual": ("dual-beta", "frozen", "none"),
        **{
            name: (name, "frozen", "none")
            for name in ("kcenter", "herding", "facility-location", "moderate")
        },
        "ccfs": ("random", "partial", "trajectory"),
    }
    # the images of selmatch under any preset
    assert (
        recipes["selmatch-plus"]["policy"].options.alpha
        == recipes["selmatch"]["policy"].options.alpha
    )
    again = {name: r["reselector"].name for name, r in recipes.items() if "reselector" in r.stages}
    assert again == {"ccfs": "curriculum"}


MISTAKES = [
    ({"method": "selmach"}, (), ["'selmach'", "did you mean 'selmatch'", "mtt"]),
    ({"preset": "quik"}, (), ["'quik'", "did you mean 'quick'"]),
    ({"data": "digit"}, (), ["'digit'", "did you mean 'digits'"]),
    ({"data": "npz"}, (), ["npz:PATH"]),
    ({"data": "digits:/x"}, (), ["digits:/x", "no argument"]),
    ({"seed": -1}, (), ["seed", "-1"]),
    ({"ipc": 0}, (), ["ipc", "got 0"]),
    ({"fraction": 1.5}, (), ["fraction", "1.5", "(0, 1]"]),
    ({}, ("scorer=el3n",), ["unknown scorer 'el3n'", "did you mean 'el2n'"]),
    ({}, ("selector=windw",), ["unknown selector 'windw'", "did you mean 'window'"]),
    ({}, ("policy=ful",), ["unknown policy 'ful'", "did you mean 'full'"]),
    ({}, ("matcher=trajectry",), ["'trajectry'", "did you mean 'trajectory'"]),
    ({}, ("augmentation=dsaa",), ["'dsaa'", "did you mean 'dsa'"]),
    ({}, ("evaluator=acuracy",), ["'acuracy'", "did you mean 'accuracy'"]),
    ({}, ("selektor=window",), ["'selektor'", "did you mean 'selector'", "=window"]),
    ({}, ("seed=3",), ["unknown stage 'seed'", "seed=3"]),
    ({}, ("selector.bta=0.3",), ["selector.bta", "did you mean 'beta'"]),
    ({}, ("selector.beta=1.5",), ["selector.beta=1.5: must be a number ≥ 0, < 1"]),
    ({}, ("selector.beta=-0.1",), ["selector.beta=-0.1: must be a number ≥ 0, < 1"]),
    ({}, ("selector.beta=NaN",), ["selector.beta=NaN", "finite"]),
    ({}, ("matcher.image_lr=1e39",), ["matcher.image_lr=1e+39", "within ±3.4e+38"]),
    ({}, ("selector.beta=much",), ["selector.beta=much", "number"]),
    ({}, ("selector.beta.x=1",), ["selector.beta", '{"x": 1}']),
    ({}, ("selector.unit=clas",), ["selector.unit=clas", "'class'"]),
    ({}, ("matcher.steps=2.5",), ["matcher.steps=2.5: must be a whole number ≥ 1"]),
    ({}, ("matcher.network=convnt",), ["'convnt'", "did you mean 'convnet'"]),
    ({}, ("matcher.network=7",), ["unknown network '7'"]),
    ({}, ("matcher.network.widht=8",), ["matcher.network.widht", "did you mean 'width'"]),
    ({}, ("matcher.network.width=0",), ["matcher.network.width=0: must be a whole number ≥ 1"]),
    ({}, ("evaluator.network.norm=bath",), ["evaluator.network.norm=bath", "'batch'"]),
    ({}, ("matcher.augmentation=dsx",), ["'dsx'", "did you mean 'dsa'"]),
]


@pytest.mark.parametrize(("fields", "assignments", "parts"), MISTAKES)
def test_a_mistake_is_answered_with_the_value_and_what_is_allowed(host, fields, assignments, parts):
    with pytest.raises(OptionError) as caught:
        resolve(host, request(*assignments, **fields))
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_several_bad_options_are_named_at_once(host):
    with pytest.raises(OptionError) as caught:
        resolve(host, request("matcher.steps=0", "matcher.batch_size=-2", "matcher.stepz=1"))
    for part in ("matcher.steps=0", "matcher.batch_size=-2", "matcher.stepz"):
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["selector", "=3", "selector.=3", ".beta=3", "selector..x=1"])
def test_an_assignment_that_is_none(text):
    with pytest.raises(OptionError, match=r"expected STAGE=COMPONENT or STAGE\.KEY") as caught:
        parse_assignment(text)
    assert text in str(caught.value)


class Every(Options):
    """An option of each type."""

    whole: int = 0
    unset: int | None = 1
    real: float = 0.0
    flag: bool = False
    text: str = ""
    perhaps: str | None = ""
    choice: Literal["a", "1"] = "a"
    several: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    table: dict[str, Any] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("whole=3", 3),
        ("whole=1e3", 1000),
        ("unset=null", None),
        ("unset=8", 8),
        ("real=1e-5", 1e-5),
        ("real=3", 3.0),
        ("flag=true", True),
        ("flag=False", False),
        ("several=[1, 2]", (1, 2)),
        ('names=["a"]', ("a",)),
        ("text=convnet", "convnet"),
        ("text=/x=y", "/x=y"),
        ("text= word ", "word"),
        ("text=", ""),
        ("text=1.10", "1.10"),
        ("text=true", "true"),
        ("text=[1]", "[1]"),
        ("perhaps=1e3", "1e3"),
        ("perhaps=null", None),
        ("choice=1", "1"),
        ('table={"a": 1.5}', {"a": 1.5}),
        ("table.a=1.5", {"a": 1.5}),
    ],
)
def test_the_type_of_an_option_says_how_its_text_is_read(text, value):
    (name, *inner), given = parse_assignment(text)
    found = build_options(Every, {name: {inner[0]: given} if inner else given}, "")
    assert getattr(found, name) == value
    assert type(getattr(found, name)) is type(value)


def test_the_text_of_a_nested_option_is_read_by_its_type_too(host):
    changed = request("matcher.network.width=8", "matcher.network.norm=batch", "matcher.steps=8")
    options = resolve(host, changed)["matcher"].options
    assert (options.steps, options.network.options.width) == (8, 8)


def test_what_a_path_is_called_is_left_alone(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in (request("data=npz", "data.path=1.10"), request(data="npz:1.10")):
        assert resolve(host, given)["data"].options.path == f"{tmp_path}/1.10"


@pytest.mark.parametrize(
    ("fields", "assignments", "told"),
    [
        ({"data": "folder:x"}, ("data.path=y",), "'folder:x' and `data.path=y`"),
        ({}, ("data=folder:x", "data.path=y"), "'folder:x' and `data.path=y`"),
        (
            {},
            ("scorer.estimator=learning-speed", "scorer=cscore:holdout"),
            "'cscore:holdout' and `scorer.estimator=learning-speed`",
        ),
    ],
)
def test_nothing_is_said_twice_on_a_command_line(host, fields, assignments, told):
    with pytest.raises(OptionError) as caught:
        resolve(host, request(*assignments, **fields))
    assert f"{told} contradict each other" in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (
            ["selector.beta=0.3", "scorer=el2n", "selector.beta=0.5"],
            "`selector.beta=0.3` and `selector.beta=0.5` give one key two values; give one of them",
        ),
        (
            ["data.ignore=id", 'data.ignore=["a", "b"]'],
            '`data.ignore=id` and `data.ignore=["a", "b"]` give one key two values; give one of '
            'them; where it is a list, `data.ignore=["id", "a", "b"]`',
        ),
        (
            ["selector=random", "selector=window"],
            "`selector=random` and `selector=window` give one key two values; give one of them",
        ),
        (
            ["matcher.network.width=8", 'matcher.network={"component": "convnet", "width": 16}'],
            "`matcher.network.width=8` and `matcher.network.width=16` give one key two values",
        ),
        (["executor.threads=1", "executor.threads=2"], "`executor.threads=1` and"),
    ],
)
def test_no_key_has_two_values_on_one_command_line(typed, told):
    with pytest.raises(OptionError) as caught:
        make_request(assignments=typed, executor="ray")
    assert str(caught.value).startswith(told)


def test_a_key_may_be_said_twice_alike_and_over_other_layers(host):
    typed = ["selector.beta=0.3", "selector.beta=0.3", "matcher.network=convnet"]
    asked = make_request(assignments=[*typed, "matcher.network.width=8"])
    asked = replace(asked, recipe={"selector": {"beta": 0.5}})
    recipe = resolve(host, asked)
    assert recipe["selector"].options.beta == 0.3
    assert recipe["matcher"].options.network.options.width == 8


def test_what_is_said_twice_alike_is_said(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = resolve(host, request("data.path=./x/", data="folder:x"))
    assert recipe["data"].options.path == f"{tmp_path}/x"
    recipe = resolve(host, request("scorer=cscore:holdout", "scorer.estimator=holdout"))
    assert recipe["scorer"].options.estimator == "holdout"


def test_a_recipe_file_yields_to_the_command_line(host):
    file = {"data": {"component": "folder:x"}, "scorer": {"component": "cscore:holdout"}}
    recipe = resolve(host, request("data.path=/y", "scorer.estimator=learning-speed", recipe=file))
    assert recipe["data"].options.path == "/y"
    assert recipe["scorer"].options.estimator == "learning-speed"
    assert resolve(host, request(data="folder:/z", recipe=file))["data"].options.path == "/z"


PRESETS = ("quick", "paper-cifar10-ipc500", "paper-cifar100-ipc50", "paper-tiny-ipc50")
METHODS = ("selmatch", "mtt", "random", "window", "random-partial", "window-full", "tdds")
CHANGES = [
    (),
    ("evaluator.steps=null", "matcher.network=resnet18", "data=npz:/some/where.npz"),
    ("matcher.network.depth=1", "matcher.snapshots=[1,5]", "scorer=file:/s.npz", "seed"),
]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("changes", CHANGES, ids=["as-is", "swapped", "nested"])
def test_the_recipe_file_of_a_run_repeats_it_exactly(host, tmp_path, preset, method, changes):
    matching = method not in ("random", "window", "tdds")
    given = [c for c in changes if c != "seed" and (matching or not c.startswith("matcher"))]
    more = {"seed": 12, "fraction": 0.1} if "seed" in changes else {}
    if "tiny" in preset:
        more["data"] = "tiny-imagenet:/tiny"
    recipe = resolve(host, request(*given, method=method, preset=preset, **more))
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_toml(recipe.to_dict()))
    again = resolve(host, Request(recipe=read_recipe(path)))
    assert again.to_dict() == recipe.to_dict()
    assert again == recipe
    for stage in recipe.stages:
        assert again[stage].identity == recipe[stage].identity
    straight = resolve(host, Request(recipe=recipe.to_dict()))  # as a manifest holds it
    assert straight == recipe


def test_an_option_without_a_value_is_written_so_that_it_stays_without(host, tmp_path):
    recipe = resolve(host, request(preset="paper-cifar10-ipc500"))
    assert recipe["evaluator"].options.steps is None  # it counts in epochs; quick would set steps
    table = tomllib.loads(recipe_toml(recipe.to_dict()))
    assert table["evaluator"]["steps"] == "null"


def test_a_path_is_made_absolute(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    for text, path in (
        ("npz:sub/x.npz", f"{tmp_path}/sub/x.npz"),
        ("npz:../x.npz", f"{tmp_path.parent}/x.npz"),
        ("npz:~/x.npz", "/home/someone/x.npz"),
        ("npz:/a/b:c.npz", "/a/b:c.npz"),
        ("folder:photos", f"{tmp_path}/photos"),
    ):
        assert resolve(host, request(data=text))["data"].options.path == path


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("methd = 'mtt'", ["'methd'", "did you mean 'method'"]),
        ("matcher = 3", ["matcher", "3"]),
        ("seed = ", ["not valid TOML"]),
        ("seed = 'x'\n", ["seed", "'x'"]),
        ("seed = true\n", ["seed", "True"]),
        ("[selector]\ncomponent='window'\nbta=1\n", ["selector.bta", "did you mean 'beta'"]),
        ("ipc = 'five'\n", ["ipc", "five"]),
        ("fraction = 'half'\n", ["fraction", "half"]),
        ("ipc = 2.5\n", ["ipc", "2.5"]),
        ("method = 3\n", ["3"]),
        ("[selector]\ncomponent = 4\n", ["selector", "'4'"]),
        ("[matcher.network]\ncomponent = 4\n", ["network", "'4'"]),
    ],
)
def test_mistakes_in_a_recipe_file(host, tmp_path, text, parts):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(CondenseError) as caught:
        resolve(host, Request(recipe=read_recipe(path)))
    for part in parts:
        assert part in str(caught.value)
    assert str(caught.value).startswith(f"recipe {path}")


def test_a_mistake_in_a_flag_is_not_blamed_on_the_file(host, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text("[selector]\ncomponent = 'window'\nbeta = 0.3\n")
    file = read_recipe(path)
    for fields, assignments in (({"ipc": 0}, ()), ({}, ("selector.beta=7",)), ({"data": "x"}, ())):
        with pytest.raises(OptionError) as caught:
            resolve(host, request(*assignments, recipe=file, **fields))
        assert str(path) not in str(caught.value)
    path.write_text("[selector]\ncomponent = 'window'\nbeta = 7\n")
    with pytest.raises(OptionError, match=r"r\.toml: selector\.beta=7: must be a number ≥ 0, < 1"):
        resolve(host, request(recipe=read_recipe(path)))
    assert resolve(host, request("selector.beta=0.5", recipe=read_recipe(path)))  # put right


def test_types_are_told_in_words_of_ours(host):
    """No word of pydantic's: 'Input should be', 'valid integer', 'parse'."""
    assignments = {
        "matcher.steps=abc": "matcher.steps=abc: must be a whole number ≥ 1",
        "matcher.image_lr=[1]": "matcher.image_lr=[1]: must be a number > 0, or auto",
        "data.resize=-2": "data.resize=-2: must be a whole number ≥ 1, ≤ 8192",
        "data.flip=maybe": "data.flip=maybe: must be true or false",
        "selector.unit=ipcs": "selector.unit=ipcs: must be 'class' or 'ipc'",
        "matcher.snapshots=5": "matcher.snapshots=5: must be a list such as [1, 2]",
        'matcher.snapshots=["x"]': "matcher.snapshots.0=x: must be a whole number ≥ 1",
        "matcher.snapshots=[0,500]": "matcher.snapshots.0=0: must be a whole number ≥ 1",
    }
    for text, told in assignments.items():
        with pytest.raises(OptionError) as caught:
            resolve(host, request(text, data="folder:/photos"))
        assert str(caught.value) == told


def test_a_missing_recipe_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.toml"):
        read_recipe(tmp_path / "gone.toml")


def test_a_recipe_file_may_name_a_component_in_one_word(host, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('selector = "hardest"\nmatcher = "none"\n[evaluator]\nnetwork = "mlp"\n')
    recipe = resolve(host, Request(recipe=read_recipe(path)))
    assert (recipe["selector"].name, recipe["matcher"].name) == ("hardest", "none")
    assert recipe["evaluator"].options.network.component == "mlp"


def test_unknown_component_in_a_stage_of_a_method():
    class Odd:
        @hookimpl
        def condense_register_methods(self, register):
            register(Method("odd", "names nothing", {"selector": {"component": "nope"}}))

    host = build_host(external=False, extra=[Odd()])
    with pytest.raises(UnknownComponent, match="nope"):
        resolve(host, request("scorer=el2n", method="odd"))


def test_merge_changes_neither_side():
    base, over = {"network": {"component": "a", "w": 1}}, {"network": {"w": 2}}
    assert merge(base, over) == {"network": {"component": "a", "w": 2}}
    assert base == {"network": {"component": "a", "w": 1}}
    assert over == {"network": {"w": 2}}
    assert merge(base, {"network": "b"}) == {"network": {"component": "b"}}
    assert merge({"network": "a"}, {"network": {"w": 1}}) == {"network": {"component": "a", "w": 1}}


def test_a_preset_replaces_a_component_that_is_only_a_methods_default(host):
    published = {"preset": "paper-tiny-ipc50", "in_memory": True}
    assert resolve(host, request(**published))["scorer"].name == "forgetting"
    assert resolve(host, request(**published, method="window"))["scorer"].name == "forgetting"
    assert resolve(host, request("scorer=el2n", **published))["scorer"].name == "el2n"
    by_file = request(**published, recipe={"scorer": {"component": "cscore"}})
    assert resolve(host, by_file)["scorer"].name == "cscore"
    # but not one that makes the method what it is
    assert resolve(host, request(**published, method="mtt"))["selector"].name == "random"


def test_a_component_is_spelled_as_it_is_asked_for(host):
    for asked in ("digits", "sklearn:wine"):
        assert resolve(host, Request(data=asked))["data"].spelled == asked
