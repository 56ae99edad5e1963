"""A run and whoever watches it: what is told, what is not, and that nothing of it reaches a run."""

import json
import re
import types

import click.testing
import numpy as np
import pytest
import torch

import condense as package
from condense.cli.main import main
from condense.engine.tracking import sheet
from condense.errors import OptionError
from condense.options import Options
from condense.plugin.host import build_host

FILES = ("condensed.safetensors", "manifest.json", "recipe.toml", "results.json", "trace.csv")


class Recording:
    """Remembers everything it is told."""

    name, version = "recording", "1"
    told = None  # of all instances, a list

    class Options(Options):
        word: str = "hm"

    def __init__(self, options):
        self.options = options

    def begin(self, run):
        self.told.append(("begin", run, self.options.word))

    def figures(self, step, values):
        self.told.append(("figures", step, dict(values)))

    def picture(self, step, image):
        self.told.append(("picture", step, image))

    def artefact(self, folder):
        self.told.append(("artefact", folder, (folder / "manifest.json").is_file()))

    def close(self, done):
        self.told.append(("close", done, None))


def failing(method, error):
    """A tracker that raises ``error`` where ``method`` is called."""

    def fail(self, *given):
        self.told.append(("failed", method, None))
        raise error

    return type("Failing", (Recording,), {"name": "failing", method: fail})


def with_trackers(*classes):
    module = types.ModuleType("watching")

    @package.hookimpl
    def condense_register_trackers(register):
        for cls in classes:
            register(cls)

    module.condense_register_trackers = condense_register_trackers
    host = build_host(external=False, extra=[module])
    assert host.broken == []
    return host


@pytest.fixture
def told(monkeypatch):
    found = []
    monkeypatch.setattr(Recording, "told", found)
    return found


@pytest.fixture
def run(tiny, tmp_path):
    def call(*words, host=None, out="out", code=0, **changes):
        values = {**tiny, "matcher.iterations": 25, **changes}
        if "window" in words:  # which has no matcher
            values = {k: v for k, v in values.items() if not k.startswith("matcher.")}
        options = [part for k, v in values.items() for part in ("-o", f"{k}={json.dumps(v)}")]
        given = ["run", "--ipc", "2", "--device", "cpu", "--out", str(tmp_path / out), *words]
        host = with_trackers(Recording) if host is None else host
        done = click.testing.CliRunner().invoke(main, [*given, *options], obj=host)
        assert done.exit_code == code, done.output
        return done

    return call


def of(told, kind):
    return [(first, second) for name, first, second in told if name == kind]


def test_everything_is_told_in_its_order_and_changes_no_byte(run, told, tmp_path, monkeypatch):
    run(out="plain")
    monkeypatch.setenv("CONDENSE_STORE", str(tmp_path / "another"))
    run("--tracker", "recording", "-o", "tracker.word=hello")
    for name in FILES:
        one, other = ((tmp_path / out / name).read_bytes() for out in ("plain", "out"))
        assert one == other, name
    log = json.loads((tmp_path / "out" / "run.log.json").read_text())
    assert log["tracker"] == "recording"
    assert json.loads((tmp_path / "plain" / "run.log.json").read_text())["tracker"] == ""

    kinds = [name for name, _, _ in told]
    assert kinds[0] == "begin"
    assert kinds[-2:] == ["artefact", "close"]
    ((known, word),) = of(told, "begin")
    assert word == "hello"
    assert known.name == "out"
    assert known.parameters["method"] == "selmatch"
    assert known.parameters["matcher.network.width"] == "8"
    assert str(tmp_path) not in str(known.parameters)

    rows = (tmp_path / "out" / "trace.csv").read_text().splitlines()[1:]
    trace = {int(row.split(",")[0]): row.split(",") for row in rows}
    losses = [(step, v) for step, v in of(told, "figures") if "matching/loss" in v]
    assert [step for step, _ in losses] == list(range(1, 26))
    for step, values in losses:
        assert values["matching/loss"] == pytest.approx(float(trace[step][1]), rel=1e-5)
        assert values["matching/step-size"] == pytest.approx(float(trace[step][2]), rel=1e-5)

    results = json.loads((tmp_path / "out" / "results.json").read_text())
    accuracies = {
        k: v for _, values in of(told, "figures") for k, v in values.items() if "acc" in k
    }
    assert accuracies == {
        "accuracy/condensed": pytest.approx(results["accuracy"]["mean"]),
        "accuracy/random": pytest.approx(results["baselines"]["random"]["mean"]),
        "accuracy/whole": pytest.approx(results["baselines"]["whole"]["mean"]),
    }
    assert of(told, "artefact") == [(tmp_path / "out", True)]
    assert of(told, "close") == [(True, None)]


def test_pictures_show_the_samples_as_they_change(run, told):
    run("--tracker", "recording")
    pictures = dict(of(told, "picture"))
    assert list(pictures) == [0, 10, 20, 25]
    for image in pictures.values():
        assert image.dtype == np.uint8
        assert image.shape == (33, 330, 3)  # a distilled sample of each digit, four times as large
    assert len({image.tobytes() for image in pictures.values()}) == 4


