"""kwload.open: the mapping of arrays, from paths, bytes and file objects."""

from __future__ import annotations

import gc
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import kwload
from kwload import _core

h5py = pytest.importorskip("h5py")

KERNEL = np.arange(12, dtype="float32").reshape(3, 4)
BIAS = np.arange(4, dtype="float16")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "gewichte-ü-重み.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "encoder"
        group["0"] = KERNEL
        group["1"] = BIAS
        file.create_group("vars")
    return path


def test_arrays_are_read_only_views_of_the_file(weights: Path) -> None:
    with kwload.open(weights) as file:
        array = file["layers/dense/vars/0"]
        assert np.array_equal(array, KERNEL)
        assert not array.flags.writeable
        assert not array.flags.owndata
        assert list(file) == ["layers/dense/vars/0", "layers/dense/vars/1"]
        assert "layers/dense/vars/1" in file
        assert "layers/dense" not in file
        assert len(file) == 2


def test_a_tensor_says_where_its_bytes_are(weights: Path) -> None:
    with kwload.open(weights) as file:
        kernel = file.tensors[0]
        assert (kernel.path, kernel.layer, kernel.variable) == ("layers/dense/vars/0", "encoder", "0")
        assert (kernel.shape, kernel.dtype, kernel.nbytes, kernel.storage) == ((3, 4), "float32", 48, "contiguous")
        assert kernel.file == str(weights)
        assert kernel.fault is None
        assert weights.read_bytes()[kernel.offset : kernel.offset + 48] == KERNEL.tobytes()


@pytest.mark.parametrize("kind", ["str", "bytes", "PathLike", "contents", "memoryview", "file object"])
def test_what_can_be_opened(weights: Path, kind: str) -> None:
    source = {
        "str": lambda: str(weights),
        "bytes": lambda: os.fsencode(weights),
        "PathLike": lambda: weights,
        "contents": weights.read_bytes,
        "memoryview": lambda: memoryview(weights.read_bytes()),
        "file object": lambda: io.BytesIO(weights.read_bytes()),
    }[kind]()
    with kwload.open(source) as file:
        assert np.array_equal(file["layers/dense/vars/0"], KERNEL)


def test_what_cannot_be_opened(weights: Path) -> None:
    with pytest.raises(TypeError, match="int"):
        kwload.open(3)
    with open(weights, encoding="latin-1") as text, pytest.raises(TypeError, match="mode 'rb'"):
        kwload.open(text)
    with pytest.raises(TypeError, match="contiguous"):
        kwload.open(np.frombuffer(weights.read_bytes(), "uint8")[::2])


def test_a_file_object_is_read_from_its_beginning_and_put_back(weights: Path) -> None:
    with open(weights, "rb") as stream:
        stream.seek(100)
        for _ in range(2):
            assert len(kwload.open(stream)) == 2
            assert stream.tell() == 100


def test_an_array_outlives_the_file(weights: Path) -> None:
    file = kwload.open(weights)
    array = file["layers/dense/vars/0"]
    file.close()
    del file
    gc.collect()
    assert np.array_equal(array, KERNEL)


def test_a_closed_file_says_so(weights: Path) -> None:
    file = kwload.open(weights)
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file["layers/dense/vars/0"]


def test_views_of_contents_are_views_of_that_memory(weights: Path) -> None:
    contents = bytearray(weights.read_bytes())
    with kwload.open(contents) as file:
        array = file["layers/dense/vars/0"]
        contents[file.tensors[0].offset : file.tensors[0].offset + 4] = np.float32(77).tobytes()
        assert array[0, 0] == 77


