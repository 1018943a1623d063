"""What Keras 2 (``tf.keras`` 2.12 and newer, ``tf_keras``) makes of a stored architecture, without making anything.

As :mod:`kwload.versions.replay`, with the differences of ``serialization_lib`` and ``engine`` there: errors are not
wrapped level by level, layers of a model are looked up by class name whatever module they record, and constructors
refuse keys with other words. Read in 2.12.0 to 2.21.0.
"""

from __future__ import annotations

from typing import Any, Final

from kwload.versions import classes
from kwload.versions.classes import Class
from kwload.versions.known import REGISTERED, is_function, is_keras, knows
from kwload.versions.names import Config
from kwload.versions.objects import INNER, is_split_unevenly
from kwload.versions.outcome import RaisedError, UnknownError
from kwload.versions.replay import Replay

_INTERNAL: Final = frozenset(
    (
        "TFOpLambda",
        "SlicingOpLambda",
        "ClassMethod",
        "InstanceMethod",
        "InstanceProperty",
        "TensorFlowOpLayer",
        "Functional",
        "Model",
        "Sequential",
        "Network",
    )
)
"""Classes of stored graphs that have no public name."""

_OWN_KEYS: Final = {
    "RNN": ("num_constants",),
    "Bidirectional": ("num_constants",),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
}
"""Keys that ``from_config`` takes before the constructor gets the others."""

_WRAPPED_SINCE: Final = (2, 12, 0)
"""The first release whose ``Layer.from_config`` wraps errors."""


_SAFE_SINCE: Final = (2, 13, 0)
"""The first release that refuses the code of a ``Lambda``."""


class _TextError(UnknownError):
    """A layer of a ``.keras`` archive of no known class: Keras 2 leaves the name of the class in its place."""

    def __init__(self, name: str) -> None:
        super().__init__(f"`{name}` is no layer of this Keras")
        self.name = name


