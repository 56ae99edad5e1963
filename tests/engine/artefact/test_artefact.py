"""The condensed set as a file: what is saved comes back, also through other people's formats."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import tomllib
import torch
from PIL import Image
from sklearn.decomposition import PCA
from torch.utils.data import DataLoader

from condense.data import Normalization, Role, SyntheticSet
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.artefact.exports.forms import FORMS
from condense.engine.artefact.preview import LINE
from condense.engine.artefact.scatter import COLOURS, principal_plane
from condense.engine.ingest.from_user import labeled_data
from condense.engine.training.batches import network_inputs
from condense.errors import DataError, OptionError, OutputError
from condense.options import parse_assignment
from condense.resolve import Request, resolve
from condense.results import Trace

FILES = ["condensed.safetensors", "manifest.json", "recipe.toml", "trace.csv", "index.csv"]


def network_input(data, index):
    """The sample as a network sees it, in float64: (x/255 − mean)/std, channels first."""
    mean, std = (np.array(v) for v in (data.normalization.mean, data.normalization.std))
    unit = 255.0 if data.inputs.dtype == torch.uint8 else 1.0
    values = (data.inputs[index].numpy().astype(np.float64) / unit - mean) / std
    return values.transpose(2, 0, 1) if values.ndim == 3 else values


def make(data, **fields):
    """Two real and two distilled samples of each class, the distilled ones moved by noise."""
    parts = [data.class_indices(c)[:4] for c in range(len(data.classes))]
    indices = torch.cat(parts)
    role = torch.tensor([0, 1, 1, 0], dtype=torch.uint8).repeat(len(parts))
    inputs = network_inputs(data, indices)
    noise = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(1))
    moved = role.bool().reshape(-1, *[1] * (inputs.dim() - 1))
    inputs = torch.where(moved, inputs + noise, inputs)
    given = SyntheticSet(inputs, data.labels[indices], role, indices, torch.tensor(0.0125))
    trace = Trace((0.75, 0.1 + 0.2), (0.0125, 1e-9))
    snapshots = {1: inputs + 1, 20: inputs + 2}
    recipe = {"method": "selmatch", "seed": 3, "ipc": 4, "selector": {"component": "window"}}
    fields = {"trace": trace, "snapshots": snapshots, "recipe": recipe} | fields
    return CondensedDataset.of(data, given, method="selmatch", seed=3, **fields)


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(2)
    values = rng.normal(3, 5, (40, 6)).astype(np.float32)
    return labeled_data(values, np.arange(40) % 4, name="vectors")


@pytest.fixture(scope="module", params=["digits", "tiny_images", "features"])
def data(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def small(data):
    return make(data)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()


def test_save_and_load_give_the_same_set_to_the_bit(small, tmp_path):
    back = CondensedDataset.load(small.save(tmp_path / "s"))
    for name in ("inputs", "labels", "role", "source_index", "source_inputs"):
        assert same_bits(getattr(back, name), getattr(small, name)), name
    for name in (
        *("classes", "normalization", "flip", "method", "seed", "recipe"),
        *("data_name", "data_fingerprint"),
    ):
        assert getattr(back, name) == getattr(small, name), name
    assert back.step_size == np.float32(0.0125)
    assert back.snapshots.keys() == {1, 20}
    assert all(same_bits(back.snapshots[i], small.snapshots[i]) for i in (1, 20))
    assert np.allclose(back.trace.loss, small.trace.loss, rtol=1e-8)
    assert np.allclose(back.trace.step_size, small.trace.step_size, rtol=1e-8)
    assert back.content_fingerprint == small.content_fingerprint
    assert back.to_bytes() == small.to_bytes()


def test_the_files_are_those_of_the_design(small, tmp_path):
    out = small.save(tmp_path / "s")
    expected = [*FILES, "snapshots", "preview.png"]
    assert sorted(p.name for p in out.iterdir()) == sorted(expected)
    tensors = safetensors.torch.load_file(out / "condensed.safetensors")
    wanted = {"inputs", "labels", "role", "source_index", "step_size", "normalisation"}
    assert wanted <= tensors.keys()
    assert tensors["inputs"].dtype == torch.float32
    assert tensors["labels"].dtype == tensors["source_index"].dtype == torch.int64
    mean_std = torch.tensor([small.normalization.mean, small.normalization.std]).double()
    assert torch.allclose(tensors["normalisation"], mean_std)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["method"] == "selmatch"
    assert manifest["seed"] == 3
    assert manifest["samples"] == 4 * len(small.classes) == len(small)
    assert manifest["distilled"] == 2 * len(small.classes)
    assert manifest["per_class"] == [4] * len(small.classes)
    assert manifest["classes"] == list(small.classes)
    assert manifest["shape"] == list(small.inputs.shape[1:])
    assert manifest["roles"] == {"0": "real", "1": "distilled"}
    name, fingerprint, samples = small.data_name, small.data_fingerprint, small.data_size
    assert manifest["data"] == {"name": name, "fingerprint": fingerprint, "samples": samples}
    assert tomllib.loads((out / "recipe.toml").read_text()) == small.recipe
    trace = (out / "trace.csv").read_text().splitlines()
    assert trace[:2] == ["iteration,loss,step_size", "1,0.75,0.0125"]
    assert len(trace) == 3


def test_two_saves_give_the_same_bytes(small, tmp_path):
    one, two = small.save(tmp_path / "one"), make_again(small).save(tmp_path / "two")
    for path in one.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (two / path.relative_to(one)).read_bytes(), path.name


def make_again(small):
    return replace(small, inputs=small.inputs.clone())


def test_a_set_without_step_size_trace_and_snapshots(tiny_images, tmp_path):
    small = make(tiny_images, trace=None, snapshots=None)
    small = replace(small, step_size=None)
    back = CondensedDataset.load(small.save(tmp_path / "s"))
    assert back.step_size is None
    assert back.trace == Trace()
    assert back.snapshots == {}
    assert json.loads((tmp_path / "s" / "manifest.json").read_text())["step_size"] is None


def test_real_samples_are_their_sources(data, small):
    assert small.source_unchanged()
    real = small.role == Role.REAL
    assert int(real.sum()) == 2 * len(data.classes)
    for i in torch.nonzero(real).flatten().tolist():
        expected = network_input(data, int(small.source_index[i]))
        assert np.allclose(small.inputs[i].numpy(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(small.source_inputs, data.inputs[small.source_index])
    moved = small.inputs.clone()
    first = int(torch.nonzero(real)[0])
    moved[first].view(-1)[0] = torch.nextafter(moved[first].view(-1)[0], torch.tensor(9.0))
    assert not replace(small, inputs=moved).source_unchanged()


def test_images_are_sources_or_the_clamped_pixels(tiny_images):
    small = make(tiny_images)
    images = small.images.numpy()
    mean, std = (np.array(v) for v in (small.normalization.mean, small.normalization.std))
    for i in range(len(small)):
        if small.role[i] == Role.REAL:
            assert (images[i] == tiny_images.inputs[small.source_index[i]].numpy()).all()
        else:
            values = small.inputs[i].numpy().astype(np.float64).transpose(1, 2, 0) * std + mean
            exact = (values * 255).clip(0, 255)
            assert np.abs(images[i] - exact).max() <= 0.5 + 1e-3


def test_it_is_a_torch_data_set(data, small):
    assert len(small) == 4 * len(data.classes)
    value, label = small[5]
    assert torch.equal(value, small.inputs[5])
    assert isinstance(label, int)
    batches = list(DataLoader(small, batch_size=7))
    assert torch.equal(torch.cat([b[0] for b in batches]), small.inputs)
    assert torch.equal(torch.cat([b[1] for b in batches]), small.labels)


def load(host, context, text, *assignments):
    given = tuple(parse_assignment(a) for a in assignments)
    recipe = resolve(host, Request(data=text, assignments=given))
    return recipe["data"].create().load(context)


def by_class(data_inputs, labels, classes):
    """{class name: sorted image bytes}, whatever the order of samples and classes."""
    return {
        name: sorted(bytes(x.numpy().tobytes()) for x in data_inputs[labels == c])
        for c, name in enumerate(classes)
    }


@pytest.mark.parametrize("name", ["digits", "tiny_images"])
def test_an_image_folder_reads_back_as_equal_images(request, host, context, tmp_path, name):
    small = make(request.getfixturevalue(name))
    folder = small.to_image_folder(tmp_path / "folder")
    grey = ["data.channels=grey"] if name == "digits" else []
    back = load(host, context, f"folder:{folder}", *grey)
    assert by_class(back.inputs, back.labels, back.classes) == by_class(
        small.images, small.labels, small.classes
    )
    lines = (folder / "index.csv").read_text().splitlines()
    assert lines[0] == "file,class,role,source_index,source,score"
    for i, line in enumerate(lines[1:]):
        file, label, role, source, _, _ = line.split(",")
        assert (np.array(Image.open(folder / file)) == small.images[i].squeeze(-1).numpy()).all()
        assert label == small.classes[int(small.labels[i])]
        assert role == ("distilled" if small.role[i] else "real")
        assert int(source) == int(small.source_index[i])
    assert len(lines) == len(small) + 1


def test_class_names_that_are_no_file_names(tiny_images, host, context, tmp_path):
    small = replace(make(tiny_images), classes=("a/b", "metadata.jsonl", ".."))
    folder = small.to_image_folder(tmp_path / "folder")
    assert len([p for p in (folder / "train").iterdir() if p.is_dir()]) == 3
    assert len(list((folder / "train").rglob("*.png"))) == len(small)
    assert {p.name for p in tmp_path.iterdir()} >= {"folder"}
    assert len(load(host, context, f"folder:{folder}")) == len(small)


def test_an_npz_reads_back(data, small, host, context, tmp_path):
    path = small.to_npz(tmp_path / "small.npz")
    assert path == tmp_path / "small.npz"
    back = load(host, context, f"npz:{path}")
    assert back.classes == small.classes
    assert torch.equal(back.labels, small.labels)
    if small.geometry.is_image:
        assert torch.equal(back.inputs, small.images)
    else:
        real = small.role == Role.REAL
        assert torch.allclose(back.inputs[real], data.inputs[small.source_index[real]], atol=1e-5)
    with np.load(path, allow_pickle=False) as archive:
        assert (archive["inputs"] == small.inputs.numpy()).all()
        assert (archive["role"] == small.role.numpy()).all()
        assert (archive["source_index"] == small.source_index.numpy()).all()


def test_a_format_that_cannot_hold_the_set_or_is_none_is_refused(features, tmp_path):
    small = make(features)
    for name, form in FORMS.items():
        if "features" not in form.holds:
            with pytest.raises(DataError, match=f"feature vectors, which '{name}'.*: .*npz"):
                small.export(name, tmp_path / "f")
    with pytest.raises(OptionError, match=r"'fodler'; did you mean 'folder'.*npz"):
        small.export("fodler", tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def flip_last(path):
    blob = bytearray(path.read_bytes())
    blob[-1] ^= 1
    path.write_bytes(blob)


DAMAGE = {
    "tensor-bit": lambda d: flip_last(d / "condensed.safetensors"),
    "tensors-cut": lambda d: (d / "condensed.safetensors").write_bytes(b"123"),
    "tensors-gone": lambda d: (d / "condensed.safetensors").unlink(),
    "manifest-cut": lambda d: (d / "manifest.json").write_text('{"format": 1,'),
    "manifest-list": lambda d: (d / "manifest.json").write_text("[]"),
    "manifest-gone": lambda d: (d / "manifest.json").unlink(),
    "manifest-lacks-classes": lambda d: drop(d / "manifest.json", "classes"),
    "one-class-more": lambda d: change(d, classes=lambda c: [*c, "dog"]),
    "one-class-less": lambda d: change(d, classes=lambda c: c[:-1]),
    "one-class-twice": lambda d: change(d, classes=lambda c: [c[0], *c[:-1]]),
    "classes-of-numbers": lambda d: change(d, classes=lambda c: list(range(len(c)))),
    "classes-as-text": lambda d: change(d, classes=lambda c: "".join(n[0] for n in c)),
    "other-shape": lambda d: change(d, shape=lambda s: [3, 8, 8]),
    "other-normalisation": lambda d: change(d, normalisation=lambda n: {**n, "mean": [0.5] * 3}),
    "trace-cut": lambda d: (d / "trace.csv").write_text("iteration,loss,step_size\n1,0.5\n"),
    "snapshot-gone": lambda d: next((d / "snapshots").iterdir()).unlink(),
    "snapshot-cut": lambda d: next((d / "snapshots").iterdir()).write_bytes(b"x"),
    "snapshot-other": lambda d: next((d / "snapshots").iterdir()).write_bytes(
        safetensors.torch.save({"x": torch.ones(1)})
    ),
}


def drop(path, key):
    table = json.loads(path.read_text())
    del table[key]
    path.write_text(json.dumps(table))


def change(folder, **changes):
    table = json.loads((folder / "manifest.json").read_text())
    table |= {key: new(table[key]) for key, new in changes.items()}
    (folder / "manifest.json").write_text(json.dumps(table))


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_artefact_is_refused_by_name(tiny_images, tmp_path, name):
    folder = make(tiny_images).save(tmp_path / "artefact")
    DAMAGE[name](folder)
    with pytest.raises(DataError) as caught:
        CondensedDataset.load(folder)
    assert str(folder) in str(caught.value)


def test_a_manifest_says_what_is_wrong_with_it(tiny_images, tmp_path):
    folder = make(tiny_images).save(tmp_path / "artefact")
    change(folder, classes=lambda c: [*c, "dog"])
    told = "'classes' has 4 names, 'per_class' 3 counts"
    with pytest.raises(DataError, match=told):
        CondensedDataset.load(folder)
    change(folder, per_class=lambda c: [*c, 4])
    told = r"'per_class' is \[4, 4, 4, 4\], the samples and 'classes' say \[4, 4, 4, 0\]"
    with pytest.raises(DataError, match=told):
        CondensedDataset.load(folder)
    change(folder, per_class=lambda c: c[:3])
    change(folder, classes=lambda c: ["x", "y", "z"])  # other names are the user's own affair
    assert CondensedDataset.load(folder).classes == ("x", "y", "z")
    drop(folder / "manifest.json", "flip")
    with pytest.raises(DataError, match="'flip' is missing"):
        CondensedDataset.load(folder)
    change(folder, format=lambda f: 7)
    with pytest.raises(DataError, match="has format 7, this version of condense reads formats 1 "):
        CondensedDataset.load(folder)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="it has no 'format'; make one with `condense run"):
        CondensedDataset.load(folder)
    for text in ("[]", "3"):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(
            DataError, match=r"manifest\.json is damaged: input should be an object"
        ):
            CondensedDataset.load(folder)


def test_a_folder_that_may_not_be_read_is_told_from_one_that_is_none(
    tiny_images, tmp_path, monkeypatch
):
    folder = make(tiny_images).save(tmp_path / "artefact")

    def refuse(*args, **kwargs):  # modes do not stop root, under whom these tests may run
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match="artefact cannot be read: permission denied; may you"):
        CondensedDataset.load(folder)


def test_what_is_no_path_or_no_picture_is_refused(tiny_images, tmp_path):
    small = make(tiny_images)
    for call in (CondensedDataset.load, small.save, small.to_npz, small.preview):
        with pytest.raises(OptionError, match=r"as text or pathlib\.Path, got 5"):
            call(5)
    with pytest.raises(OutputError, match=r"x\.xyz must end in \.png"):
        small.preview(tmp_path / "x.xyz")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"a\.png cannot be written"):
        small.preview(tmp_path / "file" / "a.png")
    assert small.preview(str(tmp_path / "new" / "a.PNG")).is_file()


@pytest.mark.parametrize("form", ["npz", "png"])
def test_a_file_of_somebody_else_is_never_replaced(tiny_images, tmp_path, form):
    small, path = make(tiny_images), tmp_path / f"mine.{form}"
    write = small.to_npz if form == "npz" else small.preview
    arrays = {"train_images": np.zeros((2, 8, 8, 3)), "train_labels": np.arange(2)}
    np.savez(tmp_path / "data.npz", **arrays)
    Image.new("RGB", (4, 4)).save(tmp_path / "data.png")
    for contents in (b"a note", b"PK", (tmp_path / f"data.{form}").read_bytes()):
        path.write_bytes(contents)
        with pytest.raises(OutputError, match=f"mine.{form} exists and is no .{form} file that"):
            write(path)
        assert path.read_bytes() == contents
    path.write_bytes(b"")
    first = write(path).read_bytes()
    assert write(path).read_bytes()[:100] == first[:100]


@pytest.mark.parametrize("index", [slice(0, 2), [0, 1], 1.0, "a", None])
def test_an_index_is_one_whole_number(tiny_images, index):
    small = make(tiny_images)
    with pytest.raises(TypeError, match="index must be one whole number, got "):
        small[index]
    image, label = small[np.int64(-1)]
    assert (image.shape, label) == (small.inputs.shape[1:], 2)
    assert torch.equal(small[torch.tensor(0)][0], small.inputs[0])
    with pytest.raises(IndexError):
        small[len(small)]


def test_a_folder_that_is_none_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="not a condensed set"):
            CondensedDataset.load(path)


def test_a_folder_of_something_else_is_left_alone(tiny_images, tmp_path):
    small = make(tiny_images)
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.png").write_text("a cat")
    for write in (small.save, small.to_image_folder):
        with pytest.raises(OutputError, match="photos"):
            write(other)
    assert [(p.name, p.read_text()) for p in other.iterdir()] == [("cat.png", "a cat")]
    with pytest.raises(OutputError, match="is a file"):
        small.save(other / "cat.png")
    with pytest.raises(OutputError, match=r"cat\.png"):
        small.to_npz(other / "cat.png" / "x.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["photos"]


def test_an_artefact_replaces_an_artefact_and_an_empty_folder(tiny_images, tmp_path):
    small = make(tiny_images)
    (tmp_path / "a").mkdir()
    small.save(tmp_path / "a")
    replace(small, seed=9, snapshots={}).save(tmp_path / "a")
    assert CondensedDataset.load(tmp_path / "a").seed == 9
    assert {p.name for p in (tmp_path / "a").iterdir()} == {*FILES, "preview.png"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["notes.txt", "mine/thoughts.txt", "snapshots/mine.png"])
def test_an_artefact_beside_which_the_user_keeps_files_is_not_replaced(tiny_images, tmp_path, name):
    small = make(tiny_images)
    small.save(tmp_path / "a")
    (tmp_path / "a" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "a" / name).write_text("mine")
    with pytest.raises(OutputError, match=name.replace(".", r"\.")):
        replace(small, seed=9).save(tmp_path / "a")
    assert CondensedDataset.load(tmp_path / "a").seed == small.seed
    assert (tmp_path / "a" / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["train/0/mine.png", "notes.txt"])
def test_an_image_folder_with_the_users_files_is_not_replaced(tiny_images, tmp_path, name):
    small = make(tiny_images)
    small.to_image_folder(tmp_path / "i")
    small.to_image_folder(tmp_path / "i")  # an export is replaced by the next
    (tmp_path / "i" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "i" / name).write_text("mine")
    with pytest.raises(OutputError, match="other files"):
        small.to_image_folder(tmp_path / "i")
    assert (tmp_path / "i" / name).read_text() == "mine"


def test_an_npz_ends_in_npz(tiny_images, tmp_path):
    with pytest.raises(OutputError, match=r"small\.txt must end in \.npz"):
        make(tiny_images).to_npz(tmp_path / "small.txt")
    assert not list(tmp_path.iterdir())


def test_a_save_that_fails_half_way_keeps_what_was_there(tiny_images, tmp_path, monkeypatch):
    small = make(tiny_images)
    small.save(tmp_path / "a")
    before = {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir() if p.is_file()}

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("condense.engine.artefact.write.draw_preview", full)
    for target in ("a", "b"):
        with pytest.raises(OutputError, match="no space left"):
            replace(small, seed=8).save(tmp_path / target)
    after = {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir() if p.is_file()}
    assert after == before
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["digits", "tiny_images"])
def test_the_preview_shows_the_samples(request, tmp_path, name):
    small = make(request.getfixturevalue(name))
    path = small.preview(tmp_path / "p.png")
    again = small.preview(tmp_path / "q.png")
    assert path.read_bytes() == again.read_bytes()
    picture = np.array(Image.open(path).convert("RGB")).astype(int)
    flat = picture.reshape(-1, 3)
    assert len(np.unique(flat, axis=0)) > 16
    # every real sample that is drawn appears enlarged without a change: look for one of them
    side = small.images.shape[1]
    tile = small.images[0].numpy().repeat(48 // side, 0).repeat(48 // side, 1)
    tile = np.broadcast_to(tile, (48, 48, 3))
    corners = np.argwhere((picture == tile[0, 0]).all(-1))
    found = [
        (y, x)
        for y, x in corners
        if picture[y : y + 48, x : x + 48].shape == tile.shape
        and (picture[y : y + 48, x : x + 48] == tile).all()
    ]
    assert found
    darker = replace(small, inputs=small.inputs - small.distilled[:, None, None, None] * 1.0)
    assert darker.preview(tmp_path / "r.png").read_bytes() != path.read_bytes()


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


def test_a_preview_of_many_classes_is_no_taller_and_says_how_many(tmp_path, monkeypatch):
    from condense.engine.artefact import preview

    images = np.random.default_rng(0).integers(0, 255, (160, 8, 8, 1), dtype=np.uint8)
    few, many = (make(labeled_data(images, np.arange(160) % k)) for k in (10, 40))
    tall = [size_of(s.preview(tmp_path / f"{len(s)}.png"))[1] for s in (few, many)]
    assert tall[1] == tall[0] + LINE < 700  # ten rows of 48 pixels, and a note
    notes = []
    monkeypatch.setattr(preview, "contact_sheet", lambda headings, rows, note: notes.append(note))
    for small in (few, many):
        preview.draw_preview(small)
    # two distilled and two real ones of each class
    assert notes == ["", "40 of 160 samples are shown, of 10 of 40 classes"]


def test_the_preview_of_features_is_the_plane_of_two_components(features, tmp_path):
    small = make(features)
    start, now, shares = principal_plane(small)
    # an independent truth: scikit-learn's, up to the sign of a component
    real = (small.source_inputs.numpy() - small.normalization.mean) / small.normalization.std
    pca = PCA(2).fit(real)
    for k in range(2):
        expected = pca.transform(real)[:, k], pca.transform(small.inputs.numpy())[:, k]
        sign = np.sign(expected[0] @ start[:, k])
        assert np.allclose(start[:, k], sign * expected[0], atol=1e-4)
        assert np.allclose(now[:, k], sign * expected[1], atol=1e-4)
    assert shares == pytest.approx(pca.explained_variance_ratio_, rel=1e-4)
    path = small.preview(tmp_path / "p.png")
    assert path.read_bytes() == small.preview(tmp_path / "q.png").read_bytes()
    with Image.open(path) as opened:
        picture = np.array(opened.convert("RGB"))
    for colour in COLOURS[:4]:  # discs in the colour of each class
        assert (picture == colour).all(-1).sum() > 20
    kept = replace(small, role=torch.zeros_like(small.role), inputs=small.inputs)
    assert kept.preview(tmp_path / "r.png").read_bytes() != path.read_bytes()


@pytest.mark.parametrize("width", [1, 2])
def test_features_of_one_or_two_columns_are_drawn_too(tmp_path, width):
    values = np.arange(24.0).reshape(-1, 1) ** np.arange(1, width + 1)
    small = make(labeled_data(values, np.arange(24) % 3))
    assert size_of(small.preview(tmp_path / "p.png"))[0] > 400
    blank = replace(small, source_inputs=torch.zeros_like(small.source_inputs))
    blank.preview(tmp_path / "q.png")


@pytest.mark.parametrize("name", ["tiny_images", "features"])
def test_class_names_of_any_script_are_drawn(request, tmp_path, name):
    small = make(request.getfixturevalue(name))
    pictures = set()
    russian, odd = ("ноль", "一", "ελάφι", "x"), ("\u0301\n", "", "a" * 99, "x")
    for names in (russian, ("дом", *russian[1:]), odd):
        told = replace(small, classes=names[: len(small.classes)])
        pictures.add(told.preview(tmp_path / "p.png").read_bytes())
    assert len(pictures) == 3  # the letters are there, not one sign for all


def test_a_preview_says_how_many_samples_it_leaves_out(digits, tmp_path):
    whole, more = make(digits), make(digits)
    five = torch.cat([digits.class_indices(c)[:5] for c in range(10)])
    more = replace(
        more,
        inputs=network_inputs(digits, five),
        labels=digits.labels[five],
        role=torch.ones(50, dtype=torch.uint8),
        source_index=five,
        source_inputs=digits.inputs[five],
    )
    sizes = [size_of(s.preview(tmp_path / "p.png")) for s in (whole, more)]
    assert sizes[1][1] == sizes[0][1] - LINE + LINE  # a line less above, the note below


def test_features_and_labels_as_they_came(features):
    small = make(features)
    moved = small.distilled
    assert torch.equal(small.features[~moved], features.inputs[small.source_index[~moved]])
    mean, std = (np.array(v) for v in (small.normalization.mean, small.normalization.std))
    own = small.inputs[moved].numpy().astype(np.float64) * std + mean
    assert np.allclose(small.features[moved].numpy(), own, rtol=1e-5, atol=1e-4)
    samples, labels = small.to_numpy()
    assert samples.dtype == np.float32
    assert np.array_equal(samples, small.features.numpy())
    assert labels.dtype == np.int64
    assert labels.tolist() == small.labels.tolist()
    with pytest.raises(DataError, match=r"feature vectors"):
        _ = small.images


def test_labels_are_those_that_were_given():
    values = np.random.default_rng(0).normal(size=(40, 3))
    for given in ([7, 3, 40, 0], [-1, 1], ["b", "a", "3", "c"], ["-1", "-0"], ["-1", "+1"]):
        labels = np.array(given)[np.arange(40) % len(given)]
        small = make(labeled_data(values, labels))
        expected = labels[small.source_index.numpy()].tolist()
        for found in (small.to_numpy()[1], small.rows.cells[-1]):
            assert found.tolist() == expected


def test_images_as_arrays(tiny_images):
    small = make(tiny_images)
    images, labels = small.to_numpy()
    assert np.array_equal(images, small.images.numpy())
    assert labels.tolist() == [tiny_images.classes[k] for k in small.labels]
    with pytest.raises(DataError, match=r"images, not feature vectors; see \.images"):
        _ = small.features


def test_without_pandas_the_extra_is_named(features, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(OptionError, match=r"pip install .*\[pandas\]'"):
        make(features).to_pandas()


@pytest.mark.extras
def test_a_data_frame_has_a_row_a_sample(features, tiny_images):
    small = make(features)
    frame = small.to_pandas()
    wide = [f"feature_{k}" for k in range(6)]
    assert list(frame.columns) == [*wide, "class", "role", "source_index"]
    assert np.array_equal(frame[wide].to_numpy(), small.features.numpy())
    assert frame["class"].tolist() == small.labels.tolist()
    assert frame["role"].tolist() == ["distilled" if d else "real" for d in small.distilled]
    assert frame["source_index"].tolist() == small.source_index.tolist()
    assert list(make(tiny_images).to_pandas().columns) == ["class", "role", "source_index"]


def test_the_preview_of_one_role_only(tiny_images, tmp_path):
    small = make(tiny_images)
    for role in (0, 1):
        one = replace(small, role=torch.full_like(small.role, role))
        with Image.open(one.preview(tmp_path / f"{role}.png")) as picture:
            assert picture.size[0] > 100


def test_normalization_survives_exactly(tiny_images, tmp_path):
    norm = Normalization((0.1 + 0.2, 1 / 3, 2 / 3), (1e-3, 0.1, 0.7))
    small = replace(make(tiny_images), normalization=norm)
    assert CondensedDataset.load(small.save(tmp_path / "s")).normalization == norm
