"""Hostile artefacts, files and plugins: a plain line or a sound result, and nothing is executed."""

import io
import itertools
import json
import os
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hostile_files import SCRIPT, Canary, mutate, nested
from stress_runs import MARKS, TINY, options, run_arguments, write_data

pytestmark = [pytest.mark.stress, pytest.mark.timeout(0)]

QUICK = options(
    {"evaluator.steps": 1, "evaluator.repeats": 1, "evaluator.network": "mlp"},
)
SMALL = options({"evaluator.feature_epochs": 1, "evaluator.feature_network": "mlp"})
COMMANDS = {
    "evaluate": ["evaluate", "a", "--json", *QUICK],
    "export to folder": ["export", "a", "--to", "folder", "--out", "made"],
    "export to npz": ["export", "a", "--to", "npz", "--out", "made.npz"],
    "report": ["report", "a", "--out", "made.html"],
    "coverage": ["coverage", "a", "--out", "made", *SMALL],
    # a plan alone: a recipe may well ask for 2³¹ iterations, or for nothing, which is the default
    "run --out": [*run_arguments("a"), "--no-baselines"],
    "run --recipe": ["run", "--recipe", "a/recipe.toml", "--dry-run", "--json"],
}


@pytest.fixture(scope="module")
def made(here, whole, tmp_path_factory):
    """Artefacts of three sorts, ``work/NAME``, and the store that they came from."""
    place = tmp_path_factory.mktemp("made")
    work, store = place / "work", place / "store"
    shutil.copytree(whole, place, dirs_exist_ok=True)
    (work / "out").rename(work / "hard")
    soft = {"policy": "learned-labels", "policy.alpha": 0.5}
    here(*run_arguments("soft", **soft), cwd=work, store=store).succeeds()
    write_data(place / "other" / "squares.npz", features=True)
    nets = dict.fromkeys(("scorer.network", "matcher.network", "evaluator.network"), "mlp")
    vector = {k: v for k, v in TINY.items() if not k.endswith("width")} | nets
    given = ["run", "--data", "npz:squares.npz", "--ipc", 6, "--out", "vector"]
    here(*given, *options(vector), cwd=place / "other", store=store).succeeds()
    for name in ("hard", "soft"):  # what the commands need of the whole set is stored
        here("coverage", name, "--out", "c", *SMALL, cwd=work, store=store).succeeds()
    here("coverage", "vector", "--out", "c", *SMALL, cwd=place / "other", store=store).succeeds()
    return place


def artefact(made: Path, name: str, place: Path) -> Path:
    """A working folder with one of the artefacts as ``a``; the store is the one of all."""
    source = made / ("other" if name == "vector" else "work")
    shutil.copytree(source / name, place / "a")
    shutil.copy(source / "squares.npz", place / "squares.npz")
    return place / "a"


def sound(command: str, place: Path, done) -> None:
    """That what a command made is what it is to be: finite, in range, no script in it."""
    if command == "evaluate":
        accuracy = json.loads(done.out)["accuracy"]
        assert all(0 <= v <= 1 for v in accuracy["values"]), accuracy
    elif command == "export to npz":
        with np.load(place / "made.npz", allow_pickle=False) as arrays:
            for name in ("inputs", "mean", "std"):
                assert np.isfinite(arrays[name]).all(), f"{name} is not finite"
            n = len(arrays["classes"])
            assert ((arrays["train_labels"] >= 0) & (arrays["train_labels"] < n)).all()
    elif command == "report":
        page = (place / "made.html").read_text()
        assert SCRIPT not in page
        assert "<img src=x" not in page
    elif command == "export to folder":
        rows = (place / "made" / "index.csv").read_text().splitlines()
        assert len(rows) > 1


