"""Drawn command lines, recipes and arrays: a sound result, or one line that names key and value."""

import io
import json
import math
import shutil
import zipfile
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

import click
import hypothesis
import numpy as np
import pytest
import tomli_w
from hypothesis import strategies as st
from stress_runs import TINY, options

from condense.cli.main import main
from condense.engine.artefact.dataset import CondensedDataset
from condense.options import format_value
from condense.recipe import flatten, tomllib

pytestmark = [pytest.mark.stress, pytest.mark.timeout(0)]


def drawn(row, strategy, case) -> None:
    """Give ``case`` what ``strategy`` draws: as many as the row has, the same for the same seed.

    Hypothesis keeps no examples of earlier runs. With ``--stress-case N`` only the N-th is tried.
    """
    count = row.count if row.only is None else row.only + 1
    numbers = iter(range(count))

    @hypothesis.seed(row.seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def draw(value: Any) -> None:
        number = next(numbers, None)
        if number is not None and row.only in (None, number):
            with row.case(number, f"{' '.join(repr(value).split()):.400}"):
                case(number, value)

    draw()


# values of every type, all of them small where they are numbers: a run of any of them is short
WORDS = (
    "",
    " ",
    "x",
    "none",
    "null",
    "true",
    "auto",
    "-",
    "--",
    "=",
    ".",
    "a=b",
    "[",
    "{}",
    "∞",
    "٣",
)
NUMBERS = (
    "-1",
    "0",
    "1",
    "2",
    "3",
    "0.5",
    "-0.0",
    "1e-9",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "0x1",
    "1_0",
)
TEXTS = st.sampled_from([*WORDS, *NUMBERS, "[1]", "[1,2]", "[[]]", '{"component":"x"}', "9" * 30])
NAMES = (
    *(
        "digits",
        "npz:squares.npz",
        "npz:nothing.npz",
        "folder:nothing",
        "cifar10",
        "random",
        "window",
    ),
    *("selmatch", "mtt", "none", "quick", "full", "partial", "frozen", "el2n", "cpu", "cuda:9"),
)


def flags_of(command: click.Command) -> list[click.Option]:
    return [p for p in command.params if isinstance(p, click.Option)]


def stage_keys(here) -> dict[str, Any]:
    """Every stage and option of a default recipe, as ``-o`` spells them, and its value."""
    from condense.resolve import Request, resolve

    recipe = resolve(here.host, Request(data="digits"))
    return flatten({k: r.table for k, r in recipe.stages.items()})


FITTING = {  # values of flags that fit
    "--data": ("npz:squares.npz", "npz:squares.npz", "npz:squares.npz", "digits"),
    "--method": ("selmatch", "mtt", "random", "window", "random-partial", "window-full"),
    "--preset": ("quick",),
    "--ipc": ("1", "2", "5"),
    "--fraction": ("0.1", "0.3", "1"),
    "--seed": ("0", "3"),
    "--device": ("cpu",),
    "--out": ("made", "a", "new/made.html", "made.npz"),
    "--to": ("folder", "npz"),
    "--radius-quantile": ("0.5", "0.95"),
    "--vary": ("selector=random,window", "policy.alpha=0.2,0.5"),
    "--seeds": ("1", "2"),
    "--kind": ("scores", "experts"),
}


def command_lines(keys: dict[str, Any]) -> st.SearchStrategy[list[str]]:
    """A command, flags of it with values that fit, and now and then something that may not."""
    context, every = click.Context(main), []
    fits = st.sampled_from(sorted(keys)).map(lambda key: f"{key}={format_value(keys[key])}")
    any_value = st.one_of(TEXTS, st.sampled_from(NAMES))
    strange = st.tuples(st.sampled_from(sorted(keys)), any_value).map("=".join)
    for name in main.list_commands(context):
        good = [st.just([])]
        bad = [st.sampled_from(["-o", "--nothing", "", "x", "--", "nothing"]).map(lambda s: [s])]
        for flag in flags_of(main.get_command(context, name)):
            word = max(flag.opts, key=len)
            if flag.is_flag:
                good.append(st.just([word]))
            elif word == "-o":
                good += [fits.map(lambda text: ["-o", text])] * 3
                bad += [strange.map(lambda text: ["-o", text])] * 3
            elif word != "--recipe":
                if word in FITTING:
                    good.append(st.sampled_from(FITTING[word]).map(lambda v, w=word: [w, v]))
                bad.append(any_value.map(lambda v, w=word: [w, v]))
        parts = st.tuples(
            st.lists(st.one_of(good), max_size=4), st.lists(st.one_of(bad), max_size=1)
        )
        every.append(
            parts.map(lambda p, n=name: [n, *(word for part in (*p[0], *p[1]) for word in part)])
        )
    return st.one_of(every)


SHORT = options({**TINY, "evaluator.repeats": 1})
FIRST = {  # what a command needs, and what keeps it short, before what was drawn
    "run": ["--data", "npz:squares.npz", "--dry-run", *SHORT],
    "score": ["--data", "npz:squares.npz", *SHORT],
    "select": ["--data", "npz:squares.npz", *SHORT],
    "ablate": ["--data", "npz:squares.npz", "--vary", "selector=random", *SHORT],
    "tune": ["--data", "npz:squares.npz", "--trials", "1", *SHORT],
    "evaluate": ["a", *options({"evaluator.steps": 1, "evaluator.repeats": 1})],
    "coverage": ["a", *options({"evaluator.feature_epochs": 1})],
    "report": ["a"],
    "export": ["a", "--to", "npz", "--out", "made.npz"],
    "cache": ["list"],
}


def yielding(first: list[str], drawn: list[str]) -> list[str]:
    """``first`` without the ``-o`` of keys that are ``drawn``: no key has two values."""
    said, kept, words = {word.partition("=")[0] for word in drawn}, [], iter(first)
    for word in words:
        pair = [word, next(words)] if word == "-o" else [word]
        if word != "-o" or pair[1].partition("=")[0] not in said:
            kept += pair
    return kept


@pytest.fixture(scope="module")
def made(whole, tmp_path_factory):
    """A working folder with data and the artefact ``a``, and a store."""
    place = tmp_path_factory.mktemp("made")
    shutil.copytree(whole, place, dirs_exist_ok=True)
    (place / "work" / "out").rename(place / "work" / "a")
    return place


def copied(made: Path, place: Path) -> Path:
    shutil.copytree(made / "work", place)
    return place


def told_of(word: str, text: str) -> bool:
    """Whether ``word`` stands in ``text``, blanks folded as in messages."""
    with suppress(ValueError):  # digits of any script are numbers
        if word and not word.isascii() and str(float(word)) in text:
            return True
    return " ".join(word.split()) in text


def named(key: str, value: Any, text: str) -> bool:
    """Whether ``text`` names ``key`` and ``value``, however it is spelt.

    Of a key that does not exist, any value would be wrong: the key is enough.
    """
    if "unknown option" in text or "unknown key" in text:
        inner = list(value) if isinstance(value, dict) else []
        return any(told_of(f"{key}.{k}" if k else key, text) for k in ("", *inner))
    spelt = {str(value), repr(value)}
    spelt |= {json.dumps(value), json.dumps(value, ensure_ascii=False)}
    if value == "null":  # TOML has no other word for None
        spelt.add("None")
    if value == {}:  # what it is set beside is shown with it
        return key in text and "{" in text
    if isinstance(value, (list, tuple, dict)):  # its first wrong part will do
        inner = value.values() if isinstance(value, dict) else value
        return named(key, str(value), text) or any(named(key, v, text) for v in inner)
    return key in text and any(told_of(s[:60], text) for s in spelt)


def explained(line: list[str], error: str) -> bool:
    """Whether an error names one of the words of the command line: a flag or key and its value."""
    for flag, value in zip(line, [*line[1:], ""], strict=True):
        if flag == "-o":
            key, _, inner = value.partition("=")
            if "unknown option" in error and any(
                f"option {part}" in error for part in accumulate(key.split("."), "{}.{}".format)
            ):  # the part of a nested key that there is not
                return True
            known = "unknown option" not in error  # of one that is not, any value would be wrong
            if key.strip() in error and (not known or told_of(inner, error)):
                return True
            if value and value in error:
                return True
        elif flag.startswith("--") and flag[2:] in error:
            given = value.partition("=")[0]  # of STAGE=COMPONENT,… the stage will do
            component = f"'{value.partition(':')[0]}'"  # of COMPONENT:ARG, the one that is not
            if value.startswith("-") or told_of(given, error) or component in error:
                return True
        elif flag == "--data" and (path := value.partition(":")[2]) and path in error:
            return True
        elif flag == "--also" and f"key '{value}'" in error:
            return True
        elif not flag.startswith("-") and (flag if len(flag) > 1 else f"'{flag}'") in error:
            return True
        elif error.startswith(f"error: {flag or '.'} "):  # a path of one letter or none
            return True
    return "missing" in error or "--help" in error


def test_command_lines(row, here, made, tmp_path):
    with row("drawn command lines", 1000) as lines:

        def case(number: int, line: list[str]) -> None:
            place = copied(made, tmp_path / str(number))
            try:
                given = [line[0], *yielding(FIRST.get(line[0], []), line), *line[1:]]
                before = {p.name for p in place.iterdir()}
                done = here(*given, cwd=place, store=made / "store").keeps_the_rules()
                if done.code:
                    assert explained(given, done.errors[0]), done.told
                    left = {p.name for p in place.iterdir()} - before
                    assert not [n for n in left if n.startswith(".")], left
                lines.count_as("refused in one line" if done.code else "done")
            finally:
                shutil.rmtree(place)

        drawn(lines, command_lines(stage_keys(here)), case)


SCALARS = st.one_of(
    st.none().map(lambda _: "null"),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2, 2**31, 2**63, -(2**63), 2**70]),
    st.sampled_from([0.0, -0.5, 0.5, 1.5, 1e-300, 1e300, math.nan, math.inf, -math.inf]),
    st.sampled_from(["", " ", "x", "1", "0.5", "true", "a.b", "npz:x", "é", "a\nb", "convnet:1"]),
    st.text(max_size=8),
)
NEAR = {  # of a value that fits
    "twice": lambda v: v * 2,
    "half": lambda v: v / 2,
    "whole half": lambda v: v // 2,
    "one more": lambda v: v + 1,
    "negative": lambda v: -v,
    "as text": str,
    "in a list": lambda v: [v],
    "in a table": lambda v: {"component": v},
    "as it is": lambda v: v,
    "not": lambda v: not v,
}
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)


