"""What somebody meets who brings data of their own, counted by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CHEAP = ("--device", "cpu", "-o", "selector=random", "-o", "scorer=random")


@pytest.fixture
def photos(tmp_path):
    """CLASS folders alone: 12 images of noise in each of two, no two alike."""
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(12):
            pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{k}.png")
    return tmp_path / "photos"


def document(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_class_folders_alone_say_how_they_are_evaluated_and_are(run_cli, photos):
    given = ("run", "--data", photos, "--ipc", 2, "--method", "random", "--no-baselines", *CHEAP)
    quick = ("-o", "evaluator.steps=2", "-o", "evaluator.repeats=1", "--json")
    told = run_cli(*given, *quick, "--out", "untested")
    assert document(told)["accuracy"] is None
    assert "has no test split" in told.stderr
    assert "-o data.test=0.2" in told.stderr
    held = document(run_cli(*given, *quick, "-o", "data.test=0.25", "--out", "tested"))
    # ⌊0.25 · 12⌋ of each class: a share of 6 images
    assert (held["accuracy"]["mean"] * 6).is_integer()


COMMANDS = [("select", "--ipc", 2), ("score", "--out", "scores", "--force")]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_wrong_with_the_data_is_said_without_an_evaluation(run_cli, photos, command):
    sound = run_cli(*command, "--data", photos, *CHEAP, "--json")
    assert (document(sound)["findings"], sound.stderr) == ([], "")
    shutil.copy(photos / "ant" / "3.png", photos / "ant" / "copy.png")
    shutil.copy(photos / "ant" / "5.png", photos / "bee" / "other.png")
    result = run_cli(*command, "--data", photos, *CHEAP, "--json")
    (finding,) = document(result)["findings"]
    assert finding["code"] == "copies"
    seen = "2 of 26 training samples are exact copies of another, 1 under another label"
    assert finding["message"].startswith(f"{seen} (first ant/5.png and bee/other.png)")
    warning = f"warning: {finding['message']}; try: {finding['advice']}\n"
    assert result.stderr == warning
    plain = run_cli(*command, "--data", photos, *CHEAP)
    assert plain.stderr == warning
    assert "findings" not in plain.stdout


def test_scores_of_networks_that_have_learned_nothing_are_told_of(run_cli, photos):
    useless = ("scorer=el2n", "scorer.networks=2", "scorer.epochs=1", "scorer.lr=1e-9")
    options = [part for one in (*useless, "scorer.network.width=8") for part in ("-o", one)]
    found = document(run_cli("score", "--data", photos, "--device", "cpu", *options, "--json"))
    assert "scorer-at-chance" in [finding["code"] for finding in found["findings"]]


def test_compared_scorers_say_what_is_wrong_with_their_data_once(run_cli, photos):
    shutil.copy(photos / "ant" / "3.png", photos / "ant" / "copy.png")
    result = run_cli("score", "--data", photos, "--compare", "random,knn", "--out", "c", "--json")
    assert [finding["code"] for finding in document(result)["findings"]].count("copies") == 1
    assert result.stderr.count("exact copies") == 1


@pytest.fixture
def features(tmp_path):
    """Three classes in the plane; the test samples of c lie where those of a do."""
    rng = np.random.default_rng(0)
    middles = np.array([[0, 0], [9, 0], [0, 9]])

    def around(places):
        return np.float32(middles[places] + rng.normal(0, 0.5, (len(places), 2)))

    labels, tested = np.arange(3).repeat(20), np.arange(3).repeat(12)
    np.savez(
        tmp_path / "x.npz",
        train_inputs=around(labels),
        train_labels=labels,
        test_inputs=around(tested % 2),
        test_labels=tested,
        classes=["a", "b", "c"],
    )
    return tmp_path / "x.npz"


QUICK = ("-o", "evaluator.steps=60", "-o", "evaluator.repeats=2", "-o", "evaluator.lr=0.01")


def test_a_class_that_no_network_can_know_is_told_of(run_cli, features):
    given = ("run", "--data", features, "--ipc", 5, "--method", "random", "--out", "out", *QUICK)
    result = run_cli(*given, "--device", "cpu", "--json")
    found = {f["code"]: f["message"] for f in document(result)["findings"]}
    told = "none of 2 networks is right about any test sample of 1 of the 3 classes: 'c' (12 test"
    assert found["class-never-right"].startswith(told)
    assert "nor is any trained on random and whole" in found["class-never-right"]
    assert f"warning: {told}" in result.stderr
    # its own files say so too, wherever the data are by now
    features.unlink()
    (run,) = document(run_cli("report", "out", "--json"))["runs"]
    assert "class-never-right" in [f["code"] for f in run["findings"]]


@pytest.mark.parametrize("door", ["", "npz:", "csv:", "folder:"])
def test_a_path_that_does_not_exist_suggests_what_lies_beside_it(refused, tmp_path, door):
    (tmp_path / "embeddings.npz").touch()
    (tmp_path / "elsewhere.csv").touch()
    refused("--data", f"{door}{tmp_path}/embedings.npzz", parts=["did you mean 'embeddings.npz'?"])
    told = refused("--data", f"{door}{tmp_path}/zzz.qq")
    assert "did you mean" not in told


def test_a_name_without_an_ending_may_be_a_folder(run_cli, photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    told = run_cli("select", "--data", "photoz", "--ipc", 2)
    assert (told.exit_code, told.stdout) == (2, "")
    assert "there is no file or folder photoz" in told.stderr
    assert told.stderr.endswith("did you mean 'photos'?\n")
    assert "did you mean 'digits'" in run_cli("select", "--data", "digit", "--ipc", 2).stderr


def test_output_does_not_name_augmentations_that_do_nothing(run_cli, features, photos):
    given = ("run", "--ipc", 5, "--method", "window", *CHEAP, *QUICK, "--data")
    result = run_cli(*given, features, "--out", "out")
    assert result.exit_code == 0, result.stderr
    assert "augmentation" not in result.stdout
    arms = json.loads(Path("out/results.json").read_text())["arms"]
    assert [len(arm["protocol"]["tried"]) for arm in arms.values()] == [1, 1, 1]
    page = json.loads(run_cli("report", "out", "--out", "page.html", "--json").stdout)
    assert {arm["augmentation"] for arm in page["runs"][0]["arms"]} == {""}
    # the other augmentation would have given the same
    other = (features, "-o", 'evaluator.baseline_augmentations=["dsa"]')
    again = document(run_cli(*given, *other, "--out", "again", "--json"))
    assert again["baselines"]["random"]["values"] == arms["random"]["values"]
    assert again["accuracy"]["values"] == arms["condensed"]["values"]
    images = run_cli(*given, photos, "-o", "data.test=0.25", "--out", "images")
    assert "augmentation" in images.stdout
