"""The global generators of Python, numpy and torch: seen, and put back as they were."""

from __future__ import annotations

import random
import sys
from typing import Any


class GlobalRandomness:
    """The global random states of Python, numpy and torch (CPU) at the time it was made."""

    def __init__(self) -> None:
        import numpy as np
        import torch

        self._python = random.getstate()
        self._numpy: Any = np.random.get_state(legacy=True)
        self._torch = torch.get_rng_state()
        self._modules = len(sys.modules)

    def restore(self) -> list[str]:
        """Put them back as they were; returns the names of those that had changed.

        Python's own is put back without being named where modules were imported meanwhile: some
        libraries (rich, and with it scikit-learn) draw from it while they are imported, which is
        nobody's fault. numpy's and torch's are always named.
        """
        import numpy as np
        import torch

        changed = []
        if random.getstate() != self._python and len(sys.modules) == self._modules:
            changed.append("random")
        now: Any = np.random.get_state(legacy=True)
        if not all(np.array_equal(a, b) for a, b in zip(now, self._numpy, strict=True)):
            changed.append("numpy")
        if not torch.equal(torch.get_rng_state(), self._torch):
            changed.append("torch")
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        return changed
