"""What a model computes, kept in a stamp and held against it: what changed in silence, and what did not."""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kwload
from kwload.stamps import domains, generator, probe, sidecar
from kwload.stamps.sidecar import SidecarError

BOTH = pytest.mark.parametrize("package", ["keras", "tf_keras"])


# ---- the generator ----


def test_the_generator_is_the_one_that_is_described() -> None:
    """In plain Python, with whole numbers of any size."""

    def one(number: int, at: int) -> int:
        mask = (1 << 64) - 1
        z = ((number + 1) * 0xD1B54A32D192ED03 + (at + 1) * 0x9E3779B97F4A7C15) & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        return z ^ z >> 31

    for number in (0, 1, 7):
        bits = [one(number, at) for at in range(60)]
        assert generator.bits(number, 60).tolist() == bits
        assert generator.floats(number, (3, 20)).ravel().tolist() == [2 * (u >> 11) / 2**53 - 1 for u in bits]
        assert generator.integers(number, (60,), 1000).tolist() == [(u >> 32) * 1000 >> 32 for u in bits]
        assert generator.booleans(number, (60,)).tolist() == [bool(u >> 63) for u in bits]
    assert generator.bits(0, 2).tolist() == [one(0, 0), one(0, 1)] == [3246858695411730098, 8468297219712610898]


# ---- with Keras ----


def dense(keras: Any, activation: Any = "relu", **options: Any) -> Any:
    layers = [keras.layers.Dense(8, activation=activation, name="a"), keras.layers.Dense(2, name="b")]
    return keras.Sequential([keras.Input((3,)), *layers], **options)


def stamped(model: Any, folder: Path, asked: Any = True) -> Path:
    model.save_weights(path := folder / "model.weights.h5")
    made = kwload.stamp(model, path, probe=asked)
    assert made.probe is not None
    return path


def codes(report: kwload.Report, severity: str) -> list[str]:
    return [finding.code for finding in report.findings if finding.severity == severity]


@pytest.mark.keras
@BOTH
def test_an_activation_that_changed(package: str, tmp_path: Path) -> None:
    """The shapes fit and the weights load; what comes out is something else, and nothing is loaded."""
    keras = importlib.import_module(package)
    path = stamped(dense(keras), tmp_path)
    report = kwload.load_weights(dense(keras), path, probe=True)
    assert report.loaded and codes(report, "note").count("KW413") == 1
    changed = dense(keras, "gelu")
    before = [value.tobytes() for value in changed.get_weights()]
    with pytest.raises(kwload.WeightsMismatchError) as refused:
        kwload.load_weights(changed, path, probe=True)
    assert codes(refused.value.report, "error") == ["KW413"]
    [found] = refused.value.report.errors
    assert found.found > found.expected == probe.TOLERANCES["float32"][0]
    assert "of the largest value" in found.headline
    assert [value.tobytes() for value in changed.get_weights()] == before
    assert kwload.load_weights(changed, path).loaded  # nobody asked


@pytest.mark.keras
@BOTH
def test_a_custom_layer_whose_code_changed(package: str, tmp_path: Path) -> None:
    """`sin` became `cos`: the same name, the same shapes."""
    keras = importlib.import_module(package)
    import tensorflow as tf

    def made(function: Any) -> Any:
        class MyCustomLayer(keras.layers.Layer):  # type: ignore[name-defined,misc]
            def build(self, input_shape: Any) -> None:
                self.w = self.add_weight(shape=(1, 4), initializer="ones", name="w")

            def call(self, inputs: Any) -> Any:
                return function(inputs) * self.w

        return keras.Sequential([keras.Input((4,)), MyCustomLayer(), keras.layers.Dense(10)])

    path = stamped(made(tf.sin), tmp_path)
    assert kwload.load_weights(made(tf.sin), path, probe=True).loaded
    with pytest.raises(kwload.WeightsMismatchError, match="KW413"):
        kwload.load_weights(made(tf.cos), path, probe=True)


@pytest.mark.keras
def test_verify_runs_the_model_that_it_is_given(tmp_path: Path) -> None:
    import keras

    saved = dense(keras)
    path = stamped(saved, tmp_path)
    assert not kwload.verify(path).findings or "KW413" not in codes(kwload.verify(path), "note")
    assert codes(kwload.verify(path, model=saved), "note").count("KW413") == 1
    other = dense(keras)
    report = kwload.verify(path, model=other)
    assert not report.ok and "does not hold the weights" in report.errors[0].headline
    changed = dense(keras, "tanh")
    kwload.load_weights(changed, path)
    assert codes(kwload.verify(path, model=changed), "error") == ["KW413"]


