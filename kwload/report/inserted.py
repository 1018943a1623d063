"""Findings about layers that one side has and the other has not (KW305): which, where, and what loads the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kwload.meaning.names import is_automatic
from kwload.report import heads
from kwload.report.context import LEGACY, Context, columns, entry, finding, listed, named, shape_text
from kwload.report.escape import escape, quote
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.matches import number_of
from kwload.report.order import AS_SAVED, by_names, chain_of, evidence_of, flow_of
from kwload.report.replaced import puts_out_same
from kwload.report.rules import option_of
from kwload.report.text import plural
from kwload.report.words import file_layers, has, name_list, severity_of, wants


def inserted(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """A layer that one side has and the other has not."""
    shifted = [raw for raw in raws if raw.related and context.file.layout not in LEGACY]
    if context.file.layout in LEGACY:
        shifted = [raw for raw in raws if raw.related and (raw.model_group >= 0 or raw.file_group >= 0)]
    if shifted:
        yield _shifted(context, raws)
        return
    alone = [raw for raw in raws if raw.model_group >= 0 or raw.file_group >= 0]
    if alone:
        yield from _extra(context, alone)
    for raw in raws:
        if raw.model_group < 0 and raw.file_group < 0:
            yield _some(context, raw)


def _changes(context: Context, raws: Sequence[Raw]) -> str:
    """``new was inserted, old was removed``."""
    new = [context.layer(raw.model_group) for raw in raws if raw.model_group >= 0]
    gone = [context.file_layer(raw.file_group) for raw in raws if raw.file_group >= 0 and raw.model_group < 0]
    said = [
        f"{named(names)} {_was(len(names))} {verb}" for names, verb in ((new, "inserted"), (gone, "removed")) if names
    ]
    for raw in raws:
        if raw.model_group < 0 and raw.file_group < 0:
            more, verb = abs(raw.b - raw.a), "inserted" if raw.b > raw.a else "removed"
            said.append(f"{plural(more, 'layer')} {_was(more)} {verb} {_before(context, raw)}")
    return ", ".join(said)


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _before(context: Context, raw: Raw) -> str:
    return f"before {quote(context.layer(raw.other_group))}" if raw.other_group >= 0 else "at the end"


def _shifted(context: Context, raws: Sequence[Raw]) -> Finding:
    """Layers that one side has and the other has not: those after them would get the weights of their neighbours."""
    chain = list(dict.fromkeys(link for raw in raws if raw.related for link in chain_of(context, raw)))
    names = [context.layer(group) for group, _ in chain]
    new = [context.layer(raw.model_group) for raw in raws if raw.model_group >= 0]
    both = [raw for raw in raws if raw.model_group >= 0 and raw.file_group >= 0]
    paths = [context.groups[raw.file_group][0] for raw in raws if raw.file_group >= 0]
    flow = flow_of(context, chain)
    after = "the layers after it" if len(raws) == 1 else "the layers after them"
    effect = "would receive the weights of their neighbours" if flow else "no longer stand where their weights are"
    first = new[0] if new else names[0]
    sure = all(raw.model_group >= 0 or raw.file_group >= 0 for raw in raws)
    return finding(
        305,
        severity_of(raws[0]),
        headline=entry(305).say(what=f"{_changes(context, raws)}: {after} {effect}"),
        layer=first,
        path=paths[0] if paths else None,
        expected=names,
        found=[context.file_layer(giver) for _, giver in chain if giver >= 0],
        body=flow or _beside(context, raws[0], chain),
        notes=[
            *(f"{quote(context.file_layer(raw.file_group))} of the file has no layer in the model" for raw in both[:2]),
            *([f"it stands {_before(context, raws[0])}"] if len(raws) == 1 and sure and not both else []),
            evidence_of(context, chain),
        ],
        help=[*(by_names(context, chain) if sure else []), *([AS_SAVED] if _moved(context, chain) else [])],
        related=[name for name in names if name != first],
    )


def _some(context: Context, raw: Raw) -> Finding:
    """Between two layers of equal names one side has more, and nothing tells which (by order, legacy)."""
    groups = list(dict.fromkeys(context.variables[row].group for row in raw.related))
    names, place = [context.layer(group) for group in groups], _before(context, raw)
    there = _there(context, raw)
    alike = not there or any(puts_out_same(context, was, now) for was in there for now in groups)
    more = abs(raw.b - raw.a)
    if not alike and names:
        stands = "stands" if len(names) == 1 else "stand"
        what = f"{named(names)} of the model {stands} {place}, where the file has {named(_file_names(context, there))}"
    elif raw.b > raw.a:
        what = f"{more:,} of {named(names)} of the model {'is' if more == 1 else 'are'} not in the file"
    else:
        verb = "has" if more == 1 else "have"
        what = f"{more:,} of the {plural(raw.a, 'layer')} of the file {place} {verb} no layer in the model"
    made = all(is_automatic(context.layer(group).rpartition("/")[2], context.class_name(group)) for group in groups)
    why = "their names are made by Keras" if made else "their names are not those in the file"
    in_file, in_model = _layer_counts(context)
    return finding(
        305,
        severity_of(raw),
        headline=entry(305).say(what=what),
        layer=names[0] if names else None,
        path=context.groups[there[0]][0] if there else None,
        expected=in_model,
        found=in_file,
        body=listed([*(f"file   {_held(context, was)}" for was in there), *(_wanted(context, now) for now in groups)]),
        notes=[
            f"layers with weights: {in_file:,} in the file, {in_model:,} in the model; they are matched by order",
            *([f"they stand {place}; {why}, and shapes do not tell which"] if alike else []),
        ],
        related=names[1:],
    )


def _there(context: Context, raw: Raw) -> list[int]:
    """The layers of the file in the place of those that a finding is about, legacy; none where it is not known."""
    if context.file.layout not in LEGACY or not raw.a:
        return []
    layers = [row for row in file_layers(context) if context.file_tensors(row)]
    end = len(layers)
    if raw.other_group >= 0:
        name = context.layer(raw.other_group)
        rows = [place for place, row in enumerate(layers) if context.file_layer(row) == name]
        end = rows[0] if len(rows) == 1 else -1
    return layers[end - raw.a : end] if end >= raw.a else []


def _file_names(context: Context, groups: Sequence[int]) -> list[str]:
    return [context.file_layer(group) for group in groups]


def _layer_counts(context: Context) -> tuple[int, int]:
    """How many layers with weights file and model have."""
    return sum(bool(context.file_tensors(row)) for row in file_layers(context)), len(heads.model_layers(context))


def _held(context: Context, group: int) -> str:
    """``dense_2: kernel (64, 10), bias (10,)``, of the file."""
    tensors = context.file_tensors(group)
    named_ = all(not tensor.variable.isdigit() for tensor in tensors)
    said = [
        f"{escape(item.variable)} {shape_text(item.shape)}" if named_ else shape_text(item.shape) for item in tensors
    ]
    more = f" and {len(said) - 4} more" if len(said) > 4 else ""
    return f"{escape(context.file_layer(group))}: {', '.join(said[:4])}{more}"


def _wanted(context: Context, group: int) -> str:
    """``model  dense_2 (Dense): kernel (64, 10), bias (10,)``."""
    kind = context.class_name(group)
    name = f"{context.layer(group)} ({kind})" if kind else context.layer(group)
    return f"model  {wants(context, name, context.rows_of[group])}"


def _extra(context: Context, raws: Sequence[Raw]) -> Iterator[Finding]:
    """File and model have another number of layers: which stand on one side only, and where (by order, legacy)."""
    first = raws[0]
    in_file = first.file_group >= 0
    if in_file:
        names = [context.file_layer(raw.file_group) for raw in raws if raw.file_group >= 0]
        lines = [f"file   {_held(context, raw.file_group)}" for raw in raws if raw.file_group >= 0]
        what = f"{_of(names, 'of the file')} {'has no layer' if len(names) == 1 else 'have no layers'} in the model"
    else:
        groups = [raw.model_group for raw in raws if raw.model_group >= 0]
        names = [context.layer(group) for group in groups]
        lines = [_wanted(context, group) for group in groups]
        what = f"{_of(names, 'of the model')} {'is' if len(names) == 1 else 'are'} not in the file"
    if not names:
        return
    at_end = first.other_group < 0
    places = list(dict.fromkeys(_before(context, raw) for raw in raws))
    place = places[0] if len(places) == 1 else "in several places: " + ", ".join(places[:3])
    rows = [raw.file_group if in_file else raw.model_group for raw in raws]
    looks = (heads.model_ends_early if in_file else heads.file_ends_early)(context, rows) if at_end else []
    counts = _layer_counts(context)
    yield finding(
        305,
        severity_of(first),
        headline=entry(305).say(what=what),
        layer=names[0],
        path=context.groups[first.file_group][0] if in_file else None,
        expected=counts[1],
        found=counts[0],
        body=listed(lines),
        notes=[
            f"{'it stands' if len(names) == 1 else 'they stand'} {place}; layers are matched by order",
            f"layers with weights: {counts[0]:,} in the file, {counts[1]:,} in the model",
            *_changed_too(context, raws),
            *looks,
        ],
        help=[
            *(heads.load_by_order(context, [] if in_file else rows) if at_end else []),
            *(_rest_by_name(context, [] if in_file else names) or _by_place(context, raws)),
        ],
        related=names[1:],
    )


def _others(context: Context, raws: Sequence[Raw]) -> list[tuple[int, int]]:
    """The other layers of file and model, against each other by their order; none where they are not as many."""
    file, model = _lists(context, raws)
    return list(zip(file, model, strict=True)) if len(file) == len(model) else []


def _changed_too(context: Context, raws: Sequence[Raw]) -> list[str]:
    """Said of the other layers that have other shapes, when they are few and have the same names."""
    pairs = _others(context, raws)
    changed = [(old, new) for old, new in pairs if not context.fits(old, new)]
    if not 0 < 2 * len(changed) <= max(2, len(pairs)):
        return []
    if any(context.file_layer(old) != context.layer(new) for old, new in changed):
        return []
    lines = [line for old, new in changed[:3] for line in _other_shape(context, old, new)]
    more = len(changed) - 3
    return [*lines, *([f"and {more:,} more layers have other shapes"] if more > 0 else [])]


def _other_shape(context: Context, old: int, new: int) -> list[str]:
    held = [tuple(tensor.shape) for tensor in context.file_tensors(old)]
    wanted = [context.variables[row] for row in context.rows_of[new]]
    name = quote(context.layer(new))
    if len(held) != len(wanted):
        return [f"{name} differs too: {plural(len(held), 'weight')} in the file, {len(wanted):,} in the model"]
    apart = [(was, now) for was, now in zip(held, wanted, strict=True) if was != now.shape]
    return [
        f"{name} differs too: {escape(now.name)} {shape_text(was)} in the file, {shape_text(now.shape)} in the model"
        for was, now in apart[:1]
    ]


def names_beside_inserted(context: Context) -> frozenset[str]:
    """The names of the model's layers, where one was inserted or removed; none where not."""
    if not any(raw.code == 305 and raw.severity == "error" for raw in context.raws):
        return frozenset()
    return frozenset(map(context.layer, heads.model_layers(context)))


