"""Coverage of artefacts over their iterations, against a computation by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from condense.data import Role, SyntheticSet, TrainingSet
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.feature_space.difficulty import halves_of_test
from condense.engine.feature_space.network import FeatureNetworks
from condense.engine.feature_space.radius import CoverageOptions
from condense.engine.training.batches import network_inputs
from condense.errors import DataError, OptionError
from condense.options import parse_assignment
from condense.resolve import Request
from condense.results import Trace
from condense.studies.coverage.run import CURVE_POINTS, coverage_of_runs, stages_of

SMALL = (
    *("evaluator.feature_epochs=1", "evaluator.networks=1"),
    *("evaluator.feature_network.width=8", "evaluator.radius_samples=200"),
)
OPTIONS = CoverageOptions(
    feature_epochs=1,
    networks=1,
    feature_network={"component": "convnet", "width": 8},
    radius_samples=200,
)
RECIPE = {"method": "selmatch", "seed": 0, "data": {"component": "digits"}}


def request(*texts, **fields):
    return Request(assignments=tuple(parse_assignment(t) for t in (*SMALL, *texts)), **fields)


def artefact(data, indices, moved=0.0, snapshots=(), recipe=RECIPE, **changes):
    """The set of ``indices``, of which all but the last were moved by ``moved``."""
    inputs = network_inputs(data, indices)
    role = torch.full((len(indices),), int(Role.DISTILLED if moved else Role.REAL)).to(torch.uint8)
    role[-1] = int(Role.REAL)
    shift = moved * (role == Role.DISTILLED).float()[:, None, None, None]
    step = torch.tensor(float("nan"))
    made = SyntheticSet(inputs + shift, data.labels[indices], role, indices, step)
    steps = 20 if moved else 0
    return replace(
        CondensedDataset.of(
            data,
            made,
            method="selmatch",
            seed=0,
            recipe=recipe,
            trace=Trace((1.0,) * steps, (0.1,) * steps),
            snapshots={i: inputs + shift * i / 20 for i in snapshots},
        ),
        **changes,
    )


@pytest.fixture
def measure(host, context):
    def call(*folders, asked=None):
        tools = {"store": context.cache, "device": context.device, "progress": context.progress}
        return coverage_of_runs(folders, asked or request(), host, **tools)

    return call


@pytest.fixture
def two(digits, tmp_path):
    """A real set, and one that starts from it and moves."""
    chosen = torch.cat([digits.class_indices(c)[:3] for c in range(10)])
    real = artefact(digits, chosen).save(tmp_path / "real")
    recipe = RECIPE | {"policy": {"component": "full"}}
    moved = artefact(digits, chosen, 0.7, (5, 10), recipe).save(tmp_path / "moved")
    return real, moved


def by_hand(samples, digits, context):
    """Plain distances of the test samples to the nearest of ``samples``, and the halves."""
    training, test = TrainingSet.of(digits), TrainingSet.of(digits.test)
    network = FeatureNetworks(training, test, context, OPTIONS).trained()
    parts = halves_of_test(FeatureNetworks(training, test, context, OPTIONS))
    held, small = (network.features(s, context.device).double() for s in (test, samples))
    nearest = torch.stack([(small - one).norm(dim=1).min() for one in held])
    return nearest, parts


def test_every_saved_iteration_is_measured(measure, two, digits, context):
    result = measure(*two)
    real, moved = result.runs
    assert result.data_fingerprints == digits.fingerprints
    assert [p.iteration for p in real.iterations] == [0]
    assert [p.iteration for p in moved.iterations] == [0, 5, 10, 20]
    assert real.iterations[0] == moved.iterations[0]
    assert real.label == "selmatch"
    sets = [CondensedDataset.load(folder).content_fingerprint for folder in two]
    assert [run["fingerprint"] for run in result.to_json()["runs"]] == sets
    assert sets[0] != sets[1]
    assert moved.label == "selmatch policy=full"
    for folder, run in zip(two, result.runs, strict=True):
        for samples, point in zip(
            stages_of(CondensedDataset.load(folder)).values(), run.iterations, strict=True
        ):
            nearest, parts = by_hand(samples, digits, context)
            within = (nearest <= result.radius).double()
            assert point.all == pytest.approx(float(within.mean()))
            assert point.easy == pytest.approx(float(within[parts.easy].mean()))
            assert point.hard == pytest.approx(float(within[parts.hard].mean()))
            max_radius = 2 * result.radius
            area = 1 - float(nearest.clamp(max=max_radius).mean()) / max_radius
            assert point.area.all == pytest.approx(area)
    assert len({p.all for p in moved.iterations}) > 1
    assert 0 < real.iterations[0].all < 1


def test_the_curve_rises_from_nothing_and_passes_the_point(measure, two):
    result = measure(*two)
    middle = CURVE_POINTS // 2
    for run in result.runs:
        radii, shares = run.curve.radii, list(run.curve.all)
        assert len(radii) == CURVE_POINTS
        assert radii[0] == 0
        assert radii[-1] == pytest.approx(2 * result.radius)
        assert radii[middle] == pytest.approx(result.radius)
        assert shares == sorted(shares)
        assert shares[middle] == pytest.approx(run.iterations[-1].all, abs=0.01)


def test_more_samples_and_another_order(measure, digits, tmp_path):
    chosen = torch.cat([digits.class_indices(c)[:6] for c in range(10)])
    few = artefact(digits, chosen[::2]).save(tmp_path / "few")
    many = artefact(digits, chosen).save(tmp_path / "many")
    turned = artefact(digits, chosen.flip(0)).save(tmp_path / "turned")
    one, all_of_it, backwards = (run.iterations[-1] for run in measure(few, many, turned).runs)
    assert one.all < all_of_it.all
    assert one.area.hard < all_of_it.area.hard
    assert (backwards.all, backwards.hard) == (all_of_it.all, all_of_it.hard)
    assert backwards.area.all == pytest.approx(all_of_it.area.all, abs=1e-7)


def test_a_training_sample_has_another_within_the_radius_as_often_as_the_quantile_says(
    measure, digits, tmp_path
):
    """So the whole training split covers about that share of the test split."""
    whole = artefact(digits, torch.arange(len(digits))).save(tmp_path / "whole")
    (run,) = measure(whole).runs
    assert run.iterations[0].all == pytest.approx(0.95, abs=0.04)


def test_same_class_covers_no_more(measure, two):
    loose, strict = measure(*two), measure(*two, asked=request("evaluator.same_class=true"))
    assert loose.radius == strict.radius
    for one, other in zip(loose.runs, strict.runs, strict=True):
        assert other.iterations[-1].all <= one.iterations[-1].all
        assert other.iterations[-1].area.all < one.iterations[-1].area.all


def test_json_is_strict_and_has_the_contracted_keys(measure, two):
    document = json.loads(json.dumps(measure(*two).to_json(), allow_nan=False))
    assert {"data", "radius", "quantile", "runs"} <= set(document)
    run = document["runs"][1]
    assert {"artefact", "method", "label", "iterations", "curve", "area"} <= set(run)
    assert set(run["iterations"][0]) == {"iteration", "all", "easy", "hard", "area"}
    assert set(run["curve"]) == {"radii", "all", "easy", "hard"}
    assert set(run["area"]) == {"all", "easy", "hard"}


def test_runs_of_different_data_are_both_named(measure, two, digits, tmp_path):
    other = artefact(
        digits, torch.arange(20), data_name="letters", data_fingerprint="another"
    ).save(tmp_path / "other")
    with pytest.raises(DataError) as caught:
        measure(two[0], other)
    for part in (str(two[0]), str(other), "digits", "letters", "`data`"):
        assert part in str(caught.value)
    result = measure(two[0], other, asked=request(data="digits"))  # said: measured all the same
    assert len(result.runs) == 2


def test_data_that_do_not_fit_are_refused(measure, two, digits, tiny_images, tmp_path):
    strange = artefact(tiny_images, torch.arange(9)).save(tmp_path / "strange")
    with pytest.raises(DataError, match=r"strange holds samples of shape .*, digits \(1, 8, 8\)"):
        measure(two[0], strange, asked=request(data="digits"))
    memory = artefact(digits, torch.arange(9), recipe={"method": "selmatch"})
    with pytest.raises(DataError, match="arrays in memory; say what to test on with `data`"):
        measure(memory.save(tmp_path / "memory"))
    with pytest.raises(DataError, match="not a condensed set"):
        measure(tmp_path / "nothing")


def test_another_evaluator_is_refused(measure, two):
    with pytest.raises(OptionError, match=r"`evaluator=accuracy` has no effect here"):
        measure(*two, asked=request("evaluator=accuracy"))
    with pytest.raises(OptionError, match=r"evaluator\.radius_quantile=2.*≤ 1"):
        measure(*two, asked=request("evaluator.radius_quantile=2"))


def test_data_without_a_test_split_are_refused(measure, digits, tmp_path):
    path = tmp_path / "bare.npz"
    np.savez(path, train_images=digits.inputs.numpy(), train_labels=digits.labels.numpy())
    real = artefact(digits, torch.arange(20), classes=tuple("0123456789")).save(tmp_path / "real")
    with pytest.raises(DataError, match="has no test split, so nothing can be evaluated on it"):
        measure(real, asked=request(data=f"npz:{path}"))


def test_data_that_changed_since_are_noted(measure, digits, tmp_path, context, monkeypatch):
    notes = []
    monkeypatch.setattr(context.progress, "note", notes.append)
    changed = artefact(digits, torch.arange(20), data_fingerprint="older").save(tmp_path / "run")
    measure(changed)
    assert notes == [f"note: digits is not as it was when {changed} was made of it"]
    notes.clear()
    measure(artefact(digits, torch.arange(20)).save(tmp_path / "same"))
    assert notes == []
