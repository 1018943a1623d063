"""The architecture in a whole model's own file, as ``load_model`` makes it, and where it is at odds with itself.

    recorded   build_config of each layer, the shapes in each call: what was, when the file was written
    made       what follows from the inputs and the settings: what is, also when somebody changed the configuration

Keras 3 builds the layers of a ``.keras`` archive from what is recorded and calls them with what is made
(``serialization_lib.deserialize_keras_object``, 3.0 to 3.15); from an ``.h5`` file, and tf_keras from any, with what is
made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kwload.report.facts import FileFacts
from kwload.spec.architecture.adopt import adopted
from kwload.spec.architecture.describe import Described, describe
from kwload.spec.architecture.entries import Raw, built_with, called_with, layers_of
from kwload.spec.described import V3_LAYOUTS, Keras
from kwload.spec.signature import Shape

_DEEPEST: Final = 100


@dataclass(frozen=True, slots=True)
class Stale:
    """A variable that what is recorded and what is made give different shapes.

    Attributes
    ----------
    layer, cls : str
        Path and class of its layer.
    variable : str
    recorded, made : tuple of (int or None)
        Shapes.
    """

    layer: str
    cls: str
    variable: str
    recorded: Shape
    made: Shape


@dataclass(frozen=True, slots=True)
class Itself:
    """A whole model's own architecture.

    Attributes
    ----------
    model : Described
        As this Keras builds it, what is not known taken from the file.
    stale : list of Stale
        Where what is recorded of shapes is not what the layers make: somebody changed the configuration.
    is_made : bool
        Whether this Keras builds these layers from what is made, and so finds nothing wrong with them.
    """

    model: Described
    stale: list[Stale]
    is_made: bool = False


def of_itself(tree: Raw, file: FileFacts, keras: Keras, custom_objects: Mapping[str, Any] | None) -> Itself:
    """What the architecture in a file wants of the weights in it.

    Parameters
    ----------
    tree : mapping
        The architecture.
    file : _core.File
        The opened file.
    keras : Keras
        Whose ``load_model``.
    custom_objects : mapping, optional
        Names of the user's own classes -> classes or signatures.

    Raises
    ------
    ArchitectureError
        No model can be made of it.
    """
    described = describe(tree, file.layout, keras, custom_objects)
    unshaped = bare(tree)
    if unshaped is None:
        return Itself(adopted(described, file), [])
    made = describe(unshaped, file.layout, keras, custom_objects)
    stale = _compared(described, made)
    if stale and (keras.flavour != "keras" or file.layout not in V3_LAYOUTS):
        return Itself(adopted(made, file), stale, is_made=True)
    return Itself(adopted(described, file), stale)


def _compared(described: Described, made: Described) -> list[Stale]:
    if len(described.things) != len(made.things):
        return []
    found: list[Stale] = []
    for place, thing, rows, others in zip(described.places, described.things, described.rows, made.rows, strict=True):
        if len(rows) == len(others):
            found += [
                Stale(place, thing.cls, row.name, row.shape, other.shape)
                for row, other in zip(rows, others, strict=True)
                if row.shape is not None and other.shape is not None and _differ(row.shape, other.shape)
            ]
    return found


def _differ(one: Shape, other: Shape) -> bool:
    """Whether two shapes cannot be one."""
    if len(one) != len(other):
        return True
    return any(None not in (a, b) and a != b for a, b in zip(one, other, strict=True))


def bare(tree: Raw) -> Raw | None:
    """The architecture without the shapes that it records; None when it records none."""
    bare: dict[str, Any] = {key: value for key, value in tree.items() if key != "build_config"}
    recorded = False
    todo: list[tuple[dict[str, Any], int]] = [(bare, 0)]
    while todo:
        at, depth = todo.pop()
        layers = layers_of(at)
        if layers is None or depth > _DEEPEST:
            continue
        copies = [_without(layer) for layer in layers]
        recorded = recorded or any(_records(layer) for layer in layers)
        config = at["config"]
        at["config"] = copies if isinstance(config, list) else {**config, "layers": copies}
        todo += [(layer, depth + 1) for layer in copies]
    return bare if recorded else None


def _records(layer: Raw) -> bool:
    return built_with(layer) is not None or called_with(layer) is not None


def _without(layer: Raw) -> dict[str, Any]:
    kept = {key: value for key, value in layer.items() if key != "build_config"}
    nodes = kept.get("inbound_nodes")
    if isinstance(nodes, list) and nodes and isinstance(nodes[0], dict):
        kept["inbound_nodes"] = [_unshaped(node) for node in nodes]
    return kept


def _unshaped(value: Any, depth: int = 0) -> Any:
    """A call without the shapes of its tensors."""
    if depth > _DEEPEST:
        return value
    if isinstance(value, list):
        return [_unshaped(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__keras_tensor__" and isinstance(value.get("config"), dict):
        return {**value, "config": {key: item for key, item in value["config"].items() if key != "shape"}}
    return {key: _unshaped(item, depth + 1) for key, item in value.items()}
