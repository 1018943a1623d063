"""What each release of Keras knows: classes by their public names, and the keys that their constructors take.

``classes.txt`` was collected from the source of the releases that it lists (``scripts/keras_classes.py``):

    # releases 3.0.0 3.0.1 ...
    layers.Dense Dense - wrapped % units! quantization_config@3.13 ...
    |            |     | |       | |      since which release
    |            |     | |       | `!`: must be given
    |            |     | |       the keys of every layer
    |            |     | how `from_config` ends: wrapped (its errors become "Error when deserializing class"), own, -
    |            |     releases that have it: `-` all, `3.5-`, `-3.7`
    |            the class's own name, with `OLD:3.7:NEW` where it changed
    public names, without `keras.`; `ops:` for the modules of operations, which have none
    = activations celu@3.7 elu ...          functions
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from kwload.versions.reader import NEWEST, NEWEST_2, Reader, Version

_ALL_LAYERS: Final = {
    3: "activity_regularizer trainable dtype autocast name ~input_dim ~input_shape",
    2: "trainable name dtype dynamic ~activity_regularizer ~autocast ~batch_input_shape ~batch_size ~implementation "
    "~input_dim ~input_shape ~weights",
}
"""What ``%`` stands for: the keys that ``Layer`` takes."""

_OWN_SINCE: Final[dict[str, Version]] = {"layers.Discretization": (3, 9, 0)}
"""Since when a class has a ``from_config`` of its own, where it was not always so."""


@dataclass(frozen=True, slots=True)
class Class:
    """A class of one release.

    Attributes
    ----------
    name : str
        Its own name.
    public : tuple of str
        The names that Keras exports it by, without ``keras.``.
    keys : tuple of str
        What its constructor takes, in its order.
    required : frozenset of str
        What it must be given.
    wrapped : bool
        Whether an error in the constructor becomes ``Error when deserializing class``.
    """

    name: str
    public: tuple[str, ...]
    keys: tuple[str, ...]
    required: frozenset[str]
    wrapped: bool

    @property
    def space(self) -> str:
        """``"layers"``: the first part of its public name."""
        return self.public[0].rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Table:
    """All classes and functions of one line of Keras, as text."""

    releases: tuple[Version, ...]
    lines: dict[str, tuple[str, ...]]
    functions: dict[str, dict[str, str]]


@cache
def _tables() -> dict[int, Table]:
    tables: dict[int, Table] = {}
    table = Table((), {}, {})
    for line in files("kwload.versions").joinpath("classes.txt").read_text("utf-8").splitlines():
        words = line.split()
        if words[0] == "#":
            releases = tuple(_version(word) for word in words[2:])
            table = tables[releases[0][0]] = Table(releases, {}, {})
        elif words[0] == "=":
            table.functions[words[1]] = {name.partition("@")[0].partition(":")[0]: name for name in words[2:]}
        else:
            names = tuple(words[0].split("|"))
            for name in names:
                table.lines[name] = (words[0], *words[1:])
    return tables


def releases() -> list[Version]:
    """The releases that are known here."""
    return [release for table in _tables().values() for release in table.releases]


def _table(reader: Reader) -> Table:
    return _tables()[3 if reader.is_3 else 2]


def _version(text: str) -> Version:
    parts = [int(part) for part in text.split(".")]
    return (parts[0], parts[1], parts[2] if len(parts) > 2 else 0)


def _in(span: str, version: Version) -> bool:
    """Whether ``"3.2:3.9"`` (since, until) holds a version; each part can be empty."""
    since, _, until = span.partition(":")
    return (not since or version >= _version(since)) and (not until or version < _version(until))


def _key(word: str) -> tuple[str, bool, str]:
    """``"units!@3.2:3.9"`` -> ``("units", True, "3.2:3.9")``; popped keys (``~``) are keys like others."""
    name, at, since = word.partition("@")
    if at:
        since, _, until = since.partition(":")
    else:
        name, _, until = word.partition(":")
    required = name.endswith("!")
    return name.rstrip("!").lstrip("~"), required, f"{since}:{until}"


def _exists(when: str, version: Version) -> bool:
    """Whether ``"3.5-"``, ``"-3.7"``, ``"2.6-2.9,2.11-"`` holds a version."""
    return any(_in(span.replace("-", ":"), version) for span in when.split(","))


@lru_cache(maxsize=4096)
def find(reader: Reader, public: str) -> Class | None:
    """The class that a release exports as ``layers.Dense``; None when it has none of that name."""
    table = _table(reader)
    line = table.lines.get(public)
    version = _clamped(reader)
    if line is None or not _exists(line[2], version):
        return None
    words = list(line[4:])
    if "%" in words:
        words.remove("%")
        words += _ALL_LAYERS[3 if reader.is_3 else 2].split()
    keys: dict[str, None] = {}
    required = set()
    for word in words:
        name, needed, span = _key(word)
        if _in(span, version):
            keys[name] = None
            if needed:
                required.add(name)
    own, _, change = line[1].partition(":")
    if change:
        since, _, new = change.partition(":")
        own = new if version >= _version(since) else own
    wrapped = line[3] == "wrapped" or (reader.is_3 and version < _OWN_SINCE.get(public, version))
    return Class(own, tuple(line[0].split("|")), tuple(keys), frozenset(required), wrapped)


def _clamped(reader: Reader) -> Version:
    """A release that is known: for newer ones, the newest that is."""
    return min(reader.version, NEWEST if reader.is_3 else NEWEST_2)


@cache
def by_class(reader: Reader, space: str) -> dict[str, Class]:
    """The classes of a namespace by their own names, as Keras's ``ALL_OBJECTS`` have them."""
    found = {}
    for name in _table(reader).lines:
        if name.rpartition(".")[0] == space and (known := find(reader, name)) is not None:
            found[known.name] = known
    return found


def has_function(reader: Reader, space: str, name: str) -> bool:
    """Whether a release exports the function ``keras.<space>.<name>``."""
    word = _table(reader).functions.get(space, {}).get(name)
    return word is not None and _in(_key(word)[2], _clamped(reader))


def since(public: str, key: str | None = None) -> Iterator[tuple[int, str]]:
    """For each line of Keras (3, 2) that knows a class, or a key of it: ``(3, "3.13:")``, since and until."""
    for line, table in _tables().items():
        words = table.lines.get(public)
        if words is None:
            continue
        if key is None:
            yield line, words[2].replace("-", ":")
            continue
        listed = [*words[4:], *(_ALL_LAYERS[line].split() if "%" in words else ())]
        for word in listed:
            name, _, span = _key(word)
            if name == key:
                yield line, span


def names(reader: Reader, space: str) -> list[str]:
    """The names that a release exports in a namespace."""
    version = _clamped(reader)
    lines = _table(reader).lines
    return [
        name.rpartition(".")[2]
        for name, words in lines.items()
        if name.rpartition(".")[0] == space and _exists(words[2], version)
    ]
