"""The commands on the real engine, with tiny settings on digits."""

import json
import re

import numpy as np
import pytest
import safetensors.torch
import torch

from condense.engine.artefact.dataset import CondensedDataset
from condense.engine.feature_space.network import FeatureOptions

KEYS = ("method", "data", "ipc", "seed", "artefact", "accuracy", "baselines", "stages")
ARM = {"mean", "std", "n", "values", "balanced", "worst_class"}
FILES = {
    *("condensed.safetensors", "manifest.json", "recipe.toml", "trace.csv", "preview.png"),
    "run.log.json",
}


@pytest.fixture(scope="module")
def labels(real_host):
    """Classes of the digits' training samples."""
    component = real_host.registry("data").get("digits")
    return component(component.Options()).load(None).labels


@pytest.fixture(scope="module")
def options(tiny_flags):
    """With steps enough for every class to be told by some network."""
    return tuple(flag.replace("evaluator.steps=5", "evaluator.steps=40") for flag in tiny_flags)


@pytest.fixture(scope="module")
def call(calling, place):
    """Runs a command; one store for the whole module, so that later tests find its results."""
    return calling(place)


@pytest.fixture(scope="module")
def document(call, place, options):
    """What ``run --json`` printed."""
    result = call("run", "--json", "--device", "cpu", "--out", place / "out", *options)
    assert result.stderr == ""
    return json.loads(result.stdout)


def check_arm(arm, n=2):
    assert arm.keys() == ARM
    assert arm["n"] == len(arm["values"]) == n
    assert all(0 <= v <= 1 for v in arm["values"])
    assert arm["mean"] == pytest.approx(np.mean(arm["values"]))
    assert arm["std"] == pytest.approx(np.std(arm["values"], ddof=1))


def test_the_document_of_run_has_the_keys_of_the_design(document, place):
    assert {*KEYS, "peak_memory_mb"} <= document.keys()
    assert (document["method"], document["data"]) == ("selmatch", "digits")
    assert (document["ipc"], document["seed"]) == (5, 0)
    assert document["artefact"] == str(place / "out")
    check_arm(document["accuracy"])
    assert document["baselines"].keys() == {"random", "whole"}
    for arm in document["baselines"].values():
        check_arm(arm)
    assert document["stages"].keys() >= {"scorer", "selector", "matcher", "evaluator"}
    for stage in document["stages"].values():
        assert stage.keys() == {"seconds", "cached"}
        assert stage["seconds"] >= 0
        assert stage["cached"] is False
    assert 50 < document["peak_memory_mb"] < 20_000


def test_the_folder_of_run_has_the_files_of_the_design(document, place):
    out = place / "out"
    assert {p.name for p in out.iterdir()} >= FILES
    tensors = safetensors.torch.load_file(out / "condensed.safetensors")
    wanted = {"inputs", "labels", "role", "source_index", "step_size", "normalisation"}
    assert tensors.keys() >= wanted
    assert tensors["inputs"].shape == (50, 1, 8, 8)
    assert sorted(tensors["role"].tolist()) == [0] * 10 + [1] * 40
    assert len((out / "trace.csv").read_text().splitlines()) == 4
    log = json.loads((out / "run.log.json").read_text())
    assert log["stages"] == document["stages"]
    for path in out.iterdir():
        if path.name != "run.log.json" and path.suffix in (".json", ".toml", ".csv"):
            assert "seconds" not in path.read_text(), path.name
    assert str(place) not in (out / "manifest.json").read_text()


