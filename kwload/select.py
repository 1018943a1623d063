"""The options that only kwload has: which layers a call is about (``only``, ``skip``) and which file layer a model
layer takes (``mapping``). They name layers on the model's side by path (``outer/inner``) and are resolved to rows."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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


@dataclass(frozen=True, slots=True)
class _Side:
    """The groups of one side, by row and by what a mapping may call them."""

    names: list[str]
    """Layer paths of the model, recorded names of the file (else where the group is)."""
    places: list[str]
    """Paths as the layout has them: ``layers/dense_1``."""
    by_name: dict[str, int]
    by_place: dict[str, int]

    @classmethod
    def of(cls, names: Sequence[str], groups: Sequence[Sequence[Any]]) -> _Side:
        places = [str(group[0]) for group in groups]
        first = [{text: row for row, text in reversed(list(enumerate(texts)))} for texts in (names, places)]
        return cls(list(names), places, first[0], first[1])

    def row(self, name: str) -> int | None:
        row = self.by_name.get(name)
        return row if row is not None else self.by_place.get(name)

    def below(self, path: str) -> bool:
        """Whether something is below a path."""
        return any(place.startswith(f"{path}/") for place in self.places)

    def near(self, name: str) -> str:
        found = _core.nearest(name, list(dict.fromkeys([*self.names, *self.places])))
        return f"; nearest: {', '.join(found)}" if found else ""


def _target(mapping: Mapping, model: _Side, name: str, place: str) -> int | None:
    """The model's row for a group of the file, asked for by its name and then by its place.

    Raises ValueError when a dict sends it to what is not there.
    """
    for text in dict.fromkeys((name, place)):
        new = _renamed(mapping, text)
        row = model.row(new) if new is not None else None
        if row is not None:
            return row
        if new is not None and isinstance(mapping, dict) and not model.below(new):
            raise ValueError(f"mapping sends {text!r} to {new!r}, which is no layer of the model{model.near(new)}")
    return None


def _above(place: str) -> Iterator[tuple[str, str]]:
    """The paths above one, the nearest first, each with the rest: ``("a/b", "/c")``, ``("a", "/b/c")``."""
    at = place.rfind("/")
    while at > 0:
        yield place[:at], place[at:]
        at = place.rfind("/", 0, at)


def _check_names(mapping: Mapping, file: _Side) -> None:
    for name in mapping if isinstance(mapping, dict) else ():
        if file.row(name) is None and not file.below(name):
            raise ValueError(f"mapping names {name!r}, which is no layer of the file{file.near(name)}")


def _mapped(mapping: Mapping, model: _Side, file: _Side) -> list[int]:
    """One file group for each model group, -1 where the mapping does not speak of it.

    What is below a mapped group comes with it: the group at the same place below the model's.

    Raises ValueError when it names a layer twice, one that is not there, or nothing at all.
    """
    _check_names(mapping, file)
    mapped = [-1] * len(model.names)

    def send(row: int, file_row: int) -> None:
        if mapped[row] >= 0:
            both = f"{file.names[mapped[row]]!r} and {file.names[file_row]!r}"
            raise ValueError(f"mapping sends both {both} to {model.names[row]!r}")
        mapped[row] = file_row

    nested = any(place != name for name, place in zip(model.names, model.places, strict=True))  # not in legacy files
    roots: dict[str, str] = {}
    if nested and isinstance(mapping, dict):  # a list of layers has no group of its own
        roots = {old: new for old, new in mapping.items() if file.row(old) is None}
    sent = set()
    for file_row, (name, place) in enumerate(zip(file.names, file.places, strict=True)):
        row = _target(mapping, model, name, place)
        if row is not None:
            send(row, file_row)
            sent.add(file_row)
            if nested:
                roots[place] = model.places[row]
    explicit = {row for row, source in enumerate(mapped) if source >= 0}
    for file_row, place in enumerate(file.places):
        if file_row in sent:
            continue
        above = next(((roots[root], rest) for root, rest in _above(place) if root in roots), None)
        row = model.by_place.get("".join(above)) if above is not None else None
        if row is not None and row not in explicit:
            send(row, file_row)
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
        File layer name to model layer path; each may also be the path in the layout (``layers/dense_1``). What is
        below a layer comes with it.

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
        held = _Side.of([str(group[1] or group[0]) for group in file_groups], file_groups)
        mapped = _mapped(mapping, _Side.of(paths, groups), held)
    return Selection(selected, mapped)
