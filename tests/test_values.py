"""What the core tells of values, against NumPy; and which runs of zeros it takes for lost."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_files import corpus_files

from kwload import _core
from kwload.report.finding import Lost, Values

h5py = pytest.importorskip("h5py")

FLOATS = ("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
COMPLEX = ("complex64", "complex128")
STORED = ("bool", *INTEGERS, "float16", "bfloat16", "float32", "float64", *COMPLEX)
"""Types that h5py writes so that they are known again."""

Array = np.ndarray[Any, Any]


def dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name, name))


def written(*arrays: Array, **options: Any) -> _core.File:
    """An HDF5 file in memory; bfloat16 as Keras writes it, opaque."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for number, array in enumerate(arrays):
            opaque = array.dtype == ml_dtypes.bfloat16
            file.create_dataset(f"{number:04}", data=array.view("V2") if opaque else array, **options)
    return _core.File(memoryview(memory.getvalue()))


def looked(file: _core.File, *dtypes: str, **options: Any) -> list[Values]:
    """What the core tells of each tensor, as the report has it."""
    told: list[Any] = []
    rows = range(len(file))
    file.scan(rows, dtypes or [tensor.dtype for tensor in file.tensors], told, **options)
    return [Values(*facts[:-1], Lost(*facts[-1]) if facts[-1] is not None else None) for facts in told]


# ---- facts ----------------------------------------------------------------------------------------------------------


def wide(array: Array) -> Array:
    """A float as float64, so that NumPy knows all about it."""
    with np.errstate(all="ignore"):  # signalling NaN
        return array if array.dtype.kind in "biuc" else array.astype(np.float64)


def first(mask: Array) -> int | None:
    return int(np.argmax(mask)) if mask.any() else None


def expected(array: Array) -> Values:
    flat = wide(array.reshape(-1))
    nan, inf = np.isnan(flat), np.isinf(flat)
    inf &= ~nan
    finite = flat[np.isfinite(flat)]
    low = high = None
    if finite.size and flat.dtype.kind != "c":
        low, high = finite.min().item(), finite.max().item()
    zeros = int((flat.view(flat.real.dtype) == 0).sum())
    return Values(flat.size, int(nan.sum()), first(nan), int(inf.sum()), first(inf), low, high, zeros, 0, 0, 0, None)


