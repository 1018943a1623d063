"""The cases of the grid: which file, written by which Keras, goes into which model of which Keras, with which options.

Everything is drawn from one seed, stratified: each Keras meets each layout with each change of a model in several
containers, and each change of a file with each layout.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agree.design import BLOCKS, CHANGES, CONTAINERS, NAMINGS, parse
from agree.files import FILE_CHANGES, LEGACY, layouts_of

VERSIONS = ("3.15.1", "3.8.0", "3.3.3", "3.0.5", "tf_keras")
KERAS3_ONLY = {"int8", "int4", "float8", "lora"}
SLOW = {"int4", "float8"}
DAMAGED = 12


@dataclass(frozen=True)
class Case:
    """One load."""

    version: str
    model: str
    writer: str
    stored: str
    layout: str
    change: str = "none"
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        parts = [self.version, self.layout if self.writer == self.version else f"{self.layout}@{self.writer}"]
        return " ".join([*parts, self.stored, "->", self.model, self.change, "+".join(self.options) or "-"])

    @property
    def mutation(self) -> str:
        """The change that sets the model apart from the file's."""
        changes = [key.rpartition("/")[2] for key in (self.stored, self.model)]
        return next((change for change in changes if change != "same"), "same")

    def job(self) -> dict[str, Any]:
        return {
            "case": self.name,
            "model": self.model,
            "file": {"version": self.writer, "key": self.stored, "layout": self.layout},
            "change": self.change,
            "options": dict.fromkeys(self.options, True),
        }


@dataclass
class Pairs:
    """Draws (stored design, model design) for a change."""

    rng: random.Random
    namings: dict[tuple[str, str], str] = field(default_factory=dict)

    def root(self, container: str, block: str) -> str:
        """The base design of a container and a block; one naming each, so that the files are few."""
        naming = self.namings.setdefault((container, block), NAMINGS[(len(self.namings) * 7 // 3) % len(NAMINGS)])
        return f"{container}/{block}/{naming}"

    def draw(self, change: str, container: str | None = None, block: str | None = None) -> tuple[str, str] | None:
        """Keys of an unchanged and a changed design, in either direction; None when the change fits nothing."""
        for _ in range(60):
            place = container or self.rng.choice(CONTAINERS)
            kind = block or self.rng.choice(list(BLOCKS))
            root = self.root(place, kind)
            same, changed = f"{root}/same", f"{root}/{change}"
            if parse(changed) is None or (change in SLOW and place not in ("seq", "func")):
                continue
            return (changed, same) if self.rng.random() < 0.25 and change != "unbuilt" else (same, changed)
        return None


def _options(rng: random.Random, layout: str) -> list[tuple[str, ...]]:
    """No option always; of the others one or two, those that the layout takes more often."""
    others: list[tuple[str, ...]] = [("skip_mismatch",), ("by_name",), ("by_name", "skip_mismatch")]
    if layout in LEGACY:
        return [(), *rng.sample(others, 2)]
    return [(), rng.choices(others, [8, 1, 1])[0]]


def cases(seed: int = 4, rounds: int = 1) -> list[Case]:
    """All cases, in an order in which a model's follow each other."""
    rng = random.Random(seed)
    pairs = Pairs(rng)
    found: dict[str, Case] = {}
    for case in _all(rng, pairs, rounds):
        found.setdefault(case.name, case)
    return sorted(found.values(), key=lambda case: (case.version, case.model, case.stored, case.name))


def _all(rng: random.Random, pairs: Pairs, rounds: int) -> Iterator[Case]:
    for version in VERSIONS:
        layouts = layouts_of(version)
        changes = [name for name in CHANGES if version != "tf_keras" or name not in KERAS3_ONLY]
        for _ in range(rounds):
            for change in changes:
                yield from _loads(rng, version, pairs.draw(change), layouts)
            for container in CONTAINERS:
                for block in rng.sample(list(BLOCKS), len(BLOCKS) // 2):
                    yield from _loads(rng, version, pairs.draw(rng.choice(changes), container, block), layouts, 2)
            for number in range(DAMAGED):  # one model each, since the files are many
                pair = pairs.draw("same" if number % 2 else rng.choice(changes))
                for change in FILE_CHANGES:
                    yield from _loads(rng, version, pair, layouts, 4, change, options=1)
        yield from _foreign(rng, version, pairs, rounds)


def _loads(
    rng: random.Random,
    version: str,
    pair: tuple[str, str] | None,
    layouts: Iterable[str],
    count: int | None = None,
    change: str = "none",
    writer: str | None = None,
    options: int | None = None,
) -> Iterator[Case]:
    """Loads of one pair in *count* of the layouts, with so many options each."""
    if pair is None:
        return
    chosen = list(layouts)
    if count is not None and count < len(chosen):
        chosen = rng.sample(chosen, count)
    for layout in chosen:
        every = _options(rng, layout)
        for chosen_options in every if options is None else rng.sample(every, options):
            yield Case(version, pair[1], writer or version, pair[0], layout, change, chosen_options)


def _foreign(rng: random.Random, version: str, pairs: Pairs, rounds: int) -> Iterator[Case]:
    """Files that another Keras wrote."""
    both = [name for name in CHANGES if name not in KERAS3_ONLY]
    for writer in VERSIONS:
        if writer == version:
            continue
        for _ in range(rounds):
            for container in CONTAINERS:
                change = "same" if rng.random() < 0.4 else rng.choice(both)
                yield from _loads(rng, version, pairs.draw(change, container), layouts_of(writer), 3, "none", writer)
