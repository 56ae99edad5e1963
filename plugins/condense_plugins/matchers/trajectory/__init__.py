"""Trajectory matching (MTT, arXiv 2203.11932) with an exact meta-gradient at constant memory."""
