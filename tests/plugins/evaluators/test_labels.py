"""What networks are trained towards: a set's own labels, hard ones, or a teacher's."""

import json
import math
from dataclasses import replace

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.arms import evaluate, random_plan, whole_plan
from condense.engine.graph import plan, run_piece
from condense.engine.ingest.holdout import validation_part
from condense.engine.pipeline import Pipeline
from condense.engine.run import run
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.training.batches import Batcher
from condense.engine.training.step import Teacher
from condense.errors import DataError, DivergedError
from condense.options import parse_assignment
from condense.resolve import Request, resolve
from condense.results import Arm
from condense.testing import run_checks

SMALL = [
    *("evaluator.network.width=8", "evaluator.steps=6", "evaluator.repeats=2"),
    *("evaluator.batch_size=10", "evaluator.teacher_epochs=2", "evaluator.lr=0.05"),
]
TEACHER = "evaluator.labels=teacher"


@pytest.fixture
def pipeline(host, tmp_path):
    def make(data, *texts, store="store", seed=0):
        assignments = tuple(map(parse_assignment, (*SMALL, *texts)))
        request = Request("random", in_memory=True, ipc=2, seed=seed, assignments=assignments)
        tools = {"store": Store(tmp_path / store), "progress": SilentProgress()}
        recipe = resolve(host, request)
        return Pipeline(recipe, host, device=torch.device("cpu"), data=data, **tools)

    return make


@pytest.fixture
def evaluator(host):
    """The evaluation of a set by so many networks, under options by name."""
    cls = host.registry("evaluator").get("accuracy")
    small = {"network": {"component": "convnet", "width": 8}, "steps": 6, "repeats": 2}

    def call(context, train, data, training=None, **options):
        plain = context.host.registry("augmentation").get("none")
        arm = Arm("toy", lambda repeat: train, len(train), training)
        rng = torch.Generator().manual_seed(0)
        given = (arm, TrainingSet.of(data.test), plain(plain.Options()), context, rng)
        return cls(cls.Options(**small | options)).evaluate(*given)

    return call


def networks(store):
    return [e for e in store.entries() if e.kind == "networks"]


def test_the_loss_worked_by_hand():
    class Says(torch.nn.Module):
        def forward(self, inputs):
            return inputs.new_tensor([[0.0, 2 * math.log(3)], [0.0, 0.0]])

    student = torch.tensor([[0.0, 0.0], [0.0, 2 * math.log(3)]], requires_grad=True)
    loss = Teacher(Says(), 2.0).loss(torch.zeros(2, 1), student)
    # at T = 2 the first row of the teacher is (1/4, 3/4) against (1/2, 1/2), the second the reverse
    first = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    second = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert loss.item() == pytest.approx(4 * (first + second) / 2, rel=1e-6)
    loss.backward()
    # d/dlogit = T²·(student − teacher)/T, mean over the batch
    wanted = 2 * torch.tensor([[0.5 - 0.25, 0.5 - 0.75], [0.25 - 0.5, 0.75 - 0.5]]) / 2
    torch.testing.assert_close(student.grad, wanted)


def test_hard_labels_are_those_of_the_classes(evaluator, context, tiny_images):
    hard = TrainingSet.of(tiny_images.subset(torch.arange(0, 90, 6)))
    soft = torch.full((len(hard), 3), 1 / 3)
    learned = replace(hard, soft_labels=soft)
    own = evaluator(context, learned, tiny_images)
    assert own.values != evaluator(context, hard, tiny_images).values
    found = evaluator(context, learned, tiny_images, labels="hard")
    assert found.values == evaluator(context, hard, tiny_images).values
    assert found.protocol["labels"] == "hard"
    assert "labels" not in own.protocol


def test_the_teacher_says_what_is_right_whatever_the_labels(evaluator, context, tiny_images):
    """A set whose labels are all wrong teaches the teacher's, and only then."""
    some = TrainingSet.of(tiny_images.subset(torch.arange(0, 90, 3)))
    wrong = replace(some, labels=(some.labels + 1) % 3)
    options = {"steps": 60, "lr": 0.05, "teacher_epochs": 12}
    whole = TrainingSet.of(tiny_images)
    found = evaluator(context, wrong, tiny_images, whole, labels="teacher", **options)
    assert found.protocol["teacher"]["accuracy"] > 0.9
    assert found.mean > 0.8
    assert evaluator(context, wrong, tiny_images, **options).mean < 0.2
    assert found.protocol["labels"] == "teacher"


def test_an_arm_without_the_training_split_is_an_error(evaluator, context, tiny_images):
    few = TrainingSet.of(tiny_images.subset(torch.arange(0, 90, 9)))
    with pytest.raises(DataError, match="whole training split, which arm toy comes without"):
        evaluator(context, few, tiny_images, labels="teacher")


