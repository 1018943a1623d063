"""The description of an architecture: the same rows and nodes that a live model gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kwload.spec.architecture import entries
from kwload.spec.architecture.entries import Raw
from kwload.spec.architecture.graph import Graph
from kwload.spec.architecture.lists import groups_of
from kwload.spec.architecture.make import Maker
from kwload.spec.architecture.things import ArchitectureError, Given, Signed, Thing, Weight
from kwload.spec.described import V3_LAYOUTS, Keras, Model

if TYPE_CHECKING:
    from kwload.spec.confirm import Verdict


@dataclass(frozen=True, slots=True)
class Unverified:
    """What of a layer could not be held against the file.

    Attributes
    ----------
    layer : str
        Its path: ``"encoder/scale"``.
    cls : str
        Its class as it is recorded.
    what : {"class", "shape", "signature"}
        Nobody knows its variables, or some of their lengths; or the signature that is to say them failed.
    count : int or None
        Tensors of the file that stand in its place; None when that cannot be told.
    given : Given, optional
        What is known of the class, and tells nothing.
    signed : Signed, optional
        The user's signature that names the class.
    """

    layer: str
    cls: str
    what: str
    count: int | None = None
    given: Given | None = None
    signed: Signed | None = None


@dataclass(frozen=True, slots=True)
class Described(Model):
    """A description that was made from a configuration.

    Attributes
    ----------
    things : list of Thing
        The layer of each group.
    places : list of str
        Its path as people know it: ``"encoder/scale"``.
    rows : list of list of Weight
        Its variables; ``variables`` has them in one list.
    unverified : list of Unverified
        What is not known of it, in order.
    unsure : str or None
        Why nobody can say that Keras loads the file, as the end of a sentence.
    unchecked : int
        Variables that are the file's own, because nobody knows those of the layer.
    open_rows : frozenset of int, or None
        The groups of which that is so; None for all.
    said : str
        Where the configuration stands: ``"model.keras"``.
    failed : list of Verdict
        The users' signatures that could not be used.
    """

    things: list[Thing] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    rows: list[list[Weight]] = field(default_factory=list)
    unverified: list[Unverified] = field(default_factory=list)
    unsure: str | None = None
    unchecked: int = 0
    open_rows: frozenset[int] | None = frozenset()
    said: str = ""
    failed: list[Verdict] = field(default_factory=list)


def describe(
    tree: Raw, layout: str, keras: Keras, custom_objects: Mapping[str, Any] | None = None, backend_format: str = ""
) -> Described:
    """What the model that *tree* describes wants of a file of this layout.

    Parameters
    ----------
    tree : mapping
        ``{"class_name", "config"}`` of a Sequential or functional model, in the dialect of any Keras.
    layout : str
        As for :func:`kwload.spec.live.describe`.
    keras : Keras
        Which Keras would make the model.
    custom_objects : mapping, optional
        Names of the user's own classes -> classes or signatures.

    Raises
    ------
    ArchitectureError
        *tree* describes no model, or one that cannot be made.

    Notes
    -----
    A shape in the result is None, or has None for a length, where it is not known; a class that nobody knows is a group
    without variables. :func:`kwload.spec.architecture.adopt.adopted` takes both from the file.
    """
    maker = Maker(keras, custom_objects or {}, backend_format or "channels_last")
    model = maker.thing(tree, entries.built_with(tree)) if entries.full_name(tree) else None
    if model is None or model.why is not None:
        raise ArchitectureError(_failed(maker) or _no_model(tree))
    if model.layers is None:
        model.layers, model.is_subclass = list(model.children()), True
    result = Described(keras, True)
    if layout in V3_LAYOUTS:
        graph = Graph(keras, result)
        graph.run(model)
        result.things.extend(graph.things)
        result.places.extend(graph.places)
        result.rows.extend(graph.variables(made) for made in graph.things)
    else:
        groups, things, weights = groups_of(keras, model)
        result.groups.extend(groups)
        result.things.extend(things)
        result.places.extend(group[0] for group in groups)
        result.rows.extend(weights)
    result.failed.extend(maker.verdicts)
    result.variables.extend(weight for row in result.rows for weight in row)
    return result


def _failed(maker: Maker) -> str | None:
    """Why the signature of the model itself says nothing."""
    for verdict in maker.verdicts:
        place = f" ({verdict.place[0]}, line {verdict.place[1]})" if verdict.place[0] else ""
        return f"the signature of {verdict.name} {verdict.failed}{place}"
    return None


def _no_model(tree: Raw) -> str:
    from kwload.report.escape import literal, quote

    name = entries.full_name(tree)
    if not name:
        return "it has no `class_name`, so it describes no layer and no model"
    return (
        f"its class is {quote(name)}, whose layers stand in its code and not in its configuration: check against the "
        f"live model, or declare them with @kwload.signature({literal(entries.registered_name(tree))})"
    )
