"""A damaged store entry or checkpoint is never believed: it is worked out anew, with a warning."""

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import safetensors.torch
import torch
from stress_runs import contents, names, run_arguments, same

from condense.engine.matching import loop
from condense.engine.runtime.files import read_sealed, write_sealed

pytestmark = [pytest.mark.stress, pytest.mark.timeout(0)]

TENSORS, ENTRY = "tensors.safetensors", "entry.json"
# a kind is read only where what is made of it is not there
MADE_OF = {"dynamics": ("scores",), "experts": ("matching",)}
CHECKED = ("key", "sha256", "values", "values_sha256")  # what of entry.json says something


def entries(store: Path) -> list[Path]:
    return sorted(p.parent for p in store.glob(f"*/*/{ENTRY}"))


def truncated(path, rng):
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def flipped(path, rng):
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def zeroed(path, rng):
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data))
    data[start : start + rng.randint(1, 4096)] = bytes(len(data[start : start + 4096]))
    path.write_bytes(data)


def grown(path, rng):
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randint(1, 100)))


def emptied(path, rng):
    path.write_bytes(b"")


def gone(path, rng):
    path.unlink()


def a_folder(path, rng):
    path.unlink()
    path.mkdir()


def a_pipe(path, rng):
    path.unlink()
    os.mkfifo(path)


def a_device(path, rng):
    path.unlink()
    path.symlink_to("/dev/zero")


def a_dangling_link(path, rng):
    path.unlink()
    path.symlink_to(path.parent / "nothing")


def a_looping_link(path, rng):
    path.unlink()
    path.symlink_to(path.name)


def noise(path, rng):
    path.write_bytes(rng.randbytes(rng.randint(1, 1000)))


FILES = (
    *(truncated, flipped, flipped, flipped, zeroed, grown, emptied, gone, noise),
    *(a_folder, a_pipe, a_device, a_dangling_link, a_looping_link),
)


def text_of(change):
    """Damage that rewrites the text of entry.json."""

    def damage(path, rng):
        path.write_text(change(path.read_text(), rng), errors="surrogatepass")

    damage.__name__ = change.__name__
    return damage


def bad_json(text, rng):
    return text.replace(rng.choice(["{", ":", '"', "}"]), rng.choice(["", "{{", "'"]), 1)


def a_nan_key(text, rng):
    return text.replace('"seed":', '"seed": NaN, "was":', 1)


def deep_lists(text, rng):
    return text.replace('"key":', '"key":' + "[" * 10 ** rng.randint(3, 6), 1)


def deep_tables(text, rng):
    depth = 10 ** rng.randint(3, 5)
    return '{"a":' * depth + "1" + "}" * depth


def a_surrogate(text, rng):
    return text.replace('"component":', '"component": "\\ud800", "was":', 1)


def a_huge_number(text, rng):
    return text.replace('"seed":', '"seed": 1e999, "was":', 1)


def another_type(text, rng):
    entry = json.loads(text)
    entry[rng.choice(CHECKED)] = rng.choice([None, 1, [], "x", {}, True])
    return json.dumps(entry)


def a_field_less(text, rng):
    entry = json.loads(text)
    del entry[rng.choice(CHECKED)]
    return json.dumps(entry)


def other_values(text, rng):
    entry = json.loads(text)
    entry["values"]["more"] = 1
    return json.dumps(entry)


TEXTS = [
    text_of(change)
    for change in (
        *(bad_json, a_nan_key, deep_lists, deep_tables, a_surrogate, a_huge_number),
        *(another_type, a_field_less, other_values),
    )
]


def of_file(entry, rng):
    """Damage to one file of an entry."""
    name = rng.choice([TENSORS, ENTRY, ENTRY])
    damage = rng.choice(FILES if name == TENSORS else [*FILES, *TEXTS])
    damage(entry / name, rng)
    return f"{damage.__name__}: {name}"


def swapped(entry, rng):
    """A file of another entry in its place, or the whole of another."""
    other = rng.choice([e for e in entries(entry.parents[1]) if e != entry])
    name = rng.choice([TENSORS, ENTRY, "both"])
    for file in (TENSORS, ENTRY) if name == "both" else (name,):
        shutil.copy(other / file, entry / file)
    return f"swapped with {other.parent.name}: {name}"


