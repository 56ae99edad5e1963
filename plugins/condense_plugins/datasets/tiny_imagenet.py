"""Tiny ImageNet as it is distributed: 200 classes of 64×64 JPEG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from condense.data import LabeledData
from condense.engine.ingest.images import Decoding
from condense.errors import DataError
from condense.options import Options as BaseOptions, PathOption
from condense_plugins._built_in import BuiltIn
from condense_plugins.datasets._images import (
    Labelled,
    class_files,
    class_folders,
    existing_folder,
    read_splits,
)

if TYPE_CHECKING:
    from condense.interfaces import Context

_LAYOUT = "train/WNID/images/*.JPEG and val/images/*.JPEG with val/val_annotations.txt"
_DECODING = Decoding(
    channels="rgb",  # about 2 % of the files are grey
    size_hint="use `data=folder:PATH` with `data.resize=64` for images of mixed sizes",
)


class TinyImageNet(BuiltIn):
    """The training split with the labelled validation split as its test split."""

    name: ClassVar[str] = "tiny-imagenet"
    version: ClassVar[str] = "1"
    arg: ClassVar[str] = "path"

    class Options(BaseOptions):
        """Where the unpacked archive is."""

        path: PathOption = Field(description=f"folder with {_LAYOUT}")

    options: Options

    def load(self, context: Context) -> LabeledData:
        """uint8 [N, 64, 64, 3]; class names are the sorted WNIDs."""
        root = existing_folder(self.options.path, _LAYOUT)
        if not (root / "train").is_dir():
            raise DataError(f"{root} has no folder train; give the folder with {_LAYOUT}")
        folders = class_folders(root / "train")
        classes = [folder.name for folder in folders]
        if len(classes) < 2:
            raise DataError(
                f"{root / 'train'} has {len(classes)} class folders, at least two are needed; "
                f"give the folder with {_LAYOUT}"
            )
        train = [(file, folder.name) for folder in folders for file in _files(folder)]
        held = _validation(root / "val", classes) if (root / "val").is_dir() else None
        return read_splits(
            train, held, _DECODING, context, root, classes=classes, flip=True, name=self.name
        )


def _files(folder: Path) -> list[Path]:
    """The images of one class, in its subfolder ``images`` or directly in it."""
    nested = folder / "images"
    return class_files(nested if nested.is_dir() else folder)


def _validation(root: Path, classes: list[str]) -> list[Labelled]:
    """(file, WNID) of the validation split, in the order of file names within a folder."""
    annotations = root / "val_annotations.txt"
    if annotations.is_file():
        pairs = _annotated(annotations, root / "images")
    else:
        folders = [folder for folder in class_folders(root) if folder.name != "images"]
        pairs = [(file, folder.name) for folder in folders for file in _files(folder)]
    if not pairs:
        raise DataError(
            f"{root} has neither val_annotations.txt with lines nor class folders; "
            "unpack the archive again, or remove it to go without a test split"
        )
    known = set(classes)
    for file, wnid in pairs:
        if wnid not in known:
            raise DataError(
                f"{file} is labelled {wnid}, which is none of the {len(classes)} classes in train; "
                "unpack the archive again, or remove that image and its label"
            )
    return pairs


def _annotated(annotations: Path, images: Path) -> list[Labelled]:
    pairs = []
    text = annotations.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split("\t")
        if len(fields) >= 2:
            pairs.append((images / fields[0].strip(), fields[1].strip()))
        elif line.strip():
            raise DataError(
                f"{annotations} line {number} is '{line[:60]}', expected FILE, WNID, … separated "
                "by tabs; unpack the archive again"
            )
    return sorted(pairs)
