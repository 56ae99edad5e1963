"""Data sets of Hugging Face's ``datasets``, on disk and in memory, drawn here."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from condense import CondensedDataset, condense
from condense.api import to_labeled_data
from condense.engine.artefact.exports.rows import rows
from condense.errors import DataError, OptionError
from condense.testing import run_checks
from condense_plugins.datasets.hugging_face import HuggingFace

NAMES = ["bee", "ant"]  # not in the order of the alphabet


def test_without_the_extra_it_is_named(context, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(OptionError, match=r"install the extra `hf` \(pip install .*\[hf\]'\)"):
        HuggingFace(HuggingFace.Options(path=str(tmp_path))).load(context)


def pixels(count, seed=0, mode="RGB", side=6):
    rng = np.random.default_rng(seed)
    shape = (count, side, side, *([3] if mode == "RGB" else []))
    return rng.integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def images(datasets):
    """Makes a Dataset of images; its classes by name, bee and ant in turn."""

    def make(count=8, *, seed=0, mode="RGB", label=None, side=6, **columns):
        label = datasets.ClassLabel(names=NAMES) if label is None else label
        drawn = [Image.fromarray(image) for image in pixels(count, seed, mode, side)]
        table = {"image": drawn, "label": [i % 2 for i in range(count)]} | columns
        plain = {k: datasets.Dataset.from_dict({k: v}).features[k] for k, v in columns.items()}
        features = {"image": datasets.Image(), "label": label} | plain
        return datasets.Dataset.from_dict(table, features=datasets.Features(features))

    return make


@pytest.fixture
def load(context):
    return lambda path, **more: HuggingFace(HuggingFace.Options(path=str(path), **more)).load(
        context
    )


@pytest.fixture
def refusal(load):
    def of(path, **more):
        with pytest.raises(DataError) as caught:
            load(path, **more)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
        return str(caught.value)

    return of


def check(data, count, seed=0):
    assert (data.inputs.numpy() == pixels(count, seed)).all()
    assert data.classes == ("bee", "ant")
    assert data.labels.tolist() == [i % 2 for i in range(count)]


@pytest.mark.extras
@pytest.mark.parametrize("form", ["saved", "saved one", "parquet", "one file", "memory"])
def test_images_and_labels_are_found_by_their_features(datasets, images, load, tmp_path, form):
    both = datasets.DatasetDict(train=images(8), test=images(4, seed=1))
    if form == "saved":
        both.save_to_disk(tmp_path / "d")
        data = load(tmp_path / "d")
    elif form == "saved one":
        both["train"].save_to_disk(tmp_path / "d")
        data = load(tmp_path / "d")
    elif form == "parquet":
        (tmp_path / "d" / "data").mkdir(parents=True)
        for name, part in (
            ("train-00000-of-00002", range(5)),
            ("train-00001-of-00002", range(5, 8)),
        ):
            both["train"].select(part).to_parquet(tmp_path / "d" / "data" / f"{name}.parquet")
        both["test"].to_parquet(tmp_path / "d" / "data" / "test-00000-of-00001.parquet")
        data = load(tmp_path / "d")
    elif form == "one file":
        both["train"].to_parquet(tmp_path / "photos.parquet")
        data = load(tmp_path / "photos.parquet")
    else:
        data = to_labeled_data(both)
    check(data, 8)
    if form in ("saved one", "one file"):
        assert data.test is None
    else:
        check(data.test, 4, seed=1)


@pytest.mark.extras
def test_grey_images_need_an_option_on_disk_and_none_in_memory(images, load, refusal, tmp_path):
    grey = images(8, mode="L")
    grey.save_to_disk(tmp_path / "d")
    told = refusal(tmp_path / "d")
    assert "in row 0 of the train split" in told
    assert "`data.channels=grey`" in told
    assert (load(tmp_path / "d", channels="grey").inputs[..., 0].numpy() == pixels(8, 0, "L")).all()
    assert (to_labeled_data(grey).inputs[..., 0].numpy() == pixels(8, 0, "L")).all()


@pytest.mark.extras
def test_images_of_an_unknown_mode_or_that_are_none(datasets, images, load, refusal, tmp_path):
    rows = [None if i == 3 else row for i, row in enumerate(encoded(images))]
    rows[5] = {"bytes": b"hello", "path": "five.png"}
    holed(datasets, rows).save_to_disk(tmp_path / "d")
    told = refusal(tmp_path / "d")
    assert (
        "in row 3 of the train split cannot be read (there is none), nor can 1 other of 8" in told
    )
    assert "`data.unreadable=skip`" in told
    data = load(tmp_path / "d", unreadable="skip")
    kept = [0, 1, 2, 4, 6, 7]
    assert (data.inputs.numpy() == pixels(8)[kept]).all()
    assert data.labels.tolist() == [i % 2 for i in kept]

    deep = Image.fromarray(np.ones((6, 6), np.float32))
    rows[5] = encoded(images, deep)
    holed(datasets, rows).save_to_disk(tmp_path / "e")
    told = refusal(tmp_path / "e", channels="rgb")
    assert "nor can 1 other" in told


@pytest.mark.extras
def test_a_grey_image_among_others_takes_no_colours_away(datasets, images):
    rows = encoded(images)
    grey = Image.fromarray(pixels(1, 9, "L")[0])
    rows[0], rows[1] = encoded(images, grey), {"bytes": b"hello", "path": None}
    data = to_labeled_data(holed(datasets, [rows[0], *rows[2:]]), holed(datasets, [rows[0]] * 4))
    assert (data.inputs[1:].numpy() == pixels(8)[2:]).all()
    for split in (data, data.test):
        assert (split.inputs[0].numpy() == np.asarray(grey)[..., None]).all()
        assert split.inputs.shape[3] == 3
    with pytest.raises(DataError, match="in row 1 of the train split cannot be read"):
        to_labeled_data(holed(datasets, rows))


@pytest.mark.extras
@pytest.mark.parametrize("share", [None, 0.25])
def test_rows_keep_their_places_beside_those_that_are_left_out(
    datasets, images, load, tmp_path, share
):
    rows = encoded(images)
    rows[1] = {"bytes": b"hello", "path": None}
    holed(datasets, rows).to_parquet(tmp_path / "d.parquet")
    data = load(tmp_path / "d.parquet", unreadable="skip", test=share)
    splits = [data] if share is None else [data, data.test]
    for split in splits:
        for image, item in zip(split.inputs.numpy(), split.items, strict=True):
            assert (image == pixels(8)[int(item.removeprefix("d.parquet#"))]).all()
    assert sum(map(len, splits)) == 7


def encoded(images, one=None):
    import io

    drawn = [one] if one is not None else [Image.fromarray(p) for p in pixels(8)]
    rows = []
    for image in drawn:
        buffer = io.BytesIO()
        image.save(buffer, "TIFF")
        rows.append({"bytes": buffer.getvalue(), "path": None})
    return rows if one is None else rows[0]


def holed(datasets, rows):
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=NAMES))
    table = {"image": rows, "label": [i % 2 for i in range(len(rows))]}
    return datasets.Dataset.from_dict(table, features=features)


@pytest.mark.extras
def test_features_and_labels_that_are_names(datasets, load, refusal, tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(9, 4)).astype(np.float32)
    table = {"vector": values.tolist(), "kind": list("xyz" * 3), "number": list(range(9))}
    datasets.Dataset.from_dict(table).save_to_disk(tmp_path / "d")
    told = refusal(tmp_path / "d")
    assert (
        "which column are the labels? set `data.label=COLUMN` (columns: vector, kind, number)"
        in told
    )
    data = load(tmp_path / "d", label="kind")
    assert np.allclose(data.inputs, values)
    assert data.classes == ("x", "y", "z")
    assert HuggingFace(HuggingFace.Options(path=str(tmp_path / "d"), label="kind")).modality() == (
        "features"
    )
    assert "no column 'sort' of labels" in refusal(tmp_path / "d", label="sort")
    assert "'number' holds neither images nor feature vectors; columns that do: vector" in refusal(
        tmp_path / "d", label="kind", input="number"
    )
    table["vector"][4] = [1.0]
    datasets.Dataset.from_dict(table).save_to_disk(tmp_path / "e")
    assert "the shape (1,) in row 4 and (4,) in row 0" in refusal(tmp_path / "e", label="kind")


@pytest.fixture
def texts(datasets, tmp_path):
    """Embeddings of two classes beside their texts, on disk."""
    rng = np.random.default_rng(0)
    table = {
        "embedding": rng.normal(np.arange(20)[:, None] % 2, 1, (20, 5)).astype(np.float32).tolist(),
        "text": [f"Satz {i}:\nschön" for i in range(20)],
        "length": list(range(20)),
        "label": [i % 2 for i in range(20)],
    }
    datasets.Dataset.from_dict(table).save_to_disk(tmp_path / "d")
    return table


@pytest.mark.extras
def test_a_column_of_text_is_carried_along(datasets, texts, host, refusal, tmp_path):
    options = {"data.items": "text", "data.test": 0.2}
    given = {"host": host, "device": "cpu", "method": "random", "ipc": 3, "options": options}
    small = condense(f"hf:{tmp_path / 'd'}", **given)
    again = CondensedDataset.load(small.save(tmp_path / "small"))
    out = again.export("items", tmp_path / "out") / "train" / "metadata.jsonl"
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(rows) == 6
    for row, features in zip(rows, again.features, strict=True):
        place = int(row["source"].removeprefix("d#"))  # in the file, whatever is tested on
        assert row["text"] == texts["text"][place]
        assert np.allclose(features, texts["embedding"][place])
    (split,) = datasets.load_dataset(
        str(again.export("hf", tmp_path / "h")), cache_dir=str(tmp_path / "cache")
    ).values()
    assert split["text"] == [row["text"] for row in rows]

    assert "there is no column 'txt' of texts (columns: embedding, text" in refusal(
        tmp_path / "d", items="txt"
    )
    assert "'length' holds 0 in row 0 of the train split, items are texts" in refusal(
        tmp_path / "d", items="length"
    )


@pytest.mark.extras
def test_what_is_distilled_never_was_a_text(texts, host, tiny, tmp_path):
    options = {k: v for k, v in tiny.items() if not k.startswith("scorer")}
    options |= {"data.items": "text", "scorer": "random", "policy.alpha": 0.5}
    small = condense(f"hf:{tmp_path / 'd'}", host=host, device="cpu", ipc=2, options=options)
    told = rows(small)
    assert [row["text"] is None for row in told] == small.distilled.tolist()
    assert 0 < small.distilled.sum() < 4
    assert [row["text"] for row in rows(small.real_only())] == [
        texts["text"][i] for i in small.source_index[~small.distilled]
    ]


@pytest.mark.extras
@pytest.mark.parametrize("form", ["saved", "parquet"])
def test_arrays_of_bytes_with_one_or_three_channels_are_images(datasets, load, tmp_path, form):
    rng = np.random.default_rng(0)

    def loaded(shape, dtype, **more):
        kind = datasets.Array2D if len(shape) == 2 else datasets.Array3D
        values = rng.integers(0, 2, (8, *shape)).astype(dtype)
        features = datasets.Features(x=kind(shape, dtype), label=datasets.ClassLabel(names=NAMES))
        table = {"x": list(values), "label": [i % 2 for i in range(8)]}
        made = datasets.Dataset.from_dict(table, features=features)
        path = tmp_path / "d" if form == "saved" else tmp_path / "d.parquet"
        made.save_to_disk(path) if form == "saved" else made.to_parquet(path)
        data = HuggingFace(HuggingFace.Options(path=str(path)))
        found = load(path, **more)
        assert data.modality() == found.geometry.modality
        return values, found.inputs.numpy()

    for shape in ((6, 5, 3), (6, 5, 1)):
        values, found = loaded(shape, "uint8")
        assert np.array_equal(found, values)
    values, found = loaded((3, 6, 5), "uint8")
    assert np.array_equal(found, values.transpose(0, 2, 3, 1))
    values, found = loaded((6, 5), "uint8")
    assert np.array_equal(found[..., 0], values)
    for shape, dtype in (
        ((6, 5, 3), "float32"),
        ((6, 5), "float32"),
        ((6, 5, 3), "int16"),
        ((6, 5, 4), "uint8"),
    ):
        values, found = loaded(shape, dtype)
        assert np.array_equal(found, values.reshape(8, -1))
    with pytest.raises(
        DataError, match=r"'x' .* bytes of shape \(3, 6, 1\), whose channels may be"
    ):
        loaded((3, 6, 1), "uint8")
    with pytest.raises(DataError, match=r"taken as images, and `data\.resize=4` is for encoded"):
        loaded((6, 5, 3), "uint8", resize=4)
    with pytest.raises(DataError, match=r"taken as feature vectors, and `data\.channels=grey`"):
        loaded((6, 5, 3), "float32", channels="grey")
    with pytest.raises(DataError, match="taken as feature vectors: train features hold nan"):
        load(nan_arrays(datasets, tmp_path))


def nan_arrays(datasets, tmp_path):
    features = datasets.Features(
        x=datasets.Array2D((2, 2), "float32"), label=datasets.Value("int64")
    )
    table = {"x": [np.full((2, 2), np.nan, np.float32)] * 4, "label": [0, 1, 0, 1]}
    datasets.Dataset.from_dict(table, features=features).save_to_disk(tmp_path / "nan")
    return tmp_path / "nan"


@pytest.mark.extras
def test_what_is_no_data_set_of_images_with_labels(datasets, images, refusal, load, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no data set of Hugging Face's" in refusal(tmp_path / "empty")
    assert "does not exist" in refusal(tmp_path / "gone")
    (tmp_path / "x.parquet").write_bytes(b"hello")
    assert "cannot be read" in refusal(tmp_path / "x.parquet")
    features = datasets.Features(
        x=datasets.List(datasets.Value("float32")), label=datasets.Value("int64")
    )
    hollow = datasets.Dataset.from_dict({"x": [[], []], "label": [0, 1]}, features=features)
    hollow.save_to_disk(tmp_path / "hollow")
    assert "train inputs have shape (2, 0)" in refusal(tmp_path / "hollow")
    datasets.Dataset.from_dict({"text": ["a"], "label": [0]}).save_to_disk(tmp_path / "text")
    assert "no column holds images or feature vectors (columns: text, label)" in refusal(
        tmp_path / "text"
    )
    images(8).rename_column("image", "one").add_column("two", [[0.5]] * 8).save_to_disk(
        tmp_path / "m"
    )
    check(load(tmp_path / "m"), 8)  # an image before a vector
    two = images(8).rename_column("image", "one")
    other = images(8).rename_column("image", "two").select_columns(["two"])
    datasets.concatenate_datasets([two, other], axis=1).save_to_disk(tmp_path / "n")
    assert "several columns hold images" in refusal(tmp_path / "n")
    assert "set `data.input=COLUMN`" in refusal(tmp_path / "n")
    check(load(tmp_path / "n", input="two"), 8)
    unlabelled = images(8, label=datasets.ClassLabel(names=NAMES))
    lost = unlabelled.remove_columns("label").add_column(
        "label", [0, 1, -1, 0, 1, 0, 1, 0], feature=datasets.ClassLabel(names=NAMES)
    )
    lost.save_to_disk(tmp_path / "lost")
    assert "row 2 of the train split has no label ('label' is -1)" in refusal(tmp_path / "lost")


@pytest.mark.extras
def test_splits(datasets, images, load, refusal, tmp_path):
    parts = {"train": images(8), "validation": images(6, seed=2), "extra": images(4, seed=3)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    check(load(tmp_path / "d").test, 6, seed=2)
    check(load(tmp_path / "d", test_split="extra").test, 4, seed=3)
    check(load(tmp_path / "d", split="extra"), 4, seed=3)
    assert "no split 'tset' (splits: train, validation, extra)" in refusal(
        tmp_path / "d", test_split="tset"
    )
    shared = load(tmp_path / "d", test=0.25)
    assert (len(shared), len(shared.test)) == (6, 2)
    assert sorted(shared.test.labels.tolist()) == [0, 1]
    images(4, seed=5).save_to_disk(tmp_path / "other")
    check(load(tmp_path / "d", test=str(tmp_path / "other")).test, 4, seed=5)


@pytest.fixture
def written(datasets, tmp_path):
    """Writes feature vectors, all of them the number that a file's name is given, as parquet."""

    def write(folder, names=("x", "y"), **files):
        for name, value in files.items():
            features = datasets.Features(
                v=datasets.List(datasets.Value("float32")), label=datasets.ClassLabel(names=names)
            )
            table = {"v": [[float(value)]] * 4, "label": [names.index(k) for k in "xxyy"]}
            path = tmp_path / folder / f"{name.replace('__', '/')}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            datasets.Dataset.from_dict(table, features=features).to_parquet(path)
        return tmp_path / folder

    return write


