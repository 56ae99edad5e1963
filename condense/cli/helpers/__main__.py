"""``python -m condense.cli.helpers [FILE]``."""

import sys
from pathlib import Path

from condense.cli.helpers.page import TARGET, helpers

if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else TARGET).write_text(helpers(), encoding="utf-8")
