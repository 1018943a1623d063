"""The check in front of Keras's own `load_weights` and `load_model`."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kwload

pytestmark = pytest.mark.keras
BOTH = pytest.mark.parametrize("package", ["keras", "tf_keras"])


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    yield
    kwload.uninstall()


def dense(keras: Any, units: int = 4, name: str = "a") -> Any:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, name=name), keras.layers.Dense(2, name="b")])


@BOTH
def test_a_wrong_call_is_refused_before_anything_is_changed(package: str, tmp_path: Path) -> None:
    keras = importlib.import_module(package)
    saved, other = dense(keras), dense(keras, 5)
    saved.save_weights(path := tmp_path / "model.weights.h5")
    before = [value.tobytes() for value in other.get_weights()]
    with kwload.install():
        with pytest.raises(ValueError, match="KW307") as refused:
            other.load_weights(path)
        assert isinstance(refused.value, kwload.WeightsMismatchError)
        with pytest.raises(OSError, match="KW101"):
            other.load_weights(tmp_path / "absent.weights.h5")
        with pytest.raises(OSError, match="KW101"):
            keras.models.load_model(tmp_path / "absent.keras")
    assert [value.tobytes() for value in other.get_weights()] == before
    with pytest.raises(ValueError) as own:  # noqa: PT011
        other.load_weights(path)
    assert not isinstance(own.value, kwload.WeightsError)


@BOTH
def test_a_right_call_is_kerass_own(package: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Nothing is printed, and what comes back is what Keras returns."""
    keras = importlib.import_module(package)
    saved, other = dense(keras), dense(keras)
    saved.save(path := tmp_path / "model.keras")
    saved.save_weights(weights := tmp_path / "model.weights.h5")
    without = other.load_weights(weights)
    with kwload.install():
        assert type(other.load_weights(weights)) is type(without)
        assert other.load_weights(filepath=str(weights), skip_mismatch=True) is None or package == "tf_keras"
        model = keras.models.load_model(path)
        assert isinstance(model, keras.Sequential)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), saved.get_weights(), strict=True))
    assert not [item for item in recwarn if issubclass(item.category, kwload.WeightsWarning)]


@BOTH
def test_the_class_that_keras_raises_is_kept(package: str, tmp_path: Path) -> None:
    """Keras raises a TypeError for a class that it does not know: who catches that catches the report."""
    keras = importlib.import_module(package)

    class Mine(keras.layers.Layer):  # type: ignore[name-defined,misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    keras.Sequential([keras.Input((3,)), Mine(), keras.layers.Dense(2)]).save(path := tmp_path / "model.keras")
    with pytest.raises(Exception) as own:  # noqa: PT011
        keras.models.load_model(path)
    kwload.install()
    with pytest.raises(type(own.value)) as refused:
        keras.models.load_model(path)
    assert isinstance(refused.value, kwload.WeightsMismatchError) and isinstance(refused.value, ValueError)
    assert "KW402" in str(refused.value)
    again = pickle.loads(pickle.dumps(refused.value))
    assert again.report.errors[0].code == "KW402"
    assert keras.models.load_model(path, custom_objects={"Mine": Mine, "Custom>Mine": Mine})


def test_an_absent_shard_map_is_to_tf_keras_a_checkpoint(tmp_path: Path) -> None:
    tf_keras = importlib.import_module("tf_keras")
    model = tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Dense(2)])
    for call in (model.load_weights, tf_keras.models.load_model):
        raised = []
        for _ in range(2):
            with pytest.raises(Exception, match=r"no\.weights\.json") as error:
                call(os.fspath(tmp_path / "no.weights.json"))
            raised.append(type(error.value))
            kwload.install()
        kwload.uninstall()
        assert raised[0] is raised[1]


@BOTH
def test_the_class_that_keras_raises_of_an_absent_file_is_kept(package: str, tmp_path: Path) -> None:
    """`except ValueError: model = build()` around load_model is how a first run is told from a later one."""
    keras = importlib.import_module(package)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    for owner, call in ((keras.models, "load_model"), (model, "load_weights")):
        for name in ("absent.keras", "absent.h5", "absent.weights.h5", *(["absent.txt"] if package == "keras" else [])):
            with pytest.raises((OSError, ValueError)) as own:
                getattr(owner, call)(tmp_path / name)
            kwload.install()
            with pytest.raises(type(own.value)) as refused:
                getattr(owner, call)(tmp_path / name)
            kwload.uninstall()
            assert isinstance(refused.value, kwload.WeightsNotFoundError)


