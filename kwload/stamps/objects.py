"""Live classes and functions, looked at without asking them: no code of theirs is run."""

from __future__ import annotations

import ast
import dis
import enum
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
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


def is_users_import(statement: Any) -> bool:
    """Whether an import is of a module that is neither a framework's nor the language's."""
    if isinstance(statement, ast.Import):
        return any(is_users({"__name__": alias.name}) for alias in statement.names)
    return bool(statement.level) or is_users({"__name__": statement.module or ""})


def is_global_in(code: CodeType, name: str) -> bool:
    """Whether code reads a name of its module: decorators and defaults are read by what is around it."""
    todo = [code]
    while todo:
        item = todo.pop()
        if name in item.co_names and any(
            step.argval == name and step.opname in ("LOAD_GLOBAL", "LOAD_NAME") for step in dis.get_instructions(item)
        ):
            return True
        todo.extend(inner for inner in item.co_consts if isinstance(inner, CodeType))
    return False


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


def is_set_again(statements: Iterable[Any], value: object) -> bool:
    """Whether a name whose one statement gives it a literal stands for something else now."""
    listed = list(statements)
    if len(listed) != 1 or not isinstance(listed[0], (ast.Assign, ast.AnnAssign)) or listed[0].value is None:
        return False
    if any(isinstance(target, (ast.Tuple, ast.List)) for target in getattr(listed[0], "targets", ())):
        return False
    try:
        literal = ast.literal_eval(listed[0].value)
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return False
    return canonical.held_value(literal) != canonical.held_value(value)


def keeps_state(value: object) -> bool:
    """Whether a value is an object of a user's class that holds something which may be set anew."""
    kind = type(value)
    if not is_own(kind) or issubclass(kind, enum.Enum) or not own_attributes(value):
        return False
    return not getattr(dict_of(kind).get("__dataclass_params__"), "frozen", False)


def registry_of(value: Any) -> Mapping[type, Any]:
    """What ``functools.singledispatch`` chooses from: class -> implementation; empty for all else."""
    if type(value).__module__ == "functools" and "dispatcher" in own_attributes(value):  # singledispatchmethod
        value = own_attributes(value)["dispatcher"]
    if type(value) is not FunctionType or value.__globals__.get("__name__") != "functools":
        return {}
    registry = value.__dict__.get("registry")
    return registry if type(registry) is MappingProxyType else {}


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
