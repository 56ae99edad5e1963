"""Randomness is an argument: generators by stage name from one seed."""

import random

import numpy as np
import pytest
import torch

from condense.engine.runtime.rng import Seed, global_seed


def draws(generator):
    return torch.rand(4, generator=generator).tolist()


def test_a_fork_follows_the_seed_and_not_the_state():
    used, fresh = Seed(3).fork("scorer").generator(), Seed(3).fork("scorer").generator()
    torch.rand(1000, generator=used)
    assert Seed.of(used) == Seed.of(fresh) == Seed(3).fork("scorer")


def test_forking_draws_nothing():
    parent, untouched = Seed(3).fork("scorer").generator(), Seed(3).fork("scorer").generator()
    Seed.of(parent).fork("init", 0).generator()
    assert draws(parent) == draws(untouched)


def test_paths_and_seeds_give_streams_of_their_own():
    paths = [("a",), ("b",), ("a", "b"), ("ab",), ("b", "a"), ("a", 0), ("a", 1), ("a", "0"), (0,)]
    seeds = [Seed(seed).fork(*path).value for seed in (0, 1) for path in paths]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len({tuple(draws(Seed(0).fork(*path).generator())) for path in paths}) == len(paths)


def test_seeds_are_the_same_on_every_machine():
    # printf "(0, 'scorer')" | sha256sum: the first 63 bits; another value would orphan every store
    assert Seed(0).fork("scorer").value == 0xFB2425BA196E411B >> 1


def test_without_a_path_the_seed_itself_is_used():
    assert draws(Seed(11).generator()) == draws(torch.Generator().manual_seed(11))


def test_global_seed_seeds_inside_and_restores_outside():
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    with global_seed(5):
        inside = torch.rand(3)
    with global_seed(5):
        assert torch.equal(torch.rand(3), inside)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert random.getstate() == before[2]


def test_global_seed_restores_after_an_error():
    before = torch.get_rng_state()

    def fail():
        with global_seed(5):
            torch.rand(3)
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert torch.equal(torch.get_rng_state(), before)
