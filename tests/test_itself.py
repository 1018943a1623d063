"""The weights of a whole model held against its own architecture: ``check_model`` foresees what ``load_model`` does."""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from agree.whole_edits import edited

import kwload
from kwload.spec.architecture.entries import is_operation

BOTH = pytest.mark.parametrize("package", ["keras", "tf_keras"])
SUFFIXES = pytest.mark.parametrize("suffix", [".keras", ".h5"])


def agreed(path: Path, package: str = "keras") -> kwload.Report:
    """The report on a file, after it was loaded: it foresees that, and the error with its first words."""
    keras = importlib.import_module(package)
    asked = f"{'tf_keras ' if package == 'tf_keras' else ''}{keras.__version__}"
    report = kwload.check_model(path, keras=asked)
    assert report.prediction is not None
    error = _error_of(keras, path)
    if error is None:
        assert report.prediction.outcome == "loads"
        assert report.ok
        return report
    assert not report.ok
    assert report.prediction.outcome == "raises"
    assert report.prediction.error is not None
    assert report.prediction.error.type == type(error).__name__
    assert str(error).startswith(report.prediction.error.message)
    return report


def _error_of(keras: Any, path: Path) -> Exception | None:
    try:
        keras.models.load_model(path)
    except Exception as error:  # noqa: BLE001  (whatever it raises is the answer)
        return error
    return None


def codes(report: kwload.Report) -> list[str]:
    return [item.code for item in report.findings]


def chain(keras: Any) -> Any:
    la = keras.layers
    return keras.Sequential([keras.Input((4,)), la.Dense(3, name="a"), la.Dense(2, name="b")])


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
@BOTH
@SUFFIXES
@pytest.mark.parametrize(
    ("edit", "found"),
    [
        ("more_units_first", "KW307"),
        ("more_units_last", "KW307"),
        ("no_bias", None),
        ("wider_input", None),
        ("longer", None),
        ("shorter", None),
        ("other_names", ""),
        ("without_group", None),
        ("with_group", ""),
        ("without_tensor", None),
        ("other_tensor", None),
    ],
)
def test_a_chain_at_odds_with_its_weights(
    package: str, suffix: str, edit: str, found: str | None, tmp_path: Path
) -> None:
    chain(importlib.import_module(package)).save(path := tmp_path / f"model{suffix}")
    assert not agreed(path, package).findings
    changed = edited(path, edit, tmp_path)
    assert changed is not None
    report = agreed(changed, package)
    if found:
        assert found in codes(report)
        assert report.counts["matched"] < report.counts["wanted"] == 4
        assert report.architecture == "the file itself"
        assert all(item.help == (f'build the model in code, then kwload.load_weights(model, "{changed}")',)
                   for item in report.errors)  # fmt: skip


