"""What two processes must have in common for the same job to give the same bytes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

import condense
from condense.engine.documents import Document
from condense.errors import OURS, CondenseError
from condense.plugin.host import Host


class Environment(Document):
    """The programs of a process."""

    condense: str
    sources: str
    torch: str
    python: str
    plugins: dict[str, str]

    def check(self, other: Mapping[str, Any], what: str) -> None:
        """That ``other`` has the same programs.

        Args:
            other: as JSON, maybe that of a version of condense whose environments have other
                fields.
            what: is wrong if not.

        Raises:
            CondenseError: naming what differs, here and there.
        """
        own, found = self.to_json(), []
        for name in ("condense", "sources", "torch", "python"):
            here, there = own[name], other.get(name, "unknown")
            if here != there:
                word = "condense's sources" if name == "sources" else name
                found.append(f"{word} {here} here, {there} there")
        plugins = other.get("plugins", {})
        for name in sorted({*self.plugins, *plugins}):
            one, two = self.plugins.get(name, "missing"), plugins.get(name, "missing")
            if one != two:
                found.append(f"plugin {name} {one} here, {two} there")
        if found:
            raise CondenseError(f"{what} ({'; '.join(found)}); install the same on all machines")


def environment(host: Host) -> Environment:
    """That of this process."""
    plugins = {
        entry.package: entry.version
        for registry in host.registries.values()
        for _, entry in registry.items()
    }
    return Environment(
        condense=condense.__version__,
        sources=_sources(),
        torch=torch.__version__,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        plugins=dict(sorted(plugins.items())),
    )


@cache
def _sources() -> str:
    """A digest of condense's own files, built-in components with them: a version says little of
    what is being worked on."""
    found = hashlib.sha256()
    for package in OURS:
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*.py")):
            name = f"{package}/{path.relative_to(root).as_posix()}"
            found.update(name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]
