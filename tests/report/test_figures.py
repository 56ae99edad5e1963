"""Figures as inline SVG, and the small things they are made of."""

import itertools
import math
import re
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure

from condense.figures.formats import percent, points, seconds, setting, spread
from condense.figures.palette import DARK, LIGHT
from condense.figures.plots import (
    PERCENT,
    Dot,
    Line,
    dots_figure,
    lines_figure,
    paint_dots,
    paint_lines,
)
from condense.figures.svg import PROPERTIES, SERIES, colour, dashes, draw
from condense.report.page.figures import (
    DRAWN,
    accuracy_figure,
    class_figure,
    loss_figure,
    running_median,
    step_figure,
)
from condense.report.page.page import report_of
from condense.report.page.sources import read_sources
from condense.report.page.tables import accuracy_table, class_table


@pytest.fixture(scope="module")
def run(plain):
    return report_of(read_sources([plain])).runs[0]


def test_a_drawing_is_an_element_without_anything_of_its_file():
    svg = draw("x", lambda axes: axes.plot([1, 2], [3, 4], color=SERIES[0]))
    assert svg.startswith("<svg viewBox=")
    assert svg.endswith("</svg>")
    for gone in ("metadata", "<style", "xmlns", "xlink", "font-family", "DOCTYPE", "http", "#0102"):
        assert gone not in svg
    assert "var(--series-1)" in svg
    assert all(found.startswith("x-") for found in re.findall(r'\bid="([^"]*)"', svg))
    assert svg == draw("x", lambda axes: axes.plot([1, 2], [3, 4], color=SERIES[0]))


