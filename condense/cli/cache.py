"""``condense cache``: what the store holds, and how to be rid of it."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from condense.cli.flags import json_flag
from condense.errors import OptionError, closest

if TYPE_CHECKING:
    from condense.engine.runtime.housekeeping import StoredEntry
    from condense.engine.runtime.store import Store


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  condense cache list
  condense cache clean --kind experts --yes
""",
)
@click.pass_context
def cache(ctx: click.Context) -> None:
    """List or clean the stored results of stages.

    They lie in $CONDENSE_STORE, else $XDG_CACHE_HOME/condense, else ~/.cache/condense.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@cache.command("list")
@json_flag
def list_entries(as_json: bool) -> None:
    """Show kind, count, size and age of what is stored."""
    from condense.cli.output import echo_json, echo_table, megabytes

    store = _open()
    kinds = _by_kind(store.entries())
    count, size = (sum(k[field] for k in kinds) for field in ("count", "bytes"))
    if as_json:
        echo_json({"store": str(store.root), "kinds": kinds, "count": count, "bytes": size})
        return
    rows = [
        (k["kind"], k["count"], megabytes(k["bytes"]), _local(k["oldest"]), _local(k["newest"]))
        for k in kinds
    ]
    rows.append(("total", count, megabytes(size), "", ""))
    echo_table(("kind", "count", "size", "oldest", "newest"), rows)
    click.echo(f"\nin {store.root}")


@cache.command()
@click.option("--kind", metavar="KIND", help="Only results of this kind.  [default: all]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_flag
def clean(kind: str | None, yes: bool, as_json: bool) -> None:
    """Remove stored results; later runs compute them anew. Finished runs are not touched.

    Goes for entries, and for what unfinished runs left: checkpoints, drafts, locks. What a living
    process works on stays, and so does whatever else lies in the folder.
    """
    from condense.cli.output import echo_json, megabytes, say

    store = _open()
    count = {k["kind"]: k["count"] for k in _by_kind(store.entries())}
    left = store.leftovers()
    kinds = [k for k in left if count.get(k) or left[k]]
    if kind is not None and kind not in kinds:
        known = ", ".join(kinds) or "none"
        raise OptionError(f"nothing of kind '{kind}' is stored{closest(kind, kinds)} ({known})")
    chosen = [k for k in kinds if kind in (None, k)]
    what = _words(sum(count.get(k, 0) for k in chosen), sum(left[k] for k in chosen))
    if chosen and not yes and not sys.stdin.isatty():
        raise OptionError(f"would remove {what} from {store.root}; add --yes to do it")
    question = f"remove {what} from {store.root}?"
    if chosen and not yes and not click.confirm(question, err=True):
        chosen = []
    gone = store.clean(kind) if chosen else (0, 0, 0)
    if as_json:
        keys = ("removed", "bytes", "leftovers")
        echo_json({"store": str(store.root)} | dict(zip(keys, gone, strict=True)))
    else:
        say(f"removed {_words(gone[0], gone[2])}, {megabytes(gone[1])}, from {store.root}")


def _words(entries: int, leftovers: int) -> str:
    more = f" and {leftovers} leftovers of unfinished runs" if leftovers else ""
    return f"{entries} entries{more}"


def _open() -> Store:
    from condense.cli.progress import make_progress
    from condense.engine.runtime.store import Store

    return Store.default(make_progress())


def _by_kind(entries: list[StoredEntry]) -> list[dict[str, Any]]:
    """One row per kind, sorted, with times as ISO 8601 in UTC."""
    rows = []
    for kind in sorted({e.kind for e in entries}):
        mine = [e for e in entries if e.kind == kind]
        ages = [e.created for e in mine]
        rows.append(
            {
                "kind": kind,
                "count": len(mine),
                "bytes": sum(e.bytes for e in mine),
                "oldest": datetime.fromtimestamp(min(ages), timezone.utc).isoformat("T", "seconds"),
                "newest": datetime.fromtimestamp(max(ages), timezone.utc).isoformat("T", "seconds"),
            }
        )
    return rows


def _local(moment: str) -> str:
    """An ISO time as a local date and minute."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"
