"""The rules of :mod:`kwload.spec.layers.operations`: arguments by name -> shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kwload.spec.layers.merging import joined
from kwload.spec.layers.operation_arguments import Bound, Tensor, UnknownShape, known, placed, shape_of
from kwload.spec.layers.options import MOST, MOST_RANK, plain
from kwload.spec.layers.reshaping import filled
from kwload.spec.layers.shapes import Length, at, broadcast, plus, times
from kwload.spec.signature import Shape, Shapes


def same(given: Bound) -> Shapes:
    """Element by element."""
    return given.shape()


def cumulated(given: Bound) -> Shapes:
    """Sums up to each place: along one axis, for Keras by itself of the flat tensor."""
    flat = given.is_keras and plain(given.values.get("axis")) is None
    return (times(*given.shape()),) if flat else given.shape()


def pairwise(given: Bound) -> Shapes:
    """Element by element, of two."""
    return broadcast(given.shape("x"), given.shape("y"))


def chosen(given: Bound) -> Shapes:
    """Element by element, of three."""
    return broadcast(broadcast(given.shape("condition"), given.shape("x")), given.shape("y"))


def reduced(given: Bound) -> Shapes:
    """Over some axes, or all."""
    shape = given.shape()
    axes = given.axes("axis", len(shape))
    gone = set(range(len(shape))) if axes is None else set(axes)
    if given.flag("keepdims"):
        return tuple([1 if axis in gone else length for axis, length in enumerate(shape)])
    return tuple([length for axis, length in enumerate(shape) if axis not in gone])


def index_of(given: Bound) -> Shapes:
    """Where the greatest is: without axis of everything for Keras, of the first axis for TensorFlow."""
    if plain(given.values.get("axis")) is None and not given.is_keras:
        return given.shape()[1:]
    return reduced(given)


def shape_itself(given: Bound) -> Shapes:
    """One number an axis; in Keras the lengths themselves, which are no tensor."""
    return None if given.is_keras else (len(given.shape()),)


def reshaped(given: Bound) -> Shapes:
    """Another shape of as many elements; the batch is one of the lengths."""
    lengths = given.numbers("newshape")
    is_open = [not (type(item) is int and -1 <= item <= MOST) for item in lengths]
    if any(is_open):
        return tuple([None if other or item == -1 else item for item, other in zip(lengths, is_open, strict=True)])
    if lengths.count(-1) > 1:
        return None
    return filled(lengths, shape_of(given.values.get("x")))


def transposed(given: Bound) -> Shapes:
    """Axes in another order, by itself the reverse one."""
    shape = given.shape()
    axes = given.axes("axes", len(shape))
    if axes is None:
        return shape[::-1]
    return tuple([shape[axis] for axis in axes]) if sorted(axes) == list(range(len(shape))) else None


def swapped(given: Bound) -> Shapes:
    """Two axes for each other."""
    shape = list(given.shape())
    first, second = (placed(given.whole(name), len(shape)) for name in ("axis1", "axis2"))
    shape[first], shape[second] = shape[second], shape[first]
    return tuple(shape)


def expand_dims(given: Bound) -> Shapes:
    """A new axis of length 1."""
    shape = given.shape()
    for axis in sorted(placed(item, len(shape) + len(given.numbers("axis"))) for item in given.numbers("axis")):
        shape = (*shape[:axis], 1, *shape[axis:])
    return shape


def squeezed(given: Bound) -> Shapes:
    """Without axes of length 1."""
    shape = given.shape()
    axes = given.axes("axis", len(shape))
    if axes:
        return tuple([length for axis, length in enumerate(shape) if axis not in axes])
    return None if None in shape else tuple([length for length in shape if length != 1])


def concatenated(given: Bound) -> Shapes:
    """One after another."""
    return joined(given.shapes(), given.whole("axis", -1 if given.is_keras else None))


def stacked(given: Bound) -> Shapes:
    """Along a new axis."""
    shapes = given.shapes()
    found: Shape | None = shapes[0]
    for shape in shapes[1:]:
        found = tuple([a if a is not None else b for a, b in zip(known(found), shape, strict=False)])
    axis = placed(given.whole("axis", 0), len(shapes[0]) + 1)
    return (*known(found)[:axis], len(shapes), *known(found)[axis:])


def unstacked(given: Bound) -> Shapes:
    """The parts along an axis, which is gone."""
    shape = given.shape()
    axis = placed(given.whole("axis", 0), len(shape))
    count = shape[axis]
    if count is None or count > 1024:
        return None
    return [(*shape[:axis], *shape[axis + 1 :]) for _ in range(count)]


def split(given: Bound) -> Shapes:
    """Equal parts, or parts of given lengths (TensorFlow) or up to given places (Keras)."""
    shape = given.shape()
    axis = placed(given.whole("axis", 0), len(shape))
    value = plain(given.values.get("indices_or_sections"))
    length = shape[axis]
    lengths: list[Length]
    if type(value) is int and 0 < value <= 1024:
        lengths = [length // value if length is not None and length % value == 0 else None] * value
    else:
        places = given.numbers("indices_or_sections")
        if not all(type(item) is int and 0 <= item <= MOST for item in places):
            return None
        if given.is_keras:
            ends: list[Length] = [*places, length]
            lengths = [plus(end, -start) for start, end in zip([0, *places], _known(ends), strict=True)]
        else:
            lengths = list(places)
    return [(*shape[:axis], each, *shape[axis + 1 :]) for each in lengths]


def _known(lengths: Sequence[Length]) -> list[int]:
    if None in lengths:
        raise UnknownShape
    return [length for length in lengths if length is not None]


def matmul(given: Bound) -> Shapes:
    """The product of matrices; the axes before the last two are broadcast."""
    first, second = given.shape("x"), given.shape("y")
    if not first or not second:
        return None
    if given.flag("transpose_a") or given.flag("adjoint_a"):
        first = (*first[:-2], *first[-2:][::-1])
    if given.flag("transpose_b") or given.flag("adjoint_b"):
        second = (*second[:-2], *second[-2:][::-1])
    left = first if len(first) > 1 else (1, *first)
    right = second if len(second) > 1 else (*second, 1)
    batch = broadcast(left[:-2], right[:-2])
    rows = left[-2:-1] if len(first) > 1 else ()
    columns = right[-1:] if len(second) > 1 else ()
    return None if batch is None else (*batch, *rows, *columns)


def getitem(given: Bound) -> Shapes:
    """``x[:, 1, ..., None, 2:5]``."""
    shape = given.shape()
    key = plain(given.values.get("key"))
    items = list(key) if isinstance(key, (list, tuple)) else [key]
    if len(items) > MOST_RANK:
        return None
    uses = [item for item in items if item is not None and not _is(item, "__ellipsis__")]
    dots = [at for at, item in enumerate(items) if _is(item, "__ellipsis__")]
    free = len(shape) - len(uses)
    if free < 0 or len(dots) > 1:
        return None
    start = dots[0] if dots else len(items)
    everything: dict[str, Any] = {"start": None, "stop": None, "step": None}
    items = [*items[:start], *[everything] * free, *items[start + 1 :]]
    found: list[Length] = []
    left = iter(shape)
    for item in items:
        if item is None:
            found.append(1)
        elif type(item) is int:
            next(left)
        else:
            found.append(_sliced(next(left), item))
    return tuple(found)


def _is(value: Any, name: str) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == name


def _sliced(length: Length, value: Any) -> Length:
    """How much a slice takes of a length."""
    if _is(value, "__slice__"):
        value = value.get("config")
    if not isinstance(value, Mapping) or not {"start", "stop", "step"} <= set(value):
        raise UnknownShape
    parts = [value[key] for key in ("start", "stop", "step")]
    if any(part is not None and (type(part) is not int or abs(part) > MOST) for part in parts) or parts[2] == 0:
        return None
    if parts == [None, None, None] or (parts[:2] in ([None, None], [0, None]) and parts[2] in (None, 1)):
        return length
    if length is None:
        return None
    return len(range(*slice(*parts).indices(length)))


def taken(given: Bound) -> Shapes:
    """The entries with given numbers along an axis."""
    shape, indices = given.shape(), given.shape("indices")
    if given.values.get("batch_dims") not in (None, 0):
        return None
    if plain(given.values.get("axis")) is None:
        return indices if given.is_keras else (*indices, *shape[1:])
    axis = placed(given.whole("axis"), len(shape))
    return (*shape[:axis], *indices, *shape[axis + 1 :])


def padded(given: Bound) -> Shapes:
    """More at both ends of each axis."""
    shape = given.shape()
    widths = given.numbers("pad_width")
    pairs = [plain(item) for item in widths]
    if len(pairs) != len(shape) or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        return None
    if not all(type(item) is int and 0 <= item <= MOST for pair in pairs for item in pair):
        return None
    return tuple([plus(length, *pair) for length, pair in zip(shape, pairs, strict=True)])


def one_hot(given: Bound) -> Shapes:
    """A new axis of classes."""
    shape = given.shape()
    axis = placed(given.whole("axis", -1), len(shape) + 1)
    return (*shape[:axis], given.whole("num_classes"), *shape[axis:])


def repeated(given: Bound) -> Shapes:
    """Each entry several times."""
    shape = given.shape()
    times_each = given.whole("repeats")
    if plain(given.values.get("axis")) is None:
        return (times(*shape, times_each),)
    axis = placed(given.whole("axis"), len(shape))
    return (*shape[:axis], times(shape[axis], times_each), *shape[axis + 1 :])


def tiled(given: Bound) -> Shapes:
    """All of it several times."""
    shape = given.shape()
    by = given.numbers("repeats")
    if not all(type(item) is int and 0 <= item <= MOST for item in by):
        return None
    if len(by) < len(shape):
        by = [1] * (len(shape) - len(by)) + by
    shape = (1,) * (len(by) - len(shape)) + shape
    return tuple([times(length, each) for length, each in zip(shape, by, strict=True)])


def ravel(given: Bound) -> Shapes:
    """One axis."""
    return (times(*given.shape()),)


def broadcast_to(given: Bound) -> Shapes:
    """The shape that was asked for."""
    lengths = given.numbers("newshape" if "newshape" in given.values else "shape")
    return tuple([item if type(item) is int and 0 <= item <= MOST else None for item in lengths])


def einsum(given: Bound) -> Shapes:
    """By letters; without ``...``."""
    text = given.values.get("subscripts")
    if not isinstance(text, str) or len(text) > 400 or "." in text or text.count("->") != 1:
        return None
    ins, _, outs = text.replace(" ", "").partition("->")
    tensors = [value for key, value in given.values.items() if key != "subscripts"]
    flat = [item for value in tensors for item in (value if isinstance(value, (list, tuple)) else [value])]
    shapes = [known(shape_of(item)) for item in flat if isinstance(item, Tensor)]
    lengths: dict[str, Length] = {}
    if len(ins.split(",")) != len(shapes):
        return None
    for letters, shape in zip(ins.split(","), shapes, strict=True):
        if len(letters) != len(shape):
            return None
        for letter, length in zip(letters, shape, strict=True):
            if lengths.get(letter) in (None, 1):
                lengths[letter] = length
    return tuple([at((lengths.get(letter),), 0) for letter in outs])
