"""Image files on disk, listed by class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from condense.data import LabeledData
from condense.engine.ingest.from_user import labeled_data
from condense.engine.ingest.images import Decoding, Picture, Unreadable, decode_images
from condense.errors import DataError, nearby
from condense.options import Options as BaseOptions

if TYPE_CHECKING:
    from torch import Tensor

    from condense.interfaces import Context

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
SUFFIXES = (".png", *_JPEG, ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
_TOLD = 5  # files in a note
SET = ("manifest.json", "condensed.safetensors")  # by which a condensed set is known

Labelled = tuple[Path, str]  # an image file with the name of its class


class ImageOptions(BaseOptions):
    """What images of one's own may need."""

    resize: int | None = Field(
        None,
        ge=1,
        le=8192,
        description="side in pixels that every image is resized to; unset = as is",
    )
    channels: Literal["auto", "grey", "rgb"] = Field(
        "auto",
        description="grey or rgb convert every image; auto = rgb, and grey ones are refused",
    )
    unreadable: Unreadable = Field(
        "refuse",
        description="images that cannot be read: refuse = all data, skip = leave them out and "
        "say which",
    )

    def decoding(self) -> Decoding:
        """As they say."""
        return Decoding(
            channels=self.channels,
            resize=self.resize,
            unreadable=self.unreadable,
            skip_hint="set `data.unreadable=skip` to leave out all that cannot be read",
            grey_hint="set `data.channels=grey` to make every image grey, "
            "or `data.channels=rgb` to make every image RGB",
            size_hint="set `data.resize=32` (or another side) to make them one size",
        )


def existing_folder(path: str, what: str) -> Path:
    """``path`` as a folder that is there.

    Raises:
        DataError: naming it, with ``what`` is expected in it.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"{root} does not exist; give a folder with {what}{nearby(root)}")
    if not root.is_dir():
        raise DataError(f"{root} is a file; give a folder with {what}")
    return root


def class_folders(root: Path) -> list[Path]:
    """Subfolders of ``root`` that are not hidden, by name."""
    found = (p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return sorted(found, key=lambda p: p.name)


def written_by_condense(folder: Path) -> bool:
    """Whether ``folder`` holds a condensed set, or such folders and no image, as ``runs`` does."""
    if _is_set(folder):
        return True
    # by their names alone: no file of a class is looked at
    images = any(_is_taken(path.name) for path in folder.iterdir())
    return not images and any(map(_is_set, folder.iterdir()))


def _is_set(folder: Path) -> bool:
    return all((folder / name).is_file() for name in SET)


def class_files(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, by name.

    Raises:
        DataError: if there is none.
    """
    found = sorted((p for p in folder.iterdir() if _is_taken(p.name)), key=lambda p: p.name)
    if not found:
        kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
        deeper = next((p for p in folder.glob("*/**/*") if _is_taken(p.name)), None)
        hint = "add images or remove the folder"
        if deeper is not None:
            hint = f"move those of subfolders into it ({deeper}), or name the folder they lie in"
        raise DataError(f"class folder {folder} has no image file ({kinds}); {hint}")
    return found


def _is_taken(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def tell_of_others(folders: Sequence[Path], context: Context) -> None:
    """A note on the files in ``folders`` that :func:`class_files` passes over; hidden ones are
    meant to be."""
    others: list[Path] = []
    for folder in folders:
        for place, inner, names in os.walk(folder):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            own = (name for name in sorted(names) if not name.startswith("."))
            others += [
                Path(place, name) for name in own if Path(place) != folder or not _is_taken(name)
            ]
    if others:
        told = ", ".join(map(str, others[:_TOLD])) + (", …" if others[_TOLD:] else "")
        kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
        context.progress.note(
            f"note: left out {len(others)} files in the folders of classes, of which images "
            f"directly in them are taken ({kinds}): {told}"
        )


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

    Their ``items`` are their paths below ``root``, or of another folder with its name before them.

    Args:
        train: at least one.
        held: of the size of those; None without a test split.
        decoding: conversion of each.
        context: for the progress bar.
        root: folder of the data.
        rest: for :func:`~condense.engine.ingest.from_user.labeled_data`.

    Raises:
        DataError: as that and :func:`~condense.engine.ingest.images.decode_images` do.
    """
    images, found = _decoded(train, decoding, context)
    _check_every_class(train, found)
    test, tested = None, None
    if held is not None:
        decoded, tested = _decoded(held, decoding, context, like=images)
        test = (decoded, [name for _, name in tested])
    items = (_below(root, found), None if tested is None else _below(root, tested))
    return labeled_data(images, [name for _, name in found], test=test, items=items, **rest)


def _decoded(
    files: Sequence[Labelled], decoding: Decoding, context: Context, like: Tensor | None = None
) -> tuple[Tensor, list[Labelled]]:
    """The images of ``files``, and those of them that could be read."""
    pictures = [Picture(str(file), file) for file, _ in files]
    images, kept = decode_images(pictures, decoding, context.progress, like)
    return images, [files[place] for place in kept]


def _check_every_class(train: Sequence[Labelled], found: Sequence[Labelled]) -> None:
    left = {name for _, name in found}
    gone = next((name for _, name in train if name not in left), None)
    if gone is not None:
        raise DataError(
            f"none of the images of class '{gone}' can be read; repair some, or remove its folder"
        )


def _below(root: Path, files: Sequence[Labelled]) -> list[str]:
    """Paths below ``root``; FOLDER/CLASS/FILE of what lies elsewhere."""
    places = [file.absolute() for file, _ in files]
    root = root.absolute()
    return [
        p.relative_to(root if p.is_relative_to(root) else p.parents[2]).as_posix() for p in places
    ]
