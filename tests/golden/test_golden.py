"""Results of built-in components are those recorded, or their version is another."""

import golden
import pytest
import torch
from cases import CASES

from condense_plugins.selectors import window

RECORDED = golden.recorded()
HERE = golden.machine()
SHIPPED = window.SPACE  # before tests shorten it


@pytest.mark.parametrize("title", list(CASES))
def test_results_are_those_recorded(title, host, tmp_path):
    assert title in RECORDED["cases"], f"{title} is not recorded; run `{golden.COMMAND}`"
    new = golden.computed(host, tmp_path, title)
    bits = RECORDED["machine"] == HERE  # elsewhere to the tolerances of their types
    problem = golden.complaint(host, title, RECORDED["cases"][title], new, bits)
    assert not problem, problem


@pytest.fixture(autouse=True, scope="module")
def _whole_feature_network():
    """As components come, which is what was recorded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "SPACE", SHIPPED)
        yield


def test_every_component_has_golden_values(host):
    there = {
        f"{kind} {name}"
        for kind, registry in host.registries.items()
        if kind not in golden.NOT_NUMERIC
        for name, _ in registry.items()
    } - set(golden.WITH_EXTRAS)
    assert there == {title.split(",")[0] for title in CASES}
    assert list(RECORDED["cases"]) == list(CASES)


def entry(**tensors):
    return {name: golden.packed(tensor) for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("value", "off"),
    [
        (torch.tensor([1.0, 2.0], dtype=torch.float64), 3e-10),
        (torch.tensor([1.0, 2.0]), 3e-4),
        (torch.tensor([1, 2]), 1),
        (torch.tensor([True, False]), 1),
    ],
)
def test_each_type_has_its_tolerance(value, off):
    old = entry(x=value)
    assert golden.differences(old, {"x": value}, bits=True) == []
    assert golden.differences(old, {"x": (value + off).to(value.dtype)}, bits=False) != []
    if value.is_floating_point():
        nearly = {"x": value + off / 10}
        assert golden.differences(old, nearly, bits=False) == []
        assert golden.differences(old, nearly, bits=True) != []


def test_values_keep_their_bits_and_not_a_number_differs():
    value = torch.tensor([0.1, 1 / 3, 1e-30])
    assert torch.equal(golden.unpacked(golden.packed(value)), value)
    assert golden.differences(entry(x=value), {"x": value * float("nan")}, bits=False) != []
    assert golden.differences(entry(x=value), {"y": value}, bits=False) != []


def test_a_change_says_what_to_do(host):
    title = "selector hardest"
    version = golden.version_of(host, title)
    kept = {"version": version, "tensors": entry(ipc=torch.tensor([1, 2]))}
    told = golden.complaint(host, title, kept, {"ipc": torch.tensor([2, 1])}, bits=False)
    assert "changed under version" in told
    assert "ipc differs in 2 values" in told
    assert golden.COMMAND in told
    other = kept | {"version": "0"}
    assert golden.COMMAND in golden.complaint(host, title, other, {}, bits=False)
    assert golden.complaint(host, title, kept, {"ipc": torch.tensor([1, 2])}, bits=True) == ""
