"""The house rules that a linter does not know: floors, sizes, and where one may print."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = sorted((ROOT / "condense").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins" / "condense_plugins").rglob("*.py"))
ALL = ENGINE + PLUGINS

# module prefix → floor; a module imports from its own floor or one below, never from above
FLOORS = {
    "condense": 0,  # the package itself: names loaded on first use
    "condense.errors": 0,
    "condense.kinds": 0,
    "condense.randomness": 0,
    "condense.figures": 0,
    "condense.options": 1,
    "condense.data": 1,
    "condense.results": 2,
    "condense.interfaces": 3,
    "condense.plugin": 4,
    "condense.recipe": 4,
    "condense.resolve": 5,
    "condense.published": 6,
    "condense.selection": 6,
    "condense.engine": 6,
    "condense.studies": 7,
    "condense.report": 7,
    "condense.testing": 7,
    "condense.api": 7,
    "condense.cli": 8,
}
PLUGINS_MAY_IMPORT = (
    *("condense", "condense.data", "condense.engine", "condense.errors", "condense.interfaces"),
    *("condense.options", "condense.plugin", "condense.recipe", "condense.results"),
    "condense.selection",
)
FILE_LINES, FUNCTION_LINES = 300, 60


def module_name(path):
    base = ROOT if path.is_relative_to(ROOT / "condense") else ROOT / "plugins"
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(p) for p in ALL}


def typing_only(tree):
    """Nodes under ``if TYPE_CHECKING:``; they are not imported when the program runs."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            found |= {id(inner) for part in node.body for inner in ast.walk(part)}
    return found


def deferred(tree):
    """Nodes inside functions; they are imported when called."""
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
    return {id(inner) for function in functions for inner in ast.walk(function)}


def imports(path, *, skip_deferred=False):
    """Modules that ``path`` imports when it runs; ``from a import b`` is a.b where that is one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = typing_only(tree) | (deferred(tree) if skip_deferred else set())
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = full & NAMES
            found |= modules | ({node.module} if full - modules else set())
    return found


def floor(name):
    parts = name.split(".")
    while parts:
        if ".".join(parts) in FLOORS and (len(parts) > 1 or len(name.split(".")) == 1):
            return FLOORS[".".join(parts)]
        parts.pop()
    raise AssertionError(f"{name} lies on no floor; add it to FLOORS and to design.md")


def test_the_house_is_found():
    assert {"condense.engine.pipeline", "condense.cli.main"} <= NAMES
    assert "condense_plugins.matchers.trajectory.gradient" in NAMES
    assert imports(ROOT / "condense" / "api.py") >= {
        "condense.data",
        "condense.engine.runtime.store",
    }


@pytest.mark.parametrize("path", ENGINE, ids=module_name)
def test_imports_run_downward(path):
    own = floor(module_name(path))
    upward = {
        name for name in imports(path) if name.split(".")[0] == "condense" and floor(name) > own
    }
    assert upward == set()


def test_nothing_in_the_engine_imports_the_plugins():
    named = []
    for path in ENGINE:
        assert not {n for n in imports(path) if n.split(".")[0] == "condense_plugins"}, path
        if "condense_plugins" in path.read_text(encoding="utf-8"):
            named.append(module_name(path))
    # the host loads them by dotted name; the guard tells their bugs from a stranger's
    assert "condense.plugin.host" in named
    assert set(named) <= {"condense.plugin.host", "condense.engine.runtime.guard"}


@pytest.mark.parametrize("path", PLUGINS, ids=module_name)
def test_plugins_import_interfaces_and_the_engine_alone(path):
    ours = {n for n in imports(path) if n.split(".")[0] == "condense"}
    strange = {n for n in ours if n not in PLUGINS_MAY_IMPORT and not n.startswith("condense.eng")}
    assert strange == set()


def test_there_are_no_circles():
    graph = {module_name(p): imports(p, skip_deferred=True) & NAMES for p in ALL}
    for package in [n for n in graph if any(m.startswith(f"{n}.") for m in graph)]:
        graph[package] -= {package}
    state = {}

    def visit(name, trail):
        assert state.get(name) != "open", f"circle: {' → '.join([*trail, name])}"
        if name in state:
            return
        state[name] = "open"
        for inner in sorted(graph[name]):
            visit(inner, [*trail, name])
        state[name] = "done"

    for name in sorted(graph):
        visit(name, [])


def test_help_waits_for_nothing_heavy():
    """What `condense --help` imports, followed by hand: neither torch nor pydantic nor a plugin."""
    heavy = {"torch", "torchvision", "numpy", "pydantic", "sklearn", "pluggy", "rich", "matplotlib"}
    seen, queue = set(), ["condense.cli.main"]
    paths = {module_name(p): p for p in ALL}
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        found = imports(paths[name], skip_deferred=True)
        assert not heavy & {n.split(".")[0] for n in found}, name
        queue += found & NAMES
    assert "condense.errors" in seen


def calls(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


OUTSIDE_CLI = [p for p in ALL if not module_name(p).startswith("condense.cli")]


@pytest.mark.parametrize("path", OUTSIDE_CLI, ids=module_name)
def test_only_the_command_line_prints_and_exits(path):
    loud = {"print", "input", "exit", "quit", "sys.exit", "os._exit", "sys.stdout.write"}
    loud |= {"sys.stderr.write"}
    assert [call for call in calls(path) if call[0] in loud] == []
    assert not {"click", "rich"} & {n.split(".")[0] for n in imports(path)}


@pytest.mark.parametrize("path", ALL, ids=module_name)
def test_nothing_is_unpickled(path):
    modules = {n.split(".")[0] for n in imports(path)}
    assert not modules & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    found = [name for name, _ in calls(path)]
    assert not {"torch.load", "torch.save", "eval", "exec"} & set(found)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert given.get("allow_pickle") == "False", f"{path}:{node.lineno}"


def written_lines(tree, text):
    """Lines that hold code: neither blank, nor comment, nor docstring."""
    silent = set()
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            silent |= set(range(first.lineno, first.end_lineno + 1))
    lines = enumerate(text.splitlines(), 1)
    return [n for n, t in lines if t.strip() and not t.strip().startswith("#") and n not in silent]


@pytest.mark.parametrize("path", ALL, ids=module_name)
def test_files_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(written_lines(tree, text)) <= FILE_LINES
    long = [
        (node.name, node.end_lineno - node.lineno + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]
    assert long == []


@pytest.mark.parametrize("path", ALL, ids=module_name)
def test_errors_are_caught_by_name(path):
    bare = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert bare == []


@pytest.mark.parametrize("path", PLUGINS, ids=module_name)
def test_plugins_do_not_wait_for_torchvision_and_scikit_learn(path):
    heavy = {"torchvision", "sklearn", "matplotlib", "PIL"}
    assert not heavy & {n.split(".")[0] for n in imports(path, skip_deferred=True)}
