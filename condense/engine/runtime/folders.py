"""A folder of ours, told from a stranger's, and replaced as a whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from condense.engine.runtime.exchange import exchange
from condense.engine.runtime.files import (
    ASIDE,
    Ours,
    check_writable,
    draft_beside,
    erase,
    not_written,
    sweep,
)
from condense.engine.runtime.locks import locked, locked_folder, silent
from condense.errors import DataError, OutputError
from condense.reading import in_one_line, read_regular

MAX_MARKER = 64 * 2**20  # bytes
READS = 100  # of a folder that others replace again and again

T = TypeVar("T")


def _no_more(contents: bytes) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Layout:
    """What a folder of ours holds; one that holds anything else is never replaced.

    Attributes:
        marker: the file by which it is known.
        others: patterns of what else it may hold, besides; ``*`` stands for no ``/``.
        ours: whether the contents of the marker are as we write them.
        named: names of what it may hold as well, by the contents of the marker; ValueError where
            they are not as we write them.
    """

    marker: str
    others: tuple[str, ...]
    ours: Callable[[bytes], bool]
    named: Callable[[bytes], Collection[str]] = _no_more

    def mark_of(self, folder: Path) -> bytes | None:
        """The contents of the marker in ``folder``; None where it has none as we write it."""
        with contextlib.suppress(OSError, ValueError):
            contents = read_regular(folder / self.marker, MAX_MARKER)
            return contents if self.ours(contents) else None
        return None

    def stranger(self, folder: Path) -> str | None:
        """What in ``folder`` is not of ours, if anything; an empty folder is anybody's."""
        paths = [p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()]
        names = sorted(path.relative_to(folder).as_posix() for path in paths)
        if not names:
            return None
        contents = self.mark_of(folder)
        with contextlib.suppress(ValueError):
            if contents is not None:
                known, named = (self.marker, *self.others), self.named(contents)
                names = [n for n in names if n not in named and not _fits(n, known)]
                return names[0] if names else None
        if self.marker in names:
            return f"{self.marker}, which is not as condense writes it"
        return names[0]


def _fits(name: str, patterns: Collection[str]) -> bool:
    """Whether a path fits one of ``patterns``, part by part."""
    parts = name.split("/")
    own = (pattern.split("/") for pattern in patterns)
    return any(len(parts) == len(p) and all(map(fnmatchcase, parts, p)) for p in own)


def json_with(*keys: str) -> Callable[[bytes], bool]:
    """Whether the contents of a file are a JSON object that has ``keys``."""

    def has_them(contents: bytes) -> bool:
        try:
            table = json.loads(contents)
        except (ValueError, RecursionError):
            return False
        return isinstance(table, dict) and table.keys() >= set(keys)

    return has_them


def json_file_with(*keys: str) -> Ours:
    """As :func:`json_with`, of a file."""
    has_them = json_with(*keys)
    return lambda file: has_them(file.read(MAX_MARKER))


def check_folder(target: Path, layout: Layout) -> Path:
    """The place of the folder ``target``, if it may be written or replaced.

    Raises:
        OutputError: as :func:`check_writable`, or if it is none of ``layout``.
    """
    place = check_writable(target)
    around = next((p for p in place.parents if layout.mark_of(p) is not None), None)
    if around is not None:
        raise OutputError(
            f"{target} lies in a folder that `condense` wrote ({around}), which could not be "
            "written again then; choose another place (`out`)"
        )
    if not place.exists():
        return place
    if not place.is_dir():
        raise OutputError(f"{target} exists and is a file; choose another place (`out`)")
    if os.path.ismount(place):
        raise OutputError(
            f"{target} cannot be replaced: a file system is mounted there; choose a folder in it "
            "(`out`)"
        )
    if not os.access(place, os.W_OK):
        raise OutputError(f"{target} cannot be written; choose another place (`out`)")
    other = layout.stranger(place)
    if other is not None:
        raise OutputError(
            f"{target} exists and holds other files ({other}); choose a new or empty folder (`out`)"
        )
    return place


