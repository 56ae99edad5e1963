"""A search through the engine: known accuracies, what is read, what is written."""

import html
import itertools
import re
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch

import condense_plugins
from condense import Method, Options, Preset, shrink as in_python
from condense.engine.arms import own_augmentations, whole_plan
from condense.engine.ingest.from_user import labeled_data
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.errors import DataError, FindingWarning, OptionError
from condense.options import parse_assignment
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.resolve import Request
from condense.results import Evaluation
from condense.studies.shrinking.design import fraction_of, make_shrinking, sizes_of
from condense.studies.shrinking.final import answer
from condense.studies.shrinking.result import figure_of
from condense.studies.shrinking.run import plan_shrinking, shrink

STAGES = {
    "data": {"component": "digits"},
    "scorer": {"component": "random"},
    "selector": {"component": "random"},
    "policy": {"component": "frozen"},
    "matcher": {"component": "none"},
    "augmentation": {"component": "none"},
    "evaluator": {"component": "known"},
}
SELECTORS = {"random": "random", "good": "easiest", "poor": "hardest"}  # equal sets are stored once
FAR = 100.0  # inputs of the test split lie beyond
ASKED = {"keep": 0.9, "metric": "accuracy", "max_fraction": 0.5, "seeds": 2}


class Known:
    """Right about the easiest of every class: of n samples, a share 1 - wrong / n of them."""

    name, version, Options = "known", "1", Options
    wrong: ClassVar = {}
    tests: ClassVar = []
    says: ClassVar = True

    def __init__(self, options):
        self.options = options

    def evaluate(self, arm, test, augmentation, context, rng):
        self.tests.append((arm.name, bool((test.inputs > FAR).all())))
        wrong = self.wrong[arm.name]
        if wrong is None:
            raise DataError(f"{arm.name} cannot be evaluated")
        share = max(0.0, 1 - wrong / len(arm.draw(0)))
        classes = test.geometry.classes
        right, rates = torch.zeros(len(test.labels)), []
        for label in range(classes):
            own = torch.nonzero(test.labels == label).flatten()
            right[own[: round(share * len(own))]] = 1
            rates.append(float(right[own].mean()))
        told = right if self.says else None
        return Evaluation((float(right.mean()),), {"steps": 3}, 0.0, tuple(rates), told)


class Plugin:
    """Random subsets and two methods."""

    @hookimpl
    def condense_register_evaluators(self, register):
        register(Known)

    @hookimpl
    def condense_register_methods(self, register):
        for name, selector in SELECTORS.items():
            register(Method(name, name, STAGES | {"selector": {"component": selector}}))

    @hookimpl
    def condense_register_presets(self, register):
        register(Preset("quick", "a minute", {}, ipc=5))


@pytest.fixture(autouse=True)
def known(monkeypatch):
    wrong = {"random": 30.0, "good": 4.0, "poor": 60.0, "whole": 24.0}
    monkeypatch.setattr(Known, "wrong", wrong)
    monkeypatch.setattr(Known, "tests", [])
    monkeypatch.setattr(Known, "says", True)
    return Known


@pytest.fixture
def host(monkeypatch):
    """The built-in components but for methods and presets."""
    modules = [m for m in condense_plugins.MODULES if not m.endswith("methods")]
    monkeypatch.setattr(condense_plugins, "MODULES", modules)
    return build_host(external=False, extra=[Plugin()])


@pytest.fixture(scope="module")
def data():
    """1 000 samples of two classes, 3 to 1, and a test split of 200."""
    rng = np.random.default_rng(0)

    def draw(n):
        return rng.normal(size=(n, 2)).astype("float32"), (np.arange(n) % 4 == 0).astype(int)

    samples, labels = draw(200)
    return labeled_data(
        *draw(1000), test=(samples + 2 * FAR, labels), classes=["ant", "bee"], name="two"
    )


@pytest.fixture
def bind(host, tmp_path, data):
    def make(recipe, **more):
        tools = {"store": Store(tmp_path / "store"), "progress": SilentProgress()}
        more.setdefault("data", data)
        return Pipeline(recipe, host, device=torch.device("cpu"), **tools, **more)

    return make


@pytest.fixture
def found(host, bind):
    def make(methods=("good", "poor"), **more):
        shrinking = make_shrinking(host, Request(), bind, methods, **{**ASKED, **more})
        return shrink(shrinking, bind, SilentProgress())

    return make


