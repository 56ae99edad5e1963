"""A host of tiny fake components and a fake engine, so that these tests see only the CLI."""

import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import click.testing
import pytest
from pydantic import Field

import condense_plugins
from condense.errors import CondenseError
from condense.options import NetworkSpec, Options
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.recipe import Method, Preset
from condense.results import Evaluation


def unused(self: Any, *args: Any) -> None:
    raise AssertionError("the command line must not call components")


def component(kind_name: str, options: type[Options] = Options, **members: Any) -> type:
    def init(self: Any, given: Any) -> None:
        self.options = given

    methods = ("load", "build", "score", "select", "split", "draw", "apply")
    body = {
        "name": kind_name,
        "version": "1",
        "Options": options,
        "__init__": init,
        "__doc__": f"{kind_name}.",
    }
    body |= dict.fromkeys([*methods, "evaluate"], unused)
    return type(kind_name, (), body | members)


class MatcherOptions(Options):
    memory: Literal["auto", "constant"] = Field("auto", description="form of the gradient")
    steps: int = Field(3, ge=1, lt=100, description="steps of the student")
    network: NetworkSpec = Field(NetworkSpec.of("net"), description="network of the student")
    limit: float | None = Field(None, description="seconds at most")


class FileOptions(Options):
    path: str = Field(description="file to read")


STAGES = {
    "data": {"component": "toy"},
    "scorer": {"component": "rate"},
    "selector": {"component": "pick"},
    "policy": {"component": "part"},
    "matcher": {"component": "match"},
    "augmentation": {"component": "plain"},
    "evaluator": {"component": "test"},
}


class FakePlugin:
    """Registers one component of each kind."""

    @hookimpl
    def condense_register_datasets(self, register):
        register(component("toy"))
        register(component("filed", FileOptions, arg="path"))

    @hookimpl
    def condense_register_networks(self, register):
        register(component("net"))

    @hookimpl
    def condense_register_scorers(self, register):
        register(component("rate"))

    @hookimpl
    def condense_register_selectors(self, register):
        register(component("pick", needs_scores=True))

    @hookimpl
    def condense_register_matchers(self, register):
        register(component("match", MatcherOptions, prepare=unused, step=unused))

    @hookimpl
    def condense_register_update_policies(self, register):
        register(component("part"))

    @hookimpl
    def condense_register_augmentations(self, register):
        register(component("plain"))

    @hookimpl
    def condense_register_evaluators(self, register):
        register(component("test"))

    @hookimpl
    def condense_register_methods(self, register):
        register(Method("selmatch", "all of it", STAGES))

    @hookimpl
    def condense_register_presets(self, register):
        written_for = {"matcher": "match"}
        stages = {"matcher": {"steps": 2}}
        register(Preset("quick", "a minute", stages, written_for=written_for, ipc=5))


class BrokenPlugin:
    """Registers something without a name."""

    @hookimpl
    def condense_register_scorers(self, register):
        raise RuntimeError("no\nluck")


@dataclass
class FakeEngine:
    """What the commands called, and what they shall get."""

    result: Any = None
    error: BaseException | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        if self.error is not None:
            raise self.error
        print("a library that prints")
        return self.result


@dataclass
class FakePipeline:
    recipe: Any
    host: Any
    store: Any
    device: Any
    progress: Any
    scoring = selecting = types.SimpleNamespace(needs=())


@dataclass
class FakeRunResult:
    recipe: Any = None
    artefact: Path = Path("runs/x")
    condensed: Any = field(
        default_factory=lambda: types.SimpleNamespace(
            soft_labels=None, geometry=types.SimpleNamespace(is_image=True)
        )
    )
    accuracy: Evaluation | None = field(default_factory=lambda: Evaluation((0.97, 0.99)))
    baselines: dict[str, Evaluation] = field(
        default_factory=lambda: {
            "random": Evaluation((0.93,), {"augmentation": "dsa"}),
            "whole": Evaluation((0.995,), {"augmentation": {"component": "simple"}}),
        }
    )
    stages: dict[str, Any] = field(
        default_factory=lambda: {
            "score": types.SimpleNamespace(seconds=71.2, cached=False),
            "match": types.SimpleNamespace(seconds=0.04, cached=True),
        }
    )
    peak_memory_mb: float = 512.4
    findings: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"method": "selmatch", "artefact": self.artefact, "step_size": float("nan")}


