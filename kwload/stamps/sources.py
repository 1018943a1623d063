"""Where in which file a function that is in memory was written. Nothing is imported and nothing is run.

    code object --co_filename, co_firstlineno--> file --ast.parse--> the def (or lambda) of that very line
                                                      --compile----> its bytecode, which must be that in memory

``inspect.getsource(cls)`` looks for the name of the class and finds the first of two; the first line of each method's
own code object leaves no such doubt. That the file still holds what was imported is seen by compiling it: a file that
was edited since says nothing of the code that runs.
"""

from __future__ import annotations

import ast
import linecache
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Final, TypeAlias

from kwload.stamps.canonical import form
from kwload.stamps.names import binds, inside

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

NO_SOURCE: Final = "no source"
EDITED: Final = "its file was edited after it was imported, or something rewrites its code"
SEVERAL: Final = "several lambdas on one line, and nothing tells which"
SET_AGAIN: Final = "it was set to another value after its statement ran"
TOO_DEEP: Final = "nested too deep to be read"

_MOST_BYTES: Final = 8 << 20
_REWRITTEN: Final = ("@py_assert", "@pytest_ar")
"""Names in code whose assert statements pytest has rewritten."""


@dataclass(slots=True)
class Parsed:
    """A source file, or a cell of a notebook.

    Attributes
    ----------
    lines : list of str
        As they are.
    definitions : dict
        First line (that of the first decorator) -> the functions and lambdas that begin there.
    classes : dict
        Name -> the classes of that name, at any depth.
    bindings : dict
        Name -> the statements of the module's own scope that bind it.
    conditions : dict
        Statement of the module's own scope -> what each ``if`` and ``while`` around it asks.
    codes : dict
        ``(first line, name)`` -> what compiling gives.
    moving : set of str
        Names of the module that functions set or change as the program runs.
    """

    lines: list[str]
    definitions: dict[int, list[Definition]] = field(default_factory=lambda: defaultdict(list))
    classes: dict[str, list[ast.ClassDef]] = field(default_factory=lambda: defaultdict(list))
    bindings: dict[str, list[ast.stmt]] = field(default_factory=lambda: defaultdict(list))
    conditions: dict[ast.stmt, list[ast.expr]] = field(default_factory=dict)
    codes: dict[tuple[int, str], list[CodeType]] = field(default_factory=lambda: defaultdict(list))
    moving: set[str] = field(default_factory=set)

    def text(self, node: ast.AST) -> str:
        """The lines of a node, with its decorators."""
        first = first_line(node)
        return "\n".join(self.lines[first - 1 : getattr(node, "end_lineno", first)])


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an import takes a name from: a module, and the name there (None for the module itself)."""

    module: str
    attribute: str | None


def absolute(name: str, level: int, module: dict[str, Any]) -> str:
    """The full name of a module that a ``from`` with so many dots names inside of a module."""
    if not level:
        return name
    package = str(module.get("__package__") or "").split(".")
    return ".".join([*package[: len(package) - level + 1], *([name] if name else [])])


def origins_of(name: str, file: Parsed, module: dict[str, Any]) -> list[Origin]:
    """Where the imports of a file take a name from; those with a star may be it too."""
    found = []
    for item in (*file.bindings.get(name, ()), *file.bindings.get("*", ())):
        if isinstance(item, ast.ImportFrom):
            base = absolute(item.module or "", item.level, module)
            found += [Origin(base, alias.name) for alias in item.names if (alias.asname or alias.name) == name]
            found += [Origin(base, name) for alias in item.names if alias.name == "*"]
        elif isinstance(item, ast.Import):
            found += [Origin(alias.name, None) for alias in item.names if alias.asname == name]
    return found


def first_line(node: ast.AST) -> int:
    """The line with which a definition begins: that of its first decorator."""
    lines: list[int] = [getattr(node, "lineno", 1), *(item.lineno for item in getattr(node, "decorator_list", ()))]
    return min(lines)


class Sources:
    """The files that one look at some classes needs, each parsed once."""

    def __init__(self) -> None:
        self._files: dict[str, Parsed | str] = {}

    def file(self, name: str, module: dict[str, Any] | None = None) -> Parsed | str:
        """The file, or why it cannot be had."""
        if name not in self._files:
            self._files[name] = _parse(name, module)
        return self._files[name]

    def definition(self, code: CodeType, module: dict[str, Any]) -> tuple[Parsed, Definition] | str:
        """Where a function was written, or why that is not known."""
        file = self.file(code.co_filename, module)
        if isinstance(file, str):
            return file
        found = [node for node in file.definitions.get(code.co_firstlineno, ()) if _name(node) == code.co_name]
        compiled = file.codes.get((code.co_firstlineno, code.co_name), [])
        if not any(_same_code(code, other) for other in compiled) and not _is_rewritten(code):
            return EDITED
        if len(found) > 1 and code.co_name == "<lambda>":
            found = _at(code, found)
        if not found:
            return EDITED
        if len({form(node) for node in found}) > 1:
            return SEVERAL
        return file, found[0]


def _name(node: Definition) -> str:
    return "<lambda>" if isinstance(node, ast.Lambda) else node.name


def _parse(name: str, module: dict[str, Any] | None) -> Parsed | str:
    linecache.checkcache(name)
    lines = linecache.getlines(name, module)
    text = "".join(lines)
    if not text:
        return NO_SOURCE
    if len(text) > _MOST_BYTES:
        return "its file is too long"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the compiler thinks of the user's code is not asked here
            tree = ast.parse(text)
            code = compile(text, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError):
        return "its file is no Python that this interpreter reads"
    except (RecursionError, MemoryError):
        return TOO_DEEP
    parsed = Parsed(text.splitlines())
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            parsed.definitions[first_line(node)].append(node)
            if not isinstance(node, ast.Lambda):
                parsed.moving |= _moved_by(node)
        elif isinstance(node, ast.ClassDef):
            parsed.classes[node.name].append(node)
    for statement, parsed.conditions[statement] in _under_conditions(tree.body):
        for bound_name in _bound_by(statement) | changed_by(statement):
            parsed.bindings[bound_name].append(statement)
    for inner in _codes(code):
        parsed.codes[inner.co_firstlineno, inner.co_name].append(inner)
    return parsed


def _own_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a scope, those inside of ``if``, ``try``, ``with`` and loops too."""
    return (node for node, _ in _under_conditions(body))