def replaced(entry, rng):
    """Something else in the place of the whole entry."""
    moved = entry.parents[2] / "moved"
    how = rng.choice(["file", "dangling", "loop", "link to a folder", "empty"])
    shutil.move(entry, moved)
    if how == "file":
        entry.write_bytes(b"x")
    elif how == "empty":
        entry.mkdir()
    else:
        target = {"dangling": "nothing", "loop": entry.name, "link to a folder": moved}[how]
        entry.symlink_to(target)
        (moved / TENSORS).write_bytes(b"not what it was")
    return f"in its place: {how}"


DAMAGES = (of_file, of_file, of_file, of_file, swapped, replaced)


def said(path: Path) -> object:
    """What an entry says, as far as it counts; the bytes where it cannot be read."""
    if not (path / ENTRY).is_file() or not (path / TENSORS).is_file():
        return None  # a pipe would be waited for, a device read without end
    try:
        text = (path / ENTRY).read_bytes()
        entry = json.loads(text)
        return [entry[name] for name in CHECKED], (path / TENSORS).read_bytes()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def copied(whole: Path, place: Path) -> Path:
    for sub in ("work", "store"):
        shutil.copytree(whole / sub, place / sub, dirs_exist_ok=True)
    shutil.rmtree(place / "work" / "out")
    return place


def worked_out_anew(here, place, whole, warned: Path | None):
    """That the run gives the same bytes and one warning, and a further run not even that."""
    where = {"cwd": place / "work", "store": place / "store"}
    first = here(*run_arguments(), **where).succeeds()
    same(contents(place / "work" / "out"), contents(whole / "work" / "out"))
    warnings = [line for line in first.err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == (warned is not None), first.told
    assert warned is None or str(warned) in warnings[0], first.told
    again = here(*run_arguments("again"), **where).succeeds()
    assert again.err == "", again.told
    same(contents(place / "work" / "again"), contents(whole / "work" / "out"))


def without_what_is_made_of(store: Path, kind: str) -> None:
    for made in MADE_OF.get(kind, ()):
        shutil.rmtree(store / made)


def test_damaged_entries(row, here, whole, tmp_path):
    """Truncated, flipped, zeroed, swapped, replaced …, its checksums left as they were."""
    with row("damaged store entries, not re-hashed", 100) as damages:
        for number, rng in damages.cases():
            place = copied(whole, tmp_path / str(number))
            entry = rng.choice(entries(place / "store"))
            original = said(entry)
            what = DAMAGES[number % len(DAMAGES)](entry, rng)
            without_what_is_made_of(place / "store", entry.parent.name)
            with damages.case(number, f"{entry.parent.name}: {what}"):
                harmless = said(entry) == original and not entry.is_symlink()
                worked_out_anew(here, place, whole, None if harmless else entry)
                assert said(entry)[1] == original[1], "the entry is not as it was"
                damages.count_as("harmless" if harmless else "recomputed to the same bytes")
            shutil.rmtree(place)


def rehashed(entry: Path, tensors, values=None) -> None:
    blob = safetensors.torch.save(tensors)
    told = json.loads((entry / ENTRY).read_text())
    told["sha256"] = hashlib.sha256(blob).hexdigest()
    if values is not None:
        told["values"] = values
        text = json.dumps(values, sort_keys=True).encode()
        told["values_sha256"] = hashlib.sha256(text).hexdigest()
    (entry / TENSORS).write_bytes(blob)
    (entry / ENTRY).write_text(json.dumps(told))


def forged(entry, rng):
    """Contents that cannot be, under right checksums; what was done."""
    tensors = safetensors.torch.load((entry / TENSORS).read_bytes())
    values = json.loads((entry / ENTRY).read_text())["values"]
    if not tensors:  # an evaluation
        name = rng.choice(["values", "per_class", "seconds", "protocol"])
        wrong = {
            "values": [[2.0], [-0.1], [], ["x"], None, 0.5],
            "per_class": [[2.0, 0.5], ["x", "y"], [0.5] * 5, "x"],
            "seconds": ["x", -1.0, None, []],
            "protocol": [None, [], "x"],
        }
        values[name] = rng.choice(wrong[name])
        rehashed(entry, tensors, values)
        return f"{name} = {values[name]}"
    name = rng.choice(sorted(tensors))
    tensor = tensors[name]
    how = rng.choice(["longer", "dimension", "dtype", "not finite", "missing", "out of range"])
    if how == "out of range" and not name.startswith(("indices", "right", "step_size")):
        how = "missing"
    # a margin beyond half precision and the loss of an iteration that was skipped are not finite
    if how == "not finite" and (not tensor.is_floating_point() or name in ("margin", "loss")):
        how = "longer"
    if how == "longer":
        tensors[name] = torch.cat([tensor.flatten(), tensor.flatten()])
    elif how == "dimension":
        tensors[name] = tensor[None].contiguous()
    elif how == "dtype":
        wide = {torch.float32: torch.float64, torch.int64: torch.int32}
        tensors[name] = tensor.to(wide.get(tensor.dtype, torch.float32))
    elif how == "not finite":
        flat = tensor.flatten().clone()
        flat[rng.randrange(len(flat))] = rng.choice([float("nan"), float("inf")])
        tensors[name] = flat.reshape(tensor.shape)
    elif how == "missing":
        del tensors[name]
    else:
        tensors[name] = torch.full_like(tensor, -1 if name != "right" else 1)
        if name == "right":
            tensors[name] = tensor[:-1].clone()
    rehashed(entry, tensors)
    return f"{name}: {how}"


def test_rehashed_entries_that_cannot_be(row, here, whole, tmp_path):
    """Wrong shapes, types, ranges and numbers that are not finite, under right checksums.

    Other numbers that could be cannot be told from the right ones: SECURITY.md says so.
    """
    with row("store entries re-hashed with contents that cannot be", 30) as forgeries:
        for number, rng in forgeries.cases():
            place = copied(whole, tmp_path / str(number))
            found = entries(place / "store")
            kinds = sorted({e.parent.name for e in found})
            kind = kinds[number % len(kinds)]  # each in turn
            entry = rng.choice([e for e in found if e.parent.name == kind])
            what = forged(entry, rng)
            without_what_is_made_of(place / "store", kind)
            with forgeries.case(number, f"{kind}: {what}"):
                worked_out_anew(here, place, whole, entry)
                forgeries.count_as("recomputed to the same bytes")
            shutil.rmtree(place)


@pytest.fixture
def stopped(here, whole, tmp_path, monkeypatch):
    """A run that was interrupted in its matching, and the checkpoint that it left."""
    place = copied(whole, tmp_path / "stopped")
    shutil.rmtree(place / "store" / "matching")
    update, calls = loop.update, []

    def interrupting(*args):
        update(*args)
        calls.append(1)
        if len(calls) == 4:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop, "update", interrupting)
    done = here(*run_arguments(), cwd=place / "work", store=place / "store")
    monkeypatch.undo()
    assert done.code == 130, done.told
    (partial,) = (place / "store" / "matching").glob("*.partial")
    return place, partial.relative_to(place)


