"""Write the tables of ``benchmarks/results/README.md`` out of the JSON files beside it.

    python benchmarks/results_table.py            # rewrite them
    python benchmarks/results_table.py --check    # exit 1 if they are stale

Our figures come from ``headline-*.json`` (benchmarks/headline.py), the published ones from
``benchmarks/published.json``; the table of methods in the project's own README from
``compare-*.json`` (`condense compare`). Text outside of ``<!-- begin NAME -->`` …
``<!-- end NAME -->`` is left alone.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ARMS = {
    "random": "Random",
    "hardest": "Hardest (Forgetting)",
    "window": "Window",
    "mtt": "MTT",
    "datm": "DATM",
    "selmatch": "**SelMatch**",
    "ccfs": "CCFS (soft labels from a teacher)",
}
OURS = ("random", "window", "mtt", "selmatch")  # arms of headline.py
NOT_RUN = "not run"


def results(folder: Path) -> list[dict[str, Any]]:
    """The documents of ``headline-*.json``, each with its ``file``.

    By preset, what departs from it after the preset itself.
    """
    paths = sorted(folder.glob("headline-*.json"))
    found = [json.loads(path.read_text()) | {"file": path.name} for path in paths]
    return sorted(found, key=lambda d: (d["preset"], len(d.get("departures", ())), d["file"]))


def accuracy(mean: float, std: float | None, n: int | None = None) -> str:
    """``54.5±0.6 (5)``: percent, standard deviation, number of networks."""
    spread = "" if std is None or n == 1 else f"±{std:.1f}"
    return f"{mean:.1f}{spread}" + ("" if n is None else f" ({n})")


def cell(arm: dict[str, Any] | None) -> str:
    """An arm of a results file as a table's cell."""
    if arm is None:
        return NOT_RUN
    a = arm["accuracy"]
    return accuracy(100 * a["mean"], 100 * a["std"], a["n"])


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join([row(head), "|" + "---|" * len(head), *map(row, rows)])


def headline_table(documents: Sequence[dict[str, Any]], published: dict[str, Any]) -> str:
    """Published and own figures side by side, an arm a row, one table a data set."""
    parts = []
    for data in dict.fromkeys(name.rpartition("-")[0] for name in published["cells"]):
        names = [name for name in published["cells"] if name.startswith(f"{data}-")]
        heads = [h for n in names for h in (f"{n.rpartition('ipc')[2]}", "paper-…", "fast-…")]
        rows = []
        for arm, title in ARMS.items():
            cells = [title]
            for name in names:
                there = published["arms"][arm][published["cells"].index(name)]
                cells.append(accuracy(*there) if there else "–")
                for kind in ("paper", "fast"):
                    ours = _of(documents, f"{kind}-{name}").get("arms", {}).get(arm)
                    done = ours if ours is not None and ours["complete"] else None
                    cells.append(cell(done) if arm in OURS else "")
            rows.append(cells)
        whole = published["whole"][data]
        rows.append(["Whole set", f"{whole}", *[""] * (len(heads) - 1)])
        parts.append(f"**{data}**, images a class\n\n" + table(["", *heads], rows))
    return "\n\n".join(parts)


def _of(documents: Sequence[dict[str, Any]], preset: str) -> dict[str, Any]:
    """The complete result of ``preset`` as it is on the real test split; empty if there is none."""
    own = (d for d in documents if d["preset"] == preset and d["validation"] is None)
    fits = (d for d in own if d["complete"] and not departs(d))
    return next(fits, {})


def departs(document: dict[str, Any]) -> bool:
    """Whether flags set anything otherwise than the preset, its number of images included."""
    asked = re.search(r"ipc(\d+)$", document["preset"])
    if asked is not None and int(asked[1]) != document["ipc"]:
        return True
    if "departures" in document:
        return bool(document["departures"])
    # a file written before they were recorded: any such flag counts
    words = document["command"].split()
    return any(re.match(r"(-o|--data\b|--ipc\b)", word) for word in words)