def test_hostile_artefacts(row, here, made, tmp_path):
    """Each artefact, changed in one place, under every command that reads one."""
    with row("commands over hostile artefacts", 1820) as commands:
        for number, rng in commands.cases():
            command = list(COMMANDS)[number % len(COMMANDS)]
            which = number // len(COMMANDS)  # of the artefacts: the same for all commands
            rng = commands.random(10**6 + which)
            place = tmp_path / str(number)
            folder = artefact(made, rng.choice(["hard", "hard", "soft", "vector"]), place)
            what = mutate(folder, which, rng)
            with commands.case(number, f"condense {command}, {what}"):
                before = sorted(p.name for p in place.iterdir())
                done = here(*COMMANDS[command], cwd=place, store=made / "store")
                done.keeps_the_rules()
                if done.code == 0:
                    sound(command, place, done)
                else:
                    assert sorted(p.name for p in place.iterdir()) == before, "half-written"
                assert not list(tmp_path.rglob("canary")), "something was executed"
                commands.count_as("refused in one line" if done.code else "sound result")
            shutil.rmtree(place)


CLASSES = (
    ["../up", "../../up"],
    ["/abs", "/etc/x"],
    ["a/b", "a\\b"],
    ["nul\x00l", "x"],
    ["CON", "con.png"],
    ["NUL", "aux", "COM1", "lpt9.txt"],
    ["\u202eltr", "x\u200b"],
    ["", " ", ".", ".."],
    ["a_", "a_-2", "a?"],
    ["a?", "a*", "a_", "a_-1", "a_-2"],
    ["A", "a", "a-1", "A-1"],
    ["x" * 300, "x" * 299 + "y"],
    ["é", "e\u0301"],
    ["-rf", "--help"],
    ["$(touch canary)", "`touch canary`"],
    ["ß", "SS", "ss"],
    ["class-1", "", "class-1 "],
    ["a.", "a", "a "],
    ["日" * 100, "月" * 100],
)


def test_class_names_on_export(row, here, tmp_path):
    """One folder a class, inside the folder asked for, whatever the names."""
    pieces = ["a", "A", "_", "-", "?", "*", ".", " ", "1", "2", "/", "é", "\x7f", "CON", "ß", "İ"]
    with row("sets of class names on export", 40) as exports:
        for number, rng in exports.cases():
            if number < len(CLASSES):
                classes = CLASSES[number]
            else:
                drawn = ("".join(rng.choices(pieces, k=rng.randint(0, 4))) for _ in range(8))
                classes = sorted(set(drawn))
            place = tmp_path / str(number)
            place.mkdir()
            with exports.case(number, f"classes {classes!r:.200}"):
                labels = np.repeat(np.arange(len(classes)), 4)
                images = np.arange(len(labels) * 16, dtype=np.uint8).reshape(-1, 4, 4, 1)
                arrays = {"train_images": images, "train_labels": labels}
                np.savez(place / "d.npz", **arrays, classes=np.array(classes))
                given = ("run", "--data", "npz:d.npz", "--method", "random", "--ipc", 2)
                where = {"cwd": place, "store": place / "store"}
                if here(*given, "--out", "a", **where).keeps_the_rules().code:
                    exports.count_as("data refused in one line")
                    continue
                out = ("export", "a", "--to", "folder", "--out", "in/made")
                done = here(*out, **where).keeps_the_rules()
                assert not list(tmp_path.rglob("canary"))
                assert {p.name for p in place.iterdir()} <= {"d.npz", "a", "store", "in"}
                if done.code:
                    exports.count_as("refused in one line")
                    continue
                folders = [p.name for p in (place / "in/made/train").iterdir() if p.is_dir()]
                assert len({f.lower() for f in folders}) == len(classes), folders
                for folder in folders:
                    assert len(list((place / "in/made/train" / folder).iterdir())) == 2, folder
                exports.count_as("a folder for each class")


