"""Scores of one dynamics pass, against their formulas on what a training here leaves behind."""

import copy
import itertools
import math
import statistics
import types

import pytest
import torch
from torch.nn import functional as F

from condense.data import LabeledData, Normalization, TrainingSet
from condense.engine.checked import run_scorer
from condense.engine.runtime.rng import Seed
from condense.engine.training import passes
from condense.engine.training.batches import Batcher
from condense.engine.training.gradient_norms import predict_with_inputs
from condense.engine.training.loop import Training
from condense.engine.training.sgd import SgdOptions
from condense.errors import OptionError
from condense.options import build_options, part_of
from condense.testing.toys import generator

EPOCHS, EARLY = 6, 4
TINY = {
    "networks": 1,
    "epochs": EPOCHS,
    "eval_epoch": EARLY,
    "network": {"component": "convnet", "width": 4},
}
OF_THE_PASS = ("aum", "cscore", "dual", "el2n", "entropy", "forgetting", "grand", "loss", "tdds")
# half precision keeps 11 bits of what is stored
CLOSE = {"rtol": 2e-3, "atol": 2e-3}


@pytest.fixture
def create(host):
    def make(name, **options):
        component = host.registry("scorer").get(name)
        return component(component.Options(**{**TINY, **options}))

    return make


class Watch:
    """Keeps everything of a training."""

    def __init__(self, network, samples, classes):
        self.network = network
        self.logits = torch.zeros(samples, classes)
        self.epochs, self.networks = [], []

    def on_batch(self, indices, logits):
        self.logits[indices] = logits

    def on_epoch(self, done):
        self.epochs.append(self.logits.double().clone())
        self.networks.append(copy.deepcopy(self.network))


@pytest.fixture
def watched(create, tiny_images, context):
    """The training that the pass of seed 6 does, logits float64 [E, N, C] and networks kept."""
    options = create("aum").options
    seed = Seed(Seed(6).fork("dynamics").value)
    init = seed.fork("init", 0).generator()
    network = context.network(options.network, tiny_images.geometry, init)
    watch = Watch(network, len(tiny_images), 3)
    Training(
        network,
        Batcher(TrainingSet.of(tiny_images), context.device),
        part_of(SgdOptions, options).schedule(len(tiny_images), context.device),
        context.augmentation(options.augmentation),
        seed.fork("batches", 0).generator(),
        callback=watch,
    ).run()
    return watch


def scored(scorer, data, context):
    """What the scorer makes of the pass of seed 6, float64 [N]."""
    found = run_scorer(scorer, data, context, generator(6))
    torch.testing.assert_close(
        scorer.replicates(data.without_test(), context, generator(6)), found.values[None]
    )
    return found.values.double()


# against the formulas, written out


def test_aum_loss_and_entropy(create, watched, tiny_images, context):
    labels, steps = tiny_images.labels.tolist(), range(EPOCHS)
    aum, loss, entropy, last = [], [], [], []
    for n, y in enumerate(labels):
        logits = [watched.epochs[e][n].tolist() for e in steps]
        sums = [sum(math.exp(z) for z in row) for row in logits]
        softmax = [[math.exp(z) / s for z in r] for r, s in zip(logits, sums, strict=True)]
        rest = [max(z for k, z in enumerate(row) if k != y) for row in logits]
        margins = [row[y] - other for row, other in zip(logits, rest, strict=True)]
        aum.append(statistics.fmean(margins))
        losses = [-math.log(p[y]) for p in softmax]
        loss.append(statistics.fmean(losses))
        last.append(statistics.fmean(losses[-2:]))
        entropy.append(statistics.fmean(-sum(p * math.log(p) for p in ps) for ps in softmax))
    for scorer, expected in (
        (create("aum"), [-a for a in aum]),
        (create("loss"), loss),
        (create("loss", last=2), last),
        (create("entropy"), entropy),
    ):
        found = scored(scorer, tiny_images, context)
        torch.testing.assert_close(found, torch.tensor(expected).double(), **CLOSE)
        assert float(found.std()) > 0.05


def dual_of(probabilities, window):
    """DUAL of one sample, from its probabilities in each epoch read."""
    scores = []
    for k in range(len(probabilities) - window + 1):
        part = probabilities[k : k + window]
        scores.append((1 - statistics.fmean(part)) * statistics.stdev(part))
    return statistics.fmean(scores)