def test_the_method_and_the_size_are_those_that_are_known(found, bind):
    result = found()
    document = result.document
    # of the whole's 800, 24 / 800 are wrong, and 30 / 640 of a random part: that much is added
    target = 0.9 * (1 - 24 / 800 + 30 / 640 - 24 / 800)
    assert document.target == pytest.approx(target, abs=0.005)
    assert document.method == "good"
    # between sizes √2 apart, and whole samples that are right
    assert document.size.estimate == pytest.approx(4 / (1 - target), rel=0.15)
    assert document.size.low <= document.size.estimate <= document.size.high
    assert document.size.samples >= document.size.high
    random = result.found.estimates[result.found.methods.index("random")]
    assert random == pytest.approx(30 / (1 - target), rel=0.15)
    assert document.to_random.times == pytest.approx(random / document.size.estimate)
    assert document.to_random.smaller
    assert (document.validation.fit, document.validation.held_out) == (800, 200)


def test_the_test_split_is_read_once_an_arm_at_the_end(found, bind, known):
    result = found()
    assert {name for name, _ in known.tests} == {"good", "poor", "random", "whole"}
    assert {same for _, same in known.tests} == {False}
    known.tests.clear()
    reached = answer(result, bind)
    assert sorted(known.tests) == [(name, True) for name in ("good", "random", "whole")]
    samples = reached.document.size.samples
    test = reached.document.test
    assert len(reached.condensed) == samples
    assert test.condensed == pytest.approx(1 - 4 / samples, abs=0.02)
    assert test.random == pytest.approx(1 - 30 / samples, abs=0.02)
    assert test.whole == pytest.approx(1 - 24 / 1000, abs=0.01)
    assert test.kept == test.condensed / test.whole >= 0.9
    # a notebook shows the answer in a sentence, the curve, and a picture of the set
    shown = reached._repr_html_()
    assert f"<strong>{html.escape(reached.document.verdict)}</strong>" in shown
    points = [*reached.document.curve, reached.document.whole]
    assert re.findall(r"<tr><td>(\w+)</td><td>(\d+)</td>", shown) == [
        (point.method, str(point.samples)) for point in points
    ]
    assert "<img " in shown
    assert repr(reached) == f"Answer({reached.document.verdict!r})"


def test_sizes_lie_close_around_the_answer_and_far_ones_are_not_measured(found):
    result = found()
    own = [row.samples for row in result.rows if row.method == "good"]
    estimate = result.document.size.estimate
    below, above = (max(n for n in own if n < estimate), min(n for n in own if n >= estimate))
    assert above / below < 1.5
    assert len(own) <= 6
    assert [row.samples for row in result.rows if row.method == "poor"] != own


def test_why_more_samples_are_kept_than_the_interval_asks_for_is_said(found):
    document = found().document

    def verdict(samples, high):
        size = document.size.model_copy(update={"samples": samples, "high": high})
        return document.model_copy(update={"size": size}).verdict

    assert verdict(120, 83.6).endswith(
        ", 84 is the upper end of a one-sided 90 % interval, and the next size up in whole samples "
        "of every class is 120"
    )
    assert verdict(84, 83.6).endswith(", 84 is the upper end of a one-sided 90 % interval")


def test_where_nothing_is_enough_that_is_said_and_nothing_is_made(found, bind, known):
    known.wrong = dict.fromkeys(("random", "good", "poor"), 200.0) | {"whole": 24.0}
    reached = answer(found(), bind)
    document = reached.document
    assert (document.size, document.method, document.test, document.to_random) == (None,) * 4
    assert reached.condensed is None
    assert "nothing up to 50 % of the training split is sure to keep 90 %" in document.verdict
    assert {same for _, same in known.tests} == {False}


def test_that_no_method_is_better_than_random_is_said(found, known):
    known.wrong |= {"good": 29.5, "poor": 60.0}
    document = found().document
    assert document.method == "good"
    assert not document.to_random.smaller
    assert document.beside_random.startswith("not significantly smaller than a random subset")


def test_random_itself_may_be_the_answer(found, known):
    known.wrong |= {"random": 5.0, "good": 30.0, "poor": 30.0}
    document = found().document
    assert (document.method, document.to_random) == ("random", None)
    assert document.beside_random == "no method needs fewer samples than a random subset"


@pytest.mark.parametrize("metric", ["balanced-accuracy", "worst-class"])
def test_other_metrics(found, bind, metric):
    reached = answer(found(metric=metric), bind)
    samples = reached.document.size.samples
    assert reached.document.test.condensed == pytest.approx(1 - 4 / samples, abs=0.02)


