"""Findings about weights that another Keras kept otherwise, and that are converted when they are loaded (KW405).

``axis`` of the plan's finding says which kinds there are (``csrc/plan/plan.h``, KW_VERSION_*): the weights of each gate
apart, axes in another order, kernels that Theano turns around when it convolves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kwload.report.context import Context, columns, finding, listed, named, shape_text
from kwload.report.escape import escape
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.text import plural
from kwload.report.words import rows_of, severity_of

_GATES: Final = 1
_AXES: Final = 2
_FLIPPED: Final = 4
_FLIPS: Final = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D")
_UNKNOWN: Final = "Theano's kernels would be turned around as well: nothing in the file says which backend wrote it"


def versions(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """One finding for all layers of a file."""
    yield from (_converted(context, raw) for raw in raws if rows_of(raw))


def _converted(context: Context, raw: Raw) -> Finding:
    rows = rows_of(raw)
    groups = list(dict.fromkeys(context.variables[row].group for row in rows))
    layers = [context.layer(group) for group in groups]
    tensor, variable = context.tensor(raw.file_tensor), context.variable(raw.model_tensor)
    turned = bool(raw.axis & _FLIPPED)
    return finding(
        405,
        severity_of(raw),
        headline=_headline(raw, layers),
        layer=layers[0],
        variable=variable.name if variable is not None else None,
        path=tensor.path if tensor is not None else None,
        expected=list(variable.shape) if variable is not None else None,
        found=list(tensor.shape) if tensor is not None else None,
        body=listed(columns([_line(context, raw, group, rows) for group in groups]), 4),
        cause=_cause(raw.axis),
        notes=[
            f"kwload converts them as {'Keras 2 did' if turned else 'tf_keras does'}",
            *_doubts(context, groups, rows, turned=turned),
        ],
        keras=_keras(context, raw),
        related=layers[1:],
    )


def _headline(raw: Raw, layers: list[str]) -> str:
    if raw.axis == _FLIPPED:
        are = f"{plural(raw.b, 'kernel')} {'is' if raw.b == 1 else 'are'}"
        return f"the file was written with the Theano backend, and {are} stored turned around"
    return f"Keras 1 wrote the file: the weights of {named(layers, 3)} are converted when they are loaded"


def _cause(kinds: int) -> str | None:
    said = {
        _GATES: "W, U and b of each gate are apart, which are one kernel, one recurrent kernel and one bias today",
        _AXES: "the axes of a kernel stand in another order",
        _FLIPPED: "Theano convolves where TensorFlow correlates: every spatial axis of a kernel runs backwards",
    }
    return "; ".join(text for kind, text in said.items() if kinds & kind) or None


def _line(context: Context, raw: Raw, group: int, rows: list[int]) -> list[str]:
    """``lstm_1   12 tensors       3 variables``, ``conv   (6, 3, 4, 5)   (4, 5, 3, 6)``."""
    own = [row for row in context.rows_of[group] if row in set(rows)]
    first = context.variables[own[0]]
    tensor = raw.file_tensor if own[0] == raw.model_tensor else _tensor_of(context, own[0])
    had = len(context.file_tensors(context.source(group)))
    name = escape(context.layer(group))
    if had != len(context.rows_of[group]):
        return [name, f"{plural(had, 'tensor')}", f"-> {plural(len(context.rows_of[group]), 'variable')}"]
    shape = tuple(context.tensors[tensor].shape) if tensor >= 0 else ()
    same = "turned around" if raw.axis & _FLIPPED else "the last two axes exchanged" if raw.axis == _AXES else ""
    return [name, shape_text(shape), same if shape == first.shape and same else f"-> {shape_text(first.shape)}"]


def _tensor_of(context: Context, row: int) -> int:
    pairs = context.plan.pairs if context.plan is not None else ()
    return next((pair[0] for pair in pairs if pair[1] == row), -1)


def _doubts(context: Context, groups: list[int], rows: list[int], *, turned: bool) -> Iterator[str]:
    """What nothing in the file says."""
    alike = [
        row
        for row in rows
        if len(shape := context.variables[row].shape) > 3
        and context.class_name(context.variables[row].group) in ("Conv2D", "Conv3D")
        and (tensor := _tensor_of(context, row)) >= 0
        and tuple(context.tensors[tensor].shape) == shape
    ]
    if alike and not turned and context.file.config is None:
        names = [context.layer(context.variables[row].group) for row in alike]
        yield f"{named(names, 3)}: both orders of axes fit; taken as channels first, as the model is"
    if not turned and _is_backend_unknown(context) and any(_has_window(context, group) for group in groups):
        yield _UNKNOWN


def _is_backend_unknown(context: Context) -> bool:
    facts = context.file.metadata
    old = facts.get("keras_version", "1").split(".")[0] == "1"
    return old and "backend" not in facts and context.file.layout in ("legacy", "legacy-model")


def _has_window(context: Context, group: int) -> bool:
    """Whether turning its kernels around would change them."""
    shapes = [context.variables[row].shape for row in context.rows_of[group]]
    return context.class_name(group) in _FLIPS and any(max(shape[:-2], default=1) > 1 for shape in shapes[:1])


def backend_unknown(context: Context) -> Finding | None:
    """A note that nobody can tell whether kernels of Keras 1 must be turned around, where no other finding says so."""
    if context.model is None or context.plan is None or not _is_backend_unknown(context):
        return None
    filled = {context.variables[pair[1]].group for pair in context.plan.pairs}
    told = {group for raw in context.raws if raw.code == 405 for group in context.groups_of(raw)}
    groups = [group for group in sorted(filled) if _has_window(context, group)]
    if not groups or any(group in told for group in groups):
        return None
    names = [context.layer(group) for group in groups]
    return finding(
        405,
        "note",
        headline=f"Keras 1 wrote the file and does not say with which backend: the kernels of "
        f"{named(names, 3)} are taken as TensorFlow's",
        layer=names[0],
        cause="Theano convolves where TensorFlow correlates: its kernels run backwards, and fit all the same",
        keras=f"{context.keras_short} does the same",
        help=["if it was Theano: layer.kernel.assign(np.flip(layer.kernel, axis=range(len(layer.kernel.shape) - 2)))"],
        related=names[1:],
    )


def _keras(context: Context, raw: Raw) -> str | None:
    outcome = str(context.plan.prediction.get("outcome")) if context.plan is not None else ""
    if raw.severity == "note":
        return f"{context.keras_short} converts them too"
    said = {"raises": ", and raises", "loads_wrong": ", without a word", "loads_part": ", without a word"}
    what = "turn them" if raw.axis == _FLIPPED else "convert them"
    return f"{context.keras_short} does not {what}{said[outcome]}" if outcome in said else None


__all__ = ["backend_unknown", "versions"]
