"""Full disks, places that may not be written, odd names: one line, nothing half-written."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from stress_runs import POSIX, Done, contents, names, options, run_arguments, same, write_data

pytestmark = [pytest.mark.stress, pytest.mark.timeout(0), POSIX]

# no file may grow beyond a limit, as with `ulimit -f`; what is printed lies in files as well
LIMITED = """
import contextlib, io, os, resource, signal, sys
from condense.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["LIMIT"]), hard))
out, err = io.StringIO(), io.StringIO()
try:
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        main(obj=HOST)
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    sys.stdout.write(out.getvalue())
    sys.stderr.write(err.getvalue())
"""
# a user who may not write everywhere, as root may
NOBODY = """
import os
from condense.cli.main import main
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
main(obj=HOST)
"""


def largest(folder: Path) -> int:
    return max(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def nothing_half_written(at: Path) -> None:
    """No output, no draft, no damaged entry."""
    left = {p.name for p in (at / "work").iterdir()} - {"squares.npz"}
    assert not left, f"left behind: {sorted(left)}"
    drafts = [n for n in names(at / "store") if Path(n).name.startswith(".")]
    assert not drafts, f"drafts: {drafts}"


def then_with_room(here, at, whole):
    """That the same command ends as if nothing had been."""
    again = here(*run_arguments(), cwd=at / "work", store=at / "store").succeeds()
    assert "warning" not in again.err, again.told
    same(contents(at / "work" / "out"), contents(whole / "work" / "out"))
    # where the marker could not be written, `cache` will, from the entries
    assert names(at / "store") | {"condense-store.json"} == names(whole / "store")


def test_a_limit_of_file_sizes(row, server, here, whole, place):
    most = max(largest(whole / "store"), largest(whole / "work" / "out"))
    with row("no file may grow beyond a random size (RLIMIT_FSIZE)", 40) as limits:
        for number, rng in limits.cases():
            at, limit = place(number), int(most ** rng.uniform(0, 1.05))
            with limits.case(number, f"limit {limit} bytes"):
                run = server.start(
                    *run_arguments(),
                    cwd=at / "work",
                    store=at / "store",
                    code=LIMITED,
                    LIMIT=str(limit),
                )
                done = run.wait().keeps_the_rules()
                if done.code == 0:
                    limits.count_as("enough")
                else:
                    assert "file too large" in done.err.lower(), done.told
                    nothing_half_written(at)
                    limits.count_as("one line, nothing half-written")
                then_with_room(here, at, whole)


CALLS = {"write": (os, "fsync"), "rename": (os, "rename"), "replace": (os, "replace")}


def test_a_disk_that_fills_up_at_some_call(row, here, whole, place, monkeypatch):
    """ENOSPC (or EIO) from the n-th call that writes or renames, and from all after it."""
    with row("ENOSPC or EIO injected at a random call, and after it", 30) as failures:
        for number, rng in failures.cases():
            at = place(number)
            module, name = CALLS[rng.choice(sorted(CALLS))]
            code, nth = rng.choice([errno.ENOSPC, errno.EIO]), rng.randrange(12)
            real, calls = getattr(module, name), []

            def failing(*args, real=real, calls=calls, code=code, nth=nth, **kwargs):
                calls.append(1)
                if len(calls) > nth:
                    raise OSError(code, os.strerror(code))
                return real(*args, **kwargs)

            with failures.case(number, f"{name} fails with {errno.errorcode[code]} from {nth}"):
                monkeypatch.setattr(module, name, failing)
                try:
                    done = here(*run_arguments(), cwd=at / "work", store=at / "store")
                finally:
                    monkeypatch.undo()
                done.keeps_the_rules()
                if done.code == 0:
                    failures.count_as("not called as often")
                else:
                    assert os.strerror(code).lower() in done.err.lower(), done.told
                    nothing_half_written(at)
                    failures.count_as("one line, nothing half-written")
                then_with_room(here, at, whole)


def mounted(folder: Path, size: int) -> bool:
    """Whether a small file system could be mounted there."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def test_a_small_file_system(row, here, whole, place):
    """Where one may be mounted, which takes root; store and outputs lie in it."""
    with row("a file system of a random size, filled up", 10) as disks:
        for number, rng in disks.cases():
            at, size = place(number), 4096 * rng.randint(3, 120)
            shutil.rmtree(at / "work")
            if not mounted(at, size):
                disks.count_as("not mounted here")
                continue
            try:
                with disks.case(number, f"{size} bytes"):
                    write_data(at / "work" / "squares.npz")
                    run = here(*run_arguments(), cwd=at / "work", store=at / "store")
                    if run.keeps_the_rules().code == 0:
                        disks.count_as("enough")
                    else:
                        assert "no space left on device" in run.err.lower(), run.told
                        nothing_half_written(at)
                        disks.count_as("one line, nothing half-written")
            finally:
                subprocess.run(["umount", str(at)], check=True)


