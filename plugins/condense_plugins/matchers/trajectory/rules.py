"""Layers: how a value and a gradient pass through them, and how the change of both does.

A student's step needs the value x in the forward pass (:meth:`Rule.ahead`) and the gradient g of
the loss in the backward pass (:meth:`Rule.back`). The backward pass of a rollout needs their
tangents besides, dx (None = zero) and dg, while the layer's parameters p move in direction v
(:meth:`Rule.push`, :meth:`Rule.pull`). Only what is needed is computed: of the parameters'
gradients the tangents alone, of the first layer the tangent at the input alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

Params = Sequence[Tensor]
Pair = tuple[Tensor, Tensor | None]
aten = torch.ops.aten


class Rule:
    """One layer; keeps what the backward pass needs between :meth:`ahead` and :meth:`back`, and
    between :meth:`push` and :meth:`pull`.

    ``memo`` is what is dear to find again of :meth:`ahead` and :meth:`back`; the second pair takes
    what is in it, and finds the same values itself where it is empty.

    Args:
        module: gives the hyperparameters, its weights are not read.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.owned = len(list(module.parameters()))
        self.saved: tuple[Any, ...] = ()
        self.memo: tuple[Tensor, ...] = ()

    def ahead(self, x: Tensor, p: Params) -> Tensor:
        """Value of the output."""
        raise NotImplementedError

    def back(self, g: Tensor, p: Params, out: Params, first: bool) -> Tensor:
        """g at the input; fills ``out`` with the parameters' gradients.

        Where ``first``, g at the input is not asked for.
        """
        raise NotImplementedError

    def push(self, x: Tensor, dx: Tensor | None, p: Params, v: Params) -> Pair:
        """Value and tangent of the output."""
        raise NotImplementedError

    def pull(
        self, g: Tensor, dg: Tensor, p: Params, v: Params, out: Params, first: bool
    ) -> tuple[Tensor, Tensor]:
        """(g, dg) at the input; fills ``out`` with the tangents of the parameters' gradients.

        Both ``g`` and ``dg`` may be overwritten. Where ``first``, g at the input is not asked for.
        """
        raise NotImplementedError

    def take(self) -> Any:
        """What :meth:`push` kept, freed here once it is used."""
        saved, self.saved = self.saved, ()
        return saved


class ConvRule(Rule):
    """y = w ∗ x + b; b is left out before a batch norm, which takes it off again."""

    idle_bias = False

    def ahead(self, x: Tensor, p: Params) -> Tensor:
        self.saved = (x,)
        y = self._apply(x, p)
        self.memo = (y,)
        return y

    def back(self, g: Tensor, p: Params, out: Params, first: bool) -> Tensor:
        (x,) = self.take()
        g_in, slope = self._back(g, x, p[0], (not first, True))
        out[0].copy_(slope)
        self._bias(g, out)
        g = g if first else g_in
        self.memo = (*self.memo, g)
        return g

    def push(self, x: Tensor, dx: Tensor | None, p: Params, v: Params) -> Pair:
        self.saved = (x, dx)
        dy = self._apply(x, v)
        if dx is not None:
            dy.add_(self._apply(dx, p[:1]))
        return (self.memo[0] if self.memo else self._apply(x, p)), dy

    def pull(
        self, g: Tensor, dg: Tensor, p: Params, v: Params, out: Params, first: bool
    ) -> tuple[Tensor, Tensor]:
        (x, dx), (memo, self.memo) = self.take(), (self.memo, ())
        change, slope = self._back(dg, x, p[0], (True, True))
        if dx is not None:
            slope.add_(self._back(g, dx, p[0], (False, True))[1])
        out[0].copy_(slope)
        self._bias(dg, out)
        change.add_(self._back(g, x, v[0], (True, False))[0])
        if first:
            return g, change
        _, g_in = memo or (None, self._back(g, x, p[0], (True, False))[0])
        return g_in, change

    def _bias(self, g: Tensor, out: Params) -> None:
        if self.idle_bias:
            out[1].zero_()
        elif len(out) > 1:
            out[1].copy_(g.sum((0, 2, 3)))

    def _apply(self, x: Tensor, p: Params) -> Tensor:
        m = self.module
        bias = None if self.idle_bias or len(p) < 2 else p[1]
        return torch.conv2d(x, p[0], bias, m.stride, m.padding, m.dilation, m.groups)

    def _back(self, g: Tensor, x: Tensor, weight: Tensor, want: tuple[bool, bool]) -> Any:
        m = self.module
        return aten.convolution_backward(
            *(g, x, weight, None, m.stride, m.padding, m.dilation, False, [0, 0], m.groups),
            [*want, False],
        )[:2]