def test_recipes(row, here, made, tmp_path):
    """A recipe with one value that is another: what is refused is named, key and value."""
    recipe = tomllib.loads((made / "work" / "a" / "recipe.toml").read_text())
    now = flatten(recipe)
    keys = sorted(now)
    more = ["more", "matcher.more", "data.more", "selector", "evaluator.network.more", "left_out"]

    def near(drawn: tuple[str, str]) -> tuple[str, Any]:
        key, how = drawn
        try:
            return key, NEAR[how](now[key])
        except TypeError:
            return key, now[key]

    changes = st.one_of(
        st.tuples(st.sampled_from([*keys, *keys, *more]), ANYTHING),
        st.tuples(st.sampled_from(keys), st.sampled_from(sorted(NEAR))).map(near),
    )
    with row("recipes with one value that is another", 500) as recipes:

        def case(number: int, change: tuple[str, Any]) -> None:
            key, value = change
            place = copied(made, tmp_path / str(number))
            table = json.loads(json.dumps(recipe))
            inner, parts = table, key.split(".")
            for part in parts[:-1]:
                if not isinstance(inner.get(part), dict):
                    inner[part] = {"component": inner[part]} if part in inner else {}
                inner = inner[part]
            inner[parts[-1]] = value
            try:
                text = tomli_w.dumps(table)
                (place / "a" / "recipe.toml").write_text(text, encoding="utf-8")
                given = ("run", "--recipe", "a/recipe.toml", "--dry-run", "--json")
                done = here(*given, cwd=place, store=made / "store").keeps_the_rules()
                if done.code:
                    assert named(key, value, done.errors[0]), done.told
                recipes.count_as("refused by key and value" if done.code else "a plan")
            finally:
                shutil.rmtree(place)

        drawn(recipes, changes, case)


