"""The files of ``condense coverage``: figures as measured, equal bytes, nobody's files replaced."""

import csv
import io
import json

import matplotlib.image
import numpy as np
import pytest

from condense.errors import OutputError
from condense.figures.palette import LIGHT
from condense.studies.coverage.files import coverage_folder, to_csv, write_coverage
from condense.studies.coverage.result import Coverage, CoveragePoint, Curve, RunCoverage, Shares


def shares(value):
    return {"all": value, "easy": value + 0.1, "hard": value - 0.1}


def run(label, values):
    points = tuple(
        CoveragePoint(iteration=50 * i, **shares(v), area=Shares(**shares(v / 2)))
        for i, v in enumerate(values)
    )
    curve = {part: (low, shares(0.8)[part]) for part, low in shares(0.2).items()}
    return RunCoverage(
        **{"artefact": f"runs/{label}", "fingerprint": "f", "method": "selmatch", "label": label},
        **{"samples": 20, "iterations": points, "curve": Curve(radii=(0.0, 0.6), **curve)},
    )


@pytest.fixture
def result():
    runs = (run("one, still", [0.4]), run("other", [0.4, 0.5, 0.6]))
    return Coverage(data="toy: data", radius=0.3, quantile=0.95, runs=runs, options={"networks": 1})


def test_the_csv_has_a_line_for_every_iteration(result):
    rows = list(csv.DictReader(io.StringIO(to_csv(result))))
    assert [(r["run"], r["iteration"]) for r in rows] == [
        *[("one, still", "0")],
        *[("other", "0"), ("other", "50"), ("other", "100")],
    ]
    assert float(rows[-1]["all"]) == 0.6
    assert float(rows[-1]["hard"]) == pytest.approx(0.5)
    assert float(rows[-1]["area_easy"]) == pytest.approx(0.4)


def test_the_files_have_equal_bytes_and_the_figure_is_drawn(result, tmp_path):
    one = write_coverage(result, tmp_path / "one")
    other = write_coverage(result, tmp_path / "other")
    names = sorted(p.name for p in one.iterdir())
    assert names == ["coverage.csv", "coverage.json", "coverage.png", "coverage.svg"]
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert json.loads((one / "coverage.json").read_text()) == result.to_json()
    colours = matplotlib.image.imread(one / "coverage.png")[..., :3].reshape(-1, 3)
    found = np.unique((colours * 255).round().astype(int), axis=0).tolist()
    for shade in LIGHT[:2]:
        assert [int(shade[k : k + 2], 16) for k in (1, 3, 5)] in found


def test_it_is_replaced_by_its_own_kind_only(result, tmp_path):
    folder = write_coverage(result, tmp_path / "out")
    assert write_coverage(result, folder) == folder
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write_coverage(result, folder)


def test_the_folder_is_named_by_data_and_content(result):
    name = coverage_folder(result).as_posix()
    assert name.startswith("runs/coverage-toy-data-")
    assert coverage_folder(result).as_posix() == name


@pytest.mark.parametrize("prints", [("b", "t"), ("a", "u"), ("a", None)])
def test_other_data_of_the_same_name_have_another_folder(result, prints):
    one, other = (result.model_copy(update={"data_fingerprints": p}) for p in (("a", "t"), prints))
    assert coverage_folder(one) != coverage_folder(other)
