"""KW301 where a layer of the same name at the same place is of another class in the file.

::

    file    layers/gru        named `rnn`   GRU: kernel (3, 12) ...
    model   layers/lstm       named `rnn`   LSTM

The Keras 3 layout calls what is in a list after its class, so that nothing is found when the class changes
(``keras.src.saving.saving_lib._save_container_state``, 3.0 to 3.15). The names that people gave say that it is the
same layer; names that Keras made tell the class, and are never the same for two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kwload.report.context import V3, Context, finding, shape_text
from kwload.report.escape import escape, quote
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.words import load_the_rest, severity_of
from kwload.spec.naming import snake

_KNOWN: Final = (
    "Dense",
    "EinsumDense",
    "Embedding",
    "LSTM",
    "GRU",
    "SimpleRNN",
    "RNN",
    "Bidirectional",
    "TimeDistributed",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "BatchNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "UnitNormalization",
    "RMSNormalization",
    "SpectralNormalization",
    "Normalization",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "MultiHeadAttention",
    "GroupQueryAttention",
    "Attention",
    "AdditiveAttention",
    "PReLU",
)
_CLASSES: Final = {snake(kind): kind for kind in _KNOWN}
_SHOWN: Final = 6


def retyped(context: Context, raws: Sequence[Raw]) -> dict[int, int]:
    """Layers of the model that find nothing -> those of the file, unused, that have their name and another class."""
    if context.file.layout not in V3 or context.model is None or context.options.by_name:
        return {}
    unused = {raw.file_group for raw in raws if raw.code == 302 and raw.file_group >= 0 and raw.file_tensor < 0}
    groups, found = context.model.groups, {}
    rows = {group[0]: row for row, group in enumerate(groups)}
    for raw in raws:
        lost = context.groups_of(raw) if raw.code == 301 and raw.severity == "error" else []
        for row in {above for group in lost for above in _above(groups[group][0], rows)}:
            folder, _, place = groups[row][0].rpartition("/")
            same = [old for old in context.rows_named(groups[row][1]) if _outermost(context, old, unused) is not None]
            if len(same) != 1 or not groups[row][1]:
                continue
            there, _, other = context.groups[same[0]][0].rpartition("/")
            if there == folder and _stem(other) != _stem(place) == snake(groups[row][2] or ""):
                found[row] = same[0]
    return found


def _above(path: str, rows: dict[str, int]) -> Iterator[int]:
    """The objects of the model at a path and above it."""
    parts = path.split("/")
    return (rows[above] for depth in range(len(parts), 0, -1) if (above := "/".join(parts[:depth])) in rows)


def _outermost(context: Context, row: int, unused: set[int]) -> int | None:
    """The group itself when it is unused, or is around one that is."""
    path = context.groups[row][0]
    return row if row in unused or any(context.groups[old][0].startswith(f"{path}/") for old in unused) else None


def _stem(name: str) -> str:
    head, _, tail = name.rpartition("_")
    return head if head and tail.isdecimal() else name


def settled(context: Context, raws: Sequence[Raw], pairs: dict[int, int]) -> list[Raw]:
    """The findings that the change of class stands for."""
    if not pairs or context.model is None:
        return []
    new = tuple(context.model.groups[row][0] for row in pairs)
    old = tuple(context.groups[row][0] for row in pairs.values())
    out = []
    for raw in raws:
        if raw.code == 301 and raw.severity == "error":
            about = [context.model.groups[group][0] for group in context.groups_of(raw)]
            if about and all(_within(path, new) for path in about):
                out.append(raw)
        elif raw.code == 302 and raw.file_group >= 0 and _within(context.groups[raw.file_group][0], old):
            out.append(raw)
    return out


def _within(path: str, roots: Sequence[str]) -> bool:
    return any(f"{path}/".startswith(f"{root}/") for root in roots)


def class_changed(context: Context, pairs: dict[int, int], raws: Sequence[Raw]) -> Iterator[Finding]:
    """One finding for each layer whose class changed."""
    groups = context.model.groups if context.model is not None else ()
    errors = [raw for raw in raws if raw.code == 301]
    for new, old in pairs.items():
        path = context.groups[old][0]
        kind = _CLASSES.get(_stem(path.rpartition("/")[2]), f"`{escape(_stem(path.rpartition('/')[2]))}`")
        rows = [row for row, item in enumerate(context.variables) if _within(groups[item.group][0], [groups[new][0]])]
        wanted = [context.variables[row] for row in rows]
        held = [
            tensor
            for row, group in enumerate(context.groups)
            if _within(group[0], [path])
            for tensor in context.file_tensors(row)
        ]
        yield finding(
            301,
            severity_of(errors[0]),
            headline=f"the class of {quote(groups[new][1] or '')} changed: {kind} in the file, "
            f"{escape(groups[new][2] or '')} in the model",
            layer=groups[new][1],
            path=path,
            expected=[list(context.variables[row].shape) for row in rows],
            found=[list(tensor.shape) for tensor in held],
            body=[
                f"file   {_some([shape_text(tensor.shape) for tensor in held])}",
                f"model  {_some([f'{escape(item.name)} {shape_text(item.shape)}' for item in wanted])}",
            ],
            notes=[f"name and place are the same: {quote(path)} in the file, {quote(groups[new][0])} in the model"],
            help=[
                f"build it as {kind} again, or leave it as initialised and {call}" if not kind.startswith("`") else call
                for call in load_the_rest(context)
            ],
            related=[context.variables[row].path for row in rows],
        )


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{', '.join(items[:_SHOWN])}{more}"


__all__ = ["class_changed", "retyped", "settled"]
