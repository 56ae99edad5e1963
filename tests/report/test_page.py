"""The page of a report: what it shows is what the files say, and it stands alone."""

import base64
import io
import itertools
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ttest_ind

from condense.api import bind
from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.ingest.from_user import labeled_data
from condense.errors import DataError, OutputError
from condense.report.diagnosis.facts import collect_from
from condense.report.page.page import (
    MARKER,
    check_page,
    default_file,
    letter,
    of_files,
    render,
    report_of,
    write_page,
)
from condense.report.page.runs import differences
from condense.report.page.sources import read_sources
from condense.studies.statistics import estimate

VOID = {"meta", "img", "path", "use", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Elements of a page with their text; what is opened must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.tables, self.table = [], [], {}, None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(element)
        if tag == "table":
            self.table = self.tables.setdefault(element.get("id"), [])
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th"):
            self.table[-1].append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def of(self, tag):
        return [e for e in self.elements if e["tag"] == tag]


def made(*folders, **more):
    return report_of(read_sources(folders), **more)


@pytest.fixture(scope="module")
def known(host, tools):
    """All that is known of a run, as the command finds it out."""

    def collect(source):
        return collect_from(source.path, source.condensed, source.evaluations, host, **tools)

    return collect


@pytest.fixture(scope="module")
def report(plain, full, known):
    return made(plain, full, collect=known)


@pytest.fixture(scope="module")
def text(report):
    return render(report)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def results(folder):
    return json.loads((folder / "results.json").read_text())["arms"]


def test_every_accuracy_equals_the_json_to_the_digit(page, plain, full):
    rows = page.tables["accuracies"][1:]
    one, other = (results(folder) for folder in (plain, full))
    assert (one["random"], one["whole"]) == (other["random"], other["whole"])  # of the same seed
    arms = [one["condensed"], other["condensed"], one["random"], one["whole"]]
    assert [row[0]["text"] for row in rows][2:] == ["random", "whole"]
    for row, arm in zip(rows, arms, strict=True):
        shown = row[2]
        assert float(shown["data-value"]) == arm["mean"]  # exactly, not nearly
        half = estimate(arm["values"]).half
        assert shown["text"] == f"{100 * arm['mean']:.2f} ± {100 * half:.2f}"
        assert row[1]["text"] == arm["protocol"]["augmentation"]
        assert float(row[4]["text"]) == arm["n"]


def test_sets_are_held_against_each_other(page, plain, full):
    ((name, words, points),) = page.tables["gaps"][1:]
    assert (name["text"], words["text"]) == (
        "A − B",
        f"{page_label(page, 0)} minus {page_label(page, 1)}",
    )
    values = [results(folder)["condensed"]["values"] for folder in (plain, full)]
    told = ttest_ind(*values, equal_var=False).confidence_interval(0.95)
    middle, half = (told.low + told.high) / 2, (told.high - told.low) / 2
    assert points["text"] == f"{100 * middle:+.2f} ± {100 * half:.2f}"


@pytest.mark.parametrize(
    "changes",
    [
        {"data_fingerprint": "of others of the same name"},
        {"recipe": {"data": {"component": "digits", "test": 0.3}}},
        {"recipe": {"left_out": {"data.test": "b.npz"}}},
        {"paths": {"data.test": "/b.npz"}},
    ],
)
def test_sets_on_other_data_or_test_splits_are_not_held_against_each_other(plain, full, changes):
    sources = read_sources([plain, full])
    one, other = sources.runs
    changed = {k: one.condensed.recipe | v if k == "recipe" else v for k, v in changes.items()}
    other = replace(other, condensed=replace(other.condensed, **changed))
    page = render(report_of(replace(sources, runs=(one, other))))
    assert "gaps" not in Page(page).tables
    assert "/b.npz" not in json.dumps(report_of(replace(sources, runs=(one, other))).to_json())


def page_label(page, place):
    return page.tables["setup"][0][1 + place]["text"].partition(" ")[2]


def test_table_and_figure_have_one_order(page, text):
    named = [row[0]["text"] for row in page.tables["accuracies"][1:]]
    figure = text.partition('id="figure-accuracy"')[2].partition("</figure>")[0]
    drawn = [t for t in re.findall(r">([^<>]+)</text>", figure) if t in named]
    assert drawn == named


def test_the_contents_lead_to_every_section(page):
    links = [e["href"] for e in page.of("a")]
    sections = [f"#{e['id']}" for e in page.of("section")]
    assert links == sections
    assert len(links) > 5


def test_an_option_that_has_no_effect_is_not_shown(page, plain):
    recipe = (plain / "recipe.toml").read_text()
    assert "\nepochs = 500\n" in recipe  # of the evaluator, for whose steps there is a number
    (row,) = [row for row in page.tables["setup"] if row[0]["text"] == "evaluator"]
    assert "steps" in row[1]["text"]
    assert "epochs" not in row[1]["text"]


def test_each_measure_is_told_apart_on_the_page(plain, full):
    measures = iter(("accuracy", "overlap"))
    sources = read_sources([plain, full])
    report = report_of(sources, lambda source: replace(of_files(source), measure=next(measures)))
    parts = render(report).split('<div class="beside">')[1:]
    beside = "".join(part.partition("</figure>")[0] for part in parts)
    assert re.findall(r'<(?:table|figure) id="([^"]*)"', beside) == [
        *("accuracies", "figure-accuracy", "accuracies-2", "figure-accuracy-2"),
        *("by-class", "figure-classes", "by-class-2", "figure-classes-2"),
    ]


def test_accuracy_by_class_equals_the_json(page, plain, full):
    rows = page.tables["by-class"][1:]
    columns = [results(folder)["condensed"]["per_class"] for folder in (plain, full)]
    assert len(rows) == 10
    for row, values in zip(rows, zip(*columns, strict=True), strict=True):
        assert [float(cell["data-value"]) for cell in row[1:]] == list(values)
        assert [cell["text"] for cell in row[1:]] == [f"{100 * v:.2f}" for v in values]


def test_times_equal_the_log(page, plain, full):
    logs = [json.loads((folder / "run.log.json").read_text()) for folder in (plain, full)]
    rows = {row[0]["text"]: row[1:] for row in page.tables["times"][1:]}
    for stage, time in logs[0]["stages"].items():
        assert float(rows[stage][0]["data-value"]) == time["seconds"]
        assert ("(stored)" in rows[stage][0]["text"]) == time["cached"]
    assert [c["text"] for c in rows["device"]] == [log["device"] for log in logs]
    assert float(rows["peak memory"][1]["data-value"]) == logs[1]["peak_memory_mb"]


def test_runs_stand_side_by_side_with_what_differs(page):
    rows = {row[0]["text"]: [cell["text"] for cell in row[1:]] for row in page.tables["setup"][1:]}
    assert rows["method"] == ["selmatch"]  # alike: one cell over both columns
    assert rows["policy"] == ["partial alpha 0.8", "full"]
    differing = {row[0]["text"]: [c["text"] for c in row[1:]] for row in page.tables["differences"]}
    assert differing["policy"] == ["partial", "full"]
    assert "policy.alpha" not in differing  # full has no α: the line above says it
    assert differing["matcher.snapshots"] == ["none", "1, 2"]
    assert "selector.beta" not in differing


def test_options_of_a_component_that_only_some_have_are_no_differences():
    matched = {"component": "trajectory", "steps": 5, "network": {"component": "mlp", "width": 8}}
    runs = [
        {"seed": 0, "matcher": matched},
        {"seed": 0, "matcher": matched | {"steps": 6}, "note": "x"},
        {"seed": 0, "matcher": {"component": "none"}},
    ]
    assert differences(runs) == [
        ("matcher", ("trajectory", "trajectory", "none")),
        ("matcher.steps", ("5", "6", "–")),
        ("note", ("–", "x", "–")),  # no component tells why the others lack it
    ]


def test_the_page_needs_no_network(text, page):
    assert "http://" not in text
    assert "https://" not in text
    assert not {"script", "link", "iframe", "base", "object"} & {e["tag"] for e in page.elements}
    sources = [e["src"] for e in page.elements if "src" in e]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert all(e["href"].startswith("#") for e in page.elements if "href" in e)
    assert "@import" not in text
    assert {target[0] for target in re.findall(r"url\((.)", text)} <= {"#"}


def test_pictures_are_the_samples(plain):
    small = CondensedDataset.load(plain)
    images, sources = small.images.numpy(), small.source_inputs.numpy()
    place = {int(k): i for i, k in enumerate(small.source_index)}
    pictures = Page(render(made(plain))).of("img")
    assert len(pictures) == 70  # 10 classes × (3 pairs + 1 frozen)
    for picture in pictures:
        name, role, number = re.fullmatch(r"(.), (.*?) ?sample (\d+).*", picture["alt"]).groups()
        i = place[int(number)]
        assert small.classes[small.labels[i]] == name
        assert bool(small.distilled[i]) != picture["alt"].endswith("kept")
        shown = images[i] if role == "distilled from" else sources[i]
        pixels = Image.open(io.BytesIO(base64.b64decode(picture["src"].partition(",")[2])))
        assert np.array_equal(np.asarray(pixels), shown[..., 0])


def test_ids_are_unique_and_references_hold(page):
    ids = [e["id"] for e in page.elements if "id" in e]
    assert len(ids) == len(set(ids))
    used = {e["href"][1:] for e in page.elements if "href" in e}
    clips = {m for e in page.elements for m in re.findall(r"url\(#(.*?)\)", e.get("clip-path", ""))}
    assert used
    assert clips
    assert used | clips <= set(ids)


def test_figures_are_there_and_not_empty(page):
    names = [e["id"] for e in page.of("figure")]
    assert names == [f"figure-{n}" for n in ("accuracy", "loss", "step-size", "classes")]
    drawn = page.of("svg")
    assert len(drawn) == 4
    assert all("width" not in e and e["viewbox"] for e in drawn)  # scales with the page
    assert all(len(e["text"].split()) > 5 for e in drawn)  # text is text
    labels = [e["aria-label"] for e in page.elements if e.get("role") == "img"]
    assert len(labels) == 4
    assert all(len(label.split()) > 5 for label in labels)


def test_it_can_be_read_by_ear(page):
    assert page.of("html")[0]["lang"] == "en"
    assert "width=device-width" in [e.get("content", "") for e in page.of("meta")][2]
    levels = [int(e["tag"][1]) for e in page.elements if re.fullmatch(r"h\d", e["tag"])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert all(e.get("scope") in ("col", "row") for e in page.of("th"))
    assert len(page.of("caption")) == len(page.of("table"))
    assert all(e["text"].strip() for e in page.of("caption"))


def test_every_table_shows_that_it_goes_on(text, page):
    """Shadows and an arrowhead stay at the edges; what covers them scrolls along with the table."""
    for before in re.findall(r"([^\n]*)\n<table", text):
        assert before.startswith('<div class="scroll" role="region" aria-label="')
        assert before.endswith('tabindex="0">')
    assert all(e["aria-label"] for e in page.elements if e.get("class") == "scroll")
    rule = re.search(r"\n\.scroll \{(.*?)\}", text, re.DOTALL).group(1)
    lists = dict(
        re.findall(r"background-(image|position|size|attachment):\s*(.*?);", rule, re.DOTALL)
    )
    layers = {"image": re.split(r",\s*(?=[a-z]+-gradient)", lists.pop("image"))}
    layers |= {key: value.split(", ") for key, value in lists.items()}
    assert {key: len(value) for key, value in layers.items()} == dict.fromkeys(layers, 5)
    kinds = list(zip(layers["attachment"], layers["image"], layers["position"], strict=True))
    covers, cues = kinds[:2], kinds[2:]  # those named first are on top
    assert all(how == "local" and "var(--paper)" in what for how, what, _ in covers)
    assert all(how == "scroll" and "var(--paper)" not in what for how, what, _ in cues)
    assert [where.split()[0] for _, _, where in kinds] == [
        "right",
        "left",
        "right",
        "right",
        "left",
    ]
    covered = [float(size.split()[0].removesuffix("rem")) * 16 for size in layers["size"][:2]]
    assert covered == [40, 40]  # px: wider than the arrowhead and its distance, and the shadows
    assert layers["size"][2:] == ["7px 14px", ".8rem 100%", ".8rem 100%"]
    assert ".scroll { overflow: visible;" in text.partition("@media print")[2]


def test_a_path_is_text_not_markup(text, full):
    assert "<b>" in full.name
    assert "full <b>" not in text
    assert "full &lt;b&gt;" in text


def test_the_recipe_is_there_with_its_command(page, plain, full):
    blocks = [e["text"] for e in page.of("code")]
    assert f"condense run --recipe {plain}/recipe.toml" in blocks
    assert f"condense run --recipe '{full}/recipe.toml'" in blocks  # blanks need quotes
    assert (plain / "recipe.toml").read_text() in blocks


def test_equal_inputs_give_equal_bytes(plain, full, text, known):
    assert render(made(plain, full, collect=known)) == text
    assert render(made(full, plain)) != text


def test_findings_are_shown_once_with_the_letters_of_their_runs(report, page):
    items = [e["text"] for e in page.of("li")]
    for finding, letters in report.grouped_findings:
        (item,) = [
            t
            for t in items
            if finding.seen.replace("`", "")[1:] in t
            and finding.means in t
            and (t.split()[: len(letters)] == list(letters))
        ]
        assert finding.advice.replace("`", "") in item
    shared = [letters for finding, letters in report.grouped_findings if finding.check == "scores"]
    assert shared == [("A", "B")]  # one set of scores serves both


def test_json_is_what_the_page_is_made_of(report, plain):
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    run = document["runs"][0]
    arm = results(plain)["condensed"]
    assert run["arms"][0]["mean"] == arm["mean"]
    assert run["arms"][0]["values"] == arm["values"]
    assert run["classes"][3]["own"] == arm["per_class"][3]
    assert len(run["loss"]) == 40
    assert "data:image" not in json.dumps(document)
    assert {f["check"] for f in run["findings"]} >= {"random", "loss", "scores", "augmentation"}


def contrast(one, other):
    """Of two #rrggbb, as WCAG 2 has it."""

    def luminance(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_can_be_told_from_the_paper_in_light_and_dark(text):
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6})", part))
        for part in text.partition("prefers-color-scheme: dark")[::2]
    )
    for scheme in (light, {**light, **dark}):
        words = ("ink", "muted", "accent", "problem", "look", "ok")
        assert all(contrast(scheme[name], scheme["paper"]) >= 4.5 for name in words)
        lines = [f"series-{k}" for k in range(1, 7)]
        assert all(contrast(scheme[name], scheme["paper"]) >= 3 for name in lines)
    assert set(dark) == set(light)
    # what figures are drawn in is named, so that both schemes reach them
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert not re.findall(r"#[0-9a-f]{6}\b", drawn)
    assert set(re.findall(r"var\(--([\w-]+)\)", drawn)) <= set(light)


