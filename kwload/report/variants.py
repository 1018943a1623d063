"""Findings about the number of weights of a layer (KW306): why it differs, one finding for each reason.

The reasons are options that add or remove variables (section 4.1 of the format notes): ``use_bias``, ``scale`` and
``center``, missing statistics, and the weights that Keras 1 gave to each gate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kwload.report import custom, nested, order
from kwload.report.context import Context, Wanted, entry, finding, listed, named, shape_text
from kwload.report.escape import escape, quote
from kwload.report.facts import Raw, TensorFacts
from kwload.report.finding import Finding
from kwload.report.text import plural
from kwload.report.words import load_the_rest, severity_of

_KERAS_1_KINDS: Final = {4: "an LSTM", 3: "a GRU"}
_STATISTICS: Final = ("moving_mean", "moving_variance")
_CELLS: Final = ("lstm_cell", "gru_cell", "simple_rnn_cell")
_FLOATS: Final = ("float", "bfloat")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a layer has another number of weights.

    Attributes
    ----------
    kind : str
        What findings are joined by; ``""`` for a reason that is not known.
    cause : str or None
        The reason in words, for one layer.
    several : str
        The same for many layers, after "12 layers".
    help : str or None
        What to change; ``{layer}`` stands for the layer, or for all of them.
    """

    kind: str = ""
    cause: str | None = None
    several: str = ""
    help: str | None = None


@dataclass(frozen=True, slots=True)
class _Sides:
    """One layer as the file and the model have it; names are without their layers, ``""`` where there are none."""

    kind: str
    had: list[tuple[str, tuple[int, ...]]]
    wanted: list[tuple[str, tuple[int, ...]]]


