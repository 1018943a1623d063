"""What the claims share: measuring two things in turn, and a row of the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Row:
    """One claim: what was measured of the peer and of kwload, the target, and whether it is met."""

    claim: str
    peer: str
    ours: str
    target: str
    measured: str
    met: bool


# A turn lasts at least so many seconds: one short call after a second of other work would measure cold caches.
TURN = 0.1


def in_fresh_process(action: Callable[[Path], T], path: Path) -> T:
    """The result of `action(path)`, whose memory and imports no other measurement has touched."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(action, path).result()


def seconds(action: Callable[[], object], at_least: float = 0.0) -> float:
    """The time of one call: the mean over as many as fit into `at_least` seconds, one or more."""
    started, count = time.perf_counter(), 0
    while True:
        action()
        count += 1
        taken = time.perf_counter() - started
        if taken >= at_least:
            return taken / count


@dataclass
class Turns:
    """Times of a peer (A) and of kwload (B), taken A B A B so that what slows the machine slows both; a turn repeats a
    short action for a tenth of a second."""

    peer: list[float]
    ours: list[float]

    @classmethod
    def of(cls, peer: Callable[[], object], ours: Callable[[], object], rounds: int, at_least: float = TURN) -> Turns:
        """Calls each once unmeasured, then `rounds` times in turn, for `at_least` seconds."""
        peer(), ours()
        turns = cls([], [])
        for _ in range(rounds):
            turns.peer.append(seconds(peer, at_least))
            turns.ours.append(seconds(ours, at_least))
        return turns

    @property
    def ratio(self) -> float:
        """How many times faster kwload is: the median over the rounds."""
        return statistics.median(a / b for a, b in zip(self.peer, self.ours, strict=True))

    def faster(self, claim: str, peer: str, target: float) -> Row:
        """The row of the claim that kwload is at least `target` times as fast as `peer`."""
        return Row(
            claim,
            f"{peer} {text(statistics.median(self.peer))}",
            text(statistics.median(self.ours)),
            f"at least {target:g}x faster" if target > 1 else "no slower",
            f"{self.ratio:.3g}x",
            self.ratio >= target,
        )


def text(duration: float) -> str:
    """A duration with three digits and a fitting unit."""
    unit, factor = next((pair for pair in (("s", 1), ("ms", 1e-3)) if duration >= pair[1]), ("µs", 1e-6))
    return f"{duration / factor:.3g} {unit}"
