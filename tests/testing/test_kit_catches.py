"""The kit itself: components that are wrong in one way each, caught by the check meant for it."""

import contextlib
import random
import re
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from pydantic import Field, model_validator
from torch import nn

from condense.data import Normalization
from condense.errors import DataError, OptionError
from condense.options import Options
from condense.results import Evaluation, MatchPlan, MatchStep, Selection
from condense.selection import real_places
from condense.testing import (
    ConformanceError,
    check_component,
    run_checks,
    toy_data,
)


class Base:
    """A component that keeps its options."""

    version: ClassVar[str] = "1"

    class Options(Options):
        scale: float = Field(1.0, gt=0, description="factor of what is returned")

    def __init__(self, options):
        self.options = options


class Scorer(Base):
    """Squared distance to the mean of the sample's class."""

    name: ClassVar[str] = "distance"

    def score(self, data, context, rng):
        values = data.inputs.flatten(1).float()
        mean = torch.stack(
            [values[data.labels == c].mean(0) for c in range(len(data.classes))]
        ).nan_to_num()
        return (values - mean[data.labels]).square().mean(1) * self.options.scale


class Selector(Base):
    """The hardest of each class."""

    name: ClassVar[str] = "top"
    needs_scores: ClassVar[bool] = True

    def select(self, data, scores, budget, context, rng):
        if scores is None:
            raise OptionError("selector 'top' needs scores")
        chosen = []
        for label, count in enumerate(budget.counts(data)):
            members = data.class_indices(label)
            order = torch.argsort(scores.values[members], descending=True, stable=True)
            chosen.append(members[order[:count]])
        return Selection.of_classes(chosen)


class Policy(Base):
    """Every other sample."""

    name: ClassVar[str] = "half"

    def split(self, selection):
        return torch.arange(len(selection.indices)) % 2 == 0


class Reselector(Base):
    """The first of each class that may be had."""

    name: ClassVar[str] = "first"
    needs_scores: ClassVar[bool] = False

    def complete(self, synthetic, data, scores, context, rng):
        return torch.cat([members[:n] for members, n in real_places(synthetic, data)])


class Augmentation(Base):
    """Adds a random constant."""

    name: ClassVar[str] = "shade"

    def draw(self, role, geometry, rng):
        width = 1 if geometry.is_image else 0
        return torch.randn((*role.shape, width), generator=rng, device=role.device)

    def apply(self, inputs, draws):
        if inputs.dim() != 4:
            return inputs
        return inputs + draws[:, :, None, None].to(inputs.dtype)


class Network(Base):
    """A linear map."""

    name: ClassVar[str] = "linear"

    def build(self, geometry):
        size = int(np.prod(geometry.shape))
        return nn.Sequential(nn.Flatten(), nn.Linear(size, geometry.classes))


class Dataset(Base):
    """The kit's own toy data."""

    name: ClassVar[str] = "toy"

    def load(self, context):
        return toy_data()


class Matcher(Base):
    """Pulls every sample towards a mean image."""

    name: ClassVar[str] = "pull"

    @property
    def plan(self):
        return MatchPlan(3, image_lr=0.1)

    def prepare(self, data, context, rng):
        self.target = torch.randn(8, 8, generator=rng)

    def step(self, synthetic, rng):
        miss = synthetic.inputs - self.target
        return MatchStep(miss.square().sum(), 2 * miss)


class Evaluator(Base):
    """Nearest class mean."""

    name: ClassVar[str] = "nearest"

    def evaluate(self, arm, test, augmentation, context, rng):
        train = arm.draw(0)
        flat, held = train.inputs.flatten(1).float(), test.inputs.flatten(1).float()
        means = torch.stack([flat[train.labels == c].mean(0) for c in range(3)]).nan_to_num(1e9)
        right = torch.cdist(held, means).argmin(1) == test.labels
        return Evaluation((float(right.double().mean()),), {"by": "class means"})


CHECK = {
    "scorer": Scorer,
    "selector": Selector,
    "policy": Policy,
    "reselector": Reselector,
    "augmentation": Augmentation,
    "network": Network,
    "data": Dataset,
    "matcher": Matcher,
    "evaluator": Evaluator,
}
METHOD = {
    "scorer": "score",
    "selector": "select",
    "policy": "split",
    "reselector": "complete",
    "augmentation": "apply",
    "network": "build",
    "data": "load",
    "matcher": "step",
    "evaluator": "evaluate",
}


