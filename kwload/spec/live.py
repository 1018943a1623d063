"""Describes a live Keras model: the only place that looks into Keras's objects to learn what a model wants.

Nothing is imported that the model's own Keras has not imported already, and nothing is written to the model.

Two descriptions exist, one a family of layouts:

* ``"keras-3"`` (and ``"tf-2.12"``): the objects in the order in which the model's own
  ``saving_lib._load_state`` walks them, as a graph of named edges (``csrc/plan/graph.h``).  Keras evaluates every
  attribute of every object to find them; here each class is looked at once, instances through their ``__dict__``,
  and properties only where one may hold something that Keras saves.  ``tests/test_live.py`` holds this walk against
  Keras's own over a grid of models.
* every other layout: ``model.layers`` in order with ``trainable_weights + non_trainable_weights`` of each, and the
  model's own weights last (``legacy_h5_format._legacy_weights``; tf_keras: ``hdf5_format._legacy_weights``).
  A layer with a weight that is no variable (a lookup table of tf_keras, which makes its loader raise
  ``NotImplementedError``) is flagged as not loadable.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from kwload.spec.described import (
    AUTO_NAME,
    NAMED,
    NOT_BUILT,
    NOT_LOADABLE,
    PACKAGES,
    V3_LAYOUTS,
    Flag,
    Keras,
    Model,
    is_counter,
    is_model,
    keras_of,
    name_of,
    package_of,
)
from kwload.spec.own_variables import assignable, keras3_row, tensorflow_row
from kwload.spec.walk import Walk, skipped_of


def describe(model: Any, layout: str) -> Model:
    """What *model* wants of a file of this layout.

    Parameters
    ----------
    model
        A model of Keras 3 (any backend) or tf_keras, built or not.
    layout : str
        A layout of ``kwload._core``: ``"keras-3"`` and ``"tf-2.12"`` give the walk of Keras's V3 saving code,
        every other one the legacy list of layers.

    Raises
    ------
    TypeError
        When *model* is not a Keras model.

    Notes
    -----
    Properties of the user's own classes are evaluated, as Keras does when it loads; their exceptions are swallowed.
    """
    if not is_model(model):
        raise TypeError(f"not a model of Keras 3 or tf_keras: {type(model).__module__}.{type(model).__qualname__}")
    keras = keras_of(model)
    result = Model(keras, bool(getattr(model, "built", True)))
    if layout in V3_LAYOUTS:
        Walk(keras, result).run(model)
    else:
        _describe_legacy(keras, model, result)
    if keras.flavour == "keras":
        result.untracked.extend(_untracked(keras, model, result.variables))
    return result


# --- the legacy layouts ----------------------------------------------------------------------------------------------


def sublayers_of(keras: Keras, layer: Any) -> list[Any]:
    if keras.flavour == "keras":
        return list(getattr(layer, "_layers", ()))
    try:
        return list(layer._flatten_layers(recursive=False, include_self=False))
    except Exception:  # noqa: BLE001 - a user's layer that keeps something odd
        return []


def _own(keras: Keras, layer: Any) -> list[Any]:
    first, second = (
        ("_trainable_variables", "_non_trainable_variables")
        if keras.flavour == "keras"
        else ("_trainable_weights", "_non_trainable_weights")
    )
    return [*getattr(layer, first, ()), *getattr(layer, second, ())]


def _find_owners(keras: Keras, top: Any, path: str, found: dict[int, tuple[Any, str]]) -> None:
    """Maps each variable's id to ``(layer that owns it, that layer's path)``, the outermost owner first."""
    todo, seen = [(top, path)], set()
    while todo:
        layer, at = todo.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        for variable in _own(keras, layer):
            found.setdefault(id(variable), (layer, at))
        todo.extend((child, f"{at}/{name_of(child)}") for child in reversed(sublayers_of(keras, layer)))


def _legacy_weights(layer: Any) -> tuple[list[Any], int]:
    """``(trainable_weights + non_trainable_weights, flags)``."""
    flags = NOT_BUILT if getattr(layer, "built", True) is False else 0
    try:
        weights = [*layer.trainable_weights, *layer.non_trainable_weights]
    except Exception:  # noqa: BLE001 - tf_keras: "Weights for model ... have not yet been created"
        return [], NOT_BUILT
    variables = assignable(weights)
    return variables, flags if len(variables) == len(weights) else flags | NOT_LOADABLE


def _describe_legacy(keras: Keras, model: Any, result: Model) -> None:
    row = keras3_row if keras.flavour == "keras" else tensorflow_row
    naming = keras.module("utils.naming") if keras.flavour == "keras" else keras.module("utils.generic_utils")
    to_snake_case: Callable[[str], str] = vars(naming)["to_snake_case"]

    def add(path: str, name: str | None, obj: Any, flags: int, weights: list[Any], owners: dict[int, Any]) -> None:
        placed = [owners.get(id(v), (obj, name or "")) for v in weights]
        rows = tuple([row(v, at) for v, (_, at) in zip(weights, placed, strict=True)])
        result.groups.append((path, name, type(obj).__name__, flags, rows))
        result.objects.append(obj)
        result.variables.extend(weights)
        result.owners.extend([owner for owner, _ in placed])

    snakes: dict[type, str] = {}
    for layer in model.layers:
        name = name_of(layer) or ""
        snake = snakes.get(type(layer))
        if snake is None:
            snake = snakes[type(layer)] = to_snake_case(type(layer).__name__)
        weights, flags = _legacy_weights(layer)
        flags |= NAMED
        if name.startswith(snake) and is_counter(name[len(snake) :]):
            flags |= AUTO_NAME
        owners: dict[int, tuple[Any, str]] = {}
        if weights and sublayers_of(keras, layer):
            _find_owners(keras, layer, name, owners)
        add(name, name, layer, flags, weights, owners)

    own = _own(keras, model)
    if keras.flavour == "keras" and own:
        listed = {id(v) for v in _legacy_weights(model)[0]}
        own = [v for v in own if id(v) in listed]
    flags = int(Flag.TOP_LEVEL) | (0 if result.built else NOT_BUILT)
    add("top_level_model_weights", None, model, flags, own, {})


# --- what Keras 3 does not track -------------------------------------------------------------------------------------


def _untracked(keras: Keras, model: Any, tracked: Iterable[Any]) -> list[tuple[str, str]]:
    """``(layer path, attribute)`` of raw ``tf.Variable`` objects that layers of the user's own classes keep."""
    tensorflow = sys.modules.get("tensorflow")
    variable_type = getattr(tensorflow, "Variable", None)
    if not isinstance(variable_type, type):
        return []
    found: list[tuple[str, str]] = []
    known: set[int] | None = None
    todo: list[tuple[Any, str]] = [(model, "")]
    seen: set[int] = set()
    while todo:
        layer, path = todo.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if package_of(type(layer)) not in PACKAGES:
            for name, value in list(vars(layer).items()):
                if name in skipped_of(keras, "Layer"):  # Keras's own bookkeeping
                    continue
                raw = _raw_variables(value, variable_type)
                if raw and known is None:
                    known = {id(getattr(v, "_value", None)) for v in tracked}
                if any(id(v) not in (known or ()) for v in raw):
                    found.append((path, name))
        children = getattr(layer, "_layers", ())
        todo.extend((child, f"{path}/{name_of(child)}" if path else str(name_of(child))) for child in children[::-1])
    return found


def _raw_variables(value: Any, variable_type: type) -> list[Any]:
    """The variables that *value* is or holds, in lists, tuples, sets and dicts."""
    found, todo, seen = [], [value], set()
    while todo:
        item = todo.pop()
        cls = type(item)  # what the object says of its class may be code that raises
        if issubclass(cls, variable_type):
            found.append(item)
        elif issubclass(cls, (list, tuple, set, dict)) and id(item) not in seen:
            seen.add(id(item))
            todo.extend(item.values() if isinstance(item, dict) else item)
    return found