READ_ONLY = {
    "the store": ("store", "CONDENSE_STORE"),
    "the working folder": ("work", "cannot be written"),
    "the folder of --out": ("outs", "cannot be written"),
    "an old artefact": ("outs/a", "cannot be written"),
    "the data": ("work/squares.npz", "squares.npz"),
    "the recipe": ("work/r.toml", "r.toml"),
}


def test_places_that_may_not_be_written_or_read(row, server, whole):
    with row("places that may not be written or read", len(READ_ONLY)) as places:
        for number, _ in places.cases():
            what, (closed, told) = list(READ_ONLY.items())[number % len(READ_ONLY)]
            with tempfile.TemporaryDirectory() as folder, places.case(number, what):
                at = Path(folder)
                write_data(at / "work" / "squares.npz")
                shutil.copytree(whole / "work" / "out", at / "outs" / "a")
                shutil.copy(at / "outs" / "a" / "recipe.toml", at / "work" / "r.toml")
                (at / "store").mkdir()
                for path in [at, *at.rglob("*")]:
                    path.chmod(0o777 if path.is_dir() else 0o666)
                before = contents(at / "outs" / "a")
                (at / closed).chmod(0o555 if (at / closed).is_dir() else 0o000)
                arguments = {
                    "outs": run_arguments("../outs/b"),
                    "outs/a": run_arguments("../outs/a"),
                    "work/r.toml": [*run_arguments(), "--recipe", "r.toml"],
                }.get(closed, run_arguments())
                run = server.start(*arguments, cwd=at / "work", store=at / "store", code=NOBODY)
                done = run.wait().keeps_the_rules()
                (at / closed).chmod(0o777)
                assert done.code != 0, done.told
                assert told in done.err, done.told
                assert contents(at / "outs" / "a") == before
                assert not [n for n in names(at) if Path(n).name.startswith(".")]
                places.count_as("one line, nothing written")


LONG = "x" * 240
ODD = (
    *(
        "with blanks",
        " leading",
        "trailing ",
        "new\nline",
        "tab\there",
        "-o",
        "--json",
        "a'b",
        'a"b',
    ),
    *("$(touch canary)", "`touch canary`", "; touch canary", "%s%n", "{0}", "[x]", "*", "?", "\\"),
    *(
        "ünïcödé",
        "日本語",
        "🙂",
        "\u202etxt",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ),
    *(os.fsdecode(b"\xff\xfe"), "~", "~nobody-here", "a" * 200, LONG, "b" * 255, "c" * 256),
    *("deep/" * 30 + "x", "./x/../y", "x//y", "con", "nul.txt", "a=b", "a,b", "a:b", "#x", "x.npz"),
)
SMALL = options({"evaluator.steps": 1, "evaluator.repeats": 1, "evaluator.network": "mlp"})


def test_odd_paths(row, here, tmp_path):
    """As --out, as the store, as the name of the data: all work, or are refused in one line."""
    with row("odd paths for outputs, stores and data", 3 * len(ODD)) as paths:
        for number, _ in paths.cases():
            where = ("out", "store", "data")[number % 3]
            name = ODD[number // 3 % len(ODD)]
            at = tmp_path / str(number)
            write_data(at / "work" / "squares.npz")
            with paths.case(number, f"{where} = {name!r}"):
                done = odd(here, at, where, name)
                assert not list(at.rglob("canary"))
                if done.code == 0:
                    paths.count_as("works")
                else:
                    assert not [p for p in names(at / "work") if Path(p).name.startswith(".")]
                    paths.count_as("one line")
            shutil.rmtree(at)


def odd(here, at: Path, where: str, name: str) -> Done:
    """A run with ``name`` as one of its paths."""
    work = at / "work"
    data, out, store = "npz:squares.npz", "out", at / "store"
    if where == "out":
        out = name
    elif where == "store":
        store = at / name
    else:
        try:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / "squares.npz").rename(work / name)
        except OSError:  # no such name here, and so no such data
            pass
        data = f"npz:{name}"
    given = ("run", "--method", "random", f"--data={data}", "--ipc=2", "--no-baselines")
    done = here(*given, f"--out={out}", *SMALL, cwd=work, store=store).keeps_the_rules()
    if done.code == 0:
        out = os.path.normpath(out)
        place = work / Path(out).expanduser()
        assert (place if place.exists() else work / out).joinpath("manifest.json").is_file()
        assert sys.platform == "win32" or not list((at / "work").glob(".*-????????????????"))
    return done
