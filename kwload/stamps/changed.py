"""The code of a live model's own layers against the fingerprints in a stamp.

Classes (and functions that layers were given) are paired by name; several of one name by the names that a person gave
their layers, then by their order; a class that was renamed by its layers. A name that Keras makes itself is evidence of
nothing.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kwload import _core
from kwload.stamps import reach
from kwload.stamps import stamp as stamps
from kwload.stamps.fingerprint import Change, compare
from kwload.stamps.layers import Code, code_of
from kwload.stamps.manifest import Manifest
from kwload.stamps.sidecar import SidecarError
from kwload.stamps.sources import Sources
from kwload.stamps.verify import held


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A class or function whose code is not what it was, or of which that cannot be known.

    Attributes
    ----------
    old, new : Code
        Then and now.
    change : Change
        How they differ.
    """

    old: Code
    new: Code
    change: Change


@dataclass(frozen=True, slots=True)
class Witness:
    """What a stamp says of the code of a model.

    Attributes
    ----------
    path : str
        The stamp.
    manifest : Manifest or None
        What the model was; None when it was stamped without one.
    made : Stamp or None
        The stamp itself; None when it is of no use.
    versions : tuple of str
        What the stamp was made with that is another now: ``"Keras 3.8.0, jax (now 3.15.1)"``.
    changes : tuple of CodeChange
        What differs, or cannot be known.
    compared : tuple of str
        Names of all classes and functions that were compared.
    problem : str
        Why the stamp could not be used; ``""`` when it could.
    stale : bool
        Whether the file holds other values than those that were stamped: it was written again, maybe by the code of
        today. Looked at only where the code, or what the stamp records of the model, differs.
    """

    path: str
    manifest: Manifest | None = None
    made: stamps.Stamp | None = None
    versions: tuple[str, ...] = ()
    changes: tuple[CodeChange, ...] = ()
    compared: tuple[str, ...] = ()
    problem: str = ""
    stale: bool = False


def witness(model: Any, name: str, where: str | os.PathLike[str] | None = None) -> Witness | None:
    """What the stamp beside a file says of the code of a live model; None when there is none.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        The live model.
    name : str
        The weight file.
    where : str or os.PathLike, optional
        The stamp, when it is not beside the file.
    """
    return _witness(
        name,
        where,
        lambda made, source: paired(made.code, code_of(model, source=source)),
        lambda made: _versions(made, model),
    )


def witness_of_objects(objects: Iterable[Any], name: str, keras: str) -> Witness | None:
    """As `witness`, where there is no model yet: what the stamp says of the classes and functions that are at hand.

    Parameters
    ----------
    objects : iterable of type or function
        Each is paired with what was stamped under its name, when nothing else at hand has that name.
    name : str
        The weight file.
    keras : str
        The Keras that is to make the model: ``"Keras 3.15.1"``.
    """
    listed = list(objects)

    def pairs(made: Manifest, source: bool) -> list[tuple[Code, Code]]:
        return list(_at_hand(made.code, listed, source))

    def versions(made: stamps.Stamp) -> tuple[str, ...]:
        then = made.manifest.written_by if made.manifest is not None else ""
        return () if then.partition(",")[0] == keras else (f"{then} (now {keras})",)

    return _witness(name, None, pairs, versions)


def _at_hand(old: Sequence[Code], objects: Sequence[Any], source: bool) -> Iterator[tuple[Code, Code]]:
    files = Sources()
    for was in old:
        name = was.fingerprint.name
        of_name = [thing for thing in objects if thing.__qualname__ == name]
        of_name = of_name or [thing for thing in objects if thing.__name__ == name.rpartition(".")[2]]
        if len(of_name) == 1:
            make = reach.of_class if isinstance(of_name[0], type) else reach.of_function
            yield was, replace(was, fingerprint=make(of_name[0], source=source, files=files))


def _witness(
    name: str,
    where: str | os.PathLike[str] | None,
    pairs_of: Callable[[Manifest, bool], list[tuple[Code, Code]]],
    versions_of: Callable[[stamps.Stamp], tuple[str, ...]],
) -> Witness | None:
    path = os.fspath(where) if where is not None else stamps.path_of(name)
    if where is None and not os.path.lexists(path):
        return None
    try:
        made = stamps.load(path)
    except SidecarError as error:
        return Witness(path, problem=str(error))
    except OSError as error:
        return Witness(path, problem=error.strerror or type(error).__name__)
    if made.manifest is None:
        return Witness(path)
    pairs = pairs_of(made.manifest, any(code.fingerprint.source for code in made.manifest.code))
    changes = tuple(_changes(pairs))
    if changes and not _belongs(name, made):
        return Witness(path, made.manifest, stale=True)
    compared = tuple(dict.fromkeys(code.fingerprint.name for _, code in pairs))
    return Witness(path, made.manifest, made, versions_of(made), changes, compared)


