"""Bad input through the real engine: one line that names it, no traceback, nothing written."""

import numpy as np
import pytest
from PIL import Image


def write_npz(path, *, drop=(), classes=3, each=12, size=8, seed=0, **replaced):
    rng = np.random.default_rng(seed)
    labels = np.arange(classes).repeat(each)
    arrays = {
        "train_inputs": rng.integers(0, 256, (len(labels), size, size, 3), dtype=np.uint8),
        "train_labels": labels,
        "test_inputs": rng.integers(0, 256, (6, size, size, 3), dtype=np.uint8),
        "test_labels": np.arange(6) % classes,
    } | replaced
    np.savez(path, **{k: v for k, v in arrays.items() if k not in drop})
    return path


def write_folder(root, *, sizes=(8,), mode="RGB", classes=("ant", "bee"), each=6):
    rng = np.random.default_rng(0)
    for name in classes:
        (root / "train" / name).mkdir(parents=True)
        for i in range(each):
            side = sizes[i % len(sizes)]
            shape = (side, side) if mode == "L" else (side, side, 3)
            image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
            image.save(root / "train" / name / f"{i}.png")
    return root


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        ("--method selmach", ["'selmach'", "did you mean 'selmatch'"]),
        ("--preset fast", ["'fast'", "quick"]),
        ("--data digitz", ["'digitz'", "did you mean 'digits'"]),
        ("-o selector=windw", ["'windw'", "did you mean 'window'"]),
        ("-o matcher.network=resnet19", ["'resnet19'", "did you mean 'resnet18'"]),
        ("-o selector.bta=0.3", ["selector.bta", "did you mean 'beta'"]),
        ("-o selector.beta=1.5", ["selector.beta=1.5: must be a number ≥ 0, < 1"]),
        ("-o matcher.steps=many", ["matcher.steps=many: must be a whole number ≥ 1"]),
        ("-o matcher.memory=lots", ["matcher.memory=lots", "'constant'"]),
        ("-o selektor=window", ["'selektor'", "did you mean 'selector'"]),
        ("-o selector", ["-o selector", "STAGE.KEY=VALUE"]),
        ("--ipc 0", ["got 0", "at least 1"]),
        ("--ipc five", ["'five'"]),
        ("--fraction 0", ["got 0", "(0, 1]"]),
        ("--fraction 2", ["got 2", "(0, 1]"]),
        ("--fraction nan", ["nan"]),
        ("--ipc 2 --fraction 0.1", ["--ipc 2", "--fraction 0.1"]),
        ("--seed -3", ["-3"]),
        ("--device abacus", ["'abacus'", "cpu"]),
        ("--speed 3", ["--speed"]),
        ("--weight-decay 0", ["-o scorer.weight_decay=… or -o", "-o evaluator.weight_decay=…"]),
        (
            "-o matcher=none -o matcher.steps=3",
            ["unknown option matcher.steps", "matcher takes none"],
        ),
        ("--data my/table.csv", ["there is no file or folder my/table.csv", "digits"]),
    ],
)
def test_usage(refused, args, parts):
    refused(*args.split(), parts=parts, code=2)


def test_an_ipc_above_the_smallest_class(refused, tmp_path):
    path = write_npz(tmp_path / "d.npz", each=12)
    refused("--data", f"npz:{path}", "--ipc", 13, parts=["ipc 13", "12", "class 0"], code=1)


def test_a_window_past_the_end_of_a_class(refused, tmp_path):
    path = write_npz(tmp_path / "d.npz", each=12)
    args = ["--data", f"npz:{path}", "--ipc", 5, "-o", "selector.beta=0.75"]
    refused(*args, parts=["window start 9", "selector.beta=0.75", "needs 14"], code=1)


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_data_that_is_not_there(refused, tmp_path, kind):
    refused("--data", f"{kind}:{tmp_path}/gone.x", parts=[f"{tmp_path}/gone.x", "exist"], code=1)


def test_data_without_its_path(refused):
    refused("--data", "npz", parts=["npz:PATH"], code=2)


def test_a_missing_recipe_and_score_file(refused, tmp_path):
    refused("--recipe", tmp_path / "r.toml", parts=[tmp_path / "r.toml"], code=1)
    args = ["-o", f"scorer=file:{tmp_path}/s.npz"]
    refused(*args, parts=[tmp_path / "s.npz"], code=1)


@pytest.mark.parametrize("key", ["train_inputs", "train_labels", "test_labels"])
def test_an_npz_without_a_key(refused, tmp_path, key):
    path = write_npz(tmp_path / "d.npz", drop=[key])
    refused("--data", f"npz:{path}", parts=[path, f"array {key}"], code=1)


def test_a_file_that_is_no_npz(refused, tmp_path):
    path = tmp_path / "d.npz"
    path.write_text("hello")
    refused("--data", f"npz:{path}", parts=[path], code=1)


def test_labels_and_images_of_different_length(refused, tmp_path):
    path = write_npz(tmp_path / "d.npz", train_labels=np.arange(35) % 3)
    refused("--data", f"npz:{path}", parts=["36 inputs", "35 labels"], code=1)


def test_features_that_are_not_numbers(refused, tmp_path):
    values = np.ones((36, 4), np.float32)
    values[7, 2] = np.nan
    path = write_npz(tmp_path / "d.npz", train_inputs=values, drop=["test_inputs", "test_labels"])
    refused("--data", f"npz:{path}", parts=["nan", "row 7", "column 2"], code=1)


