"""MarginScorer keeps what every scorer promises, and `condense` finds it."""

from typing import Any

import condense_margin
from condense_margin import MarginScorer

from condense import build_host
from condense.testing import parametrize_with_checks


@parametrize_with_checks("scorer", [MarginScorer])
def test_conforms(component: Any, check: Any) -> None:
    check(component)


def test_is_registered() -> None:
    host = build_host(external=False, extra=[condense_margin])
    assert host.registry("scorer").get("margin") is MarginScorer
