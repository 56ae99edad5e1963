"""From embeddings to the files and texts they were made of."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from condense import CondensedDataset
from condense.errors import DataError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder that holds embeddings of two classes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    np.savez("e.npz", train_inputs=rng.normal(labels[:, None], 1, (40, 5)), train_labels=labels)


def run(call, items, method="random", *more):
    call(
        *("run", "--data", "npz:e.npz", "-o", f"data.items={items}", "--method", method),
        *("--ipc", 3, "--device", "cpu", "--no-baselines", "--out", "small", *more),
    )


def rows_of(folder):
    lines = (folder / "train" / "metadata.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_files_come_back_byte_for_byte(call, tmp_path):
    (tmp_path / "sounds" / "wav").mkdir(parents=True)
    with open("sounds/list.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["speaker", "file"])
        for i in range(40):
            (tmp_path / "sounds" / "wav" / f"{i}.wav").write_bytes(b"RIFF" + bytes([i]))
            writer.writerow(["x", f"wav/{i}.wav"])
    run(call, "sounds/list.csv", "random", "-o", "data.test=0.25")
    done = call("export", "small", "--to", "items", "--out", "out", "--json")
    assert json.loads(done.stdout)["samples"] == 6
    told = rows_of(tmp_path / "out")
    assert len(told) == 6
    for row in told:
        copied = (tmp_path / "out" / "train" / row["file_name"]).read_bytes()
        original = tmp_path / "sounds" / row["source"]
        assert copied == original.read_bytes()
        assert int(original.stem) % 2 == int(row["label"])
    call("export", "small", "--to", "items", "--out", "out")  # replaced
    (tmp_path / "sounds" / "list.csv").write_text("file\nwav/0.wav\n")
    changed = call("export", "small", "--to", "items", "--out", "new", code=1)
    assert "has changed" in changed.stderr
    listed = "".join(f"wav/{i}.wav\n" for i in range(40))
    (tmp_path / "sounds" / "list.csv").write_text(f"file\n{listed}")
    (tmp_path / "sounds" / told[0]["source"]).unlink()
    gone = call("export", "small", "--to", "items", "--out", "new", code=1)
    assert told[0]["source"] in gone.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("form", ["jsonl", "txt"])
def test_texts_come_back(call, tmp_path, form):
    texts = [f"/{i} für dich" for i in range(40)]
    lines = texts if form == "txt" else [json.dumps({"text": t, "n": 1}) for t in texts]
    (tmp_path / f"t.{form}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run(call, f"t.{form}")
    call("export", "small", "--to", "items", "--out", "out")
    told = rows_of(tmp_path / "out")
    assert [row["text"] for row in told] == [texts[row["source_index"]] for row in told]
    (tmp_path / f"t.{form}").unlink()  # the set has them itself
    call("export", "small", "--to", "items", "--out", "new")
    assert rows_of(tmp_path / "new") == told


def test_texts_of_a_set_from_before_it_kept_them(call, tmp_path):
    (tmp_path / "t.txt").write_text("\n".join(f"text {i}" for i in range(40)))
    run(call, "t.txt")
    older = replace(CondensedDataset.load("small"), texts=None)
    with pytest.raises(
        DataError, match="holds texts, and this set carries none; make the set anew"
    ):
        older.export("items", tmp_path / "out")


def test_distilled_samples_have_no_original(call, tmp_path):
    (tmp_path / "t.txt").write_text("\n".join(f"text {i}" for i in range(40)))
    cheap = ("matcher.iterations=1", "matcher.real_per_class=4", "policy=partial")
    run(call, "t.txt", "dm", *(x for o in cheap for x in ("-o", o)), "-o", "policy.alpha=0.34")
    refused = call("export", "small", "--to", "items", "--out", "out", code=1)
    assert "2 of 6 samples are distilled" in refused.stderr
    assert "--real-only" in refused.stderr
    done = call("export", "small", "--to", "items", "--out", "out", "--real-only", "--json")
    assert json.loads(done.stdout)["left_out"] == 2
    assert "2 of 6 samples are distilled and left out" in done.stderr
    told = rows_of(tmp_path / "out")
    assert len(told) == 4
    assert [row["text"] for row in told] == [f"text {row['source_index']}" for row in told]


def test_a_set_without_items(call):
    call("run", "--data", "npz:e.npz", "--method", "random", "--ipc", 2, "--out", "small")
    refused = call("export", "small", "--to", "items", "--out", "out", code=1)
    assert "carries no items" in refused.stderr
    assert "-o data.items=FILE" in refused.stderr


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("t.txt", "a\nb", "has 2 items for 40 train_inputs"),
        ("t.pdf", "a", "must end in .csv, .jsonl, .txt"),
        ("t.csv", "speaker,sound\nx,y\n", "have the columns speaker, sound"),
        ("t.csv", "file\n/etc/passwd\n", "/etc/passwd, which lies outside"),
        ("t.csv", "file\n../x.wav\n", "../x.wav, which lies outside"),
        ("t.jsonl", '{"text": 3}\n', "no 'text' in row 0"),
        ("t.jsonl", "hello\n", "no JSON object in line 1"),
    ],
)
def test_bad_items(call, tmp_path, name, text, part):
    (tmp_path / name).write_text(text)
    args = ("select", "--data", "npz:e.npz", "-o", f"data.items={name}", "--method", "random")
    refused = call(*args, "--ipc", 2, code=1)
    assert refused.stderr.count("\n") == 1
    assert part in refused.stderr
    assert name in refused.stderr
