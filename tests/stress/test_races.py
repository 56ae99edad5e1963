"""Processes beside each other: on one store, in one folder, with a neighbour that tidies up."""

import shutil
import time

import pytest
from stress_runs import POSIX, contents, names, run_arguments, same

from condense.engine.artefact.dataset import CondensedDataset

pytestmark = [pytest.mark.stress, pytest.mark.timeout(0), POSIX]

CLEANER = """
import sys, time
from pathlib import Path
from condense.engine.runtime.store import Store
store, stop, pause = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
while not stop.exists():
    Store(store).clean()
    time.sleep(pause)
"""
SAVER = """
import sys
from dataclasses import replace
from pathlib import Path
from condense.engine.artefact.dataset import CondensedDataset
source, target, times, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
own = replace(CondensedDataset.load(source), seed=int(seed), results=None)
for n in range(times):
    own.save(target)
    print(n, flush=True)
"""
READER = """
import sys
from pathlib import Path
from condense.engine.artefact.dataset import CondensedDataset
target, stop, reads = Path(sys.argv[1]), Path(sys.argv[2]), 0
while not stop.exists():
    CondensedDataset.load(target)
    reads += 1
print(reads)
"""


def test_a_neighbour_that_cleans(row, server, whole, place):
    """Runs, one after the other, beside a loop of `cache clean` on their store."""
    with row("runs beside a neighbour that loops cache clean", 20) as runs:
        for number, rng in runs.cases():
            at = place(number)
            pause = rng.choice([0, 0.01, 0.3])
            stop = at / "stop"
            cleaner = server.start(
                *(at / "store", stop, pause), cwd=at, store=at / "store", code=CLEANER
            )
            with runs.case(number, f"cleaned every {pause} s"):
                run = server.start(*run_arguments(), cwd=at / "work", store=at / "store")
                done = run.wait()
                stop.touch()
                assert cleaner.wait().code == 0, cleaner.text("stderr")
                done.succeeds()
                same(contents(at / "work" / "out"), contents(whole / "work" / "out"))
                runs.count_as("same bytes")
            stop.touch()


def test_saves_to_one_folder(row, server, whole, tmp_path):
    """Three processes replace one artefact, a fourth reads it all the while."""
    with row("saves of three processes to one folder, beside a reader", 200) as saves:
        source, target, stop = whole / "work" / "out", tmp_path / "out", tmp_path / "stop"
        shutil.copytree(source, target)
        shares = [len(range(k, saves.count, 3)) for k in range(3)]
        where = {"cwd": tmp_path, "store": tmp_path / "store"}
        reader = server.start(target, stop, **where, code=READER)
        savers = [
            server.start(source, target, times, k + 1, **where, code=SAVER)
            for k, times in enumerate(shares)
        ]
        for k, saver in enumerate(savers):
            done = saver.wait(600)
            for n in range(shares[k]):
                with saves.case(n, f"of process {k}"):
                    assert n < len(done.out.split()), done.told
                    saves.count_as("saved")
        time.sleep(0.1)
        stop.touch()
        read = reader.wait(60)
        with saves.case("reader"):
            assert read.code == 0, read.told
            saves.outcomes["reads, each of a whole artefact"] = int(read.out)
            CondensedDataset.load(target)
            assert {p.name for p in tmp_path.iterdir() if p.name != "stop"} == {"out"}
            assert names(target) == names(source) - {"results.json", "run.log.json"}


def test_one_command_three_times(row, server, whole, place):
    with row("three processes with the same command on one store, rounds", 10) as rounds:
        for number, rng in rounds.cases():
            at, outs = place(number), ("a", "b", "a" if number % 2 else "c")
            with rounds.case(number, f"out = {outs}"):
                runs = []
                for out in outs:
                    runs.append(
                        server.start(*run_arguments(out), cwd=at / "work", store=at / "store")
                    )
                    time.sleep(rng.choice([0, 0, 0.1]))
                for run in runs:
                    run.wait().succeeds()
                wanted = contents(whole / "work" / "out")
                for out in set(outs):
                    same(contents(at / "work" / out), wanted)
                assert {p.name for p in (at / "work").iterdir()} == {"squares.npz", *outs}
                assert names(at / "store") == names(whole / "store")
                rounds.count_as("same bytes, nothing left")
