"""What is said of packages that an extra brings."""

import json
import sys
from importlib import metadata

import pytest

from condense.errors import OptionError, importing, pip_install


@pytest.fixture
def installed_from(monkeypatch):
    """Has condense be installed from a place, as ``direct_url.json`` of PEP 610 says it."""

    def make(text):
        class Found:
            def read_text(self, name):
                assert name == "direct_url.json"
                return text

        def distribution(name):
            assert name == "condense-data"
            if text is Ellipsis:
                raise metadata.PackageNotFoundError(name)
            return Found()

        monkeypatch.setattr(metadata, "distribution", distribution)

    return make


@pytest.mark.parametrize(
    ("source", "command"),
    [
        # as pip wrote them: of `pip install -e .`, `pip install .`, `pip install git+https://…`
        (
            {"url": "file:///home/me/my%20clone", "dir_info": {"editable": True}},
            "pip install -e '/home/me/my clone[hf]'",
        ),
        ({"url": "file:///clone", "dir_info": {}}, "pip install '/clone[hf]'"),
        (
            {"url": "https://host/c.git", "vcs_info": {"vcs": "git", "commit_id": "1a"}},
            "pip install 'condense-data[hf] @ git+https://host/c.git'",
        ),
        (None, "pip install 'condense-data[hf]'"),  # from an index there is no such file
        (..., "pip install 'condense-data[hf]'"),
    ],
)
def test_an_extra_is_installed_from_where_condense_came(installed_from, source, command):
    installed_from(json.dumps(source) if isinstance(source, dict) else source)
    assert pip_install("hf") == command
    (what,) = command.removeprefix("pip install ").removeprefix("-e ").strip("'").splitlines()
    if not what.startswith("/"):
        requirements = pytest.importorskip("packaging.requirements")
        assert requirements.Requirement(what).extras == {"hf"}


def test_a_damaged_file_says_nothing(installed_from):
    installed_from("{")
    assert pip_install("hf") == "pip install 'condense-data[hf]'"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "a needs b, which is not installed; install the extra `x` (pip install "),
        (
            "import gone_beneath",
            "a needs b, which cannot be imported (ModuleNotFoundError: No module named "
            "'gone_beneath'); install the extra `x` (pip install ",
        ),
        (
            "import sys\nsys.nothing",
            "a needs b, which cannot be imported (AttributeError: module 'sys' has no attribute "
            "'nothing'); install",
        ),
    ],
)
def test_what_is_there_but_broken_is_not_said_to_be_absent(tmp_path, monkeypatch, body, said):
    if body is not None:
        (tmp_path / "b_of_an_extra.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OptionError) as caught, importing("x", "a needs b", "b_of_an_extra"):
        import b_of_an_extra  # noqa: F401
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith("[x]')")
    assert "b_of_an_extra" not in sys.modules
