"""Findings about how file and model fit (KW3xx, KW4xx): one function a code, facts of the plan in, sentences out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

from kwload.report import shapes
from kwload.report.container import written_by
from kwload.report.context import (
    LEGACY,
    Context,
    columns,
    count_of,
    entry,
    finding,
    listed,
    named,
    shape_text,
    typed,
    values,
)
from kwload.report.escape import escape, literal, quote
from kwload.report.facts import Raw, TensorFacts
from kwload.report.finding import Finding, Severity
from kwload.report.text import plural

Builder = Callable[[Context, list[Raw]], Iterator[Finding]]

_EFFECTS: Final = {
    "same": "nothing is lost",
    "exact": "every value survives",
    "rounds": "values are rounded",
    "overflows": "values are rounded, and lost where they are out of range",
}
_CONSEQUENCES: Final = frozenset({301, 302, 305, 306, 310, 319})
"""What a damaged file lacks: codes that say no more than the damage does."""
_EVIDENCE: Final = "the shapes fit; the names given to the layers, stored in the file, are the evidence"
_AS_SAVED: Final = "give the layers of the model the order they had when the file was saved"


def structure_findings(context: Context, raws: Sequence[Raw], *, damaged: bool = False) -> list[Finding]:
    """The findings of a plan, in its order, those of one code and severity joined where one sentence serves all.

    In a *damaged* file what is missing is no finding of its own: the damage is the cause.
    """
    together: dict[tuple[int, str], list[Raw]] = defaultdict(list)
    # A layer that was renamed is one cause: it is not also left over in the file.
    said = {raw.other_group for raw in raws if raw.code in (301, 318) and raw.model_group >= 0}
    unbuilt = any(raw.code == 311 and raw.model_group < 0 for raw in raws)
    for raw in raws:
        if raw.code == 302 and (unbuilt or raw.file_group in said):
            continue
        if damaged and raw.code in _CONSEQUENCES:
            continue
        together[raw.code, raw.severity].append(raw)
    found: list[Finding] = []
    for (code, _), several in together.items():
        # A builder that lacks the rows it speaks of says nothing; then the catalogue's sentence is left.
        found += list(_BUILDERS.get(code, _plain)(context, several)) or _plain(context, several)
    return found


def _severity(raw: Raw) -> Severity:
    return "error" if raw.severity == "error" else "warning" if raw.severity == "warning" else "note"


def _model_rows(raw: Raw) -> list[int]:
    """Rows of the model's variables that a finding is about."""
    own = [raw.model_tensor] if raw.model_tensor >= 0 else []
    return own + [row for row in raw.related if row != raw.model_tensor]


def _layer_names(context: Context, raws: Sequence[Raw]) -> list[str]:
    """The model layers that findings are about, each once, in order."""
    names = [context.layer(raw.model_group) for raw in raws if raw.model_group >= 0]
    names += [context.variables[row].layer for raw in raws if raw.model_group < 0 for row in _model_rows(raw)]
    return list(dict.fromkeys(names))


def _names(names: Sequence[str]) -> str:
    return f"[{', '.join(map(literal, names[:6]))}]"


def _skip(context: Context, names: Sequence[str]) -> list[str]:
    """The call that loads what is left without these layers, when something is."""
    if context.plan is None or not context.plan.pairs:
        return []
    option = f"skip={_names(names)}" if len(names) <= 6 else "skip_mismatch=True"
    return [f"load the rest with {context.load(option)}"]


# ---- missing, unused, renamed ---------------------------------------------------------------------------------------