@pytest.mark.parametrize("kind", CHECK)
def test_the_right_components_pass(kind):
    component = CHECK[kind]
    check_component(kind, component)
    check_component(kind, component(component.Options(scale=2)))


def wrong(kind, body, **members):
    """The right component of ``kind`` whose main method is ``body(self, right, *args)``."""
    base = CHECK[kind]

    def method(self, *args):
        return body(self, getattr(super(cls, self), METHOD[kind]), *args)

    cls = type("Wrong", (base,), {"__doc__": "Wrong.", METHOD[kind]: method, **members})
    return cls


def after(action):
    """A body that does as it should, and ``action`` as well."""

    def body(self, right, *args):
        result = right(*args)
        action(*args)
        return result

    return body


def on_scores(change):
    def body(self, right, data, context, rng):
        return change(right(data, context, rng), data)

    return body


def put(tensor, place, value):
    tensor[place] = value
    return tensor


ANY_KIND = {
    "check_prints_nothing": (lambda *a: print("hello"), "printed 'hello'"),
    "check_global_randomness_untouched": (
        lambda *a: torch.manual_seed(1),
        "changed the global random state of torch",
    ),
    "check_global_settings_untouched": (
        lambda *a: torch.set_grad_enabled(False),
        "grad mode True → False",
    ),
}


@pytest.mark.parametrize("kind", [k for k in CHECK if k != "network"])
@pytest.mark.parametrize("check", ANY_KIND)
def test_faults_that_any_kind_may_have(kind, check):
    action, message = ANY_KIND[check]
    assert caught(kind, wrong(kind, after(action)))[check].find(message) > 0
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("draw", "library"),
    [
        (lambda: random.random(), "random"),
        (lambda: float(np.random.rand()), "numpy"),
        (lambda: float(torch.rand(())), "torch"),
    ],
)
def test_each_global_generator_is_watched(draw, library):
    failures = caught("scorer", wrong("scorer", on_scores(lambda s, d: s + draw())))
    assert f"random state of {library};" in failures["check_global_randomness_untouched"]
    told = failures["check_does_not_depend_on_global_seed"]
    assert "depends on the global seed" in told


def relabelled(data):
    return replace(data, labels=data.labels.clone())


def test_a_copy_with_other_labels_reads_no_test_split():
    def scores(self, right, data, context, rng):
        return right(relabelled(data), context, rng)

    run_checks("scorer", wrong("scorer", scores)).raise_failures()


@pytest.mark.parametrize("error", [ZeroDivisionError, AssertionError])
def test_the_test_split_of_a_copy_is_read(error):
    """Also by one that goes on without it."""

    def scores(self, right, data, context, rng):
        with contextlib.suppress(error):
            len(relabelled(data).test)
        return right(data, context, rng)

    assert (
        "read data.test"
        in caught("scorer", wrong("scorer", scores))["check_test_split_is_not_read"]
    )


class Drops(nn.Module):
    """Drops half of its inputs, and draws a number by ``draw``."""

    def __init__(self, always=False, draw=lambda: None):
        super().__init__()
        self.always, self.draw = always, draw

    def forward(self, inputs):
        self.draw()
        return nn.functional.dropout(inputs, 0.5, self.always or self.training)


def dropping(**how):
    return wrong("network", lambda self, right, g: nn.Sequential(Drops(**how), right(g)))


def test_a_network_may_draw_from_torch_in_training():
    before = torch.get_rng_state()
    run_checks("network", dropping()).raise_failures()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("how", [{"always": True}, {"draw": np.random.rand}])
def test_a_network_draws_from_nothing_else_and_not_in_evaluation(how):
    assert "check_global_randomness_untouched" in caught("network", dropping(**how))


def caught(kind, component):
    """Message by name of every check that ``component`` fails."""
    return {o.check: o.message for o in run_checks(kind, component).failures}


class ReadsAFile(Scorer):
    """Reads in its constructor."""

    def __init__(self, options):
        super().__init__(options)
        with open(__file__) as file:
            self.text = file.read()


