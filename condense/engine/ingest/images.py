"""Images as they come, in files or in memory, decoded to one uint8 tensor."""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from condense.errors import DataError
from condense.reading import in_one_line

if TYPE_CHECKING:
    from PIL.Image import Image

    from condense.interfaces import Progress

_GREY = ("1", "L", "LA", "La", "I", "F")  # and I;16 in its byte orders
_THREADS = 8
_LISTED = 10  # files in a note
LEVELS = 32  # of 256: images that have fewer are darker than a range of 13 bits of 16 would be

Unreadable = Literal["refuse", "skip"]


@dataclass(frozen=True)
class Decoding:
    """How images become arrays of one shape.

    Attributes:
        channels: ``rgb`` or ``grey`` convert every image; ``auto`` is rgb that refuses grey ones.
        resize: side of the result, or None where all images have one size already.
        unreadable: whether one that cannot be read is refused or left out.
        grey_hint: what to do about a refused grey image.
        size_hint: what to do about mixed sizes.
        skip_hint: what to do about unreadable ones, besides repairing them.
    """

    channels: Literal["auto", "grey", "rgb"] = "rgb"
    resize: int | None = None
    unreadable: Unreadable = "refuse"
    grey_hint: str = ""
    size_hint: str = ""
    skip_hint: str = ""


@dataclass(frozen=True)
class Picture:
    """An encoded image: a file, or its bytes (None where there are none), and what it is called."""

    name: str
    content: Path | bytes | None


class _Unreadable(Exception):
    """Why an image cannot be read."""


def decode_images(
    pictures: Sequence[Picture], decoding: Decoding, progress: Progress, like: Tensor | None = None
) -> tuple[Tensor, list[int]]:
    """uint8 [M, H, W, C] of ``pictures`` in order, and the position of each among them.

    Args:
        pictures: at least one.
        decoding: conversion of each.
        progress: for the bar, and the note on what was left out.
        like: images whose size these must have; None = that of the first that can be read.

    Raises:
        DataError: naming the first that is grey or of another size, or the first that cannot be
            read and how many those are.
    """
    size = (like.shape[2], like.shape[1]) if like is not None else _expected(pictures, decoding)
    channels = 1 if decoding.channels == "grey" else 3
    result = torch.empty((len(pictures), size[1], size[0], channels), dtype=torch.uint8)
    broken: list[tuple[int, str]] = []

    def work(item: tuple[int, Picture]) -> str | None:
        try:
            pixels = torch.from_numpy(_decode(item[1], decoding, size))
        except _Unreadable as reason:
            return str(reason)
        result[item[0]] = pixels.view(result.shape[1:])
        return None

    threads = min(_THREADS, os.cpu_count() or 1)
    with (
        ThreadPoolExecutor(threads) as pool,
        progress.task("decode images", len(pictures), "image") as task,
    ):
        try:
            # in order, so errors are repeatable
            for place, reason in enumerate(pool.map(work, enumerate(pictures))):
                task.advance()
                if reason is not None:
                    broken.append((place, reason))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    left = {place for place, _ in broken}
    kept = [place for place in range(len(pictures)) if place not in left]
    if broken:
        _tell(pictures, broken, decoding, progress)
        result = result[kept]
    if like is None:
        _check_bright([pictures[place] for place in kept], result)
    return result, kept


def _tell(
    pictures: Sequence[Picture],
    broken: list[tuple[int, str]],
    decoding: Decoding,
    progress: Progress,
) -> None:
    """Refuse, or note, the images at the places in ``broken``, which cannot be read."""
    place, reason = broken[0]
    if decoding.unreadable == "refuse" or len(broken) == len(pictures):
        others = f"{len(broken) - 1} other{'s' if broken[2:] else ''}"
        more = f", nor can {others} of {len(pictures)}" if broken[1:] else ""
        hint = f", or {decoding.skip_hint}" if decoding.skip_hint else ""
        raise DataError(
            f"image {pictures[place].name} cannot be read ({reason}){more}; repair or remove "
            f"{'them' if more else 'it'}{hint}"
        )
    names = ", ".join(pictures[place].name for place, _ in broken[:_LISTED])
    more = f" and {len(broken) - _LISTED} more" if broken[_LISTED:] else ""
    progress.note(
        f"note: left out {len(broken)} of {len(pictures)} images, which cannot be read: "
        f"{names}{more}"
    )


