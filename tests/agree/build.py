"""A design becomes a model of the Keras that is given, and its tensors get numbers of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agree.design import Design, Item

Variables = list[tuple[str, Any]]


@dataclass
class Built:
    """A model, and the layer of each role."""

    keras: Any
    design: Design
    model: Any = None
    layers: dict[str, Any] = field(default_factory=dict)

    def roles(self) -> Variables:
        """``(role, variable)`` of each variable of the layers; a variable that two layers share, once."""
        found: Variables = []
        seen: set[int] = set()
        known = {id(layer) for layer in self.layers.values()}
        for role, layer in self.layers.items():
            counts: dict[str, int] = {}
            for variable in weights_of(layer):
                name = short_name(variable)
                if type(layer).__name__.startswith("DepthwiseConv"):
                    name = name.replace("depthwise_", "")
                counts[name] = counts.get(name, -1) + 1
                if id(variable) not in seen:
                    seen.add(id(variable))
                    found.append((f"{role}/{name}/{counts[name]}", variable))
        for number, variable in enumerate(weights_of(self.model)):
            if id(variable) not in seen and id(variable) not in known:
                seen.add(id(variable))
                found.append((f"model/{short_name(variable)}/{number}", variable))
        return found

    def state(self) -> list[Any]:
        """The variables of the optimizer, and what tf_keras saves of metrics."""
        optimizer = getattr(self.model, "optimizer", None)
        found = list(optimizer.variables) if optimizer is not None and not callable(optimizer.variables) else []
        if is_tf_keras(self.keras):
            for metric in self.model.metrics if optimizer is not None else ():
                found.extend(metric.variables)
        return found


def is_tf_keras(keras: Any) -> bool:
    return bool(keras.__name__ == "tf_keras")


def weights_of(layer: Any) -> list[Any]:
    """The variables of a layer; not the lookup tables that tf_keras lists among them."""
    try:
        return [weight for weight in layer.weights if hasattr(weight, "assign")]
    except ValueError:  # tf_keras, not built
        return []


def short_name(variable: Any) -> str:
    return str(variable.name).rpartition("/")[2].partition(":")[0]


# --- layers ----------------------------------------------------------------------------------------------------------


def custom(keras: Any) -> dict[str, Any]:
    """Layer classes of a user, one set a Keras."""
    known = getattr(keras, "_agree_custom", None)
    if known is None:
        known = _custom(keras)
        keras._agree_custom = known
    return known


def _custom(k: Any) -> dict[str, Any]:
    class Scale(k.layers.Layer):
        names = ("gain", "shift")

        def __init__(self, extra: bool = False, **options: Any) -> None:
            super().__init__(**options)
            self.extra = extra

        def build(self, shape: Any) -> None:
            for name in self.names:
                setattr(self, f"w_{name}", self.add_weight(name=name, shape=(shape[-1],), initializer="ones"))
            if self.extra:
                self.w_more = self.add_weight(name="more", shape=(2, 1), initializer="zeros")
            super().build(shape)

        def call(self, x: Any) -> Any:
            return x * self.w_gain + self.w_shift

    class Scale2(Scale):
        names = ("shift", "gain")

    class MyDense(k.layers.Layer):
        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 8), initializer="ones")
            self.bias = self.add_weight(name="bias", shape=(8,), initializer="zeros")
            super().build(shape)

        def call(self, x: Any) -> Any:
            return k.activations.relu(x) if self.kernel is None else x * self.bias

    class Block(k.layers.Layer):
        def __init__(self, inner: int = 4, **options: Any) -> None:
            super().__init__(**options)
            self.first = k.layers.Dense(inner)
            self.rest = [k.layers.Dense(inner), k.layers.Dense(8)]

        def build(self, shape: Any) -> None:
            self.gate = self.add_weight(name="gate", shape=(8,), initializer="ones")
            super().build(shape)

        def call(self, x: Any) -> Any:
            y = self.first(x)
            for layer in self.rest:
                y = layer(y)
            return y * self.gate

    class TransformerBlock(k.layers.Layer):
        def __init__(self, inner: int = 4, **options: Any) -> None:
            super().__init__(**options)
            self.att = k.layers.MultiHeadAttention(2, 3)
            self.ffn = k.Sequential([k.layers.Dense(inner, activation="relu"), k.layers.Dense(8)])
            self.norm1 = k.layers.LayerNormalization()
            self.norm2 = k.layers.LayerNormalization()

        def call(self, x: Any) -> Any:
            x = self.norm1(x + self.att(x, x))
            return self.norm2(x + self.ffn(x))

    class Own(k.layers.Layer):
        """Loads itself, by keys of its own."""

        def build(self, shape: Any) -> None:
            self.gain = self.add_weight(name="gain", shape=(shape[-1],), initializer="ones")
            super().build(shape)

        def call(self, x: Any) -> Any:
            return x * self.gain

        def save_own_variables(self, store: Any) -> None:
            store["gain"] = np.asarray(self.gain)

        def load_own_variables(self, store: Any) -> None:
            self.gain.assign(store["gain"])

    return {
        "scale": Scale,
        "scale2": Scale2,
        "custom_dense": MyDense,
        "block": Block,
        "tblock": TransformerBlock,
        "own": Own,
    }


Make = Callable[..., Any]


def _builtin(k: Any) -> dict[str, Make]:
    la = k.layers

    def normalization(name: str | None = None) -> Any:
        layer = la.Normalization(name=name)
        layer.adapt(np.arange(16, dtype="float32").reshape(2, 8))
        return layer

    def lookup(name: str | None = None) -> Any:
        return la.StringLookup(vocabulary=["a", "b"], name=name)

    return {
        "dense": lambda units=8, bias=True, activation=None, **o: la.Dense(
            units, use_bias=bias, activation=activation, **o
        ),
        "conv": lambda filters=4, kernel=3, bias=True, activation=None, **o: la.Conv2D(
            filters, kernel, padding="same", use_bias=bias, activation=activation, **o
        ),
        "conv1d": lambda filters=4, kernel=3, bias=True, **o: la.Conv1D(
            filters, kernel, padding="same", use_bias=bias, **o
        ),
        "convt": lambda filters=4, kernel=3, bias=True, **o: la.Conv2DTranspose(
            filters, kernel, padding="same", use_bias=bias, **o
        ),
        "depthwise": lambda kernel=3, bias=True, **o: la.DepthwiseConv2D(kernel, padding="same", use_bias=bias, **o),
        "separable": lambda filters=4, kernel=3, bias=True, **o: la.SeparableConv2D(
            filters, kernel, padding="same", use_bias=bias, **o
        ),
        "bn": la.BatchNormalization,
        "ln": la.LayerNormalization,
        "gn": lambda **o: la.GroupNormalization(2, **o),
        "prelu": la.PReLU,
        "pool": la.GlobalAveragePooling2D,
        "flatten": la.Flatten,
        "dropout": lambda **o: la.Dropout(0.1, **o),
        "relu": la.ReLU,
        "lstm": lambda units=6, bias=True, **o: la.LSTM(units, use_bias=bias, return_sequences=True, **o),
        "gru": lambda units=6, bias=True, **o: la.GRU(units, use_bias=bias, return_sequences=True, **o),
        "rnn": lambda units=6, bias=True, **o: la.SimpleRNN(units, use_bias=bias, return_sequences=True, **o),
        "rnn_cell": lambda units=6, **o: la.RNN(la.SimpleRNNCell(units), return_sequences=True, **o),
        "lstm_cell": lambda units=6, **o: la.RNN(la.LSTMCell(units), return_sequences=True, **o),
        "bidir": lambda units=3, bias=True, **o: la.Bidirectional(
            la.LSTM(units, use_bias=bias, return_sequences=True), **o
        ),
        "td": lambda units=6, **o: la.TimeDistributed(la.Dense(units), **o),
        "cells": lambda units=6, **o: la.RNN([la.GRUCell(4), la.LSTMCell(units)], return_sequences=True, **o),
        "convlstm": lambda filters=4, kernel=3, bias=True, **o: la.ConvLSTM2D(
            filters, kernel, padding="same", use_bias=bias, return_sequences=True, **o
        ),
        "mha": lambda dim=3, bias=True, **o: la.MultiHeadAttention(2, dim, use_bias=bias, **o),
        "gqa": lambda dim=4, **o: la.GroupQueryAttention(dim, 4, 2, **o),
        "emb": lambda width=8, **o: la.Embedding(10, width, **o),
        "einsum": lambda units=8, bias=True, **o: la.EinsumDense(
            "abc,cd->abd", (None, units), bias_axes="d" if bias else None, **o
        ),
        "spectral": lambda units=8, name=None: la.SpectralNormalization(la.Dense(units), name=name),
        "normalization": normalization,
        "lookup": lookup,
    }


def make(built: Built, item: Item) -> Any:
    """The layer of an item."""
    k = built.keras
    maker: Any = custom(k).get(item.kind) or _builtin(k)[item.kind]
    options = dict(item.options)
    if item.name is not None:
        options["name"] = item.name
    layer = maker(**options)
    if not item.trainable:
        layer.trainable = False
    built.layers[item.role] = layer
    return layer


def apply(layer: Any, x: Any) -> Any:
    return layer(x, x) if type(layer).__name__ in ("MultiHeadAttention", "GroupedQueryAttention") else layer(x)


def chain(layers: list[Any], x: Any) -> Any:
    for layer in layers:
        x = apply(layer, x)
    return x


# --- models ----------------------------------------------------------------------------------------------------------


def _source(built: Built, name: str | None = None) -> Any:
    options = {} if built.design.inputs == "float32" else {"dtype": built.design.inputs}
    return built.keras.layers.Input(built.design.shape, name=name, **options)


def _sequential(built: Built, layers: list[Any]) -> Any:
    if any(type(la).__name__ in ("MultiHeadAttention", "GroupedQueryAttention") for la in layers):
        raise TypeError("an attention layer needs two inputs")
    return built.keras.Sequential([_source(built), *layers] if built.design.built else layers)


def _functional(built: Built, layers: list[Any]) -> Any:
    inputs = _source(built)
    return built.keras.Model(inputs, chain(layers, inputs))


def _inner(built: Built, layers: list[Any], x: Any, name: str | None) -> tuple[Any, Any]:
    """A functional model of these layers, and its output."""
    inputs = built.keras.layers.Input(tuple(x.shape[1:]), dtype=None)
    inner = built.keras.Model(inputs, chain(layers, inputs), name=name)
    if built.design.frozen_inner:
        inner.trainable = False
    return inner, inner(x)


def _nested(built: Built, layers: list[Any], deep: bool) -> Any:
    given = built.design.naming in ("given", "mixed")
    if len(layers) < 3:
        raise ValueError("nothing to nest")
    inputs = _source(built)
    x = apply(layers[0], inputs)
    if deep:
        body = built.keras.layers.Input(tuple(x.shape[1:]))
        y = apply(layers[1], body)
        _, y = _inner(built, layers[2:-1] or [built.keras.layers.Dropout(0.1)], y, "deepest" if given else None)
        inner = built.keras.Model(body, y, name="inner" if given else None)
        if built.design.frozen_inner:
            inner.trainable = False
        x = inner(x)
    else:
        _, x = _inner(built, layers[1:-1], x, "inner" if given else None)
    return built.keras.Model(inputs, apply(layers[-1], x))


def _branches(built: Built, layers: list[Any]) -> Any:
    half = max(1, len(layers) // 2)
    one, two = _source(built), _source(built)
    if built.design.inputs != "float32" or half == len(layers):
        raise ValueError("nothing to divide")
    return built.keras.Model([one, two], [chain(layers[:half], one), chain(layers[half:], two)])


def _shared(built: Built, layers: list[Any]) -> Any:
    inputs = _source(built)
    x = apply(layers[0], inputs)
    return built.keras.Model(inputs, chain(layers[1:], apply(layers[0], x)))


def _outputs(built: Built, layers: list[Any]) -> Any:
    inputs = _source(built)
    middle = chain(layers[: len(layers) // 2], inputs)
    return built.keras.Model(inputs, [chain(layers[len(layers) // 2 :], middle), middle])


def _functional_subclass(built: Built, layers: list[Any]) -> Any:
    k, inputs = built.keras, _source(built)
    outputs = chain(layers, inputs)

    class Net(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(inputs, outputs)
            self.favourite = layers[-1]

    return Net()


def _attribute(built: Built, index: int, role: str) -> str:
    letters = "by" if built.design.attributes_renamed else "az"
    return f"{letters[index % 2]}_{role}"


def _subclass(built: Built, layers: list[Any], roles: list[str]) -> Any:
    k, design = built.keras, built.design
    kind = design.container

    class Net(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            if kind in ("attrs", "alias"):
                for index, (role, layer) in enumerate(zip(roles, layers, strict=True)):
                    setattr(self, _attribute(built, index, role), layer)
                if kind == "alias":
                    self.q_alias = layers[-1]
            elif kind == "list":
                self.parts = list(layers)
            elif kind == "dict":
                pairs = list(zip(roles, layers, strict=True))
                self.parts = dict(pairs[::-1] if design.dict_reversed else pairs)
            elif kind == "nestlist":
                half = len(layers) // 2
                self.parts = [list(layers[:half]), {"rest": list(layers[half:])}]

        def call(self, x: Any) -> Any:
            return chain(layers, x)

    return Net()


def _holder(built: Built, layers: list[Any]) -> Any:
    k, nest = built.keras, built.design.container == "layernest"

    class Holder(k.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            half = len(layers) // 2
            self.parts = [list(layers[:half]), {"rest": list(layers[half:])}] if nest else list(layers)

        def call(self, x: Any) -> Any:
            return chain(layers, x)

        def compute_output_shape(self, shape: Any) -> Any:
            for layer in layers:
                shape = layer.compute_output_shape(shape)
            return shape

    return k.Sequential([_source(built), Holder()] if built.design.built else [Holder()])


def _arrange(built: Built, layers: list[Any], roles: list[str]) -> Any:
    kind = built.design.container
    if kind in ("nested", "nested2"):
        return _nested(built, layers, kind == "nested2")
    if kind in ("layerlist", "layernest"):
        return _holder(built, layers)
    plain: dict[str, Callable[[Built, list[Any]], Any]] = {
        "seq": _sequential,
        "func": _functional,
        "branches": _branches,
        "shared": _shared,
        "outputs": _outputs,
        "fsub": _functional_subclass,
    }
    if kind in plain:
        return plain[kind](built, layers)
    model = _subclass(built, layers, roles)
    if built.design.built:
        model(_sample(built))
    return model


def _sample(built: Built) -> Any:
    shape = (1, *built.design.shape)
    if built.design.inputs == "string":
        import tensorflow as tf

        return tf.constant([["a"]])
    return np.zeros(shape, built.design.inputs)


@contextmanager
def policy(keras: Any, dtype: str | None) -> Iterator[None]:
    if dtype is None:
        yield
        return
    if is_tf_keras(keras):
        put = keras.mixed_precision.set_global_policy
    else:
        put = getattr(keras.config, "set_dtype_policy", None) or keras.mixed_precision.set_dtype_policy
    put(dtype)
    try:
        yield
    finally:
        put("float32")


def build(keras: Any, design: Design) -> Built:
    """The model of a design. Raises whatever Keras raises when the design cannot be built."""
    built = Built(keras, design)
    keras.backend.clear_session()
    with policy(keras, design.dtype):
        if design.naming in ("shift", "mixed"):
            scratch = Built(keras, design)
            for item in design.items:
                make(scratch, item)
        layers = [make(built, item) for item in design.items]
        built.model = _arrange(built, layers, [item.role for item in design.items])
    _finish(built)
    return built


def _finish(built: Built) -> None:
    model, design = built.model, built.design
    if design.frozen:
        model.trainable = False
    if design.quantize is not None:
        model.quantize(design.quantize)
    if design.lora:
        next(iter(built.layers.values())).enable_lora(2)
    if design.optimizer is None:
        return
    model.compile(optimizer=design.optimizer, loss="mse", run_eagerly=True)
    if not design.fitted:
        return
    if not is_tf_keras(built.keras):
        model.optimizer.build(model.trainable_variables)
        return
    x = _sample(built)
    if design.container == "branches":
        x = [x, x]
    outputs = model(x)
    y = [np.zeros(o.shape) for o in outputs] if isinstance(outputs, (list, tuple)) else np.zeros(outputs.shape)
    model.train_on_batch(x, y)


# --- numbers ---------------------------------------------------------------------------------------------------------


def put(variable: Any, number: float) -> None:
    """Fills a variable with a number."""
    shape = tuple(variable.shape)
    dtype = getattr(variable.dtype, "as_numpy_dtype", None) or "float32"
    with suppress(TypeError, ValueError, AttributeError):  # no number; no value yet
        variable.assign(np.full(shape, number, dtype))


def number_of(keras: Any, variable: Any) -> float | None:
    """The number that fills it; None when it holds several, or none."""
    try:
        array = np.asarray(variable.numpy() if is_tf_keras(keras) else keras.ops.convert_to_numpy(variable.value))
    except (AttributeError, TypeError, ValueError):  # made, and without a value yet
        return None
    if not array.size or array.dtype.kind not in "iufV":
        return None
    flat = array.ravel()
    return float(flat[0]) if bool((flat == flat[0]).all()) else None


def is_small(variable: Any) -> bool:
    return "int8" in str(variable.dtype)


def fill(built: Built, merged: bool) -> dict[str, float]:
    """Gives every variable a number of its own; role -> number. With *merged* the halves of LoRA stay zero, because
    Keras adds their product to the kernel that it saves."""
    numbers: dict[str, float] = {}
    pairs = built.roles()
    pairs += [(f"state/{index}", variable) for index, variable in enumerate(built.state())]
    for number, (role, variable) in enumerate(sorted(pairs, key=lambda pair: not is_small(pair[1])), 1):
        if merged and "lora_" in role:
            put(variable, 0)
            continue
        put(variable, number)
        if number_of(built.keras, variable) == number:
            numbers[role] = float(number)
    return numbers


def blank(built: Built) -> None:
    """Puts -1 into every variable."""
    for _, variable in built.roles():
        put(variable, -1)
    for variable in built.state():
        put(variable, -1)
