"""Sentences on users' own classes and functions in a stored model: not known here (KW402), or known and with another
constructor than the one that was stored (KW403)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from kwload import _core
from kwload.report.context import Context, columns, entry, finding, listed, named
from kwload.report.escape import escape, literal, quote
from kwload.report.finding import Finding, Severity
from kwload.report.text import plural
from kwload.spec import registry
from kwload.versions import classes, unregistered
from kwload.versions.differences import Difference
from kwload.versions.known import UNEXPORTED, imports
from kwload.versions.reader import Reader
from kwload.versions.whole import Forecast, parsed

_COMPILED: Final = frozenset({"loss", "metric", "optimizer"})
_SPACES: Final = {
    "layer": ("layers",),
    "activation": ("activations", "layers"),
    "loss": ("losses",),
    "function": ("activations", "losses", "metrics"),
}
_NEAR: Final = 0.8
_MOST_SHOWN: Final = 12
_MOST_HANDED: Final = 24
"""Names in a call to paste."""


def own_findings(
    context: Context,
    config: Any,
    reader: Reader,
    custom: Mapping[str, Any],
    foreseen: Forecast | None,
    *,
    compiled: bool = True,
) -> list[Finding]:
    """KW402 and KW403 of a stored model.

    Parameters
    ----------
    config : object
        The stored architecture.
    reader : Reader
        Whose ``load_model`` it is about.
    custom : mapping
        What is handed in or registered, by name.
    foreseen : Forecast or None
        What ``load_model`` would do.
    compiled : bool
        Whether the model is to be compiled as it was.
    """
    is_hdf5 = context.file.content == "hdf5"
    training = parsed(context.file.training) if is_hdf5 else None
    found = unregistered.find(config, training, reader, custom, is_hdf5=is_hdf5)
    found = [item for item in found if compiled or item.role not in _COMPILED]
    unknown = [item for item in found if item.kind == "custom"]
    out = [_not_registered(context, unknown, reader, custom, _severity(unknown, reader, foreseen))] if unknown else []
    if shadowed := [item for item in found if item.kind == "shadowed"]:
        out.append(_shadowed(context, shadowed, reader))
    return [*out, *_constructors(context, [item for item in found if item.kind not in ("custom", "shadowed")])]


def _severity(unknown: Sequence[Difference], reader: Reader, foreseen: Forecast | None) -> Severity:
    """An error where Keras fails; a warning where it may import the module, or notices late."""
    if foreseen is None or foreseen.error is not None:
        return "error"
    if foreseen.outcome == "loads":
        return "warning"
    missing = [item for item in unknown if item.role == "layer" and not _may_be_imported(item, reader)]
    return "error" if missing else "warning"


def _may_be_imported(item: Difference, reader: Reader) -> bool:
    return bool(item.module) and imports(reader, item.role, inside=bool(item.layers))


def _not_registered(
    context: Context,
    found: Sequence[Difference],
    reader: Reader,
    custom: Mapping[str, Any],
    severity: Severity,
) -> Finding:
    """KW402: classes and functions that are neither Keras's own nor handed in."""
    names = list(dict.fromkeys(item.name for item in found))
    first = found[0]
    kinds = {_kind(item) for item in found}
    many = f"{len(names)} {'classes' if kinds == {'class'} else 'functions' if kinds == {'function'} else 'names'}"
    return finding(
        402,
        severity,
        headline=entry(402).say(kind=_kind(first), layer=quote(names[0], 80))
        if len(names) == 1
        else f"{many} are not known here: {named(names)}",
        layer=first.layers[0] if first.layers else None,
        found=names[0],
        body=listed(columns([(f"`{escape(item.name, 60)}`", _used(item)) for item in found]), _MOST_SHOWN),
        notes=_notes(found, reader, custom),
        keras=None,
        help=_remedies(context, found, reader),
        related=names[1:100],
    )


def _shadowed(context: Context, found: Sequence[Difference], reader: Reader) -> Finding:
    """KW402: classes that are registered under names which this Keras does not look up, and which it has its own of."""
    names = list(dict.fromkeys(item.name for item in found))
    own = list(dict.fromkeys(item.where for item in found))
    layers = [layer for item in found for layer in item.layers]
    return finding(
        402,
        "warning",
        headline=f"{reader.name} takes its own {named(own, 3)} for {named(names, 3)}",
        layer=layers[0] if layers else None,
        found=names[0],
        body=listed(columns([(f"`{escape(item.name, 60)}`", _used(item)) for item in found]), _MOST_SHOWN),
        notes=["it looks up what a layer holds by the name of the class alone, its own first"],
        help=[f"build the model in code, then {context.load()}"],
        related=names[1:100],
    )


def _kind(item: Difference) -> str:
    """A class or a function, as far as its name tells."""
    plain = item.name.rpartition(">")[2]
    return "function" if item.role == "function" or plain[:1].islower() else "class"


def _used(item: Difference) -> str:
    """Where it is used: ``"in 2 layers: `a` and `b`"``, ``"initializer of 1 layer: `a`"``, ``"loss"``."""
    if item.role in _COMPILED:
        return f"{item.role} of the compiled model"
    if not item.layers:
        return "the model itself" if item.role == "layer" else item.role
    where = f"{plural(len(item.layers), 'layer')}: {named(item.layers, 3)}"
    return f"in {where}" if item.role in ("layer", "function", "object") else f"{item.role} of {where}"


