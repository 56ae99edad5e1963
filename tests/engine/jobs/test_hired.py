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
