"""What the models of ``keras.applications`` are made of that ``load_model`` stumbles over: names with ``/``, operations
among the layers of an ``.h5`` file, layers that Keras does not export."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_itself import SUFFIXES, agreed, codes

import kwload


def graph(keras: Any, build: Callable[[Any], Any]) -> Any:
    given = keras.Input((4, 3))
    return keras.Model(given, build(given))


def named(keras: Any, kind: str) -> Any:
    """A model of Keras 2 with a ``/`` in the name of one layer, or in its own."""
    la = keras.layers
    made = {
        "Dense": lambda: la.Dense(2, name="a/b"),
        "LSTM": lambda: la.LSTM(2, name="a/b"),
        "TimeDistributed": lambda: la.TimeDistributed(la.Dense(2), name="a/b"),
        "inside": lambda: la.TimeDistributed(la.Dense(2, name="a/b")),
    }
    if kind in made:
        return keras.Sequential([keras.Input((4, 3)), made[kind]()])
    if kind == "Input":
        return keras.Sequential([keras.layers.InputLayer((4, 3), name="a/b"), la.Dense(2)])
    if kind == "Sequential":
        return keras.Sequential([keras.Input((4, 3)), la.Dense(2)], name="a/b")
    given = keras.Input((4, 3))
    return keras.Model(given, la.Dense(2)(given), name="a/b")


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["Dense", "LSTM", "TimeDistributed", "inside", "Input", "Sequential", "Functional"])
def test_a_name_that_keras_3_does_not_take(kind: str, tmp_path: Path) -> None:
    import tf_keras

    named(tf_keras, kind).save(path := tmp_path / "model.h5")
    assert agreed(path, "tf_keras").ok
    report = agreed(path)
    assert report.prediction is not None and report.prediction.error is not None
    assert "cannot contain character `/`" in report.prediction.error.said
    if kind not in ("Sequential", "Functional", "Input"):
        assert any("`/` in the name `a/b`" in line for item in report.errors for line in item.body)


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("number", "Add"),
        ("numbers", "Multiply"),
        ("two", "Subtract"),
        ("keywords", "Maximum"),
        ("mean", "Average"),
        ("one", None),
        ("list", None),
    ],
)
def test_operations_that_come_back_as_layers(kind: str, layer: str | None, tmp_path: Path) -> None:
    import keras

    dense = keras.layers.Dense(3)
    build: dict[str, Callable[[Any], Any]] = {
        "number": lambda x: x + 2.0,
        "numbers": lambda x: 2.0 * x,
        "two": lambda x: x - dense(x),
        "keywords": lambda x: keras.ops.maximum(x1=x, x2=dense(x)),
        "mean": keras.ops.average,
        "one": keras.ops.softmax,
        "list": lambda x: keras.ops.concatenate([x, dense(x)], axis=1),
    }
    graph(keras, build[kind]).save(path := tmp_path / "model.h5")
    report = agreed(path)
    if layer is None:
        assert not report.findings
        return
    assert codes(report) == ["KW406"]
    said = f"is an operation, and an `.h5` file brings it back as the layer `{layer}`"
    assert said in str(report.errors[0].cause)


def unexported(keras: Any, package: str, name: str) -> Any:
    """A model with a layer of ``keras.applications`` that has no public name."""
    module = {"LayerScale": "convnext", "CustomScaleLayer": "inception_resnet_v2"}[name]
    cls = getattr(importlib.import_module(f"{package}.src.applications.{module}"), name)
    dense = keras.layers.Dense(3)
    if name == "LayerScale":
        return graph(keras, lambda x: cls(1e-6, 3)(dense(x)))
    return graph(keras, lambda x: cls(0.1)([x, dense(x)]))


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
@SUFFIXES
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", ["LayerScale", "CustomScaleLayer"])
def test_layers_that_keras_does_not_export(package: str, suffix: str, name: str, tmp_path: Path) -> None:
    """Keras 3 imports them for an archive; Keras 2 has registered one of them."""
    keras = importlib.import_module(package)
    unexported(keras, package, name).save(path := tmp_path / f"model{suffix}")
    report = agreed(path, package)
    if (package, suffix) == ("keras", ".keras") or (package, name) == ("tf_keras", "CustomScaleLayer"):
        assert not report.findings
        return
    assert codes(report) == ["KW402"]
    module = "convnext" if name == "LayerScale" else "inception_resnet_v2"
    assert any(f"from {package}.src.applications.{module} import {name}" in line for line in report.errors[0].help)
    cls = getattr(importlib.import_module(f"{package}.src.applications.{module}"), name)
    assert keras.models.load_model(path, custom_objects={name: cls})


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
def test_an_operation_of_keras_2_is_no_difference_to_keras_2(tmp_path: Path) -> None:
    import tf_keras

    class Mine(tf_keras.layers.Layer):  # type: ignore[misc]
        pass

    graph(tf_keras, lambda x: Mine()(x * 2.0)).save(path := tmp_path / "model.h5")
    assert codes(agreed(path, "tf_keras")) == ["KW402"]
    both = kwload.check_model(path, keras="3.15.1")
    assert codes(both) == ["KW402", "KW405"]
