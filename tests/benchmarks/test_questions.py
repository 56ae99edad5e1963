"""``benchmarks/questions.py``: its sizes and noise by hand, and that pieces are done once."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def questions(load):
    pytest.importorskip("optuna")
    return load("questions")


@pytest.fixture
def sources(questions, tmp_path):
    """Files for ``toy``, 30 and 40 samples of two classes, made already."""
    found = questions.Sources(*[tmp_path] * 4)
    labels = np.repeat([0, 1], [30, 40])
    for noise in ("", "-noise0.2"):
        np.savez(tmp_path / f"toy{noise}.npz", train_labels=labels)
    return found


def test_a_size_that_leaves_a_class_one_sample_is_left_out(sources):
    # a search sees 24 of the 30, of which 0.07 are one; the flipped labels are not counted
    found = sources.settings(["toy"], (0.01, 0.07, 0.09, 0.2), (0.0, 0.2))
    assert [str(s) for s in found] == [
        "toy 0.09", "toy 0.2", "toy 0.09 noise 0.2", "toy 0.2 noise 0.2",
    ]  # fmt: skip


def test_flipped_labels(questions):
    settings = sys.modules["_questions.settings"]
    labels = np.repeat(np.arange(4), 25)
    found = settings.flipped(labels, 0.2)
    assert (found != labels).sum() == 20
    assert set(found) <= set(range(4))
    assert (settings.flipped(labels, 0.0) == labels).all()


def test_grey_images(questions):
    settings = sys.modules["_questions.settings"]
    colours = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]]], dtype=np.uint8)
    found = settings.greyed({"train_inputs": colours, "train_labels": np.array([3])})
    # 255 times 0.299, 0.587 and 0.114
    assert found["train_inputs"].tolist() == [[[[76], [150], [29], [9]]]]
    assert found["train_inputs"].dtype == np.uint8
    assert found["train_labels"].tolist() == [3]


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
def answers(questions):
    return sys.modules["_questions.answers"]


def curve(data, fraction, *accuracies):
    """Places of a curve at β = 0, 0.1 …, two seeds a place that differ by 0.02."""
    pair = {"set": data, "fraction": fraction}
    return [
        pair | {"beta": k / 10, "accuracies": [a - 0.01, a + 0.01]}
        for k, a in enumerate(accuracies)
    ]


def test_verdicts(answers):
    from condense.studies.statistics import estimate

    assert answers.common.verdict(estimate([0.1, 0.11, 0.12])) == "supported"
    assert answers.common.verdict(estimate([-0.1, -0.11, -0.12])) == "not supported"
    assert answers.common.verdict(estimate([-0.1, 0.11, 0.0])) == "not resolved"
    assert answers.common.verdict(estimate([0.1])) == "not resolved"
    assert answers.common.verdict(None) == "not resolved"


def test_the_best_place_of_a_seed_is_chosen_by_the_others(answers):
    """Under seed 0 the first place is ahead by chance: the others' choice is the second."""
    found = [
        {"beta": 0.0, "accuracies": [0.9, 0.5, 0.5]},
        {"beta": 0.1, "accuracies": [0.7, 0.7, 0.8]},
    ]
    assert answers.common.reference(found) == [0.7, 0.7, 0.5]  # without seed 2: 0.70 and 0.70
    assert answers.common.lost(found, [0.6, 0.7, 0.5]) == pytest.approx(0.1 / 3)
    assert answers.common.best_place(found) == 1


def test_neighbouring_places_as_one(answers):
    found = [{"beta": b, "accuracies": [a, a + 0.1]} for b, a in ((0.0, 0.1), (0.2, 0.3), (0.4, 1))]
    first, last = answers.window.coarse(found, 2)
    assert first.values == pytest.approx((0.1,))
    assert first.accuracies == pytest.approx((0.2, 0.3))
    assert (last.values, last.accuracies) == ((0.4,), (1, 1.1))
    assert len(answers.window.coarse(found, 7)) == 3


