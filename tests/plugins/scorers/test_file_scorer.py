"""Scores from files: every format, and every way in which a file can be the wrong one."""

import json

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from condense.data import LabeledData, Normalization
from condense.engine.checked import run_selector
from condense.engine.ingest.holdout import validation_part
from condense.engine.stages.scores import tensors_of
from condense.errors import DataError, OptionError
from condense.results import Budget, Scores
from condense_plugins.scorers.file import FileScorer
from condense_plugins.selectors.dual_beta import DualBetaSelector
from condense_plugins.selectors.stratified import StratifiedSelector

VALUES = np.array([0.5, -1.25, 3.0, 0.0, 2.0, 7.5])
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def data():
    return LabeledData(
        torch.arange(6.0)[:, None],
        torch.from_numpy(LABELS),
        ("ant", "bee", "cat"),
        Normalization((0.0,), (1.0,)),
        name="six",
    )


def read(path, data, **options):
    scorer = FileScorer(FileScorer.Options(path=str(path), **options))
    return scorer.score(data, None, torch.Generator())


def refused(path, data, **options):
    """The message, which always names the file."""
    with pytest.raises(DataError) as caught:
        read(path, data, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def write(path, scores=VALUES, **others):
    if path.suffix == ".npz":
        np.savez(path, scores=scores, **others)
    elif path.suffix == ".npy":
        np.save(path, scores)
    elif path.suffix == ".csv":
        names = ["scores", *others]
        rows = zip(scores, *others.values(), strict=True)
        lines = [",".join(names), *(",".join(str(v) for v in row) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    else:
        safetensors.numpy.save_file({"scores": np.asarray(scores), **others}, path)
    return path


FORMATS = ["npz", "npy", "csv", "safetensors"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format(suffix, data, tmp_path):
    path = write(tmp_path / f"s.{suffix}")
    scores = read(path, data)
    assert scores.values.tolist() == VALUES.tolist()
    assert scores.values.dtype == torch.float32
    assert path.name in scores.estimator


@pytest.mark.parametrize("suffix", ["npz", "csv", "safetensors"])
def test_matching_labels_are_accepted(suffix, data, tmp_path):
    path = write(tmp_path / f"s.{suffix}", labels=LABELS)
    assert read(path, data).values.tolist() == VALUES.tolist()


@pytest.mark.parametrize("suffix", FORMATS)
def test_direction_turns_the_order_round(suffix, data, tmp_path):
    path = write(tmp_path / f"s.{suffix}")
    turned = read(path, data, direction="lower-harder").values
    assert turned.tolist() == (-VALUES).tolist()
    assert turned.argsort().tolist() == read(path, data).values.argsort().flip(0).tolist()


@pytest.mark.parametrize("name", ["aum", "probability"])
def test_companions_that_are_high_for_easy_samples_are_turned_round(
    name, data, context, tmp_path, monkeypatch
):
    notes = []
    monkeypatch.setattr(context.progress, "note", notes.append)
    key = f"companion.{name}"
    path = write(tmp_path / "scores.safetensors", **{key: VALUES + 1})
    scorer = FileScorer(FileScorer.Options(path=str(tmp_path), key=key))
    assert scorer.score(data, context, None).values.tolist() == (-VALUES - 1).tolist()
    assert f"`scorer.key={key}` is high for easy samples" in notes[0]
    asked = read(path, data, key=key, direction="higher-harder")
    assert asked.values.tolist() == (VALUES + 1).tolist()


def test_of_another_companion_a_direction_must_be_given(data, tmp_path):
    path = write(tmp_path / "scores.safetensors", **{"companion.depth": VALUES + 1})
    with pytest.raises(OptionError, match=r"companion\.depth`: .* set scorer\.direction"):
        read(path, data, key="companion.depth")
    found = read(path, data, key="companion.depth", direction="lower-harder")
    assert found.values.tolist() == (-VALUES - 1).tolist()


def test_csv_without_a_header(data, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("\n".join(str(v) for v in VALUES))
    assert read(path, data).values.tolist() == VALUES.tolist()


def test_csv_with_whole_numbers_and_another_column(data, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("index,hard\n" + "\n".join(f"{i},{9 - i}" for i in range(6)))
    assert read(path, data, key="hard").values.tolist() == [9, 8, 7, 6, 5, 4]


def test_another_key_and_integers(data, tmp_path):
    np.savez(tmp_path / "s.npz", hard=np.arange(6), scores=np.zeros(6))
    assert read(tmp_path / "s.npz", data, key="hard").values.tolist() == list(range(6))


def test_a_folder_of_condense_score(data, tmp_path):
    write(tmp_path / "scores.safetensors")
    (tmp_path / "manifest.json").write_text(json.dumps({"data_fingerprint": data.fingerprint}))
    assert read(tmp_path, data).values.tolist() == VALUES.tolist()


def test_scores_of_ours_keep_what_they_have_beside_them(data, tmp_path):
    made = Scores(
        torch.from_numpy(VALUES).float().abs(),
        "el2n",
        torch.arange(6.0),
        {"aum": torch.tensor([3.0, 1, 2, 0, 5, 4]), "probability": torch.arange(6.0) / 6},
    )
    safetensors.torch.save_file(tensors_of(made), tmp_path / "scores.safetensors")
    for path in (tmp_path, tmp_path / "scores.safetensors"):
        found = read(path, data)
        assert [t.tolist() for t in found.tensors] == [t.tolist() for t in made.tensors]
        assert found.companions.keys() == made.companions.keys()
        chosen = [
            run_selector(create(cls), data, scores, Budget(ipc=1), None, torch.Generator())
            for cls in (StratifiedSelector, DualBetaSelector)
            for scores in (made, found)
        ]
        assert torch.equal(chosen[0].indices, chosen[1].indices)
        assert torch.equal(chosen[2].indices, chosen[3].indices)
    assert read(tmp_path, data, key="standard_error").companions == {}


def create(cls):
    return cls(cls.Options(cutoff=0.5) if cls is StratifiedSelector else cls.Options())


@pytest.mark.parametrize("name", ["standard_error", "companion.aum"])
def test_damage_beside_the_scores_is_named(name, data, tmp_path):
    path = tmp_path / "scores.safetensors"
    told = refused(write(path, **{name: np.full(6, np.nan)}), data)
    assert f"'{name}': score 0 is nan" in told
    assert f"5 scores in '{name}'" in refused(write(path, **{name: np.ones(5)}), data)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("length", [1, 5, 7])
def test_wrong_length(suffix, length, data, tmp_path):
    message = refused(write(tmp_path / f"s.{suffix}", np.ones(length)), data)
    assert f"{length} scores" in message
    assert "six has 6" in message


@pytest.mark.parametrize("suffix", ["npz", "csv", "safetensors"])
def test_other_labels(suffix, data, tmp_path):
    message = refused(write(tmp_path / f"s.{suffix}", labels=LABELS[::-1].copy()), data)
    assert "labels" in message
    # 2 1 0 2 1 0 against 0 1 2 0 1 2
    assert "six in 4 places" in message
    assert "sample 0: 2" in message
    assert "instead of 0" in message


@pytest.mark.parametrize("labels", [LABELS[:5], LABELS[None]], ids=["short", "2-d"])
def test_labels_of_another_shape(labels, data, tmp_path):
    assert "labels" in refused(write(tmp_path / "s.npz", labels=labels), data)


@pytest.mark.parametrize("suffix", ["npz", "csv"])
def test_labels_by_name(suffix, data, tmp_path):
    names = np.array(["ant", "bee", "cat"])
    path = tmp_path / f"s.{suffix}"
    assert read(write(path, labels=names[LABELS]), data).values.tolist() == VALUES.tolist()
    other = LABELS.copy()
    other[3] = 2
    message = refused(write(path, labels=names[other]), data)
    assert "in 1 places" in message
    assert "sample 3: cat instead of ant" in message


@pytest.mark.parametrize("suffix", ["npz", "csv", "safetensors"])
def test_missing_key_is_named_with_those_there(suffix, data, tmp_path):
    path = write(tmp_path / f"s.{suffix}", labels=LABELS)
    message = refused(path, data, key="hardness")
    assert "'hardness'" in message
    assert "scores, labels" in message or "labels, scores" in message
    assert "scorer.key" in message


def test_csv_with_one_column_of_another_name(data, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("hardness\n" + "\n".join(str(v) for v in VALUES))
    message = refused(path, data)
    assert "'scores'" in message
    assert "hardness" in message
    assert read(path, data, key="hardness").values.tolist() == VALUES.tolist()


@pytest.mark.parametrize("suffix", FORMATS)
def test_missing_file(suffix, data, tmp_path):
    assert "does not exist" in refused(tmp_path / f"none.{suffix}", data)


def test_unknown_format(data, tmp_path):
    (tmp_path / "s.xlsx").write_text("?")
    assert ".npz, .npy, .csv, .safetensors" in refused(tmp_path / "s.xlsx", data)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(suffix, bad, data, tmp_path):
    values = VALUES.copy()
    values[4] = bad
    message = refused(write(tmp_path / f"s.{suffix}", values), data)
    assert f"score 4 is {bad}" in message


def test_too_large_for_float32(data, tmp_path):
    values = VALUES.copy()
    values[2] = 1e300
    assert "score 2 is 1e+300" in refused(write(tmp_path / "s.npz", values), data)


def test_a_word_in_a_csv(data, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("scores\n1\n2\nx\n4\n5\n6\n")
    assert "score 2 is 'x'" in refused(path, data)


def test_a_csv_with_a_column_of_words_and_quoted_commas(data, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text(
        "\ufefffile,scores\r\n" + "".join(f'"a, {i}.png",{v}\r\n' for i, v in enumerate(VALUES)),
        encoding="utf-8",
    )
    assert read(path, data).values.tolist() == VALUES.tolist()


def test_a_csv_with_ragged_rows_or_no_rows_or_no_header(data, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("scores,labels\n1,0\n2\n3,2\n")
    assert "sample 1 has 1 columns instead of 2" in refused(path, data)
    path.write_text("scores\n")
    assert "has 0 scores" in refused(path, data)
    path.write_text("1,0\n2,1\n")
    assert "no 'scores' (it has: 0, 1)" in refused(path, data)


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_and_empty_files(suffix, data, tmp_path):
    path = tmp_path / f"s.{suffix}"
    path.write_bytes(b"")
    refused(path, data)
    path.write_bytes(b"\x93garbage\x00\xff" * 20)
    told = refused(path, data)
    assert f"is no .{suffix} file, or is damaged; give one number per sample" in told
    for word in ("pickle", "allow_", "codec", "header", "Error"):  # of numpy's and others'
        assert word not in told


def test_nothing_is_unpickled(data, tmp_path):
    np.savez(tmp_path / "s.npz", scores=np.array([object()] * 6, dtype=object))
    assert "holds Python objects; give one number" in refused(tmp_path / "s.npz", data)


def test_two_dimensions_and_words(data, tmp_path):
    assert "(6, 1)" in refused(write(tmp_path / "s.npz", VALUES[:, None]), data)
    assert "<U1" in refused(write(tmp_path / "s.npz", np.array(list("abcdef"))), data)


def test_made_for_other_data(data, tmp_path):
    write(tmp_path / "scores.safetensors")
    (tmp_path / "manifest.json").write_text(json.dumps({"data_fingerprint": "0123abcd"}))
    message = refused(tmp_path / "scores.safetensors", data)
    assert "0123abcd" in message
    assert data.fingerprint in message
    assert "condense score" in message


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_a_damaged_manifest_is_named(text, data, tmp_path):
    write(tmp_path / "scores.safetensors")
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json is damaged"):
        read(tmp_path, data)


def test_token_follows_the_contents(data, tmp_path):
    path = write(tmp_path / "s.npy")
    scorer = FileScorer(FileScorer.Options(path=str(path)))
    first = scorer.cache_token()
    assert scorer.cache_token() == first
    write(path, VALUES + 1)
    assert scorer.cache_token() != first
    path.unlink()
    with pytest.raises(DataError, match=r"s\.npy cannot be read"):
        scorer.cache_token()


def test_scores_of_the_whole_are_refused_where_a_part_is_held_out(tmp_path, data):
    path = tmp_path / "scores.npy"
    np.save(path, np.zeros(len(data)))
    left = validation_part(data, 0.2, 0)
    assert "what was made of the whole knows them; leave it out" in refused(path, left)
    assert "knows them" not in refused(path, data.subset(torch.arange(3)))
