"""Options found on a held-out part of the training split."""

from condense.studies.tuning.proxy import KernelRidgeProxy

__all__ = ["KernelRidgeProxy"]
