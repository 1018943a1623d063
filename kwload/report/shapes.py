"""Findings about shapes (KW307, KW308): both side by side, a mark under the axis that differs, and what the axis is.

::

    file   (128, 10) float32
    model  (128, 12) float32
                 ^^ axis 1: units
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kwload.report import custom, flattened, heads, transposing, widths
from kwload.report.axes import Axis, axes_of
from kwload.report.context import (
    MOST_CHARS,
    Context,
    Wanted,
    entry,
    is_path,
    listed,
    named,
    other_shape,
    shape_text,
    typed,
)
from kwload.report.escape import escape, literal, quote
from kwload.report.facts import Raw, TensorFacts
from kwload.report.finding import Finding
from kwload.report.text import plural
from kwload.report.transposing import permutation
from kwload.report.words import load_the_rest, severity_of


def differing(found: Sequence[int], expected: Sequence[int]) -> list[int]:
    """Axes of two shapes of the same rank that differ; none when the ranks differ."""
    if len(found) != len(expected):
        return []
    return [axis for axis, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b]


def side_by_side(
    tensor: TensorFacts, variable: Wanted, axes: Sequence[Axis] | None = None, *, marked: bool = True
) -> list[str]:
    """Both shapes, and a mark under each axis that differs."""
    lines = [f"file   {typed(tensor.shape, tensor.dtype)}", f"model  {typed(variable.shape, variable.dtype)}"]
    apart = differing(tensor.shape, variable.shape)
    if not apart or not marked:
        return lines
    marks = [" "] * len(lines[1])
    at = len("model  (")
    for axis, length in enumerate(variable.shape):
        width = len(str(length))
        if axis in apart:
            marks[at : at + width] = "^" * width
        at += width + len(", ")
    meaning = [f"axis {axis}: {axes[axis].name}" if axes else f"axis {axis}" for axis in apart]
    return [*lines, f"{''.join(marks).rstrip()} {', '.join(meaning)}"]


def shape_findings(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """One finding for each cause: a variable, and those that differ with it; one for a network of other widths."""
    whole = widths.widths_changed(context, raws, _partner)
    if whole is not None:
        yield whole[0]
        raws = [raw for raw in raws if raw not in whole[1]]
    for raw in raws:
        tensor, variable = context.tensor(raw.file_tensor), context.variable(raw.model_tensor)
        if tensor is not None and variable is not None:
            yield _shape(context, raw, tensor, variable, alone=len(raws) == 1)


def _shape(context: Context, raw: Raw, tensor: TensorFacts, variable: Wanted, *, alone: bool) -> Finding:
    kind = context.class_name(variable.group)
    axes = axes_of(kind, variable.name, variable.path, len(variable.shape))
    apart = differing(tensor.shape, variable.shape)
    notes = []
    if len(tensor.shape) != len(variable.shape):
        notes.append(f"{_axes(tensor.shape)} in the file, {_axes(variable.shape)} in the model")
    gates = other_gates(context, raw)
    told = None if gates else axes
    for axis in apart if told else ():
        assert told is not None
        said = told[axis].lengths(tensor.shape[axis], variable.shape[axis])
        notes += [said] if said else []
    notes += flattened.flattened(context, tensor.shape, variable)
    notes += _channels_first(tensor.shape, variable.shape)
    notes += custom.class_changed(context, raw)
    related = [row for row in raw.related if row != raw.model_tensor]
    heads_changed = _heads(context, raw, tensor, variable)
    notes += [heads_changed.note] if heads_changed else []
    scaled = 0 if heads_changed else _scaled(context, raw, related)
    if scaled:
        widths = f"{tensor.shape[raw.axis]:,} in the file where the model has {variable.shape[raw.axis]:,}"
        notes.append(f"{plural(scaled + 1, 'layer')} differ by the same factor: {widths}")
    notes += gates
    notes += heads.class_count(context, raw, tensor) if alone else []
    notes += _related(context, raw, related)
    if alone and context.plan is not None:
        matched = len({pair[1] for pair in context.plan.pairs})
        if matched and matched + 1 + len(related) == context.plan.wanted:
            rest = "variable fits" if matched == 1 else "variables fit"
            notes.append(f"the other {matched:,} {rest}")
    return other_shape(
        307,
        severity_of(raw),
        tensor,
        variable,
        headline=entry(307).say(variable=quote(variable.path)),
        body=side_by_side(tensor, variable, axes),
        notes=notes,
        help=heads_changed.help if heads_changed else _help(context, tensor, variable, None if scaled else told),
        related=[context.variables[row].path for row in related],
    )


@dataclass(frozen=True, slots=True)
class _Heads:
    """An attention layer with other heads: what is said, and what to build."""

    note: str
    help: list[str]


def _heads(context: Context, raw: Raw, tensor: TensorFacts, variable: Wanted) -> _Heads | None:
    """``num_heads 2 in the file, 4 in the model (key_dim 4 -> 2)``, for the query or key kernel of MultiHeadAttention.

    Its kernels are (input features, num_heads, key_dim): keras/src/layers/attention/multi_head_attention.py, 3.15.
    """
    rows = [row for row in (raw.model_tensor, *raw.related) if _is_head_kernel(context, context.variables[row])]
    if not rows or not _attention_of(context, variable):
        return None
    variable = context.variables[rows[0]]
    found = tensor if rows[0] == raw.model_tensor else _partner(context, raw, rows[0])
    layer = _attention_of(context, variable)
    if found is None or len(found.shape) != 3 or tuple(found.shape)[1:] == variable.shape[1:] or not layer:
        return None
    old, new = tuple(found.shape), variable.shape
    sizes = f"key_dim {old[2]:,} in the file, {new[2]:,} in the model"
    if old[1] != new[1]:
        size = f"key_dim {old[2]:,} -> {new[2]:,}" if old[2] != new[2] else f"key_dim {new[2]:,} in both"
        sizes = f"num_heads {old[1]:,} in the file, {new[1]:,} in the model ({size})"
    changed = {context.variables[row].layer for row in (raw.model_tensor, *raw.related)}
    build = f"to fit the file, build {quote(layer)} with num_heads={old[1]}, key_dim={old[2]}"
    others = any(name != layer and not name.startswith(f"{layer}/") for name in changed)
    return _Heads(sizes, [*load_the_rest(context), f"{build}, and the others likewise" if others else build])


def _projection(variable: Wanted) -> str:
    """``"query"`` of ``"mha/query/kernel"``."""
    return next((part for part in reversed(variable.path.split("/")[:-1]) if part), "")


def _attention_of(context: Context, variable: Wanted) -> str:
    """The MultiHeadAttention that a variable belongs to, as a person calls it; empty when there is none."""
    kind = context.class_name(variable.group)
    if kind == "EinsumDense" and context.model is not None:
        above = context.model.groups[variable.group][0].rpartition("/")[0]
        kind = next((item[2] or "" for item in context.model.groups if item[0] == above), "")
    return variable.layer.removesuffix(f"/{_projection(variable)}") if kind == "MultiHeadAttention" else ""


def _is_head_kernel(context: Context, variable: Wanted) -> bool:
    """Whether it is the kernel that makes queries or keys, which has the heads and their size as its last axes."""
    is_kernel = len(variable.shape) == 3 and _projection(variable) in ("query", "key")
    return is_kernel and bool(_attention_of(context, variable))


_LONGEST_KERNEL: Final = 15


def _channels_first(found: Sequence[int], expected: Sequence[int]) -> list[str]:
    """Said when the file's axes look like (filters, input, height, width) and would not fit in that reading either."""
    rank = len(expected)
    if len(found) != rank or rank < 4 or max(found[2:]) > _LONGEST_KERNEL or max(found[:2]) <= _LONGEST_KERNEL:
        return []
    if max(expected[:-2]) > _LONGEST_KERNEL:
        return []
    order = (*range(2, rank), 1, 0)
    turned = shape_text([found[axis] for axis in order])
    return [
        f"its axes look like channels-first (OIHW); transposed by {order} it is {turned}, which does not fit either"
    ]


