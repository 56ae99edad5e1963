"""docs/helpers.md is what the docstrings say, its examples run, and it names what may be used."""

import re
from pathlib import Path

import pytest
import torch

from condense.cli.helpers.page import TARGET, _rendered, helpers
from condense.cli.helpers.topics import TOPICS
from condense.data import LabeledData
from condense.results import Budget, Scores
from condense.testing.toys import WatchedContext, generator, toy_data

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = (ROOT / TARGET).read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## (.*?)\n\n```python\n(.*?)```", WRITTEN, re.DOTALL | re.MULTILINE))


def test_the_page_is_not_stale():
    assert WRITTEN == helpers(), "run `python -m condense.cli.helpers` and commit the result"


def test_every_topic_has_an_example():
    assert list(EXAMPLES) == [topic.title for topic in TOPICS]


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_runs_on_the_arguments_of_a_component(title, host):
    data = toy_data()
    assert isinstance(data, LabeledData)
    given = {
        "data": data,
        "context": WatchedContext(host),
        "rng": generator(),
        "scores": Scores(torch.rand(len(data), generator=generator(2)), "toy"),
        "budget": Budget(ipc=3),
    }
    assert "assert" in EXAMPLES[title]
    exec(compile(EXAMPLES[title], title, "exec"), given)


def test_every_name_has_a_text_and_is_of_what_may_be_used():
    headings = re.findall(r"^### `(.*?)`\n\n((?:`.*`  ?\n?)*)\n*(.*)", WRITTEN, re.MULTILINE)
    assert len(headings) == sum(len(n.split()) for t in TOPICS for n in t.names.values()) > 35
    assert [name for name, _, text in headings if not text.strip()] == []
    rule = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("built-in components import")[2]
    lists = re.findall(r"`([\w.]+)\.\{([\w,]+)\}`", rule)
    allowed = tuple(f"{home}.{name}" for home, names in lists for name in names.split(","))
    assert len(allowed) > 10
    homes = {home for topic in TOPICS for home in topic.names} - {"condense"}
    assert [home for home in homes if not home.startswith(allowed)] == []


def test_docstrings_become_markdown():
    doc = """One :func:`~a.b.call` of ``x``.

Args:
    one, two: first
        and more.
    three: another.

Returns:
    int64 [N], or
    None.
"""
    assert _rendered(doc) == (
        "One `call` of `x`.\n\nArgs:\n\n- `one`, `two`: first and more.\n- `three`: another.\n\n"
        "Returns: int64 [N], or None.\n"
    )
