"""Files that were damaged or made to harm: one plain line with file and key, no traceback."""

import hashlib
import json
import shutil
import warnings
import zipfile

import click.testing
import numpy as np
import pytest
import safetensors.torch
import torch

from condense.cli.main import main

SMALL = {
    "scorer": "random",
    "selector.beta": "0.1",
    "matcher.iterations": "2",
    "matcher.experts": "1",
    "matcher.max_start_epoch": "2",
    "matcher.steps": "2",
    "matcher.network": "mlp",
    "matcher.snapshots": "[1]",
    "evaluator.steps": "2",
    "evaluator.repeats": "1",
    "evaluator.network": "mlp",
}
OPTIONS = [part for key, value in SMALL.items() for part in ("-o", f"{key}={value}")]
FEATURES = ["-o", "matcher.augmentation=none", "-o", "augmentation=none"]
COVERAGE = ["-o", "evaluator.feature_epochs=1", "-o", "evaluator.feature_network=mlp"]


@pytest.fixture(scope="module")
def call(real_host):
    def run(*args):
        given = [str(a) for a in args]
        return click.testing.CliRunner().invoke(main, given, obj=real_host)

    return run


def write_npz(path, features=False, **replaced):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 8)
    images = rng.integers(0, 256, (24, 8, 8, 3)).astype(np.uint8)
    inputs = rng.normal(size=(24, 5)).astype(np.float32) if features else images
    half = {"test_images": inputs[::3], "test_labels": labels[::3]}
    np.savez(path, **({"train_images": inputs, "train_labels": labels} | half | replaced))
    return path


@pytest.fixture(scope="module")
def made(call, tmp_path_factory):
    """An artefact of images, evaluated, with a snapshot."""
    folder = tmp_path_factory.mktemp("made")
    data = write_npz(folder / "d.npz")
    args = ("run", "--data", f"npz:{data}", "--ipc", 3, "--no-baselines", "--out", folder / "a")
    result = call(*args, *OPTIONS)
    assert result.exit_code == 0, result.stderr
    return folder / "a"


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(made, tmp_path / "copy")


def change_tensors(folder, **changed):
    """The tensors with those ``changed``, under a checksum that is right."""
    path, manifest = folder / "condensed.safetensors", folder / "manifest.json"
    blob = safetensors.torch.save(safetensors.torch.load_file(path) | changed)
    path.write_bytes(blob)
    table = json.loads(manifest.read_text()) | {"sha256": hashlib.sha256(blob).hexdigest()}
    manifest.write_text(json.dumps(table))


def refused(result, *parts):
    """That ``result`` is one plain line with ``parts``."""
    assert result.exit_code in (1, 2), (result.exit_code, result.stderr)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert "bug in condense" not in lines[0]
    for part in parts:
        assert str(part) in lines[0], lines[0]


def refused_everywhere(call, folder, *parts):
    commands = (
        ("evaluate", folder, "--data", f"npz:{folder.parent / 'd.npz'}"),
        ("export", folder, "--to", "npz", "--out", "x.npz"),
        ("export", folder, "--to", "folder", "--out", "x"),
        ("report", folder, "--out", "x.html"),
        ("coverage", folder, "--out", "x", *COVERAGE),
    )
    for args in commands:
        refused(call(*args), *parts)
    assert not list(folder.parent.glob("x*"))


def like(name, change):
    return lambda tensors: {name: change(tensors[name])}


