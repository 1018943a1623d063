"""Findings about order and number: layers that swapped places, that were inserted, that have more weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

from kwload.report.context import (
    LEGACY,
    Context,
    columns,
    entry,
    finding,
    listed,
    named,
)
from kwload.report.escape import escape, quote
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.frozen import set_as_saved
from kwload.report.rules import option_of
from kwload.report.words import group_flag, has, name_list, severity_of, wants

_EVIDENCE: Final = "the names given to the layers, stored in the file, are the evidence"

AS_SAVED: Final = "give the layers of the model the order they had when the file was saved"


def chain_of(context: Context, raw: Raw) -> list[tuple[int, int]]:
    """The layers of a chain of layers that get each other's weights, each with the group of the file it would get."""
    groups = [raw.model_group] if raw.model_group >= 0 else []
    groups = list(dict.fromkeys([*groups, *(context.variables[row].group for row in raw.related)]))
    if not raw.related and raw.other_group >= 0:
        groups.append(raw.other_group)
    givers = [(group, context.giver(group)) for group in groups]
    return [(group, raw.file_group if giver < 0 and group == raw.model_group else giver) for group, giver in givers]


def flow_of(context: Context, chain: Sequence[tuple[int, int]]) -> list[str]:
    """Which layer of the model would receive whose weights."""
    rows = [("layer of the model", "", "would receive the weights of")]
    rows += [
        (escape(context.layer(group)), "<-", escape(context.file_layer(giver))) for group, giver in chain if giver >= 0
    ]
    lines = columns(rows)
    return [lines[0], *listed(lines[1:])] if len(lines) > 1 else []


def evidence_of(context: Context, chain: Sequence[tuple[int, int]]) -> str:
    """Why the layers are thought to have moved, and whether Keras could notice."""
    fit = all(giver >= 0 and context.fits(giver, group) for group, giver in chain)
    return f"the shapes fit; {_EVIDENCE}" if fit else _EVIDENCE


def by_names(context: Context, chain: Sequence[tuple[int, int]]) -> list[str]:
    """The call that gives each layer of a chain the weights of its own name, and leaves out what has none; nothing
    when it would not load."""
    if context.failed or context.file.faults:
        return []
    if any(raw.severity == "error" and raw.code not in (304, 305) for raw in context.raws):
        return []
    groups = [group for group, _ in chain]
    owns = _owns(context, chain)
    named_alike = all(own < 0 or context.file_layer(own) == context.layer(group) for group, own in owns)
    by_name = context.file.layout in LEGACY and not context.options.by_name and named_alike
    if by_name:
        groups = [row for row, rows in enumerate(context.rows_of) if rows]
    pairs = [(own, group) for group, own in zip(groups, _own(context, groups, chain), strict=True) if own >= 0]
    with_own = {new for _, new in pairs}
    left = [group for group in groups if group not in with_own]
    if not pairs or not all(context.fits(*pair) for pair in pairs):
        return []
    if by_name:
        call = context.again("by_name=True")
    else:
        option = option_of(context, pairs)
        about = set(groups)
        others = any(raw.severity == "error" for raw in context.raws if not about.issuperset(context.groups_of(raw)))
        if option is None or others or len(left) > 6:
            return []
        skip = [f"skip={name_list([context.selectable(group) for group in left])}"] if left else []
        call = context.again(option, *skip)
    rest = f", and leaves {named([context.layer(group) for group in left])} as initialised" if left else ""
    return [f"{call}  gives each layer the weights of its own name{rest}"]


