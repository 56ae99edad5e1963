"""Learned labels in the engine: where they start, how they move, and what is kept of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from condense.data import Role, SyntheticSet, TrainingSet
from condense.engine.arms import condensed_plan
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.checked import run_label_plan
from condense.engine.matching import loop as match_module
from condense.engine.matching.loop import match
from condense.engine.matching.soft_labels import (
    given_logits,
    label_shares,
    said_of_moved,
    starting_logits,
)
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.training.batches import Batcher
from condense.engine.training.loop import Training
from condense.engine.training.schedule import Schedule
from condense.errors import BrokenPlugin, CondenseError, DataError, OptionError
from condense.interfaces import LabelPlan
from condense.options import assignments_of
from condense.resolve import Request, resolve
from condense.results import MatchPlan, MatchStep, Scores
from condense_plugins.matchers.trajectory.matcher import TrajectoryMatcher

PLAN = MatchPlan(iterations=3, image_lr=1.0, step_size=0.1)


def labelled_set(logits, roles):
    n = len(roles)
    return SyntheticSet(
        torch.zeros(n, 2),
        torch.zeros(n, dtype=torch.int64),
        torch.tensor(roles, dtype=torch.uint8),
        torch.arange(n),
        torch.tensor(0.1),
        torch.tensor(logits),
    )


class Told:
    """Gives the gradients of labels that it was told to."""

    name = "told"

    def __init__(self, gradients):
        self.gradients = iter(gradients)
        self.plan = replace(PLAN, iterations=len(gradients))

    def step(self, synthetic, rng):
        given = next(self.gradients)
        of_labels = None if given is None else torch.tensor(given)
        return MatchStep(torch.ones(()), torch.zeros(synthetic.inputs.shape), of_labels)


def run(matcher, synthetic, labels, **keywords):
    rng = torch.Generator().manual_seed(0)
    return match(matcher, synthetic, rng, SilentProgress(), labels=labels, **keywords)


# how they move


@pytest.mark.parametrize("all_samples", [True, False])
def test_update_by_hand_with_momentum(all_samples):
    synthetic = labelled_set([[1.0, 0.0], [2.0, 0.0]], [Role.REAL, Role.DISTILLED])
    gradients = [[[0.1, 0.0], [0.2, -0.2]], [[0.1, 0.0], [0.0, 0.4]]]
    run(Told(gradients), synthetic, LabelPlan(lr=10.0, momentum=0.5, all_samples=all_samples))
    # first row: v = .1, .15; 1 − 10·.25; second: v = .2, .1 and −.2, .3; 2 − 3, 0 − 1
    first = [-1.5, 0.0] if all_samples else [1.0, 0.0]
    assert synthetic.label_logits.flatten().tolist() == pytest.approx([*first, -1.0, -1.0])


def test_with_a_rate_of_zero_they_stay_and_no_gradient_is_needed():
    synthetic = labelled_set([[1.0, 0.0]], [Role.DISTILLED])
    run(Told([None, None]), synthetic, LabelPlan(lr=0.0))
    assert synthetic.label_logits.tolist() == [[1.0, 0.0]]


def test_where_nothing_can_move_there_is_no_iteration():
    for labels in (LabelPlan(lr=0.0), LabelPlan(lr=1.0, all_samples=False), None):
        synthetic = labelled_set([[1.0, 0.0]], [Role.REAL])
        state = run(Told([None, None]), synthetic, labels)
        assert (state.iteration, len(state.loss)) == (0, 0)
        assert synthetic.label_logits.tolist() == [[1.0, 0.0]]


def test_a_matcher_without_their_gradient_is_an_error_that_says_what_to_take():
    synthetic = labelled_set([[1.0, 0.0]], [Role.DISTILLED])
    with pytest.raises(CondenseError, match=r"no gradient of labels.*another matcher"):
        run(Told([None]), synthetic, LabelPlan(lr=1.0))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(bad):
    synthetic = labelled_set([[1.0, 0.0]], [Role.DISTILLED])
    run(Told([[[0.1, 0.0]], [[bad, 0.0]], [[0.1, 0.0]]]), synthetic, LabelPlan(lr=1.0))
    assert synthetic.label_logits.flatten().tolist() == pytest.approx([0.8, 0.0])


class Noisy:
    """Random gradients that depend on the labels too; can be interrupted at an iteration."""

    name = "noisy"
    plan = replace(PLAN, iterations=23, image_lr=0.01)

    def __init__(self, stop_at=None):
        self.stop_at, self.calls = stop_at, 0

    def step(self, synthetic, rng):
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        self.calls += 1
        logits = synthetic.label_logits
        pull = logits + torch.randn(logits.shape, generator=rng)
        return MatchStep(logits.square().mean(), torch.ones(synthetic.inputs.shape), pull)


def test_an_interrupted_run_continues_to_the_bit(tmp_path, monkeypatch):
    def fresh():
        return labelled_set([[1.0, 0.0], [0.5, 2.0], [0.0, 0.0]], [0, 1, 1])

    labels = LabelPlan(lr=0.1, momentum=0.9)
    whole = fresh()
    run(Noisy(), whole, labels)
    monkeypatch.setattr(match_module, "CHECKPOINT_SECONDS", 0.0)
    file = tmp_path / "matching.partial"
    with pytest.raises(KeyboardInterrupt):
        run(Noisy(11), fresh(), labels, checkpoint=file)
    rest, matcher = fresh(), Noisy()
    run(matcher, rest, labels, checkpoint=file)
    assert matcher.calls == 12
    assert torch.equal(rest.label_logits, whole.label_logits)


# where they start


class Teacher:
    name = "teacher"

    def __init__(self, logits):
        self.logits = logits

    def label_logits(self, data, indices, context, rng):
        return self.logits


class Labeller:
    name = "teacher"

    def __init__(self, logits):
        self.logits = logits

    def sample_logits(self, samples, data, context, rng):
        assert samples.normalization is None
        return self.logits


def start(plan, matcher, data, context, *more):
    indices = torch.stack([data.class_indices(c)[0] for c in (2, 5, 5)])
    roles = torch.tensor([0, 1, 0], dtype=torch.uint8)
    synthetic = SyntheticSet(
        torch.zeros(3, 1, 8, 8), data.labels[indices], roles, indices, torch.tensor(0.1)
    )
    rng = torch.Generator()
    return starting_logits(plan, synthetic, matcher, data, context, rng, *more)


def test_start_at_the_class(digits, context):
    soft = start(LabelPlan(1.0, start="classes", confidence=0.7), None, digits, context).softmax(1)
    assert [float(soft[0, 2]), float(soft[1, 5])] == pytest.approx([0.7, 0.7])
    others = soft[0][torch.arange(10) != 2]
    torch.testing.assert_close(others, torch.full((9,), 0.3 / 9))


def test_start_at_what_the_teachers_say(digits, context):
    said = torch.randn(3, 10)
    assert torch.equal(start(LabelPlan(1.0), Teacher(said), digits, context), said)
    cooler = start(LabelPlan(1.0, temperature=2.0), Teacher(said), digits, context)
    torch.testing.assert_close(cooler, said / 2)
    # only the second sample is distilled; the others' labels are theirs, to the bit
    soft = start(LabelPlan(1.0, all_samples=False), Teacher(said), digits, context).softmax(1)
    own = torch.nn.functional.one_hot(torch.tensor([2, 5, 5]), 10).float()
    assert torch.equal(soft[[0, 2]], own[[0, 2]])
    assert torch.equal(soft[1], said[1].softmax(0))


def test_start_at_what_the_networks_of_the_scores_say(digits, context):
    logits = torch.randn(len(digits), 10)
    scores = Scores(torch.zeros(len(digits)), "toy", logits=logits)
    plan = LabelPlan(1.0, start="scores", temperature=1.5)
    found = start(plan, Told([]), digits, context, scores)
    sources = [int(digits.class_indices(c)[0]) for c in (2, 5, 5)]
    torch.testing.assert_close(found, logits[sources] / 1.5)
    for silent in (None, Scores(torch.zeros(len(digits)), "toy")):
        with pytest.raises(OptionError, match=r"scores say, and this scorer has none.*; afresh$"):
            start(plan, Told([]), digits, context, silent, "; afresh")


def test_a_matcher_without_teachers_is_refused_with_the_way_out(digits, context):
    with pytest.raises(OptionError, match=r"'told' has no teachers.*another.*; start afresh$"):
        start(LabelPlan(1.0), Told([]), digits, context, None, "; start afresh")


def end(plan, matcher, data, context):
    indices = torch.stack([data.class_indices(c)[0] for c in (2, 5, 5)])
    roles = torch.tensor([0, 1, 0], dtype=torch.uint8)
    matched = SyntheticSet(
        torch.zeros(3, 1, 8, 8), data.labels[indices], roles, indices, torch.tensor(0.1)
    )
    said = said_of_moved(matched, matcher, data, context, torch.Generator())
    return given_logits(plan, matched, said)


def test_in_the_end_labels_are_what_the_teachers_say(digits, context):
    said = torch.randn(3, 10)
    plan = LabelPlan(0.0, start="matched", temperature=2.0)
    own = torch.nn.functional.one_hot(torch.tensor([2, 5, 5]), 10).float()
    soft = end(plan, Labeller(said), digits, context).softmax(1)
    torch.testing.assert_close(soft, (said / 2).softmax(1))
    part = end(replace(plan, share=0.25), Labeller(said), digits, context).softmax(1)
    torch.testing.assert_close(part, 0.75 * own + 0.25 * (said / 2).softmax(1))
    none = end(replace(plan, share=0.0), Labeller(said), digits, context).softmax(1)
    torch.testing.assert_close(none, own)
    far = end(plan, Labeller(1000 * said), digits, context)
    assert bool(far.isfinite().all())
    soft = end(replace(plan, all_samples=False), Labeller(said), digits, context).softmax(1)
    assert torch.equal(soft[[0, 2]], own[[0, 2]])
    torch.testing.assert_close(soft[1], (said[1] / 2).softmax(0))
    with pytest.raises(BrokenPlugin, match=r"'teacher' returned NoneType from sample_logits"):
        end(plan, Labeller(None), digits, context)


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (torch.zeros(2, 10), r"torch\.float32 of shape \(2, 10\)"),
        (torch.zeros(3, 10, dtype=torch.int64), r"torch\.int64 of shape \(3, 10\)"),
        (torch.full((3, 10), math.nan), "values that are not finite"),
        (np.zeros((3, 10)), "ndarray"),
        (None, "NoneType"),
    ],
)
def test_wrong_answers_of_teachers_are_named(said, seen, digits, context):
    with pytest.raises(BrokenPlugin, match=rf"'teacher' returned {seen}.*\(3, 10\)"):
        start(LabelPlan(1.0), Teacher(said), digits, context)


@pytest.mark.parametrize(
    "plan",
    [
        *("soft", LabelPlan(-1.0), LabelPlan(math.inf), LabelPlan(1e39), LabelPlan("1")),
        *(LabelPlan(1.0, start="nowhere"), LabelPlan(1.0, all_samples=1), LabelPlan(True)),
        *(LabelPlan(math.nan), LabelPlan(1.0, momentum=1.0), LabelPlan(1.0, confidence=1.0)),
        *(LabelPlan(1.0, temperature=0.0), LabelPlan(1.0, start="matched")),
        *(
            LabelPlan(1.0, share=0.5),
            *(LabelPlan(0.0, start="matched", share=s) for s in (2, True)),
        ),
    ],
)
def test_a_plan_that_is_not_sound_is_named(plan):
    policy = type("Policy", (), {"name": "odd", "label_plan": plan})()
    with pytest.raises(BrokenPlugin, match="policy 'odd' has"):
        run_label_plan(policy)
    assert run_label_plan(type("Policy", (), {"name": "plain"})()) is None
    assert run_label_plan(type("Policy", (), {"name": "plain", "label_plan": None})()) is None


@pytest.mark.parametrize("error", [ValueError, AttributeError])
def test_a_plan_that_fails_is_named_and_never_taken_for_none(error):
    class Policy:
        name = "odd"

        @property
        def label_plan(self):
            raise error("label_rate")

    with pytest.raises(BrokenPlugin, match=r"policy 'odd' .* failed with .*label_rate"):
        run_label_plan(Policy())


def test_what_soft_labels_say():
    soft = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    own, others, total = label_shares(soft, torch.tensor([0, 0, 1]))
    assert (own, others, total) == (pytest.approx(0.6), 2, 3)  # a tie goes to the first class


# what networks are trained towards


def trained(data, context, rng_seed=0):
    from condense.options import AugmentationSpec, NetworkSpec

    rng = torch.Generator().manual_seed(rng_seed)
    network = context.network(NetworkSpec.of("mlp", width=8), data.geometry, rng)
    batches = Batcher(data, context.device)
    none = context.augmentation(AugmentationSpec.of("none"))
    Training(network, batches, Schedule(steps=30, batch_size=16, lr=0.1), none, rng).run()
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_soft_labels_of_one_class_train_as_that_class(digits, context):
    part = TrainingSet.of(digits.subset(torch.arange(64)))
    own = torch.nn.functional.one_hot(part.labels, 10).float()
    hard, soft = trained(part, context), trained(replace(part, soft_labels=own), context)
    torch.testing.assert_close(soft, hard, rtol=1e-4, atol=1e-6)
    other = trained(replace(part, soft_labels=own.roll(1, 1)), context)
    assert float((other - hard).norm() / hard.norm()) > 0.05


# the whole way


@pytest.fixture
def pipeline(tmp_path, host, tiny, said, monkeypatch):
    def make(**options):
        given = {**tiny, "policy": "learned-labels", **options}
        if options.get("matcher") == "none":
            given = {k: v for k, v in given.items() if not k.startswith("matcher.")}
        recipe = resolve(host, Request(method="selmatch", assignments=assignments_of(given)))
        tools = {"store": Store(tmp_path / "store"), "device": torch.device("cpu")}
        progress = SilentProgress()
        monkeypatch.setattr(progress, "note", said.append, raising=False)
        return Pipeline(recipe, host, **tools, progress=progress)

    return make


@pytest.fixture
def said():
    """The notes of pipelines."""
    return []


def test_a_run_learns_labels_and_its_artefact_keeps_them(pipeline, tmp_path):
    p = pipeline(**{"policy.label_lr": 5.0})
    small = p.condensed
    stayed = pipeline(**{"policy.label_lr": 0.0}).condensed
    torch.testing.assert_close(small.soft_labels.sum(1), torch.ones(50))
    assert int(small.distilled.sum()) == 40  # of five a class, at the preset's alpha of 0.8
    assert not torch.equal(small.soft_labels, stayed.soft_labels)
    assert torch.equal(small.labels, stayed.labels)
    assert small.content_fingerprint != replace(small, soft_labels=None).content_fingerprint
    assert torch.equal(small.targets, small.soft_labels)
    assert "soft labels" in repr(small)
    inputs, target = small[-1]
    assert torch.equal(inputs, small.inputs[-1])
    assert torch.equal(target, small.soft_labels[-1])

    folder = small.save(tmp_path / "s")
    back = CondensedDataset.load(folder)
    assert torch.equal(back.soft_labels, small.soft_labels)
    assert back.content_fingerprint == small.content_fingerprint
    assert back.to_bytes() == small.to_bytes()
    assert torch.equal(back.training_set().soft_labels, small.soft_labels)
    arrays = np.load(small.to_npz(tmp_path / "s.npz"))
    assert np.array_equal(arrays["soft_labels"], small.soft_labels.numpy())


def test_alpha_0_learns_labels_and_leaves_every_image_as_it_is(pipeline):
    small = pipeline(**{"policy.alpha": 0.0, "policy.start": "class"}).condensed
    assert not bool(small.distilled.any())
    assert small.source_unchanged()
    own = small.soft_labels.gather(1, small.labels[:, None]).flatten()
    assert len(small.trace.loss) == 3
    assert float(own.std()) > 0  # they started at 0.9 each


def test_fixed_labels_have_no_soft_labels_and_another_key(pipeline):
    soft, hard = pipeline(), pipeline(policy="partial")
    assert hard.condensed.soft_labels is None
    assert torch.equal(hard.condensed.targets, hard.condensed.labels)
    assert hard.condensed[3][1] == int(hard.condensed.labels[3])
    assert soft.matching.key() != hard.matching.key()
    rate = pipeline(**{"policy.label_lr": 1.0})
    assert rate.matching.key() != soft.matching.key()


def test_with_labels_that_stay_as_experts_say_and_nothing_distilled_no_iteration_is_run(pipeline):
    small = pipeline(**{"policy.alpha": 0.0, "policy.label_lr": 0.0}).condensed
    assert small.soft_labels is not None
    assert small.trace.loss == ()
    assert small.source_unchanged()
    assert small.matched


@pytest.mark.parametrize("selector", ["window", "random"])
def test_labels_may_start_at_what_the_networks_of_the_scores_say(pipeline, selector):
    still = {"policy.alpha": 0.0, "policy.label_lr": 0.0, "policy.temperature": 2.0}
    p = pipeline(**still, **{"policy.start": "scores", "selector": selector})
    small, scores = p.condensed, p.scoring.result
    expected = (scores.logits[small.source_index] / 2).softmax(1)
    torch.testing.assert_close(small.soft_labels, expected)
    other = pipeline(**still, **{"policy.start": "scores", "selector": selector, "scorer": "el2n"})
    assert other.matching.key() != p.matching.key()


def test_with_no_sample_to_have_one_there_are_no_soft_labels(pipeline, said):
    p = pipeline(**{"policy.alpha": 0.0, "policy.all_samples": False})
    assert not p.matching.needed
    assert p.condensed.soft_labels is None
    assert not p.condensed.matched
    assert any("leaves 0 of 50 samples to distil" in text for text in said)


@pytest.mark.parametrize("start", ["experts", "class"])
def test_without_matching_labels_are_what_they_are_and_a_note_says_so(pipeline, said, start):
    small = pipeline(**{"matcher.iterations": 0, "policy.start": start}).condensed
    assert small.soft_labels is None
    assert any("matching alone learns them" in text for text in said)


@pytest.mark.parametrize("matcher", [{"matcher": "none"}, {"matcher.iterations": 0}])
def test_labels_that_start_at_the_scores_need_no_matching(pipeline, said, matcher):
    p = pipeline(**{"policy.start": "scores", "policy.temperature": 2.0, **matcher})
    assert p.matching.cost() is not None
    small, scores = p.condensed, p.scoring.result
    expected = (scores.logits[small.source_index] / 2).softmax(1)
    torch.testing.assert_close(small.soft_labels, expected)
    assert not bool(small.distilled.any())
    assert small.source_unchanged()
    assert not said


def test_labels_that_were_thrown_far_away_are_noted(pipeline, said):
    assert pipeline(**{"policy.label_lr": 1e9}).condensed.soft_labels is not None
    assert any("label logits reach" in t and "lower policy.label_lr" in t for t in said)


def test_labels_alone_are_no_baseline_with_the_better_of_two_augmentations(pipeline):
    p = pipeline(**{"policy.alpha": 0.0, "policy.start": "class"})
    assert [a.name for a in condensed_plan(p, p.condensed).augmentations] == ["combined"]
    plain = pipeline(policy="frozen")
    assert len(condensed_plan(plain, plain.condensed).augmentations) == 2


@pytest.mark.parametrize("change", ["format", "manifest", "shape", "sum", "dtype", "sign"])
def test_damaged_soft_labels_are_refused(pipeline, tmp_path, change):
    import hashlib
    import json

    small = pipeline(**{"policy.start": "class"}).condensed
    folder = small.save(tmp_path / "s")
    manifest = json.loads((folder / "manifest.json").read_text())
    tensors = safetensors.torch.load_file(folder / "condensed.safetensors")
    if change == "format":
        manifest["format"] = 1
    elif change == "manifest":
        del manifest["soft_labels"]
    elif change == "dtype":
        tensors["soft_labels"] = tensors["soft_labels"].double()
    elif change == "sign":
        tensors["soft_labels"][0, :3] += torch.tensor([2.0, -2.0, 0.0])
    elif change == "shape":
        tensors["soft_labels"] = tensors["soft_labels"][:, :3].contiguous()
    else:
        tensors["soft_labels"] = tensors["soft_labels"] * 2
    blob = safetensors.torch.save(tensors)
    (folder / "condensed.safetensors").write_bytes(blob)
    manifest["sha256"] = hashlib.sha256(blob).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="is damaged"):
        CondensedDataset.load(folder)


def test_relabelled_sets_have_the_samples_of_a_partial_update_and_the_experts_labels(pipeline):
    plain = pipeline(policy="partial").condensed
    p = pipeline(policy="relabel", **{"policy.temperature": 2.0, "policy.share": 0.3})
    small = p.condensed
    assert torch.equal(small.inputs, plain.inputs)
    assert torch.equal(small.distilled, plain.distilled)
    assert small.trace == plain.trace
    matcher, data = p.matching.preparing.result, p.data.without_test()
    samples = replace(small.training_set(), soft_labels=None)
    said = matcher.sample_logits(samples, data, p.context, p.rng("prepare"))
    own = torch.nn.functional.one_hot(small.labels, 10).float()
    torch.testing.assert_close(small.soft_labels, 0.7 * own + 0.3 * (said / 2).softmax(1))
    # those of distilled samples are not what is said of the samples that they started from
    before = replace(samples, inputs=p.matching.initial.inputs)
    other = matcher.sample_logits(before, data, p.context, p.rng("prepare"))
    moved = small.distilled
    assert not torch.allclose(said[moved], other[moved], atol=1e-3)


def test_teachers_are_asked_once_and_nothing_is_matched_twice(pipeline, monkeypatch):
    plain = pipeline(policy="partial").condensed
    assert not pipeline(policy="relabel").matching.stored  # and nobody was asked to find out
    # the matching that is stored is taken
    monkeypatch.setattr("condense.engine.stages.matching.match", None)
    first = pipeline(policy="relabel").condensed
    assert torch.equal(first.inputs, plain.inputs)
    monkeypatch.setattr(TrajectoryMatcher, "sample_logits", None)
    other = pipeline(policy="relabel", **{"policy.share": 0.2})
    assert other.matching.stored
    assert not torch.equal(other.condensed.soft_labels, first.soft_labels)


def test_a_set_of_which_nothing_is_distilled_can_be_labelled(pipeline):
    small = pipeline(policy="relabel", **{"policy.alpha": 0.0}).condensed
    assert small.source_unchanged()
    assert small.soft_labels is not None


def test_real_samples_of_a_relabelled_set_can_keep_their_labels(pipeline):
    small = pipeline(policy="relabel", **{"policy.all_samples": False}).condensed
    real = ~small.distilled
    own = torch.nn.functional.one_hot(small.labels, 10).float()
    assert torch.equal(small.soft_labels[real], own[real])
    assert not torch.equal(small.soft_labels[~real], own[~real])


def test_without_matching_a_set_is_not_relabelled_and_a_note_says_so(pipeline, said):
    small = pipeline(policy="relabel", matcher="none").condensed
    assert small.soft_labels is None
    assert any("nothing is matched" in text for text in said)


@pytest.mark.parametrize("matcher", ["distribution", "gradient"])
def test_a_matcher_without_experts_cannot_relabel(host, matcher):
    assignments = ((("matcher",), matcher), (("policy",), "relabel"))
    recipe = resolve(host, Request(method="selmatch", assignments=assignments))
    tools = {"device": torch.device("cpu"), "progress": SilentProgress()}
    bound = Pipeline(recipe, host, store=Store.default(tools["progress"]), **tools)
    with pytest.raises(OptionError, match=r"has no teachers \(sample_logits\).*policy=partial"):
        assert bound.matching.needed
