"""Each allocation of Python's that the binding makes fails alone, and all from each one on: MemoryError or success, and
nothing is kept.

What is called is made of C functions throughout: a comprehension of Python itself loses references when it runs out of
memory.
"""

from __future__ import annotations

import gc
import os
import sys
from _testcapi import remove_mem_hooks, set_nomemory
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from pathlib import Path

import numpy as np

from kwload import _core

CALM = 25  # so many calls in which nothing fails any more are the end
MOST = 20_000
OF_FILE = ("content", "layout", "size", "tensors", "groups", "metadata", "faults", "config", "training", "title")
OF_TENSOR = ("path", "layer", "variable", "shape", "dtype", "file", "offset", "nbytes", "storage", "unmarked", "fault")
OF_PLAN = ("pairs", "keras_pairs", "conversions", "findings", "undecidable", "source_group", "own_group", "prediction")


def spec() -> Callable[[], _core.Spec]:
    """Makes what a model wants that the file fits but for one layer."""
    variables = [("0", "d/kernel", "d", (64, 32), "float32", True), ("1", "d/bias", "d", (64,), "float32", True)]
    layers = [("layers/dense", "d", "Dense", 0, variables), ("layers/other", "o", "Dense", 0, variables[:1])]
    nodes = [(0, (("layers", 1),)), (-1, (("dense", 2), ("other", 3))), (1, ()), (2, ())]
    return partial(_core.Spec, "keras-3", [("", "net", "Model", 0, ()), *layers], nodes)


def is_short(action: Callable[[], object], first: int, last: int) -> bool:
    """True when memory was short, from allocation *first* on to before *last*, 0 for all."""
    set_nomemory(first, last)
    try:
        action()
    except MemoryError:
        return True
    except _core.CoreError as error:
        if error.code != 101:
            raise
    finally:
        remove_mem_hooks()
    return False


def exhaust(action: Callable[[], object]) -> int:
    """Every allocation alone, then all from each on; how many failed."""
    failed = 0
    for whole in (False, True):
        first = calm = 0
        while calm < CALM:
            short = is_short(action, first, 0 if whole else first + 1)
            failed, calm, first = failed + short, 0 if short else calm + 1, first + 1
            if first > MOST:
                raise AssertionError(f"{action}: there is no end of allocations")
    return failed


def actions(file: _core.File) -> list[Callable[[], object]]:
    """What is done with an open file."""
    rows, wanted = range(len(file)), spec()()
    plan = partial(_core.plan, file, wanted, flavour="keras", version=31501, suffix="weights.h5")
    halves = ["float16"] * len(rows)
    return [
        *(partial(attrgetter(name), file) for name in OF_FILE),
        *(partial(attrgetter(name), tensor) for name in OF_TENSOR for tensor in file.tensors),
        partial(file.index, "absent"),
        *(partial(file.view, row) for row in rows),
        partial(file.fetch, rows, threads=1, dtypes=halves, facts=[]),
        partial(file.scan, rows, halves, []),
        partial(file.digest, rows),
        file.verify,
        spec(),
        plan,
        *(partial(attrgetter(name), plan()) for name in OF_PLAN),
        partial(_core.nearest, "dense", ["dense_1", "other"]),
    ]


def open_files() -> int:
    """How many descriptors the process has."""
    return len(os.listdir("/proc/self/fd"))


def main(path: str) -> None:
    """Ends with an exception, or the process's death, where anything is not as it should be."""
    name, content = os.fsencode(path), bytearray(Path(path).read_bytes())
    view = memoryview(content)

    def pread(offset: int, length: int) -> bytes:
        return bytes(view[offset : offset + length])

    pair = (len(content), pread)
    sound = [np.array(_core.File(name).view(row)) for row in range(3)]
    before = open_files()
    failed = 0
    for opening in (partial(_core.File, name), partial(_core.File, view, audit=True), partial(_core.File, pair)):
        failed += exhaust(opening)
        file = opening()
        held = sys.getrefcount(file)
        failed += sum(exhaust(action) for action in actions(file))
        if sys.getrefcount(file) != held or not all((file.view(row) == sound[row]).all() for row in range(3)):
            raise AssertionError("the file is held, or reads another way")
        del file
    failed += exhaust(partial(_core.File, b"/nowhere"))
    del opening
    gc.collect()
    if open_files() != before:
        raise AssertionError("a file stayed open")
    del pair
    if sys.getrefcount(pread) != 2:
        raise AssertionError("the read function is still held")
    view.release()
    content.append(0)  # raises BufferError while anybody holds the bytes
    print(failed)


if __name__ == "__main__":
    main(sys.argv[1])