def is_shift(context: Context, raw: Raw, names: frozenset[str]) -> bool:
    """Whether a layer matched by place stands there because another was inserted: its name is that of another layer of
    the model (*names*), so it was not renamed."""
    if not names or raw.code != 303 or raw.severity != "note" or raw.file_group < 0 or raw.model_group < 0:
        return False
    name = context.file_layer(raw.file_group)
    made = is_automatic(name.rpartition("/")[2], context.class_name(raw.model_group))
    return not made and name in names and name != context.layer(raw.model_group)


def _rest_by_name(context: Context, new: Sequence[str]) -> list[str]:
    """The call that loads by name what order cannot, when names agree."""
    layers = file_layers(context)
    by_name = {context.file_layer(row): [tensor.shape for tensor in context.file_tensors(row)] for row in layers}
    groups = [row for row, rows in enumerate(context.rows_of) if rows]
    wanted = {context.layer(row): [context.variables[i].shape for i in context.rows_of[row]] for row in groups}
    added = set(new)
    rest = [name for name in wanted if name not in added]
    if not rest or any(name not in by_name for name in rest):
        return []
    left = f", and leaves {named(new)} as initialised" if new else ""
    if context.file.layout not in LEGACY or context.options.by_name or context.failed or context.file.faults:
        return []
    fit = [by_name[name] == wanted[name] for name in rest]
    if all(fit):
        return [f"{context.again('by_name=True')}  loads the others by their names{left}"]
    if not any(fit) or context.options.skip_mismatch:
        return []
    other = [name for name, same in zip(rest, fit, strict=True) if not same]
    left = f", and leaves {named([*new, *other])} as initialised"
    return [f"{context.load('by_name=True', 'skip_mismatch=True')}  loads by name what fits{left}"]


