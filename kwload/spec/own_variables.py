"""How an object of Keras takes its own variables from a file: in which order (``load_own_variables``)."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from kwload.spec.described import (
    COUNTED,
    NO_COUNT,
    NOT_LOADABLE,
    OPTIMIZER,
    OWN_LOAD,
    PACKAGES,
    Variable,
    package_of,
)


def keras3_row(variable: Any, layer: str) -> Variable:
    name = str(variable.name)
    try:  # `shape` and `dtype` of the tensorflow backend build objects: 5 us a variable
        shape, dtype, trainable = variable._shape, variable._dtype, variable._trainable
    except AttributeError:
        shape, dtype, trainable = variable.shape, variable.dtype, variable.trainable
    return (
        name,
        f"{layer}/{name}" if layer else name,
        layer,
        tuple(shape) if shape is not None else (),
        dtype if type(dtype) is str else getattr(dtype, "name", str(dtype)),
        bool(trainable),
    )


def tensorflow_row(variable: Any, layer: str, keep_scope: bool = False) -> Variable:
    full = str(variable.name).partition(":")[0]
    name = full if keep_scope else full.rpartition("/")[2]
    listed = variable.shape.as_list() if variable.shape.rank is not None else []
    shape = tuple(listed) if None not in listed else ()  # that of a lookup table's variable is not known
    return name, f"{layer}/{name}" if layer else name, layer, shape, variable.dtype.base_dtype.name, variable.trainable


# How an object takes its own variables: (variables in the order of the keys "0", "1", ..., flags).
Rule: TypeAlias = Callable[[Any], tuple[list[Any], int]]


def _tracked(layer: Any) -> list[Any]:
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def _rule_keras3(layer: Any) -> tuple[list[Any], int]:
    return _tracked(layer), 0


def _rule_tf_keras(layer: Any) -> tuple[list[Any], int]:
    if layer._self_tracked_trackables:  # as load_own_variables: variables in lists count
        layer._update_trackables()
    weights = [*layer._trainable_weights, *layer._non_trainable_weights]
    variables = assignable(weights)
    return variables, 0 if len(variables) == len(weights) else OWN_LOAD


def assignable(weights: list[Any]) -> list[Any]:
    """Those that are variables: tf_keras lists lookup tables among the weights too."""
    return [weight for weight in weights if hasattr(weight, "assign")]


def _rule_nothing(_: Any) -> tuple[list[Any], int]:
    return [], NO_COUNT


def _rule_none(_: Any) -> tuple[list[Any], int]:
    return [], NOT_LOADABLE


def _rule_optimizer(optimizer: Any) -> tuple[list[Any], int]:
    return list(optimizer.variables), OPTIMIZER


def _rule_own(obj: Any) -> tuple[list[Any], int]:
    """A class that reads the file itself: its variables are listed, which key goes where is its own affair."""
    for names in (
        ("_trainable_variables", "_non_trainable_variables"),
        ("_trainable_weights", "_non_trainable_weights"),
    ):
        if hasattr(obj, names[0]):
            return [*getattr(obj, names[0]), *getattr(obj, names[1], ())], OWN_LOAD
    return [], OWN_LOAD


def _rule_lookup(layer: Any) -> tuple[list[Any], int]:
    """StringLookup, IntegerLookup, TextVectorization: one array under the key ``idf_weights``, or nothing at all."""
    lookup = getattr(layer, "_lookup_layer", layer)
    return [], OWN_LOAD if lookup.output_mode == "tf_idf" else NO_COUNT


def _rule_stated(layer: Any) -> tuple[list[Any], int]:
    """Dense, EinsumDense, Embedding, convolutions: an order of their own when quantized, no count check under LoRA."""
    tracked = _tracked(layer)
    lora = bool(getattr(layer, "lora_enabled", False))
    policy = getattr(layer, "dtype_policy", None)  # up to 3.4 only the policy knows the mode
    mode = getattr(layer if hasattr(layer, "quantization_mode") else policy, "quantization_mode", None)
    if not layer.built or (mode is None and not lora and len(tracked) < 2):
        return tracked, NO_COUNT if lora else 0
    try:
        stated = _stated(layer, mode)
    except Exception:  # noqa: BLE001 - an unknown mode: only the layer knows
        return tracked, OWN_LOAD
    if lora:
        return stated, NO_COUNT
    if len(stated) != len(tracked) or {id(v) for v in stated} != {id(v) for v in tracked}:
        # A subclass with variables of its own: since 3.1 its base counts all, and takes those that it knows.
        known = hasattr(layer, "_check_load_own_variables")
        return tracked, OWN_LOAD | COUNTED if known else 0
    return stated, 0


# Keras 3.1 to 3.11 has no variable_serialization_spec: the orders of its load_own_variables.
_ORDERS: Final[dict[str | None, tuple[str, ...]]] = {
    None: (),
    "int8": ("kernel_scale",),
    "int4": ("kernel_scale",),
    "float8": (
        "inputs_scale",
        "inputs_amax_history",
        "kernel_scale",
        "kernel_amax_history",
        "outputs_grad_scale",
        "outputs_grad_amax_history",
    ),
}


def _stated(layer: Any, mode: str | None) -> list[Any]:
    """The variables in the order of the layer's ``variable_serialization_spec``, those that it has."""
    embedding = hasattr(layer, "_embeddings")
    spec = getattr(layer, "variable_serialization_spec", None)
    if spec is not None:
        names: Sequence[str] = spec[mode]
    elif embedding:
        names = {None: ("embeddings",), "int8": ("embeddings", "embeddings_scale")}[mode]
    elif hasattr(layer, "kernel_size"):  # convolutions are never quantized
        names = ("kernel", "bias")
    else:
        names = ("kernel", "bias", *_ORDERS[mode])
    stated = []
    for name in names:
        if name == "kernel" or (embedding and name == "embeddings"):
            stated.append(getattr(layer, f"_{name}"))
        elif name == "bias":
            if layer.bias is not None:
                stated.append(layer.bias)
        elif embedding or name in ("kernel_zero", "g_idx"):
            if hasattr(layer, name):
                stated.append(getattr(layer, name))
        else:
            stated.append(getattr(layer, name))
    return stated