class DrawsAtOnce(Scorer):
    """Draws in its constructor."""

    def __init__(self, options):
        super().__init__(options)
        self.noise = torch.rand(3)


class Helpless(Scorer):
    """An option without help."""

    class Options(Options):
        scale: float = 1.0


class Sloppy(Scorer):
    """Options that forgive everything."""

    class Options(Options, extra="ignore", frozen=False):
        scale: float = Field(1.0, description="factor")


class Unreadable(Scorer):
    """An option that JSON does not keep."""

    class Options(Options):
        scale: float = Field(1.0, description="factor")
        extra: set[int] | tuple[int, ...] = Field((), description="written as a list")


class Nameless(Scorer):
    """In camel case."""

    name = "MyScorer"


SCORERS = {
    "sign": (
        on_scores(lambda s, d: -s),
        "check_harder_is_higher",
        "no higher than the other 54.*sign flipped",
    ),
    "no-sense": (
        on_scores(lambda s, d: d.inputs.flatten(1).float().std(1)),
        "check_harder_is_higher",
        "must rise with difficulty",
    ),
    "short": (
        on_scores(lambda s, d: s[:-1]),
        "check_scores_are_one_per_sample",
        r"shape \(59,\) for 60 samples, expected \(60,\)",
    ),
    "column": (
        on_scores(lambda s, d: s[:, None]),
        "check_scores_are_one_per_sample",
        r"shape \(60, 1\)",
    ),
    "whole-numbers": (
        on_scores(lambda s, d: s.long()),
        "check_scores_are_one_per_sample",
        "torch.int64, expected float32",
    ),
    "nan": (
        on_scores(lambda s, d: put(s, 7, torch.nan)),
        "check_scores_are_finite",
        "rated sample 7 of 60 nan",
    ),
    "infinite": (
        on_scores(lambda s, d: put(s, 3, torch.inf)),
        "check_scores_are_finite",
        "rated sample 3 of 60 inf",
    ),
    "test-split": (
        on_scores(lambda s, d: s + 0 * float(d.test.inputs.float().mean())),
        "check_test_split_is_not_read",
        "read data.test",
    ),
    "global-seed": (
        on_scores(lambda s, d: s + torch.rand(len(s))),
        "check_does_not_depend_on_global_seed",
        "depends on the global seed",
    ),
    "changes-inputs": (
        on_scores(lambda s, d: (d.inputs.zero_(), s)[1]),
        "check_inputs_not_modified",
        "changed its input: data.inputs",
    ),
    "changes-labels-by-numpy": (
        on_scores(lambda s, d: (d.labels.numpy().sort(), s)[1]),
        "check_inputs_not_modified",
        "changed its input: data.labels",
    ),
    "positions": (
        on_scores(lambda s, d: s * 0 + torch.arange(len(s))),
        "check_scores_follow_their_samples",
        "not to positions",
    ),
    "clock": (
        on_scores(lambda s, d: s + time.perf_counter() % 1),  # seconds since start are too coarse
        "check_same_seed_same_result",
        "another result with the same seed",
    ),
    "remembers-length": (
        on_scores(lambda s, d: torch.cat([s, s])[:60]),
        "check_other_length_is_followed",
        r"\(60,\) scores for 53 samples",
    ),
    "small-class": (
        on_scores(lambda s, d: s / (torch.bincount(d.labels, minlength=3).min() > 0)),
        "check_small_classes_work",
        "class of one sample",
    ),
    "raises": (
        on_scores(lambda s, d: 1 / 0),
        "check_works_on_toy_data",
        "raised ZeroDivisionError",
    ),
}
FORMS = {
    ReadsAFile: ("check_constructor_does_no_work", "opens a file in __init__"),
    DrawsAtOnce: ("check_constructor_does_no_work", "global randomness of torch in __init__"),
    Helpless: ("check_options_have_help_and_default", "option 'scale' without help"),
    Sloppy: ("check_options_are_frozen", "must be frozen"),
    Unreadable: ("check_options_survive_json", "JSON changes"),
    Nameless: ("check_has_the_form_of_its_kind", "kebab-case"),
}


