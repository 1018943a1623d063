"""Which names a piece of code reads that are not its own, and which attributes, by the rules of Python's scopes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from kwload.stamps import dynamic
from kwload.stamps.canonical import last_name

_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

ANY: Final = "*"
"""Stands among the attributes of ``super()`` when it is kept, and not used at once."""

Chain: TypeAlias = tuple[str, ...]
"""``("helpers", "act")`` of ``helpers.act``."""


@dataclass(slots=True)
class Reads:
    """What a piece of code reads.

    Attributes
    ----------
    chains : dict of tuple of str
        Names that are bound outside, each with the attributes that are read of it at once; in order.
    attributes : set of str
        Attributes of anything; those in the text of ``getattr(x, "name")`` too.
    supers : set of str
        Attributes of ``super()``.
    imports : dict
        Name -> ``(module, level, attribute or None)`` of what is imported inside.
    computed : bool
        Whether attributes are read by names that are not written there.
    obscure : dict of str to str
        What cannot be followed -> why: ``{"eval()": "it runs code that is made as it runs"}``.
    files : dict of tuple of str
        Calls that may read a file, by the names that lead there; the first is empty when that is not a name that is
        bound outside.
    """

    chains: dict[Chain, None] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)
    supers: set[str] = field(default_factory=set)
    imports: dict[str, tuple[str, int, str | None]] = field(default_factory=dict)
    computed: bool = False
    obscure: dict[str, str] = field(default_factory=dict)
    files: dict[Chain, None] = field(default_factory=dict)


def reads(nodes: Iterable[ast.AST]) -> Reads:
    """What these statements, functions or expressions of one scope read that is bound outside of them.

    Names that the outermost statements bind count as read where they are read: that scope is a module's, and what it
    binds is there for others to read.
    """
    found = Reads()
    for node in nodes:
        _visit(node, (), found)
    return found


def bound(body: Sequence[ast.AST]) -> set[str]:
    """The names that statements bind in their own scope; those that they declare global or nonlocal are not its own."""
    names: set[str] = set()
    outside: set[str] = set()
    todo = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            outside.update(node.names)
        elif isinstance(node, _COMPREHENSIONS):
            todo.extend(inner for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        else:
            names.update(binds(node))
            if not isinstance(node, _SCOPES):
                todo.extend(ast.iter_child_nodes(node))
    return names - outside


def binds(node: ast.AST) -> Iterator[str]:
    """The names that a node itself binds."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        if node.name is not None:
            yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest is not None:
        yield node.rest


_Scopes: TypeAlias = tuple[set[str], ...]


def _visit(node: ast.AST, scopes: _Scopes, found: Reads) -> None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        _function(node, scopes, found)
    elif isinstance(node, ast.ClassDef):
        for outer in (*node.decorator_list, *node.bases, *node.keywords):
            _visit(outer, scopes, found)
        own = bound(node.body) | _type_parameters(node)
        for item in node.body:  # functions in a class do not see what the class binds
            _visit(item, scopes if isinstance(item, _SCOPES) else (*scopes, own), found)
    elif isinstance(node, _COMPREHENSIONS):
        _comprehension(node, scopes, found)
    elif isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            _name((node.id,), scopes, found)
    elif isinstance(node, ast.Attribute):
        _attribute(node, scopes, found)
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        _imports(node, found)
    elif isinstance(node, ast.AnnAssign):
        for part in (node.target, node.value):
            if part is not None:
                _visit(part, scopes, found)
    elif isinstance(node, (ast.Call, ast.Subscript)) and (what := dynamic.lookup(node)) is not None:
        _looked_up(what, scopes, found)
    else:
        if isinstance(node, ast.Call):
            _call(node, scopes, found)
        elif isinstance(node, ast.MatchClass):
            found.attributes.update(node.kwd_attrs)
        for child in ast.iter_child_nodes(node):
            _visit(child, scopes, found)


def _name(chain: Chain, scopes: _Scopes, found: Reads) -> None:
    if not any(chain[0] in names for names in scopes):
        found.chains.setdefault(chain)


