"""``--executor`` on the command line: mistakes, and what runs without one of its packages."""

import json
import sys
import types

import pytest
import torch

import condense
from condense.engine.jobs.executor import executor_of, remarks
from condense.errors import CondenseError, OptionError
from condense.resolve import Request


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--executor", "rayy"], "unknown executor 'rayy'; did you mean 'ray'?"),
        (
            ["-o", "executor.partition=gpu"],
            "unknown option executor.partition (options of executor: threads, gpus, memory, ranks, "
            "at_once, retries); the executor is 'local', another is --executor NAME",
        ),
        (["--executor", "submitit:nope"], "executor.cluster=nope: must be 'slurm', 'local'"),
        (["--executor", "local:x"], "executor 'local' takes no argument"),
        (["--executor", "ray", "-o", "executor.threads=0"], "executor.threads=0"),
        (["--executor", "ray", "-o", "executor.treads=1"], "unknown option executor.treads"),
        (["--executor", "ray", "-o", "executor.a.b=1"], "expected -o executor.KEY=VALUE"),
    ],
)
def test_mistakes(call, given, said):
    result = call("run", "--ipc", "1", *given, code=2)
    assert said in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--executor", "rayy"),
        ("run", "--tracker", "nosuch"),
        ("run", "--method", "auto", "--executor", "rayy"),
        ("tune", "selmatch", "--executor", "rayy"),
        ("score", "--executor", "rayy"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(call, command):
    result = call(*command, "--dry-run", code=2)
    assert f"'{command[-1]}'" in result.stderr


def test_a_dry_run_says_how_long_so_many_jobs_at_once_take(call):
    asked = ("run", "--method", "window", "--ipc", "1", "--dry-run")
    result = call(*asked, "--executor", "submitit:local", "-o", "executor.at_once=3")
    assert "\n3 jobs at once: at most " in result.stdout


@pytest.mark.parametrize("named", [("--executor", "local"), ()])
def test_options_that_no_job_has_are_said_to_be_without_effect(call, named):
    asked = ("run", "--method", "random", "--ipc", "1", "-o", "evaluator.steps=2")
    result = call(*asked, *named, "-o", "executor.threads=3", "--no-baselines")
    told = "note: -o executor.threads=3 has no effect with --executor local, which makes no jobs"
    assert told in result.stderr


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        ("local", False),
        ("ray", False),
        ("ray:auto", True),
        ("submitit", True),
        ("submitit:local", False),
    ],
)
def test_that_jobs_elsewhere_have_no_gpu_because_this_machine_has_none_is_said(
    call, host, monkeypatch, executor, said
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    asked = ("run", "--method", "random", "--ipc", "1", "--no-baselines", "--dry-run")
    result = call(*asked, "--executor", executor)
    told = "note: this machine has no GPU, so jobs train on CPUs; start the command where there is"
    assert result.stderr.count(told) == said
    request = Request(executor=executor)
    assert remarks(host, request, torch.device("cuda")) == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # CPUs are a user's wish
    assert remarks(host, request, torch.device("cpu")) == []


@pytest.mark.parametrize("more", [("--dry-run",), ()])
def test_gpus_that_no_job_would_use_are_refused(call, host, tmp_path, more):
    given = ("--executor", "submitit:local", "-o", "executor.gpus=0.5", "--device", "cpu", *more)
    result = call("run", "--ipc", "1", "--out", tmp_path / "out", *given, code=2)
    assert result.stderr.splitlines()[-1] == (
        "error: -o executor.gpus=0.5 has no effect, as jobs train on cpu, the device of this "
        "command; start it where there is a GPU, or leave the option out"
    )
    assert not (tmp_path / "out").exists()
    asked = Request(executor="submitit:local", executor_options={"gpus": 0.5})
    assert remarks(host, asked, torch.device("cuda")) == []


def test_in_python_gpus_that_no_job_would_use_are_refused_too():
    with pytest.raises(OptionError, match=r"jobs train on cpu, the device of this command"):
        condense.condense("digits", executor="ray", options={"executor.gpus": 1}, device="cpu")


@pytest.mark.parametrize(
    "command",
    [("ablate", "--vary", "policy=full"), ("compare", "window"), ("shrink",), ("tune", "window")],
)
def test_a_dry_run_of_a_study_says_once_what_has_no_effect(call, command):
    given = ("--executor", "local", "-o", "executor.threads=3", "--dry-run")
    result = call(*command, *given)
    assert result.stderr.count("-o executor.threads=3 has no effect") == 1


def test_local_is_this_process(host):
    assert executor_of(host, Request(executor="local")) is None
    assert executor_of(host, Request()) is None


@pytest.mark.parametrize(("executor", "code"), [("local", 0), ("submitit:local", 2)])
def test_ranks_of_torchrun_have_no_other_executor(call, monkeypatch, executor, code):
    for name, value in (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 2)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "any")
    asked = ("run", "--method", "random", "--ipc", "1", "--no-baselines", "--dry-run")
    result = call(*asked, "--executor", executor, code=code)
    assert result.stderr.count("has nothing to do here") == bool(code)


@pytest.mark.parametrize(("name", "extra"), [("ray", "ray"), ("submitit", "slurm")])
def test_without_its_package_one_line_says_what_to_install(host, monkeypatch, name, extra):
    from condense.jobs import Job, echo

    monkeypatch.setitem(sys.modules, name, None)
    executor = executor_of(host, Request(executor=name))
    with pytest.raises(
        OptionError, match=rf"needs .*, which is not installed; .*pip install .*\[{extra}\]'"
    ):
        executor.submit(Job("x", echo, ""))
    executor.close()


