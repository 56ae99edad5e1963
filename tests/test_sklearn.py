"""``condense.sklearn.CondenseSampler``, as scikit-learn and imbalanced-learn use samplers."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.utils import estimator_checks

from condense.errors import CondenseError
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.recipe import Preset
from condense.sklearn import CondenseSampler

TINY = {
    "scorer.networks": 1,
    "scorer.epochs": 2,
    "matcher.experts": 1,
    "matcher.iterations": 3,
    "matcher.steps": 2,
    "matcher.max_start_epoch": 1,
}
X, y = load_wine(return_X_y=True)


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path))


def sampler(method="random", **given):
    keep = {k: v for k, v in TINY.items() if method == "selmatch" or k.startswith("scorer")}
    return CondenseSampler(method, **{"fraction": 0.1, "options": keep, **given})


@pytest.mark.parametrize("method", ["random", "window"])
def test_rows_are_those_of_the_data_in_their_own_type(method):
    few = sampler(method)
    X_small, y_small = few.fit_resample(X, y)
    assert X_small.dtype == X.dtype  # float64: float32 would round
    assert np.array_equal(X_small, X[few.sample_indices_])
    assert np.array_equal(y_small, y[few.sample_indices_])
    assert np.bincount(y_small).tolist() == [int(0.1 * n) for n in np.bincount(y)]
    assert not few.distilled_.any()


def test_distilled_rows_are_marked_and_have_the_units_of_the_data():
    few = sampler("selmatch", fraction=0.2)
    X_small, y_small = few.fit_resample(X, y)
    assert 0 < few.distilled_.sum() < len(y_small)
    kept = ~few.distilled_
    assert np.allclose(X_small[kept], X[few.sample_indices_[kept]], rtol=1e-5)
    assert np.array_equal(y_small, y[few.sample_indices_])


def test_lists_and_texts_come_back_as_such():
    names = np.array(["a", "b", "c"])[y].tolist()
    X_small, y_small = sampler().fit_resample(X.tolist(), names)
    assert isinstance(X_small, list)
    assert sorted(set(y_small)) == ["a", "b", "c"]


@pytest.mark.extras
def test_a_frame_comes_back_as_one():
    pandas = pytest.importorskip("pandas", reason="pandas comes with an extra of its own")
    frame = pandas.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    X_small, y_small = sampler().fit_resample(frame, pandas.Series(y, name="kind"))
    assert list(X_small.columns) == list(frame.columns)
    assert y_small.name == "kind"
    assert frame.loc[X_small.index].equals(X_small)


def test_images_are_taken_as_they_are():
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    X_small, y_small = sampler(ipc=2, fraction=None).fit_resample(images, labels)
    assert X_small.shape == (20, 8, 8, 1)
    assert np.bincount(y_small).tolist() == [2] * 10


@pytest.mark.parametrize(
    "form",
    [
        lambda pixels: pixels,
        lambda pixels: pixels[..., 0],
        lambda pixels: (pixels / 255).transpose(0, 3, 1, 2).astype(np.float32),
        lambda pixels: torch.from_numpy(pixels[..., 0] / 255),
    ],
    ids=["uint8-nhwc", "uint8-nhw", "float32-nchw", "float64-tensor"],
)
def test_distilled_images_have_the_form_of_those_given(form):
    images, labels = load_digits(return_X_y=True)
    images, labels = (images[:200] * 15).astype(np.uint8).reshape(-1, 8, 8, 1), labels[:200]
    given = form(images)
    few = sampler("selmatch", ipc=2, fraction=None)
    X_small, _ = few.fit_resample(given, labels)
    whole = np.asarray(given)
    assert X_small.dtype == whole.dtype
    assert X_small.shape == (20, *whole.shape[1:])
    kept = ~few.distilled_
    assert 0 < kept.sum() < 20
    assert np.array_equal(X_small[kept], whole[few.sample_indices_[kept]])
    # the same pictures at every place, whatever the form
    pictures = few.condensed_.images.numpy()[..., 0]
    level = 1 if whole.dtype == np.uint8 else 255
    assert np.allclose(level * X_small.reshape(20, 8, 8), pictures, atol=1e-4)


def test_equal_seeds_give_equal_samples():
    first, same, other = (sampler(random_state=s).fit(X, y) for s in (1, 1, 2))
    assert np.array_equal(first.sample_indices_, same.sample_indices_)
    assert not np.array_equal(first.sample_indices_, other.sample_indices_)


def test_it_is_cloned_and_its_parameters_are_set():
    few = sampler("window", random_state=3)
    again = clone(few)
    assert again.get_params() == few.get_params()
    assert not hasattr(again, "sample_indices_")
    assert again.set_params(method="random").method == "random"


# the others of scikit-learn are of predict, transform or score, which a sampler has not, or fit on
# data with too few samples a class for a share of them
CHECKS = (
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_do_not_raise_errors_in_init_or_set_params",
)


@pytest.mark.parametrize("name", CHECKS)
def test_checks_of_scikit_learn(name):
    if not hasattr(estimator_checks, name):
        pytest.skip("this scikit-learn has no such check")
    getattr(estimator_checks, name)("CondenseSampler", CondenseSampler())


def test_a_method_that_is_not_asked_for_is_the_presets_else_window(monkeypatch):
    class Guessing:
        @hookimpl
        def condense_register_presets(self, register):
            register(Preset("guessing", "for tests", {}, ipc=2, method="random"))

    host = build_host(external=False, extra=[Guessing()])
    monkeypatch.setattr("condense.sklearn.build_host", lambda: host)
    assert sampler(None, preset="guessing", options=None).fit(X, y).condensed_.method == "random"
    assert sampler(None).fit(X, y).condensed_.method == "window"


def test_mistakes_are_those_of_condense():
    with pytest.raises(CondenseError, match="unknown method"):
        CondenseSampler("windw", fraction=0.1).fit(X, y)
    with pytest.raises(CondenseError, match="either ipc or fraction"):
        CondenseSampler(fraction=0.1, ipc=2).fit(X, y)


@pytest.mark.extras
def test_it_works_in_a_pipeline_of_imbalanced_learn():
    imblearn = pytest.importorskip("imblearn.pipeline", reason="needs imbalanced-learn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    steps = [StandardScaler(), sampler(fraction=0.3), LogisticRegression()]
    model = imblearn.make_pipeline(*steps).fit(X, y)
    assert model.score(X, y) > 0.8
