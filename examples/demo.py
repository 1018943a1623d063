"""The main job on real files: weights of a small Keras model, loaded where they fit and explained where they do not.

`make demo` runs it; it needs Keras 3 with any backend.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import kwload


def build(first: str = "features", units: int = 64) -> keras.Model:
    """A classifier of ten classes whose two layers have names of their own."""
    return keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(units, activation="relu", name=first),
            keras.layers.Dense(10, name="scores"),
        ]
    )


def heading(text: str) -> None:
    """Prints what the next report is about."""
    print(f"\n=== {text}\n")


def same(left: keras.Model, right: keras.Model) -> bool:
    """True if both models hold the same values."""
    return all(np.array_equal(a, b) for a, b in zip(left.get_weights(), right.get_weights(), strict=True))


def main(folder: Path) -> None:
    """Writes the files into `folder` and prints the reports."""
    saved = build()
    weights, archive, cut = folder / "model.weights.h5", folder / "model.keras", folder / "cut.weights.h5"
    saved.save_weights(weights)
    saved.save(archive)
    content = weights.read_bytes()
    cut.write_bytes(content[: len(content) * 2 // 3])

    for path in (weights, archive):
        heading(f"A file that fits: kwload.load_weights(model, {path.name!r})")
        model = build()
        print(kwload.load_weights(model, path))
        print(f"\nthe model holds the saved values: {same(model, saved)}")

    heading("A renamed layer, features -> embedding: kwload.check(model, 'model.weights.h5')")
    print(kwload.check(build(first="embedding"), weights))

    heading("64 units in the file, 128 in the model: kwload.load_weights(model, 'model.weights.h5')")
    model = build(units=128)
    before = model.get_weights()
    try:
        kwload.load_weights(model, weights)
    except kwload.WeightsMismatchError as error:
        print(error.report)
    untouched = all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
    print(f"\nthe model is as it was: {untouched}")

    heading("A download that was cut short: kwload.check(model, 'cut.weights.h5')")
    print(kwload.check(build(), cut))


if __name__ == "__main__":
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
    print(f"\ndone in {time.perf_counter() - started:.1f} s")
