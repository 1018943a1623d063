"""What a live model would be in a Keras that is not installed: the same layers, walked as that Keras walks them.

    live model --live.describe-->  rows, graph          what its own Keras finds
               --other.describe--> the same rows first, another graph

Two things differ from Keras to Keras: in which order the attributes of an object are visited, and what the attributes
of built-in layers are called.  Names of attributes that a user gave are the same everywhere.  Which layers there are,
with which variables, is in ``unsure.py``: where that does not say what the model would be, ``There.unsure`` is the
reason in words.

Sources: ``keras/src/saving/saving_lib.py`` of 3.0.0 to 3.15.1, ``keras/saving/saving_lib.py`` of 2.12 to 2.15 and of
tf_keras 2.16 to 2.21, ``keras/engine/saving.py`` of 2.0 to 2.3.1; files that 2.12 to 3.15.1 wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from kwload.spec import unsure
from kwload.spec.asked import Asked, parse
from kwload.spec.described import V3_LAYOUTS, Flag, Group, Keras, Model, Node
from kwload.spec.naming import ordered
from kwload.spec.walk import Class, Walk


@dataclass(frozen=True, slots=True)
class There:
    """What the model is in another Keras.

    Attributes
    ----------
    keras : Asked
        Which Keras.
    groups, nodes : list of tuple
        As in :class:`kwload.spec.described.Model`; the groups begin with those of the live model's description.
    unsure : str or None
        Why it is not known, as the end of a sentence.
    """

    keras: Asked
    groups: list[Group]
    nodes: list[Node]
    unsure: str | None = None


def describe(model: Any, described: Model, layout: str, keras: Asked, *, by_name: bool = False) -> There | None:
    """What *model* is in *keras*, for files of this layout; None when it is the model's own.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        The live model.
    described : Model
        What :func:`kwload.spec.live.describe` says of it, for the same layout.
    layout : str
        The layout of the file.
    keras : Asked
        From :func:`parse`.
    by_name : bool
        Whether the call matches layers of a legacy file by their names, which are the live model's.
    """
    if keras.is_it(described.keras):
        return None
    if layout in V3_LAYOUTS and _reads_v3(keras):
        return _describe_graph(model, described, keras)
    reason = unsure.of_version(keras)
    if reason is None and layout not in V3_LAYOUTS:
        reason = unsure.of_lists(model, described, keras)
    if reason is None and by_name:
        reason = unsure.of_names(described, keras)
    return There(keras, described.groups, described.nodes, reason)


def _reads_v3(keras: Asked) -> bool:
    return keras.flavour == "keras" or (keras.flavour == "tf_keras" and keras.version >= (2, 12))


# --- the walk of the V3 layouts --------------------------------------------------------------------------------------

_ATTENTION: Final = ("query_dense", "key_dense", "value_dense", "output_dense")
"""Properties of MultiHeadAttention that are its attributes ``_query_dense``, ... again; Keras 3.0.3 added them."""

_LISTED_TWICE: Final = "_layer_checkpoint_dependencies"


class _Walk(Walk):
    """The walk over the live objects, by the rules of another Keras."""

    def __init__(self, own: Keras, asked: Asked, result: Model) -> None:
        super().__init__(own, result)
        self.asked = asked
        self.nested = asked.flavour == "keras" and asked.version >= (3, 15)

    def ordered(self, names: list[str]) -> list[str]:
        return ordered(self.asked, names)

    def class_of(self, obj: Any) -> Class:
        plan = super().class_of(obj)
        first = self.asked.flavour == "keras" and self.asked.version >= (3, 0, 3)
        plan.layers_first = first and unsure.is_graph(type(obj))
        return plan

    def attributes(self, obj: Any, plan: Class) -> Iterable[tuple[str, Any]]:
        found = super().attributes(obj, plan)
        if unsure.is_built_in(type(obj), "MultiHeadAttention"):
            return self._attention(dict(found))
        if self.asked.flavour == "tf_keras" and self.asked.version < (2, 15) and unsure.is_graph(type(obj)):
            return self._in_order({**dict(found), _LISTED_TWICE: _listed_twice(obj)})
        return found

    def _attention(self, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name in _ATTENTION:
            found.pop(name, None)
            if self.asked.flavour == "keras" and self.asked.version >= (3, 0, 3) and f"_{name}" in found:
                found[name] = found[f"_{name}"]
        return self._in_order(found)

    def _in_order(self, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        return ((name, found[name]) for name in self.ordered(list(found)))


def _listed_twice(model: Any) -> list[Any]:
    """``Functional._layer_checkpoint_dependencies`` of 2.12 to 2.14: a layer that has weights, and again as a layer."""
    return [entry for layer in model.layers for entry in ((layer, layer) if layer.weights else (layer,))]


def _describe_graph(model: Any, described: Model, keras: Asked) -> There:
    result = Model(described.keras, described.built)
    _Walk(described.keras, keras, result).run(model)
    rows = {id(obj): row for row, obj in enumerate(described.objects)}
    groups, places = list(described.groups), []
    for obj, group in zip(result.objects, result.groups, strict=True):
        known = rows.get(id(obj))
        if known is None:
            known = len(groups)
            groups.append(group)
        places.append(known)
    if described.keras.flavour != keras.flavour:
        groups = [_without_state(group) for group in groups]
    nodes = [(places[row] if row >= 0 else row, edges) for row, edges in result.nodes]
    return There(keras, groups, nodes, unsure.of_graph(model, result, keras))


def _without_state(group: Group) -> Group:
    """The state of optimizers is never loaded where their variables are others, and Keras 3 loads none of metrics."""
    path, name, class_name, flags, variables = group
    if flags & (Flag.OPTIMIZER | Flag.METRIC):
        flags |= int(Flag.NOT_LOADABLE)
    return path, name, class_name, flags, variables


__all__ = ["Asked", "There", "describe", "parse"]
