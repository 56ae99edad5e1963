"""The curriculum by hand, and what becomes of a set whose real part is chosen anew."""

import json
import math
from dataclasses import replace

import pytest
import torch

from condense.data import LabeledData, Normalization, Role, TrainingSet
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.graph import plan, run_piece
from condense.engine.pipeline import Pipeline
from condense.engine.rebind import rebind
from condense.engine.run import run
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.rng import Seed
from condense.engine.runtime.store import Store
from condense.engine.training.batches import initial_set, network_inputs
from condense.errors import OptionError
from condense.options import assignments_of, parse_assignment
from condense.recipe import read_recipe
from condense.resolve import Request, resolve
from condense.results import Scores, Selection
from condense.testing.toys import Notes
from condense_plugins.reselectors import curriculum
from condense_plugins.reselectors._right import ShortOptions, right_samples

SMALL = {
    "reselector.epochs": 2,
    "reselector.rounds": 2,
    "reselector.round_steps": 4,
    "reselector.network.width": 8,
}


# ---- by hand ------------------------------------------------------------------------------------


@pytest.fixture
def eight():
    """Two classes of eight samples: 0–7 and 8–15."""
    inputs = torch.arange(16 * 4, dtype=torch.float32).view(16, 4)
    norm = Normalization((0.0,), (1.0,))
    return LabeledData(inputs, torch.arange(16) // 8, ("ant", "bee"), norm, False, "eight")


@pytest.fixture
def by_hand(monkeypatch, host, context, eight):
    """What the curriculum chooses where networks get right what ``answers`` say, in their order."""

    def call(synthetic, scores, answers, **options):
        asked = []

        def answer(training, whole, context, how, seed):
            asked.append((training, how, seed))
            right = torch.zeros(16, dtype=torch.bool)
            right[answers[len(asked) - 1]] = True
            return right

        monkeypatch.setattr(curriculum, "right_samples", answer)
        cls = host.registry("reselector").get("curriculum")
        context.progress = Notes()
        chosen = cls(cls.Options(**options)).complete(
            *(synthetic, eight, Scores(torch.tensor(scores), "hand"), context),
            torch.Generator().manual_seed(3),
        )
        return chosen.tolist(), asked, context.progress.lines

    return call


def half_distilled(data):
    """Of each class four samples: two real, then two distilled, which are moved."""
    chosen = Selection.of_classes([torch.arange(4), torch.arange(8, 12)])
    mask = torch.tensor([False, False, True, True] * 2)
    start = initial_set(data, chosen, mask, float("nan"))
    return replace(start, inputs=start.inputs + 0.5 * mask[:, None])


#          ant: 0    1    2    3    4    5    6    7   bee: 8 …
SCORES = [0.9, 0.1, 0.0, 0.0, 0.5, 0.3, 0.4, 0.2, 0.8, 0.7, 0.0, 0.0, 0.6, 0.5, 0.4, 0.3]


def test_coarse_then_fine_by_hand(by_hand, eight):
    """2, 3, 10 and 11 are what distilled samples started from, and never candidates.

    The whole split's network knows all but 1 and 15. Round 1: the set so far, distilled samples
    alone, gets 6, 7 and 14 right, so that coarse is {0, 4, 5} and {8, 9, 12, 13}; the easiest are
    5 (.3) and 13 (.5). Round 2: with those the network gets 4 and 12 right as well, and 6 and 14
    wrong: coarse is {0, 6} and {8, 9, 14}, the easiest 6 (.4) and 14 (.4).
    """
    known = [i for i in range(16) if i not in (1, 15)]
    answers = [known, [6, 7, 14, 2, 3], [4, 5, 7, 12, 13, 2, 3]]
    chosen, asked, notes = by_hand(half_distilled(eight), SCORES, answers, rounds=2)
    assert chosen == [6, 5, 13, 14]  # of each class hardest first
    assert notes == []
    whole, first, second = (training for training, *_ in asked)
    assert len(whole) == 16
    assert first.labels.tolist() == [0, 0, 1, 1]
    assert first.role.tolist() == [1, 1, 1, 1]
    torch.testing.assert_close(first.inputs, eight.inputs[[2, 3, 10, 11]] + 0.5)
    assert second.role.tolist() == [1, 1, 1, 1, 0, 0]
    assert torch.equal(second.inputs[4:], network_inputs(eight, torch.tensor([5, 13])))
    assert second.labels.tolist() == [0, 0, 1, 1, 0, 1]


def test_a_short_class_is_filled_and_said(by_hand, eight):
    """One round of two places a class. Coarse of ant is {4} alone: 7 (.2) is the easiest that the
    whole split's network knows, before 1 (.1), which it does not. Of bee it knows nothing: the
    easiest of the rest, 15 (.3) and 14 (.4).
    """
    answers = [[0, 4, 5, 6, 7], [0, 5, 6, 7]]
    chosen, _, (note,) = by_hand(half_distilled(eight), SCORES, answers, rounds=1)
    assert chosen == [4, 7, 14, 15]
    assert "filled 3 of 4 places, in 2 of 2 classes (most, 2, in bee)" in note


def test_without_distilled_samples_the_first_round_takes_the_easiest(by_hand, eight):
    start = half_distilled(eight)
    real = replace(start, role=torch.zeros(8, dtype=torch.uint8))
    answers = [list(range(16)), [0, 1, 2, 3, 7, *range(8, 16)]]
    chosen, asked, notes = by_hand(real, SCORES, answers, rounds=2)
    # round 1 of each class 2 of 4: 2, 3 and 10, 11 (0); round 2: 5 and 6 are the easiest that are
    # wrong, while of bee all are right, so that 15 and 14 fill it up
    assert chosen == [6, 5, 2, 3, 14, 15, 10, 11]
    assert len(asked) == 2  # no network of an empty set
    assert asked[1][0].role.tolist() == [0] * 4
    assert "filled 2 of 8 places, in 1 of 2 classes (most, 2, in bee)" in notes[0]


def test_rounds_share_the_places_of_a_class(by_hand, eight):
    """Three rounds of two places: 0, 1 and 1 of them; no network for a round without any."""
    everything = list(range(16))
    answers = [everything, [], []]
    chosen, asked, notes = by_hand(half_distilled(eight), SCORES, answers, rounds=3)
    assert [len(training) for training, *_ in asked] == [16, 4, 6]
    assert chosen == [7, 1, 14, 15]
    assert len({seed.value for *_, seed in asked}) == 3
    assert notes == []
    again, asked, (note,) = by_hand(half_distilled(eight), SCORES, answers, rounds=50)
    assert (again, len(asked)) == (chosen, 3)
    assert note.startswith("note: `reselector.rounds=50`: no class has more than 2 real samples")


def test_learned_labels_are_what_a_round_is_trained_towards(by_hand, eight):
    start = half_distilled(eight)
    logits = torch.arange(16, dtype=torch.float32).view(8, 2) ** 2
    answers = [list(range(16)), [], []]
    _, asked, _ = by_hand(replace(start, label_logits=logits), SCORES, answers, rounds=2)
    moved = start.role == Role.DISTILLED
    assert torch.equal(asked[1][0].soft_labels, logits[moved].softmax(1))
    assert asked[2][0].soft_labels[4:].tolist() == [[1.0, 0.0], [0.0, 1.0]]


# ---- networks -----------------------------------------------------------------------------------


def test_what_a_network_knows_is_what_it_was_trained_on(context, tiny_images):
    """Trained on ants and bees alone, it knows no cat, but most of the others."""
    few = TrainingSet.of(tiny_images.subset(torch.nonzero(tiny_images.labels < 2).flatten()))
    whole = TrainingSet.of(tiny_images)
    options = ShortOptions(network="mlp", steps=60, batch_size=20)
    right = right_samples(few, whole, context, options, Seed(1))
    assert not right[tiny_images.labels == 2].any()
    assert right[tiny_images.labels < 2].float().mean() > 0.9
    misses = context.cache.misses
    assert torch.equal(right_samples(few, whole, context, options, Seed(1)), right)
    assert context.cache.misses == misses
    right_samples(few, whole, context, options, Seed(2))
    assert context.cache.misses == misses + 1


# ---- as a stage ---------------------------------------------------------------------------------


@pytest.fixture
def pipeline(host, tmp_path, tiny, digits):
    def make(*texts, store="store", method="selmatch", data=digits, progress=None, **more):
        assignments = assignments_of(tiny)
        assignments += tuple(map(parse_assignment, texts))
        if "reselector=curriculum" in texts or method == "ccfs":
            assignments += assignments_of(SMALL)
        request = Request(method, ipc=4, assignments=assignments, **more)
        tools = {"store": Store(tmp_path / store), "progress": progress or SilentProgress()}
        return Pipeline(
            resolve(host, request), host, device=torch.device("cpu"), data=data, **tools
        )

    return make


CURRICULUM = "reselector=curriculum"


@pytest.mark.parametrize("policy", ["policy=partial", "policy=learned-labels"])
def test_the_budget_roles_and_distilled_samples_stay(pipeline, policy, digits):
    more = (policy, "policy.alpha=0.5", "matcher.snapshots=[1]")
    before = pipeline(*more).condensed
    after = pipeline(*more, CURRICULUM).condensed
    assert torch.equal(after.labels, before.labels)
    assert torch.equal(after.role, before.role)
    moved = after.distilled
    assert int(moved.sum()) == 20
    assert torch.equal(after.inputs[moved], before.inputs[moved])
    assert torch.equal(after.source_index[moved], before.source_index[moved])
    assert not torch.equal(after.source_index, before.source_index)
    assert len(set(after.source_index.tolist())) == 40
    assert torch.equal(digits.labels[after.source_index], after.labels)
    assert after.source_unchanged()
    assert torch.equal(after.source_inputs, digits.inputs[after.source_index])
    assert torch.equal(after.snapshots[1][~moved], after.inputs[~moved])
    assert torch.equal(after.snapshots[1][moved], before.snapshots[1][moved])
    p = pipeline(*more, CURRICULUM)
    assert torch.equal(after.scores, p.scores.values[after.source_index])
    if "learned" in policy:
        assert torch.equal(after.soft_labels[moved], before.soft_labels[moved])
        new = ~moved & (after.source_index != before.source_index)
        stayed = torch.isin(after.source_index, before.source_index[~moved])
        certain = torch.nn.functional.one_hot(after.labels, 10).float()
        assert torch.equal(after.soft_labels[new & ~stayed], certain[new & ~stayed])
    else:
        assert after.soft_labels is None


def test_a_sample_that_stays_keeps_its_learned_label(pipeline):
    more = ("policy=learned-labels", "policy.alpha=0.5", "reselector=none")
    before, after = pipeline(*more[:2]).condensed, pipeline(*more).condensed
    assert not torch.equal(before.soft_labels, before.soft_labels.round())
    assert torch.equal(after.soft_labels, before.soft_labels)
    assert after.content_fingerprint == before.content_fingerprint


def test_none_changes_nothing(pipeline):
    before, after = pipeline().condensed, pipeline("reselector=none").condensed
    assert after.to_bytes() == before.to_bytes()
    assert after.recipe == before.recipe


def test_killed_in_a_round_it_goes_on_to_the_same_bytes(pipeline, monkeypatch):
    straight = pipeline(CURRICULUM, "policy.alpha=0.5", store="straight").condensed
    trained = []

    def dying(training, *rest):
        trained.append(len(training))
        if len(trained) == 3:
            raise KeyboardInterrupt
        return right_samples(training, *rest)

    monkeypatch.setattr(curriculum, "right_samples", dying)
    with pytest.raises(KeyboardInterrupt):
        _ = pipeline(CURRICULUM, "policy.alpha=0.5").condensed
    monkeypatch.undo()
    again = pipeline(CURRICULUM, "policy.alpha=0.5")
    before = {e.key: e.path.stat().st_mtime_ns for e in again.store.entries() if e.kind == "right"}
    assert len(before) == 2
    assert again.condensed.to_bytes() == straight.to_bytes()
    after = {e.key: e.path.stat().st_mtime_ns for e in again.store.entries() if e.kind == "right"}
    assert len(after) == 3
    assert before.items() <= after.items()
    misses = (third := pipeline(CURRICULUM, "policy.alpha=0.5")).store.misses
    assert third.condensed.to_bytes() == straight.to_bytes()
    assert third.store.misses == misses


def test_a_damaged_entry_is_chosen_anew(pipeline):
    p = pipeline(CURRICULUM)
    first = p.condensed
    path = p.store.path("reselections", p.reselecting.key())
    (path / "tensors.safetensors").write_bytes(b"x")
    assert pipeline(CURRICULUM).condensed.to_bytes() == first.to_bytes()


def test_a_dry_run_and_pieces_know_the_stage(pipeline, pieces, tmp_path):
    p = pipeline(CURRICULUM)
    rows = {s.stage: s for s in plan(p, False).stages}
    names = ["scorer", "selector", "prepare", "matcher", "reselector", "evaluator"]
    assert list(rows) == names
    assert rows["reselector"].component == "curriculum"
    assert rows["reselector"].seconds > 0
    assert not rows["reselector"].cached
    done = []
    _ = p.selection  # what is quick is done by whoever asks
    while todo := [x for x in pieces(p, False) if x not in done]:
        run_piece(pipeline(CURRICULUM), todo[0])
        done.append(todo[0])
    assert [x.stage for x in done if x.stage == "reselector"] == ["reselector"]
    again = pipeline(CURRICULUM)
    assert all(s.cached for s in plan(again, False).stages)
    assert again.condensed.to_bytes() == pipeline(CURRICULUM, store="other").condensed.to_bytes()


def test_a_selector_without_scores_gets_none_and_the_reselector_some(pipeline):
    p = pipeline(method="ccfs")
    assert p.recipe["selector"].name == "random"
    assert p.scoring.needed
    assert p.selecting.scores is None
    assert p.condensed.scores is not None
    assert p.timings["scorer"].seconds > 0


def test_nothing_real_is_said(pipeline):
    progress = Notes()
    p = pipeline("policy=full", CURRICULUM, progress=progress)
    assert p.condensed.to_bytes() == pipeline("policy=full").condensed.to_bytes()
    assert any("finds no real sample to replace" in line for line in progress.lines)
    assert "reselector" not in p.timings


def test_ccfs_runs_and_repeats_from_its_folder(pipeline, tmp_path, host):
    p = pipeline(method="ccfs")
    result = run(p, tmp_path / "out", baselines=False)
    assert result.recipe["policy"].options.alpha == 0.2
    assert result.stages["reselector"].cached is False
    loaded = CondensedDataset.load(tmp_path / "out")
    assert loaded.to_bytes() == result.condensed.to_bytes()
    recipe = read_recipe(tmp_path / "out" / "recipe.toml")
    assert recipe["reselector"]["rounds"] == 2
    assert resolve(host, Request(recipe=recipe)) == p.recipe
    tools = {"store": p.store, "device": p.device, "progress": SilentProgress()}
    bound = rebind(tmp_path / "out", loaded, Request(), host, **tools)
    assert bound.pipeline.recipe == p.recipe


# ---- recipes ------------------------------------------------------------------------------------


def test_a_recipe_without_one_is_what_it_was(host):
    recipe = resolve(host, Request("selmatch"))
    assert "reselector" not in recipe.stages
    assert "reselector" not in recipe.to_dict()


def test_none_is_as_without_one(host):
    plain = resolve(host, Request("selmatch"))
    assert resolve(host, Request("selmatch", assignments=((("reselector",), "none"),))) == plain


def test_none_over_a_method_that_has_one_is_written_down(host):
    swapped = resolve(host, Request("ccfs", assignments=((("reselector",), "none"),)))
    again = resolve(host, Request(recipe=swapped.to_dict()))
    assert again["reselector"].name == "none"
    assert again == swapped


def test_an_option_of_no_reselector_is_an_error(host):
    with pytest.raises(OptionError, match="no component for stage reselector"):
        resolve(host, Request("selmatch", assignments=((("reselector", "rounds"), 2),)))


def test_an_artefact_is_json_with_its_reselector(pipeline, tmp_path):
    run(pipeline(CURRICULUM), tmp_path / "out", baselines=False)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["recipe"]["reselector"]["component"] == "curriculum"
    assert math.isclose(manifest["recipe"]["reselector"]["lr"], 0.05)