def expect(kind, component, check, message, setup=None):
    """That ``component`` fails ``check`` with a message that matches, in the report too."""
    report = run_checks(kind, component, setup=setup)
    told = {o.check: o.message for o in report.failures}
    assert check in told, report.text()
    assert re.search(message, told[check]), told[check]
    assert report.text().startswith(f"{kind} '{component.name}' fails {len(told)} of ")
    assert told[check] in report.text()
    with pytest.raises(ConformanceError, match=check):
        report.raise_failures()


@pytest.mark.parametrize("fault", SCORERS)
def test_wrong_scorers(fault):
    body, check, message = SCORERS[fault]
    expect("scorer", wrong("scorer", body), check, message)


@pytest.mark.parametrize("component", FORMS, ids=lambda c: c.__name__)
def test_wrong_forms(component):
    expect("scorer", component, *FORMS[component])


@pytest.mark.parametrize("fault", ["sign", "nan", "global-seed", "test-split", "positions"])
def test_a_fault_is_told_by_its_own_check_and_few_others(fault):
    failures = caught("scorer", wrong("scorer", SCORERS[fault][0]))
    others = {
        "nan": {"check_harder_is_higher", "check_scores_follow_their_samples"}
        | {"check_small_classes_work"},
        "global-seed": {"check_global_randomness_untouched", "check_same_seed_same_result"},
        "positions": {"check_harder_is_higher"},
    }.get(fault, set())
    if fault == "test-split":  # on data without a test split it fails as well
        others = {"check_other_length_is_followed", "check_small_classes_work"}
    assert set(failures) - {SCORERS[fault][1]} <= others


def choose(change):
    def body(self, right, data, scores, budget, context, rng):
        return change(right(data, scores, budget, context, rng), data, scores, budget)

    return body


def by_class(parts):
    return Selection.of_classes(parts)


def parts_of(chosen):
    return list(torch.split(chosen.indices, list(chosen.counts)))


def short_list(self, right, data, scores, budget, context, rng):
    try:
        return right(data, scores, budget, context, rng)
    except DataError:
        return by_class([data.class_indices(c) for c in range(len(data.classes))])


def vague(self, right, data, scores, budget, context, rng):
    try:
        return right(data, scores, budget, context, rng)
    except DataError:
        raise DataError("not enough") from None


SELECTORS = {
    "too-few": (
        choose(lambda s, d, v, b: by_class([p[:-1] for p in parts_of(s)])),
        "check_selects_exactly_the_budget",
        r"returned \[3, 3, 3\] samples per class, asked were \[4, 4, 4\] \(Budget\(ipc=4",
    ),
    "twice": (
        choose(lambda s, d, v, b: by_class([p[:1].expand(len(p)) for p in parts_of(s)])),
        "check_selects_exactly_the_budget",
        "chose a sample twice",
    ),
    "ungrouped": (
        choose(lambda s, d, v, b: Selection(s.indices.flip(0), s.labels.flip(0), s.counts)),
        "check_selects_exactly_the_budget",
        "group its samples by class",
    ),
    "easiest-first": (
        choose(lambda s, d, v, b: by_class([p.flip(0) for p in parts_of(s)])),
        "check_scored_samples_come_hardest_first",
        "expected hardest first",
    ),
    "short-class": (short_list, "check_short_class_is_an_error", "expected a DataError"),
    "vague-error": (vague, "check_short_class_is_an_error", "expected the class, the count"),
    "test-split": (
        choose(lambda s, d, v, b: (d.test, s)[1]),
        "check_test_split_is_not_read",
        "read data.test",
    ),
    "changes-scores": (
        choose(lambda s, d, v, b: (v.values.zero_(), s)[1]),
        "check_inputs_not_modified",
        "changed its input: scores.values",
    ),
}


@pytest.mark.parametrize("fault", SELECTORS)
def test_wrong_selectors(fault):
    body, check, message = SELECTORS[fault]
    expect("selector", wrong("selector", body), check, message)


class Backwards(Selector):
    """Its beta leads to the hard end."""

    class Options(Options):
        beta: float = Field(0.5, ge=0, lt=1, description="share that is skipped")

    def select(self, data, scores, budget, context, rng):
        chosen = []
        for label, count in enumerate(budget.counts(data)):
            members = data.class_indices(label)
            ranked = members[torch.argsort(scores.values[members], descending=True, stable=True)]
            start = int((1 - self.options.beta) * (len(ranked) - count))
            chosen.append(ranked[start : start + count])
        return Selection.of_classes(chosen)


