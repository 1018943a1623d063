"""Fingerprints of code: one digest for each piece of what a class computes, so that what changed can be named.

    {"Scale": "96f7...", "Scale.call": "9f2c...", "helper": "c403...", "SCALE": "b061..."}

Which pieces those are is in ``reach.py``, what a digest is taken of in ``canonical.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ALGORITHM: Final = "2"
"""Fingerprints of two versions of the algorithm cannot be compared."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a class (or a function) computes, as digests.

    Attributes
    ----------
    name : str
        Qualified name of the class: ``"Scale"``.
    module : str
        Where it is; not compared, since the same file is ``__main__`` or ``mynet.layers``.
    units : mapping of str to str
        Name of each piece of code -> digest: ``{"Scale.call": "9f2c…", "helper": "…"}``.
    unknown : mapping of str to str
        Name -> why nothing is known of it: ``{"Scale.call": "no source"}``.
    outside : tuple of str
        What is used of installed packages and was not followed, with their versions: ``"einops.rearrange 0.8.1"``.
    source : mapping of str to str
        Name -> its lines, when they were asked for.
    algorithm : str
        Version of the algorithm.
    """

    name: str
    module: str
    units: Mapping[str, str]
    unknown: Mapping[str, str] = field(default_factory=dict)
    outside: tuple[str, ...] = ()
    source: Mapping[str, str] = field(default_factory=dict)
    algorithm: str = ALGORITHM


@dataclass(frozen=True, slots=True)
class Change:
    """How two fingerprints differ.

    Attributes
    ----------
    changed, added, removed : tuple of str
        Names of the pieces of code.
    unknown : mapping of str to str
        Pieces of which one fingerprint knows nothing -> why; ``""`` stands for all.
    """

    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether some code certainly differs."""
        return bool(self.changed or self.added or self.removed)


def compare(old: Fingerprint, new: Fingerprint) -> Change:
    """What of *old* is otherwise in *new*; under another name of the class, its own pieces are compared as if renamed.

    A piece that one of them knows nothing of is unknown, and so is what only such a piece would have led to.
    """
    if old.algorithm != new.algorithm:
        return Change(unknown={"": "it was made by another version of the fingerprint's algorithm"})
    was = {_renamed(name, old.name, new.name): value for name, value in old.units.items()}
    lost = {_renamed(name, old.name, new.name): why for name, why in old.unknown.items()}
    unknown = {name: f"{why}, when the stamp was made" for name, why in lost.items()}
    unknown |= dict(new.unknown)
    unknown |= _other_versions(old, new)
    both = [name for name in was if name in new.units]
    changed = tuple(name for name in both if was[name] != new.units[name])
    added = tuple(name for name in new.units if name not in was and name not in unknown)
    removed = tuple(name for name in was if name not in new.units and name not in unknown)
    if unknown:  # what it would have led to is not there either
        added, removed = (), ()
    return Change(changed, added, removed, unknown)


def _other_versions(old: Fingerprint, new: Fingerprint) -> dict[str, str]:
    """Installed packages that are used, and are of another version now: name -> both."""
    then, now = ({name.partition(".")[0]: name.partition(" ")[2] for name in side.outside} for side in (old, new))
    return {
        package: f"version {then[package]} was installed when the stamp was made, and {now[package]} is now"
        for package in then
        if then[package] and now.get(package) and then[package] != now[package]
    }


def _renamed(name: str, old: str, new: str) -> str:
    return f"{new}{name[len(old) :]}" if name == old or name.startswith(f"{old}.") else name
