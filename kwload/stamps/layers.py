"""The layers of a live model whose code is the user's, each with what is to be fingerprinted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any, Final

from kwload.spec.described import Keras, is_counter, keras_of, name_of
from kwload.spec.live import sublayers_of
from kwload.stamps import reach
from kwload.stamps.fingerprint import Fingerprint
from kwload.stamps.objects import is_own, is_users
from kwload.stamps.sources import Sources

_GIVEN: Final = ("activation", "recurrent_activation", "function", "_output_shape", "mask")
"""Attributes of Keras's own layers that hold what a user handed in and that decides what is computed."""


@dataclass(frozen=True, slots=True)
class Code:
    """Code of the user's that layers of a model run.

    Attributes
    ----------
    fingerprint : Fingerprint
        Of the class, or of the function that a layer was given.
    attribute : str
        Where the layer keeps the function: ``"activation"``; ``""`` for the class of the layer itself.
    layers : tuple of str
        Paths of the layers, in the order of the model.
    named : tuple of str
        Those of them whose names a person gave.
    """

    fingerprint: Fingerprint
    attribute: str = ""
    layers: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


def code_of(model: Any, *, source: bool = False) -> tuple[Code, ...]:
    """The code of a live model that is the user's own, in the order in which its layers come.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        It is looked at and not changed.
    source : bool
        Keep the lines of the code.
    """
    files = Sources()
    known: dict[tuple[int, str], Fingerprint] = {}
    rows: dict[tuple[int, str], list[tuple[str, bool]]] = {}
    kept: list[Any] = []
    for path, layer in walk(keras_of(model), model):
        for attribute, thing in _own_code(layer):
            key = (id(thing), attribute)
            if key not in known:
                kept.append(thing)
                make = reach.of_class if isinstance(thing, type) else reach.of_function
                known[key] = make(thing, source=source, files=files)
            rows.setdefault(key, []).append((path, _is_named(layer)))
    return tuple(
        Code(found, key[1], tuple(path for path, _ in rows[key]), tuple(path for path, named in rows[key] if named))
        for key, found in known.items()
    )


def walk(keras: Keras, model: Any) -> Iterator[tuple[str, Any]]:
    """``(path, layer)`` of a model, which is ``""``, and of all layers in it, each once."""
    todo, seen = [("", model)], set()
    while todo:
        path, layer = todo.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield path, layer
        children = [(name_of(child) or type(child).__name__, child) for child in sublayers_of(keras, layer)]
        todo.extend((f"{path}/{name}" if path else name, child) for name, child in reversed(children))


def _own_code(layer: Any) -> Iterator[tuple[str, Any]]:
    """The class of a layer, and the functions that it was given, when they are the user's."""
    if is_own(type(layer)):
        yield "", type(layer)
    for name, value in list(vars(layer).items()):
        function = value.func if type(value) is partial else value
        if type(function) is FunctionType and is_users(function.__globals__):
            yield name, value
        elif name in _GIVEN and is_own(type(value)) and type(value) is not FunctionType and callable(value):
            yield name, type(value)


def _is_named(layer: Any) -> bool:
    """Whether a person gave the name: Keras makes ``scale`` and ``scale_1`` by itself."""
    name, plain = name_of(layer) or "", "".join(type(layer).__name__.split("_")).lower()
    at = next((n for n in range(len(name) + 1) if name[:n].replace("_", "") == plain), None)
    return at is None or not is_counter(name[at:])
