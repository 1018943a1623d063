"""A file held against its stamp: which bytes changed, and which tensor they are.

same size    checksums of all stretches, as the stamp has them; nothing of the file is parsed
             one is wrong --> its tensor; or the tensors that are not plain; or no tensor: structure, at byte N
other size   the file was written again or cut short: tensors by path, values by their checksums
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from kwload import _core
from kwload.report.finding import Report
from kwload.stamps import stamp as stamps
from kwload.stamps.sidecar import SidecarError
from kwload.stamps.stamp import THREADS, Part, Stamp, Stamped


@dataclass(slots=True)
class Verified:
    """How a file differs from its stamp.

    Attributes
    ----------
    stamp : Stamp
        What it was.
    changed, gone, new, unreadable : list of str
        Paths of tensors: other values, type or shape; not there any more; not there before; whose bytes cannot be read.
    outside : list of (str, int, int)
        File, offset and length of stretches that changed and hold no tensor.
    sizes : list of (str, int, int)
        File, bytes then, bytes now: those of another size; -1 for a file that is gone.
    same : int
        Tensors that have the values that they had.
    damaged : bool
        Whether the file cannot be read as a whole.
    """

    stamp: Stamp
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    outside: list[tuple[str, int, int]] = field(default_factory=list)
    sizes: list[tuple[str, int, int]] = field(default_factory=list)
    same: int = 0
    damaged: bool = False

    @property
    def ok(self) -> bool:
        """Whether each byte is what it was."""
        return not (self.changed or self.gone or self.new or self.unreadable or self.outside or self.sizes)

    @property
    def other(self) -> bool:
        """Whether nothing agrees: the stamp is of another file."""
        return bool(self.stamp.tensors) and not self.same and not self.damaged


def verify(
    path: str | os.PathLike[str],
    *,
    stamp: str | os.PathLike[str] | None = None,
    model: Any = None,
    probe: Any = True,
) -> Report:
    """Say whether a weight file is, byte by byte, what it was when it was stamped.

    Parameters
    ----------
    path : str or os.PathLike
        The weight file.
    stamp : str or os.PathLike, optional
        The stamp, when it is not ``<file>.kwload.json`` beside it.
    model : keras.Model or tf_keras.Model, optional
        A model that holds the weights of the file: it is run as it was for the probe in the stamp, and what comes out
        is held against what came out then (KW413). Nothing is run without it.
    probe : True or inputs
        The inputs, when the probe was made with inputs of your own.

    Returns
    -------
    Report
        ``report.ok`` is True when no byte changed. KW411 names the tensors that changed, or the bytes outside of them;
        KW412 is about the stamp: there is none, it cannot be used, it is of another file.

    Raises
    ------
    TypeError
        ``path`` is no path.
    """
    from kwload.report.build import path_report
    from kwload.report.stamped import unusable, verified_report

    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"expected a path, not {type(path).__name__}")
    name = os.fspath(path)
    where = os.fspath(stamp) if stamp is not None else stamps.path_of(name)
    try:
        os.stat(name)
        made = stamps.load(where)
        found = held(name, made)
    except SidecarError as error:
        return unusable(name, where, str(error))
    except _core.CoreError as error:
        return path_report(name, error)
    except OSError as error:
        if os.path.lexists(name) and error.filename in (where, None):
            return unusable(name, where, error)
        return path_report(name, _failure(name))
    report = verified_report(name, where, found)
    if model is None:
        return report
    from kwload.stamps import probing

    return probing.verified(report, model, name, where, probe)


def _failure(name: str) -> _core.CoreError:
    """What the core says of a path that cannot be opened."""
    try:
        _core.digest(os.fsencode(name), [(0, 0)])
    except _core.CoreError as error:
        return error
    raise FileNotFoundError(name)


def held(name: str, made: Stamp) -> Verified:
    """How a file differs from a stamp. Raises OSError, CoreError."""
    found = Verified(made)
    for part in made.parts:
        file = _file_of(name, part)
        size = os.path.getsize(file) if os.path.isfile(file) else -1
        if size != part.size:
            found.sizes.append((file, part.size, size))
    if found.sizes:
        _by_path(name, made, found, list(made.tensors))
        return found
    doubtful = False
    for row, part in enumerate(made.parts):
        doubtful = _stretches(_file_of(name, part), row, part, found) or doubtful
    hidden = [tensor for tensor in made.tensors if tensor.offset is None]
    if doubtful and hidden:
        _by_path(name, made, found, hidden, alone=False)
        if found.changed or found.unreadable or found.gone:  # the stretches are theirs
            found.outside.clear()
    else:
        found.same += len(hidden)
    return found


def _file_of(name: str, part: Part) -> str:
    folder = name if os.path.isdir(name) else os.path.dirname(name)
    return os.path.join(folder, part.name) if part.name else name


def _stretches(file: str, row: int, part: Part, found: Verified) -> bool:
    """Holds all bytes of a file against their checksums; whether some that lie in no plain tensor changed."""
    plain = [tensor for tensor in found.stamp.tensors if tensor.part == row and tensor.offset is not None]
    places = [(off, length) for off, length, _ in part.rest]
    places += [(tensor.offset or 0, tensor.nbytes) for tensor in plain]
    sums = [item.hex() for item in _core.digest(os.fsencode(file), places, threads=THREADS)]
    for (off, length, was), now in zip(part.rest, sums, strict=False):
        if was != now:
            found.outside.append((file, off, length))
    outside = any(was != now for (_, _, was), now in zip(part.rest, sums, strict=False))
    for tensor, now in zip(plain, sums[len(part.rest) :], strict=True):
        if tensor.sum == now:
            found.same += 1
        else:
            found.changed.append(tensor.path)
    return outside


def _by_path(name: str, made: Stamp, found: Verified, wanted: list[Stamped], *, alone: bool = True) -> None:
    """Holds tensors against those of the same path in the file as it is now."""
    opened = _core.File(os.fsencode(name))
    found.damaged = bool(opened.faults) or any(tensor.fault is not None for tensor in opened.tensors)
    now = {tensor.path: row for row, tensor in enumerate(opened.tensors)}
    listed = opened.tensors
    for tensor in wanted:
        row = now.get(tensor.path)
        if row is None:
            found.gone.append(tensor.path)
            continue
        item = listed[row]
        if (item.shape, item.dtype) != (tensor.shape, tensor.dtype):
            found.changed.append(tensor.path)
        elif tensor.sum is None or item.storage == "fill":
            if tensor.sum is None and (item.storage == "fill" or item.dtype == "?"):
                found.same += 1
            else:
                found.changed.append(tensor.path)
        else:
            _one(opened, row, tensor, found)
    if alone:
        before = {tensor.path for tensor in made.tensors}
        found.new.extend(path for path in now if path not in before)


def _one(opened: _core.File, row: int, tensor: Stamped, found: Verified) -> None:
    try:
        [now] = opened.digest([row], threads=1)
    except _core.CoreError:
        found.unreadable.append(tensor.path)
        return
    if now.hex() == tensor.sum:
        found.same += 1
    else:
        found.changed.append(tensor.path)
