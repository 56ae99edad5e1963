"""A network as a chain of rules."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from condense_plugins.matchers.trajectory.rules import (
    AvgPoolRule,
    BatchNormRule,
    ConvRule,
    FlattenRule,
    LinearRule,
    ReluRule,
    Rule,
)
from condense_plugins.matchers.trajectory.stem import StemRule

WIDEST = 64  # columns up to which a stem's products cost less than the passes that they save


def rules_of(network: nn.Module) -> list[Rule] | None:
    """``network`` as a chain of rules, or None if it is anything else."""
    if type(network) is nn.Sequential:
        parts = [rules_of(module) for module in network]
        if any(part is None for part in parts):
            return None
        rules = [rule for part in parts if part is not None for rule in part]
        for one, after in pairwise(rules):
            if isinstance(one, ConvRule) and isinstance(after, BatchNormRule):
                one.idle_bias = one.module.bias is not None
        return rules
    if type(network) is nn.Identity:
        return []
    if type(network) is nn.Conv2d:
        known = network.padding_mode == "zeros" and not isinstance(network.padding, str)
        return [ConvRule(network)] if known else None
    if type(network) in (nn.BatchNorm1d, nn.BatchNorm2d):
        return [BatchNormRule(network)] if network.affine else None
    if type(network) is nn.Flatten:
        return [FlattenRule(network)] if (network.start_dim, network.end_dim) == (1, -1) else None
    simple = {nn.ReLU: ReluRule, nn.AvgPool2d: AvgPoolRule, nn.Linear: LinearRule}
    rule = simple.get(type(network))
    return None if rule is None else [rule(network)]


def with_stem(rules: list[Rule], shape: torch.Size) -> list[Rule]:
    """``rules`` with the first three or four as one, where they are of this kind.

    Args:
        rules: of a network.
        shape: of its inputs [B, …].
    """
    if [type(r) for r in rules[:3]] != [ConvRule, BatchNormRule, ReluRule]:
        return rules
    conv, norm = rules[0].module, rules[1].module
    pool = rules[3].module if len(rules) > 3 and type(rules[3]) is AvgPoolRule else None
    window = 1 if pool is None else _window(pool)
    out = [
        n + 2 * p - k + 1 for n, p, k in zip(shape[2:], conv.padding, conv.kernel_size, strict=True)
    ]
    plain = conv.stride == conv.dilation == (1, 1) and conv.groups == 1
    fits = window and min(out) > 0 and not any(n % window for n in out)
    if not plain or not fits or conv.weight[0].numel() > WIDEST:
        return rules
    return [StemRule(conv, norm, window), *rules[3 + (pool is not None) :]]


def _window(pool: Any) -> int:
    """k of a pool over k × k windows side by side, 0 of any other."""
    sizes = (pool.kernel_size, pool.stride, pool.padding)
    first, *others = [{*n} if isinstance(n, tuple) else {n} for n in sizes]
    usual = not pool.ceil_mode and pool.divisor_override is None
    return first.pop() if usual and len(first) == 1 and others == [first, {0}] else 0
