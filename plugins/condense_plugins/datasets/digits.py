"""The 8×8 handwritten digits that come with scikit-learn; needs no download."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from condense.data import LabeledData
from condense.engine.ingest.from_user import labeled_data
from condense_plugins._built_in import BuiltIn

if TYPE_CHECKING:
    from condense.interfaces import Context

_SPLIT_SEED = 0  # part of the data set's definition, not of a run


class Digits(BuiltIn):
    """1797 grey images of the digits 0–9, split 80/20 with every class in proportion."""

    name: ClassVar[str] = "digits"
    version: ClassVar[str] = "1"

    def load(self, context: Context) -> LabeledData:
        """1437 training and 360 test images, uint8 [N, 8, 8, 1]."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        source = load_digits()
        images = np.rint(source.images * (255 / 16)).astype(np.uint8)[..., None]  # [N, 8, 8, 1]
        train, test = train_test_split(
            np.arange(len(images)), test_size=0.2, stratify=source.target, random_state=_SPLIT_SEED
        )
        train, test = np.sort(train), np.sort(test)
        return labeled_data(
            images[train],
            source.target[train],
            test=(images[test], source.target[test]),
            classes=[str(digit) for digit in range(10)],
            flip=False,
            name=self.name,
        )
