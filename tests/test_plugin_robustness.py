"""Installed strangers that misbehave, seen through the command as a user would."""

import json
import os
import re
import signal
import sys
import textwrap
import time
import types
from pathlib import Path

import processes
import pytest

COMMAND = "from condense.cli.main import main; main()"
SCORER = """
    from condense import Options, hookimpl
    {before}
    class S:
        "A scorer."
        name, version = "{name}", "1"
        class Options(Options):
            pass
        def __init__(self, options):
            self.options = options
            {init}
        def score(self, data, context, rng):
            {body}

    {decorator}
    def {hook}(register):
        register(S)
        {after}
"""


def scorer(name, **parts):
    values = {
        "before": "",
        "body": "return data.inputs.flatten(1).float().std(1)",
        "decorator": "@hookimpl",
        "hook": "condense_register_scorers",
        "after": "",
        "init": "",
        **parts,
    }
    return textwrap.dedent(SCORER).format(name=name, **values)


@pytest.fixture
def site(tmp_path):
    """A folder of installed packages; call it to install one more."""
    folder = tmp_path / "site"
    folder.mkdir()

    def install(name, code):
        (folder / f"stranger_{name}.py").write_text(code)
        info = folder / f"stranger_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pkg-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[condense]\n{name} = stranger_{name}\n")

    install.folder = folder
    return install


@pytest.fixture
def condense_started(site, tmp_path):
    """Starts a command in a process of its own."""
    started = []

    def start(*arguments, code=COMMAND, stdin=""):
        environment = {k: v for k, v in os.environ.items() if k != "CONDENSE_PLUGINS"}
        environment["PYTHONPATH"] = os.pathsep.join([str(site.folder), os.getcwd(), *sys.path])
        process = processes.start(code, *arguments, cwd=tmp_path, env=environment, stdin=stdin)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def condense(condense_started):
    def run(*arguments, timeout=60, code=COMMAND, stdin=""):
        process = condense_started(*arguments, code=code, stdin=stdin)
        return processes.Done(process.wait(timeout), *process.told())

    return run


MANY = """
import json, sys
import condense.plugin.watch as watch
from click.testing import CliRunner
from condense.cli.main import main
watch.SLOW_SECONDS = 0.5
for line in sys.stdin:
    done = CliRunner().invoke(main, json.loads(line))
    told = {"returncode": done.exit_code, "stdout": done.stdout, "stderr": done.stderr}
    print(json.dumps(told), flush=True)
"""


@pytest.fixture
def condense_many(condense):
    """Runs several commands in one process, each with a host of its own; it saves imports."""

    def run(*commands):
        lines = "".join(json.dumps(c) + "\n" for c in commands)
        done = condense(code=MANY, stdin=lines, timeout=120)
        assert done.returncode == 0, done.stderr
        return [types.SimpleNamespace(**json.loads(line)) for line in done.stdout.splitlines()]

    return run


