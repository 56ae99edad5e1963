"""Commands in a network of their own: Ray takes the machine's address whatever is asked."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_runs import MATCH, OPTIONS, left_over, match_options, nothing_left

HERE = Path(__file__).parent


def apart():
    """What starts a command with nothing but loopback; skips where that is not allowed."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    flag = "-n" if os.getuid() == 0 else "-rn"
    command = ["unshare", flag, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("needs a network namespace of its own")
    return command


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def environment(place):
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_TMPDIR": "/tmp",
        # one that is slow to answer is not dead; of one that is, the connection says so at once
        "RAY_health_check_timeout_ms": "60000",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }


@pytest.fixture(scope="session")
def condense(place, environment):
    """Runs ``condense`` in a folder by name, with a store of its own there; gives what it wrote."""

    def run(name, *args, tiny=True, timeout=900):
        folder = place / name
        folder.mkdir(exist_ok=True)
        options = OPTIONS if tiny else []
        command = [sys.executable, "-m", "condense", *map(str, args), *options]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment | {"CONDENSE_STORE": str(folder / "store")},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, done.stderr
        return folder

    return run


@pytest.fixture(scope="session")
def on_ray(place, environment):
    """Runs commands on one cluster for all, ``ray_script.py`` in a network of its own.

    Gives what that says of a round, which is run in the folder of its name.
    """
    pytest.importorskip("ray", reason="ray comes with an extra of its own")
    errors = place / "ray.txt"
    with errors.open("w") as told:
        running = subprocess.Popen(
            [*apart(), sys.executable, str(HERE / "ray_script.py")],
            cwd=place,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        )

    def run(name, mode, *args, tiny=True, seed=0):
        folder = place / name
        folder.mkdir(exist_ok=True)
        command = [*map(str, args), *(OPTIONS if tiny else [])]
        asked = {"place": str(folder), "command": command, "mode": mode, "seed": f"{seed}-{name}"}
        assert running.poll() is None, errors.read_text()
        print(json.dumps(asked), file=running.stdin, flush=True)
        for line in running.stdout:
            if line.startswith("{"):
                return folder, json.loads(line)
        raise AssertionError(errors.read_text())

    with running:  # closes its stdin, and waits
        yield run


@pytest.fixture(scope="session")
def plain_matching(condense):
    """A matching of four trajectories in one process."""
    return condense("plain-matching", *MATCH, *match_options(), tiny=False)


ABLATE = ("ablate", "--vary", "policy=full,partial", "--vary", "selector.beta=0.1,0.5")
ABLATE += ("--seeds", 1, "--ipc", "2", "--out", "out")


@pytest.fixture(scope="session")
def plain_ablation(condense):
    """An ablation of four cells without an executor."""
    return condense("plain-ablate", *ABLATE) / "out"


@pytest.fixture(scope="session")
def killed(on_ray, plain_ablation):
    """Runs the ablation once for each of ``modes``, each with a kill, and checks its end."""

    def check(name, modes, seed=0):
        for number, mode in enumerate(modes):
            place, one = on_ray(f"{name}-{number}-{mode}", mode, *ABLATE, seed=seed)
            assert one["kills"] == (one["mode"] != "calm"), one
            assert one["again"] == [], "stored, and computed again"
            for document in ("ablation.json", "ablation.csv"):
                wanted = (plain_ablation / document).read_bytes()
                assert (place / "out" / document).read_bytes() == wanted, (one, document)
            assert nothing_left(place / "store"), left_over(place / "store")

    return check


@pytest.fixture(scope="session", autouse=True)
def _short_feature_network():
    """Not here: runs of this process are held against those of others, which it does not reach."""
