"""Failures of the real Keras 3, tf_keras, h5py and TensorFlow, each with the code of its true cause.

Importing this imports both Keras.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf
import tf_keras

Provoke = Callable[[Path], Any]
_FAILURES: dict[str, tuple[str | None, Provoke]] = {}


def _fails(code: str | None) -> Callable[[Provoke], Provoke]:
    """Adds a failure whose true cause has this code (None: one that is not about a weight file)."""

    def add(provoke: Provoke) -> Provoke:
        _FAILURES[provoke.__name__.strip("_")] = (code, provoke)
        return provoke

    return add


def failures() -> dict[str, tuple[str | None, Provoke]]:
    """Name -> (code of the true cause, what provokes it in an empty folder)."""
    return _FAILURES


def text_of(provoke: Provoke, folder: Path) -> str:
    """What a user sees of a failure: the exception with its class, or the first warning."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            provoke(folder)
        except Exception as error:  # noqa: BLE001  (whatever it raises is the answer)
            return f"{type(error).__name__}: {error}"
    said = [f"{item.category.__name__}: {item.message}" for item in warned if item.category is UserWarning]
    assert said, "nothing was raised and nothing was said"
    return said[0]


def _dense(*units: int, inputs: int = 4, of: Any = keras, **options: Any) -> Any:
    return of.Sequential([of.Input((inputs,)), *(of.layers.Dense(size, **options) for size in units)])


def _one(layer: Any, *shape: int | None, of: Any = keras) -> Any:
    return of.Sequential([of.Input(shape), layer])


def _legacy(model: Any, path: Path) -> Path:
    """Weights in the older layout, as Keras 2 saves them."""
    model.save(path.with_name("whole.h5"))
    with h5py.File(path.with_name("whole.h5")) as whole, h5py.File(path, "w") as out:
        for name, value in whole["model_weights"].attrs.items():
            out.attrs[name] = value
        for name in whole["model_weights"]:
            whole.copy(f"model_weights/{name}", out)
    return path


def _saved(model: Any, path: Path) -> Path:
    model.save_weights(path)
    return path


# --- the file is not what its name says


@_fails("KW201")
def git_lfs_pointer(folder: Path) -> None:
    path = folder / "model.weights.h5"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 1234\n")
    _dense(2).load_weights(path)


@_fails("KW201")
def web_page(folder: Path) -> None:
    path = folder / "model.h5"
    path.write_text("<!DOCTYPE html><html><title>404</title></html>")
    _dense(2, of=tf_keras).load_weights(path)


