"""Looking at all values of a file in memory, against NumPy's `isfinite(x).all()` over the same bytes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Row, Turns

DTYPES, TENSORS, UNITS = ("float32", "float64", "float16"), 12, 2048


def prepare(folder: Path) -> None:
    """For each type a file of 12 matrices of random values."""
    import h5py
    import numpy as np

    random = np.random.default_rng(0)
    for dtype in DTYPES:
        with h5py.File(folder / f"{dtype}.h5", "w") as file:
            for number in range(TENSORS):
                file[f"tensor_{number}"] = random.standard_normal((UNITS, UNITS)).astype(dtype)


def measure(folder: Path) -> list[Row]:
    """A row for each type, on one thread as NumPy, and one for the threads that a check uses."""
    import numpy as np

    from kwload import _core, api

    rows = []
    for dtype, threads in [*((dtype, 1) for dtype in DTYPES), ("float32", api.THREADS)]:
        file = _core.File(memoryview((folder / f"{dtype}.h5").read_bytes()))
        numbers = range(len(file))
        views = [file.view(number) for number in numbers]

        def look(file=file, numbers=numbers, dtype=dtype, threads=threads) -> list:
            facts: list = []
            file.scan(numbers, [dtype] * len(numbers), facts, threads=threads)
            return facts

        for seen, view in zip(look(), views, strict=True):
            if (seen[5], seen[6]) != (view.min(), view.max()) or seen[1] or seen[3]:
                raise AssertionError("the range differs from NumPy's")
        megabytes = sum(view.nbytes for view in views) / 1e6
        turns = Turns.of(lambda views=views: all(np.isfinite(view).all() for view in views), look, 11)
        claim = f"look at all values, {megabytes:.0f} MB of {dtype}, {threads} thread{'s' if threads > 1 else ''}"
        rows.append(turns.faster(claim, "isfinite(x).all()", 1))
    return rows
