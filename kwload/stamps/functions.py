"""Functions, and what stands in front of them: partials, wrappers, what they captured, tables of implementations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from kwload.stamps import canonical, sources
from kwload.stamps.names import reads
from kwload.stamps.objects import (
    FRAMEWORKS,
    defaults_of,
    functions_in,
    is_own,
    is_users,
    package_of,
    registry_of,
)
from kwload.stamps.walk import Walk


def take_object(walk: Walk, value: Any, shown: str) -> None:
    """Takes a function, or what stands in front of one; says so when there is none to be seen."""
    functions = list(functions_in(value))
    if not functions:
        _no_function(walk, value, shown)
    if type(value) is partial:
        _arguments(walk, value, shown)
    _implementations(walk, value, shown)
    for function in functions:
        take_function(walk, function, shown)


def _arguments(walk: Walk, value: partial[Any], shown: str) -> None:
    """What a ``functools.partial`` hands on: constants count, code is followed."""
    said = []
    listed = [*enumerate(value.args), *sorted(value.keywords.items())]
    for name, item in listed:
        text = canonical.plain_value(item)
        if text is not None:
            said.append(f"{name}: {text}")
        elif list(functions_in(item)):
            walk.follow_object(item, shown)
        else:
            walk.say(f"{shown} ({name})", f"the value of a {type(item).__name__} is not recorded")
    walk.put(f"{shown} (arguments)", "\n".join(said))


def _implementations(walk: Walk, value: Any, shown: str) -> None:
    """What ``functools.singledispatch`` chooses from, each by the class that it is for: annotations tell that too, and
    are in no canonical text."""
    registry = registry_of(value)
    listed = sorted((cls.__qualname__, function) for cls, function in registry.items()) if registry else []
    said = []
    for name, function in sorted(listed, key=lambda pair: pair[0]):
        said.append(f"{name}: {' '.join(_digests(walk, function))}")
        walk.follow_object(function, f"{shown} ({name})")
    if said:
        walk.put(f"{shown} (registered)", "\n".join(said))


def _digests(walk: Walk, value: Any) -> Iterator[str]:
    """Which functions of a table are which, when all are called ``_``."""
    for function in functions_in(value):
        found = walk.files.definition(function.__code__, function.__globals__)
        said = canonical.digest(canonical.form(found[1])) if isinstance(found, tuple) else ""
        yield f"{function.__code__.co_qualname} {said}"


def _no_function(walk: Walk, value: Any, shown: str) -> None:
    kind = type(value)
    if isinstance(value, type):
        walk.follow_class(value)
    elif is_own(kind):
        walk.follow_class(kind)
    elif package_of(value.__module__ if kind is BuiltinFunctionType else kind.__module__) not in FRAMEWORKS:
        walk.say(shown, f"{sources.NO_SOURCE}: it is of the type {kind.__name__}")


def take_function(walk: Walk, function: FunctionType, shown: str, member: bool = False) -> None:
    """Takes a function; a method of a base in another package is a piece too, and what it reaches there is not."""
    code, space = function.__code__, function.__globals__
    if not walk.is_new("function", id(code), id(function.__closure__), keep=function):
        return
    walk.home_is(space)
    name = code.co_qualname
    wrapped = function.__dict__.get("__wrapped__")
    if wrapped is not None:
        walk.follow_object(wrapped, shown)
    home = walk.project.holds(space)
    if not home:
        walk.leave(name, space)
    if not home and not (member and is_users(space)):
        _captured(walk, function, name)
        return
    if name.startswith("__create_fn__."):  # what dataclasses make of the fields, which count as they are
        return
    found = walk.files.definition(code, space)
    if isinstance(found, str):
        walk.say(shown if name.endswith("<lambda>") else name, found)
        return
    file, node = found
    text = [canonical.form(node), *_captured(walk, function, name)]
    text += [f"default {number}: {said}" for number, said in defaults_of(function)]
    walk.put(name, "\n".join(text), file.text(node))
    if home:
        walk.follow_names(reads([node]), name, file, space, function)


def _captured(walk: Walk, function: FunctionType, name: str) -> list[str]:
    """What a function captured: constants as text, code to follow; of the rest it is said that it is not known."""
    said = []
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            value = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        if variable == "__class__":
            continue
        text = canonical.plain_value(value)
        if text is not None:
            said.append(f"captured {variable}: {text}")
        elif isinstance(value, type):
            walk.follow_class(value)
        elif list(functions_in(value)):
            walk.follow_object(value, variable)
        elif walk.project.holds(function.__globals__) and not isinstance(value, ModuleType):
            kind = type(value).__name__
            walk.say(f"{name} (captured {variable})", f"the value of a {kind} is not recorded")
    return said
