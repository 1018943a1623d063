"""Layers of several inputs.

From ``keras/src/layers/merging``, 3.15.1; the ``Merge`` of Keras 1 does by mode what these do by class.
"""

from __future__ import annotations

from collections.abc import Sequence

from kwload.spec.layers.options import Options, axis
from kwload.spec.layers.rule import Rule
from kwload.spec.layers.shapes import Length, broadcast, plus, several
from kwload.spec.layers.where import ConfigError, Where
from kwload.spec.signature import Shape, Shapes, Signature


def elementwise(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Add, Average, Maximum, Minimum, Multiply, Subtract."""
    given = several(shapes)
    return Signature((), merged(given) if given else None)


def merged(shapes: Sequence[Shape | None]) -> Shape | None:
    """What several shapes broadcast to, the batch apart."""
    if any(shape is None or not shape for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    batches = {shape[0] for shape in known} - {None}
    ranks = {len(shape) for shape in known}
    found: Shape | None = known[0][1:]
    for shape in known[1:]:
        found = broadcast(found, shape[1:])
    if found is None:
        return None
    return (batches.pop() if len(batches) == 1 and len(ranks) == 1 else None, *found)


def concatenate(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Concatenate."""
    along = axis(options.get("axis") if "axis" in options.config else -1, "axis")
    return Signature((), joined(several(shapes), along))


def joined(shapes: Sequence[Shape | None] | None, along: int) -> Shape | None:
    """Several shapes one after another along an axis."""
    if not shapes or any(shape is None for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    rank = len(known[0])
    if any(len(shape) != rank for shape in known) or not -rank <= along < rank:
        return None
    along %= rank
    found: list[Length] = []
    for at, lengths in enumerate(zip(*known, strict=True)):
        if at == along:
            found.append(plus(*lengths))
            continue
        stated = set(lengths) - {None}
        if len(stated) > 1:
            return None
        found.append(stated.pop() if stated and (at or None not in lengths) else None)
    return tuple(found)


def dot(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Dot."""
    axes = options.axes("axes")
    if axes is None or len(axes) not in (1, 2):
        raise ConfigError("axes", "is neither the number of an axis nor of two")
    given = several(shapes)
    if given is None or len(given) != 2 or given[0] is None or given[1] is None:
        return Signature(())
    return Signature((), product(given[0], given[1], (axes[0], axes[-1])))


def product(first: Shape, second: Shape, axes: tuple[int, int]) -> Shape | None:
    """A product along one axis of each, sample by sample."""
    left, right = axes
    if not -len(first) <= left < len(first) or not -len(second) <= right < len(second):
        return None
    left, right = left % len(first), right % len(second)
    rest = [length for at, length in enumerate(first) if at != left]
    rest += [length for at, length in enumerate(second) if at not in (0, right)]
    return tuple(rest) if len(rest) > 1 else (*rest, 1)


def merge(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Merge of Keras 1."""
    mode = options.get("mode") if "mode" in options.config else "sum"
    given = several(shapes)
    if mode == "concat":
        along = options.axes("concat_axis", -1) or (-1,)
        return Signature((), joined(given, along[0]))
    if mode in ("sum", "mul", "ave", "max"):
        return Signature((), merged(given) if given else None)
    return Signature(())


LAYERS: dict[str, Rule] = {
    **dict.fromkeys(("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"), elementwise),
    "Concatenate": concatenate,
    "Dot": dot,
    "Merge": merge,
}
