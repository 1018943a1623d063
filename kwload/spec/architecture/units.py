"""What the conversion of saved weights looks at, of an architecture; see :mod:`kwload.spec.units`."""

from __future__ import annotations

from collections.abc import Iterable

from kwload.spec.architecture.lists import in_order
from kwload.spec.architecture.things import Thing
from kwload.spec.described import Keras
from kwload.spec.units import CONCERNED, CONVOLUTIONS, DEEPEST, MODELS, UNKNOWN, Unit


def units_of(keras: Keras, things: Iterable[Thing]) -> list[list[Unit]]:
    """The units of each layer of a model, none for those that are taken as they are."""
    return [_all(keras, made) if made.cls in CONCERNED else [] for made in things]


def _all(keras: Keras, made: Thing, depth: int = 0) -> list[Unit]:
    """A layer and the layers inside, each before its own."""
    if depth >= DEEPEST or made.why is not None:
        return [UNKNOWN]
    found = [unit for inside in _inside(keras, made) for unit in _all(keras, inside, depth + 1)]
    owned = in_order(keras, made)
    trained = sum(each.is_trained for each in owned) if made.trainable else 0
    first = owned[0].weight if owned else None
    shape = first.shape if first is not None else None
    window, filters = _sizes(made) if made.cls == "Conv1D" else (0, 0)
    own: Unit = (
        made.cls,
        shape is None or None not in shape,
        (trained, len(owned) - trained, 0, 0),
        (
            made.cls in CONVOLUTIONS and made.config.get("data_format") == "channels_first",
            made.cls == "GRU" and bool(made.config.get("reset_after", keras.flavour == "tf_keras")),
        ),
        (window, filters),
        tuple(length or 0 for length in shape) if shape is not None else None,
        len(found) + 1,
    )
    return [own, *found]


def _sizes(made: Thing) -> tuple[int, int]:
    """Window and filters of a convolution in one dimension, as its kernel has them; 0 for what is not known."""
    kernel = next((weight.shape for weight in made.own() if weight.shape is not None and len(weight.shape) == 3), None)
    return ((kernel[0] or 0), (kernel[2] or 0)) if kernel is not None else (0, 0)


def _inside(keras: Keras, made: Thing) -> list[Thing]:
    """The layers to which its weights are handed on."""
    if made.cls in MODELS:
        return [layer for layer in made.layers or [] if in_order(keras, layer)]
    if made.cls in ("Bidirectional", "TimeDistributed"):
        return [part[1] for part in made.parts if isinstance(part, tuple) and isinstance(part[1], Thing)]
    return []