def test_five_strangers_one_broken_one_slow(site, condense, tmp_path):
    for name in ("aa", "bb", "cc"):
        site(name, scorer(name))
    site("broken", "import no_such_module_anywhere")
    slow = "import pathlib, time; pathlib.Path('loaded').touch(); time.sleep(1)\n"
    site("slow", slow + scorer("slow"))
    done = condense("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert not (tmp_path / "loaded").exists()
    done = condense("plugins")
    assert (tmp_path / "loaded").exists()
    told = "ModuleNotFoundError: No module named 'no_such_module_anywhere'"
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert {r[1] for r in rows if r[:1] == ["scorer"]} >= {"aa", "bb", "cc", "slow", "el2n"}
    assert re.search(rf"^broken +broken +pkg-broken +{told}$", done.stdout, re.MULTILINE)
    assert f"warning: plugin broken (pkg-broken) failed to load: {told}\n" in done.stderr


LOADING = {
    "raises": ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    "twice": (scorer("twice", after="register(S)"), "registers scorer 'twice' twice"),
    "misspelt": (
        scorer("misspelt", hook="condense_register_scorer"),
        "which is no hook; did you mean 'condense_register_scorers'?",
    ),
    "unmarked": (
        scorer("unmarked", decorator=""),
        "condense_register_scorers without the decorator @condense.hookimpl",
    ),
    "reseeds": (
        scorer("reseeds", before="import numpy; numpy.random.seed(1)"),
        "reseeded the global randomness of numpy",
    ),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "interrupts": ("raise KeyboardInterrupt('mine')", "KeyboardInterrupt: mine"),
    "closes": ("raise GeneratorExit", "GeneratorExit"),
    "stops": (scorer("stops", after="raise StopIteration"), "StopIteration"),
    "of_its_own": ("class Mine(BaseException): pass\nraise Mine('x')", "Mine: x"),
    "mute": (
        "class Mute(Exception):\n def __str__(self): raise self\nraise Mute",
        "Mute: (its message cannot be read)",
    ),
    "mutest": (
        "class Mute(BaseException):\n def __str__(self): raise KeyboardInterrupt\n"
        " __repr__ = __str__\nraise Mute",
        "Mute: (its message cannot be read)",
    ),
    "surrogate": ("raise ValueError('\\udc80')", "ValueError: \\udc80"),
    "syntax": ("def (", "SyntaxError"),
}


def test_strangers_that_fail_to_load_are_named_and_alone(site, condense_many):
    for fault, (code, _) in LOADING.items():
        site(fault, code)
    site("good", scorer("good"))
    site("slow", scorer("slow", before="import time; time.sleep(1)"))
    # as scikit-learn does while it is imported: put back, and nobody is accused
    site("draws", scorer("draws", before="import random; random.random()"))
    site("loud", scorer("loud", before="print('hello')"))
    done, debug, checked, mute = condense_many(
        ["plugins", "--json", "--strict"],
        ["--debug", "plugins"],
        ["plugins", "check", "stranger_interrupts"],
        ["plugins", "check", "stranger_mutest"],
    )
    assert done.returncode == 1
    document = json.loads(done.stdout)
    broken = {b["name"]: b for b in document["broken"]}
    assert set(broken) == set(LOADING)
    for fault, (_, told) in LOADING.items():
        assert broken[fault]["package"] == f"pkg-{fault}"
        assert told in broken[fault]["error"], broken[fault]
        assert f"warning: plugin {fault} (pkg-{fault}) failed to load: " in done.stderr
    names = {c["name"] for c in document["components"] if c["kind"] == "scorer"}
    assert {"good", "loud", "slow", "draws", "el2n"} <= names
    assert not names & set(LOADING)
    assert "Traceback" not in done.stderr
    assert "warning: plugin slow (pkg-slow) is still loading after 0.5 s" in done.stderr
    # one that prints: not on stdout, which is JSON
    assert "plugin loud (pkg-loud) printed 'hello' while loading" in done.stderr
    assert debug.returncode == 0
    assert 'stranger_raises.py", line 1, in <module>' in debug.stderr

    for one, told in ((checked, "KeyboardInterrupt: mine"), (mute, "Mute: (its message")):
        assert one.returncode == 1
        assert re.search(f"module stranger_.* failed to load: {re.escape(told)}", one.stderr)


def test_a_real_interrupt_ends_the_loading_of_a_plugin_that_swallows_it(site, condense):
    kill = "import os, signal\ntry: os.kill(os.getpid(), signal.SIGINT)\nexcept {}"
    site("swallows", kill.format("BaseException: pass"))
    done = condense("plugins")
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted; the same command continues where it stopped\n"
    site("swallows2", kill.format("BaseException: raise RuntimeError from None"))
    info = site.folder / "stranger_swallows-1.0.dist-info" / "entry_points.txt"
    info.write_text("")
    assert condense("plugins").returncode == 130


def test_a_second_interrupt_ends_a_plugin_that_hangs(site, condense_started, tmp_path):
    site(
        "hangs",
        "import pathlib, time\npathlib.Path('up').touch()\nwhile True:\n"
        " try: time.sleep(0.1)\n except BaseException: pathlib.Path('once').touch()\n",
    )
    process = condense_started("plugins")
    for mark in ("up", "once"):
        while not (tmp_path / mark).exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
    assert process.wait(20) == -signal.SIGINT


def test_a_stranger_is_named_after_five_seconds():
    from condense.plugin import watch

    assert watch.SLOW_SECONDS == 5


RUNNING = {
    "shape": ("return data.labels[:-1].float()", "returned shape (1436,), expected (1437,)"),
    "nan": ("return data.labels.float() / 0 * 0", "scores must be finite"),
    "mutates": (
        "data.inputs.zero_(); return data.labels.float()",
        "changed the data it was given",
    ),
    "mutates-numpy": (
        "data.inputs.numpy()[:] = 0; return data.labels.float()",
        "changed the data it was given",
    ),
    "reseeds": (
        "import torch; torch.manual_seed(0); return data.labels.float()",
        "changed the global randomness of torch",
    ),
    "none": ("return None", "returned None"),
    "raises": ("return {}['key']", "of stranger_raises failed with KeyError: 'key'"),
    "exits": ("raise SystemExit(0)", "failed with SystemExit: 0"),
    "of-its-own": ("raise type('Mine', (BaseException,), {})('x')", "failed with Mine: x"),
    "made": ({"init": "raise SystemExit(0)"}, "of stranger_made failed with SystemExit: 0"),
}


def test_strangers_that_fail_at_work_are_named_and_nothing_is_stored(site, condense_many, tmp_path):
    store = Path(os.environ["CONDENSE_STORE"])
    for fault, (code, _) in RUNNING.items():
        parts = code if isinstance(code, dict) else {"body": code}
        site(fault.replace("-", "_"), scorer(fault, **parts))
    site("loud", scorer("loud", body="print('hello'); return data.labels.float()"))
    *failed, debug = condense_many(
        *(["score", "-o", f"scorer={fault}", "--json"] for fault in RUNNING),
        ["--debug", "score", "-o", "scorer=raises"],
    )
    for done, (fault, (_, told)) in zip(failed, RUNNING.items(), strict=True):
        assert done.returncode == 1, fault
        assert done.stdout == ""
        assert f"error: scorer '{fault}'" in done.stderr
        assert told in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / f"scores-{fault}-digits").exists()
    assert not list(store.rglob("*.safetensors"))
    assert "Traceback" in debug.stderr
    assert "stranger_raises.py" in debug.stderr
    # one that prints at work: its scores count, its words do not get between
    (loud,) = condense_many(["score", "-o", "scorer=loud", "--json"])
    assert json.loads(loud.stdout)["scorer"] is not None
    assert "hello" in loud.stderr
    assert list(store.rglob("*.safetensors"))


