"""The released loop beside ours, with a stand-in for the clone: its interface, written anew."""

import json
import sys

import pytest

CLONE = {
    "networks": """
from einops import rearrange  # as the real one: not needed here, perhaps not installed
from torch import nn

class ConvNet(nn.Sequential):
    def __init__(self, channel, num_classes, net_width, net_depth, **_):
        layers = []
        for depth in range(net_depth):
            layers += [nn.Conv2d(channel, net_width, 3, padding=1), nn.BatchNorm2d(net_width)]
            layers += [nn.ReLU(inplace=True), nn.AvgPool2d(2)]
            channel = net_width
        super().__init__(*layers, nn.Flatten(), nn.Linear(16 * net_width, num_classes))
""",
    "utils": """
import kornia

class ParamDiffAug:
    pass

def DiffAugment(x, strategy, param):
    return x
""",
    "reparam_module": """
import torch
from torch import nn

class ReparamModule(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x, flat_param):
        named = dict(self.module.named_parameters())
        parts = flat_param.split([p.numel() for p in named.values()])
        parts = {n: part.view(p.shape) for (n, p), part in zip(named.items(), parts)}
        return torch.func.functional_call(self.module, parts, (x,)) * SCALE
""",
}
STAND_INS = ("einops", "einops.layers", "einops.layers.torch", "kornia", "pandas", "requests")


@pytest.fixture
def beside(load, monkeypatch, tmp_path):
    """A function that runs both loops, the clone's logits multiplied by ``scale``."""
    before = set(sys.modules)

    def call(scale):
        for name, text in CLONE.items():
            (tmp_path / f"{name}.py").write_text(text.replace("SCALE", str(scale)))
        matching = load("matching")
        monkeypatch.setattr(matching, "BESIDE", ("narrow",))
        monkeypatch.setitem(matching.BATCH, "narrow", 3)
        flags = ["--released", str(tmp_path), "--steps", "2", "--ipc", "1", "--threads", "1"]
        matching.main([*flags, "--device", "cpu", "-n", "1", "--out", str(tmp_path / "rows.json")])
        return json.loads((tmp_path / "rows.json").read_text())["rows"]

    yield call
    for name in (set(sys.modules) - before) & {*CLONE, *STAND_INS}:
        del sys.modules[name]


def test_both_loops_run_once_they_compute_the_same(beside, capsys):
    theirs, ours = beside(1)
    assert [theirs["form"], ours["form"]] == ["released", "ours"]
    assert 0 < ours["apart_float64"] < 1e-9
    assert theirs["times_as_quick"] == 1
    assert ours["times_as_quick"] == pytest.approx(theirs["seconds"] / ours["seconds"])
    assert {"processor_seconds", "peak_mb", "batch", "steps"} <= set(ours)


def test_other_gradients_are_no_comparison(beside):
    with pytest.raises(SystemExit, match=r"the gradients differ by .*, more than 1e-09"):
        beside(1.01)