def test_what_was_taken_from_keras_before(tmp_path: Path) -> None:
    """`from keras.models import load_model` in a module of the user's own."""
    import keras

    module = type(sys)("of_the_user")
    module.load_model = keras.models.load_model  # type: ignore[attr-defined]
    sys.modules["of_the_user"] = module
    original = keras.models.load_model
    try:
        with kwload.install():
            assert keras.saving.load_model is module.load_model is not original  # type: ignore[attr-defined]
            with pytest.raises(kwload.WeightsNotFoundError):
                module.load_model(tmp_path / "absent.keras")  # type: ignore[attr-defined]
        assert keras.saving.load_model is module.load_model is original  # type: ignore[attr-defined]
    finally:
        del sys.modules["of_the_user"]


def test_twice_and_within(tmp_path: Path) -> None:
    import keras

    method, function = keras.Model.__dict__["load_weights"], keras.models.load_model
    outer = kwload.install()
    first = keras.Model.__dict__["load_weights"]
    with kwload.install():
        assert keras.Model.__dict__["load_weights"] is first is not method
    assert keras.Model.__dict__["load_weights"] is first
    outer.uninstall()
    outer.uninstall()
    assert keras.Model.__dict__["load_weights"] is method and keras.models.load_model is function
    kwload.install()
    kwload.install(stamp=True)
    kwload.uninstall()
    assert keras.Model.__dict__["load_weights"] is method and keras.models.load_model is function


def test_a_warning_once_a_file(tmp_path: Path) -> None:
    import keras

    saved = dense(keras)
    saved.layers[0].set_weights([np.full((3, 4), np.nan, "float32"), np.zeros(4, "float32")])
    saved.save_weights(path := tmp_path / "model.weights.h5")
    model = dense(keras)
    with kwload.install(), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(3):
            model.load_weights(path)
    own = [item for item in seen if issubclass(item.category, kwload.WeightsWarning)]
    assert len(own) == 1 and "KW501" in str(own[0].message) and own[0].filename == __file__
    with kwload.install(strict=True), pytest.raises(kwload.WeightsMismatchError):
        model.load_weights(path)


@BOTH
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_what_keras_saves_is_stamped(package: str, tmp_path: Path) -> None:
    keras = importlib.import_module(package)
    model = dense(keras)
    with kwload.install(stamp=True):
        model.save(whole := tmp_path / "model.keras")
        model.save(legacy := tmp_path / "model.h5")
        model.save_weights(weights := tmp_path / "model.weights.h5")
        for path in (whole, legacy, weights):
            assert os.path.exists(f"{path}.kwload.json") and kwload.verify(path).ok
        with open(weights, "r+b") as file:
            file.seek(-8, os.SEEK_END)
            file.write(b"\1")
        assert not kwload.verify(weights).ok
    model.save(other := tmp_path / "other.keras")
    assert not os.path.exists(f"{other}.kwload.json")


def test_what_kwload_does_not_read_goes_to_keras(tmp_path: Path) -> None:
    import tf_keras

    model = dense(tf_keras)
    model.save_weights(prefix := str(tmp_path / "checkpoint"))
    model.save(folder := str(tmp_path / "saved_model"), save_format="tf")
    with kwload.install():
        other = dense(tf_keras)
        other.load_weights(prefix).assert_consumed()
        assert np.array_equal(other.get_weights()[0], model.get_weights()[0])
        assert isinstance(tf_keras.models.load_model(folder), tf_keras.Model)


def test_a_keras_that_is_imported_later(tmp_path: Path) -> None:
    code = (
        "import sys, kwload; kwload.install(); assert 'keras' not in sys.modules; import keras, importlib.resources\n"
        "assert type(keras.__spec__.loader).__module__.startswith(('_frozen', 'importlib'))\n"
        "try: keras.models.load_model('absent.keras')\n"
        "except kwload.WeightsNotFoundError: print('refused')\n"
        "kwload.uninstall()\n"
        "try: keras.models.load_model('absent.keras')\n"
        "except ValueError as error: print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["refused", "ValueError"], done.stderr[-1500:]
