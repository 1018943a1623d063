"""The walk of Keras's V3 saving code over an architecture, as :mod:`kwload.spec.walk` walks a live model."""

from __future__ import annotations

from typing import Final

from kwload.spec.architecture.make import LOOKUPS
from kwload.spec.architecture.things import Box, Thing, Weight
from kwload.spec.described import AUTO_NAME, NAMED, Edge, Group, Keras, Model, Variable, is_counter
from kwload.spec.naming import ordered, snake, unique

_PROPERTIES: Final = ("query_dense", "key_dense", "value_dense", "output_dense")
"""Of MultiHeadAttention, since Keras 3.0.3, beside the attributes ``_query_dense``, …"""

_LISTED_TWICE: Final = "_layer_checkpoint_dependencies"
_FIRST: Final = ("kernel", "embeddings", "bias")
"""Quantized layers, and those with LoRA: what ``variable_serialization_spec`` names first."""


class Graph:
    """Lays an architecture out as objects and containers, joined by named edges.

    Parameters
    ----------
    keras : Keras
        Whose walk.
    result : Model
        Gets groups and nodes.
    """

    def __init__(self, keras: Keras, result: Model) -> None:
        self.keras = keras
        self.result = result
        self.is_keras3 = keras.flavour == "keras"
        self.edges: list[list[Edge]] = []
        self.rows: list[int] = []
        self.things: list[Thing] = []
        """The thing of each group."""
        self.places: list[str] = []
        """Its path by names: ``"encoder/dense"``."""
        self.seen: dict[int, int] = {}
        self.alive: list[object] = []

    def run(self, model: Thing) -> None:
        """Fills the result's groups and nodes."""
        self.object(model, "", None)
        self.result.nodes.extend((row, tuple(edges)) for row, edges in zip(self.rows, self.edges, strict=True))

    def object(self, made: Thing, path: str, parent: str | None, attribute: str = "") -> int:
        """The node of a layer or model; *parent* is None for the model itself."""
        known = self.seen.get(id(made))
        if known is not None:
            return known
        node = self.seen[id(made)] = len(self.rows)
        self.rows.append(len(self.result.groups))
        edges: list[Edge] = []
        self.edges.append(edges)
        own = made.name or attribute
        layer = "" if parent is None else f"{parent}/{own}" if parent else own
        self.result.groups.append(group_of(made, path, layer, self.variables(made), self.is_keras3))
        self.things.append(made)
        self.places.append(layer)
        prefix = f"{path}/" if path else ""
        for name, value in self.attributes(made):
            if isinstance(value, Thing):
                edges.append((name, self.object(value, prefix + name, layer, name)))
            elif value.items:
                edges.append((name, self.container(value, prefix + name, layer)))
        return node

    def attributes(self, made: Thing) -> list[tuple[str, Thing | Box]]:
        """What it keeps, in the order of this Keras's walk."""
        found: dict[str, Thing | Box] = {}
        for part in made.parts:
            if not isinstance(part, Weight):
                found.setdefault(*part)
        if made.cls == "MultiHeadAttention" and self.is_keras3:
            self._add_properties(found)
        wraps = not self.is_keras3 or self.keras.version < (3, 3, 3)
        if made.cls == "Bidirectional" and wraps and "layer" not in found:
            found["layer"] = _unbuilt(found.get("forward_layer"))
        layers = Box(list(made.layers)) if made.layers is not None else None
        self.alive += [layers, *found.values()]  # what is made here keeps its id
        if layers is not None and not (self.is_keras3 or made.is_subclass) and self.keras.version < (2, 15):
            found[_LISTED_TWICE] = Box([each for layer in layers.items for each in _twice(layer)])
            self.alive.append(found[_LISTED_TWICE])
        first = layers is not None and not made.is_subclass and self.is_keras3 and self.keras.version >= (3, 0, 3)
        if layers is not None and not first:
            found["layers"] = layers
        names = ordered(self.keras, list(found))
        ahead: list[tuple[str, Thing | Box]] = [("layers", layers)] if layers is not None and first else []
        return ahead + [(name, found[name]) for name in names]

    def _add_properties(self, found: dict[str, Thing | Box]) -> None:
        """Under which names attention has its layers in this Keras."""
        for name in _PROPERTIES:
            kept = found.pop(name, None) or found.get(f"_{name}")
            if kept is None:
                continue
            found[f"_{name}"] = kept
            if self.keras.version >= (3, 0, 3):
                found[name] = kept

    def container(self, box: Box, path: str, layer: str) -> int:
        """The node of a list."""
        known = self.seen.get(id(box))
        if known is not None:
            return known
        node = self.seen[id(box)] = len(self.rows)
        self.rows.append(-1)
        edges: list[Edge] = []
        self.edges.append(edges)
        used: dict[str, int] = {}
        for item in box.items:
            if isinstance(item, Box):
                if self.is_keras3 and self.keras.version >= (3, 15):
                    name = unique("container", used)
                    edges.append((None, self.container(item, f"{path}/{name}", layer)))
                continue
            stem = snake(item.cls)
            if not self.is_keras3 and id(item) in self.seen:
                edges.append((stem, self.seen[id(item)]))
                continue
            name = unique(stem, used)
            edges.append((stem, self.object(item, f"{path}/{name}", layer, name)))
        return node

    def variables(self, made: Thing) -> list[Weight]:
        """Its own variables in the order of the keys ``"0"``, ``"1"``, ``…``."""
        own = made.own() if made.cls not in LOOKUPS else []
        if made.is_lora:
            own = [weight for weight in own if not weight.name.startswith("lora_")]
        if made.mode is not None or made.is_lora:
            places = {name: at for at, name in enumerate(_FIRST)}
            return sorted(own, key=lambda weight: places.get(weight.name, len(places)))
        return [weight for weight in own if weight.trainable] + [weight for weight in own if not weight.trainable]


