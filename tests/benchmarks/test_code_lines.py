"""``benchmarks/code_lines.py`` on a file counted by hand."""

import sys

import pytest

SOURCE = '''"""A docstring
over two lines."""

# a comment
import os  # 1, with a comment behind it


class Thing:  # 2
    """Not counted."""

    words = """3
4, a string
    """  # 5

    def method(self):  # 6
        """Not counted

        either."""
        "a string that is no docstring"  # 7
        return (  # 8
            os.name  # 9

        )  # 10
'''


@pytest.fixture
def lines(load):
    return load("code_lines")


def test_blank_lines_comments_and_docstrings_do_not_count(lines):
    assert lines.code_lines(SOURCE) == 10
    assert lines.code_lines("") == lines.code_lines('"""Alone."""\n') == 0


def test_files_are_summed_by_folder(lines, tmp_path, monkeypatch, capsys):
    for name in ("a/b/c/d/one.py", "a/two.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["code_lines.py", "a"])
    lines.main()
    assert capsys.readouterr().out.split() == ["10", "a", "10", "a/b/c", "20", "in", "all"]
