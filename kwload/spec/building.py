"""Builds a class of the user's own to see which variables it makes, when that was asked for.

This runs the user's code with a config that a file holds: the class's own ``from_config``, then a call on symbolic
inputs, which is how Keras builds a layer. Nothing else of the file is run, and no other class.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

from kwload.spec import registry
from kwload.spec.asking import RAISED, ContradictedError, Entry, NotBuiltError, by_argument, raised, raised_at
from kwload.spec.compared import OF_KERAS, Comparison, config_of, input_shape
from kwload.spec.described import Keras, keras_of
from kwload.spec.live import sublayers_of
from kwload.spec.registering import handed
from kwload.spec.signature import Shapes, Signature, Sub, Var

_MOST_DEPTH: Final = 8


def built(entry: Entry, config: Mapping[str, Any], shape: Shapes) -> Signature:
    """What a class makes of a config and an input.

    Raises
    ------
    NotBuiltError
        The class is none of an imported Keras, it raised, or its input is not known.
    """
    layer, output = _layer(entry, config, shape)
    return _signature(keras_of(layer), layer, output)


def compare(entry: Entry, config: Mapping[str, Any], shape: Shapes, said: Signature) -> None:
    """Builds the class and holds a signature against it.

    Raises
    ------
    ContradictedError
        They disagree.
    SignatureError
        The class cannot be built (NotBuiltError), or the signature says what no layer can be made from.
    """
    layer, output = _layer(entry, config, shape)
    keras = keras_of(layer)
    with handed(None, build=False):  # what is in it is built now
        differs = Comparison(keras, None).layer(layer, said, "", 0)
    if differs:
        raise ContradictedError(entry, tuple(differs), _signature(keras, layer, output))


def _layer(entry: Entry, config: Mapping[str, Any], shape: Shapes) -> tuple[Any, Shapes]:
    """The layer, built, and the shape of what it makes."""
    cls = entry.cls
    package = next((base.__module__.partition(".")[0] for base in cls.__mro__ if _is_keras(base)), None)
    keras = sys.modules.get(package) if package is not None else None
    if keras is None:
        raise NotBuiltError(entry.name, "cannot be built: it is no class of a Keras that is imported", *entry.place)
    if shape is None:
        raise NotBuiltError(entry.name, "cannot be built: the shape of its input is not known", *entry.place)
    try:
        layer = cls.from_config(dict(config))
        output = _shapes_of(_call(keras, layer, by_argument(shape)), _MOST_DEPTH)
    except RAISED as error:
        raise NotBuiltError(entry.name, f"{raised(error)} when it was built", *raised_at(error, cls)) from error
    return layer, output


def _is_keras(base: type) -> bool:
    return base.__module__.partition(".")[0] in ("keras", "tf_keras")


def _call(keras: Any, layer: Any, shape: Shapes) -> Any:
    """Calls a layer on symbolic inputs of these shapes; what it returns."""

    def inputs(shape: Any) -> Any:
        if isinstance(shape, list):
            return [inputs(each) for each in shape]
        return keras.Input(shape[1:], batch_size=shape[0])

    if isinstance(shape, dict):
        return layer(**{name: inputs(each) for name, each in shape.items()})
    return layer(inputs(shape))


def _shapes_of(made: Any, depth: int) -> Shapes:
    """The shapes of tensors, in the lists and dicts that they stand in; None for anything else."""
    if isinstance(made, dict):
        return {str(name): _shapes_of(each, depth - 1) for name, each in made.items()} if depth else None
    if isinstance(made, (list, tuple)):
        return [_shapes_of(each, depth - 1) for each in made] if depth else None
    try:
        return tuple(None if length is None else int(length) for length in made.shape)
    except (AttributeError, TypeError, ValueError):  # no tensor, or one of unknown rank
        return None


def _signature(keras: Keras, layer: Any, output: Shapes) -> Signature:
    """What a live layer has, as a signature would say it."""
    suffix = "variables" if keras.flavour == "keras" else "weights"
    own = [(variable, True) for variable in getattr(layer, f"_trainable_{suffix}", ())]
    own += [(variable, False) for variable in getattr(layer, f"_non_trainable_{suffix}", ())]
    parts: list[Var | Sub] = []
    for variable, trainable in own:
        name = str(variable.name).rpartition("/")[2].partition(":")[0]
        parts.append(Var(name, tuple(int(length) for length in variable.shape), trainable=trainable))
    children = {id(child) for child in sublayers_of(keras, layer)}
    for attribute, value in list(vars(layer).items()):
        part = _sub(attribute, value, children)
        if part is not None:
            parts.append(part)
    return Signature(tuple(parts), output)


def _sub(attribute: str, value: Any, children: set[int]) -> Sub | None:
    """The sub-layer, or the list or dict of them, that stands in an attribute."""
    if attribute.startswith(OF_KERAS):
        return None
    if id(value) in children:
        children.discard(id(value))
        entry = registry.find_class(type(value))
        name = entry.name if entry is not None else type(value).__name__
        return Sub(attribute, name, config_of(value)[0], input_shape(value))
    if isinstance(value, dict):
        inside = {str(key): part for key, each in value.items() if (part := _sub(str(key), each, children))}
        return Sub(attribute, inside) if inside else None
    if isinstance(value, (list, tuple)):
        several = [part for number, each in enumerate(value) if (part := _sub(str(number), each, children))]
        return Sub(attribute, several) if several else None
    return None
