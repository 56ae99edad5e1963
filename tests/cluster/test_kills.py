"""An ablation on Ray comes to the same bytes, wherever it is killed; nothing is done twice."""

import random

import pytest

pytestmark = [pytest.mark.stress, pytest.mark.timeout(0)]

WHAT = ("raylet", "worker", "driver")
KILLS = 20


def test_kills_at_random_moments(killed, pytestconfig):
    """20 of them, or the share of ``--stress-scale``; three are in ``test_executors.py``."""
    seed = pytestconfig.getoption("--stress-seed")
    count = max(1, round(KILLS * pytestconfig.getoption("--stress-scale")))
    modes = random.Random(seed).choices(WHAT, k=count)
    killed("kills", modes, seed=seed)
