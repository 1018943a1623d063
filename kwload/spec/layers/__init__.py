"""All built-in layers of Keras as data: which variables, which sub-layers, which output, from a config alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kwload.spec.layers.where import ConfigError, Lookup, Where
from kwload.spec.signature import Shapes, Signature

__all__ = ["ConfigError", "Lookup", "Where", "signature_of"]


def signature_of(class_name: str, config: Mapping[str, Any], input_shape: Shapes, where: Where) -> Signature | None:
    """What a built-in layer has and gives, or None when this Keras has no layer of that name.

    Parameters
    ----------
    class_name : str
        Without package: ``"Dense"``.
    config : mapping
        As ``from_config`` takes it; what it leaves out has the constructor's default.
    input_shape : Shapes
        A tuple for one input, a list for several in the order of the call, a dict by argument (``"query"`` or
        ``"query_shape"``); None, or None as a length, for what is not known: what is known is still given.
    where : Where
        The Keras that is to make it.

    Raises
    ------
    ConfigError
        When no such layer can be made from *config*.
    """
    return None
