"""Python runs out of memory at any place of the binding: a clean MemoryError, and nothing is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

SCRIPT = Path(__file__).parent / "isolated" / "no_memory.py"


def test_every_allocation_of_the_binding_fails_once(tmp_path: Path) -> None:
    pytest.importorskip("_testcapi")
    path = tmp_path / "a.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "d"
        group["0"] = np.ones((64, 32), "f4")
        group.create_dataset("1", data=np.arange(64, dtype="f4"), chunks=(16,), compression="gzip")
        group["2"] = np.ones(4, ">f4")
    done = subprocess.run([sys.executable, str(SCRIPT), str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 500
