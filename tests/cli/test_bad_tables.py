"""Tables that cannot be used: one line that names column, value and row, and what is allowed."""

import pytest

HEADER = "id,age,town,kind"
GOOD = [f"p{n},{20 + n % 5},{('Ulm', 'Bonn')[n % 2]},{'ab'[n % 2]}" for n in range(12)]


@pytest.fixture
def bad(refused, tmp_path):
    """Asserts that a CSV file of the given text is refused in one line with every part."""

    def check(text, *parts, args=(), label="kind", ignore="id"):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        told = ("-o", f"data.label={label}") if label else ()
        ignored = ("-o", f"data.ignore={ignore}") if ignore else ()
        given = ("--data", path, "--method", "random", "--ipc", 2, *told, *ignored, *args)
        return refused(*given, parts=[path, *parts], code=1)

    return check


def table(*changed, header=HEADER):
    """The good rows with lines (counted from 1, the header's) replaced."""
    lines = [header, *GOOD]
    for number, line in changed:
        lines[number - 1] = line
    return "\n".join(lines) + "\n"


def test_the_table_itself_is_good(run_cli, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(table())
    options = ("-o", "data.label=kind", "-o", "data.ignore=id", "--method", "random", "--ipc", 2)
    result = run_cli("select", "--data", path, *options, "--json")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"label": None}, ["which column", "-o data.label=COLUMN", "id, age, town, kind"]),
        ({"label": "knd"}, ["no column 'knd'", "did you mean 'kind'", "columns: id, age"]),
        ({"ignore": "id,ages"}, ["no column 'ages'", "did you mean 'age'"]),
        ({"ignore": "kind"}, ["'kind' is the label"]),
        ({"ignore": "id,age,town"}, ["no column is left"]),
        ({"ignore": None}, ["'id'", "another text in every row", "data.ignore=id"]),
    ],
)
def test_columns_that_are_not_there_or_wrong(bad, options, parts):
    text = table() + "\n".join(f"q{n},{n},Ulm,a" for n in range(12))
    bad(text, *parts, **options)


def test_missing_values_are_named_with_their_columns_counts_and_first_lines(bad):
    text = table((3, "p1,,Bonn,b"), (5, "p3,23,,b"), (9, "p7,NA,Bonn,b"))
    told = bad(text, "'age' (2, the first in line 3)", "'town' (1, the first in line 5)")
    assert "-o data.ignore=id,age,town" in told  # with what was ignored already
    for label in ("", "NaN", "?"):
        told = bad(table((4, f"p2,22,Ulm,{label}")), "'kind' (1, the first in line 4)")
        assert told.rstrip().endswith("drop these rows")  # no advice to leave the label out


def test_mixed_types_name_both_values(bad):
    told = bad(table((6, "p4,old,Ulm,a")), "'age' mixes number ('20' in line 2)", "'old' in line 6")
    assert "data.categories=age" in told
    assert "data.ignore=id,age" in told
    bad(table((6, "p4,24,Ulm,7")), "'kind' mixes text ('a' in line 2) and number ('7' in line 6)")


@pytest.mark.parametrize("every", [1, 3])
def test_decimal_commas_are_no_categories(bad, run_cli, tmp_path, every):
    """Not even where most cells are whole numbers; with points they are read."""
    cells = [f"{n},5" if n % every == 0 else str(n) for n in range(12)]
    text = "x;kind\n" + "".join(f"{cell};{'ab'[n % 2]}\n" for n, cell in enumerate(cells))
    told = bad(text, "'x' holds '0,5' in line 2", args=("-o", "data.separator=;"), ignore=None)
    assert "decimal=','" in told
    assert "data.categories=x" in told
    (tmp_path / "mended.csv").write_text(text.replace(",", ".").replace(";", ","))
    for name, more in (
        ("mended.csv", ()),
        ("table.csv", ("-o", "data.separator=;", "-o", "data.categories=x")),
    ):
        given = ("--data", tmp_path / name, "-o", "data.label=kind", "--method", "random")
        assert run_cli("select", *given, "--ipc", 2, *more).exit_code == 0


