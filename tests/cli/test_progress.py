import io
import time

import pytest
from rich.console import Console

from condense.cli.bars import TerminalProgress
from condense.cli.progress import QuietProgress, make_progress
from condense.engine.runtime.progress import SilentProgress


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def use(progress, units=3, pause=0.0):
    with progress.task("experts", units, "epoch") as task:
        for _ in range(units):
            time.sleep(pause)
            task.advance(loss=0.25)


@pytest.mark.parametrize("progress", [QuietProgress(), SilentProgress()])
def test_quiet_when_not_a_terminal(progress, capfd):
    use(progress)
    assert capfd.readouterr() == ("", "")


def test_notes_are_one_line_on_stderr_even_when_quiet(capfd):
    progress = make_progress()
    assert isinstance(progress, QuietProgress)
    progress.note("warning: cache\nentry is damaged")
    assert capfd.readouterr() == ("", "warning: cache entry is damaged\n")


def test_a_short_task_draws_nothing():
    console = terminal()
    use(TerminalProgress(console))
    assert console.file.getvalue() == ""


def test_a_long_task_shows_rate_time_left_and_figures():
    console = terminal()
    use(TerminalProgress(console, delay=0.1), units=4, pause=0.15)
    text = console.file.getvalue()
    for part in ("experts", "epoch/s", "left", "loss 0.25"):
        assert part in text


def test_a_task_that_never_advances_shows_as_well():
    console = terminal()
    with TerminalProgress(console, delay=0.05).task("load", 1):
        time.sleep(0.3)
    assert "load" in console.file.getvalue()


def test_a_second_long_task_shows_after_the_first_has_gone():
    console = terminal()
    progress = TerminalProgress(console, delay=0.05)
    for title in ("first", "second"):
        with progress.task(title, 1):
            time.sleep(0.2)
        assert title in console.file.getvalue()


def test_bars_may_nest_and_an_error_ends_them():
    console = terminal()
    progress = TerminalProgress(console, delay=0.05)
    with pytest.raises(ValueError, match="stop"), progress.task("outer", 2):  # noqa: PT012
        with progress.task("inner", 2):
            time.sleep(0.2)
            raise ValueError("stop")
    assert "inner" in console.file.getvalue()
    assert "\x1b[?25h" in console.file.getvalue()  # the cursor is back
    progress.note("[bold] path")
    assert console.file.getvalue().endswith("[bold] path\n")


def test_speed_is_in_the_unit_that_reads_best():
    console = terminal()
    progress = TerminalProgress(console, delay=0.0)
    with progress.task("cells", 100, "cell"):
        (row,) = progress._bars.tasks
        row.get_time = clock = iter([0.0, 40.0, 80.0, 120.0]).__next__
        progress._bars.get_time = clock
        for done in (1, 2, 3):
            progress._bars.update(row.id, completed=done)
        speed, left = progress._bars.columns[3:5]
        assert speed.render(row).plain == "40.0 s/cell"
        assert left.render(row).plain == "1:04:40"  # 97 of them
