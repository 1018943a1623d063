"""KW306 of a nested model in a legacy file: which layer inside of it only one side has, and where it stands.

::

    file   inner: a/kernel a/bias              b/kernel b/bias      one list of weights, named by their layers
    model  inner: a/kernel a/bias new/kernel … b/kernel b/bias      `inner/new` is not in the file, behind `a`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache
from typing import Final

from kwload.report.context import LEGACY, Context, named, shape_text
from kwload.report.escape import escape, quote
from kwload.report.facts import Raw
from kwload.spec.naming import snake

_MOST: Final = 2000
"""Weights of one layer that are compared: the time grows with their square."""


@dataclass
class Part:
    """A layer inside of a nested one: its path below it, its weights."""

    name: str
    weights: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

    @property
    def widths(self) -> tuple[tuple[str, int, int], ...]:
        """What it is, whatever stands before it: name, rank and last axis of each weight."""
        return tuple((name, len(shape), shape[-1] if shape else 0) for name, shape in self.weights)

    @property
    def text(self) -> str:
        """``new: kernel (8, 6), bias (6,)``."""
        said = ", ".join(f"{escape(name)} {shape_text(shape)}" for name, shape in self.weights[:4])
        return f"{escape(self.name)}: {said}{' …' if len(self.weights) > 4 else ''}"


def differences(context: Context, raw: Raw) -> list[str]:
    """Lines that say which layers inside of the nested one stand on one side only; none where that is not sure."""
    if context.file.layout not in LEGACY or raw.file_group < 0 or raw.model_group < 0:
        return []
    outer = context.layer(raw.model_group)
    slots = context.groups[raw.file_group][3]
    if any(row < 0 for _, row in slots) or len(slots) > _MOST:
        return []
    old = _parts(outer, [(name, tuple(context.tensors[row].shape)) for name, row in slots])
    rows = context.rows_of[raw.model_group]
    new = _parts(outer, [(context.variables[row].path, context.variables[row].shape) for row in rows])
    if old is None or new is None or len(old) == len(new) or min(len(old), len(new)) < 1 or len(old) + len(new) < 3:
        return []
    given = all(_is_given(part.name) for part in (*old, *new))
    lines = _by_names(old, new) if given else _by_widths(old, new)
    return lines[:6] if len(lines) <= 6 else []


def _parts(outer: str, weights: Sequence[tuple[str, tuple[int, ...]]]) -> list[Part] | None:
    """The layers in the order of their first weights; None where names do not say whose a weight is."""
    parts: dict[str, Part] = {}
    for path, shape in weights:
        owner, _, leaf = path.removesuffix(":0").rpartition("/")
        steps = owner.split("/") if owner else []
        below = steps[steps.index(outer) + 1 :] if outer in steps else steps
        if not below:
            return None
        name = "/".join(below)
        parts.setdefault(name, Part(name)).weights.append((leaf, shape))
    return list(parts.values())


@cache
def _made() -> frozenset[str]:
    from kwload.versions import classes, reader

    kinds = {name for version in ("3.15", "2.15") for name in classes.names(reader.parse(version), "layers")}
    return frozenset(map(snake, (*kinds, "Functional", "Sequential", "Model")))


def _is_given(name: str) -> bool:
    """Whether a person chose it: no class of Keras is called so."""
    return name.rpartition("/")[2].rstrip("0123456789").removesuffix("_") not in _made()


def _by_names(old: Sequence[Part], new: Sequence[Part]) -> list[str]:
    """By names that were given on both sides, when those that both have come in the same order."""
    saved, wanted = [part.name for part in old], [part.name for part in new]
    both = [name for name in saved if name in set(wanted)]
    if not both or both != [name for name in wanted if name in set(saved)]:
        return []
    lines = [_line("file", old, n) for n, part in enumerate(old) if part.name not in both]
    return lines + [_line("model", new, n) for n, part in enumerate(new) if part.name not in both]


def _by_widths(old: Sequence[Part], new: Sequence[Part]) -> list[str]:
    """By what the layers put out, when all the others agree; among layers that are alike it is not said which."""
    left, right = [part.widths for part in old], [part.widths for part in new]
    blocks = [
        block for block in SequenceMatcher(None, left, right, autojunk=False).get_opcodes() if block[0] != "equal"
    ]
    if len(blocks) != 1 or blocks[0][0] == "replace":
        return []
    tag, i, j, k, m = blocks[0]
    side, parts, first, end = ("file", old, i, j) if tag == "delete" else ("model", new, k, m)
    widths = [part.widths for part in parts]
    low, high = first, end
    while low > 0 and widths[low - 1] == widths[low - 1 + end - first]:
        low -= 1
    while high < len(parts) and widths[high] == widths[high - (end - first)]:
        high += 1
    if (low, high) != (first, end):
        return [
            f"only in the {side}: {end - first:,} of {named([part.name for part in parts[low:high]])}, which are alike"
        ]
    return [_line(side, parts, n) for n in range(first, end)]


def _line(side: str, parts: Sequence[Part], n: int) -> str:
    place = f"after {quote(parts[n - 1].name)}" if n else "first"
    return f"only in the {side}: {parts[n].text}, {place}"


__all__ = ["differences"]
