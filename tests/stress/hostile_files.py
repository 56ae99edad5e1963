"""Artefacts and other files changed as an attacker, or a broken program, would change them."""

import hashlib
import json
import math
import os
import pickle
import struct
from pathlib import Path
from random import Random
from typing import Any

import safetensors.torch
import tomli_w
import torch

from condense.recipe import tomllib

TENSORS, MANIFEST = "condensed.safetensors", "manifest.json"
DOCUMENTS = (MANIFEST, MANIFEST, "recipe.toml", "recipe.toml", "results.json", "run.log.json")
SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


class Canary:
    """Pickled, it makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


def nested(depth: int, table: bool = False) -> str:
    """JSON too deep for any reader that recurses."""
    return '{"a":' * depth + "1" + "}" * depth if table else "[" * depth + "]" * depth


def values(rng: Random) -> Any:
    """What a field may be found to hold."""
    return rng.choice(
        [
            *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**70, -(2**70), 10**400),
            *(0.5, -0.5, 1e-400, 1e308, -1e308, math.nan, math.inf, -math.inf),
            *("", " ", "x", "-1", "nan", "null", "../../etc/passwd", "/dev/zero", "a" * 10_000),
            *(SCRIPT, "$(touch canary)", "{}", "\x00", "\u202e", "\ud800", "é\u0301", "digits"),
            *("__import__('os').system('touch canary')", "npz:/dev/stdin", "folder:/proc"),
            *([], {}, [[]], [None], ["x"], [1, 2], [math.nan], [True], [["x", 1]], [0.5] * 1000),
            *({"a": 1}, {"component": "x"}, {"component": None}, {"component": []}, {"": {}}),
        ]
    )


def positions(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a document something stands."""
    if not isinstance(value, (dict, list)):
        return [at]
    items = value.items() if isinstance(value, dict) else enumerate(value[:3])
    return [at] * bool(at) + [p for k, v in items for p in positions(v, (*at, k))]


def changed(document: Any, rng: Random) -> str:
    """Change ``document`` in one place; returns what was done."""
    at = rng.choice(positions(document))
    inner = document
    for key in at[:-1]:
        inner = inner[key]
    how = rng.choice(["set", "set", "set", "set", "remove", "add", "nest", "text"])
    if how == "remove":
        del inner[at[-1]]
    elif how == "add" and isinstance(inner, dict):
        inner[rng.choice(["more", "", "__class__", "format", "component", "seed"])] = values(rng)
    elif how == "add":
        inner.append(values(rng))
    elif how == "nest":
        inner[at[-1]] = rng.choice([[inner[at[-1]]], {"a": inner[at[-1]]}])
    elif how == "text":
        inner[at[-1]] = str(inner[at[-1]])
    else:
        inner[at[-1]] = values(rng)
    return f"{how} {'.'.join(map(str, at))} in {str(inner)[:200]}"


def _without_none(value: Any) -> Any:
    """``value`` as TOML can hold it."""
    if isinstance(value, dict):
        return {str(k): _without_none(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_none(v) for v in value]
    return "null" if value is None else value


def as_toml(document: Any) -> bytes:
    """TOML, broken where it holds what TOML does not know."""
    try:
        return tomli_w.dumps(_without_none(document)).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, AttributeError):
        return json.dumps(document).encode()


def document(folder: Path, name: str, rng: Random) -> str:
    """One of the documents with one field changed."""
    path = folder / name
    if name.endswith(".toml"):
        table = tomllib.loads(path.read_text())
        what = changed(table, rng)
        path.write_bytes(as_toml(table))
    else:
        table = json.loads(path.read_text())
        what = changed(table, rng)
        path.write_text(json.dumps(table, ensure_ascii=rng.random() < 0.9), errors="surrogatepass")
    return f"{name}: {what}"


def written_raw(folder: Path, name: str, rng: Random) -> str:
    """A document that is none."""
    texts = {
        "empty": b"",
        "null": b"null",
        "list": b"[]",
        "number": b"1",
        "text": b'"x"',
        "deep lists": nested(10 ** rng.randint(3, 5)).encode(),
        "deep tables": nested(10 ** rng.randint(3, 5), True).encode(),
        "deep in a table": b'{"format": 1, "recipe": ' + nested(5000).encode() + b"}",
        "toml, deep lists": b"ipc = " + nested(10 ** rng.randint(3, 5)).encode(),
        "toml, deep keys": ".".join(["a"] * 10 ** rng.randint(3, 4)).encode() + b" = 1",
        "cut off": (folder / name).read_bytes()[: rng.randint(1, 300)],
        "not UTF-8": b"\xff\xfe\x00",
        "byte order mark": b"\xef\xbb\xbf" + (folder / name).read_bytes(),
        "noise": rng.randbytes(200),
        "twice the same key": b'{"format": 1, "format": 2}',
        "digits without end": b'{"format": ' + b"9" * 10_000 + b"}",
        "NUL": b"\x00" * 100,
    }
    what = rng.choice(sorted(texts))
    (folder / name).write_bytes(texts[what])
    return f"{name}: {what}"