def _scaled(context: Context, raw: Raw, rows: Sequence[int]) -> int:
    """How many layers, besides the first, put out another width too, as with a width multiplier."""
    groups = set()
    for row in rows:
        variable = context.variables[row]
        tensor = _partner(context, raw, row) if variable.group != raw.model_group and len(variable.shape) > 1 else None
        if tensor is not None and tensor.shape[-1:] != variable.shape[-1:]:
            groups.add(_both_ways(context, variable) or variable.group)
    first = context.variables[raw.model_tensor]
    groups.discard(_both_ways(context, first) or first.group)
    return len(groups) if raw.axis >= 0 else 0


def _both_ways(context: Context, variable: Wanted) -> str:
    """The Bidirectional around a layer, as a person calls it; empty when there is none."""
    outer, _, inner = _around_cell(variable.layer).rpartition("/")
    if not outer or not inner.startswith(("forward_", "backward_")) or context.model is None:
        return ""
    if context.class_name(variable.group) == "Bidirectional":
        return outer
    path = context.model.groups[variable.group][0]
    kinds = {group[0]: group[2] for group in context.model.groups}
    above = (path.rsplit("/", depth)[0] for depth in range(1, path.count("/") + 1))
    return outer if any(kinds.get(one) == "Bidirectional" for one in above) else ""