def test_what_is_wrong_with_a_run_is_said_and_kept(call, place, options, document):
    assert document["findings"] == []
    out = place / "mismatched"
    given = ("-o", "augmentation=simple", "--no-baselines", "--out", out, "--json")
    result = call("run", "--device", "cpu", *options, *given)
    (finding,) = json.loads(result.stdout)["findings"]
    assert finding.keys() == {"code", "message", "advice"}
    assert finding["code"] == "augmentation-mismatch"
    assert "matched under dsa and evaluated under simple" in finding["message"]
    assert "`augmentation=dsa`" in finding["advice"]
    typed = finding["advice"].replace("`augmentation=dsa`", "-o augmentation=dsa")
    told = " ".join(line.strip() for line in result.stderr.splitlines())
    assert told == f"warning: {finding['message']}; try: {typed}"
    assert json.loads((out / "results.json").read_text())["findings"] == [finding]
    evaluated = call("evaluate", place / "out", "-o", "augmentation=simple", "--json")
    assert json.loads(evaluated.stdout)["findings"] == [finding]
    assert evaluated.stderr == result.stderr
    assert json.loads(call("evaluate", place / "out", "--json").stdout)["findings"] == []


def test_the_table_of_run_and_the_second_run(call, place, options, document):
    before = {p.name: p.read_bytes() for p in (place / "out").iterdir() if p.is_file()}
    result = call("run", "--device", "cpu", "--out", place / "out", *options)
    after = {p.name: p.read_bytes() for p in (place / "out").iterdir() if p.is_file()}
    for name in before.keys() - {"run.log.json"}:
        assert after[name] == before[name], name
    rows = result.stdout.splitlines()
    for name, arm in {"selmatch": document["accuracy"], **document["baselines"]}.items():
        figures = f"{100 * arm['mean']:.2f} ± {100 * arm['std']:.2f} (2)"
        assert [row for row in rows if row.startswith(name) and figures in row], name
    for stage in ("scorer", "selector", "matcher", "evaluator", "random", "whole"):
        assert [row for row in rows if re.match(rf"{stage} .* s +cached", row)], stage
    assert str(place / "out") in result.stdout
    assert result.stderr == ""  # not a terminal


def test_the_recipe_file_repeats_the_run(call, place, document):
    args = ["--recipe", place / "out" / "recipe.toml", "--out", place / "again", "--json"]
    again = json.loads(call("run", *args, "--device", "cpu").stdout)
    assert all(stage["cached"] for stage in again["stages"].values())
    for name in FILES - {"run.log.json"}:
        assert (place / "again" / name).read_bytes() == (place / "out" / name).read_bytes(), name
    assert again["accuracy"] == document["accuracy"]


def test_without_baselines(call, place, options, document):
    args = ["run", "--json", "--no-baselines", "--out", place / "alone", *options]
    alone = json.loads(call(*args).stdout)
    assert alone["baselines"] == {}
    assert not {"random", "whole"} & alone["stages"].keys()
    assert alone["accuracy"] == document["accuracy"]


def test_evaluate_repeats_the_accuracy(call, place, document):
    result = json.loads(call("evaluate", place / "out", "--json").stdout)
    assert result["accuracy"] == document["accuracy"]
    assert result["stages"]["evaluator"]["cached"] is True
    more = ["-o", "evaluator.repeats=3", "-o", "evaluator.network=mlp"]
    other = json.loads(call("evaluate", place / "out", *more, "--json").stdout)
    check_arm(other["accuracy"], n=3)
    table = call("evaluate", place / "out").stdout
    assert f"{100 * document['accuracy']['mean']:.2f}" in table


def test_evaluate_splits_the_accuracy_by_difficulty(call, place, document, monkeypatch):
    class Quick(FeatureOptions):
        networks: int = 1
        feature_epochs: int = 2

    monkeypatch.setattr("condense.engine.evaluate.FeatureOptions", Quick)
    args = ("evaluate", place / "out", "--by-difficulty")
    parts = json.loads(call(*args, "--json").stdout)["by_difficulty"]
    assert parts["all"] == pytest.approx(document["accuracy"]["mean"])
    assert parts["all"] == pytest.approx((parts["easy"] + parts["hard"]) / 2, abs=1e-9)
    assert parts["easy"] > parts["hard"]
    table = call(*args).stdout
    assert f"{100 * parts['easy']:.2f}" in table
    assert "hard half, %" in table
    wrong = call(*args, "-o", "evaluator=coverage", "-o", "evaluator.feature_epochs=1", code=2)
    assert "'coverage' does not say which test samples were right" in wrong.stderr