TENSORS = {
    "labels-negative": like("labels", lambda t: t - 5),
    "labels-too-many": like("labels", lambda t: t + 5),
    "labels-float": like("labels", lambda t: t.float()),
    "labels-2d": like("labels", lambda t: t[:, None].clone()),
    "inputs-f64": like("inputs", lambda t: t.double()),
    "inputs-f16": like("inputs", lambda t: t.half()),
    "inputs-int": like("inputs", lambda t: t.int()),
    "inputs-empty": like("inputs", lambda t: t[:0].clone()),
    "inputs-nan": like("inputs", lambda t: t * torch.nan),
    "inputs-one-infinite": like("inputs", lambda t: t.index_fill(0, torch.tensor([2]), torch.inf)),
    "role-2": like("role", lambda t: t + 2),
    "source_index-short": like("source_index", lambda t: t[1:].clone()),
    "source_index-float": like("source_index", lambda t: t.float()),
    "source_inputs-short": like("source_inputs", lambda t: t[1:].clone()),
    "source_inputs-float": like("source_inputs", lambda t: t.float()),
    "normalisation-nan": like("normalisation", lambda t: t * torch.nan),
    "normalisation-short": like("normalisation", lambda t: t[:1].clone()),
    "step_size-two": like("step_size", lambda t: torch.stack([t, t])),
    "further-tensor": lambda tensors: {"further": torch.ones(1)},
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_of_another_type_shape_or_range_is_refused(call, copy, name):
    tensors = safetensors.torch.load_file(copy / "condensed.safetensors")
    change_tensors(copy, **TENSORS[name](tensors))
    refused_everywhere(call, copy, "condensed.safetensors", name.partition("-")[0])


def test_a_snapshot_of_another_length_or_with_nan_is_refused(call, copy):
    path = copy / "snapshots" / "iteration-000001.safetensors"
    inputs = safetensors.torch.load_file(path)["inputs"]
    for wrong in (inputs[1:].clone(), inputs * torch.nan):
        path.write_bytes(safetensors.torch.save({"inputs": wrong}))
        refused_everywhere(call, copy, path.name, "inputs")


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


def put(*keys):
    """Sets a value of a nested table."""

    def change(table, value):
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value

    return change


MANIFEST = {
    "method-number": (put("method"), 5, "method"),
    "method-surrogate": (put("method"), "\ud800", "invalid JSON"),
    "seed-text": (put("seed"), "0", "seed"),
    "flip-number": (put("flip"), 2, "flip"),
    "recipe-number": (put("recipe"), 7, "recipe"),
    "recipe-data-text": (put("recipe", "data"), "npz", "data"),
    "recipe-evaluator-null": (put("recipe", "evaluator"), None, "evaluator"),
    "recipe-huge": (put("recipe", "selector", "beta"), 10**400, "beta"),
    "recipe-fraction-text": (put("recipe", "fraction"), "x", "fraction"),
    "paths-unknown": (put("paths"), ["data.nothing"], "data.nothing"),
    "paths-of-numbers": (put("paths"), [5], "paths"),
    "snapshots-text": (put("snapshots"), ["1"], "snapshots"),
    "classes-surrogate": (put("classes", 0), "\udcff", "invalid JSON"),
    "data-null": (put("data"), None, "data"),
    "step-size-infinite": (put("step_size"), float("inf"), "step_size"),
}


@pytest.mark.parametrize("name", MANIFEST)
def test_a_manifest_with_a_field_of_another_type_is_refused(call, copy, name):
    change, value, key = MANIFEST[name]
    table = json.loads((copy / "manifest.json").read_text())
    change(table, value)
    (copy / "manifest.json").write_text(json.dumps(table))
    refused_everywhere(call, copy, "manifest.json", key)


@pytest.mark.parametrize("name", ["manifest.json", "results.json"])
def test_deep_nesting_is_refused(call, copy, name):
    for depth in (300, 5000):
        (copy / name).write_text(nested(depth))
        refused_everywhere(call, copy, name, "recursion limit")


def test_a_recipe_nested_deep_is_refused(call, copy):
    for text in (
        f"a = {'[' * 5000}",
        f"[selector]\nbeta = {'[' * 100}{']' * 100}",
        f"selector.{'a.' * 2000}b = 1",
    ):
        (copy / "recipe.toml").write_text(text)
        refused(call("run", "--recipe", copy / "recipe.toml"), copy / "recipe.toml", "nested")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"seed = {'9' * 5000}", ["r.toml", "valid TOML"]),
        (f"seed = {'9' * 30}", ["r.toml", "seed", "63 bits"]),
        ("[selector]\nbeta = inf", ["r.toml", "selector.beta", "inf"]),
        ("[selector]\nbeta = 1979-05-27", ["r.toml", "selector.beta", "date"]),
        (
            '[scorer]\ncomponent = "file"\npath = "a\\u0000b"',
            ["r.toml", "scorer.path", "character 0"],
        ),
        ("left_out = 5", ["r.toml", "left_out", "5"]),
        ("[matcher.network]\ncomponent = 2.5", ["r.toml", "'2.5'", "matcher.network"]),
        ("[evaluator]\nnetwork = 'mlp:x'", ["r.toml", "evaluator.network=mlp:x"]),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named_with_its_key(call, tmp_path, monkeypatch, text, parts):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.toml").write_text(text)
    refused(call("run", "--recipe", "r.toml"), *parts)


