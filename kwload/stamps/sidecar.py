"""The JSON files that kwload writes beside code and weights: sorted, in lines that differ where the content differs,
without times; and how one that anybody may have written is read again.

A sidecar is bounded, and everything in it is checked before it is used. ``"schema": 1`` may gain keys; whoever reads
leaves alone those that it does not know (``"probe"`` is kept for a sample of a model's outputs).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from typing import Any, Final

SCHEMA: Final = 1
SUFFIX: Final = ".kwload.json"

_MOST_BYTES: Final = 256 << 20
_WIDTH: Final = 200


class SidecarError(ValueError):
    """A manifest or stamp that cannot be used; the text says why, as the end of a sentence."""


def text_of(tree: Mapping[str, Any]) -> str:
    """The tree as JSON in ASCII, one line for each thing that is small, with a newline at the end."""
    return _dump(tree, "") + "\n"


def _dump(value: Any, indent: str) -> str:
    if isinstance(value, dict) and value:
        if _is_row(value.values()):
            return _line(value)
        inner = indent + " "
        items = [f"{inner}{json.dumps(str(key))}: {_dump(item, inner)}" for key, item in sorted(value.items())]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        line = _line(value)
        if len(line) <= _WIDTH and not any(isinstance(item, dict) for item in value) and _is_flat(value):
            return line
        inner = indent + " "
        return "[\n" + ",\n".join(inner + _dump(item, inner) for item in value) + f"\n{indent}]"
    return _line(value)


def _is_row(values: Any) -> bool:
    """Whether a dict is a row of a table: a variable, a tensor."""
    listed = list(values)
    return 2 < len(listed) < 8 and any(isinstance(item, list) for item in listed) and all(map(_is_leaf, listed))


def _is_leaf(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 32 and all(isinstance(item, int) for item in value)
    return not isinstance(value, dict)


def _is_flat(value: list[Any]) -> bool:
    """Whether lists in a list hold nothing but single values."""
    inside = [item for item in value if isinstance(item, list)]
    return len(inside) != len(value) and all(not isinstance(each, (dict, list)) for item in inside for each in item)


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=True)


def write(path: str, text: str) -> None:
    """Writes a file whole or not at all: whoever reads sees the old one or the new one.

    Raises
    ------
    OSError
        As the operating system says it.
    """
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="ascii", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def read(path: str, kind: str) -> dict[str, Any]:
    """The tree of a sidecar of a kind, ``"manifest"`` or ``"stamp"``.

    Raises
    ------
    OSError
        As the operating system says it.
    SidecarError
        It is none, or of another kind or schema.
    """
    with open(path, "rb") as file:
        raw = file.read(_MOST_BYTES + 1)
    return parse(raw, kind)


def parse(raw: bytes, kind: str) -> dict[str, Any]:
    """:func:`read` of bytes."""
    if len(raw) > _MOST_BYTES:
        raise SidecarError(f"it is longer than {_MOST_BYTES >> 20} MiB")
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError):
        raise SidecarError("it is no JSON" if raw.strip() else "it is empty") from None
    if not isinstance(tree, dict) or "schema" not in tree or "kind" not in tree:
        raise SidecarError("it was not written by kwload")
    if tree["schema"] != SCHEMA:
        raise SidecarError("it has another schema: a newer kwload wrote it")
    if tree["kind"] != kind:
        raise SidecarError(f"it is a {tree['kind']}" if tree["kind"] in ("manifest", "stamp") else "it is no such file")
    return tree


def need(tree: Any, key: str, *kinds: type) -> Any:
    """``tree[key]``, of one of these types.

    Raises
    ------
    SidecarError
        It is not there or something else.
    """
    value = tree.get(key) if isinstance(tree, dict) else None
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise SidecarError(f"`{key}` is missing or something else")
    return value


def texts(value: Any, what: str) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SidecarError(f"`{what}` is no list of texts")
    return tuple(value)


def table(value: Any, what: str) -> dict[str, str]:
    """A dict of texts."""
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise SidecarError(f"`{what}` is no table of texts")
    return value


def lengths(value: Any, what: str) -> tuple[int, ...]:
    """A list of numbers that are not negative and fit into 63 bits."""
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item < 1 << 63 for item in value):
        raise SidecarError(f"`{what}` is no list of lengths")
    return tuple(value)
