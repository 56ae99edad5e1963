"""A CSV file as data: what becomes a feature, what comes back, what is refused."""

import csv
import io

import numpy as np
import pytest
import torch

from condense import CondensedDataset
from condense.api import bind, condense
from condense.engine.context import EngineContext
from condense.engine.runtime.store import Store
from condense.errors import DataError
from condense.options import Text, build_options
from condense.testing.toys import Notes
from condense_plugins.datasets.csv_file import Csv

HEADER = ["id", "age", "town", "score", "kind"]
# of age mean 30 and, as every value occurs equally often, standard deviation √(200/3)
ROWS = [
    [f"p{n}", f"{(20, 30, 40)[n % 3]}", ("Ulm", "Köln, Süd")[n % 2], f"{n / 4:.2f}", "ab"[n // 9]]
    for n in range(18)
]


def text_of(rows, header=HEADER):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue()


@pytest.fixture
def write(tmp_path):
    def save(rows=ROWS, header=HEADER, name="people.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text_of(rows, header).encode(encoding))
        return path

    return save


@pytest.fixture
def load(host, tmp_path):
    notes = Notes()
    context = EngineContext(host, Store(tmp_path / "store"), torch.device("cpu"), notes)

    def call(path, label="kind", **options):
        given = {"path": str(path), "label": label, **options}
        return Csv(build_options(Csv.Options, given, "data")).load(context)

    call.notes = notes.lines
    return call


def test_numbers_are_features_and_categories_one_hot(write, load):
    data = load(write(), ignore=["id"])
    assert data.inputs.shape == (18, 4)
    assert data.inputs[:, 0].tolist() == [float(row[1]) for row in ROWS]
    towns = [[float(row[2] == town) for town in ("Köln, Süd", "Ulm")] for row in ROWS]
    assert data.inputs[:, 1:3].tolist() == towns  # in the order of the alphabet
    assert data.inputs[:, 3].tolist() == [float(row[3]) for row in ROWS]
    assert data.classes == ("a", "b")
    assert data.labels.tolist() == [0] * 9 + [1] * 9
    mean, std = data.normalization.mean, data.normalization.std
    assert mean[:3] == pytest.approx((30, 0, 0))
    assert std[:3] == pytest.approx(((200 / 3) ** 0.5, 1, 1))
    assert data.items == tuple(f"people.csv#{n}" for n in range(18))
    assert data.table.rows == ROWS


def test_the_fingerprint_is_that_of_the_features_alone(write, load):
    data = load(write(), ignore=["id"])
    renamed = [["other", *row[1:]] for row in ROWS]
    assert load(write(renamed), ignore=["id"]).fingerprint == data.fingerprint
    assert load(write(), ignore=["id"]).fingerprint == data.fingerprint
    older = [[row[0], str(int(row[1]) + 1), *row[2:]] for row in ROWS]
    assert load(write(older), ignore=["id"]).fingerprint != data.fingerprint


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["1.0", "2.0", "1"], ("1", "2")),
        (["yes", "no", "yes"], ("no", "yes")),
        (["True", "False", "True"], ("False", "True")),
    ],
)
def test_labels_are_numbers_in_their_order_or_text(write, load, labels, classes):
    rows = [[str(n), labels[n % 3]] for n in range(9)]
    data = load(write(rows, ["x", "kind"]))
    assert data.classes == classes
    found = [float(classes[k]) if classes[0][-1].isdigit() else classes[k] for k in data.labels]
    given = [float(row[1]) if classes[0][-1].isdigit() else row[1] for row in rows]
    assert found == given


def test_numbers_may_be_categories_and_columns_be_left_out(write, load):
    data = load(write(), ignore=Text("id, town"), categories=Text("age"))
    names = [name for column in data.table.columns for name in column.features]
    assert names == ["age=20", "age=30", "age=40", "score"]
    assert data.table.rows == ROWS


def test_a_byte_order_mark_another_encoding_and_separator(write, load, tmp_path):
    plain = load(write(), ignore=["id"])
    for encoding, options in (("utf-8-sig", {}), ("cp1252", {"encoding": "cp1252"})):
        data = load(write(encoding=encoding), ignore=["id"], **options)
        assert data.fingerprint == plain.fingerprint
    path = tmp_path / "semicolons.csv"
    path.write_text(text_of([[row[1], row[4]] for row in ROWS], ["age", "kind"]).replace(",", ";"))
    assert load(path, separator=";").inputs.flatten().tolist() == [float(r[1]) for r in ROWS]


def test_a_share_is_the_test_split(write, load):
    data = load(write(), ignore=["id"], test=1 / 3)
    assert data.labels.bincount().tolist() == [6, 6]
    assert data.test.labels.bincount().tolist() == [3, 3]
    assert data.test.normalization == data.normalization
    assert data.normalization.mean[0] == pytest.approx(data.inputs[:, 0].mean().item())
    for part in (data, data.test):
        places = [int(item.removeprefix("people.csv#")) for item in part.items]
        assert part.table.rows == [ROWS[place] for place in places]


def test_another_file_is_the_test_split(write, load):
    held = [["x", "25", "Bonn", "1.5", "b"], ["y", "20", "Ulm", "0", "a"]]
    data = load(write(), ignore=["id"], test=str(write(held, name="held.csv")))
    assert len(data) == 18
    assert data.test.labels.tolist() == [1, 0]
    # a town that the training split does not have is none of its
    assert data.test.inputs.tolist() == [[25, 0, 0, 1.5], [20, 0, 1, 0]]
    assert data.test.items == ("held.csv#0", "held.csv#1")


