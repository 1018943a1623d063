"""Dense layers, embeddings, activations, and what passes its input on."""

from __future__ import annotations

from kwload.spec.layers import quantized
from kwload.spec.layers.einsum import einsum_dense
from kwload.spec.layers.options import Options
from kwload.spec.layers.rule import Rule, nothing, passes
from kwload.spec.layers.shapes import at, clean, last, one, several
from kwload.spec.layers.where import ConfigError, Where
from kwload.spec.signature import Shape, Shapes, Signature, Var


def dense(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Dense: the kernel ends what it is called on by the last axis."""
    shape = one(shapes)
    units = options.count("units", least=1)
    bias = Var("bias", (units,)) if options.flag("use_bias", True) else None
    policy = quantized.quantization(options, "int8", "int4", "float8", "gptq", "awq")
    rank = options.count("lora_rank", 0) if where.is_keras3 else 0
    parts = quantized.matrix(options, policy, (at(shape, -1), units), bias, rank)
    return Signature(tuple(parts), last(shape, units))


def embedding(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Embedding: one vector for each number."""
    rows, width = options.count("input_dim", least=1), options.count("output_dim", least=1)
    rank = options.count("lora_rank", 0) if where.is_keras3 else 0
    lora = quantized.lora_of(options, (rows, rank), (rank, width), "embeddings")
    policy = quantized.quantization(options, "int8", "int4")
    if policy.mode is not None:
        made = quantized.table(policy, rows, width)
    else:
        made = [Var("embeddings", (rows, width), trainable=not rank)]
    return Signature(tuple(quantized.arranged(made, None, lora, [])), _embedded(options, one(shapes), width))


def _embedded(options: Options, shape: Shape | None, width: int) -> Shape | None:
    if shape is None:
        return None
    if options.where.flavour == "keras2" and options.says("input_length") and len(shape) == 2 and shape[1] is None:
        length = options.get("input_length")
        shape = (shape[0], length) if type(length) is int and length > 0 else shape
    return (*shape, width)


def reversible_embedding(options: Options, shapes: Shapes, where: Where) -> Signature:
    """ReversibleEmbedding: an Embedding with a way back of its own, or the transpose of its own matrix."""
    found = embedding(options, shapes, where)
    if options.flag("tie_weights", True):
        return found
    rows, width = options.count("input_dim", least=1), options.count("output_dim", least=1)
    policy = quantized.quantization(options, "int8", "int4")
    if policy.mode is not None:
        return Signature((*found.parts, *quantized.reverse_table(policy, rows, width)), found.output_shape)
    made = [part for part in found.parts if isinstance(part, Var)]
    made.append(Var("reverse_embeddings", (width, rows)))
    return Signature(tuple(quantized.arranged(made, None, [], [])), found.output_shape)


def prelu(options: Options, shapes: Shapes, where: Where) -> Signature:
    """PReLU: a slope for each place, or for all that share an axis."""
    shape = one(shapes)
    shared = options.axes("shared_axes") or ()
    if shape is None:
        return Signature((Var("alpha", None),))
    slopes = [1 if axis in shared else length for axis, length in enumerate(shape)][1:]
    return Signature((Var("alpha", tuple(slopes)),), shape)


def layer_scale(options: Options, shapes: Shapes, where: Where) -> Signature | None:
    """LayerScale of ``keras.applications.convnext``; a user's own class of that name mostly has other settings."""
    if not (options.says("projection_dim") and options.says("init_values")):
        return None
    name = "variable" if where.is_keras3 else "Variable" if where.older((2, 14)) else "gamma"
    return Signature((Var(name, (options.count("projection_dim", least=1),)),), one(shapes))


def stochastic_depth(options: Options, shapes: Shapes, where: Where) -> Signature | None:
    """StochasticDepth of ``keras.applications.convnext``."""
    return Signature((), one(shapes)) if options.says("drop_path_rate") else None


def custom_scale(options: Options, shapes: Shapes, where: Where) -> Signature | None:
    """CustomScaleLayer of ``keras.applications.inception_resnet_v2``."""
    return Signature((), one(several(shapes) or shapes)) if options.says("scale") else None  # type: ignore[arg-type]


def input_layer(options: Options, shapes: Shapes, where: Where) -> Signature:
    """InputLayer: gives what it was told."""
    for key in ("batch_shape", "batch_input_shape"):
        found = options.get(key)
        if isinstance(found, (list, tuple)):
            return Signature((), clean(tuple(found)))
    found = options.get("input_shape")
    if isinstance(found, (list, tuple)):
        return Signature((), clean((None, *found)))
    return Signature((), one(shapes))


def lambda_layer(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Lambda: the code is not run; the output is known only where the config has its shape."""
    found = options.get("output_shape")
    if isinstance(found, bool) or not isinstance(found, (int, list, tuple)):
        return Signature(())
    items = [found] if isinstance(found, int) else found
    if not all(item is None or type(item) is int for item in items):
        return Signature(())
    batch = at(one(shapes), 0) if where.is_keras3 else None
    return Signature((), clean((batch, *items)))


def masking(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Masking."""
    options.number("mask_value", 0.0)
    return Signature((), one(shapes))


def highway(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Highway of Keras 1: as wide as its input."""
    width = at(one(shapes), -1)
    parts = [Var("W", (width, width)), Var("W_carry", (width, width))]
    if options.flag("bias", True):
        parts += [Var("b", (width,)), Var("b_carry", (width,))]
    return Signature(tuple(parts), one(shapes))


def maxout_dense(options: Options, shapes: Shapes, where: Where) -> Signature:
    """MaxoutDense of Keras 1: the greatest of several dense layers."""
    width, count = options.count("output_dim", least=1), options.count("nb_feature", 4, least=1)
    parts = [Var("W", (count, at(one(shapes), -1), width))]
    if options.flag("bias", True):
        parts.append(Var("b", (count, width)))
    return Signature(tuple(parts), last(one(shapes), width))


def needs(key: str) -> Rule:
    """A layer that passes its input on and has one setting that must be a number."""

    def rule(options: Options, shapes: Shapes, where: Where) -> Signature:
        if where.is_keras3 and not options.says(key):
            raise ConfigError(key, "is missing")
        options.number(key, 0.0)
        return Signature((), one(shapes))

    return rule


LAYERS: dict[str, Rule] = {
    "Dense": dense,
    "EinsumDense": einsum_dense,
    "Embedding": embedding,
    "ReversibleEmbedding": reversible_embedding,
    "PReLU": prelu,
    "InputLayer": input_layer,
    "Lambda": lambda_layer,
    "Masking": masking,
    "Highway": highway,
    "MaxoutDense": maxout_dense,
    "LayerScale": layer_scale,
    "StochasticDepth": stochastic_depth,
    "CustomScaleLayer": custom_scale,
    **dict.fromkeys(
        ("Activation", "ActivityRegularization", "ELU", "Identity", "LeakyReLU", "ReLU", "Softmax", "ThresholdedReLU"),
        passes,
    ),
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), needs("rate")),
    **dict.fromkeys(("AlphaDropout", "GaussianDropout"), needs("rate")),
    "GaussianNoise": needs("stddev"),
    **dict.fromkeys(("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod"), nothing),
    **dict.fromkeys(("InstanceMethod", "InstanceProperty"), nothing),
}