def test_a_place_is_carried_from_the_other_sets_alone(answers):
    curves = {
        ("a", 0.05): curve("a", 0.05, 0.9, 0.5, 0.5),  # its own best is 0
        ("b", 0.05): curve("b", 0.05, 0.5, 0.5, 0.9),
        ("c", 0.05): curve("c", 0.05, 0.5, 0.6, 0.9),
        ("d", 0.2): curve("d", 0.2, 0.9, 0.5, 0.5),  # another size
    }
    share = answers.window.carried(curves, ("a", 0.05))
    assert round(2 * share) == 2
    assert answers.window.carried(curves, ("d", 0.2)) is None
    rows = [row for own in curves.values() for row in own]
    search = {"set": "a", "fraction": 0.05, "search": "tune", "seed": 0, "steps": 300}
    text = answers.window.window_search([*rows, search | {"tested": [0.49, 0.51]}])
    # the three places of a lose nothing, 40 and 40
    assert "| tune | +40.0 ± – (1) | 40.0 |  | -13.3 ± – (1) | 300 |" in text
    # of a, b and c it loses 40, 40 and 30 to find the place among the other two
    assert "| the other sets' best place | +" in text
    rule = answers.window.window_rule(rows)
    # the others' best places lose 40 points on a (twice), 40 and none on b and on c
    assert "| 5 % | 0.20 | +26.7 ± 28.7 (3) |" in rule
    assert "| 20 % |" not in rule  # one set tells nothing


def test_what_more_a_search_loses_than_tune_is_taken_within_a_setting(answers):
    rows = curve("a", 0.05, 0.5, 0.9)
    for search, value in (("tune", 0.8), ("tpe", 0.85)):
        row = {"set": "a", "fraction": 0.05, "search": search, "seed": 0, "steps": 1}
        rows.append(row | {"tested": [value - 0.01, value + 0.01]})
    assert (
        "| tpe | +5.0 ± – (1) | 5.0 | -5.0 ± – (1) | +15.0 ± – (1) | 1 |"
        in answers.window.window_search(rows)
    )


def test_does_the_best_place_fall(answers):
    up, down = (0.5, 0.5, 0.5, 0.7, 0.9), (0.9, 0.7, 0.5, 0.5, 0.5)
    flat = (0.5, 0.7, 0.9, 0.7, 0.5)
    rows = [
        *curve("a", 0.05, *up), *curve("a", 0.2, *flat),
        *curve("b", 0.05, *up), *curve("b", 0.2, *down),
        *curve("c", 0.05, *up),  # one size alone
    ]  # fmt: skip
    assert answers.window.peak(curve("a", 0.05, *up)) == 0.75  # the middle of the last three
    text = answers.window.window_falls(rows)
    assert "as a share of the range that fits 0.38 ±" in text
    assert "β itself 0.15 ±" in text  # from 0.3 to 0.2 and to 0.1
    assert "β of the best single place 0.30 ±" in text  # from 0.4 to 0.2 and to 0
    assert "(2 data sets)" in text


def test_a_data_set_counts_once_whatever_its_sizes(answers):
    pairs = {
        ("a", 0.05): ([0.6, 0.7], [0.5, 0.5]),
        ("a", 0.2): ([0.5, 0.5], [0.5, 0.5]),
        ("b", 0.05): ([0.9, 0.9], [0.5, 0.4]),
    }
    each = answers.common.by_set(pairs)
    assert each["a"].mean == pytest.approx(0.075)  # seeds 0.05 and 0.10
    assert each["a"].n == 2
    over = answers.common.over_sets(pairs)
    assert (over.mean, over.n) == (pytest.approx((0.075 + 0.45) / 2), 2)


def test_what_a_start_adds(answers):
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
    found = answers.common.over_sets(answers.starts.start_pairs(rows, "trajectory", "window"))
    assert found.mean == pytest.approx((0.02 + 0.03) / 2)
    assert found.n == 2
    text = answers.starts.start_answer(rows)
    assert "window minus random start, all samples matched: +2.5 ±" in text
    assert "| window − random, as it is | -2.0 ± – (2) |" in text


def test_coverage_kept_and_augmentation(answers):
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
    pairs = answers.updates.by_seed(rows, answers.updates.hard, 0.4, 1.0)
    ((mine, base),) = pairs.values()
    assert [a - b for a, b in zip(mine, base, strict=True)] == pytest.approx([0.12, 0.12])
    found = answers.common.over_sets(answers.augmentations.augmentation_pairs(rows, "dsa", "all"))
    assert found.mean == pytest.approx(0.09)
    assert "to dsa +9.0" in answers.augmentations.augmentation_answer(rows)
    text = answers.updates.update_answer(rows)
    assert "**Not resolved**" in text  # one data set
    assert "| full update: the hard half loses | not resolved | +19.5 ± – (1) |" in text


def test_a_page_without_rows_says_so(answers, questions, tmp_path):
    blocks = answers.blocks({}) | questions.figures.blocks([])
    text = "\n".join(f"<!-- begin {name} -->\n<!-- end {name} -->" for name in blocks)
    (tmp_path / "page.md").write_text(text)
    questions.main(["--page", str(tmp_path / "page.md"), "--results", str(tmp_path)])
    found = (tmp_path / "page.md").read_text()
    assert found.count("Not run yet.") >= 5
    assert "supported" not in found.lower().replace("not supported", "")


