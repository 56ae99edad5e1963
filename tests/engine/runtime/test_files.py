"""Default names of what the commands write."""

import hashlib
from pathlib import Path

from condense.engine.runtime.files import default_path


def test_the_name_holds_what_it_was_made_of():
    short = hashlib.sha256(b'[1, {"a": 2}]').hexdigest()[:8]
    parts = [1, {"a": 2}]
    assert default_path("tune-m", "my data/é.1", parts) == Path(f"runs/tune-m-my-data-é.1-{short}")
    assert default_path("m", "//", parts, "ipc5-s0") == Path(f"runs/m-data-ipc5-s0-{short}")
    assert default_path("m", "d", [1]) != default_path("m", "d", [2])
