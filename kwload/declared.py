"""Signatures that a project declares in its ``pyproject.toml``, for the command and the pytest plugin::

    [tool.kwload]
    signatures = ["mynet.kwload_signatures"]

Each is a module of the project, imported with the folder of that file on the import path; what it registers with
:func:`kwload.signature` and :func:`kwload.register` is known from then on. The file is the one in the current directory
or the nearest above it: nothing is ever taken from beside a weight file, and ``import kwload`` reads none.
"""

from __future__ import annotations

import importlib
import os
import tomllib
import traceback
from pathlib import Path
from typing import Any

from kwload.modelref import importing_from


class DeclarationError(Exception):
    """What a project declares is malformed or cannot be imported; the message names the file and the entry."""


def nearest(folder: str | os.PathLike[str] | None = None) -> Path | None:
    """The ``pyproject.toml`` in a folder, by default the current directory, or in the nearest one above it."""
    start = Path.cwd() if folder is None else Path(folder).absolute()
    return next((path for each in (start, *start.parents) if (path := each / "pyproject.toml").is_file()), None)


def load(path: Path) -> list[str]:
    """Import what a ``pyproject.toml`` declares.

    Returns
    -------
    list of str
        The modules; none when it declares none.

    Raises
    ------
    DeclarationError
        The table is not what it should be, or a module cannot be imported.
    """
    modules = _modules(path)
    with importing_from(os.fspath(path.parent)):
        for name in modules:
            _import(path, name)
    return modules


def _modules(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            document: dict[str, Any] = tomllib.load(file)
    except (OSError, ValueError) as error:
        raise DeclarationError(f"{path}: {error}") from None
    tool = document.get("tool")
    table = tool.get("kwload") if isinstance(tool, dict) else None
    declared = table.get("signatures", []) if isinstance(table, dict) else []
    names = [declared] if isinstance(declared, str) else declared
    if not isinstance(names, list) or not all(isinstance(name, str) and _is_module(name) for name in names):
        raise DeclarationError(
            f'{path}: [tool.kwload] signatures is a list of modules, such as ["mynet.kwload_signatures"]'
        )
    return names


def _is_module(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _import(path: Path, name: str) -> None:
    where = f"{path}: [tool.kwload] signatures: {name!r}"
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise DeclarationError(f"{where}: there is no module {error.name!r}") from None
        raise DeclarationError(f"{where}: {_said(error)}") from error
    except (Exception, SystemExit) as error:
        raise DeclarationError(f"{where}: {_said(error)}") from error


def _said(error: BaseException) -> str:
    """What the user's module raised, and where."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    file, line = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (None, None)
    if file is None and frames:
        file, line = frames[-1].filename, frames[-1].lineno
    said = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {said}" + (f" ({file}, line {line})" if file else "")
