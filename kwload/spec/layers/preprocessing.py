"""Preprocessing: images, numbers, categories, text, sound.

Random layers keep the state of a seed generator as a variable, which is in no list of weights and in no file of any
Keras from 3.0 to 3.15: ``SeedGenerator`` is not an object that the saving code walks to.
"""

from __future__ import annotations

from functools import partial

from kwload.spec.layers.options import Options, length
from kwload.spec.layers.rule import Rule, passes, words
from kwload.spec.layers.shapes import Length, at, one, plus, put, several, times, window
from kwload.spec.layers.where import ConfigError, Where
from kwload.spec.signature import Shape, Shapes, Signature, Sub, Var

_AUGMENTATIONS = words(
    """
    RandomShear RandomTranslation RandomRotation RandomBrightness RandomColorDegeneration RandomContrast
    RandomSharpness RandomPosterization Solarization AutoContrast Equalization
    """
)
_ATTRIBUTES = {name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:] for name in _AUGMENTATIONS}


def keeps(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Image layers that change values only; a dict of images and labels stays one."""
    return Signature((), shapes if isinstance(shapes, (tuple, dict)) else one(shapes))


def augments(options: Options, shapes: Shapes, where: Where) -> Signature:
    """RandAugment and AugMix: keep one of each image layer."""
    subs = [Sub(_ATTRIBUTES[name], name, {"name": _ATTRIBUTES[name]}, shapes) for name in sorted(_AUGMENTATIONS)]
    return Signature(tuple(subs), shapes if isinstance(shapes, (tuple, dict)) else one(shapes))


def sized(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Resizing, CenterCrop, RandomCrop: images of a given size."""
    height, width = options.count("height", least=0), options.count("width", least=0)
    shape = one(shapes)
    if isinstance(shapes, dict) or shape is None or len(shape) not in (3, 4):
        return Signature(())
    first = where.is_keras3 and options.is_channels_first()
    rows = -2 if first else -3
    return Signature((), put(put(shape, rows, height), rows + 1, width))


def unsized(axis: int, options: Options, shapes: Shapes, where: Where) -> Signature:
    """RandomHeight and RandomWidth (Keras 2): a length that is different each time."""
    return Signature((), put(one(shapes), axis, None))


def boxes(options: Options, shapes: Shapes, where: Where) -> Signature:
    """MaxNumBoundingBoxes."""
    options.maybe_count("max_number")
    return Signature(())


def _last(shape: Shape | None, depth: Length) -> Shape | None:
    """One number a category in place of the last axis."""
    return (*shape[:-1], depth) if shape else None


def _one_hot(shape: Shape | None, depth: Length) -> Shape | None:
    """A new axis of categories, in place of a last axis of length 1."""
    if shape is None or not shape or at(shape, -1) is None:
        return None
    return (*shape[:-1], depth) if len(shape) > 1 and shape[-1] == 1 else (*shape, depth)


def _encoded(mode: str, shape: Shape | None, depth: Length, where: Where) -> Shape | None:
    """What categories become; Keras 2 gives two axes at most."""
    if mode == "int":
        return shape
    if not where.is_keras3:
        if shape is None or len(shape) > 2 or (mode == "one_hot" and len(shape) == 2 and shape[1] != 1):
            return None
        return (shape[0], depth) if len(shape) == 2 or mode == "one_hot" else None
    return _one_hot(shape, depth) if mode == "one_hot" else _last(shape, depth)


def _mode(options: Options, default: str = "int") -> str:
    """``output_mode``; older dialects write it with another name or as binary."""
    mode = options.word("output_mode", default)
    mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(mode, mode)
    if mode not in ("int", "one_hot", "multi_hot", "count", "tf_idf"):
        raise ConfigError("output_mode", "is no way to encode categories")
    return mode


def category_encoding(options: Options, shapes: Shapes, where: Where) -> Signature:
    """CategoryEncoding."""
    depth = options.maybe_count("num_tokens") if options.says("num_tokens") else options.maybe_count("max_tokens")
    return Signature((), _encoded(_mode(options, "multi_hot"), one(shapes), depth, where))


def hashing(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Hashing and HashedCrossing: the latter takes several inputs."""
    bins, mode, shape = options.count("num_bins", least=1), _mode(options), one(shapes)
    if mode == "int" or not where.is_keras3:
        return Signature((), _encoded(mode, shape, bins, where))
    if where.older((3, 15)):  # the shape that these state is not that of what they give
        return Signature(())
    return Signature((), _last(shape, bins))


def crossing(options: Options, shapes: Shapes, where: Where) -> Signature:
    """HashedCrossing: several inputs of one shape."""
    bins, mode = options.count("num_bins", least=1), _mode(options)
    given = several(shapes)
    return Signature((), _encoded(mode, given[0] if given else None, bins, where))


def discretization(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Discretization: Keras 2 keeps a summary of the data as a variable where bounds are yet to be found."""
    mode, shape = _mode(options), one(shapes)
    bounds = length(options.config.get("bin_boundaries"))
    depth = bounds + 1 if bounds is not None else options.maybe_count("num_bins")
    parts: tuple[Var, ...] = ()
    if not where.is_keras3 and bounds is None and options.says("num_bins"):
        parts = (Var("summary", (2, None), "float32", False),)
    if mode == "int" or not where.is_keras3:
        return Signature(parts, _encoded(mode, shape, depth, where))
    if where.older((3, 15)):
        return Signature(parts)
    if mode == "one_hot":
        return Signature(parts, _one_hot(shape, depth))
    if shape is None:
        return Signature(parts)
    return Signature(parts, (shape[0], *shape[2:], depth) if len(shape) >= 2 else (depth,))


def _depth(options: Options) -> Length:
    """How many numbers a lookup gives; the vocabulary alone does not tell how many words stand for none."""
    if options.flag("pad_to_max_tokens", False):
        return options.maybe_count("max_tokens")
    return options.maybe_count("vocabulary_size")


def lookup(options: Options, shapes: Shapes, where: Where) -> Signature:
    """StringLookup and IntegerLookup: the vocabulary is no variable; weights of words are one in Keras 2."""
    mode, shape = _mode(options), one(shapes)
    if mode != "int" and where.is_keras3 and where.older((3, 15)) and (shape is None or len(shape) != 2):
        return Signature(())
    parts = (Var("Variable", (None,), "float32", False),) if mode == "tf_idf" and not where.is_keras3 else ()
    return Signature(parts, _encoded(mode, shape, _depth(options), where))


def text(options: Options, shapes: Shapes, where: Where) -> Signature:
    """TextVectorization: has a lookup inside."""
    mode = _mode(options)
    config = {key: options.config[key] for key in ("output_mode", "pad_to_max_tokens") if key in options.config}
    inside = Sub("_lookup_layer", "StringLookup", {"name": "string_lookup", **config})
    shape = one(shapes)
    batch = at(shape, 0)
    if mode == "int":
        ragged = options.flag("ragged", False)
        steps = options.get("output_sequence_length")
        return Signature((inside,), (batch, None if ragged or type(steps) is not int else steps))
    if where.is_keras3 and not where.older((3, 15)):
        split = options.get("split") if "split" in options.config else "whitespace"
        if shape is not None and (split is not None or len(shape) <= 1):
            shape = (*shape, None)
        return Signature((inside,), None if mode == "one_hot" else _last(shape, _depth(options)))
    return Signature((inside,), (batch, _depth(options)) if shape is not None and len(shape) <= 2 else None)


def stft(options: Options, shapes: Shapes, where: Where) -> Signature:
    """STFTSpectrogram: two kernels that are sines and cosines at first."""
    mode = options.word("mode", "log", "log", "magnitude", "psd", "real", "imag", "angle", "stft")
    frame = options.count("frame_length", 256, least=1)
    step = options.count("frame_step", max(frame // 2, 1), least=1)
    fft = options.count("fft_length", frame, least=1)
    kernel: Shape = (frame, 1, fft // 2 + 1)
    names = [name for name, other in (("real_kernel", "imag"), ("imag_kernel", "real")) if mode != other]
    first = options.is_channels_first()
    shape = one(shapes)
    if shape is None or len(shape) != 3:
        return Signature(tuple([Var(name, kernel) for name in names]))
    padding = options.word("padding", "valid", "valid", "same")
    steps = window(shape[2] if first else shape[1], frame, step, padding)
    channels = shape[1] if first else shape[2]
    bins = (fft // 2 + 1) * (2 if mode == "stft" else 1)
    output: Shape
    if options.flag("expand_dims", False):
        output = (shape[0], channels, steps, bins) if first else (shape[0], steps, bins, channels)
    else:
        wide = times(bins, channels)
        output = (shape[0], wide, steps) if first else (shape[0], steps, wide)
    return Signature(tuple([Var(name, kernel) for name in names]), output)


def mel(options: Options, shapes: Shapes, where: Where) -> Signature:
    """MelSpectrogram."""
    stride, bins = options.count("sequence_stride", 512, least=1), options.count("num_mel_bins", 128, least=1)
    shape = one(shapes)
    if shape is None or len(shape) not in (1, 2):
        return Signature(())
    samples = plus(shape[-1], stride + 1)
    steps = samples // stride if samples is not None and shape[-1] else None
    return Signature((), (*shape[:-1], bins, steps))


LAYERS: dict[str, Rule] = {
    **dict.fromkeys(("AugMix", "RandAugment"), augments),
    **dict.fromkeys(("CenterCrop", "RandomCrop", "Resizing"), sized),
    **dict.fromkeys(
        words(
            """
            AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization MixUp RandomBrightness
            RandomColorDegeneration RandomColorJitter RandomContrast RandomElasticTransform RandomErasing
            RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective
            RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation
            RandomZoom Solarization
            """
        ),
        keeps,
    ),
    "RandomHeight": partial(unsized, -3),
    "RandomWidth": partial(unsized, -2),
    "MaxNumBoundingBoxes": boxes,
    "Rescaling": passes,
    "CategoryEncoding": category_encoding,
    "Hashing": hashing,
    "HashedCrossing": crossing,
    "Discretization": discretization,
    "StringLookup": lookup,
    "IntegerLookup": lookup,
    "TextVectorization": text,
    "STFTSpectrogram": stft,
    "MelSpectrogram": mel,
}
