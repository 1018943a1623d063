"""KW308: the line to paste that loads a file whose kernels are transposed, all of its layers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kwload.report import heads
from kwload.report.context import MOST_CHARS, Context, is_path
from kwload.report.escape import literal

CONVENTIONS: Final[tuple[tuple[int, ...], ...]] = (
    (2, 3, 1, 0),
    (3, 2, 0, 1),
    (2, 3, 4, 1, 0),
    (4, 3, 0, 1, 2),
    (1, 0),
    (2, 1, 0),
)
"""Orders of axes that other libraries have, those of PyTorch first."""


def permutation(found: Sequence[int], expected: Sequence[int]) -> tuple[int, ...] | None:
    """The order of axes that turns one shape into the other: the known conventions first."""
    rank = len(expected)
    if len(found) != rank:
        return None
    for order in CONVENTIONS:
        if len(order) == rank and [found[axis] for axis in order] == list(expected):
            return order
    left = list(range(rank))
    found_order: list[int] = []
    for length in expected:
        axis = next((axis for axis in left if found[axis] == length), None)
        if axis is None:
            return None
        left.remove(axis)
        found_order.append(axis)
    return tuple(found_order)


def loop(context: Context) -> str | None:
    """The line that gives every layer its weights: tensors of another shape are transposed, those of one number of axes
    alike, and all others are taken as they stand. It assigns nothing unless all fit.

    None where a layer cannot be named so, and where there is one kernel only.
    """
    if not is_path(context.path) or len(context.path) > MOST_CHARS or context.model is None or context.options.own:
        return None
    if any(raw.severity == "error" and raw.code != 308 for raw in context.raws):
        return None
    layers, turns = heads.model_layers(context), _turns(context)
    told = {row for raw in context.raws if raw.code == 308 for row in (raw.model_tensor, *raw.related)}
    if not turns or len(told) < 2 or any("/" in context.layer(group) for group in layers):
        return None
    if all(_is_in_order(context, group) for group in layers):
        named = "[t for t in file.tensors if t.layer == x.name]"
        each = f"x in model.layers for v, t in zip(x.weights, {named}, strict=True)"
    elif _are_named(context, layers):
        each = "t in file.tensors for v in [getattr(model.get_layer(t.layer), t.variable)]"
    else:
        return None
    said = ", ".join(f"{rank}: {order}" for rank, order in sorted(turns.items()))
    value = "file[t.path] if t.shape == v.shape else file[t.path].transpose(turn[len(t.shape)])"
    return (
        f"file, turn = kwload.open({literal(context.path)}), {{{said}}}; new = [(v, {value}) for {each}]; "
        "assert all(v.shape == x.shape for v, x in new); [v.assign(x) for v, x in new]"
    )


def _turns(context: Context) -> dict[int, tuple[int, ...]]:
    """Number of axes -> their order, of the kernels whose shapes show that they are transposed; none when one order is
    not enough."""
    shapes: dict[int, list[tuple[Sequence[int], Sequence[int]]]] = {}
    for raw in context.raws:
        for row in (raw.model_tensor, *raw.related) if raw.code == 308 and raw.severity == "error" else ():
            tensor, shape = context.tensor(_tensor_of(context, row)), context.variables[row].shape
            if tensor is None:
                return {}
            shapes.setdefault(len(shape), []).append((tensor.shape, shape))
    turns = {}
    for rank, pairs in shapes.items():
        orders = [*(order for order in CONVENTIONS if len(order) == rank), permutation(*pairs[0])]
        turn = next((order for order in orders if order and all(_turns_to(order, *pair) for pair in pairs)), None)
        if turn is None:
            return {}
        turns[rank] = turn
    return turns


def _turns_to(order: Sequence[int], found: Sequence[int], expected: Sequence[int]) -> bool:
    return [found[axis] for axis in order] == list(expected)


def _tensor_of(context: Context, row: int) -> int:
    """The row of the tensor that stands in the file where this variable stands in its layer; -1."""
    group = context.variables[row].group
    source = context.counterpart(group)
    slots = context.groups[source][3] if source >= 0 else ()
    rows = context.rows_of[group]
    return slots[rows.index(row)][1] if len(slots) == len(rows) else -1


def _is_in_order(context: Context, group: int) -> bool:
    """Whether a layer bears its name in the file, and the tensors that do are its weights in their order."""
    name, source = context.layer(group), context.counterpart(group)
    if source < 0:
        return False
    here = [row for _, row in context.groups[source][3]]
    named = [row for row, tensor in enumerate(context.tensors) if tensor.layer == name]
    if here != named or len(here) != len(context.rows_of[group]):
        return False
    objects, live = _live(context)
    if group >= len(objects):
        return True
    weights = [id(item) for item in getattr(objects[group], "weights", ())]
    return weights == [id(live[row]) for row in context.rows_of[group]]


def _are_named(context: Context, layers: Sequence[int]) -> bool:
    """Whether each tensor of the file bears the name of a layer, and of the attribute that is its variable."""
    wanted = {
        (context.layer(group), context.variables[row].name): row for group in layers for row in context.rows_of[group]
    }
    found = [wanted.get((tensor.layer, tensor.variable), -1) for tensor in context.tensors]
    if sorted(found) != sorted(wanted.values()):
        return False
    objects, live = _live(context)
    return all(
        group >= len(objects) or getattr(objects[group], context.variables[row].name, None) is live[row]
        for group in layers
        for row in context.rows_of[group]
    )


def _live(context: Context) -> tuple[Sequence[object], Sequence[object]]:
    """The layers and variables of the model itself, by row."""
    return getattr(context.model, "objects", ()), getattr(context.model, "variables", ())


__all__ = ["CONVENTIONS", "loop", "permutation"]
