"""Tiny ImageNet's layout, drawn small."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from PIL import Image

from condense.errors import DataError
from condense_plugins.datasets.tiny_imagenet import TinyImageNet


@contextmanager
def task(title, total, unit="it"):
    yield SimpleNamespace(advance=lambda n=1: None)


CONTEXT = SimpleNamespace(progress=SimpleNamespace(task=task))
WNIDS = ("n02", "n01", "n03")


def draw(path, mode="RGB", size=(8, 8), value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value,) * 3).convert(mode).save(path, format="JPEG")


@pytest.fixture
def root(tmp_path):
    for wnid in WNIDS:
        for k in range(2):
            path = tmp_path / "train" / wnid / "images" / f"{wnid}_{k}.JPEG"
            draw(path, mode="L" if k else "RGB")
        (tmp_path / "train" / wnid / f"{wnid}_boxes.txt").write_text("boxes")
    lines = []
    for k, wnid in enumerate(WNIDS):
        draw(tmp_path / "val" / "images" / f"val_{k}.JPEG", value=50 * k)
        lines.append(f"val_{k}.JPEG\t{wnid}\t0\t0\t62\t62\n")
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(reversed(lines)))
    return tmp_path


def load(root):
    return TinyImageNet(TinyImageNet.Options(path=str(root))).load(CONTEXT)


def refusal(root):
    with pytest.raises(DataError) as caught:
        load(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_train_and_annotated_val_are_read_and_grey_becomes_rgb(root):
    data = load(root)
    assert data.classes == ("n01", "n02", "n03")
    assert data.inputs.shape == (6, 8, 8, 3)
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.test is not None
    assert data.test.labels.tolist() == [1, 0, 2]
    assert data.test.inputs[:, 0, 0, 0].tolist() == pytest.approx([0, 50, 100], abs=2)
    assert data.flip
    assert data.name == "tiny-imagenet"


@pytest.mark.parametrize("nested", ["", "images"])
def test_val_may_lie_in_class_folders(root, nested):
    (root / "val" / "val_annotations.txt").unlink()
    for wnid in WNIDS:
        draw(root / "val" / wnid / nested / "a.JPEG")
    data = load(root)
    assert data.test is not None
    assert data.test.labels.tolist() == [0, 1, 2]


def test_no_val_means_no_test_split(root):
    (root / "val").rename(root / "away")
    assert load(root).test is None


def test_unknown_wnid_and_malformed_lines_are_named(root):
    annotations = root / "val" / "val_annotations.txt"
    annotations.write_text("val_0.JPEG\tn99\n")
    assert "n99" in refusal(root)
    annotations.write_text("\nval_0.JPEG n01\n")
    message = refusal(root)
    assert "line 2" in message
    assert "val_0.JPEG n01" in message
    annotations.write_text("")
    assert "val_annotations.txt" in refusal(root)


def test_missing_and_odd_images_are_named(root):
    odd = root / "train" / "n02" / "images" / "n02_1.JPEG"
    draw(odd, size=(9, 8))
    message = refusal(root)
    for word in (str(odd), "9x8", "8x8", "folder:PATH"):
        assert word in message
    odd.unlink()
    gone = root / "val" / "images" / "val_1.JPEG"
    gone.unlink()
    assert f"image {gone} cannot be read" in refusal(root)


def test_path_without_the_layout_is_refused(root):
    assert f"{root / 'no'} does not exist" in refusal(root / "no")
    assert "no folder train" in refusal(root / "val")
    (root / "val" / "train" / "n01").mkdir(parents=True)
    assert "1 class folders" in refusal(root / "val")
