"""Arithmetic on lengths that may not be known: None in, None out, and never a guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kwload.spec.layers.options import MOST, MOST_RANK
from kwload.spec.signature import Shape, Shapes

Length = int | None

_MOST_TENSORS: Final = 4096


def clean(shapes: Any, depth: int = 0) -> Shapes:
    """*shapes* with what is no length as None; what is no shape at all is None."""
    if isinstance(shapes, tuple):
        if len(shapes) > MOST_RANK:
            return None
        return tuple([item if type(item) is int and 0 <= item <= MOST else None for item in shapes])
    if depth > 8 or not isinstance(shapes, (list, dict)) or len(shapes) > _MOST_TENSORS:
        return None
    if isinstance(shapes, list):
        return [clean(item, depth + 1) for item in shapes]
    return {str(key): clean(item, depth + 1) for key, item in shapes.items()}


def one(shapes: Shapes) -> Shape | None:
    """The shape of the one input, or of the first of several (a sequence before initial states)."""
    for _ in range(4):
        if isinstance(shapes, tuple):
            return shapes
        if isinstance(shapes, dict):
            named = shapes.get("input_shape", shapes.get("inputs", shapes.get("sequences_shape")))
            shapes = named if named is not None else next(iter(shapes.values()), None)
        elif isinstance(shapes, list):
            shapes = shapes[0] if shapes else None
    return None


def several(shapes: Shapes) -> list[Shape | None] | None:
    """The shapes of several inputs in order; None when not even their number is known."""
    if isinstance(shapes, dict):
        shapes = list(shapes.values())
    if not isinstance(shapes, list):
        return None
    return [item if isinstance(item, tuple) else None for item in shapes]


def ranked(shape: Shape | None, rank: int) -> Shape:
    """*shape* when it has *rank* axes, else as many unknown lengths."""
    return shape if shape is not None and len(shape) == rank else (None,) * rank


def at(shape: Shape | None, axis: int) -> Length:
    """The length of one axis, None when it is not known."""
    return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None


def put(shape: Shape | None, axis: int, length: Length) -> Shape | None:
    """*shape* with another length on one axis."""
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    axis %= len(shape)
    return (*shape[:axis], length, *shape[axis + 1 :])


def last(shape: Shape | None, length: Length) -> Shape | None:
    """*shape* with another length on the last axis."""
    return put(shape, -1, length)


def times(*lengths: Length) -> Length:
    """The product."""
    product = 1
    for each in lengths:
        if each is None:
            return None
        product *= each
    return product


def plus(*lengths: Length) -> Length:
    """The sum; None below zero, which no tensor has."""
    total = 0
    for each in lengths:
        if each is None:
            return None
        total += each
    return total if total >= 0 else None


def ceil_div(length: Length, by: int) -> Length:
    """Divided and rounded up."""
    return None if length is None or by <= 0 else -(-length // by)


def window(length: Length, size: int, stride: int, padding: str, dilation: int = 1) -> Length:
    """How often a window fits (``compute_conv_output_shape`` of Keras 3, ``conv_output_length`` of Keras 2)."""
    if length is None:
        return None
    wide = (size - 1) * dilation + 1
    if padding == "valid":
        length = length - wide + 1
    elif padding == "full":
        length = length + wide - 1
    return -(-length // stride) if length > 0 else None


def broadcast(first: Shape | None, second: Shape | None) -> Shape | None:
    """What an operation on two tensors element by element gives."""
    if first is None or second is None:
        return None
    if len(first) < len(second):
        first, second = second, first
    found = list(first)
    for back in range(1, len(second) + 1):
        left, right = first[-back], second[-back]
        if left == 1:
            found[-back] = right
        elif right in (1, left):
            found[-back] = left
        elif left is None or right is None:
            # One that is not known can only be the other one, or 1.
            found[-back] = right if left is None else left
        else:
            return None
    return tuple(found)


def spatial(shape: Shape | None, rank: int, channels_first: bool) -> tuple[tuple[Length, ...], Length]:
    """``(lengths of the spatial axes, channels)`` of a batch of images of *rank* spatial axes."""
    known = ranked(shape, rank + 2)
    return (known[2:], known[1]) if channels_first else (known[1:-1], known[-1])


def image(batch: Length, lengths: Sequence[Length], channels: Length, channels_first: bool) -> Shape:
    """The other way round."""
    return (batch, channels, *lengths) if channels_first else (batch, *lengths, channels)
