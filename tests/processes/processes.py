"""Processes that tests start: copies of one that has imported condense, which takes seconds.

What they run, and where, is as of ``python -c CODE ARGUMENTS``; only what is imported before CODE
begins is not, so that a test of imports must start a process of its own.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

_FORKS = "forkserver" in multiprocessing.get_all_start_methods()
_CONTEXT = multiprocessing.get_context("forkserver" if _FORKS else "spawn")
_CONTEXT.set_forkserver_preload(
    ["condense.cli.main", "condense.cli.run", "condense.api", "condense.report", "sklearn.datasets"]
)


@dataclass(frozen=True)
class _Given:
    """What a process starts with; ``streams`` are the files that stand for its first three."""

    code: str
    arguments: tuple[str, ...]
    folder: str
    environment: dict[str, str]
    streams: tuple[str, ...]


class Started:
    """A process under way, as :class:`subprocess.Popen` shows it."""

    def __init__(self, given: _Given) -> None:
        self._given = given
        self.process = _CONTEXT.Process(target=_run, args=(given,))
        self.process.start()
        self.pid = self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float = 120) -> int:
        """Its exit status, the negative signal of one that a signal ended."""
        self.process.join(timeout)
        code = self.returncode
        assert code is not None, f"still runs after {timeout} s: {self.told()}"
        return code

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def told(self) -> tuple[str, str]:
        """What it has written to its standard output and error so far."""
        _, out, err = (Path(place).read_text() for place in self._given.streams)
        return out, err


@dataclass(frozen=True)
class Done:
    """A process that has ended."""

    returncode: int
    stdout: str
    stderr: str


def start(
    code: str,
    *arguments: object,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> Started:
    """Start ``code`` with ``arguments`` in ``cwd``, by default here."""
    place = Path(tempfile.mkdtemp())
    streams = [place / name for name in ("in", "out", "err")]
    for file in streams:
        file.write_text(stdin if file.name == "in" else "")
    folder, environment = str(cwd or Path.cwd()), dict(os.environ if env is None else env)
    words = tuple(map(str, arguments))
    started = Started(_Given(code, words, folder, environment, tuple(map(str, streams))))
    weakref.finalize(started, _end, started.process, place)
    return started


def run(code: str, *arguments: object, timeout: float = 120, **given: object) -> Done:
    """Run ``code`` as :func:`start` does, to its end."""
    process = start(code, *arguments, **given)
    try:
        return Done(process.wait(timeout), *process.told())
    finally:
        process.kill()


def _end(process: BaseProcess, place: Path) -> None:
    process.kill()
    shutil.rmtree(place, ignore_errors=True)


def _run(given: _Given) -> None:
    for number, place in enumerate(given.streams):
        file = os.open(place, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, closefd=False)  # multiprocessing has closed it
    os.environ.clear()
    os.environ.update(given.environment)
    os.chdir(given.folder)
    sys.argv = ["-c", *given.arguments]
    paths = given.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = dict.fromkeys(["", *filter(None, paths), *sys.path])
    exec(compile(given.code, "-c", "exec"), {"__name__": "__main__"})
