"""A user's own h5py, or his libhdf5, in the same process: neither disturbs the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from kwload import _core

ISOLATED = Path(__file__).parent / "isolated"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", str(ISOLATED / script), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def scaled(tmp_path: Path) -> Path:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = np.random.default_rng(0).integers(-1000, 1000, (64, 64)).astype("i4")
        file.create_dataset("scaled", data=data, chunks=(16, 16), scaleoffset=0)
    return path


@pytest.mark.parametrize("order", ["h5py first", "kwload first"])
def test_both_read_and_write_at_once(order: str, tmp_path: Path) -> None:
    run("beside_h5py.py", order, str(tmp_path))


def test_h5py_may_come_after_libhdf5_was_used(scaled: Path) -> None:
    run("beside_h5py.py", "h5py comes later", str(scaled.parent))


def test_the_library_that_both_share_is_left_as_it_was(scaled: Path) -> None:
    data = bytearray(scaled.read_bytes())
    with h5py.File(scaled) as file:
        chunk = file["scaled"].id.get_chunk_info(0)
    data[chunk.byte_offset : chunk.byte_offset + 4] = b"\xff" * 4  # more bits a value than it has
    scaled.with_name("damaged.h5").write_bytes(data)
    run("beside_libhdf5.py", str(scaled))


def test_a_module_without_the_lock_is_no_failure(scaled: Path) -> None:
    """h5py in the middle of being imported by another thread."""
    code = (
        "import sys, types; from kwload import _core; import os\n"
        "sys.modules['h5py._objects'] = types.ModuleType('h5py._objects')\n"
        f"file = _core.File(os.fsencode({str(scaled)!r})); print(file.view(0).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "(64, 64)"


def test_the_tensor_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["plain"] = np.ones(4, "f4")
        file.create_dataset("summed", data=np.ones(64, "f4"), chunks=(16,), fletcher32=True)
        place = file["summed"].id.get_chunk_info(1).byte_offset
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    file = _core.File(bytes(path))
    for read in (lambda: file.fetch([0, 1]), lambda: file.scan([0, 1], ["float32"] * 2, [])):
        with pytest.raises(_core.CoreError) as caught:
            read()
        assert (caught.value.code, caught.value.path) == (205, "summed")
