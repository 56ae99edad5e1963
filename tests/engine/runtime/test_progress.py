import io
import re
import sys
import time
import types

import pytest
from rich.console import Console

from condense.engine.graph import in_turn
from condense.engine.runtime import bars, lines
from condense.engine.runtime.bars import TerminalProgress
from condense.engine.runtime.lines import LineProgress
from condense.engine.runtime.progress import SilentProgress, make_progress
from condense.spelling import on_command_line


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def use(progress, units=3, pause=0.0):
    with progress.task("experts", units, "epoch") as task:
        for _ in range(units):
            time.sleep(pause)
            task.advance(loss=0.25)


@pytest.mark.parametrize("progress", [LineProgress(), SilentProgress()])
def test_quiet_when_not_a_terminal(progress, capfd):
    use(progress)
    assert capfd.readouterr() == ("", "")


def test_notes_are_one_line_on_stderr_even_when_quiet(capfd):
    progress = make_progress(on_command_line)
    assert isinstance(progress, LineProgress)
    progress.note("warning: cache\nentry is damaged by `seed=3`")
    assert capfd.readouterr() == ("", "warning: cache entry is damaged by --seed 3\n")


def test_a_note_is_said_once(capfd):
    console = terminal()
    for progress in (LineProgress(), TerminalProgress(console=console)):
        for message in ("note: one", "note: two", "note: one"):
            progress.note(message)
    assert capfd.readouterr().err == "note: one\nnote: two\n"
    assert console.file.getvalue().split("\n")[:2] == ["note: one", "note: two"]
    assert console.file.getvalue().count("\n") == 2


def test_a_task_that_lasts_writes_a_line_now_and_then_where_there_is_no_terminal(
    capfd, monkeypatch
):
    clock = iter([0.0, 10.0, 40.0, 50.0, 80.0, 90.0])  # at the start, then at each step
    monkeypatch.setattr(lines.time, "monotonic", lambda: next(clock))
    progress = LineProgress()
    with progress.stage("matcher", 2, 3), progress.task("matching", 5, "it") as task:
        for _ in range(5):
            task.advance(loss=0.25)
    assert capfd.readouterr().err.splitlines() == [
        "2/3 matcher · matching: it 2 of 5, 1:00 left, loss 0.25",
        "2/3 matcher · matching: it 4 of 5, 0:20 left, loss 0.25",
    ]


def test_a_short_task_draws_nothing():
    console = terminal()
    use(TerminalProgress(console=console))
    assert console.file.getvalue() == ""


def test_a_long_task_shows_rate_time_left_and_figures():
    console = terminal()
    use(TerminalProgress(console=console, delay=0.1), units=4, pause=0.15)
    text = console.file.getvalue()
    for part in ("experts", "epoch/s", "left", "loss 0.25"):
        assert part in text


def test_a_task_that_never_advances_shows_as_well():
    console = terminal()
    with TerminalProgress(console=console, delay=0.05).task("load", 1):
        time.sleep(0.3)
    assert "load" in console.file.getvalue()


def test_a_bar_names_its_stage_and_a_stage_that_lasted_leaves_a_line():
    console = terminal()
    progress = TerminalProgress(console=console, delay=0.05)
    with progress.stage("matcher", 2, 3), progress.task("matching", 1):
        time.sleep(0.2)
    text = console.file.getvalue()
    assert "2/3 matcher · matching" in text
    assert re.search(r"2/3 matcher: 0\.\d s", text)


def test_a_second_long_task_shows_after_the_first_has_gone():
    console = terminal()
    progress = TerminalProgress(console=console, delay=0.05)
    for title in ("first", "second"):
        with progress.task(title, 1):
            time.sleep(0.2)
        assert title in console.file.getvalue()


def test_bars_may_nest_and_an_error_ends_them():
    console = terminal()
    progress = TerminalProgress(console=console, delay=0.05)
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
    progress = TerminalProgress(console=console, delay=0.0)
    with progress.task("cells", 100, "cell"):
        (row,) = progress._bars.tasks
        row.get_time = clock = iter([0.0, 40.0, 80.0, 120.0]).__next__
        progress._bars.get_time = clock
        for done in (1, 2, 3):
            progress._bars.update(row.id, completed=done)
        assert bars.Row(row).told().plain == "  3/100  40.0 s/cell"


EXPECTED = [[100.0], [40.0, 60.0], [None]]  # seconds of the tasks of three stages


