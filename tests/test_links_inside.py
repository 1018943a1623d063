"""A link where a group or a tensor of the file should be: Keras from 3.14.1 on refuses it, and so is it said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kwload

pytestmark = pytest.mark.keras


def _soft(target: str) -> Callable[[Any], Any]:
    return lambda h5py: h5py.SoftLink(target)


def _external(h5py: Any) -> Any:
    return h5py.ExternalLink("other.weights.h5", "/layers/dense")


KERNEL = "model_weights/{0}/sequential/{0}/kernel"
PLACES: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "soft": ("m.weights.h5", "layers/dense_1", _soft("/layers/dense")),
    "relative": ("m.weights.h5", "layers/dense_1", _soft("dense")),
    "vars": ("m.weights.h5", "layers/dense_1/vars", _soft("/layers/dense/vars")),
    "list": ("m.weights.h5", "layers", _soft("/moved")),
    "tensor": ("m.weights.h5", "layers/dense_1/vars/0", _soft("/layers/dense/vars/0")),
    "external": ("m.weights.h5", "layers/dense_1", _external),
    "nowhere": ("m.weights.h5", "layers/dense_1", _soft("/layers/nothing")),
    "tensor-nowhere": ("m.weights.h5", "layers/dense_1/vars/0", _soft("/layers/nothing")),
    "legacy": ("m.h5", "model_weights/y", _soft("/model_weights/x")),
    "legacy-external": ("m.h5", "model_weights/y", _external),
    "legacy-tensor": ("m.h5", KERNEL.format("y"), _soft("/" + KERNEL.format("x"))),
    "legacy-nowhere": ("m.h5", "model_weights/y", _soft("/nothing")),
}


def _model(keras: Any, *, seed: int) -> Any:
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(8, name=name, bias_initializer="random_normal") for name in "xyz"]
    return keras.Sequential([keras.Input((8,)), *layers], name="sequential")


@pytest.mark.parametrize("place", PLACES)
def test_a_link_is_predicted_and_is_one_finding(tmp_path: Path, place: str) -> None:
    keras, h5py = pytest.importorskip("keras"), pytest.importorskip("h5py")
    name, where, link = PLACES[place]
    path = tmp_path / name
    saved = _model(keras, seed=1)
    saved.save(path) if name == "m.h5" else saved.save_weights(path)
    saved.save_weights(tmp_path / "other.weights.h5")
    with h5py.File(path, "r+") as file:
        if place == "list":
            file.move("layers", "moved")
        else:
            del file[where]
        file[where] = link(h5py)
    model = _model(keras, seed=2)
    report = kwload.check(model, path)
    before = [variable.numpy().copy() for variable in model.weights]
    with pytest.raises((ValueError, KeyError)) as raised:
        model.load_weights(path)
    changed = sum(not np.array_equal(old, new.numpy()) for old, new in zip(before, model.weights, strict=True))
    error = report.prediction.error if report.prediction is not None else None
    assert error is not None and report.prediction is not None
    assert (error.type, report.prediction.assigned) == (raised.type.__name__, changed)
    assert str(raised.value).startswith(error.message)
    assert error.message.startswith("Not allowed: ") == str(raised.value).startswith("Not allowed: ")
    assert [item.code for item in report.findings if item.severity == "error"] == ["KW601"]
