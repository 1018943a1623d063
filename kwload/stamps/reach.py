"""Fingerprints of code: one digest for each piece of what a class computes, so that what changed can be named.

    class --> methods that count --> names they read --> helpers, constants, classes of the same project --> ...
                     |                                      |
                     +-------- canonical text, digest ------+--> {"Scale.call": "9f2c...", "helper": "...", "K": "..."}

What counts of a class: ``__init__``, ``build``, ``call`` and their like, methods that override one of Keras's, and
those whose names are read somewhere in what counts; of several bases the one that Python takes, the others when
``super()`` asks for them. What these reach is followed through helpers, base classes, classes and constants, in the
same module and in the other modules of the same project (one top-level package, or one folder of single modules). Not
followed: Keras, TensorFlow, JAX, torch, NumPy, the standard library; other packages are listed.

Nothing is imported and no code is run: live objects are looked at through their own ``__dict__``.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

from kwload.stamps import canonical, sources
from kwload.stamps.fingerprint import Fingerprint
from kwload.stamps.names import ANY, Chain, Reads, reads
from kwload.stamps.objects import (
    FRAMEWORKS,
    attributes_set,
    defaults_of,
    dict_of,
    field_calls,
    fields_of,
    functions_in,
    globals_of,
    is_import,
    is_own,
    is_users,
    mro_of,
    of_framework,
    package_of,
)
from kwload.stamps.sources import Origin, Parsed, Sources, origins_of

_MOST_UNITS: Final = 2000
_MOST_HELD: Final = 200
_CONTAINERS: Final = (list, dict, set, tuple, bytearray)
_ENTRIES: Final = frozenset(
    {"__init__", "__new__", "__call__", "__getattr__", "__getattribute__", "__setattr__", "build", "call"}
)
_IDLE_NAMES: Final = """
    get_config from_config get_build_config build_from_config get_compile_config compile_from_config
    compute_output_shape compute_output_spec compute_output_signature save_own_variables save_assets load_assets
    train_step test_step predict_step train_function test_function predict_function make_train_function
    make_test_function make_predict_function compile fit evaluate predict train_on_batch test_on_batch
    predict_on_batch compute_loss compute_metrics metrics get_metrics_result reset_metrics summary export save
    save_weights load_weights to_json count_params name path __repr__ __str__ __reduce__ __reduce_ex__ __getstate__
    __setstate__ __deepcopy__ __copy__ __hash__ __eq__ __dir__ __doc__ __module__ __qualname__ __dict__ __weakref__
    __annotations__ __firstlineno__ __static_attributes__ __orig_bases__ __parameters__ __abstractmethods__
    __init_subclass__ __class_getitem__ __slots__ __annotate__ __annotate_func__ __annotations_cache__
