"""One layer as a configuration records it: class, name, shapes, dtype policy, in the dialects of Keras 1 to 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from kwload.spec import layers
from kwload.spec.signature import Shape, Shapes

Raw: TypeAlias = "Mapping[str, Any]"
"""``{"class_name", "config", …}``, as it is recorded."""

_PACKAGES: Final = frozenset({"keras", "tf_keras", "tensorflow"})
_NETS: Final = frozenset({"Functional", "Model", "Network", "Sequential"})
_OPERATIONS: Final = frozenset(
    {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod", "InstanceProperty", "InstanceMethod"}
)
_REGISTERED: Final = frozenset({"Custom>CustomScaleLayer"})
"""Layers of tf_keras that it registers as users do theirs."""

_EITHER: Final = frozenset(
    {
        "Add",
        "Average",
        "Concatenate",
        "Dot",
        "Maximum",
        "Minimum",
        "Multiply",
        "Reshape",
        "Softmax",
        "Subtract",
    }
)
"""Names of layers of Keras 3 that operations bear too."""

_MOST_RANK: Final = 32
_MOST_LENGTH: Final = 2**62
_MOST_SHAPES: Final = 1024
_REAL: Final = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Exported name -> the class's own, which makes paths."""


def full_name(raw: Raw) -> str:
    """The class as it is recorded: ``"Dense"``, ``"My>Scale"``."""
    name = raw.get("class_name")
    return name if isinstance(name, str) else ""


def registered_name(raw: Raw) -> str:
    """What a class of the user's own is registered as: ``"My>Scale"``."""
    registered = raw.get("registered_name")
    return registered if isinstance(registered, str) and registered else full_name(raw)


def class_of(raw: Raw) -> str:
    """The class's own name: ``"Scale"`` of ``"My>Scale"`` and of ``"mine.layers.Scale"``."""
    name = full_name(raw).rpartition(">")[2].rpartition(".")[2]
    return _REAL.get(name, name)


def config_of(raw: Raw) -> Mapping[str, Any]:
    """The settings; none where the dialect writes something else there."""
    config = raw.get("config")
    return config if isinstance(config, dict) else {}


def name_of(raw: Raw) -> str | None:
    """The layer's name."""
    for name in (config_of(raw).get("name"), raw.get("name")):
        if isinstance(name, str) and name:
            return name
    return None


def layers_of(raw: Raw) -> list[Raw] | None:
    """The layers of a nested model, None for any other layer."""
    config = raw.get("config")
    found = config if isinstance(config, list) else config.get("layers") if isinstance(config, dict) else None
    if not isinstance(found, list) or not all(isinstance(layer, dict) for layer in found):
        return None
    return found if full_name(raw) in _NETS or is_graph(raw) else None


def is_graph(raw: Raw) -> bool:
    """Whether it is a functional model, or a class of the user's own that is one."""
    config = raw.get("config")
    return isinstance(config, dict) and isinstance(config.get("layers"), list) and "output_layers" in config


def is_operation(raw: Raw) -> bool:
    """Whether it is a function of tensors and no layer to Keras 3 (``x + 1``).

    Legacy files record no module, and `Reshape` may be either: a layer says whether it is trainable.
    """
    module = raw.get("module")
    if isinstance(module, str):
        return ".ops." in f".{module}."
    nodes = raw.get("inbound_nodes")
    called = isinstance(nodes, list) and bool(nodes) and isinstance(nodes[0], dict)
    if not called or "trainable" in config_of(raw) or layers_of(raw) is not None:
        return False
    name = full_name(raw)
    return name in _EITHER or not any(name in family for family in layers.rules())


def is_tensorflow_operation(raw: Raw) -> bool:
    """Whether it is a function of tensors that tf_keras wraps in a layer."""
    return full_name(raw) in _OPERATIONS


def is_foreign(raw: Raw) -> bool:
    """Whether the config itself says that the class is none of Keras's."""
    module = raw.get("module")
    if isinstance(module, str):
        return module.partition(".")[0] not in _PACKAGES
    registered = raw.get("registered_name")
    return isinstance(registered, str) or (">" in full_name(raw) and full_name(raw) not in _REGISTERED)


# ---- shapes ----


