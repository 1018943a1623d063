"""Fingerprints of code: one digest for each piece of what a class computes, so that what changed can be named.

    class --> methods that count --> names they read --> helpers, constants, classes of the same project --> ...
     classes.py       functions.py        globals.py, statements.py              project.py
                                             |
                 canonical text, digest -----+--> {"Scale.call": "9f2c...", "helper": "...", "K": "..."}

What these reach is followed through helpers, base classes, classes and constants, in the same module and in the other
modules of the same project. Not followed: Keras, TensorFlow, JAX, torch, NumPy, the standard library; installed
packages are listed. Of all else that cannot be followed it is said.

Nothing is imported and no code is run: live objects are looked at through their own ``__dict__``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kwload.stamps import canonical, sources
from kwload.stamps.classes import take_class, take_members
from kwload.stamps.fingerprint import Fingerprint
from kwload.stamps.functions import take_function, take_object
from kwload.stamps.globals import take_names, take_through
from kwload.stamps.objects import functions_in, globals_of
from kwload.stamps.sources import Sources
from kwload.stamps.walk import Kind, Walk

_MOST_UNITS: Final = 2000
_STEPS: Final[Mapping[Kind, Callable[..., None]]] = {
    "class": take_class,
    "object": take_object,
    "function": take_function,
    "names": take_names,
    "through": take_through,
}


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
    walk = Walk(files or Sources(), str(cls.__module__))
    take_class(walk, cls)
    return _result(walk, cls.__qualname__, source)


def of_function(function: Any, *, source: bool = False, files: Sources | None = None) -> Fingerprint:
    """The fingerprint of a function that a layer was given: that of a ``Lambda``, an activation."""
    first = next(functions_in(function), None)
    walk = Walk(files or Sources(), str(globals_of(first).get("__name__", "")))
    name = first.__qualname__ if first is not None else type(function).__name__
    walk.follow_object(function, name)
    return _result(walk, name, source)


def _result(walk: Walk, name: str, source: bool) -> Fingerprint:
    try:
        _run(walk)
    except RecursionError:
        walk.say(name, sources.TOO_DEEP)
    if not walk.texts and not walk.unknown:  # nothing was seen, and that is no evidence
        walk.say(name, sources.NO_SOURCE)
    units = {key: canonical.digest(text) for key, text in sorted(walk.texts.items())}
    return Fingerprint(
        name,
        walk.home_name,
        units,
        dict(sorted(walk.unknown.items())),
        tuple(sorted(walk.outside)),
        {key: walk.lines[key] for key in units if key in walk.lines} if source else {},
    )


def _run(walk: Walk) -> None:
    """Follows what was found until nothing new comes."""
    while True:
        while (step := walk.next()) is not None:
            kind, arguments = step
            _STEPS[kind](walk, *arguments)
            if len(walk.texts) > _MOST_UNITS:
                walk.say("…", f"more than {_MOST_UNITS:,} pieces of code")
                return
        for cls in list(walk.classes):
            take_members(walk, cls)
        if not walk.is_waiting:
            return
