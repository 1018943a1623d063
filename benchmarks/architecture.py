"""`kwload check FILE --config model.keras` against importing Keras, building the model and loading: whole processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Row, Turns, text

LAYERS = 500
MODEL = f"""
import keras
model = keras.Sequential([keras.Input((8,)), *(keras.layers.Dense(8) for _ in range({LAYERS}))])
"""
LOAD = MODEL + "model.load_weights('model.weights.h5')"


def prepare(folder: Path) -> None:
    """Saves the architecture and the weights."""
    program = MODEL + "model.save('model.keras'); model.save_weights('model.weights.h5')"
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, capture_output=True)


def measure(folder: Path) -> list[Row]:
    """Two rows: the ratio, the time."""

    def run(*command: str) -> None:
        subprocess.run([sys.executable, *command], cwd=folder, check=True, capture_output=True)

    turns = Turns.of(
        lambda: run("-c", LOAD), lambda: run("-m", "kwload", "check", "model.weights.h5", "--config", "model.keras"), 5
    )
    took = statistics.median(turns.ours)
    claim = f"check {2 * LAYERS:,} tensors against an architecture, a whole process"
    return [
        turns.faster(claim, "Keras: import, build, load", 15),
        Row(claim, "-", text(took), "under 250 ms", text(took), took < 0.25),
    ]
