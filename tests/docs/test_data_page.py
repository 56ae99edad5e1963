"""The examples of the page on one's own data do what they say."""

import re
import warnings
from pathlib import Path

import pytest
import torch

from condense.engine.artefact.exports.forms import FORMS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
LOOP, SKLEARN, LIGHTNING = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def executed(*examples):
    names = {}
    for code in examples:
        exec(compile(code, "data.md", "exec"), names)
    return names


def accuracy(network, small):
    with torch.no_grad():
        return float((network(small.inputs).argmax(1) == small.labels).float().mean())


def test_a_loop_of_ones_own_and_scikit_learn():
    names = executed(LOOP, SKLEARN)
    small = names["small"]
    assert accuracy(names["network"], small) > 0.9  # of ten classes, on what it was trained on
    assert names["images"].shape == (50, 8, 8, 1)
    assert names["model"].score(names["images"].reshape(50, -1), names["labels"]) > 0.9
    assert names["labels"].tolist() == small.labels.tolist()


@pytest.mark.extras
def test_lightning_fits_it(tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, on workers and batches
        names = executed(LOOP, LIGHTNING)
    assert accuracy(names["classifier"].network, names["small"]) > 0.9


def test_the_table_has_formats_that_there_are():
    rows = re.findall(r"^\| `(\w+)`[ ,]", TEXT.partition("## Out")[2], re.MULTILINE)
    assert {"folder", "hf", "webdataset", "npz", "items"} <= {*rows}
    assert {*rows} <= {*FORMS}
