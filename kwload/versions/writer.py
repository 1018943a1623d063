"""Who wrote a file: what it records, else what its structure tells, with the evidence.

The V3 layout records no version. What tells releases apart (source of Keras and tf-keras, and files of known origin):

    ``_layer_checkpoint_dependencies``             tf.keras 2.12 to 2.14
    `name` on groups                                Keras 3.6 and newer
    `container` groups                              Keras 3.15 and newer
    `_gate_dense` below an attention                Keras 3.14 and newer
    `query_dense`                                   Keras 3.0.3 and newer; before, and in Keras 2, `_query_dense`
    `metrics`, a slot as the optimizer's second     Keras 2
    a scalar as the optimizer's second              Keras 3
    shards                                          Keras 3.10 and newer
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kwload import _core
from kwload.report.facts import FileFacts, TensorFacts
from kwload.versions.reader import Version

_NAMED: Final = _core.GROUP_FLAGS["named"]
_CONFIG_NAME: Final = _core.GROUP_FLAGS["config_name"]
_LEGACY: Final = ("legacy", "legacy-model", "hf-shard")

Span = tuple[Version | None, Version | None]
"""Since (inclusive) and until (exclusive); None for open."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote a file.

    Attributes
    ----------
    name : str or None
        ``"Keras 3.15.1"`` when it is recorded, ``"Keras 3.6 or newer"`` when the structure tells, None when nothing
        does.
    recorded : bool
        Whether the file says it itself.
    backend : str or None
        As recorded.
    generation : str or None
        ``"Keras 1"``, ``"standalone Keras 2"``, ``"tf.keras"``, ``"tf_keras"``, ``"Keras 3"``: which line it was.
    since, until : tuple of int or None
        The releases that can have written it: the first, and the first that cannot; None for open.
    evidence : tuple of str
        What tells it, each a sentence; empty when it is recorded.
    """

    name: str | None = None
    recorded: bool = False
    backend: str | None = None
    generation: str | None = None
    since: Version | None = None
    until: Version | None = None
    evidence: tuple[str, ...] = ()


def number(version: str) -> Version | None:
    """``"2.3.0-tf"`` -> ``(2, 3, 0)``; None for what is no version."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?!\d)", version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def of(file: FileFacts) -> Writer:
    """Who wrote a file."""
    backend = file.metadata.get("backend")
    version = file.metadata.get("keras_version")
    if version is not None:
        return _recorded(version, backend)
    if file.layout in _LEGACY and file.layout != "hf-shard":
        told = ("a legacy `.h5` file without `keras_version`: Keras 2 and newer record it",)
        return Writer("Keras 1", False, backend, "Keras 1", (1, 0, 0), (2, 0, 0), told)
    if file.layout == "keras-0":
        told = ("the layers are numbered, as before Keras 1.1",)
        return Writer("Keras 0.3 to 1.0", False, backend, "Keras 1", (0, 3, 0), (1, 1, 0), told)
    if file.layout in ("keras-3", "tf-2.12"):
        return _by_traits(file)
    return Writer(backend=backend)


def package_of(file: FileFacts) -> str | None:
    """The package of the line that wrote a file, ``"keras"`` or ``"tf_keras"``; None when nothing tells."""
    generation = of(file).generation
    return None if generation is None else "keras" if generation == "Keras 3" else "tf_keras"


def _recorded(version: str, backend: str | None) -> Writer:
    found = number(version)
    if found is None:
        return Writer(f"Keras {version}", True, backend)
    generation = _generation(version, found)
    package = "tf_keras" if generation == "tf_keras" else "Keras"
    return Writer(f"{package} {version}", True, backend, generation, found, (*found[:2], found[2] + 1))


def _generation(version: str, found: Version) -> str:
    """Which line a recorded version is of: TensorFlow stamped ``-tf``, then 2.4.0 and up without it."""
    if found[0] >= 3:
        return "Keras 3"
    if found[0] < 2:
        return "Keras 1"
    if found >= (2, 16, 0):
        return "tf_keras"
    return "tf.keras" if version.endswith("-tf") or found >= (2, 4, 0) else "standalone Keras 2"


@dataclass(slots=True)
class _Candidates:
    """The releases of both lines that can have written a file; traits take some away."""

    new: Span | None = ((3, 0, 0), None)
    old: Span | None = ((2, 12, 0), None)
    evidence: list[str] | None = None

    def only(self, why: str, *, new: Span | None = None, old: Span | None = None) -> None:
        """Keeps what both the candidates and a trait allow."""
        self.new, self.old = _both(self.new, new), _both(self.old, old)
        self.evidence = [*(self.evidence or []), why]


