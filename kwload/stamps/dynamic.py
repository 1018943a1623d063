"""Code that looks names up as it runs, and code that takes its values from elsewhere.

    getattr(x, "act")    vars(x)["act"]     x.__dict__["act"]       reads x.act
    globals()["act"]     globals().get("act")                       reads act of the module
    getattr(x, name)     vars(x)[name]      inspect.getmembers(x)   reads any attribute of x
    globals()[name]      eval(text)         import_module(name)     reads anything: that cannot be followed
    open(path)           np.load(path)      path.read_text()        reads a file, which is no code

By the syntax alone; what a name stands for is looked at where the module is at hand.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from typing import Final

from kwload.stamps.canonical import last_name
from kwload.stamps.objects import FRAMEWORKS, package_of

BY_NAME: Final = "which name is read is decided as it runs"
MADE: Final = "it runs code that is made as it runs"
IMPORTED: Final = "which module is imported is decided as it runs"
FROM_FILE: Final = "what is read from a file is not recorded"
FROM_ENVIRONMENT: Final = "what the environment holds is not recorded"

_READING_NAMES: Final = """
    open read_text read_bytes loadtxt genfromtxt fromfile memmap read_csv read_json read_parquet read_pickle read_excel
    read_table read_file imread loadmat load_npz get_file urlopen urlretrieve GFile load_model
    safe_load
"""
_READING: Final = frozenset(_READING_NAMES.split())
"""Functions and methods that read files, whatever they are called on."""
_LOADING: Final = frozenset({"load", "File"})
"""Those that read files where a module has them: ``np.load``, ``json.load``, ``h5py.File``."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """An attribute or a global name that is read by a text that is written there.

    Attributes
    ----------
    owner : ast.expr or None
        Of what; None for the module itself.
    name : str
        The text.
    rest : tuple of ast.expr
        What else is evaluated: the default of ``getattr``.
    """

    owner: ast.expr | None
    name: str
    rest: tuple[ast.expr, ...] = ()


def lookup(node: ast.Call | ast.Subscript) -> Lookup | None:
    """What is read by its name as a text; None when nothing is, or the text is not there."""
    if isinstance(node, ast.Subscript):
        return _entry(node.value, node.slice, ())
    if _is_builtin(node, "getattr") and len(node.args) > 1:
        name = _text(node.args[1])
        return Lookup(node.args[0], name, tuple(node.args[2:])) if name is not None else None
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop", "setdefault") and node.args:
        return _entry(node.func.value, node.args[0], tuple(node.args[1:]))
    return None


def _entry(space: ast.expr, key: ast.expr, rest: tuple[ast.expr, ...]) -> Lookup | None:
    """``globals()["act"]``, ``vars(x)["act"]``, ``x.__dict__["act"]``."""
    name = _text(key)
    if name is None or not name.isidentifier():
        return None
    if isinstance(space, ast.Attribute) and space.attr == "__dict__":
        return Lookup(space.value, name, rest)
    if isinstance(space, ast.Call) and _is_builtin(space, "vars") and len(space.args) == 1:
        return Lookup(space.args[0], name, rest)
    if isinstance(space, ast.Call) and _is_builtin(space, "globals"):
        return Lookup(None, name, rest)
    return None


def is_computed(node: ast.Call) -> bool:
    """Whether a call reads attributes by names that are not written there."""
    called = last_name(node)
    if called in ("attrgetter", "methodcaller"):
        return not node.args or _text(node.args[0]) is None
    if isinstance(node.func, ast.Name):
        return called in ("getattr", "dir", "getmembers") or (called == "vars" and bool(node.args))
    return called in ("__getattribute__", "getmembers")


def obscure(node: ast.Call) -> tuple[str, str] | None:
    """A call that cannot be followed, and why: ``("eval()", "…")``; None for every other."""
    called = last_name(node)
    if isinstance(node.func, ast.Name) and called in ("eval", "exec"):
        return f"{called}()", MADE
    if isinstance(node.func, ast.Name) and called == "globals":
        return "globals()", BY_NAME
    if called in ("import_module", "__import__") and not _is_known_import(node):
        return f"{called}()", IMPORTED
    return None


def _is_known_import(node: ast.Call) -> bool:
    """Whether what is imported is a framework's, or the language's."""
    name = _text(node.args[0]) if node.args else None
    package = package_of(name or "")
    return package in FRAMEWORKS or package in sys.stdlib_module_names


def reads_file(node: ast.Call, is_free: bool) -> bool:
    """Whether a call may read a file by what it is called.

    Parameters
    ----------
    node : ast.Call
        The call.
    is_free : bool
        Whether it is one of a name that is bound outside: ``np.load``, and not ``self.load``.
    """
    called = last_name(node)
    if called in _LOADING:
        return is_free
    if called not in _READING:
        return False
    base = node.func.value if isinstance(node.func, ast.Attribute) else None
    return not (isinstance(base, ast.Name) and base.id in ("self", "cls"))


def _is_builtin(node: ast.Call, name: str) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == name


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