def test_a_run_without_evaluation_or_recipe_is_shown(tmp_path):
    rng = np.random.default_rng(0)
    data = labeled_data(rng.normal(size=(12, 4)).astype(np.float32), np.arange(12) % 3)
    values = {"selector": "random", "matcher": "none", "policy": "frozen"}
    folder = bind(data, ipc=2, options=values).condensed.save(tmp_path / "features")
    page = Page(render(made(folder)))
    whole = page.of("body")[0]["text"]
    assert "Nothing was evaluated" in whole
    (image,) = page.of("img")
    assert "6 samples in the plane" in image["alt"]
    assert "handed over in Python" in whole
    assert page.of("svg") == []
    rows = {row[0]["text"]: row[1]["text"] for row in page.tables["setup"][1:]}
    assert rows["matcher"] == "not used"


def test_many_classes_are_shown_by_their_ends(plain, tmp_path):
    folder = tmp_path / "hundred"
    shutil.copytree(plain, folder)
    small = CondensedDataset.load(plain)
    names = tuple(f"class {k}" for k in range(100))
    replace(small, classes=names).save(folder)
    arms = results(plain)
    rng = np.random.default_rng(0)
    for arm in arms.values():
        arm["per_class"] = rng.uniform(size=100).tolist()
    (folder / "results.json").write_text(json.dumps({"arms": arms}))
    page = Page(render(made(folder)))
    rows = page.tables["by-class"][1:]
    own = sorted(arms["condensed"]["per_class"])
    values = [float(row[2]["data-value"]) for row in rows]
    assert values == own[:10] + own[::-1][:10]
    assert "figure-classes" in [e["id"] for e in page.of("figure")]


