import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from condense.cli.main import COMMANDS
from condense.engine.runtime.interrupt import Terminated
from condense.errors import DataError, OptionError

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "pydantic", "rich", "numpy", "pluggy", "condense_plugins", "condense.recipe")
PROBE = """
import sys
from condense.cli.main import main
try:
    main({args!r}.split())
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", [m for m in {heavy!r} if m in sys.modules])
"""


def condense(code: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "plugins")))},
        check=check,
    )


@pytest.mark.parametrize(
    "args",
    [
        "--help",
        "--version",
        "",
        *(f"{c} --help" for c in COMMANDS),
        "cache clean --help",
        "plugins show --help",
    ],
)
def test_help_imports_neither_torch_nor_a_plugin(args):
    out = condense(PROBE.format(args=args, heavy=HEAVY)).stdout
    assert "LOADED []" in out


@pytest.mark.parametrize("args", ["--help", "run --help", "--version"])
def test_help_answers_within_half_a_second(args):
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        condense(PROBE.format(args=args, heavy=HEAVY))
        durations.append(time.perf_counter() - start)
        if durations[-1] <= 0.5:
            return
    assert min(durations) <= 0.5


def test_lazy_table_agrees_with_the_modules(cli):
    files = {p.stem for p in (ROOT / "condense" / "cli").glob("*.py")}
    assert set(COMMANDS) <= files
    listing = cli("--help").stdout
    for name, (home, text) in COMMANDS.items():
        module, _, attribute = home.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        assert command.name == name
        assert command.help
        assert text in listing


def commands():
    for name, (home, _) in COMMANDS.items():
        module, _, attribute = home.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if isinstance(command, click.Group):
            yield from ((f"{name} {n}", c) for n, c in command.commands.items())
        else:
            yield name, command


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_has_json_and_help_as_has_every_flag(name, command):
    assert command.help
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert "--json" in [o for p in options for o in p.opts]
    assert all(p.hidden or (p.help and p.help.endswith((".", "]"))) for p in options)


def test_unknown_command_is_one_line_with_the_nearest(cli):
    result = cli("rnu")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: unknown command 'rnu'; did you mean 'run'?")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("args", [["--foo"], ["run", "--foo"], ["run", "--ipc", "x"], ["export"]])
def test_usage_errors_are_one_line(cli, args):
    result = cli(*args)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "--help`" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(("kind", "code"), [(DataError, 1), (OptionError, 2)])
def test_library_errors_are_one_line_with_their_exit_code(cli, engine, kind, code):
    engine.error = kind("class 3 has\n 4 images")
    result = cli("run", "--json")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.splitlines()[-1] == "error: class 3 has 4 images"
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback_too(cli, engine):
    engine.error = DataError("bad")
    result = cli("--debug", "run")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: bad\n")


def test_a_bug_shows_its_traceback_and_asks_for_a_report(cli, engine):
    engine.error = KeyError("oops")
    result = cli("run")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "please report it" in result.stderr


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OutOfMemoryError("CUDA"), RuntimeError("DefaultCPU: can't allocate memory: 9")],
)
def test_out_of_memory_names_the_options_to_lower(cli, engine, error):
    engine.error = error
    result = cli("run", "--json")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    for option in ("matcher.memory=constant", "matcher.batch_size", "evaluator.batch_size"):
        assert f"-o {option}" in result.stderr


def test_sigterm_is_one_line_and_143(cli, engine):
    engine.error = Terminated()
    result = cli("run")
    assert result.exit_code == 143
    assert result.stderr.endswith("terminated; the same command continues where it stopped\n")


def test_interrupt_is_one_line_and_130(cli, engine):
    engine.error = KeyboardInterrupt()
    result = cli("run", "--json")
    assert result.exit_code == 130
    assert result.stderr == "interrupted; the same command continues where it stopped\n"


def test_an_interrupt_while_torch_is_imported_is_one_line_too(tmp_path):
    (tmp_path / "torch.py").write_text("raise KeyboardInterrupt\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from condense.cli.main import main; main(['run'])"
    )
    process = condense(code, check=False)
    assert process.returncode == 130
    assert process.stderr == "interrupted; the same command continues where it stopped\n"


def test_closed_pipe_is_quiet():
    code = (
        "import os; r, w = os.pipe(); os.close(r); os.dup2(w, 1)\n"
        "from condense.cli.main import main; main(['run', '--help'])"
    )
    process = condense(code, check=False)
    assert (process.returncode, process.stderr) == (1, "")


def test_json_has_no_nan_and_nothing_beside_it(cli, engine):
    engine.result = cli.run_result()
    result = cli("run", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "method": "selmatch",
        "artefact": "runs/x",
        "step_size": None,
    }
    assert result.stderr == "a library that prints\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare", "all"), "'compare' has none to share"),
        (("run", "--method", "auto"), "--method auto tries methods one after another"),
        (("run", "--executor", "ray"), "executor 'ray' has nothing to do here"),
    ],
)
def test_ranks_of_torchrun_share_a_matching_and_nothing_else(cli, engine, monkeypatch, words, said):
    for name, value in (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 2)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "any")
    result = cli(*words)
    assert result.exit_code == 2
    assert said in result.stderr.splitlines()[-1]
    assert engine.calls == []
