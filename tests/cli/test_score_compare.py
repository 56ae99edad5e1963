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


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def save(folder, shift):
    folder.mkdir()
    inputs = np.arange(20 * 3, dtype=np.float32).reshape(20, 3) + shift
    np.savez(folder / "x.npz", train_inputs=inputs, train_labels=np.arange(20) % 2)
    np.save(folder / "s.npy", np.arange(20.0) + shift)


@pytest.mark.parametrize("compared", [(), ("--compare", "file:a/s.npy,random")])
def test_other_scores_are_replaced_only_when_told(score, tmp_path, compared):
    save(tmp_path / "a", 0)
    save(tmp_path / "b", 1)
    one = ("--data", "npz:a/x.npz", *(compared or ("-o", "scorer=file:a/s.npy")))
    score(*one)
    (folder,) = tmp_path.glob("scores-*")
    before = contents(folder)
    score(*one)  # the same are
    assert contents(folder) == before
    other = (one[0], "npz:b/x.npz", *one[2:])
    for asked, told in (
        ((*one, "--seed", "1"), "seed 0, now 1"),
        (other, "fingerprint of the data "),
        ((*one, "-o", "scorer.direction=lower-harder"), '"auto", now "lower-harder"'),
    ):
        done = score(*asked, code=1)
        assert contents(folder) == before
        assert told in done.stderr
        assert "--force" in done.stderr
    np.save(tmp_path / "a" / "s.npy", np.arange(20.0)[::-1])
    assert "digest of the file" in score(*one, code=1).stderr
    assert contents(folder) == before
    score(*one, "--force")
    assert contents(folder) != before
    (folder / "notes.txt").write_text("mine")
    assert "notes.txt" in score(*one, "--force", code=1).stderr


def test_another_comparison_is_refused_before_anything_is_trained(score, tmp_path):
    score("--compare", "random,knn")
    done = score("--compare", "random,cscore", "--json", code=1)
    assert "holds another comparison (scorers [" in done.stderr


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
