"""What stands at a path, said to someone who expected a weight file there: absent, denied, a directory, a dead link.

Nothing here raises: a finding is made from what can still be found out.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from difflib import SequenceMatcher
from typing import Final

from kwload.paths import AnyPath, exists, nearest_names, scan, text_of
from kwload.report.context import entry, finding, listed
from kwload.report.escape import escape, literal, quote
from kwload.report.facts import ErrorFacts
from kwload.report.finding import Finding

_WEIGHT_SUFFIXES: Final = (".h5", ".hdf5", ".keras", ".weights.json", ".index", ".safetensors")


def path_finding(path: AnyPath, error: ErrorFacts) -> Finding:
    """The finding for a path that could not be opened (KW101 to KW107, or what else stopped the reading)."""
    name = text_of(path)
    match error.code:
        case 101:
            return _absent(name)
        case 102:
            return _denied(name)
        case 103:
            return _directory(name)
        case 104:
            return _dangling(name)
    said = {"path": quote(name), "detail": escape(error.detail) or os.strerror(error.errno or errno.EIO)}
    said |= {"where": "", "what": quote(name), "content": "unreadable", "member": quote(name), "shard": quote(name)}
    said |= {"have": "some", "expected": "its bytes"}
    help_ = ["check again when the writer is done"] if error.code == 211 else []
    return finding(error.code, "error", headline=entry(error.code).say(**said), help=help_)


def _absent(path: str) -> Finding:
    notes, suggestions = [], []
    folder = os.path.dirname(path)
    if folder and not exists(folder):
        top = folder
        while top and not exists(top) and os.path.dirname(top) != top:
            missing, top = top, os.path.dirname(top)
        notes.append(f"the folder {quote(missing)} does not exist")
        suggestions = [f"did you mean {literal(near)}?" for near in nearest_names(missing) if _is_like(missing, near)]
    else:
        suggestions = [f"did you mean {literal(near)}?" for near in nearest_names(path) if _is_like(path, near)]
        if exists(path + ".index"):
            notes.append(f"{quote(path + '.index')} exists: the path is the prefix of a TensorFlow checkpoint")
        elif not suggestions:
            notes.append(_weights_in(folder))
    if not os.path.isabs(path):
        notes.append(f"the current directory is {quote(_cwd())}")
    if path.startswith("~"):
        suggestions.insert(0, f"`~` is not expanded: use {literal(os.path.expanduser(path))}")
    return finding(101, "error", headline=entry(101).say(path=quote(path)), notes=notes, help=suggestions)


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "gone"


def _weight_files(folder: str) -> list[str]:
    return sorted(item.name for item in scan(folder) if item.name.endswith(_WEIGHT_SUFFIXES))


def _weights_in(folder: str) -> str:
    count = len(_weight_files(folder))
    where = quote(folder) if folder else "the current directory"
    return f"{where} holds {count or 'no'} weight file{'' if count == 1 else 's'}"


def _denied(path: str) -> Finding:
    notes = []
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        notes.append("a folder on the way to it is closed")
    else:
        mode = stat.filemode(status.st_mode)
        notes.append(
            f"its mode is {mode}, it belongs to user {status.st_uid}; this process runs as user {os.geteuid()}"
        )
    return finding(
        102,
        "error",
        headline=entry(102).say(path=quote(path)),
        notes=notes,
        help=[f"ask its owner for `chmod a+r {_shell(path)}`"],
    )


def _shell(path: str) -> str:
    return escape(shlex.quote(path))


def _directory(path: str) -> Finding:
    files = _weight_files(path)
    body = listed([f"holds {escape(name)}" for name in files], 6)
    suggestions = [f"use {literal(os.path.join(path, name))}" for name in files[:3]]
    notes = [] if files else ["it holds no weight file"]
    if any(item.name == "saved_model.pb" for item in scan(path)):
        notes = ["it is a TensorFlow SavedModel"]
    return finding(103, "error", headline=entry(103).say(path=quote(path)), body=body, notes=notes, help=suggestions)


_LIKE: Final = 0.8
"""Of two names: how much of them is the same before one is taken for the other."""


def _is_like(wanted: str, name: str) -> bool:
    """Whether a file may be the one that was meant: it may have gone, and others are just there."""
    left, right = (os.path.basename(path).partition(".")[0] for path in (wanted, name))
    return SequenceMatcher(None, left, right, autojunk=False).ratio() >= _LIKE


def _dangling(path: str) -> Finding:
    try:
        target: str | None = os.readlink(path)
    except (OSError, ValueError):
        target = None
    notes = [f"it leads to {quote(target)}"] if target else []
    near = []
    if target:
        whole = os.path.join(os.path.dirname(path), target)
        near = [
            f"did you mean {literal(name)}?" for name in nearest_names(whole) if _is_like(whole, name) and exists(name)
        ]
    return finding(
        104,
        "error",
        headline=entry(104).say(path=quote(path)),
        found=target,
        notes=notes,
        help=[*near, "restore the target, or point the link at a file that exists"],
    )