ARRAYS = ("train_images", "train_labels", "test_images", "test_labels", "classes")
KINDS = ("u1", "i1", "i2", "i4", "i8", "u8", "f2", "f4", "f8", "g", "?", "c8", ">f4", "S3", "U3")
IMAGES = [(8, 8, 1), (8, 8), (8, 8, 3), (3, 8, 8), (8, 8, 2), (5,), (), (0,), (1, 1, 1)]
TWEAKS = {  # of an array that fits
    "as float 0-1": lambda a, rng: a.astype(np.float32) / max(1, a.max()),
    "as double 0-1": lambda a, rng: a / max(1, a.max()),
    "as it is": lambda a, rng: a,
    "big-endian": lambda a, rng: a.astype(a.dtype.newbyteorder(">")),
    "int16": lambda a, rng: a.astype(np.int16),
    "uint64": lambda a, rng: a.astype(np.uint64),
    "names": lambda a, rng: a.astype(str),
    "bytes": lambda a, rng: a.astype(str).astype("S"),
    "Fortran": lambda a, rng: np.asfortranarray(a),
    "backwards": lambda a, rng: a[::-1],
    "shuffled": lambda a, rng: rng.permutation(a),
    "flat": lambda a, rng: a.reshape(len(a), -1),
    "a column": lambda a, rng: a[:, None],
    "channels first": lambda a, rng: np.moveaxis(a, -1, 1) if a.ndim == 4 else a,
    "no channel": lambda a, rng: a[..., 0] if a.ndim == 4 else a,
    "colour": lambda a, rng: np.repeat(a, 3, -1) if a.ndim == 4 else a,
    "one less": lambda a, rng: a[:-1],
    "plus 1": lambda a, rng: a + 1,
    "minus 1": lambda a, rng: a.astype(np.int64) - 1,
    "times 2⁴⁰": lambda a, rng: a.astype(np.int64) * 2**40,
    "one NaN": lambda a, rng: np.where(np.arange(a.size).reshape(a.shape) == 3, np.nan, a),
    "all the same": lambda a, rng: np.zeros_like(a),
}


