"""Layers around one other layer, and lists of layers."""

from __future__ import annotations

from kwload.spec.layers.inner import Inner, inner_of
from kwload.spec.layers.options import Options
from kwload.spec.layers.rule import Rule
from kwload.spec.layers.shapes import at, one, times
from kwload.spec.layers.where import Where
from kwload.spec.signature import Shape, Shapes, Signature, Sub


def time_distributed(options: Options, shapes: Shapes, where: Where) -> Signature:
    """TimeDistributed: the layer inside sees one step."""
    inner = inner_of(options.layer("layer"), "layer")
    shape = one(shapes)
    step: Shape | None = (shape[0], *shape[2:]) if shape is not None and len(shape) >= 2 else None
    found = inner.signature(step, where)
    output = found.output_shape if found is not None else None
    return Signature((inner.sub("layer", step),), _each_step(output, shape))


def _each_step(output: Shapes, shape: Shape | None) -> Shapes:
    if isinstance(output, list):
        return [_each_step(item, shape) for item in output]
    if not isinstance(output, tuple) or not output or shape is None:
        return None
    return (at(shape, 0), at(shape, 1), *output[1:])


def wrapper(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Wrapper itself: it builds the layer inside; in Keras 2 it gives what it gets, in Keras 3 nothing at all."""
    inner = inner_of(options.layer("layer"), "layer")
    return Signature((inner.sub("layer", shapes),), None if where.is_keras3 else shapes)


def bidirectional(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Bidirectional: two of the layer inside, forward and backward."""
    ahead = inner_of(options.layer("layer"), "layer")
    shape = one(shapes)
    back = inner_of(options.layer("backward_layer"), "backward_layer") if options.says("backward_layer") else None
    if back is not None and not where.is_keras3:
        back = _named(back, "backward_")
    forward, backward = _named(ahead, "forward_"), back if back is not None else _turned(ahead)
    merge = options.get("merge_mode") if "merge_mode" in options.config else "concat"
    if merge is not None:
        merge = options.word("merge_mode", "concat", "concat", "sum", "mul", "ave")
    found = forward.signature(shape, where)
    output = _merged(found.output_shape if found is not None else None, merge, ahead)
    return Signature((forward.sub("forward_layer", shape), backward.sub("backward_layer", shape)), output)


def _named(inner: Inner, prefix: str) -> Inner:
    name = inner.config.get("name") if isinstance(inner.config, dict) else None
    return inner.renamed(name=prefix + name.removeprefix(prefix)) if isinstance(name, str) else inner


def _turned(inner: Inner) -> Inner:
    """The backward layer, where the config has none of its own."""
    name = inner.config.get("name") if isinstance(inner.config, dict) else None
    turned = inner.renamed(go_backwards=True)
    if not isinstance(name, str):
        return turned
    return turned.renamed(name="backward_" + name.removeprefix("forward_").removeprefix("backward_"))


def _merged(output: Shapes, merge: str | None, inner: Inner) -> Shapes:
    states: list[Shapes] = []
    with_states = isinstance(inner.config, dict) and bool(inner.config.get("return_state"))
    if with_states:
        if not isinstance(output, list) or not output:
            return None
        states = output[1:]
        output = output[0]
    if not isinstance(output, tuple) or not output:
        return None
    if merge is None:
        return [output, output, *states, *states]
    if merge == "concat":
        output = (*output[:-1], times(2, output[-1]))
    return [output, *states, *states] if with_states else output


def pipeline(options: Options, shapes: Shapes, where: Where) -> Signature:
    """Pipeline (Keras 3): image layers one after another."""
    subs: list[Sub] = []
    for recorded in options.layers("layers"):
        inner = inner_of(recorded, "layers")
        subs.append(inner.sub("", shapes))
        found = inner.signature(shapes, where)
        shapes = found.output_shape if found is not None else None
    return Signature((Sub("layers", subs),), shapes)


LAYERS: dict[str, Rule] = {
    "TimeDistributed": time_distributed,
    "Wrapper": wrapper,
    "Bidirectional": bidirectional,
    "Pipeline": pipeline,
}
