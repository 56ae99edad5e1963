"""What a reselector promises: as many real samples of each class as before, and no other change."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from condense.data import LabeledData, Role, SyntheticSet, portion
from condense.engine.checked import run_reselector
from condense.engine.training.batches import initial_set
from condense.results import Scores, Selection
from condense.testing import scored
from condense.testing.observation import Work
from condense.testing.scored import require_word_of_missing_scores, scores_for
from condense.testing.subject import Subject
from condense.testing.toys import (
    TEST_READ,
    generator,
    reads_test,
    toy_data,
    toy_selection,
)

FURTHER = (scored,)  # checks that this kind shares with another

SHARES = {"all": 1.0, "most": 0.75, "a quarter": 0.25}  # real samples of a class


def matched_set(
    data: LabeledData, share: float = 0.5, chosen: Selection | None = None
) -> SyntheticSet:
    """A set of the toy ``data`` of which the first ``share`` of each class is real."""
    chosen = chosen or toy_selection()
    real = torch.cat([torch.arange(n) < portion(share, n) for n in chosen.counts])
    start = initial_set(data, chosen, ~real, float("nan"))
    push = torch.randn(start.inputs.shape, generator=generator(12)) * 0.1
    moved = start.inputs + push * (start.role == Role.DISTILLED).view(-1, *[1] * (push.dim() - 1))
    return replace(start, inputs=moved)


def complete(
    subject: Subject, synthetic: SyntheticSet, data: LabeledData, scores: Scores | None = None
) -> Tensor:
    """What the component returns, with seed 0; scores are made up where it needs some."""
    given = (synthetic, data, scores or scores_for(subject, data))
    result: Tensor = subject.create().complete(*given, subject.context(), generator())
    return result


def complete_checked(
    subject: Subject, synthetic: SyntheticSet, data: LabeledData, case: str
) -> None:
    """A result that the engine's own check must pass."""
    given = (synthetic, data, scores_for(subject, data), subject.context(), generator())
    with subject.held_to_the_engine(case):
        run_reselector(subject.create(), *given)


def work(subject: Subject, seed: int) -> Work:
    """Completing a set of 7, 10 and 5 samples, half of them real."""
    data = toy_data().without_test()
    synthetic, scores = matched_set(data), scores_for(subject, data)
    given = {
        "data.inputs": data.inputs,
        "data.labels": data.labels,
        "synthetic.inputs": synthetic.inputs,
        "synthetic.labels": synthetic.labels,
        "synthetic.role": synthetic.role,
        "synthetic.source_index": synthetic.source_index,
    }
    if scores is not None:
        given["scores.values"] = scores.values

    def call() -> dict[str, Tensor]:
        tools = (subject.context(), generator(seed))
        return {"indices": subject.create().complete(synthetic, data, scores, *tools)}

    return Work(given, call)


def check_keeps_the_number_of_each_class(subject: Subject) -> None:
    """Whether few or all samples are real: as many of each class, none twice, none distilled."""
    data = toy_data()
    for case, share in SHARES.items():
        complete_checked(subject, matched_set(data, share), data, f"{case} of the samples real")


def check_class_without_real_samples_gets_none(subject: Subject) -> None:
    """Classes of 1, 8 and 2 samples, half of them real: of the first none is."""
    data = toy_data()
    synthetic = matched_set(data, chosen=toy_selection((1, 8, 2)))
    complete_checked(subject, synthetic, data, "no sample of class ant real")


def check_whole_classes_are_kept(subject: Subject) -> None:
    """Where the set holds a whole class, its real samples are those there are."""
    data = toy_data()
    each = len(data.class_indices(0))
    complete_checked(
        subject, matched_set(data, chosen=toy_selection((each, 4, 4))), data, "a whole class"
    )


def check_learned_labels_are_understood(subject: Subject) -> None:
    """A set with label logits, of which networks are trained towards the softmax."""
    data = toy_data()
    synthetic = matched_set(data)
    logits = torch.randn(len(synthetic), len(data.classes), generator=generator(13))
    complete_checked(subject, replace(synthetic, label_logits=logits), data, "learned labels")


def check_missing_scores_are_an_error(subject: Subject) -> None:
    """Without scores it works, or says that it needs them."""
    data = toy_data()
    given = (matched_set(data), data.without_test(), None, subject.context(), generator())
    require_word_of_missing_scores(subject, lambda: subject.create().complete(*given))


def check_test_split_is_not_read(subject: Subject) -> None:
    """The kit's data raise as soon as ``data.test`` is looked at."""
    plain = toy_data()
    synthetic = matched_set(plain)
    read = reads_test(lambda data: complete(subject, synthetic, data), plain)
    subject.require(not read, f"{TEST_READ}; choose from the training split only")
