"""Listing 100,000 tensors in 10,000 groups, in the oldest and the newest HDF5 format: against 1,000, against h5py."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.listing import by_h5py, ours
from benchmarks.measure import Row, Turns, in_fresh_process, seconds, text

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


def time_h5py(path: Path) -> float:
    """Seconds that h5py takes; it takes many, so once. Its listing is the same as kwload's."""
    listed: list[tuple] = []
    took = seconds(lambda: listed.extend(by_h5py(path)))
    if sorted(ours(path)) != sorted(listed) or len(listed) != MANY * EACH:
        raise AssertionError("the listings differ")
    return took


def measure(folder: Path) -> list[Row]:
    """Two rows a format. Both files are listed once in turn, as a program does: in a loop the small one would be in the
    processor's cache, where the large one never is.
    """
    rows = []
    for libver, called in FORMATS.items():
        few, many = (folder / f"{libver}_{count}.h5" for count in (FEW, MANY))
        turns = Turns.of(lambda many=many: ours(many), lambda few=few: ours(few), 15, at_least=0)
        took, claim = statistics.median(turns.peer), f"list {MANY * EACH:,} tensors, {called} HDF5 format"
        peer = f"{FEW * EACH:,} tensors {text(statistics.median(turns.ours))}"
        ratio = f"{turns.ratio:.3g}x the time"
        rows.append(Row(claim, peer, text(took), "under 100x the time", ratio, turns.ratio < 100))
        h5py_took = in_fresh_process(time_h5py, many)
        rows.append(Turns([h5py_took], [took]).faster(claim, "h5py visititems", 100))
    return rows
