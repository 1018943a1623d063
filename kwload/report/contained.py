"""KW327: the file is that of a model inside the model (a backbone), or the model is one inside the file's.

::

    file   layers/dense  layers/dense_1                          all of it, shape by shape, is that of `inner`
    model  layers/sequential/layers/dense  …/dense_1  layers/dense
           `inner`                                    `out`

V3 paths below the nested model are those that it has when it is saved alone (keras/src/saving/saving_lib.py); legacy
files hold a nested model as one list of weights, trainable ones first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kwload.report.context import LEGACY, V3, Context, entry, finding, is_path
from kwload.report.escape import literal, quote
from kwload.report.finding import Finding
from kwload.report.heads import model_layers
from kwload.report.rules import option_of
from kwload.report.text import plural
from kwload.report.words import file_layers

Shapes = list[tuple[int, ...]]

_MOST: Final = 64
"""Nested models that are looked at."""


def contained(context: Context) -> Finding | None:
    """The one finding on such a file, which stands for all others but that on an optimizer; None for other files, and
    where nothing is wrong."""
    plan, options = context.plan, context.options
    if plan is None or context.model is None or options.by_name or options.skip_mismatch or options.own:
        return None
    if context.failed or context.file.faults or context.file.layout not in (*V3, *LEGACY):
        return None
    if not any(raw.severity == "error" for raw in context.raws):
        return None
    return _part_of_model(context) or _part_of_file(context)


def _saved(context: Context) -> list[int]:
    return [row for row in file_layers(context) if context.file_tensors(row)]


def _shapes(context: Context, file_group: int) -> Shapes:
    return [tuple(context.tensors[row].shape) for _, row in context.groups[file_group][3] if row >= 0]


def _wanted(context: Context, group: int) -> Shapes:
    return [context.variables[row].shape for row in context.rows_of[group]]


def _part_of_model(context: Context) -> Finding | None:
    """The file holds no more and no less than a nested model."""
    fits = [found for found in _nested(context) if _is_all_of(context, *found)]
    named = [found for found in fits if _bears_names(context, *found)]
    fits = named if len(named) == 1 else fits
    taken = {context.group_of_tensor.get(pair[0], -1) for pair in (context.plan.pairs if context.plan else ())}
    saved = _saved(context)
    if not fits or not saved or (taken.issuperset(saved) and not named):
        return None
    names = [nested.name for _, nested in fits]
    tensors = f"all {plural(sum(len(_shapes(context, row)) for row in saved), 'tensor')}"
    what = " or of ".join(quote(name) for name in names[:3])
    return finding(
        327,
        "error",
        headline=entry(327).say(what=f"the file is that of {what}, a part of the model"),
        layer=names[0],
        expected=len(context.variables),
        found=len(context.tensors),
        notes=[f"{tensors} of the file fit it one by one; of the rest of the model it holds nothing"],
        help=[f"kwload.load_weights(model.get_layer({literal(name)}), {literal(context.path)})" for name in names[:3]]
        if is_path(context.path)
        else ["load it into that part of the model"],
        related=names[1:],
    )


def _nested(context: Context) -> Iterator[tuple[int, Any]]:
    """The models among the layers that ``model.get_layer`` knows, each with its row; not one that is all of it."""
    objects = getattr(context.model, "objects", ())
    root = next(iter(_roots(context)), None)
    known = {id(layer) for layer in getattr(root, "layers", ())}
    count = 0
    for row, item in enumerate(objects):
        if id(item) not in known or not callable(getattr(item, "load_weights", None)) or count >= _MOST:
            continue
        count += 1
        if isinstance(getattr(item, "layers", None), list):
            yield row, item


def _roots(context: Context) -> Iterator[Any]:
    """The model itself."""
    from kwload.report.words import group_flag

    groups = context.model.groups if context.model is not None else ()
    for group, item in zip(groups, getattr(context.model, "objects", ()), strict=False):
        if not group[0] or group[3] & group_flag("top_level"):
            yield item


def _is_all_of(context: Context, row: int, nested: Any) -> bool:
    """Whether the file has the weights of a nested model, all of them and no others, at the places of that one."""
    if context.file.layout in LEGACY:
        return _layers_of(context, row, nested) == [_shapes(context, old) for old in _saved(context)]
    groups = context.model.groups if context.model is not None else ()
    place = groups[row][0]
    return _below(place, {groups[new][0]: _wanted(context, new) for new in model_layers(context)}) == {
        context.groups[old][0]: _shapes(context, old) for old in _saved(context)
    }


def _below(place: str, all_: dict[str, Shapes]) -> dict[str, Shapes]:
    """What lies at or below a path, by the rest of its path."""
    return {
        path[len(place) + 1 :]: shapes for path, shapes in all_.items() if path == place or path.startswith(f"{place}/")
    }


def _layers_of(context: Context, row: int, nested: Any) -> list[Shapes]:
    """The shapes of the weights of each layer, as a legacy file has them."""
    wanted = {id(live) for live in _live(context, row)}
    layers = [_in_order(layer) for layer in nested.layers]
    if {id(item) for several in layers for item in several} != wanted:
        return []
    return [[tuple(item.shape) for item in several] for several in layers if several]


def _live(context: Context, row: int) -> list[Any]:
    live: Sequence[Any] = getattr(context.model, "variables", ())
    return [live[index] for index in context.rows_of[row]]


def _in_order(layer: Any) -> list[Any]:
    """The weights of a layer as a legacy file lists them; none where it does not say."""
    try:
        return [*getattr(layer, "trainable_weights", ()), *getattr(layer, "non_trainable_weights", ())]
    except Exception:  # noqa: BLE001 - a model of tf_keras that is not built raises, and a user's property may
        return []


def _bears_names(context: Context, row: int, nested: Any) -> bool:
    """Whether a name that a person gave to a layer of the file is one inside the nested model."""
    from kwload import _core

    made = _core.GROUP_FLAGS["auto_name"]
    given = {context.groups[old][1] for old in _saved(context) if not context.groups[old][2] & made} - {None}
    return bool(given) and given <= {layer.name for layer in nested.layers}


def _part_of_file(context: Context) -> Finding | None:
    """A model inside the file's has the weights of this one, all of them and no others."""
    legacy = context.file.layout in LEGACY
    found = _list_of(context) if legacy else _place_of(context)
    if found is None:
        return None
    name, pairs = found
    option = option_of(context, pairs) if pairs else None
    part = f"full.get_layer({literal(name)})" if name else "the part of it"
    return finding(
        327,
        "error",
        headline=entry(327).say(what=f"the model is {quote(name)} of the file, which holds a larger model"),
        layer=None,
        expected=len(context.variables),
        found=len(context.tensors),
        notes=[f"number and shapes of the weights in {quote(name)} of the file are those of the model"],
        help=[
            *([context.again(option)] if option is not None else []),
            f"load the file into the model that it was saved from, `full`: model.set_weights({part}.get_weights())",
        ],
    )


