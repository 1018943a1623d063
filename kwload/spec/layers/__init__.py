"""All built-in layers of Keras as data: which variables, which sub-layers, which output, from a config alone.

Each module has the rules of one family in its ``LAYERS``; :mod:`kwload.spec.layers.classes` says which Keras has which
class. Nothing here imports Keras, or runs anything that a config names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from kwload.spec.layers import classes
from kwload.spec.layers.options import MOST, Options
from kwload.spec.layers.rule import Rule, words
from kwload.spec.layers.shapes import clean
from kwload.spec.layers.where import ConfigError, Lookup, Where
from kwload.spec.signature import Shape, Shapes, Signature, Var

__all__ = ["OPAQUE", "ConfigError", "Lookup", "Where", "signature_of"]

OPAQUE: Final = frozenset(
    words(
        """
        AbstractRNNCell DenseFeatures FeatureSpace FlaxLayer JaxLayer Layer TFSMLayer TorchModuleWrapper
        """
    )
)
"""Classes of Keras of which no config tells what they have: foreign code, other files, bases of users' classes."""

_SCORED: Final = words("AdditiveAttention Attention GroupQueryAttention GroupedQueryAttention MultiHeadAttention")

_FAMILIES: Final = words(
    """
    core convolutional normalization pooling merging reshaping recurrent wrappers attention preprocessing
    """
)
"""The most frequent ones first: a family is imported when a class is in none before it."""


@cache
def _rules_of(family: str) -> dict[str, Rule]:
    rules: dict[str, Rule] = import_module(f"{__name__}.{family}").LAYERS
    return rules


def rules() -> Iterator[dict[str, Rule]]:
    """The rules of each family, by class name."""
    return map(_rules_of, _FAMILIES)


def signature_of(
    class_name: str,
    config: Mapping[str, Any],
    input_shape: Shapes,
    where: Where,
    arguments: Mapping[str, Any] | None = None,
) -> Signature | None:
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
    arguments : mapping, optional
        What else the layer is called with, where that changes the output: ``{"return_attention_scores": True}``.

    Returns
    -------
    Signature or None
        Variables in the order of ``layer.weights``, except that a layer's own come first and then its sub-layers.
        A length is None where the shape that it follows from is not known. Seeds of random layers are not among them:
        no file of any Keras has them.

    Raises
    ------
    ConfigError
        When no such layer can be made from *config*.
    """
    if not isinstance(config, Mapping):
        raise ConfigError("config", "is not a mapping")
    name, settings = class_name, config
    is_first = False
    if where.flavour == "keras2":
        from kwload.spec.layers import keras1

        is_first = where.version < (2,) or keras1.is_old(config)
    if is_first:
        name, settings = keras1.translated(name, config)
    rule = next((family[name] for family in rules() if name in family), None) if classes.has(where, name) else None
    if rule is None:
        return None
    shapes = clean(input_shape)
    options = Options(settings, where)
    found = rule(options, shapes, where)
    if found is None:
        return None
    if arguments and arguments.get("return_attention_scores") is True and name in _SCORED:
        from kwload.spec.layers import attention

        found = attention.with_scores(found, name, options, shapes)
    if is_first and where.version < (2,):
        found = keras1.as_made(name, settings, found)
    return _checked(found)


def _checked(found: Signature) -> Signature:
    """*found*, when a machine could have it.

    Raises
    ------
    ConfigError
        A variable has more elements than there are numbers for.
    """
    for part in found.parts:
        if isinstance(part, Var) and part.shape is not None and _is_too_great(part.shape):
            raise ConfigError(part.name, "would be greater than any memory")
    return Signature(found.parts, clean(found.output_shape))


def _is_too_great(shape: Shape) -> bool:
    product = 1
    for length in shape:
        product *= max(length, 1) if length is not None else 1
        if product > MOST:
            return True
    return False
