"""Presets hold what the paper's table says, say where each value is from, and fit their time."""

import pytest

from condense.published import flat, preset_differences
from condense.resolve import Request, resolve

# (data, ipc): alpha, beta, image lr, evaluation epochs — copied from the paper's table by hand
TABLE = {
    ("cifar10", 250): (0.6, 0.5, 1e3, 1000),
    ("cifar10", 500): (0.2, 0.3, 1e3, 500),
    ("cifar10", 1000): (0.1, 0.2, 1e4, 250),
    ("cifar10", 1500): (0.1, 0.2, 1e4, 167),
    ("cifar100", 25): (0.8, 0.8, 1e3, 1000),
    ("cifar100", 50): (0.6, 0.7, 1e3, 500),
    ("cifar100", 100): (0.3, 0.6, 1e3, 250),
    ("cifar100", 150): (0.2, 0.4, 1e3, 167),
    ("tiny", 50): (0.6, 0.8, 1e3, 500),
    ("tiny", 100): (0.5, 0.7, 1e3, 250),
}
CELLS = pytest.mark.parametrize(("data", "ipc"), TABLE)
HALF_AN_HOUR = 1800


def options(host, name):
    return flat(resolve(host, Request(preset=name, in_memory=True)))


@CELLS
def test_a_published_preset_is_the_papers_table(host, data, ipc):
    found = options(host, f"paper-{data}-ipc{ipc}")
    keys = ("policy.alpha", "selector.beta", "matcher.image_lr", "evaluator.epochs")
    assert tuple(found[key] for key in keys) == TABLE[data, ipc]
    tiny = data == "tiny"
    expected = {
        "ipc": ipc,
        "scorer.component": "forgetting" if tiny else "cscore",
        "matcher.network.depth": 4 if tiny else 3,
        "matcher.network.width": 128,
        "matcher.network.norm": "batch",
        "matcher.steps": 20 if tiny else 55,
        "matcher.batch_size": 125,
        "matcher.iterations": 10_000,
        "matcher.experts": 100,
        "matcher.max_start_epoch": 80,
        "matcher.expert_epochs": 2,
        "matcher.expert_lr": 0.01,
        "matcher.expert_momentum": 0,
        "matcher.expert_batch_size": 256,
        "matcher.expert_augmentation.component": "none",
        "matcher.image_momentum": 0.5,
        "matcher.step_size": 0.001,
        "matcher.step_size_lr": 1e-5,
        "matcher.step_size_momentum": 0.5,
        "matcher.augmentation.component": "dsa",
        "matcher.augmentation.per": "batch",
        "augmentation.component": "combined",
        "evaluator.network.component": "resnet18",
        "evaluator.batch_size": 128,
        "evaluator.lr": 0.1,
        "evaluator.momentum": 0.9,
        "evaluator.weight_decay": 5e-4,
        "evaluator.repeats": 5,
        "evaluator.steps": None,
    }
    assert {key: found[key] for key in expected} == expected


# iterations, image lr, networks evaluated; and of DC iterations and steps of a network — copied
# from the papers and the released code's table of loops by hand
MATCHING = {
    "paper-dm-cifar10-ipc1": (20_000, 1, 5),
    "paper-dm-cifar10-ipc10": (20_000, 1, 5),
    "paper-dm-cifar10-ipc50": (20_000, 1, 5),
    "paper-dm-cifar10-ipc500": (20_000, 10, 5),
    "paper-dm-cifar10-ipc1000": (20_000, 10, 5),
    "paper-dm-cifar100-ipc1": (20_000, 1, 5),
    "paper-dm-cifar100-ipc10": (20_000, 1, 5),
    "paper-dm-cifar100-ipc50": (20_000, 1, 5),
    "paper-dc-cifar10-ipc1": (1000, 0.1, 20, 1, 1),
    "paper-dc-cifar10-ipc10": (10_000, 0.1, 20, 10, 50),  # 100 samples are one step an epoch
    "paper-dc-cifar10-ipc50": (50_000, 0.1, 20, 50, 20),  # 500 are two
    "paper-dc-cifar100-ipc1": (1000, 0.1, 20, 1, 1),
    "paper-dc-cifar100-ipc10": (10_000, 0.1, 20, 10, 200),  # 1000 are four
}


