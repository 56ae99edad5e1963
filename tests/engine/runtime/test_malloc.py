"""Freed memory is kept inside, and given back after."""

import pytest
import torch

from condense.engine.runtime.malloc import _glibc, retain_freed_memory
from condense.engine.training.batches import channels_last


def test_it_nests_and_ends_where_an_error_passes():
    from condense.engine.runtime import malloc as heap

    try:
        with retain_freed_memory(), retain_freed_memory():
            assert heap._depth == (2 if _glibc() else 0)
            raise KeyError
    except KeyError:
        pass
    assert heap._depth == 0


def test_without_glibc_it_does_nothing(monkeypatch):
    from condense.engine.runtime import malloc as heap

    monkeypatch.setattr(heap, "_glibc", lambda: None)
    with retain_freed_memory():
        assert heap._depth == 0


def test_large_blocks_are_not_mapped_anew():
    """Page faults of taking, filling and freeing 64 MiB again and again."""
    resource = pytest.importorskip("resource", reason="page faults are counted on POSIX alone")
    if _glibc() is None:
        pytest.skip("another allocator than glibc's")

    def faults():
        torch.ones(2**24)  # warm
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(3):
            torch.ones(2**24)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with retain_freed_memory():
        inside = faults()
    assert inside < 2**24 * 4 / 4096 / 10  # less than a tenth of one block's pages


def test_one_channel_is_marked_as_channels_last():
    images = torch.randn(5, 1, 4, 6)
    got = channels_last(images)
    assert got.stride() == (24, 1, 6, 1)
    assert torch.equal(got, images)
    assert channels_last(torch.randn(5, 3, 4, 6)).stride() == (72, 1, 18, 3)
    features = torch.randn(5, 7)
    assert channels_last(features) is features
