"""Lines of code by folder, and their sum; blank lines, comments and docstrings are not counted.

python benchmarks/code_lines.py                 # condense and plugins
python benchmarks/code_lines.py tests           # other folders
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

SILENT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENDMARKER, tokenize.ENCODING),
}
DEPTH = 3  # folders are told apart down to condense/engine/runtime


def code_lines(text: str) -> int:
    """How many lines of a Python file's ``text`` hold code; a string over three lines is three."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SILENT:
            found.update(range(token.start[0], token.end[0] + 1))
    return len(found - docstring_lines(ast.parse(text)))


def docstring_lines(tree: ast.Module) -> set[int]:
    """The lines that docstrings of modules, classes and functions take."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                first = node.body[0]
                found.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return found


def by_folder(roots: list[str]) -> Counter[str]:
    """Lines of the Python files below ``roots``."""
    found: Counter[str] = Counter()
    for root in roots:
        for path in sorted(Path(root).rglob("*.py")):
            folder = Path(*path.parent.parts[:DEPTH]).as_posix()
            found[folder] += code_lines(path.read_text(encoding="utf-8"))
    return found


def main() -> None:
    found = by_folder(sys.argv[1:] or ["condense", "plugins"])
    for folder in sorted(found):
        print(f"{found[folder]:6d} {folder}")
    print(f"{sum(found.values()):6d} in all")


if __name__ == "__main__":
    main()
