"""What a selector promises: exactly the budget of every class, or an error that says why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from condense.data import LabeledData
from condense.engine.checked import run_selector
from condense.errors import CondenseError, DataError, describe
from condense.results import Budget, Scores, Selection
from condense.testing import scored
from condense.testing.common import edges_of
from condense.testing.observation import Work
from condense.testing.scored import require_word_of_missing_scores, scores_for
from condense.testing.subject import Subject
from condense.testing.toys import (
    PER_CLASS,
    TEST_READ,
    distinct_scores,
    generator,
    reads_test,
    tied_scores,
    toy_data,
)

FURTHER = (scored,)  # checks that this kind shares with another

IPC = 4


def select(
    subject: Subject,
    data: LabeledData,
    budget: Budget,
    scores: Scores | None = None,
    options: Mapping[str, Any] | None = None,
) -> Selection:
    """A selection with seed 0; scores are made up where the selector needs some."""
    result: Selection = subject.create(**(options or {})).select(
        data, scores or scores_for(subject, data), budget, subject.context(), generator()
    )
    return result


def select_checked(
    subject: Subject,
    data: LabeledData,
    budget: Budget,
    case: str,
    options: Mapping[str, Any] | None = None,
) -> None:
    """A selection that the engine's own check must pass."""
    selector, scores = subject.create(**(options or {})), scores_for(subject, data)
    with subject.held_to_the_engine(case):
        run_selector(selector, data, scores, budget, subject.context(), generator())


def work(subject: Subject, seed: int) -> Work:
    """Selecting four samples a class of the toy data."""
    data = toy_data()
    scores = scores_for(subject, data)
    given = {"data.inputs": data.inputs, "data.labels": data.labels}
    if scores is not None:
        given["scores.values"] = scores.values
        given |= {f"scores.companions[{name}]": t for name, t in scores.companions.items()}

    def call() -> dict[str, torch.Tensor]:
        context = subject.context()
        chosen = subject.create().select(data, scores, Budget(ipc=IPC), context, generator(seed))
        return {"indices": chosen.indices, "labels": chosen.labels}

    return Work(given, call)


def check_selects_exactly_the_budget(subject: Subject) -> None:
    """For an ipc and for a fraction: the count of every class, no sample twice, by class."""
    data = toy_data()
    for budget in (Budget(ipc=IPC), Budget(ipc=1), Budget(fraction=0.25)):
        select_checked(subject, data, budget, str(budget))


def check_selects_by_class_of_unequal_size(subject: Subject) -> None:
    """Classes of 20, 9 and 3 samples under a fraction, at least one of each."""
    data = toy_data()
    parts = [data.class_indices(c)[:n] for c, n in enumerate((PER_CLASS, 9, 3))]
    uneven = data.subset(torch.cat(parts).sort().values)
    budget = Budget(fraction=0.3)
    select_checked(subject, uneven, budget, "classes of 20, 9 and 3 samples")


def check_scored_samples_come_hardest_first(subject: Subject) -> None:
    """Within a class scores never rise; equal ones keep the data's order."""
    if not subject.cls.needs_scores:
        return
    data = toy_data()
    for scores, what in ((distinct_scores(data), "distinct"), (tied_scores(data), "tied")):
        chosen = select(subject, data, Budget(ipc=IPC), scores)
        for part in torch.split(chosen.indices, list(chosen.counts)):
            values = scores.values[part]
            subject.require(
                bool((values.diff() <= 0).all()),
                f"lists {what} scores {values.tolist()} within a class, expected hardest first",
            )
            tied = values.diff() == 0
            subject.require(
                bool((part.diff()[tied] > 0).all()),
                f"lists equal scores as samples {part.tolist()}, expected the data's order",
            )


def check_short_class_is_an_error(subject: Subject) -> None:
    """A class with too few samples: an error with class, count asked, count there."""
    data = toy_data()
    short = data.subset(torch.cat([data.class_indices(0), data.class_indices(1)[:2]]).sort().values)
    short = replace(short, classes=data.classes[:2])
    asked = "asked for 5 of class 'bee', which has 2"
    try:
        chosen = select(subject, short, Budget(ipc=5))
    except DataError as error:
        message = str(error)
        subject.require(
            "bee" in message and "5" in message and "2" in message,
            f"{asked}, says '{message}'; expected the class, the count asked and the count there",
        )
    except Exception as error:
        raise subject.failed(f"{asked}, raised {describe(error)}, expected a DataError") from error
    else:
        raise subject.failed(f"{asked}, returned {list(chosen.counts)}, expected a DataError")


def check_whole_class_is_selected(subject: Subject) -> None:
    """With ipc = the size of the class the class is returned; or an error says why not."""
    data = toy_data()
    try:
        chosen = select(subject, data, Budget(ipc=PER_CLASS))
    except CondenseError as error:
        subject.require(
            any(name in str(error) for name in data.classes),
            f"refuses ipc = class size with '{error}', which names no class",
        )
        return
    subject.require(
        torch.equal(chosen.indices.sort().values, torch.arange(len(data))),
        "does not return the whole class when ipc is its size",
    )


def check_edge_options_keep_the_budget(subject: Subject) -> None:
    """Numbers at edges that the Options allow: the exact budget, or an error naming the class."""
    data, budget = toy_data(), Budget(ipc=IPC)
    for name, value in _edges(subject):
        if not subject.takes(**{name: value}):
            continue
        case = f"{name}={value}"
        try:
            select_checked(subject, data, budget, case, {name: value})
        except CondenseError as error:
            subject.require(
                any(c in str(error) for c in data.classes),
                f"refuses {case} with '{error}', which names no class",
            )


def check_larger_beta_is_never_harder(subject: Subject) -> None:
    """Where there is an option ``beta``: moving towards easy never raises mean difficulty."""
    if "beta" not in type(subject.options).model_fields:
        return
    data, last = toy_data(), float("inf")
    scores = distinct_scores(data)
    for beta in (0.0, 0.1, 0.25, 0.5, 0.75):
        if not subject.takes(beta=beta):
            continue
        chosen = select(subject, data, Budget(ipc=IPC), scores, {"beta": beta})
        mean = float(scores.values[chosen.indices].mean())
        subject.require(
            mean <= last + 1e-6,
            f"selects harder samples at beta={beta} (mean score {mean:.3f}) than at a smaller one "
            f"({last:.3f}); beta skips the hardest",
        )
        last = mean


def check_missing_scores_are_an_error(subject: Subject) -> None:
    """Without scores it works, or says that it needs them."""
    given = (toy_data(), None, Budget(ipc=IPC), subject.context(), generator())
    require_word_of_missing_scores(subject, lambda: subject.create().select(*given))


def check_test_split_is_not_read(subject: Subject) -> None:
    """The kit's data raise as soon as ``data.test`` is looked at."""
    read = reads_test(lambda data: select(subject, data, Budget(ipc=IPC)), toy_data())
    subject.require(not read, f"{TEST_READ}; choose from the training split only")


def _edges(subject: Subject) -> Iterator[tuple[str, float]]:
    for name, field in type(subject.options).model_fields.items():
        if field.annotation not in (int, float):
            continue
        for sign, inclusive, edge in edges_of(field):
            if inclusive or field.annotation is float:
                yield name, edge - (0.0 if inclusive else sign * 1e-6)
