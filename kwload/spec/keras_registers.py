"""What a Keras that is imported knows of users' classes: its registers and scopes, read and never imported.

Keras 3.15, ``saving/object_registration.py``; tf_keras 2.21, the same, with a dict for each thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

FLAVOURS: Final = ("keras", "tf_keras")
"""The packages that hold a Keras."""


def flavour_of(package: str) -> str | None:
    """``"keras"`` for Keras 3, ``"tf_keras"`` for Keras 2 under either name; None when it is not imported."""
    module = sys.modules.get(package)
    version = getattr(module, "__version__", None)
    if not isinstance(version, str):
        return None
    return "keras" if package == "keras" and version.partition(".")[0] not in ("1", "2") else "tf_keras"


def _registration(package: str) -> Any:
    return sys.modules.get(f"{package}.src.saving.object_registration") or sys.modules.get(
        f"{package}.saving.object_registration"
    )


def registered_with(package: str) -> Mapping[str, Any]:
    """What ``register_keras_serializable`` and ``get_custom_objects`` of an imported Keras know."""
    module = _registration(package)
    found = getattr(module, "GLOBAL_CUSTOM_OBJECTS", None)
    found = getattr(module, "_GLOBAL_CUSTOM_OBJECTS", None) if found is None else found
    if not isinstance(found, Mapping):
        return {}
    return {name: made for name, made in list(found.items()) if not _is_its_own(name, made)}


def _is_its_own(name: str, made: Any) -> bool:
    """Whether Keras has registered a class of its own: ``"Custom>SGD"`` of tf_keras."""
    package = str(getattr(made, "__module__", "")).partition(".")[0]
    return package in FLAVOURS and name.rpartition(">")[2] == getattr(made, "__name__", None)


def scope_of(package: str) -> Mapping[str, Any]:
    """What the ``custom_object_scope`` of an imported Keras holds in this thread."""
    local = getattr(_registration(package), "_THREAD_LOCAL_CUSTOM_OBJECTS", None)
    if local is not None:
        return dict(vars(local))
    state = sys.modules.get(f"{package}.src.backend.common.global_state")
    get = getattr(state, "get_global_attribute", None)
    found = get("custom_objects_scope_dict") if get is not None else None
    return found if isinstance(found, Mapping) else {}


def registers(made: Any) -> list[Callable[..., Any]]:
    """The ``register_keras_serializable`` of the Keras that a class is of; of each imported one for a function."""
    of = (
        {base.__module__.partition(".")[0] for base in made.__mro__} if isinstance(made, type) else set(FLAVOURS)
    ) & set(FLAVOURS)
    found = [getattr(_registration(package), "register_keras_serializable", None) for package in sorted(of)]
    return [register_there for register_there in found if register_there is not None]
