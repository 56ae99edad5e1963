"""What every built-in component does on a fixed toy: one case each, or more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from condense.data import Geometry, LabeledData, Normalization, TrainingSet
from condense.engine.checked import run_dataset, run_evaluator, run_scorer, run_selector
from condense.engine.context import EngineContext
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.training.batches import initial_set
from condense.options import AugmentationSpec, NetworkSpec
from condense.plugin.host import Host
from condense.results import Arm, Budget, Scores, Selection
from condense.testing.toys import generator

Tensors = dict[str, Tensor]
CASES: dict[str, Callable[[Tools], Tensors]] = {}  # by "KIND NAME" or "KIND NAME, VARIANT"


class Tools:
    """What a case works with: the built-in components, a context and an empty folder."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host, self.folder = host, folder
        store = Store(folder / "store")
        self.context = EngineContext(host, store, torch.device("cpu"), SilentProgress())

    def create(self, kind: str, name: str, **options: Any) -> Any:
        """The component with these options."""
        component = self.host.registry(kind).get(name)
        return component(component.Options(**options))


def case(title: str) -> Callable[[Callable[[Tools], Tensors]], Callable[[Tools], Tensors]]:
    """Register a function under ``title``."""

    def register(function: Callable[[Tools], Tensors]) -> Callable[[Tools], Tensors]:
        assert title not in CASES
        CASES[title] = function
        return function

    return register


# Toys: whole-number arithmetic alone, so that they are the same everywhere.


