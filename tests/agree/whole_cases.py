"""Whole models of one Keras, small and of many kinds: what is saved in both formats and loaded by every Keras.

LAYERS     each layer that both Keras have, in several configs, on an input that it takes
MODELS     what models are made of: nested, shared, several inputs and outputs, own classes, Lambda, functions
COMPILED   optimizers, losses, metrics, by name, by object, by output
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Make = Callable[[], Any]

FLAT, ROWS, IMAGE, CUBE, WORDS = (3,), (5, 3), (8, 8, 3), (4, 4, 4, 2), (5,)

LAYERS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("Dense", FLAT, {"units": 4}),
    ("Dense", FLAT, {"units": 4, "activation": "relu", "use_bias": False}),
    ("Dense", FLAT, {"units": 2, "kernel_regularizer": "l2", "kernel_constraint": "non_neg"}),
    ("Dense", FLAT, {"units": 2, "kernel_initializer": "he_normal", "bias_initializer": "ones"}),
    ("Dense", FLAT, {"units": 2, "dtype": "float16", "name": "given"}),
    ("Dense", FLAT, {"units": 2, "dtype": "mixed_bfloat16"}),
    ("Dense", FLAT, {"units": 2, "trainable": False, "activity_regularizer": "l1"}),
    ("EinsumDense", ROWS, {"equation": "abc,cd->abd", "output_shape": (None, 4), "bias_axes": "d"}),
    ("Activation", FLAT, {"activation": "tanh"}),
    ("Activation", FLAT, {"activation": "gelu"}),
    ("ReLU", FLAT, {"max_value": 6.0}),
    ("LeakyReLU", FLAT, {}),
    ("ELU", FLAT, {"alpha": 0.5}),
    ("PReLU", FLAT, {}),
    ("PReLU", IMAGE, {"shared_axes": [1, 2]}),
    ("Softmax", ROWS, {"axis": 1}),
    ("Softmax", ROWS, {}),
    ("ThresholdedReLU", FLAT, {}),
    ("Dropout", FLAT, {"rate": 0.5}),
    ("Dropout", FLAT, {"rate": 0.5, "seed": 3}),
    ("SpatialDropout1D", ROWS, {"rate": 0.5}),
    ("SpatialDropout2D", IMAGE, {"rate": 0.5}),
    ("GaussianNoise", FLAT, {"stddev": 0.1}),
    ("GaussianDropout", FLAT, {"rate": 0.1}),
    ("AlphaDropout", FLAT, {"rate": 0.1}),
    ("ActivityRegularization", FLAT, {"l1": 0.1}),
    ("Masking", ROWS, {"mask_value": 0.0}),
    ("Conv1D", ROWS, {"filters": 4, "kernel_size": 2}),
    ("Conv1D", ROWS, {"filters": 4, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}),
    ("Conv2D", IMAGE, {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}),
    ("Conv2D", (8, 8, 4), {"filters": 4, "kernel_size": 3, "groups": 2}),
    ("Conv3D", CUBE, {"filters": 2, "kernel_size": 2}),
    ("Conv1DTranspose", ROWS, {"filters": 2, "kernel_size": 2}),
    ("Conv2DTranspose", IMAGE, {"filters": 2, "kernel_size": 2, "strides": 2}),
    ("Conv3DTranspose", CUBE, {"filters": 2, "kernel_size": 2}),
    ("DepthwiseConv1D", ROWS, {"kernel_size": 2}),
    ("DepthwiseConv2D", IMAGE, {"kernel_size": 2, "depth_multiplier": 2}),
    ("SeparableConv1D", ROWS, {"filters": 4, "kernel_size": 2}),
    ("SeparableConv2D", IMAGE, {"filters": 4, "kernel_size": 2}),
    ("LocallyConnected1D", ROWS, {"filters": 2, "kernel_size": 2}),
    ("MaxPooling1D", ROWS, {}),
    ("MaxPooling2D", IMAGE, {"pool_size": (2, 2), "strides": 1}),
    ("MaxPooling3D", CUBE, {}),
    ("AveragePooling1D", ROWS, {}),
    ("AveragePooling2D", IMAGE, {"padding": "same"}),
    ("AveragePooling3D", CUBE, {}),
    ("GlobalMaxPooling1D", ROWS, {}),
    ("GlobalMaxPooling2D", IMAGE, {"keepdims": True}),
    ("GlobalAveragePooling1D", ROWS, {}),
    ("GlobalAveragePooling2D", IMAGE, {}),
    ("GlobalAveragePooling3D", CUBE, {}),
    ("BatchNormalization", FLAT, {}),
    ("BatchNormalization", IMAGE, {"axis": 1, "scale": False}),
    ("LayerNormalization", ROWS, {}),
    ("LayerNormalization", ROWS, {"axis": [1, 2]}),
    ("GroupNormalization", IMAGE, {"groups": 3}),
    ("UnitNormalization", ROWS, {}),
    ("UnitNormalization", ROWS, {"axis": 1}),
    ("Normalization", FLAT, {}),
    ("Normalization", FLAT, {"mean": 1.0, "variance": 2.0}),
    ("SpectralNormalization", FLAT, {"layer": ("Dense", {"units": 2})}),
    ("Flatten", IMAGE, {}),
    ("Flatten", IMAGE, {"data_format": "channels_first"}),
    ("Reshape", FLAT, {"target_shape": (3, 1)}),
    ("Permute", ROWS, {"dims": (2, 1)}),
    ("RepeatVector", FLAT, {"n": 2}),
    ("Cropping1D", ROWS, {"cropping": 1}),
    ("Cropping2D", IMAGE, {"cropping": 1}),
    ("Cropping3D", CUBE, {"cropping": 1}),
    ("ZeroPadding1D", ROWS, {"padding": 1}),
    ("ZeroPadding2D", IMAGE, {"padding": ((1, 0), (0, 1))}),
    ("ZeroPadding3D", CUBE, {"padding": 1}),
    ("UpSampling1D", ROWS, {"size": 2}),
    ("UpSampling2D", IMAGE, {"size": 2, "interpolation": "bilinear"}),
    ("UpSampling3D", CUBE, {}),
    ("Embedding", WORDS, {"input_dim": 9, "output_dim": 4}),
    ("Embedding", WORDS, {"input_dim": 9, "output_dim": 4, "mask_zero": True}),
    ("LSTM", ROWS, {"units": 4}),
    ("LSTM", ROWS, {"units": 4, "return_sequences": True, "go_backwards": True, "unroll": True}),
    ("GRU", ROWS, {"units": 4}),
    ("GRU", ROWS, {"units": 4, "reset_after": False, "dropout": 0.1}),
    ("SimpleRNN", ROWS, {"units": 4, "activation": "relu"}),
    ("RNN", ROWS, {"cell": ("LSTMCell", {"units": 4})}),
    ("RNN", ROWS, {"cell": [("GRUCell", {"units": 4}), ("SimpleRNNCell", {"units": 3})]}),
    ("ConvLSTM1D", (4, 5, 3), {"filters": 2, "kernel_size": 2}),
    ("ConvLSTM2D", (4, 8, 8, 3), {"filters": 2, "kernel_size": 2}),
    ("Bidirectional", ROWS, {"layer": ("LSTM", {"units": 4})}),
    ("Bidirectional", ROWS, {"layer": ("GRU", {"units": 2, "return_sequences": True}), "merge_mode": "sum"}),
    ("Bidirectional", ROWS, {"layer": ("RNN", {"cell": ("LSTMCell", {"units": 4})})}),
    ("TimeDistributed", ROWS, {"layer": ("Dense", {"units": 4})}),
    ("TimeDistributed", (4, 8, 8, 3), {"layer": ("Conv2D", {"filters": 2, "kernel_size": 3})}),
    ("Rescaling", IMAGE, {"scale": 0.1}),
    ("Resizing", IMAGE, {"height": 4, "width": 4}),
    ("CenterCrop", IMAGE, {"height": 4, "width": 4}),
    ("RandomFlip", IMAGE, {"mode": "horizontal"}),
    ("RandomRotation", IMAGE, {"factor": 0.1}),
    ("RandomZoom", IMAGE, {"height_factor": 0.1}),
    ("RandomTranslation", IMAGE, {"height_factor": 0.1, "width_factor": 0.1}),
    ("RandomContrast", IMAGE, {"factor": 0.1}),
    ("RandomBrightness", IMAGE, {"factor": 0.1}),
    ("RandomCrop", IMAGE, {"height": 4, "width": 4}),
    ("CategoryEncoding", WORDS, {"num_tokens": 9, "output_mode": "multi_hot"}),
    ("Discretization", FLAT, {"bin_boundaries": [0.0, 1.0]}),
    ("Hashing", WORDS, {"num_bins": 4}),
    ("IntegerLookup", WORDS, {"vocabulary": [3, 4, 5]}),
    ("Identity", FLAT, {}),
]


def _inner(keras: Any, value: Any) -> Any:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict):
        return getattr(keras.layers, value[0])(**_options(keras, value[1]))
    return [_inner(keras, item) for item in value] if isinstance(value, list) else value


def _options(keras: Any, options: dict[str, Any]) -> dict[str, Any]:
    return {key: _inner(keras, value) for key, value in options.items()}


def classes(keras: Any) -> dict[str, Any]:
    """The user's own: by the names that the reader is handed them by."""
    layers = keras.layers
    register = getattr(keras, "saving", keras.utils).register_keras_serializable

    class Mine(layers.Layer):  # type: ignore[misc]
        def __init__(self, factor: float = 2.0, **options: Any) -> None:
            super().__init__(**options)
            self.factor = factor

        def call(self, inputs: Any) -> Any:
            return inputs * self.factor

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor}

    @register(package="Known")
    class Registered(Mine):
        pass

    @register(package="Known")
    class WithWeights(layers.Layer):  # type: ignore[misc]
        def __init__(self, units: int = 2, **options: Any) -> None:
            super().__init__(**options)
            self.units = units
            self.inner = layers.Dense(units)

        def build(self, input_shape: Any) -> None:
            self.inner.build(input_shape)
            self.built = True

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    @register(package="Known")
    class Whole(keras.Model):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.inner = layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    @register(package="Known")
    def bend(inputs: Any) -> Any:
        return inputs * 2

    @register(package="Known")
    class Gentle(keras.initializers.Initializer):  # type: ignore[misc]
        def __call__(self, shape: Any, dtype: Any = None, **options: Any) -> Any:
            return keras.initializers.Zeros()(shape, dtype)

        def get_config(self) -> dict[str, Any]:
            return {}

    @register(package="Known")
    def own_loss(true: Any, seen: Any) -> Any:
        return (true - seen) ** 2

    return {
        "Mine": Mine,
        "Registered": Registered,
        "WithWeights": WithWeights,
        "Whole": Whole,
        "bend": bend,
        "Gentle": Gentle,
        "own_loss": own_loss,
    }


