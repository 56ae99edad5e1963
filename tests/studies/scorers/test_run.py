"""Scorers side by side: which options each gets, what is shared, what is measured."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from condense.api import bind
from condense.engine.artefact.preview import GAP, LINE, name_width
from condense.engine.ingest.from_user import labeled_data
from condense.engine.pipeline import Pipeline
from condense.engine.runtime.folders import check_folder
from condense.engine.training import passes
from condense.errors import OptionError, OutputError, UnknownComponent
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.resolve import Request
from condense.studies.scorers.files import (
    OWNED,
    draw_extremes,
    sheet_names,
    write_scorer_comparison,
)
from condense.studies.scorers.run import compare_scorers, compared_recipes, extremes

NAMES = ["cscore", "forgetting", "el2n"]
TINY = (
    (("scorer", "networks"), 2),
    (("scorer", "epochs"), 2),
    (("scorer", "network", "width"), 2),
)


class Plain:
    """A scorer that gives no replicates: the sample's place, or that turned round."""

    name, version = "place", "1"

    def __init__(self, options):
        self.options = options

    def score(self, data, context, rng):
        return torch.arange(len(data)).float()


class Turned(Plain):
    name, version = "turned", "1"

    def score(self, data, context, rng):
        return -torch.arange(len(data)).float()


@pytest.fixture(scope="module")
def plain_host():
    from condense.options import Options

    class Plugin:
        @hookimpl
        def condense_register_scorers(self, register):
            for cls in (Plain, Turned):
                register(type(cls.__name__, (cls,), {"Options": Options}))

    return build_host(external=False, extra=[Plugin()])


@pytest.fixture
def run(tiny_images):
    """Compares scorers on the tiny images."""

    def call(host, names, *assignments, data=tiny_images):
        recipes = compared_recipes(host, Request(assignments=assignments), names)
        made = bind(data)

        def pipeline(recipe, data=data):
            tools = {"store": made.store, "device": made.device, "progress": made.progress}
            return Pipeline(recipe, host, data=data, **tools)

        return compare_scorers(recipes, names, pipeline)

    return call


def test_one_pass_serves_all(run, host, monkeypatch):
    trained = []
    real = passes.sgd_training
    monkeypatch.setattr(passes, "sgd_training", lambda *a, **k: trained.append(1) or real(*a, **k))
    result = run(host, NAMES, *TINY)
    assert len(trained) == 2
    assert [one.cached for one in result.document.scorers] == [False] * 3
    assert [one.replicates for one in result.document.scorers] == [2, 2, 2]
    again = run(host, NAMES, *TINY)
    assert len(trained) == 2
    assert all(one.cached for one in again.document.scorers)
    assert again.document.rank_correlation == result.document.rank_correlation


def test_figures_are_those_of_the_scores(run, host):
    from scipy.stats import spearmanr

    result = run(host, NAMES, *TINY)
    values = [one.values for one in result.scores]
    for i, a in enumerate(values):
        assert (
            result.document.rank_correlation[i][i]
            == result.document.overlap_hardest[i][i]
            == result.document.overlap_easiest[i][i]
            == 1.0
        )
        for j, b in enumerate(values):
            assert result.document.rank_correlation[i][j] == pytest.approx(
                spearmanr(a, b).statistic
            )
    document = json.loads(json.dumps(result.document.to_json(), allow_nan=False))
    assert [one["name"] for one in document["scorers"]] == NAMES
    assert document["data_fingerprint"] == result.data.fingerprint
    assert document["overlap_share"] == 0.1
    tables = [one["scorer"] for one in document["scorers"]]
    assert [(t["component"], t["networks"], t["network"]["width"]) for t in tables] == [
        (name, 2, 2) for name in NAMES
    ]


def test_the_file_is_the_same_from_the_store(run, host, tmp_path):
    files = []
    for name in ("first", "second"):
        result = run(host, ["cscore", "el2n"], *TINY, (("scorer", "epochs"), 1))
        files.append(
            (write_scorer_comparison(result, tmp_path / name) / "comparison.json").read_bytes()
        )
    assert all(one.cached for one in result.document.scorers)
    assert files[0] == files[1]


def test_a_scorer_without_replicates_has_no_split_half(run, plain_host):
    result = run(plain_host, ["place", "turned"])
    assert result.document.rank_correlation[0][1] == pytest.approx(-1.0)
    assert (result.document.overlap_hardest[0][1], result.document.overlap_easiest[0][1]) == (
        0.0,
        0.0,
    )
    assert [(one.replicates, one.split_half) for one in result.document.scorers] == [
        (None, None)
    ] * 2


def test_the_test_split_is_taken_away(run, plain_host):
    assert run(plain_host, ["place", "turned"]).data.test is None


