"""``load_model`` with the check in front: the same models as Keras's own, or a report instead of its words."""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kwload

pytestmark = pytest.mark.keras
BOTH = pytest.mark.parametrize("package", ["keras", "tf_keras"])
SUFFIXES = pytest.mark.parametrize("suffix", ["keras", "h5"])


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """No test sees what another registered."""
    import keras
    import tf_keras

    before = [(each, dict(each)) for each in (keras.saving.get_custom_objects(), tf_keras.saving.get_custom_objects())]
    yield
    for known, kept in before:
        known.clear()
        known.update(kept)


def trained(keras: Any, *layers: Any, shape: tuple[int, ...] = (3,)) -> Any:
    model = keras.Sequential([keras.Input(shape), *layers, keras.layers.Dense(2, name="last")])
    model.compile(optimizer="adam", loss="mean_squared_error")
    model.fit(np.ones((4, *shape), "float32"), np.ones((4, 2), "float32"), verbose=0)
    return model


def state(model: Any) -> list[Any]:
    optimizer = model.optimizer.variables
    return [item.numpy() for item in (*model.variables, *(optimizer() if callable(optimizer) else optimizer))]


def same(a: Any, b: Any) -> bool:
    one, other = state(a), state(b)
    return len(one) == len(other) and all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


@BOTH
@SUFFIXES
def test_the_model_that_was_saved(package: str, suffix: str, tmp_path: Path) -> None:
    """With its weights, its architecture and the state of its optimizer, which Keras 3 forgets in an `.h5` file."""
    keras = importlib.import_module(package)
    saved = trained(keras, keras.layers.Dense(4, "relu"), keras.layers.BatchNormalization())
    saved.save(path := tmp_path / f"model.{suffix}")
    model = kwload.load_model(path)
    assert type(model).__module__.partition(".")[0] == package
    assert same(model, saved)
    assert [layer.name for layer in model.layers] == [layer.name for layer in saved.layers]
    model.fit(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"), verbose=0)
    alone = kwload.load_model(path, compile=False)
    assert getattr(alone, "optimizer", None) is None
    assert all(np.array_equal(x, y) for x, y in zip(alone.get_weights(), saved.get_weights(), strict=True))


@BOTH
@SUFFIXES
def test_a_class_that_is_not_known(package: str, suffix: str, tmp_path: Path) -> None:
    keras = importlib.import_module(package)

    class Mine(keras.layers.Layer):  # type: ignore[name-defined,misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    saved = trained(keras, Mine(name="odd"))
    saved.save(path := tmp_path / f"model.{suffix}")
    with pytest.raises(ValueError, match="Mine") as refused:
        kwload.load_model(path)
    error = refused.value
    assert isinstance(error, kwload.WeightsMismatchError)
    assert [finding.code for finding in error.report.errors] == ["KW402"]
    assert same(kwload.load_model(path, {"Mine": Mine, "Custom>Mine": Mine}), saved)
    with kwload.custom_object_scope({"Mine": Mine, "Custom>Mine": Mine}):
        assert same(kwload.load_model(path), saved)


@BOTH
@SUFFIXES
def test_code_in_the_file_is_run_when_asked_for(package: str, suffix: str, tmp_path: Path) -> None:
    """tf_keras runs the code of an `.h5` file whatever it is asked."""
    keras = importlib.import_module(package)
    inner = keras.layers.Input((3,))
    double = keras.Model(inner, keras.layers.Lambda(lambda x: x * 2, output_shape=(3,))(inner))
    saved = trained(keras, keras.layers.Lambda(lambda x: x + 1, output_shape=(3,)), double)
    saved.save(path := tmp_path / f"model.{suffix}")
    with pytest.raises(kwload.WeightsMismatchError) as refused:
        kwload.load_model(path)
    found = refused.value.report.errors
    assert [finding.code for finding in found] == ["KW406"]
    assert any("safe_mode=False" in line for line in found[0].help)
    given = np.ones((1, 3), "float32")
    assert np.array_equal(kwload.load_model(path, safe_mode=False)(given), saved(given))


def test_weights_that_do_not_fit_the_architecture_beside_them(tmp_path: Path) -> None:
    """No model comes back, and the report is that on the weights."""
    import h5py
    import keras

    saved = trained(keras, keras.layers.Dense(4, name="first"))
    saved.save(path := tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        weights = file["model_weights/first"]
        name = next(name for name in weights.attrs["weight_names"] if "kernel" in name)
        del weights[name]
        weights[name] = np.ones((3, 5), "float32")
    assert [finding.code for finding in kwload.check_model(path).errors] == ["KW307"]
    with pytest.raises(kwload.WeightsMismatchError) as refused:
        kwload.load_model(path)
    assert [finding.code for finding in refused.value.report.errors] == ["KW307"]


def test_vocabularies(tmp_path: Path) -> None:
    import keras

    words = keras.layers.TextVectorization(output_sequence_length=3)
    words.adapt(["a b", "b c"])
    saved = keras.Sequential([keras.Input((1,), dtype="string"), words, keras.layers.Embedding(9, 2)])
    saved.save(path := tmp_path / "model.keras")
    model = kwload.load_model(path)
    assert model.layers[0].get_vocabulary() == words.get_vocabulary()
    assert all(np.array_equal(x, y) for x, y in zip(model.get_weights(), saved.get_weights(), strict=True))


def test_what_is_no_model(tmp_path: Path) -> None:
    import keras

    trained(keras).save_weights(path := tmp_path / "model.weights.h5")
    with pytest.raises(kwload.WeightsMismatchError, match="KW209"):
        kwload.load_model(path)
    with pytest.raises(FileNotFoundError):
        kwload.load_model(tmp_path / "absent.keras")
    (tmp_path / "cut.keras").write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(OSError, match="KW2"):
        kwload.load_model(tmp_path / "cut.keras")
    with pytest.raises(TypeError, match="reads a file"):
        kwload.load_model(b"\0" * 100)


def test_which_keras(tmp_path: Path) -> None:
    """Both are imported here: the one that wrote the file, or the one that is named."""
    import keras
    import tf_keras

    for package in (keras, tf_keras):
        package.Sequential([package.Input((5, 3)), package.layers.LSTM(2)]).save(path := tmp_path / "model.h5")
        assert isinstance(kwload.load_model(path, compile=False), package.Model)
    with pytest.raises(kwload.WeightsMismatchError) as refused:
        kwload.load_model(path, keras=keras)
    assert "Keras 3" in str(refused.value)
    for wrong in ("theano", types.ModuleType("other")):
        with pytest.raises(ValueError, match=r"no Keras|expected"):
            kwload.load_model(path, keras=wrong)


def test_a_model_of_the_users_own_class(tmp_path: Path) -> None:
    """What takes `**options` and hands it to `Model` takes what a layer takes."""
    import keras

    class Whole(keras.Model):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.inner = keras.layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    saved = Whole()
    saved(np.zeros((1, 3), "float32"))
    saved.save(path := tmp_path / "model.keras")
    model = kwload.load_model(path, {"Whole": Whole, "Custom>Whole": Whole})
    assert all(np.array_equal(x, y) for x, y in zip(model.get_weights(), saved.get_weights(), strict=True))


def test_keras_is_imported_when_it_is_needed(tmp_path: Path) -> None:
    import keras

    trained(keras).save(path := tmp_path / "model.keras")
    code = (
        "import sys, kwload; assert 'keras' not in sys.modules;"
        f"model = kwload.load_model({str(path)!r}); import keras; assert isinstance(model, keras.Model)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
