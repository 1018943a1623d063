"""load_weights on a model of 1,000 small variables, against Keras."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Row, Turns

LAYERS = 500


def build():
    """A model of 500 small Dense layers."""
    import keras

    return keras.Sequential([keras.Input((8,)), *(keras.layers.Dense(8) for _ in range(LAYERS))])


def prepare(folder: Path) -> None:
    """Saves one."""
    build().save_weights(folder / "small.weights.h5")


def measure(folder: Path) -> list[Row]:
    """One row."""
    import numpy as np

    import kwload

    path = folder / "small.weights.h5"
    model, other = build(), build()
    model.load_weights(path)
    kwload.load_weights(other, path)
    if not all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True)):
        raise AssertionError("the values differ from those that Keras loads")
    turns = Turns.of(lambda: model.load_weights(path), lambda: kwload.load_weights(model, path), 11)
    return [turns.faster(f"load_weights, {2 * LAYERS:,} small variables, .weights.h5", "Keras", 5)]
