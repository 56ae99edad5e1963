"""What every command prints fits 80 columns: into a file, and on a pseudo terminal."""

import json
import os
import re
import subprocess
import sys
import unicodedata

import pytest

from condense.cli.main import main
from condense.plugin.host import build_host

pytestmark = pytest.mark.slow
pty = pytest.importorskip("pty")

WIDTH = 80
MARK = "=== "
DRIVER = f"""
import json, sys
from condense.cli.main import main
from condense.engine import evaluate
from condense_plugins.selectors import window
window.SPACE.options = window.SPACE.options.model_copy(update={{"epochs": 1, "batch_size": 256}})
short = evaluate.FeatureOptions(networks=1, feature_epochs=1)
evaluate._feature_options = lambda pipeline: short
for arguments in json.loads(sys.stdin.read()):
    print({MARK!r} + " ".join(arguments)[:60], flush=True)
    try:
        main(arguments, standalone_mode=False)
    except SystemExit as end:
        assert not end.code, (arguments, end.code)
print({MARK!r} + "done", flush=True)
"""
CLEAN = ["cache", "clean"]
SIGNS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")  # colours and cursor movements


@pytest.fixture(scope="module")
def walks(tiny):
    """Arguments of every command that prints tables or prose, with tiny settings."""
    values = tiny | {"matcher.snapshots": [1]}
    options = [part for k, v in values.items() for part in ("-o", f"{k}={json.dumps(v)}")]
    fast = ("-o", "evaluator.networks=1", "-o", "evaluator.feature_epochs=1")
    short = [w.replace("evaluator.repeats=2", "evaluator.repeats=1") for w in options]
    short += ["--seeds", "2"]
    three = ("selmatch,window,mtt", "--seeds", "2")
    vary = ("--vary", "method=selmatch,window", "--vary", "ipc=1,3", "--seeds", "2")
    long = ("--vary", "selector=random,window", "--vary", "policy=full,partial")
    third = ("--vary", "augmentation=dsa,combined", "--seeds", "1")
    studies = ["one", "two", "sweep", "tuned", "covered", "scored", "compared"]
    host = build_host(external=False)
    shown = [
        ["plugins", "show", kind, name]
        for kind, registry in host.registries.items()
        for name, _ in registry.items()
        if kind != "preset" or name in ("quick", "paper-tiny-ipc100")
    ]
    helps = [[*name.split(), "--help"] for name in _names(main)]
    return [
        ["run", *options, "--preset", "quick", "--out", "one"],
        ["run", *options, "--method", "mtt", "--out", "two", "--no-baselines"],
        ["run", *options, "--seeds", "2", "--out", "three"],
        ["run", *options, "--dry-run"],
        ["run", *options, "--method", "auto", "--minutes", "0.2", "--dry-run"],
        ["run", *options, "--method", "auto", "--minutes", "0.05", "--out", "chosen"],
        ["score", *options, "--out", "scores"],
        ["score", *options, "--compare", "cscore,forgetting,el2n,aum", "--out", "scored"],
        ["select", *options, "--out", "kept.csv"],
        ["evaluate", "one", "--by-difficulty"],
        ["export", "one", "--to", "npz", "--out", "small.npz"],
        ["ablate", *options, *vary, "--validation", "0.3", "--out", "sweep"],
        ["ablate", *options, *long, *third, "--out", "grid"],
        ["tune", *short, "--over", "scorer=cscore,el2n", "--out", "tuned"],
        ["compare", *three, *options, "--ipc", "1,5", "--out", "compared"],
        ["coverage", "one", "two", *fast, "--out", "covered"],
        ["report", *studies, "--out", "page.html"],
        ["plugins"],
        *shown,
        ["plugins", "new", "scorer", "far-away", "--into", "made"],
        ["plugins", "check", "none"],
        *helps,
        ["cache", "list"],
        ["cache", "clean", "--yes"],
    ]


def _names(group, before=""):
    for name, command in group.commands.items():
        yield f"{before}{name}"
        if hasattr(command, "commands"):
            yield from _names(command, f"{before}{name} ")


def environment(place):
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    return kept | {"CONDENSE_STORE": str(place / "store"), "CONDENSE_PLUGINS": "", "TERM": "xterm"}