def _check_bright(pictures: Sequence[Picture], decoded: Tensor) -> None:
    """That images of 16 bit use their range, as 8 bits are kept of it."""
    if int(decoded.max()) >= LEVELS:
        return
    for picture in pictures:
        with contextlib.suppress(_Unreadable), _opened(picture) as image:
            highest = np.asarray(image).max() if image.mode.startswith("I") else 0
            if highest > 0:
                raise DataError(
                    f"image {picture.name} is of 16 bit and reaches {highest} of "
                    f"65535; of all images 8 bits are kept, in which none is brighter than "
                    f"{int(decoded.max())} of 255; scale them to the full range of 16 bit, or "
                    "save them as 8 bit"
                )


def _expected(pictures: Sequence[Picture], decoding: Decoding) -> tuple[int, int]:
    """(width, height) that every image must have."""
    if decoding.resize is not None:
        return decoding.resize, decoding.resize
    for picture in pictures:
        try:
            height, width = _decode(picture, decoding, None).shape[:2]
            return width, height
        except _Unreadable:
            continue
    return 1, 1  # none can be read, which decoding them says


def _decode(
    picture: Picture, decoding: Decoding, size: tuple[int, int] | None
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """uint8 [H, W] or [H, W, 3].

    Raises:
        _Unreadable: if it is broken; DataError if it does not fit.
    """
    from PIL.Image import Resampling

    with _opened(picture) as image:
        refusal = _refusal(picture, image, decoding, size)
        if refusal is not None:
            raise refusal
        if decoding.resize is not None:
            # a large JPEG is decoded at a fraction of its size, several times faster
            image.draft(None, (2 * decoding.resize, 2 * decoding.resize))
        plain = converted(image, "L" if decoding.channels == "grey" else "RGB")
        if decoding.resize is not None and size is not None:
            # PIL's bilinear filter is antialiased when it shrinks
            plain = plain.resize(size, Resampling.BILINEAR)
        return np.array(plain, dtype=np.uint8)


@contextlib.contextmanager
def _opened(picture: Picture) -> Iterator[Image]:
    """The image, not yet decoded.

    Raises:
        _Unreadable: for whatever PIL raises, here or inside; a DataError goes through.
    """
    from PIL import Image

    try:
        with Image.open(_source(picture)) as image:
            yield image
    except DataError:  # a ValueError, too: the image can be read, but does not fit
        raise
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise _Unreadable(in_one_line(error)) from None


def _source(picture: Picture) -> Path | io.BytesIO:
    if picture.content is None:
        raise ValueError("there is none")
    if isinstance(picture.content, bytes):
        return io.BytesIO(picture.content)
    if not picture.content.is_file():  # a pipe would be waited for
        raise ValueError("it is not a file")
    return picture.content


def _refusal(
    picture: Picture, image: Image, decoding: Decoding, size: tuple[int, int] | None
) -> DataError | None:
    """Why the opened but not yet decoded ``image`` does not fit."""
    if decoding.channels == "auto" and is_grey(image):
        return DataError(f"image {picture.name} is grey (mode {image.mode}); {decoding.grey_hint}")
    if decoding.resize is None and size is not None and image.size != size:
        return DataError(
            f"image {picture.name} is {_times(image.size)} pixels, expected {_times(size)} like "
            f"the first; {decoding.size_hint}"
        )
    return None


def all_are_grey(pictures: Sequence[Picture]) -> bool:
    """Whether all of ``pictures`` that can be read are grey; of each its head alone is read."""
    for picture in pictures:
        with contextlib.suppress(_Unreadable), _opened(picture) as image:
            if not is_grey(image):
                return False
    return True


def is_grey(image: Image) -> bool:
    """Whether it has no colours."""
    return image.mode in _GREY or image.mode.startswith("I;16")


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def converted(image: Image, mode: str) -> Image:
    """``image`` as ``L`` or ``RGB``, 16 bit scaled to 8.

    Raises:
        ValueError: for pixels that are floating-point numbers.
    """
    from PIL import Image as module

    if image.mode.startswith("I"):  # 16 bit; PIL would clip it at 255 instead of scaling
        deep = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return module.fromarray(np.rint(deep / 257).astype(np.uint8)).convert(mode)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range; save it as 8 bit")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # PIL warns of the direct way
    return image.convert(mode)
