"""What a live model would be in a Keras that is not installed: the same layers, walked as that Keras walks them.

    live model --live.describe-->  rows, graph          what its own Keras finds
               --other.describe--> the same rows first, another graph

Three things differ from Keras to Keras, and each is a table here: in which order the attributes of an object are
visited, what the attributes of built-in layers are called, and which layers there are at all.  Names of attributes
that a user gave are the same everywhere.  Where the tables do not say what the model would be, ``There.unsure`` is the
reason in words.

Sources: ``keras/src/saving/saving_lib.py`` of 3.0.0 to 3.15.1, ``keras/saving/saving_lib.py`` of 2.12 to 2.15 and of
tf_keras 2.16 to 2.21, ``keras/engine/saving.py`` of 2.0 to 2.3.1; files that 2.12 to 3.15.1 wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from kwload.spec import live

_LATEST: Final = 99
"""The patch, or minor version, of a version that does not name one."""

_ASKED: Final = re.compile(r"(?:(keras|tf_keras|tf\.keras)[ =v]*)?(\d{1,2})(?:\.(\d{1,2}))?(?:\.(\d{1,2}))?")
_EXPECTED: Final = (
    'expected a version of Keras ("3", "3.5", "3.8.0", "2.15", "2.3.1", "1.2.2") or of tf_keras ("tf_keras 2.16")'
)


@dataclass(frozen=True, slots=True)
class Asked(live.Keras):
    """A Keras that a call asks about.

    Attributes
    ----------
    said : str
        As a person reads it: ``"Keras 2.15"``.
    """

    said: str = ""

    @property
    def alone(self) -> bool:
        """Whether it is 1.x, or a 2.x that is no part of TensorFlow."""
        return self.flavour == "keras2"

    def is_it(self, keras: live.Keras) -> bool:
        """Whether *keras* is one of the versions that were asked for."""
        exact = [own for own in self.version if own != _LATEST]
        return self.flavour == keras.flavour and list(keras.version[: len(exact)]) == exact


@dataclass(frozen=True, slots=True)
class There:
    """What the model is in another Keras.

    Attributes
    ----------
    keras : Asked
        Which Keras.
    groups, nodes : list of tuple
        As in :class:`kwload.spec.live.Model`; the groups begin with those of the live model's description.
    unsure : str or None
        Why it is not known, as the end of a sentence.
    """

    keras: Asked
    groups: list[live.Group]
    nodes: list[live.Node]
    unsure: str | None = None


def parse(text: str) -> Asked:
    """The Keras that *text* names.

    Parameters
    ----------
    text : str
        Keras's own number, in full or its beginning, which means the last of that series: ``"3"``, ``"3.5"``,
        ``"3.8.0"``, ``"2.15"``, ``"2.3.1"``, ``"1.2.2"``; with ``keras`` or ``tf_keras`` in front.

    Raises
    ------
    ValueError
        For anything else.

    Notes
    -----
    2.0 to 2.3 and 1.x are Keras by itself; from 2.4 on Keras 2 is a part of TensorFlow (2.4: TensorFlow 2.3 and 2.4;
    2.5 to 2.15: the TensorFlow of that number), from 2.16 on it is called tf_keras.
    """
    found = _ASKED.fullmatch(str(text).strip().lower())
    if found is None:
        raise ValueError(f"keras is {text!r}; {_EXPECTED}")
    package = (found[1] or "").replace(".", "_")
    major, minor, patch = (int(part) if part is not None else _LATEST for part in found.groups()[1:])
    old = major == 1 or (major == 2 and minor < 4)
    if not 1 <= major <= 3 or (package == "tf_keras" and (major == 3 or old)):
        raise ValueError(f"keras is {text!r}; {_EXPECTED}")
    flavour = "keras" if major == 3 else "keras2" if old else "tf_keras"
    number = ".".join(part for part in found.groups()[1:] if part is not None)
    name = "tf_keras" if major == 2 and (package == "tf_keras" or minor >= 16) and minor != _LATEST else "Keras"
    return Asked(flavour, (major, minor, patch), "", "tensorflow", f"{name} {number}")


def describe(model: Any, described: live.Model, layout: str, keras: Asked, *, by_name: bool = False) -> There | None:
    """What *model* is in *keras*, for files of this layout; None when it is the model's own.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        The live model.
    described : live.Model
        What :func:`kwload.spec.live.describe` says of it, for the same layout.
    layout : str
        The layout of the file.
    keras : Asked
        From :func:`parse`.
    by_name : bool
        Whether the call matches layers of a legacy file by their names, which are the live model's.
    """
    if keras.is_it(described.keras):
        return None
    if layout in live.V3_LAYOUTS and _reads_v3(keras):
        return _describe_graph(model, described, keras)
    unsure = None
    if keras.alone and keras.version < (2, 1, 5):
        unsure = f"{keras.said} gives layers other variables, or converts them by rules that kwload does not know"
    elif layout not in live.V3_LAYOUTS:
        unsure = _unsure_of_lists(model, described, keras)
    if unsure is None and by_name:
        unsure = _unsure_of_names(described, keras)
    return There(keras, described.groups, described.nodes, unsure)


def _reads_v3(keras: Asked) -> bool:
    return keras.flavour == "keras" or (keras.flavour == "tf_keras" and keras.version >= (2, 12))


# --- the walk of the V3 layouts --------------------------------------------------------------------------------------

_ATTENTION: Final = ("query_dense", "key_dense", "value_dense", "output_dense")
"""Properties of MultiHeadAttention that are its attributes ``_query_dense``, ... again; Keras 3.0.3 added them."""

_LISTED_TWICE: Final = "_layer_checkpoint_dependencies"


class _Walk(live._Walk):
    """The walk over the live objects, by the rules of another Keras."""

    def __init__(self, own: live.Keras, asked: Asked, result: live.Model) -> None:
        super().__init__(own, result)
        self.asked = asked
        self.nested = asked.flavour == "keras" and asked.version >= (3, 15)

    def ordered(self, names: list[str]) -> list[str]:
        version = self.asked.version
        if self.asked.flavour == "keras":
            return sorted(names, key=_private_last) if version >= (3, 0, 2) else sorted(names)
        return sorted(names, reverse=version >= (2, 15))

    def class_of(self, obj: Any) -> live._Class:
        plan = super().class_of(obj)
        first = self.asked.flavour == "keras" and self.asked.version >= (3, 0, 3)
        plan.layers_first = first and _is_graph(type(obj))
        return plan

    def attributes(self, obj: Any, plan: live._Class) -> Iterable[tuple[str, Any]]:
        found = super().attributes(obj, plan)
        if _is_built_in(type(obj), "MultiHeadAttention"):
            return self._attention(dict(found))
        if self.asked.flavour == "tf_keras" and self.asked.version < (2, 15) and _is_graph(type(obj)):
            return self._in_order({**dict(found), _LISTED_TWICE: _listed_twice(obj)})
        return found

    def _attention(self, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name in _ATTENTION:
            found.pop(name, None)
            if self.asked.flavour == "keras" and self.asked.version >= (3, 0, 3) and f"_{name}" in found:
                found[name] = found[f"_{name}"]
        return self._in_order(found)

    def _in_order(self, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        return ((name, found[name]) for name in self.ordered(list(found)))


def _private_last(name: str) -> str:
    return f"~{name}" if name.startswith("_") else name


def _is_graph(cls: type) -> bool:
    """Whether it is Sequential or Functional, or a subclass."""
    return any(live._package(base) in live._PACKAGES and base.__name__ in _GRAPHS for base in cls.__mro__)


def _is_built_in(cls: type, name: str) -> bool:
    """Whether it is the built-in class *name*, or a subclass."""
    return any(live._package(base) in live._PACKAGES and base.__name__ == name for base in cls.__mro__)


def _listed_twice(model: Any) -> list[Any]:
    """``Functional._layer_checkpoint_dependencies`` of 2.12 to 2.14: a layer that has weights, and again as a layer."""
    return [entry for layer in model.layers for entry in ((layer, layer) if layer.weights else (layer,))]


def _describe_graph(model: Any, described: live.Model, keras: Asked) -> There:
    result = live.Model(described.keras, described.built)
    _Walk(described.keras, keras, result).run(model)
    rows = {id(obj): row for row, obj in enumerate(described.objects)}
    groups, places = list(described.groups), []
    for obj, group in zip(result.objects, result.groups, strict=True):
        known = rows.get(id(obj))
        if known is None:
            known = len(groups)
            groups.append(group)
        places.append(known)
    if described.keras.flavour != keras.flavour:
        groups = [_without_state(group) for group in groups]
    nodes = [(places[row] if row >= 0 else row, edges) for row, edges in result.nodes]
    return There(keras, groups, nodes, _unsure_of_graph(model, result, keras))


def _without_state(group: live.Group) -> live.Group:
    """The state of optimizers is never loaded where their variables are others, and Keras 3 loads none of metrics."""
    path, name, class_name, flags, variables = group
    if flags & (live.Flag.OPTIMIZER | live.Flag.METRIC):
        flags |= int(live.Flag.NOT_LOADABLE)
    return path, name, class_name, flags, variables


# --- what is not known -----------------------------------------------------------------------------------------------

_GRAPHS: Final = frozenset({"Sequential", "Functional"})

# Layers with variables of Keras 3 that came later than 3.0, by the first version that has them.
_SINCE_KERAS3: Final = {"STFTSpectrogram": (3, 7), "RMSNormalization": (3, 9), "ReversibleEmbedding": (3, 12)}

# Layers with variables that are the same in Keras 3 and in Keras 2, by the first version of Keras 2 that kwload knows
# to have them so.
_SINCE_KERAS2: Final = {
    **dict.fromkeys(
        live._words(
            """
        Dense Embedding Conv1D Conv2D Conv3D Conv2DTranspose Conv3DTranspose SeparableConv1D SeparableConv2D
        DepthwiseConv2D BatchNormalization PReLU RNN SimpleRNN SimpleRNNCell LSTM LSTMCell GRU GRUCell StackedRNNCells
        ConvLSTM2D ConvLSTM2DCell Bidirectional TimeDistributed Layer Model Sequential Functional
        """
        ),
        (2, 1, 5),
    ),
    **dict.fromkeys(
        live._words(
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
    "SpectralNormalization": (_LATEST,),
}

# How `model.quantize` stores the variables of a layer, by the first version that stores them as the newest does.
_SINCE_MODE: Final = {"int8": (3, 3), "float8": (3, 4), "int4": (3, 14), "gptq": (3, 14), "awq": (3, 14)}
_SINCE_LORA: Final = (3, 3)


def _unsure_of_graph(model: Any, walked: live.Model, keras: Asked) -> str | None:
    reason = _unsure_of_layers(walked, keras)
    if reason is not None or walked.keras.flavour == keras.flavour:
        return reason
    for obj in walked.objects:
        if _lists_layers(obj) and not _same_order(walked.keras, obj):
            return _reason_order(obj, keras)
    optimizer = getattr(model, "optimizer", None)
    if walked.keras.flavour == "keras" and getattr(optimizer, "built", False):
        return "the model was trained, and tf_keras would load the state of its metrics too"
    return None


def _unsure_of_lists(model: Any, described: live.Model, keras: Asked) -> str | None:
    """Of the legacy layouts: layers in order, each with its variables in order."""
    reason = _unsure_of_layers(described, keras)
    if reason is not None or described.keras.flavour == keras.flavour:
        return reason
    todo, seen = [model], set()
    while todo:
        layer = todo.pop()
        children = live._sublayers(described.keras, layer)
        if id(layer) in seen or not children:
            continue
        seen.add(id(layer))
        todo.extend(children)
        if keras.alone and _is_users(type(layer)) and not _is_graph(type(layer)):
            return f"{keras.said} does not find the layers that {type(layer).__name__} keeps in attributes"
        if keras.alone and layer is not model and _is_frozen_in_part(described.keras, layer):
            return f"{keras.said} orders the variables of a frozen model by which of its layers are frozen"
        if _is_users(type(layer)) and not _is_graph(type(layer)) and not _same_order(described.keras, layer):
            return _reason_order(layer, keras)
    return None


def _unsure_of_names(described: live.Model, keras: Asked) -> str | None:
    if _automatic(described.keras) == _automatic(keras):
        return None
    for path, _, class_name, _, variables in described.groups:
        if variables and class_name == "Functional" and _NAMED_BY_KERAS.fullmatch(path):
            return f"{keras.said} would not call the model inside it {path!r}, a name that Keras made itself"
    return None


_NAMED_BY_KERAS: Final = re.compile(r"(model|functional)(_\d+)?")


def _automatic(keras: live.Keras) -> str:
    """What it calls the first Functional model that gets no name."""
    if keras.flavour != "keras":
        return "model"
    return "functional" if keras.version >= (3, 4) else "functional_1"


def _reason_order(layer: Any, keras: Asked) -> str:
    return f"{keras.said} may list the layers that {type(layer).__name__} keeps in attributes in another order"


def _unsure_of_layers(described: live.Model, keras: Asked) -> str | None:
    """Why some layer with variables is not known to have the same ones in *keras*."""
    seen: set[int] = set()
    for owner in described.owners:
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        metric = isinstance(owner, live._types(described.keras, ("metrics.base_metric", "Metric")))
        if metric or not isinstance(owner, _kinds(described.keras)):
            continue
        reason = _unsure_of_layer(owner, described.keras, keras)
        if reason is not None:
            return reason
    return None


def _kinds(keras: live.Keras) -> tuple[type, ...]:
    return live._types(keras, ("layers.layer", "Layer"), ("engine.base_layer", "Layer"))


def _unsure_of_layer(layer: Any, own: live.Keras, keras: Asked) -> str | None:
    cls = next((base for base in type(layer).__mro__ if live._package(base) in live._PACKAGES), None)
    name = cls.__name__ if cls is not None else ""
    if own.flavour == "keras" == keras.flavour:
        since = _SINCE_KERAS3.get(name, (3, 0))
        if keras.version < since:
            return f"{keras.said} has no layer {name}"
        return _unsure_of_variant(layer, keras)
    if keras.flavour == "keras":
        if name not in _SINCE_KERAS2:
            return f"kwload does not know the variables that {name} has in {keras.said}"
        if _is_users(type(layer)) and name in ("Layer", "Model"):
            return f"{keras.said} may not track the variables that {type(layer).__name__} makes itself"
        return _unsure_of_variant(layer, keras)
    if own.flavour == "tf_keras" == keras.flavour:
        first = _SINCE_KERAS2.get(name, (2, 6))
    else:
        first = _SINCE_KERAS2.get(name, (_LATEST,))
    if keras.version < first:
        return f"kwload does not know the variables that {name} has in {keras.said}"
    return _unsure_of_variant(layer, keras)


def _unsure_of_variant(layer: Any, keras: Asked) -> str | None:
    """Of a layer that *keras* has: options by which it has other variables there."""
    what = None
    mode = getattr(layer, "quantization_mode", None)
    later = keras.version if keras.flavour == "keras" else (0,)
    if mode is not None and later < _SINCE_MODE.get(mode, (_LATEST,)):
        what = f"quantized to {mode}"
    elif getattr(layer, "lora_enabled", False) and later < _SINCE_LORA:
        what = "with LoRA"
    elif getattr(layer, "renorm", False) and keras.flavour == "keras" and keras.version < (3, 14):
        what = "with renorm"
    elif _is_built_in(type(layer), "LayerNormalization") and keras.flavour != "keras" and _is_odd(layer):
        what = "over several axes, or with rms_scaling"
    if what is None:
        return None
    return f"kwload does not know the variables that {type(layer).__name__} {what} has in {keras.said}"


def _is_odd(layer: Any) -> bool:
    axis = getattr(layer, "axis", -1)
    return bool(getattr(layer, "rms_scaling", False)) or (isinstance(axis, (list, tuple)) and len(axis) > 1)


def _is_users(cls: type) -> bool:
    return live._package(cls) not in live._PACKAGES


def _lists_layers(obj: Any) -> bool:
    """Whether Keras numbers the layers of this object by its list ``layers``, which attributes make."""
    return _is_users(type(obj)) and live.is_model(obj) and not _is_graph(type(obj))


def _is_frozen_in_part(keras: live.Keras, layer: Any) -> bool:
    """Whether some of its variables are frozen that would be trained otherwise, and others never are."""
    never = "_non_trainable_variables" if keras.flavour == "keras" else "_non_trainable_weights"
    inner = list(layer._flatten_layers())
    return any(not one.trainable for one in inner) and any(getattr(one, never) for one in inner)


def _same_order(keras: live.Keras, layer: Any) -> bool:
    """Whether the layers in its attributes come in the order in which its class lists them: then every Keras does."""
    kinds = _kinds(keras)
    found: dict[int, None] = {}
    skipped = live._skipped(keras, "Layer" if keras.flavour == "keras" else "")
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
    return list(found) == list(dict.fromkeys(id(child) for child in live._sublayers(keras, layer)))


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