def test_a_beta_that_leads_to_the_hard_end():
    expect("selector", Backwards, "check_larger_beta_is_never_harder", "selects harder samples")


class Banded(Selector):
    """The hardest; options that depend on each other."""

    class Options(Options):
        low: float = Field(0.2, ge=0, le=1, description="start")
        high: float = Field(0.8, ge=0, le=1, description="end")
        beta: float = Field(0.0, ge=0, le=0.3, description="share that is skipped")

        @model_validator(mode="after")
        def _ascending(self):
            if not self.low < self.high:
                raise ValueError("low must be below high")
            return self


class AtLeastHalf(Policy):
    """The first of each class, half of them or more."""

    class Options(Options):
        alpha: float = Field(0.5, ge=0.5, le=1, description="share")

    def split(self, selection):
        counts = [(n, int(self.options.alpha * n + 1e-9)) for n in selection.counts]
        return torch.cat([torch.arange(n) < distilled for n, distilled in counts])


@pytest.mark.parametrize(("kind", "component"), [("selector", Banded), ("policy", AtLeastHalf)])
def test_values_that_the_options_refuse_are_no_fault(kind, component):
    run_checks(kind, component).raise_failures()


class Strict(Banded):
    """Fails at one edge that its options allow."""

    def select(self, data, scores, budget, context, rng):
        if self.options.high == 1:
            raise OptionError("high=1 is too much")
        return super().select(data, scores, budget, context, rng)


def test_edges_that_the_options_allow_are_looked_at():
    expect("selector", Strict, "check_edge_options_keep_the_budget", "refuses high=1.0 with")


class Rounds(Policy):
    """Rounds instead of cutting off."""

    class Options(Options):
        alpha: float = Field(0.5, ge=0, le=1, description="share that is distilled")

    def split(self, selection):
        parts = [torch.arange(n) < round(self.options.alpha * n) for n in selection.counts]
        return torch.cat(parts)


def taking(body):
    """A reselector that takes ``body`` of the first of each class that may be had."""

    def complete(self, right, synthetic, data, scores, context, rng):
        return torch.cat([body(m, n, synthetic) for m, n in real_places(synthetic, data)])

    return complete


