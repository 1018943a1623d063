"""What a check is asked to hold a file against, when it is no live model: where its architecture stands.

dict, JSON text                   as it is
config.json, model.to_json()      by its first character
.keras, whole-model .h5, folder   what :class:`kwload._core.File` reads as its configuration
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from kwload import _core
from kwload.file import Source, core_source
from kwload.meaning.json_text import tree_of
from kwload.report.escape import escape
from kwload.report.facts import FileFacts
from kwload.spec.architecture.entries import Raw, config_of, full_name, layers_of
from kwload.spec.architecture.things import ArchitectureError
from kwload.spec.asked import Asked
from kwload.spec.described import V3_LAYOUTS

MOST_BYTES: Final = 16 << 20
"""Of a configuration; a thousand layers take one megabyte."""

_NEWEST: Final = (3, 15, 1)
_NEWEST_2: Final = (2, 21, 0)
_SPACE: Final = b" \t\r\n\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Target:
    """An architecture, and where it was found.

    Attributes
    ----------
    tree : mapping
        ``{"class_name", "config"}``.
    said : str
        As a person reads it: ``"model.keras"``, ``"the dict"``.
    version : str or None
        The Keras that wrote it, as it is recorded.
    text : bytes or None
        What *tree* was read from.
    """

    tree: Raw
    said: str
    version: str | None = None
    text: bytes | None = None


def read(target: Source | Mapping[str, Any] | list[Any]) -> Target:
    """The architecture that a target holds.

    Parameters
    ----------
    target : dict, str, os.PathLike, bytes or file object
        A configuration as ``get_config``, ``to_json`` or a file has it; JSON text; or what holds one: a JSON file, a
        ``.keras`` archive or folder, a whole-model ``.h5`` file.

    Raises
    ------
    ArchitectureError
        There is no file, it holds no architecture, or one that cannot be read; the text names it and says what would.
    TypeError
        *target* is nothing of this kind.
    """
    if isinstance(target, (Mapping, list)):
        return _of_tree(target, "the configuration")
    if isinstance(target, str) and target.lstrip()[:1] in ("{", "["):
        return _of_text(target.encode("utf-8", "surrogatepass"), "the JSON text")
    source, name = core_source(target)
    if isinstance(source, bytes):
        text = _text_of(Path(os.fsdecode(source)), escape(name))
        if text is not None:
            return _of_text(text, escape(name))
    elif bytes(source[:64]).lstrip(_SPACE)[:1] in (b"{", b"["):
        return _of_text(bytes(source[: MOST_BYTES + 1]), escape(name))
    return _of_file(source, escape(name))


def _text_of(path: Path, said: str) -> bytes | None:
    """The JSON text that a file holds, None when it holds something else."""
    if path.is_dir():
        return None
    try:
        with path.open("rb") as file:
            first = file.read(64)
            if first.lstrip(_SPACE)[:1] not in (b"{", b"["):
                return None
            return first + file.read(MOST_BYTES + 1 - len(first))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ArchitectureError(f"{said}: {why}") from None


def _of_file(source: Any, said: str) -> Target:
    try:
        file = _core.File(source)
    except _core.CoreError as error:
        raise ArchitectureError(f"{said} cannot be opened: {escape(error.detail) or 'it is damaged'}") from None
    return of_file(file, said)


def of_file(file: FileFacts, said: str) -> Target:
    """The architecture that an opened file holds; :func:`read` says what it raises."""
    if file.config is None:
        what = "weights and no architecture" if file.tensors else "no architecture"
        raise ArchitectureError(
            f"{said} holds {what}: give the .keras or whole-model .h5 file, or the text of model.to_json() in a file"
        )
    found = _of_text(file.config, said)
    version = file.metadata.get("keras_version")
    if version is None and file.layout not in V3_LAYOUTS:
        version = "1.2.2"  # every later one records it
    return Target(found.tree, said, version, file.config)


def _of_text(text: bytes, said: str) -> Target:
    if len(text) > MOST_BYTES:
        raise ArchitectureError(f"{said} is longer than {MOST_BYTES >> 20} MiB, which no architecture is")
    tree = tree_of(text, MOST_BYTES)
    if tree is None:
        raise ArchitectureError(f"{said} {_no_json(text)}")
    return _of_tree(tree, said)


def _no_json(text: bytes) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"is no JSON: {error.msg}, in line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        return "is no JSON, or lies in itself deeper than any architecture"
    return "is `null`" if text.strip(_SPACE) == b"null" else "lies in itself deeper than any architecture"


def _of_tree(tree: Any, said: str) -> Target:
    """The model in what was read: ``get_config()`` gives only what is inside it."""
    if isinstance(tree, list) and tree and all(isinstance(layer, dict) for layer in tree):
        tree = {"class_name": "Sequential", "config": tree}
    if not isinstance(tree, Mapping):
        raise ArchitectureError(f"{said} is no architecture: expected the text of model.to_json()")
    if "weight_map" in tree:
        raise ArchitectureError(f"{said} is a map of weight files and holds no architecture")
    if tree.get("kind") in ("manifest", "stamp") and "schema" in tree:
        how = "kwload.Manifest.load(path), or --manifest, reads it" if tree["kind"] == "manifest" else "for verify"
        raise ArchitectureError(f"{said} is a {tree['kind']} of kwload and no architecture: {how}")
    version = tree.get("keras_version")
    if not full_name(tree) and isinstance(tree.get("layers"), list):
        tree = {"class_name": "Functional" if "output_layers" in tree else "Sequential", "config": tree}
    if not full_name(tree):
        raise ArchitectureError(f"{said} is no architecture: it has no `class_name`; model.to_json() writes one")
    return Target(tree, said, version if isinstance(version, str) else None)


# ---- whose model it is ----


def keras_of(target: Target, layout: str, asked: Asked | None) -> Asked:
    """The Keras that would make the model: the one that is asked for, else that which wrote the architecture.

    A file that only a newer Keras can have written is not read by an older one: then it is the newest.
    """
    if asked is not None:
        from kwload.versions.reader import complete

        return replace(asked, version=complete(asked.exact))
    found = _recorded(target.version) if target.version is not None else _by_dialect(target.tree)
    reads = found.flavour == "keras" or (found.flavour == "tf_keras" and found.version >= (2, 12))
    return found if reads or layout not in V3_LAYOUTS else release("keras", _NEWEST)


def release(flavour: str, version: tuple[int, int, int]) -> Asked:
    """A release of Keras, or of Keras 2 under any name, as :func:`kwload.spec.asked.parse` would give it."""
    name = "tf_keras" if flavour == "tf_keras" and version >= (2, 16) else "Keras"
    return Asked(flavour, version, "", "tensorflow", f"{name} {'.'.join(map(str, version))}")


def _recorded(text: str) -> Asked:
    """By ``keras_version``: TensorFlow stamped ``-tf``, then 2.4 and up without it."""
    from kwload.versions import writer

    version = writer.number(text)
    if version is None or not (1, 0, 0) <= version < (4, 0, 0):
        return release("keras", _NEWEST)
    if version >= (3, 0, 0):
        return release("keras", version)
    return release("tf_keras" if "-tf" in text or version >= (2, 4, 0) else "keras2", version)


def _by_dialect(tree: Raw) -> Asked:
    """By what only Keras 2 writes."""
    todo = [tree]
    for _ in range(64):
        if not todo:
            break
        layer = todo.pop()
        module = layer.get("module")
        old = isinstance(module, str) and module.startswith(("tf_keras", "keras.src.engine", "keras.engine"))
        if old or "batch_input_shape" in config_of(layer) or isinstance(layer.get("config"), list):
            return release("tf_keras", _NEWEST_2)
        todo += (layers_of(layer) or [])[:8]
    return release("keras", _NEWEST)