def _both(a: Span | None, b: Span | None) -> Span | None:
    if a is None or b is None:
        return None
    since = max((v for v in (a[0], b[0]) if v is not None), default=None)
    until = min((v for v in (a[1], b[1]) if v is not None), default=None)
    return None if since is not None and until is not None and since >= until else (since, until)


_ANY: Final[Span] = (None, None)


def _by_traits(file: FileFacts) -> Writer:
    """The releases whose files look like this one."""
    found = _Candidates()
    paths = [group[0] for group in file.groups]
    if file.layout == "tf-2.12":
        found.only("layers are below `_layer_checkpoint_dependencies`", old=((2, 12, 0), (2, 15, 0)))
    elif paths:
        found.only("layers are below `layers`", new=_ANY, old=((2, 15, 0), None))
    if file.content == "shards":
        found.only("the weights are split into shards", new=((3, 10, 0), None))
    _by_names(file, found)
    _by_parts(paths, found)
    second = _second_of_optimizer(file)
    if second is not None and second != ():
        found.only("the second value of the optimizer is no scalar", old=_ANY)
    elif second is not None and not any(tensor.shape == () for tensor in _weights(file)):
        found.only("the second value of the optimizer is a scalar, the learning rate", new=_ANY)
    if not paths:
        return Writer()
    return _written(found)


def _by_names(file: FileFacts, found: _Candidates) -> None:
    """Keras 3.6 and newer note the name of each object that it visits."""
    if any(group[2] & (_NAMED | _CONFIG_NAME) == _NAMED for group in file.groups):
        found.only("groups carry the attribute `name`", new=((3, 6, 0), None))
    elif any(group[3] for group in file.groups):
        found.only("no group carries the attribute `name`", new=(None, (3, 6, 0)), old=_ANY)


def _by_parts(paths: Iterable[str], found: _Candidates) -> None:
    """What certain parts of a path tell, each once."""
    parts = {part for path in paths for part in path.split("/")}
    if "container" in parts:
        found.only("a list inside a list is stored as `container`", new=((3, 15, 0), None))
    if "_gate_dense" in parts:
        found.only("an attention has `_gate_dense`", new=((3, 14, 0), None))
    if "_query_dense" in parts and not any("group" in part for part in parts):
        found.only("the layers of an attention are called `_query_dense`", new=(None, (3, 0, 3)), old=_ANY)
    elif "query_dense" in parts:
        found.only("the layers of an attention are called `query_dense`", new=((3, 0, 3), None))
    if "metrics" in {path.partition("/")[0] for path in paths}:
        found.only("the state of metrics is stored", old=_ANY)


def _second_of_optimizer(file: FileFacts) -> tuple[int, ...] | None:
    """Shape of what stands where Keras 3 stores the learning rate, and Keras 2 a slot of the first variable."""
    for path, _, _, slots, _ in file.groups:
        if path == "optimizer" and len(slots) > 1 and slots[1][1] >= 0:
            return tuple(file.tensors[slots[1][1]].shape)
    return None


def _weights(file: FileFacts) -> list[TensorFacts]:
    """The tensors that are not the optimizer's."""
    tensors = file.tensors
    rows = {row for path, _, _, slots, _ in file.groups if path != "optimizer" for _, row in slots if row >= 0}
    return [tensors[row] for row in rows]


def _written(found: _Candidates) -> Writer:
    evidence = tuple(found.evidence or ())
    names = [_words("tf.keras", found.old) if found.old else None, _words("Keras", found.new) if found.new else None]
    said = [name for name in names if name]
    if not said:  # traits that no one release has: repacked, or renamed by hand
        return Writer(evidence=evidence)
    only = found.new if found.old is None else found.old if found.new is None else None
    generation = "Keras 3" if found.old is None else "Keras 2" if found.new is None else None
    since, until = only if only is not None else (None, None)
    return Writer(", or ".join(said), False, None, generation, since, until, evidence)


def _words(package: str, span: Span) -> str:
    """``"Keras 3.6 or newer"``, ``"Keras 3.0 to 3.5"``, ``"tf.keras 2.12 to 2.14"``."""
    since, until = span
    first = _short(since) if since is not None else ""
    if until is None:
        return f"{package} {first} or newer"
    last = f"{until[0]}.{until[1]}.{until[2] - 1}" if until[2] else f"{until[0]}.{until[1] - 1}"
    return f"{package} {first}.0 to {last}" if until[2] else f"{package} {first} to {last}"


def _short(version: Version) -> str:
    return ".".join(map(str, version if version[2] else version[:2]))
