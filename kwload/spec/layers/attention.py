"""Attention: its dense layers are sub-layers, each an EinsumDense that splits the last axis into heads.

From ``keras/src/layers/attention``, 3.15.1, and tf_keras 2.21.
"""

from __future__ import annotations

from collections.abc import Sequence

from kwload.spec.layers.options import Options
from kwload.spec.layers.policy import dtype_for
from kwload.spec.layers.rule import Rule
from kwload.spec.layers.shapes import Length, at, one
from kwload.spec.layers.where import Where
from kwload.spec.signature import Shape, Shapes, Signature, Sub, Var

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def inputs(shapes: Shapes) -> tuple[Shape | None, Shape | None, Shape | None]:
    """Query, value and key; the value's stands for a key that is not given."""
    given: dict[str, Shapes] = {}
    if isinstance(shapes, dict):
        given = {name.removesuffix("_shape"): shape for name, shape in shapes.items()}
    elif isinstance(shapes, list):
        given = dict(zip(("query", "value", "key"), shapes, strict=False))
    else:
        given["query"] = shapes
    given.setdefault("key", given.get("value"))
    known = [given.get(name) for name in ("query", "value", "key")]
    query, value, key = [shape if isinstance(shape, tuple) else None for shape in known]
    return query, value, key


def _project(free: int, bound: int, made: int) -> tuple[str, str]:
    """The equation of a projection, and the letters of its bias: ``abc,cde->abde``, or ``...a,abc->...bc``."""
    ins = _LETTERS[: free + bound]
    outs = _LETTERS[free + bound : free + bound + made]
    dots = "" if free else "..."
    return f"{dots}{ins},{ins[free:]}{outs}->{dots}{ins[:free]}{outs}", outs


def _dense(options: Options, names: tuple[str, str], shape: Shape | None, bound: int, made: Sequence[Length]) -> Sub:
    """One of the projections: *names* are attribute and layer name."""
    shape = shape if shape is not None and bound < len(shape) < 20 else None
    free = len(shape) - bound if shape is not None else 0
    equation, letters = _project(free, bound, len(made))
    config = {
        "name": names[1],
        "equation": equation,
        "output_shape": [*(None,) * (free - 1), *made],
        "bias_axes": letters if options.flag("use_bias", True) else None,
    }
    if "dtype" in options.config:
        config["dtype"] = dtype_for(options.config, names[1])
    return Sub(names[0], "EinsumDense", config, shape)


def _rest(options: Options) -> list[Sub]:
    """The two that have no variables."""
    rate = {"rate": options.number("dropout", 0.0)}
    return [
        Sub("_softmax", "Softmax", {"name": "softmax"}),
        Sub("_dropout_layer", "Dropout", {"name": "dropout", **rate}),
    ]


def multi_head_attention(options: Options, shapes: Shapes, where: Where) -> Signature:
    """MultiHeadAttention."""
    query, value, key = inputs(shapes)
    if not where.is_keras3:  # its config says what it was built with
        stated = [options.shape(f"{name}_shape") for name in ("query", "value", "key")]
        query, value, key = (known or said for known, said in zip((query, value, key), stated, strict=True))
    heads, size = options.count("num_heads", least=1), options.count("key_dim", least=1)
    wide = options.count("value_dim", size, least=1)
    ends = options.shape("output_shape") or None
    out: Shape = ends if ends is not None else (at(query, -1),)
    parts = [
        _dense(options, ("_query_dense", "query"), query, 1, (heads, size)),
        _dense(options, ("_key_dense", "key"), key, 1, (heads, size)),
    ]
    if where.is_keras3 and options.flag("use_gate", False):
        parts.append(_dense(options, ("_gate_dense", "gate"), query, 1, (heads, wide)))
    parts.append(_dense(options, ("_value_dense", "value"), value, 1, (heads, wide)))
    inner: Shape | None = (*query[:-1], heads, wide) if query is not None and len(query) < 18 else None
    parts += _rest(options)
    parts.append(_dense(options, ("_output_dense", "attention_output"), inner, 2, out))
    return Signature(tuple(parts), None if query is None else (*query[:-1], *out))


def grouped_query_attention(options: Options, shapes: Shapes, where: Where) -> Signature:
    """GroupQueryAttention: fewer heads for keys and values than for queries."""
    query, value, key = inputs(shapes)
    size = options.count("head_dim", least=1)
    heads = options.count("num_query_heads", least=1)
    fewer = options.count("num_key_value_heads", least=1)
    parts = [_dense(options, ("_query_dense", "query"), query, 1, (heads, size))]
    parts.append(_dense(options, ("_key_dense", "key"), key, 1, (fewer, size)))
    if options.flag("use_gate", False):
        parts.append(_dense(options, ("_gate_dense", "gate"), query, 1, (heads, size)))
    parts.append(_dense(options, ("_value_dense", "value"), value, 1, (fewer, size)))
    parts += _rest(options)
    inner: Shape | None = (*query[:-1], heads, size) if query is not None and len(query) < 18 else None
    parts.append(_dense(options, ("_output_dense", "attention_output"), inner, 2, (at(query, -1),)))
    return Signature(tuple(parts), query)


def _attended(query: Shape | None, value: Shape | None, where: Where) -> Shape | None:
    """What comes of a query and a value; Keras 3.0 says that it is as wide as the query, which it need not be."""
    if query is None or (where.is_keras3 and where.older((3, 1)) and at(query, -1) != at(value, -1)):
        return None
    return (*query[:-1], at(value, -1))


def attention(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Attention."""
    query, value, _ = inputs(shapes)
    parts = [Var("scale", ())] if options.flag("use_scale", False) else []
    if options.word("score_mode", "dot", "dot", "concat") == "concat":
        parts.append(Var("concat_score_weight", ()))
    return Signature(tuple(parts), _attended(query, value, where))


def additive_attention(options: Options, shapes: Shapes, where: Where) -> Signature:
    """AdditiveAttention: queries and values are equally wide."""
    query, value, key = inputs(shapes)
    known = at(query, -1) if where.is_keras3 else at(value, -1)
    width = known if known is not None else at(key, -1)
    parts = (Var("scale", (width,)),) if options.flag("use_scale", True) else ()
    return Signature(parts, _attended(query, value, where))


def with_scores(found: Signature, name: str, options: Options, shapes: Shapes) -> Signature:
    """What an attention layer gives when it is called with ``return_attention_scores=True``: scores come second."""
    query, value, _ = inputs(shapes)
    scores: Shapes = None
    axes = options.config.get("attention_axes")
    if query is not None and value is not None and len(query) == len(value) == 3 and axes is None:
        scores = (query[0], query[1], value[1])
        heads = options.maybe_count("num_heads" if name == "MultiHeadAttention" else "num_query_heads")
        if heads is not None:
            scores = (query[0], heads, query[1], value[1])
    return Signature(found.parts, [one(found.output_shape), scores])


LAYERS: dict[str, Rule] = {
    "MultiHeadAttention": multi_head_attention,
    "GroupQueryAttention": grouped_query_attention,
    "GroupedQueryAttention": grouped_query_attention,
    "Attention": attention,
    "AdditiveAttention": additive_attention,
}
