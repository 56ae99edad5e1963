"""Colours of the figures that ``condense`` writes as PNG."""

SERIES = ("#4271ae", "#c44e52", "#55a868", "#8172b2", "#ccb974", "#64b5cd")  # told apart by order