def picture(rng, mode="L", size=(8, 8), form="PNG"):
    from PIL import Image

    bands = {"L": 1, "RGB": 3, "CMYK": 4, "RGBA": 4, "1": 1, "P": 1, "I;16": 2, "F": 4, "LA": 2}
    data = rng.randbytes(bands[mode] * size[0] * size[1])
    image = Image.frombytes("L" if mode in ("1", "P") else mode, size, data)
    image = image.convert(mode) if mode in ("1", "P") else image
    target = io.BytesIO()
    image.save(target, form)
    return target.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is larger than any memory."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def one_picture(rng, number):
    """Name and bytes of a file that a folder of images should not hold."""
    plain = picture(rng)
    fixed = {
        "empty.png": b"",
        "noise.png": rng.randbytes(300),
        "bomb.png": bomb(2**31 - 1, 2**31 - 1),
        "tall.png": bomb(1, 2**31 - 1),
        "wide.png": bomb(30_000, 30_000),
        "none.png": bomb(0, 0),
        "cmyk.jpg": picture(rng, "CMYK", form="JPEG"),
        "rgba.png": picture(rng, "RGBA"),
        "deep.png": picture(rng, "I;16"),
        "float.tif": picture(rng, "F", form="TIFF"),
        "bits.png": picture(rng, "1"),
        "palette.png": picture(rng, "P"),
        "one.png": picture(rng, size=(1, 1)),
        "text.png": b"not an image",
        "page.svg": b"<svg onload='alert(1)'/>",
        "page.eps": b"%!PS\n(canary) (w) file",
        ".DS_Store": b"\x00\x00\x00\x01Bud1",
        "Thumbs.db": b"x",
        "pickle.png": pickle.dumps(Canary(Path("canary"))),
        "gif.png": picture(rng, form="GIF"),
        "name.jpg": plain,
        "upper.PNG": plain,
        "pipe.png": None,
        "zero.png": "/dev/zero",
        "dangling.png": "nothing",
    }
    if number < len(fixed):
        return list(fixed.items())[number]
    form = rng.choice(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
    data = bytearray(picture(rng, rng.choice(["L", "RGB"]), form=form))
    if rng.random() < 0.5:
        data = data[: rng.randrange(len(data))]
    else:
        for _ in range(rng.randint(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return f"damaged.{form.lower()}", bytes(data)


def test_image_folders(row, here, tmp_path):
    with row("folders of images, one of them hostile", 65) as folders:
        for number, rng in folders.cases():
            place = tmp_path / str(number)
            for k, name in itertools.product(range(3), "ab"):
                path = place / "photos" / "train" / name / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(picture(rng))
            name, data = one_picture(rng, number)
            path = place / "photos/train/a" / name
            if data is None:
                os.mkfifo(path)
            elif isinstance(data, str):
                path.symlink_to(data)
            else:
                path.write_bytes(data)
            (place / "photos/train/b/loop.png").symlink_to("loop.png")
            if number % 3:
                (place / "photos/train/b/loop.png").unlink()
            if number % 5 == 4:
                (place / "photos/train/a/up").symlink_to("../..")
            more = options(rng.choice([{}, {"data.resize": 8}, {"data.resize": 10**9}]))
            grey = rng.choice(["auto", "grey", "rgb"])
            given = ("select", "--data", "folder:photos", "--method", "random", "--ipc", 2)
            with folders.case(number, f"{name}, {more}, {grey}"):
                args = (*given, "--json", "-o", f"data.channels={grey}", *more)
                done = here(*args, cwd=place, store=place / "store").keeps_the_rules()
                assert not list(tmp_path.rglob("canary"))
                if done.code == 0:
                    assert len(json.loads(done.out)["indices"]) == 4
                folders.count_as("refused in one line" if done.code else "read")
            shutil.rmtree(place)


def npy(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """An .npy file with a header of one's own."""
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


def lie(shape: str, descr: str = "'|u1'") -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode())


def saved(array: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.save(target, array, allow_pickle=True)
    return target.getvalue()


MEMBERS = {
    "a petabyte": lie("(1125899906842624, 8, 8, 1)"),
    "more than 64 bits": lie("(99999999999999999999, 8, 8, 1)"),
    "negative": lie("(-1, 8, 8, 1)"),
    "no numbers": lie("('x',)"),
    "a call": lie("(__import__('os').system('touch canary'),)"),
    "a deep shape": lie("(" * 300 + ")" * 300),
    "a void type": lie("(2,)", "'|V99999999'"),
    "a record": lie("(2,)", "[('a', '<f4'), ('b', '|O')]"),
    "objects": saved(np.array([Canary(Path("canary"))], dtype=object)),
    "garbage": npy(b"{'descr': \xff\xfe '\n"),
    "an open bracket": npy(b"{'descr': (((\n"),
    "an open text": npy(b"{'descr': '''\n"),
    "no header": npy(b""),
    "version 9": npy(b"{}", version=b"\x09\x00"),
    "cut": saved(np.zeros((40, 8, 8, 1), np.uint8))[:200],
    "not npy": b"hello",
    "nothing": b"",
    "dates": saved(np.array(["2020-01-01"] * 40, dtype="datetime64[D]")),
    "complex": saved(np.zeros((40, 8, 8, 1), complex)),
    "half": saved(np.full((40, 8, 8, 1), np.nan, np.float16)),
    "long double": saved(np.zeros((40, 8, 8, 1), np.longdouble)),
    "empty": saved(np.zeros((0, 8, 8, 1), np.uint8)),
    "big-endian": saved(np.zeros((40, 8, 8, 1), ">f4")),
}


def test_npz_bombs(row, here, tmp_path):
    with row("npz files with lying headers, pickles and bombs", 2 * len(MEMBERS)) as files:
        for number, _ in files.cases():
            what = list(MEMBERS)[number % len(MEMBERS)]
            wrong = ("train_images", "classes")[number // len(MEMBERS) % 2]
            place = tmp_path / str(number)
            arrays = {
                "train_images": saved(np.zeros((40, 8, 8, 1), np.uint8)),
                "train_labels": saved(np.repeat([0, 1], 20)),
                "classes": saved(np.array(["a", "b"])),
                wrong: MEMBERS[what],
            }
            place.mkdir()
            with zipfile.ZipFile(place / "d.npz", "w") as archive:
                for name, data in arrays.items():
                    archive.writestr(f"{name}.npy", data)
            given = ("select", "--data", "npz:d.npz", "--method", "random", "--ipc", 2, "--json")
            with files.case(number, f"{wrong}: {what}"):
                done = here(*given, cwd=place, store=place / "store").keeps_the_rules()
                assert not list(tmp_path.rglob("canary"))
                names = (wrong, "train inputs", "train images")
                assert done.code == 0 or any(name in done.err for name in names), done.told
                files.count_as("refused in one line" if done.code else "read")


def score_file(rng, number, canary):
    """Name and bytes of a file of scores that is none."""
    good = np.linspace(0, 1, 40).astype(np.float32)
    tensors = safetensors.numpy.save({"scores": good})
    fixed = {
        "ok.npy": saved(good),
        "objects.npy": saved(np.array([Canary(canary)] * 40, dtype=object)),
        "nan.npy": saved(np.full(40, np.nan)),
        "inf.npy": saved(np.full(40, np.inf)),
        "huge.npy": saved(np.full(40, 1e300)),
        "short.npy": saved(good[:-1]),
        "flat.npy": saved(good[None]),
        "complex.npy": saved(good.astype(complex)),
        "text.npy": saved(np.array(["x"] * 40)),
        "lie.npy": lie("(1125899906842624,)", "'<f8'"),
        "garbage.npy": npy(b"{'descr': \xff ((\n"),
        "pickle.npz": pickle.dumps(Canary(canary)),
        "empty.npz": b"",
        "empty.csv": b"",
        "words.csv": b"scores\n" + b"x\n" * 40,
        "columns.csv": b"scores,a\n" + b"1\n" * 40,
        "nul.csv": b"scores\n" + b"1\x00\n" * 40,
        "latin.csv": b"scores\n\xff\n",
        "quote.csv": b'scores\n"' + b"1\n" * 40,
        "long.csv": b"scores\n" + b"1" * 200_000 + b"\n",
        "many.csv": b"scores\n" + b"9" * 5000 + b"\n" + b"1\n" * 39,
        "bool.safetensors": safetensors.numpy.save({"scores": good > 0.5}),
        "other.safetensors": safetensors.numpy.save({"x": good}),
        "length.safetensors": b"\xff" * 8 + tensors[8:],
        "deep.safetensors": (10**5).to_bytes(8, "little") + nested(50_000).encode(),
        "half.safetensors": safetensors.numpy.save({"scores": good.astype(np.float16)}),
        "labels.npz": b"",
        "zero.npy": "/dev/zero",
        "zero.csv": "/dev/zero",
        "dangling.npz": "nothing",
        "unknown.pt": pickle.dumps(Canary(canary)),
    }
    if number < len(fixed):
        return list(fixed.items())[number]
    name, data = rng.choice([("n.npy", saved(good)), ("s.safetensors", tensors)])
    if rng.random() < 0.3:
        return name, data[: rng.randrange(len(data))]
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        changed[rng.randrange(min(len(data), 140))] = rng.randrange(256)
    return name, bytes(changed)


def test_score_files(row, here, tmp_path):
    with row("hostile files of scores (scorer=file:)", 45) as files:
        for number, rng in files.cases():
            place = tmp_path / str(number)
            write_data(place / "squares.npz")
            name, data = score_file(rng, number, place / "canary")
            if isinstance(data, str):
                (place / name).symlink_to(data)
            else:
                (place / name).write_bytes(data)
            given = ("select", "--data", "npz:squares.npz", "--method", "window", "--ipc", 2)
            with files.case(number, name):
                args = (*given, "--json", "-o", f"scorer=file:{name}")
                done = here(*args, cwd=place, store=place / "store").keeps_the_rules()
                assert not (place / "canary").exists()
                assert done.code == 0 or name in done.err, done.told
                files.count_as("refused in one line" if done.code else "read")


PLUGIN = """
from condense import Options, hookimpl
{before}
class S:
    "A scorer."
    name, version = "{name}", "1"
    class Options(Options):
        pass
    def __init__(self, options):
        self.options = options
        {init}
    def score(self, data, context, rng):
        {body}
        return data.inputs.flatten(1).float().std(1)

@hookimpl
def condense_register_scorers(register):
    {hook}
    register(S)
"""
MUTE = "type('Mute', ({base},), {{'__str__': lambda s: 1 / 0, '__repr__': lambda s: 1 / 0}})()"
RAISES = {
    "Exception": "raise Exception('x')",
    "two lines": "raise ValueError('a\\nb\\n\\nTraceback')",
    "a surrogate": "raise ValueError('\\ud800')",
    "BaseException": "raise BaseException('x')",
    "of its own": "raise type('Mine', (BaseException,), {})('x')",
    "SystemExit": "raise SystemExit(0)",
    "SystemExit with text": "raise SystemExit('bye')",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "StopIteration": "raise StopIteration",
    "MemoryError": "raise MemoryError",
    "RecursionError": "f = lambda: f()\n{pad}f()",
    "a mute exception": f"raise {MUTE.format(base='Exception')}",
    "a mute BaseException": f"raise {MUTE.format(base='BaseException')}",
    "exit()": "import sys; sys.exit(3)",
    "a group": "raise ValueError('x') from KeyError('y')",
}
PLACES = ("before", "hook", "init", "body")
WHOLE = {  # a module that is not what a plugin is
    "nothing": "",
    "no Python": "def (",
    "NUL": "x = '\x00'",
    "no name": PLUGIN.replace('name, version = "{name}", "1"', "version = '1'"),
    "a name with blanks": PLUGIN.replace('"{name}"', '"no name"'),
    "a name that is none": PLUGIN.replace('"{name}"', "1"),
    "no version": PLUGIN.replace('"{name}", "1"', '"{name}", None'),
    "no options": PLUGIN.replace("    class Options(Options):\n        pass\n", ""),
    "options that are none": PLUGIN.replace("class Options(Options)", "class Options"),
    "not a class": PLUGIN.replace("register(S)", "register(1)"),
    "an instance": PLUGIN.replace("register(S)", "register(S(None))"),
    "hostile attributes": PLUGIN.replace(
        '"A scorer."', "__doc__ = property(lambda self: 1 / 0)\n    __module__ = 3"
    ),
    "a strange metaclass": PLUGIN.replace(
        "class S:",
        "class M(type):\n    def __getattr__(cls, name): raise KeyError\nclass S(metaclass=M):",
    ),
}


def bad_plugins() -> list[tuple[str, str]]:
    found = [(f"{what} in {at}", at, code) for what, code in RAISES.items() for at in PLACES]
    modules = []
    for number, (what, at, code) in enumerate(found):
        pad = {"before": "", "hook": "    "}.get(at, "        ")
        parts = dict.fromkeys(PLACES, "pass") | {at: code.replace("{pad}", pad)}
        modules.append((what, PLUGIN.format(name=f"bad-{number}", **parts)))
    for what, code in WHOLE.items():
        parts = dict.fromkeys(PLACES, "pass") | {"name": "whole"}
        modules.append((what, code.format(**parts) if "hookimpl" in code else code))
    return modules


STRANGERS = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from condense.cli.main import main
main()
"""


def installed(site: Path, name: str, code: str) -> None:
    site.mkdir(exist_ok=True)
    (site / f"stranger_{name}.py").write_text(code, errors="surrogatepass")
    info = site / f"stranger_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pkg-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[condense]\n{name} = stranger_{name}\n")


def test_bad_plugins(row, server, tmp_path):
    """What raises, on import, in a hook or at work, whatever it raises: named, and alone.

    What nobody can isolate is in SECURITY.md.
    """
    modules = bad_plugins()
    with row("plugins that raise whatever they like, or are none", len(modules)) as plugins:
        for number, _ in plugins.cases():
            what, code = modules[number % len(modules)]
            site = tmp_path / str(number)
            installed(site, "bad", code)
            installed(site, "good", PLUGIN.format(name="good", **dict.fromkeys(PLACES, "pass")))
            where = {"cwd": site, "store": site / "store", "code": STRANGERS}
            with plugins.case(number, what):
                done = server.start(site, "plugins", "--json", **where).wait(60)
                assert done.code == 0, done.told
                assert not any(mark in done.err for mark in MARKS), done.told
                document = json.loads(done.out)
                loaded = {c["name"] for c in document["components"]}
                assert {"good", "window", "cscore"} <= loaded
                broken = {b["name"] for b in document["broken"]}
                assert broken <= {"bad"}
                if broken:
                    assert "warning: plugin bad (pkg-bad) failed to load: " in done.err
                    assert done.err.count("\n") == 1, done.told
                    plugins.count_as("named and left out")
                    continue
                bad = re.search(r"name, version = \"(bad-\d+)\"", code)
                if bad is None:  # it registers nothing, or nothing that harms
                    plugins.count_as("harmless")
                    continue
                work = server.start(site, "score", "-o", f"scorer={bad[1]}", **where).wait(60)
                if what.startswith("KeyboardInterrupt"):  # as if the user had pressed Ctrl-C
                    assert (work.code, work.err.count("\n")) == (130, 1), work.told
                    plugins.count_as("read as an interrupt at work")
                    continue
                if what.startswith("MemoryError"):  # as if there were none left
                    assert (work.code, work.err.count("\n")) == (1, 1), work.told
                    assert work.err.startswith("error: out of memory"), work.told
                    plugins.count_as("read as no memory at work")
                    continue
                work.keeps_the_rules()
                assert work.code == 1, work.told
                assert bad[1] in work.err, work.told
                plugins.count_as("named where it fails at work")