class BatchNormRule(Rule):
    """y = γ x̂ + β, x̂ = r(x − m) with the batch's own m and r.

    The Jacobian of x̂ is symmetric, J u = r(u − mean u − x̂ mean(u x̂)), so PyTorch's one kernel
    for the backward pass also carries tangents forward. With ρ = dr/r = −r mean(x̂ dx), the change
    of γ J g along dx is (ργ + dγ) J g − rγ (mean(g x̂) dx̂ + mean(g dx̂) x̂) beside γ J dg.
    """

    def ahead(self, x: Tensor, p: Params) -> Tensor:
        x, rstd = self._centred(x)
        self.saved = (x, rstd)
        return torch.addcmul(_wide(p[1], x), x, _wide(p[0] * rstd, x))

    def back(self, g: Tensor, p: Params, out: Params, first: bool) -> Tensor:
        x, rstd = self.take()
        g, slope, offset = self._jacobian(g, x, p[0], rstd)
        out[0].copy_(slope)
        out[1].copy_(offset)
        return g

    def push(self, x: Tensor, dx: Tensor | None, p: Params, v: Params) -> Pair:
        dx = torch.zeros_like(x) if dx is None else dx
        x, rstd = self._centred(x)
        hat, along, _ = self._jacobian(dx, x, None, rstd)
        self.saved = (x, hat, rstd, along)
        y = torch.addcmul(_wide(p[1], x), x, _wide(p[0] * rstd, x))
        dy = torch.addcmul(_wide(v[1], x), hat, _wide(p[0], x))
        return y, dy.addcmul_(x, _wide(v[0] * rstd, x))

    def pull(
        self, g: Tensor, dg: Tensor, p: Params, v: Params, out: Params, first: bool
    ) -> tuple[Tensor, Tensor]:
        x, hat, rstd, along = self.take()
        gamma, back = p[0], rstd * p[0] * len(rstd) / x.numel()
        change, dg_hat, dg_sum = self._jacobian(dg, x, gamma, rstd)
        plain, g_hat, _ = self._jacobian(g, x, None, rstd)
        g_dhat = g.mul_(hat).sum([0, *range(2, x.dim())])
        torch.add(dg_hat, g_dhat, out=out[0])
        out[1].copy_(dg_sum)
        change.addcmul_(plain, _wide(v[0] - along * back, x))
        change.addcmul_(hat, _wide(-back * g_hat, x))
        change.addcmul_(x, _wide(-back * g_dhat * rstd, x))
        return plain.mul_(_wide(gamma, x)), change

    def _centred(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(x − m, r)."""
        # not torch's own statistics: channels-last it adds up in float32 one by one, an error of
        # 1e-5 that flips a hundred times as many ReLUs as rounding does
        axes = [0, *range(2, x.dim())]
        x = x - _wide(x.mean(axes), x)
        return x, (x.square().mean(axes) + self.module.eps).rsqrt()

    def _jacobian(self, u: Tensor, x: Tensor, gamma: Tensor | None, rstd: Tensor) -> Any:
        """(γ J u, Σ u x̂, Σ u) at centred ``x``."""
        gain = torch.ones_like(rstd) if gamma is None else gamma
        return aten.native_batch_norm_backward(
            *(u, x, gain, None, None, torch.zeros_like(rstd), rstd, True, self.module.eps),
            [True, True, True],
        )


def _wide(channels: Tensor, like: Tensor) -> Tensor:
    """[C] as [1, C, 1, …]."""
    return channels.reshape(1, -1, *[1] * (like.dim() - 2))


class ReluRule(Rule):
    """y = max(x, 0)."""

    def ahead(self, x: Tensor, p: Params) -> Tensor:
        y = x.relu()
        self.saved = (y,)
        return y

    def back(self, g: Tensor, p: Params, out: Params, first: bool) -> Tensor:
        (y,) = self.take()
        g_in: Tensor = aten.threshold_backward(g, y, 0)
        return g_in

    def push(self, x: Tensor, dx: Tensor | None, p: Params, v: Params) -> Pair:
        y = x.relu()
        self.saved = (y,)
        return y, None if dx is None else aten.threshold_backward(dx, y, 0)

    def pull(
        self, g: Tensor, dg: Tensor, p: Params, v: Params, out: Params, first: bool
    ) -> tuple[Tensor, Tensor]:
        (y,) = self.take()
        return aten.threshold_backward(g, y, 0), aten.threshold_backward(dg, y, 0)


class AvgPoolRule(Rule):
    """Means over windows."""

    def ahead(self, x: Tensor, p: Params) -> Tensor:
        self.saved = (x,)
        y: Tensor = self.module(x)
        return y

    def back(self, g: Tensor, p: Params, out: Params, first: bool) -> Tensor:
        (x,) = self.take()
        return self._back(g, x)

    def push(self, x: Tensor, dx: Tensor | None, p: Params, v: Params) -> Pair:
        self.saved = (x,)
        return self.module(x), None if dx is None else self.module(dx)

    def pull(
        self, g: Tensor, dg: Tensor, p: Params, v: Params, out: Params, first: bool
    ) -> tuple[Tensor, Tensor]:
        (x,) = self.take()
        return self._back(g, x), self._back(dg, x)

    def _back(self, g: Tensor, x: Tensor) -> Tensor:
        m = self.module
        sizes = [[s] * 2 if isinstance(s, int) else s for s in (m.kernel_size, m.stride, m.padding)]
        result: Tensor = aten.avg_pool2d_backward(
            g, x, *sizes, m.ceil_mode, m.count_include_pad, m.divisor_override
        )
        return result


class FlattenRule(Rule):
    """[B, …] → [B, D]; in the backward pass in the layout of [B, …], which pools are quick in."""

    def ahead(self, x: Tensor, p: Params) -> Tensor:
        self.saved = (x,)
        return x.flatten(1)

    def back(self, g: Tensor, p: Params, out: Params, first: bool) -> Tensor:
        (x,) = self.take()
        return torch.empty_like(x).copy_(g.reshape(x.shape))

    def push(self, x: Tensor, dx: Tensor | None, p: Params, v: Params) -> Pair:
        self.saved = (x,)
        return x.flatten(1), None if dx is None else dx.flatten(1)

    def pull(
        self, g: Tensor, dg: Tensor, p: Params, v: Params, out: Params, first: bool
    ) -> tuple[Tensor, Tensor]:
        (x,) = self.take()
        g, dg = (torch.empty_like(x).copy_(t.reshape(x.shape)) for t in (g, dg))
        return g, dg


class LinearRule(Rule):
    """y = x wᵀ + b."""

    def ahead(self, x: Tensor, p: Params) -> Tensor:
        self.saved = (x,)
        return nn.functional.linear(x, *p)

    def back(self, g: Tensor, p: Params, out: Params, first: bool) -> Tensor:
        (x,) = self.take()
        torch.mm(g.t(), x, out=out[0])
        if len(out) > 1:
            torch.sum(g, 0, out=out[1])
        return g if first else g @ p[0]

    def push(self, x: Tensor, dx: Tensor | None, p: Params, v: Params) -> Pair:
        self.saved = (x, dx)
        dy = nn.functional.linear(x, *v)
        return nn.functional.linear(x, *p), dy if dx is None else dy.addmm_(dx, p[0].t())

    def pull(
        self, g: Tensor, dg: Tensor, p: Params, v: Params, out: Params, first: bool
    ) -> tuple[Tensor, Tensor]:
        x, dx = self.take()
        torch.mm(dg.t(), x, out=out[0])
        if dx is not None:
            out[0].addmm_(g.t(), dx)
        if len(out) > 1:
            torch.sum(dg, 0, out=out[1])
        change = torch.addmm(g @ v[0], dg, p[0])
        return g if first else g @ p[0], change
