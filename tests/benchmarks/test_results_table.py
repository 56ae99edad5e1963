"""The results' README is what its JSON files say."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def tables(load):
    return load("results_table")


def document(**more):
    arm = {
        "accuracy": {"mean": 0.54321, "std": 0.0062, "n": 5, "values": [0.54321] * 5},
        "augmentation": "combined",
        "tried": {"combined": {"mean": 0.54321}},
        "complete": True,
    }
    return {
        "preset": "fast-cifar100-ipc50",
        "published": "paper-cifar100-ipc50",
        "departures": [],
        "complete": True,
        "differences": [{"option": "matcher.experts", "published": 100, "here": 5}],
        "data": "cifar100",
        "samples": 50000,
        "ipc": 50,
        "seed": 0,
        "validation": None,
        "command": "python benchmarks/headline.py --preset fast-cifar100-ipc50",
        "arms": {"selmatch": arm},
        "seconds": {"scores": 60.0, "match selmatch": 90.0},
        "peak_memory_mb": 1000.0,
        "device": "a GPU",
        "commit": "abc",
        "environment": {"threads": 2, "torch": "2"},
        **more,
    }


def test_the_readme_is_not_stale(tables):
    assert tables.main(["--check"]) == 0


def test_a_result_stands_beside_what_was_published(tables, tmp_path):
    marks = [f"<!-- begin {n} -->\n<!-- end {n} -->" for n in ("headline", "runs")]
    readme = tmp_path / "README.md"
    readme.write_text("\n".join(["before", *marks, "after"]))
    assert tables.main(["--check", "--folder", str(tmp_path)]) == 1
    (tmp_path / "headline-x.json").write_text(json.dumps(document()))
    chosen = document(validation=0.2, arms={})
    (tmp_path / "headline-y.json").write_text(json.dumps(chosen | {"preset": "paper-tiny-ipc50"}))
    assert tables.main(["--folder", str(tmp_path)]) == 0
    assert tables.main(["--check", "--folder", str(tmp_path)]) == 0
    text = readme.read_text()
    assert text.startswith("before")
    assert text.endswith("after")
    lines = [line for line in text.splitlines() if line.startswith("| **SelMatch**")]
    cells = [part.strip() for part in lines[1].split("|")[2:-1]]  # CIFAR-100
    assert cells[3:6] == ["54.5±0.6", "not run", "54.3±0.6 (5)"]
    assert [cells[n] for n in range(12) if n not in (3, 4, 5)] == [
        *("50.9±0.3", "not run", "not run"),
        *("62.4±0.5", "not run", "not run"),
        *("67.4±0.2", "not run", "not run"),
    ]
    assert "matcher.experts 5 for 100" in text
    assert "2.5 min" in text  # 150 seconds


def test_columns_hold_complete_runs_of_the_preset_itself_alone(tables):
    name = "fast-cifar100-ipc50"
    assert tables._of([document()], name) == document()
    others = [
        document(ipc=10),
        document(departures=["matcher.iterations"]),
        document(complete=False),
        document(validation=0.2),
        document(preset="paper-cifar100-ipc50"),
    ]
    for other in others:
        assert tables._of([other], name) == {}
        assert tables._of([other, document()], name) == document()


@pytest.mark.parametrize(
    ("flags", "departs"),
    [
        ("", False),
        ("--only match --out x.json --device cpu", False),
        ("-o matcher.iterations=3", True),
        ("--data npz:x.npz", True),
        ("--data=npz:x.npz", True),
        ("--ipc 50", True),  # cannot be told from the words
    ],
)
def test_of_an_older_file_the_command_says_whether_it_departs(tables, flags, departs):
    older = document(command=f"python benchmarks/headline.py --preset fast-cifar100-ipc50 {flags}")
    older.pop("departures")
    assert tables.departs(older) is departs
    assert tables.departs(older | {"ipc": 10})


def test_an_unfinished_arm_is_not_in_the_columns(tables):
    published = json.loads((FOLDER / "published.json").read_text())
    unfinished = document()
    unfinished["arms"]["selmatch"]["complete"] = False  # of an earlier stay, with other --arms
    assert "54.3±0.6 (5)" in tables.headline_table([document()], published)
    assert "54.3±0.6 (5)" not in tables.headline_table([unfinished], published)


def test_a_runs_stays_are_all_named(tables):
    text = tables.runs_table(
        [document(file="x.json", commands=["first", "second"], commits=["abc", "def"])]
    )
    assert "```bash\nfirst\nsecond\n```" in text
    assert "commits abc, def." in text
    older = tables.runs_table([document(file="x.json", command="only")])
    assert "```bash\nonly\n```" in older
    assert "commit abc." in older


def test_bars_of_one_standard_error(tables):
    def arm(mean, std, n=4):
        return {"accuracy": {"mean": mean, "std": std, "n": n}}

    arms = {"random": arm(0.40, 0.02), "window": arm(0.43, 0.03), "selmatch": arm(0.44, 0.01)}
    (line,) = tables.orders(arms)  # errors are half of the deviations: .01, .015, .005
    assert "window − random +3.0 points, bars apart" in line
    assert "selmatch − window +1.0 points, bars overlap" in line
    assert "mtt" not in line
    assert (
        "bars reversed" in tables.orders({"window": arm(0.5, 0.01), "selmatch": arm(0.4, 0.01)})[0]
    )
    assert tables.orders({"window": arm(0.5, 0.01)}) == []
    lone = {"window": arm(0.4, 0.0, n=1), "selmatch": arm(0.5, 0.01)}
    assert tables.orders(lone) == [
        "One-standard-error bars: selmatch − window +10.0 points, no bars (one network)."
    ]


def test_what_changed_options_gain_is_paired_network_by_network(tables):
    def arm(*values):
        return {"accuracy": {"values": list(values)}, "complete": True}

    base = document(file="base.json", departures=["data.component"])
    base["arms"] = {"selmatch": arm(0.50, 0.52, 0.54), "window": arm(0.4, 0.4, 0.4)}
    other = document(file="other.json", departures=["data.component", "policy.component"])
    other["arms"] = {"selmatch": arm(0.51, 0.54, 0.57)}  # +1, +2, +3: 2 ± 1/√3
    (line,) = tables.gains(other, [other, base])
    assert "(base.json)" in line
    assert line.endswith("selmatch +2.0 ± 0.6 (standard error) points (+1.0, +2.0, +3.0).")
    assert tables.gains(base, [other, base]) == []
    for apart in ({"seed": 1}, {"device": "another"}, {"departures": ["data.norm"]}):
        assert tables.gains(other, [other, base | apart]) == []
    fewer = other | {"arms": {"selmatch": arm(0.51, 0.54)}}
    assert "+1.5 ± 0.5" in tables.gains(fewer, [fewer, base])[0]
    unfinished = base | {"arms": {"selmatch": base["arms"]["selmatch"] | {"complete": False}}}
    assert tables.gains(other, [other, unfinished]) == []


def test_the_preset_itself_comes_before_what_departs_from_it(tables, tmp_path):
    changed = document(departures=["policy.component"])
    (tmp_path / "headline-a.json").write_text(json.dumps(changed))
    (tmp_path / "headline-b.json").write_text(json.dumps(document()))
    assert [d["file"] for d in tables.results(tmp_path)] == ["headline-b.json", "headline-a.json"]


OTHERS = ("paper-dm-", "paper-dc-")


def test_methods_are_set_side_by_side_the_best_on_average_first(tables):
    def row(method, ipc, mean, seconds, differs=None):
        accuracy = {"mean": mean, "half": 0.0123}
        found = {"method": method, "labels": "own", "ipc": ipc, "accuracy": accuracy}
        to_best = None if differs is None else {"mean": mean - 0.97}
        return found | {"seconds": seconds, "to_best": to_best, "differs": differs}

    rows = [
        *(row("random", 5, 0.9, None, False), row("dm", 5, 0.973, 6.1), row("whole", 5, 1, None)),
        *(row("random", 10, 0.95, None, True), row("dm", 10, 0.97, 9.4), row("whole", 10, 1, None)),
    ]
    assert tables.compare_table({"rows": rows}).splitlines() == [
        "|  | 5 a class | 10 a class | seconds to make |",
        "|---|---|---|---|",
        "| whole | 100.0 ± 1.2 | 100.0 ± 1.2 |  |",
        "| dm | **97.3** ± 1.2 | **97.0** ± 1.2 | 6–9 |",
        "| random | 90.0 ± 1.2 | 95.0 ± 1.2† |  |",
    ]


def test_published_figures_cover_every_published_preset(tables, host):
    published = json.loads((FOLDER / "published.json").read_text())
    names = host.registry("preset").names()
    # those of DM and DC are other papers'
    presets = [n for n in names if n.startswith("paper-") and not n.startswith(OTHERS)]
    assert sorted(f"paper-{cell}" for cell in published["cells"]) == sorted(presets)
    for arm, figures in published["arms"].items():
        assert len(figures) == len(published["cells"]), arm
    # SelMatch's own claim: ahead of every arm that has hard labels
    for column, best in enumerate(published["arms"]["selmatch"]):
        for arm in ("random", "hardest", "window", "mtt"):
            assert published["arms"][arm][column][0] < best[0]
