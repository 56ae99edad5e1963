"""A cluster of three raylets on this machine, commands of ``condense`` on it, and kills.

Every line on stdin is a round as JSON: ``place``, its folder, which has the store, ``command``,
``seed`` and ``mode``: ``calm``, or what is killed (``raylet``, ``worker``, ``driver``) when the
store has a random number of entries; ``wide``, with one more node of two CPUs; or ``refused``,
which is no command but a job that no node can hold. What came of it is a line of JSON on stdout.
The cluster ends with stdin.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 600  # seconds, for what takes a few on a machine with nothing else to do
MOST = 14  # entries after which it is killed, of nineteen


def start():
    from ray._private import services
    from ray.cluster_utils import Cluster

    services.get_node = patient(services.get_node)  # Ray gives a raylet 30 s to start
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 10**8}
    )
    nodes = [added(cluster) for _ in range(2)]
    cluster.wait_for_nodes(timeout=PATIENCE)
    return cluster, nodes


def patient(get_node):
    """``get_node``, which waits for one that is not there yet."""

    def wait(*given):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return get_node(*given)
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    return wait


def added(cluster, cpus=1):
    """One more raylet, which joins in its own time."""
    return cluster.add_node(wait=False, num_cpus=cpus, object_store_memory=10**8)


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

    def __init__(self, cluster, nodes, place, command, mode, seed):
        self.cluster, self.nodes, self.mode, self.command = cluster, nodes, mode, command
        self.seed, self.place = random.Random(seed), Path(place)
        self.kills, self.kept = 0, {}

    def run(self):
        running = self.driver()
        enough = self.seed.randint(1, MOST)  # by the work, not by the clock
        while running.poll() is None:
            time.sleep(0.02)
            if self.mode in ("calm", "wide") or self.kills or len(stored(self.place)) < enough:
                continue
            running = self.kill(running)
        out = running.stdout.read()
        assert running.returncode == 0, out
        after = stored(self.place)
        again = [path for path, what in self.kept.items() if after.get(path) != what]
        return {"mode": self.mode, "kills": self.kills, "again": again}

    def driver(self):
        given = ("--executor", f"ray:{self.cluster.address}")
        return subprocess.Popen(
            [sys.executable, "-m", "condense", *self.command, *given],
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


def refused(cluster):
    """What is said of a job of more threads than any node has."""
    from condense.errors import CondenseError
    from condense.jobs import Job, Resources, echo
    from condense_plugins.executors import on_ray

    on_ray.LOOK, on_ray.PATIENCE = 0.2, 0.0
    ray = on_ray.RayExecutor(on_ray.RayExecutor.Options(address=cluster.address))
    ray.submit(Job("large", echo, "", Resources(threads=64, memory=2**20)))
    try:
        ray.next_done()
    except CondenseError as error:
        return {"said": str(error)}
    finally:
        ray.close()


def main():
    cluster, nodes = start()
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            cluster.wait_for_nodes(timeout=PATIENCE)
            if asked["mode"] == "refused":
                found = refused(cluster)
            else:
                wide = added(cluster, 2) if asked["mode"] == "wide" else None
                found = Round(cluster, nodes, **asked).run()
                if wide is not None:
                    cluster.remove_node(wide)
            print(json.dumps(found), flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
