"""Findings about quantized layers and LoRA (KW315, KW325): how each side is quantized, and the call that makes them
agree.

The core tells the modes from types and shapes (``csrc/plan/quantized.c``); the variables of each are those of
``keras.layers.Dense.variable_serialization_spec`` (Keras 3.15).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kwload.report.context import V3, Context, finding, named, typed
from kwload.report.escape import literal
from kwload.report.facts import Raw, TensorFacts
from kwload.report.finding import Finding
from kwload.report.words import load_the_rest, severity_of

MODES: Final = ("", "int8", "int4", "float8", "gptq", "awq")
"""What ``model.quantize`` calls them, by the core's ``kw_quantization``."""

_QUANTIZABLE: Final = frozenset({"Dense", "EinsumDense", "Embedding", "ReversibleEmbedding"})
_FLOAT8: Final = frozenset({"Dense", "EinsumDense"})
_BLOCK: Final = 128
_MOST_SHOWN: Final = 6


def modes_of(raw: Raw) -> tuple[str, str]:
    """How the file's side and the model's are quantized, ``""`` for not at all."""
    old, new = divmod(max(raw.axis, 0), len(MODES))
    return MODES[old], MODES[new]


def quantized(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers that are quantized in another way in the file, one finding for each pair of modes."""
    for raw in raws:
        groups = context.groups_of(raw)
        names = list(dict.fromkeys(map(context.layer, groups))) or ["the model"]
        yield _quantized(context, raw, groups, names)


def _quantized(context: Context, raw: Raw, groups: Sequence[int], names: Sequence[str]) -> Finding:
    old, new = modes_of(raw)
    are = "is" if len(names) == 1 else "are"
    lacking = old in _POINTED and _lacks_points(context, raw)
    said = f"{named(names)} {are} quantized to {old} in the file"
    if lacking:
        said += f", without {'its' if len(names) == 1 else 'their'} zero points"
    if old and not new:
        said += ", and not in the model" if lacking else " and not in the model"
    elif new and not old:
        said = f"{named(names)} {are} quantized to {new} in the model and not in the file"
    elif old != new:
        said += f", to {new} in the model"
    elif not lacking:
        said += " with other groups of scales than in the model"
    tensors = context.file_tensors(raw.file_group) if raw.file_group >= 0 else []
    wanted = [context.variables[row] for row in context.rows_of[raw.model_group]] if raw.model_group >= 0 else []
    silent = raw.model_group >= 0 and bool(old) != bool(new) and context.fits(raw.file_group, raw.model_group)
    taken, place = ("scale", "bias") if old else ("bias", "scale")
    return finding(
        315,
        severity_of(raw),
        headline=said,
        layer=names[0],
        path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
        expected=new or "not quantized",
        found=old or "not quantized",
        body=[
            f"file   {_shown([typed(tensor.shape, tensor.dtype) for tensor in tensors])}",
            f"model  {_shown([typed(item.shape, item.dtype) for item in wanted])}",
        ],
        cause=_CAUSE if lacking else None,
        notes=[f"the shapes agree by chance: the {taken} would be taken for the {place}"] if silent else [],
        help=[*_help(context, old, new, groups, tensors), *load_the_rest(context)],
        related=names[1:],
    )


_POINTED: Final = ("gptq", "awq")
_CAUSE: Final = "Keras 3.15 leaves out the zero points of GPTQ and AWQ when it saves, and cannot load its own file"


def _lacks_points(context: Context, raw: Raw) -> bool:
    """Whether there is one kernel of bytes, and no zero points of the same type behind it."""
    return raw.file_group >= 0 and not _has_points(context.file_tensors(raw.file_group))


def _has_points(tensors: Sequence[TensorFacts]) -> bool:
    return sum(tensor.dtype == "uint8" and len(tensor.shape) > 1 for tensor in tensors) > 1


def _shown(items: Sequence[str]) -> str:
    more = f" and {len(items) - _MOST_SHOWN} more" if len(items) > _MOST_SHOWN else ""
    return ", ".join(items[:_MOST_SHOWN]) + more or "nothing"


def _help(context: Context, old: str, new: str, groups: Sequence[int], tensors: Sequence[TensorFacts]) -> list[str]:
    if not old:
        return [f"load the weights before quantizing: build the model, load, then `model.quantize({literal(new)})`"]
    fresh = "on a model that is not quantized yet: " if new else ""
    if context.model is not None and context.model.keras.flavour != "keras":
        return ["tf_keras has no quantized layers: load the file into a model of Keras 3"]
    if old in _POINTED and not _has_points(tensors):
        return ["load what was saved before quantizing, then quantize again: nothing tells the zero points"]
    if old in _POINTED:
        policy = _policy(old, tensors)
        return [f"build the quantized layers with `dtype={literal(policy)}`, as the file was, then load"]
    config = _config(old, tensors, context.class_name(groups[0]) if groups else "")
    if _is_all(context, groups, old):
        return [f"{fresh}`model.quantize({config})`, as the file was, then load"]
    names = [context.selectable(group) for group in groups]
    if any("/" in name for name in names) or len(names) > _MOST_SHOWN:
        return [f"{fresh}quantize the same layers as in the file, each with `layer.quantize({config})`, then load"]
    calls = "; ".join(f"model.get_layer({literal(name)}).quantize({config})" for name in names)
    return [f"{fresh}`{calls}`, as the file was, then load"]


def _is_all(context: Context, groups: Sequence[int], mode: str) -> bool:
    """Whether these are all layers that ``model.quantize`` would take."""
    kinds = _FLOAT8 if mode == "float8" else _QUANTIZABLE
    rows = context.rows_of
    return {row for row in range(len(rows)) if rows[row] and context.class_name(row) in kinds} <= set(groups)


def _config(mode: str, tensors: Sequence[TensorFacts], kind: str) -> str:
    """The argument of ``quantize`` that makes variables of these shapes for a layer of this class.

    An embedding of int4 has its scales in groups along the last axis, ``(rows, groups)``, any other layer along the
    first, ``(groups, units)``.
    """
    if mode != "int4":
        return literal(mode)
    kernel = next((tensor for tensor in tensors if len(tensor.shape) > 1), None)
    scale = next((tensor for tensor in tensors if tensor.dtype.startswith("float") and tensor is not kernel), None)
    scales = {tuple(tensor.shape) for tensor in tensors if tensor.dtype.startswith("float")}
    grouped = any(tensor.dtype == "int8" and tuple(tensor.shape) in scales for tensor in tensors)
    if not grouped:
        return '"int4", config=keras.quantizers.Int4QuantizationConfig(block_size=None)'
    scale = next((tensor for tensor in tensors if tensor.dtype == "float32" and len(tensor.shape) > 1), scale)
    if kernel is None or scale is None:
        return '"int4"'
    embedding = kind.endswith("Embedding")
    index = next((tensor.shape[0] for tensor in tensors if len(tensor.shape) == 1), 2 * kernel.shape[-1])
    groups, length = (scale.shape[-1], index) if embedding else (scale.shape[0], kernel.shape[0])
    size = -(-length // max(groups, 1))
    if groups == -(-length // _BLOCK):
        return '"int4"'
    return f'"int4", config=keras.quantizers.Int4QuantizationConfig(block_size={size})'


def _policy(mode: str, tensors: Sequence[TensorFacts]) -> str:
    """The dtype policy of a layer with these variables: ``"gptq/4/128_from_float32"``."""
    kernel = next((tensor for tensor in tensors if tensor.dtype == "uint8" and len(tensor.shape) > 1), None)
    scale = next((tensor for tensor in tensors if tensor.dtype == "float32" and len(tensor.shape) > 1), None)
    if kernel is None or scale is None:
        return f"{mode}/4/{_BLOCK}_from_float32"
    bits = 8 if kernel.shape[0] == scale.shape[0] else 4
    size = -1 if scale.shape[1] == 1 else -(-kernel.shape[1] // scale.shape[1])
    return f"{mode}/{bits}/{size}_from_float32"


def lora(context: Context, raws: list[Raw]) -> Iterator[Finding]:
    """Layers whose LoRA matrices one side has and the other has not (legacy layout)."""
    for raw in raws:
        groups = context.groups_of(raw)
        names = list(dict.fromkeys(map(context.layer, groups))) or ["the model"]
        sides = ("file", "model") if raw.a else ("model", "file")
        slots = context.groups[raw.file_group][3] if raw.file_group >= 0 else ()
        had = [(name.rpartition("/")[2].removesuffix(":0"), context.tensors[row]) for name, row in slots if row >= 0]
        wanted = [context.variables[row] for row in context.rows_of[raw.model_group]] if raw.model_group >= 0 else []
        first = [(name, tuple(tensor.shape)) for name, tensor in had] or []
        second = [(item.name, item.shape) for item in wanted]
        rank = next((shape[-1] for name, shape in (first if raw.a else second) if name.endswith("_a")), None)
        yield finding(
            325,
            severity_of(raw),
            headline=f"{named(names)} {'has' if len(names) == 1 else 'have'} LoRA matrices in the {sides[0]} and none "
            f"in the {sides[1]}",
            layer=names[0],
            path=context.groups[raw.file_group][0] if raw.file_group >= 0 else None,
            expected=[name for name, _ in second],
            found=[name for name, _ in first],
            body=[f"file   {_listed(first)}", f"model  {_listed(second)}"],
            help=_lora_help(context, groups, rank, in_file=bool(raw.a)),
            related=names[1:],
        )


def _listed(items: Sequence[tuple[str, tuple[int, ...]]]) -> str:
    from kwload.report.context import shape_text
    from kwload.report.escape import escape

    return _shown([f"{escape(name)} {shape_text(shape)}" for name, shape in items])


def _lora_help(context: Context, groups: Sequence[int], rank: int | None, *, in_file: bool) -> list[str]:
    if not in_file:
        return ["load the weights before `enable_lora`: build the model, load, then enable LoRA"]
    names = [context.selectable(group) for group in groups]
    if rank is None or len(names) > _MOST_SHOWN:
        return ["enable LoRA in the model as it was when the file was saved, then load"]
    calls = "; ".join(f"model.get_layer({literal(name)}).enable_lora({rank})" for name in names)
    return [f"`{calls}`, then load; `model.save_weights(…)` to a .weights.h5 then writes the merged kernel"]


def lora_reset(context: Context) -> list[Finding]:
    """KW325, a warning: the V3 formats store the merged kernel, so that loading sets both matrices of a layer to 0, and
    the gradient of either is then 0 for good (load_own_variables of Dense, Embedding, EinsumDense and convolutions,
    measured with Keras 3.3.3, 3.8.0 and 3.15.1)."""
    model, plan = context.model, context.plan
    if model is None or plan is None or context.file.layout not in V3 or context.options.own:
        return []
    objects = getattr(model, "objects", ())
    groups = dict.fromkeys(context.variables[pair[1]].group for pair in plan.pairs)
    enabled = [row for row in groups if row < len(objects) and getattr(objects[row], "lora_enabled", False) is True]
    enabled = [row for row in enabled if type(objects[row]).__module__.startswith("keras.")]
    if not enabled:
        return []
    names = list(dict.fromkeys(map(context.layer, enabled)))
    first = objects[enabled[0]]
    rank = getattr(first, "lora_rank", None)
    one = len(names) == 1
    call = f"`model.get_layer({literal(context.selectable(enabled[0]))}).enable_lora({rank})`"
    plain = one and isinstance(rank, int) and "/" not in context.selectable(enabled[0])
    return [
        finding(
            325,
            "warning",
            headline=f"{named(names)} {'has' if one else 'have'} LoRA enabled: loading sets both its matrices to 0, "
            "and they cannot be trained from there",
            layer=names[0],
            notes=["the file holds the kernel with LoRA merged into it; both matrices at 0 have a gradient of 0"],
            keras=f"{context.keras_short} does the same, without a word",
            help=[f"build the model, load, and enable LoRA last{f': {call}' if plain else ''}"],
            related=names[1:],
        )
    ]


__all__ = ["MODES", "lora", "lora_reset", "modes_of", "quantized"]