def test_the_largest_part_is_a_share_of_the_whole(found, known):
    known.wrong = dict.fromkeys(("random", "good", "poor"), 200.0) | {"whole": 24.0}
    rows = found(max_fraction=0.3).rows
    assert max(row.samples for row in rows) == 300  # of 1 000, of which a seed has 800


def test_a_target_that_guesses_reach_is_a_finding(found, known):
    def findings(**more):
        return [(one.code, one.message) for one in found(**more).document.findings]

    known.wrong |= {"whole": 160.0}  # a fifth of 800: 80 % right, of which 0.9 is to be kept
    assert findings(metric="balanced-accuracy") == []  # 50 % by guessing
    ((code, message),) = findings()  # 3 of 4 samples are ants
    assert code == "target-at-chance"
    assert "is not above what guessing reaches (75.00 %)" in message


def test_a_size_that_fails_for_a_method_leaves_the_others(found, known, monkeypatch):
    """Above 60 samples, among which the answer would lie."""
    known.wrong |= {"good": 8.0}
    plain, evaluate = found(), Known.evaluate
    size = plain.document.size.samples
    assert plain.document.method == "good"

    def fails(self, arm, *more):
        if arm.name == "good" and len(arm.draw(0)) > size:
            raise DataError("no room left")
        return evaluate(self, arm, *more)

    monkeypatch.setattr(Known, "evaluate", fails)
    monkeypatch.setattr(Known, "version", "2")  # nothing stored
    notes = []
    monkeypatch.setattr(SilentProgress, "note", lambda self, text: notes.append(text))
    document = found().document
    own = [point.samples for point in document.curve if point.method == "good"]
    assert own
    assert max(own) <= size
    ((name, why),) = document.errors.items()
    assert name.startswith("good at ")
    assert name.endswith(" samples")
    assert min(int(n) for n in name[8:-8].split(", ")) > size
    assert why == "no room left"
    assert [note for note in notes if "left out" in note] == [
        f"good at {name[8:-8].split(', ')[0]} samples is left out: no room left"
    ]


def test_a_tested_metric_is_taken_of_each_network_by_itself():
    parts = [Evaluation((0.6,), per_class=rates) for rates in ((0.2, 1.0, 0.0), (1.0, 0.4, 0.0))]
    found, counts = Evaluation.of_repeats(parts), np.array([10, 10, 0])
    assert figure_of(found, counts, "worst-class") == pytest.approx(
        (0.2 + 0.4) / 2
    )  # not min 0.6, 0.7
    assert figure_of(found, counts, "balanced-accuracy") == pytest.approx(0.65)
    assert figure_of(found, counts, "accuracy") == pytest.approx(0.6)
    assert figure_of(replace(found, each=()), counts, "worst-class") == pytest.approx(0.6)


def test_a_tracker_watches_the_answer(host, data):
    class Told:
        name, version, Options = "told", "1", Options
        calls: ClassVar = []

        def __init__(self, options):
            pass

        def begin(self, run):
            self.calls.append(run.name)

        def figures(self, step, values):
            self.calls.append(sorted(values))

        def picture(self, step, image):
            pass

        def artefact(self, folder):
            pass

        def close(self, done):
            self.calls.append(done)

    class Trackers:
        @hookimpl
        def condense_register_trackers(self, register):
            register(Told)

    watching = build_host(external=False, extra=[Plugin(), Trackers()])
    found = in_python(
        data, methods=["good"], keep=0.9, seeds=2, host=watching, tracker="told"
    ).document
    name, *figures, done = Told.calls
    assert name == f"good-two-fraction{found.size.fraction:g}-s0"
    assert figures == [[f"accuracy/{arm}"] for arm in ("condensed", "random", "whole")]
    assert done


def test_a_method_that_fails_is_left_out(found, known):
    known.wrong["poor"] = None
    document = found().document
    assert document.errors == {"poor": "poor cannot be evaluated"}
    assert document.method == "good"


def test_random_subsets_must_not_fail(found, known):
    known.wrong["random"] = None
    with pytest.raises(DataError, match="random cannot be evaluated"):
        found()


def test_an_evaluator_must_say_which_samples_were_right(found, known):
    known.says = False
    with pytest.raises(OptionError, match="does not say which samples were right"):
        found()


