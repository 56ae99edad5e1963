"""What comes from outside – tables of JSON and TOML, names, text – is plain, bounded and printable.

Every reader of a document goes through here, so that whatever lies in a file ends in one line that
names the key and the value.
"""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

DEEPEST = 32  # tables and lists inside each other; our own have five
LARGEST = 2**63  # whole numbers lie below, in size
SHOWN = 60  # characters of a value in a message

MAX_RECIPE = 16 * 2**20  # bytes of a file that a user wrote, or might have

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """The bytes of a file; what is no file, as a pipe, is not waited for.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is none, or larger than ``limit`` bytes.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path.name} is not a file")
    if limit is not None and status.st_size > limit:
        raise ValueError(f"{path.name} has {status.st_size} bytes, expected {limit} at most")
    return path.read_bytes()


def check_text(text: str) -> str:
    """``text``, which every file and terminal can hold.

    Raises:
        ValueError: for half a surrogate pair, as names of files have whose bytes are no UTF-8.
    """
    if _SURROGATE.search(text):
        raise ValueError("is no text that UTF-8 can hold")
    return text


def check_plain(value: Any, *where: object) -> Any:
    """``value``, made of tables with text for keys, lists, text, finite numbers, true, false, null.

    Args:
        value: of a table that was read.
        where: keys and places that led to it, for the message.

    Raises:
        ValueError: naming the place inside it, and what is wrong there.
    """
    try:
        if len(where) > DEEPEST:
            raise ValueError(f"is nested more than {DEEPEST} deep")
        if isinstance(value, str):
            check_text(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"is {value}, must be finite")
        elif isinstance(value, int) and abs(value) >= LARGEST:
            raise ValueError(f"is {shown(value)}, must be a whole number of at most 63 bits")
        elif not isinstance(value, Mapping | list | tuple | float | int | None):
            raise ValueError(f"is a {type(value).__name__}, which nothing here can be")
    except ValueError as error:
        raise ValueError(f"{place(where)} {error}".strip()) from None
    if isinstance(value, Mapping):
        for key, inner in value.items():
            check_plain(key, *where, key)
            check_plain(inner, *where, key)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            check_plain(inner, *where, number)
    return value


def place(where: Sequence[object]) -> str:
    """Keys as a message names them, dotted; of a long way the beginning."""
    parts = [shown(str(key))[1:-1] for key in where]
    return ".".join(parts[:12]) + ("…" if len(parts) > 12 else "")


Plain = Annotated[Any, AfterValidator(check_plain)]
PlainTable = dict[str, Plain]
_TABLE = TypeAdapter(PlainTable, config=ConfigDict(strict=True))
EncodableText = Annotated[str, AfterValidator(check_text)]


def _check_separator(text: str) -> str:
    if text == r"\t":  # as a shell hands it on
        return "\t"
    if len(text) != 1 or text in '"\r\n':
        raise ValueError("must be one character, and no quote or line end")
    return text


Separator = Annotated[str, AfterValidator(_check_separator)]  # between the cells of a CSV file


def parse_table(text: bytes) -> dict[str, Any]:
    """The table in a JSON document.

    Raises:
        ValueError: in one line, if it is no such document.
    """
    try:
        return _TABLE.validate_json(text)
    except ValidationError as error:
        raise ValueError(damage(error)) from None


def shown(value: object) -> str:
    """``value`` in a message: in one line, short, printable."""
    if isinstance(value, int) and value.bit_length() > 8 * SHOWN:
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def in_one_line(error: Exception) -> str:
    """What an error says, of a document only the first that is wrong with it; its type if nothing.

    Of what a system call refused, why alone: whoever tells it names the file.
    """
    if isinstance(error, ValidationError):
        return damage(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__


def damage(error: ValidationError) -> str:
    """The first thing that is wrong with a document: key, what, and the value where it is one."""
    first = error.errors(include_url=False)[0]
    where = place(first["loc"])
    if first["type"] == "missing":
        return f"'{where}' is missing"
    what = str(first["msg"]).removeprefix("Value error, ")
    what = what[:1].lower() + what[1:]
    if not where:
        return what
    value, own = first["input"], first["type"] == "value_error"  # our words have the value
    told = not own and (isinstance(value, str | int | float) or value is None)
    return f"{where}: {what}" + (f", got {shown(value)}" if told else "")
