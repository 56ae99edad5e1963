"""Data frames and Parquet files: rows come back as they were, in the types that they had."""

import datetime
import sys

import numpy as np
import pytest

from condense import CondensedDataset, condense
from condense.errors import CondenseError, DataError, OptionError
from condense.sklearn import CondenseSampler


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    path = tmp_path / "x.parquet"
    path.touch()
    for missing in ("pandas", "pyarrow"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            with pytest.raises(OptionError, match=r"`table` \(pip install .*\[table\]'"):
                condense(path, ipc=2, label="kind")


def test_columns_are_of_frames_and_files_alone():
    with pytest.raises(OptionError, match="label and ignore name columns of a DataFrame"):
        condense((np.eye(4), [0, 1, 0, 1]), label="kind")
    with pytest.raises(CondenseError, match=r"unknown option data\.label"):
        condense("digits", label="kind")


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas", reason="pandas comes with an extra of its own")


@pytest.fixture
def frame(pandas):
    """A column of every type, those that are no features with gaps."""
    n = 24
    rng = np.random.default_rng(0)
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(k) for k in range(n)]
    gaps = np.arange(n) % 5 == 3
    return pandas.DataFrame(
        {
            "name": [f"row {k}" if k % 4 else None for k in range(n)],
            "age": rng.integers(18, 90, n),
            "small": rng.integers(0, 200, n).astype(np.uint8),
            "weight": rng.normal(70, 10, n),
            "half": rng.normal(size=n).astype(np.float32),
            "town": np.array(["Ulm", "Köln", "Bonn"])[rng.integers(0, 3, n)],
            "grade": pandas.Categorical(np.array(["low", "high"])[rng.integers(0, 2, n)]),
            "member": rng.integers(0, 2, n).astype(bool),
            "seen": pandas.to_datetime(days) + pandas.Timedelta("7h1ns"),
            "zone": pandas.to_datetime(days).tz_localize("Europe/Berlin"),
            "born": days,
            "visits": pandas.array(np.where(gaps, 0, np.arange(n)), dtype="Int64"),
            "odd": np.where(gaps, np.nan, np.where(np.arange(n) == 7, np.inf, 0.1)),
            "kind": np.array(["a", "b"])[np.arange(n) % 2],
        }
    ).assign(visits=lambda f: f["visits"].mask(gaps))


IGNORED = ["name", "seen", "zone", "born", "visits", "odd"]
OPTIONS = {"scorer": "random"}


@pytest.mark.extras
def test_rows_come_back_in_their_types(pandas, frame, tmp_path):
    small = condense(frame, label="kind", ignore=IGNORED, method="random", ipc=5, device="cpu")
    again = CondensedDataset.load(small.save(tmp_path / "small")).to_pandas()
    expected = frame.iloc[small.source_index.numpy()].reset_index(drop=True)
    pandas.testing.assert_frame_equal(again[list(frame.columns)], expected)
    assert list(again.columns) == [*frame.columns, "role", "source_index"]
    assert again["role"].tolist() == ["real"] * 10
    columns = {c.name: c for c in small.table.columns}
    assert columns["member"].values == (False, True)
    assert small.features.shape == (10, 4 + 3 + 2 + 2)


@pytest.mark.extras
def test_distilled_rows_have_the_types_too(frame, tiny):
    options = {k: v for k, v in tiny.items() if not k.startswith("scorer")} | OPTIONS
    small = condense(
        frame, label="kind", ignore=IGNORED, test=0.25, ipc=3, device="cpu", options=options
    )
    assert small.results is not None
    made = small.to_pandas()
    moved = made["role"] == "distilled"
    assert 0 < moved.sum() < len(made)
    assert made.loc[moved, IGNORED].isna().all().all()
    for name in ("age", "small", "weight", "half", "grade", "member"):
        assert made[name].dtype == frame[name].dtype, name
    whole = made.loc[moved, "age"].to_numpy()
    column = [name for c in small.table.columns for name in c.features].index("age")
    assert whole.tolist() == small.features[small.distilled, column].round().int().tolist()
    assert set(made.loc[moved, "town"]) <= {"Ulm", "Köln", "Bonn"}


@pytest.mark.extras
def test_a_pair_of_frame_and_labels(pandas, frame):
    X, y = frame[["age", "town"]], frame["kind"]
    whole = condense(frame[["age", "town", "kind"]], label="kind", method="random", ipc=4)
    for labels, name in ((y, "kind"), (y.to_numpy(), "label"), (y.rename("age"), "age_")):
        small = condense((X, labels), method="random", ipc=4, device="cpu")
        assert small.source_index.tolist() == whole.source_index.tolist()
        made = small.to_pandas()
        assert list(made.columns)[:3] == ["age", "town", name]
        assert made[name].tolist() == y.iloc[small.source_index.numpy()].tolist()


@pytest.mark.extras
def test_numbers_alone_are_the_data_that_arrays_are(frame):
    X, y = frame[["age", "weight"]], frame["kind"]
    plain = condense((X.to_numpy(), y.to_numpy()), method="random", ipc=4)
    assert condense((X, y), method="random", ipc=4).data_fingerprint == plain.data_fingerprint


@pytest.mark.extras
def test_a_test_frame(frame, tiny):
    options = {k: v for k, v in tiny.items() if k.startswith("evaluator")}
    given = frame[["age", "town", "kind"]]
    common = {"method": "random", "ipc": 4, "device": "cpu", "options": options}
    one = condense(given[:16], label="kind", test=given[16:], **common)
    X, y = given[["age", "town"]], given["kind"]
    two = condense((X[:16], y[:16]), test=(X[16:], y[16:].to_numpy()), **common)
    assert one.results["arms"] == two.results["arms"]
    with pytest.raises(OptionError, match=r"test must be a frame .* got ndarray"):
        condense((X, y), test=np.eye(2), ipc=2)
    with pytest.raises(DataError, match="no column 'town' in the test split"):
        condense(given[:16], label="kind", test=given[["age", "kind"]], ipc=2)


