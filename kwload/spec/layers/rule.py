"""What a rule of the table is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from kwload.spec.layers.options import Options
from kwload.spec.layers.shapes import one
from kwload.spec.layers.where import Where
from kwload.spec.signature import Shapes, Signature

Rule: TypeAlias = Callable[[Options, Shapes, Where], "Signature | None"]
"""``(config, input shape, Keras)`` -> what the layer has; None where the config is that of somebody else's class."""


def words(text: str) -> list[str]:
    """The words of a text: long lists of class names are read more easily so."""
    return text.split()


def passes(options: Options, shapes: Shapes, where: Where) -> Signature:
    """No variables, and the shape stays."""
    return Signature((), one(shapes))


def nothing(options: Options, shapes: Shapes, where: Where) -> Signature:
    """No variables, and nobody knows the output."""
    return Signature(())
