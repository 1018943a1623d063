"""Every file of the corpus, opened for real: identical to h5py where h5py reads it, never a crash, never a hang."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from real_files import CORPUS, corpus_files

import kwload
from kwload import _core

h5py = pytest.importorskip("h5py")
ml_dtypes = pytest.importorskip("ml_dtypes")

KERAS = corpus_files("keras-made", "keras-by-version", "keras-real")
ALL = corpus_files(".")


def h5_contents(path: Path) -> Iterator[io.BytesIO]:
    """The HDF5 files that a file of Keras's holds: itself, or the member of the archive."""
    data = path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "model.weights.h5" in archive.namelist():
                yield io.BytesIO(archive.read("model.weights.h5"))
    elif data.startswith(b"\x89HDF"):
        yield io.BytesIO(data)


def by_h5py(path: Path) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for content in h5_contents(path):
        with h5py.File(content) as file:

            def keep(name: str, item: object) -> None:
                if isinstance(item, h5py.Dataset):
                    arrays[name] = item[()]

            file.visititems(keep)
    return arrays


@pytest.mark.parametrize("path", KERAS, ids=lambda path: path.relative_to(CORPUS).as_posix())
def test_every_tensor_of_a_keras_file_is_byte_identical_to_h5pys(path: Path) -> None:
    expected = by_h5py(path)
    if path.suffix == ".json" or (not expected and zipfile.is_zipfile(path)):
        return  # a shard map has no bytes of its own; an archive of npz weights is tested in test_refused_archives
    with kwload.open(path) as file:
        assert set(file) == set(expected)
        rows = []
        for row, tensor in enumerate(file.tensors):
            value = expected[tensor.path]
            if isinstance(value, h5py.Empty) or np.asarray(value).dtype == object:
                # A null dataspace has a type and no values; text is no array of numbers. Both are listed and named.
                with pytest.raises(kwload.WeightsFileError, match=r"null dataspace|variable-length text"):
                    file[tensor.path]
                continue
            rows.append(row)
            assert file[tensor.path].shape == tensor.shape == np.shape(value)
            assert file[tensor.path].tobytes() == np.asarray(value).tobytes(), tensor.path
        for row, array in zip(rows, file.core.fetch(rows), strict=True):
            assert array.tobytes() == np.asarray(expected[file.tensors[row].path]).tobytes()
            assert array.ctypes.data % 64 == 0 or array.nbytes == 0


def test_a_shard_map_opens_as_one_file(corpus: Path) -> None:
    with kwload.open(corpus / "keras-made" / "k3_shard.weights.json") as file:
        shard = corpus / "keras-made" / "k3_shard_00000.weights.h5"
        expected = by_h5py(shard)
        assert {name: array.tobytes() for name, array in file.items()} == {
            name: array.tobytes() for name, array in expected.items()
        }
        assert {tensor.file for tensor in file.tensors} == {str(shard)}


def test_an_archive_with_npz_weights_is_named(corpus: Path) -> None:
    with pytest.raises(kwload.WeightsFileError, match="npz"):
        kwload.open(corpus / "keras-made" / "k3_npz.keras")


@pytest.mark.skipif(not ALL, reason="THE CORPUS IS ABSENT")
def test_the_verdict_on_each_malformed_file() -> None:
    """An audit names what is wrong; what is called sound is sound in all that a reader of weights looks at."""
    rows = [line.split("\t") for line in (Path(__file__).parent / "malformed.tsv").read_text().splitlines()[1:]]
    paths = corpus_files("hdf5-malformed")
    assert {path.name for path in paths} == {name for name, _ in rows}
    expected, found = dict(rows), {}
    for path in paths:
        try:
            file = _core.File(os.fsencode(path), audit=True)
            codes = {fault[0] for fault in file.faults} | {t.fault[0] for t in file.tensors if t.fault}
        except _core.CoreError as error:
            codes = {error.code}
        found[path.name] = " ".join(map(str, sorted(codes - {608}))) or "sound"
    assert found == expected


# Runs in a child, so that a crash is one failed test and its peak memory can be told.
LIST_ONE = """
import resource, sys, time
from kwload import _core
import os
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for line in sys.stdin:
    path = line.rstrip("\\n")
    start = time.perf_counter()
    try:
        file = _core.File(os.fsencode(path))
        count = len([(t.path, t.shape, t.dtype, t.offset, t.fault) for t in file.tensors])
    except _core.CoreError as error:
        count = -error.code
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(path, count, time.perf_counter() - start, (peak - before) * 1024, sep="\\t", flush=True)
"""


@pytest.mark.skipif(not ALL, reason="THE CORPUS IS ABSENT")
def test_no_file_of_the_corpus_crashes_hangs_or_swells() -> None:
    names = [str(path) for path in ALL]
    child = subprocess.run(
        [sys.executable, "-c", LIST_ONE],
        check=False,
        input="\n".join(names),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    rows = [line.split("\t") for line in child.stdout.splitlines()]
    assert [row[0] for row in rows] == names
    assert {row[0]: row[2] for row in rows if float(row[2]) > 2} == {}
    # The peak never falls, so it is the largest of the files so far that bounds it.
    largest = 0
    for row in rows:
        largest = max(largest, Path(row[0]).stat().st_size)
        assert int(row[3]) <= largest + (16 << 20), row
