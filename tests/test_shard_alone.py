"""One file of a set of shards, given alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import kwload

pytestmark = pytest.mark.keras


def test_a_shard_is_not_taken_for_a_file_without_classifier(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    layers = [keras.layers.Dense(64, name=f"l{number}") for number in range(4)]
    model = keras.Sequential([keras.Input((64,)), *layers])
    try:
        model.save_weights(tmp_path / "m.weights.json", max_shard_size=5e-5)
    except TypeError:
        pytest.skip("this Keras writes no shards")
    first = kwload.check(model, tmp_path / "m_00000.weights.h5")
    assert not first.ok and "as one shard of a set" in str(first) and "notop" not in str(first)