@pytest.fixture
def make_host(monkeypatch):
    monkeypatch.setattr(condense_plugins, "MODULES", ())
    return lambda *more: build_host(external=False, extra=[FakePlugin(), *more])


@pytest.fixture
def host(make_host):
    return make_host()


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """The library under the commands, replaced; it records its calls."""
    fake = FakeEngine()
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path / "store"))
    stubs = {
        "pipeline": {"Pipeline": FakePipeline},
        "graph": {"plan": fake.call},
        "run": {"run": fake.call},
        "evaluate": {"evaluate_artefact": fake.call, "plan_evaluation": fake.call},
        "outputs": {"write_scores": fake.call, "write_selection": fake.call},
        "artefact.dataset": {"CondensedDataset": types.SimpleNamespace(load=fake.call)},
    }
    for name, members in stubs.items():
        module = types.ModuleType(f"condense.engine.{name}")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return fake


@pytest.fixture
def cli(host):
    """Calls ``condense`` with arguments, as a process would with stdin, stdout and stderr piped."""
    from condense.cli.main import main

    def call(*args: str, obj: Any = host, **extra: Any) -> click.testing.Result:
        return click.testing.CliRunner().invoke(main, args, obj=obj, **extra)

    call.broken_plugin = BrokenPlugin()  # type: ignore[attr-defined]
    call.run_result = FakeRunResult  # type: ignore[attr-defined]
    return call


CHEAP = ("--device", "cpu", "--no-baselines")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of the module's."""
    return tmp_path_factory.mktemp("place")


class Falling:
    """Selects nothing."""

    name, version, needs_scores = "falling", "1", False
    Options = type("Options", (Options,), {})

    def __init__(self, options):
        self.options = options

    def select(self, data, scores, budget, context, rng):
        raise CondenseError("fell")


class FallingPlugin:
    @hookimpl
    def condense_register_selectors(self, register):
        register(Falling)


@pytest.fixture(scope="session")
def falling_plugin():
    """Registers a selector ``falling`` that always fails."""
    return FallingPlugin()


@pytest.fixture(scope="session")
def real_host():
    return build_host(external=False)


@pytest.fixture
def run_cli(real_host, tmp_path, monkeypatch):
    """Calls ``condense`` in an empty folder, with the built-in components."""
    from condense.cli.main import main

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return lambda *args: click.testing.CliRunner().invoke(main, [*map(str, args)], obj=real_host)


@pytest.fixture
def refused(run_cli, tmp_path):
    """Asserts that the arguments are refused in one line that holds every part."""

    def check(*args, parts=(), code=(1, 2), command="run"):
        out = tmp_path / "out"
        scored = any(str(word).startswith("scorer=") for word in args)
        more = [] if scored else ["-o", "scorer=random"]
        more = [*CHEAP, *more] if command == "run" else []
        given = [*more, *args, *([] if "--out" in args else ["--out", out])]
        result = run_cli(command, *given)
        lines = result.stderr.splitlines()
        assert result.exit_code in ((code,) if isinstance(code, int) else code), result.stderr
        errors = [line for line in lines if line.startswith("error: ")]
        assert len(errors) == 1, result.stderr
        assert "Traceback" not in result.stderr
        assert "bug" not in errors[0]
        assert result.stdout == ""
        for part in parts:
            assert str(part) in errors[0], errors[0]
        assert not out.exists()
        assert list(Path.cwd().iterdir()) == []  # nor a folder under runs/
        return errors[0]

    return check
