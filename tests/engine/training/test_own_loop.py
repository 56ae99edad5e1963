"""A training of one's own, recorded: the scores of the built-in pass, and what is refused."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from condense import Pipeline, Recorder
from condense.data import TrainingSet
from condense.engine.checked import run_scorer
from condense.engine.ingest.from_user import labeled_data
from condense.engine.runtime.rng import Seed
from condense.engine.training.batches import Batcher, channels_last
from condense.engine.training.own_loop import FORMAT
from condense.engine.training.sgd import SgdOptions
from condense.errors import DataError, DivergedError, OptionError, OutputError
from condense.options import AugmentationSpec, NetworkSpec, build_options, parse_assignment, part_of
from condense.resolve import Request, resolve
from condense.testing.toys import generator

EPOCHS, EARLY, SEED = 6, 3, 6
SCORERS = (
    *("aum", "cscore", "dual", "el2n", "el2n:online", "entropy", "forgetting"),
    *("forgetting:epoch", "grand", "grand:full", "loss", "tdds"),
)


def plain_loop(data, network, schedule, rng):
    """A loop as anybody writes it; its steps are those of the built-in pass."""
    n, every = len(data), torch.arange(len(data))
    inputs, labels = Batcher(TrainingSet.of(data), torch.device("cpu")).batch(every)
    inputs = channels_last(inputs)
    network = network.to(memory_format=torch.channels_last).train()
    sgd = {"momentum": schedule.momentum, "weight_decay": schedule.weight_decay}
    optimizer = torch.optim.SGD(network.parameters(), schedule.lr, fused=True, **sgd)
    recorder = Recorder(n, len(data.classes))
    for epoch in range(EPOCHS):
        optimizer.param_groups[0]["lr"] = schedule.lr_at(epoch, EPOCHS)
        for indices in torch.rand(n, generator=rng).argsort().split(schedule.batch_size):
            logits = network(inputs[indices])
            loss = F.cross_entropy(logits, labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.log(indices, logits, labels[indices])
        recorder.evaluate(network, [(every, inputs)], full_gradient=True)
    return recorder


@pytest.fixture
def create(host):
    def make(name, **options):
        name, _, arg = name.partition(":")
        cls = host.registry("scorer").get(name)
        options |= {cls.arg: arg} if arg else {}
        tiny = {
            "networks": 1,
            "epochs": EPOCHS,
            "eval_epoch": EARLY,
            "network": NetworkSpec.of("convnet", width=4),
            "augmentation": AugmentationSpec.of("none"),
        }
        return cls(build_options(cls.Options, tiny | options, "scorer"))

    return make


@pytest.fixture
def record(create, context):
    """Records network ``k`` of the pass that a scorer of seed 6 reads."""

    def do(data, k=0):
        options = create("aum").options
        seed = Seed(Seed(SEED).fork("dynamics").value)
        init = seed.fork("init", k).generator()
        network = context.network(options.network, data.geometry, init)
        schedule = part_of(SgdOptions, options).schedule(len(data), context.device)
        return plain_loop(data, network, schedule, seed.fork("batches", k).generator())

    return do


@pytest.fixture(scope="module")
def recorded(tiny_images):
    """A network that says little, for three epochs: cheap, and of the right shape."""

    def make(epochs=3, looks=(), data=tiny_images, full=()):
        n, classes = len(data), len(data.classes)
        recorder, rng = Recorder(n, classes), generator()
        network = torch.nn.Linear(2, classes)
        points = torch.randn(n, 2, generator=rng)
        for epoch in range(epochs):
            for part in torch.randperm(n, generator=rng).split(32):
                logits = torch.randn(len(part), classes, generator=rng)
                recorder.log(part, logits, data.labels[part])
            if epoch + 1 in looks:
                recorder.evaluate(network, [(range(n), points)], full_gradient=epoch + 1 in full)
        return recorder

    return make


# the same training, the same scores


def test_a_loader_that_shuffles_gives_each_sample_its_own_gradient(tiny_images):
    """Batches come in another order each time they are gone through."""
    inputs = torch.randn(90, 5, generator=generator())
    network = torch.nn.Linear(5, 3)

    class Shuffled:
        def __iter__(self):
            parts = torch.randperm(90).split(32)
            return iter([(part, inputs[part]) for part in parts])

    def looked(batches):
        recorder = Recorder(90, 3)
        recorder.log(range(90), torch.zeros(90, 3), tiny_images.labels)
        recorder.evaluate(network, batches, full_gradient=True)
        return recorder._evaluated[1]

    shuffled, in_turn = looked(Shuffled()), looked([(range(90), inputs)])
    for name, expected in in_turn.items():
        torch.testing.assert_close(shuffled[name], expected, msg=name)
    with pytest.raises(DataError, match="give a list or a DataLoader, no generator"):
        looked((part, inputs[part]) for part in [torch.arange(90)])


def test_every_scorer_gives_what_it_gives_of_the_pass(
    record, create, tiny_images, context, tmp_path
):
    guesses = torch.randint(3, (90,), generator=generator())
    unsure = torch.rand(90, generator=generator(1)) < 0.4
    data = replace(tiny_images, labels=torch.where(unsure, guesses, tiny_images.labels), test=None)
    file = tmp_path / "dynamics.safetensors"
    record(data).save(file)

    def scores(**options):
        made = {name: create(name, **options) for name in SCORERS}
        return {n: run_scorer(s, data, context, generator(SEED)) for n, s in made.items()}

    own = scores(dynamics=str(file))
    assert not list(context.cache.root.glob("dynamics/*"))  # nothing was trained
    for name, built_in in scores().items():
        assert torch.equal(own[name].values, built_in.values), name
        assert own[name].estimator == built_in.estimator
        for beside, values in built_in.companions.items():
            assert torch.equal(own[name].companions[beside], values), (name, beside)
        assert float(built_in.values.std()) > 0, name


def test_a_folder_holds_several_networks(record, create, tiny_images, context, tmp_path):
    for k in range(2):
        record(tiny_images, k).save(tmp_path / "dynamics" / f"{k}.safetensors")
    one = create("aum", dynamics=str(tmp_path / "dynamics"))
    other = create("aum", networks=2)
    own, built_in = (run_scorer(s, tiny_images, context, generator(SEED)) for s in (one, other))
    assert torch.equal(own.values, built_in.values)
    assert torch.equal(own.standard_error, built_in.standard_error)


def test_a_run_reads_it_again_only_where_it_changed(host, context, recorded, tmp_path, tiny_images):
    file = tmp_path / "d.safetensors"

    def scores():
        text = ("scorer=aum", f"scorer.dynamics={file}")
        asked = Request("window", in_memory=True, assignments=tuple(map(parse_assignment, text)))
        tools = {"store": context.cache, "device": context.device, "progress": context.progress}
        made = Pipeline(resolve(host, asked), host, data=tiny_images, **tools)
        return made.scores.values, made.timings["scorer"].cached

    recorded(3).save(file)
    first, cached = scores()
    assert not cached
    again, cached = scores()
    assert cached
    assert torch.equal(first, again)
    recorded(4).save(file)
    changed, cached = scores()
    assert not cached
    assert not torch.equal(first, changed)


# how it is logged


def test_batches_may_straddle_epochs_and_come_as_anything(tiny_images):
    n, rng = len(tiny_images), generator()
    orders = torch.cat([torch.randperm(n, generator=rng) for _ in range(3)])
    logits = torch.randn(3 * n, 3, generator=rng, requires_grad=True)
    whole, parts = Recorder(n, 3), Recorder(n, 3)
    for part in torch.arange(3 * n).split(n):
        whole.log(orders[part], logits[part], tiny_images.labels[orders[part]])
    for part in torch.arange(3 * n).split(37):
        places = orders[part]
        parts.log(places.tolist(), logits[part], tiny_images.labels[places].numpy())
    parts.log(orders[:5], logits[:5], tiny_images.labels[orders[:5]])  # a part counts for nothing
    assert whole.epochs == parts.epochs == 3
    for name, values in whole._statistics.tensors().items():
        assert torch.equal(values, parts._statistics.tensors()[name]), name


def logged(change, epochs=2):
    """Logs epochs of 6 samples of 2 classes, the last of them after ``change``."""
    recorder = Recorder(6, 2)
    batch = {
        "indices": torch.arange(6),
        "logits": torch.tensor([[0.0, 1.0]] * 6),
        "labels": torch.tensor([0, 1] * 3),
    }
    for _ in range(epochs - 1):
        recorder.log(**batch)
    recorder.log(**batch | change(batch))


def having(name, place, value):
    def change(batch):
        values = batch[name].clone()
        values[place] = value
        return {name: values}

    return change


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (having("indices", 2, 6), DataError, r"epoch 2: 1 of 6 indices lie outside of 0 to 5"),
        (having("indices", 2, -1), DataError, r"1 of 6 indices lie outside of 0 to 5"),
        (having("indices", 2, 3), DataError, r"1 of 6 not at all \(the first is 2\), others more"),
        (having("labels", 2, 1), DataError, r"epoch 2: 1 samples have another label than before"),
        (having("logits", 2, torch.nan), DivergedError, r"epoch 2: the network's logits are not"),
        (lambda b: {"logits": b["logits"][:, :1]}, DataError, r"needs logits \[6, 2\].*\[6, 1\]"),
        (lambda b: {"labels": b["labels"][:5]}, DataError, r"as many labels, got .* and 5 labels"),
        (lambda b: {"labels": b["logits"]}, DataError, r"labels must be whole numbers \[B\]"),
        (lambda b: {"indices": b["indices"] > 2}, DataError, r"indices must be whole .*torch.bool"),
        (lambda b: {"logits": b["logits"].long()}, DataError, r"logits must be floating-.*int64"),
        (lambda b: {"logits": "abc"}, DataError, r"logits must be a tensor or an .*, got a str"),
        (lambda b: {"labels": [[0], 1]}, DataError, r"labels must be a tensor or .*, got a list"),
    ],
)
def test_what_cannot_be_is_refused_at_the_end_of_an_epoch_at_the_latest(change, error, words):
    with pytest.raises(error, match=words):
        logged(change)


def test_labels_out_of_range_are_refused_in_the_first_epoch():
    with pytest.raises(DataError, match="1 labels lie outside of 0 to 1"):
        logged(having("labels", 2, 2), epochs=1)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (having("indices", 2, 3), DataError),
        (having("labels", 2, 2), DataError),
        (having("logits", 2, torch.nan), DivergedError),
    ],
)
@pytest.mark.parametrize("before", [0, 1])
def test_of_a_refused_epoch_nothing_stays(change, error, before):
    """Its samples are logged again, rightly, and the recording is as if it had not been."""
    batch = {"indices": torch.arange(6), "labels": torch.tensor([0, 1] * 3)}
    logits = torch.randn(3, 6, 2, generator=generator())
    mended, sound = Recorder(6, 2), Recorder(6, 2)
    for epoch in range(2):
        if epoch == before:
            wrong = batch | {"logits": logits[2]}
            with pytest.raises(error, match=f"^epoch {before + 1}: "):
                mended.log(**wrong | change(wrong))
        for recorder in (mended, sound):
            recorder.log(logits=logits[epoch], **batch)
    assert mended.epochs == 2
    assert mended._labels.tolist() == batch["labels"].tolist()
    for name, values in sound._statistics.tensors().items():
        assert torch.equal(values, mended._statistics.tensors()[name]), name


@pytest.mark.parametrize(
    "form", [np.asarray, lambda t: np.asarray(t)[::-1][::-1], torch.Tensor.tolist]
)
def test_arrays_of_other_libraries_are_taken(form):
    rng = generator()
    logits, labels = torch.randn(6, 2, generator=rng), torch.tensor([0, 1] * 3)
    own, other = Recorder(6, 2), Recorder(6, 2)
    own.log(torch.arange(6), logits, labels)
    other.log(form(torch.arange(6)), form(logits), form(labels))
    for name, values in own._statistics.tensors().items():
        assert torch.equal(values, other._statistics.tensors()[name]), name


@pytest.mark.parametrize("given", [(0, 2), (5.0, 2), (5, 1), (5, True)])
def test_sizes_that_cannot_be(given):
    with pytest.raises(OptionError, match=r"must be a whole number of at least [12], got"):
        Recorder(*given)


def test_evaluation_belongs_to_the_end_of_an_epoch_and_to_all_samples(recorded):
    network, points = torch.nn.Linear(2, 3), torch.randn(90, 2)
    with pytest.raises(DataError, match="0 of 90 samples of epoch 1 are logged"):
        Recorder(90, 3).evaluate(network, [(range(90), points)])
    with pytest.raises(DataError, match="each of the 90 samples once, got 90 indices of 1 samples"):
        recorded(1).evaluate(network, [([0] * 90, points)])


def test_nothing_recorded_is_nothing_to_save_and_a_place_may_not_be_one(recorded, tmp_path):
    with pytest.raises(DataError, match="0 of 5 samples of the first epoch"):
        Recorder(5, 2).save(tmp_path / "d.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        recorded(1).save(tmp_path / "file" / "d.safetensors")


# how it is read


def damaged(file, name, change):
    tensors = load_file(file)
    tensors[name] = change(tensors[name])
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda f: f.unlink(), "cannot be read: no such file or directory"),
        (lambda f: f.write_bytes(b"no"), "is no .safetensors file, or is damaged"),
        (lambda f: save_file({"x": torch.zeros(1)}, f), "no recording of this version"),
        (lambda f: damaged(f, "format", lambda t: t + 1), "no recording of this version"),
        (lambda f: damaged(f, "labels", lambda t: t[:9].clone()), "recording of 9 samples, tiny"),
        (lambda f: damaged(f, "labels", lambda t: t.flip(0)), r"60 of 90 differ, .* sample 0 \(2"),
        (lambda f: damaged(f, "classes", lambda t: t + 1), "of 4 classes, tiny-images has 3"),
        (lambda f: damaged(f, "margin", lambda t: t * torch.nan), "margin has values that are not"),
        (lambda f: damaged(f, "loss", lambda t: t - 99), "loss has values from"),
        (lambda f: damaged(f, "change", lambda t: t[:1].clone()), "change is torch.float16 of"),
        (lambda f: damaged(f, "format", lambda t: t * torch.nan), "no recording of this version"),
        (lambda f: damaged(f, "format", lambda t: t + 1j), "no recording of this version"),
        (lambda f: damaged(f, "classes", lambda t: t * torch.inf), "classes is torch.float32"),
        (lambda f: damaged(f, "labels", lambda t: t[0].clone()), r"labels is .* of shape \(\)"),
        (lambda f: damaged(f, "labels", lambda t: t[:, None].repeat(1, 7)), "labels is .*, 7"),
        (lambda f: damaged(f, "margin", lambda t: t[0, 0].clone()), r"margin is .* of shape \(\)"),
        (lambda f: damaged(f, "margin", lambda t: t[:0].clone()), "is damaged: .*, expected"),
        (lambda f: damaged(f, "evaluated", lambda t: t.sum()), r"evaluated is .* of shape \(\)"),
        (
            lambda f: save_file({"format": torch.tensor(FORMAT)}, f),
            "is damaged: classes is missing",
        ),
    ],
)
def test_a_file_that_does_not_fit(
    break_it, words, recorded, create, tiny_images, context, tmp_path
):
    file = tmp_path / "d.safetensors"
    recorded(3).save(file)
    break_it(file)
    with pytest.raises(DataError, match=words) as caught:
        run_scorer(create("aum", dynamics=str(file)), tiny_images, context, generator())
    assert str(file) in str(caught.value)


def test_networks_of_a_folder_are_trained_alike(recorded, create, tiny_images, context, tmp_path):
    scorer = create("aum", dynamics=str(tmp_path / "d"))
    read = functools.partial(run_scorer, scorer, tiny_images, context, generator())
    (tmp_path / "d").mkdir()
    with pytest.raises(DataError, match=r"holds no \.safetensors file"):
        read()
    for epochs in (2, 3):
        recorded(epochs).save(tmp_path / "d" / f"{epochs}.safetensors")
    with pytest.raises(DataError, match=r"has 3 epochs, 2\.safetensors 2; train all"):
        read()


@pytest.mark.parametrize(
    ("name", "looks", "words"),
    [
        ("el2n", (), r"`scorer\.dynamics` was not evaluated .* `scorer\.eval_epoch=2`"),
        ("grand", (3,), r"was not evaluated within its first"),
        ("forgetting:epoch", (1, 3), r"evaluated after 2 of its 3 epochs"),
        ("grand:full", (1,), r"no gradients by all parameters within the first 2"),
    ],
)
def test_what_a_scorer_reads_must_be_there(
    name, looks, words, recorded, create, tiny_images, context, tmp_path
):
    file = tmp_path / "d.safetensors"
    recorded(3, looks).save(file)
    scorer = create(name, dynamics=str(file), eval_epoch=2)
    with pytest.raises((OptionError, DataError), match=words):
        run_scorer(scorer, tiny_images, context, generator())


def test_the_last_look_up_to_eval_epoch_counts(recorded, create, tiny_images, context, tmp_path):
    file = tmp_path / "d.safetensors"
    recorder = recorded(3, (1, 2, 3), full=(1, 2, 3))
    recorder.save(file)
    for asked, taken in ((2, 2), (9, 3)):
        scorer = create("grand:full", dynamics=str(file), eval_epoch=asked)
        found = run_scorer(scorer, tiny_images, context, generator())
        assert found.estimator == f"grand (full, epoch {taken})"
        expected = recorder._evaluated[taken]["full_gradient_norm"]
        assert torch.equal(found.values, expected)


def test_gradients_by_all_parameters_may_be_taken_at_one_look_of_several(
    recorded, create, tiny_images, context, tmp_path
):
    file = tmp_path / "d.safetensors"
    recorder = recorded(3, (1, 2, 3), full=(2,))
    recorder.save(file)

    def scores(name, epoch):
        scorer = create(name, dynamics=str(file), eval_epoch=epoch)
        return run_scorer(scorer, tiny_images, context, generator())

    for asked in (2, 3):
        found = scores("grand:full", asked)
        assert found.estimator == "grand (full, epoch 2)"
        assert torch.equal(found.values, recorder._evaluated[2]["full_gradient_norm"])
    assert torch.equal(scores("grand", 3).values, recorder._evaluated[3]["eval_gradient_norm"])
    assert len(scores("forgetting:epoch", 3).values) == 90
    with pytest.raises(DataError, match="no gradients by all parameters within the first 1"):
        scores("grand:full", 1)


@pytest.mark.parametrize(("name", "least"), [("dual", 2), ("tdds", 3)])
def test_too_few_epochs(name, least, recorded, create, tiny_images, context, tmp_path):
    file = tmp_path / "d.safetensors"
    recorded(least - 1).save(file)
    with pytest.raises(OptionError, match=f"has {least - 1} epochs, {name} compares at least"):
        run_scorer(create(name, dynamics=str(file)), tiny_images, context, generator())


def test_the_held_out_estimator_takes_none(create):
    with pytest.raises(OptionError, match="estimator=holdout trains networks on parts"):
        create("cscore:holdout", dynamics="d.safetensors")


def test_nothing_is_trained_for_it_and_nothing_estimated(create, tiny_images, context):
    scorer = create("aum", dynamics="d.safetensors")
    assert scorer.cost(tiny_images, 9, context).seconds == 0
    assert scorer.pieces(tiny_images, context, generator()) == []


def test_features_likewise(create, context, recorded, tmp_path):
    rng = generator()
    x, y = torch.randn(20, 2, generator=rng).numpy(), [0, 1] * 10
    data, file = labeled_data(x, y), tmp_path / "d.safetensors"
    recorded(3, (2,), data=data).save(file)
    found = run_scorer(create("el2n", dynamics=str(file)), data, context, generator())
    assert found.values.shape == (20,)


def test_the_page_runs_and_recorded_scores_tell_more_than_chance(monkeypatch, tmp_path):
    page = Path(__file__).parents[3] / "docs" / "recorder.md"
    monkeypatch.chdir(tmp_path)
    code = page.read_text().split("```python\n")[1].split("```")[0]
    quick = '"evaluator.steps": 100, "evaluator.repeats": 2, "scorer": "aum"'
    assert '"scorer": "aum"' in code
    scope = {}
    exec(code.replace('"scorer": "aum"', quick), scope)
    assert scope["recorder"].epochs == 10
    assert scope["small"].scores is not None
    assert scope["small"].results["accuracy"]["mean"] > 0.8
