import json
import types
from pathlib import Path

import click
import click.testing
import pytest

from condense.cli.flags import method_and_recipe_flags
from condense.engine.artefact.exports.forms import FORMS
from condense.engine.runtime.store import Payload, Store
from condense.report.diagnosis.findings import problems
from condense.results import Evaluation, Finding


def summary(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_run_shows_arms_side_by_side_and_how_to_load(cli, engine):
    engine.result = cli.run_result()
    result = cli("run")
    assert result.exit_code == 0
    rows = [line.split("  ") for line in result.stdout.splitlines()]
    cells = {r[0]: [c.strip() for c in r[1:] if c.strip()] for r in rows if len(r) > 1}
    assert cells["selmatch"] == ["98.00 ± 1.41 (2)", "+5.00 points over random"]
    assert cells["random"] == ["93.00 ± 0.00 (1)", "augmentation dsa, same size"]
    assert cells["whole"][1] == "augmentation simple, +6.50 points over random"
    assert cells["score"] == ["1 min 11 s"]
    assert cells["match"] == ["0.0 s", "cached"]
    assert "512 MB" in result.stdout
    assert 'small = CondensedDataset.load("runs/x")' in result.stdout
    assert "selmatch on toy" not in result.stderr  # the recipe in one line is for terminals


@pytest.mark.parametrize(
    ("given", "method"),
    [
        (["mtt"], "mtt"),
        (["--method", "mtt"], "mtt"),
        (["mtt", "--method", "mtt"], "mtt"),
        ([], None),
    ],
)
def test_a_method_is_the_argument_or_the_flag(given, method):
    @click.command()
    @method_and_recipe_flags
    def command(request):
        asked.append(request.method)

    asked = []
    assert click.testing.CliRunner().invoke(command, given).exit_code == 0
    assert asked == [method]


@pytest.mark.parametrize("command", [("ablate", "--vary", "seed=1"), ("tune",)])
def test_two_methods_for_one_are_refused(cli, command):
    result = cli(*command, "window", "--method", "mtt")
    assert result.exit_code == 2
    said = "error: METHOD window and --method mtt are two methods; give one of them"
    assert result.stderr.splitlines()[-1] == said


def test_run_without_a_test_split_has_no_table_of_arms(cli, engine):
    engine.result = cli.run_result(accuracy=None, baselines={})
    assert "% ± std" not in cli("run").stdout


def test_run_says_what_is_wrong_with_the_result_a_line_each_on_stderr(cli, engine):
    found = [
        Finding("loss-rises", "loss", "problem", "it went up", "updates overshoot", "lower it"),
        Finding("strange", "strange", "problem", "odd", "nobody knows why"),
    ]
    engine.result = cli.run_result(findings=tuple(found))
    told = [line for line in cli("run").stderr.splitlines() if line.startswith("warning")]
    assert told == [
        "warning: it went up; updates overshoot; try: lower it",
        "warning: odd; nobody knows why",
    ]
    engine.result = cli.run_result()
    assert "warning" not in cli("run").stderr


def test_run_passes_the_flags_on(cli, engine, tmp_path):
    engine.result = cli.run_result()
    recipe = tmp_path / "r.toml"
    recipe.write_text("seed = 4\nipc = 9\n[matcher]\nsteps = 7\n")
    args = ["--recipe", str(recipe), "--fraction", "0.5", "-o", "matcher.memory=constant"]
    out = tmp_path / "o"
    result = cli("run", *args, "--no-baselines", "--out", str(out), "--device", "cpu", "--json")
    assert result.exit_code == 0, result.stderr
    pipeline, *others = engine.calls[0][0]
    assert others == [out, False, problems, False, {}, None]
    assert pipeline.recipe.seed == 4
    assert (pipeline.recipe.budget.ipc, pipeline.recipe.budget.fraction) == (None, 0.5)
    assert pipeline.recipe["matcher"].options.steps == 7
    assert pipeline.recipe["matcher"].options.memory == "constant"
    assert str(pipeline.device) == "cpu"


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("--ipc 3 --fraction 0.2", "--ipc 3 and --fraction 0.2 exclude each other"),
        ("--seed -1", "-1"),
        ("--ipc 0", "got 0"),
        ("--fraction 2", "got 2.0"),
        ("--method selmach", "'selmach'; did you mean 'selmatch'?"),
        ("-o matcher.stepz=1", "matcher.stepz; did you mean 'steps'?"),
        ("-o matcher.steps=0", "matcher.steps=0"),
        ("-o matcher", "-o matcher: expected"),
        ("--device cuda:77", "'cuda:77'"),
        ("--data filed", "filed:PATH"),
    ],
)
@pytest.mark.parametrize("command", ["run", "score", "select"])
def test_usage_mistakes_exit_2_and_name_the_value(cli, engine, command, args, part):
    result = cli(command, *args.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert part in result.stderr
    assert not engine.calls


def test_dry_run_shows_the_plan_in_few_lines(cli, engine):
    stage = types.SimpleNamespace(
        stage="match",
        component="match",
        cached=True,
        jobs=0,
        seconds=0.0,
        memory_mb=300.0,
        disk_mb=1.5,
    )
    engine.result = types.SimpleNamespace(
        stages=[stage], seconds=61.0, memory_mb=300.0, disk_mb=1.5, to_json=lambda: {"seconds": 61}
    )
    text = cli("run", "--dry-run", "--no-baselines").stdout
    assert engine.calls[0][0][1] is False
    assert ["match", "match", "yes", "–", "0.0", "s", "300", "MB", "1.5", "MB"] in [
        line.split() for line in text.splitlines()
    ]
    assert "1 min 01 s" in text
    assert text.startswith("selmatch on toy, ipc 5, seed 0: ")
    assert len(text.splitlines()) < 12
    assert summary(cli("run", "--dry-run", "--json")) == {"seconds": 61}


def test_a_run_says_what_of_a_scorer_nobody_reads_has_no_effect(run_cli):
    asked = ("run", "--dry-run", "-o", "scorer.networks=9")
    told = "note: -o scorer.networks=9 has no effect: no stage of this recipe reads scores"
    assert told in run_cli(*asked, "--method", "random").stderr
    assert "reads scores" not in run_cli(*asked, "--method", "window").stderr


def test_dry_run_says_unknown_and_at_least(cli, engine):
    def stage(name, seconds, memory, disk):
        sizes = {"jobs": 4, "seconds": seconds, "memory_mb": memory, "disk_mb": disk}
        return types.SimpleNamespace(stage=name, component="toy", cached=False, **sizes)

    stages = [stage("a", None, None, None), stage("b", 0.0, 9.0, 0.0), stage("c", 2.0, 9.0, 0.5)]
    engine.result = types.SimpleNamespace(stages=stages, seconds=2.0, memory_mb=9.0, disk_mb=0.5)
    lines = cli("run", "--dry-run").stdout.splitlines()
    assert lines[-6:] == [
        "a      toy        no      4 × unknown  unknown         unknown        unknown",
        "b      toy        no      4 × < 0.1 s  < 0.1 s         9 MB           0.0 MB",
        "c      toy        no      4 × 0.5 s    2.0 s           9 MB           0.5 MB",
        "total                                  at least 2.0 s  at least 9 MB  at least 0.5 MB",
        "",
        "all options: the same with --json, or recipe.toml of the run",
    ]


def test_score_writes_to_a_folder_named_after_scorer_and_data(cli, engine):
    scorer = {"component": "rate", "network": {"component": "convnet", "width": 32}, "width": 9}
    stages = {"scorer": {"seconds": 3.3, "cached": True}}
    found = {"scorer": scorer, "values": list(range(9)), "stages": stages}
    engine.result = types.SimpleNamespace(findings=(), to_json=lambda: found)
    result = cli("score")
    assert engine.calls[0][0][1] == Path("scores-rate-toy")
    assert result.stdout.splitlines() == [
        "scorer  component rate, network convnet, network.width 32, width 9",
        "values  9 values",
        "",
        "stage   time",
        "------  -----  ------",
        "scorer  3.3 s  cached",
    ]
    assert summary(cli("score", "--out", "x", "--json")) == found
    assert engine.calls[1][0][1] == Path("x")


def test_select_writes_npz_or_json_only(cli, engine):
    engine.result = types.SimpleNamespace(findings=(), to_json=lambda: {"indices": [1, 2]})
    assert summary(cli("select", "--json")) == {"indices": [1, 2]}
    assert engine.calls[0][0][1] is None
    assert cli("select", "--out", "a.npz").exit_code == 0
    result = cli("select", "--out", "a.txt")
    assert result.exit_code == 2
    assert "--out a.txt must end in .npz, .csv or .json" in result.stderr


def test_evaluate_takes_only_stages_that_matter_then(cli, engine):
    document = types.SimpleNamespace(
        measure="accuracy", by_difficulty=None, findings=(), to_json=lambda: {"accuracy": 0.5}
    )
    engine.result = (Evaluation((0.5, 0.5), seconds=3.0), document)
    result = cli("evaluate", "d", "--data", "toy", "--seed", "3", "-o", "evaluator.x=1")
    assert result.stdout.split()[-7:] == ["d", "50.00", "±", "0.00", "(2)", "3.0", "s"]
    (place, request, _), tools = engine.calls[0]
    assert (place, request.data, request.seed) == (Path("d"), "toy", 3)
    assert request.assignments == ((("evaluator", "x"), "1"),)
    assert set(tools) == {"store", "device", "progress", "halved", "diagnose", "crew"}
    assert (tools["halved"], tools["crew"]) == (False, None)
    assert summary(cli("evaluate", "d", "--json")) == {"accuracy": 0.5}
    wrong = cli("evaluate", "d", "-o", "matcher.steps=2")
    assert wrong.exit_code == 2
    assert "-o matcher.steps=2 has no effect here" in wrong.stderr


def test_evaluate_help_says_its_own_defaults(cli):
    told = " ".join(cli("evaluate", "--help").stdout.split())
    for part in ("[default: the one DIR was made of]", "[default: that of DIR's recipe]", "cuda"):
        assert part in told
    assert "[default: digits]" not in told
    assert "[default: 0]" not in told


@pytest.mark.parametrize("form", [*FORMS])
def test_export_writes_the_form_asked_for(cli, engine, form, tmp_path):
    class Small:
        soft_labels = None

        def __len__(self):
            return 7

        def export(self, to, out):
            out.write_text(to)

    engine.result = Small()
    out = tmp_path / "out"
    document = summary(cli("export", "d", "--to", form, "--out", str(out), "--json"))
    assert document == {"artefact": "d", "to": form, "out": str(out), "samples": 7}
    assert out.read_text() == form


def fill(store, kind, count):
    for number in range(count):
        store.put(kind, {"component": "c", "n": number}, Payload(values={"n": number}))


def test_cache_lists_by_kind_and_cleans_only_when_told(cli, engine):
    store = Store.default()
    fill(store, "scores", 2)
    fill(store, "experts", 1)
    listing = summary(cli("cache", "list", "--json"))
    assert [(k["kind"], k["count"]) for k in listing["kinds"]] == [("experts", 1), ("scores", 2)]
    assert listing["count"] == 3
    assert listing["bytes"] == sum(k["bytes"] for k in listing["kinds"]) > 0
    assert "scores   2" in cli("cache", "list").stdout

    refused = cli("cache", "clean")
    assert refused.exit_code == 2
    assert "would remove 3 entries" in refused.stderr
    assert "add --yes" in refused.stderr
    unknown = cli("cache", "clean", "--kind", "score", "--yes")
    assert unknown.exit_code == 2
    assert "'score' is stored; did you mean 'scores'?" in unknown.stderr
    assert len(store.entries()) == 3

    assert summary(cli("cache", "clean", "--kind", "scores", "--yes", "--json"))["removed"] == 2
    assert [e.kind for e in store.entries()] == ["experts"]
    assert cli("cache", "clean", "--yes").exit_code == 0
    assert cli("cache", "clean").stdout.startswith("removed 0 entries")


def test_cache_clean_asks_before_leftovers_go_too(cli, engine, tmp_path):
    store = Store.default()
    fill(store, "scores", 1)
    store.clean()
    (store.root / "scores" / f"{'0a' * 16}.partial").write_text("x")
    refused = cli("cache", "clean")
    assert refused.exit_code == 2
    assert "would remove 0 entries and 1 leftovers of unfinished runs" in refused.stderr
    assert store.leftovers() == {"scores": 1}
    gone = summary(cli("cache", "clean", "--kind", "scores", "--yes", "--json"))
    assert (gone["removed"], gone["leftovers"]) == (0, 1)


def test_cache_clean_leaves_alone_what_is_not_ours(cli, engine, monkeypatch, tmp_path):
    own = {"proj/poetry.lock", "proj/f.partial", "notes/.draft-x/t", "x/y/entry.json"}
    for name in own:
        (tmp_path / "w" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "w" / name).write_text("mine")
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path / "w"))
    fill(Store.default(), "scores", 1)
    assert summary(cli("cache", "list", "--json"))["count"] == 1
    for _ in range(2):
        assert cli("cache", "clean", "--yes").exit_code == 0
    assert all((tmp_path / "w" / name).read_text() == "mine" for name in own)


def test_a_store_in_the_home_of_nobody_is_a_plain_error(cli, engine, monkeypatch):
    monkeypatch.setenv("CONDENSE_STORE", "~nosuchuser/x")
    refused = cli("cache", "list")
    assert refused.exit_code == 2
    assert "~nosuchuser/x" in refused.stderr
    assert refused.stderr.count("\n") == 1
