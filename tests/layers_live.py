"""What real layers have: variables and sub-layers as Keras's own saving code walks them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from layers_zoo import Case, made

Variable = tuple[str, tuple[int, ...], str, bool]


@dataclass
class Live:
    """An object that Keras saves: its own variables and what it holds, by attribute."""

    kind: str
    variables: list[Variable]
    objects: list[Any]
    parts: dict[str, Any] = field(default_factory=dict)


def build(case: Case, keras: Any) -> tuple[Any, Any]:
    """The layer, called on symbolic inputs, and what it gave."""
    layer = made(case.layer, keras)
    shapes = case.input_shape if isinstance(case.input_shape, list) else [case.input_shape]
    inputs = [keras.Input(batch_shape=shape, dtype=case.dtype) for shape in shapes]
    if case.layer.name in ("MultiHeadAttention", "GroupQueryAttention"):
        return layer, layer(*inputs, **case.call)
    if "Cell" in case.layer.name:
        states = [keras.Input(batch_shape=(None, size)) for size in flat(layer.state_size)]
        if case.layer.name == "StackedRNNCells":
            states = nested(states, layer.state_size)
        return layer, layer(inputs[0], states if len(states) > 1 else states[0:1])
    return layer, layer(inputs if isinstance(case.input_shape, list) else inputs[0], **case.call)


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [item for key in sorted(value) for item in flat(value[key])]
    if isinstance(value, (list, tuple)) and not hasattr(value, "as_list"):
        return [leaf for item in value for leaf in flat(item)]
    return [value]


def nested(leaves: list[Any], like: Any) -> Any:
    left = iter(leaves)

    def put(item: Any) -> Any:
        return [put(part) for part in item] if isinstance(item, (list, tuple)) else next(left)

    return put(like)


def shape_of(value: Any) -> Any:
    """The shapes of a structure of symbolic tensors."""
    if isinstance(value, dict):
        return {key: shape_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shape_of(item) for item in value]
    shape = value.shape
    if getattr(shape, "rank", 0) is None:
        return None
    return tuple(None if length is None else int(length) for length in shape)


def live(obj: Any, flavour: str, seen: set[int] | None = None) -> Live:
    """*obj* as the saving code sees it, with all that it holds, each object once."""
    seen = set() if seen is None else seen
    seen.add(id(obj))
    if flavour == "keras":
        from keras.src.saving import saving_lib

        own = [*getattr(obj, "_trainable_variables", ()), *getattr(obj, "_non_trainable_variables", ())]
        walk = getattr(saving_lib, "_walk_saveable", None) or saving_lib._walk_trackable
        is_saveable = _is_saveable
    else:
        from tf_keras.src.saving import saving_lib

        own = [*getattr(obj, "_trainable_weights", ()), *getattr(obj, "_non_trainable_weights", ())]
        walk, is_saveable = saving_lib._walk_trackable, saving_lib._is_keras_trackable
    own = [value for value in own if hasattr(value, "assign")]
    result = Live(type(obj).__name__, [row(value) for value in own], own)
    for name, value in walk(obj):
        if is_saveable(value):
            if id(value) not in seen:
                result.parts[name] = live(value, flavour, seen)
        elif isinstance(value, (list, tuple, dict)):
            items = value.values() if isinstance(value, dict) else value
            inner = [live(item, flavour, seen) for item in items if is_saveable(item) and id(item) not in seen]
            if inner:
                result.parts[name] = inner
    return result


def row(value: Any) -> Variable:
    name = value.name.partition(":")[0].rpartition("/")[2]
    dtype = value.dtype if isinstance(value.dtype, str) else value.dtype.name
    shape = tuple(value.shape) if getattr(value.shape, "rank", 0) is not None else ()
    return name, shape, dtype, bool(value.trainable)


def _is_saveable(value: Any) -> bool:
    return any(cls.__name__ in ("KerasSaveable", "Layer") for cls in type(value).__mro__)