def cases(keras: Any, own: dict[str, Any]) -> Iterator[tuple[str, Make]]:
    """Name and maker of each model."""
    for number, (name, shape, options) in enumerate(LAYERS):
        for graph in (False, True) if number % 4 == 0 else (bool(number % 2),):
            yield (
                f"layer-{name}-{number}{'-graph' if graph else ''}",
                lambda n=name, s=shape, o=options, g=graph: _of_layer(keras, n, s, o, graph=g),  # type: ignore[misc]
            )
    yield from _models(keras, own)
    yield from _compiled(keras, own)


def _of_layer(keras: Any, name: str, shape: tuple[int, ...], options: dict[str, Any], *, graph: bool) -> Any:
    layer = getattr(keras.layers, name)(**_options(keras, options))
    whole = name in ("Embedding", "CategoryEncoding", "Hashing", "IntegerLookup")
    given = keras.Input(shape, dtype="int32" if whole else None)
    if graph:
        return keras.Model(given, layer(given))
    return keras.Sequential([given, layer])


def _sequential(keras: Any, *layers: Any, shape: tuple[int, ...] = FLAT) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def _graph(keras: Any, build: Callable[[Any], Any], shape: tuple[int, ...] = ROWS) -> Any:
    given = keras.Input(shape)
    return keras.Model(given, build(given))


