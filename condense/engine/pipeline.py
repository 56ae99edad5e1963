"""The stages in order, each cached by the content of all it depends on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import torch

from condense.capabilities import HasCacheToken
from condense.components import resolve_spec
from condense.data import content_digest
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.checked import (
    check_frozen,
    run_dataset,
    run_label_plan,
    run_policy,
    run_replicates,
    run_scorer,
    run_selector,
)
from condense.engine.context import EngineContext
from condense.engine.matching.divergence import divergence_notes
from condense.engine.matching.loop import match
from condense.engine.matching.soft_labels import has_soft_label, starting_logits
from condense.engine.matching.state import named_snapshots, snapshots_among
from condense.engine.runtime.exhaustion import is_out_of_memory
from condense.engine.runtime.guard import contents, guarded
from condense.engine.runtime.precision import key_options
from condense.engine.runtime.rng import Seed
from condense.engine.runtime.store import Payload, Store
from condense.engine.training.batches import initial_set
from condense.engine.training.ranking import reliability_of
from condense.errors import CapacityError, DataError
from condense.interfaces import (
    LabeledData,
    LabelPlan,
    Matcher,
    Progress,
    Scores,
    Selection,
    SyntheticSet,
)
from condense.options import spec_fields
from condense.plugin.host import Host
from condense.recipe import Recipe, Resolved
from condense.results import Trace
from condense.traits import advice_of

# Raised by whoever changes a bit of what the engine itself works out in a stage: the training and
# matching loops, batches, schedules, learned labels, how arms are drawn and repeats averaged.
ENGINE_VERSION = "1"
COMPANION = "companion."  # before the names of further figures among the tensors of scores
SHARED = ("scorer", "prepare")  # stages that the cells of a study have in common


@dataclass(frozen=True)
class StageTime:
    """Seconds a stage took, and whether its result came from the store."""

    seconds: float
    cached: bool


class Pipeline:
    """A recipe bound to a host, a store and a device; each stage runs when first asked for.

    Args:
        recipe: what to do.
        host: the plugins the recipe's nested components are looked up in.
        store: the stage cache.
        device: where tensors are worked on.
        progress: where long stages report.
        data: used instead of the recipe's data stage.
        shared_seed: seed of the stages :data:`SHARED` (scores, experts), so that runs of several
            seeds have them in common; the recipe's by default, else it does not repeat the run.
    """

    def __init__(
        self,
        recipe: Recipe,
        host: Host,
        *,
        store: Store,
        device: torch.device,
        progress: Progress,
        data: LabeledData | None = None,
        shared_seed: int | None = None,
    ) -> None:
        self.recipe = recipe
        self.shared_seed = recipe.seed if shared_seed is None else shared_seed
        self.host = host
        self.store = store
        self.device = device
        self.progress = progress
        self.context = EngineContext(host, store, device, progress)
        self.timings: dict[str, StageTime] = {}
        self._data = data

    @cached_property
    def data(self) -> LabeledData:
        """The training split, its test split attached."""
        if self._data is not None:
            return self._data
        with _memory_of_data(self.recipe["data"]):
            return run_dataset(self.recipe["data"].create(), self.context)

    def rng(self, stage: str) -> torch.Generator:
        """The CPU generator of ``stage``; independent of which component serves it."""
        return Seed(self.seed(stage)).fork(stage).generator()

    def seed(self, stage: str) -> int:
        """The seed that ``stage`` is forked from."""
        return self.shared_seed if stage in SHARED else self.recipe.seed

    # ---- scores -------------------------------------------------------------------------------

    def scores_key(self, fingerprint: str | None = None) -> dict[str, Any]:
        """Everything the scores depend on; ``fingerprint`` of other data than its own."""
        return self.component_key("scorer") | {
            "data": fingerprint or self.data.fingerprint,
            "seed": Seed(self.seed("scorer")).fork("scorer").value,
        }

    @cached_property
    def scores(self) -> Scores:
        """Difficulty of every training sample."""
        with self.timed("scorer") as done:

            def compute() -> Payload:
                scorer = self.recipe["scorer"].create()
                scores = run_scorer(scorer, self.data, self.context, self.rng("scorer"))
                tensors = {"scores": scores.values}
                if scores.standard_error is not None:
                    tensors["standard_error"] = scores.standard_error.float()
                tensors |= {COMPANION + name: t for name, t in scores.companions.items()}
                given = (scorer, self.data, self.context, self.rng("scorer"))
                reliability = reliability_of(run_replicates(*given))
                values = {"estimator": scores.estimator, "split_half": reliability}
                return Payload(tensors, values)

            payload, cached = self.store.fetch("scores", self.scores_key(), compute)
            done(cached)
        return Scores(
            payload.tensors["scores"],
            self.data.fingerprint,
            payload.values["estimator"],
            payload.tensors.get("standard_error"),
            {
                name.removeprefix(COMPANION): tensor
                for name, tensor in payload.tensors.items()
                if name.startswith(COMPANION)
            },
        )

    # ---- selection ----------------------------------------------------------------------------

    @property
    def needs_scores(self) -> bool:
        """Whether the selector looks at scores; if not, no scorer is trained."""
        return bool(self.recipe["selector"].cls.needs_scores)

    def selection_key(self) -> dict[str, Any]:
        """Everything the selection depends on; asks for the scores where they matter."""
        budget = self.recipe.budget
        return self.component_key("selector") | {
            "data": self.data.fingerprint,
            "scores": _scores_digest(self.scores) if self.needs_scores else None,
            "budget": [budget.ipc, budget.fraction],
            "seed": Seed(self.recipe.seed).fork("selector").value,
        }

    @cached_property
    def selection(self) -> Selection:
        """The samples chosen."""
        key = self.selection_key()  # runs the scorer, whose time is its own
        scores = self.scores if self.needs_scores else None
        with self.timed("selector") as done:

            def compute() -> Payload:
                chosen = run_selector(
                    self.recipe["selector"].create(),
                    self.data,
                    scores,
                    self.recipe.budget,
                    self.context,
                    self.rng("selector"),
                )
                return Payload({"indices": chosen.indices}, {"counts": list(chosen.counts)})

            payload, cached = self.store.fetch("selections", key, compute)
            done(cached)
        indices = payload.tensors["indices"]
        return Selection(indices, self.data.labels[indices], tuple(payload.values["counts"]))

    # ---- matching -----------------------------------------------------------------------------

    @cached_property
    def initial(self) -> SyntheticSet:
        """The set before matching, with the policy's roles."""
        matcher: Matcher = self.recipe["matcher"].create()
        distilled = run_policy(self.recipe["policy"].create(), self.selection)
        if matcher.plan.iterations == 0:
            distilled = torch.zeros_like(distilled)  # nothing is distilled without matching
        elif not bool(distilled.any()):
            policy = self.recipe["policy"]
            more = advice_of(policy.cls, "nothing-distilled")
            plan = self._labels_asked
            alone = ", so that labels alone may change" * (plan is not None and plan.all_samples)
            self.progress.note(
                f"note: policy '{policy.name}' leaves 0 of {len(distilled)} samples to distil"
                f"{alone}{more}"
            )
        return initial_set(self.data, self.selection, distilled, matcher.plan.step_size)

    @cached_property
    def _labels_asked(self) -> LabelPlan | None:
        """What the policy wants done with labels, whether there is matching or not."""
        return run_label_plan(self.recipe["policy"].create())

    @cached_property
    def label_plan(self) -> LabelPlan | None:
        """How labels are learned; None where they stay what they are.

        As they do under most policies, without matching, and where no sample is to have one.
        """
        plan = self._labels_asked
        if plan is None:
            return None
        matcher: Matcher = self.recipe["matcher"].create()
        if matcher.plan.iterations == 0:
            self.progress.note("note: labels stay what they are, as matching alone learns them")
            return None
        return plan if bool(has_soft_label(plan, self.initial.role).any()) else None

    @property
    def changes(self) -> bool:
        """Whether matching has anything to do: samples to distil, or labels to learn."""
        return bool(self.initial.role.any()) or self.label_plan is not None

    def matching_key(self) -> dict[str, Any]:
        """Everything the distilled samples and learned labels depend on."""
        key = self.component_key("matcher") | {
            "data": self.data.fingerprint,
            "indices": content_digest(self.initial.source_index),
            "role": content_digest(self.initial.role),
            "seed": Seed(self.recipe.seed).fork("matcher").value,
        }
        key |= {"labels": asdict(self.label_plan)} if self.label_plan is not None else {}
        apart = self.shared_seed != self.recipe.seed  # else it follows from the seed above
        return key | (
            {"prepare": Seed(self.seed("prepare")).fork("prepare").value} if apart else {}
        )

    @cached_property
    def condensed(self) -> CondensedDataset:
        """The result: selected, split and matched."""
        initial = self.initial
        if not self.changes:
            return self._artefact(initial, Payload())
        key = self.matching_key()
        with self.timed("matcher") as done:
            payload, cached = self.store.fetch("matching", key, lambda: self._match(key))
            if cached:  # then what was prepared for it is not even looked up
                self.timings.setdefault("prepare", StageTime(0.0, True))
            done(cached)
        self.partial(key).unlink(missing_ok=True)
        rows = torch.nonzero(initial.role).flatten()
        classes = self.recipe["matcher"].cls, self.recipe["policy"].cls
        for note in divergence_notes(payload.tensors, self.data, *classes):
            self.progress.note(note)
        inputs = initial.inputs.index_copy(0, rows, payload.tensors["distilled"])
        step, logits = payload.tensors["step_size"], payload.tensors.get("label_logits")
        final = replace(initial, inputs=inputs, step_size=step, label_logits=logits)
        return self._artefact(final, payload)

    def partial(self, key: dict[str, Any]) -> Any:
        """Where an unfinished matching under ``key`` is kept."""
        return self.store.path("matching", key).with_suffix(".partial")

    def _match(self, key: dict[str, Any]) -> Payload:
        matcher: Matcher = self.recipe["matcher"].create()
        with self.timed("prepare") as done:
            hits, misses = self.store.hits, self.store.misses
            with guarded("matcher", matcher, *contents(self.data)):
                matcher.prepare(self.data.without_test(), self.context, self.rng("prepare"))
            done(self.store.hits > hits and self.store.misses == misses)
        moving = self._moving(matcher)
        rows = torch.nonzero(moving.role).flatten()
        with guarded("matcher", matcher):
            state = match(
                matcher,
                moving,
                self.rng("matcher"),
                self.progress,
                checkpoint=self.partial(key),
                key=key,
                labels=self.label_plan,
            )
        result = moving.to(torch.device("cpu"))
        check_frozen(result, self.initial)
        tensors = {
            "distilled": result.inputs[rows.cpu()],
            "step_size": result.step_size,
            "loss": state.loss,
            "step_sizes": state.step_size,
        }
        learned = {} if result.label_logits is None else {"label_logits": result.label_logits}
        return Payload(tensors | named_snapshots(state.snapshots) | learned)

    def _moving(self, matcher: Matcher) -> SyntheticSet:
        """The initial set as matching may write to it, on the device; ``matcher`` is prepared."""
        # a copy: on the CPU .to() would hand over the initial set itself
        copy = replace(
            self.initial,
            inputs=self.initial.inputs.clone(),
            step_size=self.initial.step_size.clone(),
        )
        if self.label_plan is not None:
            tools = (matcher, self.data.without_test(), self.context, self.rng("prepare"))
            advice = advice_of(self.recipe["policy"].cls, "no-teachers")
            logits = starting_logits(self.label_plan, copy, *tools, advice)
            copy = replace(copy, label_logits=logits)
        return copy.to(self.device)

    def _artefact(self, synthetic: SyntheticSet, payload: Payload) -> CondensedDataset:
        rows = torch.nonzero(synthetic.role).flatten()
        trace = Trace(
            tuple(payload.tensors.get("loss", torch.empty(0)).tolist()),
            tuple(payload.tensors.get("step_sizes", torch.empty(0)).tolist()),
        )
        snapshots = {
            iteration: synthetic.inputs.index_copy(0, rows, moved)
            for iteration, moved in snapshots_among(payload.tensors).items()
        }
        return CondensedDataset.of(
            self.data,
            synthetic,
            method=self.recipe.method,
            seed=self.recipe.seed,
            recipe=self.recipe.portable(f"{self.data.name}, fingerprint {self.data.fingerprint}"),
            trace=trace,
            snapshots=snapshots,
            paths=self.recipe.paths,
        )

    # ---- shared -------------------------------------------------------------------------------

    def test_split(self) -> LabeledData:
        """The test split.

        Raises:
            DataError: if there is none.
        """
        if self.data.test is None:
            raise DataError(
                f"{self.data.name} has no test split, so nothing can be evaluated on it; "
                "give test_images and test_labels (npz) or a test folder"
            )
        return self.data.test

    def component_key(self, stage: str) -> dict[str, Any]:
        """As :func:`component_key`, of the component of ``stage``."""
        return component_key(self.recipe[stage], self.host, self.device)

    @contextmanager
    def timed(self, stage: str) -> Iterator[Any]:
        """Record the stage's own seconds; the body calls the yielded function with ``cached``."""
        start = time.perf_counter()
        cached = [False]
        inner_before = sum(t.seconds for t in self.timings.values())
        yield lambda value: cached.__setitem__(0, value)
        inner = sum(t.seconds for t in self.timings.values()) - inner_before
        past = self.timings.get(stage, StageTime(0.0, True))
        seconds = past.seconds + time.perf_counter() - start - inner
        self.timings[stage] = StageTime(seconds, past.cached and cached[0])


