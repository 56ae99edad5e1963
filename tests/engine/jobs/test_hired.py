"""``--executor`` on the command line: mistakes, and what runs without one of its packages."""

import json

import click.testing
import pytest

from condense.cli.main import main
from condense.engine.jobs.hired import hired
from condense.errors import OptionError
from condense.resolve import Request


@pytest.fixture
def invoke_real(host, tmp_path, monkeypatch):
    """Runs ``condense`` with the built-in components."""
    monkeypatch.chdir(tmp_path)
    return lambda *given: click.testing.CliRunner().invoke(main, [*given], obj=host)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--executor", "rayy"], "unknown executor 'rayy'; did you mean 'ray'?"),
        (["-o", "executor.threads=2"], "is of no executor; give one with --executor NAME"),
        (["--executor", "submitit:nope"], "executor.cluster=nope: must be 'slurm', 'local'"),
        (["--executor", "local:x"], "executor 'local' takes no argument"),
        (["--executor", "ray", "-o", "executor.threads=0"], "executor.threads=0"),
        (["--executor", "ray", "-o", "executor.treads=1"], "unknown option executor.treads"),
        (["--executor", "ray", "-o", "executor.a.b=1"], "expected -o executor.KEY=VALUE"),
    ],
)
def test_mistakes(invoke_real, given, said):
    result = invoke_real("run", "--ipc", "1", *given)
    assert result.exit_code == 2, result.output
    assert said in result.stderr.splitlines()[-1]


def test_local_is_this_process(host):
    assert hired(host, Request(executor="local")) is None
    assert hired(host, Request()) is None


@pytest.mark.parametrize(("name", "module"), [("ray", "ray"), ("submitit", "submitit")])
def test_without_its_package_one_line_says_what_to_install(host, monkeypatch, name, module):
    import sys

    from condense.jobs import Job, echo

    monkeypatch.setitem(sys.modules, module, None)
    executor = hired(host, Request(executor=name))
    with pytest.raises(OptionError, match=r"install it with `pip install 'condense-data\["):
        executor.submit(Job("x", echo, ""))
    executor.close()


def test_submitit_sends_nothing_along(host):
    pytest.importorskip("submitit", reason="submitit comes with an extra of its own")
    from condense.jobs import Job, echo

    executor = hired(host, Request(executor="submitit:debug"))
    with pytest.raises(OptionError, match="sends no data along"):
        executor.submit(Job("x", echo, "", blobs={"a": lambda: b""}))


def test_a_recipe_knows_no_executor(invoke_real, tmp_path):
    result = invoke_real("run", "--ipc", "1", "--executor", "local", "--dry-run", "--json")
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
    executor = hired(host, asked)
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
    executor = hired(host, Request(executor="submitit:local"))
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