def test_evaluate_has_no_effect_on_other_stages(call, place, document):
    result = call("evaluate", place / "out", "-o", "selector=random", code=2)
    assert "-o selector=random" in result.stderr


def test_score_writes_what_the_design_says(call, place, options, document):
    out = place / "scores"
    said = json.loads(call("score", "--out", out, "--json", *options).stdout)
    assert said["stages"]["scorer"]["cached"] is True  # the run has computed them
    assert {p.name for p in out.iterdir()} == {"scores.safetensors", "manifest.json"}
    scores = safetensors.torch.load_file(out / "scores.safetensors")["scores"]
    assert scores.shape == (1437,)
    assert scores.dtype == torch.float32
    assert said["quantiles"]["max"] == pytest.approx(float(scores.max()))
    assert said["direction"] == "higher-harder"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["samples"] == 1437
    table = call("score", "--out", out, *options).stdout
    assert "1437" in table


def test_scores_written_are_scores_read(call, place, options, document):
    call("score", "--out", place / "scores-2", *options)
    args = ["select", "--json", "--ipc", 4, "-o", "selector.beta=0.1"]
    own = json.loads(call(*args, *options).stdout)
    read = json.loads(call(*args, "-o", f"scorer=file:{place / 'scores-2'}").stdout)
    assert own["indices"] == read["indices"]
    assert len(own["indices"]) == 40


def test_select_writes_indices(call, place, options, labels, document):
    for suffix in ("npz", "json"):
        out = place / f"chosen.{suffix}"
        said = json.loads(call("select", "--out", out, "--json", *options).stdout)
        if suffix == "npz":
            with np.load(out, allow_pickle=False) as archive:
                indices = archive["indices"].tolist()
        else:
            indices = json.loads(out.read_text())["indices"]
        assert indices == said["indices"]
        assert said["labels"] == labels[indices].tolist() == sorted(said["labels"])
        assert set(said["per_class"].values()) == {5}
        call("select", "--out", out, *options)  # its own is replaced
        note = place / f"note.{suffix}"
        note.write_text('{"selector": "mine"}')
        assert "condense wrote" in call("select", "--out", note, *options, code=1).stderr
        assert note.read_text() == '{"selector": "mine"}'
    condensed = CondensedDataset.load(place / "out")
    assert condensed.source_index.tolist() == indices


