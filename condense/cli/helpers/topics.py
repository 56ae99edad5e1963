"""What plugin authors want to do, what helps them, and an example of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """Something one wants to do.

    Attributes:
        title: of it.
        names: of what helps, by the module that it is imported from.
        example: a few lines that do it.
    """

    title: str
    names: Mapping[str, str]
    example: str


SERVICES, TRAINING = "condense.services", "condense.engine.training"
SPACE = "condense.engine.feature_space"
TOPICS = (
    Topic(
        "Use a network",
        {
            SERVICES: "Context.network Context.augmentation Context.identity Context.device",
            f"{TRAINING}.loop": "predict",
            "condense.options": "NetworkSpec AugmentationSpec",
        },
        """\
from condense import Batcher
from condense.engine.training.loop import predict
from condense.interfaces import TrainingSet
from condense.options import NetworkSpec

# in Options: network: NetworkSpec = Field(NetworkSpec.of("auto"), description="…")
network = context.network(NetworkSpec.of("convnet", width=8, depth=1), data.geometry, rng)
logits = predict(network, Batcher(TrainingSet.of(data), context.device))
assert logits.shape == (len(data), len(data.classes))
""",
    ),
    Topic(
        "Use how samples fare in training",
        {
            SERVICES: "Context.dynamics",
            "condense.results": "Dynamics",
            "condense": "DynamicsOptions",
            f"{TRAINING}.statistics": "sample_figures",
        },
        """\
from condense import DynamicsOptions

# class Options(DynamicsOptions): … takes its fields over; scorers with equal ones share the pass
pass_ = context.dynamics(data, rng, DynamicsOptions(networks=2, epochs=2))
hard = -pass_.margin.mean((0, 1))  # float32 [N], higher = harder
assert pass_.margin.shape == (2, 2, len(data))
assert hard.shape == (len(data),)
""",
    ),
    Topic(
        "Use where samples lie",
        {
            SERVICES: "Context.features",
            f"{SPACE}.features": "penultimate",
            f"{SPACE}.neighbours": "nearest_distances nearest_others",
        },
        """\
import torch
from condense.engine.feature_space.neighbours import nearest_distances
from condense.engine.training.sgd import SgdOptions

lie = context.features(data, rng, SgdOptions(epochs=1))  # float32 [N, D]
kept = torch.tensor([0, 1])
far = nearest_distances(lie, lie[kept])  # of every sample to the nearest one kept
assert far.shape == (len(data),)
assert int(far.argmax()) not in kept
""",
    ),
    Topic(
        "Rank and choose samples",
        {
            "condense.selection": "ranked_classes hardest_first require companion",
            "condense.results": "Budget.counts Selection.of_classes",
            f"{TRAINING}.ranking": "rank_correlation end_overlap split_half",
        },
        """\
from condense.selection import ranked_classes
from condense.interfaces import Selection

every_other = [
    ranked[::2][:count] for ranked, count in ranked_classes(data, scores, budget, "every-other")
]
selection = Selection.of_classes(every_other)
assert selection.counts == budget.counts(data)
""",
    ),
    Topic(
        "Turn samples into tensors, and back",
        {
            "condense": "network_inputs Batcher class_means labeled_data",
            f"{TRAINING}.batches": "to_pixels initial_set",
        },
        """\
import torch
from condense import class_means, network_inputs

some = torch.tensor([0, 1, 2])
inputs = network_inputs(data, some)  # float32 [3, C, H, W], normalised
means = class_means(inputs, data.labels[some], len(data.classes))
assert means.shape == (len(data.classes), inputs[0].numel())
""",
    ),
    Topic(
        "Train a network",
        {
            f"{TRAINING}.sgd": "SgdOptions",
            "condense.options": "part_of",
            f"{TRAINING}.schedule": "Schedule",
            f"{TRAINING}.loop": "Training check_converged",
        },
        """\
import torch
from condense import Batcher
from condense.engine.training.loop import Training, predict
from condense.engine.training.sgd import SgdOptions
from condense.interfaces import TrainingSet

options = SgdOptions(epochs=2)  # or part_of(SgdOptions, self.options)
samples = Batcher(TrainingSet.of(data), context.device)
network = context.network(options.network, data.geometry, rng)
schedule = options.schedule(len(data), context.device)
augmentation = context.augmentation(options.augmentation)
draws = torch.Generator(context.device).manual_seed(0)
Training(network, samples, schedule, augmentation, draws).run()
assert (predict(network, samples).argmax(1) == samples.labels).float().mean() > 0.5
""",
    ),
    Topic(
        "Keep what took long",
        {
            SERVICES: "Cache.tensors Cache.has Cache.free_disk",
            "condense.engine.runtime.expected": "Expected",
        },
        """\
def compute():
    return {"mean": data.inputs.float().mean(0)}


key = {"component": "mean", "version": "1", "data": data.fingerprint}  # all that it depends on
first = context.cache.tensors("means", key, compute)["mean"]
assert context.cache.has("means", key)
again = context.cache.tensors("means", key, lambda: 1 / 0)["mean"]  # nothing is computed
assert first.equal(again)
""",
    ),
    Topic(
        "Draw at random",
        {"condense.engine.runtime.rng": "Seed"},
        """\
import torch
from condense.engine.runtime.rng import Seed

# by name: the second draw stays what it is when the first changes
first, second = (Seed.of(rng).fork("mine", number).generator() for number in (1, 2))
assert not torch.rand(3, generator=first).equal(torch.rand(3, generator=second))
""",
    ),
    Topic(
        "Say what is going on, and what it takes",
        {
            SERVICES: "Progress.task Progress.note",
            "condense.results": "Cost",
            f"{TRAINING}.estimate": "sgd_cost training_cost time_call",
            f"{TRAINING}.dynamics": "dynamics_cost",
            f"{SPACE}.features": "cost_of_features",
        },
        """\
from condense import DynamicsOptions
from condense.engine.training.dynamics import dynamics_cost
from condense.engine.training.estimate import sgd_cost
from condense.engine.training.sgd import SgdOptions

with context.progress.task("mine", len(data.classes), "class") as task:
    for label in range(len(data.classes)):
        members = data.class_indices(label)
        task.advance(1, members=len(members))

# as the body of cost(): three networks, and those of the pass, which other scorers may read too
own = sgd_cost(data, context, SgdOptions(epochs=1)).times(3)
cost = own.then(dynamics_cost(data, context, DynamicsOptions(networks=2, epochs=2)))
assert cost.seconds > own.seconds
""",
    ),
)
