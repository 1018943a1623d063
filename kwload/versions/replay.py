"""What Keras 3 makes of a stored architecture, without making anything.

Keras turns a config into objects depth first and stops at the first error. The same walk is done here over names and
keys alone. Read in the releases 3.0.0 to 3.15.1, and held against ``load_model`` of several of them:

    .keras   deserialize_keras_object         by module and class: layers, graph, compilation, then the weights
    .h5      saving_utils.model_from_config   by class alone, what layers hold as in .keras: layers, graph, weights,
                                              then the compilation

:mod:`kwload.versions.objects` is the part that makes single objects, :mod:`kwload.versions.replay_2` is Keras 2.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, Final

from kwload.versions import classes
from kwload.versions.classes import Class
from kwload.versions.constants import is_one_number
from kwload.versions.names import FUNCTIONAL, Config
from kwload.versions.objects import Objects, by_name
from kwload.versions.outcome import CrossedError, EndlessError, RaisedError, UnknownError
from kwload.versions.reader import NEWEST_2, Reader

LOSS_ALIASES: Final = frozenset(
    ("bce", "BCE", "kld", "KLD", "mae", "MAE", "mse", "MSE", "mape", "MAPE", "msle", "MSLE")
)
"""Names of losses that are not the names of their functions."""

_OPERATIONS: Final = frozenset(
    {
        "Add",
        "Subtract",
        "Multiply",
        "Maximum",
        "Minimum",
        "Average",
        "Concatenate",
        "Dot",
    }
)
"""Layers that bear the name of an operation: ``x * 2`` comes back from an ``.h5`` file as the layer ``Multiply``."""

_SCALED: Final = frozenset({"LayerNormalization", "BatchNormalization", "GroupNormalization", "Normalization"})
"""Layers whose weights have the length of an axis."""

_LISTED: Final = frozenset({"LayerNormalization", "Normalization"})
"""Those that take several axes, and whose weights have a length for each."""

_FUNCTIONS: Final = frozenset(
    ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot", "deserialize", "serialize")
)
"""Functions that stand among the layers."""

_MODELS: Final = ("Functional", "Model", "Sequential")


class Replay(Objects):
    """A deserialization of a whole model by Keras 3."""

    # ---- models ----

    def locate(self, name: str, config: Config) -> Class:
        module = config.get("module")
        of_tf_keras = isinstance(module, str) and module.startswith("tf_keras.src.engine.")
        if of_tf_keras and name == "Functional" and self.reader.version < (3, 9, 0):
            self._by_tf_keras(str(module), config)
        return super().locate(name, config)

    def _by_tf_keras(self, module: str, config: Config) -> None:
        """A graph of tf_keras: Keras before 3.9 imports tf_keras where there is one, lets it make the model, and then
        refuses what it got."""
        if importlib.util.find_spec("tf_keras") is None:
            text = f"Could not deserialize class 'Functional' because its parent module {module} cannot be imported."
            raise RaisedError("TypeError", text)
        from kwload.versions.replay_2 import Replay2

        other = Replay2(Reader("tf_keras", NEWEST_2), {})
        other.is_safe = self.is_safe
        try:
            other.model(FUNCTIONAL, config.get("config"))
        except RaisedError as error:
            if error.type != "TypeError":
                raise
            text = f"<class '{module}.Functional'> could not be deserialized properly."
            raise RaisedError("TypeError", text, "", error) from None
        if isinstance(config.get("compile_config"), dict):
            other.compile_config(config["compile_config"])
        if other.assumed:
            raise UnknownError(other.assumed[0])
        if self._depth:
            raise RaisedError("ValueError", "Only instances of `keras.Layer` can be added to a Sequential model. ")
        if self.reader.version < (3, 3, 0):
            raise UnknownError("what this Keras makes of a model of tf_keras was not measured")
        raise RaisedError("ValueError", "Expected object to be an instance of `KerasSaveable`, but got <tf_keras.src.")

    def model(self, known: Class, inner: Any) -> None:
        """``Sequential.from_config`` and ``functional_from_config``: every layer, then the graph."""
        if known.name == "Sequential":
            if "name" not in inner:
                raise RaisedError("ValueError", "A Sequential model configuration must be")
            self.name(inner)
            configs = self.layers(inner.get("layers"))
            self._single_outputs(configs)
            self.called.update(_marks(configs))
            return
        if not all(key in inner for key in ("name", "layers", "input_layers", "output_layers")):
            raise UnknownError("the stored model has no graph")
        configs = self.layers(inner["layers"])
        for config in configs:
            self._calls(config)
        self._inner_models(configs)
        self._ends(inner, configs)
        self._crossed(configs)
        self.name(inner)

    def _crossed(self, configs: list[Config]) -> None:
        """A layer that is one with a layer of a model inside this one, which has called it already: Keras counts the
        calls from the first and takes that for the one that is meant here."""
        marks = _marks(configs)
        for mark, name in marks.items():
            if mark in self.called:
                raise CrossedError(name)
        self.called.update(marks)

    def layers(self, configs: Any) -> list[Config]:
        """Each layer of a model: as in ``.h5`` when it records no module."""
        if not isinstance(configs, list) or not all(isinstance(config, dict) for config in configs):
            raise UnknownError("the layers of the stored model are no list of objects")
        for config in configs:
            self.nameless(config)
            with self.deeper():
                if "module" not in config:
                    self.legacy_layer(config)
                elif "class_name" in config and "config" in config:
                    self.object(config)
                else:
                    raise UnknownError("a layer of the stored model has no class")
            self.fits(config)
        return configs

    def fits(self, config: Config) -> None:
        """Whether a layer can be built."""
        if id(config) in self.misfits:
            raise self.misfits[id(config)]

    def _single_outputs(self, configs: list[Config]) -> None:
        """A graph inside a Sequential whose outputs are a list of one: newer releases hand on that list."""
        for config in configs[:-1]:
            inner = config.get("config")
            ends = inner.get("output_layers") if isinstance(inner, dict) else None
            one = isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list)
            if one and self.reader.version >= (3, 9, 0):
                raise UnknownError("a model inside a Sequential returns a list of one output")

    def _calls(self, config: Config) -> None:
        """How a layer is called (``deserialize_node``), as far as that fails."""
        nodes = config.get("inbound_nodes")
        if not isinstance(nodes, list):
            raise UnknownError("the graph of the stored model has a form of its own")
        for node in nodes:
            if isinstance(node, dict):
                self._arguments(config, node.get("args"), node.get("kwargs"))
            elif isinstance(node, list) and any(_has_reference(call) for call in node):
                raise UnknownError("the stored graph hands tensors to arguments in the way of Keras 2")

    def _inner_models(self, configs: list[Config]) -> None:
        """Calls of a model inside another, which Keras 2 counts from one and Keras 3 from zero: with the last one
        Keras 3 finds nothing, and looks again; since 3.15 it notices."""
        calls = {
            config.get("name"): len(config["inbound_nodes"])
            for config in configs
            if config.get("class_name") in _MODELS
        }
        taken = [entry for config in configs for node in config["inbound_nodes"] for entry in _entries(node)]
        late = [at - calls[name] for name, at in taken if name in calls]
        if not late:
            return
        if max(late) < 0:
            raise UnknownError("a model inside another comes back with other connections")
        if self.reader.version < (3, 15, 0):
            raise EndlessError("the graph calls a model inside another as Keras 2 writes it, and Keras never returns")
        raise RaisedError("ValueError", "Invalid Functional model configuration. ")

    def _arguments(self, config: Config, args: Any, kwargs: Any) -> None:
        """An operation that an ``.h5`` file brings back as a layer, which takes one tensor or one list of them."""
        if not isinstance(args, list) or "module" in config or config.get("class_name") not in _OPERATIONS:
            return
        error = None
        if not all(isinstance(item, (dict, list)) for item in args):
            error = RaisedError("ValueError", "Only input tensors may be passed as positional arguments.")
        elif len(args) > 1:
            error = RaisedError("TypeError", "too many positional arguments")
        elif config["class_name"] == "Average" and isinstance(kwargs, dict) and "weights" in kwargs:
            error = RaisedError("TypeError", "got an unexpected keyword argument 'weights'")
        if error is not None:
            error.operation = (str(config.get("name") or ""), config["class_name"])
            raise error

    def _ends(self, inner: Config, configs: list[Config]) -> None:
        """The inputs and outputs of a graph, which older releases find in one form only."""
        version = self.reader.version
        inputs = inner["input_layers"]
        if version < (3, 4, 0) and isinstance(inputs, list) and inputs and isinstance(inputs[0], str):
            raise RaisedError(
                "TypeError", "functional_from_config.<locals>.get_tensor() takes 3 positional arguments but "
            )
        outputs = {item[0] for item in _triples(inner["output_layers"])}
        inside = [config.get("name") for config in configs if config.get("class_name") in ("Functional", "Model")]
        if version < (3, 3, 0) and any(name in inside for name in outputs):
            raise RaisedError("IndexError", "list index out of range")

    def legacy_layer(self, config: Config) -> None:
        """``legacy.saving.saving_utils.model_from_config``: a layer, or a whole model, of an ``.h5`` file."""
        name, inner = config.get("class_name"), config.get("config")
        if isinstance(inner, list):
            raise RaisedError("TypeError", "pop expected at most 1 argument, got 2")
        if not isinstance(name, str) or not isinstance(inner, dict):
            raise UnknownError("a layer of the stored model has no class")
        inner = self._adapted(name, inner)
        if self.is_custom(name):
            self.own(name, name, inner)
            return
        known = FUNCTIONAL if name == "Functional" else classes.find(self.reader, name) if name in _MODELS else None
        known = known or classes.by_class(self.reader, "layers").get(name)
        if known is None:
            raise RaisedError(
                "ValueError", f"Unknown layer: '{name}'. Please ensure you are using a `keras.utils.custom_object"
            )
        if self.reader.version >= (3, 14, 0):
            self.merging(name, inner)
        if any(isinstance(item, dict) and "__passive_serialization__" in item for item in inner.values()):
            raise UnknownError(f"`{name}` holds another object in the way of Keras 3's `.h5`")
        with self.deeper():
            self.make(known, inner)

    def nameless(self, config: Config) -> None:
        """A layer without a name gets one that depends on what else the process has made."""
        inner = config.get("config")
        if isinstance(inner, dict) and "name" not in inner:
            self.assume("a layer of the stored model has no name, and that which Keras gives it may be taken")

    def merging(self, name: str, inner: Config) -> None:
        """A text of an ``.h5`` file that is also the name of a function among the layers becomes that function."""
        for key, item in inner.items():
            if key == "name" or not isinstance(item, str) or item not in _FUNCTIONS:
                continue
            if name != "Attention" or key != "score_mode":
                raise UnknownError(f"`{key}` of a `{name}` becomes the function `{item}`")
            inside = RaisedError("ValueError", "Invalid value for argument score_mode. ")
            raise RaisedError("TypeError", "Error when deserializing class 'Attention' using config=", "", inside)

    def _adapted(self, name: str, inner: Config) -> Config:
        """The keys of Keras 2 that Keras 3 renames when it reads an ``.h5`` file."""
        inner = dict(inner)
        shape = inner.pop("batch_input_shape", None)
        if shape is not None:
            inner["batch_shape" if name == "InputLayer" else "input_shape"] = shape
        is_open = name == "Normalization" and "axis" in inner and inner["axis"] is None
        axis = inner.pop("axis", None)
        if name == "Normalization" and inner.get("mean") is not None:
            self.constant.add(str(inner.get("name", "")))
        if (is_open or self._drops(axis)) and not (name == "Normalization" and is_one_number(inner)):
            self.dropped.append((name, str(inner.get("name", "")), axis))
        if name == "Lambda":
            for key in ("module", "function_type", "output_shape_type", "output_shape_module"):
                inner.pop(key, None)
            if isinstance(inner.get("function"), list):
                inner["function"] = {"class_name": "__lambda__", "config": {}}
        return inner

    def _drops(self, axis: Any) -> bool:
        """Whether an ``axis`` other than the default is lost: a list of several or none, before 3.9 also a number."""
        if isinstance(axis, list):
            return len(axis) != 1
        return axis is not None and axis != -1 and self.reader.version < (3, 9, 0)

    def axis_weights(self) -> None:
        """The weights of layers that lost their axis: of another rank, or for another axis."""
        for name, called, axis in self.dropped:
            if name == "Normalization" and called in self.constant:
                continue
            if (name == "Normalization" and not axis) or (name in _LISTED and isinstance(axis, list)):
                old = self.reader.version < (3, 6, 0)
                raise RaisedError(
                    "ValueError", "The shape of the target variable" if old else "Shape mismatch in layer #"
                )
            if name in _SCALED:
                raise UnknownError(f"Keras drops the `axis` of `{name}`, and its weights may fit another one")

    # ---- compilation ----

    def compile_config(self, config: Config) -> None:
        """``compile_from_config`` of a ``.keras`` archive."""
        self.value(config)
        optimizer = config.get("optimizer")
        if isinstance(optimizer, str) and not self._optimizer(optimizer):
            raise RaisedError("ValueError", "Could not interpret optimizer identifier: ")

    def _optimizer(self, name: str) -> Class | None:
        lower = {known.name.lower(): known for known in classes.by_class(self.reader, "optimizers").values()}
        return lower.get(name.lower())

    def training_config(self, config: Config) -> None:
        """``compile_args_from_training_config`` of an ``.h5`` file."""
        optimizer = config.get("optimizer_config")
        if not isinstance(optimizer, dict) or not isinstance(optimizer.get("class_name"), str):
            raise UnknownError("the stored training config has no optimizer")
        inner = optimizer["config"] if isinstance(optimizer.get("config"), dict) else {}
        known = self._optimizer(optimizer["class_name"])
        if self.is_custom(optimizer["class_name"]) or self.is_custom(optimizer.get("registered_name")):
            self.assume(f"`{optimizer['class_name']}` is made by its own code")
        elif known is not None:
            self.from_config(known, inner)
        elif optimizer.get("module", "") is None:
            raise RaisedError("TypeError", f"Cannot deserialize object of type `{optimizer['class_name']}`.")
        elif not isinstance(inner.get("name"), str):
            raise UnknownError("the optimizer is not one of Keras 3")
        elif self._optimizer(inner["name"]) is None:
            raise RaisedError("ValueError", "Could not interpret optimizer identifier: ")
        loss = config.get("loss")
        self._each(loss, self._loss)
        self._one_loss(loss)
        for key in ("metrics", "weighted_metrics"):
            self._each(config.get(key), self._metric)

    def _each(self, config: Any, single: Callable[[Any], None]) -> None:
        """``_deserialize_nested_config``: a name, an object, or lists and dicts of them."""
        if isinstance(config, str) or (isinstance(config, dict) and "class_name" in config):
            single(config)
        elif isinstance(config, (list, dict)):
            with self.deeper():
                for item in config if isinstance(config, list) else config.values():
                    self._each(item, single)

    def _loss(self, config: Any) -> None:
        if isinstance(config, dict) and self._is_no_loss(config):
            return
        if not isinstance(config, str) or self.is_custom(config) or by_name(self.reader, "losses").get(config):
            self._measure("losses", config)
        elif config in LOSS_ALIASES:
            if self.reader.version >= (3, 11, 0):
                text = f"Could not deserialize 'keras.metrics.{config}' because it is not a KerasSaveable subclass"
                raise RaisedError("ValueError", text)
            raise RaisedError("TypeError", f"Could not locate function '{config}'. Make sure custom classes")

    def _one_loss(self, config: Any) -> None:
        """``_resolve_compile_arguments_compat``: a single loss that was not found is looked up by its own name."""
        if isinstance(config, str):
            known = self.is_custom(config) or config in LOSS_ALIASES or by_name(self.reader, "losses").get(config)
            if not known and not classes.has_function(self.reader, "losses", config):
                raise RaisedError("TypeError", "string indices must be integers")
        elif isinstance(config, dict) and self._is_no_loss(config):
            inner = config["config"] if isinstance(config.get("config"), dict) else {}
            name = inner.get("name")
            if not isinstance(name, str):
                raise UnknownError("a loss of the stored training config is not one of Keras 3")
            if name not in by_name(self.reader, "losses") and not classes.has_function(self.reader, "losses", name):
                raise RaisedError("ValueError", "Could not interpret loss identifier: ")

    def _is_no_loss(self, config: Config) -> bool:
        """Whether an object is of a class that Keras does not find: then it stays a text."""
        name, module = config.get("class_name"), config.get("module", "_")
        if not isinstance(name, str) or name == "function" or module is None:
            return False
        handed = self.is_custom(name) or self.is_custom(config.get("registered_name"))
        known = by_name(self.reader, "losses").get(name) or classes.has_function(self.reader, "losses", name)
        return not handed and not known

    def _metric(self, config: Any) -> None:
        if config not in ("accuracy", "acc", "crossentropy", "ce"):
            self._measure("metrics", config)

    def _measure(self, space: str, config: Any) -> None:
        """A loss or metric by name or dict."""
        name = config.get("class_name") if isinstance(config, dict) else config
        if self.is_custom(name):
            self.assume(f"`{name}` is made by its own code")
            return
        known = by_name(self.reader, space).get(name) if isinstance(name, str) else None
        if known is not None:
            inner = config.get("config") if isinstance(config, dict) else None
            if isinstance(inner, dict) and self.is_custom(inner.get("fn")):
                self.assume(f"`{inner['fn']}` is called by another class")
            self.from_config(known, inner if isinstance(inner, dict) else {})
        elif not isinstance(name, str) or not classes.has_function(self.reader, space, name):
            raise UnknownError("a loss or metric of the stored training config is not one of Keras 3")


def _marks(configs: list[Config]) -> dict[int, str]:
    """By what Keras knows the layers, in a ``.keras`` archive, that stand in the architecture more than once, and their
    names."""
    marks = {config.get("shared_object_id"): str(config.get("name") or "") for config in configs if "module" in config}
    return {mark: name for mark, name in marks.items() if type(mark) is int}


def _triples(ends: Any) -> list[list[Any]]:
    """The ``[layer, node, tensor]`` of a graph's outputs: one, or a list of them."""
    if not isinstance(ends, list):
        return []
    found = [ends] if ends and isinstance(ends[0], str) else ends
    return [item for item in found if isinstance(item, list) and item and isinstance(item[0], str)]


def _entries(node: Any) -> list[tuple[str, int]]:
    """Layer and number of its call of what goes into a call, as Keras 2 writes it."""
    found = node if isinstance(node, list) else []
    return [
        (entry[0], entry[1])
        for entry in found
        if isinstance(entry, list) and len(entry) >= 3 and isinstance(entry[0], str) and isinstance(entry[1], int)
    ]


def _has_reference(call: Any) -> bool:
    """Whether a keyword argument of a call holds a tensor as Keras 2 writes it: ``["layer", 0, 0]``."""
    if not isinstance(call, list) or len(call) != 4 or not isinstance(call[3], dict):
        return False
    for item in call[3].values():
        if isinstance(item, list) and len(item) >= 3 and isinstance(item[0], str) and isinstance(item[1], int):
            return True
    return False