def test_a_number_beyond_floats_in_results_is_refused(call, copy):
    table = json.loads((copy / "results.json").read_text())
    for number in (10**400, 1e308, -0.5, float("nan")):
        table["arms"]["condensed"]["values"][0] = number
        (copy / "results.json").write_text(json.dumps(table))
        refused_everywhere(call, copy, "results.json", "arms.condensed.values.0")


def test_a_trace_with_another_row_is_refused(call, copy):
    for row in ("1,x,2", "1,2", "2,0.5,0.1", "1,0.5,0.1,7", ""):
        (copy / "trace.csv").write_text(f"iteration,loss,step_size\n{row}\n")
        refused_everywhere(call, copy, "trace.csv", "line 2")
    (copy / "trace.csv").write_text("iteration,loss,step_size,image_lr\n1,0.5,0.1\n")
    refused_everywhere(call, copy, "trace.csv", "line 2 is '1,0.5,0.1', expected '1,LOSS,")


# ---- data -------------------------------------------------------------------------------------


def run_npz(call, path, *more):
    args = ("--ipc", 2, "--method", "random", "--no-baselines", "--out", path.parent / "out")
    return call("run", "--data", f"npz:{path}", *args, *more)


@pytest.mark.parametrize("key", ["classes", "train_labels", "test_labels"])
def test_bytes_in_an_npz_that_are_no_utf_8_are_refused(call, tmp_path, key):
    good, bad = np.array([b"a", b"b", b"c"]), np.array([b"a", b"\xff", b"c"])
    labels = np.repeat([0, 1, 2], 8)
    arrays = {"train_labels": good[labels], "test_labels": good[labels[::3]]}
    arrays |= {"train_labels": bad[labels]} if key == "train_labels" else {}
    arrays |= {"test_labels": bad[labels[::3]]} if key == "test_labels" else {}
    if key == "classes":
        arrays = {"classes": bad}
    path = write_npz(tmp_path / "d.npz", **arrays)
    refused(run_npz(call, path), path, key.replace("_", " "), r"b'\xff'")


def test_names_in_an_npz_that_are_no_text_are_refused(call, tmp_path):
    names = np.array(["a", "b", "c"]).view(np.uint32)
    for code in (0xD800, 0x110000):
        names[1] = code
        path = write_npz(tmp_path / "d.npz", classes=names.view("U1"))
        refused(run_npz(call, path), path, "classes", "text")


@pytest.mark.parametrize("header", ["{'descr': '<f4', 'shape': ((((((", "(" * 110, "\0\0\0", "é"])
def test_an_array_with_a_header_of_rubbish_is_refused(call, tmp_path, header):
    path = write_npz(tmp_path / "d.npz")
    rubbish = b"\x93NUMPY\x01\x00v\x00" + header.encode().ljust(117) + b"\n"
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")  # the name is there twice: the last counts
        archive.writestr("train_images.npy", rubbish)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's own, of the header
        refused(run_npz(call, path), path, "train_images")


