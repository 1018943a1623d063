"""The layers of an architecture as the legacy layouts list them: each with its trainable weights, then the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kwload.spec.architecture.graph import group_of, row_of
from kwload.spec.architecture.make import LOOKUPS
from kwload.spec.architecture.things import Thing, Weight, things_in
from kwload.spec.described import Flag, Group, Keras, Variable


@dataclass(frozen=True, slots=True)
class Owned:
    """A variable with the layer that has it.

    Attributes
    ----------
    weight : Weight or None
        None stands for those of a layer whose class nobody knows.
    layer : str
        Path of the layer that has it.
    is_trained : bool
        Whether it and all layers around it, up to that of the list, are trainable.
    row : tuple
        As a description has it; ``()`` where there is no weight.
    """

    weight: Weight | None
    layer: str
    is_trained: bool
    row: Variable


def groups_of(keras: Keras, model: Thing) -> tuple[list[Group], list[Thing], list[list[Weight]]]:
    """The groups of a model in the order of ``model.layers``, the layer of each, and its variables."""
    groups: list[Group] = []
    things: list[Thing] = []
    weights: list[list[Weight]] = []
    for made in model.layers or []:
        name = made.name or ""
        path, label, cls, flags, _ = group_of(made, name, name, [])
        owned = in_order(keras, made)
        flags &= ~(int(Flag.NO_COUNT) | int(Flag.OWN_LOAD))
        if keras.flavour == "tf_keras" and made.cls in LOOKUPS and made.config.get("vocabulary") is None:
            flags |= int(Flag.NOT_LOADABLE)  # a table that grows is listed among the weights
        groups.append((path, label or "", cls, flags | int(Flag.NAMED), tuple([each.row for each in owned])))
        things.append(made)
        weights.append([each.weight for each in owned if each.weight is not None])
    own = model.own()
    rows = tuple([row_of(weight, "", model.trainable) for weight in own])
    groups.append(("top_level_model_weights", None, model.cls, int(Flag.TOP_LEVEL), rows))
    return groups, [*things, model], [*weights, own]


def in_order(keras: Keras, made: Thing, *, with_gaps: bool = False) -> list[Owned]:
    """``layer.trainable_weights + layer.non_trainable_weights``; *with_gaps* marks where there may be others."""
    found = [owned for owned in _owned(keras, made) if with_gaps or owned.weight is not None]
    if not made.trainable:
        return found
    return [owned for owned in found if owned.is_trained] + [owned for owned in found if not owned.is_trained]


def gaps_of(made: Thing) -> list[tuple[str, Thing]]:
    """The layers whose class nobody knows, with their paths."""
    found: list[tuple[str, Thing]] = []
    todo = [(made.name or "", made)]
    while todo:
        at, thing = todo.pop()
        if thing.why is not None:
            found.append((at, thing))
        todo += reversed([(f"{at}/{inside.name}", inside) for inside in thing.children()])
    return found


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
                row = row_of(part, at, owner.trainable or keras.flavour != "keras")
                found.append(Owned(part, at, part.trainable and owner.trainable and trained, row))
            continue
        if part.why is not None:
            found += [Owned(None, at, is_trained, _NO_ROW) for is_trained in (True, False)]
        below = trained and (part.trainable or keras.flavour == "keras" or part is top)
        layers = part.layers if part.layers is not None and not part.is_subclass else []
        inside: list[tuple[Thing | Weight, Thing, str, bool]] = [
            (layer, layer, f"{at}/{layer.name}", below) for layer in layers
        ]
        for each in part.parts:
            if isinstance(each, Weight):
                inside.append((each, part, at, below))
            else:
                inside += [(item, item, f"{at}/{item.name}", below) for item in things_in(each[1])]
        todo += reversed(inside)
    return found


_NO_ROW: Final[Variable] = ("", "", "", (), "", True)
