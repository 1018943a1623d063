"""Code of the user's own that a file needs and does not hold: whether it changed is told by a stamp, or by nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any, Final

from kwload import _core
from kwload.report.context import Context, finding, is_path, named
from kwload.report.escape import literal
from kwload.report.finding import Finding

_FRAMEWORKS: Final = frozenset({"keras", "tf_keras", "tensorflow", "kwload"})
_STATE: Final = _core.GROUP_FLAGS["optimizer"] | _core.GROUP_FLAGS["metric"]
_NAMES: Final = ("class_name", "registered_name", "config", "activation", "recurrent_activation", "function")
"""Keys of a config under which the name of a class or function may stand."""


def not_recorded(context: Context, names: Sequence[str]) -> Finding:
    """KW404: of this code the file holds the name only."""
    said = f"the file does not record the code of {named(names)}: whether it changed cannot be known from this file"
    stamp = [f"kwload.stamp(model, {literal(context.path)})  # right after saving: then a change is found"]
    return finding(404, "note", headline=said, help=stamp if is_path(context.path) else [])


def of_layers(context: Context) -> list[Finding]:
    """KW404 for the layers of a live model, where the file is of weights alone and they fit."""
    model = context.model
    if model is None or any(raw.severity == "error" for raw in context.raws):
        return []
    told = set(getattr(context.witness, "compared", ()))
    objects: Iterable[object] = getattr(model, "objects", ())
    pairs = zip(model.groups, objects, strict=False)
    classes = dict.fromkeys(type(layer) for group, layer in pairs if not group[3] & _STATE)
    names = [cls.__name__ for cls in classes if _is_own(cls) and cls.__qualname__ not in told]
    return [not_recorded(context, list(dict.fromkeys(names)))] if names else []


def of_config(context: Context, config: object, known: Mapping[str, Any]) -> list[Finding]:
    """KW403 and KW404 for the classes and functions at hand that an architecture names.

    Parameters
    ----------
    context : Context
        Of a file with an architecture.
    config : object
        The architecture, as JSON gives it.
    known : mapping
        Name -> class or function, as ``load_model`` would find it.
    """
    used = {name: known[name] for name in dict.fromkeys(_names(config)) if name in known and _is_own(known[name])}
    if not used:
        return []
    witness = None
    found: list[Finding] = []
    if is_path(context.path):
        from kwload.report.stamped import code_findings
        from kwload.stamps.changed import witness_of_objects

        things = {id(thing): thing for thing in used.values()}.values()
        witness = witness_of_objects(things, context.path, str(context.reader))
        found = code_findings(replace(context, witness=witness))
    told = set(witness.compared) if witness is not None else set()
    mute = [name.rpartition(">")[2] for name, thing in used.items() if thing.__qualname__ not in told]
    return [*found, *([not_recorded(context, list(dict.fromkeys(mute)))] if mute else [])]


def _is_own(thing: object) -> bool:
    """Whether something is a class or function of neither a framework nor the language."""
    if not isinstance(thing, (type, FunctionType)):
        return False
    package = str(thing.__module__).partition(".")[0]
    return package not in _FRAMEWORKS and package != "builtins"


def _names(config: object) -> Iterator[str]:
    """What may be the name of a class or function in an architecture, in order."""
    todo = [config]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            yield from (item[key] for key in _NAMES if isinstance(item.get(key), str))
            todo.extend(reversed(item.values()))
        elif isinstance(item, list):
            todo.extend(reversed(item))
