"""``condense plugins new``: a package of every kind that passes as it is, or nothing at all."""

import ast
import concurrent.futures
import importlib
import json
import multiprocessing
import os
import shlex
import sys
import time
import types

import click.testing
import processes
import pytest

from condense.cli.main import main
from condense.jobs import Job, echo
from condense.plugin.host import build_host
from condense.plugin.scaffold import WRITTEN, Names, package_files, write_package

MAX_LINES = 20
MODULE = "import runpy, sys; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"


@pytest.fixture(scope="module")
def packages(real_host, tmp_path_factory):
    """One generated package of each kind."""
    into = tmp_path_factory.mktemp("packages") / "new"
    return [write_package(real_host, kind, f"my-{kind}", into) for kind in WRITTEN]


def outside(*arguments, cwd, **changes):
    paths = [os.getcwd(), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    return processes.run(MODULE, *arguments, cwd=cwd, env={**environment, **changes}, timeout=300)


@pytest.mark.slow
def test_packages_of_all_kinds_pass_untouched(packages):
    """As one session, which is much quicker; the next test runs one by itself."""
    sources = os.pathsep.join(str(p / "src") for p in packages)
    environment = {"PYTHONPATH": os.pathsep.join([sources, os.getcwd(), *sys.path])}
    done = outside(
        *("pytest", "-q", "-W", "error", "--import-mode=importlib", "-p", "no:cacheprovider"),
        *("-c", packages[0] / "pyproject.toml", "--rootdir", packages[0].parent),
        *(p / "tests" for p in packages),
        cwd=packages[0].parent,
        **environment,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


@pytest.mark.slow
def test_pytest_inside_a_package_passes(packages):
    place = next(p for p in packages if p.name == "condense-my-selector")
    done = outside("pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_mypy_strict_passes_on_all_packages(packages):
    pytest.importorskip("mypy")
    sources = [p / "src" for p in packages]
    tests = [p / "tests" for p in packages]
    done = outside(
        *("mypy", "--config-file", packages[0] / "pyproject.toml", *sources, *tests),
        cwd=packages[0].parent,
        MYPYPATH=os.pathsep.join(map(str, sources)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{2 * len(packages)} source files" in done.stdout


def component_lines(text):
    """Lines of the component: all of the module that is not blank, docstrings and helpers
    included, besides the module's docstring, the imports and the three lines of the hook."""
    tree = ast.parse(text)
    skipped = set()
    for node in tree.body:
        hook = isinstance(node, ast.FunctionDef) and node.name.startswith("condense_register_")
        if hook or isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr)):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(d.lineno for d in decorators)])
            assert not hook or node.end_lineno - first == 2
            skipped.update(range(first, node.end_lineno + 1))
    return [n for n, line in enumerate(text.splitlines(), 1) if line.strip() and n not in skipped]


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_component_is_short_and_has_options_help_and_hook(kind):
    names = Names(kind, "my-own")
    files = package_files(names)
    text = files["src/condense_my_own/__init__.py"]
    lines = component_lines(text)
    most = MAX_LINES * (2 if kind in ("executor", "tracker") else 1)  # of several methods
    assert 5 < len(lines) <= most, lines
    if kind != "method":
        assert "class Options(" in text
        assert "description=" in text
    assert all(len(line) <= 100 for line in text.splitlines())
    assert 'my-own = "condense_my_own"' in files["pyproject.toml"]


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_command_that_is_told_runs(kind, tiny, tmp_path, monkeypatch):
    """On the data it says, with nothing but smaller numbers."""
    monkeypatch.chdir(tmp_path)
    names = Names(kind, "my-own")
    module = types.ModuleType(names.module)
    text = package_files(names)[f"src/{names.module}/__init__.py"]
    exec(compile(text, names.module, "exec"), module.__dict__)
    host = build_host(external=False, extra=[module])
    # a matcher or evaluator of one's own has none of the built-in one's options
    own = kind if kind in ("matcher", "evaluator") else None
    kept = {k: v for k, v in tiny.items() if k.partition(".")[0] != own}
    options = [part for k, v in kept.items() for part in ("-o", f"{k}={json.dumps(v)}")]
    more = ("--ipc", "2", "--no-baselines", "--device", "cpu", "--json", *options)
    _, *command = names.use.split()
    done = click.testing.CliRunner().invoke(main, [*command, *more], obj=host)
    if kind == "executor":  # its processes have what is installed, and this is not
        assert "other programs than on the driver (plugin condense_my_own missing" in done.stderr
        return
    assert done.exit_code == 0, done.stderr
    file = "run.log.json" if kind == "tracker" else "recipe.toml"  # no recipe names it
    assert "my-own" in (tmp_path / json.loads(done.stdout)["artefact"] / file).read_text()


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("name", ["update", "test", "class", "int", "x2", "process-pool", "broken"])
def test_an_odd_name_clashes_with_nothing(kind, name):
    names = Names(kind, name)
    files = package_files(names)
    taken = set()
    for node in ast.walk(ast.parse(files[f"src/{names.module}/__init__.py"])):
        if isinstance(node, ast.Import | ast.ImportFrom):
            taken |= {a.asname or a.name for a in node.names}
    assert names.thing not in taken
    # pytest would take an imported TestScorer for tests
    assert f"import {names.thing}" not in files[f"tests/test_{names.module}.py"]


JOBS = """
import os, pathlib, time

def die(argument, blobs):
    os._exit(3)

def stay(folder, blobs):
    pathlib.Path(folder, f"begun-{os.getpid()}").touch()
    for _ in range(100):  # as long as the test may take
        time.sleep(0.1)
    pathlib.Path(folder, "ended").touch()
    return b""
"""


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """An executor as it is written, of one process, and jobs that die or stay in it."""
    (tmp_path / "jobs_for_a_pool.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    jobs = importlib.import_module("jobs_for_a_pool")
    names = Names("executor", "my-own")
    module = types.ModuleType(names.module)
    exec(package_files(names)[f"src/{names.module}/__init__.py"], module.__dict__)
    cls = vars(module)[names.thing]
    executor = cls(cls.Options(processes=1))
    before = set(multiprocessing.active_children())
    yield executor, jobs, lambda: set(multiprocessing.active_children()) - before
    executor.close()
    del sys.modules["jobs_for_a_pool"]


def test_a_pool_whose_process_died_is_replaced_once(pool, tmp_path):
    executor, jobs, children = pool
    for number in range(2):
        executor.submit(Job(f"dies {number}", jobs.die, ""))
    first = children()
    for number in range(2):
        assert executor.next_done().result is None
        executor.submit(Job(f"stays {number}", jobs.stay, str(tmp_path)))
    for process in first:
        process.join()
    assert len(children() - first) == 1  # as many as there are to be, and no more


def test_a_job_is_taken_though_a_process_has_died_meanwhile(pool):
    executor, jobs, _ = pool
    executor.submit(Job("dies", jobs.die, ""))
    concurrent.futures.wait(executor._running)
    executor.submit(Job("good", echo, "a"))
    done = {done.job.name: done for done in (executor.next_done(), executor.next_done())}
    assert done["dies"].result is None
    assert done["good"].result == echo("a", {})


def test_closing_a_pool_stops_what_runs(pool, tmp_path):
    executor, jobs, children = pool
    executor.submit(Job("stays", jobs.stay, str(tmp_path)))
    while not list(tmp_path.glob("begun-*")):
        time.sleep(0.01)
    executor.close()
    assert not children()
    assert not (tmp_path / "ended").exists()


def test_what_counts_as_a_line_of_a_component():
    text = '''"""Module,
of two lines."""

import a
from b import (
    c,
)


class D:
    """Counts."""

    e = 1  # counts

    # counts
    def f(self):
        return g(
            1,
        )


def g(x):
    return x


@hookimpl
def condense_register_scorers(register):
    register(D)
'''
    assert component_lines(text) == [10, 11, 13, 15, 16, 17, 18, 19, 22, 23]


def call(*arguments, host=None):
    return click.testing.CliRunner().invoke(
        main, ["plugins", "new", *map(str, arguments)], obj=host
    )


@pytest.mark.parametrize(
    ("kind", "name", "code", "told"),
    [
        ("scorer", "MyScorer", 2, "name 'MyScorer' must be kebab-case"),
        ("scorer", "my_scorer", 2, "must be kebab-case"),
        ("scorer", "3d", 2, "start with a letter"),
        ("scorer", "-x", 2, "no such option"),
        ("scorer", "../up", 2, "must be kebab-case"),
        ("scorer", "el2n", 2, "scorer 'el2n' is taken by condense-data"),
        ("method", "auto", 2, "method 'auto' needs another name"),
        ("method", "whole", 2, "method 'whole' needs another name"),
        ("scorer", "plugins", 2, "a package condense_plugins is installed"),
        ("scorrer", "mine", 2, "did you mean 'scorer'"),
        ("preset", "mine", 2, "unknown kind 'preset'"),
    ],
)
def test_a_bad_name_or_kind_writes_nothing(tmp_path, real_host, kind, name, code, told):
    result = call(kind, name, "--into", tmp_path / "new", host=real_host)
    assert result.exit_code == code
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path, real_host):
    mine = tmp_path / "condense-mine" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    result = call("scorer", "mine", "--into", tmp_path, host=real_host)
    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert result.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.rglob("*")] == ["condense-mine", "notes.txt"]


def test_a_place_that_cannot_be_written(tmp_path, real_host):
    (tmp_path / "file").write_text("")
    result = call("scorer", "mine", "--into", tmp_path / "file", host=real_host)
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_it_says_what_to_do_next_or_json(tmp_path, real_host):
    result = call("scorer", "mine", "--into", tmp_path, host=real_host)
    assert result.exit_code == 0
    assert "condense run -o scorer=mine" in result.stdout
    spaced = tmp_path / "my plugins"
    result = call("scorer", "mine", "--into", spaced, host=real_host)
    (line,) = [x for x in result.stdout.splitlines() if x.strip().startswith("cd ")]
    assert shlex.split(line) == ["cd", str(spaced / "condense-mine")]
    result = call("method", "own-way", "--into", tmp_path, "--json", host=real_host)
    document = json.loads(result.stdout)
    assert document["package"] == "condense-own-way"
    assert "src/condense_own_way/__init__.py" in document["files"]
