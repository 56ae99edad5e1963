"""How the kit reports: together, strictly about expected failures, and without pytest."""

import subprocess
import sys

import pytest
import torch

from condense.errors import BrokenPlugin, OptionError
from condense.options import Options
from condense.plugin.host import build_host
from condense.testing import (
    CheckFailed,
    ConformanceError,
    GuardedData,
    Setup,
    TestSplitRead,
    check_component,
    checks_of,
    parametrize_with_checks,
    run_checks,
    toy_data,
)
from condense.testing.plugin import check_plugin
from condense.testing.toys import planted

KINDS = (
    *("data", "network", "scorer", "selector", "matcher"),
    *("policy", "reselector", "augmentation", "evaluator", "method"),
)


class Late:
    """Scores that are right but for one sample."""

    name, version = "late", "1"
    Options = Options

    def __init__(self, options):
        self.options = options

    def score(self, data, context, rng):
        values = data.inputs.flatten(1).float()
        means = torch.stack([values[data.labels == c].mean(0) for c in range(len(data.classes))])
        scores = (values - means.nan_to_num()[data.labels]).square().mean(1)
        scores[5] = torch.nan
        return scores


NAN = {"check_scores_are_finite", "check_harder_is_higher", "check_small_classes_work"} | {
    "check_scores_follow_their_samples"
}


def test_one_report_lists_every_failure():
    with pytest.raises(ConformanceError) as caught:
        check_component("scorer", Late)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"scorer 'late' fails 4 of {len(checks_of('scorer'))} checks:"
    assert any(
        "check_scores_are_finite: scorer 'late' rated sample 5 of 60 nan" in x for x in lines
    )
    # the two that say one and the same thing share a line
    assert len(lines) == 4


def test_expected_failures_are_strict():
    reasons = dict.fromkeys(NAN, "sample 5 is being looked into")
    check_component("scorer", Late, expected_failures=reasons)
    reasons["check_prints_nothing"] = "prints"
    with pytest.raises(ConformanceError, match=r"was expected to fail \(prints\) but passes"):
        check_component("scorer", Late, expected_failures=reasons)


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ({"check_scores_are_finit": "x"}, "did you mean 'check_scores_are_finite'"),
        ({"check_prints_nothing": " "}, "gives no reason"),
    ],
)
def test_expected_failures_are_checked_themselves(failures, told):
    with pytest.raises(OptionError, match=told):
        check_component("scorer", Late, expected_failures=failures)
    with pytest.raises(OptionError, match=told):
        parametrize_with_checks("scorer", [Late], expected_failures=failures)


def test_parametrize_gives_ids_and_strict_marks():
    random = build_host(external=False).registry("scorer").get("random")
    reason = {"check_prints_nothing": "it does"}
    cases = parametrize_with_checks("scorer", [Late, random], expected_failures=reason).args[1]
    assert len(cases) == 2 * len(checks_of("scorer"))
    by_id = {case.id: case for case in cases}
    (mark,) = by_id["late-check_prints_nothing"].marks
    assert (mark.name, mark.kwargs["strict"], mark.kwargs["raises"]) == ("xfail", True, CheckFailed)
    assert not by_id["late-check_scores_are_finite"].marks
    (mark,) = by_id["random-check_harder_is_higher"].marks
    assert mark.name == "skip"
    assert "no-hardness" in mark.kwargs["reason"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_is_a_named_function_with_a_docstring(kind):
    checks = checks_of(kind)
    assert len({c.__name__ for c in checks}) == len(checks)
    for check in checks:
        assert check.__name__.startswith("check_")
        assert check.__doc__


def test_a_kind_without_checks():
    with pytest.raises(OptionError, match="no checks for kind 'scorers'; did you mean 'scorer'"):
        checks_of("scorers")


def test_options_come_from_class_instance_or_caller():
    class Choosy(Late):
        """Takes options."""

        class Options(Options):
            last: int = 1

    seen = []
    for thing, given in (
        (Choosy, None),
        (Choosy(Choosy.Options(last=5)), None),
        (Choosy, {"last": 7}),
        (Choosy, Choosy.Options(last=8)),
    ):
        from condense.testing.run import subject_of

        seen.append(subject_of("scorer", thing, Setup(given)).options.last)
    assert seen == [1, 5, 7, 8]
    with pytest.raises(CheckFailed, match="cannot be made with options"):
        run_checks("scorer", Choosy, {"nope": 1})


def test_the_data_double_guards_its_test_split():
    data = GuardedData.of(toy_data())
    with pytest.raises(TestSplitRead, match=r"data\.test"):
        _ = data.test
    assert data.without_test().test is None
    assert type(data.subset(torch.arange(3))) is not GuardedData
    assert data.fingerprint == toy_data().fingerprint
    assert len(data) == 60


def test_planted_labels_are_wrong_where_it_says_so():
    data, wrong = planted()
    assert torch.equal(data.labels != toy_data().labels, wrong)
    assert int(wrong.sum()) == 6


def test_the_kit_does_not_need_pytest():
    code = (
        "import sys\n"
        "from condense import build_host\n"
        "from condense.testing import check_component\n"
        "host = build_host(external=False)\n"
        "check_component('selector', host.registry('selector').get('window'))\n"
        "assert 'pytest' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_component_that_cannot_be_made_for_the_kit_is_named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "two_at_once.py").write_text(
        """
from condense import Options, hookimpl

class One:
    name, version, Options = "one", "1", Options
    def __init__(self, options): ...
    def score(self, data, context, rng): ...

class Two(One):
    name = "two"

@hookimpl
def condense_register_scorers(register):
    register(One)
    register(Two)

CONFORMANCE = {f"scorer:{name}": {"options": {"n": 1}} for name in ("one", "two")}
"""
    )
    with pytest.raises(BrokenPlugin, match=r"One.*; .*Two"):
        check_plugin(build_host(external=False), "two_at_once")
