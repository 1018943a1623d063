"""Who else is writing to a file.

libhdf5 locks a file that it opens (``flock``: shared for reading, exclusive for writing), so another process that
opens it meanwhile, Keras's ``load_weights`` among them, fails with ``BlockingIOError``. kwload takes no lock and is
stopped by none; it looks at the list that Linux keeps of them. Elsewhere, and on file systems that keep their locks
to themselves, nothing is known.
"""

from __future__ import annotations

import os
from typing import Final

_LOCKS: Final = "/proc/locks"
_OFF: Final = frozenset({"FALSE", "0"})


def writer_of(path: bytes | str, locks: str = _LOCKS) -> int | None:
    """The process that holds an exclusive lock on the file, when it is not this one and the system says so.

    Parameters
    ----------
    path : bytes or str
        The file.
    locks : str
        The list of locks, in the format of proc(5): ``1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF``.
    """
    try:
        with open(locks, encoding="ascii", errors="replace") as listed:
            lines = [line.split() for line in listed]
        found = os.stat(path) if lines else None
    except (OSError, ValueError):
        return None
    if found is None:
        return None
    node = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in lines:
        if len(line) < 6 or line[3] != "WRITE" or line[1] not in ("FLOCK", "OFDLCK", "POSIX"):
            continue
        if line[5] == node and line[4].isdecimal() and 0 < int(line[4]) != os.getpid():
            return int(line[4])
    return None


def hdf5_locks() -> bool:
    """Whether libhdf5 locks what it opens, as the environment has it (``HDF5_USE_FILE_LOCKING``)."""
    return os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() not in _OFF
