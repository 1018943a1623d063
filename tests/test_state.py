"""The state of an optimizer: a file that holds nothing else, and when building the optimizer makes it fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kwload

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras
optimizers = keras.optimizers


def _model(optimizer: Any = None) -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="x"), keras.layers.BatchNormalization()])
    if optimizer is not None:
        model.compile(optimizer, "mse")
    return model


def _trained(path: Path, optimizer: Any) -> Path:
    model = _model(optimizer)
    model.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
    model.save_weights(path)
    return path


def test_a_file_of_optimizer_state_alone_is_one_error(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = _trained(tmp_path / "m.weights.h5", "adam")
    with h5py.File(path, "r+") as file:
        del file["layers"]
    for model in (_model(), _model("adam")):
        report = kwload.check(model, path)
        (found,) = report.findings
        assert (found.code, found.severity) == ("KW310", "error")
        assert "holds only optimizer state" in found.headline
        assert "complete without it" not in str(report) and "`adam`" not in str(report)


MADE = {
    "adam": optimizers.Adam,
    "amsgrad": lambda: optimizers.Adam(amsgrad=True),
    "ema": lambda: optimizers.AdamW(use_ema=True),
    "accumulating": lambda: optimizers.Adam(gradient_accumulation_steps=2),
    "sgd": optimizers.SGD,
    "momentum": lambda: optimizers.SGD(momentum=0.9),
    "rmsprop": lambda: optimizers.RMSprop(momentum=0.5, centered=True),
    "adagrad": optimizers.Adagrad,
    "lion": optimizers.Lion,
    "ftrl": optimizers.Ftrl,
    "adadelta": optimizers.Adadelta,
    "adamax": optimizers.Adamax,
}


@pytest.mark.parametrize("saved", ["adam", "momentum", "rmsprop", "ema", "accumulating"])
def test_building_the_optimizer_is_proposed_where_its_state_then_fits(tmp_path: Path, saved: str) -> None:
    path = _trained(tmp_path / "m.weights.h5", MADE[saved]())
    for make in MADE.values():
        model = _model(make())
        before = kwload.check(model, path)
        model.optimizer.build(model.trainable_variables)
        fits = not any(item.code == "KW316" for item in kwload.check(model, path).findings)
        assert fits == ("optimizer.build(" in str(before)), make
