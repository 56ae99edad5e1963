"""A cluster of three raylets on this machine, one command of ``condense`` on it, and kills.

``ray_script.py MODE COMMAND…``: MODE is ``calm``, or what is killed at random moments: ``raylet``,
``worker``, ``driver``. The last line on stdout is JSON.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

MODE, *COMMAND = sys.argv[1:]


def start():
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 10**8}
    )
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=10**8) for _ in range(2)]
    cluster.wait_for_nodes()
    return cluster, nodes


def driver(cluster):
    return subprocess.Popen(
        [sys.executable, "-m", "condense", *COMMAND, "--executor", f"ray:{cluster.address}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stored():
    """How many entries the store has."""
    return sum(1 for _ in Path(os.environ["CONDENSE_STORE"]).rglob("entry.json"))


def workers():
    """Processes of Ray that run a task now; it calls them after their task."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout
    lines = [line.split(None, 1) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, text in lines if text.startswith("ray::") and "IDLE" not in text]


def main():
    cluster, nodes = start()
    seed = random.Random(int(os.environ.get("KILL_SEED", "0")))
    kills = 0
    running = driver(cluster)
    try:
        enough = seed.randint(1, 6)  # entries of the store: by the work, not by the clock
        while running.poll() is None:
            time.sleep(0.05)
            if MODE == "calm" or kills or stored() < enough:
                continue
            if MODE == "raylet":
                cluster.remove_node(nodes.pop(seed.randrange(2)), allow_graceful=False)
                nodes.append(cluster.add_node(num_cpus=1, object_store_memory=10**8))
            elif MODE == "worker":
                alive = workers()
                if not alive:
                    continue
                os.kill(seed.choice(alive), signal.SIGKILL)
            else:
                running.kill()
                running.wait()
                running = driver(cluster)
            kills += 1
        out = running.stdout.read()
        assert running.returncode == 0, out
    finally:
        cluster.shutdown()
    print(json.dumps({"kills": kills}))


if __name__ == "__main__":
    main()
