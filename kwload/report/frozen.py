"""KW313: which layers of a nested model were frozen when the file was saved, as lines to paste.

Legacy files hold the weights of a nested model as ``trainable_weights + non_trainable_weights``
(keras.src.legacy.saving.legacy_h5_format, Keras 2 and 3), so ``trainable`` decides their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kwload.report.context import LEGACY, Context, is_path
from kwload.report.escape import literal

_MOST: Final = 3
"""Layers that one line may set."""

_Part = tuple[Any, list[int], list[int]]
"""A layer, the rows of its variables that can be trained, and of the others."""


def set_as_saved(context: Context, group: int, in_file: Sequence[str]) -> str | None:
    """The line that sets `trainable` as it was, loads, and sets it back; None where that is not certain.

    Parameters
    ----------
    context : Context
        Of the report.
    group : int
        The nested model, a group of the model at its top level.
    in_file : sequence of str
        The names of its weights, in the order of the file.
    """
    objects = getattr(context.model, "objects", ())
    nested = objects[group] if group < len(objects) else None
    if context.file.layout not in LEGACY or sum(raw.severity == "error" for raw in context.raws) != 1:
        return None
    parts = _parts(context, group, nested)
    order = _rows(context, group, in_file)
    if not parts or order is None:
        return None
    place = {row: at for at, row in enumerate(order)}
    firsts = [place[(trained or fixed)[0]] for _, trained, fixed in parts]
    late = [at > min(firsts[i:]) for i, at in enumerate(firsts)]
    for frozen in (late, [True] * len(parts)):
        if _order(parts, frozen) == order:
            return _line(context, nested, [(part[0], one) for part, one in zip(parts, frozen, strict=True)])
    return None


def _parts(context: Context, group: int, nested: Any) -> list[_Part]:
    """The layers with variables inside a nested model; none where one of them holds layers itself."""
    live: Sequence[object] = getattr(context.model, "variables", ())
    rows = context.rows_of[group]
    if not live or not rows:
        return []
    row_of = {id(live[row]): row for row in rows}
    parts: list[_Part] = []
    for layer in getattr(nested, "layers", ()):
        trained, fixed = (
            [row_of.get(id(item), -1) for item in getattr(layer, new, getattr(layer, old, ()))]
            for new, old in (
                ("_trainable_variables", "_trainable_weights"),
                ("_non_trainable_variables", "_non_trainable_weights"),
            )
        )
        if trained or fixed:
            parts.append((layer, trained, fixed))
    held = [row for _, trained, fixed in parts for row in (*trained, *fixed)]
    return parts if sorted(held) == sorted(rows) else []


def _rows(context: Context, group: int, in_file: Sequence[str]) -> list[int] | None:
    """The variables that the file's names mean, by layer and variable; None when they do not name them all."""
    rows = {tuple(context.variables[row].path.split("/")[-2:]): row for row in context.rows_of[group]}
    found = [rows.get(tuple(name.removesuffix(":0").split("/")[-2:]), -1) for name in in_file]
    return found if sorted(found) == sorted(context.rows_of[group]) else None


def _order(parts: Sequence[_Part], frozen: Sequence[bool]) -> list[int]:
    """The order in which Keras saves the variables with these layers frozen."""
    first = [row for (_, trained, _), off in zip(parts, frozen, strict=True) if not off for row in trained]
    then = [row for (_, trained, fixed), off in zip(parts, frozen, strict=True) for row in ([*trained] * off + fixed)]
    return first + then


def _line(context: Context, nested: Any, wanted: Sequence[tuple[Any, bool]]) -> str | None:
    changed = [(layer.name, frozen) for layer, frozen in wanted if bool(layer.trainable) == frozen]
    if not changed or len(changed) > _MOST or context.options.own or not is_path(context.path):
        return None
    inner = f"model.get_layer({literal(nested.name)})"
    places = [(f"{inner}.get_layer({literal(name)}).trainable", frozen) for name, frozen in changed]
    set_, back = ([f"{place} = {frozen is undo}" for place, frozen in places] for undo in (False, True))
    return "; ".join([*set_, context.again(), *back])


__all__ = ["set_as_saved"]
