"""What a comparison says that a method takes, by a clock that its stages turn."""

import types

import pytest
import torch

from condense import Options, hookimpl
from condense.engine.pipeline import Pipeline
from condense.engine.runtime import ledger, store as store_module
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.options import assignments_of
from condense.plugin.host import build_host
from condense.resolve import Request
from condense.studies.methods.design import make_comparison
from condense.studies.methods.run import compare
from condense_plugins.selectors.hardest import HardestSelector


@pytest.fixture
def clock(monkeypatch):
    """``clock(3)`` lets three seconds pass, and nothing else does."""
    now = [100.0]
    for module in (ledger, store_module):
        monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return lambda seconds: now.append(now.pop() + seconds)


@pytest.fixture
def slow_host(clock):
    """A host with a scorer of three networks of 7 s, by which it is asked three times over, and 2 s
    of its own; and a selector of 5 s."""

    class Slow:
        """Three networks."""

        name, version = "slow", "1"

        class Options(Options):
            pass

        def __init__(self, options):
            self.options = options

        def replicates(self, data, context, rng):
            def train():
                clock(7)
                return {"found": torch.arange(len(data)).float()}

            keys = [{"data": data.fingerprint, "number": number} for number in range(3)]
            found = [context.cache.tensors("slow", key, train)["found"] for key in keys]
            return torch.stack(found)

        def score(self, data, context, rng):
            clock(2)
            return self.replicates(data, context, rng).mean(0)

        def training_accuracy(self, data, context, rng):
            return self.replicates(data, context, rng).mean(1).clamp(0, 1)

    class Hesitant(HardestSelector):
        """Takes its time."""

        name = "hesitant"

        def select(self, *given):
            clock(5)
            return super().select(*given)

    plugin = types.ModuleType("slow")
    plugin.condense_register_scorers = hookimpl(lambda register: register(Slow))
    plugin.condense_register_selectors = hookimpl(lambda register: register(Hesitant))
    return build_host(external=False, extra=[plugin])


def test_a_method_takes_what_its_stages_take_each_network_once(slow_host, tiny, digits, tmp_path):
    given = {k: v for k, v in tiny.items() if k.startswith("evaluator.")}
    given |= {"scorer": "slow", "selector": "hesitant"}
    request = Request(assignments=assignments_of(given))

    def seconds():
        tools = {"store": Store(tmp_path / "store"), "progress": SilentProgress()}

        def bind(recipe, **more):
            return Pipeline(
                recipe, slow_host, device=torch.device("cpu"), **tools, **({"data": digits} | more)
            )

        comparison = make_comparison(slow_host, request, ["window"], seeds=1)
        found = compare(comparison, bind, SilentProgress())
        (row,) = [row for row in found.rows if row.entry.method == "window"]
        assert row.errors == {}
        return row.measured[0].seconds

    assert seconds() == 3 * 7 + 2 + 5
    assert seconds() == 3 * 7 + 2 + 5  # all of it stored
