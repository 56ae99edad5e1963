"""What TensorBoard and MLflow have of a run afterwards, read back with their own readers."""

import json
import sqlite3

import pytest

# what these packages warn of is for their makers
pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def run(call, tiny_flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        given = ("run", "--ipc", 2, "--device", "cpu", "--out", "small", "--no-baselines")
        done = call(*given, *words, *tiny_flags)
        assert "warning: tracker" not in done.stderr
        results = json.loads((tmp_path / "small" / "results.json").read_text())
        rows = (tmp_path / "small" / "trace.csv").read_text().splitlines()[1:]
        return [float(row.split(",")[1]) for row in rows], results["accuracy"]["mean"]

    return run


def test_tensorboard_has_curves_pictures_and_the_recipe(run, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    losses, accuracy = run("--tracker", "tensorboard")
    events = EventAccumulator(str(tmp_path / "tensorboard" / "small")).Reload()
    scalars = events.Scalars("matching/loss")
    assert [s.step for s in scalars] == [1, 2, 3]
    assert [s.value for s in scalars] == pytest.approx(losses, rel=1e-5)
    assert events.Scalars("accuracy/condensed")[0].value == pytest.approx(accuracy)
    pictures = events.Images("samples")
    assert [p.step for p in pictures] == [0, 3]
    assert (pictures[0].width, pictures[0].height) == (330, 33)
    text = events.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| matcher.network.width | 8 |" in text
    run("--tracker", "tensorboard")
    assert sorted(p.name for p in (tmp_path / "tensorboard").iterdir()) == ["small", "small-2"]


def test_tensorboard_says_where_it_cannot_write(run, call, tmp_path):
    (tmp_path / "file").write_text("")
    done = call("run", "--ipc", 1, "--tracker", "tensorboard:file", code=2)
    assert "tracker.folder=" in done.stderr.splitlines()[-1]


@pytest.mark.timeout(300)
def test_mlflow_has_figures_parameters_pictures_and_files(run, tmp_path):
    from mlflow import MlflowClient

    losses, accuracy = run("--tracker", f"mlflow:sqlite:///{tmp_path}/runs.db")
    assert sqlite3.connect(tmp_path / "runs.db").execute(
        "select count(*) from runs"
    ).fetchone() == (1,)
    client = MlflowClient(f"sqlite:///{tmp_path}/runs.db")
    where = client.get_experiment_by_name("condense").experiment_id
    (found,) = client.search_runs([where])
    assert found.info.run_name == "small"
    assert found.info.status == "FINISHED"
    assert found.data.params["matcher.network.width"] == "8"
    history = client.get_metric_history(found.info.run_id, "matching/loss")
    assert [(m.step, m.value) for m in sorted(history, key=lambda m: m.step)] == [
        (n, pytest.approx(loss, rel=1e-5)) for n, loss in enumerate(losses, 1)
    ]
    assert found.data.metrics["accuracy/condensed"] == pytest.approx(accuracy)
    names = {f.path for f in client.list_artifacts(found.info.run_id, "condensed")}
    assert {"condensed/manifest.json", "condensed/recipe.toml"} <= names
    assert client.list_artifacts(found.info.run_id, "images")
