"""The comparison of two weight files as text, HTML and plain data."""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape as html_escape
from typing import TYPE_CHECKING, Any, Final

from kwload.report.container import LAYOUTS
from kwload.report.context import columns, typed
from kwload.report.escape import escape
from kwload.report.text import BUDGET, plural

if TYPE_CHECKING:
    from kwload.compare import Diff, Side, TensorPair

SCHEMA: Final = 1


def verdict(diff: Diff) -> str:
    """The first line."""
    a, b = _names(diff)
    layouts = "" if diff.a.format == diff.b.format else ", in different layouts"
    if diff.same:
        moved = sum(pair.a != pair.b for pair in diff.pairs) if not layouts else 0
        names = f", {moved:,} of them under other names" if moved else ""
        return f"{a} and {b}: the same values in all {plural(len(diff.pairs), 'tensor')}{layouts}{names}"
    counts = [
        (len(diff.different), f"{len(diff.different):,} of {plural(len(diff.pairs), 'common tensor')} differ"),
        (len(diff.only_a), f"{plural(len(diff.only_a), 'tensor')} in {a} only"),
        (len(diff.only_b), f"{plural(len(diff.only_b), 'tensor')} in {b} only"),
    ]
    return f"{a} and {b}: {', '.join(said for count, said in counts if count)}{layouts}"


def text(diff: Diff, *, all: bool = False) -> str:
    """Verdict, both files, what differs; of equal files in different layouts which tensor is which."""
    a, b = _names(diff)
    lines = [verdict(diff), *columns([_side(a, diff.a), _side(b, diff.b)])]
    blocks: list[tuple[str, list[str]]] = []
    if diff.different:
        rows = columns([(escape(pair.a), _how(pair)) for pair in diff.different])
        blocks.append((f"different, as {a} calls them:", rows))
    blocks += [
        (f"in {name} only:", [escape(path) for path in paths])
        for name, paths in ((a, diff.only_a), (b, diff.only_b))
        if paths
    ]
    renamed = [pair for pair in diff.pairs if pair.a != pair.b]
    if renamed:
        head = f"{a}   ->   {b}:"
        blocks.append((head, columns([(escape(pair.a), "->", escape(pair.b)) for pair in renamed])))
    room = BUDGET - len(lines) - 3 * len(blocks)
    for place, (head, rows) in enumerate(blocks):
        most = len(rows) if all else max(3, room // (len(blocks) - place))
        shown = rows[:most] if len(rows) > most else rows
        room -= len(shown)
        lines += ["", head, *(f"  {row}".rstrip() for row in shown)]
        if len(rows) > len(shown):
            lines.append(f"  and {len(rows) - len(shown):,} more (all of it: `render(all=True)`, or `--all`)")
    return "\n".join(lines)


def _names(diff: Diff) -> tuple[str, str]:
    """What to call the files: by their last components when these differ."""
    paths = diff.a.path, diff.b.path
    short = tuple(os.path.basename(path) if not path.startswith("<") else path for path in paths)
    a, b = (escape(name) for name in (short if short[0] != short[1] and all(short) else paths))
    return (a, b) if a != b else (f"{a} (first)", f"{b} (second)")


def _side(name: str, side: Side) -> tuple[str, ...]:
    state = f", and {plural(side.state, 'tensor')} of optimizer or metric state, not compared" if side.state else ""
    held = f"{plural(side.tensors, 'tensor')}, {plural(side.parameters, 'parameter')}{state}"
    return f"  {name}", LAYOUTS.get(side.format, side.format), held


def _how(pair: TensorPair) -> str:
    """What differs, in words."""
    match pair.difference:
        case "shape" | "dtype":
            one, other = (typed(shape, dtype) for shape, dtype in zip(pair.shapes, pair.dtypes, strict=True))
            return f"{one}  |  {other}"
        case "values":
            total = 1
            for length in pair.shapes[0]:
                total *= length
            said = f"{pair.count:,} of {plural(total, 'value')}, by up to {pair.largest:.3g}"
            return said if pair.elsewhere is None else f"{said}; its values are in {escape(pair.elsewhere)}"
        case "unreadable":
            return "cannot be read from one of the files: `kwload inspect` says why"
        case None:
            return "equal"


def html(diff: Diff) -> str:
    """The text in one `<div>`, all of it, closed below the first lines."""
    head, _, rest = text(diff, all=True).partition("\n\n")
    colour = "#2e7d32" if diff.same else "#c62828"
    shown: Callable[[str], str] = html_escape
    style = "font-family:monospace;font-size:12px;white-space:pre-wrap"
    details = f"<details><summary>tensors</summary><div>{shown(rest)}</div></details>" if rest else ""
    return f'<div style="border-left:4px solid {colour};padding-left:12px;{style}">{shown(head)}{details}</div>'


def to_dict(diff: Diff) -> dict[str, Any]:
    """Plain data: ``same``, ``a`` and ``b`` (path, format, tensors, parameters, state), ``pairs``, ``only_a``,
    ``only_b``."""
    sides = {
        key: {name: getattr(side, name) for name in ("path", "format", "tensors", "parameters", "state")}
        for key, side in (("a", diff.a), ("b", diff.b))
    }
    pairs = [
        {
            "a": pair.a,
            "b": pair.b,
            "rule": pair.rule,
            "shapes": [list(shape) for shape in pair.shapes],
            "dtypes": list(pair.dtypes),
            "difference": pair.difference,
            "count": pair.count,
            "largest": pair.largest,
            "elsewhere": pair.elsewhere,
        }
        for pair in diff.pairs
    ]
    lists = {"pairs": pairs, "only_a": list(diff.only_a), "only_b": list(diff.only_b)}
    return {"schema": SCHEMA, "same": diff.same, **sides, **lists}
