"""The stages in order, on real digits with tiny settings: reproducible, cached, honest."""

import contextlib
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import Field

import condense.data
import condense.engine.matching.loop
from condense import Options
from condense.data import LabeledData, Normalization, Role
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.ingest.from_user import labeled_data
from condense.engine.pipeline import Pipeline
from condense.engine.run import run
from condense.engine.runtime.progress import SilentProgress, SilentTask
from condense.engine.runtime.store import Store
from condense.errors import BrokenPlugin, CapacityError, DataError
from condense.interfaces import Scores, Selection
from condense.options import assignments_of
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.resolve import Request, resolve
from condense.results import Evaluation
from condense.testing.toys import Notes

METHODS = {  # distilled samples of 5 a class, with α = 0.8 of the preset: ⌊0.8·5⌋ = 4
    "selmatch": 4,
    "mtt": 5,
    "random": 0,
    "window": 0,
    "random-partial": 4,
    "window-full": 5,
    "tdds": 0,
}


@pytest.fixture
def pipeline(tmp_path, host, tiny):
    """Makes a pipeline under tiny options; ``store`` names a folder, so stores can be fresh."""

    def make(method="selmatch", *, store="store", data=None, plugins=None, progress=None, **more):
        fields = {k: more.pop(k) for k in ("ipc", "fraction", "seed") if k in more}
        options = {**tiny, **more.pop("options", {})}
        assert not more
        if method in ("random", "window", "tdds"):
            options = {k: v for k, v in options.items() if not k.startswith("matcher.")}
        used = plugins or host
        asked = Request(method=method, assignments=assignments_of(options), **fields)
        return Pipeline(
            resolve(used, asked),
            used,
            store=Store(tmp_path / store),
            device=torch.device("cpu"),
            progress=progress or SilentProgress(),
            data=data,
        )

    return make


class _Dropping(torch.nn.Module):
    """Drops three quarters of its inputs in training, by a function and no module."""

    def __init__(self, geometry):
        super().__init__()
        self.last = torch.nn.Linear(math.prod(geometry.shape), geometry.classes)

    def forward(self, inputs):
        return self.last(torch.nn.functional.dropout(inputs.flatten(1), 0.75, self.training))


class _DroppingNetwork:
    """A network with dropout."""

    name, version = "dropping", "1"

    class Options(Options):
        width: int = Field(1, description="of no effect")

    def __init__(self, options):
        self.options = options

    def build(self, geometry):
        return _Dropping(geometry)


def test_a_network_with_dropout_is_trained_alike_whatever_was_drawn_before(pipeline, tmp_path):
    class Module:
        @staticmethod
        @hookimpl
        def condense_register_networks(register):
            register(_DroppingNetwork)

    plugins, accuracies = build_host(external=False, extra=[Module]), []
    options = {"evaluator.network": "dropping", "evaluator.steps": 20}
    for name, seed in (("one", 5), ("two", 6)):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        line = pipeline("random", plugins=plugins, store=name, options=options)
        accuracies.append(run(line, tmp_path / f"out-{name}", False).accuracy.values)
        assert torch.equal(torch.get_rng_state(), before)
    assert accuracies[0] == accuracies[1]


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(Path(folder).rglob("*"))
        if p.is_file() and p.name != "run.log.json"
    }


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_by_swapping_the_one_word(pipeline, tmp_path, method, digits):
    result = run(pipeline(method, options={"scorer.epochs": 3}), tmp_path / "out", False)
    small = CondensedDataset.load(tmp_path / "out")
    assert len(small) == 50
    assert torch.bincount(small.labels).tolist() == [5] * 10
    assert torch.bincount(small.labels[small.distilled], minlength=10).tolist() == (
        [METHODS[method]] * 10
    )
    assert torch.equal(digits.labels[small.source_index], small.labels)
    assert len(set(small.source_index.tolist())) == 50
    assert len(small.trace.loss) == (3 if METHODS[method] else 0)
    assert (small.step_size is not None) == bool(METHODS[method])
    moved = (small.inputs[small.distilled] - sources(small)[small.distilled]).abs()
    assert not METHODS[method] or float(moved.max()) > 0
    assert small.source_unchanged()
    assert torch.equal(
        small.images[~small.distilled], digits.inputs[small.source_index][real(small)]
    )
    assert len(result.accuracy.values) == 2
    assert all(0 <= v <= 1 for v in result.accuracy.values)
    assert ("scorer" in result.stages) == (method in ("selmatch", "window", "window-full", "tdds"))


