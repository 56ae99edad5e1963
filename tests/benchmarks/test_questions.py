"""``benchmarks/questions.py``: its sizes and noise by hand, and that pieces are done once."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def questions(monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.syspath_prepend(str(FOLDER))
    import questions

    return questions


@pytest.fixture
def sources(questions, tmp_path):
    """Files for ``toy``, 30 and 40 samples of two classes, made already."""
    found = questions.Sources(*[tmp_path] * 4)
    labels = np.repeat([0, 1], [30, 40])
    for noise in ("", "-noise0.2"):
        np.savez(tmp_path / f"toy{noise}.npz", train_labels=labels)
    return found


def test_a_size_that_leaves_a_class_one_sample_is_left_out(sources):
    found = sources.settings(["toy"], (0.01, 0.05, 0.07, 0.2), (0.0, 0.2))
    assert [str(s) for s in found] == [
        "toy 0.07", "toy 0.2", "toy 0.07 noise 0.2", "toy 0.2 noise 0.2",
    ]  # fmt: skip


def test_flipped_labels(questions):
    settings = sys.modules["_questions.settings"]
    labels = np.repeat(np.arange(4), 25)
    found = settings.flipped(labels, 0.2)
    assert (found != labels).sum() == 20
    assert set(found) <= set(range(4))
    assert (settings.flipped(labels, 0.0) == labels).all()


@pytest.mark.parametrize("fraction", [0.01, 0.05, 0.2])
def test_every_window_fits(questions, fraction):
    """⌊β·n⌋ skipped and ⌊fraction·n⌋ taken are at most n, whatever n."""
    window = sys.modules["_questions.window"]
    places = window.places(fraction, 21)
    assert places[0] == 0
    assert places == sorted(set(places))
    for n in range(2, 400):
        taken = max(1, int(fraction * n + 1e-9))
        if taken >= 2:
            assert int(places[-1] * n + 1e-9) + taken <= n


def test_pieces_are_done_once_and_a_question_is_a_file(questions, tmp_path, monkeypatch, capsys):
    done = []

    def piece(name):
        return questions.Piece(name, lambda: done.append(name) or [{"at": name}, {"at": 2}])

    both = {"1-toy": lambda _: map(piece, "ab"), "2-toy": lambda _: map(piece, "abc")}
    monkeypatch.setattr(questions, "QUESTIONS", both)
    words = [
        f"--{name}={tmp_path}" for name in ("wheels", "cifar10", "cifar100", "work", "results")
    ]
    questions.main([*words, "--only", "1-toy"])
    assert done == ["a", "b"]
    questions.main([*words, "--only", "1-toy,2-toy", "--match", "a"])
    assert done == ["a", "b", "a"]
    questions.main([*words, "--only", "2-toy", "--minutes", "-1"])
    assert "2 pieces are left" in capsys.readouterr().out
    questions.main([*words, "--only", "2-toy"])
    assert done == ["a", "b", "a", "b", "c"]
    rows = json.loads((tmp_path / "questions-2-toy.json").read_text())["rows"]
    assert [row["piece"] for row in rows] == ["a", "a", "b", "b", "c", "c"]


@pytest.fixture
def page(questions):
    return sys.modules["_questions.page"]


def curve(data, fraction, *accuracies):
    """Places of a curve at β = 0, 0.1 …, two seeds a place that differ by 0.02."""
    pair = {"set": data, "fraction": fraction}
    return [
        pair | {"beta": k / 10, "accuracies": [a - 0.01, a + 0.01]}
        for k, a in enumerate(accuracies)
    ]


def test_verdicts(page):
    from condense.studies.statistics import estimate

    assert page.verdict(estimate([0.1, 0.11, 0.12])) == "supported"
    assert page.verdict(estimate([-0.1, -0.11, -0.12])) == "not supported"
    assert page.verdict(estimate([-0.1, 0.11, 0.0])) == "not resolved"
    assert page.verdict(estimate([0.1])) == "not resolved"
    assert page.verdict(None) == "not resolved"


def test_points_lost_by_a_search_are_those_of_the_nearest_place(page):
    found = curve("a", 0.05, 0.5, 0.9, 0.7)
    assert page.lost(found, 0.1) == 0
    assert page.lost(found, 0.16) == pytest.approx(0.2)
    assert page.lost(found, 0.04) == pytest.approx(0.4)


def test_a_place_is_carried_from_the_other_sets_alone(page):
    curves = {
        ("a", 0.05): curve("a", 0.05, 0.9, 0.5, 0.5),  # its own best is 0
        ("b", 0.05): curve("b", 0.05, 0.5, 0.5, 0.9),
        ("c", 0.05): curve("c", 0.05, 0.5, 0.6, 0.9),
        ("d", 0.2): curve("d", 0.2, 0.9, 0.5, 0.5),  # another size
    }
    assert page.carried(curves, ("a", 0.05)) == pytest.approx(0.2)
    rows = [row for own in curves.values() for row in own]
    search = {"set": "a", "fraction": 0.05, "search": "tune", "seed": 0, "beta": 0.1, "steps": 300}
    text = page.window_search([*rows, search])
    assert "| tune | +40.0 ± – (n = 1) | 40.0 | 300 |" in text


def test_does_the_best_place_fall(page):
    rows = [
        *curve("a", 0.05, 0.5, 0.5, 0.9), *curve("a", 0.2, 0.5, 0.9, 0.5),
        *curve("b", 0.05, 0.5, 0.5, 0.9), *curve("b", 0.2, 0.9, 0.5, 0.5),
    ]  # fmt: skip
    assert "falls by 0.15 ±" in page.window_falls(rows)
    assert "(n = 2 sets)" in page.window_falls(rows)


def test_what_a_start_adds(page):
    rows = [
        {"set": data, "fraction": 0.05, "matcher": matcher, "start": start, "accuracies": values}
        for data, more in (("a", 0.0), ("b", 0.01))
        for matcher, start, values in (
            ("trajectory", "window", [0.81 + more, 0.83 + more]),
            ("trajectory", "random", [0.80, 0.80]),
            ("none", "window", [0.70, 0.70]),
            ("none", "random", [0.74, 0.70]),
        )
    ]
    found = page.over_settings(page.start_pairs(rows, "trajectory", "window", "random"))
    assert found.mean == pytest.approx((0.02 + 0.03) / 2)
    assert found.n == 2
    assert "Without matching: -2.0" in page.start_answer(rows)


def test_coverage_kept_and_augmentation(page):
    def row(alpha, seed, hard, combined, dsa):
        at = [
            {"iteration": 0, "easy": 0.9, "hard": 0.5},
            {"iteration": 9, "easy": 0.9, "hard": hard},
        ]
        each = {"combined": combined, "dsa": dsa, "simple": 0.1}
        return {
            "set": "a", "fraction": 0.05, "alpha": alpha, "seed": seed, "coverage": at,
            "accuracy": {k: dict.fromkeys(("all", "easy", "hard"), v) for k, v in each.items()},
        }  # fmt: skip

    rows = [
        row(a, s, 0.5 - 0.2 * a + 0.01 * s, 0.8, 0.7 + 0.02 * s) for a in (0.4, 1.0) for s in (0, 1)
    ]
    pairs = page.by_alpha(rows, lambda r: page.kept(r, "hard"), 0.4, 1.0)
    ((mine, base),) = pairs.values()
    assert [a - b for a, b in zip(mine, base, strict=True)] == pytest.approx([0.12, 0.12])
    found = page.over_settings(page.augmentation_pairs(rows, "dsa", "all"))
    assert found.mean == pytest.approx(0.09)
    assert "+9.0" in page.augmentation_answer(rows)


def test_a_page_without_rows_says_so(page, questions, tmp_path):
    text = "\n".join(f"<!-- begin {name} -->\n<!-- end {name} -->" for name in page.BLOCKS)
    (tmp_path / "page.md").write_text(text)
    questions.main(["--page", str(tmp_path / "page.md"), "--results", str(tmp_path)])
    found = (tmp_path / "page.md").read_text()
    assert found.count("Not run yet.") >= 5
    assert "supported" not in found.lower().replace("not supported", "")