def chosen(scorer, *accuracies, noise=0.0):
    """A score's rows: a setting a value, two seeds that differ by 0.02."""
    return [
        {"set": name, "fraction": 0.05, "noise": noise, "scorer": scorer}
        | {"accuracies": [value - 0.01, value + 0.01]}
        for name, value in zip("abcd", accuracies, strict=False)
    ]


def test_the_best_score_and_those_that_are_not_told_from_it(answers):
    rows = [
        *chosen("cscore", 0.70, 0.80, 0.60, 0.50),
        *chosen("el2n", 0.71, 0.79, 0.62, 0.51),  # ahead by 1, -1, 2 and 1: not told apart
        *chosen("dual", 0.50, 0.61, 0.40, 0.31),  # behind by 20 points everywhere
    ]
    text = answers.scores.score_choice(rows)
    assert "| 0 % | all | el2n, 65.8 | cscore | a, b, c, d |" in text
    assert "| 0 % | few | el2n, 65.8 | cscore | a, b, c, d |" in text
    assert "| dual | 45.5: -19.5 ±" in answers.scores.score_table(rows)


def test_scores_are_held_against_each_other_where_all_were_run(answers):
    rows = [
        *chosen("cscore", 0.7, 0.8), *chosen("el2n", 0.6, 0.9),
        *chosen("cscore", 0.5, noise=0.2), *chosen("el2n", 0.4, noise=0.2),  # one set alone
    ]  # fmt: skip
    assert {scorer: list(own) for scorer, own in answers.scores.worth(rows, 0.0).items()} == {
        "cscore": [("a", 0.05)], "el2n": [("a", 0.05)],
    }  # fmt: skip
    assert "| el2n | 60.0: -10.0 ± – (1) | 40.0: -10.0 ± – (1) |" in answers.scores.score_table(
        rows
    )


def test_agreement_of_scores(answers):
    def compared(noise, names, matrix, stable):
        comparison = {"scorers": [{"name": n} for n in names], "rank_correlation": matrix}
        return {"noise": noise, "comparison": comparison, "stable": stable}

    rows = [
        compared(0.0, ["cscore", "knn"], [[1, 0.4], [0.4, 1]], {"cscore": 0.8, "knn": 1.0}),
        compared(0.0, ["knn", "cscore"], [[1, 0.6], [0.6, 1]], {"cscore": 0.9}),
        compared(0.2, ["cscore"], [[1]], {"cscore": 0.7}),
    ]
    text = answers.scores.score_agreement(rows)
    assert "| cscore | 1.00 | 1.00 | 0.85 | 0.70 |" in text
    assert "| knn | 0.50 | – | 1.00 | – |" in text


def test_sizes_that_were_not_run_are_forecast_from_two_that_were(answers):
    def run(samples, scorer, evaluator, memory):
        stages = {"scorer": {"seconds": scorer}, "evaluator": {"seconds": evaluator}}
        told = {"accuracy": {"mean": 0.5}, "baselines": {"random": {"mean": 0.4}}}
        return told | {
            "samples": samples, "classes": 9, "stages": stages, "peak_memory_mb": memory,
        }  # fmt: skip

    # the evaluator took less of the larger one by chance: it is not forecast to take less still
    rows = [run(1000, 10.0, 6.0, 600), run(3000, 30.0, 5.0, 700), run(500, 99.0, 99.0, 650)]
    expected = answers.scale.Cost({"scorer": 50.0, "evaluator": 5.0}, 800)
    assert answers.scale.forecast(rows, 5000, 9) == expected
    assert answers.scale.forecast(rows, 5000, 10) is None
    text = answers.scale.scale_table(rows, [(3000, 9), (5000, 9), (5000, 10)])
    assert "| 3,000 | 9 | 35 | scorer 30, evaluator 5 | 700 | 50.0 | 40.0 |" in text
    assert "| 5,000 | 9 | 55 | scorer 50, evaluator 5 | 800 | forecast | forecast |" in text
    assert "| 10 |" not in text


def update(alpha, seed, hard, accuracy, data="a", name="combined"):
    """A run of question 6 whose hard half is covered by ``hard`` more after matching."""
    at = [
        {"iteration": 0, "easy": 0.8, "hard": 0.5},
        {"iteration": 9, "easy": 0.8, "hard": 0.5 + hard},
    ]
    own = {"set": data, "fraction": 0.05, "alpha": alpha, "seed": seed, "coverage": at}
    return own | {"accuracy": {name: {"all": accuracy, "easy": 0.9, "hard": 0.1}}}


