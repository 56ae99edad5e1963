"""Every page on plugins: its example runs through the kit, its checks are those there are."""

import json
import re
import shlex
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from condense.cli.main import main
from condense.plugin.host import build_host
from condense.plugin.scaffold import WRITTEN, Names, package_files
from condense.testing import checks_of, run_checks

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = DOCS / "plugins"
TUTORIAL = (PAGES / "first-scorer.md").read_text(encoding="utf-8")


def page(kind):
    return (PAGES / f"{kind}.md").read_text(encoding="utf-8")


def example(text, change=lambda code: code):
    """The python block of a page as a module, registered with a host of its own."""
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    module = types.ModuleType("example")
    exec(compile(change(code), "example", "exec"), module.__dict__)
    host = build_host(external=False, extra=[module])
    assert host.broken == []
    return host


def only(host, kind):
    """The one component of ``kind`` that is no built-in."""
    (entry,) = [e for _, e in host.registry(kind).items() if e.package == "example"]
    return entry.component


def test_there_is_a_page_for_every_kind():
    assert {p.stem for p in PAGES.glob("*.md")} == {*WRITTEN, "first-scorer"}


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_example_of_a_page_conforms(kind):
    host = example(page(kind))
    run_checks(kind, only(host, kind), host=host).raise_failures()


@pytest.mark.parametrize("kind", [*WRITTEN, "first-scorer"])
def test_an_example_imports_no_room_of_the_engine(kind):
    (code,) = re.findall(r"```python\n(.*?)```", page(kind), re.DOTALL)
    assert "condense.engine" not in code


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_example_of_a_page_is_what_is_written(kind):
    text = page(kind)
    (name,) = re.findall(rf"`condense plugins new {kind} (\S+)` writes this module", text)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = Names(kind, name)
    assert code == package_files(names)[f"src/{names.module}/__init__.py"]


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_page_gives_shapes_errors_and_all_checks(kind):
    text = page(kind)
    assert "type, shape, unit" in text
    assert "\nErrors: " in text
    listed = re.findall(r"^- `(check_\w+)`", text, re.MULTILINE)
    assert listed == [check.__name__ for check in checks_of(kind)]


def test_the_scorer_of_the_tutorial_conforms():
    host = example(TUTORIAL)
    run_checks("scorer", only(host, "scorer"), host=host).raise_failures()


def test_the_tutorial_tells_what_a_flipped_sign_does():
    host = example(TUTORIAL, lambda code: code.replace("return -margin", "return margin"))
    (failure,) = run_checks("scorer", only(host, "scorer"), host=host).failures
    told = re.findall(r"```text\n(.*?)```", TUTORIAL, re.DOTALL)[0]
    expected = re.escape(" ".join(told.split())).replace("…", r"[\d.]+")
    assert re.fullmatch(expected, f"{failure.check}: {failure.message}")


def test_the_tutorial_ends_with_the_scorer_on_a_line_of_the_ablation(tiny, tmp_path):
    (command,) = re.findall(r"^condense (ablate .*)$", TUTORIAL, re.MULTILINE)
    typed = shlex.split(command, comments=True)
    kept = {k: v for k, v in tiny.items() if not k.startswith("matcher.")}  # it distils nothing
    options = [part for k, v in kept.items() for part in ("-o", f"{k}={json.dumps(v)}")]
    more = ["--seeds", "1", "--device", "cpu", "--out", str(tmp_path / "out"), *options]
    told = CliRunner().invoke(main, [*typed, *more], obj=example(TUTORIAL))
    assert told.exit_code == 0, told.stderr
    assert re.search(
        r"^scorer=margin selector.beta=0.25 +1 +\d+\.\d\d ± – +[+-]\d+\.\d\d ± –",
        told.stdout,
        re.MULTILINE,
    )


def commands():
    """Within a line; those of blocks are in ``test_commands.py``."""
    pages = [*PAGES.glob("*.md"), DOCS / "ablate.md", DOCS / "tune.md"]
    texts = [p.read_text(encoding="utf-8") for p in pages]
    return sorted({c for t in texts for c in re.findall(r"`(condense [^`]*)`", t)})


@pytest.mark.parametrize("command", commands())
def test_commands_on_the_pages_exist_with_their_flags(command):
    words = command.split()[1:]
    depth = 2 if words[0] in ("plugins", "cache") and len(words) > 1 else 1
    told = CliRunner().invoke(main, [*words[:depth], "--help"])
    assert told.exit_code == 0, command
    for word in words[depth:]:
        if word.startswith("-"):
            assert re.search(rf"(^|\s){re.escape(word)}\b", told.output), (command, word)
