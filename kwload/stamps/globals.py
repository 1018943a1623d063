"""The names of a module that a piece of code reads, each to what it stands for in memory.

    act            a function, class or constant of the module, or one that it imported: there
    helpers.act    through the modules on the way, to where it is bound
    TABLE["a"]     by the statements that bind and change it, and the functions that it holds

Where what stands in memory is not what a statement made of it, that is said: functions set it, or something else did.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any, Final

from kwload.stamps import canonical, dynamic, sources
from kwload.stamps.names import Chain, Reads
from kwload.stamps.objects import (
    functions_in,
    is_global_in,
    is_import,
    is_own,
    is_set_again,
    is_users,
    is_users_import,
    keeps_state,
    registry_of,
)
from kwload.stamps.sources import Origin, Parsed, origins_of
from kwload.stamps.statements import take_statements
from kwload.stamps.walk import Walk

_MOST_HELD: Final = 200
_CONTAINERS: Final = (list, dict, set, tuple, bytearray)
_MOVED: Final = "functions set or change it as the program runs"
_HANDED_ON: Final = "which of its names are read is not written there"
_ABSENT: Final = "it is not there"


def take_names(
    walk: Walk, found: Reads, piece: str, file: Parsed, module: dict[str, Any], function: FunctionType | None
) -> None:
    """Takes what a piece of code reads that is not its own."""
    walk.attributes |= found.attributes
    walk.supers |= found.supers
    walk.computed = walk.computed or found.computed
    captured = set(function.__code__.co_freevars) if function is not None else set()
    for what, why in found.obscure.items():
        walk.say(f"{piece} ({what})", why)
    for chain in found.files:
        if chain[0] not in captured and _is_of_others(walk, chain, found, module):
            walk.say(f"{piece} ({chain[-1]}())", dynamic.FROM_FILE)
    for chain in found.chains:
        if chain[0] in captured:
            continue
        if "environ" in chain:
            walk.say(f"{piece} (environ)", dynamic.FROM_ENVIRONMENT)
        if chain[:2] == ("sys", "modules"):
            walk.say(f"{piece} (sys.modules)", dynamic.IMPORTED)
        if chain[0] in found.imports:
            _imported(walk, chain, found.imports[chain[0]], module)
        elif chain[0] in module:
            _global(walk, chain, file, module)
        elif function is not None and _is_absent(chain[0], file, function):
            walk.say(f"{piece} ({chain[0]})", _ABSENT)


def _is_absent(name: str, file: Parsed, function: FunctionType) -> bool:
    """Whether a function reads a name that its module does not have, and that is not a framework that is not there."""
    if hasattr(builtins, name) or not is_global_in(function.__code__, name):
        return False
    statements = file.bindings.get(name, ())
    return not statements or not all(is_import(item) and not is_users_import(item) for item in statements)


def _is_of_others(walk: Walk, chain: Chain, found: Reads, module: dict[str, Any]) -> bool:
    """Whether what is called like a function that reads files is none of the project's own."""
    if chain[0] in found.imports:
        return not walk.project.holds({"__name__": found.imports[chain[0]][0]})
    value = module.get(chain[0])
    if type(value) is ModuleType:
        return not walk.project.holds(vars(value))
    if chain[-1] == "load" and len(chain) > 1:  # of some object: no module
        return False
    return not any(walk.project.holds(each.__globals__) for each in functions_in(value))


def _global(walk: Walk, chain: Chain, file: Parsed, module: dict[str, Any]) -> None:
    name, value = chain[0], module[chain[0]]
    origins = origins_of(name, file, module)
    _renamed(walk, name, origins)
    if type(value) is ModuleType:
        take_through(walk, value, chain[1:], name)
        return
    if isinstance(value, type) and len(chain) > 1:  # Base.call(self, x)
        walk.supers.add(chain[1])
    statements = [item for item in file.bindings.get(name, ()) if not is_import(item)]
    defined = any(hasattr(item, "decorator_list") for item in statements)
    if isinstance(value, type):
        walk.follow_class(value)
    elif statements and not (defined and any(walk.project.holds(each.__globals__) for each in functions_in(value))):
        take_statements(walk, name, statements, file, module)
        if registry_of(value):
            walk.follow_object(value, name)
        _held(walk, value, name)
        if not _brought(walk, chain, value, origins) and not defined and not _is_table(value):
            _moved(walk, name, value, statements)
    elif not statements and (text := canonical.plain_value(value)) is not None:
        if not name.startswith("__"):  # made by another module, or in another cell
            walk.put(name, text)
    elif list(functions_in(value)):
        _callable(walk, value, name)
    elif not statements and not _brought(walk, chain, value, origins):
        kind = type(value)
        if is_own(kind) or (kind in _CONTAINERS and not origins):
            walk.say(name, f"the value of a {kind.__name__} is not recorded")
    if name in file.moving and not _is_table(value):
        walk.say(name, _MOVED)


