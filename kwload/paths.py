"""Paths as users give them: as text, by the end of their names, and what lies beside them. Nothing here raises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import Final, Literal, TypeAlias

Suffix: TypeAlias = Literal["keras", "weights.h5", "weights.json", "h5", "other"]
AnyPath: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"

_MOST_NAMES: Final = 4096
_SUFFIXES: Final[tuple[tuple[str, Suffix], ...]] = (
    (".keras", "keras"),
    (".weights.h5", "weights.h5"),
    (".weights.json", "weights.json"),
    (".h5", "h5"),
    (".hdf5", "h5"),
)


def text_of(path: AnyPath) -> str:
    """The path as text; bytes that are not UTF-8 become surrogates, as everywhere in Python."""
    return os.fsdecode(path)


def suffix_of(path: AnyPath) -> Suffix:
    """Which of Keras's loaders the name selects (keras.src.saving.saving_api.load_weights): ``"weights.h5"`` alone is
    the older format, ``"x.weights.h5"`` the newer one."""
    name = text_of(path)
    return next((suffix for ending, suffix in _SUFFIXES if name.endswith(ending)), "other")


def scan(folder: str) -> Iterator[os.DirEntry[str]]:
    """The first entries of a folder; nothing when it cannot be read."""
    try:
        with os.scandir(folder or ".") as entries:
            yield from islice(entries, _MOST_NAMES)
    except (OSError, ValueError):
        return


def exists(path: str) -> bool:
    try:
        os.stat(path)
    except (OSError, ValueError):
        return False
    return True


def nearest_names(path: str) -> list[str]:
    """Up to three names in the folder of *path* that are most like it, as paths."""
    from kwload import _core

    folder, name = os.path.split(path)
    if not name.isprintable():
        return []
    names = [item.name for item in scan(folder) if item.name.isprintable()]
    return [os.path.join(folder, found) for found in _core.nearest(name, sorted(names), 3)]
