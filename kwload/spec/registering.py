"""What users call to make their classes and signatures known: for good, for a block, for one call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from kwload.spec.keras_registers import FLAVOURS, registers, scope_of
from kwload.spec.registry import objects_of
from kwload.spec.tables import OBJECTS, OF_CLASS, SCOPES, SIGNATURES

_T = TypeVar("_T", bound=Callable[..., Any])


def register(package: str = "Custom", name: str | None = None) -> Callable[[_T], _T]:
    """Register a class or function of your own, as ``keras.saving.register_keras_serializable`` does.

    What is of a Keras that is imported is registered with that Keras too, so that ``load_model`` finds it and
    ``save`` writes the name; one decorator is enough.

    Parameters
    ----------
    package : str
        The first half of the name.
    name : str, optional
        The second half; by default the name of the class.

    Returns
    -------
    callable
        A decorator that returns what it is given.

    Raises
    ------
    TypeError
        ``package`` or ``name`` is no text: ``@kwload.register`` without parentheses.

    Examples
    --------
    >>> @kwload.register(package="My", name="Scale")
    ... class Scale(keras.layers.Layer):
    ...     ...
    """
    given: tuple[object, ...] = (package, "" if name is None else name)
    if not all(isinstance(text, str) for text in given):
        raise TypeError('package and name are text: write @kwload.register(package="My", name="Scale")')

    def decorator(made: _T) -> _T:
        key = f"{package}>{made.__name__ if name is None else name}"
        for register_there in registers(made):
            register_there(package, name)(made)
        OBJECTS[key] = made
        return made

    return decorator


def signature(key: str | type) -> Callable[[_T], _T]:
    """Say which variables a class of your own has, so that its weights can be checked without building it.

    The function is called with the config of a layer and the shape of its input, and returns a list of
    :class:`kwload.Var` and :class:`kwload.Sub` in the order of ``layer.weights``; or that list and the output's shape.
    The config is a copy. The shape is a tuple with the batch axis, a list for a layer that is called with a list, or a
    dict by argument for one that is called with several (``{"query": …, "value": …}``); None for a length that is not
    known, or for all of it.

    Parameters
    ----------
    key : str or type
        The name that the class is registered as (``"My>Scale"``), its own name, or the class.

    Returns
    -------
    callable
        A decorator that returns the function.

    Raises
    ------
    TypeError
        ``key`` is neither.

    Examples
    --------
    >>> @kwload.signature("My>Scale")
    ... def scale(config, input_shape):
    ...     return [kwload.Var("scale", (config["units"],))]
    """
    given: object = key
    if not isinstance(given, (str, type)) or not given:
        raise TypeError('a signature is for a class: write @kwload.signature("My>Scale")')

    def decorator(function: _T) -> _T:
        if isinstance(key, type):
            OF_CLASS[key] = function
        else:
            SIGNATURES[key] = function
        return function

    return decorator


class custom_object_scope:  # noqa: N801 - Keras's name
    """Make classes, functions and signatures known by name within a ``with`` block, in this thread.

    A scope within a scope adds to it. The Keras that is imported knows the classes and functions too.

    Parameters
    ----------
    custom_objects : dict
        Name -> class, function, signature, or a pair of class and signature. Under the name of a layer's class a
        function of two parameters is its signature.

    Examples
    --------
    >>> with kwload.custom_object_scope({"Scale": Scale}):
    ...     kwload.check_model("model.keras")
    """

    def __init__(self, custom_objects: Mapping[str, Any]) -> None:
        if not isinstance(custom_objects, Mapping):
            raise TypeError(f"custom_objects is a {type(custom_objects).__name__}, expected a dict by name")
        self._objects = dict(custom_objects)
        self._entered: list[list[Any]] = []

    def __enter__(self) -> custom_object_scope:
        there = []
        for flavour in FLAVOURS:
            scope = getattr(getattr(sys.modules.get(flavour), "saving", None), "custom_object_scope", None)
            if scope is not None:
                inside = scope({**scope_of(flavour), **objects_of(self._objects)})
                inside.__enter__()
                there.append(inside)
        self._entered.append(there)
        SCOPES.stack.append(self._objects)
        return self

    def __exit__(self, *exception: object) -> None:
        SCOPES.stack.pop()
        for scope in reversed(self._entered.pop()):
            scope.__exit__(*exception)


@contextmanager
def handed(custom_objects: Mapping[str, Any] | None, *, build: bool = False) -> Iterator[None]:
    """Objects that one call was handed, for what is looked up within it; no Keras is told. *build*: classes are built
    where that tells their variables."""
    SCOPES.stack.append(custom_objects or {})
    before, SCOPES.build = SCOPES.build, build
    try:
        yield
    finally:
        SCOPES.stack.pop()
        SCOPES.build = before