def _attribute(node: ast.Attribute, scopes: _Scopes, found: Reads) -> None:
    names: list[str] = []
    inner: ast.AST = node
    while isinstance(inner, ast.Attribute):
        found.attributes.add(inner.attr)
        found.computed = found.computed or inner.attr == "__dict__"
        names.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        _name((inner.id, *reversed(names)), scopes, found)
        return
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "super":
        found.supers.add(names[-1])
        for part in (inner.func, *inner.args):
            _visit(part, scopes, found)
        return
    _visit(inner, scopes, found)


def _looked_up(what: dynamic.Lookup, scopes: _Scopes, found: Reads) -> None:
    """What is read by its name as a text, as if it were written plainly."""
    if what.owner is None:
        found.chains.setdefault((what.name,))
    else:
        _visit(ast.Attribute(what.owner, what.name, ast.Load()), scopes, found)
    for part in what.rest:
        _visit(part, scopes, found)


def _call(node: ast.Call, scopes: _Scopes, found: Reads) -> None:
    """What a call says by the name of what it calls; its parts are read elsewhere."""
    if isinstance(node.func, ast.Name) and node.func.id == "super":
        found.supers.add(ANY)
    if last_name(node) in ("attrgetter", "methodcaller"):
        texts = [item.value for item in node.args if isinstance(item, ast.Constant)]
        found.attributes.update(part for text in texts for part in str(text).split("."))
    found.computed = found.computed or dynamic.is_computed(node)
    if (said := dynamic.obscure(node)) is not None:
        found.obscure.setdefault(*said)
    chain = _chain(node.func)
    is_free = bool(chain) and not any(chain[0] in names for names in scopes)
    if dynamic.reads_file(node, is_free):
        found.files.setdefault(chain if is_free else ("", last_name(node)))


def _chain(node: ast.AST) -> Chain:
    """``("np", "load")`` of ``np.load``; empty for what does not begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def _type_parameters(node: ast.AST) -> set[str]:
    """The names in the brackets of ``def act[T](x)``, as Python 3.12 has them."""
    return {str(part.name) for part in getattr(node, "type_params", ())}


def _function(node: _Function, scopes: _Scopes, found: Reads) -> None:
    arguments = node.args
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    for outer in (*decorators, *arguments.defaults, *arguments.kw_defaults):
        if outer is not None and not _is_accessor(outer):
            _visit(outer, scopes, found)
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    body: Sequence[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
    imported = {name for item in inside(body) if isinstance(item, (ast.Import, ast.ImportFrom)) for name in binds(item)}
    own = {argument.arg for argument in listed if argument is not None} | (bound(body) - imported)
    own |= _type_parameters(node)
    for item in body:
        _visit(item, (*scopes, own), found)


def _is_accessor(node: ast.AST) -> bool:
    """``@rate.setter`` reads a name of the class, which is none of the module though that may have one of that name."""
    return isinstance(node, ast.Attribute) and node.attr in ("setter", "getter", "deleter")


def inside(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of scopes inside."""
    todo = list(body)
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, _SCOPES):
            todo.extend(ast.iter_child_nodes(node))


def _comprehension(node: ast.AST, scopes: _Scopes, found: Reads) -> None:
    generators: list[ast.comprehension] = getattr(node, "generators", [])
    targets = {name for part in generators for inner in ast.walk(part.target) for name in binds(inner)}
    for number, part in enumerate(generators):
        _visit(part.iter, (*scopes, targets) if number else scopes, found)
        for inner in (part.target, *part.ifs):
            _visit(inner, (*scopes, targets), found)
    for name in ("elt", "key", "value"):
        item = getattr(node, name, None)
        if isinstance(item, ast.AST):
            _visit(item, (*scopes, targets), found)


def _imports(node: ast.Import | ast.ImportFrom, found: Reads) -> None:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            found.imports[alias.asname or alias.name] = (node.module or "", node.level, alias.name)
        else:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            found.imports[alias.asname or whole] = (whole, 0, None)
