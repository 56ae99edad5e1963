"""``benchmarks/headline.py`` on digits at a tiny size: budget, resuming, kills, small files."""

import contextlib
import json
import math
import os
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import processes
import pytest
import safetensors.torch
import torch

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "benchmarks"
TINY = {
    "selector.width": None,  # no network for features, which tests shorten in their process alone
    "scorer.networks": 1,
    "scorer.epochs": 2,
    "scorer.network.width": 4,
    "matcher.iterations": 30,
    "matcher.experts": 1,
    "matcher.max_start_epoch": 2,
    "matcher.steps": 2,
    "matcher.network.width": 4,
    "evaluator.steps": 5,
    "evaluator.repeats": 2,
    "evaluator.network.width": 4,
}


def typed(value):
    return "null" if value is None else value


def flags(folder, *more, **options):
    given = {**TINY, **options}
    places = ["--work", str(folder / "work"), "--out", str(folder / "out.json")]
    assignments = [part for key, v in given.items() for part in ("-o", f"{key}={typed(v)}")]
    return ["--preset", "quick", "--threads", "1", "--device", "cpu", *places, *assignments, *more]


@pytest.fixture
def run(load, tmp_path, capsys):
    """A function that runs the benchmark and gives its document."""

    def call(*more, folder=tmp_path, **options):
        folder.mkdir(exist_ok=True)
        assert load("headline").main(flags(folder, *more, **options)) == 0
        capsys.readouterr()
        return json.loads((folder / "out.json").read_text())

    return call


@pytest.fixture
def budget_ends(load):
    """A context in which the clock strikes when a bar named so advances for the n-th time."""

    @contextlib.contextmanager
    def at(title, nth):
        module = load("headline")
        looks = []

        class Striking(module.Clock):
            def task(self, name, total, unit="it"):
                self.title = name
                return super().task(name, total, unit)

            def look(self):
                if getattr(self, "title", "").startswith(title):
                    looks.append(self.title)
                    if len(looks) == nth:
                        self.deadline = 0.0
                super().look()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "Clock", Striking)
            yield
        assert len(looks) >= nth

    return at


def values(document):
    return {arm: found["accuracy"]["values"] for arm, found in document["arms"].items()}


