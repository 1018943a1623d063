"""Cases of reports about whole models: what ``load_model`` would make of the architecture in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from report_cases import A, B, FakeFile, file, model, report

from kwload.report.finding import Report
from kwload.report.versions import model_report
from kwload.versions import reader


class Layer:
    """What a class of the user's own inherits from Keras."""

    __module__ = "keras.src.layers.layer"

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        return cls(**config)


class Scale(Layer):
    """A layer of the user's own, as it is when the file is read: `initial_value` is no longer an argument."""

    def __init__(self, name: str = "scale", trainable: bool = True, dtype: Any = None) -> None:
        self.name, self.trainable, self.dtype = name, trainable, dtype


class Needy(Layer):
    """The same, with another argument that must be given and one that went."""

    def __init__(self, units: int, name: str, trainable: bool, dtype: Any) -> None:
        self.units = units


def _own_things() -> bytes:
    """A model that uses classes and functions of the user's own in several places."""
    mine = "mynet.things"
    function = _object("function", mine, "my_act") | {"config": "my_act"}
    inner = _object("Block", mine, "My>Block", name="block", width=4)
    nested = _object("Sequential", "keras", name="encoder", layers=[inner])
    dense = _object("Dense", "keras.layers", name="a", units=4, activation=function)
    again = _object("Dense", "keras.layers", name="b", units=4, kernel_initializer=_object("Init", mine, "My>Init"))
    config = json.loads(_sequential(nested, dense, again, _object("Dence", mine, "Dence", name="c", units=1)))
    loss = _object("function", "builtins", "function") | {"config": "my_loss"}
    config["compile_config"] = {"optimizer": "adam", "loss": loss, "metrics": ["accuracy"]}
    return json.dumps(config).encode()


def _object(kind: str, module: str | None, registered: str | None = None, /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": registered}


def _sequential(*layers: dict[str, Any], older: bool = False) -> bytes:
    shape = {"batch_input_shape" if older else "batch_shape": [None, 10]}
    inputs = _object("InputLayer", "keras.layers", **shape, dtype="float32", name="input_layer")
    return json.dumps(_object("Sequential", "keras", name="net", layers=[inputs, *layers])).encode()


def _archive(config: bytes, *custom: tuple[str, Any], keras: str = "3.15.1", writer: str = "3.15.1") -> Report:
    held = file(A, B, content="keras", config=config, metadata={"keras_version": writer})
    return model_report("model.keras", held, reader.parse(keras), dict(custom))


def _beside(config: bytes, version: str) -> FakeFile:
    return file(A, B, content="keras", config=config, metadata={"keras_version": version})


_lost = {"class_name": "Softmax", "config": {"name": "soft", "axis": [1, 2], "batch_input_shape": [None, 4, 3]}}


def _legacy(config: bytes) -> FakeFile:
    return replace(file(A), layout="legacy-model", config=config, metadata={"keras_version": "2.2.4"})


def cases() -> Iterator[tuple[str, Report]]:
    """Name and report of each case."""
    dense = _object("Dense", "keras.layers", name="a", units=16, activation="relu")
    scale = _object("Scale", None, "Scale", name="scale", trainable=True, dtype="float32", initial_value=2.0)
    newer = _object("Dense", "keras.layers", name="a", units=16, quantization_config=None)
    older = _object("LSTM", "keras.layers", name="memory", units=16, time_major=False)
    yield "KW402", _archive(_sequential(dense, scale))
    yield "KW403", _archive(_sequential(dense, scale), ("Scale", Scale))
    yield "KW402-several", _archive(_own_things())
    yield "KW403-lacks", _archive(_sequential(dense, scale), ("Scale", Needy))
    yield "KW405", _archive(_sequential(newer), keras="3.8.0")
    yield "KW405-keras-2", _archive(_sequential(older, older=True), writer="2.15.0")
    yield "KW405-weights", report(_beside(_sequential(older), "2.15.0"), model(A, B), path="model.keras")
    lost = json.dumps({"class_name": "Sequential", "config": {"name": "net", "layers": [_lost]}}).encode()
    yield "KW405-axis", model_report("model.h5", _legacy(lost), reader.parse("3.15.1"), {})
    code = {"class_name": "__lambda__", "config": {"code": "4wEA", "defaults": None, "closure": None}}
    yield "KW406-code", _archive(_sequential(_object("Lambda", "keras.layers", name="l", function=code)))
    yield "KW209-model", model_report("model.weights.h5", file(A, B), reader.parse("3.15.1"), {})
