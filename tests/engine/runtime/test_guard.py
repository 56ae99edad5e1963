"""A component that writes to what it was given is caught, however it writes; cheaply."""

import pytest
import torch

import condense.data
from condense.engine.runtime.guard import contents, guarded
from condense.errors import BrokenPlugin

WRITES = {
    "in place": lambda t: t.fill_(7),
    "a view": lambda t: t[3:].add_(1),
    "detached": lambda t: t.detach().zero_(),
    "in inference mode": torch.inference_mode()(lambda t: t.fill_(7)),
    "as numpy": lambda t: t.numpy().fill(7),
    "past autograd": lambda t: t.data.fill_(7),
}


class Theirs:
    name = "theirs"


class Ours:
    name = "ours"
    __module__ = "condense_plugins.scorers.ours"


@pytest.fixture
def data(tiny_images):
    """A copy that may be spoilt."""
    return tiny_images.subset(torch.arange(len(tiny_images)))


@pytest.mark.parametrize("write", WRITES)
def test_a_write_of_any_kind_is_seen(data, write):
    with (
        pytest.raises(BrokenPlugin, match="scorer 'theirs' changed the data it was given"),
        guarded("scorer", Theirs(), *contents(data)),
    ):
        WRITES[write](data.inputs)


def test_a_write_to_tensors_made_in_inference_mode_is_seen():
    with torch.inference_mode():
        given = torch.zeros(5)
    for component in (Theirs(), Ours()):
        with pytest.raises(BrokenPlugin), guarded("scorer", component, given):
            with torch.inference_mode():
                given.add_(1)


def test_reading_is_no_write(data):
    for component in (Theirs(), Ours()):
        with guarded("scorer", component, *contents(data)):
            data.inputs.float().mul_(2)
            data.inputs.numpy().sum()
            data.labels[data.labels == 1].add_(1)


def test_our_own_components_are_watched_without_hashing(data, monkeypatch):
    monkeypatch.delattr(condense.data.hashlib, "sha256")
    with (
        pytest.raises(BrokenPlugin, match="scorer 'ours' changed the data"),
        guarded("scorer", Ours(), *contents(data)),
    ):
        data.labels.add_(1)