def test_what_of_an_effect_goes_through_coverage(answers):
    """Accuracy made as 0.5 · coverage + what α and seed add: through is 0.5 · its difference."""
    drawn = {(0, 0.4): 0.01, (0, 0.7): -0.02, (0, 1.0): 0.005, (1, 0.4): 0.03, (1, 0.7): -0.01,
             (1, 1.0): 0.0}  # fmt: skip
    by_alpha = {0.4: 0.03, 0.7: -0.05, 1.0: 0.01}  # no line
    rows = []
    for (seed, alpha), more in drawn.items():
        hard = more - 0.1 * alpha
        value = 0.6 + by_alpha[alpha] + 0.5 * hard + 0.1 * seed
        rows.append(update(alpha, seed, hard, value))
    found = answers.updates.mediated(rows)
    gained = (0.01 + 0.03 - 0.005) / 2 + 0.06  # of coverage, at 0.4 against 1
    assert found.through == pytest.approx(0.5 * gained)
    assert found.total == pytest.approx(0.03 - 0.01 + 0.5 * gained)
    assert found.low <= found.through <= found.high
    same = [update(a, seed, -0.1 * a, 0.5) for a in (0.4, 1.0) for seed in (0, 1)]
    assert answers.updates.mediated(same) is None  # coverage says no more than α does


def test_a_seed_without_all_alphas_is_left_out(answers):
    rows = [update(a, seed, 0.0, 0.5) for seed in (0, 1) for a in (0.4, 1.0)][:3]
    rows += [update(a, 0, 0.0, 0.5, "b") for a in (0.4,)]
    assert {key: len(own) for key, own in answers.updates.complete(rows).items()} == {
        ("a", 0.05): 2
    }


def test_an_alpha_is_carried_from_other_data_alone(answers):
    rows = [
        update(alpha, 0, 0.0, value, data, "none" if data == "b" else "combined")
        for data, values in (("a", (0.9, 0.5, 0.8)), ("b", (0.5, 0.9, 0.6)), ("c", (0.5, 0.7, 0.7)))
        for alpha, value in zip((0.2, 0.6, 1.0), values, strict=True)
    ]
    curves = {
        key: answers.updates.alpha_curve(own)
        for key, own in answers.common.grouped(rows, "set", "fraction").items()
    }
    # the mean of b and c is highest at 0.6, that of a and c at 1.0
    assert [answers.updates.carried(curves, (name, 0.05)) for name in "ab"] == [1, 2]
    text = answers.updates.alpha_table(rows)
    assert "| a, 5 % | 90.0 | 50.0 | 80.0 | 0.6 | 40.0 |" in text
    assert "| b, 5 % | 50.0 | 90.0 | 60.0 | 1 | 30.0 |" in text
    assert answers.updates.carried({("a", 0.05): curves["a", 0.05]}, ("a", 0.05)) is None


def test_what_an_alpha_loses_is_held_against_the_choice_of_the_other_seeds(answers):
    """Of a, seed 0 alone likes 0.2 and seed 1 alone 1.0: each other's choice loses 0.4 there."""
    values = {
        ("a", 0): (0.9, 0.5),
        ("a", 1): (0.5, 0.9),
        ("b", 0): (0.5, 0.9),
        ("b", 1): (0.5, 0.9),
    }
    rows = [
        update(alpha, seed, 0.0, value, data)
        for (data, seed), own in values.items()
        for alpha, value in zip((0.2, 1.0), own, strict=True)
    ]
    assert "| a, 5 % | 70.0 | 70.0 | 1 | -20.0 |" in answers.updates.alpha_table(rows)


def test_sets_that_differ_in_alpha_alone_are_one_value_a_seed(answers):
    rows = [
        {"set": "a", "fraction": 0.05, "alpha": alpha, "seed": seed}
        | {"accuracy": {k: {"all": v} for k, v in (("combined", both), ("dsa", 0.5))}}
        for alpha, seed, both in ((0.2, 0, 0.5), (1.0, 0, 0.6), (0.2, 1, 0.7), (1.0, 1, 0.7))
    ]
    for row in rows:
        row["accuracy"]["simple"] = {"all": 0.4}
    ((mine, base),) = answers.augmentations.augmentation_pairs(rows, "simple", "all").values()
    assert mine == pytest.approx([0.55, 0.7])
    assert base == [0.4, 0.4]
    # of distilled samples alone combined is dsa
    ((mine, base),) = answers.augmentations.augmentation_pairs(rows, "dsa", "all").values()
    assert (mine, base) == ([0.5, 0.7], [0.5, 0.5])
    text = answers.augmentations.augmentation_by_alpha(rows)
    assert "| combined − dsa, a | +10.0 ± 127.1 (2) | – |" in text
    assert "| combined − simple, a | +20.0 ± 127.1 (2) | +25.0 ± 63.5 (2) |" in text