@pytest.mark.keras
def test_a_model_with_other_weights_is_no_witness(tmp_path: Path) -> None:
    import keras

    dense(keras).save_weights(path := tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match="does not hold the weights of the file"):
        kwload.stamp(dense(keras), path, probe=True)
    assert not os.path.exists(f"{path}.kwload.json")


@pytest.mark.keras
def test_inputs_of_the_users_own(tmp_path: Path) -> None:
    import keras

    given = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    path = stamped(dense(keras), tmp_path, given)
    tree = json.loads(Path(f"{path}.kwload.json").read_text())["probe"]
    assert tree["inputs"][0]["shape"] == [4, 3] and len(tree["inputs"][0]["sum"]) == 32
    assert kwload.load_weights(dense(keras), path, probe=given).loaded
    for asked, said in ((True, "hand them in"), (given + 1, "not the inputs")):
        with pytest.raises(kwload.WeightsMismatchError, match=said):
            kwload.load_weights(dense(keras), path, probe=asked)


@pytest.mark.keras
def test_a_stamp_without_a_probe(tmp_path: Path) -> None:
    import keras

    model = dense(keras)
    model.save_weights(path := tmp_path / "model.weights.h5")
    with pytest.raises(kwload.WeightsFileError, match="no stamp"):
        kwload.load_weights(model, path, probe=True)
    kwload.stamp(model, path)
    with pytest.raises(kwload.WeightsFileError, match="made without one"):
        kwload.load_weights(model, path, probe=True)


@pytest.mark.keras
@BOTH
def test_numbers_of_words_stay_in_the_table(package: str, tmp_path: Path) -> None:
    """An input is followed to its Embedding, through what hands it on and into a nested model; also one of floats."""
    keras = importlib.import_module(package)
    layers = keras.layers
    inner_in = keras.Input((5,), dtype="int32")
    inner = keras.Model(inner_in, layers.Embedding(7, 2)(inner_in))
    a, b, c = keras.Input((5,), dtype="int32"), keras.Input((5,)), keras.Input((5,))
    made = [layers.Flatten()(x) for x in (inner(a), layers.Embedding(900, 2)(layers.Dropout(0.1)(b)), c)]
    model = keras.Model([a, b, c], layers.Dense(2)(layers.Concatenate()(made)))
    limits = [given.limit for _, given in domains.of(model)]
    assert limits == [7, 900, None]
    path = stamped(model, tmp_path)
    assert kwload.load_weights(model, path, probe=True).loaded


@pytest.mark.keras
@BOTH
def test_what_is_allowed_is_by_what_is_computed_in(package: str, tmp_path: Path) -> None:
    """Whole numbers that come in make no quantized model: tf_keras calls the policy of such an input int32."""
    keras = importlib.import_module(package)
    words = keras.Input((4,), dtype="int32")
    path = stamped(keras.Model(words, keras.layers.Dense(2)(keras.layers.Embedding(5, 2)(words))), tmp_path)
    text = path.with_name(f"{path.name}.kwload.json").read_text()
    assert '"precision": "float32"' in text


@pytest.mark.keras
@BOTH
def test_a_picture_of_any_size_is_large_enough(package: str, tmp_path: Path) -> None:
    """And where nothing is left of it, or nothing but NaN comes out, that is no probe."""
    keras = importlib.import_module(package)

    def halved(times: int) -> Any:
        picture = made = keras.Input((None, None, 3))
        for _ in range(times):
            made = keras.layers.MaxPooling2D(2)(keras.layers.Conv2D(2, 3, activation="relu")(made))
        return keras.Model(picture, keras.layers.GlobalAveragePooling2D()(made))

    path = stamped(halved(4), tmp_path)
    model = halved(4)
    assert kwload.load_weights(model, path, probe=True).ok
    with pytest.raises(ValueError, match=r"raised .*hand in inputs"):
        stamped(halved(6), tmp_path)
    nothing = keras.layers.Lambda(lambda x: x * float("nan"), output_shape=(3,))
    with pytest.raises(ValueError, match="is a number for the inputs that kwload makes"):
        stamped(keras.Sequential([keras.Input((3,)), nothing]), tmp_path)


@pytest.mark.keras
@BOTH
def test_numbers_are_followed_through_slices(package: str, tmp_path: Path) -> None:
    keras = importlib.import_module(package)
    given = keras.Input((4,))
    word, rest = keras.layers.Flatten()(keras.layers.Embedding(5, 2)(given[:, :1])), given[:, 1:]
    model = keras.Model(given, keras.layers.Dense(2)(keras.layers.Concatenate()([word, rest])))
    assert [item.limit for _, item in domains.of(model)] == [5]