def _list_of(context: Context) -> tuple[str, list[tuple[int, int]]] | None:
    """The one layer of a legacy file whose list of weights is that of the whole model."""
    saved, root = _saved(context), next(_roots(context), None)
    wanted = [tuple(item.shape) for item in _in_order(root)]
    rows = [row for row in saved if _shapes(context, row) == wanted]
    if len(rows) != 1 or len(saved) < 2 or len(model_layers(context)) < 2:
        return None
    return context.file_layer(rows[0]), []


def _place_of(context: Context) -> tuple[str, list[tuple[int, int]]] | None:
    """The one place in a file below which the whole model lies, and the layers of both."""
    groups = context.model.groups if context.model is not None else ()
    wanted = {groups[row][0]: row for row in model_layers(context)}
    saved = {context.groups[row][0]: row for row in _saved(context)}
    first = next(iter(wanted), "")
    places = [path[: -len(first) - 1] for path in saved if first and path.endswith(f"/{first}")]
    shapes = {path: _shapes(context, row) for path, row in saved.items()}
    here = {path: _wanted(context, row) for path, row in wanted.items()}
    fits = [place for place in places[:_MOST] if _below(place, shapes) == here]
    if len(fits) != 1 or len(shapes) == len(here):
        return None
    names = [group[1] for group in context.groups if group[0] == fits[0]]
    pairs = [(saved[f"{fits[0]}/{path}"], row) for path, row in wanted.items()]
    return (names[0] if names and names[0] else fits[0]), pairs


__all__ = ["contained"]
