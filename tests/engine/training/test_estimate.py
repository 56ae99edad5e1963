"""What a training takes, estimated without taking it."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from condense.data import Geometry
from condense.engine.training import estimate
from condense.engine.training.estimate import Share, sgd_cost
from condense.engine.training.sgd import SgdOptions
from condense.options import NetworkSpec

CPU = torch.device("cpu")
SIDE, IMAGES = 192, 800
PEAK = """
import resource, sys
from condense.cli.main import main
main(sys.argv[1:], standalone_mode=False)
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_of_large_images_a_part_of_a_batch_is_timed():
    large = Geometry((3, SIDE, SIDE), 10)
    share = Share.of(64, large, CPU)
    assert (share.timed, share.whole, share.cut) == (2, 32, True)
    assert Share.of(1, large, CPU) == Share(1, 1)
    assert Share.of(64, large, torch.device("cuda")) == Share(64, 1)
    assert not Share.of(256, Geometry((1, 8, 8), 10), CPU).cut


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
    """MiB that a command takes at most, by its data."""
    place = tmp_path_factory.mktemp("peak")
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        file = place / "photos" / f"class{number % 4}" / f"{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)
    data = {
        "digits": ("--data", "digits"),
        "photos": ("--data", f"folder:{place / 'photos'}", "-o", f"data.resize={SIDE}"),
    }

    def call(of, *args):
        given = [sys.executable, "-c", PEAK, *args, *data[of]]
        environment = os.environ | {"CONDENSE_STORE": str(place / "store"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(given, env=environment, capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    return call


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run --dry-run --no-baselines", "select -o selector=random"])
def test_what_only_reads_takes_little_more_than_the_data(peak, command):
    args = (*command.split(), "--fraction", "0.1")
    arrays = IMAGES * SIDE**2 * 3 / 2**20
    assert peak("photos", *args) - peak("digits", *args) <= 1.2 * math.ceil(arrays)