@_fails("KW202")
def cut_download(folder: Path) -> None:
    path = _saved(_dense(2), folder / "model.weights.h5")
    os.truncate(path, path.stat().st_size // 2)
    _dense(2).load_weights(path)


@_fails("KW202")
def cut_download_of_a_legacy_file(folder: Path) -> None:
    path = _saved(_dense(2, of=tf_keras), folder / "model.h5")
    os.truncate(path, path.stat().st_size - 100)
    _dense(2, of=tf_keras).load_weights(path)


@_fails("KW203")
def interrupted_save(folder: Path) -> None:
    path = _saved(_dense(2), folder / "model.weights.h5")
    content = bytearray(path.read_bytes())
    content[96:] = bytes(len(content) - 96)
    path.write_bytes(content)
    _dense(2).load_weights(path)


@_fails("KW101")
def absent(folder: Path) -> None:
    _dense(2).load_weights(folder / "no" / "model.weights.h5")


@_fails("KW101")
def absent_archive(folder: Path) -> None:
    keras.models.load_model(folder / "model.keras")


@_fails("KW101")
def absent_checkpoint(folder: Path) -> None:
    _dense(2, of=tf_keras).load_weights(folder / "model")


@_fails("KW103")
def directory(folder: Path) -> None:
    (folder / "model.weights.h5").mkdir()
    _dense(2).load_weights(folder / "model.weights.h5")


@_fails("KW206")
def legacy_layout_under_a_new_name(folder: Path) -> None:
    _dense(2, 3).load_weights(_legacy(_dense(2, 3), folder / "old.weights.h5"))


@_fails("KW206")
def new_layout_under_a_legacy_name(folder: Path) -> None:
    _saved(_dense(2), folder / "model.weights.h5").rename(folder / "model.h5")
    _dense(2).load_weights(folder / "model.h5")


@_fails("KW206")
def hdf5_named_keras(folder: Path) -> None:
    _saved(_dense(2), folder / "model.weights.h5").rename(folder / "model.keras")
    keras.models.load_model(folder / "model.keras")


@_fails("KW206")
def unknown_suffix(folder: Path) -> None:
    _saved(_dense(2), folder / "model.weights.h5").rename(folder / "model.bin")
    _dense(2).load_weights(folder / "model.bin")


@_fails("KW209")
def weights_where_a_model_is_wanted(folder: Path) -> None:
    keras.models.load_model(_legacy(_dense(2), folder / "w.h5"))


@_fails("KW209")
def weights_where_tf_keras_wants_a_model(folder: Path) -> None:
    tf_keras.models.load_model(_saved(_dense(2, of=tf_keras), folder / "w.h5"))


@_fails("KW205")
def flipped_byte(folder: Path) -> None:
    path = folder / "model.keras"
    _dense(2).save(path)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("model.weights.h5").header_offset
    content = bytearray(path.read_bytes())
    content[start + 5000] ^= 1
    path.write_bytes(content)
    keras.models.load_model(path)


@_fails("KW207")
def missing_shard(folder: Path) -> None:
    model = _dense(300, 300, inputs=300)
    model.save_weights(folder / "big.weights.json", max_shard_size=0.0004)
    (folder / "big_00001.weights.h5").unlink()
    model.load_weights(folder / "big.weights.json")


@_fails("KW607")
def zipped_with_its_folder(folder: Path) -> None:
    _dense(2).save(folder / "model.keras")
    with zipfile.ZipFile(folder / "model.keras") as old, zipfile.ZipFile(folder / "again.keras", "w") as new:
        for name in old.namelist():
            new.writestr(f"model/{name}", old.read(name))
    keras.models.load_model(folder / "again.keras")


@_fails("KW108")
def locked(folder: Path) -> None:
    path = _saved(_dense(2), folder / "model.weights.h5")
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _dense(2).load_weights(path)


@_fails("KW406")
def bfloat16_in_a_legacy_file(folder: Path) -> None:
    def model() -> Any:
        return _one(keras.layers.Dense(2, dtype="bfloat16"), 4)

    model().load_weights(_legacy(model(), folder / "b.h5"))


@_fails(None)
def saved_under_a_name_that_keras_3_refuses(folder: Path) -> None:
    _dense(2).save_weights(folder / "model_weights.h5")


# --- file and model disagree


@_fails("KW306")
def more_layers_in_the_file(folder: Path) -> None:
    _dense(2, 3).load_weights(_legacy(_dense(2, 2, 3), folder / "w.h5"))


@_fails("KW306")
def more_layers_in_the_model(folder: Path) -> None:
    _dense(2, 2, 3, of=tf_keras).load_weights(_saved(_dense(2, 3, of=tf_keras), folder / "w.h5"))


@_fails("KW306")
def no_bias_in_a_legacy_file(folder: Path) -> None:
    _dense(2).load_weights(_legacy(_dense(2, use_bias=False), folder / "w.h5"))


@_fails("KW306")
def no_bias(folder: Path) -> None:
    _dense(2).load_weights(_saved(_dense(2, use_bias=False), folder / "m.weights.h5"))


@_fails("KW306")
def bias_too_many(folder: Path) -> None:
    model = _dense(2, of=tf_keras, use_bias=False)
    model.load_weights(_saved(_dense(2, of=tf_keras), folder / "m.weights.h5"))


@_fails("KW301")
def layer_missing_from_the_file(folder: Path) -> None:
    _dense(2, 3).load_weights(_saved(_dense(2), folder / "m.weights.h5"))


@_fails("KW307")
def other_units(folder: Path) -> None:
    _dense(5, 3).load_weights(_saved(_dense(6, 3), folder / "m.weights.h5"))


@_fails("KW307")
def other_classes_in_a_legacy_file(folder: Path) -> None:
    _dense(5, 10).load_weights(_legacy(_dense(5, 12), folder / "w.h5"))


@_fails("KW307")
def other_units_in_tf_keras(folder: Path) -> None:
    _dense(5, 10, of=tf_keras).load_weights(_saved(_dense(5, 12, of=tf_keras), folder / "w.h5"))


@_fails("KW307")
def other_filters_by_axes(folder: Path) -> None:
    def model(filters: int) -> Any:
        return _one(tf_keras.layers.Conv1D(filters, 3), 8, 2, of=tf_keras)

    model(4).load_weights(_saved(model(5), folder / "w.h5"))


@_fails("KW308")
def transposed(folder: Path) -> None:
    path = _saved(_one(keras.layers.Conv2D(8, 3), 9, 9, 2), folder / "m.weights.h5")
    with h5py.File(path, "a") as file:
        kernel = file["layers/conv2d/vars/0"][()]
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = kernel.transpose(3, 2, 0, 1)
    _one(keras.layers.Conv2D(8, 3), 9, 9, 2).load_weights(path)


@_fails("KW314")
def reset_after(folder: Path) -> None:
    old, new = keras.layers.GRU(2, reset_after=False), keras.layers.GRU(2)
    _one(new, 3, 4).load_weights(_saved(_one(old, 3, 4), folder / "m.weights.h5"))


@_fails("KW314")
def reset_after_in_a_legacy_file(folder: Path) -> None:
    old, new = keras.layers.GRU(2, reset_after=False), keras.layers.GRU(2)
    _one(new, 3, 4).load_weights(_legacy(_one(old, 3, 4), folder / "w.h5"))


@_fails("KW314")
def reset_after_in_tf_keras(folder: Path) -> None:
    def model(after: bool) -> Any:
        return _one(tf_keras.layers.GRU(2, reset_after=after), 3, 4, of=tf_keras)

    model(True).load_weights(_saved(model(False), folder / "w.h5"))


@_fails("KW315")
def quantized(folder: Path) -> None:
    model = _dense(2)
    model.quantize("int8")
    _dense(2).load_weights(_saved(model, folder / "m.weights.h5"))


@_fails("KW311")
def not_built(folder: Path) -> None:
    model = keras.Sequential([keras.layers.Dense(2)])
    model.load_weights(_saved(_dense(2), folder / "m.weights.h5"))


@_fails("KW311")
def not_built_in_tf_keras(folder: Path) -> None:
    model = tf_keras.Sequential([tf_keras.layers.Dense(2)])
    model.load_weights(_saved(_dense(2, of=tf_keras), folder / "m.weights.h5"))


class _Net(tf_keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.dense = tf_keras.layers.Dense(2)


@_fails("KW311")
def subclass_not_built(folder: Path) -> None:
    _Net().load_weights(_saved(_dense(2, of=tf_keras), folder / "w.h5"))


@_fails("KW311")
def saved_before_it_was_built(folder: Path) -> None:
    tf_keras.Sequential([tf_keras.layers.Dense(2)]).save_weights(folder / "w.h5")


class _Block(keras.layers.Layer):  # type: ignore[misc]
    def __init__(self, eager: bool) -> None:
        super().__init__()
        self.eager, self.dense = eager, keras.layers.Dense(2)

    def build(self, shape: Any) -> None:
        if self.eager:
            self.dense.build(shape)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs) if self.eager else inputs


@_fails("KW311")
def a_layer_never_built(folder: Path) -> None:
    _one(_Block(False), 4).load_weights(_saved(_one(_Block(True), 4), folder / "m.weights.h5"))


@_fails("KW316")
def other_optimizer(folder: Path) -> None:
    saved, model = _dense(2), _dense(2)
    saved.compile("sgd", "mse")
    model.compile("adam", "mse")
    for each in (saved, model):
        each.optimizer.build(each.trainable_variables)
    model.load_weights(_saved(saved, folder / "m.weights.h5"))


@_fails("KW405")
def metrics_that_keras_3_does_not_save(folder: Path) -> None:
    model = _dense(2, of=tf_keras)
    model.compile("sgd", "mse")
    model.fit(np.zeros((2, 4)), np.zeros((2, 2)), verbose=0)
    model.load_weights(_saved(_dense(2), folder / "m.weights.h5"))


@_fails("KW320")
def by_name_with_a_new_file(folder: Path) -> None:
    _dense(2).load_weights(_saved(_dense(2), folder / "m.weights.h5"), by_name=True)


@_fails("KW320")
def skip_mismatch_without_by_name(folder: Path) -> None:
    _dense(2, of=tf_keras).load_weights(_saved(_dense(2, of=tf_keras), folder / "w.h5"), skip_mismatch=True)


# --- the configuration of a whole model


class _Mine(keras.layers.Layer):  # type: ignore[misc]
    pass


@_fails("KW402")
def unknown_class(folder: Path) -> None:
    _one(_Mine(), 4).save(folder / "m.keras")
    keras.models.load_model(folder / "m.keras")


@_fails("KW402")
def unknown_layer(folder: Path) -> None:
    _one(_Mine(), 4).save(folder / "m.h5")
    keras.models.load_model(folder / "m.h5")


@_fails("KW405")
def lstm_of_keras_2(folder: Path) -> None:
    _one(tf_keras.layers.LSTM(2), 3, 4, of=tf_keras).save(folder / "m.h5")
    keras.models.load_model(folder / "m.h5")


@_fails("KW405")
def depthwise_of_keras_2(folder: Path) -> None:
    _one(tf_keras.layers.DepthwiseConv2D(3), 8, 8, 2, of=tf_keras).save(folder / "m.h5")
    keras.models.load_model(folder / "m.h5")


@_fails("KW405")
def keras_3_in_keras_2(folder: Path) -> None:
    _dense(2).save(folder / "m.h5")
    tf_keras.models.load_model(folder / "m.h5")


@_fails("KW405")
def functional_of_tf_keras(folder: Path) -> None:
    inputs = tf_keras.Input((4,))
    tf_keras.Model(inputs, tf_keras.layers.Dense(2)(inputs)).save(folder / "m.keras")
    keras.models.load_model(folder / "m.keras")


@_fails("KW405")
def operations_of_keras_2(folder: Path) -> None:
    inputs = tf_keras.Input((4,))
    tf_keras.Model(inputs, tf_keras.layers.Dense(2)(inputs) + 1.0).save(folder / "m.h5")
    keras.models.load_model(folder / "m.h5")


@_fails("KW405")
def short_name_of_a_loss(folder: Path) -> None:
    model = _dense(2)
    model.compile("sgd", "mse", metrics=["mse"])
    model.save(folder / "m.h5")
    keras.models.load_model(folder / "m.h5")


@_fails(None)
def python_lambda(folder: Path) -> None:
    _one(keras.layers.Lambda(lambda x: x), 4).save(folder / "m.keras")
    keras.models.load_model(folder / "m.keras")


# --- what Keras refuses to read


def _planted(folder: Path, plant: Callable[[Any], None]) -> None:
    path = _saved(_dense(2), folder / "m.weights.h5")
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/0"]
        plant(file["layers/dense/vars"])
    _dense(2).load_weights(path)


@_fails("KW601")
def external_link(folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = np.zeros((4, 2), "float32")
    _planted(folder, lambda group: group.__setitem__("0", h5py.ExternalLink("other.h5", "/x")))


@_fails("KW602")
def external_storage(folder: Path) -> None:
    (folder / "raw").write_bytes(bytes(32))
    _planted(folder, lambda g: g.create_dataset("0", (4, 2), "float32", external=[(str(folder / "raw"), 0, 32)]))


@_fails("KW603")
def virtual_dataset(folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = np.zeros((4, 2), "float32")

    def plant(group: Any) -> None:
        layout = h5py.VirtualLayout((4, 2), "float32")
        layout[:] = h5py.VirtualSource(folder / "other.h5", "x", (4, 2))
        group.create_virtual_dataset("0", layout)

    _planted(folder, plant)


@_fails("KW604")
def shape_bomb(folder: Path) -> None:
    _planted(folder, lambda group: group.create_dataset("0", (2**20, 2**12), "float32", chunks=(1024, 1024)))


# --- TensorFlow


@_fails("KW208")
def hdf5_read_as_a_checkpoint(folder: Path) -> None:
    shutil.copy(_saved(_dense(2), folder / "m.weights.h5"), folder / "m")
    tf.train.load_checkpoint(str(folder / "m"))


@_fails("KW208")
def checkpoint_of_another_shape(folder: Path) -> None:
    prefix = tf.train.Checkpoint(v=tf.Variable([0.0] * 4, name="b")).write(str(folder / "ck"))
    tf.train.Checkpoint(v=tf.Variable([0.0] * 5, name="b")).read(prefix)


@_fails("KW208")
def checkpoint_in_keras_3(folder: Path) -> None:
    tf.train.Checkpoint(v=tf.Variable([0.0])).write(str(folder / "ck"))
    _dense(2).load_weights(folder / "ck")


@_fails("KW208")
def checkpoint_that_nothing_matches(folder: Path) -> None:
    prefix = tf.train.Checkpoint(net=tf.Variable([0.0])).write(str(folder / "ck"))
    tf.train.Checkpoint(model=tf.Variable([0.0])).read(prefix).assert_existing_objects_matched()