def check_same(target: Path, what: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """That what lies in ``target`` depends on the same as what is to replace it.

    Args:
        target: a folder.
        what: what another one would be, as a message says it.
        theirs: what that there depends on, JSON-ready, by name.
        ours: likewise.

    Raises:
        OutputError: naming the first that differs.
    """

    def told(facts: Mapping[str, Any], key: str) -> str:
        return json.dumps(facts[key]) if key in facts else "not set"

    for key in (*ours, *theirs):
        if theirs.get(key, ...) != ours.get(key, ...):
            raise OutputError(
                f"{target} holds {what} ({key} {told(theirs, key)}, now {told(ours, key)}); give "
                "`force` to replace it, or choose another folder (`out`)"
            )


def replace_folder(
    target: Path,
    fill: Callable[[Path], object],
    check: Callable[[], Path],
    note: Callable[[str], object] = silent,
) -> Path:
    """``target`` filled by ``fill`` in a draft beside it, then put in place at once.

    Whoever reads ``target`` finds it as it was or as it is; who writes it at the same time waits
    or is waited for. Drafts that killed processes left of it are removed.

    Args:
        target: a folder; of a link, the folder that it leads to.
        fill: writes what is to be in the folder it is given.
        check: the place of ``target``; raises OutputError if it may not be replaced. Asked before
            the work and, as others may have written meanwhile, after it.
        note: told when another process is waited for.

    Raises:
        OutputError: if it cannot be written; it is as it was then.
    """

    def tell() -> None:
        note(f"note: another process is writing in {place.parent}; waiting for it")

    place = check()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _draft_of(place, tell) as draft:
            fill(draft)
            with locked_folder(place.parent, tell):
                check()
                _put(draft, place)
    except OSError as error:
        raise not_written(target, error) from None
    return target


@contextlib.contextmanager
def _draft_of(place: Path, tell: Callable[[], object]) -> Iterator[Path]:
    """A new folder beside ``place``; it goes with what is in it in the end.

    Its lock is held, by which others see that it is in use.
    """
    draft = draft_beside(place)
    with contextlib.ExitStack() as stack:
        stack.callback(erase, draft)
        with locked_folder(place.parent, tell):
            sweep(place)
            draft.mkdir()
            with contextlib.suppress(OSError):
                stack.enter_context(locked(draft))
        yield draft


def _put(draft: Path, place: Path) -> None:
    """Have ``draft`` at ``place``; what was there is removed, or still there if that fails."""
    if not os.path.lexists(place):
        draft.rename(place)
        return
    if exchange(draft, place):  # what was there is the draft now, and goes like one
        return
    aside = draft.with_name(draft.name + ASIDE)
    try:
        place.rename(aside)
        draft.rename(place)
    except BaseException:
        if os.path.lexists(aside) and not os.path.lexists(place):
            _put_back(aside, place)
        raise
    erase(aside)


def _put_back(aside: Path, place: Path) -> None:
    try:
        aside.rename(place)
    except OSError as error:
        raise OutputError(
            f"{place} cannot be written: {in_one_line(error)}; what was there lies in {aside}, "
            "move it back"
        ) from None


def unreplaced(folder: Path, read: Callable[[], T]) -> T:
    """What ``read`` makes of ``folder``; read again where it was replaced in the middle of it.

    Raises:
        DataError: as ``read`` does.
    """
    for left in reversed(range(READS)):
        before = _identity(folder)
        try:
            found = read()
        except DataError:
            if not left or _identity(folder) == before:
                raise
        else:
            if not left or _identity(folder) == before:
                return found
    raise AssertionError("the last of the tries returns or raises")


def _identity(folder: Path) -> tuple[int, ...]:
    """Alike only for the same folder that nobody replaced."""
    try:
        found = folder.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_ctime_ns
