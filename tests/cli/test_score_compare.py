"""``condense score --compare`` on the real engine."""

import json

import numpy as np
import pytest

TINY = ["-o", "scorer.networks=2", "-o", "scorer.epochs=2", "-o", "scorer.network.width=2"]


@pytest.fixture
def score(calling, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return calling(None, "score")


def test_tables_and_pictures(score, tmp_path):
    result = score("--compare", "cscore,forgetting,el2n", *TINY)
    for title in ("rank correlation", "hardest 10 % shared", "easiest 10 % shared", "split half"):
        assert title in result.stdout
    folder = tmp_path / "scores-compare-digits"
    names = {p.name for p in folder.iterdir()}
    assert names == {"comparison.json", "cscore.png", "forgetting.png", "el2n.png"}


def test_a_dry_run_trains_nothing_and_counts_a_shared_pass_once(score, tmp_path):
    asked = ("--compare", "cscore,forgetting,el2n", *TINY, "--dry-run")
    plan = json.loads(score(*asked, "--json").stdout)
    (work,) = plan["stages"]
    assert (plan["scorers"], work["times"]) == (["cscore", "forgetting", "el2n"], 1)
    assert score(*asked).stdout.splitlines()[-1].startswith("3 scorers: 3 runs; what they share")
    assert list(tmp_path.iterdir()) == []


def test_all_scorers_beside_each_other_train_each_network_once(score, monkeypatch):
    from condense.engine.training import passes

    trained = []
    real = passes.sgd_training
    monkeypatch.setattr(passes, "sgd_training", lambda *a, **k: trained.append(1) or real(*a, **k))
    of_the_pass = "aum,cscore,dual,el2n,entropy,forgetting,grand,loss,tdds"
    options = [word.replace("epochs=2", "epochs=3") for word in TINY]
    result = score("--compare", f"{of_the_pass},knn,random", *options, "--json")
    assert len(trained) == 2
    scorers = json.loads(result.stdout)["scorers"]
    assert [one["replicates"] for one in scorers] == [2] * 9 + [None] * 2
    assert all(one["split_half"] is not None for one in scorers[:9])


def test_json_is_one_document_and_equals_the_file(score, tmp_path):
    np.save(tmp_path / "theirs.npy", np.arange(1437.0))
    compared = f"el2n,el2n:online,file:{tmp_path / 'theirs.npy'}"
    result = score("--compare", compared, *TINY, "--out", "o", "--json")
    document = json.loads(result.stdout)
    kept = json.loads((tmp_path / "o" / "comparison.json").read_text())
    assert {k: document[k] for k in kept} == kept
    names = [one["name"] for one in kept["scorers"]]
    assert set(document) - set(kept) == {"seconds", "cached", "out", "sheets", "findings"}
    assert list(document["seconds"]) == list(document["cached"]) == names
    assert "seconds" not in kept["scorers"][0]
    assert [one["estimator"] for one in document["scorers"]] == [
        *("el2n (paper, epoch 2)", "el2n (online, epoch 2)", "file theirs.npy"),
    ]
    assert [one["replicates"] for one in document["scorers"]] == [2, 2, None]
    assert len(document["sheets"]) == 3
    assert np.array(document["rank_correlation"]).shape == (3, 3)


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--compare", "cscore"], "two or more different scorers"),
        (["--compare", "cscore,grnd"], "grnd"),
        (["--compare", "cscore,el2n", "-o", "scorer.beta=1"], "none of cscore, el2n"),
    ],
)
def test_mistakes_are_one_line(score, args, part):
    result = score(*args, code=2)
    assert part in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_a_folder_with_other_files_is_refused_before_any_training(score, tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "mine.txt").write_text("mine")
    result = score("--compare", "cscore,el2n", "--out", "o", code=1)
    assert "mine.txt" in result.stderr