def _models(keras: Any, own: dict[str, Any]) -> Iterator[tuple[str, Make]]:
    layers = keras.layers
    seq = lambda *made, **o: _sequential(keras, *made, **o)  # noqa: E731
    graph = lambda build, shape=ROWS: _graph(keras, build, shape)  # noqa: E731
    yield "no_input", lambda: keras.Sequential([layers.Dense(2, input_shape=(3,)), layers.Dense(2)])
    yield "no_input_dim", lambda: keras.Sequential([layers.Dense(2, input_dim=3)])
    yield "batch_fixed", lambda: keras.Sequential([keras.Input(batch_shape=(2, 3)), layers.Dense(2)])
    yield "unbuilt", lambda: keras.Sequential([layers.Dense(4)])
    yield "empty", lambda: keras.Sequential([keras.Input((3,))])
    yield "named", lambda: keras.Sequential([keras.Input((3,)), layers.Dense(2, name="a")], name="whole")
    yield "nested", lambda: seq(keras.Sequential([layers.Dense(4), layers.ReLU()]), layers.Dense(2))
    yield "nested_built", lambda: seq(seq(layers.Dense(4)), layers.Dense(2))
    yield "nested_graph", lambda: graph(graph(layers.Dense(4)))
    yield "nested_graph_twice", lambda: graph(lambda x: layers.Dense(2)(graph(graph(layers.Dense(4)))(x)))
    yield "nested_in_seq", lambda: seq(graph(layers.Dense(4)), layers.Flatten(), shape=ROWS)
    yield "residual", lambda: graph(lambda x: layers.Add()([x, layers.Dense(3)(x)]))
    yield "merge", lambda: graph(lambda x: layers.Multiply()([x, layers.Average()([x, x])]))
    yield "merge_more", lambda: graph(lambda x: layers.Maximum()([layers.Subtract()([x, x]), layers.Minimum()([x, x])]))
    yield "concatenate", lambda: graph(lambda x: layers.Concatenate(axis=1)([x, layers.ReLU()(x)]))
    yield "concatenate_last", lambda: graph(lambda x: layers.Concatenate()([x, layers.ReLU()(x)]))
    yield "dot", lambda: graph(lambda x: layers.Dot(axes=1)([x, x]))
    yield "shared", lambda: _shared(keras)
    yield "shared_model", lambda: _twice(keras)
    yield "shared_around", lambda: _inside_and_outside(keras)
    yield "shared_graphs", lambda: _in_two(keras, chains=False)
    yield "shared_chains", lambda: _in_two(keras, chains=True)
    yield "shared_chain", lambda: _in_chain(keras)
    yield "shared_wrapped", lambda: _wrapped(keras)
    yield "two_inputs", lambda: _two(keras)
    yield "named_inputs", lambda: _named(keras)
    yield "dict_outputs", lambda: _dicts(keras)
    yield "attention", lambda: graph(lambda x: layers.MultiHeadAttention(2, 4)(x, x))
    yield "attention_key", lambda: graph(lambda x: layers.MultiHeadAttention(2, 4, value_dim=3)(x, x, key=x))
    yield "dot_attention", lambda: graph(lambda x: layers.Attention()([x, x]))
    yield "additive", lambda: graph(lambda x: layers.AdditiveAttention()([x, x]))
    yield "state", lambda: graph(lambda x: layers.LSTM(4, return_state=True)(x)[1])
    yield "initial_state", lambda: graph(lambda x: layers.GRU(3)(x, initial_state=layers.Flatten()(x)[:, :3]))
    yield "stateful", lambda: keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), layers.LSTM(2, stateful=True)])
    yield "operations", lambda: graph(lambda x: x * 2 + 1)
    yield "operation_two", lambda: graph(lambda x: x + layers.Dense(3)(x))
    yield "slicing", lambda: graph(lambda x: x[:, 0])
    yield "power", lambda: graph(lambda x: (x - 1.0) ** 2)
    if hasattr(keras, "ops"):
        yield "ops", lambda: graph(lambda x: keras.ops.concatenate([keras.ops.sin(x), keras.ops.relu(x)], axis=1))
        yield "ops_mean", lambda: graph(lambda x: keras.ops.mean(x, axis=1))
    yield "lambda", lambda: seq(layers.Lambda(lambda x: x + 1))
    yield "lambda_shape", lambda: seq(layers.Lambda(lambda x: x + 1, output_shape=(3,)), layers.Dense(2))
    yield "lambda_named", lambda: seq(layers.Lambda(own["bend"], output_shape=(3,)))
    yield "lambda_keras", lambda: seq(layers.Lambda(keras.activations.relu))
    yield "activation_lambda", lambda: seq(layers.Dense(3, activation=lambda x: x))
    yield "activation_own", lambda: seq(layers.Dense(3, activation=own["bend"]))
    yield "activation_object", lambda: seq(layers.Dense(3, activation=keras.activations.softplus))
    yield "activation_layer", lambda: seq(layers.Dense(3, activation=layers.LeakyReLU()))
    yield "initializer_own", lambda: seq(layers.Dense(3, kernel_initializer=own["Gentle"]()))
    yield (
        "initializers",
        lambda: seq(
            *(
                layers.Dense(3, kernel_initializer=name)
                for name in ("glorot_normal", "lecun_uniform", "orthogonal", "zeros")
            )
        ),
    )
    yield (
        "initializer_objects",
        lambda: seq(
            layers.Dense(3, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.1, seed=1)),
            layers.Dense(3, kernel_initializer=keras.initializers.VarianceScaling(2.0)),
            layers.Dense(3, kernel_initializer=keras.initializers.Constant(0.5)),
            layers.Dense(3, kernel_initializer=keras.initializers.Identity()),
        ),
    )
    yield (
        "regularizer_objects",
        lambda: seq(
            layers.Dense(
                3,
                kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2),
                bias_regularizer=keras.regularizers.L1(0.1),
                kernel_constraint=keras.constraints.MaxNorm(2.0),
            )
        ),
    )
    yield "orthogonal_rows", lambda: seq(layers.Dense(3, kernel_regularizer=keras.regularizers.OrthogonalRegularizer()))
    for name in ("Mine", "Registered"):
        yield f"own_{name}", lambda n=name: seq(own[n](3.0), layers.Dense(2))  # type: ignore[misc]
        yield f"own_{name}_graph", lambda n=name: graph(lambda x: layers.Dense(2)(own[n]()(x)))  # type: ignore[misc]
        yield f"own_{name}_wrapped", lambda n=name: seq(layers.TimeDistributed(own[n]()), shape=ROWS)  # type: ignore[misc]
        yield f"own_{name}_nested", lambda n=name: seq(seq(own[n](), layers.Dense(2)))  # type: ignore[misc]
    yield "own_weights", lambda: seq(own["WithWeights"](4), own["WithWeights"](2, name="second"))
    yield "own_model", lambda: _called(own["Whole"](), (1, 3))
    yield "own_model_inside", lambda: seq(own["Whole"](), layers.Dense(2))
    yield "bfloat16", lambda: seq(layers.Dense(4, dtype="bfloat16"))
    yield "float64", lambda: seq(layers.Dense(4, dtype="float64"))
    yield "frozen", lambda: _frozen(seq(layers.Dense(4), layers.BatchNormalization()))
    if hasattr(keras, "dtype_policies"):
        yield "int8", lambda: _quantized(seq(layers.Dense(4), layers.Dense(2)), "int8")
        yield "int4", lambda: _quantized(seq(layers.Dense(4), layers.Dense(2)), "int4")
        yield "int8_embedding", lambda: _quantized(seq(layers.Embedding(9, 4), shape=WORDS), "int8")
        yield "float8", lambda: _quantized(seq(layers.Dense(16)), "float8")
        yield "lora", lambda: _lora(seq(layers.Dense(4)))
    yield (
        "text",
        lambda: keras.Sequential(
            [
                keras.Input((1,), dtype="string"),
                layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3),
            ]
        ),
    )
    yield (
        "lookup",
        lambda: keras.Sequential([keras.Input((1,), dtype="string"), layers.StringLookup(vocabulary=["a", "b"])]),
    )
    yield "deep", lambda: seq(*(layers.Dense(3) for _ in range(20)))
    yield "convnet", lambda: seq(
        layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(), layers.Flatten(),
        layers.Dropout(0.2), layers.Dense(2, "softmax"), shape=IMAGE,
    )  # fmt: skip
    yield "text_net", lambda: seq(
        layers.Embedding(9, 4), layers.LSTM(4, return_sequences=True), layers.Bidirectional(layers.GRU(2)),
        layers.Dense(1, "sigmoid"), shape=WORDS,
    )  # fmt: skip