def _notes(found: Sequence[Difference], reader: Reader, custom: Mapping[str, Any]) -> list[str]:
    notes = []
    for item in found[:20]:
        spaces = _SPACES.get(item.role, (f"{item.role}s",))
        known = [*(name for space in spaces for name in classes.names(reader, space)), *custom]
        if other := near(item.name, known):
            notes.append(f"{quote(item.name, 60)} is not known, {quote(other, 60)} is")
    notes = notes[:3]
    modules = list(dict.fromkeys(item.module for item in found if _may_be_imported(item, reader)))
    if modules:
        notes.append(f"{reader.name} imports {named(modules, 2)} to find them, where that can be imported")
    layers = [item.name for item in found if item.role == "layer"]
    signed = [name for name in layers if (entry_ := registry.find(name)) and entry_.signature is not None]
    if signed:
        notes.append(f"the signature of {named(signed, 3)} is known, which checks weights; load_model needs the class")
    if lost := [item.name for item in found if item.where == "function"]:
        notes.append(f"{reader.name} cannot read {named(lost, 3)} back from an .h5 file, whatever it is handed")
    if all(item.role in _COMPILED for item in found):
        notes.append("only how the model was compiled cannot be read; architecture and weights are fine")
    return notes


def _remedies(context: Context, found: Sequence[Difference], reader: Reader) -> list[str]:
    """How to hand them in, and how to register the first."""
    if any(item.where == "function" for item in found):
        return [f"build the model in code, then {context.load()}"]
    package = "keras" if reader.is_3 else "tf_keras"
    path = literal(context.path)
    pairs = {item.name: _identifier(item.name.rpartition(">")[2] or item.where) for item in found}
    handed = [f"{literal(name)}: {made}" for name, made in pairs.items() if len(name) < 80][:_MOST_HANDED]
    handed += ['"…": …'] if len(handed) < len(pairs) else []
    first, made = next(iter(pairs.items()))
    them = "it" if len(pairs) == 1 else "them"
    helps = [
        f"hand {them} in: {package}.models.load_model({path}, custom_objects={{{', '.join(handed)}}})",
        _register(package, first, made, _kind(found[0]), it="it" if len(pairs) == 1 else "each"),
    ]
    if all(item.role in _COMPILED for item in found):
        helps.append(f"without the compilation: {package}.models.load_model({path}, compile=False)")
    return [*helps, *(_import(each, reader) for each in pairs.values() if each in UNEXPORTED)]


def _import(cls: str, reader: Reader) -> str:
    """Where a layer is that Keras has and does not export."""
    package = "keras" if reader.is_3 or reader.version < (2, 16, 0) else "tf_keras"
    return f"hand in that of keras.applications: from {package}.src.{UNEXPORTED[cls]} import {cls}"


def _register(package: str, name: str, made: str, kind: str, *, it: str) -> str:
    """How a class gets the name that it is looked up by. A registered name has a package in front, so that one without
    is put into Keras's dict."""
    registered_in, _, last = name.rpartition(">")
    if not registered_in:
        key = literal(name) if len(name) < 80 else '"…"'
        return f"make {it} known: {package}.saving.get_custom_objects()[{key}] = {made}"
    named_so = "" if last == made else f", name={literal(last)}"
    word = "class" if kind == "class" else "def"
    return f"register {it}: @kwload.register(package={literal(registered_in)}{named_so}) in front of {word} {made}"


def near(name: str, known: Sequence[str]) -> str | None:
    """The known class that this one may be a misspelling of: one that only begins or ends alike is another one."""
    asked = name.rpartition(">")[2].lower()
    for other in _core.nearest(name, known, 1):
        found = other.rpartition(">")[2].lower()
        inside = asked != found and (asked in found or found in asked)
        if not inside and SequenceMatcher(None, asked[:200], found[:200]).ratio() >= _NEAR:
            return other
    return None


def _identifier(name: str) -> str:
    """A class's name as it can stand in code."""
    return name if name.isidentifier() and name.isascii() and len(name) < 80 else "TheClass"


def _constructors(context: Context, found: Sequence[Difference]) -> list[Finding]:
    """KW403: keys that are stored for a class which does not take them, and those that it needs and are not stored."""
    grouped: dict[str, list[Difference]] = defaultdict(list)
    for item in found:
        grouped[item.where].append(item)
    return [_constructor(context, name.rpartition(">")[2], items) for name, items in grouped.items()]


def _constructor(context: Context, made: str, items: Sequence[Difference]) -> Finding:
    refused = [item.name for item in items if item.kind == "argument"]
    lacking = [item.name for item in items if item.kind == "lacks"]
    stores = f"does not take {named(refused)}, which the file stores for it" if refused else ""
    needs = f"needs {named(lacking)}, which the file does not store{'' if refused else ' for it'}" if lacking else ""
    helps = []
    if refused:
        helps.append(f"give the constructor of {_identifier(made)} an argument {_identifier(refused[0])}")
    if lacking:
        helps.append(f"give {_identifier(lacking[0])} a default in the constructor of {_identifier(made)}")
    return finding(
        403,
        "error",
        headline=f"{quote(made, 80)} {', and '.join(filter(None, (stores, needs)))}",
        layer=items[0].layers[0] if items[0].layers else None,
        expected=lacking or None,
        found=refused or None,
        body=[f"used {_used(items[0])}"] if items[0].layers else [],
        cause="the constructor of the class changed after the file was written"
        if refused
        else "the constructor changed after the file was written, or `get_config` leaves it out",
        help=[*helps, f"build the model in code, then {context.load()}"],
        related=[*refused, *lacking][1:],
    )


__all__ = ["own_findings"]