def test_letters_go_on():
    assert [letter(k) for k in (0, 25, 26, 27, 52)] == ["A", "Z", "AA", "AB", "BA"]


def test_a_page_is_replaced_and_nothing_else(report, plain, tmp_path):
    out = tmp_path / "deep" / "report.html"
    assert write_page(report, out) == out
    first = out.read_bytes()
    assert MARKER.encode() in first[:1000]
    write_page(report, out)
    assert out.read_bytes() == first
    other = tmp_path / "mine.html"
    other.write_text("<p>mine</p>")
    with pytest.raises(OutputError, match=r"no \.html file that condense wrote"):
        write_page(report, other)
    assert other.read_text() == "<p>mine</p>"
    with pytest.raises(OutputError, match=r"must end in \.html"):
        check_page(tmp_path / "report.txt")
    with pytest.raises(OutputError, match=r"manifest\.json"):
        check_page(plain / "report.html")
    (tmp_path / "x.html").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        check_page(tmp_path / "x.html")


def test_the_same_folders_have_the_same_file(tmp_path):
    one = default_file([tmp_path / "a", tmp_path / "b"])
    assert one == default_file([tmp_path / "a", tmp_path / "b"])
    assert one != default_file([tmp_path / "a"])
    assert one.parent.name == "runs"


