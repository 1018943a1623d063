"""From ``package.module:factory`` to a model: what ``--model`` and the pytest plugin take.

The module is imported with the current directory on the import path. What stands behind the colon is an attribute,
or a call of one whose arguments are literals; nothing else is evaluated.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


class ModelRefError(Exception):
    """A model that cannot be had from a reference; the message says why, for someone who typed it."""


class InputShapeError(ModelRefError):
    """An input shape that is none, or that the model cannot be built with."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A parsed reference.

    Attributes
    ----------
    text : str
        As it was given.
    module : str
        What is imported.
    attributes : tuple of str
        The way from the module to the factory, class or model.
    args, kwargs
        Literal arguments.
    called : bool
        Whether the reference has parentheses.
    """

    text: str
    module: str
    attributes: tuple[str, ...]
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()
    called: bool = False


def parse(text: str) -> ModelRef:
    """Parse ``"m:build"``, ``"pkg.m:Nets.small"``, ``"m:build(10, name='a')"``.

    Raises
    ------
    ModelRefError
        The text is none of these.
    """
    module, colon, rest = text.strip().partition(":")
    if not colon or not all(part.isidentifier() for part in module.split(".")):
        raise ModelRefError(f"{text!r} is not of the form package.module:factory")
    try:
        node = ast.parse(rest.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ModelRefError(f"{rest!r} behind the colon is neither a name nor a call of one") from None
    if not isinstance(node, ast.Call):
        return ModelRef(text, module, _attributes(node, rest))
    try:
        args = tuple(ast.literal_eval(arg) for arg in node.args)
        kwargs = tuple((str(word.arg), ast.literal_eval(word.value)) for word in node.keywords if word.arg)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ModelRefError(f"the arguments in {rest!r} must be literals: numbers, text, lists, dicts") from None
    if len(kwargs) != len(node.keywords):
        raise ModelRefError(f"`**` is not understood in {rest!r}")
    return ModelRef(text, module, _attributes(node.func, rest), args, kwargs, called=True)


def _attributes(node: ast.expr, rest: str) -> tuple[str, ...]:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise ModelRefError(f"{rest!r} behind the colon is neither a name nor a call of one")
    return (node.id, *reversed(names))


@contextmanager
def importing_from(folder: str) -> Iterator[None]:
    """The folder first on the import path."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def resolve(text: str, *, input_shape: str | Sequence[str] | None = None, folder: str | None = None) -> Any:
    """The live model behind a reference.

    Parameters
    ----------
    text : str
        ``"package.module:factory"``: a function or class that is called, or a model as it is.
    input_shape : str or sequence of str, optional
        Shape of one input as ``keras.Input`` takes it (``"28,28,1"``; ``"None,28,28,1"`` with the batch), one for each
        input; an unbuilt model is built with it.
    folder : str, optional
        What is put on the import path, by default the current directory.

    Raises
    ------
    ModelRefError
        The reference is malformed, names nothing, or leads to something that is no model. What the user's own code
        raises is raised as it is.
    InputShapeError
        ``input_shape`` is not a shape.
    """
    reference = parse(text)
    given = [input_shape] if isinstance(input_shape, str) else input_shape or []
    shapes = [parse_shape(shape) for shape in given]
    with importing_from(os.getcwd() if folder is None else folder):
        found = _call(reference, _find(reference))
    if not _is_model(found):
        raise ModelRefError(f"{reference.text!r} gives an object of class {type(found).__name__}, not a Keras model")
    if shapes and not getattr(found, "built", True):
        found.build(shapes[0] if len(shapes) == 1 else shapes)
    return found


def objects(text: str, *, folder: str | None = None) -> dict[str, Any]:
    """The custom objects behind a reference.

    Parameters
    ----------
    text : str
        ``"package.module:NAME"``: a dict by name, or one class or function, which stands under its own name.
    folder : str, optional
        As for :func:`resolve`.

    Raises
    ------
    ModelRefError
        The reference is malformed, names nothing, or leads to something else.
    """
    reference = parse(text)
    with importing_from(os.getcwd() if folder is None else folder):
        found = _find(reference)
    if isinstance(found, Mapping) and not reference.called and all(isinstance(name, str) for name in found):
        return dict(found)
    name = getattr(found, "__name__", None)
    if callable(found) and isinstance(name, str) and not reference.called:
        return {name: found}
    raise ModelRefError(f"{text!r} is no dict of classes by name, and no class or function")


def _find(reference: ModelRef) -> Any:
    try:
        found: Any = importlib.import_module(reference.module)
    except ModuleNotFoundError as error:
        # A module that the user's module imports and that is absent is another matter: its traceback helps.
        if error.name is None or not (reference.module + ".").startswith(error.name + "."):
            raise
        raise ModelRefError(f"there is no module {error.name!r} (searched the current directory too)") from None
    for name in reference.attributes:
        if not hasattr(found, name):
            raise ModelRefError(f"{reference.module!r} has no {'.'.join(reference.attributes)!r}{_near(name, found)}")
        found = getattr(found, name)
    return found


def _near(name: str, found: Any) -> str:
    from kwload import _core

    near = _core.nearest(name, [other for other in dir(found) if not other.startswith("_")], 3)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def _call(reference: ModelRef, found: Any) -> Any:
    if reference.called:
        return found(*reference.args, **dict(reference.kwargs))
    return found() if callable(found) and not _is_model(found) else found


def _is_model(found: Any) -> bool:
    return not isinstance(found, type) and hasattr(found, "load_weights") and hasattr(found, "variables")


def parse_shape(text: str) -> tuple[int | None, ...]:
    """``"28,28,1"``, ``"(None, 28, 28, 1)"`` -> ``(None, 28, 28, 1)``.

    Raises
    ------
    InputShapeError
        The text is not a list of sizes.
    """
    try:
        value = ast.literal_eval(f"({text.strip().strip('()[]')},)")
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        value = ("not a size",)
    if not all(size is None or (type(size) is int and size > 0) for size in value):
        raise InputShapeError(f"{text!r} is not a shape: give sizes like 28,28,1")
    return tuple(value) if value[:1] == (None,) else (None, *value)
