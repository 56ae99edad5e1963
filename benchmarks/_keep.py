"""What of a headline run survives between stays on a machine: a folder of small files.

No file is larger than FILE_BYTES, all of them together than ALL_BYTES. Kept are scores, evaluations
(as they lie in the store) and, of every arm's matching, the distilled rows, label logits where they
are learned, and the momentum of both in half precision, source indices, step size, loss so far and
random state. Experts are not kept: they are trained anew. A matching continued from here is
therefore not bit-equal to one that was not interrupted: images and logits are rounded to float16
(relative error up to 2⁻¹¹), and on a GPU experts may differ in rounding. A finished matching is
rounded at once, so that every network of its arm is trained on the same bits, whichever stay trains
it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from condense.engine.matching.state import GOOD, CheckpointHead, read_checkpoint, write_checkpoint
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.files import write_atomic
from condense.engine.runtime.store import Payload, Store
from condense.errors import CondenseError

MIB = 2**20
FILE_BYTES = 16 * MIB
ALL_BYTES = 60 * MIB
PART_BYTES = 15 * MIB  # of tensors in a file; its header comes on top
SCALE = "/scale"

Tensors = dict[str, Tensor]


def packed(tensors: Mapping[str, Tensor]) -> Tensors:
    """float32 tensors of two dimensions or more in float16, each divided by its largest value.

    A momentum of gradients lies far below what float16 reaches without the scale.
    """
    found: Tensors = {}
    for name, tensor in tensors.items():
        if tensor.dim() >= 2 and tensor.dtype == torch.float32 and tensor.numel():
            scale = tensor.abs().amax().clamp(min=torch.finfo(torch.float32).tiny)
            found |= {name: (tensor / scale).half(), name + SCALE: scale}
        else:
            found[name] = tensor
    return found


def unpacked(tensors: Mapping[str, Tensor]) -> Tensors:
    """The tensors behind :func:`packed`, float16 rounding apart."""
    return {
        name: tensor.float() * tensors[name + SCALE] if name + SCALE in tensors else tensor
        for name, tensor in tensors.items()
        if not name.endswith(SCALE)
    }


def parts(tensors: Mapping[str, Tensor], limit: int = PART_BYTES) -> list[Tensors]:
    """``tensors`` cut along their first dimension into dicts of at most ``limit`` bytes each.

    A piece is named ``NAME@FIRST_ROW``; one row must fit.
    """
    found: list[Tensors] = [{}]
    room = limit
    for name, tensor in tensors.items():
        size = tensor.nbytes
        row = max(1, size // len(tensor)) if tensor.dim() and len(tensor) else max(1, size)
        at = 0
        while True:
            if room < min(row, size):
                found.append({})
                room = limit
            if not tensor.dim():
                found[-1][f"{name}@0"] = tensor
                room -= size
                break
            piece = tensor[at : at + max(1, room // row)].contiguous()
            found[-1][f"{name}@{at}"] = piece
            room -= piece.nbytes
            at += len(piece)
            if at >= len(tensor):
                break
    return found


def joined(pieces: Iterable[Mapping[str, Tensor]]) -> Tensors:
    """The tensors behind :func:`parts`."""
    rows: dict[str, dict[int, Tensor]] = {}
    for piece in pieces:
        for name, tensor in piece.items():
            base, _, at = name.rpartition("@")
            rows.setdefault(base, {})[int(at)] = tensor
    return {
        name: torch.cat([found[at] for at in sorted(found)]) if found[0].dim() else found[0]
        for name, found in rows.items()
    }


def fitting(tensors: Tensors, room: int) -> Tensors:
    """``tensors``, without the momentum if they would not fit ``room`` bytes with it.

    Half a momentum is forgotten every iteration; the images are not.
    """
    if _size(tensors) <= room:
        return tensors
    return {n: t for n, t in tensors.items() if not n.startswith("image_momentum")}


class Keep:
    """The small files of one headline run in ``folder``.

    Args:
        folder: made when first written.
        store: what entries are copied from and back to.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store

    # ---- small entries, verbatim --------------------------------------------------------------

    def take(self, kind: str, key: Mapping[str, Any]) -> None:
        """Copy an entry from the store, if it is there and not kept yet."""
        source = self.store.path(kind, key)
        target = self.folder / kind / source.name
        if source.is_dir() and not target.exists():
            self._check(sum(f.stat().st_size for f in source.iterdir()))
            _copied(source, target)

    def give(self, kind: str, key: Mapping[str, Any]) -> None:
        """Copy a kept entry into the store, if it is not there; the store checks its sums."""
        target = self.store.path(kind, key)
        source = self.folder / kind / target.name
        if source.is_dir() and not target.exists():
            _copied(source, target)

    # ---- matching -----------------------------------------------------------------------------

    def save_checkpoint(self, arm: str, pipeline: Pipeline) -> None:
        """Keep ``arm``'s unfinished matching, if there is more of it than is kept."""
        path = pipeline.matching.checkpoint
        if not path.exists():
            return
        head, tensors = read_checkpoint(path)
        if head.iteration <= self._iteration(arm, head.key):
            return
        kept = {"key": head.key, "iteration": str(head.iteration), "final": ""}
        kept["retries"] = str(head.retries)
        # the state to go back to should it diverge is left out: the next sound one will do
        now = {name: t for name, t in tensors.items() if not name.startswith(GOOD)}
        self._write(arm, now, pipeline, kept)

    def has_result(self, arm: str, pipeline: Pipeline) -> bool:
        """Whether ``arm``'s finished matching is kept."""
        key = json.dumps(pipeline.matching.key(), sort_keys=True)
        heads = [_header(f) for f in self._files(arm)]
        return any(h["final"] and h["key"] == key for h in heads)

    def save_result(self, arm: str, pipeline: Pipeline) -> None:
        """Keep ``arm``'s finished matching, and leave its rounded form in the store."""
        key = pipeline.matching.key()
        payload = self.store.get("matching", key)
        assert payload is not None
        head = {"key": json.dumps(key, sort_keys=True), "iteration": "0", "final": "yes"}
        if not self.has_result(arm, pipeline):
            self._write(arm, payload.tensors, pipeline, head)
        shutil.rmtree(self.store.path("matching", key))
        self.restore(arm, pipeline)

    def restore(self, arm: str, pipeline: Pipeline) -> None:
        """Put what is kept of ``arm``'s matching where the engine looks for it."""
        key = pipeline.matching.key()
        text = json.dumps(key, sort_keys=True)
        found = self._read(arm, text)
        if found is None or self.store.has("matching", key):
            return
        head, tensors = found
        source = tensors.pop("source_index")
        if not torch.equal(source, _sources(pipeline)):
            raise CondenseError(f"{self.folder} holds another selection of {arm}; give another one")
        if head["final"]:
            self.store.put("matching", key, Payload(tensors))
            return
        path = pipeline.matching.checkpoint
        if path.exists():  # saved by this machine: newer, and exact
            return
        # momentum was left out where there was no room
        tensors.setdefault("image_momentum", torch.zeros_like(tensors["inputs"]))
        numbers = {name: int(head[name]) for name in ("iteration", "retries")}
        write_checkpoint(path, CheckpointHead(key=text, **numbers), tensors)

    def _write(self, arm: str, tensors: Tensors, pipeline: Pipeline, head: dict[str, str]) -> None:
        small = packed(tensors) | {"source_index": _sources(pipeline)}
        small = {name: t.contiguous() for name, t in small.items()}
        old = self._files(arm)
        room = ALL_BYTES - self._bytes() + sum(f.stat().st_size for f in old)
        small = fitting(small, room)
        if _size(small) > room:
            raise CondenseError(
                f"{self.folder}: {arm} needs {_size(small) / MIB:.0f} MiB, {room / MIB:.0f} MiB "
                f"of {ALL_BYTES // MIB} are free; keep each of the --arms in a --keep of its own"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        made = parts(small)
        stamp = "final" if head["final"] else f"{int(head['iteration']):06d}"
        names = [f"{arm}.{stamp}.{n}of{len(made)}.safetensors" for n in range(len(made))]
        new = [self.folder / name for name in names]
        for path, part in zip(new, made, strict=True):
            write_atomic(path, safetensors.torch.save(part, head))
        for path in set(old) - set(new):
            path.unlink()

    def _read(self, arm: str, key: str) -> tuple[dict[str, str], Tensors] | None:
        """The newest complete state of ``arm`` under ``key``; None if there is none."""
        for stamp in sorted({f.name.split(".")[-3] for f in self._files(arm)}, reverse=True):
            files = sorted(self.folder.glob(f"{arm}.{stamp}.*of*.safetensors"))
            if len(files) != int(files[0].stem.rpartition("of")[2]):
                continue  # killed while it was written
            try:
                head, pieces = _header(files[0]), [safetensors.torch.load_file(f) for f in files]
            except (OSError, SafetensorError):
                continue
            if head["key"] == key:
                return head, unpacked(joined(pieces))
        return None

    def _iteration(self, arm: str, key: str) -> int:
        """Iterations kept of ``arm`` under ``key``; -1 for none."""
        heads = [_header(f) for f in self._files(arm)]
        return max((int(h["iteration"]) for h in heads if h["key"] == key), default=-1)

    def _files(self, arm: str) -> list[Path]:
        return sorted(self.folder.glob(f"{arm}.*of*.safetensors"))

    def _bytes(self) -> int:
        return sum(f.stat().st_size for f in self.folder.rglob("*") if f.is_file())

    def _check(self, more: int) -> None:
        if self._bytes() + more > ALL_BYTES:
            raise CondenseError(f"{self.folder} would exceed {ALL_BYTES // MIB} MiB; use another")


def _copied(source: Path, target: Path) -> None:
    """Copy a folder, all or nothing."""
    draft = target.with_name(f".draft-{target.name}")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(source, draft)
    draft.rename(target)


def _sources(pipeline: Pipeline) -> Tensor:
    """int32 positions of the distilled samples' sources in the training split."""
    initial = pipeline.matching.initial
    return initial.source_index[initial.role.bool()].int()


def _size(tensors: Mapping[str, Tensor]) -> int:
    """Bytes on disk, with room for headers."""
    return sum(t.nbytes for t in tensors.values()) + 64 * 1024


def _header(path: Path) -> dict[str, str]:
    """What ``path`` is part of; of a damaged file, of nothing."""
    try:
        with safetensors.safe_open(str(path), "pt") as file:
            return dict(file.metadata())
    except (OSError, SafetensorError):
        return {"key": "", "iteration": "-1", "final": ""}