def _owns(context: Context, chain: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Each layer of a chain with the group of the file that is its own, or -1."""
    groups = [group for group, _ in chain]
    return list(zip(groups, _own(context, groups, chain), strict=True))


def _own(context: Context, groups: Sequence[int], chain: Sequence[tuple[int, int]]) -> list[int]:
    """The group of the file that bears each layer's own name: one that the chain gives away, else the only one; -1."""
    given: dict[str | None, list[int]] = {}
    for giver in (giver for _, giver in chain if giver >= 0):
        given.setdefault(context.groups[giver][1], []).append(giver)
    found = []
    for group in groups:
        name = context.model.groups[group][1] if context.model is not None else None
        rows = given.get(name) or context.rows_named(name)
        own = context.own(group)
        found.append(own if own >= 0 else rows[0] if len(rows) == 1 else -1)
    return found


def swapped(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers that would get each other's weights."""
    chain = [link for raw in raws for link in chain_of(context, raw)]
    names = [context.layer(group) for group, _ in chain]
    if not names:
        return
    yield finding(
        304,
        severity_of(raws[0]),
        headline=entry(304).say(what=named(names, 3)),
        layer=names[0],
        path=context.groups[raws[0].file_group][0] if raws[0].file_group >= 0 else None,
        expected=names,
        found=[context.file_layer(giver) for _, giver in chain if giver >= 0],
        body=flow_of(context, chain),
        notes=[evidence_of(context, chain)],
        help=[*by_names(context, chain), AS_SAVED],
        related=names[1:],
    )


def reordered(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """A nested model whose weights were saved in another order (section 2.5, L2)."""
    for raw in raws:
        layer = context.layer(raw.model_group) if raw.model_group >= 0 else "the model"
        in_file = [name for name, _ in context.groups[raw.file_group][3]] if raw.file_group >= 0 else []
        wanted = context.rows_of[raw.model_group] if raw.model_group >= 0 else []
        in_model = [context.variables[row].path for row in wanted]
        beside = zip(map(escape, in_file), map(escape, in_model), strict=False)
        rows = columns([("in the file", "in the model"), *beside])
        yield finding(
            313,
            severity_of(raw),
            headline=entry(313).say(layer=quote(layer)),
            layer=layer,
            path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
            expected=in_model,
            found=in_file,
            body=[rows[0], *listed(rows[1:])],
            notes=[*_order_note(context, raw, in_file, in_model), *_in_a_set(context, raw.model_group, layer)],
            help=_as_saved(context, raw, in_file) or _order_help(context, raw, layer, in_file, in_model),
        )


def _as_saved(context: Context, raw: Raw, in_file: Sequence[str]) -> list[str]:
    line = set_as_saved(context, raw.model_group, in_file) if raw.model_group >= 0 else None
    return [line] if line is not None else []


def _same_kinds(in_file: Sequence[str], in_model: Sequence[str]) -> bool:
    """Whether k-th and k-th are the same kind of weight, so that whole layers may have changed places."""
    left = [name.rpartition("/")[2].removesuffix(":0") for name in in_file]
    return left == [name.rpartition("/")[2] for name in in_model]


_FROZEN: Final = "trainable weights come before frozen ones: `trainable` was set otherwise when the file was saved"
_MADE: Final = "a layer's weights are saved in the order in which it makes them: the code makes them in another one now"


def _order_note(context: Context, raw: Raw, in_file: Sequence[str], in_model: Sequence[str]) -> list[str]:
    if not _may_be_frozen(context, raw.model_group):
        return [_MADE]
    if _same_kinds(in_file, in_model):
        return ["the layers in it stood in another order, or `trainable` was set otherwise (frozen weights come last)"]
    return [_FROZEN]


def _may_be_frozen(context: Context, group: int) -> bool:
    """Whether `trainable` may have changed the order: only of weights of several layers, as one layer's own keep
    theirs, frozen or not."""
    objects = getattr(context.model, "objects", ())
    inside = getattr(objects[group], "_flatten_layers", None) if 0 <= group < len(objects) else None
    return inside is None or any(True for _ in inside(include_self=False))


def _in_a_set(context: Context, group: int, layer: str) -> list[str]:
    """Said where a layer keeps others in a set, whose order is another in every process."""
    objects = getattr(context.model, "objects", ())
    held = getattr(objects[group], "__dict__", {}) if 0 <= group < len(objects) else {}
    names = [name for name, value in held.items() if isinstance(value, (set, frozenset)) and _has_weights(value)]
    named_ = next((name for name in names if not name.startswith("_")), None)
    return (
        [f"{quote(layer)} keeps layers in the set {quote(named_)}, which has no order: make it a list"]
        if named_
        else []
    )


def _has_weights(several: set[object] | frozenset[object]) -> bool:
    return len(several) > 1 and all(hasattr(item, "weights") for item in several)


def _order_help(context: Context, raw: Raw, layer: str, in_file: Sequence[str], in_model: Sequence[str]) -> list[str]:
    if not _may_be_frozen(context, raw.model_group):
        return [f"make the weights of {quote(layer)} in the order that they have in the file, load, and save again"]
    again = f"set `trainable` in {quote(layer)} as it was when the file was saved, load, and set it back"
    order = f"give the layers in {quote(layer)} the order they had when the file was saved"
    return [order, again] if _same_kinds(in_file, in_model) else [again]


def count_of_layers(context: Context, raw: Raw) -> Finding:
    """File and model have another number of layers with weights: which stand only on one side, and where."""
    only_file, only_model = _aligned(context)
    lines = [f"only in the file:   {line}" for line in only_file]
    lines += [f"only in the model:  {line}" for line in only_model]
    return finding(
        306,
        severity_of(raw),
        headline=entry(306).say(what="number of layers with weights", found=raw.a, expected=raw.b),
        expected=raw.b,
        found=raw.a,
        body=listed(lines),
        notes=[] if raw.b else ["the model has no layer with weights: it may not be built"],
        help=["add or remove the layers named above, or load the file that belongs to this model"] if lines else [],
    )


def _aligned(context: Context) -> tuple[list[str], list[str]]:
    """The layers that stand on one side only, told by the widths of their weights."""
    skipped = 0
    for flag in ("optimizer", "metric", "absent"):
        skipped |= group_flag(flag)
    file = [row for row, group in enumerate(context.groups) if not group[2] & skipped and context.file_tensors(row)]
    model = [row for row, rows in enumerate(context.rows_of) if rows]
    left = [_width([tensor.shape for tensor in context.file_tensors(row)]) for row in file]
    right = [_width([context.variables[i].shape for i in context.rows_of[row]]) for row in model]
    only_file, only_model = [], []
    for tag, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        names = [context.file_layer(row) for row in file]
        for n in range(i, j):
            before = f", after {quote(names[n - 1])}" if n else ", first"
            only_file.append(_one_of(names, left, i, j) or has(context, file[n]) + before)
        names = [context.layer(row) for row in model]
        for n in range(k, m):
            before = f", after {quote(names[n - 1])}" if n else ", first"
            here = wants(context, names[n], context.rows_of[model[n]]) + before
            only_model.append(_one_of(names, right, k, m) or here)
    return list(dict.fromkeys(only_file)), list(dict.fromkeys(only_model))


def _one_of(names: Sequence[str], widths: Sequence[object], first: int, end: int) -> str | None:
    """The layers of which some are too many, when their neighbours are like them; None when it is sure which."""
    low, high = first, end
    while low > 0 and widths[low - 1] == widths[end - 1]:
        low -= 1
    while high < len(names) and widths[high] == widths[first]:
        high += 1
    if (low, high) == (first, end) or len(set(widths[low:high])) > 1:
        return None
    return f"{end - first:,} of {named(names[low:high])}, which are alike"


def _width(shapes_: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    """Rank and last axis of each weight: what a layer is, whatever stands in front of it."""
    return tuple((len(shape), shape[-1] if shape else 0) for shape in shapes_)
