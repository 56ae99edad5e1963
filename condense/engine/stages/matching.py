"""Matching: distilled samples and learned labels, after what the matcher prepares for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from condense.capabilities import LabelsSamples
from condense.data import content_digest
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.checked import (
    check_frozen,
    run_label_plan,
    run_policy,
)
from condense.engine.checked.networks import run_training_accuracy
from condense.engine.documents import Document, Share
from condense.engine.matching.divergence import divergence_notes
from condense.engine.matching.loop import match
from condense.engine.matching.ranks import Order
from condense.engine.matching.soft_labels import (
    MATCHED,
    given_logits,
    plan_for,
    said_of_moved,
    starting_logits,
)
from condense.engine.matching.state import SNAPSHOT, named_snapshots, snapshots_among
from condense.engine.runtime.claims import CLAIM
from condense.engine.runtime.expected import Expected, check_tensors, is_finite
from condense.engine.runtime.guard import guarded
from condense.engine.runtime.store import Payload
from condense.engine.stages.preparation import PreparationStage
from condense.engine.stages.scores import starts_at_scores
from condense.engine.stages.selection import SelectionStage
from condense.engine.stages.stage import Bound, Key, Stage, StageTime, StoredStage
from condense.engine.training.batches import initial_set
from condense.errors import OptionError
from condense.interfaces import LabelPlan, Matcher, Selection, SyntheticSet
from condense.results import AUTO, Trace
from condense.traits import advice_of

LEARNED, SAID = "label_logits", "said"  # logits in an entry: learned ones, and what teachers say


class _Said(Document):
    """Values of an entry."""

    learned: list[Share] = Field([])  # training accuracy of each teacher


class MatchingStage(StoredStage[CondensedDataset]):
    """The condensed set: selected, split by the update policy, and matched where that is needed."""

    name = component = "matcher"
    kind = "matching"

    def __init__(self, bound: Bound, selecting: SelectionStage) -> None:
        self.selecting = selecting
        self._at_scores = starts_at_scores(bound.recipe)
        super().__init__(bound, [selecting, selecting.scoring] if self._at_scores else [selecting])
        self.preparing = PreparationStage(self)
        self._matcher: Matcher = bound.recipe["matcher"].create()  # asked for its plan alone
        if self.ranks(self.bound.ranks.size) < self.bound.ranks.size:
            resolved, ranks = bound.recipe["matcher"], bound.ranks.size
            raise OptionError(
                f"matcher '{resolved.name}' has no trajectories that {ranks} ranks could share; "
                "start one process, or take `matcher=trajectory`"
            )

    def ranks(self, asked: int) -> int:
        """How many of the ``asked`` processes can share it: all, or one without trajectories.

        Raises:
            OptionError: if it has trajectories, but fewer.
        """
        count = self._matcher.plan.trajectories
        if asked <= count:
            return asked
        if "trajectories" not in type(self.bound.recipe["matcher"].options).model_fields:
            return 1
        raise OptionError(
            f"`matcher.trajectories={count}` leaves nothing to do for {asked - count} of {asked} "
            f"ranks; set `matcher.trajectories={asked}` or more, or start at most {count}"
        )

    # ---- what there is to do ------------------------------------------------------------------

    @property
    def needed(self) -> bool:
        """Whether there is anything to match: samples to distil, or labels to learn."""
        return self._changes(self._distilled(self.selecting.likely()))

    @property
    def within(self) -> Sequence[Stage[Any]]:
        """The preparation."""
        return [self.preparing]

    @property
    def keeps_some(self) -> bool:
        """Whether any sample stays real."""
        return not bool(self._distilled(self.selecting.likely()).all())

    def _changes(self, distilled: Tensor) -> bool:
        learned = self._plan_for(distilled) is not None  # first: what cannot be learned is refused
        return learned or bool(distilled.any())

    def _distilled(self, selection: Selection) -> Tensor:
        """bool [M] of the samples to distil; none without matching."""
        if self._matcher.plan.iterations == 0:
            return torch.zeros(len(selection.indices), dtype=torch.bool)
        return run_policy(self.bound.recipe["policy"].create(), selection)

    @cached_property
    def _labels_asked(self) -> LabelPlan | None:
        """What the policy wants done with labels, whether there is matching or not."""
        return run_label_plan(self.bound.recipe["policy"].create())

    def _plan_for(self, distilled: Tensor) -> LabelPlan | None:
        policy = self.bound.recipe["policy"].cls
        return plan_for(self._labels_asked, distilled, self._matcher, policy)

    @cached_property
    def initial(self) -> SyntheticSet:
        """The set before matching, with the policy's roles."""
        selection = self.selecting.result
        step_size = self._matcher.plan.step_size
        return initial_set(self.bound.data, selection, self._distilled(selection), step_size)

    @cached_property
    def label_plan(self) -> LabelPlan | None:
        """How labels are learned; None where they stay what they are.

        As they do under most policies, and where no sample is to have one. Without matching they
        are what the networks of the scores say, where they start at that.
        """
        return self._plan_for(self.initial.role)

    @property
    def _learned(self) -> LabelPlan | None:
        """:attr:`label_plan` where matching has a part in it."""
        return None if self._relabels else self.label_plan

    @property
    def _relabels(self) -> bool:
        """Whether labels are given once matching is over."""
        return self.label_plan is not None and self.label_plan.start == MATCHED

    # ---- as a stage ---------------------------------------------------------------------------

    def likeness(self) -> Key:
        """Of the update policy, too."""
        return super().likeness() | {"policy": self.bound.component_key("policy")}

    def key(self) -> Key:
        """Everything the distilled samples and learned labels depend on."""
        return self._key

    @cached_property
    def _key(self) -> Key:
        bound, initial = self.bound, self.initial
        key = bound.component_key("matcher") | {
            "data": bound.data.fingerprint,
            "indices": content_digest(initial.source_index),
            "role": content_digest(initial.role),
            "seed": bound.forked_seed("matcher"),
        }
        if self._relabels:
            key["labels"] = MATCHED  # what teachers say is kept; the plan makes labels of it
        elif self._learned is not None:
            # without `share`, which is 1 wherever labels are learned
            key["labels"] = {k: v for k, v in asdict(self._learned).items() if k != "share"}
            if self._at_scores:
                key["scores"] = self.selecting.scoring.key()
        if bound.shared_seed != bound.recipe.seed:  # else it follows from the seed above
            key["prepare"] = bound.forked_seed("prepare")
        return key

    @property
    def stored(self) -> bool:
        """Where there is nothing to match, the selection is all of it."""
        return super().stored if self.needed else self.selecting.stored

    @property
    def checkpoint(self) -> Path:
        """Where the matching is kept while it is unfinished."""
        return self.bound.store.path(self.kind, self.key()).with_suffix(".partial")

    @cached_property
    def result(self) -> CondensedDataset:
        """The condensed set; what a user should know of it is said here, once."""
        initial = self.initial
        for note in self._notes():
            self.bound.progress.note(note)
        if not self._changes(initial.role):
            return self._artefact(initial, Payload())
        if self.bound.store.has(self.kind, self.key()):
            # then what was prepared for it is not even looked up
            self.bound.timings.setdefault("prepare", StageTime(0.0, True))
        payload = self.fetch()
        self.checkpoint.unlink(missing_ok=True)
        components = [self.bound.recipe[stage].cls for stage in ("matcher", "policy")]
        for note in divergence_notes(payload.tensors, self.bound.data, *components):
            self.bound.progress.note(note)
        return self.unpack(payload)

    def _notes(self) -> Iterator[str]:
        """That labels, or samples, stay what they are although the recipe asks for more."""
        if self._matcher.plan.iterations == 0:
            asked = None if self._labels_asked is None else self._labels_asked.start
            if asked == MATCHED:
                yield "note: labels stay what they are, as nothing is matched that had experts"
            elif asked not in (None, "scores"):
                other = "policy.start=scores needs none"
                yield f"note: labels stay what they are, as matching alone learns them; {other}"
        elif not bool(self.initial.role.any()):
            policy = self.bound.recipe["policy"]
            alone = self._labels_asked is not None and self._labels_asked.all_samples
            yield (
                f"note: policy '{policy.name}' leaves 0 of {len(self.initial)} samples to distil"
                f"{', so that labels alone may change' if alone else ''}"
                f"{advice_of(policy.cls, 'nothing-distilled')}"
            )

    def compute(self) -> Payload:
        """The moved samples and labels, the trace and the snapshots; what teachers learned, and say
        of what was moved where the set is labelled anew."""
        matcher, bound = self.preparing.result, self.bound
        if not self._relabels:
            return self._match(matcher)
        # to the byte that of a partial update, which is taken where it is there
        plain = {name: value for name, value in self.key().items() if name != "labels"}
        stored = bound.store.get(self.kind, plain, partial(self._check, labels=()))
        payload = self._match(matcher) if stored is None else stored
        assert isinstance(matcher, LabelsSamples)  # as the plan has it
        tools = (matcher, bound.data.without_test(), bound.context, bound.rng("prepare"))
        said = said_of_moved(self._moved(payload), *tools)
        return Payload(payload.tensors | {SAID: said}, payload.values)

    def _match(self, matcher: Matcher) -> Payload:
        """All but what is said of it in the end."""
        if self.checkpoint.is_file():
            self.bound.store.ledger.unknown()
        bound = self.bound
        tools = (bound.data, bound.context, bound.rng("prepare"))
        said = _Said(learned=run_training_accuracy("matcher", matcher, *tools))
        moving = self._moving(matcher)
        rows = torch.nonzero(moving.role).flatten()
        self.bound.ranks.begin(self._order(), moving)
        with guarded("matcher", matcher):
            state = match(
                matcher,
                moving,
                self.bound.rng("matcher"),
                self.bound.progress,
                checkpoint=self.checkpoint,
                key=self.key(),
                labels=self._learned,
                ranks=self.bound.ranks,
                watch=partial(bound.tracking.matching, bound.data),
            )
        matched = moving.to(torch.device("cpu"))
        check_frozen(matched, self.initial)
        tensors = {
            "distilled": matched.inputs[rows.cpu()],
            "step_size": matched.step_size,
            "loss": state.loss,
            "step_sizes": state.step_size,
        }
        if state.own_rates is not None and matcher.plan.image_lr == AUTO:
            tensors["image_lrs"] = state.own_rates.image_lr
        if matched.label_logits is not None:
            tensors[LEARNED] = matched.label_logits
        return Payload(tensors | named_snapshots(state.snapshots), said.to_json())

    def _order(self) -> Order:
        """What other ranks need to know; while it is worked on, the entry is locked."""
        bound = self.bound
        return Order(
            recipe=bound.recipe.to_dict(),
            shared_seed=bound.shared_seed,
            data=bound.data.fingerprint,
            modality=bound.data.geometry.modality,
            device=bound.device.type,
            store=str(bound.store.root.absolute()),
            held=str(bound.store.path(self.kind, self.key()).with_suffix(CLAIM).absolute()),
        )

    def _moving(self, matcher: Matcher) -> SyntheticSet:
        """The initial set as matching may write to it, on the device; ``matcher`` is prepared."""
        bound = self.bound
        # a copy: on the CPU .to() would hand over the initial set itself
        copy = replace(
            self.initial,
            inputs=self.initial.inputs.clone(),
            step_size=torch.tensor(matcher.plan.step_size, dtype=torch.float32),
        )
        if self._learned is not None:
            tools = (matcher, bound.data.without_test(), bound.context, bound.rng("prepare"))
            advice = advice_of(bound.recipe["policy"].cls, "no-teachers")
            scores = self.selecting.scoring.result if self._at_scores else None
            logits = starting_logits(self._learned, copy, *tools, scores, advice)
            copy = replace(copy, label_logits=logits)
        return copy.to(bound.device)

    def check(self, payload: Payload) -> None:
        """That samples and labels are finite, as many as are matched, and the trace is whole."""
        plan = self.label_plan
        self._check(payload, () if plan is None else (SAID if self._relabels else LEARNED,))

    def _check(self, payload: Payload, labels: Sequence[str]) -> None:
        initial, tensors = self.initial, payload.tensors
        _Said.model_validate(payload.values)
        snapshots_among(tensors)  # refuses a name that is no number
        count = int(initial.role.sum())
        moved = Expected(torch.float32, (count, *initial.inputs.shape[1:]))
        trace = (len(tensors.get("loss", ())),)
        plan = self._matcher.plan
        # NaN where the matcher has none; one that is learned may be known after preparation alone
        known = is_finite(initial.step_size) or plan.step_size_lr != 0
        logits = Expected(torch.float32, (len(initial), len(self.bound.data.classes)))
        learned = dict.fromkeys(labels, logits)
        if plan.image_lr == AUTO:
            learned["image_lrs"] = Expected(torch.float32, trace)
        check_tensors(
            tensors,
            {
                "distilled": moved,
                "step_size": Expected(torch.float32, (), finite=known, low=0),
                "loss": Expected(torch.float32, trace, finite=False),  # of skipped iterations
                "step_sizes": Expected(torch.float32, trace, finite=known, low=0),
                **learned,
            },
            {name: moved for name in tensors if name.startswith(SNAPSHOT)},
        )

    def unpack(self, payload: Payload) -> CondensedDataset:
        """The initial set with what was moved in its place."""
        final, plan = self._moved(payload), self.label_plan
        if plan is not None and self._relabels:
            logits = given_logits(plan, final, payload.tensors[SAID])
            final = replace(final, label_logits=logits)
        return self._artefact(final, payload)

    def _moved(self, payload: Payload) -> SyntheticSet:
        """The set as matching has left it."""
        tensors = payload.tensors
        rows = torch.nonzero(self.initial.role).flatten()
        inputs = self.initial.inputs.index_copy(0, rows, tensors["distilled"])
        step, logits = tensors["step_size"], tensors.get(LEARNED)
        return replace(self.initial, inputs=inputs, step_size=step, label_logits=logits)

    def _artefact(self, synthetic: SyntheticSet, payload: Payload) -> CondensedDataset:
        rows = torch.nonzero(synthetic.role).flatten()
        names = ("loss", "step_sizes", "image_lrs")
        trace = Trace(*(tuple(payload.tensors.get(n, torch.empty(0)).tolist()) for n in names))
        snapshots = {
            iteration: synthetic.inputs.index_copy(0, rows, moved)
            for iteration, moved in snapshots_among(payload.tensors).items()
        }
        recipe, data = self.bound.recipe, self.bound.data
        return CondensedDataset.of(
            data,
            synthetic,
            method=recipe.method,
            seed=recipe.seed,
            recipe=recipe.portable(f"{data.name}, fingerprint {data.fingerprint}"),
            paths=recipe.paths,
            trace=trace,
            snapshots=snapshots,
            scores=self.selecting.scores,
        )
