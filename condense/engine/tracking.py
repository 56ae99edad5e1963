"""A run as a tracker watches it: whatever goes wrong there never reaches the run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.matching.state import MatchState
from condense.engine.training.batches import to_pixels
from condense.errors import OptionError, describe
from condense.interfaces import Evaluation, LabeledData, Normalization, Role, Tracker
from condense.jobs import TrackedRun
from condense.recipe import Recipe, flatten
from condense.results import Trace

LOSS, STEP_SIZE, IMAGE_LR = "matching/loss", "matching/step-size", "matching/image-lr"
PICTURES = 10  # of a matching, beside the one that it starts with
CLASSES, EACH = 10, 3  # classes shown, and samples of each
SIDE = 32  # pixels that an image on a picture has at least


class Tracking:
    """Tells a tracker of one run after another.

    The first thing that goes wrong with the tracker is said, and it is asked for nothing more.

    Args:
        tracker: that was asked for; None tells nobody.
        note: where that it failed is said.
    """

    def __init__(
        self, tracker: Tracker | None = None, note: Callable[[str], None] | None = None
    ) -> None:
        self._tracker = tracker
        self._note = note
        self._start()

    def _start(self) -> None:
        self._within = False
        self._told = 0  # iterations whose figures the tracker has
        self._pictured = -1  # iteration of its last picture

    @property
    def name(self) -> str:
        """Of the tracker; empty for none."""
        return "" if self._tracker is None else self._tracker.name

    @contextlib.contextmanager
    def over(self, recipe: Recipe, name: Callable[[], str]) -> Iterator[None]:
        """Inside, the run of ``recipe`` under ``name`` is watched.

        Raises:
            OptionError: for what the tracker cannot work with at all, as a package that is missing.
        """
        if self._tracker is None:
            yield
            return
        self._start()
        table = flatten(recipe.portable())
        run = TrackedRun(name(), {key: str(value) for key, value in table.items()})
        done = False
        self._tell(lambda tracker: tracker.begin(run), told=(OptionError,))
        self._within = True
        try:
            yield
            done = True
        finally:
            self._tell(lambda tracker: tracker.close(done))
            self._within = False

    def matching(self, data: LabeledData, state: MatchState) -> None:
        """Figures since the last look, and a picture now and then; while it is matched."""
        if not self._within:  # as of a method that is tried out
            return
        done, own = state.iteration, state.own_rates
        self._told = min(self._told, done)  # a run that diverged goes back
        new = slice(self._told, done)
        series = {LOSS: state.loss[new], STEP_SIZE: state.step_size[new]}
        if own is not None:
            series[IMAGE_LR] = own.image_lr[new]
        self._figures({name: values.tolist() for name, values in series.items()})
        due = self._pictured < 0 or (done - self._pictured) * PICTURES >= state.iterations
        if due:
            labels = state.synthetic.labels[state.rows]
            self._picture(done, state.result, labels, data.normalization)

    def result(self, condensed: CondensedDataset, evaluations: Mapping[str, Evaluation]) -> None:
        """The whole of a matching that was done elsewhere or before, the set, accuracies by arm."""
        if not self._within:
            return
        trace: Trace = condensed.trace
        series = {LOSS: trace.loss, STEP_SIZE: trace.step_size, IMAGE_LR: trace.image_lr}
        self._figures({name: list(values[self._told :]) for name, values in series.items()})
        distilled = condensed.role == int(Role.DISTILLED)
        rows = torch.nonzero(distilled if bool(distilled.any()) else ~distilled).flatten()
        end = len(trace.loss)
        shown = {**condensed.snapshots, end: condensed.inputs}
        for iteration, inputs in sorted(shown.items()):
            if iteration > self._pictured:
                labels = condensed.labels[rows]
                self._picture(iteration, lambda: inputs[rows], labels, condensed.normalization)  # noqa: B023
        for arm, found in evaluations.items():
            values = {f"accuracy/{arm}": found.mean}
            self._tell(lambda tracker: tracker.figures(end, values))  # noqa: B023

    def saved(self, folder: Path) -> None:
        """The result lies in ``folder``."""
        self._tell(lambda tracker: tracker.artefact(folder))

    def _figures(self, series: Mapping[str, list[float]]) -> None:
        """Those of the iterations after the last one that the tracker knows, by name."""
        for number in range(len(series[LOSS])):
            values = {
                name: found[number]
                for name, found in series.items()
                if number < len(found) and (name == LOSS or found[number] == found[number])
            }
            self._told += 1
            self._tell(lambda tracker: tracker.figures(self._told, values))  # noqa: B023

    def _picture(
        self,
        iteration: int,
        inputs: Callable[[], Tensor],
        labels: Tensor,
        normalization: Normalization,
    ) -> None:
        """Some of ``inputs`` (normalised) after ``iteration``, where they are images."""
        self._pictured = iteration

        def show(tracker: Tracker) -> None:
            found = inputs()
            if found.dim() == 4 and len(found):
                tracker.picture(iteration, sheet(to_pixels(found, normalization), labels.cpu()))

        self._tell(show)

    def _tell(
        self, call: Callable[[Tracker], object], told: tuple[type[Exception], ...] = ()
    ) -> None:
        """``call``, of which an error is said and ends the watch, but for those to be ``told``."""
        tracker = self._tracker
        if tracker is None:
            return
        try:
            call(tracker)
        except told:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 – of a tracker, which no result
            # depends on; a client of a server that is gone may call sys.exit
            self._tracker, self._within = None, False
            with contextlib.suppress(Exception, SystemExit):
                tracker.close(False)
            if self._note is not None:
                self._note(
                    f"warning: tracker '{tracker.name}' failed with {describe(error)}; the run "
                    "goes on without it"
                )


def sheet(images: Tensor, labels: Tensor) -> npt.NDArray[np.uint8]:
    """A picture uint8 [H, W, 3]: the first images of the first classes, a column a class.

    Args:
        images: uint8 [M, H, W, C], C = 1 or 3.
        labels: int64 [M].
    """
    columns = [
        images[labels == label][:EACH].numpy() for label in sorted(set(labels.tolist()))[:CLASSES]
    ]
    height, width = images.shape[1:3]
    times = -(-SIDE // min(height, width))
    down, right = height * times + 1, width * times + 1
    rows = max(len(column) for column in columns)
    picture = np.full((rows * down, len(columns) * right, 3), 255, np.uint8)
    for x, column in enumerate(columns):
        for y, image in enumerate(column):
            large = image.repeat(times, 0).repeat(times, 1)
            top, left = y * down, x * right
            picture[top : top + down - 1, left : left + right - 1] = large
    return picture


UNTRACKED = Tracking()
