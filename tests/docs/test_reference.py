"""docs/reference.md is what the code says today."""

from pathlib import Path

from condense.cli.reference import TARGET, reference


def test_the_reference_is_not_stale():
    written = (Path(__file__).resolve().parents[2] / TARGET).read_text(encoding="utf-8")
    assert written == reference(), "run `python -m condense.cli.reference` and commit the result"


def test_the_reference_has_every_flag_and_option():
    text = reference()
    for part in ("`--no-baselines`", "### `condense plugins new KIND NAME`", "`beta`", "`alpha`"):
        assert part in text
    assert text.count("### `condense") > 10
