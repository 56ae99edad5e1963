"""What stored work takes from nothing, whoever did it: by a clock that the test turns."""

import pytest

from condense.engine.runtime import ledger as ledger_module, store as store_module
from condense.engine.runtime.store import Payload, Store


@pytest.fixture
def clock(monkeypatch):
    """``clock(3)`` lets three seconds pass."""
    now = [100.0]

    def turn(seconds):
        now[0] += seconds

    for module in (ledger_module, store_module):
        monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return turn


def part(store, clock, name, seconds):
    """An entry that takes ``seconds``."""

    def compute():
        clock(seconds)
        return Payload(values={"name": name})

    return store.fetch("parts", {"name": name}, compute)


def whole(store, clock):
    """5 seconds of its own around parts of 3 and 4."""

    def compute():
        clock(2)
        part(store, clock, "a", 3)
        part(store, clock, "b", 4)
        clock(3)
        return Payload()

    return store.fetch("wholes", {}, compute)


def made(store, clock):
    with store.ledger.work() as work:
        whole(store, clock)
    return work.seconds


def test_work_within_work_is_counted_once(tmp_path, clock):
    assert made(Store(tmp_path), clock) == 12


def test_what_was_stored_before_counts_as_if_it_were_not(tmp_path, clock):
    part(Store(tmp_path), clock, "a", 3)
    assert made(Store(tmp_path), clock) == 12  # of which 9 were spent now
    assert made(Store(tmp_path), clock) == 12  # and now none


def test_an_entry_of_a_store_that_kept_no_seconds_makes_the_whole_unknown(tmp_path, clock):
    import json

    store = Store(tmp_path)
    part(store, clock, "a", 3)
    path = store.path("parts", {"name": "a"}) / "entry.json"
    entry = json.loads(path.read_text())
    del entry["seconds"]
    path.write_text(json.dumps(entry))
    assert made(Store(tmp_path), clock) is None


def test_an_entry_that_is_asked_for_again_counts_once(tmp_path, clock):
    def compute(store):
        part(store, clock, "a", 3)
        clock(1)
        part(store, clock, "a", 3)
        return Payload()

    for _ in range(2):
        store = Store(tmp_path)
        with store.ledger.work() as work:
            store.fetch("wholes", {}, lambda store=store: compute(store))
            store.fetch("wholes", {}, lambda: 1 / 0)
        assert work.seconds == 4


def test_work_that_goes_on_from_a_checkpoint_is_unknown(tmp_path, clock):
    store = Store(tmp_path)

    def compute():
        store.ledger.unknown()
        clock(1)
        return Payload()

    with store.ledger.work() as work:
        store.fetch("parts", {}, compute)
    assert work.seconds is None
    with store.ledger.work() as again:
        store.fetch("parts", {}, compute)
    assert again.seconds is None


def test_work_that_fails_leaves_the_ledger_usable(tmp_path, clock):
    store = Store(tmp_path)

    def compute():
        clock(1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.fetch("parts", {}, compute)
    assert made(store, clock) == 12
