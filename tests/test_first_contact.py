"""What somebody tries first: Tab, help, a path, two arguments."""

import dataclasses
import json
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import condense as package
from condense import CondensedDataset, condense
from condense.api import bind
from condense.errors import DataError, OptionError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder: ``photos`` and ``digits`` are folders of images, ``x.npz`` features."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("photos", 40), ("digits", 90)):
        for k, label in enumerate(("ant", "bee")):
            place = tmp_path / name / label
            place.mkdir(parents=True)
            for n in range(3):
                Image.fromarray(np.full((8, 8, 3), value + 9 * n + k, np.uint8)).save(
                    place / f"{n}.png"
                )
    np.savez(
        tmp_path / "x.npz", train_inputs=np.arange(12.0).reshape(6, 2), train_labels=[0, 1] * 3
    )
    (tmp_path / "x.tsv").write_text("a,b\n")
    return tmp_path


def test_tab_shows_the_public_names_and_loads_nothing():
    code = "import condense, sys; print(*dir(condense)); print('torch' in sys.modules)"
    names, loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {*package.__all__, "CondensedDataset"} <= set(names.split())
    assert not {"Any", "TYPE_CHECKING", "importlib"} & set(names.split())
    assert loaded == "False"


def test_help_describes_every_field():
    told = pydoc.plain(pydoc.render_doc(CondensedDataset))
    described = told.partition("Attributes:")[2].partition("Method resolution order")[0]
    for field in dataclasses.fields(CondensedDataset):
        assert re.search(rf"\b{field.name}\b[\w, ]*: \w", described), field.name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("photos", "folder"),
        ("./photos/", "folder"),
        (Path("photos"), "folder"),
        (Path("digits"), "folder"),  # a path is a path
        ("./digits", "folder"),
        ("digits", "digits"),  # a name is a name
        ("x.npz", "npz"),
        (Path("x.npz"), "npz"),
    ],
)
def test_a_path_alone_is_taken_for_data(host, folder, data, name):
    pipeline = bind(data, host=host, ipc=1)
    assert pipeline.recipe["data"].name == name
    if name != "digits":
        assert pipeline.recipe["data"].options.path == str((folder / data).resolve())
        assert len(pipeline.data) == 6
    same = bind(Path(folder / data), host=host, ipc=1)
    assert same.recipe["data"].name == ("folder" if data == "digits" else name)


def test_on_the_command_line_likewise(call, folder, tiny_flags):
    asked = ("select", "--json", "--ipc", 1, *tiny_flags)
    kept = {}
    for given in (("--data", "folder:photos"), ("--data", "photos"), ("-o", "data=photos")):
        kept[given] = json.loads(call(*asked, *given).stdout)["kept"]
    assert len({json.dumps(found) for found in kept.values()}) == 1
    told = call("run", "--data", "photos", "-o", "data.path=digits", code=2)
    assert "contradict each other" in told.stderr
    assert re.search(
        r"no data set opens x\.tsv .*\.npz.*save it as an \.npz",
        call(*asked, "--data", "x.tsv", code=2).stderr,
    )
    told = call(*asked, "--data", "phtos", code=2).stderr
    assert "no file or folder phtos" in told
    assert "did you mean 'photos'?" in told
    assert "unknown data 'zzz'" in call(*asked, "--data", "zzz", code=2).stderr


@pytest.mark.parametrize("text", ["", "~nosuchuser/x", "a\0b", "x" * 5000, "gone/photos", ":"])
def test_what_is_no_path_is_an_unknown_name(host, folder, text):
    with pytest.raises(OptionError, match="data"):
        bind(text, host=host)


def test_two_arguments_are_answered_with_the_right_call(host):
    values, labels = np.zeros((6, 3)), [0, 1] * 3
    with pytest.raises(OptionError, match=re.escape("condense((X, y), ipc=5)")):
        condense(values, labels, ipc=1, host=host)
    for alone in (values, torch.zeros(6, 3)):
        with pytest.raises(OptionError, match=r"alone, without labels; .*condense\(\(X, y\)"):
            condense(alone, ipc=1, host=host)
    with pytest.raises(OptionError, match="a path, a pair"):
        condense(7, host=host)


def test_items_that_are_tables_are_answered_with_the_pairs_to_give(host):
    rows = [{"image": np.zeros((8, 8), np.uint8), "label": k % 2} for k in range(6)]
    with pytest.raises(DataError) as caught:
        condense(rows, host=host)
    told = str(caught.value)
    assert "keys image, label" in told
    (pairs,) = re.findall(r"give pairs: (.*)", told)
    given = eval(pairs, {"data": rows})
    assert len(bind(given, host=host, ipc=1).data) == 6


def test_plugins_says_what_each_component_does(call, host):
    lines = call("plugins").stdout.splitlines()
    assert lines[0].split("  ")[-1].strip() == "what it does"
    (window,) = [line for line in lines if re.match(r"selector +window ", line)]
    assert window.endswith("Skips the hardest β of each class and takes the samples that come next")
    components = [line for line in lines[2:] if line.split()[0] in host.registries]
    assert all(re.match(r"\S+ +\S+ +condense-data +[\d.]+ +\S.{10,}", line) for line in components)
    assert "``" not in call("plugins").stdout
