"""A run that is killed or told to end goes on to the same bytes, and nothing of it stays behind."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from stress_runs import POSIX, PYTHONPATH, contents, names, run_arguments, same, write_data

pytestmark = [pytest.mark.stress, pytest.mark.timeout(0), POSIX]

# A run that writes down when each stage begins, and keeps a checkpoint every few iterations.
TOLD = """
import os, sys, time
from contextlib import contextmanager
import condense.engine.matching.loop as loop
import condense.engine.run as run
import condense.engine.stages.matching as matching
from condense.cli.main import main
from condense.engine.stages.stage import Bound

loop.CHECKPOINT_SECONDS = 0.02
marks = os.open(os.environ["MARKS"], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
def tell(stage):
    os.write(marks, f"{stage} {time.monotonic()}\\n".encode())
def telling(stage, function):
    def told(*args, **kwargs):
        tell(stage)
        try:
            return function(*args, **kwargs)
        finally:
            tell("after-" + stage)
    return told
timed = Bound.timed
@contextmanager
def told(self, stage):
    tell(stage)
    with timed(self, stage):
        yield
Bound.timed = told
matching.match = telling("matching", matching.match)
run.save_artefact = telling("artefact", run.save_artefact)
tell("start")
main(obj=HOST)
"""
STAGES = ("scorer", "selector", "prepare", "matching", "evaluator", "random", "artefact")
COMMAND = run_arguments(**{"matcher.iterations": 30, "matcher.snapshots": "[20]"})


@dataclass
class Whole:
    """An uninterrupted run: its bytes, what lies where after it, when its stages begin and end."""

    bytes: dict[str, bytes]
    names: set[str]
    seconds: dict[str, float]
    options: list[str] = field(default_factory=lambda: COMMAND)


def marks(place: Path) -> list[tuple[str, float]]:
    """Stages begun so far, and when."""
    path = place / "marks"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line.split()[0], float(line.split()[1])) for line in lines if len(line.split()) == 2]


def start(server, place):
    """The run, telling its stages."""
    told = {"MARKS": str(place / "marks")}
    (place / "marks").unlink(missing_ok=True)
    return server.start(*COMMAND, cwd=place / "work", store=place / "store", code=TOLD, **told)


def lying(place: Path) -> set[str]:
    """What lies in store and working folder."""
    return {f"{sub}/{name}" for sub in ("store", "work") for name in names(place / sub)}


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    place = tmp_path_factory.mktemp("whole")
    write_data(place / "work" / "squares.npz")
    start(server, place).wait().succeeds()
    told = marks(place)
    ends = [when for _, when in told[1:]] + [told[-1][1]]
    seconds = {name: end - at for (name, at), end in zip(told, ends, strict=True)}
    assert set(STAGES) <= set(seconds), seconds
    return Whole(contents(place / "work" / "out"), lying(place), seconds)


def interrupted(server, place, stage, rng, whole, number):
    """A run that got signal ``number`` at a random moment of ``stage``; None if it was over."""
    process = start(server, place)
    process.wait_for(lambda: stage in dict(marks(place)))
    time.sleep(rng.uniform(0, whole.seconds[stage]))
    if process.ended:
        return None
    process.signal(number)
    done = process.wait(60)
    return None if done.code == 0 else done


def killed_on_import(server, place, rng):
    """A process of its own, killed before it has begun."""
    own = {"CONDENSE_STORE": str(place / "store"), "PYTHONPATH": PYTHONPATH}
    process = subprocess.Popen(
        [sys.executable, "-m", "condense", *COMMAND],
        cwd=place / "work",
        env={**os.environ, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(rng.uniform(0.02, server.import_seconds))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def resumes(server, place, whole):
    """That the same command ends with the same bytes, and leaves what a whole run leaves."""
    server.start(*COMMAND, cwd=place / "work", store=place / "store").wait().succeeds()
    same(contents(place / "work" / "out"), whole.bytes)
    left, lost = lying(place) - whole.names, whole.names - lying(place)
    assert not left, f"left behind: {sorted(left)}"
    assert not lost, f"not there: {sorted(lost)}"


def test_kill_9_then_resume(row, server, whole, place):
    """One to three kills in a chain, each in a stage of its own, then the run is let be."""
    with row("kill -9 of the process group at a random moment, then resume", 100) as kills:
        for number, rng in kills.cases():
            at = place(number)
            # every tenth on import, the others one stage after the other
            first = "import" if number % 10 == 9 else STAGES[number % len(STAGES)]
            chain = [first, *rng.choices(STAGES, k=rng.randint(0, 2))]
            with kills.case(number, f"killed in {chain}"):
                for stage in chain:
                    if stage == "import":
                        killed_on_import(server, at, rng)
                    elif interrupted(server, at, stage, rng, whole, signal.SIGKILL) is None:
                        break  # it was over, so that there is nothing left to kill
                    kills.count_as(f"in {stage}")
                resumes(server, at, whole)
                kills.count_as("same bytes, nothing left")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_told_to_end(row, server, whole, place, name, code):
    with row(f"{name}: exit code {code}, one line, then resume", 12) as told:
        for number, rng in told.cases():
            at, stage = place(number), STAGES[number % len(STAGES)]
            with told.case(number, f"{name} in {stage}"):
                done = interrupted(server, at, stage, rng, whole, getattr(signal, name))
                if done is not None:
                    assert done.code == code, done.told
                    assert done.err.count("\n") == 1, done.told
                    assert "the same command continues" in done.err
                    told.count_as(f"in {stage}")
                resumes(server, at, whole)
                told.count_as("same bytes, nothing left")