def real(small):
    return small.role == Role.REAL


def sources(small):
    """What the samples started from, as a network sees them; worked out here."""
    mean, std = torch.tensor(small.normalization.mean), torch.tensor(small.normalization.std)
    return ((small.source_inputs.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def test_equal_seeds_and_empty_stores_give_equal_bytes(pipeline, tmp_path):
    for name in ("one", "two"):
        run(pipeline(store=name, seed=3), tmp_path / f"out-{name}", True)
    one, two = contents(tmp_path / "out-one"), contents(tmp_path / "out-two")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    wanted = {"condensed.safetensors", "manifest.json", "recipe.toml", "trace.csv", "preview.png"}
    assert wanted <= one.keys()
    run(pipeline(store="one", seed=4), tmp_path / "out-four", False)
    four = contents(tmp_path / "out-four")
    assert four["condensed.safetensors"] != one["condensed.safetensors"]
    assert (tmp_path / "out-one" / "run.log.json").is_file()


def test_the_second_run_is_cached_whole(pipeline, tmp_path):
    first = run(pipeline(), tmp_path / "out", True)
    before = contents(tmp_path / "out")
    assert first.stages.keys() >= {"scorer", "selector", "matcher", "evaluator", "random", "whole"}
    assert not any(stage.cached for stage in first.stages.values())
    second = run(pipeline(), tmp_path / "out", True)
    assert contents(tmp_path / "out") == before
    assert list(second.stages) == list(first.stages)  # prepare too, which was not looked up
    assert second.stages["prepare"].seconds == 0
    assert all(stage.cached for stage in second.stages.values())
    assert second.accuracy.values == first.accuracy.values
    assert second.accuracy.seconds == first.accuracy.seconds  # what it took when it was done


def entries(store, kind):
    return {
        e.key: (e.path / "entry.json").stat().st_mtime_ns for e in store.entries() if e.kind == kind
    }


def test_another_alpha_uses_the_scores_and_the_experts_again(pipeline):
    first = pipeline(options={"policy.alpha": 0.6})
    one = first.condensed
    before = {kind: entries(first.store, kind) for kind in ("scores", "dynamics", "experts")}
    assert all(before.values())
    second = pipeline(options={"policy.alpha": 0.2})
    other = second.condensed
    assert int(one.distilled.sum()) == 30
    assert int(other.distilled.sum()) == 10
    assert second.timings["scorer"].cached
    assert second.timings["selector"].cached
    assert not second.timings["matcher"].cached
    assert {kind: entries(second.store, kind) for kind in before} == before


DEPENDS = {  # what changes → the first stage that must run again
    "scorer.lr": (0.04, "scorer"),
    "scorer.network.width": (9, "scorer"),
    "selector.beta": (0.3, "selector"),
    "policy.alpha": (0.4, "matcher"),
    "matcher.image_lr": (29.0, "matcher"),
    "matcher.augmentation": ("none", "matcher"),
    "evaluator.lr": (0.04, "evaluator"),
    "evaluator.network.width": (9, "evaluator"),
    "augmentation": ("simple", "evaluator"),
    "augmentation.padding": (0.3, "evaluator"),
}
ORDER = ("scorer", "selector", "matcher", "evaluator")


def test_every_result_is_stored_under_all_it_depends_on(pipeline, tmp_path, digits):
    run(pipeline(data=digits), tmp_path / "out", True, force=True)
    for key, (value, stage) in DEPENDS.items():
        again = run(pipeline(data=digits, options={key: value}), tmp_path / "out", True, force=True)
        cached = {name: time.cached for name, time in again.stages.items()}
        expected = {name: ORDER.index(name) < ORDER.index(stage) for name in ORDER}
        assert {name: cached[name] for name in ORDER} == expected, key
    fewer = replace(digits, test=digits.test.subset(torch.arange(300)))
    cached = {
        n: t.cached
        for n, t in run(pipeline(data=fewer), tmp_path / "o", True, force=True).stages.items()
    }
    assert [name for name, hit in cached.items() if not hit] == ["evaluator", "random", "whole"]
    other = run(pipeline(data=digits, seed=1), tmp_path / "o", True, force=True).stages
    assert not any(time.cached for time in other.values())
    inverted = replace(digits, inputs=255 - digits.inputs)
    other = run(pipeline(data=inverted), tmp_path / "o", True, force=True).stages
    assert not any(time.cached for time in other.values())


def test_selmatch_with_alpha_1_and_a_random_start_is_mtt(pipeline):
    options = {"policy.alpha": 1.0, "selector": "random"}
    ours, theirs = pipeline("selmatch", store="a", options=options), pipeline("mtt", store="b")
    one, two = ours.condensed, theirs.condensed
    for name in ("inputs", "labels", "role", "source_index"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
    assert one.step_size == two.step_size
    assert one.trace == two.trace
    from condense.engine.arms import condensed_plan, evaluate

    values = [evaluate(p, condensed_plan(p, p.condensed)).values for p in (ours, theirs)]
    assert values[0] == values[1]


@pytest.mark.parametrize(
    "change",
    [
        {"policy": "full"},
        {"policy.alpha": 0.2},
        {"matcher": "none"},
        {"matcher.steps": 1},
        {"evaluator.network": "mlp"},
        {"augmentation": "simple"},
    ],
    ids=lambda c: "-".join(map(str, *c.items())),
)
def test_swapping_a_later_component_leaves_the_selection(pipeline, change):
    base = pipeline(store="a").selection.indices
    (key,) = change
    if key == "matcher":
        other = pipeline("window", store="b", options=change)
    elif key == "evaluator.network":
        other = pipeline(store="b", options={**change, "evaluator.network.width": 16})
    else:
        other = pipeline(store="b", options=change)
    assert torch.equal(other.selection.indices, base)


def test_swapping_the_selector_leaves_the_scores(pipeline):
    one = pipeline(store="a").scores
    two = pipeline(store="b", options={"selector": "hardest"}).scores
    assert torch.equal(one.values, two.values)


def test_swapping_the_scorer_leaves_a_random_selection(pipeline):
    base = pipeline("random", store="a")
    other = pipeline("random", store="b", options={"scorer": "el2n"})
    assert torch.equal(base.selection.indices, other.selection.indices)
    assert "scorer" not in base.timings


def test_swapping_the_evaluator_leaves_the_condensed_set(pipeline):
    other = {"evaluator.network": "mlp", "evaluator.steps": 7, "augmentation": "none"}
    one, two = pipeline(store="a").condensed, pipeline(store="b", options=other).condensed
    assert one.content_fingerprint == two.content_fingerprint


def test_frozen_samples_stay_their_sources_over_many_iterations(pipeline, digits):
    options = {"matcher.iterations": 50, "matcher.steps": 1, "matcher.image_momentum": 0.9}
    small = pipeline(options=options).condensed
    assert small.source_unchanged()
    assert int(real(small).sum()) == 10
    pixels = digits.inputs[small.source_index]
    assert torch.equal(small.images[real(small)], pixels[real(small)])
    assert torch.allclose(small.inputs[real(small)], sources(small)[real(small)], atol=1e-5)
    moved = (small.inputs - sources(small)).abs().amax((1, 2, 3))
    assert float(moved[small.distilled].min()) > 1e-4


def test_the_test_split_is_never_seen(pipeline, digits):
    garbage = replace(
        digits.test,
        inputs=255 - digits.test.inputs[:100],
        labels=(digits.test.labels[:100] + 3) % 10,
    )
    one = pipeline(store="a", data=digits).condensed
    two = pipeline(store="b", data=replace(digits, test=garbage)).condensed
    none = pipeline(store="c", data=replace(digits, test=None)).condensed
    assert one.to_bytes() == two.to_bytes() == none.to_bytes()


class Spy:
    """A scorer, a selector and an evaluator that look at what they are given."""

    def __init__(self):
        self.seen = []
        spy = self

        class SpyScorer:
            """Looks."""

            name, version = "spy", "1"

            class Options(Options):
                give: str = Field("good", description="what to return")

            def __init__(self, options):
                self.options = options

            def score(self, data, context, rng):
                spy.seen.append(("scorer", data.test))
                values = torch.rand(len(data), generator=rng)
                return {
                    "good": lambda: values,
                    "short": lambda: values[1:],
                    "square": lambda: values[:, None],
                    "nan": lambda: values.index_fill(0, torch.tensor([7]), float("nan")),
                    "infinite": lambda: values.index_fill(0, torch.tensor([7]), float("-inf")),
                    "changes": lambda: (data.inputs.fill_(0), values)[1],
                    "scores-nan": lambda: Scores(values * float("nan"), "x"),
                    "nothing": lambda: None,
                    "companions": lambda: Scores(
                        values,
                        "x",
                        standard_error=values.double() / 4,
                        companions={"aum": values - 1, "half": values / 2},
                    ),
                    "short-companion": lambda: Scores(values, "x", companions={"aum": values[1:]}),
                    "nan-error": lambda: Scores(values, "x", standard_error=values * float("nan")),
                    "square-error": lambda: Scores(values, "x", standard_error=values[:, None]),
                    "narrow-logits": lambda: Scores(values, "x", logits=values[:, None]),
                }[self.options.give]()

        class SpySelector:
            """Looks."""

            name, version = "spy", "1"
            needs_scores = False

            class Options(Options):
                give: str = Field("good", description="what to return")

            def __init__(self, options):
                self.options = options

            def select(self, data, scores, budget, context, rng):
                spy.seen.append(("selector", data.test))
                spy.given = scores, context
                first = [data.class_indices(c)[:n] for c, n in enumerate(budget.counts(data))]
                good = Selection.of_classes(first)
                return {
                    "good": lambda: good,
                    "short": lambda: Selection.of_classes([part[1:] for part in first]),
                    "twice": lambda: Selection.of_classes([part[:1].repeat(5) for part in first]),
                    "floats": lambda: replace(good, indices=good.indices.float()),
                    "outside": lambda: replace(good, indices=good.indices + 10_000),
                    "ungrouped": lambda: replace(
                        good, indices=good.indices.flip(0), labels=good.labels.flip(0)
                    ),
                    "nothing": lambda: None,
                }[self.options.give]()

        self.components = SpyScorer, SpySelector

    @hookimpl
    def condense_register_scorers(self, register):
        register(self.components[0])

    @hookimpl
    def condense_register_selectors(self, register):
        register(self.components[1])


@pytest.fixture
def spy():
    return Spy()


@pytest.fixture
def bare(host, tmp_path, spy):
    """A pipeline of method ``random`` or ``window`` with the spy's components."""

    def make(method, options, data):
        plugins = build_host(external=False, extra=[spy])
        return Pipeline(
            resolve(plugins, Request(method=method, assignments=assignments_of(options))),
            plugins,
            store=Store(tmp_path / "store"),
            device=torch.device("cpu"),
            progress=SilentProgress(),
            data=data,
        )

    return make


def test_components_get_the_training_split_alone(bare, spy, digits):
    assert digits.test is not None
    assert len(bare("window", {"scorer": "spy"}, digits).condensed) == 50
    assert len(bare("random", {"selector": "spy"}, digits).condensed) == 50
    assert spy.seen == [("scorer", None), ("selector", None)]


def test_companions_and_the_context_reach_the_selector_from_the_store_too(bare, spy, digits):
    spy.components[1].needs_scores = True
    options = {"scorer": "spy", "scorer.give": "companions", "selector": "spy"}
    first = bare("window", options, digits)
    other = bare("window", options | {"scorer.give": "good"}, digits)
    assert first.selecting.key() != other.selecting.key()
    again = bare("window", options | {"selector.give": "short"}, digits)
    for made in (first, again):
        with contextlib.suppress(BrokenPlugin):
            made.selection  # noqa: B018
        scores, context = spy.given
        assert torch.equal(scores.companions["aum"], scores.values - 1)
        assert torch.equal(scores.companions["half"], scores.values / 2)
        assert torch.equal(scores.standard_error, scores.values / 4)
        assert context is made.context
    assert [who for who, _ in spy.seen].count("scorer") == 2  # of two options, not of three runs


def test_a_context_gives_features(bare, digits):
    context = bare("random", {}, digits).context
    rows = LabeledData(
        torch.randn(6, 4), digits.labels[:6], digits.classes, Normalization((0.0,), (1.0,))
    )
    assert torch.equal(context.features(rows, torch.Generator()), rows.inputs)


@pytest.mark.parametrize(
    ("give", "parts"),
    [
        ("short", ["(1436,)", "(1437,)"]),
        ("square", ["(1437, 1)"]),
        ("nan", ["sample 7", "nan"]),
        ("infinite", ["sample 7", "-inf"]),
        ("changes", ["changed the data"]),
        ("scores-nan", ["nan"]),
        ("nothing", ["None"]),
        ("short-companion", ["companion aum float32 (1436,)"]),
        ("nan-error", ["a standard error float32 (1437,), expected finite floats (1437,)"]),
        ("square-error", ["a standard error float32 (1437, 1)"]),
        ("narrow-logits", ["logits float32 (1437, 1)", "(1437, 10)"]),
    ],
)
def test_a_wrong_scorer_is_named_and_nothing_of_it_is_kept(bare, digits, give, parts):
    data = replace(digits, inputs=digits.inputs.clone())
    made = bare("window", {"scorer": "spy", "scorer.give": give}, data)
    with pytest.raises(BrokenPlugin) as caught:
        made.condensed  # noqa: B018
    for part in ["scorer 'spy'", *parts]:
        assert part in str(caught.value)
    assert made.store.entries() == []


@pytest.mark.parametrize(
    ("give", "part"),
    [
        ("short", "4, 4"),
        ("twice", "twice"),
        ("floats", "float32"),
        ("outside", "outside"),
        ("ungrouped", "group"),
        ("nothing", "None"),
    ],
)
def test_a_wrong_selector_is_named_and_nothing_of_it_is_kept(bare, digits, give, part):
    made = bare("random", {"selector": "spy", "selector.give": give}, digits)
    with pytest.raises(BrokenPlugin) as caught:
        made.condensed  # noqa: B018
    assert "selector 'spy'" in str(caught.value)
    assert part in str(caught.value)
    assert made.store.entries() == []


def test_data_without_a_test_split_runs_without_an_accuracy(pipeline, tiny_images, tmp_path):
    notes = Notes()
    made = pipeline("random", data=replace(tiny_images, test=None), progress=notes)
    result = run(made, tmp_path / "out", True)
    assert result.accuracy is None
    assert result.baselines == {}
    document = json.loads(json.dumps(result.to_json()))
    assert document["accuracy"] is None
    assert document["baselines"] == {}
    assert len(CondensedDataset.load(tmp_path / "out")) == 15
    assert len(notes.lines) == 1
    assert "no test split" in notes.lines[0]


@pytest.fixture(scope="module")
def uneven():
    """Classes of 40, 25, 10 and 3 noise images."""
    sizes = (40, 25, 10, 3)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (sum(sizes), 8, 8, 1), dtype=np.uint8)
    return labeled_data(images, np.repeat(np.arange(4), sizes), name="uneven")


@pytest.mark.parametrize("method", ["random", "window", "selmatch"])
def test_a_fraction_keeps_its_share_of_every_class(pipeline, uneven, method):
    options = {"selector.beta": 0.3} if method != "random" else {}
    if method == "selmatch":
        options["policy.alpha"] = 0.6
    small = pipeline(method, data=uneven, fraction=0.1, options=options).condensed
    assert torch.bincount(small.labels).tolist() == [4, 2, 1, 1]
    distilled = torch.bincount(small.labels[small.distilled], minlength=4).tolist()
    assert distilled == ([2, 1, 0, 0] if method == "selmatch" else [0] * 4)  # ⌊0.6·n⌋


def test_an_ipc_that_a_class_cannot_meet_is_refused_before_any_work(pipeline, uneven, tmp_path):
    made = pipeline(data=uneven, ipc=4)
    with pytest.raises(DataError, match=r"class 3 has 3 samples in \w+, ipc 4"):
        run(made, tmp_path / "out", False)
    assert not (tmp_path / "out").exists()
    assert made.store.entries() == []


class Interrupt(SilentProgress):
    """Raises KeyboardInterrupt at the ``at``-th report of the task called ``title``."""

    def __init__(self, title="", at=0):
        self.title, self.at = title, at
        self.reports = []

    def task(self, title, total, unit="it"):
        progress = self

        class Task(SilentTask):
            def __enter__(self):
                return self

            def __exit__(self, *error):
                return None

            def advance(self, n=1, **figures):
                progress.reports.append((title, n))
                if title == progress.title and progress.count(title) == progress.at:
                    raise KeyboardInterrupt

        return Task()

    def count(self, title):
        return sum(1 for name, _ in self.reports if name == title)


LONG = {"matcher.iterations": 40, "matcher.steps": 1, "matcher.snapshots": [5, 25]}


@pytest.mark.parametrize(
    ("title", "at"), [("matching", 4), ("training dynamics", 20), ("experts", 3)]
)
def test_an_interrupted_run_is_continued_to_the_same_bytes(
    pipeline, tmp_path, monkeypatch, title, at
):
    monkeypatch.setattr(condense.engine.matching.loop, "CHECKPOINT_SECONDS", 0.0)
    run(pipeline(store="whole", options=LONG), tmp_path / "whole-out", False)
    stopped = pipeline(store="stopped", options=LONG, progress=Interrupt(title, at))
    with pytest.raises(KeyboardInterrupt):
        run(stopped, tmp_path / "out", False)
    assert not (tmp_path / "out").exists()
    watch = Interrupt()
    again = pipeline(store="stopped", options=LONG, progress=watch)
    run(again, tmp_path / "out", False)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole-out")
    # reports: where it starts, then every 10 iterations; stopped in the report of iteration 30
    steps = [n for name, n in watch.reports if name == "matching"]
    assert steps == ([29, 1, 10] if title == "matching" else [0, 10, 10, 10, 10])
    assert list(again.store.root.rglob("*.partial")) == []
    assert CondensedDataset.load(tmp_path / "out").snapshots.keys() == {5, 25}


def test_scores_interrupted_in_the_second_network_go_on_after_the_first(pipeline, tmp_path):
    two = {"scorer.networks": 2, "scorer.epochs": 3}  # of 23 steps each
    run(pipeline("tdds", store="whole", options=two), tmp_path / "whole-out", False)
    stopped = pipeline(
        "tdds", store="stopped", options=two, progress=Interrupt("training dynamics", 90)
    )
    with pytest.raises(KeyboardInterrupt):
        run(stopped, tmp_path / "out", False)
    watch = Interrupt()
    run(pipeline("tdds", store="stopped", options=two, progress=watch), tmp_path / "out", False)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole-out")
    assert watch.count("training dynamics") == 3 * 23


def test_a_damaged_checkpoint_is_not_trusted(pipeline, tmp_path, monkeypatch):
    monkeypatch.setattr(condense.engine.matching.loop, "CHECKPOINT_SECONDS", 0.0)
    stopped = pipeline(store="stopped", options=LONG, progress=Interrupt("matching", 4))
    with pytest.raises(KeyboardInterrupt):
        stopped.condensed  # noqa: B018
    (partial,) = stopped.store.root.rglob("*.partial")
    partial.write_bytes(partial.read_bytes()[:-40])
    again = pipeline(store="stopped", options=LONG).condensed
    assert again.to_bytes() == pipeline(store="whole", options=LONG).condensed.to_bytes()


def test_accuracy_is_mean_and_sample_deviation():
    result = Evaluation((0.9, 0.94, 0.95))
    assert result.mean == pytest.approx(0.93)
    assert result.std == pytest.approx((0.0009 + 0.0001 + 0.0004) ** 0.5 / 2**0.5)
    assert Evaluation((0.5,)).std == 0.0


@pytest.mark.parametrize(
    ("data", "error", "told"),
    [
        ("folder:/photos", MemoryError("12 GiB"), "set a smaller `data.resize=N`, or give fewer"),
        ("digits", RuntimeError("DefaultCPUAllocator: can't allocate memory"), "give fewer or"),
    ],
)
def test_too_little_memory_for_the_data_says_what_would_help(
    host, tmp_path, monkeypatch, data, error, told
):
    def load(self, context):
        raise error

    recipe = resolve(host, Request(data=data))
    monkeypatch.setattr(recipe["data"].cls, "load", load)
    tools = {"store": Store(tmp_path), "device": torch.device("cpu"), "progress": SilentProgress()}
    with pytest.raises(CapacityError, match="out of memory while loading data") as caught:
        Pipeline(recipe, host, **tools).data  # noqa: B018
    assert told in str(caught.value)
    assert "matcher" not in str(caught.value)


@pytest.mark.parametrize("option", ["evaluator.at_once", "matcher.experts_at_once"])
def test_options_of_speed_alone_are_in_no_key(tiny, option):
    from condense.api import bind
    from condense.engine.arms import random_plan
    from condense.engine.stages.evaluation import EvaluationStage

    plain, quicker = (bind("digits", options=tiny | more) for more in ({}, {option: 3}))
    keys = [EvaluationStage(p, random_plan(p)).keys() for p in (plain, quicker)]
    assert plain.recipe.to_dict() != quicker.recipe.to_dict()
    assert keys[0] == keys[1]
    assert plain.component_key("matcher") == quicker.component_key("matcher")


def test_images_thrown_far_away_are_noted(tiny):
    from condense.api import bind

    progress = Notes()
    bind("digits", options=tiny | {"matcher.image_lr": 1e12}, progress=progress).condensed  # noqa: B018
    assert any("times the pixel range" in note for note in progress.lines)
    progress.lines.clear()
    bind("digits", options=tiny, progress=progress).condensed  # noqa: B018
    assert progress.lines == []


def test_data_are_hashed_once_a_run(pipeline, tmp_path, monkeypatch):
    hashed = []

    def digest(*tensors, extra=(), inner=condense.data.content_digest):
        hashed.extend(len(t) for t in tensors if t.dim() == 4)
        return inner(*tensors, extra=extra)

    for module in [m for n, m in sys.modules.items() if n.startswith("condense")]:
        if hasattr(module, "content_digest"):
            monkeypatch.setattr(module, "content_digest", digest)
    run(pipeline(), tmp_path / "out", True)
    assert (hashed.count(1437), hashed.count(360)) == (1, 1)  # training split, test split


def test_the_key_of_a_matching_is_worked_out_once(pipeline, tiny_images, monkeypatch):
    asked, work_out = [], Pipeline.component_key
    monkeypatch.setattr(
        Pipeline, "component_key", lambda self, stage: asked.append(stage) or work_out(self, stage)
    )
    first = pipeline(data=tiny_images)
    assert not first.matching.stored
    _ = first.condensed
    assert asked.count("matcher") == 1