OTHERS = {
    "real-part-short": (
        wrong("reselector", taking(lambda m, n, s: m[: n - 1] if n else m[:0])),
        "check_keeps_the_number_of_each_class",
        r"returned \[6, 9, 4\] samples per class, asked were \[7, 10, 5\]",
    ),
    "one-class-helps-out": (
        wrong("reselector", taking(lambda m, n, s: m[: max(n, 1)])),
        "check_class_without_real_samples_gets_none",
        r"returned \[1, 4, 1\] samples per class, asked were \[0, 4, 1\]",
    ),
    "real-sample-twice": (
        wrong("reselector", taking(lambda m, n, s: m[:1].repeat(n))),
        "check_keeps_the_number_of_each_class",
        "chose a sample twice",
    ),
    "distilled-as-well": (
        wrong(
            "reselector", lambda self, right, s, *a: s.source_index.flip(0)[: (s.role == 0).sum()]
        ),
        "check_keeps_the_number_of_each_class",
        "that a distilled one started from",
    ),
    "mask-of-places": (
        wrong("reselector", lambda self, right, s, *a: s.role == 0),
        "check_keeps_the_number_of_each_class",
        r"returned bool \(22,\), expected int64 \[R\]",
    ),
    "whole-class-is-too-much": (
        wrong("reselector", taking(lambda m, n, s: m[-n - 3 : -3] if n else m[:0])),
        "check_whole_classes_are_kept",
        "samples per class",
    ),
    "labels-without-logits": (
        wrong(
            "reselector",
            lambda self, right, s, *a: right(s, *a)[: None if s.label_logits is None else -1],
        ),
        "check_learned_labels_are_understood",
        "samples per class",
    ),
    "mask-of-numbers": (
        wrong("policy", lambda self, right, s: right(s).float()),
        "check_mask_is_one_bool_per_sample",
        "torch.float32",
    ),
    "mask-too-short": (
        wrong("policy", lambda self, right, s: right(s)[1:]),
        "check_mask_is_one_bool_per_sample",
        r"\(21,\)",
    ),
    "alpha-rounded": (Rounds, "check_alpha_counts_by_class", r"expected \[2, 2, 1\]"),
    "apply-draws": (
        wrong("augmentation", lambda self, right, x, d: right(x, d) + torch.rand(())),
        "check_equal_draws_give_equal_changes",
        "randomness belongs into draw",
    ),
    "apply-by-position": (
        wrong(
            "augmentation",
            lambda self, right, x, d: right(x, d) * torch.arange(len(x)).view(-1, *[1] * 3),
        ),
        "check_samples_are_changed_one_by_one",
        "not its position",
    ),
    "apply-stops-gradient": (
        wrong("augmentation", lambda self, right, x, d: right(x.detach(), d)),
        "check_gradient_passes_through",
        "not differentiable",
    ),
    "apply-changes-type": (
        wrong("augmentation", lambda self, right, x, d: right(x.float(), d)),
        "check_shape_and_type_are_kept",
        "torch.float64",
    ),
    "deaf-to-rng": (
        type("Deaf", (Augmentation,), {"draw": lambda self, r, g, rng: r.float()[..., None]}),
        "check_draws_come_from_the_generator",
        "is the rng used",
    ),
    "one-class-too-many": (
        wrong("network", lambda self, right, g: nn.Sequential(nn.Flatten(), nn.LazyLinear(4))),
        "check_logits_have_one_column_per_class",
        r"expected \(4, 10\)",
    ),
    "idle-parameter": (
        wrong("network", lambda self, right, g: put_idle(right(g))),
        "check_every_parameter_learns",
        "parameters that no loss reaches",
    ),
    "batch-statistics": (
        wrong("network", lambda self, right, g: nn.Sequential(right(g), Centre())),
        "check_evaluation_looks_at_one_sample_at_a_time",
        "other logits alone",
    ),
    "own-seed": (
        wrong("network", lambda self, right, g: (torch.manual_seed(1), right(g))[1]),
        "check_seed_settles_the_start",
        "the same from every seed",
    ),
    "labels-from-one": (
        wrong("data", lambda self, right, c: shifted(right(c))),
        "check_labels_name_classes",
        "labels 1 to 3, expected 0 to 2",
    ),
    "float-images": (
        wrong("data", lambda self, right, c: floats(right(c))),
        "check_inputs_are_images_or_features",
        r"inputs float32 \(60, 8, 8, 1\), expected uint8",
    ),
    "blank-channel": (
        wrong("data", lambda self, right, c: blank(right(c))),
        "check_normalization_fits",
        "expected them above 0",
    ),
    "tests-on-training": (
        wrong("data", lambda self, right, c: leaky(right(c))),
        "check_test_split_is_not_the_training_split",
        "24 of 24 test samples",
    ),
    "wrong-gradient": (
        wrong("matcher", lambda self, right, s, r: scaled(right(s, r), -1)),
        "check_gradient_is_that_of_the_loss",
        "expected the same",
    ),
    "no-gradient": (
        wrong("matcher", lambda self, right, s, r: scaled(right(s, r), 0)),
        "check_gradient_reaches_the_samples",
        "zero in every sample",
    ),
    "loss-per-sample": (
        wrong("matcher", lambda self, right, s, r: vector_loss(right(s, r))),
        "check_loss_is_one_finite_number",
        "expected a scalar",
    ),
    "nan-loss": (
        wrong("matcher", lambda self, right, s, r: scaled(right(s, r), torch.nan)),
        "check_gradients_have_the_shape_of_their_targets",
        "not finite",
    ),
    "teacher-drifts": (
        wrong("matcher", lambda self, right, s, r: (self.target.add_(0.1), right(s, r))[1]),
        "check_step_carries_nothing_over",
        "changed in place",
    ),
    "hoards": (
        wrong("matcher", lambda self, right, s, r: hoard(right(s, r))),
        "check_memory_is_flat",
        "3 more tensors alive",
    ),
    "writes-into-the-set": (
        wrong("matcher", lambda self, right, s, r: (right(s, r), s.inputs.add_(1))[0]),
        "check_inputs_not_modified",
        "synthetic.inputs",
    ),
    "per-cent": (
        wrong("evaluator", lambda self, right, *a: Evaluation((97.5,))),
        "check_values_are_shares",
        "not per cent",
    ),
    "no-repeats": (
        wrong("evaluator", lambda self, right, *a: Evaluation(())),
        "check_values_are_shares",
        "at least one accuracy",
    ),
    "tensor-in-protocol": (
        wrong("evaluator", lambda self, right, *a: Evaluation((0.5,), {"t": torch.ones(1)})),
        "check_protocol_is_json",
        "not JSON",
    ),
    "better-of-two": (
        wrong("evaluator", lambda self, right, *a: best(right(*a))),
        "check_test_split_chooses_nothing",
        "chosen on the test split",
    ),
    "role-by-position": (
        wrong("evaluator", lambda self, right, *a: misrouted(right, *a)),
        "check_augmentation_follows_the_role",
        "by the role of another sample",
    ),
}