def test_a_program_that_a_stranger_starts_does_not_print_between(site, condense):
    loud = "import os, sys; os.system('echo started'); sys.__stdout__.write('past'); {}"
    body = loud.format("return data.labels.float()")
    site("starts", scorer("starts", before=loud.format("pass"), body=body))
    done = condense("score", "-o", "scorer=starts", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scorer"] is not None
    assert done.stderr.count("started") == done.stderr.count("past") == 2


def test_plugins_check(site, condense_many, tmp_path):
    site("fine", scorer("fine", body="return -data.labels.float() * 0"))
    (tmp_path / "beside_me.py").write_text("x = 1\n")
    told, text, beside, typo, window, file = condense_many(
        ["plugins", "check", "fine", "--json"],
        ["plugins", "check", "fine"],
        ["plugins", "check", "beside_me"],
        ["plugins", "check", "windw"],
        ["plugins", "check", "selector:window"],
        ["plugins", "check", "scorer:file", "--strict"],
    )
    assert told.returncode == 1
    (component,) = json.loads(told.stdout)["components"]
    failed = {c["check"]: c["message"] for c in component["checks"] if c["result"] == "failed"}
    assert "check_harder_is_higher" in failed
    assert set(failed) <= {"check_harder_is_higher", "check_scores_follow_their_samples"}
    assert "check_harder_is_higher: scorer 'fine'" in text.stdout.replace(
        "check_harder_is_higher, check_scores_follow_their_samples", "check_harder_is_higher"
    )
    assert beside.returncode == 1
    assert "module beside_me registers nothing" in beside.stderr
    assert (typo.returncode, typo.stderr.count("\n")) == (2, 1)
    assert "did you mean 'window'" in typo.stderr
    assert window.returncode == 0
    assert file.returncode == 1
    assert "not checked: needs a path" in file.stdout


def test_plugins_check_reads_how_the_kit_is_to_run_a_component(site, condense_many):
    body = "return data.labels.float().mul(0).add(len(data) / (len(data) - 60 + self.options.n))"
    code = scorer("tuned", body=body).replace(
        "    pass\n", "    n: int = Field(0, description='n')\n"
    )
    code = f"from pydantic import Field\n{code}"
    tags = ["no-hardness", "order-sensitive"]
    for name, says in {
        "told": {"options": {"n": 1}, "tags": tags},
        "untold": {},
        "typo": {"tags": ["no-hardnes"]},
        "field": {"option": {"n": 1}},
    }.items():
        table = {"scorer:tuned": says}
        (site.folder / f"kit_{name}.py").write_text(f"{code}\nCONFORMANCE = {table}\n")
    package = site.folder / "kit_package"
    package.mkdir()
    (package / "__init__.py").write_text(code)
    (package / "conformance.py").write_text((site.folder / "kit_told.py").read_text()[len(code) :])
    names = ("told", "untold", "typo", "field", "package")
    told, untold, typo, field, apart = condense_many(
        *(["plugins", "check", f"kit_{name}"] for name in names)
    )
    for done in (told, apart):
        assert (done.returncode, "2 excused" in done.stdout) == (0, True), done.stdout
    assert untold.returncode == 1
    assert "ZeroDivisionError" in untold.stdout
    assert "unknown tag 'no-hardnes'; did you mean 'no-hardness'?" in typo.stderr
    assert "CONFORMANCE of scorer tuned" in field.stderr


def test_a_module_that_is_checked_is_watched_while_it_loads(condense_many, tmp_path):
    (tmp_path / "slow_here.py").write_text("import time; time.sleep(1)\n")
    (tmp_path / "seeds_here.py").write_text("import torch; torch.manual_seed(1)\n" + scorer("s"))
    slow, seeds = condense_many(
        ["plugins", "check", "slow_here"], ["plugins", "check", "seeds_here"]
    )
    assert (slow.returncode, seeds.returncode) == (1, 1)
    assert "warning: plugin slow_here is still loading after 0.5 s" in slow.stderr
    assert "module seeds_here failed to load: reseeded the global randomness" in seeds.stderr


EVALUATOR = """
    import torch
    from condense import Options, hookimpl
    from condense.interfaces import Evaluation
    class Nearest:
        "The nearest class mean, and not a word more than the contract asks for."
        name, version = "nearest", "1"
        class Options(Options):
            pass
        def __init__(self, options):
            self.options = options
        def evaluate(self, arm, test, augmentation, context, rng):
            train = arm.draw(0)
            means = torch.stack(
                [flat(train)[train.labels == c].mean(0) for c in range(test.geometry.classes)]
            )
            right = torch.cdist(flat(test), means).argmin(1) == test.labels
            return Evaluation((float(right.double().mean()),))

    def flat(samples):
        width = samples.inputs.flatten(1).float()
        return width if samples.normalization is None else (width / 255 - 0.3) / 0.4

    @hookimpl
    def condense_register_evaluators(register):
        register(Nearest)
"""


def test_an_evaluator_that_says_as_little_as_it_may_runs_everywhere(site, condense_many):
    site("nearest", textwrap.dedent(EVALUATOR))
    once = ["--seeds", "1", "--out", "a"]
    swap = ["--method", "random", "--ipc", "3", "-o", "evaluator=nearest"]
    planned, ran, evaluated, varied, reported = condense_many(
        ["run", *swap, "--dry-run"],
        ["run", *swap, "--out", "r", "--json"],
        ["evaluate", "r", "--json"],
        ["ablate", "random", "--vary", "selector=random,hardest", *swap[2:], *once],
        ["report", "r", "--out", "p.html"],
    )
    for done in (planned, ran, evaluated, varied, reported):
        assert done.returncode == 0, done.stderr
    document = json.loads(ran.stdout)
    assert document["augmentation"] == dict.fromkeys(("condensed", "random", "whole"), "combined")
    assert 0.3 < document["accuracy"]["mean"] <= document["baselines"]["whole"]["mean"]
    assert json.loads(evaluated.stdout)["protocol"]["augmentation"] == "combined"
