"""Image files on disk: listing them by class and decoding them to one uint8 tensor."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from condense.data import LabeledData
from condense.engine.ingest.from_user import labeled_data
from condense.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

    from condense.interfaces import Context

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
_GREY = ("1", "L", "LA", "La", "I", "F")  # and I;16 in its byte orders
_THREADS = 8

Labelled = tuple[Path, str]  # an image file with the name of its class


@dataclass(frozen=True)
class Decoding:
    """How files become arrays of one shape.

    Attributes:
        channels: ``rgb`` or ``grey`` convert every file; ``auto`` is rgb that refuses grey files.
        resize: side of the result, or None where all files have one size already.
        grey_hint: what to do about a refused grey file.
        size_hint: what to do about mixed sizes.
    """

    channels: Literal["auto", "grey", "rgb"] = "rgb"
    resize: int | None = None
    grey_hint: str = ""
    size_hint: str = ""


def existing_folder(path: str, what: str) -> Path:
    """``path`` as a folder that is there.

    Raises:
        DataError: naming it, with ``what`` is expected in it.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"{root} does not exist; give a folder with {what}")
    if not root.is_dir():
        raise DataError(f"{root} is a file; give a folder with {what}")
    return root


def class_folders(root: Path) -> list[Path]:
    """Subfolders of ``root`` that are not hidden, by name."""
    found = (p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return sorted(found, key=lambda p: p.name)


def class_files(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, by name.

    Raises:
        DataError: if there is none.
    """
    files = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    found = sorted((p for p in files if not p.name.startswith(".")), key=lambda p: p.name)
    if not found:
        kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise DataError(
            f"class folder {folder} has no image file ({kinds}); add images or remove the folder"
        )
    return found


def listed(folders: Sequence[Path]) -> list[Labelled]:
    """The image files of each class folder, labelled with its name."""
    return [(file, folder.name) for folder in folders for file in class_files(folder)]


def read_splits(
    train: Sequence[Labelled],
    held: Sequence[Labelled] | None,
    decoding: Decoding,
    context: Context,
    root: Path,
    **rest: Any,
) -> LabeledData:
    """The images of both splits with the names of their classes, ``held`` as the test split.

    Their ``items`` are their paths below ``root``.

    Args:
        train: at least one.
        held: of the size of those; None without a test split.
        decoding: conversion of each.
        context: for the progress bar.
        root: folder of the data.
        rest: for :func:`~condense.engine.ingest.from_user.labeled_data`.

    Raises:
        DataError: as that and :func:`decode_images` do.
    """
    images = decode_images([file for file, _ in train], decoding, context)
    test = None
    if held is not None:
        decoded = decode_images([file for file, _ in held], decoding, context, like=images)
        test = (decoded, [name for _, name in held])
    items = (_below(root, train), None if held is None else _below(root, held))
    return labeled_data(images, [name for _, name in train], test=test, items=items, **rest)


def _below(root: Path, files: Sequence[Labelled]) -> list[str]:
    return [file.relative_to(root).as_posix() for file, _ in files]


def decode_images(
    files: Sequence[Path], decoding: Decoding, context: Context, like: Tensor | None = None
) -> Tensor:
    """uint8 [N, H, W, C] of ``files`` in order.

    Args:
        files: at least one.
        decoding: conversion of each.
        context: for the progress bar.
        like: images whose size these must have; None = that of the first file.

    Raises:
        DataError: naming the first file that is broken, grey or of another size.
    """
    size = (like.shape[2], like.shape[1]) if like is not None else _expected(files[0], decoding)
    channels = 1 if decoding.channels == "grey" else 3
    result = torch.empty((len(files), size[1], size[0], channels), dtype=torch.uint8)

    def work(item: tuple[int, Path]) -> None:
        pixels = torch.from_numpy(_decode(item[1], decoding, size))
        result[item[0]] = pixels.view(result.shape[1:])

    threads = min(_THREADS, os.cpu_count() or 1)
    with (
        ThreadPoolExecutor(threads) as pool,
        context.progress.task("decode images", len(files), "image") as task,
    ):
        try:
            for _ in pool.map(work, enumerate(files)):  # in order, so errors are repeatable
                task.advance()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return result


def _expected(first: Path, decoding: Decoding) -> tuple[int, int]:
    """(width, height) that every image must have."""
    if decoding.resize is not None:
        return decoding.resize, decoding.resize
    height, width = _decode(first, decoding, None).shape[:2]
    return width, height


def _decode(
    file: Path, decoding: Decoding, size: tuple[int, int] | None
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """uint8 [H, W] or [H, W, 3]."""
    from PIL import Image

    refusal = None
    try:
        if not file.is_file():  # a pipe would be waited for
            raise ValueError("it is not a file")
        with Image.open(file) as image:
            refusal = _refusal(file, image, decoding, size)
            if refusal is None:
                if decoding.resize is not None:
                    # a large JPEG is decoded at a fraction of its size, several times faster
                    image.draft(None, (2 * decoding.resize, 2 * decoding.resize))
                plain = _convert(image, "L" if decoding.channels == "grey" else "RGB")
                if decoding.resize is not None and size is not None:
                    # PIL's bilinear filter is antialiased when it shrinks
                    plain = plain.resize(size, Image.Resampling.BILINEAR)
                return np.array(plain, dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"image {file} cannot be read ({reason}); repair or remove it") from None
    raise refusal


def _refusal(
    file: Path, image: Image, decoding: Decoding, size: tuple[int, int] | None
) -> DataError | None:
    """Why the opened but not yet decoded ``image`` does not fit."""
    if decoding.channels == "auto" and (image.mode in _GREY or image.mode.startswith("I;16")):
        return DataError(f"image {file} is grey (mode {image.mode}); {decoding.grey_hint}")
    if decoding.resize is None and size is not None and image.size != size:
        return DataError(
            f"image {file} is {_times(image.size)} pixels, expected {_times(size)} like the "
            f"first; {decoding.size_hint}"
        )
    return None


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _convert(image: Image, mode: str) -> Image:
    from PIL import Image as module

    if image.mode.startswith("I"):  # 16 bit; PIL would clip it at 255 instead of scaling
        deep = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return module.fromarray(np.rint(deep / 257).astype(np.uint8)).convert(mode)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range; save it as 8 bit")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # PIL warns of the direct way
    return image.convert(mode)
