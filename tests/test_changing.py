"""A file that another process truncates, overwrites and lengthens while it is read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from kwload import _core

ROUNDS = int(os.environ.get("KWLOAD_ROUNDS", "300"))
LAYERS = 6

# Changes the file in place until it is ended: each version has one value everywhere.  What it has counted is odd while
# it does: a file that somebody has half overwritten, and then does not go on with, nobody can tell from a whole one.
WRITER = """
import mmap, os, random, sys, time
path, count, versions = sys.argv[1], sys.argv[2], [open(name, "rb").read() for name in sys.argv[3:]]
random.seed(1)
descriptor = os.open(path, os.O_RDWR)
counted = mmap.mmap(os.open(count, os.O_RDWR), 8)
def step(): counted[:] = (int.from_bytes(counted[:], "little") + 1).to_bytes(8, "little")
print("ready", flush=True)
while True:
    time.sleep(random.choice((0.005, 0.012, 0.016)))
    content = random.choice(versions)
    step()
    way = random.randrange(4)
    if way == 0:
        os.ftruncate(descriptor, random.randrange(len(content)))
    elif way == 1:
        os.pwrite(descriptor, bytes(random.randrange(1, 5000)), len(content))
    for start in range(0, len(content), 262144):
        os.pwrite(descriptor, content[start : start + 262144], start)
    if way != 1:
        os.ftruncate(descriptor, len(content))
    step()
"""


def make(path: Path, value: float) -> None:
    with h5py.File(path, "w") as file:
        for index in range(LAYERS):
            group = file.create_group(f"layers/dense_{index}/vars")
            group["0"] = np.full((1024, 256), value, "f4")
            group["1"] = np.full(256, value, "f4")


def values_of(path: Path) -> set[float] | None:
    """Every value in the file; None where something is said to be wrong."""
    try:
        file = _core.File(os.fsencode(path))
        if file.faults or any(tensor.fault for tensor in file.tensors):
            return None
        arrays = file.fetch(range(len(file)))
    except _core.CoreError:
        return None
    if not file.unchanged():
        return None
    assert len(arrays) == 2 * LAYERS
    return {float(value) for array in arrays for value in np.unique(array)}


def test_values_of_two_files_are_never_mixed_in_silence(tmp_path: Path) -> None:
    path, versions = tmp_path / "model.weights.h5", [tmp_path / "one.h5", tmp_path / "two.h5"]
    for value, version in enumerate(versions, 1):
        make(version, value)
    path.write_bytes(versions[0].read_bytes())
    count = tmp_path / "count"
    count.write_bytes(bytes(8))
    command = [sys.executable, "-c", WRITER, str(path), str(count), *map(str, versions)]
    seen: set[float] = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            for _ in range(ROUNDS):
                at_rest = int.from_bytes(count.read_bytes(), "little") % 2 == 0
                found = values_of(path)
                if found is not None and at_rest:
                    assert len(found) == 1, found
                    seen |= found
            assert writer.poll() is None
            assert ROUNDS < 300 or seen == {1.0, 2.0}
        finally:
            writer.kill()
    assert values_of(versions[0]) == {1.0}
