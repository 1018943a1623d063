"""The rooms of csrc: who may include whom, as csrc/README.md says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).parent.parent / "csrc"
SEES = {
    "base": {"base"},
    "read": {"base", "read"},
    "plan": {"base", "plan"},
    "value": {"base", "value"},
    "python": {"base", "read", "plan", "value", "python"},
}
# A header of a library, and the only files that may include it.
HOMES = {
    "Python.h": {"python/kwload_py.h"},
    "structmember.h": {"python/py_plan.c", "python/py_tensor.c"},
    "numpy/arrayobject.h": {"python/py_array.c"},
    "hdf5.h": {"read/libhdf5.c"},
    "libdeflate.h": {"base/crc.c", "read/inflate.c"},
    "xxhash.h": {"value/digest.c"},
}
FILES = sorted(path.relative_to(CSRC).as_posix() for path in CSRC.rglob("*.[ch]"))


def includes(file: str, marks: str) -> list[str]:
    opening, closing = marks
    pattern = rf"^\s*#\s*include\s*{re.escape(opening)}([^{closing}]+){re.escape(closing)}"
    return re.findall(pattern, (CSRC / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("file", FILES)
def test_a_room_includes_only_what_it_may_see(file: str) -> None:
    room = file.split("/", maxsplit=1)[0]
    for header in includes(file, '""'):
        assert (CSRC / header).is_file(), f"{header} is not a path from csrc/"
        assert header.split("/")[0] in SEES[room]


@pytest.mark.parametrize("file", FILES)
def test_headers_of_libraries_live_in_their_one_file(file: str) -> None:
    for header in includes(file, "<>"):
        assert file in HOMES.get(header, {file})
        assert not header.startswith(("numpy/", "H5")) or header in HOMES


def test_every_home_is_lived_in() -> None:
    used = {(header, file) for file in FILES for header in includes(file, "<>")}
    assert {(header, file) for header, files in HOMES.items() for file in files} <= used
