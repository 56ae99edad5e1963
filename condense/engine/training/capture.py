"""A recorded or compiled step is trusted once it has agreed with the plain one.

A CUDA graph replays addresses and a compiler rewrites arithmetic. Where either goes wrong nothing
fails: training goes on with other numbers. So the first batch of each size goes through both.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from condense.engine.runtime.precision import Precision

EAGER = "CONDENSE_EAGER"  # set to 1: nothing is recorded, nothing compiled

# Largest ‖found − expected‖ / ‖expected‖ that is put down to rounding. Sums in another order, or
# another algorithm for a convolution, move some activations across zero, where a ReLU switches
# their gradients on or off: the gradient differs by about the root of the share of those. A batch
# read from the wrong memory, or a step left out or done twice, gives an error near 1 or above.
# Measured on gradients of one step (convnet, resnet18, vgg11; largest of the three):
TOLERANCE: dict[Precision, float] = {
    "fp32": 5e-2,  # 6e-3 where inputs are off by 1e-6, 1e-2 by 1e-5, as Winograd's products are
    "tf32": 3e-1,  # 9e-2 where inputs are off by 5e-4, the rounding of its products
    "bf16": 5e-1,  # 3e-1 from float32; two ways of rounding may be further apart than that
}
TOLERANCE_FP64 = 1e-6  # where tensors are float64, whose rounding is 1e-16: √(100 · 1e-16) = 1e-7


def plain_only() -> bool:
    """Whether ``CONDENSE_EAGER`` asks for steps as they are written."""
    return os.environ.get(EAGER, "0") not in ("", "0")


def agrees(
    found: Sequence[Tensor], expected: Sequence[Tensor], precision: Precision, what: str
) -> bool:
    """Whether each of ``found`` is the one ``expected``, but for rounding; warns where not.

    Args:
        found: what was recorded or compiled gave.
        expected: what the plain step gave.
        precision: that both were run at.
        what: in the words of the warning, for example "a recorded training step".
    """
    for one, other in zip(found, expected, strict=True):
        tolerance = TOLERANCE_FP64 if other.dtype == torch.float64 else TOLERANCE[precision]
        error = relative_error(one, other)
        if not error <= tolerance:
            warnings.warn(
                f"{what} differs from the plain one by {error:.2g} of its size, where rounding in "
                f"{precision} explains {tolerance:g}; the plain one runs in its place, which is "
                f"slower ({EAGER}=1 records and compiles nothing)",
                RuntimeWarning,
                stacklevel=3,
            )
            return False
    return True


def relative_error(found: Tensor, expected: Tensor) -> float:
    """‖found − expected‖ / ‖expected‖; infinite where only one of them is finite, or 0."""
    finite = expected.isfinite()
    if not torch.equal(finite, found.isfinite()):
        return float("inf")
    size = expected[finite].double().norm()
    error = (found[finite].double() - expected[finite].double()).norm()
    return 0.0 if float(error) == 0 else float(error / size)


def capture_checked(
    body: Callable[[], object],
    record: Callable[[Callable[[], object]], Callable[[], object]],
    outcome: Callable[[], Sequence[Tensor]],
    precision: Precision,
    what: str,
    restore: Callable[[], object] = lambda: None,
) -> Callable[[], object]:
    """``record(body)`` where it does what ``body`` does, else ``body``.

    Args:
        body: a step, run three times and more.
        record: gives a callable in its place, or ``body`` itself where it cannot.
        outcome: what the last run gave or changed.
        precision: of the step.
        what: as for :func:`agrees`.
        restore: puts back what a run changes; called after each.
    """

    def outcome_of(run: Callable[[], object]) -> list[Tensor]:
        run()
        kept = [t.detach().clone() for t in outcome()]
        restore()
        return kept

    expected = outcome_of(body)
    recorded = record(body)
    restore()
    if recorded is body or agrees(outcome_of(recorded), expected, precision, what):
        return recorded
    return body
