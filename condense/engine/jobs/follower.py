"""What the ranks of torchrun but the first do: their share of every matching of rank 0."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import Tensor

from condense.engine.jobs.environment import environment
from condense.engine.matching.ranks import BEGIN, END, HELLO, Lost, Order, Team, Turn
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.device import pick_device
from condense.engine.runtime.malloc import retain_freed_memory
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.training.threads import threads_for
from condense.errors import CondenseError
from condense.interfaces import Matcher, SyntheticSet
from condense.plugin.host import Host, build_host
from condense.resolve import Request, resolve

Bound = Callable[[Order], Pipeline]


def follow(team: Team, local: int, bound: Bound | None = None) -> None:
    """Work for rank 0 until it has ended, however.

    Args:
        local: which of this machine's ranks this is: that of its GPU.
        bound: makes the pipeline of a matching; None makes it of the recipe, data by name.

    Raises:
        CondenseError: for programs, data or a store that are not those of rank 0.
    """
    host = build_host(report=lambda _: None)
    try:
        with retain_freed_memory():
            _follow(team, host, bound or partial(_by_name, local, host))
    except Lost:
        return  # whoever has ended says why


def _follow(team: Team, host: Host, bound: Bound) -> None:
    matcher: Matcher | None = None
    synthetic: SyntheticSet | None = None
    shape: tuple[int, ...] = ()
    while True:
        what, content, tensors = team.heard()
        if what == END:
            return
        if what == HELLO:
            environment(host).check(content, f"rank {team.rank} has other programs than rank 0")
        elif what == BEGIN:
            order = Order.model_validate(content)
            matcher, synthetic, shape = _prepared(order, tensors, bound, team.rank)
        else:
            assert matcher is not None
            assert synthetic is not None
            with threads_for(shape):  # as rank 0
                team.take_part(matcher, synthetic, Turn.model_validate(content), tensors)


def _prepared(
    order: Order, tensors: dict[str, Tensor], bound: Bound, rank: int
) -> tuple[Matcher, SyntheticSet, tuple[int, ...]]:
    """The matcher as rank 0 has it, its experts read from the store, the set, and samples' shape.

    Raises:
        CondenseError: where the store or the data are others.
    """
    if not Path(order.held).exists():
        raise CondenseError(
            f"rank {rank} on {socket.gethostname()} does not see the store {order.store}; set "
            "CONDENSE_STORE to a folder that all machines see"
        )
    pipeline = bound(order)
    if pipeline.data.fingerprint != order.data:
        raise CondenseError(
            f"data {pipeline.data.name} are others on rank {rank} (fingerprint "
            f"{pipeline.data.fingerprint}) than on rank 0 ({order.data}); copy them to all machines"
        )
    synthetic = SyntheticSet(**tensors).to(pipeline.device)
    return pipeline.matching.preparing.result, synthetic, pipeline.data.geometry.shape


def _by_name(local: int, host: Host, order: Order) -> Pipeline:
    device = pick_device(f"cuda:{local}" if order.device == "cuda" else order.device)
    recipe = resolve(host, Request(recipe=order.recipe, modality=order.modality))
    return Pipeline(
        recipe,
        host,
        store=Store(Path(order.store)),
        device=device,
        progress=SilentProgress(),
        shared_seed=order.shared_seed,
    )
