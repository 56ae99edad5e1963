"""What a run depends on, by which its folder is named and guarded."""

from dataclasses import replace

import pytest

from condense.api import bind
from condense.engine.pipeline import Pipeline
from condense.engine.target import default_folder


@pytest.fixture
def bound(host):
    """A pipeline of a recipe with options, of which no stage is run."""
    return lambda **options: bind("digits", host=host, ipc=2, options=options)


def test_what_recordings_hold_counts(bound, tmp_path):
    found = []
    for content in (b"one", b"two", b"one"):
        (tmp_path / "r.safetensors").write_bytes(content)
        options = {"scorer": "aum", "scorer.dynamics": str(tmp_path / "r.safetensors")}
        found.append(bound(**options).content)
    assert found[0] == found[2] != found[1]


def test_whose_scores_and_experts_a_run_has_counts(bound):
    one = bound()
    tools = {"store": one.store, "device": one.device, "progress": one.progress}
    recipe = replace(one.recipe, seed=1)
    own, *others = (
        Pipeline(recipe, one.host, **tools, shared_seed=seed).content for seed in (None, 1, 0)
    )
    assert own == others[0] != others[1]


def test_results_without_baselines_have_a_folder_of_their_own(bound):
    assert default_folder(bound(), True) == default_folder(bound(), True)
    assert default_folder(bound(), True) != default_folder(bound(), False)