def shared(keras: Any, kind: str) -> Any:
    """A model with a layer that is met twice."""
    la = keras.layers
    dense = la.Dense(4, name="d")

    def graph(build: Any) -> Any:
        given = keras.Input((4,))
        return keras.Model(given, build(given), name=None)

    inner = graph(dense)
    if kind == "model":
        middle = graph(inner)
        return graph(lambda x: la.Add()([middle(x), inner(x)]))
    if kind == "around":
        return graph(lambda x: la.Add()([dense(x), inner(x)]))
    if kind == "graphs":
        other = graph(dense)
        return graph(lambda x: la.Add()([inner(x), other(x)]))
    assert kind == "chain"
    return keras.Sequential([keras.Input((4,)), dense, keras.Sequential([keras.Input((4,)), dense])])


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
@BOTH
@SUFFIXES
@pytest.mark.parametrize("kind", ["model", "graphs", "chain"])
def test_a_layer_that_stands_twice(package: str, suffix: str, kind: str, tmp_path: Path) -> None:
    """Keras 3 finds in an archive that the layers of a chain are one, where it met the first at the top."""
    shared(importlib.import_module(package), kind).save(path := tmp_path / f"model{suffix}")
    report = agreed(path, package)
    if suffix == ".keras" and (package, kind) != ("keras", "chain"):
        assert report.errors[0].cause is not None
        assert "was one layer in the model that was saved, and stands twice" in report.errors[0].cause
    else:
        assert report.ok


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
def test_a_layer_inside_and_outside_of_a_model(tmp_path: Path) -> None:
    import keras

    shared(keras, "around").save(path := tmp_path / "model.keras")
    report = agreed(path)
    assert codes(report) == ["KW406"]
    assert "mixes up the calls of `d` inside and outside of a model" in report.errors[0].headline
    assert kwload.load_weights(shared(keras, "around"), path).loaded
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(older := tmp_path / "older.keras", "w") as new:
        for name in old.namelist():
            text = old.read(name)
            for key in (b"quantization_config", b"input_axes", b"output_axes"):  # where Keras 3.13 would stop
                text = text.replace(b', "%s": null' % key, b"")
            new.writestr(name, text)
    report = kwload.check_model(older, keras="3.13")
    assert codes(report) == ["KW406"]
    assert report.prediction is not None
    assert report.prediction.outcome == "unknown", "it may come back, and cannot be called"


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
def test_layers_that_may_not_fit_one_another(tmp_path: Path) -> None:
    """Where layers join, they fail before the weights come: with which words is not said."""
    import keras

    given = keras.Input((4,))
    made = keras.layers.Add()([given, keras.layers.Dense(4)(given)])
    keras.Model(given, made).save(path := tmp_path / "model.h5")
    changed = edited(path, "more_units_last", tmp_path)
    assert changed is not None
    report = agreed(changed)
    assert codes(report) == ["KW307"]
    assert report.prediction is not None and report.prediction.error is not None
    assert report.prediction.error.message == ""


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("edit", ["other_names", "more_units_first"])
def test_the_weights_come_before_the_compilation(edit: str, tmp_path: Path) -> None:
    """Of an ``.h5`` file, whose `mse` Keras 3 does not find."""
    import keras

    model = chain(keras)
    model.compile(loss="mse")
    model.save(path := tmp_path / "model.h5")
    changed = edited(path, edit, tmp_path)
    assert changed is not None
    found = codes(agreed(changed))
    assert ("KW307" in found) == (edit == "more_units_first")


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
def test_an_input_that_a_model_inside_may_not_take(tmp_path: Path) -> None:
    import keras

    shared(keras, "model").save(path := tmp_path / "model.h5")
    assert not agreed(path).findings
    changed = edited(path, "wider_input", tmp_path)
    assert changed is not None
    report = kwload.check_model(changed)
    assert report.prediction is not None
    assert report.prediction.outcome == "unknown"
    assert "has another shape than the calls of it record" in str(report.prediction.reason)


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
@SUFFIXES
def test_what_tf_keras_registers_itself(suffix: str, tmp_path: Path) -> None:
    """A layer of its applications, and an initializer of TensorFlow, which it looks up by name."""
    import tensorflow
    import tf_keras
    from tf_keras.src.applications import inception_resnet_v2

    given = tf_keras.Input((4,))
    dense = tf_keras.layers.Dense(4, bias_initializer=tensorflow.constant_initializer(0))
    made = inception_resnet_v2.CustomScaleLayer(scale=0.1)([given, dense(given)])
    tf_keras.Model(given, made).save(path := tmp_path / f"model{suffix}")
    assert not agreed(path, "tf_keras").findings


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
@BOTH
@SUFFIXES
@pytest.mark.parametrize(
    ("options", "fails"),
    [
        ({"axis": None}, [("keras", ".h5")]),
        ({"axis": (1, 2)}, [("keras", ".h5")]),
        ({"axis": (1, 2), "mean": 1.0, "variance": 2.0}, []),
        ({"mean": 1.0, "variance": 2.0}, []),
        ({"mean": [1.0, 2.0, 3.0], "variance": [1.0, 2.0, 3.0]}, []),
    ],
)
def test_normalization(
    package: str, suffix: str, options: dict[str, Any], fails: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Keras 3 loses all axes but one in an `.h5` file, which only weights, or a mean with a length, can show."""
    keras = importlib.import_module(package)
    made = [keras.Input((5, 3)), keras.layers.Normalization(**options)]
    keras.Sequential(made).save(path := tmp_path / f"model{suffix}")
    assert agreed(path, package).ok == ((package, suffix) not in fails)


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore")
@BOTH
@SUFFIXES
def test_a_mean_that_does_not_fit_its_input(package: str, suffix: str, tmp_path: Path) -> None:
    keras = importlib.import_module(package)
    made = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0])
    given = keras.Input((3,))
    keras.Model(given, made(given)).save(path := tmp_path / f"model{suffix}")
    changed = edited(path, "wider_input", tmp_path)
    assert changed is not None
    assert agreed(changed, package).ok == ((package, suffix) == ("keras", ".keras")), "built as it was recorded"


# ---- without Keras ----

DENSE = {"units": 2, "use_bias": False}


def layer(cls: str, name: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": cls, "config": {"name": name, **config}, "registered_name": None}


def archive(folder: Path, *layers: dict[str, Any], width: int | None = 3, **weights: tuple[int, ...]) -> Path:
    """A ``.keras`` archive of a Sequential, with tensors by group."""
    first = [layer("InputLayer", "i", batch_shape=[None, width])] if width is not None else []
    config = {"name": "m", "layers": [*first, *layers]}
    tree = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    with h5py.File(folder / "weights.h5", "w") as file:
        file.create_group("vars")
        for name, shape in weights.items():
            file[f"layers/{name}/vars/0"] = np.ones(shape, "float32")
    with zipfile.ZipFile(path := folder / "model.keras", "w") as made:
        made.writestr("config.json", json.dumps(tree))
        made.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        made.write(folder / "weights.h5", "model.weights.h5")
    return path


def test_what_is_not_known_is_not_claimed(tmp_path: Path) -> None:
    mine = {**layer("Scale", "scale", size=3), "module": None, "registered_name": "My>Scale"}
    given = (layer("Dense", "a", **DENSE), mine, layer("Dense", "b", **DENSE))
    right = archive(tmp_path, *given, dense=(3, 2), scale=(7,), dense_1=(5, 2))
    report = kwload.check_model(right, keras="3.15", custom_objects={"My>Scale": object})
    assert report.ok and report.prediction is not None
    assert report.prediction.outcome == "unknown"
    wrong = archive(tmp_path, *given, dense=(4, 2), scale=(7,), dense_1=(5, 2))
    report = kwload.check_model(wrong, keras="3.15", custom_objects={"My>Scale": object})
    assert "KW307" in codes(report), "what is known of the others is held against the file"
    assert report.prediction is not None
    assert report.prediction.outcome == "unknown", "its own code may raise before"
    report = kwload.check_model(wrong, keras="3.15")
    assert [item.code for item in report.errors] == ["KW402"]


def test_a_model_that_was_never_called_has_no_weights(tmp_path: Path) -> None:
    empty = archive(tmp_path, layer("Dense", "a", **DENSE), width=None)
    report = kwload.check_model(empty, keras="3.15.1")
    assert report.ok and report.prediction is not None
    assert report.prediction.outcome == "loads"
    filled = archive(tmp_path, layer("Dense", "a", **DENSE), width=None, dense=(3, 2))
    report = kwload.check_model(filled, keras="3.15.1")
    assert report.ok and report.prediction is not None
    assert report.prediction.outcome == "unknown"


def test_a_shape_of_one_fits_every_other(tmp_path: Path) -> None:
    built = {**layer("LayerNormalization", "n", scale=False), "build_config": {"input_shape": [None, 1]}}
    report = kwload.check_model(archive(tmp_path, built, layer_normalization=(1,)), keras="3.15.1")
    assert report.ok
    assert codes(report) == ["KW406"]
    assert report.prediction is not None
    assert report.prediction.outcome == "unknown"


@pytest.mark.parametrize(
    ("asked", "length", "expected"),
    [("3.3.3", 3, "raises"), ("3.7", 3, "raises"), ("3.8", 3, "loads"), ("3.3.3", 1, "loads")],
)
def test_one_mean_for_all(asked: str, length: int, expected: str, tmp_path: Path) -> None:
    """Keras before 3.8 does not repeat it."""
    made = layer("Normalization", "n", axis=[-1], mean=1.0, variance=2.0)
    report = kwload.check_model(archive(tmp_path, made, width=length), keras=asked)
    assert report.prediction is not None
    assert report.prediction.outcome == expected
    assert codes(report) == (["KW406"] if expected == "raises" else [])


def test_shared_layers_of_an_archive_are_one(tmp_path: Path) -> None:
    """By the mark that Keras gives them when it saves."""
    one = {**layer("Dense", "a", units=3, use_bias=False), "shared_object_id": 7}
    inner = {
        **layer("Sequential", "s", layers=[layer("InputLayer", "j", batch_shape=[None, 3]), one]),
        "module": "keras",
    }
    path = archive(tmp_path, one, inner, dense=(3, 3))
    assert kwload.check(path, path, values=False).ok
    assert kwload.check_model(path, keras="3.15.1").ok
    assert not kwload.check(path, path, values=False, keras="tf_keras 2.21").ok


@pytest.mark.parametrize(
    ("name", "trainable", "expected"),
    [("Dense", None, False), ("Reshape", None, True), ("Reshape", True, False), ("Sin", None, True)],
)
def test_operations_of_legacy_files(name: str, trainable: bool | None, expected: bool) -> None:
    config = {"name": "x"} if trainable is None else {"name": "x", "trainable": trainable}
    raw = {"class_name": name, "config": config, "inbound_nodes": [{"args": [], "kwargs": {}}]}
    assert is_operation(raw) == expected
