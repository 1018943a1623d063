"""Which modules are of the same project as a class: those whose code counts.

    installed         the package of the class, and nothing else:    einops/...
    a folder of code  what lies in it and below, not installed:      train.py  helpers.py  mynet/layers.py
    a notebook        what is not installed, wherever it lies

Never Keras, another framework or the standard library. What is of an installed package has a version and is listed; of
what is neither installed nor of the project it is said that it was not followed.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import PurePath
from types import ModuleType
from typing import Any, Final

from kwload.stamps.objects import is_users, package_of

_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_FOLDERS: Final = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib")})


def is_installed(space: Mapping[str, Any]) -> bool:
    """Whether a module comes from an installed package."""
    file = space.get("__file__")
    return isinstance(file, str) and _is_installed(os.path.abspath(file))


def version_of(space: Mapping[str, Any]) -> str:
    """``" 0.8.1"`` of the package that a module is of; empty when it does not say."""
    package = sys.modules.get(package_of(space.get("__name__", "")))
    version = vars(package).get("__version__") if type(package) is ModuleType else None
    return f" {version}" if type(version) is str and version.isprintable() and " " not in version else ""


def _is_installed(path: str) -> bool:
    return not _INSTALLED.isdisjoint(PurePath(path).parts) or any(path.startswith(each + os.sep) for each in _FOLDERS)


class Project:
    """The project that a module belongs to.

    Parameters
    ----------
    home : str
        Name of the module.
    """

    def __init__(self, home: str) -> None:
        self.package = package_of(home)
        self._root = _root(self.package)
        self._known: dict[tuple[str, object], bool] = {}

    def holds(self, space: Mapping[str, Any]) -> bool:
        """Whether a module, given as its names, is of the project."""
        name = str(space.get("__name__", ""))
        if package_of(name) in (self.package, "__main__"):
            return True
        file = space.get("__file__")
        if self._root is None or not isinstance(file, str) or not is_users(space):
            return False
        if (name, file) not in self._known:
            path = os.path.abspath(file)
            self._known[name, file] = path.startswith(self._root) and not _is_installed(path)
        return self._known[name, file]


def _root(package: str) -> str | None:
    """With what the paths of a project begin; None when only its package counts."""
    found = sys.modules.get(package)
    space = vars(found) if type(found) is ModuleType else {}
    file = space.get("__file__")
    if not isinstance(file, str):
        return "" if package == "__main__" else None
    path = os.path.abspath(file)
    if _is_installed(path):
        return None
    folder = os.path.dirname(path)
    return os.path.join(os.path.dirname(folder) if "__path__" in space else folder, "")