@pytest.mark.keras
@BOTH
def test_nothing_is_changed(package: str, tmp_path: Path) -> None:
    """Not the states of recurrent layers, not seeds, not what the user's own code counts; and it is the same twice."""
    keras = importlib.import_module(package)

    class Counts(keras.layers.Layer):  # type: ignore[name-defined,misc]
        def build(self, input_shape: Any) -> None:
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

        def call(self, inputs: Any) -> Any:
            self.count.assign(self.count + 1)
            return inputs

    given = keras.Input(batch_shape=(2, 5, 3)) if package == "keras" else keras.Input(batch_size=2, shape=(5, 3))
    layer = keras.layers.LSTM(4, stateful=True)
    model = keras.Sequential([given, Counts(), layer, keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    model(np.ones((2, 5, 3), "float32"))
    model.save_weights(path := tmp_path / "model.weights.h5")

    def everything() -> list[bytes]:
        return [np.asarray(item.numpy()).tobytes() for item in (*model.variables, *layer.states)]

    before, drawn = everything(), (random.getstate(), np.random.get_state()[1].tobytes())  # type: ignore[index,union-attr]
    assert any(np.any(state.numpy()) for state in layer.states)
    kwload.stamp(model, path, probe=True)
    assert kwload.verify(path, model=model).ok
    assert everything() == before
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == drawn  # type: ignore[index,union-attr]


@pytest.mark.keras
def test_what_is_not_the_same_twice_is_refused(tmp_path: Path) -> None:
    import keras

    class Drift:
        calls = 0.0

    def drift(inputs: Any) -> Any:
        Drift.calls += 1
        return inputs * Drift.calls

    layers = [keras.layers.Lambda(drift, output_shape=(3,)), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.save_weights(path := tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match="not the same twice"):
        kwload.stamp(model, path, probe=True)


@pytest.mark.keras
def test_a_model_of_which_nothing_says_what_it_takes(tmp_path: Path) -> None:
    import keras

    words = keras.Sequential([keras.Input((1,), dtype="string"), keras.layers.StringLookup(vocabulary=["a"])])
    words.save_weights(path := tmp_path / "words.weights.h5")
    with pytest.raises(ValueError, match="hand in inputs"):
        kwload.stamp(words, path, probe=True)


@pytest.mark.keras
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_computes_the_same(backend: str, tmp_path: Path) -> None:
    import keras

    layers = [keras.layers.Conv2D(4, 3, activation="gelu"), keras.layers.BatchNormalization(), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers, keras.layers.Dense(5, "softmax")])
    model.save(path := tmp_path / "model.keras")
    kwload.stamp(model, path, probe=True)
    code = (
        f"import keras, kwload; model = keras.models.load_model({str(path)!r}); "
        f"before = [v.tobytes() for v in model.get_weights()]; report = kwload.load_weights(model, {str(path)!r}, "
        "probe=True); assert report.loaded; found = [f for f in report.findings if f.code == 'KW413']; "
        "assert len(found) == 1 and found[0].severity == 'note', report; print(found[0].headline, found[0].notes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"{backend} on" in done.stdout


# ---- a probe of anyone ----


GOOD = {
    "backend": "tensorflow",
    "device": "cpu",
    "generator": generator.NAME,
    "inputs": [{"dtype": "float32", "limit": None, "place": "", "shape": [2, 3], "sum": ""}],
    "keras": "Keras 3.15.1",
    "outputs": [{"dtype": "float32", "place": "", "rms": 1.0, "shape": [2], "top": 1.0, "values": [1.0, float("nan")]}],
    "precision": "float32",
}


def test_a_probe_comes_back_as_it_was() -> None:
    made = probe.from_tree(json.loads(sidecar.text_of(GOOD)))
    assert json.loads(sidecar.text_of(probe.to_tree(made))).__repr__() == json.loads(json.dumps(GOOD)).__repr__()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("precision", "int1"),
        ("outputs", []),
        ("outputs", [{**GOOD["outputs"][0], "values": [1.0]}]),  # type: ignore[dict-item]
        ("outputs", [{**GOOD["outputs"][0], "values": ["x", 1.0]}]),  # type: ignore[dict-item]
        ("inputs", [{**GOOD["inputs"][0], "shape": [1 << 40, 1 << 20]}]),  # type: ignore[dict-item]
        ("inputs", [{**GOOD["inputs"][0], "dtype": "O"}]),  # type: ignore[dict-item]
        ("inputs", [{**GOOD["inputs"][0], "limit": 0}]),  # type: ignore[dict-item]
        ("inputs", [7]),
        ("backend", 7),
    ],
)
def test_what_is_no_probe(key: str, value: Any) -> None:
    with pytest.raises(SidecarError):
        probe.from_tree({**GOOD, key: value})
