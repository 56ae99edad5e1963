"""``python -m condense``: the same as the command ``condense``."""

from condense.cli.main import main

main()