def _missing(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers and variables of the model that find nothing in the file."""
    groups: dict[str, list[int]] = {}
    fits: list[tuple[str, str]] = []
    lost = [raw.file_group for raw in raws if raw.file_group >= 0 and raw.model_group < 0]
    if lost:
        yield _lost(context, raws[0], lost)
    for raw in raws:
        rows = _model_rows(raw) or (context.rows_of[raw.model_group] if raw.model_group >= 0 else [])
        if not rows:
            continue
        name = context.layer(raw.model_group) if raw.model_group >= 0 else context.variables[rows[0]].layer
        groups.setdefault(name, []).extend(row for row in rows if row not in groups.get(name, ()))
        if raw.other_group >= 0:
            fits.append((context.file_layer(raw.other_group), name))
    if not groups:
        return
    lines = [_wants(context, name, rows) for name, rows in groups.items()]
    rows = [row for several in groups.values() for row in several]
    what = quote(next(iter(groups))) if len(groups) == 1 else f"{plural(len(groups), 'layer')} of the model"
    if len(rows) == 1:
        what = quote(context.variables[rows[0]].path)
    first = raws[0]
    help_ = []
    if fits and context.options.by_name:
        help_.append(f"match them: {context.load('by_name=True', 'mapping=' + _mapping(fits))}")
    these = "it" if len(groups) == 1 else "them"
    if first.severity == "error":
        help_ += [f"leave {these} as initialised and {call}" for call in _skip(context, list(groups))]
    yield finding(
        301,
        _severity(first),
        headline=entry(301).say(what=what),
        layer=next(iter(groups)),
        variable=context.variables[rows[0]].name if len(rows) == 1 else None,
        expected=[list(context.variables[row].shape) for row in rows],
        body=listed(lines),
        notes=[f"the file has {quote(old)}, with the same shapes as {quote(new)}" for old, new in fits[:3]],
        help=help_,
        related=[context.variables[row].path for row in rows],
    )


def _lost(context: Context, raw: Raw, groups: Sequence[int]) -> Finding:
    """Layers that the file lists and whose weights are not in it."""
    names = [context.file_layer(group) for group in groups]
    return finding(
        301,
        _severity(raw),
        headline=f"the file lists {named(names)}, but {'its' if len(names) == 1 else 'their'} weights are not in it",
        layer=names[0],
        path=context.groups[groups[0]][0],
        notes=["layers are matched by order, so nothing after it can be trusted"],
        help=["use another copy of the file: this one was changed after it was saved"],
        related=names[1:],
    )


def _mapping(pairs: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{literal(old)}: {literal(new)}" for old, new in pairs[:6])
    return "{" + shown + (", …" if len(pairs) > 6 else "") + "}"


def _wants(context: Context, name: str, rows: Sequence[int]) -> str:
    """``dense_2: kernel (64, 10), bias (10,)``."""
    variables = [context.variables[row] for row in rows]
    said = ", ".join(f"{escape(item.name)} {shape_text(item.shape)}" for item in variables[:4])
    more = f" and {len(variables) - 4} more" if len(variables) > 4 else ""
    return f"{escape(name)}: {said}{more}"


def _has(context: Context, group: int) -> str:
    """``layers/dense_2 (named `z`): 2 tensors, 20 values``."""
    path, name = context.groups[group][:2]
    tensors = context.file_tensors(group)
    label = escape(path) if not name or name == path.rpartition("/")[2] else f"{escape(path)} (named {quote(name)})"
    return f"{label}: {plural(len(tensors), 'tensor')}, {plural(values(tensors), 'value')}"


def _unused(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers and tensors of the file that no variable takes."""
    groups = list(dict.fromkeys(raw.file_group for raw in raws if raw.file_group >= 0 and raw.file_tensor < 0))
    alone = [raw.file_tensor for raw in raws if raw.file_tensor >= 0]
    if not groups and not alone:
        return
    lines = [_has(context, group) for group in groups]
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
        _severity(raws[0]),
        headline=entry(302).say(what=count, verb="is" if one else "are"),
        layer=context.file_layer(groups[0]) if groups else context.tensors[alone[0]].layer if alone else None,
        path=context.groups[groups[0]][0] if groups else context.tensors[alone[0]].path if alone else None,
        found=len(paths),
        body=listed(lines),
        notes=[*_like(context, raws), "a layer may be missing from the model, or the file may belong to a larger one"],
        related=paths,
    )


def _like(context: Context, raws: Sequence[Raw]) -> list[str]:
    """Layers of the model without weights that these would fit."""
    fits = [raw for raw in raws if raw.file_group >= 0 and raw.other_group >= 0]
    pairs = [(context.file_layer(raw.file_group), context.layer(raw.other_group)) for raw in fits[:3]]
    return [f"{quote(old)} has the shapes of {quote(new)} of the model" for old, new in pairs]


