"""docs/helpers.md out of docstrings: ``python -m condense.cli.helpers [FILE]``."""
