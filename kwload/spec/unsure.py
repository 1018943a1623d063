"""Why it is not known what a live model would be in another Keras: layers that it lacks, or that have other variables
there; layers in attributes, whose order is each Keras's own.

Sources: the classes of ``keras/src/layers`` of 3.0.0 to 3.15.1 and of ``keras/layers`` of 2.6 to 2.15; the variables of
a model of each as those versions made them.  What is not listed here is not known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from kwload.spec import live
from kwload.spec.described import PACKAGES, Keras, Model, is_model, package_of, types_of
from kwload.spec.walk import skipped_of, words

if TYPE_CHECKING:
    from kwload.spec.other import Asked

_GRAPHS: Final = frozenset({"Sequential", "Functional"})


def is_graph(cls: type) -> bool:
    """Whether it is Sequential or Functional, or a subclass."""
    return any(package_of(base) in PACKAGES and base.__name__ in _GRAPHS for base in cls.__mro__)


def is_built_in(cls: type, name: str) -> bool:
    """Whether it is the built-in class *name*, or a subclass."""
    return any(package_of(base) in PACKAGES and base.__name__ == name for base in cls.__mro__)


_NEVER: Final[tuple[int, ...]] = (100,)
"""Later than every version."""

# Layers with variables of Keras 3 that came later than 3.0, by the first version that has them.
_SINCE_KERAS3: Final = {"STFTSpectrogram": (3, 7), "RMSNormalization": (3, 9), "ReversibleEmbedding": (3, 12)}

# Layers with variables that are the same in Keras 3 and in Keras 2, by the first version of Keras 2 that kwload knows
# to have them so.
_SINCE_KERAS2: Final[dict[str, tuple[int, ...]]] = {
    **dict.fromkeys(
        words(
            """
        Dense Embedding Conv1D Conv2D Conv3D Conv2DTranspose Conv3DTranspose SeparableConv1D SeparableConv2D
        DepthwiseConv2D BatchNormalization PReLU RNN SimpleRNN SimpleRNNCell LSTM LSTMCell GRU GRUCell StackedRNNCells
        ConvLSTM2D ConvLSTM2DCell Bidirectional TimeDistributed Layer Model Sequential Functional
        """
        ),
        (2, 1, 5),
    ),
    **dict.fromkeys(
        words(
            """
        MultiHeadAttention EinsumDense Attention AdditiveAttention LayerNormalization Normalization Conv1DTranspose
        ConvLSTM1D ConvLSTM1DCell ConvLSTM3D ConvLSTM3DCell ConvLSTMCell TextVectorization StringLookup IntegerLookup
        IndexLookup
        """
        ),
        (2, 6, 0),
    ),
    "DepthwiseConv1D": (2, 7, 0),
    "GroupNormalization": (2, 11, 0),
}

# Layers of tf_keras that have other variables in Keras 3.
_SINCE_TF_KERAS: Final[dict[str, tuple[int, ...]]] = {"SpectralNormalization": (2, 13)}

# How `model.quantize` stores the variables of a layer, by the first version that stores them as the newest does.
_SINCE_MODE: Final[dict[str, tuple[int, ...]]] = {
    "int8": (3, 3),
    "float8": (3, 4),
    "int4": (3, 14),
    "gptq": (3, 14),
    "awq": (3, 14),
}
_SINCE_LORA: Final = (3, 3)


def of_version(keras: Asked) -> str | None:
    """Of a Keras whose conversions are not known."""
    if not keras.alone or keras.version >= (2, 1, 5):
        return None
    return f"{keras.said} gives layers other variables, or converts them by rules that kwload does not know"


def of_graph(model: Any, walked: Model, keras: Asked) -> str | None:
    """Of the V3 layouts: the objects that the walk found, by their paths."""
    reason = _of_layers(walked, keras)
    if reason is not None or walked.keras.flavour == keras.flavour:
        return reason
    for obj in walked.objects:
        if _lists_layers(obj) and not _same_order(walked.keras, obj):
            return _reason_order(obj, keras)
    optimizer = getattr(model, "optimizer", None)
    if walked.keras.flavour == "keras" and getattr(optimizer, "built", False):
        return "the model was trained, and tf_keras would load the state of its metrics too"
    return None


def of_lists(model: Any, described: Model, keras: Asked) -> str | None:
    """Of the legacy layouts: layers in order, each with its variables in order."""
    reason = _of_layers(described, keras)
    if reason is not None or described.keras.flavour == keras.flavour:
        return reason
    todo, seen = [model], set()
    while todo:
        layer = todo.pop()
        children = live.sublayers_of(described.keras, layer)
        if id(layer) in seen or not children:
            continue
        seen.add(id(layer))
        todo.extend(children)
        if keras.alone and _is_users(type(layer)) and not is_graph(type(layer)):
            return f"{keras.said} does not find the layers that {type(layer).__name__} keeps in attributes"
        if keras.alone and layer is not model and _is_frozen_in_part(described.keras, layer):
            return f"{keras.said} orders the variables of a frozen model by which of its layers are frozen"
        if _is_users(type(layer)) and not is_graph(type(layer)) and not _same_order(described.keras, layer):
            return _reason_order(layer, keras)
    return None


def of_names(described: Model, keras: Asked) -> str | None:
    """Of a legacy file whose layers are matched by name."""
    if _automatic(described.keras) == _automatic(keras):
        return None
    for path, _, class_name, _, variables in described.groups:
        if variables and class_name == "Functional" and _NAMED_BY_KERAS.fullmatch(path):
            return f"{keras.said} would not call the model inside it {path!r}, a name that Keras made itself"
    return None


_NAMED_BY_KERAS: Final = re.compile(r"(model|functional)(_\d+)?")


def _automatic(keras: Keras) -> str:
    """What it calls the first Functional model that gets no name."""
    if keras.flavour != "keras":
        return "model"
    return "functional" if keras.version >= (3, 4) else "functional_1"


def _reason_order(layer: Any, keras: Asked) -> str:
    return f"{keras.said} may list the layers that {type(layer).__name__} keeps in attributes in another order"


def _reason_variables(layer: str, keras: Asked) -> str:
    return f"kwload does not know the variables that {layer} has in {keras.said}"


def _of_layers(described: Model, keras: Asked) -> str | None:
    """Why some layer with variables is not known to have the same ones in *keras*."""
    seen: set[int] = set()
    for owner in described.owners:
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        metric = isinstance(owner, types_of(described.keras, ("metrics.base_metric", "Metric")))
        if metric or not isinstance(owner, _kinds(described.keras)):
            continue
        reason = _of_layer(owner, described.keras, keras)
        if reason is not None:
            return reason
    return None


def _kinds(keras: Keras) -> tuple[type, ...]:
    return types_of(keras, ("layers.layer", "Layer"), ("engine.base_layer", "Layer"))


def _of_layer(layer: Any, own: Keras, keras: Asked) -> str | None:
    cls = next((base for base in type(layer).__mro__ if package_of(base) in PACKAGES), None)
    name = cls.__name__ if cls is not None else ""
    if own.flavour == "keras" == keras.flavour:
        since = _SINCE_KERAS3.get(name, (3, 0))
        if keras.version < since:
            return f"{keras.said} has no layer {name}"
        return _of_variant(layer, keras)
    if keras.flavour == "keras":
        if name not in _SINCE_KERAS2:
            return _reason_variables(name, keras)
        if _is_users(type(layer)) and name in ("Layer", "Model") and not _is_signed(layer):
            return f"{keras.said} may not track the variables that {type(layer).__name__} makes itself"
        return _of_variant(layer, keras)
    if own.flavour == "tf_keras" == keras.flavour:
        first = _SINCE_TF_KERAS.get(name, _SINCE_KERAS2.get(name, (2, 6)))
    else:
        first = _SINCE_KERAS2.get(name, _NEVER)
    if keras.version < first:
        absent = keras.alone and name in _SINCE_KERAS2
        return f"{keras.said} has no layer {name}" if absent else _reason_variables(name, keras)
    return _of_variant(layer, keras)


def _is_signed(layer: Any) -> bool:
    """Whether the user's own signature says which variables it has, in every Keras, and it has these here."""
    from kwload.spec import confirm

    return confirm.is_confirmed(layer)


