"""Classes of the user's own: which are registered, and which stored keys their constructors do not take."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from kwload.versions import classes
from kwload.versions.reader import Reader


def registered(reader: Reader) -> dict[str, Any]:
    """What is registered with the Keras of this process (``register_keras_serializable``), when that is imported."""
    package = "keras" if reader.is_3 else "tf_keras"
    module = sys.modules.get(f"{package}.src.saving.object_registration")
    found = getattr(module, "GLOBAL_CUSTOM_OBJECTS", None) or getattr(module, "_GLOBAL_CUSTOM_OBJECTS", None)
    return dict(found) if isinstance(found, Mapping) else {}


def refused(made: Any, keys: Iterable[str], reader: Reader) -> list[str]:
    """The keys of a stored config that the constructor of a class does not take; none when that cannot be told.

    A class that overrides ``from_config`` can do with the keys what it wants. One whose constructor takes ``**kwargs``
    hands the rest to ``Layer``, which takes its own.
    """
    if not isinstance(made, type) or not _is_inherited(made, "from_config"):
        return []
    taken: set[str] = set()
    for base in inspect.getmro(made):
        own = base.__dict__.get("__init__")
        if own is None:
            continue
        if _is_keras(base):
            known = classes.find(reader, f"layers.{base.__name__}")
            known = known or classes.find(reader, "layers.Layer")
            return [key for key in keys if key not in taken and (known is None or key not in known.keys)]
        try:
            parameters = inspect.signature(own).parameters.values()
        except (TypeError, ValueError):
            return []
        taken |= {parameter.name for parameter in parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return [key for key in keys if key not in taken]
    return []


def _is_keras(base: type) -> bool:
    return base.__module__.partition(".")[0] in ("keras", "tf_keras")


def _is_inherited(made: type, name: str) -> bool:
    """Whether a method is Keras's own."""
    for base in inspect.getmro(made):
        if name in base.__dict__:
            return _is_keras(base)
    return False
