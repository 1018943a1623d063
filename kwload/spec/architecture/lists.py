"""The layers of an architecture as the legacy layouts list them: each with its trainable weights, then the others."""

from __future__ import annotations

from dataclasses import dataclass

from kwload.spec.architecture.graph import group_of, row_of
from kwload.spec.architecture.things import Thing, Weight, things_in
from kwload.spec.described import Flag, Group, Keras, Variable


@dataclass(frozen=True, slots=True)
class Owned:
    """A variable with the layer that has it."""

    weight: Weight
    layer: str
    is_trained: bool
    """Whether it and all layers around it, up to that of the list, are trainable."""
    row: Variable


def groups_of(keras: Keras, model: Thing) -> tuple[list[Group], list[Thing]]:
    """The groups of a model in the order of ``model.layers``, and the layer of each."""
    groups: list[Group] = []
    things: list[Thing] = []
    for made in model.layers or []:
        name = made.name or ""
        path, label, cls, flags, _ = group_of(made, name, name, [])
        rows = tuple([owned.row for owned in in_order(keras, made)])
        flags &= ~(int(Flag.NO_COUNT) | int(Flag.OWN_LOAD))
        groups.append((path, label or "", cls, flags | int(Flag.NAMED), rows))
        things.append(made)
    groups.append(("top_level_model_weights", None, model.cls, int(Flag.TOP_LEVEL), ()))
    things.append(model)
    return groups, things


def in_order(keras: Keras, made: Thing) -> list[Owned]:
    """``layer.trainable_weights + layer.non_trainable_weights``."""
    found = _owned(keras, made)
    if not made.trainable:
        return found
    return [owned for owned in found if owned.is_trained] + [owned for owned in found if not owned.is_trained]


def _owned(keras: Keras, top: Thing) -> list[Owned]:
    """All variables of a layer in the order in which they are made, each once."""
    found: list[Owned] = []
    seen: set[int] = set()
    todo: list[tuple[Thing | Weight, Thing, str, bool]] = [(top, top, top.name or "", True)]
    while todo:
        part, owner, at, trained = todo.pop()
        if isinstance(part, Weight):
            if id(part) not in seen:
                seen.add(id(part))
                row = row_of(part, at, owner.trainable if keras.flavour == "keras" else True)
                found.append(Owned(part, at, part.trainable and owner.trainable and trained, row))
            continue
        below = trained and (part.trainable or keras.flavour == "keras" or part is top)
        inside: list[tuple[Thing | Weight, Thing, str, bool]] = [
            (layer, layer, f"{at}/{layer.name}", below) for layer in part.layers or ()
        ]
        for each in part.parts:
            if isinstance(each, Weight):
                inside.append((each, part, at, below))
            else:
                inside += [(item, item, f"{at}/{item.name}", below) for item in things_in(each[1])]
        todo += reversed(inside)
    return found