"""
_IDLE: Final = frozenset(_IDLE_NAMES.split())
"""What decides nothing about the values that come out of a loaded layer."""
_REGISTERING: Final = frozenset({"register_keras_serializable", "register", "signature"})


def of_class(cls: type, *, source: bool = False, files: Sources | None = None) -> Fingerprint:
    """The fingerprint of a class.

    Parameters
    ----------
    cls : type
        A class that is in memory.
    source : bool
        Keep the lines of what counts.
    files : Sources, optional
        Files that were parsed before.
    """
    reach = Reach(files or Sources(), str(cls.__module__))
    reach.add_class(cls)
    return reach.result(cls.__qualname__, source)


def of_function(function: Any, *, source: bool = False, files: Sources | None = None) -> Fingerprint:
    """The fingerprint of a function that a layer was given: that of a ``Lambda``, an activation."""
    first = next(functions_in(function), None)
    reach = Reach(files or Sources(), str(globals_of(first).get("__name__", "")))
    name = first.__qualname__ if first is not None else type(function).__name__
    reach.add_object(function, name)
    return reach.result(name, source)


def _installed(path: str) -> bool:
    """Whether a file is one of an installed package."""
    return any(path.startswith(folder + os.sep) for folder in _FOLDERS)


_FOLDERS: Final = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib")})


class Reach:
    """Everything that a class computes with, piece by piece, until nothing new comes."""

    def __init__(self, files: Sources, home: str) -> None:
        self.files = files
        self.home = package_of(home)
        self.home_name = ""
        self.texts: dict[str, str] = {}
        self.lines: dict[str, str] = {}
        self.unknown: dict[str, str] = {}
        self.outside: set[str] = set()
        self.classes: dict[type, None] = {}
        self.headed: set[type] = set()
        self.taken: set[tuple[int, str]] = set()
        self.attributes: set[str] = set()
        self.supers: set[str] = set()
        self.computed = False
        self.todo: deque[Any] = deque()
        self.kept: list[Any] = []
        """Objects whose identity stands in `taken`: they must not be freed meanwhile."""

    def result(self, name: str, source: bool) -> Fingerprint:
        try:
            self._run()
        except RecursionError:
            self.unknown.setdefault(name, sources.TOO_DEEP)
        if not self.texts and not self.unknown:  # nothing was seen, and that is no evidence
            self.unknown[name] = sources.NO_SOURCE
        units = {key: canonical.digest(text) for key, text in sorted(self.texts.items())}
        return Fingerprint(
            name,
            self.home_name,
            units,
            dict(sorted(self.unknown.items())),
            tuple(sorted(self.outside)),
            {key: self.lines[key] for key in units if key in self.lines} if source else {},
        )

    def _run(self) -> None:
        while True:
            while self.todo:
                step, *arguments = self.todo.popleft()
                step(*arguments)
                if len(self.texts) > _MOST_UNITS:
                    self.unknown["…"] = f"more than {_MOST_UNITS:,} pieces of code"
                    return
            for cls in list(self.classes):
                self._members(cls)
            if not self.todo:
                return

    # --- classes

    def add_class(self, cls: type) -> None:
        """Follows a class; its bases come with what they define."""
        if cls in self.classes:
            return
        self.classes[cls] = None
        if not self.home_name:
            self.home_name = str(cls.__module__)
        self._header(cls)

    def _header(self, cls: type) -> None:
        """The bases by name: how a module imports Keras is no matter."""
        self.headed.add(cls)
        text = f"(bases {' '.join(base.__name__ for base in cls.__bases__)})"
        node = self._class_node(cls)
        if isinstance(node, tuple):
            file, found = node
            decorators = [item for item in found.decorator_list if canonical.last_name(item) not in _REGISTERING]
            if decorators:
                text += f" [{' '.join(map(canonical.form, decorators))}]"
                text += f" [{' '.join(fields_of(found))}]"
                self._follow(reads([*decorators, *field_calls(found)]), file, self._module(cls), None)
        self._put(cls.__qualname__, text, "")
        if is_own(type(cls)):
            self._class(type(cls), cls.__qualname__)

    def _members(self, cls: type) -> None:
        """Takes what counts of a class and its bases and was not taken before."""
        seen: dict[str, bool] = {}
        for base in mro_of(cls):
            own = is_own(base)
            for name, value in list(dict_of(base).items()):
                first = name not in seen
                if first:
                    seen[name] = own
                if own and (first or self.supers & {name, ANY}) and self._counts(cls, name):
                    self._take(base, name, value)
        for base in mro_of(cls):
            if is_own(base) and base not in self.headed:
                self._header(base)

    def _counts(self, cls: type, name: str) -> bool:
        if name in _ENTRIES or name in self.attributes:
            return True
        if name in _IDLE:
            return False
        if name.startswith("__") and name.endswith("__"):
            return not of_framework(cls)
        return self.computed or any(
            name in dict_of(base) for base in mro_of(cls) if package_of(base.__module__) in FRAMEWORKS
        )

    def _take(self, cls: type, name: str, value: object) -> None:
        if (id(cls), name) in self.taken:
            return
        self.taken.add((id(cls), name))
        self.kept.append(cls)
        shown = f"{cls.__qualname__}.{name}"
        functions = list(functions_in(value))
        for function in functions:
            self.todo.append((self._function, function, shown, True))
        if name not in _IDLE and not any(is_users(function.__globals__) for function in functions):
            self._attribute(cls, name, value, shown)  # `act = keras.ops.sin` too: which one is written there

    def _attribute(self, cls: type, name: str, value: object, shown: str) -> None:
        """An attribute of a class that is no function."""
        if isinstance(value, type):
            self._class(value, shown)
            return
        node = self._class_node(cls)
        statements = sources.statements_in(node[1], name) if isinstance(node, tuple) else []
        if isinstance(node, tuple):  # `Scale.factor = 5` below the class
            statements += [item for item in node[0].bindings.get(cls.__name__, ()) if name in attributes_set(item)]
        if isinstance(node, tuple) and statements:
            self._statements(shown, statements, node[0], self._module(cls))
        elif (text := canonical.plain_value(value)) is not None:
            self._put(shown, text, "")
        elif isinstance(node, str):
            self.unknown.setdefault(shown, node)

    def _class_node(self, cls: type) -> tuple[Parsed, Any] | str:
        """The statement that made a class, or why that is not known: the one that holds its functions."""
        functions = [item for value in dict_of(cls).values() for item in functions_in(value)]
        codes = [item.__code__ for item in functions if item.__code__.co_qualname.startswith(f"{cls.__qualname__}.")]
        module = self._module(cls)
        name = codes[0].co_filename if codes else module.get("__file__")
        file = self.files.file(name, module) if isinstance(name, str) else sources.NO_SOURCE
        if isinstance(file, str):
            return file
        lines = {code.co_firstlineno for code in codes if code.co_filename == name}
        found = file.classes.get(cls.__name__, [])
        if lines:
            found = [node for node in found if lines & {sources.first_line(item) for item in node.body}]
        elif len(found) > 1:
            found = [node for node in found if sources.first_line(node) == dict_of(cls).get("__firstlineno__")]
        return (file, found[0]) if len(found) == 1 else sources.NO_SOURCE

    def _module(self, cls: type) -> dict[str, Any]:
        module = sys.modules.get(str(cls.__module__))
        return vars(module) if type(module) is ModuleType else {}

    # --- functions

    def add_object(self, value: Any, shown: str) -> None:
        """Follows a function, or what stands in front of one; says so when there is none to be seen."""
        functions = list(functions_in(value))
        if not functions:
            self._no_function(value, shown)
        if type(value) is partial:
            self._arguments(value, shown)
        for function in functions:
            self._function(function, shown)

    def _arguments(self, value: partial[Any], shown: str) -> None:
        """What a ``functools.partial`` hands on: constants count, code is followed."""
        said = []
        listed = [*enumerate(value.args), *sorted(value.keywords.items())]
        for name, item in listed:
            text = canonical.plain_value(item)
            if text is not None:
                said.append(f"{name}: {text}")
            elif list(functions_in(item)):
                self.todo.append((self.add_object, item, shown))
            else:
                self.unknown.setdefault(f"{shown} ({name})", f"the value of a {type(item).__name__} is not recorded")
        self._put(f"{shown} (arguments)", "\n".join(said), "")

    def _no_function(self, value: Any, shown: str) -> None:
        kind = type(value)
        if isinstance(value, type):
            self._class(value, shown)
        elif is_own(kind):
            self._class(kind, shown)
        elif package_of(value.__module__ if kind is BuiltinFunctionType else kind.__module__) in FRAMEWORKS:
            return
        else:
            self.unknown.setdefault(shown, f"{sources.NO_SOURCE}: it is of the type {kind.__name__}")

    def _function(self, function: FunctionType, shown: str, member: bool = False) -> None:
        """A function; a method of a base in another package is a piece too, and what it reaches there is not."""
        code = function.__code__
        key = (id(code), str(id(function.__closure__)))
        if key in self.taken:
            return
        self.taken.add(key)
        self.kept.append(function)
        if not self.home_name:
            self.home_name = str(function.__globals__.get("__name__", ""))
        wrapped = function.__dict__.get("__wrapped__")
        if wrapped is not None:
            self.todo.append((self.add_object, wrapped, shown))
        home = self._is_home(function.__globals__)
        if not home and not (member and is_users(function.__globals__)):
            self._captured(function, code.co_qualname)
            return
        name = code.co_qualname
        if name.startswith("__create_fn__."):  # what dataclasses make of the fields, which count as they are
            return
        found = self.files.definition(code, function.__globals__)
        if isinstance(found, str):
            self.unknown.setdefault(shown if name.endswith("<lambda>") else name, found)
            return
        file, node = found
        text = [canonical.form(node), *self._captured(function, name)]
        text += [f"default {number}: {said}" for number, said in defaults_of(function)]
        self._put(name, "\n".join(text), file.text(node))
        if home:
            self._follow(reads([node]), file, function.__globals__, function)

    def _captured(self, function: FunctionType, name: str) -> list[str]:
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
                self._class(value, variable)
            elif list(functions_in(value)):
                self.todo.append((self.add_object, value, variable))
            elif self._is_home(function.__globals__) and not isinstance(value, ModuleType):
                kind = type(value).__name__
                self.unknown.setdefault(f"{name} (captured {variable})", f"the value of a {kind} is not recorded")
        return said

    # --- names

    def _follow(self, found: Reads, file: Parsed, module: dict[str, Any], function: FunctionType | None) -> None:
        self.attributes |= found.attributes
        self.supers |= found.supers
        self.computed = self.computed or found.computed
        captured = set(function.__code__.co_freevars) if function is not None else set()
        for chain in found.chains:
            if chain[0] in captured:
                continue
            if chain[0] in found.imports:
                self._imported(chain, found.imports[chain[0]], module)
            elif chain[0] in module:
                self._global(chain, file, module)

    def _global(self, chain: Chain, file: Parsed, module: dict[str, Any]) -> None:
        name, value = chain[0], module[chain[0]]
        origins = origins_of(name, file, module)
        self._renamed(name, origins)
        if type(value) is ModuleType:
            self._through(value, chain[1:], name)
            return
        if isinstance(value, type) and len(chain) > 1:  # Base.call(self, x)
            self.supers.add(chain[1])
        statements = [item for item in file.bindings.get(name, ()) if not is_import(item)]
        defined = any(hasattr(item, "decorator_list") for item in statements)
        if isinstance(value, type):
            self._class(value, name)
        elif statements and not (defined and any(self._is_home(item.__globals__) for item in functions_in(value))):
            self._statements(name, statements, file, module)
            self._held(value, name)
            self._brought(chain, value, origins)
        elif not statements and (text := canonical.plain_value(value)) is not None:
            if not name.startswith("__"):  # made by another module, or in another cell
                self._put(name, text, "")
        elif list(functions_in(value)):
            self._callable(value, name)
        elif not statements and not self._brought(chain, value, origins):
            kind = type(value)
            if is_own(kind) or (kind in _CONTAINERS and not origins):
                self.unknown.setdefault(name, f"the value of a {kind.__name__} is not recorded")

    def _renamed(self, name: str, origins: Iterable[Origin]) -> None:
        """What is called otherwise at home: ``from keras.ops import sin as act`` reads ``act`` and computes a sine."""
        said = {
            (origin.attribute or origin.module).rpartition(".")[2] for origin in origins if not self._is_ours(origin)
        }
        if said - {name}:
            self._put(name, f"(import {' '.join(sorted(said))})", "")

    def _brought(self, chain: Chain, value: object, origins: Iterable[Origin]) -> bool:
        """Follows a value to the module that it was imported from; whether there is one."""
        found = False
        for origin in origins:
            space = vars(sys.modules[origin.module]) if origin.module in sys.modules else {}
            if origin.attribute is None or space.get(origin.attribute) is not value:
                continue
            found = True
            key = (id(space), f"{origin.attribute} of {'.'.join(chain)}")
            if key not in self.taken:  # two modules may import one thing from each other
                self.taken.add(key)
                self.todo.append(
                    (self._through, sys.modules[origin.module], (origin.attribute, *chain[1:]), origin.module)
                )
        return found

    def _held(self, value: Any, name: str) -> None:
        """Functions of the project that a dict or list of a module holds: what `@register` put there."""
        if type(value) not in (dict, list) or len(value) > _MOST_HELD:
            return
        for item in list(value.values() if type(value) is dict else value):
            if type(item) is FunctionType and "<" not in item.__qualname__:  # those made later come and go
                self._callable(item, name)

    def _is_ours(self, origin: Origin) -> bool:
        found = sys.modules.get(origin.module)
        return self._is_home(vars(found) if type(found) is ModuleType else {"__name__": origin.module})

    def _through(self, module: ModuleType, rest: Chain, said: str) -> None:
        """Follows ``helpers.act`` through the modules on the way."""
        value: Any = module
        for number, part in enumerate(rest):
            space = vars(value)
            name = str(space.get("__name__", ""))
            if not is_users(space):
                return
            if not self._is_home(space):
                self.outside.add(f"{name}.{'.'.join(rest[number:])}")
                return
            if part not in space:
                return
            value = space[part]
            if type(value) is not ModuleType:
                file = self.files.file(str(space.get("__file__", "")), space)
                if isinstance(file, str):
                    self.unknown.setdefault(f"{said}.{part}", file)
                else:
                    self._global(rest[number:], file, space)
                return

    def _imported(self, chain: Chain, what: tuple[str, int, str | None], module: dict[str, Any]) -> None:
        """A name that was imported inside of a function, from a module that is in memory."""
        name, level, attribute = what
        name = sources.absolute(name, level, module)
        found = sys.modules.get(name)
        if not is_users({"__name__": name}):
            return
        if type(found) is not ModuleType:
            self.unknown.setdefault(".".join(chain), f"{name} is not imported yet")
        elif attribute is None:
            self._through(found, chain[1:], chain[0])
        else:
            self._through(found, (attribute, *chain[1:]), name)

    def _callable(self, value: Any, name: str) -> None:
        function = next(functions_in(value))
        space = function.__globals__
        if self._is_home(space):
            self.todo.append((self.add_object, value, name))
        elif not isinstance(space.get("__name__"), str):
            self.unknown.setdefault(name, sources.NO_SOURCE)
        elif is_users(space):
            self.outside.add(f"{space['__name__']}.{function.__code__.co_qualname}")

    def _class(self, cls: type, name: str) -> None:
        if self._is_home(self._module(cls)) or cls.__module__ in ("__main__", self.home_name):
            self.todo.append((self.add_class, cls))
        elif is_own(cls):
            self.outside.add(f"{cls.__module__}.{cls.__qualname__}")

    def _statements(self, name: str, statements: Iterable[Any], file: Parsed, module: dict[str, Any]) -> None:
        """A name of a module or of a class by the statements that bind it."""
        listed = list(statements)
        key = (id(file), f"{name}@{listed[0].lineno}")
        if key in self.taken:
            return
        self.taken.add(key)
        asked = list(dict.fromkeys(test for item in listed for test in file.conditions.get(item, ())))
        text = "\n".join(map(canonical.form, [*asked, *listed]))
        self._put(name, text, "\n".join(map(file.text, listed)))
        self._follow(reads([*asked, *listed]), file, module, None)

    def _is_home(self, space: Mapping[str, Any]) -> bool:
        """Whether a module is one of the project that the class belongs to."""
        name = str(space.get("__name__", ""))
        if package_of(name) == self.home:
            return True
        home = sys.modules.get(self.home)
        if type(home) is not ModuleType or "." in name or package_of(name) in FRAMEWORKS:
            return False
        here, there = vars(home).get("__file__"), space.get("__file__")
        if not isinstance(here, str) or not isinstance(there, str) or _installed(here) or vars(home).get("__path__"):
            return False
        return os.path.dirname(os.path.abspath(here)) == os.path.dirname(os.path.abspath(there))

    def _put(self, name: str, text: str, lines: str) -> None:
        """Keeps a piece; another one of the same name gets a number."""
        shown, number = name, 1
        while shown in self.texts and self.texts[shown] != text:
            number += 1
            shown = f"{name} #{number}"
        self.texts[shown] = text
        if lines:
            self.lines[shown] = lines
