"""The Python API: ``condense(data, method="selmatch", ipc=5)``."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from condense.components import resolve_beside
from condense.data import LabeledData
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.documents import FindingNote
from condense.engine.graph import stages
from condense.engine.ingest.in_memory import in_memory, to_labeled_data
from condense.engine.jobs.driver import Crew, Target
from condense.engine.jobs.executor import executor_of, remarks
from condense.engine.pipeline import Pipeline, Tools
from condense.engine.run import results_of, worked_off
from condense.engine.runtime.device import pick_device
from condense.engine.runtime.exhaustion import OUT_OF_MEMORY, is_out_of_memory
from condense.engine.runtime.progress import SilentProgress, make_progress
from condense.engine.runtime.store import Store
from condense.engine.stages.scores import unread_options
from condense.engine.target import run_name
from condense.engine.tracking import Tracking
from condense.errors import CapacityError, CondenseError, FindingWarning, OptionError
from condense.interfaces import Progress
from condense.kinds import CHOOSE
from condense.layers import EXECUTOR, TRACKER, check_said_once, take_beside
from condense.options import assignments_of
from condense.plugin.host import Host, build_host
from condense.recipe import Recipe
from condense.report.diagnosis.findings import problems
from condense.resolve import (
    Request,
    is_choice,
    resolve,
    without_effect,
)
from condense.results import Finding, with_advice
from condense.spelling import in_python

if TYPE_CHECKING:
    from condense.studies.choosing.result import Choice
    from condense.studies.shrinking.final import Answer
    from condense.studies.shrinking.sizes import Metric


def condense(
    data: Any = "digits",
    *labels: Any,
    method: str | None = None,
    ipc: int | None = None,
    fraction: float | None = None,
    preset: str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    test: Any = None,
    device: str | None = None,
    executor: str | None = None,
    tracker: str | None = None,
    progress: Progress | bool | None = None,
    host: Host | None = None,
    minutes: float | None = None,
    label: str | None = None,
    ignore: Sequence[str] = (),
) -> CondensedDataset:
    """Make a small training set out of ``data``.

    Args:
        data: a data set's name (``"cifar10"``, ``"folder:photos"``), the path of a folder of images
            or of an ``.npz``, a map-style torch Dataset of
            (image, label) without augmentation or normalisation, a ``datasets.Dataset`` or
            ``DatasetDict``, a pair (inputs, labels) of
            arrays — images uint8 or float 0–1 [N, H, W, C] or [N, C, H, W], features [N, D] —, a
            pandas DataFrame with ``label``, a pair (DataFrame, labels), or
            :class:`condense.data.LabeledData`.
        labels: none: they go with ``data``, ``condense((X, y))``.
        method: a recipe: ``selmatch``, ``mtt``, ``random``, ``window`` …; ``auto`` takes the best
            for the data, as :func:`choose` does. The preset's own by default, else ``selmatch``.
        ipc: samples kept of each class; or
        fraction: share kept of each class, 0–1. Neither: the preset's ipc.
        preset: option values, ``quick`` by default.
        seed: all randomness follows from it; on a CPU equal seeds give equal bytes.
        options: what ``-o`` sets, by dotted key: ``{"selector.beta": 0.3, "scorer": "el2n"}``.
        test: the test split: a share of every class, 0–1, always the same samples; or data in the
            form of ``data``, or another file where they are named. The set, random ones of its size
            and the whole of ``data`` are then evaluated on it, as ``condense run`` does; the
            figures are the set's ``results``.
        device: ``"cpu"``, ``"cuda"`` …; the first GPU by default.
        executor: what works the stages off: ``"ray"``, ``"ray:HOST:PORT"``, ``"submitit"`` …, with
            its options in ``options``, ``{"executor.threads": 1}``; this process by default.
        tracker: what is told of losses, pictures and accuracies: ``"tensorboard"``,
            ``"mlflow:URI"`` …, with its options in ``options``; nobody by default.
        progress: True shows bars on a terminal and in a notebook, and lines elsewhere; or where
            long stages report. Silent by default.
        host: plugins; the installed ones by default.
        minutes: for the choice, with ``auto``; 2 by default.
        label: the column of labels of a DataFrame, or of a file of rows.
        ignore: columns of it that are no features, but come back with real samples.

    Returns:
        the condensed set, itself a torch Dataset.

    Warns:
        FindingWarning: for each sign that the set is no good, with what to try; and where
            ``auto`` found nothing better than random.

    Raises:
        CondenseError: naming what is wrong, the value, what is allowed and the next step.
    """
    if labels:
        raise OptionError(
            "data are one argument, inputs and labels a pair: condense((X, y), ipc=5)"
        )
    asked = _ask(
        data,
        method=method,
        ipc=ipc,
        fraction=fraction,
        preset=preset,
        seed=seed,
        options=options,
        test=test,
        device=device,
        executor=executor,
        tracker=tracker,
        progress=progress,
        host=host,
        label=label,
        ignore=ignore,
    )
    pipeline = _bound(asked, minutes)
    tested = test is not None or ("data", "test") in dict(asked.request.assignments)
    if not is_choice(asked.request):
        for line in unread_options(pipeline.recipe, asked.request):
            asked.tools["progress"].note(line)
    with _in_python():
        with pipeline.tracking.over(pipeline.recipe, lambda: run_name(pipeline)):
            with asked.crew() as crew:
                if crew is not None:
                    todo = stages(pipeline, baselines=True, evaluated=tested)
                    crew.work_all_off(Target(pipeline, todo))
            small, arms = worked_off(pipeline, baselines=True, evaluated=tested)
            pipeline.tracking.result(small, arms)
        findings = problems(pipeline, small, arms)
    _warn(findings)
    if not arms:
        return small
    return replace(small, results=results_of(small, arms, findings).to_json())


def choose(
    data: Any = "digits", *, minutes: float | None = None, method: str = "auto", **more: Any
) -> Choice:
    """The method that is best for ``data``, tried on a held-out part of the training split.

    Args:
        data: as for :func:`condense`.
        minutes: for it, 2 by default; turned into candidates and seeds before the start.
        method: nothing but ``auto``.
        more: further arguments of :func:`condense`, but for a ``tracker``.

    Returns:
        ``document`` (what was tried, what it cost, how sure the choice is; its ``verdict`` says
        that in a line) and ``recipe``.

    Raises:
        CondenseError: as :func:`condense` does.
    """
    if method != CHOOSE:
        raise OptionError(f"choose() chooses the method, got method='{method}'; leave it out")
    if more.get("tracker") not in (None, "none"):
        raise OptionError(
            f"choose() makes no set that tracker '{more['tracker']}' could watch; leave it out, or "
            'call condense(…, method="auto") with it'
        )
    return _chosen(_ask(data, method=method, **more), minutes)


def shrink(
    data: Any = "digits",
    *,
    keep: float = 0.95,
    methods: Sequence[str] = (),
    metric: Metric = "accuracy",
    max_fraction: float = 0.5,
    seeds: int = 5,
    **more: Any,
) -> Answer:
    """The smallest part of ``data`` with which a network keeps a share of what the whole gives.

    Args:
        data: as for :func:`condense`.
        keep: that share, 0–1.
        methods: that are tried beside random subsets; quick ones of real samples by default.
        metric: ``accuracy``, ``balanced-accuracy`` or ``worst-class``.
        max_fraction: the largest part of ``data`` that is tried, below 0.8.
        seeds: trainings at every size, each of which holds out another part of the data.
        more: further arguments of :func:`condense`, but for ``method``, ``ipc`` and ``fraction``;
            a ``tracker`` watches the set that is the answer.

    Returns:
        ``condensed``, the set (None where nothing is enough), and ``document`` with its size, the
        curve and what was tested; its ``verdict`` says that in a sentence.

    Warns:
        FindingWarning: where nothing is enough, or guesses would be, and as :func:`condense` does.

    Raises:
        CondenseError: as :func:`condense` does.
    """
    from condense.studies.binding import SharedData
    from condense.studies.shrinking.design import make_shrinking
    from condense.studies.shrinking.final import answer
    from condense.studies.shrinking.run import shrink as search

    for name in ("method", "ipc", "fraction", "minutes"):
        if name in more:
            raise OptionError(f"shrink() finds the size by methods=[…]; leave {name} out")
    asked = _ask(data, **more)
    progress = asked.tools["progress"]
    with _in_python():
        bind = asked.pipeline if asked.given is not None else SharedData(asked.pipeline)
        shrinking = make_shrinking(
            asked.host,
            asked.request,
            bind,
            methods,
            keep=keep,
            metric=metric,
            max_fraction=max_fraction,
            seeds=seeds,
        )
        with asked.crew() as crew:
            found = answer(search(shrinking, bind, progress, crew=crew), bind, crew)
        _warn(found.document.findings)
        small, pipeline = found.condensed, found.pipeline
        if small is None or pipeline is None:
            warnings.warn(found.document.verdict, FindingWarning, stacklevel=2)
            return found
        findings = problems(pipeline, small, found.arms)
    _warn(findings)
    if not found.arms:
        return found
    results = results_of(small, found.arms, findings).to_json()
    return replace(found, condensed=replace(small, results=results))


def _warn(findings: Sequence[Finding | FindingNote]) -> None:
    """On behalf of a function that was called from outside."""
    for finding in findings:
        text = in_python(with_advice(finding.message, finding.advice))
        warnings.warn(text, FindingWarning, stacklevel=3)


def bind(data: Any, *, minutes: float | None = None, **more: Any) -> Pipeline:
    """A :class:`Pipeline` for ``data``; arguments as for :func:`condense`.

    For those who want the scores, the selection or the evaluation as well.
    """
    return _bound(_ask(data, **more), minutes)


def _bound(asked: _Asked, minutes: float | None) -> Pipeline:
    if not is_choice(asked.request):
        if minutes is not None:
            raise OptionError('minutes is for the choice of a method; give method="auto" as well')
        with _in_python():
            recipe = resolve(asked.host, asked.request)
            for line in without_effect(recipe, asked.request):
                asked.tools["progress"].note(line)
            return asked.pipeline(recipe)
    choice = _chosen(asked, minutes)
    if not choice.document.better:
        warnings.warn(choice.document.verdict, FindingWarning, stacklevel=3)
    return asked.pipeline(choice.recipe)


@dataclass(frozen=True)
class _Asked:
    """What was asked for: plugins, a request, tools, and data that are not named."""

    host: Host
    request: Request
    tools: Tools
    given: LabeledData | None

    def pipeline(self, recipe: Recipe, data: LabeledData | None = None, **more: Any) -> Pipeline:
        """The stages of ``recipe`` on ``data``, by default those that were given."""
        if self.given is not None:
            recipe = in_memory(recipe, self.given)
        used = self.given if data is None else data
        return Pipeline(recipe, self.host, **self.tools, data=used, **more)

    @contextlib.contextmanager
    def crew(self) -> Iterator[Crew | None]:
        """What works stages off while it is open; None for this process itself."""
        for line in remarks(self.host, self.request, self.tools["device"]):
            self.tools["progress"].note(line)
        executor = executor_of(self.host, self.request)
        if executor is None:
            yield None
            return
        with contextlib.closing(Crew(executor, self.tools["progress"])) as crew:
            yield crew


def _chosen(asked: _Asked, minutes: float | None) -> Choice:
    from condense.studies.choosing.run import choose as chosen, plan_choice

    with _in_python():
        planned = plan_choice(asked.host, asked.request, minutes, asked.pipeline)
        with asked.crew() as crew:
            return chosen(planned, asked.tools["progress"], crew)


def _ask(
    data: Any,
    *,
    options: Mapping[str, Any] | None = None,
    test: Any = None,
    device: str | None = None,
    executor: str | None = None,
    tracker: str | None = None,
    progress: Progress | bool | None = None,
    host: Host | None = None,
    label: str | None = None,
    ignore: Sequence[str] = (),
    **request: Any,
) -> _Asked:
    _check_texts(
        device=device,
        executor=executor,
        label=label,
        tracker=tracker,
        method=request.get("method"),
        preset=request.get("preset"),
    )
    host = host or build_host()
    if isinstance(progress, bool) or progress is None:
        progress = make_progress(in_python) if progress else SilentProgress()
    named = data if isinstance(data, str) else None
    if isinstance(data, PurePath):  # never the name of a data set
        named = os.path.join(os.curdir, os.path.expanduser(data))
    with _in_python():
        asked_beside = {EXECUTOR: executor, TRACKER: tracker}
        assignments, fields = take_beside(_assignments(options or {}), **asked_beside)
        request |= fields
        if named is not None and not isinstance(test, float | str | PurePath | None):
            raise OptionError(
                f"data '{named}' is a name, so test must be a share > 0, < 1, or a file, or be "
                f"left out where the data have a test split, got {type(test).__name__}; "
                "try test=0.2"
            )
        given = None if named is not None else to_labeled_data(data, test, label, ignore)
        if given is None:  # what is said of a file are its options
            file = os.path.expanduser(test) if isinstance(test, PurePath) else test
            told = {"label": label, "ignore": list(ignore) or None, "test": file}
            said = tuple((("data", k), v) for k, v in told.items() if v is not None)
            check_said_once([*(one for one in assignments if one[0] in dict(said)), *said])
            assignments += said
        asked = Request(data=named, assignments=assignments, **request)
        if given is not None:
            asked = replace(asked, in_memory=True, modality=given.geometry.modality)
        tools: Tools = {
            "store": Store.default(progress),
            "device": pick_device(device),
            "progress": progress,
        }
        found = resolve_beside(host, TRACKER, asked.tracker, asked.tracker_options)
        if found is not None:
            tools["tracking"] = Tracking(found.create(), progress.note)
    return _Asked(host, asked, tools, given)


def _check_texts(**values: Any) -> None:
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise OptionError(f"{name} must be text or None, got {value!r}")


def _assignments(options: Any) -> tuple[tuple[tuple[str, ...], Any], ...]:
    """``options`` as ``-o`` gives them."""
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise OptionError(
            f"options must be a dict by dotted key, got {options!r}; for example "
            'options={"selector.beta": 0.3}'
        )
    return assignments_of(options)


@contextlib.contextmanager
def _in_python() -> Iterator[None]:
    """Inside, messages speak of arguments, not of the command line's flags."""
    try:
        yield
    except CondenseError as error:
        error.args = (in_python(str(error)),)
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise CapacityError(in_python(OUT_OF_MEMORY)) from None
        raise
