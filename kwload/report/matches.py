"""Findings about what matched: missing, unused, renamed, skipped, nothing at all, and what cannot be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kwload.report import heads, shapes
from kwload.report.context import (
    LEGACY,
    MOST_ROWS,
    Context,
    columns,
    count_of,
    entry,
    finding,
    is_path,
    listed,
    named,
    shape_text,
    typed,
)
from kwload.report.escape import escape, literal, quote
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.rules import Pair, as_dict, holds, option_of, part_rule, rule_of
from kwload.report.text import plural
from kwload.report.words import (
    group_flag,
    has,
    layers_of,
    load_the_rest,
    match_them,
    name_list,
    rows_of,
    severity_of,
    wants,
)


def missing(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers and variables of the model that find nothing in the file."""
    groups: dict[str, list[int]] = {}
    fits: list[tuple[int, int]] = []
    lost = [raw.file_group for raw in raws if raw.file_group >= 0 and raw.model_group < 0]
    if lost:
        yield _lost(context, raws[0], lost)
    for raw in raws:
        rows = rows_of(raw) or (context.rows_of[raw.model_group] if raw.model_group >= 0 else [])
        if not rows:
            continue
        name = context.layer(raw.model_group) if raw.model_group >= 0 else context.variables[rows[0]].layer
        groups.setdefault(name, []).extend(row for row in rows if row not in groups.get(name, ()))
        if raw.other_group >= 0 and raw.model_group >= 0:
            fits.append((raw.other_group, raw.model_group))
    if not groups:
        return
    lines = [wants(context, name, rows) for name, rows in groups.items()]
    rows = [row for several in groups.values() for row in several]
    what = quote(next(iter(groups))) if len(groups) == 1 else f"{plural(len(groups), 'layer')} of the model"
    if len(rows) == 1:
        what = quote(context.variables[rows[0]].path)
    first = raws[0]
    doubt = _in_doubt(context, raws)
    help_ = match_them(context, fits) if not doubt else [_NAMES]
    these = "it" if len(groups) == 1 else "them"
    if first.severity == "error":
        alone = all(raw.code == 301 for raw in context.raws if raw.severity == "error")
        help_ += [f"leave {these} as initialised and {call}" if alone else call for call in load_the_rest(context)]
    yield finding(
        301,
        severity_of(first),
        headline=_which(context, doubt) if doubt else entry(301).say(what=what),
        layer=next(iter(groups)),
        variable=context.variables[rows[0]].name if len(rows) == 1 else None,
        expected=[list(context.variables[row].shape) for row in rows],
        body=listed(lines),
        notes=[_PLACES]
        if doubt
        else [*_likeness(context, fits), *heads.file_ends_early(context, _leaves(context, raws))],
        help=help_,
        related=[context.variables[row].path for row in rows],
    )


_PLACES: Final = "they are alike and matched by their places; these would find nothing at theirs"
_NAMES: Final = "load the file into the model as it was when it was saved, and save it again with names of your own"


def _in_doubt(context: Context, raws: Sequence[Raw]) -> list[Sequence[int]]:
    """The layers of the model that nothing tells from those that are missing, when that is so of all of them."""
    runs = [context.run_of(group) for group in _leaves(context, raws)]
    return list({id(run): run for run in runs}.values()) if all(runs) else []


def _which(context: Context, runs: Sequence[Sequence[int]]) -> str:
    """``the file has the weights of 2 of `x`, `y` and `z`, and nothing tells of which``."""
    said = [
        f"{sum(context.source(group) >= 0 for group in run):,} of {named([context.layer(group) for group in run])}"
        for run in runs[:2]
    ]
    more = f" and of {plural(len(runs) - 2, 'more group')}" if len(runs) > 2 else ""
    return f"the file has the weights of {' and '.join(said)}{more}, and nothing tells of which"


def _leaves(context: Context, raws: Sequence[Raw]) -> list[int]:
    """The groups of the model that findings of what is missing are about."""
    return list(dict.fromkeys(group for raw in raws for group in context.groups_of(raw)))


