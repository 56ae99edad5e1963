"""``condense plugins``: which components there are, from which package, with which options."""

from __future__ import annotations

import shlex
import types
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import click

from condense.cli.flags import PATH, json_flag

if TYPE_CHECKING:
    from condense.plugin.host import Host
    from condense.plugin.registry import Entry, Registry
    from condense.recipe import Preset


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  condense plugins
  condense plugins show matcher trajectory
  condense plugins show preset fast-cifar100-ipc50
  condense plugins new scorer margin --into ~/src
  condense plugins check margin
  CONDENSE_PLUGINS=mine condense plugins --json --strict
""",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if a plugin failed to load.")
@json_flag
@click.pass_context
def plugins(ctx: click.Context, strict: bool, as_json: bool) -> None:
    """List components, what each does, and the packages they are from.

    CONDENSE_PLUGINS limits which third-party plugins load: unset = all, empty = none, a,b = those.
    """
    if ctx.invoked_subcommand is not None:
        return
    from condense.cli.output import echo_json, echo_table
    from condense.cli.session import get_host

    host = get_host(ctx)
    listing = describe(host)
    if as_json:
        echo_json(listing)
    else:
        rows = [
            (c["kind"], c["name"], c["package"], c["version"], c["summary"])
            for c in listing["components"]
        ]
        rows += [
            ("preset", p["name"], p["package"], p["version"], p["summary"])
            for p in listing["presets"]
        ]
        rows += [("broken", b["name"], b["package"], "", b["error"]) for b in listing["broken"]]
        headers = ("kind", "name", "package", "version", "what it does")
        echo_table(headers, rows, least=("version", "package"))
    if strict and host.broken:
        ctx.exit(1)


@plugins.command(epilog="Example: condense plugins show selector window")
@click.argument("kind")
@click.argument("name")
@json_flag
@click.pass_context
def show(ctx: click.Context, kind: str, name: str, as_json: bool) -> None:
    """Show one component's options with type, default and meaning.

    Kinds: data network scorer selector matcher policy reselector augmentation evaluator
    executor tracker method preset. Exits with 2 for a kind or name that does not exist.
    """
    from condense.cli.output import echo_json, echo_table, say
    from condense.cli.session import get_host

    host = get_host(ctx)
    registry = host.registry(kind)
    entry = dict(entries(registry)).get(name) or registry.entry(name)
    document = describe_entry(kind, name, entry)
    if kind == "preset":
        document["values"] = preset_values(host, entry.component)
    if as_json:
        echo_json(document)
        return
    say(f"{kind} {name} ({entry.package} {entry.version}): {document['summary']}\n")
    if kind == "preset":
        _show_preset(document)
    elif document.get("stages"):
        echo_table(("stage", "values"), _stage_rows(document))
    elif document["options"]:
        from condense.options import bounds

        model = entry.component.Options.model_fields
        rows = [
            (
                o["name"],
                o["type"] + bounds(model[o["name"]]),
                "(required)" if model[o["name"]].is_required() else value_text(o["default"]),
                o["help"],
            )
            for o in document["options"]
        ]
        echo_table(("option", "type", "default", "meaning"), rows)
    else:
        say("no options")


@plugins.command(epilog="Example: condense plugins new scorer margin --into ~/src")
@click.argument("kind")
@click.argument("name")
@click.option(
    "--into",
    type=PATH,
    default=".",
    metavar="DIR",
    help="Folder that gets the package's folder, condense-NAME.  [default: .]",
)
@json_flag
@click.pass_context
def new(ctx: click.Context, kind: str, name: str, into: Path, as_json: bool) -> None:
    """Write a package with one component of KIND called NAME, and its test.

    Kinds: data network scorer selector matcher policy reselector augmentation evaluator
    executor tracker method. NAME is kebab-case. Exits with 2 for a kind or name that cannot be
    used, with 1 if the folder is there already; then nothing is written.
    """
    from condense.cli.output import echo_json, say
    from condense.cli.session import get_host
    from condense.plugin.scaffold import Names, write_package

    folder = write_package(get_host(ctx), kind, name, into)
    names = Names(kind, name)
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    if as_json:
        echo_json({"package": names.package, "folder": str(folder), "files": files})
        return
    say(f"{folder} is ready; the component is in src/{names.module}/__init__.py\n")
    click.echo(
        f"  cd {shlex.quote(str(folder))}\n  pip install -e '.[test]' && pytest\n  {names.use}"
    )


@plugins.command(
    epilog="""\b
Examples:
  condense plugins check margin                   an installed plugin, package or component
  condense plugins check my_module.scorers        a module, installed or not
"""
)
@click.argument("target", metavar="MODULE|NAME")
@click.option("--strict", is_flag=True, help="Exit with 1 also if something could not be checked.")
@json_flag
@click.pass_context
def check(ctx: click.Context, target: str, strict: bool, as_json: bool) -> None:
    """Run the conformance kit on the components of a plugin.

    They run on tiny made-up data with the options of the plugin's CONFORMANCE, else with their
    defaults. Exits with 1 if any check fails or the plugin cannot be loaded, with 2 if there is
    none of that name.
    """
    from condense.cli.output import echo_json, echo_table, say
    from condense.cli.session import get_host, kept_off_stdout
    from condense.testing.plugin import check_plugin

    with kept_off_stdout():
        host = get_host(ctx)
        result = check_plugin(host, target, report=lambda line: click.echo(line, err=True))
    if as_json:
        echo_json(result.to_json())
    else:
        rows = [(kind, name, result.verdict(kind, name)) for kind, name in result.names]
        echo_table(("kind", "name", "checks"), rows)
        for report in result.reports:
            if report.failures:
                say(f"\n{report.text()}")
    if result.failed or (strict and result.skipped):
        ctx.exit(1)


def entries(registry: Registry[Any]) -> list[tuple[str, Entry[Any]]]:
    """What ``registry`` has, by name, with what ``condense run`` takes in a method's place."""
    from condense import DISTRIBUTION, __version__
    from condense.plugin.registry import Entry
    from condense.recipe import Method

    found = dict(registry.items())
    if registry.also:
        summary = "the one that is best for the data, tried on held-out samples; for `run` alone"
        method = Method(registry.also, summary, {})
        found[method.name] = Entry(method, DISTRIBUTION, __version__)
    return sorted(found.items())


