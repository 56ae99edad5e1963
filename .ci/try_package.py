"""python3 .ci/try_package.py PLACE: the wheel in PLACE/venv works alone, PLACE/dist is whole."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

# under which a run takes seconds
TINY = (
    *("scorer.networks=1", "scorer.epochs=2", "scorer.network.width=8"),
    *("matcher.iterations=3", "matcher.experts=1", "matcher.max_start_epoch=2", "matcher.steps=2"),
    *("matcher.network.width=8", "evaluator.steps=5", "evaluator.repeats=2"),
)
IN_WHEEL = ("condense/py.typed", "condense_plugins/py.typed", "condense/schema/run.json")
IN_WHEEL += (
    "condense/plugin/templates/kinds/scorer.py.j2",
    "condense/report/page/templates/report.css",
)
IN_SOURCE = ("LICENSE", "CITATION.cff", "docs/index.md", "tests/conftest.py", "mkdocs.yml")


def main(place: Path) -> None:
    (wheel,), (source,) = (list((place / "dist").glob(end)) for end in ("*.whl", "*.tar.gz"))
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.startswith(("tests", "plugins", "docs"))]
    missing = [name for name in IN_WHEEL if name not in names]
    with tarfile.open(source) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    missing += [name for name in IN_SOURCE if name not in held]
    assert not missing, missing

    away = place / "away"  # no file of the repository in sight
    away.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "CONDENSE"))}
    environment = {**kept, "CONDENSE_STORE": str(place / "store")}

    def call(*words: str) -> str:
        told = subprocess.run(
            words, cwd=away, env=environment, check=True, capture_output=True, text=True
        )
        return told.stdout

    python, condense = (str(place / "venv" / "bin" / name) for name in ("python", "condense"))
    where = call(
        python, "-c", "import condense, condense_plugins as p; print(condense.__file__, p.__file__)"
    )
    assert all(str(place / "venv") in path for path in where.split()), where
    assert "condense run" in call(condense, "run", "--help")
    assert not json.loads(call(condense, "plugins", "--json", "--strict")).get("broken")
    options = [part for option in TINY for part in ("-o", option)]
    ran = json.loads(call(condense, "run", "--ipc", "2", "--out", "small", "--json", *options))
    assert 0 <= ran["accuracy"]["mean"] <= 1
    call(condense, "export", "small", "--to", "npz", "--out", "small.npz")
    print(f"{wheel.name} and {source.name}: whole, installed, run")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
