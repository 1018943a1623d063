"""KW307 where a whole network is wider or narrower than the file's: one finding, not one for each width.

::

    layer    file  model
    conv1      16     24      `alpha` of MobileNet, a width multiplier: widths are rounded to
    conv2      24     40      multiples of 8, so that no two of them changed by the same factor
    conv3      32     48
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kwload.report import heads
from kwload.report.axes import axes_of
from kwload.report.context import Context, Wanted, columns, finding, listed
from kwload.report.escape import escape
from kwload.report.facts import Raw, TensorFacts
from kwload.report.finding import Finding
from kwload.report.text import plural
from kwload.report.words import severity_of

Partner = Callable[[Context, Raw, int], TensorFacts | None]
"""The tensor that stands in the file where a variable (a row) stands in its layer."""

_HEADS: Final = frozenset({"EinsumDense", "MultiHeadAttention", "GroupedQueryAttention", "GroupQueryAttention"})
"""Classes whose last axis is the size of a head."""

_LEAST: Final = 3
"""Layers of another width that are a network's, not a layer's."""


def widths_changed(context: Context, raws: Sequence[Raw], partner: Partner) -> tuple[Finding, list[Raw]] | None:
    """One finding for all layers that put out another width, and the findings that it stands for; None where fewer than
    half of the layers differ, or some are wider and others narrower."""
    layers = heads.model_layers(context)
    body = [raw for raw in raws if not (layers and raw.model_group == layers[-1])]
    shapes = _shapes(context, body, partner)
    if not body or shapes is None or any(raw.severity != "error" for raw in body):
        return None
    widths = _widths(context, shapes)
    all_ = [group for group in layers if any(len(context.variables[row].shape) > 1 for row in context.rows_of[group])]
    differ = {context.variables[row].group for row, old in shapes if len(old) > 1}
    smaller = {a < b for row, old in shapes for a, b in zip(old, context.variables[row].shape, strict=True) if a != b}
    if len(widths) < _LEAST or 2 * len(differ) < len(all_) or len(smaller) != 1:
        return None
    return _finding(context, body, shapes, widths, len(all_), narrower=smaller.pop()), body


def _shapes(context: Context, raws: Sequence[Raw], partner: Partner) -> list[tuple[int, tuple[int, ...]]] | None:
    """Each variable that differs, with the shape of its tensor; None when one has no tensor or another rank."""
    found: list[tuple[int, tuple[int, ...]]] = []
    for raw in raws:
        for row in dict.fromkeys((raw.model_tensor, *raw.related)):
            tensor = context.tensor(raw.file_tensor) if row == raw.model_tensor else partner(context, raw, row)
            if tensor is None or len(tensor.shape) != len(context.variables[row].shape):
                return None
            found.append((row, tuple(tensor.shape)))
    return sorted(found)


def _widths(context: Context, shapes: Sequence[tuple[int, tuple[int, ...]]]) -> list[tuple[int, int, int]]:
    """The layers that put out another width: group, what it is in the file and in the model, in the model's order."""
    found: dict[int, tuple[int, int]] = {}
    for row, old in shapes:
        new = context.variables[row].shape
        if len(new) > 1 and old[-1] != new[-1] and context.class_name(context.variables[row].group) not in _HEADS:
            gates = _gates(context, context.variables[row])
            found.setdefault(context.variables[row].group, (old[-1] // gates, new[-1] // gates))
    return [(group, *pair) for group, pair in found.items()]


def _gates(context: Context, variable: Wanted) -> int:
    """How many times its units are what a kernel puts out: 4 of an LSTM."""
    axes = axes_of(context.class_name(variable.group), variable.name, variable.path, len(variable.shape))
    return axes[-1].gates if axes else 1


def _finding(
    context: Context,
    raws: Sequence[Raw],
    shapes: Sequence[tuple[int, tuple[int, ...]]],
    widths: Sequence[tuple[int, int, int]],
    layers: int,
    *,
    narrower: bool,
) -> Finding:
    ratios = sorted(old / new for _, old, new in widths if new)
    factor = f"{ratios[0]:.3g}" if ratios[0] == ratios[-1] else f"{ratios[0]:.3g} to {ratios[-1]:.3g}"
    rows = [("layer", "file", "model")]
    rows += [(escape(context.layer(group)), f"{old:,}", f"{new:,}") for group, old, new in widths]
    table = columns(rows)
    wanted = context.plan.wanted if context.plan is not None else len(context.variables)
    first, kind = context.variables[shapes[0][0]], "narrower" if narrower else "wider"
    headline = f"{len(widths):,} of {plural(layers, 'layer')} are {kind} in the file, {factor} times the model's width"
    return finding(
        307,
        severity_of(raws[0]),
        headline=headline,
        layer=first.layer,
        variable=first.name,
        path=context.tensors[raws[0].file_tensor].path,
        expected=[new for _, _, new in widths],
        found=[old for _, old, _ in widths],
        body=[table[0], *listed(table[1:])],
        notes=[
            f"{len(shapes):,} of {plural(wanted, 'variable')} differ",
            "all differ in the same direction, as with another width multiplier (`alpha` of MobileNet)",
        ],
        help=["build the model with the widths of the file, or load the file that was saved with the model's"],
        related=[context.variables[row].path for row, _ in shapes[1:]],
    )


__all__ = ["widths_changed"]