def walked(progress, monkeypatch, every=10.0):
    """Three stages whose tasks' ten units take ten seconds each; the clock is not the real one."""
    now = [0.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])
    with progress.whole("", 3, "stage", lambda: EXPECTED) as done:
        for number, name in enumerate(("scorer", "matcher", "evaluator"), 1):
            with progress.stage(name, number, 3):
                for _ in EXPECTED[number - 1]:
                    with progress.task("train", 10, "step") as task:
                        for _ in range(10):
                            now[0] += every
                            task.advance(loss=0.5)
            done.advance()


def test_lines_say_what_is_left_of_the_whole(capfd, monkeypatch):
    walked(LineProgress(), monkeypatch)
    said = capfd.readouterr().err.splitlines()
    assert said[0] == ("1/3 scorer · train: step 3 of 10, at least 2:50 left in all, loss 0.5")
    assert [line.split(" ")[0] for line in said] == ["1/3"] * 3 + ["2/3"] * 6 + ["3/3"] * 3
    assert said[-1] == "3/3 evaluator · train: step 7 of 10, 0:30 left in all, loss 0.5"


def test_a_line_is_due_every_half_minute_whatever_the_length_of_tasks(capfd, monkeypatch):
    walked(LineProgress(), monkeypatch, every=2.0)  # no task lasts half a minute
    assert len(capfd.readouterr().err.splitlines()) == 2


def test_lines_within_a_study_name_the_run(capfd, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])
    progress = LineProgress()
    with progress.whole("ablate", 4, "run", lambda: [[60.0]] * 4) as done:
        for _ in range(2):
            # a whole within the whole is a part of it
            with progress.whole("", 1, "stage", lambda: pytest.fail("planned twice")) as inner:
                with progress.task("train", 2, "step") as task:
                    now[0] += 30.0
                    task.advance()
                    now[0] += 30.0
                    task.advance()
                inner.advance()
            done.advance()
    assert capfd.readouterr().err.splitlines() == [
        "ablate 1/4 · train: step 1 of 2, 3:30 left in all",
        "ablate 2/4 · train: step 1 of 2, 2:30 left in all",
    ]


def test_a_terminal_shows_the_whole_above_the_task_with_one_time_left():
    console = terminal()
    progress = TerminalProgress(console=console, delay=0.05)
    with (
        progress.whole("", 2, "stage", lambda: [[600.0], [60.0]]) as done,
        progress.stage("scorer", 1, 2),
        progress.task("train", 100) as task,
    ):
        time.sleep(0.4)
        task.advance(loss=0.25)
        time.sleep(0.4)
        done.advance()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    rows = [row for row in re.split(r"[\r\n]+", text) if row.strip()]
    wholes = [row for row in rows if row.startswith("all stages") and "left" in row]
    assert re.search(r" 0/2 +1\d:\d\d left", wholes[0])
    tasks = [row for row in rows if row.startswith("1/2 scorer · train")]
    assert "loss 0.25" in tasks[-1]
    assert not any("left" in row for row in tasks)
    assert all(len(row) <= 120 for row in rows)


def test_estimates_that_take_long_are_seen_to_be_made():
    console = terminal()
    progress = TerminalProgress(console=console, delay=0.05)

    def slow():
        time.sleep(0.4)
        return [[5.0]]

    with progress.whole("", 1, "stage", slow):
        assert "estimate" in console.file.getvalue()


def test_figures_fit_a_terminal_of_80_columns():
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    progress = TerminalProgress(console=console, delay=0.05)
    with (
        progress.whole("", 6, "stage", lambda: [[36000.0]] * 6),
        progress.stage("matcher", 3, 6),
        progress.task("matching", 1000) as task,
    ):
        for _ in range(3):
            time.sleep(0.15)
            task.advance(10, loss=0.09928, **{"step size": 0.04335})
        time.sleep(0.4)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    assert re.search(r" (60|59|5\d):\d\d:\d\d left", text)
    assert re.search(r"30/1000 +[\d.]+ it/s  loss 0.09928  step size 0.04335", text)


def drawn(progress, width, height=24):
    """What stands on the screen, line by line."""
    screen = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    screen.print(progress._bars.get_renderable())
    return screen.file.getvalue().splitlines()


def test_a_long_title_gives_way_and_the_time_left_does_not():
    progress = TerminalProgress(console=terminal(), delay=0.0)
    title = "evaluate a-method-with-a-very-long-name-indeed (combined)"
    with (
        progress.whole("", 6, "stage", lambda: [[3000.0]] * 6),
        progress.stage("evaluator", 4, 6),
        progress.task(title, 1500, "step") as task,
    ):
        for row in progress._bars.tasks:
            row.visible = True
        task.advance(1400, loss=0.25)
        whole, row = drawn(progress, 80)
    assert re.fullmatch(r"all stages +0/6  \d:\d\d:\d\d left", whole)
    assert re.match("4/6 evaluator · evaluate a-method-with-a-very-long-na.*… ", row)
    assert re.search(r"[01]\d*/1500( |$)", row)
    assert len(row) <= 80


