"""The first convolution with its batch norm, ReLU and pool as matrix products: no pass over y.

Its input does not depend on θ, and its few columns A [N, K] (one row an output pixel, K = kernel ×
channels) say all there is to know of the norm's statistics: y = A w has the mean a·w and the
variance wᵀ S w, with a and S [K, K] those of the columns. So norm and convolution are one
u = A w s + (β − a·w s), s = γ r, and its derivatives are those of small matrices and of Aᵀ g.
Rows lie window by window, so that the pool is a sum over slices, and are worked off in chunks that
stay in the cache. The pool's 1/k² is part of s and β, as max(u, 0)/k² = max(u/k², 0).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import fold, pad

from condense_plugins.matchers.trajectory.rules import Pair, Params, Rule, aten

CHUNK = 2**21  # bytes of u at a time


class _Folded(NamedTuple):
    """Convolution and norm as one map, in float64, and what their derivatives need.

    Attributes:
        weight: w [K, C].
        gamma: γ [C].
        spread: S w [K, C].
        rstd: r [C].
        scale: γ r / k² [C].
        columns: [K + 1, C] that A, with a column of ones, is multiplied with.
    """

    weight: Tensor
    gamma: Tensor
    spread: Tensor
    rstd: Tensor
    scale: Tensor
    columns: Tensor


class StemRule(Rule):
    """Convolution (stride 1), batch norm, ReLU and a mean over k × k windows, of the network's
    inputs.

    Args:
        conv: gives kernel and padding.
        norm: gives ε.
        window: k; 1 for no pool.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, window: int) -> None:
        super().__init__(nn.Sequential(conv, norm))
        self.norm, self.window = norm, window
        self.kernel: Any = conv.kernel_size
        self.padding: Any = conv.padding

    def ahead(self, x: Tensor, p: Params) -> Tensor:
        self.memo = self._value(x, p)
        return self._image(self.memo[3], x)

    def back(self, g: Tensor, p: Params, out: Params, first: bool) -> Tensor:
        rows, mean, _, _, active, *folded = self.memo
        f = _Folded(*folded)
        slope = torch.zeros_like(f.columns, dtype=rows.dtype)
        wide = self._windows(g)
        for part, u in self._chunks(active):
            _mask(wide[part], active[part], u)
            slope.addmm_(_flat(rows[part]).t(), _flat(u))
        slope = slope.double()
        centred = slope[:-1] - torch.outer(mean, slope[-1])
        of_scale = (centred * f.weight).sum(0) / self.window**2
        # half the gradient of the variance, times two
        of_spread = -(f.rstd**3) * f.gamma * of_scale
        self._set(out, centred * f.scale + f.spread * of_spread, of_scale * f.rstd, slope[-1])
        return g

    def push(self, x: Tensor, dx: Tensor | None, p: Params, v: Params) -> Pair:
        rows, mean, cov, y, active, *folded = self.memo or self._value(x, p)
        self.memo, f = (), _Folded(*folded)
        turned, gamma, beta = self._exact(v)
        spread = cov @ turned
        of_rstd = -(f.rstd**3) * (turned * f.spread).sum(0)
        of_scale = (gamma * f.rstd + f.gamma * of_rstd) / self.window**2
        moved = _Folded(
            turned, gamma, spread, of_rstd, of_scale,
            self._with_offset(turned * f.scale + f.weight * of_scale, beta, mean),
        )  # fmt: skip
        columns = moved.columns.to(rows.dtype)
        dy = torch.empty_like(y)
        for part, du in self._chunks(active):
            torch.mm(_flat(rows[part]), columns, out=_flat(du))
            _mask(du, active[part], du)
            torch.sum(du, 1, out=dy[part])
        self.saved = (rows, mean, active, f, moved, x.shape)
        return self._image(y, x), self._image(dy, x)

    def pull(
        self, g: Tensor, dg: Tensor, p: Params, v: Params, out: Params, first: bool
    ) -> tuple[Tensor, Tensor]:
        rows, mean, active, f, d, shape = self.take()
        channels = active.shape[-1]
        slopes = rows.new_zeros(rows.shape[-1], 2 * channels)
        columns = _padded(torch.cat([d.columns[:-1], f.columns[:-1]], 1).to(rows.dtype))
        of_rows = rows.new_empty(*rows.shape[:-1], len(columns))
        wide, dwide = self._windows(g), self._windows(dg)
        for part, both in self._chunks(active, 2):
            _mask(wide[part], active[part], both[..., :channels])
            _mask(dwide[part], active[part], both[..., channels:])
            slopes.addmm_(_flat(rows[part]).t(), _flat(both))
            torch.mm(_flat(both), columns.t(), out=_flat(of_rows[part]))
        slope, change = torch.split(slopes.double(), channels, 1)
        centred, dcentred = (t[:-1] - torch.outer(mean, t[-1]) for t in (slope, change))
        area = self.window**2
        of_scale = (centred * f.weight).sum(0) / area
        dof_scale = (dcentred * f.weight + centred * d.weight).sum(0) / area
        of_spread = -(f.rstd**3) * f.gamma * of_scale
        dof_spread = -(
            3 * f.rstd**2 * d.rstd * f.gamma * of_scale
            + f.rstd**3 * (d.gamma * of_scale + f.gamma * dof_scale)
        )
        of_weight = dcentred * f.scale + centred * d.scale
        of_weight += f.spread * dof_spread + d.spread * of_spread
        self._set(out, of_weight, dof_scale * f.rstd + of_scale * d.rstd, change[-1])
        # through the statistics: A's own moments move too
        moments = (f.weight * dof_spread) @ f.weight.t()
        crossed = (d.weight * of_spread) @ f.weight.t()
        moments = (moments + crossed + crossed.t()) / (rows[..., 0].numel())
        shift = -(d.columns[:-1] @ slope[-1] + f.columns[:-1] @ change[-1]) / rows[..., 0].numel()
        joint = torch.cat([moments, (shift - mean @ moments)[None]]).to(rows.dtype)
        _flat(of_rows).addmm_(_flat(rows), _padded(joint.t()).t())
        return g, self._to_inputs(of_rows, shape)

    def _value(self, x: Tensor, p: Params) -> tuple[Tensor, ...]:
        """(:meth:`_columns`, output [B, P, C], max(u, 0) [B, k², P, C], the map)."""
        rows, mean, cov = self._columns(x)
        weight, gamma, beta = self._exact(p)
        spread = cov @ weight
        rstd = ((weight * spread).sum(0) + self.norm.eps).rsqrt()
        scale = gamma * rstd / self.window**2
        folded = _Folded(
            weight, gamma, spread, rstd, scale, self._with_offset(weight * scale, beta, mean)
        )
        columns = folded.columns.to(rows.dtype)
        active = rows.new_empty(*rows.shape[:-1], columns.shape[1])
        y = active.new_empty(active.shape[0], *active.shape[2:])
        for part, _ in self._chunks(active):
            torch.mm(_flat(rows[part]), columns, out=_flat(active[part])).relu_()
            torch.sum(active[part], 1, out=y[part])
        return rows, mean, cov, y, active, *folded

    def _exact(self, p: Params) -> tuple[Tensor, Tensor, Tensor]:
        """(w [K, C] in the order of the columns, γ, β) in float64."""
        return p[0].permute(2, 3, 1, 0).flatten(0, 2).double(), p[-2].double(), p[-1].double()

    def _with_offset(self, columns: Tensor, beta: Tensor, mean: Tensor) -> Tensor:
        return torch.cat([columns, (beta / self.window**2 - mean @ columns)[None]])

    def _set(self, out: Params, weight: Tensor, gamma: Tensor, beta: Tensor) -> None:
        kh, kw = self.kernel
        out[0].copy_(weight.view(kh, kw, -1, weight.shape[1]).permute(3, 2, 0, 1))
        if len(out) > 3:
            out[1].zero_()  # the norm takes the bias off again
        out[-2].copy_(gamma)
        out[-1].copy_(beta / self.window**2)

    def _columns(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A with a column of ones [B, k², P, K + 1], and float64 moments a [K], S [K, K] of it."""
        (kh, kw), (ph, pw), k = self.kernel, self.padding, self.window
        x = pad(x.permute(0, 2, 3, 1), (0, 0, pw, pw, ph, ph)).contiguous()
        b, height, width, c = x.shape
        h, w = (height - kh + 1) // k, (width - kw + 1) // k
        _, row, column, _ = x.stride()
        seen = x.as_strided(
            (b, k, k, h, w, kh, kw * c),
            (x.stride(0), row, column, k * row, k * column, row, 1),
        )
        rows = x.new_ones(b, k * k, h * w, kh * kw * c + 1)
        rows[..., :-1].view(seen.shape).copy_(seen)
        flat = rows.flatten(1, 2)
        # each sample's in its own precision, their sum in float64
        moments = torch.bmm(flat.transpose(1, 2), flat).sum(0, dtype=torch.float64)
        moments = moments / moments[-1, -1]
        mean = moments[-1, :-1]
        return rows, mean, moments[:-1, :-1] - torch.outer(mean, mean)

    def _to_inputs(self, of_rows: Tensor, shape: torch.Size) -> Tensor:
        """Gradients of A [B, k², P, ≥ K], summed where it came from: [B, channels, H, W]."""
        (kh, kw), (ph, pw), k = self.kernel, self.padding, self.window
        b, c, height, width = shape
        padded = of_rows.new_zeros(b, c, height + 2 * ph, width + 2 * pw)
        columns = of_rows[..., : kh * kw * c].view(*of_rows.shape[:-1], kh * kw, c)
        columns = columns.permute(1, 0, 4, 3, 2)
        for number, part in enumerate(columns):
            y, x = divmod(number, k)
            place = padded[:, :, y:, x:]  # one pixel of every window
            place += fold(part.reshape(b, c * kh * kw, -1), place.shape[2:], (kh, kw), stride=k)
        return padded[:, :, ph : ph + height, pw : pw + width]

    def _windows(self, g: Tensor) -> Tensor:
        """g [B, C, H, W] at the output as [B, 1, P, C]."""
        return g.permute(0, 2, 3, 1).flatten(1, 2)[:, None].contiguous()

    def _image(self, y: Tensor, x: Tensor) -> Tensor:
        """[B, P, C] as [B, C, H, W], channels last."""
        side = x.shape[2] + 2 * self.padding[0] - self.kernel[0] + 1
        height = side // self.window
        return y.view(len(y), height, -1, y.shape[-1]).permute(0, 3, 1, 2)

    def _chunks(self, active: Tensor, wide: int = 1) -> Iterator[tuple[slice, Tensor]]:
        """Samples of a chunk, with scratch memory like u of it, ``wide`` times as wide."""
        size = max(1, CHUNK // (active[0].nbytes * wide))
        scratch = active.new_empty(
            min(size, len(active)), *active.shape[1:-1], active.shape[-1] * wide
        )
        for start in range(0, len(active), size):
            part = slice(start, min(start + size, len(active)))
            yield part, scratch[: part.stop - start]


def _padded(rows: Tensor) -> Tensor:
    """``rows`` [K, …] and zeros up to a multiple of 16, which products are half as quick again for.

    A few are left as they are: there it would be more to do, and other bits.
    """
    return pad(rows, (0, 0, 0, -len(rows) % 16)) if len(rows) > 16 else rows


def _flat(t: Tensor) -> Tensor:
    return t.view(-1, t.shape[-1])


def _mask(g: Tensor, active: Tensor, out: Tensor) -> None:
    """``out`` = g, [b, k² or 1, P, C], where u > 0 in ``active`` [b, k², P, C], else 0."""
    aten.threshold_backward.grad_input(g.expand_as(active), active, 0, grad_input=out)
