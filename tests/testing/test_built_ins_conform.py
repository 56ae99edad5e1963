"""Every built-in component against the conformance kit, so that none is ever left out."""

import numpy as np
import pytest
import torch
from PIL import Image

from condense.plugin.host import build_host
from condense.testing import parametrize_with_checks, run_checks, toy_data

HOST = build_host(external=False)
DOWNLOADS = {  # data that no test may fetch; their readers are tested in tests/plugins/datasets
    "cifar10": "downloads 170 MB",
    "cifar100": "downloads 170 MB",
}
DRAWN = {
    "tiny-imagenet",
    "folder",
    "hf",
    "npz",
    "csv",
    "parquet",
    "sklearn",
}  # checked below, on drawn files
ARGUMENT = {"file"}  # checked below, on a drawn file


def of(kind):
    """The components of ``kind`` that need nothing from outside."""
    left_out = {*DOWNLOADS, *DRAWN} if kind == "data" else ARGUMENT if kind == "scorer" else set()
    return [e.component for name, e in HOST.registry(kind).items() if name not in left_out]


@parametrize_with_checks("scorer", of("scorer"))
def test_scorers(component, check):
    check(component)


@parametrize_with_checks("selector", of("selector"))
def test_selectors(component, check):
    check(component)


@parametrize_with_checks("policy", of("policy"))
def test_update_policies(component, check):
    check(component)


@parametrize_with_checks("reselector", of("reselector"))
def test_reselectors(component, check):
    check(component)


@parametrize_with_checks("matcher", of("matcher"))
def test_matchers(component, check):
    check(component)


@parametrize_with_checks("augmentation", of("augmentation"))
def test_augmentations(component, check):
    check(component)


@parametrize_with_checks("network", of("network"))
def test_networks(component, check):
    check(component)


@parametrize_with_checks("evaluator", of("evaluator"))
def test_evaluators(component, check):
    check(component)


@parametrize_with_checks("method", of("method"))
def test_methods(component, check):
    check(component)


@parametrize_with_checks("data", of("data"))
def test_data(component, check):
    check(component)


def test_full_distils_all_and_frozen_nothing(host):
    from condense.testing.toys import toy_selection

    chosen = toy_selection()
    for name, expected in (("full", True), ("frozen", False)):
        cls = host.registry("policy").get(name)
        assert set(cls(cls.Options()).split(chosen).tolist()) == {expected}


def test_only_downloads_are_left_out():
    assert set(DOWNLOADS) | DRAWN <= set(HOST.registry("data").names())
    assert ARGUMENT <= set(HOST.registry("scorer").names())
    checked = sum(len(of(kind)) for kind in HOST.registries if kind != "preset")
    everything = sum(len(HOST.registry(k).names()) for k in HOST.registries if k != "preset")
    assert checked == everything - len(DOWNLOADS) - len(DRAWN) - len(ARGUMENT)


def draw(folder, images, names):
    folder.mkdir(parents=True)
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(folder / name)


@pytest.fixture(scope="module")
def toy():
    data = toy_data(channels=3)
    return data, data.test


def test_npz_on_drawn_arrays(toy, tmp_path):
    train, test = toy
    path = tmp_path / "toy.npz"
    np.savez(
        path,
        train_images=train.inputs.numpy(),
        train_labels=train.labels.numpy(),
        test_images=test.inputs.numpy(),
        test_labels=test.labels.numpy(),
        classes=np.array(train.classes),
    )
    run_checks("data", HOST.registry("data").get("npz"), {"path": str(path)}).raise_failures()


def test_csv_on_drawn_rows(tmp_path):
    path = tmp_path / "toy.csv"
    rows = [f"{n},{n * n % 7},{'abc'[n % 3]},{n % 2}" for n in range(60)]
    path.write_text("\n".join(["x,y,sort,label", *rows]))
    options = {"path": str(path), "label": "label", "test": 0.2, "ignore": ["y"]}
    run_checks("data", HOST.registry("data").get("csv"), options).raise_failures()


def test_sklearn_on_iris():
    run_checks("data", HOST.registry("data").get("sklearn"), {"set": "iris"}).raise_failures()


def test_folder_on_drawn_images(toy, tmp_path):
    for split, data in zip(("train", "test"), toy, strict=True):
        for label, name in enumerate(data.classes):
            images = data.inputs[data.labels == label].numpy()
            draw(tmp_path / split / name, images, [f"{i}.png" for i in range(len(images))])
    run_checks(
        "data", HOST.registry("data").get("folder"), {"path": str(tmp_path)}
    ).raise_failures()


def test_file_scores_on_a_drawn_file(tmp_path):
    from condense.testing.toys import planted

    data, wrong = planted()
    path = tmp_path / "scores.npy"
    np.save(path, wrong.numpy() + np.linspace(0, 0.5, len(data)))
    report = run_checks("scorer", HOST.registry("scorer").get("file"), {"path": str(path)})
    report.raise_failures()
    excused = {o.check for o in report.outcomes if o.result == "excused"}
    assert excused == {"check_harder_is_higher", "check_scores_follow_their_samples"}


def test_checking_leaves_global_randomness_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run_checks("selector", HOST.registry("selector").get("random")).raise_failures()
    assert torch.equal(before, torch.get_rng_state())


def test_tiny_imagenet_on_drawn_images(toy, tmp_path):
    train, test = toy
    for label, name in enumerate(train.classes):
        images = train.inputs[train.labels == label].numpy()
        names = [f"{name}_{i}.JPEG" for i in range(len(images))]
        draw(tmp_path / "train" / name / "images", images, names)
    names = [f"val_{i}.JPEG" for i in range(len(test))]
    draw(tmp_path / "val" / "images", test.inputs.numpy(), names)
    answers = zip(names, test.labels.tolist(), strict=True)
    lines = [f"{file}\t{train.classes[label]}\t0\t0\t7\t7\n" for file, label in answers]
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(lines))
    options = {"path": str(tmp_path)}
    run_checks("data", HOST.registry("data").get("tiny-imagenet"), options).raise_failures()
