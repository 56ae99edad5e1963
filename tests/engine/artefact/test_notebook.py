"""What a notebook shows of a set: figures of its results, a picture, and no markup of others."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from condense import CondensedDataset
from condense.data import SyntheticSet
from condense.engine.documents import ArmResult, FindingNote, Results
from condense.engine.ingest.from_user import labeled_data
from condense.engine.training.batches import initial_set
from condense.figures import html
from condense.results import Evaluation, Selection

EVIL = '"><script>alert(1)</script><b x="&amp;'
VOID = {"img", "br"}


class Checked(HTMLParser):
    """Tags, texts and attributes; every tag is closed, in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.attributes, self.open = [], [], {}, []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= dict(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def made(data, count=2, **more):
    members = [data.class_indices(c)[:count] for c in range(len(data.classes))]
    selection = Selection.of_classes(members)
    mask = torch.arange(len(selection.indices)) % 2 == 0
    synthetic: SyntheticSet = initial_set(data, selection, mask, 0.01)
    recipe = {"ipc": count, "fraction": None}
    return CondensedDataset.of(data, synthetic, method="mine", seed=0, recipe=recipe, **more)


def evaluated(small, findings=()):
    protocol = {"augmentation": "dsa"}
    arms = {
        "condensed": ArmResult.of(Evaluation((0.5, 0.75), protocol)),
        "random": ArmResult.of(Evaluation((0.5,), protocol)),
        "whole": ArmResult.of(Evaluation((0.875,), protocol)),
    }
    return replace(small, results=Results.of(small, arms, findings).to_json())


def test_a_set_without_results_is_a_line_and_a_picture(tiny_images):
    small = made(tiny_images)
    page = Checked(small._repr_html_())
    assert page.tags == ["p", "strong", "img"]
    assert page.texts == [repr(small)]
    kind, data = re.fullmatch(r"data:image/(png|jpeg);base64,(.*)", page.attributes["src"]).groups()
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.format.lower() == kind
    assert picture.size[0] > 100


def test_the_table_has_the_figures_by_hand_and_findings_are_spelt_for_python(tiny_images):
    note = FindingNote(code="c", message="no good", advice="set `selector.beta=0.2`")
    page = Checked(evaluated(made(tiny_images), [note])._repr_html_())
    cells = page.texts[1:-1]
    assert cells[:3] == ["arm", "accuracy, % ± std (n)", "points over random"]
    # mean of 50 and 75, and their deviation by n - 1: 12.5 · √2
    assert cells[3:] == [
        *("mine", "62.50 ± 17.68 (2)", "+12.50"),
        *("random (baseline)", "50.00 ± 0.00 (1)"),
        *("whole (baseline)", "87.50 ± 0.00 (1)", "+37.50"),
    ]
    assert page.texts[-1] == 'no good; try: set options={"selector.beta": 0.2}'


def test_names_of_others_are_text(tiny_images):
    data = replace(tiny_images, classes=(EVIL, "b", "c"), name=EVIL)
    small = replace(evaluated(made(data), [FindingNote(code=EVIL, message=EVIL, advice=EVIL)]))
    small = replace(small, method=EVIL, results={**small.results, "method": EVIL})
    page = Checked(small._repr_html_())
    assert set(page.tags) <= {"p", "strong", "img", "table", "thead", "tbody", "tr"} | {
        "th",
        "td",
        "ul",
        "li",
    }
    assert set(page.attributes) == {"style", "alt", "src"}
    assert "".join(page.texts).count(EVIL) >= 3


def test_it_is_small_and_features_have_a_picture_too():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (400, 64, 64, 3), dtype=np.uint8)  # which no PNG makes small
    small = made(labeled_data(noise, np.arange(400) % 20), count=10)
    assert len(small._repr_html_()) < 250_000
    table = made(labeled_data(rng.normal(size=(60, 5)).astype(np.float32), np.arange(60) % 3))
    assert Checked(table._repr_html_()).tags[-1] == "img"


def test_long_cells_are_cut_and_cells_of_any_kind_are_escaped():
    page = Checked(html.table(("<i>",), [("x" * 1000,), (None,), (EVIL,)]))
    assert page.texts[0] == "<i>"
    assert len(page.texts[1]) == html.MOST
    assert page.texts[2:] == ["None", EVIL]


@pytest.mark.parametrize("what", ["</p>", "&lt;"])
def test_text_is_never_markup(what):
    assert Checked(html.paragraph(what) + html.bullets([what])).texts == [what, what]
