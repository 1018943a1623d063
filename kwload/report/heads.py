"""What findings say when only the end of a model differs: another number of classes, a file or a model without its
classifier (``include_top=False``, the ``*_notop.h5`` files of ``keras.applications``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from kwload.report.context import LEGACY, Context
from kwload.report.escape import quote
from kwload.report.facts import Raw, TensorFacts
from kwload.report.text import plural
from kwload.report.words import file_layers, group_flag, name_list


def model_layers(context: Context) -> list[int]:
    """The groups of the model that are layers with weights, in the model's order."""
    state = group_flag("optimizer") | group_flag("metric") | group_flag("top_level")
    groups = context.model.groups if context.model is not None else ()
    return [row for row, rows in enumerate(context.rows_of) if rows and not groups[row][3] & state]


_MOST: Final = 4
"""Layers that a classifier has at most; more are another cause."""


def is_end(context: Context, layers: Iterable[int]) -> bool:
    """Whether these groups of the model are the last that have weights, and not all of it."""
    some, all_ = set(layers), model_layers(context)
    return bool(some) and len(some) < len(all_) and set(all_[-len(some) :]) == some


def class_count(context: Context, raw: Raw, tensor: TensorFacts) -> list[str]:
    """Said of the one error of a report when nothing differs but what the last layer puts out."""
    variable = context.variables[raw.model_tensor]
    found, expected = tuple(tensor.shape), variable.shape
    errors = sum(item.severity == "error" for item in context.raws)
    only_last = len(found) == len(expected) and found[:-1] == expected[:-1] and bool(expected)
    if errors != 1 or not only_last or not is_end(context, context.groups_of(raw)):
        return []
    if any(_takes_other_input(context, row) for row in raw.related):  # the output of the first is not the model's
        return []
    total = context.plan.wanted if context.plan is not None else len(context.variables)
    tensors = f"{1 + len(raw.related):,} of {total:,} tensors"
    what = "class count" if min(found[-1], expected[-1]) > 1 else "outputs:"
    said = [f"only the head differs: {tensors}; {what} {found[-1]:,} in the file, {expected[-1]:,} in the model"]
    name = context.groups[raw.file_group][1] if raw.file_group >= 0 else None
    layer = variable.layer.rpartition("/")[2]
    from kwload import _core

    given = raw.file_group >= 0 and not context.groups[raw.file_group][2] & _core.GROUP_FLAGS["auto_name"]
    return [*said, *([f"it is called {quote(name)} in the file"] if name and given and name != layer else [])]


def _takes_other_input(context: Context, row: int) -> bool:
    """Whether a variable differs from its tensor before the last axis, or it is not known which that is."""
    variable = context.variables[row]
    source, rows = context.counterpart(variable.group), context.rows_of[variable.group]
    slots = context.groups[source][3] if source >= 0 else ()
    tensor = context.tensor(slots[rows.index(row)][1]) if len(slots) == len(rows) else None
    return tensor is None or tuple(tensor.shape)[:-1] != variable.shape[:-1]


_SHARD: Final = re.compile(r"_[0-9]{5}\.weights\.h5\Z")
"""What Keras calls the files of a set (keras.src.saving.saving_lib.ShardedH5IOStore, 3.10 to 3.15)."""


def file_ends_early(context: Context, layers: Sequence[int]) -> list[str]:
    """Said when all that the file lacks are the last layers of the model, and all else fits."""
    plan = context.plan
    if plan is None or not is_end(context, layers) or plan.unused or not _is_small(layers, model_layers(context)):
        return []
    if len(plan.pairs) + sum(len(context.rows_of[row]) for row in set(layers)) < plan.wanted:
        return []
    count = len(set(layers))
    last = "last layer" if count == 1 else f"last {count} layers"
    said = f"the file has all but the {last} of the model"
    if _SHARD.search(context.path):
        return [f"{said}: it is called as one shard of a set is, and the .weights.json beside it names the others"]
    return [f"{said}: it looks like a *_notop file, saved without its classifier"]


def model_ends_early(context: Context, layers: Sequence[int]) -> list[str]:
    """Said when all that the model lacks are the last layers of the file; in V3, which has no order, Dense layers."""
    plan, all_ = context.plan, [row for row in file_layers(context) if context.file_tensors(row)]
    some, legacy = set(layers), context.file.layout in LEGACY
    if plan is None or not _is_small(layers, all_) or plan.wanted != len(plan.pairs):
        return []
    if (set(all_[-len(some) :]) != some) if legacy else not all(_is_dense(context, row) for row in some):
        return []
    if not legacy and any(_may_be_another(context, row) for row in some):
        return []
    extra = f"{plural(len(some), 'layer')} more at its end" if legacy else plural(len(some), "more Dense layer")
    looks = "looks like" if legacy else "may be"
    return [f"the file has all of the model and {extra}: the model {looks} one without its classifier"]


def _may_be_another(context: Context, row: int) -> bool:
    """Whether a layer of the file, of which no name tells, is like one that the model takes by its place."""
    from kwload import _core

    if context.groups[row][1] and not context.groups[row][2] & _core.GROUP_FLAGS["auto_name"]:
        return False
    return any(context.source(group) >= 0 and context.fits(row, group) for group in model_layers(context))


def _is_small(layers: Iterable[int], all_: Sequence[int]) -> bool:
    """Whether so few layers of so many may be a classifier."""
    count = len(set(layers))
    return 0 < count <= _MOST and 2 * count <= len(all_)


def _is_dense(context: Context, group: int) -> bool:
    stem = context.groups[group][0].rpartition("/")[2].rstrip("0123456789").rstrip("_")
    return stem == "dense"


def load_by_order(context: Context, layers: Sequence[int]) -> list[str]:
    """The call that loads the places before the end, which agree (legacy, by order)."""
    plan = context.plan
    if plan is None or context.failed or context.file.faults or context.options.by_name or not plan.pairs:
        return []
    if any(raw.severity == "error" and raw.code != 305 for raw in context.raws):
        return []
    left = sum(len(context.rows_of[row]) for row in set(layers))
    if len(plan.pairs) + left != plan.wanted or len(layers) > 6:
        return []
    names = [context.selectable(row) for row in layers]
    option = f"skip={name_list(names)}" if names else 'only="*"'
    rest = " and leaves it as initialised" if len(names) == 1 else " and leaves them as initialised" if names else ""
    return [f"{context.again(option)}  loads the others by order{rest}"]


__all__ = ["class_count", "file_ends_early", "is_end", "load_by_order", "model_ends_early", "model_layers"]