def _twice(keras: Any) -> Any:
    """A model inside another and beside it."""
    inner = _graph(keras, keras.layers.Dense(4, name="d"), (4,))
    middle = _graph(keras, inner, (4,))
    return _graph(keras, lambda x: keras.layers.Add()([middle(x), inner(x)]), (4,))


def _inside_and_outside(keras: Any) -> Any:
    """A layer inside a model and beside it."""
    dense = keras.layers.Dense(4, name="d")
    inner = _graph(keras, dense, (4,))
    return _graph(keras, lambda x: keras.layers.Add()([dense(x), inner(x)]), (4,))


def _in_two(keras: Any, *, chains: bool) -> Any:
    """A layer in two models."""
    dense = keras.layers.Dense(4, name="d")
    if chains:
        both = [_sequential(keras, dense, *more, shape=(4,)) for more in ([], [keras.layers.Dense(4)])]
    else:
        both = [_graph(keras, dense, (4,)), _graph(keras, dense, (4,))]
    return _graph(keras, lambda x: keras.layers.Add()([both[0](x), both[1](x)]), (4,))


def _in_chain(keras: Any) -> Any:
    """A layer in a chain and in the chain inside it."""
    dense = keras.layers.Dense(4, name="d")
    return _sequential(keras, dense, keras.layers.ReLU(), _sequential(keras, dense, shape=(4,)), shape=(4,))


