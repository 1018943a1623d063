"""What libhdf5, through h5py, finds in HDF5 files: the lines of ``tests/c/dump.c``.

``python tests/hdf5_oracle.py FILE...`` runs in a process of its own, which a damaged file may end.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

_NAMES = {"complex64", "complex128", "bool"} | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
_NAMES |= {"float16", "float32", "float64"}
_DATA_MAX = 64 << 20


def word(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return "".join(chr(c) if 0x20 < c < 0x7F and c != 0x25 else f"%{c:02x}" for c in raw) or "%"


def dtype_name(dtype: Any) -> str:
    if dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None and dtype.subdtype is None:
        return "bfloat16"
    if dtype.metadata is not None or dtype.subdtype is not None or dtype.names is not None:
        return "other"
    return dtype.name if dtype.name in _NAMES else "other"


def attributes(obj: Any, path: str) -> Iterator[str]:
    count = h5py.h5a.get_num_attrs(obj.id)
    for index in range(count):
        attr = h5py.h5a.open(obj.id, index=index)
        name = attr.name
        head = f"attr {word(path)} {word(name)}"
        try:
            yield f"{head} {value_of(attr)}"
        except Exception as error:  # noqa: BLE001 (whatever libhdf5 says)
            yield f"{head} fault {type(error).__name__}"


def value_of(attr: Any) -> str:
    space, kind = attr.get_space(), attr.get_type()
    if space.get_simple_extent_type() == h5py.h5s.NULL:
        return "empty scalar 0"
    scalar = space.get_simple_extent_type() == h5py.h5s.SCALAR
    shape = attr.shape
    count = int(np.prod(shape, dtype="u8"))
    form = "scalar" if scalar else "list"
    if count == 0:
        return f"empty {form} 0"
    if isinstance(kind, h5py.h5t.TypeStringID):
        if kind.is_variable_str():
            out = np.empty(shape, dtype=h5py.string_dtype())
            attr.read(out)
            texts = [item if isinstance(item, bytes) else str(item or "").encode() for item in out.reshape(-1)]
        else:
            out = np.empty(shape, dtype=f"S{kind.get_size()}")
            attr.read(out)
            texts = list(out.reshape(-1))
        return " ".join(["text", form, str(count), *map(word, texts)])
    whole = isinstance(kind, h5py.h5t.TypeIntegerID | h5py.h5t.TypeBitfieldID) or kind.dtype == np.dtype(bool)
    simple = whole or isinstance(kind, h5py.h5t.TypeFloatID)
    if simple and kind.get_size() <= 8:
        out = np.empty(shape, dtype=kind.dtype)
        attr.read(out)
        first = out.reshape(-1)[0]
        if whole:
            return f"int {form} {count} {int(np.int64(np.uint64(int(first) % 2**64)))}"
        return f"float {form} {count} {float(first):.17g}"
    return f"other {form} {count}"


def data(dataset: Any, path: str) -> str:
    head = f"data {word(path)}"
    plist, shape = dataset.id.get_create_plist(), dataset.id.shape
    if plist.get_external_count():
        return f"{head} fault KW602"
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        return f"{head} fault KW603"
    name = dtype_name(dataset.dtype)
    null = dataset.id.get_space().get_simple_extent_type() == h5py.h5s.NULL
    if null:
        return f"{head} other 0"
    text = f"{head} {name} {len(shape or ())}{''.join(f' {axis}' for axis in shape or ())}"
    if name == "other":
        return text
    if dataset.id.get_space().get_simple_extent_npoints() * dataset.dtype.itemsize > _DATA_MAX:
        return text
    values = dataset[()]
    native = np.asarray(values).astype(dataset.dtype.newbyteorder("="), copy=False)
    return f"{text} crc {zlib.crc32(native.tobytes()):08x}"


def walk(file: Any) -> Iterator[str]:
    seen: set[Any] = set()
    yield "node % group"
    yield from attributes(file["/"], "")
    seen.add(h5py.h5o.get_info(file.id).addr)

    def children(group: Any, path: str) -> Iterator[str]:
        for name in list_links(group):
            child = f"{path}/{name}" if path else name
            raw = name.encode("utf-8", "surrogateescape")
            info = group.id.links.get_info(raw)
            if info.type == h5py.h5l.TYPE_SOFT:
                yield f"node {word(child)} soft {word(group.id.links.get_val(raw))}"
                continue
            if info.type == h5py.h5l.TYPE_EXTERNAL:
                target = group.id.links.get_val(raw)
                yield f"node {word(child)} external {word(target[0] + b':' + target[1])}"
                continue
            if info.type != h5py.h5l.TYPE_HARD:
                yield f"node {word(child)} user-defined"
                continue
            try:
                opened = h5py.h5o.open(group.id, raw)
            except Exception as error:  # noqa: BLE001
                yield f"node {word(child)} fault {type(error).__name__}"
                continue
            address = h5py.h5o.get_info(opened).addr
            if address in seen:
                yield f"node {word(child)} alias"
                continue
            seen.add(address)
            obj = wrapped(opened)
            kind = "group" if isinstance(obj, h5py.Group) else "dataset" if isinstance(obj, h5py.Dataset) else "type"
            yield f"node {word(child)} {kind}"
            yield from attributes(obj, child)
            if kind == "dataset":
                try:
                    yield data(obj, child)
                except Exception as error:  # noqa: BLE001
                    yield f"data {word(child)} fault {type(error).__name__}"
            elif kind == "group":
                yield from children(obj, child)

    yield from children(file, "")


def wrapped(opened: Any) -> Any:
    if isinstance(opened, h5py.h5g.GroupID):
        return h5py.Group(opened)
    if isinstance(opened, h5py.h5d.DatasetID):
        return h5py.Dataset(opened)
    return h5py.Datatype(opened)


def list_links(group: Any) -> list[str]:
    names: list[str] = []
    group.id.links.iterate(lambda name: names.append(name.decode("utf-8", "surrogateescape")), order=h5py.h5.ITER_INC)
    return names


def main() -> None:
    sys.setrecursionlimit(100_000)
    for path in sys.argv[1:]:
        print(f"file {path}", flush=True)  # noqa: T201
        try:
            with h5py.File(path, "r") as file:
                for line in walk(file):
                    print(line)  # noqa: T201
        except Exception as error:  # noqa: BLE001
            print(f"fault {type(error).__name__}")  # noqa: T201


if __name__ == "__main__":
    main()
