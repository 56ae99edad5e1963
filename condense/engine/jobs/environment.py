"""What two processes must have in common for the same job to give the same bytes."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path

import torch

import condense
from condense.engine.documents import Document
from condense.plugin.host import Host


class Environment(Document):
    """The programs of a process."""

    condense: str
    sources: str
    torch: str
    python: str
    plugins: dict[str, str]

    def differences(self, other: Environment) -> list[str]:
        """``"torch 2.4 here, 2.5 there"`` for whatever is not the same."""
        found = []
        for name in ("condense", "sources", "torch", "python"):
            here, there = getattr(self, name), getattr(other, name)
            if here != there:
                word = "condense's sources" if name == "sources" else name
                found.append(f"{word} {here} here, {there} there")
        for name in sorted({*self.plugins, *other.plugins}):
            one, two = self.plugins.get(name, "missing"), other.plugins.get(name, "missing")
            if one != two:
                found.append(f"plugin {name} {one} here, {two} there")
        return found


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
    """A digest of condense's own files: a version says little of what is being worked on."""
    root, found = Path(condense.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]