def test_equal_calls_give_equal_documents_and_do_nothing_twice(found, known):
    first = found().document
    known.tests.clear()
    again = found().document
    assert again.for_file.text() == first.for_file.text()
    assert known.tests == []


def test_a_plan_counts_what_there_is(host, bind):
    shrinking = make_shrinking(host, Request(), bind, ("good", "poor"), **ASKED)
    plan = plan_shrinking(shrinking, bind, SilentProgress())
    times = {work.stage: work.times for work in plan.stages}
    # 2 seeds × 3 methods × 4 sizes, and a random part beside the whole; then the answer's
    assert times["selector"] == 2 * (3 * 4 + 1) + 1
    assert times["whole"] == 2 + 1
    assert plan.failed == {}


def test_in_python(host, data, known):
    found = in_python(data, methods=["good"], keep=0.9, seeds=2, host=host)
    assert found.document.method == "good"
    assert len(found.condensed) == found.document.size.samples
    assert found.condensed.results["accuracy"]["mean"] == found.document.test.condensed
    known.wrong |= {"good": 300.0, "random": 300.0}
    with pytest.warns(FindingWarning, match="nothing up to 10 %"):
        found = in_python(data, methods=["good"], max_fraction=0.1, seeds=2, host=host)
    assert found.condensed is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"keep": 1.0}, "keep must be in (0, 1), got 1; try keep=0.95"),
        (
            {"max_fraction": 0.8},
            "max_fraction must be in (0, 0.8), as each seed holds the rest out",
        ),
        ({"metric": "acuracy"}, "unknown metric=\"acuracy\"; did you mean 'accuracy'?"),
        ({"methods": ["goood"]}, "unknown method 'goood'"),
        ({"ipc": 5}, "leave ipc out"),
    ],
)
def test_mistakes_in_python(host, data, given, said):
    with pytest.raises(OptionError) as error:
        in_python(data, host=host, **{"methods": ["good"], **given})
    assert said.replace("?", "") in str(error.value).replace("?", "")


def test_sizes_go_down_to_one_sample_a_class(data):
    fractions = sizes_of(data, 0.5)
    totals = [sum(counts) for counts in (_counts(data, f) for f in fractions)]
    assert (totals[0], totals[-1]) == (2, 500)
    assert all(a < b <= 2 * a for a, b in itertools.pairwise(totals))


@pytest.mark.parametrize("samples", [2, 3, 7.5, 40, 333.3, 500])
def test_the_fraction_is_the_least_that_keeps_enough(data, samples):
    fraction = fraction_of(data, samples)
    assert sum(_counts(data, fraction)) >= samples
    tried = np.linspace(0.0005, 1, 20_000)  # by brute force
    least = next(f for f in tried if sum(_counts(data, f)) >= samples)
    assert fraction <= least + 1e-9
    assert sum(_counts(data, 0.999 * fraction)) < samples or samples == 2


def _counts(data, fraction):
    from condense.results import Budget

    return Budget(fraction=fraction).counts(data)


@pytest.fixture
def built_in(tmp_path):
    """The built-in components and what binds a recipe to them."""
    host = build_host(external=False)
    tools = {"store": Store(tmp_path / "own"), "progress": SilentProgress()}
    return host, lambda recipe: Pipeline(recipe, host, device=torch.device("cpu"), **tools)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ((), "simple"),
        (("augmentation=dsa",), "dsa"),
        (("augmentation=dsa", 'evaluator.baseline_augmentations=["simple"]'), "dsa"),
        (('evaluator.baseline_augmentations=["dsa","simple"]',), "dsa"),
    ],
)
def test_sets_and_the_whole_are_trained_under_one_augmentation(built_in, given, name):
    host, bind = built_in
    request = Request("random", assignments=tuple(map(parse_assignment, given)))
    shrinking = make_shrinking(host, request, bind, **ASKED)
    for method in (*shrinking.methods, "random"):
        for final in (False, True):
            bound = bind(shrinking.recipe(method, 0.1, 0, final))
            own = own_augmentations(bound, matched=False)
            whole = whole_plan(bound).augmentations
            assert [one.name for one in (*own, *whole)] == [name, name]


def test_an_augmentation_that_the_whole_cannot_have_is_refused(built_in):
    host, bind = built_in
    given = ("augmentation=dsa", "augmentation.strategy=color")
    request = Request("random", assignments=tuple(map(parse_assignment, given)))
    with pytest.raises(OptionError, match=r"`augmentation=dsa` with options of its own"):
        make_shrinking(host, request, bind, **ASKED)