def group_of(made: Thing, path: str, layer: str, weights: list[Weight], is_keras3: bool = True) -> Group:
    """The row of a layer; in Keras 3 a layer that is frozen makes its variables so."""
    flags = made.flags
    if made.name:
        flags |= NAMED
        stem = snake(made.cls)
        if made.name.startswith(stem) and is_counter(made.name[len(stem) :]):
            flags |= AUTO_NAME
    rows = tuple([row_of(weight, layer, made.trainable or not is_keras3) for weight in weights])
    return path, made.name, made.cls, flags, rows


def row_of(weight: Weight, layer: str, trainable: bool) -> Variable:
    """The row of a variable; a length, or a shape, of None is not known."""
    shape: tuple[int, ...] = weight.shape  # type: ignore[assignment]
    path = f"{layer}/{weight.name}" if layer else weight.name
    return weight.name, path, layer, shape, weight.dtype, weight.trainable and trainable


def _twice(layer: Thing | Box) -> tuple[Thing | Box, ...]:
    """A layer with variables is listed as its weights' owner and again as a layer."""
    return (layer, layer) if isinstance(layer, Thing) and has_weights(layer) else (layer,)


def has_weights(made: Thing) -> bool:
    """Whether there is a variable in it, at any depth."""
    todo = [made]
    while todo:
        thing = todo.pop()
        if thing.why is not None or thing.own():
            return True
        todo += thing.children()
    return False


def _unbuilt(made: Thing | Box | None) -> Thing | Box:
    """The layer that a Bidirectional was made from before Keras 3.3.3, and never builds."""
    from kwload.spec.described import NOT_BUILT

    if not isinstance(made, Thing):
        return Box()
    name = made.name.removeprefix("forward_") if made.name else None
    found = Thing(made.cls, name, made.trainable, flags=NOT_BUILT)
    for part in made.parts:
        if not isinstance(part, Weight):
            found.parts.append((part[0], _unbuilt(part[1])))
    return found