@pytest.fixture(scope="module")
def whole(load, tmp_path_factory):
    """The document of a run that nothing disturbed, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    assert load("headline").main(flags(folder)) == 0
    return json.loads((folder / "out.json").read_text()), folder


CHECKPOINTS = """
import sys
import condense.engine.matching.loop
condense.engine.matching.loop.CHECKPOINT_SECONDS = 0.0
import headline
headline.main(sys.argv[1:])
"""


def test_the_document_says_what_was_measured(whole):
    document, _ = whole
    assert document["complete"] is True
    assert list(document["arms"]) == ["selmatch", "window", "random", "mtt"]
    for arm, found in document["arms"].items():
        accuracy = found["accuracy"]
        assert accuracy["n"] == len(accuracy["values"]) == 2
        assert accuracy["mean"] == pytest.approx(sum(accuracy["values"]) / 2)
        assert accuracy["std"] == pytest.approx(
            abs(accuracy["values"][0] - accuracy["values"][1]) / 2**0.5
        )
        plain = arm in ("window", "random")
        assert set(found["tried"]) == ({"simple", "dsa"} if plain else {"combined"})
        assert accuracy["mean"] == max(t["mean"] for t in found["tried"].values())
    assert set(document["seconds"]) == {
        *("scores", "experts", "match selmatch", "match mtt"),
        *(f"evaluate {arm}" for arm in document["arms"]),
    }
    assert {"preset", "device", "commit", "published", "differences"} <= set(document)


def test_the_first_network_of_selmatch_is_that_of_a_run(whole, monkeypatch):
    from condense.api import bind
    from condense.engine.arms import condensed_plan, evaluate

    document, folder = whole
    monkeypatch.setenv("CONDENSE_STORE", str(folder / "work" / "store"))
    pipeline = bind("digits", options={**TINY, "evaluator.repeats": 1})
    found = evaluate(pipeline, condensed_plan(pipeline, pipeline.condensed))
    assert found.values[0] == document["arms"]["selmatch"]["accuracy"]["values"][0]


@pytest.mark.parametrize(("title", "nth"), [("training dyn", 3), ("matching", 2), ("evaluate", 7)])
def test_a_run_that_its_budget_ended_goes_on_to_the_same_result(
    run, budget_ends, whole, title, nth
):
    with budget_ends(title, nth):
        first = run()
    assert not first["complete"]
    assert set(first["arms"]) < set(whole[0]["arms"])
    again = run()
    assert again["complete"]
    assert values(again) == values(whole[0])  # to the bit: same machine, own store
    assert again["seconds"]["scores"] >= first["seconds"]["scores"]  # of both stays


def test_a_network_that_the_budget_would_cut_off_is_not_begun(run, load, monkeypatch):
    module = load("headline")
    clocks = []
    real = module.EvaluationStage.result.func

    def slow(stage):
        clocks.append(stage.bound.progress)
        found = real(stage)
        time.sleep(1.5)
        clocks[-1].deadline = time.monotonic() + 1.4  # less is left than this one took
        return found

    monkeypatch.setattr(module.EvaluationStage, "result", property(slow))
    document = run("--arms", "selmatch")
    assert [clock.deadline for clock in clocks] == [-math.inf]
    assert document["arms"]["selmatch"]["accuracy"]["n"] == 1
    assert document["complete"] is False


def test_no_budget_does_nothing_and_stops(run):
    document = run("--budget-minutes", "0")
    assert document["arms"] == {}
    assert document["complete"] is False


def test_parts_run_alone(run, whole, tmp_path):
    first = run("--only", "scores,experts")
    assert first["arms"] == {}
    assert set(first["seconds"]) == {"scores", "experts"}
    second = run("--only", "match", "--arms", "selmatch")
    assert "match selmatch" in second["seconds"]
    assert "match mtt" not in second["seconds"]
    third = run("--only", "evaluate")
    assert set(third["arms"]) == {"selmatch", "window", "random"}  # mtt is not matched yet
    expected = values(whole[0])
    assert values(third) == {arm: expected[arm] for arm in third["arms"]}


def test_complete_means_all_that_the_command_names(run, budget_ends, tmp_path):
    part = ["--arms", "selmatch", "--only", "scores,experts,match"]
    with budget_ends("matching", 2):
        assert run(*part)["complete"] is False
    assert run(*part)["complete"] is True
    assert run("--arms", "selmatch", "--only", "evaluate")["complete"] is True
    assert run("--only", "evaluate")["complete"] is False  # mtt is not matched


def test_the_document_names_every_stay(run):
    part = ["--arms", "window", "--only"]
    run(*part, "scores")
    second = run(*part, "evaluate")
    again = run(*part, "evaluate")
    assert again["command"] == second["commands"][1]
    assert [c.split()[-1] for c in again["commands"]] == ["scores", "evaluate"]
    assert again["commits"] == [again["commit"]]


@pytest.mark.parametrize("what", ["version", "device", "option"])
def test_stays_that_differ_do_not_belong_together(load, tmp_path, monkeypatch, what):
    def identity(**options):
        module = load("headline")
        return module.Headline(module.parse(flags(tmp_path, **options))).arms

    first, other = identity(), identity(**({"evaluator.steps": 6} if what == "option" else {}))
    assert identity().identity == first.identity
    if what == "device":
        monkeypatch.setattr(load("_arms"), "environment", lambda device: {"device": "another"})
    if what == "version":
        matcher = other.pipeline("mtt").recipe["matcher"].cls
        monkeypatch.setattr(matcher, "version", "of tomorrow", raising=False)
    assert other.identity != first.identity


def test_other_arms_keep_what_makes_them_what_they_are(load, tmp_path):
    swaps = ["selector=hardest", "policy=full", "matcher=none", "scorer=el2n", "augmentation=dsa"]
    more = [part for text in swaps for part in ("-o", text)]
    module = load("headline")
    arms = module.Headline(module.parse([*flags(tmp_path)[:8], *more])).arms

    def names(arm):
        stages = load("_arms").resolve(arms.host, arms.request(arm)).stages
        return [stages[s].name for s in ("selector", "policy", "matcher", "scorer", "augmentation")]

    shared = ["el2n", "dsa"]
    assert names("selmatch") == ["hardest", "full", "none", *shared]
    assert names("window") == ["window", "frozen", "none", *shared]
    assert names("random") == ["random", "frozen", "none", *shared]
    assert names("mtt") == ["random", "full", "trajectory", *shared]


def test_options_go_where_a_component_has_them(load, tmp_path):
    module = load("headline")
    given = ["-o", "scorer=el2n", "-o", "scorer.networks=3", "-o", "selector.beta=0.3"]
    arms = module.Headline(module.parse([*flags(tmp_path)[:8], *given])).arms

    def stages(arm):
        return load("_arms").resolve(arms.host, arms.request(arm)).stages

    assert stages("window")["selector"].options.beta == 0.3
    assert "beta" not in type(stages("random")["selector"].options).model_fields
    assert all(stages(arm)["scorer"].options.networks == 3 for arm in ("window", "mtt"))
    assert set(arms.departures) >= {"scorer.component", "selector.beta"}
    assert module.Headline(module.parse(["--preset", "quick"])).arms.departures == []


def departures(load, *given):
    module = load("headline")
    return module.Headline(module.parse(list(given))).arms.departures


def test_where_the_data_are_is_no_departure(load, tmp_path, monkeypatch, host):
    preset = ["--preset", "fast-cifar100-ipc50"]
    assert departures(load, *preset, "-o", f"data.root={tmp_path}") == []
    assert departures(load, *preset, "-o", "data.norm=own") == ["data.norm"]
    tiny = ["--preset", "fast-tiny-ipc50", "--data", f"tiny-imagenet:{tmp_path}"]
    assert departures(load, *tiny) == []

    def saved(name):
        images = np.zeros((6, 8, 8, 3), np.uint8)
        labels = np.array([0, 1, 2] * 2)
        arrays = {"train_images": images, "train_labels": labels}
        path = tmp_path / f"{name}.npz"
        np.savez(path, **arrays, test_images=images[:3], test_labels=labels[:3])
        return ["--data", f"npz:{path}"]

    cifar, other = saved("cifar100"), saved("other")
    assert departures(load, *preset, *cifar) == ["data.component"]  # 6 images are not CIFAR-100
    monkeypatch.setattr(load("_arms"), "SIZES", {"cifar100": (6, 3, 3)})
    assert departures(load, *preset, *cifar) == []
    assert departures(load, *preset, *other) == ["data.component"]
    assert departures(load, *preset, *cifar, "-o", "data.norm=own") == ["data.norm"]


def test_a_trial_does_not_write_over_the_presets_result(load):
    module = load("headline")

    def name(*given):
        return module.Headline(module.parse(["--preset", "quick", *given])).out.name

    plain = name()
    assert re.fullmatch(r"headline-quick-s0-\w+\.json", plain)
    assert name("--threads", "1") == plain
    trial = name("-o", "selector.beta=0.3")
    assert re.fullmatch(r"headline-quick-[0-9a-f]{8}-s0-\w+\.json", trial)
    assert len({plain, trial, name("-o", "selector.beta=0.2"), name("--ipc", "9")}) == 4


def test_a_copy_without_git_is_told_its_commit(load, monkeypatch, tmp_path):
    common = load("_common")
    monkeypatch.setenv("CONDENSE_COMMIT", "0123abc")
    monkeypatch.setattr(common, "HERE", tmp_path)
    assert common.commit() == "0123abc"
    monkeypatch.setenv("PATH", str(tmp_path))  # nor is there a git
    assert common.commit() == "0123abc"
    monkeypatch.delenv("CONDENSE_COMMIT")
    assert common.commit() is None


def test_a_run_that_writes_its_results_is_not_one_of_changed_files(load, monkeypatch, tmp_path):
    common, here = load("_common"), tmp_path / "benchmarks"
    results = here / "results" / "headline.json"
    results.parent.mkdir(parents=True)
    results.write_text("{}")
    (tmp_path / "code.py").write_text("")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=n@localhost"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(common, "HERE", here)
    clean = common.commit()
    assert re.fullmatch("[0-9a-f]{12}", clean)
    results.write_text("{} ")
    assert common.commit() == clean
    (tmp_path / "code.py").write_text("changed")
    assert common.commit() == f"{clean}-dirty"


def test_a_killed_matching_goes_on_from_its_checkpoint(run, whole, tmp_path):
    """SIGKILL once a checkpoint is there; the rest then needs fewer iterations than a whole run."""
    words = flags(tmp_path, "--only", "scores,experts,match")
    process = processes.start(CHECKPOINTS, *words, env=os.environ | {"PYTHONPATH": str(FOLDER)})
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("work/store/matching/*.partial")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert values(run())["selmatch"] == values(whole[0])["selmatch"]


class TestKeep:
    """A machine that is given back: only the folder of small files goes on."""

    def test_every_stay_trains_on_the_same_bits(self, run, budget_ends, tmp_path):
        kept = ["--keep", str(tmp_path / "kept"), "--arms", "selmatch,window"]
        undisturbed = run("--keep", str(tmp_path / "k0"), *kept[2:], folder=tmp_path / "a")
        with budget_ends("matching", 2):
            run(*kept, folder=tmp_path / "b")
        assert list((tmp_path / "kept").glob("selmatch.0*.safetensors"))
        with budget_ends("evaluate", 3):
            run(*kept, folder=tmp_path / "c")  # another machine: no store
        assert [f.name for f in (tmp_path / "kept").glob("selmatch.*")] == [
            "selmatch.final.0of1.safetensors"
        ]
        last = run(*kept, folder=tmp_path / "d")
        assert last["complete"]
        assert set(last["seconds"]) == set(undisturbed["seconds"])
        assert values(last)["window"] == values(undisturbed)["window"]  # scores are kept exactly
        sizes = [f.stat().st_size for f in (tmp_path / "kept").rglob("*") if f.is_file()]
        assert max(sizes) < 16 * 2**20

    @pytest.mark.parametrize(
        ("options", "of"),
        [
            (["matcher.image_ema=0"], "distilled"),
            (["matcher.image_ema=0.9"], "distilled"),
            (["policy=learned-labels"], "label_logits"),
            (["policy=learned-labels", "policy.alpha=0"], "label_logits"),
        ],
    )
    def test_a_continued_matching_differs_by_float16_rounding_alone(
        self, run, budget_ends, tmp_path, options, of
    ):
        """Of a run that went through half precision half-way, and of one that did not."""
        more = ["--arms", "selmatch", "--only", "match", "-o", "matcher.image_lr=1"]
        more += ["-o", "selector.beta=0.5", "-o", "selector.width=null"]
        more += [word for option in options for word in ("-o", option)]
        run(*more, folder=tmp_path / "a")
        kept = ["--keep", str(tmp_path / "kept"), *more]
        with budget_ends("matching", 2):
            run(*kept, folder=tmp_path / "b")
        run(*kept, folder=tmp_path / "c")
        exact, rounded = (matched(tmp_path / name)[of] for name in "ac")
        assert not torch.equal(exact, rounded)
        assert (exact - rounded).abs().max() < 1e-3 * exact.abs().max()

    @pytest.mark.parametrize("only", ["match", "evaluate"])
    def test_what_was_matched_before_it_was_kept_is_rounded_and_kept(
        self, load, run, tmp_path, only
    ):
        part = ["--arms", "selmatch", "-o", "evaluator.repeats=1", "--only"]
        run(*part, "match", folder=tmp_path / "a")
        exact = distilled(tmp_path / "a")
        kept = ["--keep", str(tmp_path / "kept")]
        first = run(*kept, *part, only, folder=tmp_path / "a")
        assert list((tmp_path / "kept").glob("selmatch.final.*"))
        keep = load("_keep")
        rounded = keep.unpacked(keep.packed({"x": exact}))["x"]
        assert not torch.equal(rounded, exact)
        assert torch.equal(distilled(tmp_path / "a"), rounded)
        second = run(*kept, *part, "evaluate", folder=tmp_path / "b")  # another machine
        assert torch.equal(distilled(tmp_path / "b"), rounded)
        if only == "evaluate":
            assert values(second) == values(first)

    def test_tensors_survive_packing_and_cutting(self, load):
        keep = load("_keep")
        rng = torch.Generator().manual_seed(0)
        images = torch.randn(100, 3, 8, 8, generator=rng)
        tensors = {
            "inputs": images,
            "image_momentum": images * 1e-9,  # far below float16's least
            "step_size": torch.tensor(0.01),
            "rng": torch.arange(256).to(torch.uint8),
        }
        pieces = keep.parts(keep.packed(tensors), limit=10_000)
        assert len(pieces) > 4
        assert all(sum(t.nbytes for t in piece.values()) <= 10_000 for piece in pieces)
        back = keep.unpacked(keep.joined(pieces))
        assert set(back) == set(tensors)
        for name in ("step_size", "rng"):
            assert torch.equal(back[name], tensors[name])
        for name in ("inputs", "image_momentum"):
            error = (back[name] - tensors[name]).abs().max() / tensors[name].abs().max()
            assert 0 < error <= 2**-11

    def test_momentum_is_left_out_where_there_is_no_room(self, load):
        keep = load("_keep")
        images = torch.zeros(1000, 100)
        tensors = keep.packed({"inputs": images, "image_momentum": images, "rng": images[0]})
        full = keep._size(tensors)
        assert set(keep.fitting(tensors, full)) == set(tensors)
        assert set(keep.fitting(tensors, full - 1)) == {"inputs", "inputs/scale", "rng"}


def matched(folder):
    (entry,) = folder.glob("work/store/matching/*/tensors.safetensors")
    return safetensors.torch.load_file(entry)


def distilled(folder):
    return matched(folder)["distilled"]


def test_a_validation_part_takes_the_test_splits_place(run, whole):
    document = run("--validation", "0.25", "--arms", "random")
    assert document["validation"] == 0.25
    assert document["samples"] < whole[0]["samples"]
    n = whole[0]["samples"] - document["samples"]
    for value in document["arms"]["random"]["accuracy"]["values"]:
        assert value * n == pytest.approx(round(value * n))  # shares of the held-out samples


def test_a_wrong_option_is_one_line(load, tmp_path, capsys):
    assert load("headline").main(flags(tmp_path, **{"matcher.itrations": 3})) == 1
    assert "itrations" in capsys.readouterr().err
