"""A study's folder may hold what the study writes, and nothing that is only called alike."""

import json

import pytest

from condense.engine.artefact.write import ARTEFACT
from condense.engine.runtime.folders import check_folder
from condense.errors import OutputError
from condense.studies.ablation.files import OWNED as ABLATION
from condense.studies.coverage.files import OWNED as COVERAGE
from condense.studies.methods.files import OWNED as COMPARE
from condense.studies.shrinking.files import OWNED as SHRINK
from condense.studies.tuning.files import OWNED as TUNE

LAYOUTS = {
    "ablation": (ABLATION, ("cells", "main_effects")),
    "compare": (COMPARE, ("methods", "rows")),
    "coverage": (COVERAGE, ("runs", "radius")),
    "shrink": (SHRINK, ("keep", "curve")),
    "tune": (TUNE, ("arms", "validation")),
}


@pytest.mark.parametrize("study", LAYOUTS)
def test_notes_called_like_a_study_are_the_users(study, tmp_path):
    layout, keys = LAYOUTS[study]
    (tmp_path / layout.marker).write_text(json.dumps(dict.fromkeys(keys)))
    for ending in ("csv", "png", "svg"):
        (tmp_path / f"{study}.{ending}").touch()
    check_folder(tmp_path, layout)
    (tmp_path / f"{study}.md").write_text("mine")
    with pytest.raises(OutputError, match=rf"{study}\.md"):
        check_folder(tmp_path, layout)


def test_notes_beside_an_artefact_are_the_users(tmp_path):
    (tmp_path / ARTEFACT.marker).write_text('{"format": 1, "sha256": ""}')
    (tmp_path / "shrink.json").touch()
    check_folder(tmp_path, ARTEFACT)
    (tmp_path / "shrink.md").write_text("mine")
    with pytest.raises(OutputError, match=r"shrink\.md"):
        check_folder(tmp_path, ARTEFACT)
