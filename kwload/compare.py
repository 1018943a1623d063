"""Two weight files side by side: which tensor of one is which of the other, and whether they hold the same values.

    pair      by path, when both files have the same ones; else by value, then what belongs to the layers of such
              pairs, then by path or by name, then by the order of what Keras numbers
    compare   shape, type, then bits; both files are read tensor by tensor, so that memory holds two at a time

Layouts may differ: a legacy file calls a tensor ``inner/bn/gamma:0``, the Keras 3 layout has the layer's name beside
the number of the variable. Values come before names, because the numbers in names (``dense_3``) are those of the
process that saved the file: of two files, ``dense_1`` need not be the same layer. Neither Keras nor a model is needed.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from kwload import _core, api
from kwload.file import File, Source
from kwload.report.escape import json_text

Rule: TypeAlias = Literal["path", "value", "layer", "name", "order"]
Difference: TypeAlias = Literal["shape", "dtype", "values", "unreadable"]
Array: TypeAlias = "np.ndarray[Any, Any]"

_STATE = _core.GROUP_FLAGS["optimizer"] | _core.GROUP_FLAGS["metric"]
_V3 = ("keras-3", "tf-2.12")
_PARTIAL = frozenset({202, 203, 205, 207})
"""Codes of files of which bytes are missing or are not those that were written."""
_NUMBER = re.compile(r"_([0-9]{1,9})\Z")
_SLICE = 1 << 20
"""Elements that are compared at once: a difference needs three arrays of float64."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the files."""

    path: str
    format: str
    tensors: int
    parameters: int
    state: int
    """Tensors of optimizers and metrics, which are not compared."""


@dataclass(frozen=True, slots=True)
class TensorPair:
    """A tensor of the first file and the one of the second that it corresponds to."""

    a: str
    b: str
    rule: Rule
    """What made the pair: equal paths; equal values; a layer of which other variables are paired; equal names of layer
    and variable; or the order of layers that only a number tells apart."""
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    dtypes: tuple[str, str]
    difference: Difference | None = None
    """``"shape"``, ``"dtype"`` (of two tensors of one shape), ``"values"``, ``"unreadable"``; None when bit-identical
    or within the tolerances."""
    count: int = 0
    """Elements that differ, when values do."""
    largest: float = 0.0
    """The largest absolute difference of two finite elements, when values do."""
    elsewhere: str | None = None
    """Path in the second file of another tensor that holds exactly the values of ``a``, when values differ."""


