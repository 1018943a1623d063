"""Which layer of the file is which layer of the model, within one net.

In order of certainty: the layers whose weights are exchanged (the plan's pairs); layers of one name and class; layers
of one class that are called with the same inputs; what stands in the same place between those. When the classes agree
all the way, their order is tried first: then there is nothing to find.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from kwload.meaning.names import is_automatic
from kwload.meaning.net import INPUT, Call, Ref
from kwload.meaning.stored import TF_OPERATIONS
from kwload.meaning.tidy import Tidy

_MOST_CELLS: Final = 250_000
_COMMUTATIVE: Final = frozenset({"Add", "Multiply", "Average", "Maximum", "Minimum"})

Signature: TypeAlias = tuple[str, tuple[tuple[Ref, ...], ...]]


@dataclass(slots=True)
class Pairs:
    """The pairs of a net.

    Attributes
    ----------
    stored_of, live_of : dict of int to int
        Unit of the model -> of the file, and back.
    inputs : list of int
        Input of the model -> of the file.
    """

    stored_of: dict[int, int] = field(default_factory=dict)
    live_of: dict[int, int] = field(default_factory=dict)
    inputs: list[int] = field(default_factory=list)

    def add(self, live: int, stored: int) -> None:
        self.stored_of[live] = stored
        self.live_of[stored] = live


def same_kind(stored: Tidy, live: Tidy, a: int, b: int) -> bool:
    """Whether two units are of one class; operations of different Keras generations cannot be told apart."""
    one, other = stored.net.units[a], live.net.units[b]
    if one.kind == other.kind:
        return True
    if one.operation and other.operation:  # "math.multiply" of TensorFlow, "Multiply" of Keras 3
        return (one.cls in TF_OPERATIONS) != (other.cls in TF_OPERATIONS) or one.cls == "TensorFlowOpLayer"
    nets = ("Sequential", "Functional", "Model", "Network")
    return one.kind in nets and other.kind in nets


def inputs_of(stored: Tidy, live: Tidy) -> list[int]:
    """Input of the model -> of the file: by position; by name where the same names stand in another order."""
    ours, theirs = live.net.inputs, stored.net.inputs
    if ours != theirs and len(set(ours)) == len(ours) and sorted(ours) == sorted(theirs):
        return [theirs.index(name) for name in ours]
    return list(range(len(ours)))


def by_order(stored: Tidy, live: Tidy, anchors: Mapping[int, int]) -> Pairs | None:
    """Each layer with the one in its place; None when the classes, or the weights, say otherwise."""
    if len(stored.kept) != len(live.kept):
        return None
    pairs = Pairs(inputs=inputs_of(stored, live))
    for a, b in zip(stored.kept, live.kept, strict=True):
        if not same_kind(stored, live, a, b) or anchors.get(b, a) != a:
            return None
        pairs.add(b, a)
    return pairs


def by_evidence(stored: Tidy, live: Tidy, anchors: Mapping[int, int]) -> Pairs:
    """The pairs that weights, names, inputs and place show."""
    pairs = Pairs(inputs=inputs_of(stored, live))
    left = set(stored.kept)
    for b in live.kept:
        a = anchors.get(b, -1)
        if a in left and same_kind(stored, live, a, b):
            pairs.add(b, a)
            left.discard(a)
    _by_name(stored, live, pairs)
    _by_inputs(stored, live, pairs)
    _by_place(stored, live, pairs)
    return pairs


def _by_name(stored: Tidy, live: Tidy, pairs: Pairs) -> None:
    names: dict[str, int] = {}
    for a in stored.kept:
        if a not in pairs.live_of:
            names[stored.net.units[a].name] = a
    for b in live.kept:
        name = live.net.units[b].name
        if b in pairs.stored_of or name not in names or is_automatic(name, live.net.units[b].kind):
            continue
        if same_kind(stored, live, names[name], b):
            pairs.add(b, names.pop(name))


def _by_inputs(stored: Tidy, live: Tidy, pairs: Pairs) -> None:
    """Pairs layers of one class that are called with what is paired already, from the inputs on."""
    waiting: dict[Signature, list[int]] = defaultdict(list)
    for a in reversed(stored.kept):
        if a not in pairs.live_of:
            unit = stored.net.units[a]
            waiting[unit.kind, tuple(tuple(call_refs(stored, unit.kind, call)) for call in unit.calls)].append(a)
    for b in live.kept:
        if b in pairs.stored_of:
            continue
        unit = live.net.units[b]
        calls = [[to_stored(pairs, ref) for ref in call_refs(live, unit.kind, call)] for call in unit.calls]
        if any(ref is None for refs in calls for ref in refs):
            continue
        signature = (unit.kind, tuple(tuple(_ordered(unit.kind, [r for r in refs if r])) for refs in calls))
        if waiting.get(signature):
            pairs.add(b, waiting[signature].pop())


def call_refs(net: Tidy, kind: str, call: Call) -> list[Ref]:
    """What a call takes, through what computes nothing; sorted where order is nothing."""
    return _ordered(kind, [net.follow(ref) for ref in call.refs])


def _ordered(kind: str, refs: list[Ref]) -> list[Ref]:
    return sorted(refs) if kind in _COMMUTATIVE else refs


def to_stored(pairs: Pairs, ref: Ref) -> Ref | None:
    """A reference of the model as one of the file; None when its layer is not paired."""
    if ref[0] == INPUT:
        return (INPUT, pairs.inputs[ref[1]], 0) if ref[1] < len(pairs.inputs) else None
    row = pairs.stored_of.get(ref[0])
    return None if row is None else (row, ref[1], ref[2])


def _by_place(stored: Tidy, live: Tidy, pairs: Pairs) -> None:
    """Pairs what is left between two pairs, in the longest order that both have."""
    last = 0
    index = {a: i for i, a in enumerate(stored.kept)}
    run: list[int] = []
    cells = _MOST_CELLS
    for b in [*live.kept, None]:
        if b is not None and b not in pairs.stored_of:
            run.append(b)
            continue
        end = index[pairs.stored_of[b]] if b is not None else len(stored.kept)
        if end < last:
            continue
        free = [a for a in stored.kept[last:end] if a not in pairs.live_of]
        if len(run) * len(free) <= cells:
            cells -= len(run) * len(free)
            for a, c in _common(stored, live, free, run):
                pairs.add(c, a)
        run, last = [], end + 1


def _common(stored: Tidy, live: Tidy, free: list[int], run: list[int]) -> list[tuple[int, int]]:
    """The longest common subsequence of two runs of layers, by class."""
    if not free or not run:
        return []
    width = len(run) + 1
    table = [[0] * width for _ in range(len(free) + 1)]
    for i in range(len(free) - 1, -1, -1):
        for j in range(len(run) - 1, -1, -1):
            if same_kind(stored, live, free[i], run[j]):
                table[i][j] = table[i + 1][j + 1] + 1
            else:
                table[i][j] = max(table[i + 1][j], table[i][j + 1])
    found, i, j = [], 0, 0
    while i < len(free) and j < len(run):
        if same_kind(stored, live, free[i], run[j]):
            found.append((free[i], run[j]))
            i, j = i + 1, j + 1
        elif table[i + 1][j] >= table[i][j + 1]:
            i += 1
        else:
            j += 1
    return found