# linear RGB as seen without one kind of cones: Machado, Oliveira, Fernandes 2009, severity 1
SEEN = {
    "all": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(shade):
    parts = np.array([int(shade[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def cielab(rgb):
    t = XYZ @ rgb.clip(0, 1) / (XYZ @ np.ones(3))
    x, y, z = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("shades", [LIGHT, DARK])
def test_colours_are_told_apart_by_everybody(shades, eyes):
    seen = [cielab(SEEN[eyes] @ linear(shade)) for shade in shades]
    apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(apart) >= 19


@pytest.mark.parametrize(("shades", "paper"), [(LIGHT, "#fcfbf8"), (DARK, "#17191d")])
def test_colours_stand_out_from_the_paper(shades, paper):
    luminance = [XYZ[1] @ linear(shade) + 0.05 for shade in (paper, *shades)]
    for own in luminance[1:]:
        assert max(own, luminance[0]) / min(own, luminance[0]) >= 3


def axes_of(paint):
    axes = Figure().subplots()
    paint(axes)
    return axes


def test_two_points_are_not_joined():
    two, three = (Line("x", tuple(map(float, range(n))), (1.0, 2.0, 4.0)[:n]) for n in (2, 3))
    drawn = [
        axes_of(partial(paint_lines, ("x", "y"), [line], "o")).lines[0] for line in (two, three)
    ]
    assert [line.get_linestyle() for line in drawn] == ["None", "-"]
    assert drawn[0].get_marker() != "None"


def test_an_interval_ends_where_values_do():
    dots = [Dot("a", 97.0, 4.6), Dot("b", 2.0, 5.0)]
    drawn = axes_of(partial(paint_dots, "accuracy, %", dots, limits=PERCENT))
    ends = [line.get_segments()[0][:, 0].tolist() for line in drawn.collections]
    assert ends == [[pytest.approx(92.4), 100.0], [0.0, pytest.approx(7.0)]]
    line = Line("x", (1.0, 2.0, 3.0), (99.0, 50.0, 1.0), (3.0, 3.0, 3.0))
    drawn = axes_of(partial(paint_lines, ("x", "y"), [line], "o", limits=PERCENT))
    ends = [segment[:, 1].tolist() for segment in drawn.collections[0].get_segments()]
    assert ends == [[96.0, 100.0], [47.0, 53.0], [0.0, 4.0]]


def test_every_colour_becomes_a_property():
    assert len(set(PROPERTIES.values())) == len(PROPERTIES) == 9
    looks = [(colour(k), str(dashes(k))) for k in range(18)]
    assert len(set(looks)) == 18  # lines can be told apart


def test_a_line_of_many_points_is_thinned_but_keeps_its_ends(run):
    loss = tuple(1 / (1 + k) for k in range(5000))
    figure = loss_figure([replace(run, loss=loss)])
    assert figure.svg.count("\nL ") < 3 * DRAWN
    assert "1 at first, 0.0002 at the end" in figure.alt


def test_what_is_not_finite_leaves_a_gap_not_an_error(run):
    loss = (0.5, math.nan, math.inf, 0.25, 0.125)
    assert "0.5 at first, 0.125 at the end" in loss_figure([replace(run, loss=loss)]).alt
    assert loss_figure([replace(run, loss=(math.nan,) * 5)]) is None
    assert step_figure([replace(run, steps=())]) is None


def test_without_figures_nothing_is_drawn(run):
    bare = replace(run, arms=(), classes=())
    assert accuracy_figure([bare], "accuracy") is None
    assert class_figure([bare], "accuracy") is None
    assert lines_figure("x", "x", ("x", "y"), []) is None


def test_baselines_in_common_are_drawn_once(run):
    other = replace(run, letter="B")
    alt = accuracy_figure([run, other], "accuracy").alt
    assert alt.count("random") == alt.count("whole") == 1
    assert "A selmatch" in alt
    assert "B selmatch" in alt
    changed = replace(other.arms[1], values=(0.5, 0.6))
    changed = replace(other, arms=(other.arms[0], changed))
    apart = accuracy_figure([run, changed], "accuracy").alt
    assert "A random" in apart
    assert "B random" in apart


def test_arms_are_told_apart_by_what_they_are(run):
    own = replace(run.arms[0], name="random")
    alone = replace(run, method="random", arms=(own, *run.arms[1:]))
    alt = accuracy_figure([alone], "accuracy").alt
    names = [part.rpartition(" ")[0] for part in alt.split("; ")]
    assert names == ["random", "random (baseline)", "whole"]


@pytest.mark.parametrize("make", [partial(class_figure, measure="accuracy"), loss_figure])
def test_the_legend_of_many_runs_leaves_the_axes_their_height(run, make):
    few = replace(run, classes=run.classes[:3], loss=(2.0, 1.0, 0.5))

    def height(count):
        runs = [replace(few, letter=f"R{k}") for k in range(count)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # as matplotlib warns of axes without room
            svg = make(runs).svg
        return max(map(float, re.findall(r'viewBox="0 0 \S+ (\S+)"', svg)))

    # seven further rows of 0.2 inches, 72 points each
    assert height(32) - height(4) == pytest.approx(7 * 0.2 * 72, abs=0.1)


@pytest.mark.parametrize("classes", [10, 30])  # listed one by one, and the worst and best of many
def test_what_is_not_one_figure_has_a_table_and_a_panel_of_its_own(run, classes):
    one = replace(run, classes=tuple(run.classes[k % 10] for k in range(classes)))
    runs = [one, replace(one, letter="B", measure="accuracy under teacher labels")]
    names = set()
    for own in runs:
        tables = [make(runs, own.measure) for make in (accuracy_table, class_table)]
        figures = [make(runs, own.measure) for make in (accuracy_figure, class_figure)]
        names |= {view.name for view in (*tables, *figures)}
        assert [t.text.partition(" ")[0] for t, *_ in tables[0].rows] == [own.letter] * 3
        assert f"test {own.measure}, %" in figures[0].svg
        assert f"test {own.measure} of a class, %" in figures[1].svg
        other = runs[own is runs[0]]
        for view in (*tables, *figures):
            text = repr(view)
            assert f"{other.letter} {other.label}" not in text
            assert f"{other.measure}, %" not in text
    assert len(names) == 8


def test_log_axes_have_plain_numbers(run):
    svg = loss_figure([replace(run, loss=(0.9, 0.5, 0.04))]).svg
    texts = re.findall(r">([\d.]+)</text>", svg)
    assert {"0.05", "0.1", "0.5"} <= set(texts)


def test_iterations_are_whole_numbers(run):
    svg = step_figure([replace(run, steps=(10.0, 10.25, 10.5))]).svg  # over iterations 1 to 3
    across = svg.partition(">iteration</text>")[0]
    assert re.findall(r">([\d.]+)</text>", across) == ["1", "2", "3"]


def test_intervals_are_drawn():
    plain = Line("a", (0.0, 1.0), (1.0, 2.0))
    bars = replace(plain, half=(0.5, None))
    drawn = [lines_figure("x", "t", ("x", "y"), [line]).svg for line in (plain, bars)]
    assert "LineCollection" not in drawn[0]
    assert "LineCollection" in drawn[1]


def test_points_that_are_not_joined_have_no_line_between_them():
    curve = Line("a", (0.0, 1.0, 2.0), (1.0, 2.0, 1.5), (0.1, 0.1, 0.1))
    found = []
    for line in (curve, replace(curve, joined=False)):
        svg = lines_figure("x", "t", ("x", "y"), [line]).svg
        strokes = re.findall(r'<path d="([^"]*)"[^>]*series-1', svg)
        found.append([stroke.count("L") for stroke in strokes])  # corners after the first
    assert found == [[1, 1, 1, 2], [1, 1, 1]]  # three intervals, and the line through all points


def test_values_that_agree_but_for_rounding_have_a_plain_axis():
    # 92.2222222 twice: as a rule matplotlib would label this axis 1e-10+9.222e1
    dots = [Dot("a", 92.22222222222223, 1e-12), Dot("b", 92.22222222222221, None)]
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", dots_figure("x", "t", "%", dots).svg)
    assert labels == ["91.8", "92.0", "92.2", "92.4", "92.6", "%", "a", "b"]


def test_names_are_no_formulas():
    named = [Dot("file:/a$b_{$c", 92.0, 1.0), Dot("<b>", 91.0, 1.0)]
    svg = dots_figure("x", "t", "%", named).svg
    assert ">file:/a$b_{$c</text>" in svg
    assert "<b>" not in svg


def test_running_median():
    assert running_median([1, 9, 2, 8, 3], 3) == [5, 2, 8, 3, 5.5]


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (percent(0.97583), "97.58"),
        (points(-0.0123), "-1.23"),
        (points(0.0), "+0.00"),
        (spread(0.97583, 0.0031), "97.58 ± 0.31"),
        (spread(-0.00001, None, points), "+0.00 ± –"),
        (seconds(59.94), "59.9 s"),
        (seconds(125), "2 min 05 s"),
        (seconds(11400), "3 h 10 min"),
        (setting({"component": "convnet", "width": 32}), "convnet"),
        (setting(None), "none"),
        (setting([]), "none"),
        (setting([1, 0.5, True]), "1, 0.5, yes"),
    ],
)
def test_formats(made, text):
    assert made == text
