"""Models of every kind that Keras's walk treats differently, built with whichever Keras is given.

``models(keras)`` yields ``(name, function that builds the model)``; the builders take no file and no network.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Builder = Callable[[], Any]


def _backend(keras: Any) -> str:
    return str(keras.backend.backend()) if hasattr(keras.backend, "backend") else "tensorflow"


def _one(keras: Any, layer: Any, shape: tuple[int, ...], dtype: str | None = None) -> Any:
    """A Functional model of one layer."""
    inputs = keras.Input(shape, dtype=dtype)
    return keras.Model(inputs, layer(inputs))


def _chain(keras: Any, *layers: Any, shape: tuple[int, ...] = (4,)) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def _layers(keras: Any) -> Iterator[tuple[str, Builder]]:
    """One model for each layer class that has weights, or sub-layers, or state."""
    la = keras.layers
    table: list[tuple[str, tuple[int, ...], Callable[[], Any]]] = [
        ("Dense", (3,), lambda: la.Dense(4)),
        ("Dense frozen", (3,), lambda: la.Dense(4, trainable=False)),
        ("EinsumDense", (5, 3), lambda: la.EinsumDense("abc,cd->abd", (None, 7), bias_axes="d")),
        ("Embedding", (5,), lambda: la.Embedding(10, 4)),
        ("Conv1D", (8, 3), lambda: la.Conv1D(4, 3)),
        ("Conv2D", (8, 8, 3), lambda: la.Conv2D(4, 3, use_bias=False)),
        ("Conv3D", (4, 4, 4, 2), lambda: la.Conv3D(2, 2)),
        ("Conv2DTranspose", (8, 8, 3), lambda: la.Conv2DTranspose(4, 3)),
        ("DepthwiseConv2D", (8, 8, 3), lambda: la.DepthwiseConv2D(3)),
        ("SeparableConv2D", (8, 8, 3), lambda: la.SeparableConv2D(4, 3)),
        ("BatchNormalization", (3,), la.BatchNormalization),
        ("LayerNormalization", (3,), la.LayerNormalization),
        ("GroupNormalization", (4, 4), lambda: la.GroupNormalization(2)),
        ("UnitNormalization", (3,), la.UnitNormalization),
        ("Normalization", (3,), la.Normalization),
        ("PReLU", (3,), la.PReLU),
        ("Dropout", (3,), lambda: la.Dropout(0.5)),
        ("GaussianNoise", (3,), lambda: la.GaussianNoise(0.5)),
        ("Activation", (3,), lambda: la.Dense(3, activation=la.LeakyReLU())),
        ("SimpleRNN", (5, 3), lambda: la.SimpleRNN(4)),
        ("LSTM", (5, 3), lambda: la.LSTM(4, return_sequences=True, dropout=0.1)),
        ("LSTM with a layer as activation", (5, 3), lambda: la.LSTM(4, activation=la.PReLU())),
        ("GRU", (5, 3), lambda: la.GRU(4, reset_after=True)),
        ("RNN", (5, 3), lambda: la.RNN(la.LSTMCell(4))),
        ("RNN of cells", (5, 3), lambda: la.RNN([la.GRUCell(4), la.LSTMCell(4), la.GRUCell(2)])),
        ("StackedRNNCells", (5, 3), lambda: la.RNN(la.StackedRNNCells([la.GRUCell(4), la.GRUCell(2)]))),
        ("ConvLSTM1D", (3, 8, 3), lambda: la.ConvLSTM1D(2, 3)),
        ("ConvLSTM2D", (3, 8, 8, 3), lambda: la.ConvLSTM2D(2, 3)),
        ("Bidirectional", (5, 3), lambda: la.Bidirectional(la.LSTM(4))),
        (
            "Bidirectional of two",
            (5, 3),
            lambda: la.Bidirectional(la.LSTM(4), backward_layer=la.GRU(4, go_backwards=True)),
        ),
        ("TimeDistributed", (5, 3), lambda: la.TimeDistributed(la.Dense(4))),
        ("Lambda", (3,), lambda: la.Lambda(lambda x: x * 2, output_shape=(3,))),
        ("Rescaling", (3,), lambda: la.Rescaling(0.5)),
        ("RandomFlip", (8, 8, 3), la.RandomFlip),
        ("Discretization", (3,), lambda: la.Discretization([0.0, 1.0])),
        ("AdditiveAttention", (5, 3), lambda: _Pair(la.AdditiveAttention())),
    ]
    for name, shape, make in table:
        yield name, lambda make=make, shape=shape: _one(keras, make(), shape)

    def attention(layer: Any) -> Any:
        query = keras.Input((5, 8))
        return keras.Model(query, layer(query, query))

    yield "MultiHeadAttention", lambda: attention(la.MultiHeadAttention(2, 4))


class _Pair:
    """Calls an attention layer with its input twice."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __call__(self, x: Any) -> Any:
        return self.layer([x, x])