@pytest.fixture(scope="module")
def piped(walks, place):
    """Standard output of every command where it is no terminal."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([w for w in walks if w[:2] != CLEAN]),
        capture_output=True,
        encoding="utf-8",
        cwd=place,
        env=environment(place),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def on_a_terminal(walks, place, piped):
    """All that commands write to a terminal of 80 × 24, the work being in the store."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
        cwd=place,
        env=environment(place),
    )
    os.close(theirs)
    again = [w for w in walks if w[0] != "plugins" or w == ["plugins"]]
    process.stdin.write(json.dumps(again).encode())
    process.stdin.close()
    got = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        got += part
    os.close(ours)
    assert process.wait() == 0, got[-3000:].decode(errors="replace")
    return SIGNS.sub("", got.decode())


def too_wide(text):
    """Lines of more than 80 columns, each after the command that printed it."""
    command, found = "", []
    for line in re.split(r"[\r\n]+", text):
        if line.startswith(MARK):
            command = line
        elif sum(columns(sign) for sign in line) > WIDTH:
            found.append(f"{command}\n{line}")
    return found


def columns(sign):
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def test_every_command_is_walked(walks):
    walked = {" ".join(args) for args in walks}
    missing = [
        n for n in _names(main) if not any(w.startswith(n) and "--help" not in w for w in walked)
    ]
    assert missing == []


def test_nothing_is_wider_than_80_columns_where_stdout_is_no_terminal(piped):
    assert f"{MARK}done" in piped
    assert too_wide(piped) == []


def test_nothing_is_wider_than_80_columns_on_a_terminal(on_a_terminal):
    assert f"{MARK}done" in on_a_terminal
    assert too_wide(on_a_terminal) == []


def test_no_word_of_prose_is_broken(piped):
    words = " ".join(piped.split())
    assert "the test split was not read" in words
    assert "mean ± half of its 95 % interval over 2 seeds" in words


def test_a_narrow_table_leaves_out_what_matters_least_and_says_so(monkeypatch, capsys):
    from condense.cli.output import echo_table

    rows = [
        ("selector=window policy=partial", "95.82 ± 0.46", "93.50 ± 1.37", "+2.32 ± 1.20", "base")
    ]
    headers = ("cell", "accuracy, % ± 95 %", "random, %", "over random, points ± 95 %", "note")
    told = {}
    for width in (200, 80, 60):
        monkeypatch.setenv("COLUMNS", str(width))
        echo_table(headers, rows, least=("random, %",))
        told[width] = capsys.readouterr().out
    assert told[200].splitlines()[0].split("  ")[0] == "cell"
    assert "93.50 ± 1.37" in told[200]
    assert "93.50" not in told[60]
    assert told[60].endswith("(no room here for: random, %)\n")
    for text in told.values():
        assert "95.82 ± 0.46" in text  # a figure stays in one line
        assert "+2.32 ± 1.20" in text
    assert max(map(len, told[80].splitlines())) <= 80


def test_a_message_is_wrapped_on_a_terminal_and_one_line_in_a_file(monkeypatch, capsys):
    from condense.cli.output import say_error

    text = "warning: " + " ".join(["the set is worse than random"] * 8)
    say_error(text)
    assert capsys.readouterr().err == text + "\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 24)))
    say_error(text)
    lines = capsys.readouterr().err.splitlines()
    assert 50 < max(map(len, lines)) <= 60
    assert " ".join(line.strip() for line in lines) == text
    assert all(line.startswith("  ") for line in lines[1:])


def test_a_word_longer_than_its_column_ends_at_a_sign(monkeypatch, capsys):
    from condense.cli.output import echo_table

    monkeypatch.setenv("COLUMNS", "40")
    path = "runs/selmatch-digits-ipc5-s0-1a2b3c4d/condensed.safetensors"
    echo_table(("run", "figure"), [(path, "95.82 ± 0.46")])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 40 for line in lines)
    parts = [line[:26].strip() for line in lines[2:]]
    assert "".join(parts) == path
    assert all(part[-1] in "._/=,-" for part in parts[:-1])


def test_an_interval_stays_in_one_line(monkeypatch, capsys):
    from condense.cli.output import echo_table

    monkeypatch.setenv("COLUMNS", "48")
    row = ("window selector.beta=0.68", "+1.04 (-38.67 to +40.75)", "out after rung 2")
    echo_table(("tried", "over random, points", "note"), [row])
    told = capsys.readouterr().out
    assert "(-38.67 to +40.75)" in told
    assert max(map(len, told.splitlines())) <= 48


def test_what_rounds_to_nothing_has_no_minus():
    from condense.figures.formats import points

    assert [points(v) for v in (-0.00004, 0.0, -0.0001)] == ["+0.00", "+0.00", "-0.01"]
