"""Classes of the user's own: which stored keys their constructors do not take, and which they need."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from kwload.versions import classes
from kwload.versions.classes import Class
from kwload.versions.reader import Reader


def refused(made: Any, keys: Iterable[str], reader: Reader) -> list[str]:
    """The keys of a stored config that the constructor of a class does not take; none when that cannot be told.

    A class that overrides ``from_config`` can do with the keys what it wants. One whose constructor takes ``**kwargs``
    hands the rest to ``Layer``, which takes its own.
    """
    taken: set[str] = set()
    for parameters in _constructors(made, reader):
        if isinstance(parameters, Class):
            return [key for key in keys if key not in taken and key not in parameters.keys]
        taken |= {parameter.name for parameter in parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return [key for key in keys if key not in taken]
    return []


def lacking(made: Any, keys: Collection[str], reader: Reader) -> list[str]:
    """What the constructor of a class must be given and a stored config has not; none when that cannot be told."""
    for parameters in _constructors(made, reader):
        if isinstance(parameters, Class):
            return sorted(parameters.required - set(keys)) if parameters.name != "Layer" else []
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        needed = [each.name for each in parameters if each.kind in kinds and each.default is each.empty]
        return [name for name in needed if name not in keys]
    return []


def _constructors(made: Any, reader: Reader) -> Iterator[list[inspect.Parameter] | Class]:
    """The constructors of a class in the order in which they call one another: parameters without ``self``, at the end
    the class of Keras that gets the rest; nothing where nobody can tell."""
    if not isinstance(made, type) or not _is_inherited(made, "from_config"):
        return
    for base in inspect.getmro(made):
        own = base.__dict__.get("__init__")
        if own is None or base is object:
            continue
        if _is_keras(base):
            known = _class_of(base, reader)
            if known is not None:
                yield known
            return
        try:
            yield list(inspect.signature(own).parameters.values())[1:]
        except (TypeError, ValueError):
            return


def _class_of(base: type, reader: Reader) -> Class | None:
    """A class of Keras by what is known of its constructor; a layer that nothing is known of takes what all take."""
    space = next((part for part in base.__module__.split(".") if part in _NAMESPACES), "layers")
    if space == "models":  # a model takes what a layer takes; a graph or a Sequential are made in ways of their own
        return classes.find(reader, "layers.Layer") if base.__name__ == "Model" else None
    known = classes.find(reader, f"{space}.{base.__name__}")
    return known or (classes.find(reader, "layers.Layer") if space == "layers" else None)


_NAMESPACES = frozenset(
    ("layers", "initializers", "regularizers", "constraints", "losses", "metrics", "optimizers", "models")
)


def _is_keras(base: type) -> bool:
    return base.__module__.partition(".")[0] in ("keras", "tf_keras")


def _is_inherited(made: type, name: str) -> bool:
    """Whether a method is Keras's own."""
    for base in inspect.getmro(made):
        if name in base.__dict__:
            return _is_keras(base)
    return False