def _of_variant(layer: Any, keras: Asked) -> str | None:
    """Of a layer that *keras* has: options by which it has other variables there."""
    what = None
    mode = getattr(layer, "quantization_mode", None)
    later = keras.version if keras.flavour == "keras" else (0,)
    if mode is not None and later < _SINCE_MODE.get(mode, _NEVER):
        what = f"quantized to {mode}"
    elif getattr(layer, "lora_enabled", False) and later < _SINCE_LORA:
        what = "with LoRA"
    elif getattr(layer, "renorm", False) and keras.flavour == "keras" and keras.version < (3, 14):
        what = "with renorm"
    elif is_built_in(type(layer), "LayerNormalization") and keras.flavour != "keras" and _is_odd(layer):
        what = "over several axes, or with rms_scaling"
    if what is None:
        return None
    return _reason_variables(f"{type(layer).__name__} {what}", keras)


def _is_odd(layer: Any) -> bool:
    axis = getattr(layer, "axis", -1)
    return bool(getattr(layer, "rms_scaling", False)) or (isinstance(axis, (list, tuple)) and len(axis) > 1)


def _is_users(cls: type) -> bool:
    return package_of(cls) not in PACKAGES


def _lists_layers(obj: Any) -> bool:
    """Whether Keras numbers the layers of this object by its list ``layers``, which attributes make."""
    return _is_users(type(obj)) and is_model(obj) and not is_graph(type(obj))


def _is_frozen_in_part(keras: Keras, layer: Any) -> bool:
    """Whether some of its variables are frozen that would be trained otherwise, and others never are."""
    never = "_non_trainable_variables" if keras.flavour == "keras" else "_non_trainable_weights"
    inner = list(layer._flatten_layers())
    return any(not one.trainable for one in inner) and any(getattr(one, never) for one in inner)


def _same_order(keras: Keras, layer: Any) -> bool:
    """Whether the layers in its attributes come in the order in which its class lists them: then every Keras does."""
    kinds = _kinds(keras)
    found: dict[int, None] = {}
    skipped = skipped_of(keras, "Layer" if keras.flavour == "keras" else "")
    for name, value in vars(layer).items():
        if name in skipped:
            continue
        if isinstance(value, dict):
            if any(isinstance(item, kinds) for item in value.values()) and list(value) != sorted(value, key=str):
                return False
            items: list[Any] = list(value.values())
        elif isinstance(value, (list, tuple)):
            items = list(value)
        else:
            items = [value]
        for item in items:
            if isinstance(item, kinds):
                found.setdefault(id(item))
            elif isinstance(item, (list, tuple, dict, set)) and _holds(item, kinds):  # in a set, or deeper
                return False
    return list(found) == list(dict.fromkeys(id(child) for child in live.sublayers_of(keras, layer)))


def _holds(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a container holds a layer at any depth."""
    todo, seen = [value], set()
    while todo:
        item = todo.pop()
        if isinstance(item, kinds):
            return True
        if isinstance(item, (list, tuple, dict, set)) and id(item) not in seen:
            seen.add(id(item))
            todo.extend(item.values() if isinstance(item, dict) else item)
    return False
