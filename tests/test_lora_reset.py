"""A file of the V3 layout in a model with LoRA enabled: both matrices become 0, and stay so in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kwload

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras


def _model(*ranks: int | None) -> Any:
    layers = [
        keras.layers.Embedding(5, 6, name="words"),
        keras.layers.EinsumDense("abc,cd->abd", (None, 4), name="heads"),
        keras.layers.Dense(3, name="scores"),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    for layer, rank in zip(layers, ranks, strict=False):
        if rank is not None:
            layer.enable_lora(rank)
    return model


def _matrices(model: Any) -> list[Any]:
    return [variable.numpy() for variable in model.weights if "lora" in variable.path]


@pytest.mark.parametrize("saved", [(), (2, 2, 2)], ids=["plain", "lora"])
def test_matrices_that_loading_sets_to_zero_are_warned_of(tmp_path: Path, saved: tuple[int, ...]) -> None:
    path = tmp_path / "m.weights.h5"
    _model(*saved).save_weights(path)
    model = _model(2, 2, 2)
    (found,) = kwload.check(model, path).findings
    assert (found.code, found.severity, found.layer, found.related) == (
        "KW325",
        "warning",
        "words",
        ("heads", "scores"),
    )
    model.load_weights(path)
    model.compile("adam", "mse")
    model.fit(np.ones((4, 4)), np.ones((4, 4, 3)), epochs=3, verbose=0)
    assert len(_matrices(model)) == 6 and not any(matrix.any() for matrix in _matrices(model))


def test_enabling_lora_last_is_what_helps(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    _model().save_weights(path)
    one = _model(None, None, 2)
    (found,) = kwload.check(one, path).findings
    assert '`model.get_layer("scores").enable_lora(2)`' in found.help[0]
    assert not kwload.check(_model(), path).findings
    assert not any(item.code == "KW325" for item in kwload.check(one, path, skip=["scores"]).findings)
    model = _model()
    kwload.load_weights(model, path)
    model.get_layer("scores").enable_lora(2)
    model.compile("adam", "mse")
    model.fit(np.ones((4, 4)), np.ones((4, 4, 3)), epochs=2, verbose=0)
    assert all(matrix.any() for matrix in _matrices(model))
