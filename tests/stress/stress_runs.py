"""Tiny data, tiny runs, in this process or in many; the rules that every command keeps."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pytest

from condense.cli.main import main

# options by dotted key under which a whole run takes less than a second on the data below
TINY = {
    "scorer.networks": 1,
    "scorer.epochs": 6,
    "scorer.network.width": 4,
    "selector.beta": 0.1,
    "policy.alpha": 0.5,
    "matcher.iterations": 6,
    "matcher.experts": 2,
    "matcher.max_start_epoch": 2,
    "matcher.steps": 2,
    "matcher.network.width": 4,
    "matcher.snapshots": "[3]",
    "evaluator.steps": 3,
    "evaluator.repeats": 2,
    "evaluator.network.width": 4,
}
PYTHONPATH = os.pathsep.join(p for p in sys.path if p)  # of processes of their own
MARKS = ("Traceback (most recent call last)", "bug in condense")


def options(values: Mapping[str, object]) -> list[str]:
    """``values`` as ``-o`` flags."""
    return [part for key, value in values.items() for part in ("-o", f"{key}={value}")]


def write_data(path: Path, seed: int = 0, features: bool = False) -> Path:
    """40 images of 8×8 (or rows of 6 numbers) in two classes, 20 of them to test on."""
    rng = np.random.default_rng(seed)

    def draw(each: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat([0, 1], each)
        if features:
            return rng.normal(labels[:, None], 1, (2 * each, 6)).astype(np.float32), labels
        images = rng.normal(90 + 60 * labels[:, None, None, None], 40, (2 * each, 8, 8, 1))
        return images.clip(0, 255).astype(np.uint8), labels

    images, labels = draw(20)
    test_images, test_labels = draw(10)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        train_images=images,
        train_labels=labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=np.array(["ant", "bee"]),
    )
    return path


def run_arguments(out: str = "out", **more: object) -> list[str]:
    """A whole run on ``squares.npz`` of the working folder."""
    given = ("run", "--data", "npz:squares.npz", "--ipc", "6", "--device", "cpu", "--out", out)
    return [*given, *options({**TINY, **more})]


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """For the message of a failure."""
        return f"exit code {self.code}, stderr:\n{self.err[-3000:]}"

    @property
    def errors(self) -> list[str]:
        """The lines that say what was wrong."""
        return [line for line in self.err.splitlines() if line.startswith("error: ")]

    def keeps_the_rules(self) -> "Done":
        """No traceback; exit code 0, 1 or 2; if not 0, one line of error; memory suffices."""
        if any(mark in self.err for mark in MARKS):
            raise AssertionError(f"a traceback: {self.told}")
        if "out of memory" in self.err:
            raise AssertionError(f"too much memory: {self.told}")
        if self.code not in (0, 1, 2):
            raise AssertionError(f"an exit code of its own: {self.told}")
        if (self.code != 0) != (len(self.errors) == 1):
            raise AssertionError(f"{len(self.errors)} lines of error: {self.told}")
        return self

    def succeeds(self) -> "Done":
        """Exit code 0, no traceback."""
        if self.keeps_the_rules().code != 0:
            raise AssertionError(f"it failed: {self.told}")
        return self


HANGS = 60  # seconds after which a command in this process is said to hang


class Hangs(Exception):
    """A command in this process took longer than any may."""


@contextlib.contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Inside, :class:`Hangs` is raised after ``seconds``."""

    def hang(number: int, frame: object) -> None:
        raise Hangs(f"nothing after {seconds} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


ROOM = 2 * 2**30  # bytes that a command in this process may take beside what is there


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """Inside, a file without end is no memory for this process, not for the whole machine."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


class Here:
    """Runs commands in this process, in a folder and with a store of their own."""

    def __init__(self, host: Any) -> None:
        self.host = host

    def __call__(self, *args: object, cwd: Path, store: Path, stdin: str = "") -> Done:
        before = os.getcwd()
        os.chdir(cwd)
        try:
            with warnings.catch_warnings(), at_most(HANGS), little_memory():
                warnings.simplefilter("default")
                done = click.testing.CliRunner().invoke(
                    main,
                    [str(a) for a in args],
                    obj=self.host,
                    env={"CONDENSE_STORE": str(store)},
                    input=stdin,
                )
        finally:
            os.chdir(before)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            return Done(70, done.stdout, f"{MARKS[0]}: {done.exception!r}\n{done.stderr}")
        return Done(done.exit_code, done.stdout, done.stderr)


# Forks condense processes that have imported all that a run takes: milliseconds instead of seconds.
# Each is the leader of a process group, and one beside it waits for its exit code.
SERVER = r"""
import gc, json, os, signal, sys
import click.testing, torch
from condense.cli.main import main
from condense.plugin.host import build_host
torch.set_num_threads(1)
HOST = build_host(external=False)
done = click.testing.CliRunner().invoke(main, sys.argv[1:], obj=HOST)
assert done.exit_code == 0, done.stderr
def write(path, text):
    with open(path + ".draft", "w") as file:
        file.write(str(text))
    os.rename(path + ".draft", path)
def work(job):
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, name in enumerate((os.devnull, "stdout", "stderr")):
        handle = os.open(os.path.join(job["place"], name), os.O_RDWR | os.O_CREAT, 0o666)
        os.dup2(handle, number)
        os.close(handle)
    os.chdir(job["cwd"])
    os.environ.update(job["env"])
    sys.argv = ["condense", *job["args"]]
    write(job["place"] + "/pid", os.getpid())
    try:
        exec(compile(job["code"], "<job>", "exec"), {"__name__": "__main__", "HOST": HOST})
    except SystemExit as error:
        return error.code or 0
    return 0
gc.freeze()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
while True:
    line = os.read(0, 1 << 20).decode()
    if not line:
        break
    for text in line.splitlines():
        job = json.loads(text)
        if os.fork():
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        worker = os.fork()
        if worker == 0:
            code = work(job)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # to take such an interpreter down would take a second
        status = os.waitpid(worker, 0)[1]
        write(job["place"] + "/code", os.waitstatus_to_exitcode(status))
        os._exit(0)
"""
CLI = "import sys\nfrom condense.cli.main import main\nmain(obj=HOST)\n"


class Process:
    """A process of the server's."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def wait_for(self, ready: Callable[[], Any], seconds: float = 120) -> Any:
        """What ``ready`` gives once it gives something; None if the process ended before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = ready()
            if found or self.ended:
                return found
            time.sleep(0.001)
        self.signal(signal.SIGKILL)
        raise AssertionError(f"nothing for {seconds} s: {self.text('stderr')}")

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return (self.place / "code").exists()

    def text(self, name: str) -> str:
        """What is in one of its files so far."""
        try:
            return (self.place / name).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def signal(self, number: int) -> None:
        """Send ``number`` to its group."""
        self.wait_for(lambda: (self.place / "pid").exists())
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(self.text("pid")), number)

    def wait(self, seconds: float = 120) -> Done:
        """What it came to."""
        self.wait_for(lambda: self.ended, seconds)
        return Done(int(self.text("code")), self.text("stdout"), self.text("stderr"))


class Server:
    """Starts processes that have imported everything."""

    def __init__(self, place: Path) -> None:
        start = time.monotonic()
        self.place, self.started = place, 0
        write_data(place / "squares.npz")
        store = {"CONDENSE_STORE": str(place / "store"), "PYTHONPATH": PYTHONPATH}
        given = [*run_arguments(str(place / "out")), "--data", f"npz:{place / 'squares.npz'}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *given],
            cwd=place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **store, "OMP_NUM_THREADS": "1"},
            text=True,
        )
        assert self._process.stdout.readline() == "ready\n"
        self.import_seconds = time.monotonic() - start

    def start(self, *args: object, cwd: Path, store: Path, code: str = CLI, **env: str) -> Process:
        """``condense ARGS``, or ``code`` with them as ``sys.argv``."""
        self.started += 1
        place = self.place / str(self.started)
        place.mkdir(parents=True)
        job = {
            "place": str(place),
            "cwd": str(cwd),
            "env": {"CONDENSE_STORE": str(store), **env},
            "args": [str(a) for a in args],
            "code": code,
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Process(place)

    def close(self) -> None:
        """End; nothing it started is waited for."""
        self._process.communicate()


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of an artefact's files; the log, which holds the time, left out."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != "run.log.json"
    }


def names(folder: Path) -> set[str]:
    """Everything below ``folder``, by name."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


def same(found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> None:
    """That two artefacts agree to the byte.

    Raises:
        AssertionError: naming the files that do not.
    """
    if found == wanted:
        return
    other = {n for n in found.keys() | wanted.keys() if found.get(n) != wanted.get(n)}
    raise AssertionError(f"other bytes in {sorted(other)}")


POSIX = pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals of POSIX")
