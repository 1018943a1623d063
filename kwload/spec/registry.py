"""Users' own classes: what a name from a file, or a live class, leads to.

Nothing here is looked up by importing: a class is known when the user's own code has registered it, here or with a
Keras that is imported, or has handed it in. A name comes from a file; what it leads to never does.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from kwload.spec.asking import Entry
from kwload.spec.keras_registers import FLAVOURS, flavour_of, registered_with, scope_of
from kwload.spec.tables import OBJECTS, OF_CLASS, SCOPES, SIGNATURES, Function


def registered() -> dict[str, Entry]:
    """What is known of users' own classes and functions, by name.

    Returns
    -------
    dict of str to Entry
        What was registered with kwload, with a Keras that is imported, or stands in a scope of this thread; each with
        ``cls`` and ``signature``, of which one can be None.
    """
    names = {name for objects in _sources(None) for name in objects} | {*SIGNATURES}
    found = {name: _exact(name, None, is_layer=False) for name in sorted(names)}
    of_classes = {_own_name(cls): Entry(_own_name(cls), cls, function) for cls, function in OF_CLASS.items()}
    known = {entry.cls for entry in found.values() if isinstance(entry, Entry) and isinstance(entry.cls, type)}
    more = {name: entry for name, entry in of_classes.items() if entry.cls not in known and name not in found}
    return {name: entry for name, entry in sorted({**more, **found}.items()) if entry is not None}


def find(name: str, custom_objects: Mapping[str, Any] | None = None) -> Entry | None:
    """What is known under the name of a layer's class; None when nothing is.

    What is handed in comes before the scopes, inner ones first, before what is registered here, before Keras's. Under
    the name of a layer a function of two parameters that was handed in is its signature, whatever they are called.

    Parameters
    ----------
    name : str
        As a config writes it: ``"My>Scale"``, ``"Scale"``, or with its module ``"mynet.layers.Scale"``. A name without
        a package also finds the only class that is registered under it in some package, and the other way about.
    custom_objects : mapping, optional
        Name -> class, function, signature, or a pair of class and signature.
    """
    found = _exact(name, custom_objects)
    return _alike(name, custom_objects) if found is None else _with_signature(found, custom_objects)


def find_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Entry | None:
    """What is known of the class that a stored object names, in the dialect of Keras 3 or an older one.

    Parameters
    ----------
    config : mapping
        With ``class_name``, and ``registered_name`` and ``module`` where Keras 3 wrote it.
    """
    name, module, as_registered = (config.get(key) for key in ("class_name", "module", "registered_name"))
    names = [as_registered, f"{module}.{name}" if isinstance(module, str) and module else None, name]
    asked = [each for each in names if isinstance(each, str) and each]
    for search in (_exact, _alike):
        for each in asked:
            found = search(each, custom_objects)
            if found is not None:
                return _with_signature(found, custom_objects)
    return None


def find_class(cls: type, custom_objects: Mapping[str, Any] | None = None) -> Entry | None:
    """What is known of a live class; None when nothing is. A name that stands for another class is not it."""
    if cls in OF_CLASS:
        return Entry(_own_name(cls), cls, OF_CLASS[cls])
    names = [name for objects in _sources(custom_objects) for name, made in objects.items() if _is_same(made, cls)]
    for name in [*names, cls.__name__]:
        entry = _exact(name, custom_objects) or _alike(name, custom_objects)
        if entry is not None and (entry.cls is None or _is_same(entry.cls, cls)):
            return _with_signature(Entry(entry.name, cls, entry.signature), custom_objects)
    return None


def objects_of(custom_objects: Mapping[str, Any] | None) -> dict[str, Any]:
    """The classes and functions among custom objects, without the signatures: what Keras can be handed."""
    parts = {name: _parts(made)[0] for name, made in (custom_objects or {}).items()}
    return {name: made for name, made in parts.items() if made is not None}


def known(flavour: str, custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The classes and functions that a Keras of this process would find, by name, without signatures.

    Parameters
    ----------
    flavour : {"keras", "tf_keras"}
        Keras 3, or Keras 2 under any name.
    custom_objects : mapping, optional
        What ``load_model`` is handed.
    """
    found: dict[str, Any] = {}
    for objects in reversed(list(_sources(custom_objects, flavour))):
        found |= objects_of(objects)
    return found


def is_empty(custom_objects: Mapping[str, Any] | None = None) -> bool:
    """Whether there is no signature at all, so that nobody need look for one."""
    if SCOPES.build:
        return False
    scopes = [*SCOPES.stack, custom_objects or {}]
    return not (SIGNATURES or OF_CLASS or any(not isinstance(made, type) for each in scopes for made in each.values()))


def _exact(name: str, custom_objects: Mapping[str, Any] | None, *, is_layer: bool = True) -> Entry | None:
    cls: Any = None
    function: Function | None = None
    given = [custom_objects, *SCOPES.stack] if is_layer else []
    for objects in _sources(custom_objects):
        if name in objects:
            made, said = _parts(objects[name])
            if _takes_two(made) and any(objects is each for each in given):
                made, said = None, made
            cls = made if cls is None else cls
            function = said if function is None else function
    function = function or SIGNATURES.get(name) or (_of_class(cls) if isinstance(cls, type) else None)
    return Entry(name, cls, function) if cls is not None or function is not None else None