def values(data):
    return sorted({*data.inputs.flatten().tolist()})


SHARD = "-00000-of-00001"


@pytest.mark.extras
@pytest.mark.parametrize(
    ("files", "train", "test"),
    [
        ({f"data__{s}{SHARD}": i for i, s in enumerate(("train", "test", "extra"))}, [0], [1]),
        ({f"train{SHARD}": 0, f"train_unlabelled{SHARD}": 1, f"valid{SHARD}-3f": 2}, [0], [2]),
        ({"train-00000-of-00002": 0, "train-00001-of-00002": 1, f"test{SHARD}": 2}, [0, 1], [2]),
        ({"train": 0, "test": 1, "extra": 2}, [0], [1]),
        ({"train__0000": 0, "test__0000": 1, "extra__0000": 2, "extra__0001": 3}, [0], [1]),
        ({"part-0": 0, "part-1": 1}, [0, 1], None),
    ],
)
def test_a_file_of_another_split_is_not_trained_on(written, load, files, train, test):
    data = load(written("d", **files))
    assert values(data) == train
    assert (None if data.test is None else values(data.test)) == test
    extra = [value for name, value in files.items() if "extra" in name]
    if extra:
        assert values(load(written("d"), split="extra")) == extra


@pytest.mark.extras
def test_no_file_is_guessed_to_be_the_training_split(written, load, refusal):
    path = written("d", all=0, test=1)
    assert "there is no split 'train' (splits: all, test)" in refusal(path)
    assert values(load(path, split="all")) == [0]


