"""Trackers against the kit; and that each of its checks catches a wrong one."""

from pathlib import Path

import pytest

from condense.plugin.host import build_host
from condense.testing import checks_of, parametrize_with_checks, run_checks

TRACKERS = build_host(external=False).registry("tracker")
NONE = TRACKERS.get("none")


@parametrize_with_checks("tracker", [NONE])
def test_none(component, check):
    check(component)


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_those_of_packages(name):
    run_checks("tracker", TRACKERS.get(name)).raise_failures()


class Careless(NONE):
    """Any number of things wrong with it."""

    name = "careless"


class OneRun(Careless):
    """Keeps what a run of that name said before."""

    def begin(self, run):
        vars(self).setdefault("known", {})
        assert run.name not in self.known, "known already"
        self.known[run.name] = run


class NeedsFigures(Careless):
    """Cannot be closed before it was told anything."""

    def begin(self, run):
        self.last = None

    def figures(self, step, values):
        self.last = step

    def close(self, done):
        assert self.last


class Whole(Careless):
    """Keeps figures as whole numbers."""

    def figures(self, step, values):
        _ = {name: int(1000 * value) for name, value in values.items()}


class Short(Careless):
    """Has room for short values alone."""

    def begin(self, run):
        assert all(len(value) < 500 for value in run.parameters.values())


@pytest.mark.parametrize(
    ("wrong", "caught"),
    [
        (OneRun, "check_several_runs"),
        (NeedsFigures, "check_a_run_that_breaks_off"),
        (Whole, "check_figures_that_are_not_finite"),
        (Short, "check_long_parameters"),
    ],
)
def test_a_wrong_tracker_is_caught(wrong, caught):
    report = run_checks("tracker", wrong)
    assert [outcome.check for outcome in report.failures] == [caught]


def test_every_check_of_the_kind_has_a_wrong_tracker():
    own = [c.__name__ for c in checks_of("tracker") if c.__module__.endswith(".trackers")]
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in own if name not in text] == []
