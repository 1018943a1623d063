"""Live classes and functions, looked at without asking them: no code of theirs is run."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from kwload.stamps import canonical

FRAMEWORKS: Final = frozenset(
    {"keras", "tf_keras", "tensorflow", "jax", "jaxlib", "torch", "numpy", "ml_dtypes", "optree", "flax", "kwload"}
)

dict_of: Final = type.__dict__["__dict__"].__get__
mro_of: Final = type.__dict__["__mro__"].__get__


def package_of(module: object) -> str:
    """The first part of a module's name."""
    return str(module).partition(".")[0]


def is_own(cls: type) -> bool:
    """Whether a class is neither a framework's nor the language's."""
    return is_users({"__name__": cls.__module__})


def is_users(space: Mapping[str, Any]) -> bool:
    """Whether a module is neither a framework's nor the language's."""
    package = package_of(space.get("__name__", ""))
    return package not in FRAMEWORKS and package not in sys.stdlib_module_names


def globals_of(function: Any) -> dict[str, Any]:
    """The module of a function; empty for what is none."""
    return function.__globals__ if type(function) is FunctionType else {}


def of_framework(cls: type) -> bool:
    """Whether some base of a class is a framework's: its own methods are called by that."""
    return any(package_of(base.__module__) in FRAMEWORKS for base in mro_of(cls))


def is_import(statement: Any) -> bool:
    """Whether a statement of a syntax tree imports."""
    return type(statement).__name__ in ("Import", "ImportFrom")


def attributes_set(statement: Any) -> list[str]:
    """The attributes that an assignment sets: ``factor`` of ``Scale.factor = 5``."""
    return [target.attr for target in getattr(statement, "targets", ()) if type(target).__name__ == "Attribute"]


def fields_of(node: Any) -> Iterable[str]:
    """The annotated names of a class that a decorator makes something of: those of a dataclass, and what it calls for
    them, since a default factory stands nowhere else."""
    listed = [item for item in node.body if type(item).__name__ == "AnnAssign"]
    calls = field_calls(node)
    return [
        canonical.form(item.target) + (f"={canonical.form(item.value)}" if item.value in calls else "")
        for item in listed
    ]


def field_calls(node: Any) -> list[Any]:
    """The calls that make the fields of a dataclass."""
    values = [item.value for item in node.body if type(item).__name__ == "AnnAssign"]
    return [value for value in values if type(value).__name__ == "Call"]


def defaults_of(function: FunctionType) -> Iterable[tuple[str, str]]:
    """Default values that are constants."""
    listed = [(str(number), value) for number, value in enumerate(function.__defaults__ or ())]
    listed += sorted((function.__kwdefaults__ or {}).items())
    return [(name, text) for name, value in listed if (text := canonical.plain_value(value)) is not None]


_MOST_WRAPPERS: Final = 20


def functions_in(value: Any) -> Iterator[FunctionType]:
    """The functions that stand in a class or module under a name, behind what wraps them; none is run for it."""
    todo, found = [value], 0
    while todo and found < _MOST_WRAPPERS:
        item = todo.pop()
        found += 1
        kind = type(item)
        if kind is FunctionType:
            yield item
        elif kind in (staticmethod, classmethod):
            todo.append(item.__func__)
        elif issubclass(kind, property):
            todo.extend(part for part in (item.fget, item.fset) if part is not None)
        elif kind.__module__ == "functools":
            todo.extend(getattr(item, name) for name in ("func", "__wrapped__") if hasattr(item, name))
        elif kind is MethodType:
            todo.append(item.__func__)
        elif not isinstance(item, (type, ModuleType)):
            inside = own_attributes(item)
            todo.extend(inside[name] for name in ("_python_function", "__wrapped__", "_fun") if name in inside)


def own_attributes(item: Any) -> Mapping[str, Any]:
    """What an object holds, without asking it."""
    try:
        inside = object.__getattribute__(item, "__dict__")
    except AttributeError:
        return {}
    return inside if type(inside) is dict else {}
