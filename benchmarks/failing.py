"""check of a file that does not fit a model of 1,000 variables, against Keras's load that fails on it.

Everything is on but the look at the values, which Keras does not take either. The first layer has other units in the
file, so a report names two layers; Keras raises after having tried them all.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Row, Turns

LAYERS = 500


def build(first: int):
    """A model of 500 small Dense layers, the first with so many units."""
    import keras

    units = [first, *[8] * (LAYERS - 1)]
    return keras.Sequential([keras.Input((8,)), *(keras.layers.Dense(count) for count in units)])


def prepare(folder: Path) -> None:
    """Saves one."""
    build(9).save_weights(folder / "failing.weights.h5")


def measure(folder: Path) -> list[Row]:
    """The ratio, and whether describing the model is the largest part of the check."""
    import kwload

    path = folder / "failing.weights.h5"
    model = build(8)

    def fail() -> None:
        try:
            model.load_weights(path)
        except ValueError:
            return
        raise AssertionError("Keras loads the file")

    def check() -> kwload.Report:
        return kwload.check(model, path, values=False)

    if check().ok:
        raise AssertionError("the file fits")
    row = Turns.of(fail, check, 11).faster(f"check, {2 * LAYERS:,} variables, the file does not fit", "Keras", 15)
    times = check().times
    largest = max(times, key=lambda step: times[step])
    share = f"{times['describe'] / sum(times.values()):.0%} of the steps"
    claim = "the largest step of that check"
    return [row, Row(claim, "-", largest, "describe", share, largest == "describe")]