def _by_place(context: Context, raws: Sequence[Raw]) -> list[str]:
    """The call that maps the other layers to each other by their order, and leaves those that do not fit."""
    if context.options.own or context.options.by_name or context.options.skip_mismatch or context.failed:
        return []
    if context.file.faults or any(raw not in raws for raw in _errors(context)):
        return []
    others = _others(context, raws)
    model = [new for _, new in others]
    pairs = [pair for pair in others if context.fits(*pair)]
    moved = [pair for pair in pairs if context.file.layout in LEGACY or context.source(pair[1]) != pair[0]]
    option = option_of(context, moved)
    fit = {new for _, new in pairs}
    left = [raw.model_group for raw in raws if raw.model_group >= 0] + [row for row in model if row not in fit]
    if option is None or len(left) > _MOST_LEFT:
        return []
    skip = [f"skip={name_list([context.selectable(row) for row in left])}"] if left else []
    rest = f", and leaves {named([context.layer(row) for row in left])} as initialised" if left else ""
    return [f"{context.again(option, *skip)}  loads the others by their order{rest}"]


def _lists(context: Context, raws: Sequence[Raw]) -> tuple[list[int], list[int]]:
    """The layers of file and model that stand in one list, in its order, but for those that only one side has: all of
    them (legacy), or those whose path differs by its number (V3)."""
    new, old = {raw.model_group for raw in raws}, {raw.file_group for raw in raws}
    model = [row for row in heads.model_layers(context) if row not in new]
    file = [row for row in file_layers(context) if context.file_tensors(row) and row not in old]
    if context.file.layout in LEGACY or context.model is None:
        return file, model
    groups = context.model.groups
    first = next((groups[row][0] for row in new if row >= 0), None)
    stem = number_of(first if first is not None else context.groups[next(iter(old))][0])[0]
    places = [(number_of(context.groups[row][0]), row) for row in file]
    wanted = [(number_of(groups[row][0]), row) for row in model]
    here, there = ([row for (base, _), row in sorted(some) if base == stem] for some in (places, wanted))
    return here, there


_MOST_LEFT: Final = 6


def _errors(context: Context) -> list[Raw]:
    return [raw for raw in context.raws if raw.severity == "error"]


def _of(names: Sequence[str], whose: str) -> str:
    return f"{named(names)} {whose}"


def _moved(context: Context, chain: Sequence[tuple[int, int]]) -> bool:
    """Whether layers of a chain stand in another order in the file, so that ordering the model's would help."""
    givers = {context.file_layer(giver) for _, giver in chain if giver >= 0}
    return {context.layer(group) for group, _ in chain} == givers


def _beside(context: Context, raw: Raw, chain: Sequence[tuple[int, int]]) -> list[str]:
    """The layer that only one side has, and those after it, when no shape fits what they would receive."""
    rows = [("only in the file", has(context, raw.file_group))] if raw.file_group >= 0 else []
    if raw.model_group >= 0:
        wanted = context.rows_of[raw.model_group]
        rows.append(("only in the model", wants(context, context.layer(raw.model_group), wanted)))
    after = [group for group, _ in chain if group != raw.model_group]
    rows += [("after it", wants(context, context.layer(group), context.rows_of[group])) for group in after]
    return listed(columns(rows))


__all__ = ["inserted", "is_shift", "names_beside_inserted"]
