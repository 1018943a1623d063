"""60 variables of 503 MB: opening the file, and loading it from `.weights.h5` and, its CRC verified, from `.keras`."""

from __future__ import annotations

import resource
import statistics
import sys
from pathlib import Path

from benchmarks.measure import Row, Turns, seconds, text

LAYERS, UNITS = 30, 2048


def build(fill: float):
    """A model of 30 Dense layers, 503 MB; `fill` makes two of them differ."""
    import keras

    start = keras.initializers.Constant(fill)
    layers = [keras.layers.Dense(UNITS, kernel_initializer=start, bias_initializer=start) for _ in range(LAYERS)]
    return keras.Sequential([keras.Input((UNITS,)), *layers])


def prepare(folder: Path) -> None:
    """Saves the model both ways, and one tensor alone."""
    import h5py

    model = build(0.5)
    model.save_weights(folder / "large.weights.h5")
    model.save(folder / "large.keras")
    with h5py.File(folder / "tiny.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = [1.0]


def measure_opening(folder: Path) -> list[Row]:
    """Time and memory of opening the large file and taking one view; needs a process that held nothing large yet."""
    import kwload

    def view(path: Path) -> float:
        with kwload.open(path) as file:
            return float(file["layers/dense/vars/0"].flat[0])

    # What is imported at the first use is not part of the file's cost.
    view(folder / "tiny.weights.h5")
    path = folder / "large.weights.h5"
    before = peak_memory()
    took = [seconds(lambda: view(path))]
    grown = peak_memory() - before
    took += [seconds(lambda: view(path)) for _ in range(20)]
    median, memory = statistics.median(took), f"{grown / 1e6:.2f} MB"
    claim = f"open {path.stat().st_size / 1e6:.0f} MB and take one view"
    return [
        Row(claim, "-", text(median), "under 1 ms", text(median), median < 1e-3),
        Row(f"{claim}: more memory", "-", memory, "under 10 MB", memory, grown < 10e6),
    ]


def peak_memory() -> int:
    """The most bytes that this process has had in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure_loading(folder: Path) -> list[Row]:
    """Keras's load_weights and kwload's, into one model."""
    import kwload

    model = build(0.0)
    rows = []
    for name, target, rounds in (("large.weights.h5", 3, 7), ("large.keras", 25, 3)):
        path = folder / name
        by_keras, ours = (lambda p=path: model.load_weights(p)), (lambda p=path: kwload.load_weights(model, p))
        for load in (by_keras, ours):
            for variable in model.weights:
                variable.assign(variable * 0)
            load()
            if not all((variable.numpy() == 0.5).all() for variable in model.weights):
                raise AssertionError(f"{name}: the values did not arrive")
        claim = f"load_weights, {2 * LAYERS} variables, {path.stat().st_size / 1e6:.0f} MB, {''.join(path.suffixes)}"
        rows.append(Turns.of(by_keras, ours, rounds).faster(claim, "Keras", target))
    return rows
