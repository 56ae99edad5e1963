"""What a tracker promises: it takes all that a run tells, for one run after another."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from condense.errors import describe
from condense.jobs import TrackedRun
from condense.testing.observation import Work
from condense.testing.subject import Subject

RUN = TrackedRun("toy-run", {"method": "selmatch", "matcher.network.width": "32"})


@contextlib.contextmanager
def elsewhere() -> Iterator[Path]:
    """A working folder that is removed: a tracker writes where it runs, unless told otherwise."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(here)


def tell(tracker: Any, picture: torch.Tensor, run: TrackedRun = RUN) -> None:
    """All that a run tells, in its order."""
    tracker.begin(run)
    for step in range(1, 4):
        tracker.figures(step, {"matching/loss": 1 / step, "matching/step-size": 0.1})
    tracker.picture(3, picture.numpy())
    tracker.figures(3, {"accuracy/condensed": 0.9})
    artefact = Path("artefact")
    artefact.mkdir(exist_ok=True)
    (artefact / "manifest.json").write_text("{}", encoding="utf-8")
    tracker.artefact(artefact)
    tracker.close(True)


def toy_picture() -> torch.Tensor:
    """uint8 [33, 66, 3]."""
    return torch.arange(33 * 66 * 3).reshape(33, 66, 3).remainder(256).to(torch.uint8)


def work(subject: Subject, seed: int) -> Work:
    """A whole run; nothing comes back."""
    picture = toy_picture()

    def call() -> dict[str, torch.Tensor]:
        with elsewhere():
            tell(subject.create(), picture)
        return {}

    return Work({"picture": picture}, call)


def _takes(subject: Subject, what: str, told: Callable[[Any], object]) -> None:
    with elsewhere():
        try:
            told(subject.create())
        except Exception as error:
            raise subject.failed(f"raised {describe(error)} for {what}") from error


def check_several_runs(subject: Subject) -> None:
    """One instance is told of several runs, each closed before the next begins."""

    def told(tracker: Any) -> None:
        for name in ("first", "second", "first"):
            tell(tracker, toy_picture(), TrackedRun(name, RUN.parameters))

    _takes(subject, "three runs, two of one name", told)


def check_a_run_that_breaks_off(subject: Subject) -> None:
    """A run may end before there is anything to tell."""

    def told(tracker: Any) -> None:
        tracker.begin(RUN)
        tracker.close(False)

    _takes(subject, "a run that breaks off at once", told)


def check_figures_that_are_not_finite(subject: Subject) -> None:
    """A loss may be NaN or infinite; a step may come again, as after a divergence."""

    def told(tracker: Any) -> None:
        tracker.begin(RUN)
        for step, loss in ((1, np.nan), (2, np.inf), (1, 0.5)):
            tracker.figures(step, {"matching/loss": float(loss)})
        tracker.close(True)

    _takes(subject, "a loss that is NaN, infinite, and step 1 again", told)


def check_long_parameters(subject: Subject) -> None:
    """A recipe has some hundred options, and one may be long."""
    many = {f"matcher.option-{n}": "x" * (2000 if n == 7 else 3) for n in range(250)}

    def told(tracker: Any) -> None:
        tracker.begin(TrackedRun("long", many))
        tracker.figures(1, {"matching/loss": 0.5})
        tracker.close(True)

    _takes(subject, "a recipe of 250 options, one of 2000 characters", told)
