"""Folders of images: layouts, conversions and refusals."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from condense.engine.artefact.write import MANIFEST, TENSORS
from condense.errors import DataError
from condense_plugins.datasets.folder import Folder

done = []


@contextmanager
def task(title, total, unit="it"):
    yield SimpleNamespace(advance=lambda n=1: done.append(n))


noted = []
CONTEXT = SimpleNamespace(progress=SimpleNamespace(task=task, note=noted.append))


def draw(path, value=100, size=(6, 6), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value // 2, 0)).convert(mode).save(path)
    return path


@pytest.fixture
def root(tmp_path):
    for c, name in enumerate(("cat", "ant")):
        for k in range(3):
            draw(tmp_path / "train" / name / f"{k}.png", 50 * c + 10 * k)
        draw(tmp_path / "test" / name / "0.png", 200 + c)
    return tmp_path


def load(root, **options):
    return Folder(Folder.Options(path=str(root), **options)).load(CONTEXT)


def refusal(root, **options):
    with pytest.raises(DataError) as caught:
        load(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_classes_and_files_come_in_the_order_of_their_names(root):
    done.clear()
    data = load(root)
    assert data.classes == ("ant", "cat")
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.inputs[:, 0, 0, 0].tolist() == [50, 60, 70, 0, 10, 20]
    assert data.inputs.shape == (6, 6, 6, 3)
    assert data.flip
    assert data.test is not None
    assert data.test.inputs[:, 0, 0, 0].tolist() == [201, 200]
    assert data.items == tuple(f"train/{c}/{k}.png" for c in ("ant", "cat") for k in range(3))
    assert data.test.items == ("test/ant/0.png", "test/cat/0.png")
    assert sum(done) == 8
    assert load(root).fingerprint == data.fingerprint


def test_val_serves_as_the_test_split_and_flip_can_be_off(root):
    (root / "test").rename(root / "val")
    data = load(root, flip=False)
    assert data.test is not None
    assert not data.flip
    assert not data.test.flip


def test_class_folders_alone_are_a_train_split(root):
    data = load(root / "train")
    assert len(data) == 6
    assert data.test is None


def test_hidden_and_foreign_files_are_passed_over(root):
    (root / "train" / ".cache").mkdir()
    (root / "train" / "cat" / "notes.txt").write_text("no image")
    (root / "train" / "cat" / "._0.png").write_text("no image")
    assert len(load(root)) == 6


def test_files_that_are_left_out_are_counted(root):
    noted.clear()
    (root / "train" / "cat" / ".hidden").mkdir()
    draw(root / "train" / "cat" / ".hidden" / "0.png")
    load(root)
    assert noted == []
    others = ["train/ant/notes.txt", "train/cat/more/1.png", "train/cat/more/deep/2.png"]
    others.append("test/cat/0.heic")
    for name in others:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert len(load(root)) == 6
    (told,) = noted
    assert "left out 4 files" in told
    assert all(str(root / name) in told for name in others)


def test_what_condense_wrote_among_the_classes_is_no_class(root):
    whole = load(root)
    noted.clear()
    for place in ("train/small", "train/runs/one", "test/small"):
        (root / place).mkdir(parents=True)
        for name in (MANIFEST, TENSORS):
            (root / place / name).touch()
        draw(root / place / "preview.png")
    assert load(root).fingerprint == whole.fingerprint
    said = " ".join(noted)
    assert all(str(root / name) in said for name in ("train/small", "train/runs", "test/small"))
    draw(root / "train" / "runs" / "0.png")  # images of its own: a class
    assert "runs" in load(root).classes


def test_images_one_folder_deeper_are_named(root):
    for place in (root / "train" / "cat").iterdir():
        place.rename(draw(root / "train" / "cat" / "more" / place.name))
    told = refusal(root)
    assert "cat has no image file" in told
    assert f"move those of subfolders into it ({root / 'train' / 'cat' / 'more'}" in told


def deep(root, highest):
    """Images of 16 bit whose values reach ``highest``."""
    for k, place in enumerate(sorted((root / "train").glob("*/*"))):
        values = np.linspace(0, highest - k, 36).astype(np.uint16).reshape(6, 6)
        Image.fromarray(values).save(place)
    return load(root / "train", channels="grey")


def test_images_of_16_bit_that_8_bits_would_not_tell_apart_are_refused(root):
    with pytest.raises(DataError, match=r"16 bit and reaches 4095 of 65535.*brighter than 16 of"):
        deep(root, 4095)  # a camera of 12 bit
    (root / "train" / "cat" / "0.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="brighter than 16 of"):
        load(root / "train", channels="grey", unreadable="skip")
    assert int(deep(root, 65535).inputs.max()) == 255


@pytest.mark.parametrize("ending", ["jpe", "jfif", "JPG"])
def test_images_of_every_ending_are_taken(root, ending):
    image = draw(root / "train" / "cat" / "9.jpeg", 7)
    image.rename(image.with_suffix(f".{ending}"))
    noted.clear()
    data = load(root)
    assert data.items[-1] == f"train/cat/9.{ending}"
    assert data.inputs[-1, 0, 0, 0] == pytest.approx(7, abs=3)
    assert noted == []


def test_mixed_sizes_are_refused_and_resize_mends_them(root):
    odd = draw(root / "train" / "cat" / "1.png", size=(9, 7))
    message = refusal(root)
    for word in (str(odd), "9x7", "6x6", "`data.resize=32`"):
        assert word in message
    assert load(root, resize=5).inputs.shape == (6, 5, 5, 3)


def test_test_images_must_have_the_size_of_the_train_images(root):
    for name in ("cat", "ant"):
        draw(root / "test" / name / "0.png", size=(8, 8))
    message = refusal(root)
    assert "8x8" in message
    assert "6x6" in message


def test_resize_averages_when_it_shrinks(tmp_path):
    board = np.indices((32, 32)).sum(0) % 2 * 255
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(board.astype(np.uint8)).convert("RGB").save(tmp_path / name / "0.png")
    inner = load(tmp_path, resize=8).inputs[0, 2:-2, 2:-2].int()
    assert ((inner - 128).abs() <= 4).all()


def test_large_jpegs_are_resized_close_to_the_exact_way(tmp_path):
    y, x = np.mgrid[0:256, 0:320]
    pixels = np.stack([x * 255 // 320, y * 255 // 256, (x + y) % 256], -1).astype(np.uint8)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "0.jpg", quality=95)
    exact = np.asarray(Image.open(tmp_path / "a" / "0.jpg").resize((32, 32), Image.BILINEAR))
    found = load(tmp_path, resize=32).inputs[0].numpy()
    assert np.abs(found.astype(int) - exact)[..., :2].max() <= 6


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I;16"])
def test_grey_files_are_refused_until_channels_is_chosen(root, mode):
    if mode == "I;16":
        grey = root / "train" / "cat" / "1.png"
        Image.fromarray(np.full((6, 6), 25700, np.uint16)).save(grey)
    else:
        grey = draw(root / "train" / "cat" / "1.png", 255, mode=mode)
    message = refusal(root)
    for word in (str(grey), mode[0], "`data.channels=grey`", "`data.channels=rgb`"):
        assert word in message
    assert load(root, channels="grey").inputs.shape == (6, 6, 6, 1)
    assert load(root, channels="rgb").inputs.shape == (6, 6, 6, 3)


def test_sixteen_bits_are_scaled_to_eight(root):
    Image.fromarray(np.full((6, 6), 25700, np.uint16)).save(root / "train" / "ant" / "0.png")
    assert load(root, channels="rgb").inputs[0].unique().tolist() == [100]


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK"])
def test_other_colour_modes_become_rgb(root, mode):
    suffix = "tif" if mode == "CMYK" else "png"
    draw(root / "train" / "ant" / f"00.{suffix}", 120, mode=mode)
    assert load(root).inputs[1, 0, 0].tolist() == pytest.approx([120, 60, 0], abs=25)


def test_transparent_palettes_raise_no_warning(root):
    image = Image.new("RGB", (6, 6), (9, 9, 9)).convert("P")
    image.save(root / "train" / "ant" / "0.png", transparency=b"\x00\x80")
    assert len(load(root)) == 6


@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_broken_images_are_named(root, damage):
    bad = root / "train" / "cat" / "1.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(noise).save(bad)
    whole = bad.read_bytes()
    bad.write_bytes({"cut": whole[:-60], "empty": b"", "text": b"hello"}[damage])
    message = refusal(root)
    assert f"image {bad} cannot be read" in message
    assert refusal(root, resize=4) == message


def test_broken_images_are_counted_or_left_out(root):
    bad = [root / "train" / "ant" / "0.png", root / "train" / "cat" / "1.png"]
    for path in bad:
        path.write_bytes(b"hello")
    message = refusal(root)
    assert f"image {bad[0]} cannot be read" in message
    assert "nor can 1 other of 6; repair or remove them" in message
    assert "`data.unreadable=skip`" in message
    noted.clear()
    data = load(root, unreadable="skip")
    assert data.items == (
        "train/ant/1.png",
        "train/ant/2.png",
        "train/cat/0.png",
        "train/cat/2.png",
    )
    assert data.inputs[:, 0, 0, 0].tolist() == [60, 70, 0, 20]
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert len(data.test) == 2
    (told,) = noted
    assert "left out 2 of 6 images" in told
    assert all(str(path) in told for path in bad)


def test_a_grey_image_can_be_read_and_is_refused_as_such(root):
    """Also where those that cannot be read are left out."""
    bad = root / "train" / "ant" / "0.png"
    Image.new("L", (4, 4)).save(bad)
    for unreadable in ("refuse", "skip"):
        assert f"image {bad} is grey (mode L)" in refusal(root, unreadable=unreadable)


def test_a_class_of_which_nothing_is_left_is_named(root):
    for path in (root / "train" / "cat").iterdir():
        path.write_bytes(b"hello")
    assert "none of the images of class 'cat' can be read" in refusal(root, unreadable="skip")


def test_nothing_is_left_where_no_image_can_be_read(root):
    for path in (root / "train").rglob("*.png"):
        path.write_bytes(b"hello")
    assert "nor can 5 others of 6" in refusal(root, unreadable="skip")


def test_empty_class_is_named(root):
    (root / "train" / "dog").mkdir()
    message = refusal(root)
    assert str(root / "train" / "dog") in message
    assert "no image file" in message


def test_too_few_classes_are_named(tmp_path, root):
    assert "no class folder" in refusal(root / "test" / "cat")
    (root / "test").rename(tmp_path / "away")
    draw(tmp_path / "single" / "fox" / "0.png")
    assert "'fox'" in refusal(tmp_path / "single")


def test_test_class_without_training_images_is_named(root):
    draw(root / "test" / "yak" / "0.png")
    message = refusal(root)
    assert "yak" in message
    assert "ant, cat" in message


def test_path_must_be_a_folder_that_exists(root):
    assert f"{root / 'nowhere'} does not exist" in refusal(root / "nowhere")
    assert "is a file" in refusal(root / "train" / "cat" / "0.png")


def test_the_test_split_alone_may_lack_a_class(root):
    (root / "test" / "ant" / "0.png").unlink()
    (root / "test" / "ant").rmdir()
    data = load(root)
    assert data.test is not None
    assert data.test.labels.tolist() == [1]
    assert torch.equal(data.test.labels, torch.tensor([1]))


def test_a_share_of_every_class_is_the_test_split(root):
    for k in range(3, 10):
        draw(root / "train" / "ant" / f"{k}.png", 100 + k)
    whole = load(root / "train")
    data = load(root / "train", test=0.3)
    # ⌊0.3 · 10⌋ of ant, ⌊0.3 · 3⌋, but at least one, of cat; nothing twice, nothing lost
    assert data.test.labels.tolist() == [0, 0, 0, 1]
    assert data.labels.tolist() == [0] * 7 + [1] * 2
    assert sorted(data.items + data.test.items) == list(whole.items)
    values = dict(zip(whole.items, whole.inputs[:, 0, 0, 0].tolist(), strict=True))
    for part in (data, data.test):
        assert part.inputs[:, 0, 0, 0].tolist() == [values[item] for item in part.items]
    red = data.inputs[..., 0].double() / 255
    assert data.normalization.mean[0] == pytest.approx(float(red.mean()))
    assert data.test.normalization == data.normalization
    assert load(root / "train", test=0.3).items == data.items


def test_class_folders_in_another_place_are_the_test_split(root):
    (root / "test").rename(root / "held")
    data = load(root / "train", test=str(root / "held"))
    assert data.test.inputs[:, 0, 0, 0].tolist() == [201, 200]
    assert data.test.items == ("held/ant/0.png", "held/cat/0.png")
    assert data.items[0] == "ant/0.png"
    assert "nowhere does not exist" in refusal(root, test=str(root / "nowhere"))


@pytest.mark.parametrize("asked", [0.2, "held"])
def test_data_have_one_test_split(root, asked):
    told = refusal(root, test=asked)
    assert f"{root} has a test split of its own; leave out `data.test={asked}`" in told


@pytest.mark.parametrize(
    "files",
    [
        ["dataset_dict.json", "train/state.json", "train/data-00000-of-00001.arrow"],
        ["state.json", "dataset_info.json", "data-00000-of-00001.arrow"],
        ["README.md", "data/train-00000-of-00001.parquet"],
        ["en/train.parquet", "de/train.parquet"],
        ["train.parquet"],
    ],
)
def test_a_data_set_of_hugging_faces_is_told_to_be_one(tmp_path, files):
    for name in files:
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).touch()
    assert refusal(tmp_path / "d").endswith(f"give `data=hf:{tmp_path / 'd'}`")


def test_a_table_beside_class_folders_does_not_hide_what_is_wrong_with_them(root):
    draw(root / "test" / "ring" / "0.png")
    (root / "meta.parquet").touch()
    assert "ring has no training images" in refusal(root)
