"""Methods of real samples only, each by the one word, through `condense run` and `select`."""

import json

import numpy as np
import pytest
import torch

from condense import CondensedDataset

OF_FEATURES = ("kcenter", "herding", "facility-location", "moderate")
OF_SCORES = ("ccs", "dual", "tdds")
SMALL = {
    "evaluator.steps": 2,
    "evaluator.repeats": 1,
    "evaluator.network": "mlp",
}
OF_NETWORK = {"epochs": 4, "network.width": 4}


@pytest.fixture
def call(calling, as_flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [20, 12, 8])
    images = rng.integers(0, 120, (40, 8, 8, 1)) + 60 * labels[:, None, None, None]
    arrays = {"train_images": images.astype(np.uint8), "train_labels": labels}
    np.savez("toy.npz", **arrays, test_images=arrays["train_images"][::2], test_labels=labels[::2])

    plain = calling(more=("--data", "npz:toy.npz", "--json"))
    return lambda *args, **options: json.loads(plain(*args, *as_flags(options)).stdout)


def options_of(method):
    stage = "selector" if method in OF_FEATURES else "scorer"
    return SMALL | {f"{stage}.{key}": value for key, value in OF_NETWORK.items()}


@pytest.mark.parametrize("method", [*OF_FEATURES, *OF_SCORES])
def test_a_method_of_real_samples_is_one_word(call, method):
    def run(out):
        return call("run", "--method", method, "--fraction", "0.25", "--out", out, **opts)

    opts = options_of(method)
    first = run("a")
    small = CondensedDataset.load("a")
    assert torch.bincount(small.labels).tolist() == [5, 3, 2]
    assert not bool(small.distilled.any())
    assert small.source_unchanged()
    assert ("scorer" in first["stages"]) == (method not in OF_FEATURES)
    assert not {"prepare", "matcher"} & set(first["stages"])
    chosen = call("select", "--method", method, "--fraction", "0.25", **opts)
    assert chosen["indices"] == small.source_index.tolist()
    assert chosen["stages"]["selector"]["cached"]
    other = call("select", "--method", "random", "--fraction", "0.25")
    assert chosen["indices"] != other["indices"]
    # the same selector in SelMatch's place
    words = {
        "ccs": ("stratified", "aum"),
        "dual": ("dual-beta", "dual"),
        "tdds": ("hardest", "tdds"),
    }
    selector, scorer = words.get(method, (method, "random"))
    swapped = {"selector": selector, "scorer": scorer, **opts}
    assert call("select", "--fraction", "0.25", **swapped)["indices"] == chosen["indices"]


@pytest.mark.parametrize("method", OF_FEATURES)
def test_a_dry_run_counts_the_network_that_gives_the_features(call, method):
    document = call("run", "--method", method, "--ipc", "2", "--dry-run", **options_of(method))
    (planned,) = [s for s in document["stages"] if s["stage"] == "selector"]
    assert planned["seconds"] > 0