class Centre(nn.Module):
    """Subtracts the mean of the batch, in eval mode too."""

    def forward(self, inputs):
        return inputs - inputs.mean(0)


def put_idle(module):
    module.register_parameter("idle", nn.Parameter(torch.zeros(1)))
    return module


def shifted(data):
    return type(data)(data.inputs, data.labels + 1, data.classes, data.normalization)


def floats(data):
    return type(data)(data.inputs.float(), data.labels, data.classes, data.normalization)


def blank(data):
    return type(data)(data.inputs, data.labels, data.classes, Normalization((0.0,), (0.0,)))


def leaky(data):
    test = data.subset(torch.arange(24))
    return type(data)(data.inputs, data.labels, data.classes, data.normalization, test=test)


def scaled(step, factor):
    return MatchStep(step.loss, step.grad_inputs * factor)


def vector_loss(step):
    return MatchStep(step.loss.expand(3), step.grad_inputs)


KEPT = []


def hoard(step):
    KEPT.append(step.grad_inputs)
    return step


def best(result):
    return Evaluation(tuple(max(v, 0.9) for v in result.values))


def misrouted(right, arm, test, augmentation, context, rng):
    train = arm.draw(0)
    batch = torch.randperm(len(train), generator=rng)
    inputs = train.inputs[batch].permute(0, 3, 1, 2).float()
    augmentation.apply(inputs, augmentation.draw(train.role, train.geometry, rng))
    return right(arm, test, augmentation, context, rng)


def peeping(run, data):
    """Looks at the test split and keeps quiet about what that raises."""
    try:
        len(data.test)
    except Exception:
        return run()
    return run()


PEEPING = {
    "scorer": wrong("scorer", lambda self, right, d, *a: peeping(lambda: right(d, *a), d)),
    "selector": wrong("selector", lambda self, right, d, *a: peeping(lambda: right(d, *a), d)),
    "matcher": type(
        "Peeping",
        (Matcher,),
        {
            "__doc__": "Peeps.",
            "prepare": lambda self, d, c, r: peeping(lambda: Matcher.prepare(self, d, c, r), d),
        },
    ),
}


@pytest.mark.parametrize("kind", PEEPING)
def test_a_swallowed_read_of_the_test_split_is_seen(kind):
    failures = caught(kind, PEEPING[kind])
    assert set(failures) == {"check_test_split_is_not_read"}
    assert "read data.test" in failures["check_test_split_is_not_read"]


KIND_OF = {cls: kind for kind, cls in CHECK.items()}


@pytest.mark.parametrize("fault", OTHERS)
def test_wrong_components_of_other_kinds(fault):
    component, check, message = OTHERS[fault]
    kind = next(kind for base, kind in KIND_OF.items() if issubclass(component, base))
    expect(kind, component, check, message)


def test_wrong_methods():
    from condense.recipe import Method

    with pytest.raises(ConformanceError, match=r"check_resolves.*unknown scorer 'nope'"):
        check_component("method", Method("odd", "an odd one", {"scorer": {"component": "nope"}}))
    with pytest.raises(ConformanceError, match=r"check_stages_exist.*has a stage 'score'"):
        check_component("method", Method("odd", "an odd one", {"score": {"component": "el2n"}}))
