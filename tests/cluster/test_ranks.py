"""A matching shared among the ranks of torchrun: the same bytes, and none goes on alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster_runs import MATCH, MATCHING, match_options, same

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1000)]


def started(folder, ranks, *more):
    """``condense run`` in a store of its own, by ``ranks`` of torchrun."""
    folder.mkdir(exist_ok=True)
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    names = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    names["CONDENSE_STORE"] = str(folder / "store")
    surroundings = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | names
    return subprocess.Popen(
        [sys.executable, *start, "-m", "condense", *MATCH, *more],
        cwd=folder,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(folder, ranks, *more):
    running = started(folder, ranks, *more)
    out, err = running.communicate(timeout=600)
    return running.returncode, out, err


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_any_number_of_ranks_gives_the_bytes_of_one_process(tmp_path, plain_matching, ranks):
    code, out, err = done(tmp_path / "shared", ranks, *match_options())
    assert code == 0, err
    same(tmp_path / "shared" / "out", plain_matching / "out")
    assert out.count("load it with") == 1  # one rank alone has something to say
    assert "rank" not in err


def test_a_rank_without_a_trajectory_is_refused(tmp_path):
    code, _, err = done(tmp_path / "few", 2, *match_options(matcher__trajectories=1))
    assert code != 0
    assert "error: -o matcher.trajectories=1 leaves nothing to do for 1 of 2 ranks" in err
    assert not (tmp_path / "few" / "store").exists()


def ranks_of(process):
    """The processes that torchrun has started, by rank."""
    found = {}
    for place in Path("/proc").iterdir():
        try:
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
            names = (place / "environ").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if parent == str(process.pid):
            found |= {int(n[5:]): int(place.name) for n in names if n.startswith(b"RANK=")}
    return found


def matching(folder):
    """Wait until a matching in ``folder`` is under way: its experts are stored, it is not."""
    end, store = time.monotonic() + 600, folder / "store"
    while len(list(store.glob("experts/*/entry.json"))) < MATCHING["matcher.experts"] or not list(
        store.glob("matching/*.lock")
    ):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_dies_ends_the_others(tmp_path, rank):
    folder = tmp_path / "killed"
    running = started(folder, 2, *match_options(matcher__iterations=10**6))
    try:
        matching(folder)
        alive = ranks_of(running)
        os.kill(alive[rank], signal.SIGKILL)
        start = time.monotonic()
        _, err = running.communicate(timeout=600)
        assert time.monotonic() - start < 30
    finally:
        running.kill()
    assert running.returncode != 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in alive.values())
    assert "this is a bug" not in err