@st.composite
def arrays(draw: st.DrawFn, dtypes: tuple[str, ...] = STORED) -> Array:
    """Random bits with runs of the values that are special."""
    dtype = dtype_of(draw(st.sampled_from(dtypes)))
    size = draw(st.one_of(st.integers(0, 40), st.integers(1000, 70_000)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind == "b":
        return random.integers(0, 2, size).astype(bool)
    array = random.integers(0, 256, size * dtype.itemsize, np.uint8).view(dtype)
    calm = random.normal(0, draw(st.sampled_from([1e-30, 1e-6, 1, 1e6])), size)
    if draw(st.booleans()):
        with np.errstate(all="ignore"):
            array = calm.astype(dtype)
    if size and draw(st.booleans()):
        array[draw(st.integers(0, size - 1)) :][: draw(st.integers(1, 2000))] = 0
    return array


@settings(max_examples=150, deadline=None)
@given(array=arrays(), threads=st.integers(1, 3), chunks=st.sampled_from([None, "chunked", "big"]))
def test_facts_are_numpys(array: Array, threads: int, chunks: str | None) -> None:
    options: dict[str, Any] = {}
    stored = array
    if chunks == "chunked" and array.size:
        options = {"chunks": (max(1, array.size // 3),), "compression": "gzip", "compression_opts": 1}
    elif chunks == "big" and array.dtype.kind in "iufc" and array.dtype != ml_dtypes.bfloat16:
        stored = array.astype(array.dtype.newbyteorder(">"))
    file = written(stored, **options)
    (found,) = looked(file, threads=threads)
    assert found._replace(lost=None) == expected(array)
    told: list[Any] = []
    (fetched,) = file.fetch([0], dtypes=[file.tensors[0].dtype], facts=told, threads=threads)
    assert Values(*told[0])._replace(lost=None) == found._replace(lost=None)
    assert fetched.tobytes() == array.tobytes()


# ---- casts ----------------------------------------------------------------------------------------------------------


def edges(dtype: np.dtype[Any]) -> Array:
    """Values near which a cast begins to lose."""
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        near = {sign * 2**bit + step for bit in range(65) for step in (-1, 0, 1) for sign in (-1, 1)}
        return np.array(sorted(value for value in near if info.min <= value <= info.max), dtype)
    powers = np.ldexp(1.0, np.arange(-1074, 1024))
    near = np.concatenate([powers, np.nextafter(powers, 0), np.nextafter(powers, np.inf), 1.5 * powers, [0.0]])
    limits = [65504, 65519.999, 65520, 448, 464, 464.5, 57344, 61440, 2.0**128 - 2.0**103, 2.0**128 - 2.0**119]
    with np.errstate(all="ignore"):
        return np.concatenate([near, limits, -near, np.negative(limits), [np.inf, np.nan]]).astype(dtype)


def is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or dtype.name in FLOATS


def finite(array: Array) -> Array:
    return np.isfinite(wide(array))


def losses(array: Array, target: np.dtype[Any]) -> tuple[int, int, int]:
    """Overflowed, flushed, inexact: by casting each value and looking at what became of it."""
    source = array.dtype
    with np.errstate(all="ignore"):
        cast = array.astype(target)
    if source.kind == "b" or source == target:
        return 0, 0, 0
    if target.kind == "b":
        if source.kind == "c":
            return 0, 0, int((~((array.real == 0) | (array.real == 1)) | (array.imag != 0)).sum())
        kept = (wide(array) == 0) | (wide(array) == 1)
        return 0, 0, int((~kept).sum())
    if target.kind in "iu":
        info = np.iinfo(target)
        if source.kind in "iu":
            return sum(not info.min <= int(value) <= info.max for value in array), 0, 0
        numbers = wide(array)
        whole = np.trunc(numbers)
        inside = np.array([bool(np.isfinite(x)) and info.min <= int(x) <= info.max for x in whole], bool)
        return int((~inside).sum()), 0, int((inside & (whole != numbers)).sum())
    if source.kind in "iu":
        real = wide(cast.real if target.kind == "c" else cast)
        over = ~np.isfinite(real)
        moved = [not lost and int(old) != int(new) for old, new, lost in zip(array, real, over, strict=True)]
        return int(over.sum()), 0, sum(moved)
    parts = [(array.real, cast.real), (array.imag, cast.imag)] if source.kind == "c" else [(array, cast)]
    over, flushed = np.zeros(array.size, bool), np.zeros(array.size, bool)
    for old, new in parts:
        over |= finite(old) & ~finite(new)
        flushed |= finite(old) & (wide(old) != 0) & (wide(new) == 0)
    return int(over.sum()), int((flushed & ~over).sum()), 0


PAIRS = [
    (old, new)
    for old in STORED
    for new in ("bool", *INTEGERS, *FLOATS, *COMPLEX)
    if not (old in COMPLEX and new not in (*COMPLEX, "bool"))
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:Casting complex")
@pytest.mark.parametrize("old", STORED)
def test_losses_are_those_of_the_cast(old: str) -> None:
    source = dtype_of(old)
    random = np.random.default_rng(3)
    bits = random.integers(0, 256, 3000 * source.itemsize, np.uint8)
    array = bits.view(source) if source.kind != "b" else bits < 128
    if source.kind not in "bc":
        array = np.concatenate([array, edges(source)])
    elif source.kind == "c":
        array[:800].imag = 0
    file = written(array)
    for new in (new for known, new in PAIRS if known == old):
        (found,) = looked(file, new)
        assert (found.overflow, found.flushed, found.inexact) == losses(array, dtype_of(new)), new


def test_an_imaginary_part_is_dropped() -> None:
    file = written(np.array([1, 2 + 1j, 1e300, 3j], "complex128"))
    (found,) = looked(file, "float32")
    assert (found.overflow, found.flushed, found.inexact) == (1, 0, 2)


# ---- zeros ----------------------------------------------------------------------------------------------------------

RANDOM = np.random.default_rng(11)


def weights(*shape: int) -> Array:
    return RANDOM.normal(0, 0.05, shape).astype(np.float32)


def changed(array: Array, change: Callable[[Array], Any]) -> Array:
    change(array)
    return array


def put(*at: Any) -> Callable[[Array], Any]:
    def change(array: Array) -> None:
        array[at] = 0

    return change


def sines(length: int, width: int) -> Array:
    angles = np.arange(-7, length)[:, None] * 10_000.0 ** (-np.arange(width // 2) / (width // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], 1).astype(np.float32)


def meant() -> Iterator[tuple[str, Array]]:
    """Tensors whose zeros somebody made."""
    for rows, columns in ((64, 256), (300, 128), (784, 512), (90, 1000), (400, 64), (33, 300)):
        some = RANDOM.random(rows) < 0.25
        few = RANDOM.random(columns) < 0.25
        half = slice(columns // 3, columns // 2 + columns // 3)
        shape = (rows, columns)
        for share in (0.02, 0.5, 0.9):
            yield f"pruned {share}", weights(*shape) * (RANDOM.random(shape) > share)
        yield "pruned rows", changed(weights(*shape), put(some))
        yield "pruned columns", changed(weights(*shape), put(slice(None), few))
        yield "one row", changed(weights(*shape), put(rows // 3))
        yield "padding", changed(weights(*shape), put(0))
        yield "larger vocabulary", changed(weights(*shape), put(slice(-(rows // 5), None)))
        yield "more classes", changed(weights(*shape), put(slice(None), slice(-(columns // 4), None)))
        yield "gate", changed(weights(*shape), put(slice(None), half))
        yield "framed", np.pad(weights(*shape), ((5, 5), (70, 66)))
        yield "identity", np.eye(columns, dtype=np.float32)
        yield "orthogonal", np.linalg.qr(RANDOM.normal(size=(columns, columns)))[0].astype(np.float32)
        yield "triangle", np.tril(weights(columns, columns))
        yield "mask", (RANDOM.random(shape) > 0.5).astype(np.float32)
        yield "causal mask", np.tril(np.ones((columns, columns), np.float32))
        yield "rectified", np.maximum(weights(*shape), 0)
        yield "zeros", np.zeros(shape, np.float32)
        yield "int8", RANDOM.integers(-127, 128, shape).astype(np.int8)
        yield "one hot", np.eye(columns, dtype=np.float32)[RANDOM.integers(0, columns, rows)]
    for units in (128, 300, 512, 777):
        for gates, gate in ((3, 1), (4, 0), (4, 2), (4, 3)):
            yield "bias of a gate", changed(weights(gates * units), put(slice(gate * units, (gate + 1) * units)))
        fresh = np.zeros(4 * units, np.float32)
        fresh[units : 2 * units] = 1
        yield "fresh bias of an LSTM", fresh
    yield "sines | cosines", sines(100, 512)
    yield "centre of a kernel", changed(weights(3, 3, 64, 130), lambda a: a.__setitem__(np.arange(3) != 1, 0))
    yield "masked kernel", changed(weights(5, 5, 32, 64), lambda a: (put(slice(3, None))(a), put(2, slice(3, 5))(a)))
    yield "channels", changed(weights(3, 3, 64, 130), put(slice(None), slice(None), slice(5, 9)))
    yield "heads", changed(weights(64, 12, 64), put(slice(None), slice(3, 5)))


def test_zeros_that_are_meant_are_not_lost() -> None:
    names, tensors = zip(*meant(), strict=True)
    found = looked(written(*tensors))
    assert [(name, seen.lost) for name, seen in zip(names, found, strict=True) if seen.lost is not None] == []


@pytest.mark.parametrize(
    "shape", [(784, 128), (64, 100), (300, 300), (2048, 64), (100, 2048), (3, 3, 64, 96), (40_000,)]
)
def test_a_block_of_the_file_that_is_lost_is_found(shape: tuple[int, ...]) -> None:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file["before"], file["kernel"], file["after"] = weights(37), weights(*shape), weights(50)
        begin = file["kernel"].id.get_offset()
        end = begin + file["kernel"].id.get_storage_size()
    sound = memory.getvalue()
    for block in (512, 4096):
        for at in range(-(-begin // block) * block, end - block, max(block, (end - begin) // 7 // block * block)):
            damaged = bytearray(sound)
            damaged[at : at + block] = bytes(block)
            core = _core.File(memoryview(bytes(damaged)))
            (lost,) = (seen.lost for seen in looked(core) if seen.lost is not None)
            assert (at - lost.offset) in range(8)
            assert lost.nbytes in range(block, block + 16)


def test_a_block_that_crosses_two_tensors_is_found_in_both() -> None:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for name, rows, columns in (("a", 200, 100), ("b", 100, 60)):
            file.create_dataset(name, (rows, columns), "float32")
        file["a"][...], file["b"][...] = weights(200, 100), weights(100, 60)
        meet = file["b"].id.get_offset()
        assert file["a"].id.get_offset() + 80_000 == meet
    damaged = bytearray(memory.getvalue())
    damaged[meet - 300 : meet + 260] = bytes(560)
    found = [seen.lost for seen in looked(_core.File(memoryview(bytes(damaged))))]
    assert [(lost.first, lost.size) if lost is not None else None for lost in found] == [(19_925, 75), (0, 65)]


def test_no_real_file_has_lost_anything(corpus: Path) -> None:
    found = []
    for path in corpus_files("keras-real", "keras-made", "keras-by-version"):
        try:
            file = _core.File(str(path).encode())
            found += [(path.name, seen) for seen in looked_leniently(file) if seen.lost is not None]
        except _core.CoreError:
            continue  # damaged on purpose
    assert found == []


def looked_leniently(file: _core.File) -> list[Values]:
    told: list[Any] = []
    file.scan(range(len(file)), [tensor.dtype for tensor in file.tensors], told)
    return [Values(*facts[:-1], facts[-1]) for facts in told if facts is not None]