@pytest.mark.parametrize("name", MATCHING)
def test_a_published_preset_of_dm_or_dc_is_its_papers(host, name):
    found = options(host, name)
    _, method, _, ipc = name.split("-")
    keys = ["matcher.iterations", "matcher.image_lr", "evaluator.repeats"]
    if method == "dc":
        keys += ["matcher.network_iterations", "matcher.network_steps"]
    assert tuple(found[key] for key in keys) == MATCHING[name]
    expected = {
        "ipc": int(ipc.removeprefix("ipc")),
        "selector.component": "random",
        "policy.component": "full",
        "matcher.component": {"dm": "distribution", "dc": "gradient"}[method],
        "matcher.real_per_class": 256,
        "matcher.image_momentum": 0.5,
        "augmentation.component": "dsa",
        "augmentation.per": "batch",
        "evaluator.epochs": 1000,
        "evaluator.batch_size": 256,
        "evaluator.lr": 0.01,
        "evaluator.momentum": 0.9,
        "evaluator.weight_decay": 5e-4,
        **{
            f"{stage}.network.{key}": value
            for stage in ("matcher", "evaluator")
            for key, value in {"width": 128, "depth": 3, "norm": "instance"}.items()
        },
    }
    assert {key: found[key] for key in expected} == expected
    assert {found.get("matcher.network_lr"), found.get("matcher.batch_size")} == (
        {0.01, 256} if method == "dc" else {None}
    )


def test_all_published_presets_are_held_against_a_table(host):
    names = {n for n in host.registry("preset").names() if n.startswith("paper-")}
    assert names == {*MATCHING, *(f"paper-{data}-ipc{ipc}" for data, ipc in TABLE)}


def test_a_preset_may_bring_its_method_and_another_one_may_be_asked_for(host):
    name = "paper-dm-cifar10-ipc10"
    assert resolve(host, Request(preset=name)).method == "dm"
    assert resolve(host, Request(preset=name, method="mtt")).method == "mtt"
    assert resolve(host, Request(preset=name, recipe={"method": "dc"})).method == "dc"
    assert resolve(host, Request(preset="quick")).method == "selmatch"


def test_every_value_says_where_it_is_from(host):
    for name in host.registry("preset").names():
        preset = host.registry("preset").get(name)
        if preset.published is not None:
            there = list(options(host, name))
            assert [option for option in there if not preset.source(option)] == [], name
            found = [*there, "data.norm", "data.*", "selector.unit"]
            for key in preset.sources:  # nothing is said of an option that does not exist
                assert key.endswith("*") or any(f"{o}.".startswith(f"{key}.") for o in found), key


@CELLS
def test_a_fast_twin_trains_less_and_evaluates_alike(host, data, ipc):
    request = Request(preset=f"fast-{data}-ipc{ipc}", in_memory=True)
    assert host.registry("preset").get(request.preset).published == f"paper-{data}-ipc{ipc}"
    differences = {d.option: (d.published, d.here) for d in preset_differences(host, request)}
    for option in ("matcher.experts", "matcher.iterations", "scorer.epochs"):
        published, here = differences.pop(option)
        assert here < published
    rest = {option for option in differences if not option.startswith("scorer.")}
    assert rest == ({"matcher.max_start_epoch", "evaluator.repeats"} if data == "tiny" else set())


@CELLS
def test_a_fast_twin_fits_half_an_hour_at_the_measured_times(host, data, ipc):
    """Expert epoch 0.39 s of 50 000 images, iteration 0.27 s of 55 steps, evaluation epoch 0.45 s
    of 5 000 images; a ConvNet's work grows with the pixels, ResNet-18's stem halves Tiny's."""
    found = options(host, f"fast-{data}-ipc{ipc}")
    tiny = data == "tiny"
    samples, classes = (100_000, 200) if tiny else (50_000, int(data.removeprefix("cifar")))
    pixels = 4 if tiny else 1
    epoch = 0.39 * samples / 50_000 * pixels
    last = found["matcher.max_start_epoch"] - 1 + found["matcher.expert_epochs"]
    seconds = {
        "scores": found["scorer.networks"] * found["scorer.epochs"] * epoch,
        "experts": found["matcher.experts"] * last * epoch,
        "matching": found["matcher.iterations"] * 0.27 * found["matcher.steps"] / 55 * pixels,
        "evaluation": found["evaluator.repeats"]
        * (found["evaluator.epochs"] + 1)
        * 0.45
        * (ipc * classes / 5_000),
    }
    assert 0.9 * HALF_AN_HOUR < sum(seconds.values()) < HALF_AN_HOUR, seconds


def test_differences_include_what_a_user_changed(host):
    request = Request(
        preset="paper-cifar100-ipc50",
        in_memory=True,
        ipc=10,
        assignments=((("selector", "beta"), 0.1), (("policy",), "full")),
    )
    found = {d.option: (d.published, d.here) for d in preset_differences(host, request)}
    assert found == {
        "ipc": (50, 10),
        "selector.beta": (0.7, 0.1),
        "policy.component": ("partial", "full"),
        "policy.alpha": (0.6, None),
    }
    assert preset_differences(host, Request(preset="quick")) == []
    assert preset_differences(host, Request(preset="paper-cifar100-ipc50", in_memory=True)) == []


def test_differences_do_not_depend_on_where_the_data_is(host):
    here = Request(preset="fast-tiny-ipc50", data="npz:/nowhere.npz")
    there = Request(preset="fast-tiny-ipc50", in_memory=True)
    assert preset_differences(host, here) == preset_differences(host, there)
