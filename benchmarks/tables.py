"""Reports as tables for people and as JSON for programs."""

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measures import Bound, Figure, Ratio, Report


def show_figures(report: Report, console: Console) -> None:
    """What was measured: the median of the rounds, and each round beside it."""
    table = Table(title=f"{report.work}: {report.title}", title_justify="left", header_style="bold")
    for heading in ("who", "what"):
        table.add_column(heading)
    for heading in ("median", "rounds", "target"):
        table.add_column(heading, justify="right")
    for figure in report.figures:
        table.add_row(*_figure(figure), end_section=_is_last_of_its_who(report, figure))
    console.print(table)
    for note in report.notes:
        console.print(f"  {note}", markup=False)


def show_ratios(reports: list[Report], console: Console) -> None:
    """Everything that was compared, in one table."""
    table = Table(title="ratios, medians of the rounds", title_justify="left", header_style="bold")
    for heading in ("work", "what", "over"):
        table.add_column(heading)
    for heading in ("ratio", "rounds", "target"):
        table.add_column(heading, justify="right")
    for report in reports:
        for ratio in report.ratios:
            table.add_row(report.work, *_ratio(ratio), end_section=ratio is report.ratios[-1])
    console.print(table)


def as_json(reports: list[Report]) -> list[dict[str, Any]]:
    """Each report with its figures and ratios; `met` is null where no target was set."""
    return [
        {
            "work": report.work,
            "title": report.title,
            "figures": [{"who": f.who, "what": f.what, "unit": f.unit, **_values(f)} for f in report.figures],
            "ratios": [{"what": r.what, "over": r.over, "under": r.under, **_values(r)} for r in report.ratios],
            "notes": report.notes,
        }
        for report in reports
    ]


def _figure(figure: Figure) -> tuple[str, ...]:
    rounds = " ".join(_number(value) for value in figure.values)
    median = f"{_number(figure.median)} {figure.unit}"
    return figure.who, figure.what, median, rounds, _target(figure.bound, figure.median)


def _ratio(ratio: Ratio) -> tuple[str, ...]:
    rounds = " ".join(f"{value:.2f}" for value in ratio.values)
    pair = f"{ratio.over} / {ratio.under}"
    return ratio.what, pair, f"{ratio.median:.3f}", rounds, _target(ratio.bound, ratio.median)


def _target(bound: Bound | None, value: float) -> str:
    if bound is None:
        return ""
    verdict = "[green]met[/]" if bound.met(value) else "[red]missed[/]"
    return f"{bound} {verdict}"


def _values(measured: Figure | Ratio) -> dict[str, Any]:
    bound = measured.bound
    return {
        "median": measured.median,
        "rounds": measured.values,
        "target": str(bound) if bound else None,
        "met": bound.met(measured.median) if bound else None,
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"


def _is_last_of_its_who(report: Report, figure: Figure) -> bool:
    following = report.figures[report.figures.index(figure) + 1 :]
    return not following or following[0].who != figure.who
