"""Findings about how file and model fit (KW3xx, KW4xx): one function a code, facts of the plan in, sentences out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from kwload.report import (
    architecture,
    contained,
    converted,
    custom,
    inserted,
    matches,
    order,
    quantized,
    recurrent,
    replaced,
    retyped,
    shapes,
    state,
    unreached,
    values,
    variants,
)
from kwload.report.context import (
    V3,
    Context,
    entry,
    finding,
    listed,
    named,
)
from kwload.report.escape import escape, literal, quote
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.text import plural
from kwload.report.words import group_flag, layers_of, load_the_rest, rows_of, severity_of

Builder = Callable[[Context, list[Raw]], Iterator[Finding]]


_EFFECTS: Final = {
    "same": "nothing is lost",
    "exact": "every value survives",
    "rounds": "values are rounded",
    "overflows": "values are rounded, and lost where they are out of range",
}

_CONSEQUENCES: Final = frozenset({301, 302, 303, 305, 306, 310, 319, 321})
"""What a damaged file lacks: codes that say no more than the damage does."""


def structure_findings(context: Context, raws: Sequence[Raw], *, damaged: bool = False) -> list[Finding]:
    """The findings of a plan, in its order, those of one code and severity joined where one sentence serves all.

    In a *damaged* file what is missing is no finding of its own: the damage is the cause.
    """
    part = contained.contained(context) if not damaged else None
    if part is not None:
        beside = [raw for raw in raws if raw.code == 316]
        return [part, *(_optimizer(context, beside) if beside else [])]
    bare = state.only_state(context, raws) if not damaged else None
    if bare is not None:
        raws = [raw for raw in raws if raw.code not in state.CAUSES]
    together: dict[tuple[int, str], list[Raw]] = defaultdict(list)
    # A layer that was renamed is one cause: it is not also left over in the file.
    said = {raw.other_group for raw in raws if raw.code in (301, 318) and raw.model_group >= 0}
    unbuilt = any(raw.code == 311 and raw.model_group < 0 for raw in raws)
    unread = {raw.file_tensor for raw in raws if raw.code == 208}
    whole = (unreached.unreached(context) or replaced.head_changed(context)) if not damaged else None
    classes = retyped.retyped(context, raws) if whole is None and not damaged else {}
    explained = retyped.settled(context, raws, classes)
    beside_inserted = inserted.names_beside_inserted(context)
    for raw in raws:
        if any(raw is other for other in explained):
            continue
        if whole is not None and raw.code in replaced.CAUSES and raw.severity != "note":
            continue
        if raw.code == 302 and (unbuilt or raw.file_group in said):
            continue
        if (raw.code == 309 and raw.file_tensor in unread) or inserted.is_shift(context, raw, beside_inserted):
            continue
        if damaged and raw.code in _CONSEQUENCES:
            continue
        together[raw.code, raw.severity].append(raw)
    found = [whole] if whole is not None else list(retyped.class_changed(context, classes, explained))
    for (code, _), several in together.items():
        # A builder that lacks the rows it speaks of says nothing; then the catalogue's sentence is left.
        found += list(_BUILDERS.get(code, _plain)(context, several)) or _plain(context, several)
    found = [bare, *found] if bare is not None else found
    other_names = custom.renamed_variables(context)
    return [*found, other_names] if other_names is not None else found


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
        rows = list(dict.fromkeys(row for raw in several for row in rows_of(raw)))
        first = context.variables[rows[0]]
        tensor = context.tensors[several[0].file_tensor]
        what = quote(first.path) if len(rows) == 1 else plural(len(rows), "variable")
        effect = values.survival(context, rows, cast) or _EFFECTS.get(cast, "values are converted")
        yield finding(
            309,
            severity_of(several[0]),
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


def _optimizer(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """State of an optimizer, or of metrics, that is not loaded; both in one finding."""
    first, metric = raws[0], group_flag("metric")
    of_metrics = [raw for raw in raws if raw.file_group >= 0 and context.groups[raw.file_group][2] & metric]
    of_optimizer = [raw for raw in raws if raw not in of_metrics]
    both = [_state_left(raw, "optimizer") for raw in of_optimizer] + [_state_left(raw, "metrics") for raw in of_metrics]
    yield finding(
        316,
        severity_of(first),
        headline=entry(316).say(what=_state_said(both)),
        path=context.groups[first.file_group][0] if first.file_group >= 0 else None,
        expected=first.b,
        found=first.a,
        notes=["the weights of the model are complete without it"],
        keras=_keras_skips_state(context, of_optimizer[0]) if of_optimizer else None,
        help=state.build_optimizer(context, of_optimizer[0]) if of_optimizer and of_optimizer[0].a else [],
    )


def _state_left(raw: Raw, whose: str) -> tuple[str, int, int]:
    return whose, raw.a, raw.b


def _state_said(left: Sequence[tuple[str, int, int]]) -> str:
    """What is not loaded: ``(whose, tensors of the file, variables of the model)``, of the optimizer first."""
    if not left[0][1]:
        return "the file holds no optimizer state: training would go on with a fresh optimizer"
    if all(variables for _, _, variables in left):
        sides = [
            f"the saved {whose} {'has' if whose == 'optimizer' else 'have'} {plural(tensors, 'variable')}, the model's "
            f"{variables:,}"
            for whose, tensors, variables in left
        ]
        one = left == left[:1] and left[0][0] == "optimizer"
        return f"{', and '.join(sides)}: {'its' if one else 'their'} state is not loaded"
    state = " and ".join(
        f"of {'an optimizer' if whose == 'optimizer' else 'metrics'} ({plural(tensors, 'tensor')}"
        f"{f', the model has {variables:,}' if variables else ''})"
        for whose, tensors, variables in left
    )
    return f"the file also holds the state {state}, which is not loaded"


def _keras_skips_state(context: Context, raw: Raw) -> str | None:
    """What Keras 3 says of an optimizer with another count (keras.src.optimizers.base_optimizer, 3.0 to 3.15)."""
    model, row = context.model, raw.model_group
    if model is None or model.keras.flavour != "keras" or context.file.layout not in V3 or row < 0 or raw.a == raw.b:
        return None
    objects = getattr(model, "objects", ())
    name = getattr(objects[row], "name", None) if row < len(objects) else None
    outcome = context.plan.prediction.get("outcome") if context.plan is not None else "raises"
    if not isinstance(name, str) or outcome == "raises" or context.options.own or raw.file_group < 0:
        return None
    if len(context.groups[raw.file_group][3]) != raw.a:
        return None
    return (
        f"{context.keras_short} warns: Skipping variable loading for optimizer '{escape(name)}', because it has "
        f"{raw.b} variables whereas the saved optimizer has {raw.a} variables."
    )


def _option(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    by_name = bool(context.options.by_name)
    option = "by_name=True" if by_name else "skip_mismatch=True"
    headline = entry(320).say(option=f"`{option}`")
    note = "tf_keras takes it together with by_name=True only"
    help_ = context.load() if by_name else context.load("by_name=True", "skip_mismatch=True")
    if by_name and raws[0].severity == "error":
        note = "the file does not record the names of its layers (Keras 3.6 and newer do): match it by place"
    elif by_name and raws[0].a:
        headline = f"{context.keras} does not look at `by_name=True` here: it matches by place"
        note = "the file does not record the names of its layers, so kwload matches by place too"
        if raws[0].a == 2:
            note = "kwload takes it here: the file records the names of its layers"
            help_ = f"{help_}  matches by place, as {context.keras} does with this file"
    elif by_name:
        headline = f"{context.keras} takes `by_name=True` for legacy .h5 files only"
        note = "kwload takes it here too: the file records the names of its layers"
        help_ = f"{help_}  matches by place, as Keras does with this file"
    yield finding(320, severity_of(raws[0]), headline=headline, found=option, notes=[note], help=[help_])


def _keys(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    for raw in raws:
        layer = context.layer(raw.model_group) if raw.model_group >= 0 else "the model"
        keys = [name for name, _ in context.groups[raw.file_group][3]] if raw.file_group >= 0 else []
        wanted = [str(i) for i in range(len(context.rows_of[raw.model_group]))] if raw.model_group >= 0 else []
        yield finding(
            321,
            severity_of(raw),
            headline=entry(321).say(layer=quote(layer)),
            layer=layer,
            path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
            expected=wanted,
            found=keys,
            body=[f"file   {named(keys, 8)}", f"model  {named(wanted, 8)}"],
            help=["save the weights again with the version that wrote them", *load_the_rest(context)],
        )


def _own_load(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    names = layers_of(context, raws)
    yield finding(
        404,
        severity_of(raws[0]),
        headline=entry(404).say(layer=named(names) if names else "a layer"),
        layer=names[0] if names else None,
        notes=["`load_own_variables` is called with the tensors of the layer"],
        related=names[1:],
    )


def _unsupported(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Tensors that a variable would take, of a type that NumPy has not."""
    for raw in raws:
        tensor, variable = context.tensor(raw.file_tensor), context.variable(raw.model_tensor)
        if tensor is None:
            yield from _plain(context, [raw])
            continue
        yield finding(
            208,
            severity_of(raw),
            headline=entry(208).say(what=quote(tensor.path), detail=f"NumPy has no type for {escape(tensor.dtype)}"),
            layer=variable.layer if variable is not None else tensor.layer,
            variable=variable.name if variable is not None else tensor.variable,
            path=tensor.path,
            expected=variable.dtype if variable is not None else None,
            found=tensor.dtype,
            body=shapes.side_by_side(tensor, variable) if variable is not None else [],
            related=[context.variables[row].path for row in raw.related if row != raw.model_tensor],
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
            severity_of(raw),
            headline=entry(raw.code).say(**said),
            layer=layer,
            variable=variable.name if variable is not None else None,
            path=tensor.path if tensor is not None else where,
        )


