"""One text for all ways of writing the same code, equal on Python 3.11 to 3.13.

    source --ast.parse--> tree --form--> "(Return value:(BinOp left:(Name id:x) op:(Mult) right:2))" --> digest

A node is its class and its fields by name, in alphabetical order, without those that are empty. Not in it: comments,
positions, contexts, docstrings and other statements without effect (a constant, ``pass``), annotations, type
parameters, ``@override`` and ``@final``. What a version of the parser writes in one way and another in two is brought
to one: the constants of an f-string that stand side by side are one, empty ones are none.

Everything here may raise RecursionError on a tree that is deeper than Python's stack.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from typing import Any, Final

_LEFT_OUT: Final = frozenset({"ctx", "kind", "type_comment", "annotation", "returns", "type_params", "type_ignores"})
_IDLE_DECORATORS: Final = frozenset({"override", "final"})
_BODIES: Final = frozenset({"body", "orelse", "finalbody"})


def digest(text: str) -> str:
    """128 bits of SHA-256, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def form(node: ast.AST) -> str:
    """The canonical text of a node."""
    if isinstance(node, ast.Constant):
        return constant(node.value)
    if isinstance(node, ast.JoinedStr):
        return _joined(node)
    if isinstance(node, ast.AnnAssign):
        return f"(Assign targets:[{form(node.target)}] value:{form(node.value)})" if node.value is not None else ""
    parts = [type(node).__name__]
    for name in sorted(node._fields):
        value = getattr(node, name, None)
        if name in _LEFT_OUT or value is None or value == []:
            continue
        if name == "conversion" and value == -1:
            continue
        said = _field(name, value)
        if said:
            parts.append(f"{name}:{said}")
    return f"({' '.join(parts)})"


def _field(name: str, value: Any) -> str:
    if isinstance(value, ast.AST):
        return "" if isinstance(value, ast.JoinedStr) and name == "format_spec" and not value.values else form(value)
    if isinstance(value, list):
        if name in _BODIES:
            value = [item for item in value if not _is_idle(item)]
        elif name == "decorator_list":
            value = [item for item in value if last_name(item) not in _IDLE_DECORATORS]
        items = ["~" if item is None else form(item) if isinstance(item, ast.AST) else constant(item) for item in value]
        return f"[{' '.join(items)}]" if items else ""
    return value if isinstance(value, str) and value.isidentifier() else constant(value)


def _is_idle(item: ast.AST) -> bool:
    """Whether a statement does nothing."""
    if isinstance(item, ast.AnnAssign):
        return item.value is None
    return isinstance(item, ast.Pass) or (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))


def _joined(node: ast.JoinedStr) -> str:
    """An f-string; a text when nothing is inserted."""
    parts: list[str | ast.AST] = []
    for item in node.values:
        text = item.value if isinstance(item, ast.Constant) and isinstance(item.value, str) else None
        if text is None:
            parts.append(item)
        elif text and parts and isinstance(parts[-1], str):
            parts[-1] += text
        elif text:
            parts.append(text)
    if all(isinstance(part, str) for part in parts):
        return constant("".join(part for part in parts if isinstance(part, str)))
    said = [constant(part) if isinstance(part, str) else form(part) for part in parts]
    return f"(JoinedStr values:[{' '.join(said)}])"


def last_name(node: ast.AST) -> str:
    """``"function"`` of ``tf.function`` and of ``tf.function(...)``; empty for what has no name."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def constant(value: object) -> str:
    """A constant of the language, in ASCII: which characters `repr` prints changes with each Unicode."""
    return ascii(value)


_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
_MOST_ITEMS: Final = 1000


def plain_value(value: object) -> str | None:
    """The text of a live value that cannot change: a number, a text, None, or a tuple or frozenset of them; None for
    everything else. The type is exactly one of these: what a subclass says of itself is code."""
    if type(value) in _PLAIN:
        return constant(value)
    if type(value) is tuple and len(value) <= _MOST_ITEMS:
        return _several("tuple", [plain_value(item) for item in value])
    if type(value) is frozenset and len(value) <= _MOST_ITEMS:
        return _several("frozenset", sorted(plain_value(item) or "" for item in value))
    return None


def held_value(value: object) -> str | None:
    """As `plain_value`, of lists, sets and dicts too, as they are now."""
    kind = type(value)
    if kind in (list, tuple) and isinstance(value, (list, tuple)) and len(value) <= _MOST_ITEMS:
        return _several(kind.__name__, [held_value(item) for item in value])
    if kind in (set, frozenset) and isinstance(value, (set, frozenset)) and len(value) <= _MOST_ITEMS:
        return _several(kind.__name__, sorted(held_value(item) or "" for item in value))
    if kind is dict and isinstance(value, dict) and len(value) <= _MOST_ITEMS:
        return _several("dict", [held_value(part) for item in value.items() for part in item])
    return plain_value(value)


def _several(kind: str, items: Iterable[str | None]) -> str | None:
    listed = list(items)
    return None if any(not item for item in listed) else f"{kind}({' '.join(str(item) for item in listed)})"