def runs_table(documents: Sequence[dict[str, Any]]) -> str:
    """Every results file: its arms, seconds, device, commit, and the command that makes it."""
    if not documents:
        return "No run of `headline.py` yet: " + NOT_RUN + "."
    parts = []
    for d in documents:
        rows = [
            (arm, cell(found), found["augmentation"], _tried(found), _missing(found))
            for arm, found in d["arms"].items()
        ]
        split = f"validation part, {d['validation']:g} of training" if d["validation"] else "test"
        seconds = sum(d["seconds"].values())
        stages = ", ".join(f"{stage} {spent:.0f}" for stage, spent in d["seconds"].items())
        parts += [
            f"**{d['preset']}**, {d['data']} ({d['samples']} samples), {d['ipc']} images a class, "
            f"seed {d['seed']}, {split} split: [`{d['file']}`]({d['file']})",
            "```bash\n" + "\n".join(d.get("commands", [d["command"]])) + "\n```",
            table(("arm", "accuracy, % ± std (n)", "augmentation", "tried", ""), rows),
            *orders(d["arms"]),
            *gains(d, documents),
            f"{seconds / 60:.1f} min (seconds: {stages}), {d['peak_memory_mb']:.0f} MB; "
            f"{d['device']}, {d['environment']['threads']} threads, torch "
            f"{d['environment']['torch']}, {_commits(d)}. {_departures(d)}",
        ]
    return "\n\n".join(parts)


def orders(arms: dict[str, Any]) -> list[str]:
    """A line on which arm is ahead of which, and whether bars of one standard error overlap.

    A single network has no bar.
    """
    said = []
    for low, high in (("random", "window"), ("window", "selmatch"), ("mtt", "selmatch")):
        if low in arms and high in arms:
            (a, ea), (b, eb) = (_mean_and_error(arms[name]) for name in (low, high))
            bars = "bars " + (
                "apart" if b - a > ea + eb else "overlap" if abs(b - a) <= ea + eb else "reversed"
            )
            if min(arms[name]["accuracy"]["n"] for name in (low, high)) < 2:
                bars = "no bars (one network)"
            said.append(f"{high} − {low} {100 * (b - a):+.1f} points, {bars}")
    return ["One-standard-error bars: " + "; ".join(said) + "."] if said else []


def gains(document: dict[str, Any], documents: Sequence[dict[str, Any]]) -> list[str]:
    """A line on what changed options gain over the same run without them, network by network.

    Network r of an arm has the same seed in both, so that differences are paired.
    """
    same = ("preset", "data", "samples", "ipc", "seed", "validation", "device")
    changed, apart = _changed(document)
    bases = (
        d
        for d in documents
        if _changed(d) == ([], apart) and all(d[key] == document[key] for key in same)
    )
    base = next(bases, None)
    if not changed or base is None:
        return []
    said = []
    for name, arm in document["arms"].items():
        there = base["arms"].get(name)
        if there is not None and arm["complete"] and there["complete"]:
            # one of the two may have been asked for fewer networks
            pairs = zip(arm["accuracy"]["values"], there["accuracy"]["values"], strict=False)
            steps = [100 * (a - b) for a, b in pairs]
            error = statistics.stdev(steps) / len(steps) ** 0.5 if len(steps) > 1 else None
            each = ", ".join(f"{step:+.1f}" for step in steps)
            mean = statistics.mean(steps)
            bar = "" if error is None else f" ± {error:.1f} (standard error)"
            said.append(f"{name} {mean:+.1f}{bar} points ({each})")
    to = f"[the same without these options]({base['file']})"
    return [f"Against {to}, network by network: {'; '.join(said)}."] if said else []