class Replay2(Replay):
    """A deserialization by Keras 2."""

    def from_config(self, known: Class, inner: Config) -> None:
        with self.deeper():
            self.make(known, inner)

    def locate(self, name: str, config: Config) -> Class:
        module = config.get("module")
        if isinstance(module, str) and module:
            known = classes.find(self.reader, f"{module}.{name}".removeprefix("tf_keras.").removeprefix("keras."))
            if known is not None and module.startswith(("keras", "tf_keras")):
                return known
            if module.startswith(("keras.src.", "tf_keras.src.")):
                inside = module.partition(".src.")[2]
                if inside == "engine.functional" and name == "Functional":
                    return _INTERNAL_CLASS[name]
                if inside.startswith(("models.", "ops.")):
                    package = "tf_keras" if self.reader.version >= (2, 16, 0) else "keras"
                    raise RaisedError(
                        "TypeError",
                        f"Could not deserialize class '{name}' because its parent module {package}.src.{inside} cannot "
                        "be imported.",
                    )
            raise UnknownError(f"Keras imports `{module}` to find `{name}`")
        raise RaisedError("TypeError", f"Could not locate class '{name}'. Make sure custom classes")

    def make(self, known: Class, inner: Any) -> None:
        if known.name in ("Functional", "Model", "Sequential"):
            self.model(known, inner)
            return
        if known.name in _INTERNAL:
            if known.name == "TFOpLambda" and isinstance(inner, dict) and "function" not in inner:
                raise RaisedError("KeyError", "'function'")
            return
        if known.name == "Lambda":
            self._python(inner)
            return
        inner = self._held(known, inner)
        inner = {key: item for key, item in inner.items() if key not in _OWN_KEYS.get(known.name, ())}
        try:
            self.construct(known, inner)
        except RaisedError as error:
            if not known.wrapped or self.reader.version < _WRAPPED_SINCE:
                raise
            raise RaisedError(
                "TypeError", f"Error when deserializing class '{known.name}' using config=", "", error
            ) from None

    def _held(self, known: Class, inner: Config) -> Config:
        """Makes the layers that a layer holds; the keys that are left for its constructor."""
        names = INNER.get(known.name, ())
        for name in names:
            item = inner.get(name)
            for each in item if isinstance(item, list) else [item]:
                if isinstance(each, dict):
                    self._inner(known, each)
                elif name != "backward_layer":
                    raise UnknownError("a layer of the stored model holds no layer where it should")
        return {key: item for key, item in inner.items() if key not in names}

    def _inner(self, known: Class, config: Config) -> None:
        """A layer that a layer holds."""
        try:
            self.layer(config, by_name_only=known.name in ("TimeDistributed", "Wrapper", "SpectralNormalization"))
        except _TextError as error:
            raise UnknownError(error.reason) from None

    def construct(self, known: Class, inner: Config) -> None:
        if known.name == "Embedding" and "input_dim" not in inner:
            raise RaisedError("KeyError", "'input_dim'")
        if known.name == "IntegerLookup" and inner.get("output_mode", "int") == "int":
            dtype = inner.get("dtype", "int64")
            if not isinstance(dtype, str) or "int" not in dtype:
                raise RaisedError("ValueError", "When `output_mode='int'`, `dtype` should be an integer type. ")
        given = set(inner) | set(INNER.get(known.name, ()))
        if missing := sorted(known.required - given):
            raise RaisedError(
                "TypeError", f"{known.name}.__init__() missing {len(missing)} required positional argument"
            )
        other = [key for key in inner if key not in known.keys]
        if other and known.name == "InputLayer":
            text = f"Unrecognized keyword arguments: {other}"
            raise RaisedError("ValueError", "Unrecognized keyword arguments: [", text)
        if other and known.space == "layers":
            text = f"('Keyword argument not understood:', {other[0]!r})"
            raise RaisedError("TypeError", text)
        if other and known.space in ("initializers", "regularizers", "constraints") and other != ["dtype"]:
            raise RaisedError("TypeError", f"{known.name}.__init__() got an unexpected keyword argument '{other[0]}'")
        if known.space == "layers" and is_split_unevenly(inner):
            raise RaisedError("ValueError", "The number of filters must be evenly divisible by ")
        if known.space == "layers":
            if isinstance(inner.get("dtype"), dict) and inner["dtype"].get("class_name") == "DTypePolicy":
                raise RaisedError("ValueError", "")  # a policy of Keras 3
            self._named(inner, known)

    def identify(self, space: str, called: str, item: Any) -> None:
        """Keras 2 knows all of its own; what Keras 3 added is not looked for here."""
        name = item.get("class_name") if isinstance(item, dict) else item
        function = item.get("config") if isinstance(item, dict) and name == "function" else None
        by_name_only = self.is_hdf5 or not isinstance(item, dict)
        own = self.is_custom(name) or (not by_name_only and self.is_custom(function))
        if own or (not by_name_only and self.is_custom(item.get("registered_name"))):
            self.assume(f"`{function or name}` is made by its own code")
            return
        if not by_name_only and name != "function":
            self._of_no_module(item, name)
        known = classes.find(self.reader, f"{space}.{name}") if isinstance(name, str) else None
        if known is not None and isinstance(item, dict):
            self.construct(known, item["config"] if isinstance(item.get("config"), dict) else {})
        elif known is None and not (isinstance(name, str) and knows(self.reader, space, name)):
            self._unknown_name(space, called, item, name)

    def _of_no_module(self, config: Config, name: Any) -> None:
        """A class of the user's own, whatever Keras has under its name."""
        if config.get("module", "") is None:
            raise RaisedError("TypeError", f"Cannot deserialize object of type `{name}`.")

    def _unknown_name(self, space: str, called: str, item: Any, name: Any) -> None:
        """A name that Keras 2 does not find: the way of Keras 3, and a regularizer by name, leave a text in its place,
        which fails late or never."""
        if space == "activations" and (isinstance(item, str) or ("module" in item and not self.is_hdf5)):
            raise RaisedError("ValueError", "Unknown activation function '")
        if isinstance(name, str) and not (isinstance(item, dict) and "module" in item) and space != "regularizers":
            raise RaisedError("ValueError", f"Unknown {called}: '{name}'. Please ensure")
        if isinstance(item, dict) and (self.is_hdf5 or "module" not in item):
            raise RaisedError("ValueError", f"Unknown {called}: '{name}'. Please ensure")
        self.assume(f"{'an' if called[0] in 'aeiou' else 'a'} {called} of the stored model is not known here")

    def _python(self, inner: Config) -> None:
        """``Lambda.from_config``: the code in a ``.keras`` archive is refused, that in an ``.h5`` file is run."""
        function = inner.get("function")
        kinds = [inner.get(f"{name}_type") for name in ("function", "output_shape", "mask")]
        refuses = not self.is_hdf5 and self.reader.version >= _SAFE_SINCE
        if isinstance(function, dict) and function.get("class_name") == "__lambda__":
            self.code()
        elif "lambda" in kinds and refuses and self.is_safe:
            raise RaisedError("ValueError", "Requested the deserialization of a Lambda layer")
        self.assume("a `Lambda` layer runs code or calls a function")

    # ---- models ----

    def model(self, known: Class, inner: Any) -> None:
        if known.name == "Sequential":
            configs = inner.get("layers") if isinstance(inner, dict) and "name" in inner else inner
            self._stack(configs, is_graph=False)
            return
        if not isinstance(inner, dict) or not all(key in inner for key in ("layers", "input_layers", "output_layers")):
            raise UnknownError("the stored model has no graph")
        self._stack(inner["layers"], is_graph=True)

    def _stack(self, configs: Any, *, is_graph: bool) -> None:
        """Each layer of a model: a chain takes it at once, a graph calls it when all are made."""
        texts: list[str] = []
        if not isinstance(configs, list) or not all(isinstance(config, dict) for config in configs):
            raise UnknownError("the layers of the stored model are no list of objects")
        for config in configs:
            self.nameless(config)
            try:
                with self.deeper():
                    self.layer(config)
            except _TextError as error:
                if not is_graph:
                    said = f"The added layer must be an instance of class Layer. Received: layer={error.name}"
                    raise RaisedError("TypeError", said) from None
                texts.append(error.name)
            self.fits(config)
        if texts:
            raise RaisedError("TypeError", "'str' object is not callable")

    def layer(self, config: Config, *, by_name_only: bool = False) -> None:
        """``layers.deserialize``: by class name; *by_name_only* as wrappers, and ``.h5`` files, read what they hold."""
        by_name_only = by_name_only or self.is_hdf5
        name, inner = config.get("class_name"), config.get("config")
        if not isinstance(name, str):
            raise UnknownError("a layer of the stored model has no class")
        if self.is_custom(name) or (not by_name_only and self.is_custom(config.get("registered_name"))):
            self.own(name, name if self.is_custom(name) else config["registered_name"], inner)
            return
        known = _INTERNAL_CLASS.get(name) or _all_layers(self, name)
        if known is None and REGISTERED & {name, str(config.get("registered_name"))}:
            if self.reader.version < (2, 15, 0):
                raise UnknownError(f"whether this Keras has registered `{name}` was not measured")
            return
        if known is None:
            self._no_layer(name, config, by_name_only=by_name_only)
            return
        if not by_name_only:
            self._of_no_module(config, name)
        elif ">" in str(config.get("registered_name")):
            self.assume(f"Keras takes its own `{name}` for `{config['registered_name']}`")
        if isinstance(inner, list) and known.name == "Sequential":
            self.make(known, inner)
            return
        if not isinstance(inner, dict):
            raise UnknownError("the stored config describes something that is not foreseen here")
        with self.deeper():
            self.make(known, inner)

    def _no_layer(self, name: str, config: Config, *, by_name_only: bool) -> None:
        """A layer of no known class."""
        if name.startswith("CuDNN"):
            raise UnknownError(f"which keys `{name}` takes is not known here")
        if by_name_only or "module" not in config:
            raise RaisedError(
                "ValueError", f"Unknown layer: '{name}'. Please ensure you are using a `keras.utils.custom_object"
            )
        self._of_no_module(config, name)
        raise _TextError(name)

    def legacy_layer(self, config: Config) -> None:
        name, inner = config.get("class_name"), config.get("config")
        known = _INTERNAL_CLASS.get(name) if isinstance(name, str) else None
        known = known or (_all_layers(self, name) if isinstance(name, str) else None)
        if isinstance(name, str) and self.is_custom(name):
            self.own(name, name, inner)
        elif known is None and isinstance(name, str):
            self._no_layer(name, config, by_name_only=True)
        elif known is not None and (isinstance(inner, dict) or (isinstance(inner, list) and name == "Sequential")):
            with self.deeper():
                self.make(known, inner)
        else:
            raise UnknownError("a layer of the stored model has no class")

    def compile_config(self, config: Config) -> None:
        """``compile_from_config`` of a ``.keras`` archive, as far as it names what is not Keras's own."""
        todo: list[Any] = [config]
        while todo:
            item = todo.pop()
            if isinstance(item, list):
                todo += reversed(item)
            elif isinstance(item, dict):
                name, module = item.get("class_name"), item.get("module")
                if isinstance(name, str) and "config" in item and not is_keras(module):
                    self._compiled(name, item)
                todo += reversed(item.values())

    def _compiled(self, name: str, item: Config) -> None:
        """A class or function that is not recorded as one of Keras's."""
        if name == "__lambda__":
            self.code()
            return
        function = name == "function"
        name = item["config"] if function else name
        registered = item.get("registered_name", name)
        if not isinstance(name, str) or name.startswith("__"):
            return
        if self.is_custom(registered) or (function and self.is_custom(name)):
            self.assume(f"`{name}` is made by its own code")
            return
        module = item.get("module")
        if isinstance(module, str) and module not in ("", "builtins"):
            raise UnknownError(f"Keras imports `{module}` to find `{name}`")
        if not (function and is_function(self.reader, name)):
            kind = "function" if function else "class"
            raise RaisedError("TypeError", f"Could not locate {kind} '{name}'. Make sure custom classes")

    def training_config(self, config: Config) -> None:
        """Keras 2 takes what Keras 2 wrote; what Keras 3 wrote never gets so far."""
        optimizer = config.get("optimizer_config")
        name = optimizer.get("class_name") if isinstance(optimizer, dict) else None
        if isinstance(name, str):
            self._sought("optimizers", "optimizer", name)
        self._each(config.get("loss"), self._loss)
        for key in ("metrics", "weighted_metrics"):
            self._each(config.get(key), self._metric)

    def _loss(self, config: Any) -> None:
        """A loss by name or dict; the code of a lambda is unknown in ``.h5``."""
        name = config.get("class_name") if isinstance(config, dict) else config
        if isinstance(name, str):
            self._sought("losses", "loss function", name)
            self._wrapped("losses", "loss function", config)

    def _metric(self, config: Any) -> None:
        """A metric by name or dict."""
        name = config.get("class_name") if isinstance(config, dict) else config
        if isinstance(name, str):
            self._sought("metrics", "metric function", name)
            self._wrapped("metrics", "metric function", config)

    def _wrapped(self, space: str, called: str, config: Any) -> None:
        """The function of a ``MeanMetricWrapper`` or ``LossFunctionWrapper``."""
        inner = config.get("config") if isinstance(config, dict) else None
        function = inner.get("fn") if isinstance(inner, dict) else None
        if isinstance(function, str):
            self._sought(space, called, function)

    def _sought(self, space: str, called: str, name: str) -> None:
        """What an ``.h5`` file names, looked up among Keras's own and what is handed in."""
        if self.is_custom(name):
            self.assume(f"`{name}` is made by its own code")
            return
        if name != "function" and not knows(self.reader, space, name):
            raise RaisedError("ValueError", f"Unknown {called}: '{name}'. Please ensure")


_INTERNAL_CLASS: Final = {name: Class(name, (f"models.{name}",), (), frozenset(), False) for name in sorted(_INTERNAL)}


def _all_layers(replay: Replay2, name: str) -> Class | None:
    """A layer by any name that it is exported by."""
    return classes.find(replay.reader, f"layers.{name}") or classes.find(replay.reader, f"layers.experimental.{name}")
