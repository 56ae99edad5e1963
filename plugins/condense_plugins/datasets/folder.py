"""A folder of image files, one subfolder per class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from condense.data import LabeledData
from condense.engine.ingest.holdout import check_one_test_split, with_test_part
from condense.errors import DataError
from condense.options import PathOption, TestPart
from condense.traits import DatasetTraits
from condense_plugins._built_in import BuiltIn
from condense_plugins.datasets._hf_files import looks_like_one
from condense_plugins.datasets._images import (
    SUFFIXES,
    ImageOptions,
    Labelled,
    class_folders,
    existing_folder,
    listed,
    read_splits,
    tell_of_others,
    written_by_condense,
)

if TYPE_CHECKING:
    from condense.interfaces import Context

_CLASSES = "CLASS/*.png"
_LAYOUT = f"train/{_CLASSES} (and test/{_CLASSES}), or {_CLASSES}"


class Folder(BuiltIn):
    """PATH/train/CLASS/* with PATH/test/CLASS/* (or val) as the test split, or PATH/CLASS/*."""

    name: ClassVar[str] = "folder"
    version: ClassVar[str] = "2"
    arg: ClassVar[str] = "path"
    traits: ClassVar[DatasetTraits] = DatasetTraits(opens=("/",))

    class Options(ImageOptions):
        """Where the images are and how they are brought to one shape."""

        path: PathOption = Field(description=f"folder with {_LAYOUT}")
        flip: bool = Field(True, description="whether a mirror image keeps its class")
        test: TestPart | None = Field(
            None,
            description="the test split: another folder, with CLASS/*.png, or a share > 0, < 1 of "
            "every class, always the same images; unset = test/CLASS/*.png",
        )

    options: Options

    def load(self, context: Context) -> LabeledData:
        """uint8 [N, H, W, C], classes and files in the order of their names; ``items`` are paths
        below the folder."""
        root = existing_folder(self.options.path, _LAYOUT)
        train_root, test_root = _splits(root)
        asked = self.options.test
        check_one_test_split(test_root is not None, asked, str(root))
        if isinstance(asked, str):
            test_root = existing_folder(asked, _CLASSES)
        pictures = (p for p in train_root.glob("*/*") if p.suffix.lower() in SUFFIXES)
        if next(pictures, None) is None and looks_like_one(root):
            raise DataError(
                f"{root} has no CLASS folders of images, but a data set of Hugging Face's; give "
                f"`data=hf:{root}`"
            )
        classes, train, held = _files(train_root, test_root, context)
        data = read_splits(
            train,
            held,
            self.options.decoding(),
            context,
            root,
            classes=classes,
            flip=self.options.flip,
            name=root.resolve().name or self.name,
        )
        return with_test_part(data, asked, root.name)


def _files(
    train_root: Path, test_root: Path | None, context: Context
) -> tuple[list[str], list[Labelled], list[Labelled] | None]:
    """Names of classes, and the images of training and test split."""
    folders = _class_folders(train_root, context)
    classes = [folder.name for folder in folders]
    if len(classes) < 2:
        found = f"only the class folder '{classes[0]}'" if classes else "no class folder"
        raise DataError(f"{train_root} has {found}, at least two are needed: {_LAYOUT}")
    tested = _test_folders(test_root, classes, context) if test_root else []
    train, held = listed(folders), listed(tested) if test_root else None
    tell_of_others([*folders, *tested], context)
    return classes, train, held


def _splits(root: Path) -> tuple[Path, Path | None]:
    """Folders of the training and, if there is one, the test split."""
    if not (root / "train").is_dir():
        return root, None
    for name in ("test", "val"):
        if (root / name).is_dir():
            return root / "train", root / name
    return root / "train", None


def _class_folders(root: Path, context: Context) -> list[Path]:
    """Those of ``root`` but what condense wrote there, as a note says."""
    found = class_folders(root)
    ours = [folder for folder in found if written_by_condense(folder)]
    if ours:
        context.progress.note(
            f"note: {', '.join(map(str, ours))} holds what condense wrote, and is no class"
        )
    return [folder for folder in found if folder not in ours]


def _test_folders(test_root: Path, classes: list[str], context: Context) -> list[Path]:
    folders = _class_folders(test_root, context)
    if not folders:
        raise DataError(f"{test_root} has no class folder; as a test split it needs {_CLASSES}")
    for folder in folders:
        if folder.name not in classes:
            more = ", …" if len(classes) > 10 else ""
            raise DataError(
                f"test class {folder} has no training images; train has {', '.join(classes[:10])}"
                f"{more}; remove it or add train/{folder.name}"
            )
    return folders
