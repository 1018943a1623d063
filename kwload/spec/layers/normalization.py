"""Normalization layers: one number for each place along their axes.

From ``keras/src/layers/normalization``, 3.15.1, and tf_keras 2.21.
"""

from __future__ import annotations

from kwload.spec.layers.inner import inner_of
from kwload.spec.layers.options import Options
from kwload.spec.layers.policy import policy_of
from kwload.spec.layers.rule import Rule, passes
from kwload.spec.layers.shapes import Length, at, one
from kwload.spec.layers.where import ConfigError, Where
from kwload.spec.signature import Shape, Shapes, Signature, Var


def _scaled(options: Options, shape: Shape | None, dtype: str | None = None) -> list[Var]:
    found = [Var("gamma", shape, dtype)] if options.flag("scale", True) else []
    return [*found, Var("beta", shape, dtype)] if options.flag("center", True) else found


def batch_normalization(options: Options, shapes: Shapes, where: Where) -> Signature:
    """BatchNormalization; with the moving statistics of renormalization where that is on."""
    shape = one(shapes)
    axes = options.axes("axis", -1)
    if not axes:
        raise ConfigError("axis", "is missing")
    if where.is_keras3 and len(axes) != 1:
        raise ConfigError("axis", "is not the number of one axis")
    along = _kept(shape, axes)
    dtype = _of_batch(options) if not where.is_keras3 else None
    moving = ["moving_mean", "moving_variance"]
    if options.flag("renorm", False) and not (where.is_keras3 and where.older((3, 14))):
        moving += ["moving_stddev", "renorm_mean", "renorm_stddev"]
    parts = _scaled(options, along, dtype) + [Var(name, along, dtype, False) for name in moving]
    return Signature(tuple(parts), shape)


def _of_batch(options: Options) -> str | None:
    """Keras 2 does not let these variables be of half precision."""
    return "float32" if policy_of(options.config.get("dtype")).variable_dtype in ("float16", "bfloat16") else None


def _kept(shape: Shape | None, axes: tuple[int, ...]) -> Shape | None:
    """One axis gives its length; several of Keras 2 give the rank of the input, 1 on the others."""
    if len(axes) == 1:
        return (at(shape, axes[0]),)
    if shape is None:
        return None
    kept = {axis % len(shape) for axis in axes}
    return tuple([length if axis in kept else 1 for axis, length in enumerate(shape)])


def _along(shape: Shape | None, axes: tuple[int, ...], in_order: bool) -> Shape | None:
    """The lengths of several axes; without the rank only one axis, or axes of one sign, can be put in order."""
    if shape is not None:
        axes = tuple([axis + len(shape) if axis < 0 else axis for axis in axes])
    elif len({axis < 0 for axis in axes}) > 1 and in_order:
        return (None,) * len(axes)
    return tuple([at(shape, axis) for axis in (sorted(axes) if in_order else axes)])


def layer_normalization(options: Options, shapes: Shapes, where: Where) -> Signature:
    """LayerNormalization: Keras before 3.14 takes a list of axes in the order of the list."""
    shape = one(shapes)
    axes = options.axes("axis", -1)
    if not axes:
        raise ConfigError("axis", "is missing")
    along = _along(shape, axes, where.is_keras3 and not where.older((3, 14)))
    if where.is_keras3 and options.flag("rms_scaling", False):
        return Signature((Var("gamma", along),), shape)
    return Signature(tuple(_scaled(options, along)), shape)


def rms_normalization(options: Options, shapes: Shapes, where: Where) -> Signature:
    """RMSNormalization."""
    shape = one(shapes)
    axes = options.axes("axis", -1)
    if not axes:
        raise ConfigError("axis", "is missing")
    return Signature((Var("scale", _along(shape, axes, False)),), shape)


def group_normalization(options: Options, shapes: Shapes, where: Where) -> Signature:
    """GroupNormalization."""
    shape = one(shapes)
    axes = options.axes("axis", -1)
    if axes is None or len(axes) != 1:
        raise ConfigError("axis", "is not the number of one axis")
    options.count("groups", 32, least=-1)
    return Signature(tuple(_scaled(options, (at(shape, axes[0]),))), shape)


def spectral_normalization(options: Options, shapes: Shapes, where: Where) -> Signature:
    """SpectralNormalization: the kernel of the layer inside is its own too, and ``vector_u`` is as wide as that."""
    inner = inner_of(options.layer("layer"), "layer")
    shape = one(shapes)
    found = inner.signature(shape, where)
    named = _kernel(found.parts if found is not None else ())
    width: Length = at(named.shape, -1) if named is not None else None
    vector = Var("vector_u", (1, width), named.dtype if named is not None else None, False)
    output = found.output_shape if found is not None else None
    own = [Var(named.name, named.shape, named.dtype, named.trainable, f"layer/{named.name}")] if named else []
    return Signature((*own, vector, inner.sub("layer", shape)), output)


def _kernel(parts: tuple[object, ...]) -> Var | None:
    variables = [part for part in parts if isinstance(part, Var)]
    for name in ("kernel", "embeddings"):
        for var in variables:
            if var.name == name:
                return var
    return None


def adapted(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Normalization: mean, variance and count, unless the config holds mean and variance themselves."""
    shape = one(shapes)
    if options.says("mean") != options.says("variance"):
        raise ConfigError("mean" if options.says("variance") else "variance", "is missing beside the other one")
    if options.says("mean"):
        return Signature((), shape)
    axes = options.axes("axis", -1)
    along: Shape | None = () if axes is None else _along(shape, tuple(axes), True)
    is_short = where.is_keras3 and where.backend in ("jax", "torch", "numpy", "openvino")
    count = Var("count", (), "int32" if is_short else "int64", False)
    return Signature((Var("mean", along, None, False), Var("variance", along, None, False), count), shape)


LAYERS: dict[str, Rule] = {
    "BatchNormalization": batch_normalization,
    "BatchNormalizationV1": batch_normalization,
    "BatchNormalizationV2": batch_normalization,
    "SyncBatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "RMSNormalization": rms_normalization,
    "GroupNormalization": group_normalization,
    "UnitNormalization": passes,
    "SpectralNormalization": spectral_normalization,
    "Normalization": adapted,
}