def _renamed(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Names that changed while place and shapes stayed: old and new side by side."""
    pairs = []
    for raw in raws:
        group = raw.file_group if raw.file_group >= 0 else raw.other_group
        if raw.model_tensor >= 0 and raw.file_tensor >= 0:
            pairs.append((context.tensors[raw.file_tensor].variable, context.variables[raw.model_tensor].path))
        elif group >= 0 and raw.model_group >= 0:
            pairs.append((context.file_layer(group), context.layer(raw.model_group)))
    if not pairs:
        return
    rows = columns([("in the file", "", "in the model"), *((escape(old), "->", escape(new)) for old, new in pairs)])
    first = raws[0]
    what = count_of(len(pairs), "layer", "has another name", "have other names")
    if len(pairs) == 1:
        what = f"{quote(pairs[0][1])} is called {quote(pairs[0][0])}"
    yield finding(
        303,
        _severity(first),
        headline=entry(303).say(what=what),
        layer=pairs[0][1],
        path=context.groups[first.file_group][0] if first.file_group >= 0 else None,
        expected=[new for _, new in pairs],
        found=[old for old, _ in pairs],
        body=[rows[0], *listed(rows[1:])] if len(pairs) > 1 else [],
        notes=[_renamed_note(context)],
        related=[new for _, new in pairs],
    )


def _renamed_note(context: Context) -> str:
    if context.file.layout in LEGACY:
        return "matched by order and shape; with by_name=True it would be skipped"
    return "matched by place and shape, as Keras does; names are not used"


# ---- order ----------------------------------------------------------------------------------------------------------


def _chain(context: Context, raw: Raw) -> list[tuple[int, int]]:
    """The layers of a chain of layers that get each other's weights, each with the group of the file it would get."""
    groups = [raw.model_group] if raw.model_group >= 0 else []
    groups = list(dict.fromkeys([*groups, *(context.variables[row].group for row in raw.related)]))
    if not raw.related and raw.other_group >= 0:
        groups.append(raw.other_group)
    givers = [(group, context.giver(group)) for group in groups]
    return [(group, raw.file_group if giver < 0 and group == raw.model_group else giver) for group, giver in givers]


def _flow(context: Context, chain: Sequence[tuple[int, int]]) -> list[str]:
    """Which layer of the model would receive whose weights."""
    rows = [("layer of the model", "", "would receive the weights of")]
    rows += [
        (escape(context.layer(group)), "<-", escape(context.file_layer(giver))) for group, giver in chain if giver >= 0
    ]
    lines = columns(rows)
    return [lines[0], *listed(lines[1:])] if len(lines) > 1 else []


def _by_names(context: Context, chain: Sequence[tuple[int, int]]) -> list[str]:
    """The call that gives each layer of a chain the weights of its own name, and leaves out what has none."""
    layers = [context.layer(group) for group, _ in chain]
    known = {context.file_layer(row) for row in range(len(context.groups))}
    left = [name for name in layers if name not in known]
    pairs = [(name, name) for name in layers if name in known]
    if context.file.layout in LEGACY and not context.options.by_name:
        call = context.load("by_name=True")
    elif not pairs or len(pairs) > 6 or len(left) > 6:
        return [f"{context.load('by_name=True')}  gives each layer the weights of its own name"] if pairs else []
    else:
        call = context.load(f"mapping={_mapping(pairs)}", *([f"skip={_names(left)}"] if left else []))
    rest = f", and leaves {named(left)} as initialised" if left else ""
    return [f"{call}  gives each layer the weights of its own name{rest}"]


def _swapped(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers that would get each other's weights."""
    chain = [link for raw in raws for link in _chain(context, raw)]
    names = [context.layer(group) for group, _ in chain]
    if not names:
        return
    yield finding(
        304,
        _severity(raws[0]),
        headline=entry(304).say(what=named(names, 3)),
        layer=names[0],
        path=context.groups[raws[0].file_group][0] if raws[0].file_group >= 0 else None,
        expected=names,
        found=[context.file_layer(giver) for _, giver in chain if giver >= 0],
        body=_flow(context, chain),
        notes=[_EVIDENCE],
        help=[*_by_names(context, chain), _AS_SAVED],
        related=names[1:],
    )


def _inserted(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """A layer that one side has and the other has not."""
    for raw in raws:
        if raw.related:
            yield from _shifted(context, raw)
    alone = [raw for raw in raws if not raw.related]
    if alone:
        yield from _extra(context, alone)


def _shifted(context: Context, raw: Raw) -> Iterator[Finding]:
    """The number of layers is the same, so those after it get the weights of their neighbours."""
    chain = _chain(context, raw)
    names = [context.layer(group) for group, _ in chain]
    new = context.layer(raw.model_group) if raw.model_group >= 0 else None
    gone = context.file_layer(raw.file_group) if raw.file_group >= 0 else None
    what = f"{quote(new)} was inserted" if new else f"{quote(gone)} was removed" if gone else "layers were moved"
    notes = [f"{quote(gone)} of the file has no layer in the model"] if new and gone else []
    yield finding(
        305,
        _severity(raw),
        headline=entry(305).say(what=f"{what}: the layers after it would receive the weights of their neighbours"),
        layer=new or names[0],
        path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
        expected=names,
        found=[context.file_layer(giver) for _, giver in chain if giver >= 0],
        body=_flow(context, chain),
        notes=[*notes, _EVIDENCE],
        help=[*_by_names(context, chain), _AS_SAVED],
        related=[name for name in names if name != (new or names[0])],
    )


def _extra(context: Context, raws: Sequence[Raw]) -> Iterator[Finding]:
    """File and model have another number of layers: which stand on one side only, and where (by order, legacy)."""
    first = raws[0]
    in_file = first.file_group >= 0
    if in_file:
        names = [context.file_layer(raw.file_group) for raw in raws if raw.file_group >= 0]
        lines = [_has(context, raw.file_group) for raw in raws if raw.file_group >= 0]
        what = f"{_of(names, 'of the file')} {'has no layer' if len(names) == 1 else 'have no layers'} in the model"
    else:
        groups = [raw.model_group for raw in raws if raw.model_group >= 0]
        names = [context.layer(group) for group in groups]
        lines = [_wants(context, context.layer(group), context.rows_of[group]) for group in groups]
        what = f"{_of(names, 'of the model')} {'is' if len(names) == 1 else 'are'} not in the file"
    if not names:
        return
    place = f"before {quote(context.layer(first.other_group))}" if first.other_group >= 0 else "at the end"
    counts = [sum(bool(context.file_tensors(row)) for row in _layers(context)), sum(map(bool, context.rows_of))]
    yield finding(
        305,
        _severity(first),
        headline=entry(305).say(what=what),
        layer=names[0],
        path=context.groups[first.file_group][0] if in_file else None,
        expected=counts[1],
        found=counts[0],
        body=listed(lines),
        notes=[
            f"{'it stands' if len(names) == 1 else 'they stand'} {place}; layers are matched by order",
            f"layers with weights: {counts[0]:,} in the file, {counts[1]:,} in the model",
        ],
        help=_rest_by_name(context, [] if in_file else names),
        related=names[1:],
    )


def _rest_by_name(context: Context, new: Sequence[str]) -> list[str]:
    """The call that loads by name what order cannot, when names agree."""
    layers = _layers(context)
    by_name = {context.file_layer(row): [tensor.shape for tensor in context.file_tensors(row)] for row in layers}
    groups = [row for row, rows in enumerate(context.rows_of) if rows]
    wanted = {context.layer(row): [context.variables[i].shape for i in context.rows_of[row]] for row in groups}
    rest = [name for name in wanted if name not in new]
    if not rest or any(name not in by_name for name in rest):
        return []
    left = f", and leaves {named(new)} as initialised" if new else ""
    if all(by_name[name] == wanted[name] for name in rest):
        return [f"{context.load('by_name=True')}  loads the others by their names{left}"]
    return [f"{context.load('by_name=True', 'skip_mismatch=True')}  loads by name what fits{left}"]


def _of(names: Sequence[str], whose: str) -> str:
    return f"{named(names)} {whose}"


def _layers(context: Context) -> list[int]:
    """The groups of the file that are layers, not state of an optimizer or a metric."""
    state = _flag("optimizer") | _flag("metric")
    return [row for row, group in enumerate(context.groups) if not group[2] & state]


def _order(context: Context, raws: list[Raw]) -> Iterator[Finding]:
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
            _severity(raw),
            headline=entry(313).say(layer=quote(layer)),
            layer=layer,
            path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
            expected=in_model,
            found=in_file,
            body=[rows[0], *listed(rows[1:])],
            notes=["trainable weights come before frozen ones: `trainable` was set otherwise when the file was saved"],
            help=[f"set `trainable` in {quote(layer)} as it was when the file was saved, load, and set it back"],
        )


# ---- counts ---------------------------------------------------------------------------------------------------------


def _count(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    for raw in raws:
        yield _count_of_weights(context, raw) if raw.model_group >= 0 else _count_of_layers(context, raw)


def _count_of_weights(context: Context, raw: Raw) -> Finding:
    """A layer has more weights in the file than in the model, or fewer."""
    layer = context.layer(raw.model_group)
    wanted = [context.variables[row] for row in context.rows_of[raw.model_group]]
    slots = context.groups[raw.file_group][3] if raw.file_group >= 0 else ()
    had = [(name, context.tensors[row]) for name, row in slots if row >= 0]
    old = ", ".join(f"{escape(_leaf(name))} {shape_text(tensor.shape)}".lstrip() for name, tensor in had[:6])
    new = ", ".join(f"{escape(item.name)} {shape_text(item.shape)}" for item in wanted[:6])
    kind = context.class_name(raw.model_group)
    return finding(
        306,
        _severity(raw),
        headline=entry(306).say(what=f"number of weights of {quote(layer)}", found=raw.a, expected=raw.b),
        layer=layer,
        path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
        expected=raw.b,
        found=raw.a,
        cause=_count_cause(context, raw, [tensor for _, tensor in had]),
        body=[f"file   {old or 'nothing'}", f"model  {new or 'nothing'}"],
        notes=[f"the class in the model is {escape(kind)}"] if kind else [],
        help=_skip(context, [layer]),
    )


def _leaf(name: str) -> str:
    """The variable's own name; nothing for the numbers of the Keras 3 layout."""
    leaf = name.rpartition("/")[2].removesuffix(":0")
    return "" if leaf.isdigit() else leaf


def _count_cause(context: Context, raw: Raw, had: Sequence[TensorFacts]) -> str | None:
    """Why the number differs, where the shapes leave no doubt."""
    wanted = [context.variables[row] for row in context.rows_of[raw.model_group]]
    names = [item.name.rpartition("/")[2] for item in wanted]
    fit = [tuple(tensor.shape) for tensor in had]
    if "bias" in names and fit == [item.shape for item, name in zip(wanted, names, strict=True) if name != "bias"]:
        return "the layer in the file has no bias: it was built with `use_bias=False`"
    if names == ["kernel"] and len(fit) == 2 and fit[0] == wanted[0].shape and fit[1] == wanted[0].shape[-1:]:
        return f"the file has a bias {shape_text(fit[1])}, the model's layer has `use_bias=False`"
    return None


def _count_of_layers(context: Context, raw: Raw) -> Finding:
    """File and model have another number of layers with weights: which stand only on one side, and where."""
    only_file, only_model = _aligned(context)
    lines = [f"only in the file:   {line}" for line in only_file]
    lines += [f"only in the model:  {line}" for line in only_model]
    return finding(
        306,
        _severity(raw),
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
        skipped |= _flag(flag)
    file = [row for row, group in enumerate(context.groups) if not group[2] & skipped and context.file_tensors(row)]
    model = [row for row, rows in enumerate(context.rows_of) if rows]
    left = [_width([tensor.shape for tensor in context.file_tensors(row)]) for row in file]
    right = [_width([context.variables[i].shape for i in context.rows_of[row]]) for row in model]
    only_file, only_model = [], []
    for tag, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for n in range(i, j):
            before = f", after {quote(context.file_layer(file[n - 1]))}" if n else ", first"
            only_file.append(_has(context, file[n]) + before)
        for n in range(k, m):
            before = f", after {quote(context.layer(model[n - 1]))}" if n else ", first"
            only_model.append(_wants(context, context.layer(model[n]), context.rows_of[model[n]]) + before)
    return only_file, only_model


def _width(shapes_: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    """Rank and last axis of each weight: what a layer is, whatever stands in front of it."""
    return tuple((len(shape), shape[-1] if shape else 0) for shape in shapes_)


def _flag(name: str) -> int:
    from kwload import _core

    return _core.GROUP_FLAGS[name]


# ---- nothing matched, prefix, not built ------------------------------------------------------------------------------


def _nothing(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Not one variable finds a tensor; by name, the rule that would match them all."""
    by_name = bool(context.options.by_name)
    body, help_ = _proposal(context) if by_name else ([], [])
    in_file = [context.file_layer(row) for row in range(len(context.groups)) if context.file_tensors(row)]
    in_model = [context.layer(row) for row, rows in enumerate(context.rows_of) if rows]
    wanted = context.plan.wanted if context.plan is not None else len(context.variables)
    asked = plural(raws[0].b or len(in_model), "layer") if by_name else plural(wanted, "variable")
    if not body:
        body = [f"layers in the file:   {named(in_file)}", f"layers in the model:  {named(in_model)}"]
    yield finding(
        310,
        _severity(raws[0]),
        headline=entry(310).say(wanted=asked, how="by name" if by_name else "found in the file"),
        expected=len(in_model) if by_name else wanted,
        found=0,
        body=body,
        help=help_,
    )


def _proposal(context: Context) -> tuple[list[str], list[str]]:
    """The pairing by order, when all shapes agree: names of file and model side by side, and the calls that use it."""
    file = [row for row in range(len(context.groups)) if context.file_tensors(row)]
    model = [row for row, rows in enumerate(context.rows_of) if rows]
    left = [[tuple(tensor.shape) for tensor in context.file_tensors(row)] for row in file]
    right = [[context.variables[i].shape for i in context.rows_of[row]] for row in model]
    if left != right or not file:
        return [], []
    pairs = [(context.file_layer(old), context.layer(new)) for old, new in zip(file, model, strict=True)]
    rows = columns([("in the file", "", "in the model"), *((escape(old), "->", escape(new)) for old, new in pairs)])
    prefix = _prefix(pairs)
    body = [f"by order and shape all {len(pairs):,} layers match:", *listed(rows, 6)]
    help_ = [f"{context.load()}  loads them by order"]
    if prefix is not None:
        help_.append(context.load("by_name=True", f"mapping=({literal(prefix[0])}, {literal(prefix[1])})"))
    elif len(pairs) <= 6:
        help_.append(context.load("by_name=True", f"mapping={_mapping(pairs)}"))
    return body, help_


def _prefix(pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """The prefix pair that turns each first name into its second one."""
    old, new = pairs[0]
    if old.endswith(new):
        pair = (old[: len(old) - len(new)], "")
    elif new.endswith(old):
        pair = ("", new[: len(new) - len(old)])
    else:
        return None
    rest = all(a.startswith(pair[0]) and pair[1] + a[len(pair[0]) :] == b for a, b in pairs)
    return pair if rest and any(pair) else None


def _prefixed(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    raw = raws[0]
    old = [context.file_layer(item.file_group) for item in raws if item.file_group >= 0]
    new = [context.layer(item.model_group) for item in raws if item.model_group >= 0]
    pair = _prefix(list(zip(old, new, strict=False))) if old and new else None
    rule = f"mapping=({literal(pair[0])}, {literal(pair[1])})" if pair is not None else None
    yield finding(
        312,
        _severity(raw),
        headline=entry(312).say(prefix=quote("".join(pair) if pair is not None else "?")),
        layer=new[0] if new else None,
        expected=new,
        found=old,
        body=listed(columns([(escape(a), "->", escape(b)) for a, b in zip(old, new, strict=False)]), 4),
        help=[context.load(rule)] if rule else [],
    )


def _not_built(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """The model, or layers of it, have no variables yet; which input shape the file suggests."""
    names = _layer_names(context, [raw for raw in raws if raw.model_group > 0])
    whole = not names or not context.variables
    sides = (("file   ", len(context.tensors), "tensor"), ("model  ", len(context.variables), "variable"))
    shape = shapes.suggested_input(context) if whole else None
    help_ = []
    if shape is not None:
        help_.append(f"`model.build({shape})`, then load: the file suggests this input shape")
    elif whole:
        help_.append("build the model first: call it on a batch, or `model.build(input_shape)`")
    else:
        help_.append("call the model on a batch so that every layer is built, then load")
    yield finding(
        311,
        _severity(raws[0]),
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


# ---- other kinds of difference ---------------------------------------------------------------------------------------


def _dtype(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Tensors whose type differs, joined by the two types."""
    casts = {pair[:2]: pair[3] for pair in context.plan.pairs} if context.plan is not None else {}
    kinds: dict[tuple[str, str, str], list[Raw]] = defaultdict(list)
    for raw in raws:
        tensor, variable = context.tensor(raw.file_tensor), context.variable(raw.model_tensor)
        if tensor is not None and variable is not None:
            cast = casts.get((raw.file_tensor, raw.model_tensor), "")
            kinds[tensor.dtype, variable.dtype, cast].append(raw)
    for (old, new, cast), several in kinds.items():
        rows = list(dict.fromkeys(row for raw in several for row in _model_rows(raw)))
        first = context.variables[rows[0]]
        tensor = context.tensors[several[0].file_tensor]
        what = quote(first.path) if len(rows) == 1 else plural(len(rows), "variable")
        effect = _EFFECTS.get(cast, "values are converted")
        yield finding(
            309,
            _severity(several[0]),
            headline=entry(309).say(
                what=what,
                verb="is" if len(rows) == 1 else "are",
                found=escape(old),
                expected=escape(new),
                effect=effect,
            ),
            layer=first.layer,
            variable=first.name,
            path=tensor.path,
            expected=new,
            found=old,
            body=listed([escape(context.variables[row].path) for row in rows], 4) if len(rows) > 1 else [],
            related=[context.variables[row].path for row in rows[1:]],
        )


def _reset_after(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    for raw in raws:
        row = raw.model_tensor if raw.model_tensor >= 0 else next(iter(raw.related), -1)
        tensor, variable = context.tensor(raw.file_tensor), context.variable(row)
        if tensor is None or variable is None:
            yield from _plain(context, [raw])
            continue
        now = len(variable.shape) == 2
        yield finding(
            314,
            _severity(raw),
            headline=entry(314).say(variable=quote(variable.path)),
            layer=variable.layer,
            variable=variable.name,
            path=tensor.path,
            expected=list(variable.shape),
            found=list(tensor.shape),
            body=shapes.side_by_side(tensor, variable),
            cause=f"the model has `reset_after={now}`, the file `reset_after={not now}`",
            help=[f"build the layer with `reset_after={not now}`"],
        )


def _quantized(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    for raw in raws:
        layer = context.layer(raw.model_group) if raw.model_group >= 0 else "the model"
        tensors = context.file_tensors(raw.file_group) if raw.file_group >= 0 else []
        kinds = next((tensor.dtype for tensor in tensors if tensor.dtype.startswith(("int", "uint", "float8"))), "int8")
        rows = context.rows_of[raw.model_group] if raw.model_group >= 0 else []
        wanted = [context.variables[row] for row in rows]
        old = ", ".join(typed(tensor.shape, tensor.dtype) for tensor in tensors[:5])
        new = ", ".join(typed(item.shape, item.dtype) for item in wanted[:5])
        yield finding(
            315,
            _severity(raw),
            headline=entry(315).say(layer=quote(layer)),
            layer=layer,
            path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
            expected="not quantized",
            found=kinds,
            body=[f"file   {old or 'nothing'}", f"model  {new or 'nothing'}"],
            help=[f'quantize the model as the file was: `model.quantize("{escape(kinds)}")`, then load'],
        )


def _optimizer(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """State of an optimizer, or of metrics, that is not loaded."""
    for raw in raws:
        metric = raw.file_group >= 0 and context.groups[raw.file_group][2] & _flag("metric")
        whose = "metrics" if metric else "an optimizer"
        state = plural(raw.a, "tensor")
        what = f"the file also holds the state of {whose} ({state}), which is not loaded"
        if not raw.a:
            what = "the file holds no optimizer state: training would go on with a fresh optimizer"
        elif raw.b and raw.severity != "note":
            owner = "metrics have" if metric else "optimizer has"
            what = f"the model's {owner} {plural(raw.b, 'variable')}, the state in the file {raw.a:,}: it is not loaded"
        yield finding(
            316,
            _severity(raw),
            headline=entry(316).say(what=what),
            path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
            expected=raw.b,
            found=raw.a,
            notes=["the weights of the model are complete without it"],
        )


def _skipped(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers that stay as initialised: by name because nothing has their name, or because they do not fit."""
    names = _layer_names(context, raws)
    rows = list(dict.fromkeys(row for raw in raws for row in _model_rows(raw)))
    groups = list(dict.fromkeys(raw.model_group for raw in raws if raw.model_group >= 0))
    known = [raw for raw in raws if raw.model_group >= 0 and raw.other_group >= 0]
    fits = [(context.file_layer(raw.other_group), context.layer(raw.model_group)) for raw in known]
    by_name = bool(context.options.by_name) and not any(raw.file_group >= 0 for raw in raws)
    one = len(names) == 1
    why = "has no layer of its name in the file" if one else "have no layer of their name in the file"
    if not by_name:
        why = "does not fit" if one else "do not fit"
    yield finding(
        318,
        _severity(raws[0]),
        headline=entry(318).say(what=f"{named(names)} {why}", verb="it stays" if one else "they stay"),
        layer=names[0] if names else None,
        path=context.groups[raws[0].file_group][0] if raws[0].file_group >= 0 else None,
        body=listed(
            _unlike(context, raws)
            or [_wants(context, context.layer(group), context.rows_of[group]) for group in groups]
        ),
        notes=[f"the file has {quote(old)}, with the same shapes as {quote(new)}" for old, new in fits[:3]],
        help=[f"match them: {context.load('by_name=True', 'mapping=' + _mapping(fits))}"] if fits and by_name else [],
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


def _undecidable(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    groups = context.plan.undecidable if context.plan is not None else ()
    names = [[context.layer(group) for group in several] for several in groups]
    if not names:
        names = [_layer_names(context, raws)]
    what = named(names[0]) if len(names) == 1 else f"the layers in each of {len(names)} groups"
    yield finding(
        319,
        _severity(raws[0]),
        headline=entry(319).say(what=what),
        layer=names[0][0] if names[0] else None,
        body=listed([named(several, 6) for several in names]) if len(names) > 1 else [],
        notes=["they are matched by order; give layers names of your own and this can be checked"],
        related=[name for several in names for name in several],
    )


def _option(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    by_name = bool(context.options.by_name)
    option = "by_name=True" if by_name else "skip_mismatch=True"
    note = "tf_keras takes it together with by_name=True only"
    if by_name:
        note = "the file does not record the names of its layers (Keras 3.6 and newer do): it is matched by place"
    yield finding(
        320,
        _severity(raws[0]),
        headline=entry(320).say(option=f"`{option}`"),
        found=option,
        notes=[note],
        help=[context.load() if by_name else context.load("by_name=True", "skip_mismatch=True")],
    )


def _keys(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    for raw in raws:
        layer = context.layer(raw.model_group) if raw.model_group >= 0 else "the model"
        keys = [name for name, _ in context.groups[raw.file_group][3]] if raw.file_group >= 0 else []
        wanted = [str(i) for i in range(len(context.rows_of[raw.model_group]))] if raw.model_group >= 0 else []
        yield finding(
            321,
            _severity(raw),
            headline=entry(321).say(layer=quote(layer)),
            layer=layer,
            path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
            expected=wanted,
            found=keys,
            body=[f"file   {named(keys, 8)}", f"model  {named(wanted, 8)}"],
            help=["save the weights again with the version that wrote them", *_skip(context, [layer])],
        )


def _own_load(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    names = _layer_names(context, raws)
    yield finding(
        404,
        _severity(raws[0]),
        headline=entry(404).say(layer=named(names) if names else "a layer"),
        layer=names[0] if names else None,
        notes=["its `load_own_variables` is called with its tensors"],
        related=names[1:],
    )


def _version(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    yield finding(
        405,
        _severity(raws[0]),
        headline=entry(405).say(writer=escape(written_by(context) or "Keras 1"), reader=context.keras),
        expected=context.keras,
        found=written_by(context),
    )


def _plain(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """A code without a builder of its own: the catalogue's sentence about the layer and the tensor in question."""
    for raw in raws:
        tensor, variable = context.tensor(raw.file_tensor), context.variable(raw.model_tensor)
        layer = context.layer(raw.model_group) if raw.model_group >= 0 else variable.layer if variable else None
        where = context.groups[raw.file_group][0] if raw.file_group >= 0 else None
        place = layer or where or (tensor.path if tensor is not None else context.path)
        said = dict.fromkeys(("what", "layer", "variable", "where", "path", "member"), quote(place))
        said |= {"detail": "see the layer named", "content": "unreadable", "expected": str(raw.b), "found": str(raw.a)}
        yield finding(
            raw.code,
            _severity(raw),
            headline=entry(raw.code).say(**said),
            layer=layer,
            variable=variable.name if variable is not None else None,
            path=tensor.path if tensor is not None else where,
        )


def whole_model(context: Context) -> Finding:
    """KW210: the file is a whole model, of which only the weights are used."""
    writer = written_by(context)
    return finding(
        210,
        "note",
        headline=entry(210).say(),
        found="whole model",
        notes=[f"it was written by {escape(writer)}"] if writer else [],
    )


def untracked(variables: Sequence[tuple[str, str]]) -> list[Finding]:
    """KW317, one finding for each layer that keeps raw ``tf.Variable``s."""
    layers: dict[str, list[str]] = defaultdict(list)
    for layer, attribute in variables:
        layers[layer].append(attribute)
    return [
        finding(
            317,
            "warning",
            headline=entry(317).say(layer=quote(layer or "the model"), attribute=escape(attributes[0])),
            layer=layer,
            variable=attributes[0],
            body=listed([f"self.{escape(name)}" for name in attributes]) if len(attributes) > 1 else [],
            keras="it is not in any file that Keras saves, and no load sets it",
            help=[f"in `build`: self.{attributes[0]} = self.add_weight(shape=…, name={literal(attributes[0])})"],
            related=attributes[1:],
        )
        for layer, attributes in layers.items()
    ]


_BUILDERS: Final[dict[int, Builder]] = {
    301: _missing,
    302: _unused,
    303: _renamed,
    304: _swapped,
    305: _inserted,
    306: _count,
    307: shapes.shape_findings,
    308: shapes.transposed,
    309: _dtype,
    310: _nothing,
    311: _not_built,
    312: _prefixed,
    313: _order,
    314: _reset_after,
    315: _quantized,
    316: _optimizer,
    318: _skipped,
    319: _undecidable,
    320: _option,
    321: _keys,
    404: _own_load,
    405: _version,
}