def _under_conditions(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, list[ast.expr]]]:
    """The statements of a scope, each with what the ``if`` and ``while`` around it ask."""
    todo: list[tuple[ast.stmt, list[ast.expr]]] = [(node, []) for node in reversed(body)]
    while todo:
        node, asked = todo.pop()
        inner = [
            item
            for name in ("body", "orelse", "handlers", "finalbody", "cases")
            for part in getattr(node, name, ())
            for item in (part.body if isinstance(part, (ast.ExceptHandler, ast.match_case)) else [part])
        ]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or not inner:
            yield node, asked
        else:
            if isinstance(node, (ast.For, ast.AsyncFor, ast.With, ast.AsyncWith)):
                yield node, asked  # binds its target too
            more = [*asked, node.test] if isinstance(node, (ast.If, ast.While)) else asked
            todo.extend((item, more) for item in reversed(inner))


def _bound_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.For, ast.AsyncFor)):
        return {name for inner in ast.walk(statement.target) for name in binds(inner)}
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        targets = [item.optional_vars for item in statement.items if item.optional_vars is not None]
        return {name for target in targets for inner in ast.walk(target) for name in binds(inner)}
    return {name for inner in ast.walk(statement) for name in binds(inner)}


_CHANGING: Final = frozenset({"add", "append", "clear", "extend", "insert", "pop", "remove", "setdefault", "update"})


def changed_by(statement: ast.stmt) -> set[str]:
    """The names whose lists and dicts a statement changes: ``TABLE["a"] = 1``, ``TABLE.update(a=1)``."""
    targets: list[ast.expr] = []
    if isinstance(statement, (ast.Assign, ast.Delete)):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign):
        targets = [statement.target]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        called = statement.value.func
        targets = [called] if isinstance(called, ast.Attribute) and called.attr in _CHANGING else []
    found = set()
    for target in targets:
        inner = target
        while isinstance(inner, (ast.Subscript, ast.Attribute)):
            inner = inner.value
        if isinstance(inner, ast.Name):
            found.add(inner.id)
    return found


def _moved_by(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names of the module that a function sets, as it declares them global, or whose lists and dicts it changes."""
    nodes = list(inside(function.body))
    shared = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    set_here = {name for node in nodes for name in binds(node)}
    listed = function.args
    arguments = [*listed.posonlyargs, *listed.args, *listed.kwonlyargs, listed.vararg, listed.kwarg]
    own = {item.arg for item in arguments if item is not None} | (set_here - shared)
    changed = {name for node in nodes if isinstance(node, ast.stmt) for name in changed_by(node)}
    return (shared & set_here) | (changed - own)


def statements_in(node: ast.ClassDef, name: str) -> list[ast.stmt]:
    """The statements of a class body that bind a name."""
    return [item for item in _own_statements(node.body) if name in _bound_by(item)]


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all inside of it."""
    todo = [code]
    while todo:
        item = todo.pop()
        yield item
        todo.extend(inner for inner in item.co_consts if isinstance(inner, CodeType))


def _same_code(a: CodeType, b: CodeType) -> bool:
    """Whether two code objects do the same, whatever they are called and on whatever lines; those inside too."""
    todo = [(a, b)]
    while todo:
        one, other = todo.pop()
        if (
            one.co_code != other.co_code
            or one.co_names != other.co_names
            or one.co_varnames != other.co_varnames
            or one.co_freevars != other.co_freevars
            or one.co_argcount != other.co_argcount
            or len(one.co_consts) != len(other.co_consts)
        ):
            return False
        for x, y in zip(one.co_consts, other.co_consts, strict=True):
            if isinstance(x, CodeType) and isinstance(y, CodeType):
                todo.append((x, y))
            elif not _same_constant(x, y):
                return False
    return True


def _same_constant(a: object, b: object) -> bool:
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return sorted(map(repr, a)) == sorted(map(repr, b))
    return type(a) is type(b) and repr(a) == repr(b)


def _is_rewritten(code: CodeType) -> bool:
    return any(name.startswith(_REWRITTEN) for inner in _codes(code) for name in (*inner.co_varnames, *inner.co_names))


def _at(code: CodeType, nodes: list[Definition]) -> list[Definition]:
    """Those lambdas whose body is where the code says that it is; all when it does not say."""
    places = [
        (line, column, end_line, end)
        for line, end_line, column, end in code.co_positions()
        if line is not None and column is not None and end_line is not None and end is not None and end > column
    ]
    if not places:
        return nodes
    first = min((line, column) for line, column, _, _ in places)
    last = max((end_line, end) for _, _, end_line, end in places)
    return [
        node
        for node in nodes
        if isinstance(node, ast.Lambda)
        and (node.body.lineno, node.body.col_offset) == first
        and (node.body.end_lineno, node.body.end_col_offset) == last
    ]
