"""One message at two doors."""

import click.testing
import pytest
import torch

from condense import condense
from condense.cli.main import main
from condense.errors import CapacityError
from condense.options import Options
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.spelling import in_python, on_command_line


@pytest.mark.parametrize(
    ("neutral", "typed", "called"),
    [
        ("set `scorer=NAME`", "set -o scorer=NAME", 'set options={"scorer": "NAME"}'),
        ("`a.b=0.5`, or `ipc`", "-o a.b=0.5, or --ipc", 'options={"a.b": 0.5}, or ipc'),
        ("`a.b=[1, 2]`", "-o 'a.b=[1, 2]'", 'options={"a.b": [1, 2]}'),
        ("`a.b=my col`", "-o 'a.b=my col'", 'options={"a.b": "my col"}'),
        ("lower `a.b=…`", "lower -o a.b=…", 'lower options={"a.b": …}'),
        ("try `ipc=5`", "try --ipc 5", "try ipc=5"),
        ("use `data=npz:d.npz` now", "use --data npz:d.npz now", 'use data="npz:d.npz" now'),
        ("`vary=selector=random`: no", "--vary selector=random: no", 'vary="selector=random": no'),
        ("another (`out`)", "another (--out)", "another (out)"),
        ("the extra `tune`", "the extra `tune`", "the extra `tune`"),
        ("`condense run --out DIR`", "`condense run --out DIR`", "`condense run --out DIR`"),
    ],
)
def test_each_door_spells_a_key_its_own_way(neutral, typed, called):
    assert on_command_line(neutral) == typed
    assert in_python(neutral) == called


MISTAKES = [
    ({"ipc": 0}, "try --ipc 5", "try ipc=5"),
    ({"seed": -1}, "try --seed 0", "try seed=0"),
    ({"fraction": 2.0}, "try --fraction 0.1", "try fraction=0.1"),
    (
        {"data": "folder:x", "options": {"data.path": "y"}},
        "'folder:x' and -o data.path=y contradict each other",
        '\'folder:x\' and options={"data.path": "y"} contradict each other',
    ),
    (
        {"options": {"scorer": "cscore:holdout", "scorer.estimator": "learning-speed"}},
        "'cscore:holdout' and -o scorer.estimator=learning-speed contradict each other",
        "'cscore:holdout' and "
        'options={"scorer.estimator": "learning-speed"} contradict each other',
    ),
    ({"ipc": 5000}, "lower --ipc to at most", "lower ipc to at most"),
]


@pytest.mark.parametrize(("asked", "typed", "called"), MISTAKES)
def test_a_mistake_is_told_in_the_words_of_its_door(host, asked, typed, called):
    flags = [part for k, v in asked.items() if k != "options" for part in (f"--{k}", str(v))]
    more = [part for k, v in asked.get("options", {}).items() for part in ("-o", f"{k}={v}")]
    result = click.testing.CliRunner().invoke(main, ["run", *flags, *more], obj=host)
    assert result.exit_code in (1, 2)
    assert typed in result.stderr
    assert "`" not in result.stderr
    assert result.stderr.count("\n") == 1
    with pytest.raises(Exception) as caught:  # noqa: PT011
        condense(**{"data": "digits", **asked}, host=host)
    assert called in str(caught.value)
    assert "--" not in str(caught.value)
    assert "-o " not in str(caught.value)


OUT_OF_MEMORY = [
    MemoryError(),
    torch.cuda.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
]


class Hungry:
    """A scorer for which there is never enough memory."""

    name = "hungry"
    version = "1"
    Options = Options
    error: BaseException

    def __init__(self, options):
        self.options = options

    def score(self, data, context, rng):
        raise self.error


class Plugin:
    @hookimpl
    def condense_register_scorers(self, register):
        register(Hungry)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda e: type(e).__name__)
def test_every_way_of_running_out_of_memory_is_one_line_at_both_doors(monkeypatch, error):
    monkeypatch.setattr(Hungry, "error", error, raising=False)
    host = build_host(external=False, extra=[Plugin()])
    given = ["run", "-o", "scorer=hungry"]
    result = click.testing.CliRunner().invoke(main, given, obj=host)
    assert result.exit_code == 1
    told = "error: out of memory; lower one of -o matcher.memory=constant, -o matcher.batch_size=…"
    assert result.stderr.startswith(told)
    assert result.stderr.count("\n") == 1
    with pytest.raises(CapacityError) as caught:
        condense("digits", options={"scorer": "hungry"}, host=host)
    assert 'lower one of options={"matcher.memory": "constant"}' in str(caught.value)
