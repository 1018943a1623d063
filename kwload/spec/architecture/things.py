"""What an architecture is made of before it is laid out for a file: layers, their variables, the layers inside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kwload.spec.signature import Shape

Signed: TypeAlias = "tuple[str, str | None, int | None]"
"""A user's signature: the name that it is for, its file and line."""


class ArchitectureError(ValueError):
    """A configuration that no model can be made from; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of a class, and tells nothing.

    Attributes
    ----------
    kind : str
        What was handed in and is neither a class nor a signature: ``"function"``, ``"partial"``; ``"signature"``; or
        ``"class"``, which nobody asked to build.
    place : tuple of (str or None, int or None)
        File and line.
    why : str
        What the signature did when it was asked without a shape: ``"raised TypeError: …"``; why the class cannot be
        built.
    """

    kind: str
    place: tuple[str | None, int | None]
    why: str = ""


@dataclass(eq=False, slots=True)
class Weight:
    """A variable; the same object wherever it is shared.

    Attributes
    ----------
    name : str
        ``"kernel"``.
    shape : tuple of (int or None), or None
        None for what is not known.
    dtype : str
        As the layer's policy makes it.
    trainable : bool
        While its layer is.
    signed : Signed, optional
        The user's signature that says so.
    """

    name: str
    shape: Shape | None
    dtype: str
    trainable: bool
    signed: Signed | None = None

    @property
    def is_known(self) -> bool:
        """Whether all of its shape is known."""
        return self.shape is not None and None not in self.shape


@dataclass(eq=False, slots=True)
class Box:
    """A list or dict of layers that a layer keeps."""

    items: list[Thing | Box] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Thing:
    """A layer or model.

    Attributes
    ----------
    cls : str
        Its class's own name.
    name : str or None
        As it is recorded, or as the outer layer calls it.
    trainable : bool
        Its own setting.
    parts : list
        Variables, and ``(attribute, layer or box)``, in the order in which they are made.
    layers : list of Thing, or None
        Of a model, in the order of ``model.layers``.
    is_subclass : bool
        Whether it is a model whose layers are in attributes, and so in ``parts`` too.
    flags : int
        Of :class:`kwload.spec.described.Flag`: how it takes its variables.
    mode : str or None
        How it is quantized.
    why : str or None
        Its class as it is recorded, when nobody knows which variables that has.
    failed : bool
        Whether that is because its signature says nothing that can be used.
    given : Given, optional
        What is known of its class all the same.
    is_unnamed : bool
        Whether nothing records its name: a signature describes it, and gives none.
    config : mapping
        Its settings.
    signed : Signed, optional
        The user's signature that says what it is made of.
    """

    cls: str
    name: str | None
    trainable: bool = True
    parts: list[Weight | tuple[str, Thing | Box]] = field(default_factory=list)
    layers: list[Thing] | None = None
    flags: int = 0
    mode: str | None = None
    why: str | None = None
    failed: bool = False
    given: Given | None = None
    is_unnamed: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    signed: Signed | None = None
    is_lora: bool = False
    is_subclass: bool = False

    def own(self) -> list[Weight]:
        """Its own variables, in the order in which they are made."""
        return [part for part in self.parts if isinstance(part, Weight)]

    def children(self) -> Iterator[Thing]:
        """The layers inside it, in the order in which they are made."""
        yield from (self.layers or ()) if not self.is_subclass else ()
        for part in self.parts:
            if not isinstance(part, Weight):
                yield from things_in(part[1])


def things_in(part: Thing | Box) -> Iterator[Thing]:
    """The layers of a list, in order, at any depth."""
    if isinstance(part, Thing):
        yield part
        return
    for item in part.items:
        yield from things_in(item)
