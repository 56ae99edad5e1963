"""Every component of one plugin through the kit; what ``condense plugins check`` calls."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from condense.capabilities import argument_name
from condense.errors import BrokenPlugin, OptionError, closest
from condense.plugin.host import Broken, Host, build_host
from condense.plugin.watch import Report, contained, watched
from condense.testing.run import CHECKED, Report as KitReport, run_checks
from condense.testing.subject import CheckFailed, declared


@dataclass(frozen=True)
class PluginReport:
    """What the kit says of a plugin.

    Attributes:
        target: module or name that was asked for.
        reports: one per component that was checked.
        skipped: reason by (kind, name) of those that were not.
    """

    target: str
    reports: tuple[KitReport, ...]
    skipped: Mapping[tuple[str, str], str]

    @property
    def failed(self) -> bool:
        """Whether any check of any component failed."""
        return any(report.failures for report in self.reports)

    @property
    def names(self) -> list[tuple[str, str]]:
        """(kind, name) of all components, sorted."""
        return sorted([*((r.kind, r.name) for r in self.reports), *self.skipped])

    def verdict(self, kind: str, name: str) -> str:
        """``"22 passed, 1 failed"`` or why it was not checked."""
        if (kind, name) in self.skipped:
            return f"not checked: {self.skipped[kind, name]}"
        report = next(r for r in self.reports if (r.kind, r.name) == (kind, name))
        results = [o.result for o in report.outcomes]
        counts = {r: results.count(r) for r in ("passed", "failed", "excused")}
        return ", ".join(f"{n} {result}" for result, n in counts.items() if n)

    def to_json(self) -> dict[str, Any]:
        """The document of ``plugins check --json``."""
        components = [
            {
                "kind": report.kind,
                "name": report.name,
                "passed": not report.failures,
                "checks": [asdict(outcome) for outcome in report.outcomes],
            }
            for report in self.reports
        ]
        skipped = [
            {"kind": kind, "name": name, "reason": reason}
            for (kind, name), reason in self.skipped.items()
        ]
        return {
            "target": self.target,
            "passed": not self.failed,
            "components": components,
            "skipped": skipped,
        }


def check_plugin(host: Host, target: str, report: Report | None = None) -> PluginReport:
    """All components that ``target`` registers, through the checks of their kind.

    Args:
        host: where installed plugins are looked up.
        target: an entry point, package, component (``margin`` or ``scorer:margin``) or module.
        report: gets a line about a module that is slow to import or prints; None drops it.

    Raises:
        OptionError: if there is no such plugin or module.
        BrokenPlugin: if it could not be loaded, or components of it cannot be made for the kit.
    """
    for broken in host.broken:
        if target in (broken.name, broken.package):
            raise BrokenPlugin(f"plugin {target} failed to load: {broken.reason}") from broken.error
    found = _registered(host, target)
    if not found:
        host = _with_module(host, target, report)
        found = _registered(host, target)
    reports, skipped, problems = [], {}, []
    for kind, name in found:
        component = host.registry(kind).get(name)
        argument = argument_name(component)
        asks = argument is not None and _required(component, argument)
        try:
            if asks and declared(kind, component).options is None:
                skipped[kind, name] = f"needs a {argument}; check it in a test, with options for it"
            else:
                reports.append(run_checks(kind, component, host=host))
        except CheckFailed as error:
            problems.append(str(error))
    if problems:
        raise BrokenPlugin("; ".join(problems))
    return PluginReport(target, tuple(reports), skipped)


def _required(component: Any, option: str) -> bool:
    return bool(component.Options.model_fields[option].is_required())


def _registered(host: Host, target: str) -> list[tuple[str, str]]:
    """(kind, name) of what ``target`` stands for among the components of ``host``."""
    found = []
    plugin = host.manager.get_plugin(target)
    modules = {getattr(plugin, "__name__", None), target} - {None}
    for kind in CHECKED:
        for name, entry in host.registry(kind).items():
            home = str(entry.component.__module__)
            inside = any(home == m or home.startswith(f"{m}.") for m in modules)
            if target in (name, f"{kind}:{name}", entry.package) or inside:
                found.append((kind, name))
    return found


def _with_module(host: Host, target: str, report: Report | None) -> Host:
    """A host of the built-in components and the module ``target``.

    Raises:
        OptionError: if there is no such module.
        BrokenPlugin: if it registers nothing or cannot be loaded.
    """
    module = _import(host, target, report)
    fresh = build_host(external=False, extra=[module])
    if fresh.broken:
        raise BrokenPlugin(f"module {target}: {fresh.broken[0].reason}") from fresh.broken[0].error
    if not _registered(fresh, target):
        raise BrokenPlugin(
            f"module {target} registers nothing; it needs a function condense_register_…(register) "
            "with the decorator @condense.hookimpl"
        )
    return fresh


def _import(host: Host, target: str, report: Report | None) -> ModuleType:
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)  # as `python -m` does, so that a file beside you is found
    try:
        with contained() as caught, watched(target, report):
            if not _missing(target):
                return importlib.import_module(target)
        if not caught:
            names = {n for r in host.registries.values() for n in r.names()}
            raise OptionError(
                f"no plugin, component or module '{target}'{closest(target, names)}; see "
                "`condense plugins`"
            )
        broken = Broken(target, target, caught[0])
        raise BrokenPlugin(f"module {target} failed to load: {broken.reason}") from broken.error
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def _missing(target: str) -> bool:
    try:
        return importlib.util.find_spec(target) is None
    except (ModuleNotFoundError, ValueError):
        return True
