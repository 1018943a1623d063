"""Pooling: no variables, and fewer places.

From ``keras/src/layers/pooling``, 3.15.1, and tf_keras 2.21.
"""

from __future__ import annotations

from functools import partial

from kwload.spec.layers.options import Options
from kwload.spec.layers.rule import Rule
from kwload.spec.layers.shapes import Length, at, image, one, ranked, spatial, window
from kwload.spec.layers.where import Where
from kwload.spec.signature import Shape, Shapes, Signature


def pool(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """MaxPooling and AveragePooling."""
    size = options.counts("pool_size", rank, 2)
    strides = options.counts("strides", rank, list(size))
    padding = options.word("padding", "valid", "valid", "same")
    first = options.is_channels_first()
    shape = one(shapes)
    lengths, channels = spatial(shape, rank, first)
    slid = [window(*each, padding) for each in zip(lengths, size, strides, strict=True)]
    return Signature((), image(at(ranked(shape, rank + 2), 0), slid, channels, first))


def whole(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """GlobalMaxPooling and GlobalAveragePooling."""
    first = options.is_channels_first()
    shape = ranked(one(shapes), rank + 2)
    _, channels = spatial(shape, rank, first)
    if options.flag("keepdims", False):
        return Signature((), image(shape[0], (1,) * rank, channels, first))
    return Signature((), (shape[0], channels))


def adaptive(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """AdaptiveMaxPooling and AdaptiveAveragePooling (Keras 3)."""
    first = options.is_channels_first()
    shape: Shape = ranked(one(shapes), rank + 2)
    _, channels = spatial(shape, rank, first)
    lengths: tuple[Length, ...] = options.counts("output_size", rank)
    return Signature((), image(shape[0], lengths, channels, first))


LAYERS: dict[str, Rule] = {}
for _rank in (1, 2, 3):
    for _kind, _short in (("Max", "Max"), ("Average", "Avg")):
        LAYERS[f"{_kind}Pooling{_rank}D"] = LAYERS[f"{_short}Pool{_rank}D"] = partial(pool, _rank)
        LAYERS[f"Global{_kind}Pooling{_rank}D"] = LAYERS[f"Global{_short}Pool{_rank}D"] = partial(whole, _rank)
        LAYERS[f"Adaptive{_kind}Pooling{_rank}D"] = partial(adaptive, _rank)
