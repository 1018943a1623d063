"""Files that another process is writing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kwload import locks

h5py = pytest.importorskip("h5py")

WRITER = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print(flush=True); sys.stdin.read()"


def line(path: Path, kind: str = "WRITE", pid: int = 4711) -> str:
    found = os.stat(path)
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    return f"3: FLOCK  ADVISORY  {kind} {pid} {device}:{found.st_ino} 0 EOF\n"


def test_the_list_of_locks_is_read(tmp_path: Path) -> None:
    path, listed = tmp_path / "a.weights.h5", tmp_path / "locks"
    path.write_bytes(b"")
    (tmp_path / "b.weights.h5").write_bytes(b"")
    for text, writer in (
        (line(path), 4711),
        (line(path, "READ"), None),
        (line(path, pid=os.getpid()), None),
        (line(tmp_path / "b.weights.h5"), None),
        ("1: -> FLOCK  ADVISORY  WRITE 1\nnonsense\n\n" + line(path), 4711),
        ("", None),
    ):
        listed.write_text(text)
        assert locks.writer_of(path, str(listed)) == writer, text
    assert locks.writer_of(tmp_path / "absent", str(listed)) is None
    assert locks.writer_of(path, str(tmp_path / "absent")) is None


@pytest.fixture
def written(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A weight file, and the process that has it open for writing."""
    import keras

    path = tmp_path / "model.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(path)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield path, process.pid
        process.communicate(b"")


@pytest.mark.keras
@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux lists its locks")
def test_a_file_that_another_process_writes(written: tuple[Path, int]) -> None:
    import keras

    import kwload

    path, pid = written
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    if locks.writer_of(path) is None:
        pytest.skip("this file system keeps its locks to itself")
    with pytest.raises(BlockingIOError) as caught:
        model.load_weights(path)
    report = kwload.check(model, path)
    assert [(finding.code, finding.found) for finding in report.warnings] == [("KW108", pid)]
    assert report.prediction is not None and report.prediction.error is not None
    assert report.prediction.error.type == type(caught.value).__name__
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    assert [finding.code for finding in kwload.check(other, path).findings][:2] == ["KW108", "KW307"]
    assert kwload.load_weights(model, path).loaded
    with h5py.File(path, locking=False) as file:
        assert np.array_equal(model.get_weights()[0], file["layers/dense/vars/0"])
