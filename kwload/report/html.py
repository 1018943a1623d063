"""A report for a notebook: inline styles, `<details>`, no script. Every text is escaped twice over, once as a name of a
file (`escape.py`), once as HTML."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape as html_escape
from typing import Final

from kwload.report import text
from kwload.report.escape import escape
from kwload.report.finding import Finding, Report

_COLOURS: Final = {"error": "#c62828", "warning": "#b26a00", "note": "#1565c0", "ok": "#2e7d32"}
_MOST_PAIRS: Final = 500
_MOST_FINDINGS: Final = 200
_BOX: Final = "border-left:4px solid {colour};padding:4px 0 4px 12px;margin:6px 0;font-family:sans-serif;font-size:13px"
_CODE: Final = "font-family:monospace;font-size:12px;white-space:pre-wrap;margin:2px 0 4px 1.2em;line-height:1.35"
_CELL: Final = "text-align:left;padding:1px 12px 1px 0;font-family:monospace;font-size:12px"


def render(report: Report) -> str:
    """The report as one `<div>`."""
    worst = next((item.severity for item in report.findings), None)
    colour = _COLOURS["ok" if report.ok and worst != "warning" else worst or "ok"]
    last = [line for line in (text.found(report), text.prediction(report)) if line]
    parts = [f'<b style="color:{colour}">{html_escape(text.verdict(report))}</b>']
    parts += [_finding(item, report) for item in report.findings[:_MOST_FINDINGS]]
    if len(report.findings) > _MOST_FINDINGS:
        parts.append(f"<div>and {len(report.findings) - _MOST_FINDINGS:,} more</div>")
    parts += [f"<div>{html_escape(line)}</div>" for line in last]
    parts.append(_pairs(report))
    return f'<div style="{_BOX.format(colour=colour)}">{"".join(parts)}</div>'


def _finding(item: Finding, report: Report) -> str:
    """One finding; errors are open, the rest is closed."""
    tag = f'<span style="color:{_COLOURS[item.severity]};font-weight:bold">{item.severity}[{item.code}]</span>'
    lines = html_escape("\n".join(text.detail(item, report)[1:]))
    title = f"{tag} {html_escape(item.slug)}: {html_escape(item.headline)}"
    if not lines:
        return f'<div style="margin:3px 0 3px 1.1em">{title}</div>'
    opened = " open" if item.severity == "error" else ""
    return (
        f'<details{opened} style="margin:3px 0"><summary>{title}</summary><div style="{_CODE}">{lines}</div></details>'
    )


def _pairs(report: Report) -> str:
    """Which tensor goes to which variable, closed."""
    if not report.pairs:
        return ""
    rows = [_row("td", (escape(tensor), escape(variable))) for tensor, variable in report.pairs[:_MOST_PAIRS]]
    more = len(report.pairs) - _MOST_PAIRS
    rest = f"<div>and {more:,} more</div>" if more > 0 else ""
    head = _row("th", ("tensor of the file", "variable of the model"))
    table = f'<table style="border-collapse:collapse">{head}{"".join(rows)}</table>'
    return f"<details><summary>{text.plural(len(report.pairs), 'pair')}</summary>{table}{rest}</details>"


def _row(tag: str, cells: Iterable[str]) -> str:
    shown = "".join(f'<{tag} style="{_CELL}">{html_escape(cell)}</{tag}>' for cell in cells)
    return f"<tr>{shown}</tr>"
