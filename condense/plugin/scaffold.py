"""``condense plugins new``: a package with one component, its entry point and its test."""

from __future__ import annotations

import importlib.util
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from condense import DISTRIBUTION
from condense.errors import OptionError, OutputError, closest
from condense.kinds import KINDS
from condense.plugin.host import Host
from condense.reading import in_one_line

WRITTEN = {name: kind for name, kind in KINDS.items() if kind.use}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Names:
    """All names of a new package, out of the component's kind and name."""

    kind: str
    name: str

    @property
    def package(self) -> str:
        """As pip knows it: ``condense-margin``."""
        return f"condense-{self.name}"

    @property
    def module(self) -> str:
        """As Python imports it: ``condense_margin``."""
        return self.package.replace("-", "_")

    @property
    def thing(self) -> str:
        """The class, ``MarginScorer``; ``METHOD`` for a method, which is a record."""
        suffix = KINDS[self.kind].protocol
        if not suffix:
            return "METHOD"
        return "".join(part.capitalize() for part in self.name.split("-")) + suffix

    @property
    def use(self) -> str:
        """A command that uses it."""
        return f"condense run {KINDS[self.kind].use.format(name=self.name)}"


def write_package(host: Host, kind: str, name: str, into: Path) -> Path:
    """Write the package ``condense-NAME`` into the folder ``into``, all or nothing.

    Args:
        host: whose names are taken.
        kind: as on the command line; presets are no kind of their own here.
        name: of the component, kebab-case.
        into: folder that gets the package's folder; made if it is not there.

    Returns:
        the package's folder.

    Raises:
        OptionError: for an unknown kind, or a name that is malformed or taken.
        OutputError: if the folder is there already or cannot be written.
    """
    names = _checked(host, kind, name)
    target = into / names.package
    if target.exists():
        raise OutputError(f"{target} is there already; choose another name, or another `into`")
    try:
        draft = into / f".condense-{secrets.token_hex(8)}"
        draft.mkdir(parents=True)
        try:
            for path, text in package_files(names).items():
                (draft / path).parent.mkdir(parents=True, exist_ok=True)
                (draft / path).write_text(text, encoding="utf-8")
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        reason = in_one_line(error)
        raise OutputError(f"{target} cannot be written: {reason}; try another `into`") from None
    return target


def package_files(names: Names) -> dict[str, str]:
    """Text by relative path of every file of the package."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("condense.plugin"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 – Python, TOML and Markdown, out of checked names
    )
    values = {
        field: getattr(names, field)
        for field in ("kind", "name", "package", "module", "thing", "use")
    } | {"distribution": DISTRIBUTION}

    def render(template: str) -> str:
        return environment.get_template(template).render(values).rstrip("\n") + "\n"

    return {
        "pyproject.toml": render("pyproject.toml.j2"),
        "README.md": render("README.md.j2"),
        f"src/{names.module}/__init__.py": render(f"kinds/{names.kind}.py.j2"),
        f"src/{names.module}/py.typed": "",
        f"tests/test_{names.module}.py": render("test.py.j2"),
    }


def _checked(host: Host, kind: str, name: str) -> Names:
    if kind not in WRITTEN:
        raise OptionError(
            f"unknown kind '{kind}'{closest(kind, WRITTEN)} (kinds: {', '.join(WRITTEN)})"
        )
    if not _NAME.fullmatch(name):
        raise OptionError(
            f"name '{name}' must be kebab-case and start with a letter, for example 'mean-margin'"
        )
    if name in KINDS[kind].reserved:
        raise OptionError(f"{kind} '{name}' needs another name: {KINDS[kind].reserved[name]}")
    names = Names(kind, name)
    registry = host.registry(kind)
    if name in registry:
        raise OptionError(
            f"{kind} '{name}' is taken by {registry.entry(name).package}; choose another name"
        )
    if importlib.util.find_spec(names.module) is not None:
        raise OptionError(
            f"name '{name}' is taken: a package {names.module} is installed; choose another name"
        )
    return names