def with_unmarked(context: Context, found: list[Finding]) -> list[Finding]:
    """Says which type tensors of two opaque bytes are taken to have: in KW406 where Keras refuses them, else KW309."""
    pairs = context.plan.pairs if context.plan is not None else ()
    taken = [pair for pair in pairs if context.tensors[pair[0]].dtype == "bfloat16"]
    taken = [pair for pair in taken if context.tensors[pair[0]].unmarked]
    if not taken:
        return found
    names = list(dict.fromkeys(context.variables[pair[1]].path for pair in taken))
    verb = "is" if len(names) == 1 else "are"
    said = f"{named(names)} {verb} 2-byte opaque in the file, no type recorded: taken as bfloat16"
    at = next((row for row, item in enumerate(found) if item.code == "KW406"), -1)
    if at >= 0:
        return [*found[:at], replace(found[at], notes=(said, *found[at].notes)), *found[at + 1 :]]
    tensor, variable = context.tensors[taken[0][0]], context.variables[taken[0][1]]
    untyped = finding(
        309,
        "note",
        headline=said,
        layer=variable.layer,
        variable=variable.name,
        path=tensor.path,
        expected=variable.dtype,
        found="opaque",
        keras="h5py gives Keras two bytes without a type, which nothing casts",
        related=names[1:],
    )
    return [*found, untyped]


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
            help=[
                f"in `build`: self.{escape(attributes[0])} = self.add_weight(shape=…, name={literal(attributes[0])})"
            ],
            related=attributes[1:],
        )
        for layer, attributes in layers.items()
    ]


_BUILDERS: Final[dict[int, Builder]] = {
    208: _unsupported,
    301: matches.missing,
    302: matches.unused,
    303: matches.renamed,
    304: order.swapped,
    305: inserted.inserted,
    306: variants.counts,
    307: shapes.shape_findings,
    308: shapes.transposed,
    309: _dtype,
    310: matches.nothing_matched,
    311: matches.not_built,
    312: matches.prefixed,
    313: order.reordered,
    314: recurrent.variants,
    315: quantized.quantized,
    316: _optimizer,
    318: matches.skipped,
    319: matches.undecidable,
    323: matches.counted,
    324: matches.not_saved,
    320: _option,
    321: _keys,
    322: architecture.wrong_file,
    325: quantized.lora,
    404: _own_load,
    405: converted.versions,
}