def test_pixels_out_of_range(refused, tmp_path):
    images = np.zeros((36, 8, 8, 3))
    images[3] = -1.5
    path = write_npz(tmp_path / "d.npz", train_inputs=images)
    refused("--data", f"npz:{path}", parts=["-1.5", "image 3", "0–1"], code=1)


def test_one_class_only(refused, tmp_path):
    path = write_npz(tmp_path / "d.npz", train_labels=np.full(36, 4))
    refused("--data", f"npz:{path}", parts=["'4'", "two classes"], code=1)
    folder = write_folder(tmp_path / "photos", classes=("ant",))
    refused("--data", f"folder:{folder}", parts=["'ant'"], code=1)


def test_scores_of_the_wrong_length(refused, tmp_path):
    data = write_npz(tmp_path / "d.npz")
    np.savez(tmp_path / "s.npz", scores=np.arange(35.0))
    args = ["--data", f"npz:{data}", "-o", f"scorer=file:{tmp_path}/s.npz"]
    refused(*args, parts=[tmp_path / "s.npz", "35 scores", "36"], code=1)


def test_scores_under_another_name_and_not_finite(refused, tmp_path):
    data = write_npz(tmp_path / "d.npz")
    np.savez(tmp_path / "s.npz", difficulty=np.arange(36.0))
    args = ["--data", f"npz:{data}", "-o", f"scorer=file:{tmp_path}/s.npz"]
    refused(*args, parts=["'scores'", "difficulty"], code=1)
    refused(*args, "-o", "scorer.key=hard", parts=["'hard'", "difficulty"], code=1)
    np.savez(tmp_path / "s.npz", scores=np.r_[np.arange(35.0), np.inf])
    refused(*args, parts=["score 35 is inf"], code=1)


def test_scores_of_other_data(refused, run_cli, tmp_path):
    mine = write_npz(tmp_path / "mine.npz", seed=1)
    other = write_npz(tmp_path / "other.npz", seed=2)
    scores = tmp_path / "scores"
    made = run_cli("score", "--data", f"npz:{other}", "-o", "scorer=random", "--out", scores)
    assert made.exit_code == 0, made.stderr
    refused(
        *("--data", f"npz:{mine}", "-o", f"scorer=file:{scores}"),
        parts=["scores.safetensors", "other data"],
        code=1,
    )
    ok = run_cli(
        *("select", "--data", f"npz:{other}", "-o", f"scorer=file:{scores}", "--ipc", 2),
        *("--json",),
    )
    assert ok.exit_code == 0, ok.stderr


def test_an_output_that_cannot_be_written(refused, tmp_path):
    # a file in the way: permissions do not stop root, under whom these tests may run
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file" / "sub", tmp_path / "file"):
        refused("--out", out, parts=[out], code=1)
        refused("--out", out, parts=[out], code=1, command="score")
    bad = tmp_path / "file" / "s.npz"
    refused("--out", bad, parts=[bad], code=1, command="select")
    refused("--out", "indices.txt", parts=["indices.txt", ".npz"], code=2, command="select")
    assert (tmp_path / "file").read_text() == "in the way"
    assert not (tmp_path / "store").exists()  # refused before any work


def test_a_folder_of_something_else_is_not_overwritten(refused, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.txt").write_text("a cat")
    for command in ("run", "score"):
        refused("--out", tmp_path / "photos", parts=[tmp_path / "photos"], code=1, command=command)
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["cat.txt"]
    assert not (tmp_path / "store").exists()


def test_a_store_that_cannot_be_written(refused, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path / "file" / "store"))
    refused(parts=[tmp_path / "file" / "store", "CONDENSE_STORE"], code=1)


def test_an_image_folder_with_a_broken_file(refused, tmp_path):
    folder = write_folder(tmp_path / "photos")
    bad = folder / "train" / "bee" / "3.png"
    bad.write_bytes(bad.read_bytes()[:60])
    refused("--data", f"folder:{folder}", parts=[bad], code=1)


def test_a_grey_folder_needs_an_option(refused, run_cli, tmp_path):
    folder = write_folder(tmp_path / "photos", mode="L")
    args = ["--data", f"folder:{folder}", "--ipc", 2]
    refused(*args, parts=["0.png", "grey", "data.channels=grey"], code=1)
    args += ["--method", "random", "--json", "-o", "data.channels=grey"]
    assert run_cli("select", *args).exit_code == 0


def test_a_folder_of_mixed_sizes_needs_an_option(refused, run_cli, tmp_path):
    folder = write_folder(tmp_path / "photos", sizes=(8, 12))
    args = ["--data", f"folder:{folder}", "--ipc", 2]
    refused(*args, parts=["1.png", "12", "data.resize"], code=1)
    args += ["--method", "random", "--json", "-o", "data.resize=8"]
    assert run_cli("select", *args).exit_code == 0


def test_an_artefact_that_is_none(run_cli, tmp_path):
    for args in (
        ["evaluate", tmp_path / "gone"],
        ["export", tmp_path / "gone", "--to", "npz", "--out", tmp_path / "o.npz"],
    ):
        result = run_cli(*args)
        assert result.exit_code == 1
        assert result.stderr.count("error: ") == result.stderr.count("\n") == 1
        assert str(tmp_path / "gone") in result.stderr
    assert not (tmp_path / "o.npz").exists()


def test_export_to_an_unknown_form(run_cli, tmp_path):
    result = run_cli("export", tmp_path, "--to", "lmdb", "--out", tmp_path / "o")
    assert result.exit_code == 2
    assert "'lmdb'" in result.stderr
    assert result.stderr.count("error: ") == 1