def test_a_bar_does_not_twitch_when_a_figure_gets_shorter():
    progress = TerminalProgress(console=terminal(), delay=0.0)
    widths = set()
    with progress.task("matching", 300) as task:
        (row,) = progress._bars.tasks
        row.visible = True
        for loss in (0.09286, 0.2, 0.09286, 1.0):
            row.fields["figures"] = f"a figure and another {loss:.4g}  and more of them, even more"
            task.advance()
            (line,) = drawn(progress, 80)
            widths.add(len(re.findall("[━╸╺]", line)))
    assert len(widths) == 1
    assert widths.pop() < bars.WIDEST


def test_a_table_higher_than_the_terminal_leaves_room_for_the_bars():
    progress = TerminalProgress(
        console=Console(file=io.StringIO(), force_terminal=True, width=80, height=24), delay=0.0
    )
    progress.above = "\n".join(f"row {number}" for number in range(40))
    with progress.task("ablate", 40):
        progress._bars.tasks[0].visible = True
        lines = drawn(progress, 80)
    assert len(lines) == 23
    assert lines[:2] == ["row 0", "row 1"]
    assert lines[-2] == "…"
    assert lines[-1].startswith("ablate ")


class Cells(types.ModuleType):
    """A notebook's way to show: what was displayed, and every change of it."""

    def __init__(self):
        super().__init__("IPython.display")
        self.shown = []

    def display(self, data, raw=False, display_id=False):
        if display_id:  # else a line of its own, which stays
            assert raw
            self.shown.append([data["text/plain"]])
        return self

    def update(self, data, raw):
        self.shown[-1].append(data["text/plain"])


def test_a_notebook_redraws_one_output_and_needs_no_widgets(monkeypatch):
    cells = Cells()
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", cells)
    monkeypatch.setattr(bars, "PICTURE", 0.05)
    console = Console(file=io.StringIO(), force_jupyter=True)
    progress = TerminalProgress(console=console, delay=0.01)
    with progress.whole("", 2, "stage", lambda: [[600.0], [60.0]]) as done:
        with progress.stage("scorer", 1, 2), progress.task("train", 10) as task:
            time.sleep(0.2)
            task.advance(5, loss=0.25)
            time.sleep(0.2)
        done.advance()
    (pictures,) = cells.shown
    assert pictures[-1] == ""
    whole, row = next(p for p in reversed(pictures) if "loss" in p).splitlines()
    assert re.search(r"^all stages .* 0/2 .*left$", whole.rstrip())
    assert re.search(r"^1/2 scorer · train .* 5/10 .*loss 0.25", row)
    count = len(pictures)
    time.sleep(0.2)
    assert len(pictures) == count  # nothing is drawn any more


def test_stages_in_turn_are_named_and_numbered(capfd):
    class Stage:
        within = ()
        needed = stored = True
        done = False

        def __init__(self, name):
            self.name = self.served_by = name

        @property
        def result(self):
            self.done = True
            with progress.task("train", 1):
                told.append(progress._stage)

    told, progress = [], LineProgress()
    todo = [Stage("scorer"), Stage("selector")]
    in_turn(progress, todo)
    assert told == ["1/2 scorer · ", "2/2 selector · "]
    assert all(stage.done for stage in todo)
    assert progress._whole is None


def test_the_matching_of_a_run_has_room_for_all_it_says():
    progress = TerminalProgress(console=terminal(), delay=0.0)
    with progress.stage("matcher", 3, 6), progress.task("matching", 300):
        (row,) = progress._bars.tasks
        row.visible = True
        row.fields["figures"] = "loss 0.09286  step size 0.04446"
        row.get_time = progress._bars.get_time = iter([0.0, 10.0, 20.0, 30.0, 40.0]).__next__
        for done in (30, 60, 90):
            progress._bars.update(row.id, completed=done)
        row.get_time = lambda: 30.0
        (line,) = drawn(progress, 80)
    assert line.startswith("3/6 matcher · matching ")
    assert line.endswith(" 90/300  3.0 it/s  loss 0.09286  step size 0.04446")
    assert len(line) == 78  # and two for the ^C of a terminal
