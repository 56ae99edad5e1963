"""That no check is there for show: each has a wrong component, here or in test_kit_catches."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
import torch
from pydantic import BeforeValidator, Field
from test_kit_catches import (
    CHECK,
    Augmentation,
    Base,
    Evaluator,
    Matcher,
    Network,
    Policy,
    Scorer,
    Selector,
    by_class,
    choose,
    expect,
    parts_of,
    put,
    wrong,
)
from torch import nn

from condense.errors import DataError
from condense.options import NetworkSpec, Options
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.recipe import Method
from condense.results import Evaluation, LabelPlan, MatchPlan, MatchStep
from condense.testing import Setup, checks_of, run_checks
from condense.testing.toys import generator


def test_every_check_of_every_kind_has_a_wrong_component():
    here = Path(__file__)
    texts = [p.read_text() for p in (here, here.with_name("test_kit_catches.py"))]
    told = set(re.findall(r"check_\w+", "\n".join(texts)))
    kinds = [*CHECK, "method"]
    missing = {c.__name__ for kind in kinds for c in checks_of(kind)} - told
    assert missing == set()


Undocumented = type("Undocumented", (Scorer,), {})


class Forgiving(Base):
    """Takes any text for its number."""

    name = "forgiving"

    class Options(Options):
        scale: Annotated[float, BeforeValidator(lambda v: 1.0)] = Field(1.0, description="factor")

    score = Scorer.score


class Elsewhere(Scorer):
    """Its scores are on another device."""

    def score(self, data, context, rng):
        return super().score(data, context, rng).to("meta")


class Undeclared(Selector):
    """Does not say whether it needs scores."""

    needs_scores = "yes"


def unequal(chosen, data, scores, budget):
    sizes = torch.bincount(data.labels).tolist()
    parts = parts_of(chosen)
    return by_class([p[:1] for p in parts]) if len(set(sizes)) > 1 else by_class(parts)


class Edgy(Selector):
    """Gives up at one end of its option, and does not say where."""

    class Options(Options):
        share: float = Field(0.5, ge=0, le=1, description="share skipped")

    def select(self, data, scores, budget, context, rng):
        if self.options.share == 1:
            raise DataError("nothing left")
        return super().select(data, scores, budget, context, rng)


class Demanding(Selector):
    """Looks at scores that are not there."""

    def select(self, data, scores, budget, context, rng):
        return super().select(
            data, scores if scores.values is not None else None, budget, context, rng
        )


class Halves(Matcher):
    """Plans half an iteration."""

    plan = MatchPlan(2.5, image_lr=0.1)  # type: ignore[arg-type]


class Climbs(Matcher):
    """Its learning rate is negative."""

    plan = MatchPlan(2, image_lr=-0.1)


class Forgetless(Matcher):
    """Its average never takes in a sample."""

    plan = MatchPlan(2, image_lr=0.1, image_ema=1.0)


CONFORMANCE = {
    "matcher:never-there": {"exact_options": {"scale": 1.0}},
    "matcher:mean": {"exact_options": {}},
}


class NeverThere(Matcher):
    """Says that it agrees with the training data, and does not."""

    name = "never-there"


class Mean(Matcher):
    """The mean sample; agrees with the training data under any options."""

    name = "mean"

    def prepare(self, data, context, rng):
        from condense.engine.training.batches import network_inputs

        self.target = network_inputs(data, torch.arange(len(data))).mean(0)

    def step(self, synthetic, rng):
        inputs = synthetic.inputs.detach().requires_grad_()
        loss = (inputs.mean(0) - self.target).square().sum()
        return MatchStep(loss.detach(), torch.autograd.grad(loss, inputs)[0])


class Forgets(Matcher):
    """Its target depends on whether the cache had it."""

    def prepare(self, data, context, rng):
        found = context.cache.has("x", {})
        context.cache.tensors("x", {}, lambda: {"x": torch.ones(1)})
        self.target = torch.full((8, 8), float(found))


class Counts(Matcher):
    """Its gradient grows with every step, which it carries over as it should."""

    def prepare(self, data, context, rng):
        super().prepare(data, context, rng)
        self.steps = torch.tensor(0.0)

    def carried(self):
        return {"steps": self.steps}

    def carry(self, carried):
        self.steps = carried["steps"].clone()

    def step(self, synthetic, rng):
        self.steps += 1
        step = super().step(synthetic, rng)
        return MatchStep(step.loss * self.steps, step.grad_inputs * self.steps)


class CountsTwice(Counts):
    """Some of what it counts is not in what it carries."""

    def prepare(self, data, context, rng):
        super().prepare(data, context, rng)
        self.more = 0

    def step(self, synthetic, rng):
        self.more += 1
        step = super().step(synthetic, rng)
        return MatchStep(step.loss * (1 + self.more // 4), step.grad_inputs)


class CountsInTurn(Counts):
    """Of the steps of one iteration the second depends on the first."""

    @property
    def plan(self):
        return MatchPlan(3, image_lr=0.1, trajectories=2)


class Grows(Counts):
    """It carries one number more after every step."""

    def carried(self):
        return {"steps": torch.full((1 + int(self.steps),), float(self.steps))}

    def carry(self, carried):
        self.steps = carried["steps"][0].clone()


class Single(Matcher):
    """Computes in float32."""

    def step(self, synthetic, rng):
        miss = synthetic.inputs.float() - self.target
        return MatchStep(miss.square().sum(), 2 * miss)


class AFewPerCent(Mean):
    """Its gradient is 1 % too long, which float32 differences would not show."""

    def step(self, synthetic, rng):
        step = super().step(synthetic, rng)
        return MatchStep(step.loss, step.grad_inputs * 1.01)


class Labelled(Matcher):
    """The gradient of its labels points the other way."""

    def step(self, synthetic, rng):
        right, logits = super().step(synthetic, rng), synthetic.label_logits
        if logits is None:
            return right
        return MatchStep(right.loss + logits.square().sum(), right.grad_inputs, -2 * logits)


class Curt(Labelled):
    """The gradient of its labels is of one row alone."""

    def step(self, synthetic, rng):
        step = super().step(synthetic, rng)
        return step if step.grad_labels is None else replace(step, grad_labels=step.grad_labels[:1])


class OneTeacher(Matcher):
    """Says one thing of all samples together."""

    def label_logits(self, data, indices, context, rng):
        return torch.zeros(len(data.classes))


class MoodyTeacher(Matcher):
    """Says something else each time."""

    def label_logits(self, data, indices, context, rng):
        self.asked = getattr(self, "asked", 0) + 1
        return torch.full((len(indices), len(data.classes)), float(self.asked))


class FirmTeacher(Matcher):
    """Says the same whatever it is shown."""

    def sample_logits(self, samples, data, context, rng):
        return torch.zeros(len(samples), len(data.classes))


class FickleTeacher(Matcher):
    """Says something else of the same samples each time."""

    def sample_logits(self, samples, data, context, rng):
        self.asked = getattr(self, "asked", 0) + 1
        return self.asked * torch.eye(len(data.classes))[[0] * len(samples)]


class Unsound(Policy):
    """Would learn labels backwards."""

    label_plan = LabelPlan(lr=-1.0)


class StepSize(Matcher):
    """The gradient of its step size is that of another one."""

    plan = MatchPlan(2, image_lr=0.1, step_size=0.5, step_size_lr=0.1)

    def step(self, synthetic, rng):
        right, eta = super().step(synthetic, rng), synthetic.step_size
        return MatchStep(right.loss + eta**2, right.grad_inputs, None, 2.1 * eta)


class Layer(Matcher):
    """Matches the first layer of a network, as if it were the other way round."""

    class Options(Options):
        network: NetworkSpec = Field(NetworkSpec.of("mlp"), description="network")

    def prepare(self, data, context, rng):
        network = context.network(self.options.network, data.geometry, rng)
        self.weight = next(network.parameters()).detach()

    def step(self, synthetic, rng):
        out = synthetic.inputs.flatten(1) @ self.weight.T.to(synthetic.inputs.dtype)
        slope = 2 * out @ self.weight.to(out.dtype)
        return MatchStep(out.square().sum(), slope.flip(0).view(synthetic.inputs.shape))


class ToEval(nn.Sequential):
    """Puts itself into eval mode."""

    def forward(self, inputs):
        self.eval()
        return super().forward(inputs)


class Ragged(Augmentation):
    """Draws one row for a whole batch."""

    def draw(self, role, geometry, rng):
        return super().draw(role, geometry, rng)[..., :1, :]


class Everything(Augmentation):
    """Changes features too."""

    def draw(self, role, geometry, rng):
        return torch.randn((*role.shape, 1), generator=rng)

    def apply(self, inputs, draws):
        return inputs + draws.view(-1, *[1] * (inputs.dim() - 1)).to(inputs.dtype)


class OnTraining(Evaluator):
    """Tests on what it trained on."""

    def evaluate(self, arm, test, augmentation, context, rng):
        return Evaluation((1.0,), {"by": "heart"})


def other_classes(data):
    test = type(data)(
        data.test.inputs, data.test.labels, (*data.classes, "dog"), data.normalization
    )
    return type(data)(data.inputs, data.labels, data.classes, data.normalization, test=test)


WRONG = {
    "no-docstring": ("scorer", Undocumented, "check_class_has_a_docstring", "no docstring"),
    "takes-anything": (
        *("scorer", Forgiving, "check_bad_option_is_named"),
        "accepts scale='no-number'",
    ),
    "elsewhere": ("scorer", Elsewhere, "check_result_is_on_the_cpu", "on meta, expected cpu"),
    "other-classes": (
        *("data", wrong("data", lambda self, right, c: other_classes(right(c)))),
        *("check_test_split_has_the_same_classes", "other classes"),
    ),
    "undeclared": ("selector", Undeclared, "check_needs_scores_is_declared", "'yes'"),
    "unequal": (
        *("selector", wrong("selector", choose(unequal))),
        *(
            "check_selects_by_class_of_unequal_size",
            r"\[1, 1, 1\] samples .*were \[6, 2, 1\]",
        ),
    ),
    "part-of-a-class": (
        *(
            "selector",
            wrong(
                "selector",
                choose(
                    lambda s, d, v, b: by_class([put(p.clone(), 0, p[-1]) for p in parts_of(s)])
                ),
            ),
        ),
        *("check_whole_class_is_selected", "does not return the whole class"),
    ),
    "edge": ("selector", Edgy, "check_edge_options_keep_the_budget", "refuses share=1.0"),
    "demanding": (
        *("selector", Demanding, "check_missing_scores_are_an_error"),
        "AttributeError.*expected an OptionError",
    ),
    "carried-in-part": (
        *("matcher", CountsTwice, "check_what_is_carried_is_all_that_a_step_needs"),
        "another loss in step 4",
    ),
    "carried-in-turn": (
        *("matcher", CountsInTurn, "check_plan_is_sound"),
        "plans 2 trajectories an iteration",
    ),
    "carried-and-growing": (
        *("matcher", Grows, "check_what_is_carried_is_all_that_a_step_needs"),
        r"\(2,\)'} after 1 steps",
    ),
    "half-an-iteration": ("matcher", Halves, "check_plan_is_sound", "plans 2.5 iterations"),
    "negative-rate": ("matcher", Climbs, "check_plan_is_sound", "'image_lr': -0.1"),
    "stuck-average": ("matcher", Forgetless, "check_plan_is_sound", "plans image_ema 1.0"),
    "never-there": (
        *("matcher", NeverThere, "check_student_at_the_target_has_no_loss"),
        "returned loss of size .* expected 0 at the target",
    ),
    "forgets": (
        *("matcher", Forgets, "check_cached_preparation_makes_no_difference"),
        "after preparing from a warm cache",
    ),
    "float32": (
        *("matcher", Single, "check_gradient_is_that_of_the_loss"),
        "loss of torch.float32 for a float64 set.*'float32'",
    ),
    "one-per-cent": (
        *("matcher", AFewPerCent, "check_gradient_is_that_of_the_loss"),
        "along its gradient, as it is, where the loss changes by",
    ),
    "labels": (
        *("matcher", Labelled, "check_label_gradient_is_that_of_the_loss"),
        "with the labels at random, as it is, where the loss changes by",
    ),
    "one-row-of-labels": (
        *("matcher", Curt, "check_label_gradient_is_that_of_the_loss"),
        "returned grad_labels torch.float64 \\(1, 3\\) for label_logits torch.float64 \\(15, 3\\)",
    ),
    "one-answer": (
        *("matcher", OneTeacher, "check_teachers_give_one_row_of_logits_a_sample"),
        "returned torch.float32 of shape \\(3,\\) from label_logits",
    ),
    "other-answers": (
        *("matcher", MoodyTeacher, "check_teachers_give_one_row_of_logits_a_sample"),
        "returned other label_logits for the same samples and rng",
    ),
    "same-labels": (
        *("matcher", FirmTeacher, "check_teachers_label_any_samples"),
        "returned the same sample_logits for other samples",
    ),
    "fickle-labels": (
        *("matcher", FickleTeacher, "check_teachers_label_any_samples"),
        "returned other sample_logits for the same samples and rng",
    ),
    "unsound-labels": ("policy", Unsound, "check_label_plan_is_sound", "lr of at least 0"),
    "step-size": (
        *("matcher", StepSize, "check_gradient_is_that_of_the_loss"),
        "with the step size",
    ),
    "student": (
        *("matcher", Layer, "check_gradient_is_that_of_the_loss"),
        "along its gradient, linear student",
    ),
    "to-eval": (
        *("network", wrong("network", lambda self, right, g: ToEval(*right(g)))),
        *("check_forward_keeps_the_mode", "is put in train mode, and after a forward pass"),
    ),
    "ragged": (
        *("augmentation", Ragged, "check_draws_have_one_row_per_sample"),
        "expected float32",
    ),
    "features-too": (
        *("augmentation", Everything, "check_features_pass_unchanged"),
        "changed features",
    ),
    "on-training": (
        *("evaluator", OnTraining, "check_accuracy_is_that_of_the_test_split"),
        "is right in 100%",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_wrong(fault):
    expect(*WRONG[fault])


def to_eval(self, right, *args):
    context = next(a for a in args if hasattr(a, "network"))
    data = next((a for a in args if hasattr(a, "geometry")), None)
    geometry = (data or args[1]).geometry
    context.network(NetworkSpec.of("mlp", depth=0), geometry, generator()).eval()
    return right(*args)


@pytest.mark.parametrize("kind", ["scorer", "evaluator"])
def test_a_network_left_in_eval_mode(kind):
    expect(kind, wrong(kind, to_eval), "check_network_modes_are_restored", "1 of its networks")


def test_a_matcher_that_leaves_its_network_in_eval_mode():
    class Leaves(Matcher):
        """Turns its network to eval mode in the step."""

        def prepare(self, data, context, rng):
            super().prepare(data, context, rng)
            self.network = context.network(NetworkSpec.of("mlp"), data.geometry, rng)

        def step(self, synthetic, rng):
            self.network.eval()
            return super().step(synthetic, rng)

    expect("matcher", Leaves, "check_network_modes_are_restored", r"\(Sequential\)")


def test_a_matcher_that_agrees_with_its_data_passes():
    run_checks("matcher", Mean).raise_failures()


def test_a_matcher_may_carry_something_from_step_to_step():
    run_checks("matcher", Counts).raise_failures()


def test_the_tag_float32_excuses_float64_and_nothing_else():
    tagged = Setup(tags=frozenset({"float32"}))
    run_checks("matcher", Single, setup=tagged).raise_failures()
    flipped = wrong("matcher", lambda self, right, s, r: flip(right(s, r)))
    expect("matcher", flipped, "check_gradient_is_that_of_the_loss", "expected the same", tagged)


def flip(step):
    return MatchStep(step.loss.float(), -step.grad_inputs.float())


def test_an_engine_that_moves_frozen_samples_is_seen(monkeypatch):
    from condense.testing import update_policies

    def careless(matcher, synthetic, rng, progress):
        synthetic.inputs.add_(1)

    monkeypatch.setattr(update_policies, "match", careless)
    expect("policy", Policy, "check_frozen_samples_never_move", "11 of 11 frozen samples")


class Doubles(Options):
    scale: Annotated[float, BeforeValidator(lambda v: 2 * v)] = Field(1.0, description="factor")


def test_methods_with_a_bad_summary_or_an_option_that_does_not_repeat():
    scorer = type("Doubling", (Scorer,), {"name": "doubling", "Options": Doubles})

    class Plugin:
        @hookimpl
        def condense_register_scorers(self, register):
            register(scorer)

    host = build_host(external=False, extra=[Plugin()])
    stages = dict(host.registry("method").get("selmatch").stages)
    method = Method("odd", "An odd one.", {**stages, "scorer": {"component": "doubling"}})
    told = {o.check: o.message for o in run_checks("method", method, host=host).failures}
    assert set(told) == {"check_summary_says_what_it_is", "check_recipe_repeats_it"}
    assert "without a full stop" in told["check_summary_says_what_it_is"]
    assert "changed by its own recipe" in told["check_recipe_repeats_it"]


def test_methods_that_are_tried_with_what_does_not_exist():
    host = build_host(external=False)
    stages = host.registry("method").get("window").stages
    tried = {"selector.beta": (0.1, 2.0)}
    method = Method("odd", "an odd one", stages, tried=tried)
    told = {o.check: o.message for o in run_checks("method", method, host=host).failures}
    assert told.keys() == {"check_resolves"}
    assert "does not resolve" in told["check_resolves"]
    assert "beta=2.0" in told["check_resolves"]


def test_networks_of_the_kit_are_those_they_were():
    """The right ones pass, so that the faults above are what is seen."""
    for kind, cls in (("network", Network), ("matcher", Matcher), ("augmentation", Augmentation)):
        run_checks(kind, cls).raise_failures()