def test_what_lies_in_the_store_is_told_as_well(run, told):
    run("--tracker", "recording")
    live = list(of(told, "figures"))
    told.clear()
    run("--tracker", "recording", "--force")
    assert of(told, "figures") == [(step, pytest.approx(values, rel=1e-6)) for step, values in live]
    assert [step for step, _ in of(told, "picture")] == [25]


def test_a_method_without_matching_shows_what_it_kept(run, told):
    run("--tracker", "recording", "--method", "window")
    assert [step for step, _ in of(told, "picture")] == [0]
    assert {k for _, values in of(told, "figures") for k in values} == {
        *("accuracy/condensed", "accuracy/random", "accuracy/whole")
    }


def test_every_seed_is_a_run(run, told):
    run("--tracker", "recording", "--seeds", "2", "--no-baselines", "--method", "window")
    assert [known.name for known, _ in of(told, "begin")] == ["s0", "s1"]
    assert of(told, "close") == [(True, None)] * 2


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
@pytest.mark.parametrize("method", ["begin", "figures", "picture", "artefact", "close"])
def test_one_that_fails_never_ends_a_run(method, error, run, told, tmp_path):
    host = with_trackers(failing(method, error("server\nis gone")))
    done = run("--tracker", "failing", host=host)
    (line,) = re.findall(r"^warning: tracker.*$", done.stderr, re.MULTILINE)
    assert line == (
        f"warning: tracker 'failing' failed with {error.__name__}: server is gone; the run goes "
        "on without it"
    )
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert of(told, "failed")[0] == (method, None)
    last = [name for name, _, _ in told if name not in ("failed", "close")]
    after = told[[name for name, _, _ in told].index("failed") + 1 :]
    assert {name for name, _, _ in after} <= {"close", "failed"}, last  # nothing more is asked


def test_options_that_cannot_be_end_the_run_before_any_work(run, told, tmp_path):
    host = with_trackers(failing("begin", OptionError("`tracker.word=hm` is no word")))
    done = run("--tracker", "failing", host=host, code=2)
    assert "-o tracker.word=hm is no word" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
    assert not of(told, "close")


def test_a_run_that_fails_says_so_to_its_tracker(run, told):
    run("--tracker", "recording", code=1, **{"matcher.image_lr": 1e38, "matcher.iterations": 40})
    assert of(told, "close") == [(False, None)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--tracker", "tensorbord"], "unknown tracker 'tensorbord'; did you mean 'tensorboard'?"),
        (
            ["-o", "tracker.folder=x"],
            "tracker takes none; the tracker is 'none', another is --tracker NAME",
        ),
        (["--tracker", "none:x"], "tracker 'none' takes no argument"),
        (["--tracker", "mlflow", "-o", "tracker.experiment="], "tracker.experiment="),
        (["--tracker", "mlflow", "-o", "tracker.a.b=1"], "expected -o tracker.KEY=VALUE"),
    ],
)
def test_mistakes(run, given, said):
    assert said in run(*given, code=2).stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow")]
)
def test_without_its_package_one_line_says_what_to_install(name, module, run, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, module, None)
    done = run("--tracker", name, code=2)
    said = done.stderr.splitlines()[-1]
    assert "which is not installed; install the extra" in said
    assert "[track]')" in said


def test_none_is_as_without(run, tmp_path):
    run("--tracker", "none")
    assert json.loads((tmp_path / "out" / "run.log.json").read_text())["tracker"] == "none"


def test_in_python_likewise(tiny, told, digits):
    options = {**tiny, "matcher.iterations": 3, "tracker.word": "py"}
    host = with_trackers(Recording)
    package.condense(digits, ipc=1, options=options, tracker="recording", host=host)
    kinds = [name for name, _, _ in told]
    assert told[0][1].name == "selmatch-digits-ipc1-s0"
    assert kinds[-1] == "close"
    assert "artefact" not in kinds
    assert told[0][2] == "py"
    with pytest.raises(
        OptionError, match=r"tracker.word.*the tracker is .none., another is tracker=.NAME"
    ):
        package.condense(digits, ipc=1, options=options, host=host)


def test_a_sheet_has_a_column_a_class():
    images = torch.stack([torch.full((16, 20, 1), 10 * n, dtype=torch.uint8) for n in range(5)])
    found = sheet(images, torch.tensor([7, 2, 7, 7, 7]))
    assert found.shape == (3 * 33, 2 * 41, 3)
    assert (found[0, 0, 0], found[0, 41, 0], found[33, 41, 0], found[66, 41, 0]) == (10, 0, 20, 30)
    assert found[33, 0, 0] == 255  # class 2 has one sample
    assert sheet(images.repeat(1, 1, 1, 3), torch.zeros(5, dtype=torch.int64)).shape == (99, 41, 3)