def describe(host: Host) -> dict[str, Any]:
    """Everything that can be asked for, JSON-ready."""
    components, presets = [], []
    for kind, registry in host.registries.items():
        for name, entry in entries(registry):
            item = describe_entry(kind, name, entry)
            if kind == "preset":
                fields = ("name", "summary", "ipc", "package", "version")
                presets.append({field: item[field] for field in fields})
            else:
                item.pop("stages", None)  # of methods; `show` has them
                components.append(item)
    broken = [{"name": b.name, "package": b.package, "error": b.reason} for b in host.broken]
    return {"components": components, "presets": presets, "broken": broken}


def describe_entry(kind: str, name: str, entry: Entry[Any]) -> dict[str, Any]:
    """One registered thing, JSON-ready."""
    thing = entry.component
    item: dict[str, Any] = {"name": name, "kind": kind, "package": entry.package}
    item |= {"version": entry.version, "options": []}
    if kind in ("method", "preset"):
        item["summary"] = thing.summary
        item["stages"] = {stage: dict(table) for stage, table in thing.stages.items()}
        if kind == "preset":
            item |= {"ipc": thing.ipc, "for_data": dict(thing.for_data)}
            item["for_modality"] = dict(thing.for_modality)
            item["published"] = thing.published
            item["sources"] = dict(thing.sources)
        return item
    summary = (thing.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    item["summary"] = summary.replace("``", "`")
    fields = thing.Options.model_fields.items()
    item["options"] = [describe_option(key, field) for key, field in fields]
    return item


def preset_values(host: Host, preset: Preset) -> list[dict[str, Any]]:
    """Every option under ``preset`` (default method), where it is from, what was published.

    Without the data stage, which may need a path.
    """
    from condense.published import flat, preset_differences
    from condense.resolve import Request, resolve

    request = Request(preset=preset.name, in_memory=True)
    options = flat(resolve(host, request))
    changed = {d.option: d.published for d in preset_differences(host, request)}
    return [
        {
            "option": option,
            "value": value,
            "published": changed.get(option, value) if preset.published else None,
            "source": preset.source(option),
        }
        for option, value in options.items()
    ]


def describe_option(name: str, field: Any) -> dict[str, Any]:
    """Name, type, default (null where it is required) and help of an option field."""
    from pydantic import TypeAdapter

    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return {
        "name": name,
        "type": type_name(field.annotation),
        "default": TypeAdapter(Any).dump_python(default, mode="json", fallback=str),
        "help": field.description or "",
    }


def type_name(annotation: Any) -> str:
    """A type as a user reads it: ``int``, ``auto | constant``, ``network``."""
    origin = get_origin(annotation)
    if origin is Annotated:  # bounds stand elsewhere
        return type_name(get_args(annotation)[0])
    if origin is Literal:
        return " | ".join(str(a) for a in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " | ".join(type_name(a) for a in get_args(annotation))
    if origin is not None:
        inner = ", ".join(type_name(a) for a in get_args(annotation))
        return f"{getattr(origin, '__name__', origin)}[{inner}]"
    if annotation is type(None):
        return "null"  # as it is typed after -o
    if annotation is Ellipsis:
        return "…"
    # a nested component is known by its kind
    kind = getattr(annotation, "kind", None)
    return str(kind or getattr(annotation, "__name__", annotation))


def _show_preset(document: dict[str, Any]) -> None:
    """Every value with its source, where the preset says that; else what it sets."""
    from condense.cli.output import echo_table

    if not document["sources"]:
        echo_table(("stage", "values"), [("ipc", str(document["ipc"])), *_stage_rows(document)])
        return
    rows = []
    for v in document["values"]:
        differs = document["published"] and v["published"] != v["value"]
        told = f"{v['source']}; published: {value_text(v['published'])}"
        rows.append((v["option"], value_text(v["value"]), told if differs else v["source"]))
    echo_table(("option", "value", "source"), rows)


def _stage_rows(document: dict[str, Any]) -> list[tuple[str, str]]:
    """The stages of a method or preset, and what a preset changes for some data."""
    rows = [(stage, value_text(table)) for stage, table in document["stages"].items()]
    for key in ("for_modality", "for_data"):
        for data, stages in document.get(key, {}).items():
            rows += [(f"{stage} for {data}", value_text(t)) for stage, t in stages.items()]
    return rows


def value_text(value: Any) -> str:
    """``value`` as it would be typed; of a table its component, then KEY=VALUE of the rest."""
    from condense.options import format_value

    if isinstance(value, dict):
        head = [str(value["component"])] if "component" in value else []
        rest = [f"{k}={value_text(v)}" for k, v in value.items() if k != "component"]
        return " ".join([*head, *rest])
    return format_value(value)
