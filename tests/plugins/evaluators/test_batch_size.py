"""``evaluator.batch_size=auto``: chosen by random subsets on a held-out part, once for all arms."""

import pytest
import torch

from condense.data import TrainingSet
from condense.engine.graph import plan, run_piece
from condense.engine.ingest.holdout import held_out_of
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.rng import Seed
from condense.engine.runtime.store import Store
from condense.errors import DataError
from condense.options import assignments_of
from condense.resolve import Request, resolve
from condense.results import Arm, Cost
from condense_plugins.evaluators._batch_size import KIND, NETWORKS, SHARE, TRIED, worth_trying

SMALL = {"network": {"component": "convnet", "width": 8}, "steps": 6, "repeats": 2, "lr": 0.05}


@pytest.fixture
def evaluator(host):
    cls = host.registry("evaluator").get("accuracy")
    return lambda **options: cls(cls.Options(**SMALL | options))


@pytest.fixture
def evaluate(evaluator, context, tiny_images):
    """The evaluation of the first ``each`` samples of every class."""
    plain = context.host.registry("augmentation").get("none")

    def call(each=25, training=None, **options):
        rows = [tiny_images.class_indices(label)[:each] for label in range(3)]
        train = TrainingSet.of(tiny_images.subset(torch.cat(rows)))
        arm = Arm("toy", lambda repeat: train, len(train), training)
        rng = torch.Generator().manual_seed(0)
        given = (arm, TrainingSet.of(tiny_images.test), plain(plain.Options()), context, rng)
        return evaluator(**options).evaluate(*given)

    return call


def test_networks_are_trained_in_the_batches_that_did_best(evaluate, tiny_images):
    found = evaluate(training=TrainingSet.of(tiny_images), batch_size="auto")
    tried = found.protocol.pop("batch_size_tried")
    assert [int(size) for size in tried] == list(TRIED)
    best = max(TRIED, key=lambda size: tried[str(size)])
    alone = evaluate(batch_size=best)
    assert found.values == alone.values
    assert found.protocol == alone.protocol


def test_what_is_tried_is_random_subsets_on_what_is_held_out(
    evaluate, evaluator, tiny_images, context
):
    """By the same trainings done one by one, and with a test split that must not matter."""
    found = evaluate(training=TrainingSet.of(tiny_images), batch_size="auto")
    seed = Seed(0).fork("batch-size")
    held = held_out_of(tiny_images.labels, SHARE, seed.fork("held-out").generator())
    assert torch.bincount(tiny_images.labels[held]).tolist() == [6, 6, 6]
    fit, answers = tiny_images.subset(~held), TrainingSet.of(tiny_images.subset(held))
    simple = context.host.registry("augmentation").get("simple")

    def draw(repeat):
        rng = seed.fork("subset", repeat).generator()
        return TrainingSet.of(fit.subset(torch.randperm(len(fit), generator=rng)[:75]))

    for size in TRIED:
        one = evaluator(batch_size=size, repeats=NETWORKS)
        rng = seed.fork("networks").generator()
        arm = Arm("batch size", draw, 75)
        mean = one.evaluate(arm, answers, simple(simple.Options()), context, rng).mean
        assert found.protocol["batch_size_tried"][str(size)] == mean


def test_all_arms_of_a_size_share_one_choice(evaluate, tiny_images, context):
    whole = TrainingSet.of(tiny_images)
    for options in ({}, {"labels": "hard"}, {"repeats": 1}):
        evaluate(training=whole, batch_size="auto", **options)
    assert len([e for e in context.cache.entries() if e.kind == KIND]) == 1
    evaluate(26, training=whole, batch_size="auto")
    assert len([e for e in context.cache.entries() if e.kind == KIND]) == 2


@pytest.mark.parametrize(
    ("samples", "sizes"), [(1, (32,)), (32, (32,)), (33, (64, 32)), (64, (64, 32)), (65, TRIED)]
)
def test_sizes_that_make_no_difference_are_not_tried(samples, sizes):
    assert worth_trying(samples) == sizes


def test_it_needs_the_training_split(evaluator, evaluate):
    assert evaluator(batch_size="auto").needs_training
    assert not evaluator(batch_size=32).needs_training
    assert evaluate(10, batch_size="auto").protocol["batch_size"] == 32  # one batch in any case
    with pytest.raises(DataError, match="chooses its batch size on the whole training split"):
        evaluate(batch_size="auto")


def test_the_choice_is_a_piece_with_a_cost_for_sets_of_a_size(evaluator, tiny_images, context):
    given = (tiny_images.without_test(), context, torch.Generator().manual_seed(0))
    assert evaluator(batch_size="auto").pieces(*given) == []  # of no known size
    assert evaluator(batch_size="auto").for_size(30).pieces(*given) == []  # one batch in any case
    assert evaluator(batch_size=32).for_size(75).pieces(*given) == []
    ours = evaluator(batch_size="auto").for_size(75)
    ((kind, key),) = ours.pieces(*given)
    assert kind == KIND
    # three batch sizes, three networks each of six steps
    alone = evaluator(batch_size=32, repeats=3).cost(tiny_images, 75, context)
    assert ours.prepare_cost(*given).seconds > alone.seconds > 0
    ours.run_piece(0, *given)
    assert context.cache.has(kind, key)
    assert ours.prepare_cost(*given) == Cost()
    taught = evaluator(batch_size="auto", labels="teacher", teacher_epochs=1).for_size(75)
    assert [kind for kind, _ in taught.pieces(*given)] == ["networks", KIND]
    assert taught.pieces(*given)[1][1] == key  # the same choice


def test_a_run_and_its_plan_have_the_choice_before_all_arms(host, tmp_path):
    values = {"evaluator.batch_size": "auto", "evaluator.steps": 2, "evaluator.repeats": 1}
    recipe = resolve(host, Request(method="random", ipc=10, assignments=assignments_of(values)))
    tools = {"store": Store(tmp_path), "device": torch.device("cpu")}
    pipeline = Pipeline(recipe, host, **tools, progress=SilentProgress())
    planned = {s.stage: s for s in plan(pipeline, baselines=False).stages}
    assert list(planned) == ["selector", "teacher", "evaluator"]
    assert (planned["teacher"].jobs, planned["teacher"].cached) == (1, False)
    assert planned["teacher"].seconds > planned["evaluator"].seconds
    (piece,) = pipeline.teaching.pieces()
    run_piece(pipeline, piece)
    misses = pipeline.store.misses
    assert "batch_size_tried" in pipeline.evaluation.protocol
    assert pipeline.store.misses == misses + 3  # the selection and a network an augmentation


def test_a_teacher_is_the_same_whatever_is_chosen(evaluate, tiny_images, context):
    options = {"labels": "teacher", "teacher_epochs": 1, "training": TrainingSet.of(tiny_images)}
    evaluate(batch_size=max(TRIED), **options)
    evaluate(batch_size="auto", **options)
    assert len([e for e in context.cache.entries() if e.kind == "networks"]) == 1
