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
OPTIONS = [part for key, value in TINY.items() for part in ("-o", f"{key}={value}")]


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
