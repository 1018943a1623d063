"""Classes and functions of the user's own that a whole-model file names and nobody knows, in files of real Keras.

All are found, wherever they stand, with what they are used for; and handing in what the report names is what Keras
needs."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kwload
from kwload.report.finding import Finding, Report

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("nothing_registered")]

MODULE = "a_module_that_is_gone"


def things(keras: Any) -> dict[str, Any]:
    """One of each kind of thing that a user can write."""

    class My(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x

    class MyCell(keras.layers.SimpleRNNCell):  # type: ignore[misc, name-defined]
        pass

    class MyInit(keras.initializers.Ones):  # type: ignore[misc, name-defined]
        pass

    class MyReg(keras.regularizers.L2):  # type: ignore[misc, name-defined]
        pass

    class MyLoss(keras.losses.MeanSquaredError):  # type: ignore[misc, name-defined]
        pass

    class MyOptimizer(keras.optimizers.SGD):  # type: ignore[misc, name-defined]
        pass

    def my_act(x: Any) -> Any:
        return x

    def my_loss(a: Any, b: Any) -> Any:
        return keras.losses.mean_squared_error(a, b)

    def my_metric(a: Any, b: Any) -> Any:
        return keras.losses.mean_squared_error(a, b)

    made = {name: thing for name, thing in locals().items() if name.lower().startswith("my")}
    for name, thing in made.items():
        thing.__module__, thing.__qualname__ = MODULE, name
    return made


def model(keras: Any, case: str) -> tuple[Any, dict[str, Any]]:
    """A model that uses some of them, and those."""
    made = things(keras)
    layers = keras.layers

    def stack(*several: Any, inputs: tuple[int, ...] = (4,)) -> Any:
        return keras.Sequential([layers.Input(inputs), *several])

    def compiled(**options: Any) -> Any:
        built = stack(layers.Dense(3))
        built.compile(**{"optimizer": keras.optimizers.SGD(), "loss": keras.losses.MeanSquaredError(), **options})
        built.fit(np.zeros((2, 4)), np.zeros((2, 3)), verbose=0)
        return built

    used = {
        "layer": lambda: (stack(made["My"](name="mine"), made["My"](name="too")), ["My"]),
        "nested": lambda: (stack(keras.Sequential([layers.Input((4,)), made["My"](name="mine")], name="in")), ["My"]),
        "wrapped": lambda: (stack(layers.TimeDistributed(made["My"](name="mine"), name="td"), inputs=(2, 4)), ["My"]),
        "cell": lambda: (stack(layers.RNN(made["MyCell"](3), name="rnn"), inputs=(2, 4)), ["MyCell"]),
        "initializer": lambda: (stack(layers.Dense(3, name="a", kernel_initializer=made["MyInit"]())), ["MyInit"]),
        "regularizer": lambda: (stack(layers.Dense(3, name="a", kernel_regularizer=made["MyReg"]())), ["MyReg"]),
        "activation": lambda: (stack(layers.Dense(3, name="a", activation=made["my_act"])), ["my_act"]),
        "two": lambda: (
            stack(made["My"](name="mine"), layers.Dense(3, name="a", kernel_initializer=made["MyInit"]())),
            ["My", "MyInit"],
        ),
        "loss": lambda: (compiled(loss=made["my_loss"]), ["my_loss"]),
        "loss class": lambda: (compiled(loss=made["MyLoss"]()), ["MyLoss"]),
        "metric": lambda: (compiled(metrics=[made["my_metric"]]), ["my_metric"]),
        "optimizer": lambda: (compiled(optimizer=made["MyOptimizer"]()), ["MyOptimizer"]),
    }
    built, names = used[case]()
    return built, {name: made[name] for name in names}


USED = {
    "layer": ["in 2 layers: `mine` and `too`"],
    "nested": ["in 1 layer: `in/mine`"],
    "wrapped": ["in 1 layer: `td/mine`"],
    "cell": ["in 1 layer: `rnn/"],
    "initializer": ["initializer of 1 layer: `a`"],
    "regularizer": ["regularizer of 1 layer: `a`"],
    "activation": ["activation of 1 layer: `a`"],
    "two": ["in 1 layer: `mine`", "initializer of 1 layer: `a`"],
    "loss": ["loss of the compiled model"],
    "loss class": ["loss of the compiled model"],
    "metric": ["metric of the compiled model"],
    "optimizer": ["optimizer of the compiled model"],
}


def only(report: Report, code: str) -> Finding:
    """The one finding of this code."""
    found = [item for item in report.findings if item.code == code]
    assert len(found) == 1, str(report)
    return found[0]


def names_of(report: Report) -> list[str]:
    """What the report says is not known."""
    found = [item for item in report.findings if item.code == "KW402"]
    return [str(name) for item in found for name in (item.found, *item.related)]


def running(keras: Any) -> str:
    """The Keras of this process, as ``keras=`` takes it."""
    return f"{'tf_keras ' if keras.__name__ == 'tf_keras' else ''}{keras.__version__}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("case", USED)
def test_what_is_not_known_is_found_where_it_is_used(case: str, suffix: str, package: str, tmp_path: Path) -> None:
    keras = importlib.import_module(package)
    built, used = model(keras, case)
    path = tmp_path / f"model.{suffix}"
    built.save(path)
    report = kwload.check_model(path, keras=running(keras))
    assert sorted(names_of(report)) == sorted(used), str(report)
    finding = next(item for item in report.findings if item.code == "KW402")
    for place in USED[case]:
        assert any(place in line for line in finding.body), finding.body
    try:
        keras.models.load_model(path)
        raised = None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is foreseen
        raised = error
    agrees(report, raised)
    if (package, suffix, case) == ("tf_keras", "h5", "activation"):
        return  # Keras 2 cannot read such a file of its own, whatever it is handed
    handed = {name: used[name.rpartition(">")[2]] for name in names_of(report)}
    assert keras.models.load_model(path, custom_objects=handed) is not None
    assert not names_of(kwload.check_model(path, keras=running(keras), custom_objects=handed))


def agrees(report: Report, raised: Exception | None) -> None:
    """Whether what was foreseen is what happened."""
    foreseen = report.prediction
    assert foreseen is not None
    if foreseen.outcome == "raises":
        assert foreseen.error is not None and raised is not None
        assert type(raised).__name__ == foreseen.error.type and str(raised).startswith(foreseen.error.message)
    elif foreseen.outcome == "loads":
        assert raised is None and report.ok
    assert report.ok or raised is not None, "refused what loads"


@pytest.fixture
def registered() -> Iterator[Any]:
    """A class that is registered with Keras 3 while a file is written, and not when it is read."""
    keras = importlib.import_module("keras")
    made = keras.saving.register_keras_serializable("pkg")(things(keras)["My"])
    yield made
    keras.saving.get_custom_objects().clear()


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_registered_name_and_the_lines_that_register_it(registered: Any, suffix: str, tmp_path: Path) -> None:
    keras = importlib.import_module("keras")
    path = tmp_path / f"model.{suffix}"
    keras.Sequential([keras.layers.Input((4,)), registered(name="mine")]).save(path)
    assert not names_of(kwload.check_model(path)), "what Keras knows is known"
    keras.saving.get_custom_objects().clear()
    finding = only(kwload.check_model(path), "KW402")
    assert finding.found == "pkg>My"
    assert 'custom_objects={"pkg>My": My}' in finding.help[0]
    assert '@kwload.register(package="pkg") in front of class My' in finding.help[1]
    kwload.register(package="pkg")(registered)
    assert not names_of(kwload.check_model(path))
    assert keras.models.load_model(path).layers[-1].name == "mine"


def namesakes(keras: Any) -> dict[str, Any]:
    """Layers of a user's own that have the name of one of Keras's, each alone in a model."""
    layers = keras.layers
    register = keras.saving.register_keras_serializable("pkg")
    made = {
        name: register(type(name, (base,), {"__module__": MODULE}))
        for name, base in (("Dense", layers.Dense), ("LSTMCell", layers.LSTMCell), ("Zeros", keras.initializers.Zeros))
    }
    return {
        "layer": lambda: made["Dense"](3),
        "wrapped": lambda: layers.TimeDistributed(made["Dense"](3)),
        "cell": lambda: layers.RNN(made["LSTMCell"](3)),
        "initializer": lambda: layers.Dense(3, bias_initializer=made["Zeros"]()),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("case", ["layer", "wrapped", "cell", "initializer"])
def test_a_class_with_the_name_of_one_of_kerass_is_not_taken_for_it(
    case: str, suffix: str, package: str, tmp_path: Path
) -> None:
    keras = importlib.import_module(package)
    path = tmp_path / f"model.{suffix}"
    before = dict(keras.saving.get_custom_objects())
    keras.Sequential([keras.layers.Input((2, 4)), namesakes(keras)[case]()]).save(path)
    registered = dict(keras.saving.get_custom_objects())
    for known in (True, False):
        keras.saving.get_custom_objects().clear()
        keras.saving.get_custom_objects().update(registered if known else before)
        report = kwload.check_model(path)
        assert report.prediction is not None and package in report.prediction.keras.lower(), "the one that wrote it"
        try:
            loaded, raised = keras.models.load_model(path), None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is foreseen
            raised = error
        agrees(report, raised)
        if raised is None and any(part for part in [*_all_in(loaded.layers[-1])] if type(part) in registered.values()):
            assert known and not names_of(report)
        else:
            assert names_of(report), "it is said that the class is not found"
            assert known or raised is None or report.errors


def _all_in(layer: Any) -> Iterator[Any]:
    """A layer and what it is made of, as far as these models go."""
    yield layer
    for name in ("layer", "cell", "bias_initializer"):
        if hasattr(layer, name):
            yield getattr(layer, name)


def test_a_class_that_an_imported_module_has_is_found_where_keras_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras = importlib.import_module("keras")
    built, used = model(keras, "layer")
    path = tmp_path / "model.keras"
    built.save(path)
    report = kwload.check_model(path, keras="3.8")
    assert not report.errors and MODULE in str(only(report, "KW402").notes), "Keras 3.8 may import it"
    monkeypatch.setitem(sys.modules, MODULE, types.SimpleNamespace(**used))
    assert not names_of(kwload.check_model(path, keras="3.8"))
    assert names_of(kwload.check_model(path, keras="3.15")), "newer ones look among what is registered"


def test_a_key_that_is_needed_and_not_stored(tmp_path: Path) -> None:
    keras = importlib.import_module("keras")

    class Scale(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units

        def get_config(self) -> Any:
            return super().get_config()

        def call(self, x: Any) -> Any:
            return x

    class Needy(Scale):
        def __init__(self, units: int, *, rate: float, **kwargs: Any) -> None:
            super().__init__(units, **kwargs)

    path = tmp_path / "model.keras"
    keras.Sequential([keras.layers.Input((4,)), Scale(name="s")]).save(path)
    assert kwload.check_model(path, custom_objects={"Scale": Scale}).ok
    report = kwload.check_model(path, custom_objects={"Scale": Needy})
    finding = only(report, "KW403")
    assert finding.headline == "`Scale` needs `units` and `rate`, which the file does not store for it"
    assert finding.layer == "s"
    with pytest.raises(TypeError) as raised:
        keras.models.load_model(path, custom_objects={"Scale": Needy})
    agrees(report, raised.value)


def test_what_else_is_wrong_is_not_hidden_by_what_is_not_known(tmp_path: Path) -> None:
    keras = importlib.import_module("keras")
    built = keras.Sequential([keras.layers.Input((4,)), things(keras)["My"](name="mine"), keras.layers.Dense(1)])
    built.compile(loss="mse")
    path = tmp_path / "model.h5"
    built.save(path)
    report = kwload.check_model(path, keras="3.15")
    assert {item.code for item in report.errors} == {"KW402", "KW406"}, str(report)