def test_images_are_not_resized_to_a_billion_pixels(call, tmp_path):
    args = ("run", "--data", f"folder:{tmp_path}", "-o", "data.resize=1000000000")
    refused(call(*args), "data.resize=1000000000", "≤ 8192")


def test_a_score_file_with_labels_that_are_no_text_is_refused(call, tmp_path):
    data = write_npz(tmp_path / "d.npz")
    scores, args = tmp_path / "s.npz", ("--out", tmp_path / "out", "--ipc", 2)
    for labels in (np.array([b"\xff"] * 24), np.zeros(24, "M8[s]"), np.zeros((24, 2))):
        np.savez(scores, scores=np.arange(24.0), labels=labels)
        given = ("run", "--data", f"npz:{data}", "-o", f"scorer=file:{scores}")
        refused(call(*given, *args), scores, "labels")


# ---- numbers that went wrong ------------------------------------------------------------------


def test_feature_data_that_diverged_are_told_of(call, tmp_path):
    data = write_npz(tmp_path / "f.npz", features=True)
    given = ("run", "--data", f"npz:{data}", "--ipc", 3, "--no-baselines", *OPTIONS, *FEATURES)
    given += ("-o", 'evaluator.baseline_augmentations=["none"]')
    sound = call(*given, "--out", tmp_path / "sound", "-o", "matcher.image_lr=0.1")
    assert sound.exit_code == 0, sound.stderr
    assert "diverged" not in sound.stderr
    far = call(*given, "--out", tmp_path / "far", "-o", "matcher.image_lr=1e9")
    assert far.exit_code == 0, far.stderr
    assert "standard deviations of the features, as after matching has diverged" in far.stderr
    assert "lower matcher.image_lr" in far.stderr


# ---- messages ---------------------------------------------------------------------------------


def test_a_list_that_must_not_be_empty_is_named_alone(call):
    empty = "evaluator.baseline_augmentations=[]"
    result = call("run", "-o", empty)
    refused(result, f"{empty}: must be a list that is not empty")
    assert "NetworkSpec" not in result.stderr


def test_a_value_nested_deep_on_the_command_line_is_refused(call):
    for depth in (100, 5000):
        assignment = f"selector.beta={'[' * depth}{']' * depth}"
        refused(call("run", "-o", assignment), "selector.beta")


# ---- export -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("a_", "a_-2", "a?"),
        ("a", "A", "a-1"),
        ("metadata.jsonl", "a?", "a*"),
        ("straße", "STRASSE", "strasse-2"),
        ("é", "e\u0301", "É"),
        ("CON", "con.txt", "_CON"),
        ("..", "class-0", "/"),
    ],
)
def test_an_export_never_merges_two_classes(call, tmp_path, names):
    data = write_npz(tmp_path / "d.npz", classes=np.array(names))
    made = run_npz(call, data, *OPTIONS[-6:])
    assert made.exit_code == 0, made.stderr
    exported = tmp_path / "images"
    result = call("export", tmp_path / "out", "--to", "folder", "--out", exported)
    assert result.exit_code == 0, result.stderr
    folders = [path for path in (exported / "train").iterdir() if path.is_dir()]
    assert sorted(len(list(folder.iterdir())) for folder in folders) == [2, 2, 2]
    assert len({folder.name.casefold() for folder in folders}) == 3
    reserved = {"CON", "PRN", "AUX", "NUL"}
    assert not {folder.name.partition(".")[0].upper() for folder in folders} & reserved
    assert {path.name for path in tmp_path.iterdir()} <= {"d.npz", "out", "images", "store"}


# ---- the store --------------------------------------------------------------------------------

SCORED = (*OPTIONS[2:], "-o", "scorer=el2n", "-o", "scorer.networks=1", "-o", "scorer.epochs=1")
SCORED += ("-o", "scorer.network=mlp")


