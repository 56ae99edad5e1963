"""What a command needs to call the library: host, store, device and progress."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from condense.engine.pipeline import Pipeline
    from condense.plugin.host import Host
    from condense.recipe import Recipe
    from condense.resolve import Request


@dataclass(frozen=True)
class Session:
    """The surroundings of one library call; ``tools`` are its keyword arguments."""

    host: Host
    tools: dict[str, Any]

    def recipe(self, request: Request) -> Recipe:
        """The recipe that ``request`` means."""
        from condense.resolve import resolve

        return resolve(self.host, request)

    def pipeline(self, recipe: Recipe, **more: Any) -> Pipeline:
        """The stages of ``recipe``, ready to be run; ``more`` as for :class:`Pipeline`."""
        from condense.engine.pipeline import Pipeline

        return Pipeline(recipe, self.host, **self.tools, **more)


def get_host(ctx: click.Context) -> Host:
    """The host in ``ctx.obj``, built on first use; broken plugins are named on stderr."""
    from condense.plugin.host import build_host

    host: Host = ctx.obj or build_host(report=lambda line: click.echo(line, err=True))
    ctx.obj = host
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
def open_session(ctx: click.Context, device: str | None = None) -> Iterator[Session]:
    """A session; while it is open, whatever a library prints goes to stderr."""
    from condense.cli.progress import make_progress
    from condense.engine.device import pick_device
    from condense.engine.store import Store

    progress = make_progress()
    with contextlib.redirect_stdout(sys.stderr):
        tools = {
            "store": Store.default(progress),
            "device": pick_device(device),
            "progress": progress,
        }
        yield Session(get_host(ctx), tools)