def counts(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers whose number of weights differs, joined by the reason; and the number of layers."""
    together: dict[str, list[tuple[Raw, Reason]]] = defaultdict(list)
    for number, raw in enumerate(raws):
        if raw.model_group < 0:
            yield order.count_of_layers(context, raw)
            continue
        reason = _reason(context, raw)
        together[reason.kind or f"#{number}"].append((raw, reason))
    for several in together.values():
        yield _several(context, several) if len(several) > 1 else _single(context, *several[0])


def _single(context: Context, raw: Raw, reason: Reason) -> Finding:
    layer = context.layer(raw.model_group)
    kind = context.class_name(raw.model_group)
    return finding(
        306,
        severity_of(raw),
        headline=entry(306).say(what=f"number of weights of {quote(layer)}", found=raw.a, expected=raw.b),
        layer=layer,
        path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
        expected=raw.b,
        found=raw.a,
        cause=reason.cause,
        body=[*_side_by_side(context, raw), *nested.differences(context, raw)],
        notes=custom.class_changed(context, raw) or ([f"the class in the model is {escape(kind)}"] if kind else []),
        help=[*_help(reason, quote(_built_as(context, raw.model_group))), *load_the_rest(context)],
    )


def _help(reason: Reason, layer: str) -> list[str]:
    return [reason.help.replace("{layer}", layer)] if reason.help else []


def _several(context: Context, found: Sequence[tuple[Raw, Reason]]) -> Finding:
    """Many layers whose number differs for one reason."""
    raw, reason = found[0]
    layers = [context.layer(other.model_group) for other, _ in found]
    others = [
        f"{escape(context.layer(other.model_group))}: {other.a} in the file, {other.b} in the model"
        for other, _ in found[1:]
    ]
    return finding(
        306,
        severity_of(raw),
        headline=f"{plural(len(found), 'layer')} {reason.several}: {named(layers, 3)}",
        layer=layers[0],
        path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
        expected=raw.b,
        found=raw.a,
        cause=reason.cause,
        body=[f"{escape(layers[0])}:", *_side_by_side(context, raw), *listed(others, 3)],
        help=[*_help(reason, "them"), *load_the_rest(context)],
        related=layers[1:],
    )


def _side_by_side(context: Context, raw: Raw) -> list[str]:
    sides = _sides(context, raw)
    lines = []
    for title, items in (("file ", sides.had), ("model", sides.wanted)):
        more = f" and {len(items) - 6} more" if len(items) > 6 else ""
        said = ", ".join(f"{escape(name)} {shape_text(shape)}".lstrip() for name, shape in items[:6])
        lines.append(f"{title}  {said or 'nothing'}{more}")
    return lines


def _sides(context: Context, raw: Raw) -> _Sides:
    slots = context.groups[raw.file_group][3] if raw.file_group >= 0 else ()
    had = [(leaf(name), tuple(context.tensors[row].shape)) for name, row in slots if row >= 0]
    wanted = [(item.name.rpartition("/")[2], item.shape) for item in _wanted(context, raw)]
    return _Sides(context.class_name(raw.model_group), had, wanted)


def _wanted(context: Context, raw: Raw) -> list[Wanted]:
    return [context.variables[row] for row in context.rows_of[raw.model_group]]


def leaf(name: str) -> str:
    """The variable's own name; nothing for the numbers of the Keras 3 layout."""
    last = name.rpartition("/")[2].removesuffix(":0")
    return "" if last.isdigit() else last


def _reason(context: Context, raw: Raw) -> Reason:
    """Why the number differs, where names and shapes leave no doubt."""
    tensors = context.file_tensors(raw.file_group) if raw.file_group >= 0 else []
    where = context.groups[raw.file_group][0] if raw.file_group >= 0 else ""
    whole = len(tensors) == raw.a and not any(fault[3].startswith(where) for fault in context.file.faults)
    if not whole or not all(tensor.dtype.startswith(_FLOATS) for tensor in tensors):
        return Reason()
    sides = _sides(context, raw)
    return _gates(sides, tensors) or _normalization(sides) or _bias(sides) or Reason()


def _built_as(context: Context, group: int) -> str:
    """The layer that the code builds: a cell belongs to the recurrent layer around it."""
    owner, _, last = context.layer(group).rpartition("/")
    return owner if owner and last.rstrip("0123456789").rstrip("_") in _CELLS else context.layer(group)


def _bias(sides: _Sides) -> Reason | None:
    """A bias on one side only."""
    old, new = [shape for _, shape in sides.had], [shape for _, shape in sides.wanted]
    names = {name for name, _ in sides.wanted}
    if not any(name.endswith("kernel") for name in names):
        return None
    if len(old) + 1 == len(new):
        at = next((i for i, (name, _) in enumerate(sides.wanted) if name == "bias"), -1)
        named_bias = any(name.startswith("bias") or name.endswith("_b") for name, _ in sides.had)
        if at < 0 or named_bias or old != new[:at] + new[at + 1 :]:
            return None
        return Reason(
            "bias-model",
            "the layer in the file has no bias: it was built with `use_bias=False`",
            "have no bias in the file and one in the model",
            "to fit the file, build {layer} with use_bias=False",
        )
    if len(old) != len(new) + 1 or "bias" in names or old[:-1] != new:
        return None
    name = sides.had[-1][0]
    if not _is_bias(old[-1], new[-1]) or not (name in ("", "bias") or name.endswith("_b")):
        return None
    return Reason(
        "bias-file",
        f"the file has a bias {shape_text(old[-1])}, the model's layer has `use_bias=False`",
        "have a bias in the file and none in the model",
        "to fit the file, build {layer} with use_bias=True",
    )


def _is_bias(shape: Sequence[int], kernel: Sequence[int]) -> bool:
    """Whether a shape is that of the bias that follows such a kernel: of its last axes, or (2, 3 u) of a GRU."""
    if len(shape) == 1:
        return shape[0] == kernel[-1] or (len(kernel) > 2 and shape[0] == kernel[-1] * kernel[-2])
    return list(shape) == [2, kernel[-1]] or list(shape) == list(kernel[-len(shape) :])


def _normalization(sides: _Sides) -> Reason | None:
    """A normalization with other options, or without its statistics."""
    names = [name for name, _ in sides.wanted]
    widths = {shape for _, shape in (*sides.had, *sides.wanted)}
    if sides.kind not in ("BatchNormalization", "LayerNormalization", "GroupNormalization") or len(widths) != 1:
        return None
    known = [name for name, _ in sides.had]
    if all(known):
        return _normalization_named(set(known), names)
    more, fewer = len(sides.had) - len(names), len(names) - len(sides.had)
    if more > 0:
        lacks = [option for option, name in (("scale", "gamma"), ("center", "beta")) if name not in names]
        if len(lacks) == more:
            options = " and ".join(f"{option}=False" for option in lacks)
            return _options("the model", options, f"to fit the file, build {{layer}} without {options}")
        return None
    if fewer == 1 and {"gamma", "beta"} <= set(names):
        cause = "the layer in the file was built with `scale=False` or `center=False`, and does not say which"
        return Reason("one-off", cause, "have one weight less in the file", None)
    if fewer == 1 and {"gamma", "beta"} & set(names):
        option = "scale" if "gamma" in names else "center"
        return _options("the file", f"{option}=False", f"to fit the file, build {{layer}} with {option}=False")
    if fewer == 2 and sides.kind == "BatchNormalization" and len(names) == 4:
        cause = (
            "the file has two of its four weights and no names: either gamma and beta without the statistics, or the "
            "statistics of a layer with `scale=False, center=False`"
        )
        return Reason("two-of-four", cause, "have two of their four weights in the file", None)
    return None


def _normalization_named(known: set[str], names: Sequence[str]) -> Reason | None:
    """The same where the file says which weights it has."""
    gone = [name for name in names if name not in known]
    left = sorted(known - set(names))
    if gone and set(gone) <= set(_STATISTICS) and not left:
        cause = f"the file has {named(sorted(known))}, and not the statistics: {named(gone)}"
        return Reason("statistics", cause, "lack their statistics in the file", None)
    options = {"gamma": "scale=False", "beta": "center=False"}
    if gone and not left and set(gone) <= set(options):
        said = " and ".join(options[name] for name in gone)
        return _options("the file", said, f"to fit the file, build {{layer}} with {said.replace(' and ', ', ')}")
    if left and not gone and set(left) <= set(options):
        said = " and ".join(options[name] for name in left)
        return _options("the model", said, f"to fit the file, build {{layer}} without {said}")
    return None


def _options(side: str, options: str, help_: str) -> Reason:
    return Reason(
        f"{side} {options}",
        f"{side} has the layer with `{options}`",
        f"were built with {options} in {side} only",
        help_,
    )


def _gates(sides: _Sides, tensors: Sequence[TensorFacts]) -> Reason | None:
    """The weights of each gate apart, as Keras 1 stored them: W, U and b; of one layer or of both directions.

    What fits is converted when it is loaded; here is why a layer does not fit.
    """
    layers, rest = divmod(len(sides.wanted), 3)
    gates, more = divmod(len(tensors), 3 * layers) if layers else (0, 0)
    if rest or more or layers > 2 or gates not in _KERAS_1_KINDS:
        return None
    shapes = [shape for _, shape in sides.had]
    size, units = shapes[0][0] if shapes[0] else 0, shapes[1][-1] if shapes[1] else 0
    if shapes != [(size, units), (units, units), (units,)] * (gates * layers):
        return None
    (_, kernel), (_, recurrent), (_, bias) = sides.wanted[:3]
    if len(kernel) != 2 or len(recurrent) != 2 or recurrent[1] != gates * recurrent[0]:
        return None
    kind = _KERAS_1_KINDS[gates]
    cause = f"Keras 1 saved it: {len(tensors)} weights, W, U and b of each of the {gates} gates of {kind}"
    several = f"were saved by Keras 1, gate by gate ({len(tensors)} weights each)"
    if units != recurrent[0]:
        cause += f" with {plural(units, 'unit')}, where the model's has {recurrent[0]:,}"
        return Reason(f"keras-1-{units}", cause, several, f"to fit the file, build {{layer}} with units={units}")
    if len(bias) == 2:
        cause += ", which is one with `reset_after=False`"
        return Reason("keras-1-gru", cause, several, "to fit the file, build {layer} with reset_after=False")
    return Reason("keras-1-gates", cause, several)


__all__ = ["Reason", "counts", "leaf"]
