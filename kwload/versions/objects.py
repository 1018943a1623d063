"""How Keras 3 turns a dict into an object: which class, which keys, which text when it fails.

``serialization_lib.deserialize_keras_object`` and the ``get`` functions of initializers, activations and the like.
A TypeError is wrapped at each level, other errors pass through.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from kwload.versions import classes, own
from kwload.versions.classes import Class
from kwload.versions.names import Config, Names
from kwload.versions.outcome import RaisedError, UnknownError
from kwload.versions.reader import Reader

_OWN_CODE: Final = frozenset({"TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "FeatureSpace", "Pipeline"})
"""Layers that look at the world outside of the file when they are made."""

_CELLS_FIRST: Final = frozenset({"LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
"""Layers that make their cell, with its initializers, before they look at the other keys."""

INNER: Final = {
    "Bidirectional": ("layer", "backward_layer"),
    "TimeDistributed": ("layer",),
    "SpectralNormalization": ("layer",),
    "Wrapper": ("layer",),
    "RNN": ("cell",),
    "StackedRNNCells": ("cells",),
}
"""Layers that hold layers, and under which keys; those are made first."""

_PLAIN: Final = frozenset({"__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__keras_tensor__"})

_PATHS: Final = {
    "Functional": "keras.src.models.functional.Functional",
    "Model": "keras.src.models.model.Model",
    "Sequential": "keras.src.models.sequential.Sequential",
}

_KINDS: Final = {
    "initializer": ("initializers", "initializer"),
    "regularizer": ("regularizers", "regularizer"),
    "constraint": ("constraints", "constraint"),
    "activation": ("activations", "activation function"),
}
"""End of a key -> the namespace of what it names, and how errors call it."""

_ALIASES: Final = {
    "initializers": frozenset({"uniform", "normal", "orthogonal", "one", "zero", "ones", "zeros"}),
    "initializers 3.7": frozenset({"Identity", "OrthogonalInitializer"}),
    "regularizers": frozenset({"l1", "l2", "l1_l2"}),
    "constraints": frozenset(),
    "activations": frozenset({"swish", "hard_swish"}),
}

_METRIC_ALIASES: Final = {
    name: whole
    for short, whole in (
        ("bce", "BinaryCrossentropy"),
        ("mae", "MeanAbsoluteError"),
        ("mse", "MeanSquaredError"),
        ("mape", "MeanAbsolutePercentageError"),
        ("msle", "MeanSquaredLogarithmicError"),
    )
    for name in (short, short.upper())
}

_REDUCTIONS: Final = frozenset({"sum_over_batch_size", "sum", "none", "mean", "mean_with_sample_weight"})


class Objects(Names):
    """The deserialization of single objects by one release."""

    def value(self, config: Any) -> None:
        """``deserialize_keras_object`` of anything: an object, or a structure of objects."""
        if isinstance(config, (list, dict)):
            with self.deeper():
                if isinstance(config, dict) and "class_name" in config and "config" in config:
                    self.object(config)
                else:
                    for item in config if isinstance(config, list) else config.values():
                        self.value(item)

    def object(self, config: Config) -> None:
        """``deserialize_keras_object`` of a dict that describes an object."""
        name, inner = config["class_name"], config["config"]
        if name == "__lambda__":
            self.code()
            return
        if not isinstance(name, str) or name == "__typespec__":
            raise UnknownError("the stored config describes something that is not foreseen here")
        if name in _PLAIN:
            return
        if name == "function":
            self.function(config)
            return
        if self.is_custom(config.get("registered_name", name)):
            self.own(name, config.get("registered_name", name), inner)
            return
        known = self.locate(name, config)
        if inner is not None and not isinstance(inner, dict):
            raise UnknownError("the stored config describes something that is not foreseen here")
        self.from_config(known, inner or {})
        if isinstance(config.get("compile_config"), dict):
            self.compile_config(config["compile_config"])

    def code(self) -> None:
        """Python code in the file, anywhere but in a ``Lambda``."""
        if self.is_safe:
            raise RaisedError("ValueError", "Requested the deserialization of a ")
        self.assume("Python code that is in the file is run")

    def own(self, name: str, registered: str, inner: Any) -> None:
        """An object of a class that the caller hands in: what its constructor takes can be seen."""
        self.assume(f"`{name}` is made by its own code")
        keys = list(inner) if isinstance(inner, dict) else []
        made = self.custom[registered]
        if own.refused(made, keys, self.reader) or own.lacking(made, keys, self.reader):
            error = RaisedError("TypeError", f"Error when deserializing class '{made.__name__}' using config=")
            raise error if self.is_hdf5 or not self.reader.is_3 else RaisedError("TypeError", "<class '", "", error)

    def from_config(self, known: Class, inner: Config) -> None:
        """``cls.from_config`` as ``deserialize_keras_object`` calls it: a TypeError is wrapped."""
        try:
            with self.deeper():
                self.make(known, inner)
        except RaisedError as error:
            if error.type != "TypeError":
                raise
            path = _PATHS.get(known.name)
            said = f"<class '{path}'> could not be deserialized properly." if path else "<class '"
            raise RaisedError("TypeError", said, "", error) from None

    # ---- making objects ----

    def make(self, known: Class, inner: Config) -> None:
        """``from_config`` itself."""
        if known.name in _PATHS:
            self.model(known, inner)
            return
        if known.name in _OWN_CODE:
            raise UnknownError(f"`{known.name}` looks outside of the file when it is made")
        if known.name == "Lambda" and known.space == "layers":
            self._lambda(known, inner)
            return
        inner = self._without_inner(known, inner)
        if known.space in ("optimizers", "mixed_precision") and isinstance(inner.get("learning_rate"), dict):
            self.value(inner["learning_rate"])
        if not known.wrapped:
            self.construct(known, inner)
            return
        self._policy(inner.get("dtype"))
        try:
            self.construct(known, inner)
        except RaisedError as error:
            raise RaisedError(
                "TypeError", f"Error when deserializing class '{known.name}' using config=", "", error
            ) from None

    def _without_inner(self, known: Class, inner: Config) -> Config:
        """Makes the layers that a layer holds; the keys that are left for its constructor."""
        names = INNER.get(known.name, ())
        for name in names:
            if name in inner:
                self.value(inner[name])
            elif name != "backward_layer":
                raise RaisedError("KeyError", f"'{name}'")
        return {key: item for key, item in inner.items() if key not in names} if names else inner

    def construct(self, known: Class, inner: Config) -> None:
        """The constructor: does it take these keys, and does it know what they name."""
        given = {*inner, *INNER.get(known.name, ())} if known.required else set()
        if missing := sorted(known.required - given):
            raise RaisedError(
                "TypeError", f"{known.name}.__init__() missing {len(missing)} required positional argument"
            )
        other = [key for key in inner if key not in known.keys]
        takes_any = "input_dim" in known.keys or known.space == "optimizers"
        if other and not takes_any and known.name != "InputLayer":
            raise RaisedError("TypeError", f"{known.name}.__init__() got an unexpected keyword argument '{other[0]}'")
        if known.name in _CELLS_FIRST:
            self._named(inner, known)
        if known.space == "layers" or known.space.startswith("ops:"):
            self.name(inner)
        if other and known.space == "optimizers":
            raise RaisedError(
                "ValueError", "Argument(s) not recognized: {", f"Argument(s) not recognized: {_shown(inner, other)}"
            )
        if other and takes_any:
            prefix = f"Unrecognized keyword arguments passed to {known.name}: "
            raise RaisedError("ValueError", prefix + "{", prefix + _shown(inner, other))
        if known.name not in _CELLS_FIRST:
            self._named(inner, known)
        if known.space == "layers" and is_split_unevenly(inner):
            raise RaisedError("ValueError", "The number of filters must be evenly divisible by ")
        if not known.wrapped and known.space == "layers":
            self._old_policy(known, inner.get("dtype"))
        if known.name == "BatchNormalization" and isinstance(inner.get("axis"), list):
            raise RaisedError(
                "TypeError", "int() argument must be a string, a bytes-like object or a real number, not 'list'"
            )
        if known.space == "losses" and inner.get("reduction", "sum") not in (*_REDUCTIONS, None):
            raise RaisedError("ValueError", "Invalid value for argument `reduction`")

    def name(self, inner: Config) -> None:
        """The name of a layer, model or operation (``Operation.__init__``): Keras 2 takes any text."""
        name = inner.get("name")
        if name is not None and (not isinstance(name, str) or "/" in name):
            text = "Argument `name` must be a string and cannot contain character `/`. "
            raise RaisedError("ValueError", text, text.rstrip())

    def _named(self, inner: Config, known: Class) -> None:
        """Initializers, regularizers, constraints and activations among the keys of a layer."""
        if known.space not in ("layers", ""):
            return
        for key, kind in _named_keys(known.keys):
            item = inner.get(key)
            if item is None:
                continue
            if kind is None:
                self.value(item)
            else:
                self.identify(*kind, item)

    def identify(self, space: str, called: str, item: Any) -> None:
        """``initializers.get`` and its like, of a name or a dict."""
        if space == "activations" and isinstance(item, dict):
            self._activation(item)
            return
        name = item.get("class_name") if isinstance(item, dict) else item
        if not isinstance(name, str):
            raise UnknownError("the stored config describes something that is not foreseen here")
        if self.is_custom(name) or (isinstance(item, dict) and self.is_custom(item.get("registered_name"))):
            self.assume(f"`{name}` is made by its own code")
            return
        if isinstance(item, dict) and name != "function" and item.get("module", "") is None:
            raise RaisedError("TypeError", f"Cannot deserialize object of type `{name}`.")
        known = by_name(self.reader, space).get(name)
        if known is not None and isinstance(item, dict):
            self.from_config(known, item["config"] if isinstance(item.get("config"), dict) else {})
        elif known is None and not self._is_function(space, name):
            raise RaisedError("ValueError", f"Could not interpret {called} identifier: ")

    def _activation(self, item: Config) -> None:
        """``activations.get`` of a dict; Keras before 3.10 looks a function up by its name alone."""
        failed = RaisedError("ValueError", "Could not interpret activation function identifier: ")
        if "class_name" not in item or "config" not in item:
            old = self.reader.version < (3, 10, 0) and "class_name" not in item
            raise RaisedError("ValueError", "Unknown `config` as a `dict`, config=") if old else failed
        name = item["config"]
        if self.reader.version >= (3, 10, 0):
            self.object(item)
            return
        known = self.is_custom(name) or (isinstance(name, str) and self._is_function("activations", name))
        if item["class_name"] != "function" or not known:
            raise failed

    def _is_function(self, space: str, name: str) -> bool:
        if space == "initializers" and self.reader.version >= (3, 7, 0) and name in _ALIASES["initializers 3.7"]:
            return True
        return name in _ALIASES.get(space, ()) or (
            space == "activations"
            and name not in ("get", "serialize")
            and classes.has_function(self.reader, space, name)
        )

    def _policy(self, dtype: Any) -> None:
        """A dtype policy as Keras 3.4 and newer, or Keras 2, store it."""
        if not isinstance(dtype, dict):
            return
        name = dtype.get("class_name")
        if name == "Policy":
            if self.reader.version < (3, 4, 0):
                raise UnknownError("a policy of Keras 2 in a Keras before 3.4")
            raise RaisedError("AttributeError", "'str' object has no attribute 'quantization_mode'")
        inner = dtype.get("config")
        known = classes.by_class(self.reader, "dtype_policies").get(name) if isinstance(name, str) else None
        if known is None or not isinstance(inner, dict):
            raise UnknownError("the dtype policy of a layer is not foreseen here")
        if set(inner) - set(known.keys) or known.required - set(inner):
            raise UnknownError("the dtype policy of a layer has other keys in this release")

    def _old_policy(self, known: Class, dtype: Any) -> None:
        """The policy of Keras 2 that a layer with a ``from_config`` of its own takes as it is stored."""
        if not self.reader.is_3 or not isinstance(dtype, dict) or dtype.get("class_name") != "Policy":
            return
        if self.reader.version < (3, 4, 0) or known.name not in _CELLS_FIRST:
            raise UnknownError(f"a policy of Keras 2 in a `{known.name}`")
        raise RaisedError("AttributeError", "'str' object has no attribute '")

    def _lambda(self, known: Class, inner: Config) -> None:
        """``Lambda.from_config``: Python code in the file is refused, a function is looked up. Keras before 3.11.3 runs
        the code of an ``.h5`` file."""
        for key in ("function", "output_shape"):
            item = inner.get(key)
            if not isinstance(item, dict) or item.get("class_name") != "__lambda__":
                self.value(item)
            elif not self.is_safe:
                self.code()
            elif self.reader.version >= (3, 11, 3):
                raise RaisedError("ValueError", "Requested the deserialization of a `Lambda` layer")
            elif not self.is_hdf5:
                raise RaisedError("ValueError", "The `{arg_name}` of this `Lambda` layer is a Python lambda.")
            else:
                self.assume("Keras runs the Python code of a `Lambda` layer that is in the file")
        self.value(inner.get("arguments"))
        if other := [key for key in inner if key not in known.keys]:
            prefix = "Unrecognized keyword arguments passed to Lambda: "
            raise RaisedError("ValueError", prefix + "{", prefix + _shown(inner, other))
        self.assume("a `Lambda` layer calls a function when the model is put together")

    # ---- what models are made of: replay.py ----

    def model(self, known: Class, inner: Any) -> None:
        """``from_config`` of a model."""
        raise NotImplementedError

    def compile_config(self, config: Config) -> None:
        """``compile_from_config`` of a ``.keras`` archive."""
        raise NotImplementedError


def is_split_unevenly(inner: Config) -> bool:
    """Whether a convolution cannot give each of its groups as many filters."""
    filters, groups = inner.get("filters"), inner.get("groups")
    return type(filters) is int and type(groups) is int and groups > 0 and filters % groups != 0


@cache
def _named_keys(keys: tuple[str, ...]) -> tuple[tuple[str, tuple[str, str] | None], ...]:
    """The keys of a constructor that name or describe an object, and what kind of object where ``get`` looks it up."""
    kinds = ((key, _KINDS.get(key.rpartition("_")[2])) for key in keys)
    return tuple((key, kind) for key, kind in kinds if kind is not None or key == "quantization_config")


def _shown(inner: Config, keys: list[str]) -> str:
    """The keys as Keras prints them, up to the first value that is long."""
    text = "{"
    for number, key in enumerate(keys[:4]):
        value = inner[key]
        items = value if isinstance(value, list) and len(value) < 8 else [value]
        if number == 3 or len(key) > 60 or not all(_is_short(item) for item in items):
            return text
        text += f"{', ' if number else ''}{key!r}: {value!r}"
    return text + "}"


def _is_short(value: object) -> bool:
    return value is None or (isinstance(value, (bool, int, float, str)) and len(str(value)) < 40)


def _snake(name: str) -> str:
    """``to_snake_case`` of Keras 3."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


@cache
def by_name(reader: Reader, space: str) -> dict[str, Class]:
    """A namespace's ``ALL_OBJECTS_DICT``: classes by their own name, and in snake case."""
    known = classes.by_class(reader, space)
    if space == "losses":
        return known
    named = {**{_snake(name): item for name, item in known.items()}, **known}
    if space == "metrics":
        named |= {alias: named[name] for alias, name in _METRIC_ALIASES.items() if name in named}
    return named
