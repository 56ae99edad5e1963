"""A cluster of three raylets on this machine, one command of ``condense`` on it, and kills.

``ray_script.py MODES COMMAND…``: for each of MODES, with commas, the command is run once, in a
folder and with a store of its own. A mode is ``calm``, or what is killed: ``raylet``, ``worker``,
``driver``, when the store has a random number of entries. The last line on stdout is JSON.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

MODES, *COMMAND = sys.argv[1:]
PATIENCE = 600  # seconds, for what takes a few on a machine with nothing else to do
MOST = 14  # entries after which it is killed, of nineteen


def start():
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 10**8}
    )
    nodes = [added(cluster) for _ in range(2)]
    cluster.wait_for_nodes(timeout=PATIENCE)
    return cluster, nodes


def added(cluster):
    """One more raylet, which joins in its own time: Ray would give it 30 s."""
    return cluster.add_node(wait=False, num_cpus=1, object_store_memory=10**8)


def stored(place):
    """Entries of the store, and what says that they are the same files."""
    found = {}
    for path in (place / "store").glob("*/*/entry.json"):
        if not path.parent.name.startswith("."):  # else a draft, which will be renamed
            status = path.stat()
            found[str(path)] = (status.st_ino, status.st_mtime_ns)
    return found


def workers(place, driver):
    """Processes that work an entry out now: each says so in a file beside it."""
    found = []
    for path in (place / "store").rglob("*.claim"):
        try:
            found.append(json.loads(path.read_text())["pid"])
        except (OSError, ValueError):  # it is done
            continue
    return [pid for pid in found if pid != driver]


class Round:
    """The command once, and what is killed meanwhile."""

    def __init__(self, cluster, nodes, number, mode):
        self.cluster, self.nodes, self.mode = cluster, nodes, mode
        self.seed = random.Random(f"{os.environ.get('KILL_SEED', '0')}-{number}")
        self.place = Path(f"{number}-{mode}").absolute()
        self.place.mkdir()
        self.kills, self.kept = 0, {}

    def run(self):
        running = self.driver()
        enough = self.seed.randint(1, MOST)  # by the work, not by the clock
        while running.poll() is None:
            time.sleep(0.02)
            if self.mode == "calm" or self.kills or len(stored(self.place)) < enough:
                continue
            running = self.kill(running)
        out = running.stdout.read()
        assert running.returncode == 0, out
        after = stored(self.place)
        again = [path for path, what in self.kept.items() if after.get(path) != what]
        return {"mode": self.mode, "place": str(self.place), "kills": self.kills, "again": again}

    def driver(self):
        given = ("--executor", f"ray:{self.cluster.address}")
        return subprocess.Popen(
            [sys.executable, "-m", "condense", *COMMAND, *given],
            cwd=self.place,
            env={**os.environ, "CONDENSE_STORE": str(self.place / "store")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kill(self, running):
        alive = workers(self.place, running.pid)
        if self.mode == "worker" and not alive:
            return running
        self.kept = stored(self.place)
        if self.mode == "raylet":
            node = self.nodes.pop(self.seed.randrange(len(self.nodes)))
            self.cluster.remove_node(node, allow_graceful=False)
            self.nodes.append(added(self.cluster))
        elif self.mode == "worker":
            try:
                os.kill(self.seed.choice(alive), signal.SIGKILL)
            except ProcessLookupError:
                return running
        else:
            running.kill()
            running.wait()
            running = self.driver()
        self.kills += 1
        return running


def main():
    cluster, nodes = start()
    try:
        rounds = [Round(cluster, nodes, *one).run() for one in enumerate(MODES.split(","))]
    finally:
        cluster.shutdown()
    print(json.dumps(rounds))


if __name__ == "__main__":
    main()
