"""Arrays in an npz file: what is read and what is refused."""

import numpy as np
import pytest
import torch

from condense.errors import DataError, OptionError
from condense.options import Text, build_options, parse_assignment
from condense.resolve import Request, resolve
from condense_plugins.datasets.npz import Npz

LABELS = np.array([0, 1, 2, 0, 1, 2])


def images(n=6, channels=3):
    return np.random.default_rng(n).integers(0, 256, (n, 4, 4, channels), dtype=np.uint8)


@pytest.fixture
def write(tmp_path):
    def save(**arrays):
        path = tmp_path / "mine.npz"
        full = {"train_inputs": images(), "train_labels": LABELS, **arrays}
        np.savez_compressed(path, **{k: v for k, v in full.items() if v is not None})
        return path

    return save


def load(path, **options):
    return Npz(Npz.Options(path=str(path), **options)).load(context=None)


def refusal(path):
    with pytest.raises(DataError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_all_arrays_are_read(write):
    names = np.array(["ant", "bee", "cat"])
    path = write(test_inputs=images(2), test_labels=np.array([2, 0]), classes=names)
    data = load(path)
    assert np.array_equal(data.inputs.numpy(), images())
    assert data.classes == ("ant", "bee", "cat")
    assert data.name == "mine"
    assert data.flip
    assert data.test is not None
    assert data.test.labels.tolist() == [2, 0]


def test_published_constants_instead_of_its_own(write):
    own, fixed = load(write()), load(write(), norm="selmatch")
    assert fixed.normalization.mean == (0.4914, 0.4822, 0.4465)
    assert fixed.normalization.std == (0.2023, 0.1994, 0.2010)
    assert own.normalization.mean != fixed.normalization.mean
    assert torch.equal(own.inputs, fixed.inputs)
    grey = write(train_inputs=images(channels=1))
    with pytest.raises(DataError, match=r"data\.norm=selmatch is for RGB images .*data\.norm=own"):
        load(grey, norm="selmatch")


def test_grey_and_float_images(write):
    grey = load(write(train_inputs=images(channels=1)[..., 0]))
    assert grey.inputs.shape == (6, 4, 4, 1)
    assert not grey.flip
    path = write(train_inputs=images() / 255)
    assert np.array_equal(load(path).inputs.numpy(), images())
    assert not load(path, flip=False).flip


def test_features_and_string_labels(write):
    features = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    data = load(write(train_inputs=features, train_labels=np.array(list("abcabc"))))
    assert torch.equal(data.inputs, torch.from_numpy(features))
    assert data.classes == ("a", "b", "c")
    assert data.test is None


def test_inputs_may_be_called_images_but_not_both_at_once(write):
    held = {"test_images": images(2), "test_labels": np.array([2, 0])}
    data = load(write(train_inputs=None, train_images=images(), **held))
    assert np.array_equal(data.inputs.numpy(), images())
    assert np.array_equal(data.test.inputs.numpy(), images(2))
    for key in ("train", "test"):
        both = {f"{key}_inputs": images(), **held, f"{key}_images": images()}
        assert f"has both {key}_inputs and {key}_images; keep one" in refusal(write(**both))


def test_whole_numbers_are_features_too(write):
    counts = np.arange(30).reshape(6, 5)
    for dtype in (np.int64, np.uint8, np.int16):
        assert load(write(train_inputs=counts.astype(dtype))).inputs.tolist() == counts.tolist()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_modality_is_known_before_the_data_are_loaded(tmp_path, save):
    def modality(**arrays):
        path = tmp_path / "mine.npz"
        save(path, **arrays)
        return Npz(Npz.Options(path=str(path))).modality()

    assert modality(train_inputs=np.zeros((6, 5))) == "features"
    assert modality(train_images=np.zeros((6, 5), np.int8)) == "features"
    assert modality(train_images=images()) == modality(train_inputs=images()[..., 0]) == "image"
    # what cannot be told is said when it is loaded
    assert modality(inputs=np.zeros((6, 5))) == "image"
    assert Npz(Npz.Options(path=str(tmp_path / "gone.npz"))).modality() == "image"


@pytest.mark.parametrize("key", ["train_inputs", "train_labels"])
def test_missing_arrays_are_named(write, key):
    message = refusal(write(**{key: None}, x_train=np.zeros(3)))
    assert f"lacks the array {key}" in message
    assert "x_train" in message
    assert "train_inputs and train_labels" in message


@pytest.mark.parametrize("key", ["test_inputs", "test_labels"])
def test_half_a_test_split_is_refused(write, key):
    other = "test_labels" if key == "test_inputs" else "test_inputs"
    assert f"lacks the array {other}" in refusal(write(**{key: LABELS}))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"train_labels": LABELS[:4]}, ["6 inputs", "4 labels"]),
        ({"train_labels": LABELS - 1}, ["-1", "position 0"]),
        ({"train_labels": LABELS + 0.5}, ["0.5"]),
        ({"train_labels": np.full(6, 3)}, ["'3'", "at least two"]),
        ({"train_inputs": images(channels=4)}, ["(6, 4, 4, 4)"]),
        ({"train_inputs": images() / 100}, ["0–1", "image 0"]),
        ({"train_inputs": np.full((6, 3), np.nan)}, ["nan", "row 0, column 0"]),
        ({"classes": np.array(["a", "b"])}, ["2 at position 2", "2 names"]),
        ({"classes": np.array([["a", "b"]])}, ["(1, 2)"]),
    ],
)
def test_wrong_arrays_are_refused(write, arrays, words):
    path = write(**arrays)
    with pytest.raises(DataError) as caught:
        load(path)
    for word in words:
        assert word in str(caught.value)