def noise(*shape: int, top: int = 256, seed: int = 1) -> Tensor:
    """int64 of ``shape``, evenly spread over 0 … top−1."""
    count = int(np.prod(shape))
    values = (torch.arange(count) + 7919 * seed) * 2654435761 % 2**32
    return (values // 2**8 % top).view(shape)


def toy(per_class: int = 8, channels: int = 1, side: int = 8, seed: int = 1) -> LabeledData:
    """Three classes of uint8 images: one pattern a class, under noise as strong."""
    labels = torch.arange(3 * per_class) % 3
    patterns = noise(3, side, side, channels, top=100, seed=99)
    images = patterns[labels] + noise(len(labels), side, side, channels, top=156, seed=seed)
    norm = Normalization((0.5,) * channels, (0.25,) * channels)
    return LabeledData(images.to(torch.uint8), labels, ("ant", "bee", "cat"), norm, name="toy")


def selection(data: LabeledData, each: int) -> Selection:
    return Selection.of_classes([data.class_indices(c)[:each] for c in range(3)])


NETWORK = {"component": "convnet", "width": 4}
TRAINING = {"networks": 2, "epochs": 3, "eval_epoch": 2, "batch_size": 8, "network": NETWORK}


# Data sets: statistics, and a checksum of the samples.


def describe(data: LabeledData) -> Tensors:
    assert data.test is not None or data.name in ("folder", "pictures")
    splits = [("train", data)] + ([("test", data.test)] if data.test is not None else [])
    return {
        "mean": torch.tensor(data.normalization.mean, dtype=torch.float64),
        "std": torch.tensor(data.normalization.std, dtype=torch.float64),
        "flip": torch.tensor(data.flip),
        **{f"{name} inputs": checksum(split.inputs) for name, split in splits},
        **{f"{name} labels": checksum(split.labels) for name, split in splits},
    }


def checksum(values: Tensor) -> Tensor:
    """int64: the shape, and a sum in which every place has a weight of its own."""
    flat = values.flatten().long()
    weighted = (flat * (torch.arange(len(flat)) % 1009 + 1)).sum()
    return torch.tensor([*values.shape, int(weighted)])


@case("data digits")
def digits(tools: Tools) -> Tensors:
    return describe(run_dataset(tools.create("data", "digits"), tools.context))


def cifar(tools: Tools, name: str, classes: int, **options: Any) -> Tensors:
    """Through a stand-in for torchvision's reader."""
    import torchvision

    def source(root: str, train: bool, download: bool) -> SimpleNamespace:
        count = 2 * classes if train else classes
        return SimpleNamespace(
            data=noise(count, 32, 32, 3, seed=1 + train).numpy().astype(np.uint8),
            targets=[i % classes for i in range(count)],
            classes=[f"class {c}" for c in range(classes)],
        )

    dataset = tools.create("data", name, root=str(tools.folder), **options)
    with mock.patch.object(torchvision.datasets, dataset.source, source):
        return describe(run_dataset(dataset, tools.context))


@case("data cifar10")
def cifar10(tools: Tools) -> Tensors:
    return cifar(tools, "cifar10", 10)


@case("data cifar100")
def cifar100(tools: Tools) -> Tensors:
    return cifar(tools, "cifar100", 100, norm="selmatch")


def write_images(folder: Path, seed: int) -> None:
    """Two colour images; PNG whatever they are called, as JPEG decoders differ."""
    from PIL import Image

    folder.mkdir(parents=True)
    for k, pixels in enumerate(noise(2, 8, 8, 3, seed=seed).numpy().astype(np.uint8)):
        Image.fromarray(pixels).save(folder / f"{folder.parent.name}_{k}.JPEG", format="PNG")


@case("data folder")
def folder(tools: Tools) -> Tensors:
    root = tools.folder / "pictures"
    for split in ("train", "test"):
        for number, name in enumerate(("ant", "bee")):
            write_images(root / split / name, 10 * number + len(split))
    return describe(run_dataset(tools.create("data", "folder", path=str(root)), tools.context))


@case("data tiny-imagenet")
def tiny_imagenet(tools: Tools) -> Tensors:
    root = tools.folder / "tiny"
    for number, name in enumerate(("n01", "n02")):
        write_images(root / "train" / name / "images", number)
    write_images(root / "val" / "images", 5)
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\nval_1.JPEG\tn01\t0\n")
    dataset = tools.create("data", "tiny-imagenet", path=str(root))
    return describe(run_dataset(dataset, tools.context))


@case("data npz")
def npz(tools: Tools) -> Tensors:
    data, test = toy(), toy(4, seed=2)
    path = tools.folder / "arrays.npz"
    np.savez(
        path,
        train_images=data.inputs.numpy(),
        train_labels=data.labels.numpy(),
        test_images=test.inputs.numpy(),
        test_labels=test.labels.numpy(),
    )
    return describe(run_dataset(tools.create("data", "npz", path=str(path)), tools.context))


@case("data csv")
def csv(tools: Tools) -> Tensors:
    path = tools.folder / "people.csv"
    rows = [f"{k},{'ab'[k % 2]},{0.5 * k},{'yes' if k % 3 else 'no'}" for k in range(12)]
    path.write_text("\n".join(["size,colour,weight,label", *rows]))
    made = tools.create("data", "csv", path=str(path), label="label", test=0.25)
    return describe(run_dataset(made, tools.context))


@case("data sklearn")
def sklearn(tools: Tools) -> Tensors:
    return describe(run_dataset(tools.create("data", "sklearn", set="wine"), tools.context))


# Networks: logits in train mode of a fresh network.


def network_case(title: str, **options: Any) -> None:
    @case(f"network {title}")
    def network(tools: Tools) -> Tensors:
        spec = NetworkSpec.of(title.split(",")[0], **options)
        built = tools.context.network(spec, Geometry((3, 16, 16), 3), generator(5))
        inputs = noise(6, 3, 16, 16).float() / 128 - 1
        return {
            "parameters": torch.tensor(sum(p.numel() for p in built.parameters())),
            "logits": built(inputs).detach(),
        }


network_case("auto", width=8)
network_case("convnet", width=8)
network_case("convnet, instance norm", width=8, norm="instance", depth=2)
network_case("mlp", width=16)
network_case("resnet18", width=4)
network_case("vgg11", width=4)


# Scorers and selectors.


def scorer_case(title: str, **options: Any) -> None:
    @case(f"scorer {title}")
    def scorer(tools: Tools) -> Tensors:
        component = tools.create("scorer", title.split(",")[0], **options)
        scores = run_scorer(component, toy(), tools.context, generator(3))
        error = scores.standard_error
        return {"values": scores.values} | ({} if error is None else {"standard error": error})


scorer_case("cscore", **TRAINING)
scorer_case("cscore, holdout", **TRAINING, estimator="holdout", ratios=(0.5,), repeats=2)
scorer_case("forgetting", **TRAINING)
scorer_case("el2n", **TRAINING)
scorer_case("aum", **TRAINING)
scorer_case("dual", **TRAINING, window=2)
scorer_case("entropy", **TRAINING)
scorer_case("grand", **TRAINING)
scorer_case("grand, full", **TRAINING, gradient="full")
scorer_case("knn", components=8)
scorer_case("loss", **TRAINING)
scorer_case("tdds", **TRAINING, window=3)
scorer_case("random")


@case("scorer file")
def file_scorer(tools: Tools) -> Tensors:
    path = tools.folder / "scores.csv"
    path.write_text("scores\n" + "".join(f"{v / 8}\n" for v in noise(24).tolist()))
    component = tools.create("scorer", "file", path=str(path), direction="lower-harder")
    return {"values": run_scorer(component, toy(), tools.context, generator(3)).values}


def selector_case(title: str, **options: Any) -> None:
    @case(f"selector {title}")
    def selector(tools: Tools) -> Tensors:
        data = toy()
        values = noise(24, top=9).float()  # with ties
        beside = {"probability": 1 - values / 9, "aum": noise(24, top=99, seed=5).float()}
        scores = Scores(values, "toy", companions=beside)
        component = tools.create("selector", title.split(",")[0], **options)
        return {
            name: run_selector(component, data, scores, budget, tools.context, generator(4)).indices
            for name, budget in (("ipc", Budget(ipc=3)), ("fraction", Budget(fraction=0.3)))
        }


selector_case("window", beta=0.25)
selector_case("window, unit ipc", beta=0.25, unit="ipc")
selector_case("window, width", beta=0.25, width=0.5)  # near ties: others on other processors at 0.1
selector_case("random")
selector_case("hardest")
selector_case("easiest")
selector_case("stratified", strata=4)
selector_case("dual-beta")


def feature_selector_case(title: str) -> None:
    @case(f"selector {title}")
    def selector(tools: Tools) -> Tensors:
        path = tools.folder / "embeddings.npy"
        np.save(path, noise(24, 3, top=999).float().numpy())
        component = tools.create("selector", title, features=str(path))
        chosen = run_selector(component, toy(), None, Budget(ipc=5), tools.context, generator(4))
        return {"indices": chosen.indices}


for selector_name in ("kcenter", "herding", "facility-location", "moderate"):
    feature_selector_case(selector_name)


# Update policies and matchers.


def policy_case(title: str) -> None:
    @case(f"policy {title}")
    def policy(tools: Tools) -> Tensors:
        component = tools.create("policy", title)
        found = {"distilled": component.split(selection(toy(), 5))}
        if hasattr(component, "label_plan"):
            rates = component.label_plan
            found["rates"] = torch.tensor([rates.lr, rates.momentum, rates.confidence]).double()
        return found


for policy_name in ("partial", "full", "frozen", "learned-labels", "relabel"):
    policy_case(policy_name)


@case("reselector none")
def no_reselector(tools: Tools) -> Tensors:
    data = toy()
    given = (starting_set(data), data, None, tools.context, generator())
    return {"indices": tools.create("reselector", "none").complete(*given)}


@case("reselector curriculum")
def curriculum(tools: Tools) -> Tensors:
    data = toy()
    options = {"network": NETWORK, "epochs": 2, "rounds": 2, "round_steps": 3, "batch_size": 8}
    scores = Scores(noise(len(data), top=9, seed=5).float(), "toy")
    given = (starting_set(data), data, scores, tools.context, generator())
    return {"indices": tools.create("reselector", "curriculum", **options).complete(*given)}


MATCHER = {
    "experts": 2,
    "max_start_epoch": 2,
    "expert_batch_size": 8,
    "steps": 3,
    "batch_size": 4,
    "step_size": 0.05,
    "network": NETWORK,
}


def step_tensors(step: Any) -> Tensors:
    parts = ("loss", "grad_inputs", "grad_labels", "grad_step_size")
    return {p: getattr(step, p).detach() for p in parts if getattr(step, p) is not None}


def starting_set(data: LabeledData, labels: bool = False, double: bool = False) -> Any:
    mask = torch.arange(6) % 2 == 0
    synthetic = initial_set(data, selection(data, 2), mask, 0.05)
    logits = noise(6, 3, top=5).float() if labels else None
    synthetic = replace(synthetic, label_logits=logits)
    if not double:
        return synthetic
    return replace(
        synthetic,
        inputs=synthetic.inputs.double(),
        step_size=synthetic.step_size.double(),
        label_logits=None if logits is None else logits.double(),
    )


@case("matcher trajectory")
def trajectory(tools: Tools) -> Tensors:
    """Float32, with experts that it trains."""
    data = toy()
    matcher = tools.create("matcher", "trajectory", **MATCHER, memory="constant")
    matcher.prepare(data, tools.context, generator(1))
    asked = torch.arange(4)
    said = matcher.label_logits(data, asked, tools.context, generator(1))
    return step_tensors(matcher.step(starting_set(data), generator(2))) | {"teachers": said}


def trajectory_case(title: str, labels: bool = False, **options: Any) -> None:
    @case(f"matcher trajectory, {title}")
    def float64(tools: Tools) -> Tensors:
        """Float64, with experts that are given."""
        data = toy()
        matcher = tools.create("matcher", "trajectory", **MATCHER, **options)
        size = len(matcher.start_vector(data, tools.context))
        start, way = (noise(size, seed=s).float() / 256 - 0.5 for s in (7, 8))
        experts = [torch.stack([start + epoch * way / 8 for epoch in range(4)])]
        matcher.use(experts, data, tools.context, generator(1))
        return step_tensors(matcher.step(starting_set(data, labels, double=True), generator(2)))


trajectory_case("constant memory", memory="constant")
trajectory_case("unrolled", memory="unrolled", augmentation={"component": "none"})
trajectory_case("learned labels", labels=True, memory="constant")


def siamese_case(title: str, labels: bool = False, **options: Any) -> None:
    @case(f"matcher {title}")
    def two_steps(tools: Tools) -> Tensors:
        """Float64: two steps on one set, at networks that it draws, the second one trained."""
        data, rng = toy(), generator(2)
        given = {"real_per_class": 4, "network": NETWORK, **options}
        matcher = tools.create("matcher", title.split(",")[0], **given)
        matcher.prepare(data, tools.context, generator(1))
        synthetic = starting_set(data, labels, double=True)
        steps = [step_tensors(matcher.step(synthetic, rng)) for _ in range(2)]
        return {f"{k} {n}": t for n, step in enumerate(steps) for k, t in step.items()}


siamese_case("distribution")
siamese_case("gradient", network_steps=2, batch_size=4)
siamese_case("gradient, learned labels", labels=True, network_steps=2, batch_size=4)


@case("matcher none")
def no_matcher(tools: Tools) -> Tensors:
    data = toy()
    matcher = tools.create("matcher", "none")
    matcher.prepare(data, tools.context, generator(1))
    step = step_tensors(matcher.step(starting_set(data), generator(2)))
    return {"loss": step["loss"], "largest": step["grad_inputs"].abs().max()}


# Augmentations and evaluators.


def augmentation_case(title: str, **options: Any) -> None:
    @case(f"augmentation {title}")
    def augmentation(tools: Tools) -> Tensors:
        component = tools.create("augmentation", title.split(",")[0], **options)
        role = torch.tensor([0, 1, 1], dtype=torch.uint8)
        draws = component.draw(role, Geometry((3, 6, 6), 3), generator(6))
        inputs = noise(3, 3, 6, 6).float() / 128 - 1
        return {"draws": draws, "changed": component.apply(inputs, draws)}


augmentation_case("dsa")
augmentation_case("dsa, one draw a batch", per="batch")
augmentation_case("simple")
augmentation_case("combined")
augmentation_case("none")


def evaluator_case(title: str, **options: Any) -> None:
    @case(f"evaluator {title}")
    def evaluator(tools: Tools) -> Tensors:
        data, test = toy(), TrainingSet.of(toy(6, seed=3))
        component = tools.create("evaluator", title, **options)
        chosen = TrainingSet.of(data.subset(torch.arange(12)))
        arm = Arm("toy", lambda repeat: chosen, 12, TrainingSet.of(data))
        augmentation = tools.context.augmentation(AugmentationSpec.of("simple"))
        found = run_evaluator(component, arm, test, augmentation, tools.context, generator(9))
        extra = {} if found.right is None else {"right": found.right}
        for key in ("area", "radius"):
            if key in found.protocol:
                extra[key] = torch.tensor(found.protocol[key], dtype=torch.float32)
        per_class = torch.tensor(found.per_class, dtype=torch.float32)
        values = torch.tensor(found.values, dtype=torch.float32)
        return {"values": values, "per class": per_class} | extra


evaluator_case("accuracy", network=NETWORK, repeats=2, steps=12, batch_size=6)
evaluator_case("coverage", networks=2, feature_epochs=2, feature_network=NETWORK)
