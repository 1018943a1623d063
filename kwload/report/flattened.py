"""What is said of the input of a Dense layer that a Flatten feeds: it changes with the size of the images.

::

    (10, 10, 4) --Flatten--> 400 --Dense--> kernel (400, 5); a file of (8, 8, 4) has (256, 5)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from kwload.report.context import Context, Wanted, shape_text

_PASSED: Final = frozenset({"Dropout", "Activation", "ReLU", "LeakyReLU"})
"""Layers that leave the shape as it is."""

_MOST: Final = 4


def flattened(context: Context, found: Sequence[int], variable: Wanted) -> list[str]:
    """``"a Flatten feeds it: (10, 10, 4) is 400 values, and 256 would be (8, 8, 4)"`` for a kernel of another input;
    nothing where the model does not show a Flatten before it."""
    expected, objects = variable.shape, getattr(context.model, "objects", ())
    if context.class_name(variable.group) != "Dense" or variable.group >= len(objects):
        return []
    if len(found) != 2 or len(expected) != 2 or found[0] == expected[0]:
        return []
    shape = _before_flatten(objects[variable.group])
    if shape is None or math.prod(shape) != expected[0]:
        return []
    was = _square(found[0], shape)
    guess = f", and {found[0]:,} would be {shape_text(was)}" if was is not None else ""
    return [
        f"a Flatten feeds it: {shape_text(shape)} is {expected[0]:,} values{guess}; the size of the input may differ"
    ]


def _before_flatten(layer: Any) -> tuple[int, ...] | None:
    """What goes into the Flatten before a layer, without the batch; None where there is none, or its size is open."""
    try:
        for _ in range(_MOST):
            history = layer.input._keras_history
            layer = history[0]
            if type(layer).__name__ not in _PASSED:
                break
        shape = tuple(layer.input.shape)[1:]
    except Exception:  # noqa: BLE001 - a layer without one input; Keras raises this and that
        return None
    if type(layer).__name__ != "Flatten" or len(shape) < 2 or not all(isinstance(size, int) for size in shape):
        return None
    return shape


def _square(values: int, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The square image of the same channels that has so many values, where this one is square too."""
    if len(shape) != 3 or shape[0] != shape[1] or not shape[2] or values % shape[2]:
        return None
    side = math.isqrt(values // shape[2])
    return (side, side, shape[2]) if side * side * shape[2] == values else None


__all__ = ["flattened"]
