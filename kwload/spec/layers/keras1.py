"""Keras 1: other names for classes, settings and variables.

    {"class_name": "Convolution2D", "config": {"nb_filter": 8, "nb_row": 3, "nb_col": 3, "dim_ordering": "tf", ...}}

Keras 2 (stand-alone) reads such configs as its own (``keras/legacy/interfaces.py``); what Keras 1 itself makes of them
has the names ``W`` and ``b``, and gates that are apart (``keras/layers/*.py`` of 1.2.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kwload.spec.layers.shapes import Length
from kwload.spec.signature import Shape, Signature, Var

_CLASSES: Final = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
}

_SETTINGS: Final = {
    "atrous_rate": "dilation_rate",
    "bias": "use_bias",
    "border_mode": "padding",
    "nb_filter": "filters",
    "output_dim": "units",
    "p": "rate",
    "pool_length": "pool_size",
    "sigma": "stddev",
    "stride": "strides",
    "subsample": "strides",
    "subsample_length": "strides",
}

_KEEP_OUTPUT_DIM: Final = frozenset({"Embedding", "MaxoutDense"})
_KEEP_BIAS: Final = frozenset({"Highway", "MaxoutDense"})

_SIZES: Final = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"), ("filter_length",))

_GATES: Final = {"LSTM": "icfo", "GRU": "zrh", "ConvLSTM2D": "icfo"}


def is_old(config: Mapping[str, Any]) -> bool:
    """Whether a config has settings that Keras 1 alone has."""
    return any(
        key in config
        for key in (
            "nb_filter",
            "border_mode",
            "output_dim",
            "dim_ordering",
            "p",
            "inner_init",
            "bias",
            "sigma",
            "length",
        )
    )


def translated(name: str, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Class and settings as Keras 2 calls them."""
    kind = _CLASSES.get(name, name)
    found: dict[str, Any] = {}
    for key, value in config.items():
        if (key == "output_dim" and kind in _KEEP_OUTPUT_DIM) or (key == "bias" and kind in _KEEP_BIAS):
            found[key] = value
        else:
            found[_SETTINGS.get(key, key)] = value
    for keys in _SIZES:
        if all(key in config for key in keys):
            found["kernel_size"] = [config[key] for key in keys]
    ordering = config.get("dim_ordering")
    if ordering in ("th", "tf"):
        found["data_format"] = "channels_first" if ordering == "th" else "channels_last"
    if "length" in config and kind.startswith("UpSampling"):
        found["size"] = config["length"]
    if kind == "GRU":
        found.setdefault("reset_after", False)
    return kind, found


def as_made(kind: str, config: Mapping[str, Any], found: Signature) -> Signature:
    """The same variables as Keras 1 makes them."""
    parts = [part for part in found.parts if isinstance(part, Var)]
    if len(parts) != len(found.parts):
        return found
    if kind in _GATES and len(parts) == 3:
        return Signature(tuple(_gates(kind, config, parts)), found.output_shape)
    if kind == "BatchNormalization" and parts:
        shape = parts[0].shape
        names = (("gamma", True), ("beta", True), ("running_mean", False), ("running_std", False))
        return Signature(tuple([Var(name, shape, None, trained) for name, trained in names]), found.output_shape)
    first = config.get("data_format") == "channels_first"
    return Signature(tuple([_renamed(kind, part, first) for part in parts]), found.output_shape)


def _renamed(kind: str, part: Var, first: bool) -> Var:
    name = {"kernel": "W", "bias": "b", "recurrent_kernel": "U", "embeddings": "W", "alpha": "alphas"}.get(part.name)
    shape = part.shape
    if part.name == "kernel" and shape is not None:
        if kind == "Conv1D":
            shape = (shape[0], 1, *shape[1:])
        elif kind == "Conv2DTranspose":
            shape = _turned((*shape[:-2], shape[-1], shape[-2]), first, last=True)
        elif kind in ("Conv2D", "Conv3D"):
            shape = _turned(shape, first)
    return Var(name or part.name, shape, part.dtype, part.trainable)


def _turned(shape: Shape, first: bool, last: bool = False) -> Shape:
    """A kernel in the order of ``dim_ordering="th"``: filters, channels, places."""
    if not first:
        return shape
    return (shape[-2], shape[-1], *shape[:-2]) if last else (shape[-1], shape[-2], *shape[:-2])


def _gates(kind: str, config: Mapping[str, Any], parts: list[Var]) -> list[Var]:
    gates, first = _GATES[kind], config.get("data_format") == "channels_first"
    letters = ("W", "U", "b")
    if config.get("consume_less") == "gpu":
        return [Var(letter, part.shape) for letter, part in zip(letters, parts, strict=True)]
    found = []
    for gate in gates:
        for letter, part in zip(letters, parts, strict=True):
            shape: Shape = part.shape or ()
            width: Length = shape[-1] // len(gates) if shape and shape[-1] is not None else None
            shape = (*shape[:-1], width)
            found.append(Var(f"{letter}_{gate}", _turned(shape, first) if len(shape) > 2 else shape))
    return found