def _changed(document: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Options set otherwise than in the preset: (those of the method, those of the data)."""
    found = document.get("departures", ())
    data = [option for option in found if option.startswith("data.")]
    return [option for option in found if option not in data], data


def _mean_and_error(arm: dict[str, Any]) -> tuple[float, float]:
    a = arm["accuracy"]
    return a["mean"], a["std"] / a["n"] ** 0.5


def _tried(arm: dict[str, Any]) -> str:
    tried = arm["tried"]
    return ", ".join(f"{n} {100 * t['mean']:.1f}" for n, t in tried.items()) if tried else ""


def _missing(arm: dict[str, Any]) -> str:
    return "" if arm["complete"] else "unfinished"


def _commits(document: dict[str, Any]) -> str:
    found = document.get("commits", [document["commit"]])
    return f"commit{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"


def _departures(document: dict[str, Any]) -> str:
    if document["published"] is None:
        return "Settings of our own, no published experiment."
    if not document["differences"]:
        return f"No option differs from {document['published']}."
    texts = [f"{d['option']} {d['here']} for {d['published']}" for d in document["differences"]]
    return f"Differs from {document['published']}: {', '.join(texts)}."


def compare_table(document: dict[str, Any]) -> str:
    """Methods by sizes, best on average first: ``97.3 ± 1.2``, the best of a column bold.

    A dagger stands behind what is significantly lower.
    """
    columns: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for found in document["rows"]:
        columns.setdefault((found["labels"], found["ipc"]), {})[found["method"]] = found
    methods = {
        name: statistics.mean(column[name]["accuracy"]["mean"] for column in columns.values())
        for name in next(iter(columns.values()))
    }
    several = len({labels for labels, _ in columns}) > 1
    heads = [f"{ipc} a class" + f", {labels}" * several for labels, ipc in columns]
    rows = [
        [name, *(_compared(column[name]) for column in columns.values()), _takes(name, columns)]
        for name in sorted(methods, key=lambda name: -methods[name])
    ]
    return table(["", *heads, "seconds to make"], rows)


def _compared(found: dict[str, Any]) -> str:
    a = found["accuracy"]
    mean = f"{100 * a['mean']:.1f}"
    best = found["to_best"] is None and found["method"] != "whole"  # what others are held against
    mean = f"**{mean}**" if best else mean
    return f"{mean} ± {100 * a['half']:.1f}" + ("†" if found["differs"] else "")


def _takes(method: str, columns: dict[tuple[str, int], dict[str, dict[str, Any]]]) -> str:
    """Of its sets of all sizes, from least to most."""
    spent = [column[method]["seconds"] for column in columns.values()]
    if None in spent:
        return ""
    least, most = f"{min(spent):.0f}", f"{max(spent):.0f}"
    return least if least == most else f"{least}–{most}"


def rendered(text: str, blocks: dict[str, str]) -> str:
    """``text`` with each block between its marks replaced."""
    for name, block in blocks.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        head, first, rest = text.partition(begin)
        _, second, tail = rest.partition(end)
        if not first or not second:
            raise SystemExit(f"the README has no block {begin} … {end}")
        text = f"{head}{begin}\n{block}\n{end}{tail}"
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the README, or say that it is stale."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--check", action="store_true", help="exit 1 if the tables are stale")
    p.add_argument("--folder", type=Path, default=HERE / "results", help="of README.md and JSON")
    p.add_argument("--front", type=Path, default=HERE.parent / "README.md", help="of the project")
    arguments = p.parse_args(argv)
    published = json.loads((HERE / "published.json").read_text())
    documents = results(arguments.folder)
    blocks = {"headline": headline_table(documents, published), "runs": runs_table(documents)}
    compared = {
        path.stem: compare_table(json.loads(path.read_text()))
        for path in sorted(arguments.folder.glob("compare-*.json"))
    }
    pages = {arguments.folder / "README.md": blocks, arguments.front: compared}
    after = {path: rendered(path.read_text(), found) for path, found in pages.items() if found}
    stale = [path for path, text in after.items() if path.read_text() != text]
    if arguments.check:
        sys.stdout.write("".join(f"{path} is stale\n" for path in stale) or "up to date\n")
        return int(bool(stale))
    for path in stale:
        path.write_text(after[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
