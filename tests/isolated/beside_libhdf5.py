"""The libhdf5 that kwload itself is linked to, used by somebody else in the process, as an h5py does that was built
against it: open objects, settings and the error stack are as they were after kwload has called it."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

import numpy as np

import kwload
from kwload import _core

REPORTED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_void_p)
EVERYTHING, DEFAULT = 0x1F, 0


def library() -> ctypes.CDLL:
    """The library that is mapped already."""
    assert _core.CODES
    maps = Path("/proc/self/maps").read_text()
    found = sorted(set(re.findall(r"/\S*libhdf5[^/\s]*\.so\S*", maps)))
    if len(found) != 1:
        print("no shared libhdf5 of its own", found)
        sys.exit(0)
    lib = ctypes.CDLL(found[0])
    for name in ("H5Fopen", "H5Dopen2", "H5Fget_obj_count", "H5Eget_num"):
        getattr(lib, name).restype = ctypes.c_int64
    return lib


def state(lib: ctypes.CDLL) -> dict[str, object]:
    """What a call of kwload must leave as it is."""
    report, data, plugins = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint()
    assert lib.H5Eget_auto2(ctypes.c_int64(DEFAULT), ctypes.byref(report), ctypes.byref(data)) >= 0
    assert lib.H5PLget_loading_state(ctypes.byref(plugins)) >= 0
    return {
        "report": report.value,
        "data": data.value,
        "plugins": plugins.value,
        "objects": lib.H5Fget_obj_count(ctypes.c_int64(EVERYTHING), ctypes.c_uint(EVERYTHING)),
    }


def main(path: str) -> None:
    """Ends with an exception where anything is not as it should be."""
    lib = library()
    assert lib.H5open() >= 0
    reported: list[int] = []
    callback = REPORTED(lambda stack, data: reported.append(1) or 0)
    assert lib.H5Eset_auto2(ctypes.c_int64(DEFAULT), callback, ctypes.c_void_p(0x1234)) >= 0
    assert lib.H5PLset_loading_state(ctypes.c_uint(0b10)) >= 0
    held = lib.H5Fopen(path.encode(), ctypes.c_uint(0), ctypes.c_int64(DEFAULT))
    dataset = lib.H5Dopen2(ctypes.c_int64(held), b"scaled", ctypes.c_int64(DEFAULT))
    assert held > 0 and dataset > 0
    before = state(lib)
    assert before["data"] == 0x1234 and before["plugins"] == 0b10 and before["objects"] == 2
    with kwload.open(path) as file:
        values = np.array(file["scaled"])
        damaged = Path(path).with_name("damaged.h5")
        if damaged.is_file():
            with kwload.open(damaged) as other:
                try:
                    np.asarray(other["scaled"])
                except OSError:
                    pass
                else:
                    raise AssertionError("libhdf5 read what is damaged")
    assert state(lib) == before, (state(lib), before)
    assert reported == [], "libhdf5's errors were shown to somebody else"
    assert lib.H5Eget_num(ctypes.c_int64(DEFAULT)) == 0
    again = np.empty_like(values)
    native = ctypes.c_int64.in_dll(lib, "H5T_NATIVE_INT_g")
    every = ctypes.c_int64(DEFAULT)
    read = lib.H5Dread(ctypes.c_int64(dataset), native, every, every, every, ctypes.c_void_p(again.ctypes.data))
    assert read >= 0 and (again == values).all()
    assert lib.H5Dopen2(ctypes.c_int64(held), b"absent", ctypes.c_int64(DEFAULT)) < 0 and reported == [1]


if __name__ == "__main__":
    main(sys.argv[1])