def test_select_a_fraction(call, labels):
    args = ["select", "--json", "--method", "random", "--fraction", "0.1"]
    result = call(*args)
    sizes = np.bincount(labels.numpy())
    kept = [max(1, n // 10) for n in sizes]
    assert list(json.loads(result.stdout)["per_class"].values()) == kept
    told = (
        f"note: --fraction 0.1 keeps {sum(kept)} of {len(labels)} samples, not 144: of every class"
    )
    planned = call("run", *args[1:], "--no-baselines", "--dry-run")
    for said in (result.stderr, call(*args, "--dry-run").stderr, planned.stderr):
        assert said.splitlines() == [f"{told} its share, rounded down"]


def test_export_to_folder_and_npz_reads_back(call, place, document):
    for form, out in (("folder", place / "images"), ("npz", place / "small.npz")):
        said = json.loads(
            call("export", place / "out", "--to", form, "--out", out, "--json").stdout
        )
        assert said == {
            "artefact": str(place / "out"),
            "to": form,
            "out": str(out),
            "samples": 50,
        }
        grey = ["-o", "data.channels=grey"] if form == "folder" else []
        args = ["select", "--data", f"{form}:{out}", *grey, "--method", "random", "--ipc", 5]
        chosen = json.loads(call(*args, "--json").stdout)
        assert sorted(chosen["indices"]) == list(range(50))
    result = call("export", place / "out", "--to", "npz", "--out", place / "small.npz")
    assert str(place / "small.npz") in result.stdout


def test_uneven_classes_show_what_the_mean_hides(call, place, options, document):
    """Of 95 : 5, in which a guess of the larger class is 95 % right."""
    rng = np.random.default_rng(0)
    labels = (np.arange(200) % 20 == 0).astype(int)
    points = rng.normal(size=(200, 3)) + labels[:, None]
    split = {"train_inputs": points, "train_labels": labels}
    np.savez(place / "rare.npz", **split, test_inputs=points, test_labels=labels)
    given = (
        "run",
        "--method",
        "random",
        "--ipc",
        2,
        "--data",
        place / "rare.npz",
        "--no-baselines",
    )
    fast = ("-o", "evaluator.steps=3", "-o", "evaluator.repeats=2", "--out", place / "rare")
    told = json.loads(call(*given, *fast, "--json").stdout)["accuracy"]
    arm = json.loads((place / "rare" / "results.json").read_text())["arms"]["condensed"]
    assert told["balanced"] == pytest.approx(np.mean(arm["per_class"]))
    assert told["worst_class"] == min(arm["per_class"])
    assert told["mean"] == pytest.approx(np.dot(arm["per_class"], (0.95, 0.05)), abs=1e-6)
    lines = call(*given, *fast).stdout.splitlines()
    assert re.split("  +", lines[0])[2:4] == ["balanced, %", "worst class, %"]
    figures = [f"{100 * told[name]:.2f}" for name in ("balanced", "worst_class")]
    assert re.split("  +", lines[2])[2:4] == figures
    shown = call("evaluate", place / "rare", "--data", f"npz:{place / 'rare.npz'}").stdout
    assert all(figure in shown for figure in figures)
    assert "worst class" not in call("evaluate", place / "out").stdout  # ten of about one size


def test_learned_labels_are_exported_reported_and_evaluated(call, place, options, document):
    out = place / "soft"
    args = ["-o", "policy=learned-labels", "--no-baselines", "--out", out, "--json"]
    made = json.loads(call("run", *options, *args).stdout)
    assert made["soft_labels"] is True
    small = CondensedDataset.load(out)
    assert small.soft_labels.shape == (50, 10)
    told = call("run", *options, *args[:-3], "--out", place / "soft-again").stdout
    assert "train towards small.targets" in told

    again = json.loads(call("evaluate", out, "--json").stdout)
    assert again["accuracy"] == made["accuracy"]
    told = call("export", out, "--to", "folder", "--out", place / "soft-images").stderr
    assert "soft labels are in train/metadata.jsonl" in told
    told = call("export", out, "--to", "npz", "--out", place / "soft.npz").stderr
    assert "train towards soft_labels" in told
    soft = np.load(place / "soft.npz")["soft_labels"]
    assert np.array_equal(soft, small.soft_labels.numpy())

    call("report", out, place / "out", "--out", place / "soft.html")
    page = (place / "soft.html").read_text()
    own = float(small.soft_labels.gather(1, small.labels[:, None]).mean())
    assert f"{own:.2f} on the own class on average" in page
    assert "plain" in page


def files_below(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_dry_run_writes_nothing(call, place, options, document):
    before = files_below(place)
    args = ["run", "--dry-run", "--json", "--device", "cpu", "--out", place / "dry"]
    done = json.loads(call(*args, *options).stdout)
    assert files_below(place) == before
    assert not (place / "dry").exists()
    stages = {s["stage"]: s for s in done["stages"]}
    arms = ["evaluator", "random", "whole"]
    assert list(stages) == ["scorer", "selector", "prepare", "matcher", *arms]
    assert all(s["cached"] for s in stages.values())
    assert (done["seconds"], done["disk_mb"]) == (0, 0)
    fresh = json.loads(call(*args, *options, "--seed", 77).stdout)
    assert files_below(place) == before
    assert not any(s["cached"] for s in fresh["stages"])
    assert fresh["seconds"] > 0
    assert fresh["memory_mb"] > 0
    assert fresh["disk_mb"] > 0
    ablated = json.loads(call(*args, *options, "-o", "policy.alpha=0.2").stdout)
    cached = {s["stage"]: s["cached"] for s in ablated["stages"]}
    assert cached["scorer"]
    assert cached["selector"]
    assert cached["prepare"]  # the same experts, found under the run's own seed
    assert not cached["matcher"]
    assert ablated["disk_mb"] == 0
    table = call(*[a for a in args if a != "--json"], *options).stdout
    assert "total" in table
    assert table.startswith("selmatch on digits, ipc 5, seed 0: cscore → window → partial")


@pytest.mark.parametrize(
    ("args", "stages"),
    [
        (["select"], ["scorer", "selector"]),
        (["select", "-o", "selector=random"], ["selector"]),
        (["score", "-o", "selector=random"], ["scorer"]),  # though the recipe has no use for it
        (["evaluate"], ["evaluator"]),
        (["evaluate", "-o", "evaluator.labels=teacher"], ["teacher", "evaluator"]),
        (["evaluate", "--by-difficulty"], ["evaluator", "features"]),
    ],
)
def test_a_dry_run_of_one_part_says_what_that_does(call, place, options, document, args, stages):
    seed, store = ("--seed", 9), files_below(place)
    where = [place / "out"] if args[0] == "evaluate" else options
    asked = [*args, *where, "--device", "cpu", "--dry-run", "--json"]
    fresh = json.loads(call(*asked, *seed).stdout)
    assert [(s["stage"], s["cached"]) for s in fresh["stages"]] == [(s, False) for s in stages]
    assert fresh["seconds"] == pytest.approx(sum(s["seconds"] for s in fresh["stages"]))
    assert fresh["unknown"] == []
    if len(args) == 1:  # the run has done it
        assert all(s["cached"] for s in json.loads(call(*asked).stdout)["stages"])
    assert call(*asked[:-1]).stdout.splitlines()[-1].startswith("total")
    assert files_below(place) == store


def test_a_dry_run_of_one_part_refuses_what_that_refuses(call, place, options, document):
    for args, code in ((["--ipc", 5000], 1), (["--executor", "nope"], 2)):
        asked = ["select", *args, *options]
        assert call(*asked, "--dry-run", code=code).stderr == call(*asked, code=code).stderr != ""
    empty = ["evaluate", place, "--dry-run"]
    assert call(*empty, code=1).stderr == call(*empty[:-1], code=1).stderr != ""


def test_the_default_folder_names_the_run(call, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    args = ["run", "--json", "--method", "random", "--no-baselines", "--ipc", 2, "--seed", 3]
    tiny_evaluator = ["-o", "evaluator.steps=2", "-o", "evaluator.repeats=2"]
    said = json.loads(call(*args, *tiny_evaluator).stdout)
    assert re.fullmatch(r"runs/random-digits-ipc2-s3-[0-9a-f]{6,}", said["artefact"])
    assert (tmp_path / said["artefact"] / "manifest.json").is_file()
    again = json.loads(call(*args, *tiny_evaluator).stdout)
    assert again["artefact"] == said["artefact"]


def test_the_cache_is_listed_and_cleaned(call, place, document):
    listed = json.loads(call("cache", "list", "--json").stdout)
    assert listed["store"] == str(place / "store")
    counts = {k["kind"]: k["count"] for k in listed["kinds"]}
    assert counts.keys() >= {"scores", "selections", "matching", "experts", "evaluations"}
    on_disk = sum(p.stat().st_size for p in (place / "store").rglob("*/*/*") if p.is_file())
    assert listed["bytes"] == sum(k["bytes"] for k in listed["kinds"]) == on_disk
    assert listed["count"] == sum(counts.values())
    gone = json.loads(call("cache", "clean", "--kind", "experts", "--yes", "--json").stdout)
    assert gone["removed"] == counts["experts"]
    rest = json.loads(call("cache", "list", "--json").stdout)
    assert {k["kind"] for k in rest["kinds"]} == counts.keys() - {"experts"}
    call("cache", "clean", "--yes")
    assert json.loads(call("cache", "list", "--json").stdout)["count"] == 0
    assert (place / "out" / "manifest.json").is_file()  # finished runs are not touched
