"""What a linter cannot see: options without help, and hooks without errors."""

import inspect

from condense.cli.main import main
from condense.kinds import KINDS
from condense.plugin import spec


def test_every_option_of_every_component_has_help(host):
    fields = {
        f"{kind} {name}.{key}": field.description
        for kind, registry in host.registries.items()
        if kind not in ("method", "preset")
        for name, entry in registry.items()
        for key, field in entry.component.Options.model_fields.items()
    }
    assert len(fields) > 60
    assert [name for name, told in fields.items() if not told] == []


def test_there_is_one_hook_a_kind_and_it_names_its_errors():
    hooks = {
        name: inspect.getdoc(value) for name, value in vars(spec).items() if "_register_" in name
    }
    assert set(hooks) == {f"condense_register_{kind.suffix}" for kind in KINDS.values()}
    assert [name for name, told in hooks.items() if "Raises" not in (told or "")] == []


def test_help_says_what_exit_codes_mean():
    told = " ".join((main.help or "").split())
    assert "0 done, 1 failed, 2 wrong usage" in told