def rehash(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write ``tensors`` under a right checksum."""
    blob = safetensors.torch.save({k: v.contiguous() for k, v in tensors.items()})
    put_blob(folder, blob)


def put_blob(folder: Path, blob: bytes) -> None:
    """Bytes under a right checksum."""
    (folder / TENSORS).write_bytes(blob)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"] = hashlib.sha256(blob).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def tensor(folder: Path, rng: Random) -> str:
    """A tensor of another type, shape or range, under a right checksum."""
    tensors = safetensors.torch.load((folder / TENSORS).read_bytes())
    name = rng.choice(sorted(tensors))
    value = tensors[name]
    kinds = ("float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool", "float32")
    how = rng.choice(["dtype", "dtype", "flat", "more dimensions", "longer", "shorter", "empty"])
    how = rng.choice([how, how, "missing", "not finite", "negative", "huge", "added", "scalar"])
    if how == "dtype":
        kind = rng.choice(kinds)
        tensors[name] = value.nan_to_num().to(getattr(torch, kind))
        how = kind
    elif how == "flat":
        tensors[name] = value.flatten()
    elif how == "scalar":
        tensors[name] = value.flatten()[0].clone() if value.numel() else torch.tensor(0.0)
    elif how == "more dimensions":
        tensors[name] = value[None]
    elif how == "longer":
        tensors[name] = torch.cat([torch.atleast_1d(value)] * 2)
    elif how == "shorter":
        tensors[name] = torch.atleast_1d(value)[:-1]
    elif how == "empty":
        tensors[name] = torch.empty(0, dtype=value.dtype)
    elif how == "missing":
        del tensors[name]
    elif how == "added":
        tensors[rng.choice(["soft_labels", "x", "", "__metadata"])] = torch.rand(3, 2)
    else:
        wrong = {
            "not finite": rng.choice([math.nan, math.inf, -math.inf]),
            "negative": -1,
            "huge": rng.choice([1e30, 2.0**62]),
        }[how]
        if not value.is_floating_point():
            wrong = -1 if wrong != wrong or how == "negative" else 2**40
        flat = (
            value.flatten()
            .clone()
            .to(torch.int64 if value.dtype == torch.uint8 and abs(wrong) > 255 else value.dtype)
        )
        where = slice(None) if rng.random() < 0.5 else slice(0, 1)
        flat[where] = 255 if flat.dtype == torch.uint8 else wrong
        tensors[name] = flat.reshape(value.shape)
    rehash(folder, tensors)
    return f"tensor {name}: {how}"


def header(folder: Path, rng: Random) -> str:
    """A safetensors file whose header lies, under a right checksum."""
    blob = (folder / TENSORS).read_bytes()
    size = struct.unpack("<Q", blob[:8])[0]
    head = json.loads(blob[8 : 8 + size])
    name = rng.choice([k for k in head if k != "__metadata__"])
    how = rng.choice(["length", "offsets", "shape", "dtype", "deep", "noise", "overlap", "cut"])
    if how == "length":
        put_blob(folder, struct.pack("<Q", rng.choice([0, 2**40, 2**63, size + 1])) + blob[8:])
    elif how == "cut":
        put_blob(folder, blob[: rng.randrange(len(blob))])
    elif how == "noise":
        put_blob(folder, rng.randbytes(rng.randint(0, 200)))
    else:
        if how == "offsets":
            head[name]["data_offsets"] = rng.choice([[0, 2**60], [-4, 4], [8, 0], ["a", 1], []])
        elif how == "shape":
            head[name]["shape"] = rng.choice([[2**31, 2**31], [-1], [2**62], ["x"], None])
        elif how == "dtype":
            head[name]["dtype"] = rng.choice(["F8_E4M3", "X", "I128", "", None, "BOOL"])
        elif how == "overlap":
            head[name]["data_offsets"] = [0, 4]
        text = nested(10**5) if how == "deep" else json.dumps(head)
        put_blob(folder, struct.pack("<Q", len(text)) + text.encode() + blob[8 + size :])
    return f"header of the tensors: {how}"


def other_file(folder: Path, rng: Random) -> str:
    """A file that is gone, a folder, a link, a pickle, noise."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    path = rng.choice(files)
    how = rng.choice(
        ["gone", "folder", "loop", "dangling", "device", "noise", "pickle", "torch", "pipe"]
    )
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how in ("loop", "dangling", "device"):
        path.symlink_to({"loop": path.name, "dangling": "nothing", "device": "/dev/zero"}[how])
    elif how == "noise":
        path.write_bytes(rng.randbytes(rng.randint(0, 500)))
    elif how == "pickle":
        path.write_bytes(pickle.dumps(Canary(folder.parent / "canary")))
    elif how == "torch":
        torch.save({"inputs": Canary(folder.parent / "canary")}, path)
    if how in ("pickle", "torch") and path.name == TENSORS:
        put_blob(folder, path.read_bytes())
    return f"{path.name}: {how}"


def trace(folder: Path, rng: Random) -> str:
    """A trace that is none."""
    texts = (
        *("", "x", "iteration,loss,step_size\n1,x,0.1\n", "iteration,loss,step_size\n1\n"),
        *("a,b,c\n1,nan,inf\n", "a,b,c\n" + "1,1e999,0\n" * 5, "a,b,c\n1,2,3,4\n"),
        *("a,b,c\n\n\n", "\ud800\n1,2,3\n", "a,b,c\n" + "9" * 5000 + ",1,1\n", "a,b,c\n1,-1,-1\n"),
    )
    text = rng.choice(texts)
    (folder / "trace.csv").write_text(text, errors="surrogatepass")
    return f"trace.csv: {text[:40]!r}"


def mutate(folder: Path, number: int, rng: Random) -> str:
    """One change of the artefact in ``folder``, each kind of change in turn."""
    kinds = (tensor, document, tensor, document, header, document, other_file, written_raw, trace)
    kinds = (*kinds, tensor, document, document, written_raw)
    kind = kinds[number % len(kinds)]
    if kind in (document, written_raw):
        return kind(folder, rng.choice(DOCUMENTS), rng)
    return kind(folder, rng)
