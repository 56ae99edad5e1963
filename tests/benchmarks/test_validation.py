"""``benchmarks/validation.py`` tests on a held-out part of the training split alone."""

import argparse
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


def test_what_the_preset_says_for_the_data_holds(validation, host):
    """The recipe is that of a run; of the data only the test split is another."""
    from condense.published import flat
    from condense.resolve import Request, resolve

    flags = argparse.Namespace(
        preset=None, data="digits", method="selmatch", ipc=None, seed=3, share=0.2,
        device="cpu", common=["matcher.iterations=4"],
    )  # fmt: skip
    here = validation.bound(flags, "selector.beta=0.2")
    given = ((("matcher", "iterations"), 4), (("selector", "beta"), 0.2))
    run = resolve(host, Request("selmatch", data="digits", seed=3, assignments=given))
    assert flat(here.recipe) == flat(run)
    assert here.recipe["policy"].options.alpha == 0.8  # of quick for digits alone
    assert here.recipe.seed == 3
    # 1437 − Σ⌊n/5⌋, and the part that every other choice is made on
    from condense.engine.ingest.holdout import validation_part

    whole = run["data"].create().load(None)
    assert here.data.fingerprint == validation_part(whole, 0.2, 3).fingerprint


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
