"""A part of the training split that is held out and stands in the test split's place."""

from __future__ import annotations

from condense.data import LabeledData
from condense.engine.documents import Document
from condense.engine.ingest.holdout import HeldOutOf
from condense.errors import OptionError


class HeldOut(Document):
    """The share of the training split that was held out, and samples on either side."""

    share: float
    fit: int
    held_out: int

    @staticmethod
    def of(share: float, part: LabeledData) -> HeldOut:
        """Of ``part``, what was held out in its test split's place."""
        count = 0 if part.test is None else len(part.test)
        return HeldOut(share=share, fit=len(part), held_out=count)

    @property
    def words(self) -> str:
        """What ``"condensed from "`` goes on with."""
        return (
            f"{self.fit} training samples, validated on {self.held_out} held out of the training "
            "split; the test split was not read"
        )


def check_validation(share: float | None) -> None:
    """That ``share`` of the training split may be held out; None holds out nothing.

    Raises:
        OptionError: if not.
    """
    if share is not None and not 0 < share < 1:
        raise OptionError(f"`validation` must be in (0, 1), got {share:g}; try 0.2")


def divided(data: LabeledData, share: float | None, seed: int) -> LabeledData:
    """``data``, or where a ``share`` is to be held out what is left, that in the test's place."""
    part = held_out_of(share, seed)
    return data if part is None else part.of(data)


def held_out_of(share: float | None, seed: int) -> HeldOutOf | None:
    """How :func:`divided` data are said to a job."""
    return None if share is None else HeldOutOf(share, seed)
