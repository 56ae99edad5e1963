"""What a training takes, estimated without taking it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from condense.data import Geometry
from condense.engine.training import estimate
from condense.engine.training.estimate import TimedPart, sgd_cost
from condense.engine.training.sgd import SgdOptions
from condense.options import NetworkSpec

CPU = torch.device("cpu")
SIDE = 192
# arrays of 140 MiB that one has more: peaks differ by 5 to 10 from run to run
PHOTO, FEW, MANY = 128, 1000, 4000
STATUS = Path("/proc/self/status")
# of this program alone: `ru_maxrss` begins at what the process that started it has
PEAK = """
import pathlib, re, sys
from condense.cli.main import main
assert not main(sys.argv[1:], standalone_mode=False)
told = pathlib.Path("/proc/self/status").read_text()
print("peak", int(re.search(r"VmHWM:\\s+(\\d+) kB", told)[1]) // 1024)
"""


def test_of_large_images_a_part_of_a_batch_is_timed():
    large = Geometry((3, SIDE, SIDE), 10)
    part = TimedPart.of(64, large, CPU)
    assert (part.timed, part.scale, part.cut) == (2, 32, True)
    assert TimedPart.of(1, large, CPU) == TimedPart(1, 1)
    assert TimedPart.of(64, large, torch.device("cuda")) == TimedPart(64, 1)
    assert not TimedPart.of(256, Geometry((1, 8, 8), 10), CPU).cut


def test_seconds_and_bytes_are_those_of_all(digits, context, monkeypatch):
    """Steps of 16 samples, of which 2 are timed; a linear layer keeps its inputs and no more."""
    options = SgdOptions(network=NetworkSpec.of("mlp", width=4), epochs=1, batch_size=16)
    data = digits.subset(torch.arange(160))
    monkeypatch.setattr(estimate, "time_call", lambda call, device: (call(), 0.3)[1])
    whole = sgd_cost(data, context, options)
    monkeypatch.setattr(estimate, "TIMED_VALUES", 2 * 64)
    part = sgd_cost(data, context, options)
    assert whole.seconds == pytest.approx(10 * 0.3 / 3)  # 10 steps, 3 of them timed
    assert part.seconds == pytest.approx(8 * whole.seconds)
    assert whole.memory == 0
    assert part.memory > 2 * 16 * 64 * 4  # at least the inputs, float32, twice


@pytest.fixture(scope="module")
def peak(tmp_path_factory):
    """MiB that a command takes at most, by the number of photos."""
    place = tmp_path_factory.mktemp("peak")
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (MANY, 8, 8, 3), dtype=np.uint8)
    for count in (FEW, MANY):
        for number in range(count):
            file = place / str(count) / f"class{number % 4}" / f"{number:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photos[number]).save(file)

    def call(count, *args):
        data = ("--data", f"folder:{place / str(count)}", "-o", f"data.resize={PHOTO}")
        given = [sys.executable, "-c", PEAK, *args, *data]
        environment = os.environ | {"CONDENSE_STORE": str(place / "store"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(given, env=environment, capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    return call


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="peaks are read as Linux has them")
@pytest.mark.parametrize("command", ["run --dry-run --no-baselines", "select -o selector=random"])
def test_what_only_reads_takes_little_more_than_the_data(peak, command):
    """What does not grow with the data, a timed step for example, both numbers have alike."""
    args = (*command.split(), "--fraction", "0.1")
    arrays = (MANY - FEW) * PHOTO**2 * 3 / 2**20
    assert peak(MANY, *args) - peak(FEW, *args) <= 1.2 * arrays