def _wrapped(keras: Any) -> Any:
    """A layer and a wrapper around it."""
    dense = keras.layers.Dense(3, name="d")
    return _graph(keras, lambda x: keras.layers.Add()([dense(x), keras.layers.TimeDistributed(dense)(x)]))


def _shared(keras: Any) -> Any:
    a, b, dense = keras.Input((3,)), keras.Input((3,)), keras.layers.Dense(2)
    return keras.Model([a, b], keras.layers.Add()([dense(a), dense(b)]))


def _two(keras: Any) -> Any:
    a, b = keras.Input((3,)), keras.Input((4,))
    return keras.Model([a, b], [keras.layers.Concatenate()([a, b]), keras.layers.Dense(2)(a)])


def _named(keras: Any) -> Any:
    a, b = keras.Input((3,), name="left"), keras.Input((4,), name="right")
    made = keras.layers.Concatenate()([a, b])
    return keras.Model({"left": a, "right": b}, keras.layers.Dense(2)(made))


def _dicts(keras: Any) -> Any:
    a = keras.Input((3,), name="only")
    return keras.Model(a, {"one": keras.layers.Dense(2)(a), "two": keras.layers.Dense(3)(a)})


def _called(model: Any, shape: tuple[int, ...]) -> Any:
    model(np.zeros(shape, "float32"))
    return model