def recorded(seen: Witness, model: Any) -> tuple[bytes, str] | None:
    """The configuration that a stamp holds, as JSON, and the version of the Keras that wrote it; None when there is
    none, or when it is of another major version than the Keras of the model."""
    from kwload.spec.described import keras_of

    if seen.made is None or seen.manifest is None or seen.manifest.config is None:
        return None
    then, now = seen.manifest.keras, keras_of(model)
    if (then.flavour, then.version[0]) != (now.flavour, now.version[0]):
        return None
    try:
        return json.dumps(seen.manifest.config).encode(), ".".join(map(str, then.version))
    except RecursionError:
        return None


def is_of(name: str, seen: Witness) -> bool:
    """Whether a stamp belongs to the file: reads all of it, unless that was seen with the code."""
    return seen.made is not None and (bool(seen.changes) or _belongs(name, seen.made))


def _belongs(name: str, made: stamps.Stamp) -> bool:
    """Whether the values in the file are those that were stamped: a file that was saved again is of other code."""
    try:
        return held(name, made).same == len(made.tensors)
    except (_core.CoreError, OSError):
        return False


def _versions(made: stamps.Stamp, model: Any) -> tuple[str, ...]:
    import kwload
    from kwload.spec.described import keras_of

    assert made.manifest is not None
    then, now = made.manifest.keras, keras_of(model)
    said = []
    if (then.flavour, then.version, then.backend) != (now.flavour, now.version, now.backend):
        package = "" if then.flavour == now.flavour else "Keras " if now.flavour == "keras" else "tf_keras "
        backend = "" if then.backend == now.backend else f", {now.backend}"
        said.append(f"{made.manifest.written_by} (now {package}{'.'.join(map(str, now.version))}{backend})")
    if made.kwload != kwload.__version__:
        said.append(f"kwload {made.kwload} (now {kwload.__version__})")
    return tuple(said)


def _changes(pairs: Sequence[tuple[Code, Code]]) -> Iterator[CodeChange]:
    for was, now in pairs:
        change = compare(was.fingerprint, now.fingerprint)
        if change.any or change.unknown:
            yield CodeChange(was, now, change)


def paired(old: Sequence[Code], new: Sequence[Code]) -> list[tuple[Code, Code]]:
    """Which is which; what has no counterpart is left out: the layers differ, and other findings say so."""
    pairs: list[tuple[Code, Code]] = []
    left_old, left_new = list(old), list(new)

    def take(was: Code, now: Code) -> None:
        pairs.append((was, now))
        left_old.remove(was)
        left_new.remove(now)

    for _, before, after in _groups(old, new):
        for was in list(before):
            now = next((item for item in after if item in left_new and set(was.named) & set(item.named)), None)
            if now is not None:
                take(was, now)
        ours, theirs = [item for item in before if item in left_old], [item for item in after if item in left_new]
        if len(ours) != len(theirs):
            for was in ours:
                now = next((item for item in theirs if item in left_new and _equal(was, item)), None)
                if now is not None:
                    take(was, now)
            ours, theirs = [item for item in ours if item in left_old], [item for item in theirs if item in left_new]
        for was, now in zip(ours, theirs, strict=False):
            take(was, now)
    for was in list(left_old):  # renamed
        now = next(
            (item for item in left_new if item.attribute == was.attribute and set(was.named) & set(item.named)), None
        )
        if now is not None:
            take(was, now)
    return pairs


def _groups(old: Sequence[Code], new: Sequence[Code]) -> Iterator[tuple[tuple[str, str], list[Code], list[Code]]]:
    """Those of one name and one place, then and now."""
    sides: dict[tuple[str, str], tuple[list[Code], list[Code]]] = defaultdict(lambda: ([], []))
    for side, codes in enumerate((old, new)):
        for code in codes:
            sides[code.attribute, code.fingerprint.name][side].append(code)
    return ((key, before, after) for key, (before, after) in sides.items() if before and after)


def _equal(a: Code, b: Code) -> bool:
    return dict(a.fingerprint.units) == dict(b.fingerprint.units)
