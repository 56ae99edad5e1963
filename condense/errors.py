"""What can go wrong for a user, as exceptions with a message and an exit code.

A message says what was wrong, the value, what is allowed and the next step, in one line of
lower-case text without a full stop. The command line prints it and exits with ``exit_code``;
anything that is not a :class:`CondenseError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from condense import DISTRIBUTION


class CondenseError(Exception):
    """Root of every error a user can cause or mend."""

    exit_code = 1


class OptionError(CondenseError, ValueError):
    """An option, flag or recipe key that is unknown, malformed or out of range.

    Args:
        message: one line.
        keys: dotted keys of the options that are wrong, where they are known.
    """

    exit_code = 2

    def __init__(self, message: str, keys: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


class UnknownComponent(OptionError):
    """A component name that no loaded plugin registered."""


class DuplicateComponent(CondenseError):
    """Two plugins registered the same name for the same kind."""


class BrokenPlugin(CondenseError):
    """A plugin that could not be loaded, named together with the reason."""


@contextlib.contextmanager
def importing(extra: str, needs: str, *modules: str, otherwise: str = "") -> Iterator[None]:
    """Inside, and nothing else, what comes with an extra is imported.

    Args:
        extra: its name.
        needs: what needs which, "to_pandas needs pandas".
        modules: what is not there where nothing of the extra is.
        otherwise: what else can be done.

    Raises:
        OptionError: if that is not installed, or cannot be imported: its own packages may be
            missing, or not fit each other, whatever they raise then.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and any(f"{name}.".startswith(f"{missing}.") for name in modules):
            why = f"which {'are' if ' and ' in needs else 'is'} not installed"
        else:
            why = f"which cannot be imported ({describe(error)})"
        how = f"install the extra `{extra}` ({pip_install(extra)})"
        raise OptionError(f"{needs}, {why}; {how}{otherwise}") from None


def pip_install(extra: str) -> str:
    """What installs an extra: of the folder or repository that condense was installed from (PEP
    610), else of the package index."""
    from importlib import metadata  # neither is quick to import, and nearly never needed
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    source = {}
    with contextlib.suppress(metadata.PackageNotFoundError, ValueError):
        found = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
        source = json.loads(found or "{}")
    if "dir_info" in source:
        flag = "-e " if source["dir_info"].get("editable") else ""
        return f"pip install {flag}'{url2pathname(urlparse(source['url']).path)}[{extra}]'"
    origin = f" @ {source['vcs_info']['vcs']}+{source['url']}" if "vcs_info" in source else ""
    return f"pip install '{DISTRIBUTION}[{extra}]{origin}'"


class DataError(CondenseError, ValueError):
    """Input data that cannot be used: missing, malformed, or too small for what was asked."""


class OutputError(CondenseError):
    """A place that cannot be written."""


class DivergedError(CondenseError):
    """A training that left its network with values that are not finite."""


class CapacityError(CondenseError):
    """A job that does not fit the memory or disk there is."""


class FindingWarning(UserWarning):
    """A sign that a condensed set is no good, with what to try; ``condense()`` warns of it."""


def describe(error: BaseException) -> str:
    """``ErrorType: message`` on one line that can be printed.

    Of any exception: one of a stranger's may raise when it is asked for its message.
    """
    try:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return text.encode("utf-8", "backslashreplace").decode()
    except BaseException:  # noqa: BLE001 – whatever its `__str__` raises
        return f"{type.__getattribute__(type(error), '__name__')}: (its message cannot be read)"


def message_of(error: Exception) -> str:
    """What went wrong, in one line; with its type where it is no message to a user."""
    return " ".join(str(error).split()) if isinstance(error, CondenseError) else describe(error)


LOOKED_AT = 1000  # files beside one that does not exist
OURS = ("condense", "condense_plugins")  # whose bugs keep their traceback


def is_ours(component: type) -> bool:
    """Whether a component comes with this package."""
    return str(component.__module__).partition(".")[0] in OURS


def blamed(who: str, component: type, error: BaseException) -> BrokenPlugin | None:
    """What is said of a stranger's ``component`` that raised ``error``.

    None for what is told as it is: errors of ours, bugs of what is ours, an interrupt, no memory.
    """
    told = isinstance(error, (CondenseError, KeyboardInterrupt, MemoryError))
    if told or is_ours(component):
        return None
    return BrokenPlugin(
        f"{who} of {component.__module__} failed with {describe(error)}; condense --debug shows "
        "where"
    )


def closest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the known word nearest to ``word``, else an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def nearby(path: Path) -> str:
    """``"; did you mean 'x'?"`` for what lies beside ``path``, which does not exist, by the name
    nearest to its own; else an empty string."""
    with contextlib.suppress(OSError):
        return closest(path.name, (one.name for one in islice(path.parent.iterdir(), LOOKED_AT)))
    return ""
