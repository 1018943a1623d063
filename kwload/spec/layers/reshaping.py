"""Layers that move, repeat, cut or add places.

From ``keras/src/layers/reshaping``, 3.15.1, and tf_keras 2.21.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from kwload.spec.layers.options import MOST_RANK, Options, plain
from kwload.spec.layers.options import whole as number
from kwload.spec.layers.rule import Rule
from kwload.spec.layers.shapes import Length, image, one, plus, ranked, spatial, times
from kwload.spec.layers.where import ConfigError, Where
from kwload.spec.signature import Shape, Shapes, Signature


def flatten(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Flatten."""
    options.is_channels_first()
    shape = one(shapes)
    if shape is None or not shape:
        return Signature((), (None, None) if shape is None else (1,))
    return Signature((), (shape[0], times(*shape[1:])))


def reshape(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Reshape."""
    target = options.get("target_shape")
    if not isinstance(target, (list, tuple)) or len(target) > MOST_RANK:
        raise ConfigError("target_shape", "is not a list of lengths")
    lengths = [number(item, "target_shape", -1) for item in target]
    if lengths.count(-1) > 1:
        raise ConfigError("target_shape", "has -1 more than once")
    shape = one(shapes)
    return Signature((), (shape[0] if shape else None, *filled(lengths, shape[1:] if shape else None)))


def filled(lengths: Sequence[int], shape: Shape | None) -> Shape:
    """*lengths* with what -1 stands for."""
    if -1 not in lengths:
        return tuple(lengths)
    known = times(*[length for length in lengths if length != -1])
    whole = times(*shape) if shape is not None else None
    rest = whole // known if whole is not None and known and whole % known == 0 else None
    return tuple([rest if length == -1 else length for length in lengths])


def permute(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Permute: axes are counted from 1."""
    dims = options.axes("dims")
    if dims is None or sorted(dims) != list(range(1, len(dims) + 1)):
        raise ConfigError("dims", "is no order of axes from 1 on")
    shape = ranked(one(shapes), len(dims) + 1)
    return Signature((), (shape[0], *[shape[dim] for dim in dims]))


def repeat(options: Options, shapes: Shapes, where: Where) -> Signature:
    """RepeatVector."""
    shape = ranked(one(shapes), 2)
    return Signature((), (shape[0], options.count("n", least=0), shape[1]))


def pairs(options: Options, key: str, rank: int, default: int) -> list[tuple[int, int]]:
    """Two numbers an axis: how much before and how much behind.

    Raises
    ------
    ConfigError
        There are none.
    """
    value = options.get(key)
    if value is None:
        value = default
    if not isinstance(value, (list, tuple)):
        return [(number(value, key, 0),) * 2] * rank
    if rank == 1 and len(value) == 2:
        return [(number(value[0], key, 0), number(value[1], key, 0))]
    if len(value) != rank:
        raise ConfigError(key, f"does not name {rank} axes")
    found = []
    for item in map(plain, value):
        both = item if isinstance(item, (list, tuple)) else (item, item)
        if len(both) != 2:
            raise ConfigError(key, "has no two numbers for an axis")
        found.append((number(both[0], key, 0), number(both[1], key, 0)))
    return found


def _over(
    rank: int, options: Options, shapes: Shapes, change: Callable[[Length, int], Length], key: str = "data_format"
) -> Signature:
    """A layer that changes each spatial length."""
    first = rank > 1 and options.is_channels_first(key)
    shape = ranked(one(shapes), rank + 2)
    lengths, channels = spatial(shape, rank, first)
    return Signature((), image(shape[0], [change(each, axis) for axis, each in enumerate(lengths)], channels, first))


def pad(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """ZeroPadding."""
    by = pairs(options, "padding", rank, 1)
    first = rank == 1 and where.is_keras3 and options.says("data_format") and options.is_channels_first()
    if first:
        shape = ranked(one(shapes), 3)
        return Signature((), (shape[0], shape[1], plus(shape[2], *by[0])))
    return _over(rank, options, shapes, lambda length, axis: plus(length, *by[axis]))


def crop(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """Cropping."""
    by = pairs(options, "cropping", rank, 1 if rank != 2 else 0)
    return _over(rank, options, shapes, lambda length, axis: plus(length, -by[axis][0], -by[axis][1]))


def up(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """UpSampling."""
    size = options.counts("size", rank, 2)
    return _over(rank, options, shapes, lambda length, axis: times(length, size[axis]))


LAYERS: dict[str, Rule] = {
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "RepeatVector": repeat,
    **{f"ZeroPadding{rank}D": partial(pad, rank) for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": partial(crop, rank) for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": partial(up, rank) for rank in (1, 2, 3)},
}
