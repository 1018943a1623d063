"""Reading chunked weights that are shuffled and deflated, on two cores, against h5py."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.measure import Row, Turns

LAYERS, WIDTH, CORES = 16, 1024, 2


def prepare(folder: Path) -> None:
    """Writes 16 matrices of random values, 67 MB, in chunks of 128 x 128 and as h5py cuts them by itself in turn."""
    import h5py
    import numpy as np

    generator = np.random.default_rng(0)
    with h5py.File(folder / "packed.weights.h5", "w") as file:
        for index in range(LAYERS):
            values = generator.normal(size=(WIDTH, WIDTH)).astype(np.float32)
            chunks = (128, 128) if index % 2 else True
            group = file.create_group(f"layers/dense_{index}/vars")
            group.create_dataset("0", data=values, chunks=chunks, compression="gzip", shuffle=True)


def measure(folder: Path) -> list[Row]:
    """One row."""
    import h5py
    import numpy as np

    import kwload

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    path = folder / "packed.weights.h5"
    names = [f"layers/dense_{index}/vars/0" for index in range(LAYERS)]

    def ours() -> list[np.ndarray]:
        with kwload.open(path) as file:
            return [file[name] for name in names]

    def by_h5py() -> list[np.ndarray]:
        with h5py.File(path, "r") as file:
            return [file[name][()] for name in names]

    if not all(np.array_equal(a, b) for a, b in zip(ours(), by_h5py(), strict=True)):
        raise AssertionError("the values differ")
    claim = f"read {LAYERS * WIDTH**2 * 4 / 1e6:.0f} MB, gzip and shuffle, {CORES} cores"
    return [Turns.of(by_h5py, ours, 7).faster(claim, "h5py", 2.5)]
