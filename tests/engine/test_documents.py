"""Documents of results: what is written is what the schema says, and is read back as it was."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch

from condense import CondensedDataset
from condense.cli.schema import DOCUMENTS, FOLDER, schemas
from condense.engine.evaluate import evaluate_artefact
from condense.engine.outputs import write_scores, write_selection
from condense.engine.pipeline import Pipeline
from condense.engine.run import run
from condense.engine.runtime.progress import SilentProgress
from condense.engine.runtime.store import Store
from condense.engine.stages.stage import StageTime
from condense.errors import DataError
from condense.interfaces import Scores
from condense.options import assignments_of
from condense.resolve import Request, resolve

SCHEMA = {"method", "data", "ipc", "seed", "accuracy", "baselines", "budget", "findings"} | {
    *("soft_labels", "augmentation"),
}
MACHINE = {"artefact", "stages", "peak_memory_mb", "device"}  # clock, machine, place


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return {"store": store, "device": torch.device("cpu"), "progress": SilentProgress()}


@pytest.fixture(scope="module")
def made(tmp_path_factory, host, tiny, tools):
    """A small run, its folder and the documents of its commands."""
    pipeline = Pipeline(resolve(host, Request(assignments=assignments_of(tiny))), host, **tools)
    result = run(pipeline, tmp_path_factory.mktemp("runs") / "one", True)
    evaluated = evaluate_artefact(result.artefact, Request(), host, **tools)[1]
    scores = write_scores(pipeline, result.artefact.with_name("scores"))
    chosen = write_selection(pipeline, result.artefact.with_name("chosen.json"))
    printed = {"run": result, "evaluate": evaluated, "score": scores, "select": chosen}
    return result, {f"{name}.json": found.to_json() for name, found in printed.items()} | {
        name: json.loads((result.artefact / name).read_text())
        for name in ("results.json", "run.log.json")
    }


def test_the_schemas_are_not_stale():
    for name, text in schemas().items():
        written = json.loads((FOLDER / name).read_text(encoding="utf-8"))
        assert written == json.loads(text), "run `python -m condense.cli.schema`, commit the result"


@pytest.mark.parametrize(
    "name",
    ["run.json", "results.json", "run.log.json", "evaluate.json", "score.json", "select.json"],
)
def test_real_documents_follow_their_schema(name, made):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    document = made[1][name]
    jsonschema.validate(document, schema)
    assert document.keys() == schema["properties"].keys()  # nothing that the schema does not name
    for key in schema["required"]:
        with pytest.raises(jsonschema.ValidationError, match=key):
            jsonschema.validate({k: v for k, v in document.items() if k != key}, schema)
    assert DOCUMENTS[name].model_validate_json(json.dumps(document)).to_json() == document


def test_results_are_the_document_of_run_without_clock_and_machine(made):
    _, documents = made
    results, printed = documents["results.json"], documents["run.json"]
    assert printed.keys() == SCHEMA | MACHINE | {"fraction", "samples"}
    assert results.keys() == printed.keys() - MACHINE | {"arms", "kept"}
    assert {k: results[k] for k in results.keys() - {"arms", "kept"}} == {
        k: printed[k] for k in printed.keys() - MACHINE
    }
    assert results["budget"] == {"ipc": 5, "fraction": None, "samples": 50}
    assert results["findings"] == []
    assert (
        results["arms"].keys()
        == results["augmentation"].keys()
        == {
            *("condensed", "random", "whole"),
        }
    )
    for name, arm in {"condensed": results["accuracy"], **results["baselines"]}.items():
        own = ("mean", "std", "n", "values", "balanced", "worst_class")
        assert arm == {k: results["arms"][name][k] for k in own}
    assert {k: documents["run.log.json"][k] for k in MACHINE} == {k: printed[k] for k in MACHINE}


def test_files_of_scores_and_selections_are_what_is_printed_without_the_clock(made):
    result, documents = made
    folder = result.artefact.parent
    printed, clock = documents["score.json"], {"out", "quantiles", "stages", "findings"}
    manifest = json.loads((folder / "scores" / "manifest.json").read_text())
    assert manifest == {k: v for k, v in printed.items() if k not in clock}
    printed = documents["select.json"]
    chosen = json.loads((folder / "chosen.json").read_text())
    assert chosen.keys() == printed.keys() - {"stages", "findings"}
    assert chosen["indices"] == printed["indices"]
    assert sum(chosen["per_class"].values()) == len(chosen["indices"]) == 50


def test_companions_of_scores_are_written(made, tmp_path):
    scores = Scores(torch.rand(3), "mine", torch.rand(3), {"aum": torch.arange(3.0)})
    whole = SimpleNamespace(name="d", fingerprint="f", labels=torch.tensor([0, 1, 2]))
    data = type("Data", (), {"__len__": lambda self: 3, **vars(whole)})()
    scoring = SimpleNamespace(reads=None)
    bound = {"recipe": made[0].recipe, "progress": SilentProgress(), "scoring": scoring}
    timings = {"scorer": StageTime(0.1, False)}
    write_scores(
        SimpleNamespace(scores=scores, data=data, timings=timings, **bound), tmp_path / "s"
    )
    written = safetensors.torch.load_file(tmp_path / "s" / "scores.safetensors")
    assert written.keys() == {"scores", "standard_error", "companion.aum", "labels"}
    assert written["companion.aum"].tolist() == [0, 1, 2]


def test_a_loaded_set_has_its_results_and_keeps_them(made, tmp_path):
    result, documents = made
    small = CondensedDataset.load(result.artefact)
    assert small.results == documents["results.json"]
    small.save(tmp_path / "again")
    first, again = (f / "results.json" for f in (result.artefact, tmp_path / "again"))
    assert first.read_bytes() == again.read_bytes()


def test_what_was_not_evaluated_has_no_results(made, tmp_path, host, tiny_images, tools):
    assert result_of(tiny_images.without_test(), tmp_path, host, tools).results is None
    small = CondensedDataset.load(made[0].artefact)
    replace(small, results=None).save(tmp_path / "plain")
    assert CondensedDataset.load(tmp_path / "plain").results is None


def result_of(data, tmp_path, host, tools):
    """A set of ``data``, which have no test split, written and loaded."""
    recipe = resolve(host, Request("random", assignments=((("evaluator", "repeats"), 1),)))
    result = run(Pipeline(recipe, host, **tools, data=data), tmp_path / "made", True)
    document = json.loads((result.artefact / "results.json").read_text())
    assert (document["accuracy"], document["baselines"], document["arms"]) == (None, {}, {})
    return CondensedDataset.load(result.artefact)


def test_results_of_an_earlier_version_are_completed(made, tmp_path):
    """``results.json`` had nothing but ``arms`` once."""
    result, documents = made
    folder = tmp_path / "old"
    shutil.copytree(result.artefact, folder)
    (folder / "results.json").write_text(json.dumps({"arms": documents["results.json"]["arms"]}))
    assert CondensedDataset.load(folder).results == documents["results.json"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": "0"}, "seed: input should be a valid integer"),
        ({"accuracy": {"mean": 0.5}}, "'accuracy.std' is missing"),
        ({"arms": []}, "arms: input should be"),
    ],
)
def test_what_is_wrong_with_a_damaged_file_is_named(change, told, made, tmp_path):
    result, documents = made
    folder = tmp_path / "damaged"
    shutil.copytree(result.artefact, folder)
    (folder / "results.json").write_text(json.dumps(documents["results.json"] | change))
    with pytest.raises(DataError) as caught:
        CondensedDataset.load(folder)
    assert f"{folder / 'results.json'} is damaged: {told}" in str(caught.value)
    assert str(caught.value).endswith("; run the recipe again")
