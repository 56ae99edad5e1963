"""Tiny runs, and what they may leave behind."""

import time

import filelock

TINY = {
    "evaluator.repeats": 2,
    "evaluator.steps": 40,
    "matcher.iterations": 8,
    "matcher.experts": 2,
    "scorer.networks": 2,
    "scorer.epochs": 3,
}
MATCHING = {
    "matcher.trajectories": 4,
    "matcher.iterations": 12,  # more than a look at the loss, and a step size that is searched for
    "matcher.steps": 4,
    "matcher.experts": 2,
    "matcher.max_start_epoch": 2,
    "matcher.network.width": 8,
    "matcher.batch_size": 10,
    "evaluator.steps": 10,
    "evaluator.repeats": 1,
}
MATCH = ("run", "--method", "mtt", "--ipc", "1", "--no-baselines", "--out", "out")
WRITTEN = ("condensed.safetensors", "manifest.json", "recipe.toml", "results.json", "trace.csv")
OPTIONS = [part for key, value in TINY.items() for part in ("-o", f"{key}={value}")]


def match_options(**values):
    """Of a tiny matching of four trajectories, with others of their values."""
    table = MATCHING | {key.replace("__", "."): value for key, value in values.items()}
    return [part for key, value in table.items() for part in ("-o", f"{key}={value}")]


def same(one, other, names=WRITTEN):
    """That two folders hold the same files, by default all of a run's but those of the clock."""
    unlike = [name for name in names if (one / name).read_bytes() != (other / name).read_bytes()]
    assert unlike == []


def left_over(store):
    """What belongs to nobody any more, and locks that somebody holds."""
    found = [p.name for p in store.rglob("*") if p.name.startswith(".")]
    found += [p.name for p in store.rglob("*") if p.suffix in (".partial", ".claim")]
    return found + [p.name for p in store.rglob("*.lock") if is_held(p)]


def is_held(path):
    try:
        with filelock.FileLock(path, timeout=0):
            return False
    except filelock.Timeout:
        return True


def nothing_left(store, seconds=60):
    """Whether nothing is, once those have ended that were told to; a process dies slowly."""
    end = time.monotonic() + seconds
    while left_over(store):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
