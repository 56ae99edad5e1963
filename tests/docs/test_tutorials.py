"""What the tutorials tell one to type, typed; the notebook, run (`.ci/run tutorials`)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted((DOCS / "tutorials").glob("*.md"))
NOTEBOOK = DOCS / "tutorials" / "digits.ipynb"
# `condense` is this one, and what is to be installed of a clone is there; a plugin goes to a folder
PRELUDE = """
set -euo pipefail
condense() { "$PYTHON" -m condense "$@"; }
python() { "$PYTHON" "$@"; }
pip() {
  case "$*" in
    "install -e ."*) ;;
    *) "$PYTHON" -m pip install --quiet --no-deps --no-build-isolation --target "$SITE" . ;;
  esac
}
"""


def blocks(page):
    """(language, text) of the fenced blocks of a page."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def script(page):
    """All of them as one script, in order."""
    parts = {"bash": lambda text: text, "python": lambda text: f"python - <<'END'\n{text}END\n"}
    return PRELUDE + "\n".join(parts[language](text) for language, text in blocks(page))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs_as_it_stands(page, tmp_path):
    site = tmp_path / "site"
    paths = [str(site), str(DOCS.parent), str(DOCS.parent / "plugins"), *sys.path]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CONDENSE_")}
    done = subprocess.run(
        ["bash", "-c", script(page)],
        cwd=tmp_path,
        env={
            **kept,
            "PYTHON": sys.executable,
            "SITE": str(site),
            "PYTHONPATH": os.pathsep.join(paths),
            "CONDENSE_STORE": str(tmp_path / "store"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_notebook_runs(tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="it comes with the extra docs")
    import nbformat

    book = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(book, resources={"metadata": {"path": str(tmp_path)}}).execute()
    (figures,) = [
        output["data"]["text/plain"]
        for cell in book.cells
        if cell.cell_type == "code" and "baselines" in cell.source
        for output in cell.outputs
    ]
    assert float(re.search(r"'window': ([\d.]+)", figures)[1]) > 0.5


def test_the_notebook_is_stored_without_results():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 3
    assert [cell["outputs"] for cell in code] == [[]] * len(code)


def test_every_page_of_the_tutorials_has_something_to_run():
    assert [page.stem for page in PAGES] == ["engineer", "plugin-author", "researcher"]
    for page in PAGES:
        languages = [language for language, _ in blocks(page)]
        assert languages.count("bash") >= 3
        assert set(languages) <= {"bash", "python"}
