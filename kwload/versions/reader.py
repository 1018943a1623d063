"""The Keras that a question is about: the one that is installed, or one that the caller names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Version = tuple[int, int, int]

NEWEST: Final[Version] = (3, 15, 1)
NEWEST_2: Final[Version] = (2, 21, 0)
"""The last releases whose classes are known here (``classes.txt``)."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A Keras by its line and release.

    Attributes
    ----------
    flavour : {"keras", "tf_keras"}
        ``"keras"`` is Keras 3; ``"tf_keras"`` is Keras 2 under any name: ``tf.keras``, ``tf_keras``, standalone.
    version : tuple of int
        ``(3, 15, 1)``.
    """

    flavour: str
    version: Version

    @property
    def name(self) -> str:
        """``"Keras 3.15.1"``, ``"tf_keras 2.21.0"``, ``"Keras 2.12.0"``."""
        package = "tf_keras" if self.flavour == "tf_keras" and self.version >= (2, 16, 0) else "Keras"
        return f"{package} {'.'.join(map(str, self.version))}"

    @property
    def is_3(self) -> bool:
        return self.flavour == "keras"

    @property
    def is_newer_than_known(self) -> bool:
        """Whether it was released after what is known here was collected."""
        return self.version[:2] > (NEWEST if self.is_3 else NEWEST_2)[:2]


def parse(text: str) -> Reader:
    """The release that :func:`kwload.spec.other.parse` understands: what is left out of a version means the newest that
    is known here.

    Raises
    ------
    ValueError
        The text names no Keras.
    """
    from kwload.spec import other

    asked = other.parse(text)
    return Reader("keras" if asked.flavour == "keras" else "tf_keras", complete(asked.exact))


def complete(parts: tuple[int, ...]) -> Version:
    """The release that a short version means: the newest one that begins so."""
    if len(parts) < 3:
        from kwload.versions import classes

        begun = [release for release in classes.releases() if release[: len(parts)] == parts]
        if begun:
            return max(begun)
    return (parts[0], parts[1] if len(parts) > 1 else 0, parts[2] if len(parts) > 2 else 0)


def installed(writer: Callable[[], str | None] | None = None) -> Reader:
    """The Keras of this process: the one that is imported, else the one that is installed, else the newest known.

    Nothing is imported: versions come from modules that are there already, and from the metadata of distributions.

    Parameters
    ----------
    writer : callable, optional
        Asked when both are imported, as ``import tf_keras`` does: the package of the line that wrote the file, None
        when nothing tells.
    """
    imported = {}
    for name in ("keras", "tf_keras"):
        module = sys.modules.get(name)
        version = getattr(module, "__version__", None)
        if isinstance(version, str) and (found := _reader(version)) is not None:
            imported[name] = found
    if len(imported) == 2 and writer is not None and (written := writer()) is not None:
        return imported[written]
    if imported:
        return next(iter(imported.values()))
    import importlib.metadata  # as slow as the rest of a check

    for name in ("keras", "tf_keras"):
        try:
            found = _reader(importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            continue
        if found is not None:
            return found
    return Reader("keras", NEWEST)


def _reader(version: str) -> Reader | None:
    """By ``__version__``: ``"3.16.0.dev1"``, ``"2.2.4-tf"``."""
    from kwload.versions import writer

    found = writer.number(version)
    return Reader("keras" if found[0] == 3 else "tf_keras", found) if found is not None and 1 <= found[0] <= 3 else None