def test_a_stored_member_of_an_archive_is_used_in_place(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
            archive.writestr("config.json", '{"class_name": "Sequential", "config": {}}')
            archive.writestr("model.weights.h5", weights.read_bytes())
        with kwload.open(path) as file:
            assert np.array_equal(file["layers/dense/vars/0"], KERNEL)
            assert file.architecture == {"class_name": "Sequential", "config": {}}
            assert file.metadata["keras_version"] == "3.15.1"
            offset = file.tensors[0].offset
            if method == zipfile.ZIP_STORED:
                assert path.read_bytes()[offset : offset + 48] == KERNEL.tobytes()
            else:
                assert offset is None


def test_a_file_pickles_by_its_path(weights: Path) -> None:
    with kwload.open(weights) as file:
        again = pickle.loads(pickle.dumps(file))
    assert np.array_equal(again["layers/dense/vars/0"], KERNEL)
    with pytest.raises(TypeError, match="memory"):
        pickle.dumps(kwload.open(weights.read_bytes()))


def test_a_missing_key_names_the_nearest(weights: Path) -> None:
    with kwload.open(weights) as file, pytest.raises(KeyError, match="layers/dense/vars/0"):
        file["layers/dense/var/0"]


def test_special_types(tmp_path: Path) -> None:
    path = tmp_path / "types.h5"
    half = np.array([1, 2.5], dtype="float32").view("uint32") >> 16
    with h5py.File(path, "w") as file:
        file["bool"] = np.array([True, False])
        file["big"] = np.array([1.5, 2.5], dtype=">f4")
        file["empty"] = np.zeros((0, 3), dtype="float32")
        file["scalar"] = np.float64(3)
        file["complex"] = np.array([1 + 2j], dtype="complex64")
        file.create_dataset("bf16", data=half.astype("<u2").view("V2"))
        file.create_dataset(
            "chunked", data=np.arange(100, dtype="int32"), chunks=(7,), compression="gzip", shuffle=True
        )
        file.create_dataset("never", shape=(5,), dtype="int16", fillvalue=7)
    with kwload.open(path) as file:
        assert file.format == "hdf5"
        assert file["bool"].tolist() == [True, False]
        assert file["big"].tolist() == [1.5, 2.5]
        assert file["empty"].shape == (0, 3)
        assert file["scalar"].shape == () and file["scalar"] == 3
        assert file["complex"].tolist() == [1 + 2j]
        assert file["bf16"].dtype.name == "bfloat16" and file["bf16"].tolist() == [1, 2.5]
        assert file["chunked"].tolist() == list(range(100))
        assert file["never"].tolist() == [7] * 5
        assert not file["chunked"].flags.writeable


def test_opening_takes_no_lock_and_needs_no_write_permission(weights: Path) -> None:
    weights.chmod(0o444)
    with h5py.File(weights, "r"), kwload.open(weights) as file:
        assert len(file) == 2


def test_importing_kwload_imports_nothing_heavy() -> None:
    heavy = {"keras", "tensorflow", "rich", "h5py", "click", "ml_dtypes"}
    script = f"import sys, kwload; kwload.open; print({heavy} & set(sys.modules))"
    child = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert child.stdout.strip() == "set()"


def test_reading_by_callback(weights: Path) -> None:
    contents = weights.read_bytes()
    calls = []

    def pread(offset: int, length: int) -> bytes:
        calls.append((offset, length))
        return contents[offset : offset + length]

    file = _core.File((len(contents), pread))
    assert np.array_equal(file.view(0), KERNEL)
    assert [array.tobytes() for array in file.fetch([0, 1])] == [KERNEL.tobytes(), BIAS.tobytes()]


def test_the_exception_of_a_callback_is_the_one_that_comes_out(weights: Path) -> None:
    contents = weights.read_bytes()
    broken = False

    def pread(offset: int, length: int) -> bytes:
        if broken:
            raise LookupError("the network")
        return contents[offset : offset + length]

    file = _core.File((len(contents), pread))
    broken = True
    with pytest.raises(LookupError, match="the network"):
        file.view(0)


def test_a_callback_that_uses_its_own_file_is_refused(weights: Path) -> None:
    contents = weights.read_bytes()
    file: _core.File | None = None

    def pread(offset: int, length: int) -> bytes:
        if file is not None:
            file.index("layers")
        return contents[offset : offset + length]

    file = _core.File((len(contents), pread))
    with pytest.raises(RuntimeError, match="may not use that file"):
        file.view(0)
