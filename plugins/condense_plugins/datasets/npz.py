"""Arrays in one ``.npz`` file: images or features, with labels."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from condense.data import LabeledData, Modality, Normalization
from condense.engine.ingest.arrays import names_of
from condense.engine.ingest.from_user import labeled_data
from condense.engine.ingest.holdout import check_one_test_split, with_test_part
from condense.engine.ingest.items import FORM, Items, read_items
from condense.errors import DataError, nearby
from condense.options import PathOption, TestPart
from condense.reading import in_one_line, shown
from condense.traits import DatasetTraits
from condense_plugins._built_in import BuiltIn
from condense_plugins.datasets._norms import Norm, NormOptions, normalization

if TYPE_CHECKING:
    from condense.interfaces import Context

_NEEDED = "train_inputs and train_labels (and test_inputs, test_labels, classes if there are any)"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Npz(BuiltIn):
    """Arrays train_inputs, train_labels and optionally test_inputs, test_labels, classes.

    ``train_images`` and ``test_images`` are other names of the inputs. A bare ``inputs`` is not
    read: an exported set has its normalised values there.
    """

    name: ClassVar[str] = "npz"
    version: ClassVar[str] = "2"
    arg: ClassVar[str] = "path"
    traits: ClassVar[DatasetTraits] = DatasetTraits(opens=(".npz",))

    class Options(NormOptions):
        """Where the file is and how its images are normalised."""

        path: PathOption = Field(description=f".npz file with {_NEEDED}")
        flip: bool | None = Field(
            None, description="whether a mirror image keeps its class; unset = for colour images"
        )
        test: TestPart | None = Field(
            None,
            description="the test split: another such file, whose train_inputs and train_labels it "
            "is, matched by classes where both have them, or a share > 0, < 1 of every class, "
            "always the same samples; unset = test_inputs and test_labels",
        )
        items: PathOption | None = Field(
            None,
            description="what the rows of train_inputs were made of, to be exported with real "
            f"samples: {FORM}; unset = nothing",
        )

    options: Options

    def load(self, context: Context) -> LabeledData:
        """uint8 [N, H, W, C] images or float32 [N, D] features; nothing is unpickled."""
        path = _existing(self.options.path)
        arrays = _read(path)
        try:
            items = self._items(len(arrays["train_inputs"]))
            constants = _constants(self.options.norm, arrays["train_inputs"])
            classes, (test, tested) = _classes(arrays), self._test(arrays)
            data = labeled_data(
                arrays["train_inputs"],
                arrays["train_labels"],
                test=test,
                items=(None if items is None else items.names, None),
                texts=None if items is None else items.texts,
                classes=classes,
                flip=self.options.flip,
                name=path.stem,
                normalization=constants,
                numbered=None if classes is None or tested is None else (classes, tested),
            )
            return with_test_part(data, self.options.test, path.name, constants)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def _test(self, arrays: dict[str, Any]) -> tuple[tuple[Any, Any] | None, list[str] | None]:
        """Inputs and labels of the test split where they are arrays of their own, and the names
        of its classes where another file has them."""
        asked, own = self.options.test, "test_inputs" in arrays
        check_one_test_split(own, asked)
        if own:
            return (arrays["test_inputs"], arrays["test_labels"]), None
        if not isinstance(asked, str):
            return None, None
        other = _read(_existing(asked))
        return (other["train_inputs"], other["train_labels"]), _classes(other)

    def _items(self, count: int) -> Items | None:
        """The items of the training split; None where none are given."""
        if self.options.items is None:
            return None
        items = read_items(Path(self.options.items).expanduser())
        if len(items) != count:
            raise DataError(
                f"{self.options.items} has {len(items)} items for {count} train_inputs; give one "
                "each, in their order"
            )
        return items

    def modality(self) -> Modality:
        """By the shape of the training inputs, of which only the header is read."""
        with contextlib.suppress(Exception):  # loading says what is wrong
            path = Path(self.options.path).expanduser()
            with zipfile.ZipFile(path) as archive:
                member = _input_key(archive.namelist(), "train", path, ".npy")
                with archive.open(member) as file:
                    read = _HEADERS[np.lib.format.read_magic(file)]
                    if len(read(file)[0]) == 2:
                        return "features"
        return "image"


def _input_key(names: Collection[str], split: str, path: Path, ending: str = "") -> str:
    """The name of the inputs of ``split`` among ``names``; the first of both where none is there.

    Raises:
        DataError: where both are.
    """
    both = [f"{split}_inputs{ending}", f"{split}_images{ending}"]
    found = [name for name in both if name in names]
    if len(found) > 1:
        raise DataError(f"{path} has both {' and '.join(found)}; keep one of the two")
    return (found or both)[0]


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise DataError(f"{path} does not exist; give an .npz file with {_NEEDED}{nearby(path)}")
    if path.is_dir():
        raise DataError(f"{path} is a folder; give an .npz file, or use `data=folder:{path}`")
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise DataError(
            f"{path} is not an .npz file (a zip of arrays) or is cut off; "
            "write it with numpy.savez_compressed"
        )
    return path


def _read(path: Path) -> dict[str, Any]:
    """The arrays in use by their neutral names, with everything that is needed among them."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            there = set(archive.files)
            splits = ["train"]
            if there & {"test_inputs", "test_images", "test_labels"}:
                splits.append("test")
            wanted = {f"{s}_inputs": _input_key(there, s, path) for s in splits}
            wanted |= {f"{s}_labels": f"{s}_labels" for s in splits}
            for key in wanted.values():
                if key not in there:
                    listed = ", ".join(sorted(there)) or "nothing"
                    raise DataError(
                        f"{path} lacks the array {key}; it holds {listed}, needed are {_NEEDED}"
                    )
            wanted |= {"classes": "classes"} if "classes" in there else {}
            return {name: _member(archive, key, path) for name, key in wanted.items()}
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 – of zipfile or numpy, whatever is wrong with it
        raise DataError(f"{path} cannot be read ({reason_of(error)}); write it again") from None


def _member(archive: Any, key: str, path: Path) -> np.ndarray[Any, Any]:
    try:
        array = archive[key]
    except Exception as error:  # noqa: BLE001 – likewise, down to the parser of its header
        if "allow_pickle" in str(error):
            raise DataError(
                f"{key} in {path} holds Python objects, which are never unpickled as that could "
                "run code; save it as plain numbers or strings of one shape"
            ) from None
        raise DataError(
            f"{key} in {path} cannot be read ({reason_of(error)}); write it again"
        ) from None
    if not isinstance(array, np.ndarray):
        raise DataError(f"{key} in {path} is not an array; write it with numpy.savez_compressed")
    return array


def reason_of(error: Exception) -> str:
    """What a library says of a file, in one line."""
    return shown(in_one_line(error))[1:-1]


def _constants(norm: Norm, images: np.ndarray[Any, Any]) -> Normalization | None:
    found = normalization(norm)
    if found is not None and (images.ndim != 4 or images.shape[3] != len(found.mean)):
        raise DataError(
            f"data.norm={norm} is for RGB images [N, H, W, 3], train_inputs has shape "
            f"{list(images.shape)}; set `data.norm=own`"
        )
    return found


def _classes(arrays: dict[str, Any]) -> list[str] | None:
    array = arrays.get("classes")
    if array is None:
        return None
    if array.ndim != 1:
        raise DataError(f"classes has shape {array.shape}, expected one name for each class")
    return names_of(array, "classes")
