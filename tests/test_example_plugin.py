"""The example package: its scorer conforms, and it installs, runs and uninstalls like anyone's."""

import json
import os
import site
import subprocess
import sys
import venv
from pathlib import Path

import processes
import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "condense-margin"
TINY = (
    *("-o", "scorer.networks=1", "-o", "scorer.epochs=2", "-o", "scorer.network.width=8"),
    *("-o", "matcher.iterations=2", "-o", "matcher.experts=1", "-o", "matcher.steps=2"),
    *("-o", "matcher.max_start_epoch=2", "-o", "matcher.network.width=8"),
    *("-o", "evaluator.steps=5", "-o", "evaluator.repeats=1", "-o", "evaluator.network.width=8"),
)


def run(*command, cwd, environment=None, code=0):
    done = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_its_own_tests_pass():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = ("-q", "-W", "error", "-p", "no:cacheprovider")
    code = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    done = processes.run(code, *words, cwd=EXAMPLE, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_is_installed_run_and_uninstalled_in_a_fresh_environment(tmp_path):
    place = tmp_path / "venv"
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    home = Path(next((place / "lib").glob("python*"))) / "site-packages"
    # the bundled setuptools of Python 3.10 and 3.11 is older than what condense builds with
    run(python, "-m", "pip", "-q", "uninstall", "-y", "setuptools", cwd=tmp_path)
    # condense's dependencies come from this environment, condense itself from pip
    parents = [p for p in sys.path if p.endswith("site-packages")] or site.getsitepackages()
    (home / "parents.pth").write_text("\n".join(parents) + "\n")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"CONDENSE_STORE": str(tmp_path / "store"), "OMP_NUM_THREADS": "1"}
    environment.pop("CONDENSE_PLUGINS", None)

    def pip(*arguments):
        quiet = ("-m", "pip", "--disable-pip-version-check", "-q")
        return run(python, *quiet, *arguments, cwd=tmp_path, environment=environment)

    def condense(*arguments, code=0):
        command = (python, "-m", "condense.cli.main", *arguments)
        return run(*command, cwd=tmp_path, environment=environment, code=code)

    # pip would build in the source folder and leave build/ and *.egg-info there
    for source in ("condense", "plugins", "pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / source, tmp_path / "source" / source)
    copy(EXAMPLE, tmp_path / "example")
    bare = ("install", "--no-deps", "--no-build-isolation")
    pip(*bare, tmp_path / "source")
    pip(*bare, tmp_path / "example")
    shown = json.loads(condense("plugins", "show", "scorer", "margin", "--json").stdout)
    assert (shown["package"], shown["version"]) == ("condense-margin", "0.1.0")
    checked = json.loads(condense("plugins", "check", "margin", "--json").stdout)
    assert checked["passed"]
    tiny = ("--ipc", "2", "--no-baselines", "--device", "cpu", *TINY, "--json")
    result = json.loads(
        condense("run", "--method", "selmatch", "-o", "scorer=margin", *tiny).stdout
    )
    recipe = (tmp_path / result["artefact"] / "recipe.toml").read_text()
    assert '[scorer]\ncomponent = "margin"' in recipe
    assert 0 <= result["accuracy"]["mean"] <= 1
    # a package can be written from the installed templates
    condense("plugins", "new", "selector", "spread")
    assert (tmp_path / "condense-spread" / "pyproject.toml").is_file()
    pip("uninstall", "-y", "condense-margin")
    gone = condense("run", "-o", "scorer=margin", *tiny, code=2)
    assert "unknown scorer 'margin'" in gone.stderr


def copy(source, target):
    import shutil

    if source.is_dir():
        left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", ".*_cache")
        shutil.copytree(source, target, ignore=left_out)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    elif source.name == "README.md":  # named in pyproject.toml
        target.write_text("condense\n")