@pytest.mark.parametrize(("until", "window"), [(30, 10), (5, 2), (4, 3), (4, 30)])
def test_dual(until, window, create, watched, tiny_images, context):
    softmax = torch.stack(watched.epochs).softmax(2)
    read = min(until, EPOCHS)
    expected, means = [], []
    for n, y in enumerate(tiny_images.labels.tolist()):
        right = softmax[:read, n, y].tolist()
        expected.append(dual_of(right, min(window, read)))
        means.append(statistics.fmean(right))
    scorer = create("dual", until=until, window=window)
    found = scored(scorer, tiny_images, context)
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=5e-3, atol=5e-4)
    assert float(found.std()) > 0.01
    beside = run_scorer(scorer, tiny_images, context, generator(6)).companions["probability"]
    torch.testing.assert_close(beside.double(), torch.tensor(means).double(), **CLOSE)


def test_a_window_wider_than_what_is_read_is_said(create, tiny_images, context, monkeypatch):
    notes = []
    monkeypatch.setattr(context.progress, "note", notes.append)
    scored(create("tdds", until=4, window=4), tiny_images, context)
    assert notes == []
    scored(create("tdds", until=90, window=50), tiny_images, context)
    assert notes[0].startswith(f"note: `scorer.window=50` is more than the {EPOCHS} epochs")


def test_dual_by_hand():
    # windows (.2, .6) and (.6, .6): .6 · .2828 and .4 · 0, halved
    assert dual_of([0.2, 0.6, 0.6], 2) == pytest.approx(0.6 * 0.08**0.5 / 2)


def tdds_of(softmax, window, decay):
    """TDDS of one sample, from its softmax in each epoch read."""
    change = [
        sum(abs(p * math.log(p / q)) for p, q in zip(after, before, strict=True))
        for before, after in itertools.pairwise(softmax)
    ]
    average = 0.0
    for k in range(len(softmax) - window + 1):
        part = change[k : k + window - 1]
        mean = statistics.fmean(part)
        average = (1 - decay) * average + decay * math.sqrt(sum((d - mean) ** 2 for d in part))
    return average


@pytest.mark.parametrize(
    ("until", "window", "decay"), [(10, 5, 0.9), (6, 3, 0.5), (5, 4, 1.0), (90, 10, 0.9)]
)
def test_tdds(until, window, decay, create, watched, tiny_images, context):
    softmax = torch.stack(watched.epochs).softmax(2)
    read = min(until, EPOCHS)
    expected = [
        tdds_of(softmax[:read, n].tolist(), min(window, read), decay)
        for n in range(len(tiny_images))
    ]
    scorer = create("tdds", until=until, window=window, decay=decay)
    found = scored(scorer, tiny_images, context)
    torch.testing.assert_close(found, torch.tensor(expected).double(), **CLOSE)
    assert float(found.std()) > 0.01


def test_tdds_by_hand():
    # ½ → ¼ → ¼ of two classes: changes ¼ ln 2 + ¾ ln 1.5 and 0, each half of that from their mean
    first = 0.25 * math.log(2) + 0.75 * math.log(1.5)
    assert tdds_of([[0.5, 0.5], [0.25, 0.75], [0.25, 0.75]], 3, 0.9) == pytest.approx(
        0.9 * first / 2**0.5
    )


@pytest.mark.parametrize(("gradient", "layers"), [("last-layer", 2), ("full", None)])
def test_grand_is_what_autograd_gives(gradient, layers, create, watched, tiny_images, context):
    network = watched.networks[EARLY - 1].double().eval()
    parameters = list(network.parameters())
    parameters = parameters[-layers:] if layers else parameters
    batcher = Batcher(TrainingSet.of(tiny_images), context.device)
    expected = []
    for n in range(len(tiny_images)):
        inputs, label = batcher.batch(torch.tensor([n]))
        loss = F.cross_entropy(network(inputs.double()), label)
        parts = torch.autograd.grad(loss, parameters)
        expected.append(torch.cat([p.flatten() for p in parts]).norm())
    found = scored(create("grand", gradient=gradient), tiny_images, context)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-5)
    assert float(found.std()) > 0.05


# where there is no closed form, or too little to compare


