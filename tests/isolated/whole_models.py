"""Saves whole models with the Keras of this process (`save FOLDER`), or says what its load_model does with files
(`load FILE...`: a line of JSON for each). PYTHONPATH selects an older Keras, KWLOAD_TEST_FLAVOUR tf_keras."""

import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

keras: Any = importlib.import_module(os.environ.get("KWLOAD_TEST_FLAVOUR", "keras"))
L = keras.layers
IS_3 = keras.__version__.startswith("3")


class Mine(L.Layer):
    """A class that only the process that saves has."""

    def __init__(self, factor: float = 2.0, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class Whole(keras.Model):
    """A model that is no graph."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.inner = L.Dense(3)

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)


def bend(inputs: Any) -> Any:
    """A function that only the process that saves has."""
    return inputs


def sequential(*layers: Any, inputs: tuple[int, ...] = (5, 3)) -> Any:
    return keras.Sequential([keras.Input(inputs), *layers])


def functional(build: Callable[[Any], Any], inputs: tuple[int, ...] = (5, 3)) -> Any:
    given = keras.Input(inputs)
    return keras.Model(given, build(given))


def compiled(**options: Any) -> Any:
    model = sequential(L.Dense(4))
    model.compile(**options)
    return model


def subclassed() -> Any:
    model = Whole()
    model(np.zeros((1, 3), "float32"))
    return model


def models() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name and maker of each case."""
    rate = keras.optimizers.schedules.ExponentialDecay
    yield "dense", lambda: sequential(L.Dense(4, activation="relu"), L.Dropout(0.1), L.Dense(2, "softmax"))
    yield "dense_inputs", lambda: keras.Sequential([L.Dense(4, input_shape=(3,)), L.Dense(2)])
    yield (
        "convolution",
        lambda: sequential(
            L.Conv2D(4, 3), L.BatchNormalization(), L.MaxPooling2D(), L.Flatten(), L.Dense(2), inputs=(8, 8, 3)
        ),
    )
    yield "depthwise", lambda: sequential(L.DepthwiseConv2D(3), L.SeparableConv2D(4, 1), inputs=(8, 8, 3))
    yield "channels", lambda: functional(L.BatchNormalization(axis=1), (3, 4))
    yield "lstm", lambda: sequential(L.LSTM(4, return_sequences=True), L.GRU(3))
    yield "bidirectional", lambda: sequential(L.Bidirectional(L.LSTM(4)))
    yield "cells", lambda: sequential(L.RNN([L.LSTMCell(4), L.GRUCell(3)]))
    yield "distributed", lambda: sequential(L.TimeDistributed(L.Dense(4)))
    yield "embedding", lambda: sequential(L.Embedding(10, 4), L.GlobalAveragePooling1D(), inputs=(5,))
    yield "attention", lambda: functional(lambda x: L.MultiHeadAttention(2, 4)(x, x))
    yield "norms", lambda: sequential(L.LayerNormalization(), L.GroupNormalization(3), L.UnitNormalization())
    yield "axes", lambda: sequential(L.LayerNormalization(axis=[1, 2]))
    yield "softmax_axis", lambda: sequential(L.Softmax(axis=1))
    yield "concatenate", lambda: functional(lambda x: L.Concatenate(axis=1)([x, L.ReLU()(x)]))
    yield "operations", lambda: functional(lambda x: x * 2 + 1)
    yield "nested", lambda: sequential(keras.Sequential([L.Dense(4), L.ReLU()]), L.Dense(2))
    yield "nested_graph", lambda: functional(functional(L.Dense(4)))
    yield "residual", lambda: functional(lambda x: L.Add()([x, L.Dense(3)(x)]))
    yield "regularized", lambda: sequential(L.Dense(4, kernel_regularizer="l2", kernel_constraint="max_norm"))
    yield "random", lambda: sequential(L.RandomFlip(), L.Rescaling(1 / 255), inputs=(8, 8, 3))
    yield "normalization", lambda: sequential(L.Normalization(mean=[1.0, 2, 3], variance=[1.0, 1, 1]))
    yield "bfloat16", lambda: sequential(L.Dense(4, dtype="bfloat16"))
    yield "mixed", lambda: sequential(L.Dense(4, dtype="mixed_float16"))
    yield "lambda", lambda: sequential(L.Lambda(lambda x: x + 1))
    yield "activation_lambda", lambda: sequential(L.Dense(3, activation=lambda x: x))
    yield "activation_function", lambda: sequential(L.Dense(3, activation=bend))
    yield "custom", lambda: sequential(Mine(), L.Dense(3))
    yield "custom_graph", lambda: functional(lambda x: L.Dense(3)(Mine()(x)))
    yield "custom_inside", lambda: sequential(L.TimeDistributed(Mine()))
    yield "subclassed", subclassed
    yield "adam", lambda: compiled(optimizer="adam", loss="mean_squared_error", metrics=["accuracy", "mae"])
    yield "mse", lambda: compiled(optimizer="sgd", loss="mse")
    yield (
        "objects",
        lambda: compiled(
            optimizer=keras.optimizers.Adam(rate(0.1, 10, 0.9)),
            loss=keras.losses.MeanSquaredError(),
            metrics=[keras.metrics.MeanSquaredError()],
        ),
    )
    yield "huber", lambda: compiled(optimizer="rmsprop", loss="huber")
    yield (
        "loss_function",
        lambda: compiled(optimizer="rmsprop", loss=lambda y, p: keras.losses.mean_squared_error(y, p) * 2),
    )
    yield "unbuilt", lambda: keras.Sequential([L.Dense(4)])


def save(folder: Path) -> None:
    """Every case in both formats that hold whole models; those that this Keras cannot save are left out."""
    for name, build in models():
        for suffix in (".keras", ".h5"):
            path = folder / f"{name}{suffix}"
            try:
                build().save(path)
            except Exception as error:  # noqa: BLE001  (whatever an old Keras does not do)
                path.unlink(missing_ok=True)
                print("not saved", path.name, type(error).__name__, file=sys.stderr)


def load(paths: list[str]) -> None:
    """What load_model does with each file."""
    for path in paths:
        found: dict[str, Any] = {"path": path, "keras": keras.__version__}
        try:
            keras.models.load_model(path)
        except Exception as error:  # noqa: BLE001  (whatever it raises is the answer)
            text = str(error)
            found |= {"type": type(error).__name__, "begins": text[:600], "ends": text[-1500:]}
        print(json.dumps(found), flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1] == "save":
        save(Path(sys.argv[2]))
    else:
        load(sys.argv[2:])
