"""Runs the grid of models through the replay of Keras's walk, with the backend that KERAS_BACKEND selects."""

import sys
from pathlib import Path

import keras
from live_grid import models
from live_replay import check_legacy, check_walk


def main(folder: Path) -> int:
    """Prints a line for each model; 1 when any differs."""
    different = 0
    every = keras.backend.backend() == "torch"  # whose layers list their attributes in another way
    for name, build in models(keras, every):
        model = build()
        try:
            check_walk(model, folder)
            check_legacy(model)
        except AssertionError as error:
            different += 1
            print("DIFFERS", name, str(error)[:2000])
        else:
            print("equal", name)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
