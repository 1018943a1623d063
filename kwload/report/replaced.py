"""KW326: the last layers of the model are others than the last of the file, and all before them fits.

::

    file   conv0 bn0 conv1 bn1   head (24, 10)
    model  conv0 bn0 conv1 bn1   fc (24, 16)   out (16, 4)
           --- all match ---     one finding, not one that `fc` differs and another that `out` is missing
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kwload.report import heads
from kwload.report.context import LEGACY, MOST_CHARS, Context, entry, finding, listed, named, shape_text
from kwload.report.escape import escape
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.text import plural
from kwload.report.words import file_layers, name_list, wants

CAUSES: Final = frozenset({301, 302, 305, 306, 307})
"""What the plan says of layers that were replaced."""

_BESIDE: Final = frozenset({309, 316, 320})
"""What may be found besides: types, state of an optimizer, options."""

_MOST: Final = 4


def head_changed(context: Context) -> Finding | None:
    """The one finding on a head that was replaced by other layers; None where that is not what differs.

    It stands for all findings of :data:`CAUSES`. A last layer that only has another width, one that is missing or one
    that is left over is a finding of its own and none of these.
    """
    plan = context.plan
    if plan is None or context.options.own or context.options.skip_mismatch or context.failed or context.file.faults:
        return None
    raws = [raw for raw in context.raws if raw.severity != "note"]
    causes = [raw for raw in raws if raw.code in CAUSES]
    errors = any(raw.severity == "error" for raw in causes)
    if any(raw.code not in CAUSES and raw.code not in _BESIDE for raw in raws):
        return None
    if not causes or (len(causes) == 1 and causes[0].code not in (305, 306)):
        return None
    new, old = _unmatched(context), _left(context)
    if not new or not old or not _is_head(context, new, old) or _is_moved(context, causes, new, old):
        return None
    return _finding(context, new, old, errors)


def _unmatched(context: Context) -> list[int]:
    """The layers of the model that do not get all of their weights."""
    paired = {pair[1] for pair in context.plan.pairs} if context.plan is not None else set()
    return [group for group in heads.model_layers(context) if not paired.issuperset(context.rows_of[group])]


def _left(context: Context) -> list[int]:
    """The layers of the file of which no weight is taken."""
    taken = {context.group_of_tensor.get(pair[0], -1) for pair in (context.plan.pairs if context.plan else ())}
    return [group for group in file_layers(context) if context.file_tensors(group) and group not in taken]


def _is_head(context: Context, new: Sequence[int], old: Sequence[int]) -> bool:
    """Whether these are the last layers of both sides (the Keras 3 layout has no order), a few of many, and all else
    is matched."""
    plan, all_ = context.plan, heads.model_layers(context)
    if plan is None or not heads.is_end(context, new) or len(old) > _MOST or len(new) > _MOST:
        return False
    if 2 * len(new) > len(all_) + 1:
        return False
    if context.file.layout in LEGACY:
        saved = [group for group in file_layers(context) if context.file_tensors(group)]
        if saved[-len(old) :] != list(old):
            return False
    wanted = sum(len(context.rows_of[group]) for group in new)
    unused = sum(len(context.file_tensors(group)) for group in old)
    return len({pair[1] for pair in plan.pairs}) + wanted == plan.wanted and plan.unused == unused


def _is_moved(context: Context, causes: Sequence[Raw], new: Sequence[int], old: Sequence[int]) -> bool:
    """Whether a layer of the old head is one of the new, at another place: then another finding says which."""
    if any(context.fits(was, now) for was in old for now in new):
        return True
    told = any(raw.code == 305 and (raw.model_group >= 0 or raw.file_group >= 0) for raw in causes)
    return told and any(puts_out_same(context, was, now) for was in old for now in new)


def puts_out_same(context: Context, old: int, new: int) -> bool:
    """Whether the weights of a layer of the file and of one of the model have the same ranks and last axes."""
    has = [(len(tensor.shape), tuple(tensor.shape)[-1:]) for tensor in context.file_tensors(old)]
    shapes = [context.variables[row].shape for row in context.rows_of[new]]
    return has == [(len(shape), shape[-1:]) for shape in shapes]


def _finding(context: Context, new: Sequence[int], old: Sequence[int], errors: bool) -> Finding:
    was, now = [context.file_layer(group) for group in old], [context.layer(group) for group in new]
    matched = len({pair[1] for pair in context.plan.pairs}) if context.plan is not None else 0
    rows = [f"file   {escape(context.file_layer(group))}: {_shapes(context, group)}" for group in old]
    rows += [f"model  {wants(context, context.layer(group), context.rows_of[group])}" for group in new]
    return finding(
        326,
        "error" if errors else "warning",
        headline=entry(326).say(found=named(was, 3), expected=named(now, 3)),
        layer=now[0],
        path=context.groups[old[0]][0],
        expected=now,
        found=was,
        body=listed(rows),
        notes=[f"the other {plural(matched, 'variable')} {'fits' if matched == 1 else 'fit'}"],
        keras=_silent(context, len(now)),
        help=_help(context, new) if errors else [],
        related=[context.variables[row].path for group in new for row in context.rows_of[group]],
    )


def _shapes(context: Context, group: int) -> str:
    tensors = context.file_tensors(group)
    more = f" and {len(tensors) - 4} more" if len(tensors) > 4 else ""
    return ", ".join(shape_text(tensor.shape) for tensor in tensors[:4]) + more


def _silent(context: Context, count: int) -> str | None:
    outcome = context.plan.prediction.get("outcome") if context.plan is not None else None
    them = "it" if count == 1 else "them"
    return f"{context.keras_short} leaves {them} as initialised, without a word" if outcome == "loads_part" else None


def _help(context: Context, new: Sequence[int]) -> list[str]:
    """The call that loads all but the head."""
    names = [context.selectable(group) for group in new]
    if max(map(len, names)) > MOST_CHARS:
        return []
    them = "it" if len(names) == 1 else "them"
    return [f"{context.again(f'skip={name_list(names)}')}  loads the rest and leaves {them} as initialised"]


__all__ = ["CAUSES", "head_changed", "puts_out_same"]