@contextmanager
def _memory_of_data(resolved: Resolved) -> Iterator[None]:
    """While data are loaded no option of a matcher or evaluator would help against too little.

    Raises:
        CapacityError: for every way in which memory is said to have run out.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        smaller = "resize" in type(resolved.options).model_fields
        advice = "set a smaller `data.resize=N`, or " if smaller else ""
        raise CapacityError(
            f"out of memory while loading data '{resolved.name}'; {advice}give fewer or smaller "
            "images"
        ) from None


def _scores_digest(scores: Scores) -> str:
    """Of all that a selector sees of ``scores``."""
    names = tuple(sorted(scores.companions))
    return content_digest(scores.values, *(scores.companions[n] for n in names), extra=names)


def component_key(resolved: Resolved, host: Host, device: torch.device) -> dict[str, Any]:
    """Engine, component, version, and options as they are on ``device``.

    Also those of the networks and augmentations named in the options; and the component's
    ``cache_token`` where it has one.
    """
    component = resolved.create()
    names = spec_fields(type(resolved.options))
    nested = {n: resolve_spec(host, getattr(resolved.options, n)).identity for n in names}
    return (
        resolved.identity
        | {"engine": ENGINE_VERSION, "options": key_options(resolved.options, device)}
        | ({"nested": nested} if nested else {})
        | ({"token": component.cache_token()} if isinstance(component, HasCacheToken) else {})
    )
