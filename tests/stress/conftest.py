"""What the stress tests share: rows of the table, tiny runs, a server of processes."""

from pathlib import Path

import pytest
from stress_rows import Rows
from stress_runs import Here, Server, run_arguments, write_data

from condense.plugin.host import build_host

ROWS = pytest.StashKey[Rows]()


def pytest_configure(config):
    given = {n: config.getoption(f"--stress-{n}") for n in ("scale", "seed")}
    config.stash[ROWS] = Rows(**given, only=config.getoption("--stress-case"))


def pytest_collection_finish(session):
    """All of these tests are to be run, or else there is no table."""
    there = {str(item.path) for item in session.items}
    whole = {str(path) for path in Path(__file__).parent.glob("test_*.py")} <= there
    session.config.stash[ROWS].whole &= whole


def pytest_deselected(items):
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.config.stash[ROWS].whole = False


def pytest_sessionfinish(session):
    rows = session.config.stash[ROWS]
    if rows.whole and rows.rows:
        rows.write()


def pytest_terminal_summary(terminalreporter, config):
    for row in config.stash[ROWS].rows:
        terminalreporter.write_line(f"{row.name}: {row.told}")


@pytest.fixture
def row(request):
    """Call with a name and the number of cases of a whole run; a context."""
    rows, test = request.config.stash[ROWS], request.node.nodeid
    return lambda name, full: rows.row(test, name, full)


@pytest.fixture(scope="session")
def here():
    """Runs commands in this process."""
    return Here(build_host(external=False))


@pytest.fixture(scope="session")
def whole(here, tmp_path_factory):
    """A finished run: ``work/out`` and ``store``; nothing in it is to be changed."""
    place = tmp_path_factory.mktemp("whole")
    write_data(place / "work" / "squares.npz")
    here(*run_arguments(), cwd=place / "work", store=place / "store").succeeds()
    return place


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Starts processes that have imported everything."""
    server = Server(tmp_path_factory.mktemp("processes"))
    yield server
    server.close()


@pytest.fixture
def place(tmp_path):
    """Makes folders, each with a copy of the data, for a run and its store."""

    def make(name):
        write_data(tmp_path / str(name) / "work" / "squares.npz")
        return tmp_path / str(name)

    return make


@pytest.fixture(scope="session", autouse=True)
def _short_feature_network():
    """Not here: runs of this process are held against those of others, which it does not reach."""