def _structures(keras: Any) -> Iterator[tuple[str, Builder]]:
    """Sequential, Functional, nested, shared, and models whose structure is in attributes."""
    la = keras.layers

    def nested() -> Any:
        inner = _chain(keras, la.Dense(4), la.Dense(4))
        deep = keras.Sequential([keras.Input((4,)), inner, la.Dense(4)])
        inputs = keras.Input((4,))
        x = deep(la.Dense(4)(inputs))
        return keras.Model(inputs, la.BatchNormalization()(x))

    def shared() -> Any:
        inputs = keras.Input((4,))
        dense = la.Dense(4)
        return keras.Model(inputs, la.Add()([dense(inputs), dense(dense(inputs))]))

    def operations() -> Any:
        inputs = keras.Input((4,))
        x = la.Dense(4)(inputs)
        x = la.Dense(4)(x + 1.0)
        return keras.Model(inputs, la.Concatenate()([x, x * 2.0]))

    def branches() -> Any:
        first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
        left, right = la.Dense(3)(first), la.Dense(3)(la.Dense(4)(second))
        return keras.Model([first, second], [la.Dense(1)(left), la.Dense(1)(la.Add()([left, right]))])

    class Attributes(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.zdense = la.Dense(4)
            self.adense = la.Dense(4)
            self._under = la.Dense(4)
            self.alias = self.adense
            self.listed = [la.Dense(4), la.Dense(4), "text", la.LayerNormalization()]
            self.named = {"z": la.Dense(4), "a": la.Dense(4), "m": la.PReLU()}
            self.pair = (la.Dense(4), la.Dense(4))
            self.numbers = [[1, 2], {"x": (3,)}]
            self.inner = keras.Sequential([la.Dense(4), la.Dense(4)])

        @property
        def made(self) -> list[Any]:
            return [self.zdense, *self.listed[:2]]

        @property
        def raising(self) -> Any:
            raise RuntimeError("not now")

        def call(self, x: Any) -> Any:
            for layer in (self.adense, self._under, self.zdense, *self.listed[:2], self.listed[3], *self.pair):
                x = layer(x)
            for layer in self.named.values():
                x = layer(x)
            return self.inner(x)

    def attributes() -> Any:
        model = Attributes()
        model(np.zeros((1, 4), "float32"))
        return model

    class Block(la.Layer):
        """A layer with a container in a container, a set, and weights of its own."""

        def __init__(self, deep: bool = True, **options: Any) -> None:
            super().__init__(**options)
            self.rows = [["relu"], [la.Dense(4), la.Dense(4)], {"k": [la.Dense(4)]}] if deep else [la.Dense(4)]
            self.unused = {"tags": ["a", "b"], "numbers": (1, 2)}
            self.many = {la.Dense(4)}
            self.scale_layer = None
            self.deep = deep

        def build(self, shape: Any) -> None:
            self.gain = self.add_weight(shape=(4,), initializer="ones", name="gain")
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")
            self.scale_layer = la.Dense(4)
            self.scale_layer.build(shape)
            for layer in self._rows():
                layer.build(shape)
            for layer in self.many:
                layer.build(shape)
            super().build(shape)

        def _rows(self) -> list[Any]:
            return [*self.rows[1], *self.rows[2]["k"]] if self.deep else list(self.rows)

        def call(self, x: Any) -> Any:
            for layer in (*self._rows(), *self.many, self.scale_layer):
                x = layer(x)
            return x * self.gain

    class Slotted(la.Layer):
        """Class-level attributes, a cached property, and an attribute that only ``__getattr__`` knows."""

        tags = ("a", "b")
        spare = None

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.first = la.Dense(4)

        @property
        def second(self) -> Any:
            if not hasattr(self, "_second"):
                raise AttributeError("not yet")
            return self._second

        def build(self, shape: Any) -> None:
            self._second = la.Dense(4)
            self.first.build(shape)
            self._second.build(shape)
            super().build(shape)

        def call(self, x: Any) -> Any:
            return self._second(self.first(x))

    class Dirty(la.Layer):
        """Lists its own attributes."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.hidden = la.Dense(4)
            self.shown = la.Dense(4)

        def __dir__(self) -> list[str]:
            return [name for name in super().__dir__() if name != "hidden"]

        def build(self, shape: Any) -> None:
            self.hidden.build(shape)
            self.shown.build(shape)
            super().build(shape)

        def call(self, x: Any) -> Any:
            return self.shown(self.hidden(x))

    class Own(la.Dense):
        """A subclass of a built-in that adds nothing."""

    def subclassed_functional() -> Any:
        class Net(keras.Model):
            def __init__(self) -> None:
                inputs = keras.Input((4,))
                hidden = la.Dense(4)
                super().__init__(inputs, la.Dense(2)(hidden(inputs)))
                self.hidden = hidden
                self.a_list = [hidden]

        return Net()

    yield "Sequential", lambda: _chain(keras, la.Dense(4), la.Dense(4, activation="relu"), la.Dropout(0.5), la.Dense(2))
    yield "Sequential without weights", lambda: _chain(keras, la.Flatten())
    yield "nested", nested
    yield "shared", shared
    yield "operations", operations
    yield "branches", branches
    yield "attributes", attributes
    yield "containers in containers", lambda: _chain(keras, Block(), la.Dense(4), Block(deep=False))
    yield "class-level attributes", lambda: _chain(keras, Slotted())
    yield "own __dir__", lambda: _chain(keras, Dirty())
    yield "subclass of Dense", lambda: _chain(keras, Own(3))
    yield "subclass of Functional", subclassed_functional


def _trained(keras: Any) -> Iterator[tuple[str, Builder]]:
    """Compiled, and compiled and fitted."""
    la = keras.layers

    def compiled(fit: bool, **options: Any) -> Any:
        model = _chain(keras, la.Dense(4), la.BatchNormalization(), la.Dense(1))
        model.compile(**{"optimizer": "adam", "loss": "mse", **options})
        if fit:
            model.fit(np.zeros((4, 4), "float32"), np.zeros((4, 1), "float32"), verbose=0)
        return model

    yield "compiled", lambda: compiled(False, metrics=["mae"])
    if _backend(keras) == "numpy":
        return  # cannot train
    yield "fitted", lambda: compiled(True, metrics=["mae", keras.metrics.MeanSquaredError()])
    yield "fitted with SGD", lambda: compiled(True, optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    yield "loss object", lambda: compiled(True, loss=keras.losses.Huber())


def _mixed(keras: Any) -> Iterator[tuple[str, Builder]]:
    la = keras.layers

    def mixed() -> Any:
        policy = keras.mixed_precision.Policy("mixed_float16") if hasattr(keras, "mixed_precision") else "mixed_float16"
        model = _chain(keras, la.Dense(4, dtype=policy), la.Dense(1, dtype="float32"))
        model.compile("adam", "mse")
        return model

    yield "mixed precision", mixed


def _keras3(keras: Any, quantized: bool) -> Iterator[tuple[str, Builder]]:
    """What only Keras 3 has."""
    la = keras.layers

    def attention(**options: Any) -> Any:
        query = keras.Input((5, 8))
        return keras.Model(query, la.GroupQueryAttention(4, 4, 2, **options)(query, query))

    def quantize(mode: str) -> Any:
        model = _chain(
            keras, la.Embedding(10, 8), la.Dense(8), la.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d"), shape=(5,)
        )
        model.quantize(mode)
        return model

    def lora() -> Any:
        model = _chain(keras, la.Dense(8), la.Dense(8), shape=(4,))
        model.layers[0].enable_lora(2)
        return model

    def lora_convolution() -> Any:
        model = _chain(keras, la.Conv2D(4, 3), la.DepthwiseConv2D(3), shape=(8, 8, 3))
        model.layers[0].enable_lora(2)
        return model

    def lora_embedding() -> Any:
        model = _chain(keras, la.Embedding(10, 8), shape=(5,))
        model.layers[0].enable_lora(2)
        return model

    def scaled() -> Any:
        model = _chain(keras, la.Dense(4))
        model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), "mse")
        return model

    if hasattr(la, "GroupQueryAttention"):
        yield "GroupQueryAttention", attention
    if hasattr(la, "ReversibleEmbedding"):
        yield "ReversibleEmbedding", lambda: _one(keras, la.ReversibleEmbedding(10, 4), (5,))
        yield (
            "ReversibleEmbedding untied",
            lambda: _one(keras, la.ReversibleEmbedding(10, 4, tie_weights=False), (5,)),
        )
    yield "SpectralNormalization", lambda: _one(keras, la.SpectralNormalization(la.Dense(4)), (3,))
    if hasattr(la, "RMSNormalization"):
        yield "RMSNormalization", lambda: _one(keras, la.RMSNormalization(), (3,))
    if hasattr(la, "Pipeline"):
        yield "Pipeline", lambda: _one(keras, la.Pipeline([la.RandomFlip(), la.Rescaling(0.5)]), (8, 8, 3))
    yield "loss scaling", scaled
    if quantized:
        yield "int8", lambda: quantize("int8")
        yield "LoRA", lora
        yield "LoRA convolution", lora_convolution
        yield "LoRA embedding", lora_embedding
        if _backend(keras) == "tensorflow":  # the slow ones once
            yield "float8", lambda: quantize("float8")
            yield "int4", lambda: quantize("int4")


def _lookups(keras: Any) -> Iterator[tuple[str, Builder]]:
    la = keras.layers

    def text(mode: str) -> Any:
        layer = la.TextVectorization(output_mode=mode)
        layer.adapt(["a b", "b c"])
        return keras.Sequential([keras.Input((1,), dtype="string"), layer, la.Dense(2)])

    def strings() -> Any:
        layer = la.StringLookup(vocabulary=["a", "b"])
        return keras.Sequential([keras.Input((1,), dtype="string"), layer, la.Embedding(4, 2)])

    yield "StringLookup", strings
    yield "TextVectorization", lambda: text("multi_hot")
    yield "TextVectorization tf_idf", lambda: text("tf_idf")


def models(keras: Any, every: bool = True) -> Iterator[tuple[str, Builder]]:
    """Every model of the grid that this Keras can build; without *every*, only those that differ in structure."""
    version = tuple(int(part) for part in keras.__version__.split(".")[:2])
    if every:
        yield from _layers(keras)
    yield from _structures(keras)
    yield from _trained(keras)
    yield from _mixed(keras)
    if version >= (3, 0):
        yield from _keras3(keras, every)
    if version < (3, 0) or _backend(keras) == "tensorflow":
        yield from _lookups(keras)
        yield "MobileNetV2", lambda: keras.applications.MobileNetV2((32, 32, 3), weights=None, alpha=0.35)