def shapes_of(value: Any, depth: int = 0) -> Shapes:
    """A shape, or several, as configs write them; None for what is none."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        value = value.get("items")
    if isinstance(value, dict):
        if depth > 2 or len(value) > _MOST_SHAPES:
            return None
        return {str(key): shapes_of(item, depth + 1) for key, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return None
    if all(item is None or _is_length(item) for item in value):
        return tuple(value) if len(value) <= _MOST_RANK else None
    if depth > 2 or len(value) > _MOST_SHAPES:
        return None
    return [shapes_of(item, depth + 1) for item in value]


def _is_length(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_LENGTH


def one_shape(value: Any) -> Shape | None:
    """A single shape, None for anything else."""
    found = shapes_of(value)
    return found if isinstance(found, tuple) else None


def built_with(raw: Raw) -> Shapes:
    """What the layer was built with, where the config says so (Keras 3, tf.keras 2.13 and newer)."""
    build = raw.get("build_config")
    if not isinstance(build, dict):
        return None
    named = build.get("shapes_dict")
    return shapes_of(named if isinstance(named, dict) else build.get("input_shape"))


ATTENTION: Final[Mapping[str, tuple[str, ...]]] = dict.fromkeys(
    ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention"), ("query", "value", "key")
)
"""Layers that are built with the shapes of several arguments: their arguments in order."""


def called_with(raw: Raw) -> Shapes:
    """What the first call of a layer hands to it, where the config records that (Keras 3)."""
    nodes = raw.get("inbound_nodes")
    node = nodes[0] if isinstance(nodes, list) and nodes else None
    if not isinstance(node, dict):
        return None
    args, kwargs = node.get("args"), node.get("kwargs")
    args = args if isinstance(args, list) else []
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    names = ATTENTION.get(full_name(raw))
    if names is not None:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        return {f"{name}_shape": _tensors(given[name]) for name in names if _tensors(given.get(name)) is not None}
    first = args[0] if args else next(iter(kwargs.values()), None)
    return _tensors(first)


def _tensors(value: Any) -> Shapes:
    """The shape of a tensor as Keras 3 records it, or of several in a list or a dict."""
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return one_shape(config_of(value).get("shape"))
    if isinstance(value, dict) and "class_name" not in value and 0 < len(value) <= _MOST_SHAPES:
        several = {name: _tensors(each) if isinstance(each, dict) else None for name, each in value.items()}
        return several if all(isinstance(each, tuple) for each in several.values()) else None
    if isinstance(value, list) and 0 < len(value) <= _MOST_SHAPES:
        found = [config_of(item).get("shape") if isinstance(item, dict) else None for item in value]
        return [one_shape(shape) for shape in found]
    return None


def given_shape(raw: Raw) -> Shape | None:
    """The shape of an input layer, or of the first layer of a Sequential of Keras 1 and 2."""
    config = config_of(raw)
    for key in ("batch_shape", "batch_input_shape"):
        found = one_shape(config.get(key))
        if found is not None:
            return found
    found = one_shape(config.get("input_shape"))
    if found is not None:
        return (None, *found)
    width = config.get("input_dim")  # Keras 1: Dense(input_dim=784), LSTM(input_dim=8, input_length=5)
    if not _is_length(width) or full_name(raw) == "Embedding":
        return None
    if "input_length" in config:
        length = config["input_length"]
        return (None, length if _is_length(length) else None, width)
    return (None, width)


# ---- dtype policies ----


def policy_of(config: Mapping[str, Any], inherited: str) -> str:
    """The name of a layer's dtype policy: ``"mixed_float16"``, ``"int8_from_float32"``."""
    value = config.get("dtype", config.get("dtype_policy"))
    if value is None:
        return inherited
    for _ in range(4):
        if not isinstance(value, dict):
            break
        inner = value.get("config")
        if not isinstance(inner, dict):
            return inherited
        if isinstance(inner.get("mode"), str) and isinstance(inner.get("source_name"), str):
            return f"{inner['mode']}_from_{inner['source_name']}"
        value = inner.get("default_policy", inner.get("name"))
    return value if isinstance(value, str) and value != "_infer" else inherited


def variable_dtype(policy: str) -> str:
    """The type that a policy gives to variables."""
    source = policy.rpartition("_from_")[2]
    return "float32" if source.startswith("mixed_") else source


def mode_of(policy: str) -> str | None:
    """How a quantized policy stores kernels: ``"int8"``."""
    mode, found, _ = policy.partition("_from_")
    return mode.partition("/")[0] if found else None
