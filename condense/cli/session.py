"""What a command needs to call the library: host, store, device and progress."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from condense.engine.jobs.driver import Crew
    from condense.engine.pipeline import Pipeline, Tools
    from condense.engine.runtime.display import Display
    from condense.engine.stages.stage import Stage
    from condense.plugin.host import Host
    from condense.recipe import Recipe
    from condense.resolve import Request


@dataclass(frozen=True)
class Session:
    """The surroundings of one library call; ``tools`` are its keyword arguments, ``progress``
    among them.

    ``ending`` is closed with it.
    """

    host: Host
    progress: Display
    tools: Tools
    ending: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def recipe(self, request: Request) -> Recipe:
        """The recipe that ``request`` means."""
        from condense.resolve import resolve, without_effect

        recipe = resolve(self.host, request)
        for line in without_effect(recipe, request):
            self.progress.note(line)
        return recipe

    def note_unread(self, recipe: Recipe, request: Request) -> None:
        """Say what of ``request`` is for a scorer that a run of ``recipe`` does not use."""
        from condense.engine.stages.scores import unread_options

        for line in unread_options(recipe, request):
            self.progress.note(line)

    def pipeline(self, recipe: Recipe, **more: Any) -> Pipeline:
        """The stages of ``recipe``, ready to be run; ``more`` as for :class:`Pipeline`."""
        from condense.engine.pipeline import Pipeline

        return Pipeline(recipe, self.host, **self.tools, **more)

    def together(self) -> Session:
        """This session with the ranks of torchrun, where it started several."""
        from condense.engine.jobs.launch import team

        others = team()
        if others is None:
            return self
        from condense.engine.jobs.environment import environment
        from condense.engine.matching.ranks import HELLO

        others.tell(HELLO, environment(self.host).to_json())
        return replace(self, tools={**self.tools, "ranks": others})

    def crew(self, request: Request) -> Crew | None:
        """What is to work the stages off instead of this process; None for itself."""
        from condense.engine.jobs.executor import executor_of

        self._remark(request)
        executor = executor_of(self.host, request)
        if executor is None:
            return None
        from condense.engine.jobs.driver import Crew

        return self.ending.enter_context(contextlib.closing(Crew(executor, self.progress)))

    def workers(self, request: Request) -> int | None:
        """How many jobs are to be under way at once, for a dry run; None where nobody says.

        Raises:
            CondenseError: for an executor or a tracker that is not there, or an option of theirs.
        """
        from condense.components import resolve_beside
        from condense.engine.jobs.executor import jobs_at_once
        from condense.layers import TRACKER

        resolve_beside(self.host, TRACKER, request.tracker, request.tracker_options)
        self._remark(request)
        return jobs_at_once(self.host, request)

    def _remark(self, request: Request) -> None:
        from condense.engine.jobs.executor import remarks

        for line in remarks(self.host, request, self.tools["device"]):
            self.progress.note(line)

    def tracked(self, request: Request) -> Session:
        """This session with the tracker of ``request``, where it has one."""
        from condense.components import resolve_beside
        from condense.layers import TRACKER

        found = resolve_beside(self.host, TRACKER, request.tracker, request.tracker_options)
        if found is None:
            return self
        from condense.engine.tracking import Tracking

        tracking = Tracking(found.create(), self.progress.note)
        return replace(self, tools={**self.tools, "tracking": tracking})

    def hand_out(
        self, request: Request, work: Sequence[tuple[Pipeline, Sequence[Stage[Any]]]]
    ) -> None:
        """Have stages of pipelines worked off by the executor of ``request``, if it has one.

        Raises:
            CondenseError: for the first thing that goes wrong.
        """
        crew = self.crew(request)
        if crew is not None:
            from condense.engine.jobs.driver import Target

            crew.work_all_off(*(Target(pipeline, stages) for pipeline, stages in work))


def get_host(ctx: click.Context) -> Host:
    """The host in ``ctx.obj``, built on first use; broken plugins are named on stderr."""
    from condense.plugin.host import build_host

    if ctx.obj is None:
        with kept_off_stdout():
            ctx.obj = build_host(report=lambda line: click.echo(line, err=True))
    host: Host = ctx.obj
    debug = bool(ctx.find_root().params.get("debug"))
    for broken in host.broken:
        if debug:
            click.echo("".join(traceback.format_exception(broken.error)).rstrip(), err=True)
        click.echo(
            f"warning: plugin {broken.name} ({broken.package}) failed to load: {broken.reason}",
            err=True,
        )
    return host


@contextlib.contextmanager
def kept_off_stdout() -> Iterator[None]:
    """Whatever is printed inside goes to stderr, stdout being the result's alone.

    By Python, and by what Python does not see: libraries in C, programs that a plugin starts.
    """
    kept = None
    with contextlib.suppress(OSError, AttributeError, ValueError):  # closed, or none at all
        sys.__stdout__.flush()  # type: ignore[union-attr]
        kept = os.dup(1)
        os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            with contextlib.suppress(OSError, AttributeError, ValueError):
                sys.__stdout__.flush()  # type: ignore[union-attr]
            os.dup2(kept, 1)
            os.close(kept)


@contextlib.contextmanager
def open_session(
    ctx: click.Context, device: str | None = None, together: bool = False
) -> Iterator[Session]:
    """A session; while it is open, whatever a library prints goes to stderr.

    Args:
        together: whether with the other ranks of torchrun, where it started several.
    """
    from condense.cli.progress import make_progress
    from condense.engine.jobs.launch import launch, set_threads
    from condense.engine.runtime.device import pick_device
    from condense.engine.runtime.store import Store

    if launch() is not None:
        set_threads()
    progress = make_progress()
    with kept_off_stdout():
        tools: Tools = {
            "store": Store.default(progress),
            "device": pick_device(device),
            "progress": progress,
        }
        session = Session(get_host(ctx), progress, tools)
        with session.ending:
            yield session.together() if together else session
