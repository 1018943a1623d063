"""How Keras 3 finds what a dict names: classes and functions by module and name, and what the caller hands in.

``serialization_lib._retrieve_class_or_fn`` of the releases 3.0.0 to 3.15.1.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, Final

from kwload.versions import classes
from kwload.versions.classes import Class
from kwload.versions.outcome import RaisedError, UnknownError
from kwload.versions.reader import Reader

Config = dict[str, Any]

_DEEPEST: Final = 60
"""Objects inside objects; what Keras writes stays far below."""

_MOST_OBJECTS: Final = 200_000

FUNCTIONAL: Final = Class("Functional", ("models.Functional",), (), frozenset(), False)
"""What has no public name and is in every functional model."""

_NAMESPACES: Final = frozenset(
    {
        "activations",
        "constraints",
        "dtype_policies",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "models",
        "ops",
        "optimizers",
        "quantizers",
        "random",
        "regularizers",
        "saving",
        "utils",
    }
)
"""What of ``keras.*`` can be imported in every release."""

_FUNCTION_SPACES: Final = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")


class Names:
    """What one release finds, with the objects that the caller hands it.

    Parameters
    ----------
    reader : Reader
        Whose.
    custom : mapping of str to object
        ``custom_objects``; only whether a name is there matters.
    """

    def __init__(self, reader: Reader, custom: Mapping[str, Any]) -> None:
        self.reader = reader
        self.custom = custom
        self.is_hdf5 = False
        """Whether the file is an ``.h5`` file: parts of Keras read it with other rules."""
        self.is_safe = True
        """Whether Python code in the file is refused (``safe_mode``)."""
        self.assumed: list[str] = []
        self.called: dict[int, str] = {}
        """What the outcome rests on although it is not known; empty when it is certain."""
        self.dropped: list[tuple[str, str, Any]] = []
        """Class, name and ``axis`` of layers whose ``axis`` is lost."""
        self.constant: set[str] = set()
        """Names of `Normalization` layers that were given mean and variance, and have no weights."""
        self.misfits: Mapping[int, RaisedError] = {}
        """What building a layer raises, by the ``id`` of its config."""
        self._depth = 0
        self._objects = 0

    # ---- the walk ----

    def deeper(self) -> Names:
        """One object inside another, as a context; UnknownError when there are more than Keras writes."""
        return self

    def __enter__(self) -> None:
        self._depth += 1
        self._objects += 1
        if self._depth > _DEEPEST or self._objects > _MOST_OBJECTS:
            raise UnknownError("the stored config is larger or deeper than any that Keras writes")

    def __exit__(self, *exception: object) -> None:
        self._depth -= 1

    def assume(self, what: str) -> None:
        """Notes that the outcome rests on something that is not known."""
        if what not in self.assumed:
            self.assumed.append(what)

    def is_custom(self, name: object) -> bool:
        """Whether the caller hands in an object of this name (``get_registered_object``)."""
        return isinstance(name, str) and name in self.custom

    # ---- finding classes and functions ----

    def locate(self, name: str, config: Config) -> Class:
        """``_retrieve_class_or_fn`` of a class."""
        module = config.get("module")
        if isinstance(module, str) and module:
            known = classes.find(self.reader, f"{module}.{name}".removeprefix("keras.")) if _is_keras(module) else None
            if known is None:
                known = self._import(module, name, "class")
            if known is not None:
                return known
        raise RaisedError("TypeError", f"Could not locate class '{name}'. Make sure custom classes")

    def function(self, config: Config) -> None:
        """``_retrieve_class_or_fn`` of a function."""
        name, module = config["config"], config.get("module")
        if not isinstance(name, str):
            raise UnknownError("the stored config describes something that is not foreseen here")
        if self.is_custom(name) or self.is_custom(config.get("registered_name")):
            return
        if module == "builtins" and self._is_builtin(name):
            return
        if isinstance(module, str) and _is_keras(module):
            space = module.removeprefix("keras").removeprefix(".")
            if classes.has_function(self.reader, space, name):
                return
        if isinstance(module, str) and module and module != "builtins":
            self._import(module, name, "function")
        raise RaisedError("TypeError", f"Could not locate function '{name}'. Make sure custom classes")

    def _is_builtin(self, name: str) -> bool:
        """Whether a function that records no module is found; Keras before 3.9 also looks among Python's own."""
        if any(classes.has_function(self.reader, space, name) for space in _FUNCTION_SPACES):
            return True
        return self.reader.version < (3, 9, 0) and hasattr(builtins, name)

    def _import(self, module: str, name: str, kind: str) -> Class | None:
        """``importlib.import_module`` of what has no public name; None when what is found is no class of that name.

        Keras 3.9 and newer import from Keras's own packages only, 3.11 and newer accept classes only.
        """
        package = module.partition(".")[0]
        if module.startswith(("keras.src.engine", "keras.engine")):
            text = f"Could not deserialize {kind} '{name}' because its parent module {module} cannot be imported."
            raise RaisedError("TypeError", text)
        if module == "keras.src.models.functional" and name == "Functional":
            return FUNCTIONAL
        if module.startswith("keras.src."):
            inside = module.removeprefix("keras.src.")
            known = classes.find(self.reader, f"ops:{inside}.{name}")
            known = known or classes.by_class(self.reader, inside.partition(".")[0]).get(name)
            if known is not None:
                return known
        if module == "keras" or module.removeprefix("keras.") in _NAMESPACES:
            if self.reader.version >= (3, 11, 0):
                text = f"Could not deserialize '{module}.{name}' because it is not a KerasSaveable subclass"
                raise RaisedError("ValueError", text)
            return None
        if package in ("keras", "keras_hub", "keras_cv", "keras_nlp") or self.reader.version < (3, 9, 0):
            raise UnknownError(f"Keras imports `{module}` to find `{name}`")
        return None


def _is_keras(module: str) -> bool:
    return module == "keras" or module.startswith("keras.")