def test_one_teacher_for_all_arms_repeats_and_seeds(pipeline, tiny_images):
    said = []
    for seed in (0, 1):
        p = pipeline(tiny_images, TEACHER, seed=seed)
        arms = [evaluate(p, random_plan(p)), evaluate(p, whole_plan(p)), p.evaluation]
        said += [arm.protocol["teacher"] for arm in arms]
        assert [arm.protocol["labels"] for arm in arms] == ["teacher"] * 3
        assert p.timings["teacher"].cached == (seed == 1)
    assert len(networks(p.store)) == 1
    assert all(one == said[0] for one in said)
    assert said[0].keys() == {"accuracy", "temperature", "epochs", "augmentation", "seed"}


def test_its_accuracy_is_that_of_the_network_in_the_store(pipeline, tiny_images, context):
    p = pipeline(tiny_images, TEACHER)
    found = p.evaluation.protocol["teacher"]["accuracy"]
    (entry,) = networks(p.store)
    (place,) = p.teaching.entries()
    assert p.store.path(*place) == entry.path
    tensors = p.store.get(*place).tensors
    network = p.context.network(
        p.recipe["evaluator"].options.network, tiny_images.geometry, torch.Generator()
    )
    network.load_state_dict({k.removeprefix("network."): v for k, v in tensors.items()})
    tests = Batcher(TrainingSet.of(tiny_images.test), torch.device("cpu"))
    logits = network.eval()(tests.batch(torch.arange(len(tests)))[0])
    assert found == float((logits.argmax(1) == tests.labels).double().mean())


def test_it_never_sees_what_arms_are_chosen_on(pipeline, tiny_images):
    """With other samples held out in the test split's place, the same teacher to the bit."""
    part = validation_part(tiny_images, 0.2, seed=0)
    other = replace(part, test=replace(part.test, inputs=255 - part.test.inputs))
    kept = []
    for number, data in enumerate((part, other)):
        p = pipeline(data, TEACHER, store=f"store{number}")
        _ = p.teaching.result
        (place,) = p.teaching.entries()
        assert place[1]["training"] == TrainingSet.of(part).fingerprint
        kept.append(p.store.get(*place).tensors)
    assert kept[0].keys() == kept[1].keys()
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])


def test_piece_by_piece_it_is_the_whole(pipeline, pieces, tiny_images, tmp_path):
    p = pipeline(tiny_images, TEACHER)
    assert [s.stage for s in plan(p, True).stages][-4:] == [
        *("teacher", "evaluator", "random", "whole")
    ]
    first = [piece for piece in pieces(p, baselines=True) if piece.stage == "teacher"]
    assert len(first) == 1
    assert not any(piece.stage == "random" for piece in pieces(p, baselines=True))
    assert plan(p, True).stages[-4].seconds > 0
    run_piece(p, first[0])
    again = pipeline(tiny_images, TEACHER)
    assert next(s for s in plan(again, True).stages if s.stage == "teacher").cached
    for piece in pieces(again, baselines=True):
        if piece.stage != "teacher":
            run_piece(again, piece)
    alone = pipeline(tiny_images, TEACHER, store="alone")
    one = run(again, tmp_path / "one", baselines=True)
    two = run(alone, tmp_path / "two", baselines=True)
    assert one.stages["teacher"].cached
    assert not two.stages["teacher"].cached
    written = [(tmp_path / name / "results.json").read_bytes() for name in ("one", "two")]
    assert written[0] == written[1]
    document = json.loads(written[0])
    assert {arm["protocol"]["labels"] for arm in document["arms"].values()} == {"teacher"}


def test_a_damaged_teacher_is_trained_anew(pipeline, tiny_images):
    p = pipeline(tiny_images, TEACHER)
    _ = p.teaching.result
    (place,) = p.teaching.entries()
    kept = p.store.get(*place).tensors
    (p.store.path(*place) / "tensors.safetensors").write_bytes(b"x")
    again = pipeline(tiny_images, TEACHER)
    assert again.evaluation.protocol["labels"] == "teacher"
    assert all(torch.equal(again.store.get(*place).tensors[k], kept[k]) for k in kept)


def test_a_teacher_that_diverges_says_which_rate_to_lower(pipeline, tiny_images):
    with pytest.raises(DivergedError, match=r"the teacher diverged.*`evaluator.lr=1e\+30`"):
        _ = pipeline(tiny_images, TEACHER, "evaluator.lr=1e30").teaching.result


def test_temperature_and_teacher_are_part_of_the_key(pipeline, tiny_images):
    texts = ((), ("evaluator.temperature=20",), ("evaluator.teacher_epochs=3",))
    found = [pipeline(tiny_images, TEACHER, *text).evaluating.keys()[0] for text in texts]
    assert len({json.dumps(key, sort_keys=True) for key in found}) == 3


@pytest.mark.parametrize("labels", ["hard", "teacher"])
def test_it_conforms_under_every_regime(labels):
    from condense.plugin.host import build_host

    component = build_host(external=False).registry("evaluator").get("accuracy")
    network = {"component": "convnet", "width": 8}
    options = {"repeats": 1, "steps": 20, "batch_size": 20, "network": network}
    report = run_checks("evaluator", component, options | {"labels": labels, "teacher_epochs": 4})
    assert not report.failures, report.text()