def test_objects_are_never_unpickled(write, tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    path = write(train_labels=np.array([Trap()] * 6, dtype=object))
    message = refusal(path)
    assert "train_labels" in message
    assert "Python objects" in message
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_no_npz_are_refused(write, tmp_path):
    text = tmp_path / "text.npz"
    text.write_text("hello")
    assert "not an .npz file" in refusal(text)
    single = tmp_path / "single.npy"
    np.save(single, LABELS)
    assert "not an .npz file" in refusal(single)
    assert f"{tmp_path / 'gone.npz'} does not exist" in refusal(tmp_path / "gone.npz")
    assert "is a folder" in refusal(tmp_path)


def test_damaged_files_are_refused(write):
    path = write()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cut off" in refusal(path)
    middle = bytearray(whole)
    middle[100:140] = bytes(40)
    path.write_bytes(bytes(middle))
    assert "cannot be read" in refusal(path)


LABELLED = {"train_inputs": np.arange(60.0).reshape(30, 2), "train_labels": np.arange(30) // 10}


def test_a_share_of_every_class_is_the_test_split(write):
    path = write(**LABELLED)
    data = load(path, test=0.2)
    assert data.test is not None
    assert data.labels.bincount().tolist() == [8, 8, 8]
    assert data.test.labels.bincount().tolist() == [2, 2, 2]
    assert load(path, test=0.2).fingerprint == data.fingerprint
    for part in (data, data.test):  # the names say where a sample lay in the file
        places = [int(item.removeprefix("mine.npz#")) for item in part.items]
        assert part.inputs.tolist() == LABELLED["train_inputs"][places].tolist()
    assert {*data.items} | {*data.test.items} == {f"mine.npz#{n}" for n in range(30)}
    assert data.normalization.mean == pytest.approx(data.inputs.double().mean(0).tolist())


def test_another_file_is_the_test_split(write):
    other = write(**LABELLED).rename(write(**LABELLED).with_name("other.npz"))
    data = load(write(**LABELLED), test=str(other))
    assert data.items is None
    assert data.test is not None
    assert torch.equal(data.test.inputs, data.inputs)


def test_classes_of_another_file_are_matched_by_name(write):
    names = np.array(["ant", "bee", "cat"])
    path = write(classes=names[::-1], train_labels=2 - LABELS)
    other = path.rename(path.with_name("other.npz"))
    data = load(write(classes=names), test=str(other))  # the same images of the same classes
    assert torch.equal(data.test.inputs, data.inputs)
    assert data.test.labels.tolist() == data.labels.tolist() == LABELS.tolist()
    assert load(write(), test=str(other)).test.labels.tolist() == (2 - LABELS).tolist()
    with pytest.raises(DataError, match=r"test labels hold class 'cat' at position 2, which the"):
        load(write(classes=names[:2], train_labels=LABELS % 2), test=str(other))


def test_two_test_splits_are_refused(write):
    path = write(test_inputs=images(2), test_labels=np.array([2, 0]))
    with pytest.raises(DataError, match=r"a test split of its own; leave out `data\.test=0\.5`"):
        load(path, test=0.5)


@pytest.mark.parametrize("share", ["1.5", "0", "nan", "-0.2"])
def test_a_number_that_is_no_share(share):
    with pytest.raises(OptionError, match=r"data\.test=.*must be a share > 0, < 1, or a file"):
        build_options(Npz.Options, {"path": "a.npz", "test": Text(share)}, "data")


@pytest.mark.parametrize("given", ["0.25", "held.npz"])
def test_a_recipe_tells_a_share_from_a_file(host, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = Request(data="npz:a.npz", assignments=(parse_assignment(f"data.test={given}"),))
    recipe = resolve(host, asked)
    if given == "0.25":
        assert recipe["data"].options.test == 0.25
        assert "data.test" not in recipe.all_paths()
    else:
        assert recipe.all_paths()["data.test"] == str(tmp_path / given)
    again = resolve(host, Request(recipe=recipe.to_dict()))
    assert again["data"].options == recipe["data"].options
