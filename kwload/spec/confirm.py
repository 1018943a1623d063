"""Holds users' signatures against live layers: whether a class makes the variables that its signature says.

signature  Var w (1, 4)   Sub ffn Dense        class  self.w (4,)   self.ffn: Dense kernel bias
               +------------ compared by place and by attribute -------------+
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kwload.spec import registry
from kwload.spec.asking import Entry, SignatureError
from kwload.spec.compared import Comparison, Differs, config_of, in_order, input_shape
from kwload.spec.described import PACKAGES, Keras, keras_of, name_of, package_of
from kwload.spec.live import sublayers_of
from kwload.spec.signature import Var

_MOST_LAYERS: Final = 100_000
_GRAPHS: Final = frozenset({"Sequential", "Functional"})


@dataclass(slots=True)
class Verdict:
    """What the signature of one class says of the layers of a live model.

    Attributes
    ----------
    kind : str
        Name of the class.
    name : str
        What it is registered as.
    place : tuple of (str or None, int or None)
        File and line of the signature, or of what it raised.
    layers : list of str
        Paths of the layers.
    differs : tuple of Differs
        Where signature and class disagree, of the first layer that is so; empty when they agree.
    failed : str or None
        Why the signature says nothing: ``"raised KeyError: 'units'"``.
    is_class : bool
        Whether what failed is the class, which was to be built, and not its signature.
    own, whole : dict of int to list of Var
        Identity of a layer -> the variables that the signature gives it; without and with those of its sub-layers.
    """

    kind: str
    name: str
    place: tuple[str | None, int | None]
    layers: list[str] = field(default_factory=list)
    differs: tuple[Differs, ...] = ()
    failed: str | None = None
    is_class: bool = False
    own: dict[int, list[Var]] = field(default_factory=dict)
    whole: dict[int, list[Var]] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """``"confirmed"``, ``"differs"`` or ``"failed"``."""
        return "failed" if self.failed is not None else "differs" if self.differs else "confirmed"


def of_model(model: Any, custom_objects: Mapping[str, Any] | None = None) -> list[Verdict]:
    """The verdicts on all classes of a live model that have a signature, in the order of the layers.

    Runs the signatures and the ``get_config`` of these layers, which are the user's own code; what they raise becomes
    a verdict. A layer that is not built yet has nothing to compare.
    """
    if registry.is_empty(custom_objects):
        return []
    keras = keras_of(model)
    found: dict[tuple[object, ...], Verdict] = {}
    for path, layer in _layers(keras, model):
        entry = registry.find_class(type(layer), custom_objects)
        if entry is not None and entry.signature is not None and getattr(layer, "built", False):
            made = of_layer(keras, layer, entry, custom_objects)
            kind = made.kind if made.failed is None else ""  # one signature that fails, whoever asked it
            key = (kind, made.place, made.outcome, *(each.what for each in made.differs))
            kept = found.setdefault(key, made)
            kept.layers.append(path)
            kept.own |= made.own
            kept.whole |= made.whole
    return list(found.values())


def is_confirmed(layer: Any, custom_objects: Mapping[str, Any] | None = None) -> bool:
    """Whether a live layer has a signature, and the variables that it says."""
    entry = None if registry.is_empty(custom_objects) else registry.find_class(type(layer), custom_objects)
    if entry is None or entry.signature is None:
        return False
    return of_layer(keras_of(layer), layer, entry, custom_objects).outcome == "confirmed"


def of_layer(keras: Keras, layer: Any, entry: Entry, custom_objects: Mapping[str, Any] | None = None) -> Verdict:
    """The verdict on one live layer that was built."""
    verdict = Verdict(type(layer).__name__, entry.name, entry.place)
    config, mute = config_of(layer)
    comparison = Comparison(keras, custom_objects)
    try:
        said = entry.call(config, input_shape(layer))
        differs = comparison.layer(layer, said, "", 0)
    except SignatureError as error:
        verdict.name = error.name or entry.name
        verdict.place = (error.file, error.line) if error.file is not None else entry.place
        verdict.failed = error.reason + (f"; {mute}" if mute else "")
        return verdict
    verdict.differs = tuple(differs)
    verdict.own[id(layer)] = in_order([part for part in said.parts if isinstance(part, Var)])
    verdict.whole[id(layer)] = in_order(comparison.all)
    return verdict


def _layers(keras: Keras, model: Any) -> Iterator[tuple[str, Any]]:
    """Path and layer of each layer of a user's class, outer ones first."""
    todo: list[tuple[str, Any]] = [("", model)]
    seen: set[int] = set()
    while todo and len(seen) < _MOST_LAYERS:
        path, layer = todo.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if package_of(type(layer)) not in PACKAGES and not _is_graph(type(layer)):
            yield path or str(name_of(layer)), layer
        inside = (
            (f"{path}/{name_of(child)}" if path else str(name_of(child)), child) for child in _inside(keras, layer)
        )
        todo.extend(reversed(list(inside)))


def _is_graph(cls: type) -> bool:
    return any(package_of(base) in PACKAGES and base.__name__ in _GRAPHS for base in cls.__mro__)


def _inside(keras: Keras, layer: Any) -> list[Any]:
    children = sublayers_of(keras, layer)
    if children or keras.flavour == "keras":
        return children
    return list(getattr(layer, "layers", None) or ())
