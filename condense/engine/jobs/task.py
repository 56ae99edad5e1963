"""A piece of a stage as text that travels, and what comes back."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import torch
from pydantic import Field

from condense.data import LabeledData, Modality, Normalization
from condense.engine.documents import Document
from condense.engine.ingest.holdout import HeldOutOf
from condense.engine.jobs.environment import Environment
from condense.engine.jobs.extra import Extra


class DataOfTask(Document):
    """The data of a task: names and fingerprints, never the samples.

    Attributes:
        name: of the data set.
        fingerprint, test: of the training split as it is condensed, and of its test split.
        blob: digest under which the samples were sent along; "" where the recipe names them.
        part: how what the recipe names is divided; None where it is not.
        modality: image or features.
    """

    name: str
    fingerprint: str
    test: str | None
    blob: str = ""
    part: HeldOutOf | None = None
    modality: Modality


class Task(Document):
    """A piece, with all that is needed to work it off.

    Attributes:
        recipe: resolved, as a table.
        shared_seed: of the stages that cells of a study share.
        stage, number, kind, key: of the piece.
        data: what it is about.
        device: ``"cpu"`` or ``"cuda"``.
        threads: torch's, set before any tensor is made.
        environment: the driver's.
        store: its folder on the driver.
        token: name of a file in it: who sees that has the same store.
        apart: whether the store is known not to be seen from everywhere.
        entries: digests under which the entries that the piece reads are then sent along.
        extra: what stages beside the recipe's are made of.
        ranks: processes that work it off together.
    """

    recipe: dict[str, Any]
    shared_seed: int
    stage: str
    number: int
    kind: str
    key: str
    data: DataOfTask
    device: str
    threads: int = Field(ge=1)
    environment: Environment
    store: str
    token: str
    apart: bool = False
    entries: tuple[str, ...] = ()
    extra: Extra = Field(default_factory=Extra)
    ranks: int = Field(1, ge=1)


class Outcome(Document):
    """How a task ended.

    Attributes:
        error: what went wrong, in one line; None if nothing did.
        apart: whether the driver's store cannot be seen, so that the task needs its entries sent.
        node, pid, threads, seconds: where and how it ran.
    """

    error: str | None = None
    apart: bool = False
    node: str
    pid: int
    threads: int
    seconds: float = 0.0


def packed(outcome: Outcome, entry: bytes = b"") -> bytes:
    """``outcome`` and the bytes of an entry as one."""
    head = json.dumps(outcome.to_json()).encode()
    return struct.pack("<Q", len(head)) + head + entry


def unpacked(result: bytes) -> tuple[Outcome, bytes]:
    """What :func:`packed` was given.

    Raises:
        ValueError: for anything else.
    """
    if len(result) < 8:
        raise ValueError("a job gave no outcome")
    (length,) = struct.unpack_from("<Q", result)
    return Outcome.model_validate_json(result[8 : 8 + length]), result[8 + length :]


def data_bytes(data: LabeledData) -> bytes:
    """``data`` with its test split, as an npz without objects."""
    out = io.BytesIO()
    head = {
        "classes": data.classes,
        "flip": data.flip,
        "name": data.name,
        "items": data.items,
        "part": data.part,
        "normalization": vars(data.normalization),
    }
    arrays: dict[str, Any] = {"inputs": data.inputs.numpy(), "labels": data.labels.numpy()}
    if data.test is not None:
        arrays |= {"test": np.frombuffer(data_bytes(data.test), np.uint8)}
    np.savez(out, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)
    return out.getvalue()


def data_from(blob: bytes) -> LabeledData:
    """What :func:`data_bytes` was given."""
    with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
        head = json.loads(arrays["head"].tobytes())
        test = data_from(arrays["test"].tobytes()) if "test" in arrays else None
        items = head["items"]
        return LabeledData(
            torch.from_numpy(arrays["inputs"]),
            torch.from_numpy(arrays["labels"]),
            tuple(head["classes"]),
            Normalization(**{k: tuple(v) for k, v in head["normalization"].items()}),
            flip=head["flip"],
            name=head["name"],
            test=test,
            items=None if items is None else tuple(items),
            part=head["part"],
        )