def resealed(path, rng):
    """Contents that cannot be, under a right checksum."""
    head, _, blob = read_sealed(path).partition(b"\n")
    tensors = safetensors.torch.load(blob)
    how = rng.choice(["iteration", "shape", "dtype", "missing", "head"])
    name = rng.choice(sorted(tensors))
    if how == "iteration":
        head = json.dumps({**json.loads(head), "iteration": rng.choice([-1, 7, 10**9])}).encode()
    elif how == "head":
        head = rng.choice([b"{}", b"[", b"null", b"[" * 10**5])
    elif how == "shape":
        tensors[name] = torch.cat([tensors[name].flatten()] * 2)
    elif how == "dtype":
        tensors[name] = tensors[name].to(torch.float64)
    else:
        del tensors[name]
    path.unlink()
    write_sealed(path, head + b"\n" + safetensors.torch.save(tensors))


def test_damaged_checkpoints(row, here, whole, stopped, tmp_path):
    place, partial = stopped
    with row("damaged checkpoints of a matching", 40) as damages:
        for number, rng in damages.cases():
            at = tmp_path / str(number)
            shutil.copytree(place, at, symlinks=True)
            damage = rng.choice([*FILES, resealed, resealed])
            original = (at / partial).read_bytes()
            damage(at / partial, rng)
            with damages.case(number, damage.__name__):
                path = at / partial
                nothing = not os.path.lexists(path)
                harmless = path.is_file() and path.stat().st_size == len(original)
                harmless = harmless and path.read_bytes() == original
                worked_out_anew(here, at, whole, None if nothing or harmless else path)
                assert not os.path.lexists(path)
                assert not [n for n in names(at / "store") if ".partial" in n]
                damages.count_as("not there" if nothing else "started anew, same bytes")
            shutil.rmtree(at)