@dataclass(frozen=True, slots=True)
class Diff:
    """What :func:`kwload.diff` found. ``print`` shows it as text, a notebook as HTML."""

    a: Side
    b: Side
    pairs: tuple[TensorPair, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    @property
    def same(self) -> bool:
        """True when every tensor of each file has its equal in the other; paths and layouts may differ."""
        return not (self.only_a or self.only_b or self.different)

    @property
    def different(self) -> tuple[TensorPair, ...]:
        """The pairs that are not equal."""
        return tuple(pair for pair in self.pairs if pair.difference is not None)

    def mapping(self) -> dict[str, str]:
        """Path in the first file -> path in the second, for every pair."""
        return {pair.a: pair.b for pair in self.pairs}

    def render(self, *, all: bool = False) -> str:
        """The comparison as text, in 40 lines; *all* lifts the limit."""
        from kwload.report import difference

        return difference.text(self, all=all)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data, with ``"schema": 1``."""
        from kwload.report import difference

        return difference.to_dict(self)

    def to_json(self) -> str:
        """:meth:`to_dict` as one line of ASCII."""
        return json_text(self.to_dict())

    def __str__(self) -> str:
        return self.render()

    def _repr_html_(self) -> str:
        from kwload.report import difference

        return difference.html(self)


def diff(a: Source, b: Source, *, rtol: float = 0.0, atol: float = 0.0) -> Diff:
    """Compare two weight files, of whatever layouts, without Keras.

    Parameters
    ----------
    a, b : str, os.PathLike, bytes or file object
        As for :func:`kwload.open`.
    rtol, atol : float
        Values are equal when ``|a - b| <= atol + rtol * |b|``, as ``numpy.allclose`` has it, NaN equal to NaN. With 0
        and 0, the default, they must be bit-identical.

    Returns
    -------
    Diff
        ``same``; ``pairs`` with rule, shapes, types and difference of each; what is in one file only. State of
        optimizers and metrics is counted and not compared.

    Raises
    ------
    WeightsFileError
        One of the files cannot be opened, holds no tensor, is cut short or was never finished, lacks a shard, or has a
        member whose CRC-32 is wrong; its ``report`` says so. A single tensor that cannot be read does not raise: its
        pair is ``"unreadable"``.
    ValueError
        A tolerance is negative or not finite.
    """
    if not (0 <= rtol < np.inf and 0 <= atol < np.inf):
        raise ValueError(f"tolerances must be finite and not negative, not rtol={rtol!r}, atol={atol!r}")
    with api.open(a) as first, api.open(b) as second:
        for file in (first, second):
            _require_whole(file)
        return _Comparison(first, second, rtol, atol).run()


def _require_whole(file: File) -> None:
    """Raises with the report of a file of which nobody can say what it holds: what is compared must be all of it."""
    from kwload.report.build import build_report

    errors = []
    if not _PARTIAL.intersection(fault[0] for fault in file.core.faults):
        try:
            file.core.verify(threads=api.THREADS)
        except _core.CoreError as error:
            errors.append(error)
    report = build_report(path=file.path, file=file.core, errors=errors)
    if any(item.severity == "error" and int(item.code[2:]) in _PARTIAL for item in report.findings):
        report.raise_if_failed()


class _Comparison:
    """The rows of both files while they are paired."""

    def __init__(self, a: File, b: File, rtol: float, atol: float) -> None:
        self.files = (a, b)
        self.cores = (a.core, b.core)
        self.tensors = (a.tensors, b.tensors)
        self.keys = (_keys(a.core), _keys(b.core))
        self.left = [_weights(a.core), _weights(b.core)]
        self.rtol, self.atol = rtol, atol
        self.digests: tuple[dict[int, bytes | None], dict[int, bytes | None]] = ({}, {})
        self.pairs: list[tuple[int, int, Rule]] = []
        self.numbers = (_numbers(self.keys[0]), _numbers(self.keys[1]))
        self.partners: dict[str, str] = {}

    def run(self) -> Diff:
        sides = (self.side(0), self.side(1))
        rules: list[tuple[Rule, Callable[[int, int], Hashable | None]]] = [("path", self.path)]
        if {self.path(0, row) for row in self.left[0]} != {self.path(1, row) for row in self.left[1]}:
            rules = [("value", self.content), ("layer", self.layer), ("path", self.path), ("name", self.name)]
            rules += [("order", self.rank)]
            if sides[0].format not in _V3 or sides[1].format not in _V3:
                rules = [rule for rule in rules if rule[0] != "path"]
        for rule, key in rules:
            self.pairs += [(*pair, rule) for pair in self.match(key)]
        place = {row: i for i, row in enumerate(_weights(self.cores[0]))}
        self.pairs.sort(key=lambda pair: place[pair[0]])
        compared = [self.compare(*pair) for pair in self.pairs]
        only = [tuple(self.tensors[side][row].path for row in self.left[side]) for side in (0, 1)]
        return Diff(*sides, tuple(self.elsewhere(compared)), *only)

    def side(self, side: int) -> Side:
        rows = self.left[side]
        parameters = sum(int(np.prod(self.tensors[side][row].shape, dtype=object)) for row in rows)
        state = len(self.tensors[side]) - len(rows)
        return Side(self.files[side].path, self.cores[side].layout, len(rows), parameters, state)

    def match(self, key: Callable[[int, int], Hashable | None]) -> list[tuple[int, int]]:
        """Pairs of what is left whose key is one of a kind in both files; they are left no more."""
        found: tuple[dict[Hashable, list[int]], ...] = (defaultdict(list), defaultdict(list))
        if not (self.left[0] and self.left[1]):
            return []
        for side in (0, 1):
            for row in self.left[side]:
                value = key(side, row)
                if value is not None:
                    found[side][value].append(row)
        pairs = [
            (rows[0], found[1][value][0])
            for value, rows in found[0].items()
            if len(rows) == 1 and len(found[1].get(value, ())) == 1
        ]
        gone = ({one for one, _ in pairs}, {other for _, other in pairs})
        for side in (0, 1):
            self.left[side] = [row for row in self.left[side] if row not in gone[side]]
        return pairs

    def read(self, side: int, row: int) -> Array | None:
        try:
            return self.cores[side].fetch([row], threads=api.THREADS)[0]
        except _core.CoreError:
            return None

    def content(self, side: int, row: int) -> bytes | None:
        """Type, shape and values as one digest; None for what cannot be read, or is one value, which says nothing."""
        if row not in self.digests[side]:
            array = self.read(side, row)
            digest = None
            if array is not None and array.size > 1 and (_elements(array) != _elements(array)[0]).any():
                digest = hashlib.blake2b(_elements(array).data).digest() + f"{array.dtype}{array.shape}".encode()
            self.digests[side][row] = digest
        return self.digests[side][row]

    def path(self, side: int, row: int) -> str:
        return self.tensors[side][row].path

    def name(self, side: int, row: int) -> tuple[str, int] | None:
        """The last component of the layer's name and the variable's place, where both files number layers alike."""
        key = self.keys[side].get(row)
        if key is None or self.numbers[0].get(_stem(key[0])) != self.numbers[1].get(_stem(key[0])):
            return None
        return key[0].rpartition("/")[2], key[1]

    def rank(self, side: int, row: int) -> tuple[str, int, int, tuple[int, ...]] | None:
        """Which of the layers that only a number tells apart, when both files have as many."""
        key = self.keys[side].get(row)
        stem = _stem(key[0]) if key is not None else ""
        mine, others = (self.numbers[which].get(stem, []) for which in (side, 1 - side))
        if key is None or len(mine) != len(others):
            return None
        return stem, mine.index(_number(key[0])), key[1], self.tensors[side][row].shape

    def layer(self, side: int, row: int) -> tuple[str, int, tuple[int, ...]] | None:
        """The first file's name of the layer, where other variables of it are paired already, all with one layer."""
        if not self.partners:
            self.partners = _partners(self.pairs, self.keys)
        key = self.keys[side].get(row)
        owner = None if key is None else key[0] if side == 0 else self.partners.get(key[0])
        if key is None or owner is None or owner not in self.partners.values():
            return None
        return owner, key[1], self.tensors[side][row].shape

    def compare(self, one: int, other: int, rule: Rule) -> TensorPair:
        left, right = self.tensors[0][one], self.tensors[1][other]
        pair = TensorPair(left.path, right.path, rule, (left.shape, right.shape), (left.dtype, right.dtype))
        if left.shape != right.shape:
            return replace(pair, difference="shape")
        if left.dtype != right.dtype:
            return replace(pair, difference="dtype")
        if rule == "value":
            return pair
        a, b = self.read(0, one), self.read(1, other)
        if a is None or b is None:
            return replace(pair, difference="unreadable")
        count, largest = _measure(a, b, self.rtol, self.atol)
        return replace(pair, difference="values", count=count, largest=largest) if count else pair

    def elsewhere(self, pairs: Sequence[TensorPair]) -> Iterable[TensorPair]:
        """The pairs; where values differ, with the place at which the other file has them."""
        different = [i for i, pair in enumerate(pairs) if pair.difference == "values"]
        places: dict[bytes | None, list[str]] = defaultdict(list)
        for i in different if len(different) > 1 else ():
            places[self.content(1, self.pairs[i][1])].append(pairs[i].b)
        places.pop(None, None)
        for i, pair in enumerate(pairs):
            swapped = places and pair.difference == "values"
            found = places.get(self.content(0, self.pairs[i][0]), []) if swapped else []
            yield replace(pair, elsewhere=found[0]) if len(found) == 1 else pair


def _weights(core: _core.File) -> list[int]:
    """Rows of the tensors that are weights, in the order of the layout; all, in a file that is not Keras's."""
    rows = dict.fromkeys(row for group in core.groups if not group[2] & _STATE for _, row in group[3] if row >= 0)
    return list(rows) if rows or core.groups else list(range(len(core.tensors)))


def _keys(core: _core.File) -> dict[int, tuple[str, int]]:
    """For each row the name of the layer that owns it, with those it is inside of, and its place in that layer."""
    legacy = core.layout not in _V3
    keys: dict[int, tuple[str, int]] = {}
    for path, name, flags, slots, _ in core.groups:
        if flags & _STATE:
            continue
        counts: dict[str, int] = defaultdict(int)
        for weight, row in slots:
            owner = (weight.rpartition("/")[0] or name or path) if legacy else name or path
            if row >= 0:
                keys[row] = (owner, counts[owner])
            counts[owner] += 1
    return keys


def _stem(name: str) -> str:
    """``"dense"`` of ``"outer/dense_3"``."""
    return _NUMBER.sub("", name.rpartition("/")[2])


def _number(name: str) -> int:
    """3 of ``"outer/dense_3"``, 0 of ``"dense"``."""
    found = _NUMBER.search(name)
    return int(found[1]) if found else 0


def _numbers(keys: dict[int, tuple[str, int]]) -> dict[str, list[int]]:
    """For each stem the numbers of its layers, sorted."""
    found: dict[str, set[int]] = defaultdict(set)
    for owner, _ in keys.values():
        found[_stem(owner)].add(_number(owner))
    return {stem: sorted(numbers) for stem, numbers in found.items()}


def _partners(pairs: Iterable[tuple[int, int, Rule]], keys: Sequence[dict[int, tuple[str, int]]]) -> dict[str, str]:
    """Layer of the second file -> the one layer of the first that its variables are paired with."""
    found: dict[str, set[str]] = defaultdict(set)
    for one, other, _ in pairs:
        if one in keys[0] and other in keys[1]:
            found[keys[1][other][0]].add(keys[0][one][0])
    return {second: next(iter(first)) for second, first in found.items() if len(first) == 1}


def _elements(array: Array) -> Array:
    """The bytes of each element, one row an element: of any type, NaN and -0.0 too, equal when bit-identical."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(array.size, array.itemsize)


def _measure(a: Array, b: Array, rtol: float, atol: float) -> tuple[int, float]:
    """How many elements differ beyond the tolerances, and by how much at most where both are finite."""
    count, largest = 0, 0.0
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    for start in range(0, a.size, _SLICE):
        one, other = (array.reshape(-1)[start : start + _SLICE] for array in (a, b))
        bits = (_elements(one) != _elements(other)).any(axis=1)
        if not bits.any():
            continue
        x, y = one[bits].astype(wide), other[bits].astype(wide)
        with np.errstate(all="ignore"):
            gap = np.abs(x - y)
            equal = (gap <= atol + rtol * np.abs(y)) | (np.isnan(x) & np.isnan(y)) if rtol or atol else gap < 0
        count += int((~equal).sum())
        finite = gap[~equal & np.isfinite(gap)]
        largest = max(largest, float(finite.max())) if finite.size else largest
    return count, largest