def _alike(name: str, custom_objects: Mapping[str, Any] | None) -> Entry | None:
    """What bears the same name where one of the two names no package; None when that is not one thing alone."""
    package, _, last = name.rpartition(">")
    module = ""
    if not package and "." in name:
        module, _, last = name.rpartition(".")
    found = _all_alike(package, last, module, custom_objects)
    things = {(id(entry.cls), id(entry.signature)) for entry in found.values()}
    return min(found.values(), key=lambda entry: entry.name) if len(things) == 1 else None


def _with_signature(entry: Entry, custom_objects: Mapping[str, Any] | None) -> Entry:
    """A class with the signature that was given for its name without the package, or with one; as it is when that is
    not one signature, or may be another class's."""
    if entry.signature is not None or not isinstance(entry.cls, type):
        return entry
    package, _, last = entry.name.rpartition(">")
    last = last.rpartition(".")[2]
    named = _all_alike(package, last, "", custom_objects).values()
    functions = {id(each.signature): each.signature for each in named if each.signature is not None}
    others = _all_alike("", last, "", custom_objects).values()
    if len(functions) != 1 or any(each.cls is not None and not _is_same(each.cls, entry.cls) for each in others):
        return entry
    return Entry(entry.name, entry.cls, next(iter(functions.values())))


def _all_alike(package: str, last: str, module: str, custom_objects: Mapping[str, Any] | None) -> dict[str, Entry]:
    """Each that bears a last name, in this package or where one of the two names none, by what it is registered as."""
    found: dict[str, Entry] = {}
    for other in {name for objects in _sources(custom_objects) for name in objects} | {*SIGNATURES}:
        other_package, _, other_last = other.rpartition(">")
        if other_last == last and not (package and other_package):
            entry = _exact(other, custom_objects)
            if entry is not None and not (module and _is_elsewhere(entry.cls, module)):
                found[other] = entry
    for cls, function in OF_CLASS.items():
        if cls.__name__ == last and not (module and _is_elsewhere(cls, module)):
            found.setdefault(_own_name(cls), Entry(_own_name(cls), cls, function))
    return found


def _is_elsewhere(cls: Any, module: str) -> bool:
    return isinstance(cls, type) and cls.__module__ not in (module, "__main__") and module != "__main__"


def _of_class(cls: type) -> Function | None:
    """The signature that was given for a class, or for another name of it."""
    if cls in OF_CLASS:
        return OF_CLASS[cls]
    names = [name for name in SIGNATURES if any(_is_same(objects.get(name), cls) for objects in _sources(None))]
    return SIGNATURES[names[0]] if names else None


def _is_same(made: Any, cls: type) -> bool:
    """Whether it is this class, or the one that stood at its place before a notebook's cell was run again."""
    made = _parts(made)[0]
    if made is cls:
        return True
    return isinstance(made, type) and (made.__module__, made.__qualname__) == (cls.__module__, cls.__qualname__)


def _own_name(cls: type) -> str:
    """The name that a class is registered as, else its own."""
    for objects in _sources(None):
        for name, made in objects.items():
            if made is cls:
                return name
    return cls.__name__


def _parts(made: Any) -> tuple[Any, Function | None]:
    """The class or function, and the signature, of a value of custom objects."""
    if isinstance(made, (tuple, list)) and len(made) == 2:
        a, b = made
        if isinstance(a, type) and inspect.isfunction(b):  # of a pair of both the function is the signature
            return a, b
        if isinstance(b, type) and inspect.isfunction(a):
            return b, a
        halves = [_parts(half) for half in made if not isinstance(half, (tuple, list))]
        classes = [cls for cls, _ in halves if cls is not None]
        functions = [function for _, function in halves if function is not None]
        return next(iter(classes), None), next(iter(functions), None)
    return (None, made) if is_signature(made) else (made, None)


def is_signature(made: Any) -> bool:
    """Whether a function is a signature: it was declared one, or its first parameter is called ``config``."""
    if not inspect.isfunction(made):
        return False
    if any(made is function for function in (*SIGNATURES.values(), *OF_CLASS.values())):
        return True
    return _takes_two(made) and made.__code__.co_varnames[0] == "config"


def _takes_two(made: Any) -> bool:
    """Whether it is a function that is called as a signature is."""
    return inspect.isfunction(made) and made.__code__.co_argcount == 2


def _sources(custom_objects: Mapping[str, Any] | None, flavour: str | None = None) -> Iterator[Mapping[str, Any]]:
    """Where names are looked up, in this order."""
    if custom_objects:
        yield custom_objects
    yield from reversed(SCOPES.stack)
    yield OBJECTS
    for name in FLAVOURS:
        if flavour is None or flavour_of(name) == flavour:
            yield scope_of(name)
            yield registered_with(name)
