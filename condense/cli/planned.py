"""What ``--dry-run`` prints: stages with what they would take, unknown where nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from condense.cli.output import echo_json, echo_table, headline, say, seconds
from condense.figures.formats import counted
from condense.spelling import on_command_line

if TYPE_CHECKING:
    from condense.engine.graph import Plan, Work
    from condense.published import Difference
    from condense.resolve import Request
    from condense.studies.planning import PlannedWork, StudyPlan
    from condense.studies.tuning.planning import TuningPlan

UNKNOWN = "unknown"
SHORTEST = 0.05  # seconds that round to 0.1


def show_planned_run(
    ctx: click.Context,
    request: Request,
    device: str | None,
    baselines: bool,
    seeds: int | None,
    shared: bool,
    as_json: bool,
) -> None:
    """``run --dry-run``, short enough for a terminal; all options are in the document."""
    from condense.cli.session import open_session
    from condense.engine.graph import plan
    from condense.published import preset_differences
    from condense.resolve import preset_of

    found: Plan | StudyPlan
    show: Callable[[], None]
    more: dict[str, Any]
    with open_session(ctx, device, together=True) as session:
        workers = session.workers(request)
        recipe = session.recipe(request)
        session.note_unread(recipe, request)
        differences = preset_differences(session.host, request)
        published = preset_of(session.host, request).published
        if seeds is None:
            found = plan(session.pipeline(recipe), baselines)
            show, more = partial(show_plan, found, workers), {}
        else:
            from condense.studies.seeds import plan_seeds

            found = plan_seeds(recipe, seeds, session.pipeline, baselines, shared)
            show = partial(show_study_plan, found, f"{seeds} seeds", workers)
            which = list(range(recipe.seed, recipe.seed + seeds))
            more = {"seeds": which, "recipe": recipe.to_dict()}
    if as_json:
        named = {"published": published, "differences": [vars(d) for d in differences]}
        echo_json(found.to_json() | more | (named if published else {}))
        return
    say(f"{headline(recipe)}\n")
    _show_differences(published, differences)
    show()
    say("\nall options: the same with --json, or recipe.toml of the run")


def _show_differences(published: str | None, differences: list[Difference]) -> None:
    from condense.options import format_value

    if published is None:
        return
    if not differences:
        say(f"as {published}: no option differs\n")
        return
    rows = [(d.option, format_value(d.published), format_value(d.here)) for d in differences]
    echo_table(("option", published, "here"), rows)
    say()


def echo_plan(plan: Plan, as_json: bool, workers: int | None) -> None:
    """The plan of a command that makes no whole run."""
    if as_json:
        echo_json(plan.to_json())
    else:
        show_plan(plan, workers)


def show_plan(plan: Plan, workers: int | None) -> None:
    """The stages of a run, one a row, and their total, by one worker and by ``workers``."""
    rows = [
        (
            *(s.stage, s.component, "yes" if s.cached else "no", jobs(s.jobs, s.seconds)),
            *(seconds(0) if s.cached else about(s.seconds), *sizes(s.memory_mb, s.disk_mb)),
        )
        for s in plan.stages
    ]
    known = all(s.seconds is not None for s in plan.stages)
    total = totals(known, plan.seconds, plan.memory_mb, plan.disk_mb)
    echo_table(
        ("stage", "component", "cached", "jobs", "about", "memory", "disk"),
        [*rows, ("total", "", "", "", *total)],
        least=("jobs",),
    )
    _show_at_once(plan.stages, workers)


def jobs(count: int, all_of_them: float | None, more: str = "") -> str:
    """``"5 × 12 s"``: what an executor would be given."""
    if not count:
        return "–"
    return f"{more or count} × {about(None if all_of_them is None else all_of_them / count)}"


def _show_at_once(stages: Sequence[Work], workers: int | None) -> None:
    if workers is not None:
        from condense.engine.graph import at_once

        click.echo(f"\n{workers} jobs at once: at most {about(at_once(stages, workers))}")


def about(value: float | None) -> str:
    """Estimated seconds in words."""
    if value is None:
        return UNKNOWN
    return seconds(value) if value >= SHORTEST else "< 0.1 s"


def sizes(memory_mb: float | None, disk_mb: float | None) -> Sequence[str]:
    """Memory and disk in words."""
    return (
        UNKNOWN if memory_mb is None else f"{memory_mb:.0f} MB",
        UNKNOWN if disk_mb is None else f"{disk_mb:.1f} MB",
    )


def totals(known: bool, of_seconds: float, memory_mb: float, disk_mb: float) -> Sequence[str]:
    """Seconds, memory and disk of all; at least that where not all is ``known``."""
    words = (seconds(of_seconds), *sizes(memory_mb, disk_mb))
    return words if known else [f"at least {word}" for word in words]


def show_runs(
    plan: StudyPlan,
    what: str,
    count: int,
    seeds: Sequence[int],
    as_json: bool,
    workers: int | None,
) -> None:
    """The plan of ``count`` cells or rows, as ``what`` calls them, under each of ``seeds``."""
    if as_json:
        echo_json(plan.to_json() | {what: count, "seeds": list(seeds)})
    else:
        show_study_plan(plan, f"{count} {what} × {counted(len(seeds), 'seed')}", workers)


def show_study_plan(plan: StudyPlan, runs: str, workers: int | None) -> None:
    """The stages of all ``runs``, one kind a row, what they share counted once, and the total."""
    rows = [
        (
            *(work.stage, ", ".join(work.components), str(work.times), str(work.cached)),
            jobs(work.jobs, work.seconds),
            *_known(work, (about(work.seconds), *sizes(work.memory_mb, work.disk_mb))),
        )
        for work in plan.stages
    ]
    total = totals(not plan.unknown, plan.seconds, plan.memory_mb, plan.disk_mb)
    echo_table(
        ("stage", "component", "times", "cached", "jobs", "about", "memory", "disk"),
        [*rows, ("total", "", "", "", "", *total)],
        least=("jobs",),
    )
    for name, why in plan.failed.items():
        click.echo(f"{name} cannot be planned: {on_command_line(why)}")
    click.echo(f"\n{runs}: {len(plan.parts)} runs; what they share is counted once")
    _show_at_once(plan.stages, workers)


def _known(work: PlannedWork, words: Sequence[str]) -> Sequence[str]:
    """``words`` of what is known, which hold at least where something is unknown."""
    if not work.unknown or work.seconds is None:
        return words
    return totals(False, work.seconds, work.memory_mb or 0.0, work.disk_mb or 0.0)


def show_tuning_plan(plan: TuningPlan) -> None:
    """What is made once, what every training takes, how many there are, and the total."""
    rows = [
        (
            *(work.stage, ", ".join(work.components), str(work.times)),
            jobs(work.jobs, work.seconds),
            *(about(work.seconds), *sizes(work.memory_mb, work.disk_mb)),
        )
        for work in plan.shared.stages
    ]
    for one in plan.each:
        name = f"{one.stage}, full length" if one.full else one.stage
        name = f"{name} ({one.recipe})" if one.recipe else name
        times, each = _span(one.least, one.most), (one.memory_mb, one.disk_mb)
        given = _span(one.least * one.jobs, one.most * one.jobs)
        handed = jobs(one.jobs, one.seconds, given)
        words = (handed, f"{about(one.seconds)} each", *sizes(*each))
        rows.append((name, one.component, times, *words))
    headings = ("stage", "component", "times", "jobs", "about", "memory", "disk")
    echo_table(headings, rows, least=("jobs",))
    for name, why in plan.shared.failed.items():
        click.echo(f"{name} cannot be planned: {on_command_line(why)}")
    counts, took = plan.times("evaluator", plan.networks), plan.seconds
    matchings = plan.times("matcher")
    matched = f" and {_span(**matchings)} matching runs" if matchings["most"] else ""
    beside = ", and what is unknown" if plan.unknown else ""
    memory, disk = sizes(plan.memory_mb, plan.disk_mb["most"])
    click.echo(f"\n{_span(**counts)} trainings{matched}, as the curve asks for:")
    click.echo(
        f"{about(took['least'])} to {about(took['most'])}{beside}; {memory} of memory, up to "
        f"{disk} of disk"
    )


def _span(least: int, most: int) -> str:
    return str(least) if least == most else f"{least}–{most}"
