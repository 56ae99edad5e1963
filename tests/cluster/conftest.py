"""Commands in a network of their own: Ray takes the machine's address whatever is asked."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TINY = {
    "evaluator.repeats": 2,
    "evaluator.steps": 40,
    "matcher.iterations": 8,
    "matcher.experts": 2,
    "scorer.networks": 2,
    "scorer.epochs": 3,
}
OPTIONS = [part for key, value in TINY.items() for part in ("-o", f"{key}={value}")]


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
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }


@pytest.fixture(scope="session")
def condense(place, environment):
    """Runs ``condense`` in a folder by name, with a store of its own there; gives what it wrote."""

    def run(name, *args, tiny=True, timeout=200):
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
    """Runs ``ray_script.py`` in a network of its own; gives the folder by name."""
    pytest.importorskip("ray", reason="ray comes with an extra of its own")
    start = apart()

    def run(name, mode, *args, timeout=300):
        folder = place / name
        folder.mkdir(exist_ok=True)
        command = [sys.executable, str(HERE / "ray_script.py"), mode, *map(str, args), *OPTIONS]
        done = subprocess.run(
            [*start, *command],
            cwd=folder,
            env=environment | {"CONDENSE_STORE": str(folder / "store")},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return folder, json.loads(done.stdout.splitlines()[-1])

    return run