def _moved(walk: Walk, name: str, value: Any, statements: Iterable[Any]) -> None:
    """Says where what a name stands for is not, or need not be, what its statements made."""
    if is_set_again(statements, value):
        walk.say(name, sources.SET_AGAIN)
    elif keeps_state(value):
        walk.say(name, f"what an object of {type(value).__name__} holds is not recorded")


def _renamed(walk: Walk, name: str, origins: Iterable[Origin]) -> None:
    """What is called otherwise at home: ``from keras.ops import sin as act`` reads ``act`` and computes a sine."""
    said = {(origin.attribute or origin.module).rpartition(".")[2] for origin in origins if not _is_ours(walk, origin)}
    if said - {name}:
        walk.put(name, f"(import {' '.join(sorted(said))})")


def _is_ours(walk: Walk, origin: Origin) -> bool:
    found = sys.modules.get(origin.module)
    return walk.project.holds(vars(found) if type(found) is ModuleType else {"__name__": origin.module})


def _brought(walk: Walk, chain: Chain, value: object, origins: Iterable[Origin]) -> bool:
    """Follows a value to the module that it was imported from; whether there is one."""
    found = False
    for origin in origins:
        module = sys.modules.get(origin.module)
        if type(module) is not ModuleType or origin.attribute is None:
            continue
        if vars(module).get(origin.attribute) is not value:
            continue
        found = True
        if walk.is_new("brought", id(module), origin.attribute, chain, keep=module):  # two may import from each other
            walk.follow_through(module, (origin.attribute, *chain[1:]), origin.module)
    return found


def _is_table(value: Any) -> bool:
    """Whether a value is a dict or list of code, and of nothing else: what `@register` put there is followed."""
    if type(value) not in (dict, list) or not value or len(value) > _MOST_HELD:
        return False
    return all(type(item) is FunctionType or isinstance(item, type) for item in _items(value))


def _items(value: Any) -> list[Any]:
    return list(value.values() if type(value) is dict else value)


def _held(walk: Walk, value: Any, name: str) -> None:
    """Code of the project that a dict or list of a module holds: what `@register` put there."""
    if type(value) not in (dict, list) or len(value) > _MOST_HELD:
        return
    for item in _items(value):
        if type(item) is FunctionType and "<" not in item.__qualname__:  # those made later come and go
            _callable(walk, item, name)
        elif isinstance(item, type) and "<" not in item.__qualname__ and is_own(item):
            walk.follow_class(item)


def _callable(walk: Walk, value: Any, name: str) -> None:
    """What holds functions: it is followed when one of them, or what it wraps, is of the project."""
    for function in functions_in(value):
        space = function.__globals__
        if walk.project.holds(space) or "__wrapped__" in function.__dict__:
            walk.follow_object(value, name)
            return
        if not isinstance(space.get("__name__"), str):
            walk.say(name, sources.NO_SOURCE)
        else:
            walk.leave(function.__code__.co_qualname, space)


def take_through(walk: Walk, module: ModuleType, rest: Chain, said: str) -> None:
    """Takes ``helpers.act`` through the modules on the way."""
    value: Any = module
    for number, part in enumerate(rest):
        space = vars(value)
        if not walk.project.holds(space):
            walk.leave(".".join(rest[number:]), space)
            return
        if part not in space:
            _made_on_demand(walk, space, part, said)
            return
        value = space[part]
        if type(value) is not ModuleType:
            file = walk.files.file(str(space.get("__file__", "")), space)
            if isinstance(file, str):
                walk.say(f"{said}.{part}", file)
            else:
                _global(walk, rest[number:], file, space)
            return
    if walk.project.holds(vars(value)):
        walk.say(".".join([said, *rest]), _HANDED_ON)


def _made_on_demand(walk: Walk, space: dict[str, Any], part: str, said: str) -> None:
    """A name that a module does not have: its ``__getattr__`` makes it, if there is one."""
    if part == "__dict__":
        walk.say(said, _HANDED_ON)
    elif "__getattr__" in space:
        walk.follow_object(space["__getattr__"], f"{said}.__getattr__")
    elif part not in ("__doc__", "__package__", "__path__", "__spec__", "__loader__"):
        walk.say(f"{said}.{part}", _ABSENT)


def _imported(walk: Walk, chain: Chain, what: tuple[str, int, str | None], module: dict[str, Any]) -> None:
    """A name that was imported inside of a function, from a module that is in memory."""
    name, level, attribute = what
    name = sources.absolute(name, level, module)
    found = sys.modules.get(name)
    if not is_users({"__name__": name}):
        return
    if type(found) is not ModuleType:
        walk.say(".".join(chain), f"{name} is not imported yet")
    elif attribute is None:
        take_through(walk, found, chain[1:], chain[0])
    else:
        take_through(walk, found, (attribute, *chain[1:]), name)