def test_what_is_no_run_is_named(tmp_path, plain):
    with pytest.raises(DataError, match=r"nowhere does not exist; give the folder"):
        read_sources([tmp_path / "nowhere"])
    with pytest.raises(DataError, match=r"manifest.json is a file; give the folder"):
        read_sources([plain / "manifest.json"])
    with pytest.raises(DataError, match="nothing to report"):
        read_sources([plain, tmp_path])
    (tmp_path / "coverage.json").write_text("[]")
    with pytest.raises(DataError, match=r"coverage\.json is damaged: "):
        read_sources([tmp_path])
    (tmp_path / "coverage.json").write_text("{")
    with pytest.raises(DataError, match=r"coverage\.json is damaged: invalid JSON"):
        read_sources([tmp_path])
    (tmp_path / "coverage.json").write_text('{"runs": [{}]}')
    with pytest.raises(
        DataError, match=r"coverage.json is damaged: 'data' is missing; make it again"
    ):
        made(tmp_path)


def test_a_folder_given_twice_is_one_run(plain):
    assert len(made(plain, plain).runs) == 1


ARM = {"mean": 0.5, "values": [0.5]}


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("results.json", {"arms": {"condensed": {"mean": 0.5}}}),
        ("results.json", {"arms": [1]}),
        ("results.json", {"arms": {"condensed": 1}}),
        ("results.json", {"arms": {"condensed": {"mean": "0.5", "values": [0.5]}}}),
        ("results.json", {"arms": {"condensed": {"mean": 0.5, "values": []}}}),
        ("results.json", {"arms": {"condensed": {"mean": float("nan"), "values": [0.5]}}}),
        ("results.json", {"arms": {"condensed": ARM | {"per_class": ["x"]}}}),
        ("results.json", {"arms": {"condensed": ARM | {"protocol": "none"}}}),
        ("run.log.json", {"stages": {"matcher": {}}}),
        ("run.log.json", {"stages": {"matcher": {"seconds": "x", "cached": True}}}),
        ("run.log.json", {"peak_memory_mb": "much"}),
    ],
)
def test_a_damaged_file_of_a_run_is_named(name, document, plain, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(plain, folder)
    (folder / name).write_text(json.dumps(document))
    with pytest.raises(DataError, match=f"{name} is damaged"):
        read_sources([folder])