@pytest.mark.extras
def test_shards_that_number_their_classes_differently_are_refused(written, load, refusal):
    written("d", names=["x", "y"], **{"train-00000-of-00002": 0})
    told = refusal(written("d", names=["y", "x"], **{"train-00001-of-00002": 1}))
    assert "train-00001-of-00002.parquet numbers the classes of 'label' as ['y', 'x']" in told
    assert "train-00000-of-00002.parquet as ['x', 'y']" in told
    written("e", names=["x", "y"], train=0)
    data = load(written("e", names=["y", "x"], test=1))  # splits go by name
    assert data.test.labels.tolist() == data.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.extras
def test_in_memory(datasets, images):
    data = images(8)
    check(to_labeled_data(data, images(4, seed=1)).test, 4, seed=1)
    with pytest.raises(DataError, match="is a IterableDataset"):
        to_labeled_data(data.to_iterable_dataset())
    with pytest.raises(DataError, match="transform of its own"):
        to_labeled_data(data.with_transform(lambda batch: batch))
    small = condense(data, method="random", ipc=2)
    assert small.source_inputs.numpy().tolist() == pixels(8)[small.source_index].tolist()


@pytest.mark.extras
def test_the_conformance_kit_passes(datasets, images, host, tmp_path):
    rng_parts = {"train": images(24), "test": images(8, seed=1)}
    datasets.DatasetDict(rng_parts).save_to_disk(tmp_path / "d")
    run_checks(
        "data", host.registry("data").get("hf"), {"path": str(tmp_path / "d")}
    ).raise_failures()
