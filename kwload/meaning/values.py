"""One value, however a Keras wrote it: the dialects of Keras 1 to 3 and of live objects, brought to one form.

    "relu"   {"class_name": "function", "config": "relu"}   <function relu>       -> "relu"
    [2, 2]   (2, 2)   2                                                           -> 2
    {"class_name": "LeakyReLU", "config": {"alpha": 0.30000001}}                  -> Obj("LeakyReLU", ...)
    {"class_name": "__lambda__", ...}                                             -> UNKNOWN: byte code says nothing

``same`` answers True, False, or None where nobody can tell.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kwload.meaning import effects
from kwload.meaning.net import Change, words


class _Unknown:
    """A value that cannot be compared."""


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True, slots=True)
class Obj:
    """A serialised object: a layer within a layer, an activation that is a layer."""

    kind: str
    config: dict[str, Any]


Value: TypeAlias = Any

_DEEPEST: Final = 24
_MOST: Final = 4096

KINDS: Final[dict[str, str]] = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
    "GroupQueryAttention": "GroupedQueryAttention",
}
"""Class as it was once called -> as Keras 3 calls it."""

# What the class fixed that Keras 3 has as a setting.
_IMPLIED: Final[dict[str, dict[str, Any]]] = {
    "CuDNNLSTM": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "CuDNNGRU": {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True},
}

_RENAMED: Final[dict[str, str]] = {
    "border_mode": "padding",
    "subsample": "strides",
    "subsample_length": "strides",
    "stride": "strides",
    "dim_ordering": "data_format",
    "inner_activation": "recurrent_activation",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size",
    "sigma": "stddev",
    "p": "rate",
}
_OLD: Final = frozenset(
    words(
        """
Dense Activation Dropout Conv1D Conv2D Conv3D Conv2DTranspose SeparableConv2D LocallyConnected1D LocallyConnected2D
MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D GlobalMaxPooling1D
GlobalMaxPooling2D GlobalMaxPooling3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D Cropping2D Cropping3D
SimpleRNN LSTM GRU ConvLSTM2D Embedding BatchNormalization GaussianNoise GaussianDropout PReLU ELU
SpatialDropout1D SpatialDropout2D SpatialDropout3D
"""
    )
)
"""Classes of Keras 1 that Keras has still."""

# Keys of Keras 1 that say how weights were begun or bounded, or a shape.
_KERAS_1: Final = frozenset(
    words(
        """
init inner_init forget_bias_init W_regularizer U_regularizer b_regularizer W_constraint U_constraint b_constraint
activity_regularizer bias nb_filter nb_row nb_col filter_length dropout_W dropout_U beta_init gamma_init
beta_regularizer gamma_regularizer alpha_initializer
"""
    )
)
_ONE_FOR_ALL: Final = frozenset(
    words("strides pool_size dilation_rate size padding cropping output_padding axis axes attention_axes")
)
_AXES: Final = frozenset({"axis", "axes", "attention_axes"})
_LOWER: Final = frozenset({"padding", "data_format", "merge_mode", "interpolation", "score_mode", "output_mode"})
_ACTIVATIONS: Final = frozenset({"activation", "recurrent_activation"})
ACTIVATIONS: Final = frozenset({"Activation", "ReLU", "Softmax", "ELU", "LeakyReLU"})
"""Layers that are nothing but an activation."""

_ALIASES: Final = {"swish": "silu", "hard_swish": "hard_silu", "": "linear"}
_POLICIES: Final = frozenset({"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"})
_FUNCTIONS: Final = frozenset({"function", "builtin_function_or_method", "type"})


def kind_of(name: str) -> str:
    """The class's name in Keras 3, without the package that it is registered in."""
    own = name.rpartition(">")[2]
    return KINDS.get(own, own)