class Ends(torch.nn.Module):
    """A linear layer, and a head after it."""

    def __init__(self, head, bias=True):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2, bias)
        self.head = head

    def forward(self, inputs):
        return self.head(self.linear(inputs))


@pytest.fixture
def points():
    rng = generator(1)
    inputs = torch.randn(5, 2, generator=rng)
    data = LabeledData(
        inputs, torch.tensor([0, 1, 0, 1, 1]), ("a", "b"), Normalization((0.0,), (1.0,))
    )
    return Batcher(TrainingSet.of(data), torch.device("cpu"))


@pytest.mark.parametrize("bias", [True, False])
def test_inputs_of_the_last_layer_with_and_without_bias(bias, points):
    _, lengths = predict_with_inputs(
        Ends(torch.nn.Identity(), bias), [points.inputs], points.device
    )
    squares = points.inputs.square().sum(1) + bias
    torch.testing.assert_close(lengths, squares.sqrt())


@pytest.mark.parametrize(
    "network",
    [Ends(torch.nn.Tanh()), torch.nn.BatchNorm1d(2)],
    ids=["something after it", "no linear layer"],
)
def test_no_closed_form_gives_nan_and_grand_says_so(network, points, create):
    logits, lengths = predict_with_inputs(network, [points.inputs], points.device)
    assert torch.equal(logits, network.eval()(points.inputs))
    assert bool(lengths.isnan().all())

    dynamics = types.SimpleNamespace(
        full_gradient_norm=None, eval_gradient_norm=lengths[None], eval_error_norm=torch.zeros(1)
    )
    with pytest.raises(OptionError, match=r"`scorer\.network=convnet` does not end.*gradient=full"):
        create("grand").of_networks(dynamics)


@pytest.mark.parametrize(("name", "least"), [("dual", 2), ("tdds", 3)])
def test_too_few_epochs_are_refused_before_anything_is_trained(name, least, host):
    model = host.registry("scorer").get(name).Options
    with pytest.raises(OptionError, match=f"epochs={least - 1} leaves nothing .* at least {least}"):
        build_options(model, {"epochs": least - 1}, "scorer")
    assert build_options(model, {"epochs": least}, "scorer").epochs == least


# one pass for all


def test_all_of_them_train_each_network_once(create, tiny_images, context, monkeypatch):
    trained = []
    real = passes.sgd_training
    monkeypatch.setattr(passes, "sgd_training", lambda *a, **k: trained.append(1) or real(*a, **k))
    found = {}
    for name in OF_THE_PASS:
        scorer = create(name, networks=2)
        found[name] = run_scorer(scorer, tiny_images, context, generator())
        assert found[name].companions.keys() == {"aum", "probability"}, name
        assert found[name].standard_error.shape == (90,), name
    assert len(trained) == 2
    # what is asked for on top is recorded by a pass of its own, which then serves all of them
    first = create("grand", networks=2, gradient="full")
    run_scorer(first, tiny_images, context, generator())
    assert len(trained) == 4


def test_a_pass_with_everything_on_top_serves_all_to_the_bit(create, tiny_images, context):
    plain = {n: run_scorer(create(n), tiny_images, context, generator()) for n in OF_THE_PASS}
    context.cache.clean()
    options = create("aum").options
    dynamics = context.dynamics(
        tiny_images.without_test(), generator(), options, epoch_eval=True, full_gradient=True
    )
    assert dynamics.full_gradient_norm.shape == (1, 90)
    assert dynamics.eval_correct.shape == (1, EPOCHS, 90)
    for name in OF_THE_PASS:
        again = run_scorer(create(name), tiny_images, context, generator())
        assert torch.equal(again.values, plain[name].values), name
    entries = list(context.cache.root.glob("dynamics/*/tensors.safetensors"))
    assert len(entries) == 1


def test_every_estimator_says_what_it_read(create, tiny_images, context):
    for expected, scorer in {
        "aum (logits)": create("aum"),
        "loss (last 6 epochs)": create("loss", last=9),
        "entropy (all epochs)": create("entropy"),
        "grand (last-layer, epoch 6)": create("grand", eval_epoch=9),
        "dual (windows of 6 in the first 6 epochs)": create("dual"),
        "tdds (windows of 5 in the first 6 epochs)": create("tdds"),
    }.items():
        assert run_scorer(scorer, tiny_images, context, generator(6)).estimator == expected
