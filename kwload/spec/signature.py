"""What a layer is made of, as data: the terms in which the table of built-in layers and users' signatures speak.

A signature is a function ``(config, input_shape)`` -> what the layer has, in the order in which it makes it:

    >>> @kwload.signature("My>Block")
    ... def block(config, input_shape):
    ...     width = input_shape[-1]
    ...     return [
    ...         kwload.Var("scale", (width,)),
    ...         kwload.Sub("ffn", "Dense", {"units": config["units"]}, input_shape),
    ...     ]

The order is that of ``layer.weights``; the V3 layout sorts sub-layers by attribute for itself, as Keras does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Shape: TypeAlias = "tuple[int | None, ...]"
"""Lengths with the batch axis; None is a length that is not known (or varies)."""

Shapes: TypeAlias = "Shape | list[Shapes] | dict[str, Shapes] | None"
"""Of one tensor, of several, or None: nothing is known, not even the rank."""


@dataclass(frozen=True, slots=True)
class Var:
    """A variable of a layer.

    Attributes
    ----------
    name : str
        As ``add_weight`` was given it: ``"kernel"``.
    shape : tuple of (int or None), or None
        Its lengths; None for a length, or for all, that cannot be known.
    dtype : str, optional
        By default what the layer's dtype policy says for variables.
    trainable : bool
        Whether it is one of ``trainable_variables`` while the layer is trainable.
    same_as : str, optional
        Way from this layer to the variable that it is, when it is another one's: ``"layer/kernel"`` for the kernel of
        ``SpectralNormalization``. The V3 layout saves it twice, the legacy layouts once.
    """

    name: str
    shape: Shape | None
    dtype: str | None = None
    trainable: bool = True
    same_as: str | None = None


@dataclass(frozen=True, slots=True)
class Sub:
    """A layer inside a layer.

    Attributes
    ----------
    attribute : str
        Where the outer layer keeps it: ``"_query_dense"``. V3 files have it in the path.
    layer : str, or list or dict of (str or Sub)
        The class: a built-in by name (``"Dense"``), a registered name (``"My>Scale"``); or the list or dict of layers
        that stands there, which then are Subs whose ``attribute`` is the key, or ignored in a list.
    config : mapping
        As the class's ``from_config`` takes it; what it does not say has the value that the constructor gives it.
    input_shape : Shapes
        What it is built with; one shape, or a dict by argument for a layer that is built with several.
    """

    attribute: str
    layer: str | Sequence[Sub] | Mapping[str, Sub]
    config: Mapping[str, Any] = field(default_factory=dict)
    input_shape: Shapes = None


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signature says of one layer.

    Attributes
    ----------
    parts : tuple of Var or Sub
        In the order of ``layer.weights``.
    output_shape : Shapes
        Of what ``call`` returns; None when it is not known.
    """

    parts: tuple[Var | Sub, ...]
    output_shape: Shapes = None
