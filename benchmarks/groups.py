"""Listing 100,000 tensors in 10,000 groups, in the oldest and the newest HDF5 format: against 1,000, against h5py."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.listing import by_h5py, ours
from benchmarks.measure import Row, Turns, seconds, text

FORMATS = {"earliest": "oldest", "latest": "newest"}
FEW, MANY, EACH = 100, 10_000, 10


def prepare(folder: Path) -> None:
    """Writes ten small tensors into each group, in both formats."""
    import h5py
    import numpy as np

    value = np.zeros(4, np.float32)
    for libver in FORMATS:
        for count in (FEW, MANY):
            with h5py.File(folder / f"{libver}_{count}.h5", "w", libver=libver) as file:
                for index in range(count):
                    group = file.create_group(f"layers/dense_{index}/vars")
                    for key in range(EACH):
                        group[str(key)] = value


def measure(folder: Path) -> list[Row]:
    """Two rows a format."""
    rows = []
    for libver, called in FORMATS.items():
        few, many = (folder / f"{libver}_{count}.h5" for count in (FEW, MANY))
        listed: list[tuple] = []
        h5py_took = seconds(lambda many=many, listed=listed: listed.extend(by_h5py(many)))  # takes many seconds: once
        if sorted(ours(many)) != sorted(listed) or len(listed) != MANY * EACH:
            raise AssertionError("the listings differ")
        listed.clear()  # the garbage collector would look at it again and again
        turns = Turns.of(lambda many=many: ours(many), lambda few=few: ours(few), 9)
        took, claim = statistics.median(turns.peer), f"list {MANY * EACH:,} tensors, {called} HDF5 format"
        peer = f"{FEW * EACH:,} tensors {text(statistics.median(turns.ours))}"
        ratio = f"{turns.ratio:.3g}x the time"
        rows.append(Row(claim, peer, text(took), "under 100x the time", ratio, turns.ratio < 100))
        rows.append(Turns([h5py_took], [took]).faster(claim, "h5py visititems", 100))
    return rows
