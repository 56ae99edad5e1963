"""The 8×8 handwritten digits that come with scikit-learn; needs no download."""

from __future__ import annotations

import base64
import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from condense.data import LabeledData
from condense.engine.ingest.from_user import labeled_data
from condense_plugins._built_in import BuiltIn

if TYPE_CHECKING:
    from condense.interfaces import Context

# scikit-learn takes as long to import as PyTorch: its file is read without it, and its split
# train_test_split(range(1797), test_size=0.2, stratify=labels, random_state=0) stands here, bit by
# bit. Both are part of the data set's definition.
_FILE = "datasets/data/digits.csv.gz"
_HELD_OUT = (
    "AAAEiDUkEEAABkEAk0IFABoACAEAJAAoBiwSABAAlAoAkBkSBCD4oAKBEKAACAqIIEQVJElCQKAKAAAAQATY"
    "AACBgCAASAXEABBACKAQAAVASAAwEAACDsQJAAIkhACDqAE8IKaYCgAAAAsIQAgEoBhIAgJAQcEAgARARoQ3"
    "aoECFgBEgABAQqCkGApQAIQLhWHGCBCACABMgMAgBAaOAAEIggCBADgIA8AIGQAAEA4BAIQQoCEAMygpBMBE"
    "wIBoDgECgwCCAIgipkAsJAQhCKhggJCBoAwCggJCEgE4pBUA"
)


class Digits(BuiltIn):
    """1797 grey images of the digits 0–9, split 80/20 with every class in proportion."""

    name: ClassVar[str] = "digits"
    version: ClassVar[str] = "1"

    def load(self, context: Context) -> LabeledData:
        """1437 training and 360 test images, uint8 [N, 8, 8, 1]."""
        (folder,) = find_spec("sklearn").submodule_search_locations  # type: ignore[union-attr, misc]
        with gzip.open(Path(folder) / _FILE, "rt") as file:
            rows = np.loadtxt(file, delimiter=",")
        images = np.rint(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
        labels = rows[:, -1].astype(np.int64)
        bits = np.frombuffer(base64.b64decode(_HELD_OUT), np.uint8)
        held = np.unpackbits(bits, count=len(rows)).astype(bool)
        return labeled_data(
            images[~held],
            labels[~held],
            test=(images[held], labels[held]),
            classes=[str(digit) for digit in range(10)],
            flip=False,
            name=self.name,
        )
