"""The plugin host: loads built-ins, then third-party plugins, each isolated from the others."""

from __future__ import annotations

import importlib
import importlib.metadata as metadata
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pluggy

from condense import DISTRIBUTION, __version__
from condense.errors import BrokenPlugin, OptionError, closest, describe
from condense.kinds import KINDS
from condense.plugin import NAME, spec
from condense.plugin.contract import check_component
from condense.plugin.registry import Entry, Registry
from condense.plugin.watch import Report, contained, watched

ENVIRONMENT = "CONDENSE_PLUGINS"
BUILTINS = "condense_plugins"


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded, and why."""

    name: str
    package: str
    error: BaseException

    @property
    def reason(self) -> str:
        """``ErrorType: message`` on one line; the message alone where it is ours."""
        return describe(self.error).removeprefix(f"{BrokenPlugin.__name__}: ")


@dataclass
class Host:
    """A plugin manager with one registry per kind. Made afresh by :func:`build_host`."""

    manager: pluggy.PluginManager
    registries: dict[str, Registry[Any]]
    broken: list[Broken] = field(default_factory=list)

    def registry(self, kind: str) -> Registry[Any]:
        """The registry of ``kind``.

        Raises:
            OptionError: for a kind that does not exist.
        """
        if kind not in self.registries:
            known = ", ".join(KINDS)
            raise OptionError(f"unknown kind '{kind}'{closest(kind, KINDS)} (kinds: {known})")
        return self.registries[kind]


def build_host(
    *, external: bool = True, extra: Iterable[object] = (), report: Report | None = None
) -> Host:
    """A fresh host: built-ins, then entry points of group ``condense``, then ``extra``.

    Args:
        external: whether to load installed third-party plugins (narrowed by the environment
            variable CONDENSE_PLUGINS: unset = all, empty = none, ``a,b`` = only those).
        extra: plugin objects or modules, for tests.
        report: gets a line about a third-party plugin that is slow to load or prints; None drops
            it.

    Raises:
        DuplicateComponent: if two plugins claim one name.
        OptionError: if CONDENSE_PLUGINS names a plugin that is not installed.
    """
    manager = pluggy.PluginManager(NAME)
    manager.add_hookspecs(spec)
    host = Host(manager, {kind: Registry(kind) for kind in KINDS})
    for module in importlib.import_module(BUILTINS).MODULES:
        staged = _stage(host, module, partial(importlib.import_module, module))
        _commit(host, staged, DISTRIBUTION, __version__)
    for name, package, version, load in _external() if external else ():
        with_label = partial(watched, f"{name} ({package})", report)
        _load_isolated(host, name, package, version, load, with_label)
    for number, plugin in enumerate(extra):
        name = getattr(plugin, "__name__", f"{type(plugin).__name__}-{number}")
        _load_isolated(host, name, name, "0", partial(_given, plugin))
    for registry in host.registries.values():
        registry.unavailable = len(host.broken)
    return host


def _external() -> Iterator[tuple[str, str, str, Callable[[], Any]]]:
    """(name, package, version, loader) of each wanted entry point, sorted by name."""
    points = sorted(metadata.entry_points(group=NAME), key=lambda e: (e.name, _package(e)))
    known = list(dict.fromkeys(point.name for point in points))
    wanted = os.environ.get(ENVIRONMENT)
    names = known if wanted is None else [n.strip() for n in wanted.split(",") if n.strip()]
    for name in names:
        if name not in known:
            raise OptionError(
                f"{ENVIRONMENT} names '{name}', which is not installed "
                f"(installed: {', '.join(known) or 'none'})"
            )
    for name in dict.fromkeys(names):
        same = [point for point in points if point.name == name]
        for point in same:
            package = _package(point)
            label = name if len(same) == 1 else f"{name} of {package}"
            yield label, package, point.dist.version if point.dist else "0", point.load


def _package(point: metadata.EntryPoint) -> str:
    return (point.dist and point.dist.name) or point.value


def _given(plugin: object) -> object:
    return plugin


def _load_isolated(
    host: Host,
    name: str,
    package: str,
    version: str,
    load: Callable[[], Any],
    watch: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Load one third-party plugin; whatever it raises is recorded, and nothing of it stays."""
    staged: list[tuple[str, Any]] = []
    with contained() as caught, watch():
        staged = _stage(host, name, load)
    if caught:
        if host.manager.has_plugin(name):
            host.manager.unregister(name=name)
        host.broken.append(Broken(name, package, caught[0]))
    else:
        _commit(host, staged, package, version)


def _stage(host: Host, name: str, load: Callable[[], Any]) -> list[tuple[str, Any]]:
    """Register a plugin with the manager; (kind, component) of all it offers."""
    plugin = load()
    try:
        host.manager.register(plugin, name=name)
        check_hooks(plugin)  # here, while the culprit is known
        host.manager.check_pending()
        return _collect(host, name)
    except BaseException:
        # pluggy 1.6 keeps the name of a plugin whose registration failed
        if host.manager.has_plugin(name):
            host.manager.unregister(name=name)
        raise


def _commit(host: Host, staged: list[tuple[str, Any]], package: str, version: str) -> None:
    """Put the components of one plugin into the tables; a taken name is an error."""
    for kind, component in staged:
        host.registries[kind].add(component.name, Entry(component, package, version))


def _collect(host: Host, plugin_name: str) -> list[tuple[str, Any]]:
    """(kind, component) of everything the plugin registers, checked but not yet committed.

    Raises:
        BrokenPlugin: naming every component that is not as it should be.
    """
    staged: list[tuple[str, Any]] = []
    problems: list[str] = []
    for kind in KINDS.values():
        caller = getattr(host.manager.hook, f"condense_register_{kind.suffix}")
        for impl in caller.get_hookimpls():
            if impl.plugin_name == plugin_name:

                def register(component: Any, kind: str = kind.name) -> None:
                    try:
                        check_component(component, kind)
                        if any(k == kind and c.name == component.name for k, c in staged):
                            raise BrokenPlugin(f"registers {kind} '{component.name}' twice")
                        staged.append((kind, component))
                    except BrokenPlugin as error:
                        problems.append(str(error))

                impl.function(register)
    if problems:
        raise BrokenPlugin("; ".join(problems))
    return staged


def check_hooks(plugin: object) -> None:
    """That every ``condense_…`` function of ``plugin`` is a hook and is marked as one.

    Raises:
        BrokenPlugin: for a misspelt name, with the nearest one, or a missing ``@hookimpl``.
    """
    hooks = [f"condense_register_{kind.suffix}" for kind in KINDS.values()]
    marker = f"{NAME}_impl"
    for name in dir(plugin):
        function = getattr(plugin, name, None)
        if not name.startswith(f"{NAME}_") or not inspect.isroutine(function):
            continue
        if name not in hooks:
            raise BrokenPlugin(
                f"has '{name}', which is no hook{closest(name, hooks)} (hooks: {', '.join(hooks)})"
            )
        if getattr(function, marker, None) is None:
            raise BrokenPlugin(f"defines {name} without the decorator @condense.hookimpl")
