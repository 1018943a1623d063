"""What the conversion of saved weights looks at in the layers of a model: ``csrc/plan/convert.c`` replays it.

``tf_keras.src.saving.legacy.hdf5_format.preprocess_weights_for_loading`` (2.21) goes by the names of classes, and hands
the weights of a wrapper or of a nested model on to the layers inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from kwload.spec.described import Keras

Unit: TypeAlias = tuple[
    str,
    bool,
    tuple[int, int, int, int],
    tuple[bool, bool],
    tuple[int, int],
    tuple[int, ...] | None,
    int,
]
"""``(class name, known, (trainable weights, others, a model's own of both), (channels first, reset after), (window,
filters), shape of the first weight or None, units)``: a layer, followed by the layers inside; *units* counts them all.
*known* is False for a class that only has the name of one of Keras's."""

CONVOLUTIONS: Final = frozenset({"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D"})
_RECURRENT: Final = frozenset({"GRU", "LSTM", "CuDNNGRU", "CuDNNLSTM"})
MODELS: Final = frozenset({"Model", "Sequential", "Functional"})
_WRAPPERS: Final = frozenset({"Bidirectional", "TimeDistributed"})
CONCERNED: Final = CONVOLUTIONS | _RECURRENT | MODELS | _WRAPPERS
DEEPEST: Final = 60


def units_of(keras: Keras, objects: Iterable[Any]) -> list[list[Unit]]:
    """The units of each layer of a model, none for those that are taken as they are.

    Parameters
    ----------
    keras : Keras
        The model's.
    objects : iterable of object
        ``Model.objects`` of a description for the legacy layouts.
    """
    return [_all(keras, obj) if type(obj).__name__ in CONCERNED else [] for obj in objects]


def _all(keras: Keras, top: Any) -> list[Unit]:
    """A layer and the layers inside, each before its own."""
    found: list[Unit] = []
    _add(keras, top, found, 0)
    return found


def _add(keras: Keras, layer: Any, found: list[Unit], depth: int) -> None:
    at = len(found)
    found.append(UNKNOWN)
    try:
        name, known, *facts = _facts(keras, layer)
        for inside in _inside(layer) if depth < DEEPEST else ():
            _add(keras, inside, found, depth + 1)
        known = known and depth < DEEPEST
    except Exception:  # noqa: BLE001 - a class of the user's own, or a layer that was not built
        del found[at + 1 :]
        found[at] = UNKNOWN
        return
    found[at] = (name, known, *facts, len(found) - at)


UNKNOWN: Final[Unit] = ("", False, (0, 0, 0, 0), (False, False), (0, 0), None, 1)


def _facts(keras: Keras, layer: Any) -> list[Any]:
    name = type(layer).__name__
    model = name in MODELS
    window = tuple(layer.kernel_size) if name == "Conv1D" else (0,)
    filters = int(layer.filters) if name == "Conv1D" else 0
    first = name in CONVOLUTIONS and layer.data_format == "channels_first"
    after = name == "GRU" and bool(layer.reset_after)
    trainable, fixed = layer.trainable_weights, layer.non_trainable_weights
    weights = [*trainable, *fixed] if keras.flavour == "tf_keras" else layer.weights
    own = _own(keras, layer) if model else (0, 0)
    return [
        name,
        True,
        (len(trainable), len(fixed), *own),
        (first, after),
        (int(window[0]), filters),
        tuple(int(length) for length in weights[0].shape) if weights and hasattr(weights[0], "shape") else None,
    ]


def _own(keras: Keras, model: Any) -> tuple[int, int]:
    if keras.flavour == "keras":
        return len(getattr(model, "_trainable_variables", ())), len(getattr(model, "_non_trainable_variables", ()))
    return len(model._trainable_weights), len(model._non_trainable_weights)


def _inside(layer: Any) -> list[Any]:
    """The layers to which its weights are handed on."""
    name = type(layer).__name__
    if name == "Bidirectional":
        return [layer.forward_layer, layer.backward_layer]
    if name == "TimeDistributed":
        return [layer.layer]
    if name in MODELS:
        return [inside for inside in layer.layers if inside.weights]
    return []
