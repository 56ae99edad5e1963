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