def settings(kind_name: str, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Class and settings of a layer by their names in Keras 3; the values are still in their dialect."""
    cell = config.get("cell")
    if kind_name == "RNN" and isinstance(cell, dict) and isinstance(cell.get("config"), dict):
        name = str(cell.get("class_name"))
        if name in ("LSTMCell", "GRUCell", "SimpleRNNCell"):  # an RNN of one is the layer of that name
            outer = {key: value for key, value in config.items() if key != "cell"}
            return name[:-4], {**cell["config"], **outer}
    kind = kind_of(kind_name)
    out = _keras_1(kind, config) if kind in _OLD else dict(config)
    if kind == "LeakyReLU" and "alpha" in out:
        out["negative_slope"] = out.pop("alpha")
    if kind_name in _IMPLIED:
        out.update(_IMPLIED[kind_name])
    if "data_format" in out and (out["data_format"] is None or out["data_format"] == "default"):
        del out["data_format"]
    if "strides" in out and out["strides"] is None:
        out["strides"] = out.get("pool_size")
    layers = out.get("layers")
    if isinstance(layers, list):  # some dialects list the input of a Sequential, some do not
        out["layers"] = [x for x in layers if not isinstance(x, dict) or x.get("class_name") != "InputLayer"]
    if kind == "Reshape" and _collapsed(plain(out.get("target_shape"))) == -1:
        return "Flatten", {key: value for key, value in out.items() if key != "target_shape"}
    return kind, out


def _keras_1(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a class that Keras 1 had by their names of today."""
    if _OF_KERAS_1.isdisjoint(config):
        return dict(config)
    out = {}
    for key, value in config.items():
        if key in _KERAS_1:
            continue
        new = "size" if key == "length" and kind == "UpSampling1D" else _RENAMED.get(key, key)
        out[new] = _FORMATS.get(value, value) if key == "dim_ordering" and isinstance(value, str) else value
    return out


_OF_KERAS_1: Final = _KERAS_1 | _RENAMED.keys() | {"length"}
_FORMATS: Final = {"tf": "channels_last", "th": "channels_first"}


def plain(value: Any, depth: int = 0) -> Value:
    """A value in normal form; UNKNOWN for what has none."""
    if value is None or isinstance(value, (bool, int, float, str, Obj)) or value is UNKNOWN:
        return value
    if depth > _DEEPEST:
        return UNKNOWN
    if isinstance(value, dict):
        return _plain_dict(value, depth)
    if isinstance(value, (list, tuple)):
        if len(value) > _MOST:
            return UNKNOWN
        return [plain(item, depth + 1) for item in value]
    return _plain_live(value, depth)


def _plain_dict(value: dict[Any, Any], depth: int) -> Value:
    name, config = value.get("class_name"), value.get("config")
    if not isinstance(name, str):
        if value.get("type") == "ndarray" and "value" in value:  # tf_keras: an array in a legacy config
            return plain(value["value"], depth + 1)
        if len(value) > _MOST:
            return UNKNOWN
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if name in _FUNCTIONS:
        return plain(config, depth + 1) if isinstance(config, str) else UNKNOWN
    if name == "__tuple__":
        return plain(value.get("items"), depth + 1)
    if name in ("__numpy__", "__tensor__", "__bytes__") and isinstance(config, dict):
        return plain(config.get("value"), depth + 1)
    if name.startswith("__"):  # byte code, a slice, a type
        return UNKNOWN
    if name == "TypeSpec" or not isinstance(config, dict):
        return config if isinstance(config, str) else Obj(kind_of(name), {})
    kind, own = settings(name, config)
    return Obj(kind, own)


def _plain_live(value: Any, depth: int) -> Value:
    """Of an object that a live layer's ``get_config`` hands out as it is."""
    try:
        if hasattr(value, "tolist") and hasattr(value, "dtype"):  # of NumPy
            return plain(value.tolist(), depth + 1) if getattr(value, "size", 1) <= _MOST else UNKNOWN
        if hasattr(value, "get_config"):
            config = value.get_config()
            kind, own = settings(type(value).__name__, config if isinstance(config, dict) else {})
            return Obj(kind, own)
        name = getattr(value, "__name__", None) or getattr(value, "name", None)
        return name if isinstance(name, str) and name != "<lambda>" else UNKNOWN
    except Exception:  # noqa: BLE001 - a user's object may raise anything
        return UNKNOWN


def activation(value: Any) -> Value:
    """An activation: its name, or an Obj when it has settings that matter."""
    found = plain(value)
    if found is None:
        return "linear"
    if found == "leaky_relu":
        return Obj("LeakyReLU", {"negative_slope": 0.2})
    if isinstance(found, str):
        return _ALIASES.get(found, found)
    if isinstance(found, Obj):
        inner = _activation_of(found.kind, found.config)
        return found if inner is None else inner
    return found


def _activation_of(kind: str, config: dict[str, Any]) -> Value:
    """The activation that a layer of this class and these settings is; None for another layer."""
    if kind == "Activation":
        return activation(config.get("activation"))
    if kind == "ReLU":
        return _relu(config)
    if kind == "Softmax":
        return "softmax" if same("axis", config.get("axis", -1), -1) else Obj(kind, config)
    if kind == "ELU":
        return "elu" if same("alpha", config.get("alpha", 1.0), 1.0) else Obj(kind, config)
    if kind == "LeakyReLU":
        return Obj(kind, {"negative_slope": plain(config.get("negative_slope", 0.3))})
    return None


def _relu(config: dict[str, Any]) -> Value:
    slope, threshold = plain(config.get("negative_slope")) or 0.0, plain(config.get("threshold")) or 0.0
    top = plain(config.get("max_value"))
    if slope == 0 and threshold == 0 and top is None:
        return "relu"
    if slope == 0 and threshold == 0 and top == 6:
        return "relu6"
    return Obj("ReLU", {"max_value": top, "negative_slope": slope, "threshold": threshold})


def as_activation(kind: str, config: dict[str, Any]) -> Value:
    """What a layer that is nothing but an activation computes; None for any other layer."""
    if kind not in ACTIVATIONS:
        return None
    return _activation_of(kind, settings(kind, config)[1])


def policy(value: Any) -> Value:
    """The name of a dtype policy: ``"float32"``, ``"mixed_float16"``; None when it is not recorded."""
    found = plain(value)
    if isinstance(found, Obj):
        found = plain(found.config.get("name"))
    if not isinstance(found, str):
        return None
    return found.rpartition("_from_")[2]  # "int8_from_float32": that it is quantized is said elsewhere


def _collapsed(value: Value) -> Value:
    """``2`` of ``[2, 2]`` and of ``[[2, 2], [2, 2]]``."""
    if isinstance(value, list) and value:
        items = [_collapsed(item) for item in value]
        return items[0] if all(_equal(item, items[0]) for item in items[1:]) else items
    return value


def _single(value: float) -> object:
    """The number as float32 has it; itself when that is too small for it."""
    try:
        return struct.pack("<f", value)
    except (OverflowError, struct.error):
        return value


def _equal(a: Value, b: Value) -> bool | None:
    """Whether two values in normal form are the same; None for one that cannot be compared."""
    if a is UNKNOWN or b is UNKNOWN:
        return None
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or (float in (type(a), type(b)) and _single(a) == _single(b))
    if isinstance(a, list) and isinstance(b, list):
        return _all(_equal(x, y) for x, y in zip(a, b, strict=True)) if len(a) == len(b) else False
    if isinstance(a, Obj) and isinstance(b, Obj):
        return _same_objects(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return False
        return _all(_equal(plain(a[key]), plain(b[key])) for key in a)
    if type(a) is type(b) or a is None or b is None:
        return bool(a == b)
    if isinstance(a, (Obj, dict)) or isinstance(b, (Obj, dict)):
        return False if isinstance(a, (str, Obj)) and isinstance(b, (str, Obj)) else None
    return False


def _all(answers: Any) -> bool | None:
    unknown = False
    for answer in answers:
        if answer is False:
            return False
        unknown = unknown or answer is None
    return None if unknown else True


def _same_objects(a: Obj, b: Obj) -> bool | None:
    if a.kind != b.kind:
        return False
    found = differences(a.kind, a.config, b.config)
    return not any(change.effect in ("output", "may") for change in found)


def same(key: str, a: Any, b: Any, rank: int | None = None) -> bool | None:
    """Whether two values of one setting mean the same, None when nobody can tell.

    Parameters
    ----------
    key : str
        The setting, by its name in Keras 3.
    a, b : object
        In any dialect.
    rank : int, optional
        Of the tensor that an axis counts on, where it is known.
    """
    if key in _ACTIVATIONS:
        return _same_activation(activation(a), activation(b))
    if key == "dtype":
        a, b = policy(a), policy(b)
        return bool(a == b) if a in _POLICIES and b in _POLICIES else None
    a, b = plain(a), plain(b)
    if key in _ONE_FOR_ALL:
        a, b = _collapsed(a), _collapsed(b)
    if key in _LOWER and isinstance(a, str) and isinstance(b, str):
        return a.lower() == b.lower()
    if key in _AXES:
        return _same_axes(a, b, rank)
    if key in ("vocabulary", "mean", "variance") and (a is None or b is None):
        return None if a is not b else True  # given, or learned: the weights tell
    if key in ("function", "arguments") and isinstance(a, list):
        return True if a == b else None  # byte code
    return _equal(a, b)


def _same_activation(a: Value, b: Value) -> bool | None:
    if isinstance(a, str) and isinstance(b, str) and a != b:
        # "Mine>gelu_fast" and "gelu_fast" may be one function
        return None if ">" in a + b and a.rpartition(">")[2] == b.rpartition(">")[2] else False
    return _equal(a, b)


def _same_axes(a: Value, b: Value, rank: int | None) -> bool | None:
    if _equal(a, b):
        return True
    some, others = (list(x) if isinstance(x, list) else [x] for x in (a, b))
    if not all(isinstance(x, int) for x in (*some, *others)) or len(some) != len(others):
        return _equal(a, b)
    if all(x < 0 for x in (*some, *others)) or all(x >= 0 for x in (*some, *others)):
        return sorted(some) == sorted(others)
    if rank is None:
        return None
    return sorted(x % rank for x in some) == sorted(x % rank for x in others) if rank > 0 else None


def differences(
    kind: str, stored: dict[Any, Any], live: dict[Any, Any], *, custom: bool = False, layer: Any = None
) -> list[Change]:
    """The settings (by their names in Keras 3) in which two layers of one class differ, with what that does; *layer* is
    the live one, which knows the rank that an axis counts on."""
    found = []
    for key in dict.fromkeys([*live, *stored]):
        effect = effects.effect_of(kind, key, custom) if isinstance(key, str) else "none"
        if effect == "none":
            continue
        a, b = _with_absent(key, stored, live, custom)
        if a is _MISSING or b is _MISSING or (type(a) is type(b) and isinstance(a, (str, int, float)) and a == b):
            continue
        if key == "reset_after" and (stored.get("use_bias", True) or live.get("use_bias", True)):
            continue  # the bias has another shape then
        inner = _inner(key, a, b)
        if inner is not None:
            found += inner
        elif same(key, a, b, rank_of(layer) if key in _AXES else None) is False:
            found.append(Change(key, shown(key, a), shown(key, b), effect))
    return _said_once(found) if kind == "Bidirectional" and not custom else found


def _said_once(changes: list[Change]) -> list[Change]:
    """Without what is true of the backward layer because it is of the forward one, whose copy it is, and without what
    Bidirectional sets itself, whatever its layers say (tf_keras does not record it)."""
    changes = [change for change in changes if not change.key.endswith("layer.zero_output_for_mask")]
    ours = [(f"backward_{change.key}", change.stored, change.live) for change in changes]
    return [change for change in changes if (change.key, change.stored, change.live) not in ours]


_MISSING: Final = object()


def _with_absent(key: str, stored: dict[str, Any], live: dict[str, Any], custom: bool) -> tuple[Any, Any]:
    """Both values; what one side does not record is what it did before the key existed, where that is known."""
    a, b = stored.get(key, _MISSING), live.get(key, _MISSING)
    if (a is _MISSING or b is _MISSING) and not custom:
        known, value = effects.absent_value(key)
        if known:
            return (value if a is _MISSING else a), (value if b is _MISSING else b)
    return a, b


def _inner(key: str, a: Any, b: Any) -> list[Change] | None:
    """The differences within two layers that a wrapper holds; None when these are no such."""
    if key in _ACTIVATIONS or key == "dtype":
        return None
    a, b = plain(a), plain(b)
    if isinstance(a, list) and isinstance(b, list) and a and len(a) == len(b):
        if all(isinstance(x, Obj) for x in (*a, *b)):
            pairs = zip(a, b, strict=True)
            return [change for i, (x, y) in enumerate(pairs) for change in _inside(f"{key}[{i}]", x, y)]
        return None
    if isinstance(a, Obj) and isinstance(b, Obj):
        return _inside(key, a, b)
    return None


def _inside(key: str, a: Obj, b: Obj) -> list[Change]:
    if a.kind != b.kind:
        return [Change(key, a.kind, b.kind, "may")]
    return [
        Change(f"{key}.{change.key}", change.stored, change.live, change.effect)
        for change in differences(a.kind, a.config, b.config)
    ]


def shown(key: str, value: Any) -> Value:
    """The value as a report says it."""
    if key in _ACTIVATIONS:
        return activation(value)
    if key == "dtype":
        return policy(value)
    found = plain(value)
    return _collapsed(found) if key in _ONE_FOR_ALL - {"padding"} else found


def paths_of(name: str, config: dict[str, Any], depth: int = 0) -> list[str]:
    """The settings that are the activation of this name, in the layer and in those that it holds."""
    found = []
    for key, value in config.items():
        if key in _ACTIVATIONS:
            found += [key] if activation(value) == name else []
        elif key in ("layer", "backward_layer", "cell") and depth < _DEEPEST:
            inner = plain(value)
            if isinstance(inner, Obj):
                found += [f"{key}.{path}" for path in paths_of(name, inner.config, depth + 1)]
    return found


def rank_of(layer: Any) -> int | None:
    """Of the tensor that the layer takes, where it is easily known."""
    if layer is None:
        return None
    try:
        spec = layer.input_spec
        found = getattr(spec, "ndim", None)
        if found is None:
            found = len(layer.input.shape)
    except Exception:  # noqa: BLE001 - never called, or several inputs
        return None
    return found if isinstance(found, int) else None