def tweaked(array: np.ndarray[Any, Any], tweak: str, seed: int) -> np.ndarray[Any, Any] | None:
    """An array that fits, changed; None where this cannot be done to it."""
    try:
        return TWEAKS[tweak](array, np.random.default_rng(seed))
    except (TypeError, ValueError):
        return None


@st.composite
def arrays(draw: st.DrawFn, good: dict[str, np.ndarray[Any, Any]]) -> tuple[str, str, Any]:
    """Name, what was done, and array: one that fits is changed, or one is made anew."""
    name, seed = draw(st.sampled_from(ARRAYS)), draw(st.integers(0, 2**16))
    how = draw(st.sampled_from(["left out", *["tweak"] * 10, *["new"] * 10]))
    if how == "left out":
        return name, how, None
    if how == "tweak":
        tweak = draw(st.sampled_from(sorted(TWEAKS)))
        return name, tweak, tweaked(good[name], tweak, seed)
    shape = (
        draw(st.sampled_from([0, 1, 2, 3, 20, 39, 40, 40, 40])),
        *draw(st.sampled_from(IMAGES if name.endswith("images") else [(), (), (), (1,), (2,)])),
    )
    kind = np.dtype(draw(st.sampled_from(KINDS)))
    rng = np.random.default_rng(seed)
    if kind.kind in "SU":
        words = ["", "a", "b", "é", "\x00", "\ud800"] if kind.kind == "U" else [b"a", b"\xff", b""]
        return name, f"new {kind} {shape}", np.array(words, dtype=kind)[rng.integers(3, size=shape)]
    scale = draw(st.sampled_from([1, 1, 2, 200, 1e30]))
    with np.errstate(all="ignore"):
        array = (rng.random(shape) * scale - draw(st.sampled_from([0, 0, 1]))).astype(kind)
        if array.size and kind.kind in "fc" and draw(st.booleans()):
            array.flat[0] = draw(st.sampled_from([math.nan, math.inf, -1.0, 1e30]))
    return name, f"new {kind} {shape} up to {scale}", array


def test_arrays(row, here, made, tmp_path):
    """Whole runs on an npz file with one array that is another; the artefact is looked at."""
    good = dict(np.load(made / "work" / "squares.npz"))
    small = options({"evaluator.steps": 1, "evaluator.repeats": 1, "evaluator.network": "mlp"})
    given = ("run", "--data", "npz:d.npz", "--method", "random", "--ipc", 1, "--out", "out")
    with row("npz files with one array that is another, whole runs", 500) as files:

        def case(number: int, change: tuple[str, str, np.ndarray[Any, Any] | None]) -> None:
            name, _, array = change
            place = tmp_path / str(number)
            place.mkdir()
            with zipfile.ZipFile(place / "d.npz", "w") as archive:
                for key, value in {**good, name: array}.items():
                    if value is not None:
                        target = io.BytesIO()
                        np.save(target, value, allow_pickle=False)
                        archive.writestr(f"{key}.npy", target.getvalue())
            try:
                done = here(*given, "--no-baselines", *small, cwd=place, store=place / "store")
                if done.keeps_the_rules().code:
                    split, _, what = name.partition("_")
                    if "class" not in done.err or name == "test_images":  # of some class
                        assert "d.npz" in done.err, done.told
                        assert split in done.err, done.told
                        others = ("inputs", "samples", "features") if what == "images" else ()
                        assert any(word in done.err for word in (what[:5], *others)), done.told
                    assert not (place / "out").exists()
                    files.count_as("refused in one line")
                    return
                small_set = CondensedDataset.load(place / "out")
                assert small_set.inputs.isfinite().all()
                labels = small_set.labels.tolist()
                assert sorted(labels) == list(range(len(small_set.classes)))
                files.count_as("a sound artefact")
            finally:
                shutil.rmtree(place)

        drawn(files, arrays(good), case)