_RULES: Final[dict[tuple[str, str], Rule]] = {
    ("keras", "Layer"): _rule_keras3,
    ("keras", "Normalization"): _rule_keras3,
    ("keras", "Dense"): _rule_stated,
    ("keras", "EinsumDense"): _rule_stated,
    ("keras", "Embedding"): _rule_stated,
    ("keras", "BaseConv"): _rule_stated,
    ("keras", "IndexLookup"): _rule_lookup,
    ("keras", "TextVectorization"): _rule_lookup,
    ("keras", "Discretization"): _rule_nothing,
    ("keras", "FeatureSpace"): _rule_nothing,
    ("keras", "BaseOptimizer"): _rule_optimizer,
    ("tf_keras", "Layer"): _rule_tf_keras,
    ("tf_keras", "Normalization"): _rule_tf_keras,
    ("tf_keras", "IndexLookup"): _rule_lookup,
    ("tf_keras", "TextVectorization"): _rule_lookup,
    ("tf_keras", "FeatureSpace"): _rule_nothing,
    ("tf_keras", "_BaseOptimizer"): _rule_optimizer,
    ("tf_keras", "Optimizer"): _rule_optimizer,
}


def rule_of(cls: type, flavour: str) -> Rule:
    """The rule of the class that defines ``load_own_variables`` for *cls*."""
    for base in cls.__mro__:
        if "load_own_variables" in base.__dict__:
            if package_of(base) not in PACKAGES:
                return _rule_own
            return _RULES.get((flavour, base.__name__), _rule_own)
        if "_check_load_own_variables" in base.__dict__ and package_of(base) not in PACKAGES:
            return _rule_own
    return _rule_none