def test_options_go_to_the_scorers_that_have_them(host):
    request = Request(
        assignments=(
            (("scorer",), "cscore"),
            (("scorer", "epochs"), 3),
            (("scorer", "mode"), "online"),
            (("selector", "beta"), 0.1),
        )
    )
    recipes = compared_recipes(host, request, ["cscore:holdout", "el2n", "random"])
    assert [r["scorer"].name for r in recipes] == ["cscore", "el2n", "random"]
    assert recipes[0]["scorer"].options.estimator == "holdout"
    assert recipes[0]["scorer"].options.epochs == recipes[1]["scorer"].options.epochs == 3
    assert recipes[1]["scorer"].options.mode == "online"
    assert recipes[2]["selector"].options.beta == 0.1


@pytest.mark.parametrize("names", [["cscore"], ["cscore", "cscore"], ["cscore", ""]])
def test_two_different_scorers_are_needed(host, names):
    with pytest.raises(OptionError, match="two or more different scorers"):
        compared_recipes(host, Request(), names)


def test_an_option_that_none_has_is_named(host):
    request = Request(assignments=((("scorer", "beta"), 0.3),))
    with pytest.raises(OptionError, match=r"`scorer\.beta=0\.3`: none of cscore, el2n has"):
        compared_recipes(host, request, ["cscore", "el2n"])


def test_an_unknown_scorer_is_named(host):
    with pytest.raises(UnknownComponent, match="grnd"):
        compared_recipes(host, Request(), ["cscore", "grnd"])


# pictures


def test_extremes_by_hand(tiny_images):
    data = tiny_images.subset(torch.tensor([0, 30, 1, 2, 31, 3]))  # classes 0 1 0 0 1 0
    scores = torch.tensor([5.0, 9.0, 1.0, 5.0, 8.0, 2.0])
    assert extremes(data, scores, 0, 2) == ([2, 5], [0, 3])  # ties in the data's order
    assert extremes(data, scores, 1, 9) == ([4, 1], [1, 4])


def test_sheets_show_both_ends_of_every_class(run, plain_host, tmp_path):
    result = run(plain_host, ["place", "turned"])
    folder = write_scorer_comparison(result, tmp_path / "out")
    assert {p.name for p in folder.iterdir()} == {"comparison.json", "place.png", "turned.png"}
    sheet = Image.open(folder / "place.png").convert("RGB")
    left, top = name_width(result.data.classes), 2 * (LINE + GAP)
    # the easiest "ant" is sample 0, the hardest sample 29; a tile shows pixels as they are
    first = result.data.inputs[0, 0, 0].tolist()
    last = result.data.inputs[29, 0, 0].tolist()
    assert list(sheet.getpixel((left, top))) == first
    assert list(sheet.getpixel((left + 8 * 52 + 8 + 7 * 52, top))) == last
    again = write_scorer_comparison(result, tmp_path / "again")
    assert (again / "place.png").read_bytes() == (folder / "place.png").read_bytes()
    write_scorer_comparison(result, folder)  # its own folder may be replaced


@pytest.mark.parametrize("mine", ["thesis.txt", "holiday.png", "place-2.png", "photos/place.png"])
def test_a_folder_that_holds_a_file_of_the_users_is_not_replaced(run, plain_host, tmp_path, mine):
    result = run(plain_host, ["place", "turned"])
    file = write_scorer_comparison(result, tmp_path / "out") / mine
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    with pytest.raises(OutputError, match=mine):
        write_scorer_comparison(result, tmp_path / "out")
    assert file.read_text() == "mine"


def test_a_comparison_that_is_not_ours_is_not_replaced(run, plain_host, tmp_path):
    folder = write_scorer_comparison(run(plain_host, ["place", "turned"]), tmp_path / "out")
    (folder / OWNED.marker).write_text('{"scorers": [{"name": 1}], "rank_correlation": []}')
    with pytest.raises(OutputError, match="not as condense writes it"):
        check_folder(folder, OWNED)


def test_a_sheet_of_many_classes_shows_some_of_them_and_says_so():
    def height(classes):
        data = labeled_data(np.zeros((90, 8, 8, 1), dtype=np.uint8), np.arange(90) % classes)
        sheet = draw_extremes(data, torch.arange(90).float(), "place")
        return Image.open(io.BytesIO(sheet)).size[1]

    assert height(40) - height(39) == 52
    assert height(45) == height(40) + LINE  # a line says that five are left out


def test_features_have_no_pictures(run, plain_host, tmp_path):
    data = labeled_data(torch.rand(20, 3).numpy(), torch.arange(20).numpy() % 2)
    result = run(plain_host, ["place", "turned"], data=data)
    assert sheet_names(result) == []
    assert [p.name for p in write_scorer_comparison(result, tmp_path / "o").iterdir()] == [
        OWNED.marker
    ]