def test_the_difference_that_would_be_found(answers):
    """By hand: t at 4 degrees of freedom is 2.776 (95 %) and 0.941 (one-sided 80 %)."""
    from condense.studies.statistics import estimate

    found = estimate([0.0, 0.01, 0.02, 0.03, 0.04])  # a standard deviation of 0.0158
    expected = (2.776 + 0.941) * 0.0158114 / 5**0.5
    assert answers.common.found_with_power(found) == pytest.approx(expected, rel=1e-3)
    assert answers.common.found_with_power(estimate([0.1])) is None


def test_a_curve_is_near_its_best_or_not_significantly_lower(answers):
    """The third place varies so much that 20 points less are not significant."""
    rows = [
        {"set": "a", "fraction": 0.05, "beta": beta, "accuracies": values}
        for beta, values in ((0.0, [0.9] * 3), (0.1, [0.895] * 3), (0.2, [0.9, 0.7, 0.5]))
    ]
    assert "| a, 5 % | 0.00 | 90.0 | 2 of 3 | " in answers.window.window_curve(rows)


def test_images_have_one_augmentation_in_the_first_two_questions(questions, tmp_path):
    window, settings = (sys.modules[f"_questions.{name}"] for name in ("window", "settings"))
    words = {n: window.plain(settings.Setting(n, 0.05, tmp_path)) for n in ("digits", "segment")}
    assert "augmentation=dsa" in words["digits"]
    assert "augmentation=dsa" not in words["segment"]


def test_figures_of_what_was_run(answers, questions, tmp_path):
    figures = sys.modules["_questions.figures"]
    assert figures.draw({}, tmp_path) == []
    starts = [
        {"set": "a", "fraction": 0.05, "matcher": matcher, "start": start, "accuracies": [0.5, 0.6]}
        for matcher in ("trajectory", "none")
        for start in ("window", "random")
    ]
    updates = [
        update(alpha, seed, 0.1 * seed, 0.5) for alpha in (0.2, 1.0) for seed in (0, 1)
    ]  # fmt: skip
    for row in updates:
        row["accuracy"]["dsa"] = dict.fromkeys(("all", "easy", "hard"), 0.4)
        for at in row["coverage"]:
            at["easy"] = 0.8
    scale = [
        {"samples": samples, "classes": 100, "stages": {"scorer": {"seconds": seconds}}}
        | {"peak_memory_mb": 700, "accuracy": {"mean": 0.3}, "baselines": {"random": {"mean": 0.2}}}
        for samples, seconds in ((5000, 60), (10_000, 120))
    ]
    rows = {
        "1-window": curve("a", 0.05, 0.5, 0.9, 0.7),
        "3-scale": scale,
        "2-scores": [*chosen("cscore", 0.9, 0.8), *chosen("cscore", 0.7, 0.6, noise=0.2)],
        "5-start": starts,
        "6-update": updates,
    }
    drawn = figures.draw(rows, tmp_path)
    assert [path.name for path in drawn] == [f"question-{name}" for name in figures.FIGURES]
    assert all(path.with_suffix(".png").stat().st_size > 5000 for path in drawn)


def test_what_the_pieces_took(answers):
    rows = [{"piece": f"digits {n}", "seconds": 60.0} for n in (0, 1)]
    both = [*rows, *rows, {"piece": "cifar10 0", "seconds": 90.0}]
    assert "| 1-window | digits, cifar10 | 3 | 4 |" in answers.cost_table({"1-window": both})


def test_the_page_is_not_stale(questions, tmp_path, monkeypatch):
    """Its tables are those of the rows that are committed."""
    there = [p.with_suffix("") for p in (FOLDER.parent / "docs" / "images").glob("question-*.png")]
    monkeypatch.setattr(questions.figures, "draw", lambda *_: there)
    page = FOLDER.parent / "docs" / "questions.md"
    copy = tmp_path / "questions.md"
    copy.write_text(page.read_text())
    assert questions.main(["--page", str(copy)]) == 0
    assert copy.read_text() == page.read_text()