def _around_cell(layer: str) -> str:
    """The recurrent layer of a cell; other layers are left as they are."""
    owner, _, leaf = layer.rpartition("/")
    return owner if owner and leaf.rstrip("0123456789").rstrip("_").endswith("_cell") else layer


_GATED: Final = {1: "a SimpleRNN", 3: "a GRU", 4: "an LSTM"}


def other_gates(context: Context, raw: Raw) -> list[str]:
    """Said when a recurrent layer has another number of gates in the file: it is another kind of layer."""
    rows = [raw.model_tensor, *raw.related]
    row = next((row for row in rows if context.variables[row].name.endswith("recurrent_kernel")), None)
    tensor = _partner(context, raw, row) if row is not None else None
    if row is None or tensor is None or len(tensor.shape) != 2 or not tensor.shape[0]:
        return []
    (units, width), (had, wide) = context.variables[row].shape, tensor.shape
    if units != had or wide % had or width % units or wide == width:
        return []
    old, new = _GATED.get(wide // had), _GATED.get(width // units)
    return [f"the file holds {old} with {had:,} units, the model has {new} there"] if old and new else []


def _axes(shape: Sequence[int]) -> str:
    return f"{len(shape)} {'axis' if len(shape) == 1 else 'axes'}"


def _related(context: Context, raw: Raw, rows: Sequence[int]) -> list[str]:
    """The variables that differ for the same reason, with both shapes where the file's is known."""
    lines = []
    for row in rows:
        variable = context.variables[row]
        tensor = _partner(context, raw, row)
        if tensor is None:
            lines.append(f"{quote(variable.path)} differs with it")
        else:
            old, new = shape_text(tensor.shape), shape_text(variable.shape)
            lines.append(f"{quote(variable.path)} too: {old} in the file, {new} in the model")
    return listed(lines, 3)


def _partner(context: Context, raw: Raw, row: int) -> TensorFacts | None:
    """The tensor that stands in the file where this variable stands in its layer."""
    group = context.variables[row].group
    source = raw.file_group if group == raw.model_group and raw.file_group >= 0 else context.counterpart(group)
    if source < 0:
        return None
    slots, rows = context.groups[source][3], context.rows_of[group]
    if len(slots) != len(rows):
        return None
    return context.tensor(slots[rows.index(row)][1])


def left_with_others(context: Context) -> set[int]:
    """Rows of the variables that fit, and are left because another one of their layer does not."""
    found: set[int] = set()
    for raw in context.raws:
        if raw.code in (307, 314) and raw.severity == "error":
            apart = {row for row in (raw.model_tensor, *raw.related) if row >= 0}
            groups = {context.variables[row].group for row in apart}
            for row in (row for group in groups for row in context.rows_of[group] if row not in apart):
                tensor = _partner(context, raw, row)
                if tensor is not None and tuple(tensor.shape) == context.variables[row].shape:
                    found.add(row)
    return found


def _help(context: Context, tensor: TensorFacts, variable: Wanted, axes: Sequence[Axis] | None) -> list[str]:
    suggestions = []
    apart = differing(tensor.shape, variable.shape)
    if axes and len(apart) == 1:
        axis = axes[apart[0]]
        length, rest = divmod(tensor.shape[apart[0]], axis.gates)
        name = axis.name.rpartition(" x ")[2]
        if not rest and name in ("units", "filters"):
            layer = _both_ways(context, variable) or _around_cell(variable.layer)
            suggestions.append(f"to fit the file, build {quote(layer)} with {name}={length}")
    return [*load_the_rest(context), *suggestions]


def transposed(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Kernels whose axes are the model's in another order; with the severity of a warning those that look the same
    either way."""
    for raw in raws:
        tensor, variable = context.tensor(raw.file_tensor), context.variable(raw.model_tensor)
        if tensor is None or variable is None:
            continue
        related = [row for row in raw.related if row != raw.model_tensor]
        if raw.severity == "error":
            yield _transposed(context, raw, tensor, variable, related)
        else:
            yield _doubtful(context, raw, tensor, variable, related)


def _transposed(context: Context, raw: Raw, tensor: TensorFacts, variable: Wanted, related: Sequence[int]) -> Finding:
    order = permutation(tensor.shape, variable.shape)
    notes = [f"numpy.transpose(value, {order}) has the model's shape"] if order else []
    headline = entry(308).say(variable=quote(variable.path))
    if related:
        headline = f"{quote(variable.path)} and {plural(len(related), 'other variable')} are transposed in the file"
    convention = _convention(order)
    notes += [convention] if convention else []
    lines = [_turned(context, raw, row) for row in related]
    return other_shape(
        308,
        "error",
        tensor,
        variable,
        headline=headline,
        body=[*side_by_side(tensor, variable, marked=False), *listed(lines, 4)],
        notes=notes,
        help=[*(_all_at_once(context) or _transpose(context, tensor, variable, order)), *load_the_rest(context)],
        related=[context.variables[row].path for row in related],
    )


def _all_at_once(context: Context) -> list[str]:
    lines = transposing.loop(context)
    return [lines] if lines is not None else []


def _turned(context: Context, raw: Raw, row: int) -> str:
    """``c2/kernel: (16, 8, 3, 3) in the file, (3, 3, 8, 16) in the model``."""
    variable, tensor = context.variables[row], _partner(context, raw, row)
    old = shape_text(tensor.shape) if tensor is not None else "transposed"
    return f"{escape(variable.path)}: {old} in the file, {shape_text(variable.shape)} in the model"


_WRITERS: Final = {
    (1, 0): "Keras keeps a Dense kernel as (input, units), PyTorch as (units, input)",
    (2, 1, 0): "Keras keeps it as (length, input, filters), PyTorch as (filters, input, length)",
    (2, 3, 1, 0): "Keras keeps it as (height, width, input, filters), PyTorch and Theano filters and input first",
    (2, 3, 4, 1, 0): "Keras keeps it as (depth, height, width, input, filters), PyTorch filters and input first",
    (0, 1, 3, 2): "a transposed convolution of Keras 1 has its last two axes the other way round",
}


def _convention(order: tuple[int, ...] | None) -> str | None:
    return _WRITERS.get(order) if order is not None else None


def _transpose(context: Context, tensor: TensorFacts, variable: Wanted, order: tuple[int, ...] | None) -> list[str]:
    """The lines that give one layer its transposed kernel, where a call can name it."""
    if order is None or not is_path(context.path) or "/" in variable.layer or len(context.path) > MOST_CHARS:
        return ["read the tensor with `kwload.open`, transpose it, and assign it"]
    read = f"kwload.open({literal(context.path)})[{literal(tensor.path)}].transpose{order}"
    return [f"model.get_layer({literal(variable.layer)}).{escape(variable.name)}.assign({read})"]


def _doubtful(context: Context, raw: Raw, tensor: TensorFacts, variable: Wanted, related: Sequence[int]) -> Finding:
    """Kernels that look the same either way, in a file with others that are transposed."""
    paths = [context.variables[row].path for row in (raw.model_tensor, *related)]
    many = len(paths) > 1
    loop = transposing.loop(context) is not None
    return other_shape(
        308,
        "warning",
        tensor,
        variable,
        headline=f"{named(paths, 3)} may be transposed too: {'their shapes do' if many else 'its shape does'} not say",
        body=listed(
            [
                f"{escape(context.variables[row].path)}: {shape_text(context.variables[row].shape)}"
                for row in (raw.model_tensor, *related)
            ],
            6,
        ),
        notes=[
            "other kernels of the file are transposed; these look the same either way, and values cannot tell",
            *([f"the line above loads {'them as they stand' if many else 'it as it stands'} in the file"] * loop),
        ],
        help=[
            f"find out whether whatever wrote the file transposed {'them' if many else 'it'} too",
            *load_the_rest(context),
        ],
        related=paths[1:],
    )


@dataclass(frozen=True, slots=True)
class _Kernel:
    """The first weight of a layer of the file: the stem of its class, its number, its shape."""

    stem: str
    number: int
    shape: tuple[int, ...]

    @property
    def recurrent(self) -> bool:
        return self.stem in ("lstm", "gru", "simple_rnn", "rnn", "bidirectional")


def suggested_input(context: Context) -> str | None:
    """The input shape that the file suggests for an unbuilt model: ``"(None, 784)"``; None when it says nothing clear.

    Legacy files list the layers in order. The Keras 3 layout numbers those of one class in order; a convolution or a
    recurrent layer, where there is one, stands before the dense ones.
    """
    kernels = [kernel for row in range(len(context.groups)) if (kernel := _kernel(context, row)) is not None]
    if not kernels or any("embedding" in kernel.stem for kernel in kernels):
        return None
    if context.file.layout.startswith("legacy"):
        first: _Kernel | None = kernels[0]
    else:
        spatial = [kernel for kernel in kernels if len(kernel.shape) > 2]
        first = _first(spatial or [kernel for kernel in kernels if kernel.recurrent] or kernels)
    if first is None:
        return None
    free = {3: "length, ", 4: "height, width, ", 5: "depth, height, width, "}.get(len(first.shape), "")
    return f"(None, {'length, ' if first.recurrent else free}{first.shape[-2]})"


def _first(kernels: Sequence[_Kernel]) -> _Kernel | None:
    """The first of kernels of one class; of several classes, the one whose input no other puts out."""
    if len({kernel.stem for kernel in kernels}) == 1:
        return min(kernels, key=lambda kernel: kernel.number)
    widths = {kernel.shape[-1] for kernel in kernels}
    open_ends = [kernel for kernel in kernels if kernel.shape[-2] not in widths]
    return open_ends[0] if len({kernel.shape[-2] for kernel in open_ends}) == 1 else None


def _kernel(context: Context, group: int) -> _Kernel | None:
    """The first weight of a layer of the file, when it is a kernel: two axes or more."""
    tensors = context.file_tensors(group)
    if not tensors or not 2 <= len(tensors[0].shape) <= 5:
        return None
    path = [part for part in context.groups[group][0].split("/") if part not in ("layers", "cell", "vars")]
    name = path[-1] if path else ""
    if "embedding" in tensors[0].variable:
        name = "embedding"
    stem, _, number = name.rpartition("_")
    if not (number.isdecimal() and len(number) < 9 and stem):
        stem, number = name, "0"
    return _Kernel(stem, int(number), tuple(tensors[0].shape))


__all__ = [
    "differing",
    "left_with_others",
    "shape_findings",
    "side_by_side",
    "suggested_input",
    "transposed",
]
