"""A matching shared among the ranks of torchrun: the same bytes, and none goes on alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

TINY = {
    "matcher.trajectories": 4,
    "matcher.iterations": 12,  # more than a look at the loss, and a step size that is searched for
    "matcher.steps": 4,
    "matcher.experts": 2,
    "matcher.max_start_epoch": 2,
    "matcher.network.width": 8,
    "matcher.batch_size": 10,
    "evaluator.steps": 10,
    "evaluator.repeats": 1,
}
WRITTEN = ("condensed.safetensors", "manifest.json", "recipe.toml", "results.json", "trace.csv")
RUN = ("-m", "condense", "run", "--method", "mtt", "--ipc", "1", "--no-baselines", "--out", "out")


def options(**values):
    table = TINY | {key.replace("__", "."): value for key, value in values.items()}
    return [part for key, value in table.items() for part in ("-o", f"{key}={value}")]


def started(folder, ranks, *more):
    """``condense run`` in a store of its own, by ``ranks`` of torchrun; 0: by itself."""
    folder.mkdir(exist_ok=True)
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    names = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    names["CONDENSE_STORE"] = str(folder / "store")
    surroundings = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | names
    if not ranks:
        surroundings["OMP_NUM_THREADS"] = "1"
    return subprocess.Popen(
        [sys.executable, *(start if ranks else []), *RUN, *more],
        cwd=folder,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(folder, ranks, *more):
    running = started(folder, ranks, *more)
    out, err = running.communicate(timeout=100)
    return running.returncode, out, err


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks") / "plain"
    code, out, err = done(folder, 0, *options())
    assert code == 0, err
    return folder / "out", out


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_any_number_of_ranks_gives_the_bytes_of_one_process(tmp_path, plain, ranks):
    code, out, err = done(tmp_path / "shared", ranks, *options())
    assert code == 0, err
    written, wanted = tmp_path / "shared" / "out", plain[0]
    assert [n for n in WRITTEN if (written / n).read_bytes() != (wanted / n).read_bytes()] == []
    assert out.count("load it with") == 1  # one rank alone has something to say
    assert "rank" not in err


def test_a_rank_without_a_trajectory_is_refused(tmp_path):
    code, _, err = done(tmp_path / "few", 2, *options(matcher__trajectories=1))
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
    end, store = time.monotonic() + 60, folder / "store"
    while len(list(store.glob("experts/*/entry.json"))) < TINY["matcher.experts"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(3)
    assert list(store.glob("matching/*.lock"))


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_dies_ends_the_others(tmp_path, rank):
    folder = tmp_path / "killed"
    running = started(folder, 2, *options(matcher__iterations=10**6))
    try:
        matching(folder)
        alive = ranks_of(running)
        os.kill(alive[rank], signal.SIGKILL)
        start = time.monotonic()
        _, err = running.communicate(timeout=60)
        assert time.monotonic() - start < 30
    finally:
        running.kill()
    assert running.returncode != 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in alive.values())
    assert "this is a bug" not in err