def rehash(entry, change):
    """``change`` to tensors and values of an entry, under checksums that are right."""
    path = entry / "tensors.safetensors"
    table = json.loads((entry / "entry.json").read_text())
    tensors = safetensors.torch.load_file(path)
    change(tensors, table["values"])
    blob = safetensors.torch.save(tensors)
    path.write_bytes(blob)
    values = json.dumps(table["values"], sort_keys=True).encode()
    sums = (hashlib.sha256(blob).hexdigest(), hashlib.sha256(values).hexdigest())
    table |= dict(zip(("sha256", "values_sha256"), sums, strict=True))
    (entry / "entry.json").write_text(json.dumps(table))


def named(name, change):
    return lambda tensors, values: tensors.update({name: change(tensors[name])})


FORGED = {
    "scores-nan": named("scores", lambda t: t * torch.nan),
    "scores-short": named("scores", lambda t: t[1:].clone()),
    "scores-estimator": lambda tensors, values: values.update(estimator=5),
    "selections-twice": named("indices", lambda t: t * 0),
    "selections-far": named("indices", lambda t: t + 100),
    "selections-counts": lambda tensors, values: values.update(counts=[9]),
    "matching-nan": named("distilled", lambda t: t * torch.nan),
    "matching-f64": named("distilled", lambda t: t.double()),
    "matching-missing": lambda tensors, values: tensors.pop("loss"),
    "matching-snapshot": named("snapshot-1", lambda t: t[1:].clone()),
    "evaluations-above-1": lambda tensors, values: values.update(values=[1.5]),
    "evaluations-missing": lambda tensors, values: values.pop("protocol"),
    "evaluations-right": named("right", lambda t: t[1:].clone()),
    "dynamics-shape": named("margin", lambda t: t[:, 1:].clone()),
    "experts-shape": named("trajectory", lambda t: t[1:].clone()),
    "experts-missing": lambda tensors, values: tensors.clear(),
}


@pytest.fixture(scope="module")
def whole(call, tmp_path_factory):
    """A run with its store: scored, selected, matched, evaluated."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_npz(folder / "d.npz")
    given = ("run", "--data", f"npz:{data}", "--ipc", 3, "--no-baselines", *SCORED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONDENSE_STORE", str(folder / "store"))
        result = call(*given, "--out", folder / "a")
    assert result.exit_code == 0, result.stderr
    return folder, given


@pytest.mark.parametrize("name", FORGED)
def test_a_stored_entry_that_is_not_what_its_stage_gives_is_made_anew(
    call, whole, tmp_path, monkeypatch, name
):
    folder, given = whole
    store, kind = tmp_path / "store", name.partition("-")[0]
    shutil.copytree(folder / "store", store)
    (entry,) = (store / kind).glob("*/")
    rehash(entry, FORGED[name])
    after = {"dynamics": ("scores",), "experts": ("matching",)}
    for later in after.get(kind, ()):  # what is made of it is not there
        shutil.rmtree(store / later)
    result = call(*given, "--out", tmp_path / "b")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("is damaged (") == 1, result.stderr
    assert f"cache entry {entry}" in result.stderr
    for file in ("condensed.safetensors", "manifest.json", "results.json", "trace.csv"):
        assert (tmp_path / "b" / file).read_bytes() == (folder / "a" / file).read_bytes()
    assert "damaged" not in call(*given, "--out", tmp_path / "c").stderr


def test_a_name_in_a_list_is_refused_with_the_key_of_the_list(call, made):
    data = ("--data", f"npz:{made.parent / 'd.npz'}", "--dry-run")
    key = "evaluator.baseline_augmentations"
    refused(call("run", *data, "-o", f'{key}=["nope"]'), "'nope'", f"{key}=nope")
    refused(call("run", *data, "-o", f'{key}=["a\\u0000b"]'), key, "character 0")
