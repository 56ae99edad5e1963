"""``benchmarks/validation.py`` tests on a held-out part of the training split alone."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def validation(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("validation")
    for name in ("_common", "validation"):
        sys.modules.pop(name, None)


def test_settings_are_compared_without_the_test_split(
    validation, tiny, digits, monkeypatch, tmp_path, capsys
):
    tested = []
    inner = validation.evaluate

    def evaluate(pipeline, trial):
        tested.append(pipeline.test_split())
        return inner(pipeline, trial)

    monkeypatch.setattr(validation, "evaluate", evaluate)
    common = [part for key, v in tiny.items() for part in ("-o", f"{key}={v}")]
    out = tmp_path / "v.json"
    places = ["--out", str(out), "--threads", "1", "--device", "cpu"]
    settings = ["selector.beta=0.2", "selector.beta=0.6,policy.alpha=0.5"]
    validation.main([*places, *common, *settings])
    rows = json.loads(out.read_text())["rows"]
    assert [r["setting"] for r in rows] == settings
    assert all(r["n"] == 2 for r in rows)
    train, test = ({row.numpy().tobytes() for row in d.inputs} for d in (digits, digits.test))
    for split in tested:
        held = {row.numpy().tobytes() for row in split.inputs}
        assert held <= train
        assert not held <= test
        # ⌊n/5⌋ of every class
        sizes = torch.bincount(digits.labels)
        assert torch.equal(torch.bincount(split.labels), sizes // 5)
    assert len(capsys.readouterr().out.splitlines()) == 2
