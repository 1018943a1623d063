"""Findings about recurrent layers that were saved as another variant (KW314): `reset_after`, cuDNN's.

The variant is told by the bias alone, for u units (``tf_keras.src.saving.legacy.hdf5_format``,
``_convert_rnn_weights``; ``keras.layers.GRU.build``):

==========  ==========================  ================
bias        3 gates                     4 gates
==========  ==========================  ================
(g * u,)    GRU(reset_after=False)      LSTM
(2, g * u)  GRU(reset_after=True)
(2 g u,)    CuDNNGRU                    CuDNNLSTM
==========  ==========================  ================
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from kwload.report import shapes
from kwload.report.context import Context, Wanted, entry, named, other_shape, shape_text
from kwload.report.escape import quote
from kwload.report.facts import Raw, TensorFacts
from kwload.report.finding import Finding
from kwload.report.words import load_the_rest, severity_of

_PLAIN: Final = {3: "GRU(reset_after=False)", 4: "LSTM"}
_TWO_ROWS: Final = "GRU(reset_after=True)"
_CUDNN: Final = {3: "CuDNNGRU", 4: "CuDNNLSTM"}


def variant_of(bias: Sequence[int], units: int, gates: int) -> str | None:
    """``"CuDNNGRU"``, ``"GRU(reset_after=True)"``, …: the layer that has such a bias; None for no layer."""
    if len(bias) == 2 and gates == 3 and tuple(bias) == (2, gates * units):
        return _TWO_ROWS
    if len(bias) != 1 or gates not in _PLAIN:
        return None
    return _PLAIN[gates] if bias[0] == gates * units else _CUDNN[gates] if bias[0] == 2 * gates * units else None


def _sizes(context: Context, row: int) -> tuple[int, int]:
    """Units and gates of the layer whose bias stands in a row of the model: those of the recurrent kernel before it."""
    kernel = context.variables[row - 1] if row > 0 else None
    if kernel is None or not kernel.name.endswith("recurrent_kernel") or len(kernel.shape) != 2 or not kernel.shape[0]:
        return 0, 0
    return kernel.shape[0], kernel.shape[1] // kernel.shape[0]


def _variants(context: Context, raw: Raw) -> tuple[str | None, str | None]:
    tensor, variable = context.tensor(raw.file_tensor), context.variable(raw.model_tensor)
    if tensor is None or variable is None:
        return None, None
    units, gates = _sizes(context, raw.model_tensor)
    return variant_of(tensor.shape, units, gates), variant_of(variable.shape, units, gates)


def variants(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Recurrent layers that are another variant in the file, one finding for each pair of variants."""
    together: dict[tuple[str | None, str | None], list[Raw]] = defaultdict(list)
    for raw in raws:
        together[_variants(context, raw)].append(raw)
    for (old, new), several in together.items():
        tensor, variable = context.tensor(several[0].file_tensor), context.variable(several[0].model_tensor)
        if tensor is not None and variable is not None:
            yield _variant(context, several, (old, new), tensor, variable)


def _variant(
    context: Context, raws: Sequence[Raw], sides: tuple[str | None, str | None], tensor: TensorFacts, variable: Wanted
) -> Finding:
    first, (old, new) = raws[0], sides
    rows = [row for raw in raws for row in (raw.model_tensor, *raw.related)]
    layers = [context.variables[row].layer for row in dict.fromkeys(rows)]
    others = [layer for layer in dict.fromkeys(layers) if layer != variable.layer]
    cudnn = any("CuDNN" in (side or "") for side in sides)
    headline = entry(314).say(variable=quote(variable.path))
    now = len(variable.shape) == 2
    cause = f"the model has `reset_after={now}`, the file `reset_after={not now}`"
    if cudnn:
        units, _ = _sizes(context, first.model_tensor)
        headline = f"{quote(variable.path)}: the file holds a {old}, the model has a {new}"
        cause = f"with {units:,} units, a bias {shape_text(tensor.shape)} is that of a {old}"
    return other_shape(
        314,
        severity_of(first),
        tensor,
        variable,
        headline=headline,
        body=shapes.side_by_side(tensor, variable, marked=not cudnn),
        related=[context.variables[row].path for row in dict.fromkeys(rows) if row != first.model_tensor],
        cause=cause,
        notes=[
            *([f"the same is true of {named(others)}"] if others else []),
            *(["kwload converts it when it loads: both compute the same"] if first.severity != "error" else []),
        ],
        keras=_keras(context) if first.severity != "error" else None,
        help=[*_help(sides, now=now), *load_the_rest(context)] if first.severity == "error" else [],
    )


def _keras(context: Context) -> str | None:
    outcome = context.plan.prediction.get("outcome") if context.plan is not None else None
    does = {"loads": "converts it too", "raises": "does not convert it, and raises"}.get(str(outcome))
    return f"{context.keras_short} {does}" if does is not None else None


def _help(sides: tuple[str | None, str | None], *, now: bool) -> list[str]:
    old, new = sides
    if "CuDNN" not in f"{old}{new}":
        return [f"build the layer with `reset_after={not now}`"]
    after = old == "CuDNNGRU" and new == _PLAIN[3]
    return ["build the layer with `reset_after=True`, which is what a CuDNNGRU computes"] if after else []


__all__ = ["variant_of", "variants"]