class Ray(types.ModuleType):
    """One whose cluster has ``nodes`` from look to look, and a job ends once a node can hold it."""

    def __init__(self, *nodes):
        super().__init__("ray")
        self.looks, self.found = list(nodes), []

    def is_initialized(self):
        return True

    def remote(self, *call, **given):
        if not call:
            return self.remote
        return types.SimpleNamespace(options=lambda **given: types.SimpleNamespace(remote=self.put))

    def put(self, *given):
        return "ref"

    def wait(self, refs, num_returns, timeout):
        done = refs if any(node.get("CPU", 0) >= 4 for node in self.found) else []
        return done, []

    def nodes(self):
        self.found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        dead = {"Resources": {"CPU": 64.0}, "Alive": False}
        return [dead, *({"Resources": node, "Alive": True} for node in self.found)]

    def get(self, ref):
        return b"done"


SMALL, LARGE = {"CPU": 2.0, "memory": 2.0**31}, {"CPU": 4.0, "memory": 2.0**33}


def on_ray(host, monkeypatch, address, *nodes):
    """What comes of a job of 4 threads and 3 GiB."""
    from condense.jobs import Job, Resources, echo

    monkeypatch.setitem(sys.modules, "ray", Ray(*nodes))
    monkeypatch.setattr(Ray, "exceptions", types.SimpleNamespace(RayError=OSError), raising=False)
    monkeypatch.setattr(Ray.exceptions, "RayTaskError", OSError, raising=False)
    monkeypatch.setattr(Ray, "cancel", lambda self, ref, force: None, raising=False)
    executor = executor_of(host, Request(executor=f"ray{address}"))
    executor.submit(Job("matcher 0", echo, "", Resources(4, memory=3 * 2**30)))
    try:
        return executor.next_done().result
    finally:
        executor.close()


@pytest.mark.parametrize("address", ["", ":auto"])
def test_a_job_that_no_node_can_hold_ends_the_command(host, monkeypatch, address):
    with pytest.raises(CondenseError) as error:
        on_ray(host, monkeypatch, address, [{"GPU": 8.0, "CPU": 1.0}, SMALL, {}])
    assert str(error.value).startswith(
        "job matcher 0 needs 4 threads, 3 GiB, the largest node of the Ray cluster has "
        "2 threads, 2 GiB; lower `executor.threads`"
    )


def test_a_cluster_of_others_may_grow(host, monkeypatch):
    looks = [[], [SMALL], [SMALL, LARGE]]
    for address in ("", ":auto"):  # a connection that was there already, or one to a cluster
        assert on_ray(host, monkeypatch, address, *looks) == b"done"


def test_submitit_sends_nothing_along(host):
    pytest.importorskip("submitit", reason="submitit comes with an extra of its own")
    from condense.jobs import Job, echo

    executor = executor_of(host, Request(executor="submitit:debug"))
    with pytest.raises(OptionError, match="sends no data along"):
        executor.submit(Job("x", echo, "", blobs={"a": lambda: b""}))


def test_a_recipe_knows_no_executor(call, tmp_path):
    result = call("run", "--ipc", "1", "--executor", "local", "--dry-run", "--json")
    assert "executor" not in json.loads(result.stdout)["recipe"]


@pytest.mark.parametrize(
    ("cluster", "at_once", "sent"),
    [("slurm", None, [3, 4, 5]), ("slurm", 4, [3, 4, 4]), ("debug", 2, [2, 2, 2])],
)
def test_jobs_are_sent_to_slurm_while_others_run(host, monkeypatch, cluster, at_once, sent):
    """Three, then one more, then another; none of them ends."""
    pytest.importorskip("submitit", reason="submitit comes with an extra of its own")
    import contextlib

    from condense.jobs import Job, echo

    class Cluster:
        def batch(self):
            return contextlib.nullcontext()

        def submit(self, *given):
            return object()

    own = {} if at_once is None else {"at_once": at_once}
    asked = Request(executor=f"submitit:{cluster}", executor_options=own)
    executor = executor_of(host, asked)
    monkeypatch.setattr(executor, "_executor", lambda job: Cluster())
    found = []
    for number in range(5):
        executor.submit(Job(f"{number}", echo, ""))
        if number >= 2:
            executor._start()
            found.append(len(executor._running))
    assert found == sent


def test_submitit_gives_each_job_here_one_of_the_gpus_that_may_be_seen(host, monkeypatch, tmp_path):
    """Of four on the machine, two of which are ours; nothing is started."""
    pytest.importorskip("submitit", reason="submitit comes with an extra of its own")
    from condense.jobs import Job, Resources, echo

    started = []

    class Running:
        def __init__(self, number):
            self.job_id, self.number = number, number

        def done(self):
            return self.number == 0

        def result(self):
            return b""

        def cancel(self):
            pass

    class Cluster:
        def update_parameters(self, **given):
            self.gpus = given.get("visible_gpus", ())

        def submit(self, *given):
            started.append(self.gpus)
            return Running(len(started) - 1)

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    executor = executor_of(host, Request(executor="submitit:local"))
    monkeypatch.setattr(executor, "_executor", lambda job: Cluster())
    for number in range(6):
        executor.submit(Job(f"{number}", echo, "", Resources(1, 0.5)))
    assert executor.next_done().job.name == "0"
    assert started == [(1,), (3,), (1,), (3,)]  # two a GPU
    executor._start()
    assert started[4:] == [(1,)]  # where one has ended
    executor.close()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1a2b")
    executor.submit(Job("x", echo, "", Resources(1, 1.0)))
    with pytest.raises(OptionError, match="takes numbers in CUDA_VISIBLE_DEVICES, got 'GPU-1a2b'"):
        executor.next_done()