@pytest.mark.extras
def test_frames_that_cannot_be_used(pandas, frame):
    X, y = frame[["age", "town"]], frame["kind"]

    def refusal(data, **more):
        with pytest.raises(CondenseError) as caught:
            condense(data, ipc=2, method="random", **more)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "alone, without labels" in refusal(X)
    assert "label is given too" in refusal((X, y), label="kind")
    assert "24 rows but 3 labels" in refusal((X, y[:3]))
    assert "no column 'knd'; did you mean 'kind'" in refusal(frame, label="knd")
    told = refusal(frame, label="kind")
    assert "'name' (6, the first in row 0), 'visits' (5, the first in row 3)" in told
    assert "ignore=['name', 'visits', 'odd']" in told
    assert "'seen' holds dates" in refusal(frame[["age", "seen", "kind"]], label="kind")
    assert "'born' holds dates" in refusal(frame[["age", "born", "kind"]], label="kind")
    mixed = frame[["age", "kind"]].assign(town=["Ulm", 7] * 12)
    told = refusal(mixed, label="kind")
    assert "'town' mixes" in told
    assert "frame['town'].astype('category')" in told
    twice = pandas.concat([X, X["age"], y], axis=1)
    assert "two columns 'age'" in refusal(twice, label="kind")
    lists = frame[["age", "kind"]].assign(tags=[[1, 2]] * 24)
    assert "'tags' holds a list in row 0 ([1, 2])" in refusal(lists, label="kind")
    odd = frame[["kind"]].assign(x=[np.inf, *range(23)])
    assert "'x' holds inf in row 0" in refusal(odd, label="kind")
    assert "0 rows" in refusal(frame[:0], label="kind")
    label = frame.assign(kind=[None, *["a", "b"] * 11, "a"])[["age", "kind"]]
    assert "'kind' (1, the first in row 0)" in refusal(label, label="kind")


@pytest.mark.extras
def test_a_sampler_gives_frames_of_categories(frame, tiny):
    X, y = frame[["age", "town"]], frame["kind"]
    kept, labels = CondenseSampler("random", ipc=3).fit_resample(X, y)
    assert kept.equals(X.loc[kept.index])
    options = {k: v for k, v in tiny.items() if k.startswith("matcher")} | OPTIONS
    made, labels = CondenseSampler("selmatch", ipc=3, options=options).fit_resample(X, y)
    assert list(made.columns) == ["age", "town"]
    assert set(made["town"]) <= {"Ulm", "Köln", "Bonn"}
    assert len(made) == len(labels) == 6


@pytest.mark.extras
def test_a_parquet_file_is_its_frame(pandas, frame, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow comes with an extra of its own")
    path = tmp_path / "people.parquet"
    frame.to_parquet(path, index=False)
    options = {"data.test": 0.25}
    small = condense(
        str(path), label="kind", ignore=IGNORED, method="random", ipc=4, options=options
    )
    places = [int(item.removeprefix("people.parquet#")) for item in small.items]
    again = CondensedDataset.load(small.save(tmp_path / "small")).to_pandas()
    expected = pandas.read_parquet(path).iloc[places].reset_index(drop=True)
    pandas.testing.assert_frame_equal(
        again[list(frame.columns)], expected, check_dtype=False, check_categorical=False
    )


@pytest.mark.extras
def test_whole_numbers_and_truths_with_gaps_come_back_in_their_types(pandas, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow comes with an extra of its own")
    import pyarrow
    from pyarrow import parquet

    large = {"int64": 2**53 + 1, "uint64": 2**64 - 2, "int8": -128, "uint16": 2**16 - 1}
    given = {"age": pyarrow.array(range(24)), "kind": pyarrow.array(["a", "b"] * 12)}
    for name, value in large.items():
        type_ = getattr(pyarrow, name)()
        given[name] = pyarrow.array([None if k % 3 else value for k in range(24)], type_)
    given["truth"] = pyarrow.array([None if k % 3 else k % 2 == 0 for k in range(24)])
    source = pyarrow.table(given)
    parquet.write_table(source, tmp_path / "x.parquet")
    carried = [*large, "truth"]
    path, how = str(tmp_path / "x.parquet"), {"method": "random", "ipc": 6}
    small = condense(path, label="kind", ignore=carried, **how)
    again = CondensedDataset.load(small.save(tmp_path / "small"))
    back = parquet.read_table(again.export("parquet", tmp_path / "less.parquet"))
    assert back.select(carried).schema.types == source.select(carried).schema.types
    expected = source.take(small.source_index.tolist())
    assert back.to_pylist() == expected.to_pylist()
    assert {str(t) for t in again.to_pandas()[carried].dtypes} == {
        *("Int64", "UInt64", "Int8", "UInt16", "boolean")
    }


@pytest.mark.extras
def test_parquet_files_that_cannot_be_read(pandas, frame, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow comes with an extra of its own")
    path = tmp_path / "x.parquet"
    for contents, words in (
        (b"PAR1 and nothing", "cannot be read as Parquet"),
        (None, "is a folder"),
    ):
        if contents is None:
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(contents)
        with pytest.raises(DataError, match=f"x.parquet .*{words}") as caught:
            condense(f"parquet:{path}", label="kind", ipc=2)
        assert "\n" not in str(caught.value)