def _likeness(context: Context, pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Which layers of the file have the shapes of which of the model."""
    names = [(context.file_layer(old), context.layer(new)) for old, new in pairs if context.fits(old, new)]
    return [f"the file has {quote(old)}, with the same shapes as {quote(new)}" for old, new in names[:3]]


def _lost(context: Context, raw: Raw, groups: Sequence[int]) -> Finding:
    """Layers that the file lists and whose weights are not in it."""
    names = [context.file_layer(group) for group in groups]
    return finding(
        301,
        severity_of(raw),
        headline=f"the file lists {named(names)}, but {'its' if len(names) == 1 else 'their'} weights are not in it",
        layer=names[0],
        path=context.groups[groups[0]][0],
        notes=["layers are matched by order, so nothing after it can be trusted"],
        help=["use another copy of the file: this one was changed after it was saved"],
        related=names[1:],
    )


def unused(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers and tensors of the file that no variable takes."""
    groups = list(dict.fromkeys(raw.file_group for raw in raws if raw.file_group >= 0 and raw.file_tensor < 0))
    alone = [raw.file_tensor for raw in raws if raw.file_tensor >= 0]
    if not groups and not alone:
        return
    shown = MOST_ROWS + 1  # the others are only counted
    lines = [has(context, group) if number < shown else "" for number, group in enumerate(groups)]
    lines += [
        f"{escape(tensor.path)}: {typed(tensor.shape, tensor.dtype)}" for tensor in map(context.tensor, alone) if tensor
    ]
    paths = [tensor.path for group in groups for tensor in context.file_tensors(group)]
    paths += [context.tensors[row].path for row in alone]
    count = plural(len(groups), "layer") if groups and not alone else plural(len(paths), "tensor")
    one = (len(groups) if groups and not alone else len(paths)) == 1
    if one:
        count = quote(context.file_layer(groups[0]) if groups else paths[0])
    yield finding(
        302,
        severity_of(raws[0]),
        headline=entry(302).say(what=count, verb="is" if one else "are"),
        layer=context.file_layer(groups[0]) if groups else context.tensors[alone[0]].layer if alone else None,
        path=context.groups[groups[0]][0] if groups else context.tensors[alone[0]].path if alone else None,
        found=len(paths),
        body=listed(lines),
        notes=[
            *_like(context, raws),
            *(
                heads.model_ends_early(context, groups)
                or ["a layer may be missing from the model, or the file may belong to a larger one"]
            ),
        ],
        related=paths,
    )


def _like(context: Context, raws: Sequence[Raw]) -> list[str]:
    """Layers of the model without weights that these would fit."""
    fits = [raw for raw in raws if raw.file_group >= 0 and raw.other_group >= 0]
    pairs = [(context.file_layer(raw.file_group), context.layer(raw.other_group)) for raw in fits[:3]]
    return [f"{quote(old)} has the shapes of {quote(new)} of the model" for old, new in pairs]


def renamed(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Names that changed while place and shapes stayed: old and new side by side."""
    if raws[0].severity != "note":
        yield from _moved(context, raws)
        return
    names, rows = [], []
    for raw in raws:
        group = raw.file_group if raw.file_group >= 0 else raw.other_group
        if raw.model_tensor >= 0 and raw.file_tensor >= 0:
            names.append((context.tensors[raw.file_tensor].variable, context.variables[raw.model_tensor].path))
        elif group >= 0 and raw.model_group >= 0:
            names.append((context.file_layer(group), context.layer(raw.model_group)))
            rows.append((group, raw.model_group))
    if not names:
        return
    first = raws[0]
    rule = rule_of(context, rows) if len(rows) == len(names) else None
    what = count_of(len(names), "layer", "has another name", "have other names") + " in the file"
    if len(names) == 1:
        what = f"{quote(names[0][1])} is called {quote(names[0][0])} in the file"
    elif rule is not None:
        what = f"{what}: {rule.said}"
    yield finding(
        303,
        severity_of(first),
        headline=entry(303).say(what=what),
        layer=names[0][1],
        path=context.groups[first.file_group][0] if first.file_group >= 0 else None,
        expected=[new for _, new in names],
        found=[old for old, _ in names],
        body=_side_by_side(names, 3 if rule is not None else 8) if len(names) > 1 else [],
        notes=[_renamed_note(context)],
        related=[new for _, new in names],
    )


def _side_by_side(names: Sequence[tuple[str, str]], most: int) -> list[str]:
    rows = columns([("in the file", "", "in the model"), *((escape(old), "->", escape(new)) for old, new in names)])
    return [rows[0], *listed(rows[1:], most)]


def _renamed_note(context: Context) -> str:
    if context.file.layout in LEGACY:
        return "matched by order and shape; with by_name=True it would be skipped"
    return "matched by place and shape, as Keras does; names are not used"


def _moved(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Objects that the file has under another attribute or class (V3): old and new path, the outermost that differ."""
    pairs = [(raw.file_group, raw.model_group) for raw in raws if raw.file_group >= 0 and raw.model_group >= 0]
    places = [(context.groups[old][0], _place(context, new)) for old, new in pairs]
    roots = list(dict.fromkeys(_root(old, new) for old, new in places))
    changes = list(dict.fromkeys((old.rpartition("/")[2], new.rpartition("/")[2]) for old, new in roots))
    if not changes:
        return
    said = f"{quote(changes[0][0])} of the file is {quote(changes[0][1])} in the model"
    more = f", and {len(changes) - 1} more like it" if len(changes) > 1 else ""
    lost = plural(len({row for _, new in pairs for row in context.rows_of[new]}), "variable")
    option = _move(context, roots, pairs)
    yield finding(
        303,
        severity_of(raws[0]),
        headline=entry(303).say(what=f"{said}{more}: {lost} would find nothing"),
        layer=context.layer(pairs[0][1]),
        path=roots[0][0],
        expected=[new for _, new in roots],
        found=[old for old, _ in roots],
        body=_side_by_side(roots, 6),
        cause="an attribute of a model or a layer, or a class of layers, has another name in the code",
        notes=["the places and shapes of what is below are the same; Keras finds it by this name alone"],
        help=[
            *([f"match them: {context.again(option)}"] if option is not None and _alone(context, raws) else []),
            *([f"name it {quote(changes[0][0])} in the code again"] if len(changes) == 1 else []),
        ],
        related=[context.variables[row].path for _, new in pairs for row in context.rows_of[new]],
    )


def _root(old: str, new: str) -> tuple[str, str]:
    """Two paths up to the first component that differs."""
    left, right = old.split("/"), new.split("/")
    depth = next((i for i, (a, b) in enumerate(zip(left, right, strict=False), 1) if a != b), 0)
    same = left[depth:] == right[depth:]
    return ("/".join(left[:depth]), "/".join(right[:depth])) if same and depth else (old, new)


def _move(context: Context, roots: Sequence[tuple[str, str]], pairs: Sequence[Pair]) -> str | None:
    """The option that sends each path of the file to the model's: written out when short, else as a rule."""
    mapping = dict(roots)
    whole = f"mapping={as_dict(mapping)}" if len(mapping) <= 8 and holds(context, mapping, pairs) else None
    rule = part_rule(context, roots, pairs) if len(mapping) > 2 else None
    return rule.option if rule is not None and (whole is None or len(rule.option) < len(whole)) else whole


def _place(context: Context, group: int) -> str:
    return context.model.groups[group][0] if context.model is not None else ""


def _alone(context: Context, raws: Sequence[Raw]) -> bool:
    """Whether nothing else is wrong, so that what mends these loads the file."""
    code = raws[0].code
    return not (
        context.failed
        or context.file.faults
        or any(raw.severity == "error" and raw.code != code for raw in context.raws)
    )


def not_saved(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers in lists inside lists, which Keras before 3.15 did not save (section 2.2, S6)."""
    names = layers_of(context, raws)
    groups = list(dict.fromkeys(raw.model_group for raw in raws if raw.model_group >= 0))
    them = "it" if len(names) == 1 else "them"
    yield finding(
        324,
        severity_of(raws[0]),
        headline=entry(324).say(what=named(names), verb="was" if len(names) == 1 else "were"),
        layer=names[0] if names else None,
        expected=[_place(context, group) for group in groups],
        body=listed([wants(context, context.layer(row), context.rows_of[row]) for row in groups]),
        cause="lists inside lists: Keras before 3.15 did not save the layers in them",
        keras=_skips(context),
        help=[
            f"save the weights again with Keras 3.15 or newer, where the trained model still is: the file lacks {them}",
            *(f"leave {them} as initialised and {call}" for call in load_the_rest(context)),
        ],
        related=[context.variables[row].path for group in groups for row in context.rows_of[group]],
    )


def nothing_matched(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Not one variable finds a tensor; by name, the rule that would match them all."""
    by_name = bool(context.options.by_name)
    old = context.file.layout == "keras-0"
    body, help_ = _proposal(context) if by_name or old else ([], [])
    if old and not body:
        help_ = ["build the model with the layers of the file, in their order: then they can be mapped to each other"]
    in_file = [context.file_layer(row) for row in range(len(context.groups)) if context.file_tensors(row)]
    in_model = [context.layer(row) for row, rows in enumerate(context.rows_of) if rows]
    wanted = context.plan.wanted if context.plan is not None else len(context.variables)
    if not wanted and in_file:
        tensors = plural(len(context.tensors), "tensor")
        yield finding(
            310,
            severity_of(raws[0]),
            headline=f"the model has no weights to load, the file has {tensors}",
            expected=0,
            found=len(context.tensors),
            body=[f"layers in the file:   {named(in_file)}"],
        )
        return
    asked = plural(raws[0].b or len(in_model), "layer") if by_name else plural(wanted, "variable")
    if not in_file:
        body = [f"not a Keras weight file: no Keras layout, {plural(len(context.tensors), 'tensor')}"]
    elif not body:
        body = [f"layers in the file:   {named(in_file)}", f"layers in the model:  {named(in_model)}"]
    yield finding(
        310,
        severity_of(raws[0]),
        headline=entry(310).say(wanted=asked, how="by name" if by_name else "found in the file"),
        expected=len(in_model) if by_name else wanted,
        found=0,
        body=body,
        notes=["Keras 0.x wrote it: layers have no names in it, and no Keras since 1.0 reads it"] if old else [],
        help=help_,
    )


_ZIPPED: Final = (
    "mapping=dict(zip(sorted({{t.layer for t in kwload.open({path}).tensors}}, key=lambda n: int(n[6:])), "
    "[x.name for x in model.layers if x.weights]))"
)
"""The option that maps all layers of a file without names, in order."""


def _proposal(context: Context) -> tuple[list[str], list[str]]:
    """The pairing by order, when all shapes agree: names of file and model side by side, and the calls that use it."""
    file = [row for row in range(len(context.groups)) if context.file_tensors(row)]
    model = [row for row, rows in enumerate(context.rows_of) if rows]
    left = [[tuple(tensor.shape) for tensor in context.file_tensors(row)] for row in file]
    right = [[context.variables[i].shape for i in context.rows_of[row]] for row in model]
    if left != right or not file:
        return [], []
    rows = list(zip(file, model, strict=True))
    names = [(context.file_layer(old), context.layer(new)) for old, new in rows]
    rule = rule_of(context, rows)
    body = [f"by order and shape all {len(rows):,} layers match:", *_side_by_side(names, 3 if rule else 5)]
    if rule is not None:
        body.append(rule.said)
    option = rule.option if rule is not None else option_of(context, rows)
    mapped = [context.again(option)] if option is not None else []
    if context.file.layout == "keras-0":  # what has no names is not matched by order alone
        calls = mapped or [context.again(_ZIPPED.format(path=literal(context.path)))]
        return body, [f"{call}  loads them by order" for call in calls] if is_path(context.path) else []
    return body, [f"{context.load()}  loads them by order", *mapped]


def _skips(context: Context) -> str | None:
    outcome = context.plan.prediction.get("outcome") if context.plan is not None else None
    told = outcome in ("loads_nothing", "loads_part") and not context.options.own
    model = context.model
    warns = model is not None and model.keras.flavour == "keras" and tuple(model.keras.version) >= (3, 15, 0)
    said = "warns of a nested container, and leaves them as initialised"
    return f"{context.keras_short} {said if warns else 'leaves them as initialised, without a word'}" if told else None


def prefixed(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """By name: names that one text in front or behind makes equal."""
    pairs = [(raw.file_group, raw.model_group) for raw in raws if raw.file_group >= 0 and raw.model_group >= 0]
    fits = [pair for raw, pair in zip(raws, pairs, strict=False) if raw.a]
    rule = rule_of(context, pairs)
    if rule is None:
        return
    wanted = max(raws[0].b, len(fits))
    every = "both layers" if wanted == 2 else f"all {plural(wanted, 'layer')}"
    which = every if len(fits) == wanted else f"{len(fits):,} of {plural(wanted, 'layer')}"
    fitting = set(fits)
    misfits = [pair for pair in pairs if pair not in fitting]
    skip = f"skip={name_list([context.selectable(new) for _, new in misfits])}" if misfits else ""
    options = [rule.option, *([skip] if skip and len(misfits) <= 4 else [])]
    yield finding(
        312,
        severity_of(raws[0]),
        headline=entry(312).say(what=f"{rule.said}: but for that, {which} match by name"),
        layer=context.layer(pairs[0][1]),
        path=context.groups[pairs[0][0]][0],
        expected=[context.layer(new) for _, new in pairs],
        found=[context.file_layer(old) for old, _ in pairs],
        body=_side_by_side([(context.file_layer(old), context.layer(new)) for old, new in pairs], 3),
        notes=[*_other_shapes(context, misfits), *_by_order_too(context)],
        keras=_left_out(context, [new for _, new in pairs]),
        help=[context.again(*options), *_by_order(context)] if len(misfits) <= 4 and _alone(context, raws) else [],
        related=[context.variables[row].path for _, new in pairs for row in context.rows_of[new]],
    )


def _other_shapes(context: Context, pairs: Sequence[Pair]) -> list[str]:
    return [
        f"{quote(context.layer(new))} has other shapes in the file: "
        f"{', '.join(shape_text(tensor.shape) for tensor in context.file_tensors(old)[:4])}"
        for old, new in pairs[:2]
    ]


def _order_fits(context: Context) -> bool:
    """Whether k-th and k-th fit throughout, so that a legacy file loads by order."""
    return context.file.layout in LEGACY and bool(_proposal(context)[0])


def _by_order_too(context: Context) -> list[str]:
    return ["order and shapes of all layers fit too"] if _order_fits(context) else []


def _by_order(context: Context) -> list[str]:
    kept = ["skip_mismatch=True"] if context.options.skip_mismatch else []
    return [f"{context.load(*kept)}  loads them by order"] if _order_fits(context) else []


def _left_out(context: Context, groups: Sequence[int]) -> str | None:
    """What Keras does with layers of which it finds no name."""
    outcome = context.plan.prediction.get("outcome") if context.plan is not None else None
    if context.options.own or outcome not in ("loads_nothing", "loads_part", "loads_wrong"):
        return None
    if outcome == "loads_nothing":
        return f"{context.keras_short} returns normally, having loaded nothing"
    what = "leaves it as initialised" if len(groups) == 1 else "leaves them as initialised"
    return f"{context.keras_short} {what}, without a word"


def counted(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """By name: names that Keras made, with other numbers."""
    pairs = [(raw.file_group, raw.model_group) for raw in raws if raw.file_group >= 0 and raw.model_group >= 0]
    offsets: dict[str, int] = {}
    for old, new in pairs:
        (base, before), (_, after) = number_of(context.file_layer(old)), number_of(context.layer(new))
        offsets.setdefault(base, after - before)
    if not offsets:
        return
    values = list(dict.fromkeys(offsets.values()))
    each = [f"{offset:+d} ({escape(base)})" for base, offset in offsets.items()]
    said = f"{values[0]:+d}" if len(values) == 1 else ", ".join(each[:3]) + (", …" if len(each) > 3 else "")
    names = [(context.file_layer(old), context.layer(new)) for old, new in pairs]
    crossed = [(context.layer(new), context.file_layer(context.source(new))) for _, new in pairs]
    crossed = [(layer, source) for layer, source in crossed if layer == source]
    notes = ["Keras numbers the layers of one process; these numbers say nothing of what a layer is"]
    if crossed:
        others = f"{plural(len(crossed), 'layer')} would receive the weights of another layer"
        notes.insert(0, f"by name, {others} that happens to have the number, {quote(crossed[0][0])} for one")
    calls = _by_order(context)
    option = option_of(context, pairs)
    if option is not None and not calls:
        calls = [context.again(option)]
    yield finding(
        323,
        severity_of(raws[0]),
        headline=entry(323).say(offset=f"{said}: {plural(len(pairs), 'layer')} would match otherwise"),
        layer=names[0][1],
        path=context.groups[pairs[0][0]][0],
        expected=[new for _, new in names],
        found=[old for old, _ in names],
        body=_side_by_side(names, 3),
        notes=[*notes, *_by_order_too(context)],
        keras=None if crossed else _left_out(context, [new for _, new in pairs]),
        help=calls if _alone(context, raws) else [],
        related=[context.variables[row].path for _, new in pairs for row in context.rows_of[new]],
    )


def number_of(name: str) -> tuple[str, int]:
    """``("conv2d", 7)`` of ``"conv2d_7"``, ``("conv2d", 0)`` of ``"conv2d"``."""
    base, mark, number = name.rpartition("_")
    return (base, int(number)) if mark and number.isascii() and number.isdigit() else (name, 0)


def not_built(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """The model, or layers of it, have no variables yet; which input shape the file suggests."""
    names = layers_of(context, [raw for raw in raws if raw.model_group > 0])
    whole = not names or not context.variables
    sides = (("file   ", len(context.tensors), "tensor"), ("model  ", len(context.variables), "variable"))
    shape = shapes.suggested_input(context) if whole else None
    help_ = []
    data = _example(shape) if shape is not None else None
    if not _builds_its_layers(context):
        called = f"`{data}`" if data is not None else "`model(x)` with a batch `x`"
        help_.append(
            f"call the model once on data, {called}, then load: `build` does not build the layers of a subclass"
        )
    elif shape is not None:
        help_.append(f"`model.build({shape})`, then load: the file suggests this input shape")
    elif whole:
        help_.append("build the model first: call it on a batch, or `model.build(input_shape)`")
    else:
        help_.append("call the model on a batch so that every layer is built, then load")
    yield finding(
        311,
        severity_of(raws[0]),
        headline=entry(311).say(
            what="the model is" if whole else f"{named(names)} {'is' if len(names) == 1 else 'are'}", verb="is"
        ),
        layer=None if whole else names[0],
        expected=len(context.variables),
        found=len(context.tensors),
        body=[side + plural(count, word) for side, count, word in sides],
        help=help_,
        related=names[1:],
    )


def _example(shape: str) -> str | None:
    """The call on zeros that ``"(None, 4)"`` suggests; None where an axis is not known."""
    sizes = shape.strip("()").replace("None", "1").split(", ")
    return f'model(np.zeros(({", ".join(sizes)}), "float32"))' if all(map(str.isdigit, sizes)) else None


def _builds_its_layers(context: Context) -> bool:
    """Whether `build` builds the layers too: that of Sequential and Functional does, a subclass's need not."""
    root = group_flag("top_level")
    groups = context.model.groups if context.model is not None else ()
    objects = getattr(context.model, "objects", ())
    for row, group in enumerate(groups):
        if row < len(objects) and (not group[0] or group[3] & root):
            names = {cls.__name__ for cls in type(objects[row]).__mro__}
            return bool(names & {"Sequential", "Functional"})
    return True


def skipped(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers that stay as initialised: by name because nothing has their name, or because they do not fit."""
    names = layers_of(context, raws)
    rows = list(dict.fromkeys(row for raw in raws for row in rows_of(raw)))
    groups = list(dict.fromkeys(raw.model_group for raw in raws if raw.model_group >= 0))
    fits = [(raw.other_group, raw.model_group) for raw in raws if raw.model_group >= 0 and raw.other_group >= 0]
    by_name = bool(context.options.by_name) and not any(raw.file_group >= 0 for raw in raws)
    one = len(names) == 1
    why = "has no layer of its name in the file" if one else "have no layer of their name in the file"
    if not by_name:
        why = "does not fit" if one else "do not fit"
    yield finding(
        318,
        severity_of(raws[0]),
        headline=entry(318).say(what=f"{named(names)} {why}", verb="it stays" if one else "they stay"),
        layer=names[0] if names else None,
        path=context.groups[raws[0].file_group][0] if raws[0].file_group >= 0 else None,
        body=listed(
            _unlike(context, raws)
            or [wants(context, context.layer(row), context.rows_of[row]) for row in groups if context.rows_of[row]]
        ),
        notes=_likeness(context, fits),
        help=match_them(context, fits) if by_name else [],
        related=[context.variables[row].path for row in rows],
    )


def _unlike(context: Context, raws: Sequence[Raw]) -> list[str]:
    """``head/kernel: (128, 10) in the file, (128, 12) in the model``."""
    lines = []
    for raw in raws:
        tensor, variable = context.tensor(raw.file_tensor), context.variable(raw.model_tensor)
        if tensor is not None and variable is not None:
            old, new = shape_text(tensor.shape), shape_text(variable.shape)
            lines.append(f"{escape(variable.path)}: {old} in the file, {new} in the model")
    return lines


def undecidable(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    groups = context.plan.undecidable if context.plan is not None else ()
    names = [[context.layer(group) for group in several] for several in groups]
    if not names:
        names = [layers_of(context, raws)]
    what = named(names[0]) if len(names) == 1 else f"the layers in each of {len(names)} groups"
    yield finding(
        319,
        severity_of(raws[0]),
        headline=entry(319).say(what=what),
        layer=names[0][0] if names[0] else None,
        body=listed([named(several, 6) for several in names]) if len(names) > 1 else [],
        notes=["they are matched by order; give layers names of your own and this can be checked"],
        related=[name for several in names for name in several],
    )
