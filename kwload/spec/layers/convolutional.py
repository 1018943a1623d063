"""Convolutions: kernels of ``(*size, channels in, channels out)`` whatever the order of the data.

    Conv             (*k, C / groups, filters)       DepthwiseConv    (*k, C, multiplier)
    ConvTranspose    (*k, filters, C)                SeparableConv    depthwise, then (1 .., C * multiplier, filters)

From ``keras/src/layers/convolutional/base_*.py``, 3.15.1, and tf_keras 2.21.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from kwload.spec.layers.options import Options
from kwload.spec.layers.quantized import lora_of
from kwload.spec.layers.rule import Rule
from kwload.spec.layers.shapes import Length, at, image, one, ranked, spatial, times, window
from kwload.spec.layers.where import Where
from kwload.spec.signature import Shape, Shapes, Signature, Var


@dataclass(frozen=True, slots=True)
class Settings:
    """What all convolutions have."""

    rank: int
    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str
    channels_first: bool
    lengths: tuple[Length, ...]
    channels: Length
    batch: Length
    is_known: bool

    def output(self, lengths: list[Length], channels: Length) -> Shape:
        """The shape of an output with these spatial lengths."""
        return image(self.batch, lengths, channels, self.channels_first)

    def slid(self) -> list[Length]:
        """The spatial lengths of what a sliding window gives."""
        padding = "same" if self.padding == "causal" else self.padding
        rows = zip(self.lengths, self.size, self.strides, self.dilation, strict=True)
        return [window(length, size, stride, padding, dilation) for length, size, stride, dilation in rows]


def settings(options: Options, shapes: Shapes, rank: int) -> Settings:
    """Reads them.

    Raises
    ------
    ConfigError
        No convolution has such.
    """
    shape = one(shapes)
    channels_first = options.is_channels_first()
    lengths, channels = spatial(shape, rank, channels_first)
    return Settings(
        rank,
        options.counts("kernel_size", rank),
        options.counts("strides", rank, 1),
        options.counts("dilation_rate", rank, 1),
        options.word("padding", "valid", "valid", "same", "causal", "full"),
        channels_first,
        lengths,
        channels,
        at(ranked(shape, rank + 2), 0),
        shape is not None,
    )


def _bias(options: Options, length: Length) -> list[Var]:
    return [Var("bias", (length,))] if options.flag("use_bias", True) else []


def convolution(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """Conv1D, Conv2D, Conv3D."""
    said = settings(options, shapes, rank)
    filters, groups = options.count("filters", least=1), options.count("groups", 1, least=1)
    inner = said.channels // groups if said.channels is not None and said.channels % groups == 0 else None
    kernel: Shape = (*said.size, inner, filters)
    low = options.count("lora_rank", 0) if where.is_keras3 else 0
    lora = lora_of(options, (*kernel[:-1], low), (low, filters))
    parts = (Var("kernel", kernel, trainable=not low), *_bias(options, filters), *lora)
    return Signature(parts, said.output(said.slid(), filters))


def transposed(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """Conv1DTranspose, Conv2DTranspose, Conv3DTranspose."""
    said = settings(options, shapes, rank)
    filters = options.count("filters", least=1)
    more = options.counts("output_padding", rank, least=0) if options.says("output_padding") else (None,) * rank
    lengths = [
        _widened(*each, said.padding)
        for each in zip(said.lengths, said.size, said.strides, said.dilation, more, strict=True)
    ]
    kernel = Var("kernel", (*said.size, filters, said.channels))
    return Signature((kernel, *_bias(options, filters)), said.output(lengths, filters))


def _widened(length: Length, size: int, stride: int, dilation: int, more: int | None, padding: str) -> Length:
    """What a transposed convolution makes of a length (``_get_output_shape_given_tf_padding``)."""
    if length is None:
        return None
    wide = (size - 1) * dilation + 1
    if padding == "same":
        return length * stride if more is None else (length - 1) * stride + wide % 2 + more
    return (length - 1) * stride + (max(wide, stride) if more is None else wide + more)


def depthwise(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """DepthwiseConv1D, DepthwiseConv2D."""
    said = settings(options, shapes, rank)
    multiplier = options.count("depth_multiplier", 1, least=1)
    filters = times(said.channels, multiplier)
    name = "kernel" if where.is_keras3 else "depthwise_kernel"
    kernel = Var(name, (*said.size, said.channels, multiplier))
    return Signature((kernel, *_bias(options, filters)), said.output(said.slid(), filters))


def separable(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """SeparableConv1D, SeparableConv2D."""
    said = settings(options, shapes, rank)
    filters, multiplier = options.count("filters", least=1), options.count("depth_multiplier", 1, least=1)
    deep = Var("depthwise_kernel", (*said.size, said.channels, multiplier))
    pointed = Var("pointwise_kernel", (*(1,) * rank, times(said.channels, multiplier), filters))
    return Signature((deep, pointed, *_bias(options, filters)), said.output(said.slid(), filters))


def locally_connected(rank: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """LocallyConnected1D, LocallyConnected2D (Keras 1 and 2): a kernel for each place, in one of three layouts."""
    said = settings(options, shapes, rank)
    filters = options.count("filters", least=1)
    outs = said.slid()
    way = options.count("implementation", 1)
    inner: tuple[Length, ...] = (*said.lengths, said.channels)
    outer: tuple[Length, ...] = (*outs, filters)
    if said.channels_first:
        inner, outer = (said.channels, *said.lengths), (filters, *outs)
    if way == 2:
        kernel: Shape = (*inner, *outer)
    elif way == 3:
        kernel = (times(*_met(said), said.channels, filters),)
    else:
        kernel = (times(*outs), times(*said.size, said.channels), filters)
    parts = [Var("kernel", kernel)]
    if options.flag("use_bias", True):
        parts.append(Var("bias", outer if where.version < (2,) else (*outs, filters)))
    return Signature(tuple(parts), said.output(outs, filters))


def _met(said: Settings) -> list[Length]:
    """On each axis: pairs of an input place and an output place that see each other (``conv_kernel_mask``)."""
    found: list[Length] = []
    for length, size, stride, out in zip(said.lengths, said.size, said.strides, said.slid(), strict=True):
        if length is None or out is None:
            found.append(None)
        elif said.padding == "valid":
            found.append(out * size)
        else:
            found.append(out * size - _cut(out, stride, size // 2, length, size - size // 2))
    return found


def _cut(out: int, stride: int, before: int, length: int, after: int) -> int:
    """How many places of all windows stand outside: windows reach from ``at - before`` to ``at + after``."""
    low = min(out, -(-before // stride))
    cut = low * before - stride * (low * (low - 1) // 2)
    first = max(0, (length - after) // stride + 1) if length >= after else 0
    count = max(0, out - first)
    total = stride * (first + out - 1) * count // 2
    return cut + total + count * (after - length)


LAYERS: dict[str, Rule] = {
    **{f"Conv{rank}D": partial(convolution, rank) for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": partial(transposed, rank) for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": partial(depthwise, rank) for rank in (1, 2)},
    **{f"SeparableConv{rank}D": partial(separable, rank) for rank in (1, 2)},
    **{f"LocallyConnected{rank}D": partial(locally_connected, rank) for rank in (1, 2)},
}
for _name in ("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"):
    LAYERS[_name.replace("Conv", "Convolution")] = LAYERS[_name]
for _name in ("SeparableConv1D", "SeparableConv2D"):
    LAYERS[_name.replace("Conv", "Convolution")] = LAYERS[_name]