def test_columns_that_say_nothing_are_noted(write, load):
    load(write([["1", *row] for row in ROWS], ["one", *HEADER]), ignore=["id"])
    assert load.notes == ["note: the same in every row and so without effect: 'one'"]


def test_a_column_that_numbers_the_rows_is_noted_whatever_is_held_out(write, load):
    rows = [[str(n + 7), f"{n % 5}", "ab"[n % 2]] for n in range(30)]
    load(write(rows[::-1], ["nr", "x", "kind"]), test=0.2)
    assert len(load.notes) == 1
    assert "'nr' numbers the rows" in load.notes[0]
    assert "`data.ignore=nr`" in load.notes[0]


def test_a_first_sample_in_the_place_of_names_is_noted(write, load):
    rows = [[f"{n / 7:.2f}", f"{n % 5}.5", "ab"[n % 2]] for n in range(1, 20)]
    load(write(rows[1:], ["0.14", "1.5", "b"]), label="b")
    assert ["columns are called '0.14', '1.5'" in note for note in load.notes] == [True]


@pytest.mark.parametrize("cell", ["oops", "", "n/a"])
def test_a_cell_that_is_no_number_is_named_wherever_it_is(write, load, cell):
    for bad in range(30):
        rows = [[cell if n == bad else f"{n % 5}", "ab"[n % 2]] for n in range(30)]
        with pytest.raises(DataError, match=r"column 'x' |missing in 'x'"):
            load(write(rows, ["x", "kind"]), test=0.2)


def test_numbers_that_float32_does_not_tell_apart_are_refused(write, load):
    rows = [[str(1_700_000_000 + n % 7), "ab"[n % 2]] for n in range(18)]
    with pytest.raises(DataError, match=r"column 't' holds .* one number in float32.*ignore=t"):
        load(write(rows, ["t", "kind"]))


@pytest.fixture
def csv_run(write, tiny):
    def call(method, **options):
        given = {"data.label": "kind", "data.ignore": ["id"], "data.test": 1 / 3, **tiny}
        given = {k: v for k, v in given.items() if not k.startswith("scorer")}
        if method == "random":
            given = {k: v for k, v in given.items() if not k.startswith("matcher")}
        else:
            given |= {"scorer": "random"}
        return condense(
            str(write()), method=method, ipc=3, device="cpu", options={**given, **options}
        )

    return call


def test_selected_samples_come_back_as_the_rows_of_the_file(csv_run, tmp_path):
    small = csv_run("random")
    places = [int(item.removeprefix("people.csv#")) for item in small.items]
    assert small.rows.rows == [ROWS[place] for place in places]
    again = CondensedDataset.load(small.save(tmp_path / "small"))
    assert again.rows.rows == small.rows.rows
    assert again.rows.columns == small.rows.columns


def test_distilled_rows_are_in_the_original_units(csv_run, tmp_path):
    small = csv_run("selmatch", **{"policy": "full"})
    assert small.distilled.all()
    # moved on purpose, far enough that a cell says so: one standard deviation up in age
    inputs = small.inputs.clone()
    inputs[:, 0] += 1
    inputs[:, 1], inputs[:, 2] = 0.4, 0.3
    moved = CondensedDataset(**{**vars(small), "inputs": inputs})
    again = CondensedDataset.load(moved.save(tmp_path / "small"))
    ages = small.features[:, 0] + small.normalization.std[0]
    for row, age, label in zip(again.rows.rows, ages, small.labels, strict=True):
        assert row[0] is None  # carried along with real rows alone
        assert row[1] == round(age.item())
        assert isinstance(row[1], int)
        assert row[2] == "Köln, Süd"
        assert isinstance(row[3], float)
        assert row[4] == "ab"[label]


def test_real_rows_stay_beside_distilled_ones(csv_run):
    small = csv_run("selmatch", **{"policy.alpha": 0.4})
    assert small.distilled.tolist().count(True) == 2
    for row, made, item in zip(small.rows.rows, small.distilled, small.items, strict=True):
        assert (row == ROWS[int(item.removeprefix("people.csv#"))]) != bool(made)


def test_a_damaged_table_is_refused(csv_run, tmp_path):
    folder = csv_run("random").save(tmp_path / "small")
    file = folder / "table.json"
    file.write_text(file.read_text().replace("Ulm", "Uln"))
    with pytest.raises(DataError, match=r"table\.json is damaged: checksum differs"):
        CondensedDataset.load(folder)
    file.unlink()
    with pytest.raises(DataError, match=r"table\.json cannot be read"):
        CondensedDataset.load(folder)


def test_a_run_repeats_from_its_recipe(write, tiny, tmp_path):
    path = write()
    options = {"data.label": "kind", "data.ignore": ["id"], "data.test": 0.25, "scorer": "random"}
    recipe = bind(str(path), method="random", ipc=2, options=options).recipe
    assert recipe.to_dict()["data"]["ignore"] == ["id"]
    assert recipe.all_paths() == {"data.path": str(path)}


def test_features_agree_with_those_of_plain_arrays(write, load):
    rows = [[row[1], row[3], row[4]] for row in ROWS]
    data = load(write(rows, ["age", "score", "kind"]))
    from condense import labeled_data

    values = np.array([[float(cell) for cell in row[:2]] for row in rows])
    plain = labeled_data(values, [row[2] for row in rows])
    assert data.fingerprint == plain.fingerprint
