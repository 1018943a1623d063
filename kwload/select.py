"""The options that only kwload has: which layers a call is about (``only``, ``skip``) and which file layer a model
layer takes (``mapping``). They name layers on the model's side by path (``outer/inner``) and are resolved to rows."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from kwload import _core

Mapping: TypeAlias = "dict[str, str] | tuple[str, str] | tuple[re.Pattern[str], str] | Callable[[str], str | None]"


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows for :func:`kwload._core.plan`: one byte, or one file group, for each group of the model."""

    selected: bytes | None
    mapped: list[int] | None


def layer_path(group: Sequence[Any]) -> str:
    """The path of the layer that a group of the model (a row of ``Spec``) stands for: ``outer/inner``."""
    variables = group[4]
    paths = {variable[2] for variable in variables}
    if len(paths) == 1:
        return str(paths.pop())
    return str(group[1] or group[0])


def names(patterns: str | Iterable[str]) -> list[str]:
    return [patterns] if isinstance(patterns, str) else list(patterns)


def _rows(option: str, patterns: list[str], paths: list[str]) -> set[int]:
    """Rows of the layers that the patterns name: a name, a glob, or a layer that holds others."""
    rows: set[int] = set()
    for pattern in patterns:
        hits = {
            row
            for row, path in enumerate(paths)
            if path == pattern or path.startswith(pattern + "/") or fnmatch.fnmatchcase(path, pattern)
        }
        if not hits:
            near = _core.nearest(pattern, paths)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise ValueError(f"{option}={pattern!r} matches no layer of the model{hint}")
        rows |= hits
    return rows


def _renamed(mapping: Mapping, name: str) -> str | None:
    """The model's name for a name of the file, None when the mapping does not speak of it."""
    if isinstance(mapping, dict):
        return mapping.get(name)
    if callable(mapping):
        result = mapping(name)
        return result if result != name else None
    old, new = mapping
    if isinstance(old, re.Pattern):
        result, count = old.subn(new, name)
        return result if count else None
    return new + name[len(old) :] if name.startswith(old) else None


def _check_mapping(mapping: object) -> None:
    if isinstance(mapping, dict) or callable(mapping):
        return
    if isinstance(mapping, tuple) and len(mapping) == 2 and isinstance(mapping[0], (str, re.Pattern)):
        return
    raise TypeError(
        "mapping must be a dict, a pair of prefixes, a pair of (compiled pattern, replacement), or a callable, "
        f"not {mapping!r}"
    )


def _mapped(mapping: Mapping, paths: list[str], file_names: list[str]) -> list[int]:
    """One file group for each model group, -1 where the mapping does not speak of it.

    Raises ValueError when it names a layer twice, one that is not there, or nothing at all.
    """
    rows = {path: row for row, path in reversed(list(enumerate(paths)))}
    mapped = [-1] * len(paths)
    for file_row, file_name in enumerate(file_names):
        name = _renamed(mapping, file_name)
        if name is None:
            continue
        row = rows.get(name)
        if row is None:
            if isinstance(mapping, dict):
                near = _core.nearest(name, paths)
                hint = f"; nearest: {', '.join(near)}" if near else ""
                raise ValueError(f"mapping sends {file_name!r} to {name!r}, which is no layer of the model{hint}")
            continue
        if mapped[row] >= 0:
            raise ValueError(f"mapping sends both {file_names[mapped[row]]!r} and {file_name!r} to {name!r}")
        mapped[row] = file_row
    if isinstance(mapping, dict):
        for file_name in mapping:
            if file_name not in file_names:
                near = _core.nearest(file_name, file_names)
                hint = f"; nearest: {', '.join(near)}" if near else ""
                raise ValueError(f"mapping names {file_name!r}, which is no layer of the file{hint}")
    if all(row < 0 for row in mapped):
        raise ValueError("mapping matches no layer")
    return mapped


def resolve(
    groups: Sequence[Sequence[Any]],
    file_groups: Sequence[Sequence[Any]],
    *,
    only: str | Iterable[str] | None = None,
    skip: str | Iterable[str] | None = None,
    mapping: Mapping | None = None,
) -> Selection:
    """Rows of the groups that ``only``, ``skip`` and ``mapping`` speak of.

    Parameters
    ----------
    groups : sequence
        The model's groups, as ``_core.Spec`` takes them.
    file_groups : sequence
        The file's groups, as ``_core.File.groups`` gives them.
    only, skip : str or iterable of str, optional
        Layer paths or globs; ``only`` first, then ``skip`` takes away.
    mapping : dict, pair or callable, optional
        File layer name to model layer path.

    Raises
    ------
    ValueError
        A name or glob that matches nothing, a selection that leaves nothing, a mapping that is not one-to-one or
        matches nothing.
    TypeError
        A mapping of another kind.
    """
    paths = [layer_path(group) for group in groups]
    selected: bytes | None = None
    if only is not None or skip is not None:
        rows = set(range(len(paths))) if only is None else _rows("only", names(only), paths)
        if skip is not None:
            rows -= _rows("skip", names(skip), paths)
        selected = bytes(row in rows for row in range(len(paths)))
    if selected is not None and not any(selected):
        raise ValueError("only= and skip= leave no layer of the model to load")
    mapped = None
    if mapping is not None:
        _check_mapping(mapping)
        mapped = _mapped(mapping, paths, [group[1] or group[0] for group in file_groups])
    return Selection(selected, mapped)