def _frozen(model: Any) -> Any:
    model.trainable = False
    return model


def _quantized(model: Any, mode: str) -> Any:
    model.quantize(mode)
    return model


def _lora(model: Any) -> Any:
    model.layers[-1].enable_lora(2)
    return model


def _compiled(keras: Any, own: dict[str, Any]) -> Iterator[tuple[str, Make]]:
    def compiled(outputs: int = 1, fitted: bool = False, **options: Any) -> Any:
        given = keras.Input((3,))
        made = [keras.layers.Dense(2, name=f"out{i}")(given) for i in range(outputs)]
        model = keras.Model(given, made[0] if outputs == 1 else made)
        model.compile(**options)
        if fitted:
            model.fit(np.zeros((4, 3), "float32"), np.zeros((4, 2), "float32"), verbose=0)
        return model

    for name in (
        "sgd",
        "adam",
        "rmsprop",
        "adagrad",
        "adadelta",
        "adamax",
        "nadam",
        "ftrl",
        "adamw",
        "lion",
        "adafactor",
    ):
        yield f"optimizer-{name}", lambda n=name: compiled(optimizer=n, loss="mean_squared_error", fitted=True)  # type: ignore[misc]
    losses = (
        "mse mae mape msle MSE mean_squared_error mean_absolute_error huber log_cosh kld poisson hinge squared_hinge "
        "binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy cosine_similarity "
        "kl_divergence categorical_hinge binary_focal_crossentropy"
    )
    for name in losses.split():
        yield f"loss-{name}", lambda n=name: compiled(optimizer="sgd", loss=n)  # type: ignore[misc]
    losses = "MeanSquaredError BinaryCrossentropy CategoricalCrossentropy Huber KLDivergence CosineSimilarity"
    for name in losses.split():
        yield f"loss-object-{name}", lambda n=name: compiled(optimizer="sgd", loss=getattr(keras.losses, n)())  # type: ignore[misc]
    metrics = "accuracy acc mae mse AUC Precision binary_accuracy categorical_accuracy top_k_categorical_accuracy"
    for name in metrics.split():
        yield f"metric-{name}", lambda n=name: compiled(optimizer="sgd", loss="mean_squared_error", metrics=[n])  # type: ignore[misc]
    metrics = "MeanSquaredError AUC CategoricalAccuracy TopKCategoricalAccuracy Recall F1Score"
    for name in metrics.split():
        yield (
            f"metric-object-{name}",
            lambda n=name: compiled(optimizer="sgd", loss="mean_squared_error", metrics=[getattr(keras.metrics, n)()]),  # type: ignore[misc]
        )
    rates = keras.optimizers.schedules
    yield "rate", lambda: compiled(optimizer=keras.optimizers.Adam(rates.ExponentialDecay(0.1, 10, 0.9)), loss="mse")
    yield (
        "rate_cosine",
        lambda: compiled(
            optimizer=keras.optimizers.SGD(rates.CosineDecay(0.1, 10), momentum=0.9), loss="mean_squared_error"
        ),
    )
    yield "clip", lambda: compiled(optimizer=keras.optimizers.Adam(1e-3, clipnorm=1.0), loss="mean_squared_error")
    yield "lists", lambda: compiled(2, optimizer="sgd", loss=["mean_squared_error", "mean_absolute_error"])
    yield (
        "by_output",
        lambda: compiled(
            2,
            optimizer="sgd",
            loss={"out0": "mean_squared_error", "out1": "huber"},
            metrics={"out0": ["mean_squared_error"]},
        ),
    )
    yield "weights_of_losses", lambda: compiled(2, optimizer="sgd", loss="mean_squared_error", loss_weights=[1.0, 0.5])
    yield "loss_own", lambda: compiled(optimizer="sgd", loss=own["own_loss"])
    yield "loss_lambda", lambda: compiled(optimizer="sgd", loss=lambda y, p: (y - p) ** 2)
    yield "metric_own", lambda: compiled(optimizer="sgd", loss="mean_squared_error", metrics=[own["own_loss"]])
    yield "no_loss", lambda: compiled(optimizer="adam")
    yield "jit", lambda: compiled(optimizer="adam", loss="mean_squared_error", jit_compile=False, run_eagerly=True)
