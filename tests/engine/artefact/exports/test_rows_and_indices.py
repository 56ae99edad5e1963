"""Exports of rows and of indices: what is read back is what was there."""

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from condense import CondensedDataset, labeled_data
from condense.engine.artefact.table import TableDocument
from condense.engine.documents import parse_document
from condense.errors import DataError, OptionError, OutputError
from condense.tabular.column import Column
from condense.tabular.table import Table

HEADER = ["key", "x", "tone", "role", "kind"]
ROWS = [
    [f'no "{n}", b', f"{n * 0.1:.3f}", ("warm, dry", "cold")[n % 2], str(n % 3), "ab"[n // 10]]
    for n in range(20)
]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "things.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *ROWS])
    return path


@pytest.fixture
def run(call, source, tmp_path, tiny, as_flags):
    """Runs a method on the file; the folder of the set."""

    def run(*args):
        kept = {k: v for k, v in tiny.items() if k.partition(".")[0] in (*args, "evaluator")}
        args = [arg for arg in args if arg != "matcher"]
        columns = ("-o", "data.label=kind", "-o", "data.ignore=key", "-o", "data.test=0.2")
        given = ("--data", source, *columns, "--device", "cpu", *as_flags(kept), *args)
        out = tmp_path / "small"
        call("run", *given, "--out", out)
        return out

    return run


def read(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_a_selection_of_a_csv_file_is_rows_of_it(call, run, tmp_path):
    folder = run("--method", "random", "--ipc", 3, "--no-baselines")
    told = call("export", folder, "--to", "csv", "--out", tmp_path / "less.csv")
    assert "6 samples written" in told.stdout
    header, *rows = read(tmp_path / "less.csv")
    assert header == HEADER  # nothing is distilled, so that nothing is added
    assert len(rows) == 6
    assert [row[-1] for row in rows] == list("aaabbb")
    assert all(row in ROWS for row in rows)
    assert len({row[0] for row in rows}) == 6
    # and it is data again
    columns = ("-o", "data.label=kind", "-o", "data.ignore=key")
    given = ("--data", tmp_path / "less.csv", *columns, "--method", "random", "--ipc", 2)
    again = call("select", *given, "--json")
    assert json.loads(again.stdout)["samples"] == 4


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16"])
def test_a_file_comes_back_between_its_separators_and_in_its_encoding(call, tmp_path, encoding):
    rows = [[f"{n},5", ("Köln; am Rhein", "Überlingen")[n % 2], "ab"[n // 10]] for n in range(20)]
    with (tmp_path / "in.csv").open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerows([["größe", "ort", "art"], *rows])
    how = [] if encoding == "utf-8-sig" else ["-o", f"data.encoding={encoding}"]
    how += ["-o", "data.separator=;", "-o", "data.label=art", "-o", "data.ignore=größe"]
    given = ("--data", tmp_path / "in.csv", *how, "--method", "random", "--device", "cpu")
    call("run", *given, "--ipc", 10, "--no-baselines", "--out", tmp_path / "small")
    call("export", tmp_path / "small", "--to", "csv", "--out", tmp_path / "out.csv")
    given, found = ((tmp_path / name).read_bytes() for name in ("in.csv", "out.csv"))
    assert len(given) == len(found)  # with the byte order mark, where there is one
    assert sorted(found.decode(encoding).split("\n")) == sorted(given.decode(encoding).split("\n"))


def test_cells_of_several_lines_come_back_whatever_ends_these(call, tmp_path):
    texts, kinds = ["u\rv", "p\r\nq", "x\ny", "\r", 'a, "b"'], ["a\rb", "b\n"]
    table = [[str(n), texts[n % 5], kinds[n // 10]] for n in range(20)]
    with (tmp_path / "in.csv").open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["size", "text", "kind"], *table])
    given = ("--data", tmp_path / "in.csv", "-o", "data.label=kind", "-o", "data.ignore=text")
    given += ("--method", "random", "--ipc", 10, "--no-baselines")
    call("run", *given, "--out", tmp_path / "a")
    call("export", tmp_path / "a", "--to", "csv", "--out", tmp_path / "out.csv")
    call("export", tmp_path / "a", "--to", "indices", "--out", tmp_path / "indices.csv")
    assert sorted(read(tmp_path / "out.csv")) == sorted([["size", "text", "kind"], *table])
    for name, column in (("a/index.csv", 0), ("indices.csv", 2)):
        head = 1 + (name == "indices.csv")
        classes = [row[column] for row in read(tmp_path / name)[head:]]
        assert sorted(classes) == sorted(row[2] for row in table)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('";"', '"\\n"'), "separator: must be one character, and no quote or line end"),
        (('"cp1252"', '"hex"'), "rows are no text in 'hex'"),
        (('"cp1252"', '"ascii"'), "rows are no text in 'ascii'"),
    ],
)
def test_a_table_that_could_not_be_written_is_refused(change, words):
    columns = (Column("größe", "number", "int64"), Column("art", "label", "text", ("a", "b")))
    cells = (np.array([1, 2], object), np.array(["a", "b"], object))
    text = TableDocument.of(Table(columns, cells, ";", "cp1252")).text()
    again = parse_document(Path("table.json"), text.encode(), TableDocument, "").table()
    assert (again.separator, again.encoding) == (";", "cp1252")
    broken = text.replace(*change).encode()
    with pytest.raises(DataError, match=words):
        parse_document(Path("table.json"), broken, TableDocument, "")


def test_distilled_rows_are_marked(call, run, tmp_path):
    cheap = ("-o", "scorer=random", "-o", "policy.alpha=0.4", "--no-baselines")
    folder = run("matcher", "--method", "selmatch", "--ipc", 3, *cheap)
    call("export", folder, "--to", "csv", "--out", tmp_path / "less.csv")
    header, *rows = read(tmp_path / "less.csv")
    assert header == [*HEADER, "condense_role"]  # as the table has a column "role"
    small = CondensedDataset.load(folder)
    assert [row[-1] for row in rows] == ["distilled" if d else "real" for d in small.distilled]
    for row in rows:
        if row[-1] == "real":
            assert row[:-1] in ROWS
        else:
            assert row[0] == ""
            assert row[2] in ("warm, dry", "cold")
            assert row[3] == str(int(row[3]))


def test_a_table_that_is_there_is_never_replaced(run, source):
    small = CondensedDataset.load(run("--method", "random", "--ipc", 2, "--no-baselines"))
    before = source.read_bytes()
    with pytest.raises(OutputError, match=r"things\.csv exists, and might be a table of your own"):
        small.export("csv", source)
    assert source.read_bytes() == before
    with pytest.raises(OutputError, match=r"must end in \.csv"):
        small.export("csv", source.with_name("x.txt"))


def test_images_are_no_rows(condensed, tiny_images, tmp_path):
    with pytest.raises(DataError, match="holds images, which 'csv' cannot hold"):
        condensed(tiny_images).export("csv", tmp_path / "x.csv")


def test_features_that_were_no_table_have_rows_too(condensed, tmp_path):
    values = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    small = condensed(labeled_data(values, np.arange(20) % 2 + 5))
    header, *rows = read(small.export("csv", tmp_path / "x.csv"))
    assert header == ["feature_0", "feature_1", "feature_2", "class", "role"]
    found = np.array([[float(cell) for cell in row[:3]] for row in rows], np.float32)
    assert np.array_equal(found, small.features.numpy())
    assert [row[3] for row in rows] == [str(k + 5) for k in small.labels.tolist()]


def test_indices_say_what_is_kept_of_how_many(condensed, tiny_images, tmp_path):
    small = condensed(tiny_images)
    text = small.export("indices", tmp_path / "x.csv").read_text()
    first, rest = text.split("\n", 1)
    assert first == "# condense: 6 of 90 samples of tiny-images kept, 6 distilled from those named"
    rows = list(csv.DictReader(io.StringIO(rest)))
    assert [int(row["index"]) for row in rows] == small.source_index.tolist()
    assert [row["source"] for row in rows] == list(small.items)
    assert [row["class"] for row in rows] == [small.classes[k] for k in small.labels]
    assert [row["role"] for row in rows] == ["real", "distilled", "distilled", "real"] * 3
    assert [row["kept"] for row in rows] == ["true", "false", "false", "true"] * 3
    assert [float(row["score"]) for row in rows] == pytest.approx(small.scores.tolist())
    told = json.loads(small.export("indices", tmp_path / "x.json").read_text())
    assert (told["kept"], told["of"], told["distilled"]) == (6, 90, 6)
    assert [row["kept"] for row in told["rows"]] == [row["kept"] == "true" for row in rows]
    assert [row["source"] for row in told["rows"]] == list(small.items)


def test_indices_survive_a_save_and_are_replaced_if_they_are_ours(condensed, tiny_images, tmp_path):
    small = condensed(tiny_images)
    again = CondensedDataset.load(small.save(tmp_path / "small"))
    for name in ("x.csv", "x.json"):
        text = small.export("indices", tmp_path / name).read_text()
        assert again.export("indices", tmp_path / name).read_text() == text
        (tmp_path / name).write_text("index,mine\n")
        with pytest.raises(OutputError, match="condense wrote"):
            small.export("indices", tmp_path / name)
    with pytest.raises(OutputError, match=r"must end in \.csv or \.json"):
        small.export("indices", tmp_path / "x.txt")


def test_indices_of_a_table_name_its_rows(call, run, tmp_path):
    folder = run("--method", "random", "--ipc", 2, "--no-baselines")
    call("export", folder, "--to", "indices", "--out", tmp_path / "which.json")
    told = json.loads((tmp_path / "which.json").read_text())
    assert (told["kept"], told["of"]) == (4, 16)
    small = CondensedDataset.load(folder)
    for row, item in zip(small.rows.rows, told["rows"], strict=True):
        assert ROWS[int(item["source"].removeprefix("things.csv#"))] == row


def test_without_pyarrow_the_extra_is_named(condensed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    small = condensed(labeled_data(np.eye(20), np.arange(20) % 2))
    with pytest.raises(OptionError, match=r"the extra `table`"):
        small.export("parquet", tmp_path / "x.parquet")


@pytest.mark.extras
def test_a_parquet_file_has_the_types_of_the_table(call, run, tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas comes with an extra of its own")
    pytest.importorskip("pyarrow", reason="pyarrow comes with an extra of its own")
    folder = run("--method", "random", "--ipc", 3, "--no-baselines")
    call("export", folder, "--to", "parquet", "--out", tmp_path / "less.parquet")
    frame = pandas.read_parquet(tmp_path / "less.parquet")
    assert list(frame.columns) == HEADER
    assert [str(t) for t in frame.dtypes[["x", "role"]]] == ["float64", "int64"]
    small = CondensedDataset.load(folder)
    whole = pandas.read_csv(tmp_path / "things.csv")
    places = [int(item.removeprefix("things.csv#")) for item in small.items]
    pandas.testing.assert_frame_equal(frame, whole.iloc[places].reset_index(drop=True))
    options = ("-o", "data.label=kind", "-o", "data.ignore=key", "--method", "random")
    again = call("select", "--data", tmp_path / "less.parquet", *options, "--ipc", 2, "--json")
    assert json.loads(again.stdout)["samples"] == 4
