"""Default names of what the commands write: ``runs/WHAT-DATA-HASH``, equal for equal parts."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any


def default_path(what: str, data: str, parts: Any, middle: str = "") -> Path:
    """``runs/WHAT-DATA-HASH``, or ``runs/WHAT-DATA-MIDDLE-HASH``.

    Args:
        what: the command or method.
        data: name of the data; what a file name should not hold becomes a dash.
        parts: JSON-ready, everything the content depends on; eight digits of its SHA-256 are used.
        middle: further words.
    """
    short = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]
    safe = re.sub(r"[^\w.]+", "-", data).strip("-") or "data"
    return Path("runs") / "-".join(part for part in (what, safe, middle, short) if part)
