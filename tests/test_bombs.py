"""Small files that declare, or lead to, more than any machine has: refused at once and in little memory."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import kwload

KILO = 1000
MEMORY = 8 * KILO**2
SECONDS = 0.5  # of the processor: ten times what is promised, so that a busy machine fails no test


def shape_bomb(path: Path) -> None:
    """Eight pebibytes, declared."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2**25, 2**26), "f4", chunks=(1024, 1024), compression="gzip")


def path_bomb(path: Path) -> None:
    """A B-tree of sixty levels, each of whose nodes names the next twice: 2^60 paths."""
    with h5py.File(path, "w") as file:
        file["a"] = np.zeros(4, "f4")
    data = bytearray(path.read_bytes())
    root, levels, end = data.index(b"TREE"), 60, len(data)
    symbols = data.index(b"SNOD")
    addresses = [root, *range(end, end + levels * 544, 544), symbols]
    data += bytes(levels * 544)
    data[40:48] = struct.pack("<Q", len(data))
    for index, at in enumerate(addresses[:-1]):
        child = addresses[index + 1]
        head = b"TREE" + struct.pack("<BBHQQ", 0, levels - index, 2, 2**64 - 1, 2**64 - 1)
        data[at : at + 64] = head + struct.pack("<QQQQQ", 0, child, 8, child, 8)
    path.write_bytes(data)


def heap_bomb(path: Path) -> None:
    """Four thousand texts that are one object of a megabyte."""
    with h5py.File(path, "w") as file:
        file.attrs.create("long", "x" * KILO**2, dtype=h5py.string_dtype())
        file.attrs.create("layer_names", ["y"] * 4000, dtype=h5py.string_dtype())
    data = bytearray(path.read_bytes())
    reference = data.index(struct.pack("<I", KILO**2))
    whole = bytes(data[reference : reference + 16])
    first = data.index(b"layer_names\0")
    start = next(
        i for i in range(first, first + 200) if data[i : i + 4] == data[i + 16 : i + 20] == struct.pack("<I", 1)
    )
    data[start : start + 16 * 4000] = whole * 4000
    path.write_bytes(data)


def zip_bomb(path: Path) -> None:
    """A gigabyte of zeros as the weights."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        with archive.open("model.weights.h5", "w") as member:
            for _ in range(1000):
                member.write(bytes(KILO**2))
        archive.writestr("config.json", "{}")


def json_bomb(path: Path) -> None:
    """A hundred thousand brackets."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "[" * 100_000)
        archive.writestr("model.weights.h5", b"")


# In a process of its own: what it took, and the most memory that it had at once beyond what it began with.
CHILD = """
import json, os, resource, sys, time
from kwload import _core
def peak(): return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) * 1024
before, start, codes = peak(), time.process_time(), []
try:
    file = _core.File(os.fsencode(sys.argv[1]), audit=True)
    codes += [fault[0] for fault in file.faults] + [t.fault[0] for t in file.tensors if t.fault]
    for row, tensor in enumerate(file.tensors):
        if tensor.fault is None:
            file.fetch([row])
except _core.CoreError as error:
    codes.append(error.code)
print(json.dumps([sorted(set(codes) - {608}), time.process_time() - start, peak() - before]))
"""


@pytest.mark.parametrize(
    ("make", "code"),
    [(shape_bomb, 604), (path_bomb, 605), (heap_bomb, 604), (zip_bomb, 604), (json_bomb, 201)],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_bomb_is_refused(make: Callable[[Path], None], code: int, tmp_path: Path) -> None:
    path = tmp_path / ("bomb.keras" if make in (zip_bomb, json_bomb) else "bomb.h5")
    make(path)
    ended = subprocess.run([sys.executable, "-c", CHILD, str(path)], check=True, capture_output=True, text=True)
    codes, seconds, memory = json.loads(ended.stdout)
    assert code in codes
    assert seconds < SECONDS
    assert memory < MEMORY + path.stat().st_size
    assert kwload.scan(path).errors