def test_a_tab_can_be_typed(run_cli, tmp_path):
    (tmp_path / "table.csv").write_text(table().replace(",", "\t"))
    options = ("-o", r"data.separator=\t", "-o", "data.label=kind", "-o", "data.ignore=id")
    result = run_cli(
        "select", "--data", tmp_path / "table.csv", *options, "--ipc", 2, "--method", "random"
    )
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("day", ["2024-05-01", "01.05.2024", "5/1/24", "2024-05-01T10:00:00"])
def test_dates_are_refused(bad, day):
    rows = "\n".join(f"{day},{n},{'ab'[n % 2]}" for n in range(12))
    parts = f"'day' holds dates ('{day}' in line 2)", "-o data.ignore=day"
    bad(f"day,x,kind\n{rows}\n", *parts, ignore=None)


@pytest.mark.parametrize("value", ["inf", "-Infinity", "1e39"])
def test_numbers_out_of_range(bad, value):
    bad(table((4, f"p2,{value},Ulm,a")), f"'age' holds {value} in line 4", "3.4e+38")


def test_labels_that_are_no_classes(bad):
    one = table().replace(",b\n", ",a\n")
    bad(one, "only class 'a'", "two classes")
    prices = "x,price\n" + "\n".join(f"{n},{n + 0.5}" for n in range(12))
    bad(prices, "'price' holds 0.5 in line 2", "whole numbers", label="price", ignore=None)
    many = "x,price\n" + "\n".join(f"{n % 7},{n}" for n in range(1001))
    bad(many, "'price' has 1001 different values", "at most 1000", label="price", ignore=None)


def test_too_many_categories_name_the_limit(bad):
    rows = "\n".join(f"{n // 2},t{n // 2},{'ab'[n % 2]}" for n in range(2002))
    bad(f"x,town,kind\n{rows}\n", "'town' has 1001 different values", "at most 1000", ignore=None)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["is empty"]),
        ("\n\n", ["is empty"]),
        (HEADER + "\n", ["a header and no rows"]),
        (table(header="id,age,age,kind"), ["two columns 'age'"]),
        (table(header="id,age,,kind"), ["column 3 has no name", "index=False"]),
        (table(header="1,2,3,4"), ["first line is '1,2,3,4'", "names of the columns"]),
        (table((5, "p3,23,Bonn")), ["line 5 has 3 cells, the header 4"]),
        (table((5, "p3,23,Bonn, Beuel,b")), ["line 5 has 5 cells, the header 4", "quotes"]),
        (table().replace(",", ";"), ["one column, 'id;age;town;kind'", "-o 'data.separator=;'"]),
        (table().replace(",", "\t"), ["one column, 'id\\tage", r"-o 'data.separator=\t' if"]),
        (table((3, "p1,21,K\xf6ln,b")).encode("latin-1"), ["line 3", "0xf6", "data.encoding="]),
        (table().encode("utf-16"), ["UTF-16", "data.encoding=utf-16"]),
        (table((3, 'p1,21,"Bonn,b')), ["begins in line 3", "close its quotes"]),
        (table((3, 'p1,21,Bonn,"5 inch')), ["begins in line 3", "close its quotes"]),
        (table((3, f"p1,21,{'x' * 140_000},b")), ["line 3", "field larger"]),
    ],
)
def test_files_that_are_no_table(bad, text, parts):
    bad(text, *parts)


def test_a_folder_and_a_file_that_is_not_there(refused, tmp_path):
    for place in (tmp_path, tmp_path / "gone.csv"):
        refused("--data", f"csv:{place}", "-o", "data.label=kind", parts=[place], code=1)


@pytest.mark.parametrize(
    ("held", "parts"),
    [
        ("id,age,kind\np,20,a\n", ["no column 'town' in held.csv"]),
        (
            "id,age,town,kind\np,20,Ulm,c\n",
            ["'kind' holds 'c' in line 2 of held.csv", "allowed: a, b"],
        ),
        (
            "id,age,town,kind\np,old,Ulm,a\n",
            ["'age' holds 'old' in line 2 of held.csv", "numbers alone"],
        ),
        ("id,age,town,kind\np,,Ulm,a\n", ["'age' (1, the first in line 2 of held.csv)"]),
    ],
)
def test_a_test_split_that_does_not_fit(bad, tmp_path, held, parts):
    (tmp_path / "held.csv").write_text(held)
    bad(table(), *parts, args=("-o", f"data.test={tmp_path}/held.csv"))


def test_a_share_of_a_class_of_one_row(bad):
    text = table((4, "p2,22,Ulm,rare"))
    bad(text, "class rare has 1 sample", args=("-o", "data.test=0.5"))
