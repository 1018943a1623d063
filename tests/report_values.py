"""Hand-made facts for reports on values (KW501 to KW504): what the core would tell of each tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from report_cases import A, B, FakeFile, FakeModel, Layer, dense, file, model, raw, report, same

from kwload.report.facts import Options, Seen
from kwload.report.finding import Lost, Report, Values

NORM = Layer("bn", "layers/bn", "BatchNormalization", {"gamma": (16,), "beta": (16,), "moving_variance": (16,)})


def values(size: int = 160, **odd: Any) -> Values:
    """Of a sound tensor, and what is odd."""
    sound = Values(size, 0, None, 0, None, -0.31, 0.42, 0, 0, 0, 0, None)
    return sound._replace(**odd)


def seen(held: FakeFile, odd: dict[int, dict[str, Any]]) -> list[Seen]:
    """Of all tensors of a file; what is odd by row."""
    return [Seen(row, row, values(tensor.nbytes // 4, **odd.get(row, {}))) for row, tensor in enumerate(held.tensors)]


def _many(count: int, dtype: str = "float32") -> tuple[FakeFile, FakeModel]:
    held = [dense(f"block_{i}", f"layers/dense_{i}", 16, 16) for i in range(count)]
    return file(*held), model(*(dense(f"block_{i}", f"layers/dense_{i}", 16, 16, dtype) for i in range(count)))


def cases() -> Iterator[tuple[str, Report]]:
    """Every case by name."""
    yield from _not_finite()
    yield from _lost()
    yield from _lossy()
    yield from _constant()


def _not_finite() -> Iterator[tuple[str, Report]]:
    held, wanted = file(A, NORM), model(A, NORM)
    nan = seen(held, {0: {"nan": 3, "nan_at": 37, "inf": 1, "inf_at": 159}, 4: {"nan": 16, "nan_at": 0, "low": None}})
    yield "KW501", report(held, wanted, seen=nan)
    refuse = Options(refuse_values=True)
    held, wanted = file(A), model(A)
    yield "KW501-error", report(held, wanted, seen=seen(held, {1: {"inf": 2, "inf_at": 5}}), options=refuse)
    held, wanted = file(NORM), model(NORM)
    yield "KW501-variance", report(held, wanted, seen=seen(held, {2: {"low": -0.75, "high": 1.25}}))
    held, wanted = _many(100)
    yield (
        "KW501-many",
        report(
            held, wanted, seen=seen(held, {row: {"nan": 7, "nan_at": row} for row in range(200)}), options=Options()
        ),
    )


def _lost() -> Iterator[tuple[str, Report]]:
    large, wide = dense("a", "layers/dense", 784, 128), dense("b", "layers/dense_1", 128, 64)
    held, wanted = file(large, wide), model(large, wide)
    block = {"lost": Lost(2830, 1024, 4096, 20480), "zeros": 1024}
    yield "KW502", report(held, wanted, seen=seen(held, {0: block}))
    parts = {1: {"lost": Lost(30, 98, 392, 413_008)}, 2: {"lost": Lost(0, 926, 3704, 413_400)}}
    yield "KW502-two", report(held, wanted, seen=seen(held, parts))
    yield "KW502-chunked", report(held, wanted, seen=seen(held, {2: {"lost": Lost(5, 200, 803, None)}}))


def _lossy() -> Iterator[tuple[str, Report]]:
    def casting(old: str, new: str, odd: dict[int, dict[str, Any]], cast: str = "overflows", **more: Any) -> Report:
        held = file(dense("a", "layers/dense", 10, 16, old), dense("b", "layers/dense_1", 16, 16, old))
        wanted = model(dense("a", "layers/dense", 10, 16, new), dense("b", "layers/dense_1", 16, 16, new))
        change = raw(309, "warning", tensor=0, variable=0, group=0, a=4, b=4, related=[1, 2, 3])
        return report(held, wanted, change, pairs=same(4, cast=cast), seen=seen(held, odd), **more)

    yield "KW503", casting("float32", "float16", {0: {"overflow": 3, "high": 1e6, "flushed": 12}})
    yield (
        "KW503-wide",
        casting("float64", "float32", {row: {"overflow": 1, "high": 1e300} for row in range(4)}, "rounds"),
    )
    refuse = Options(refuse_values=True)
    yield "KW503-error", casting("float64", "float16", {1: {"overflow": 1, "high": 7e4}}, options=refuse)
    yield "KW503-integer", casting("int64", "float32", {2: {"inexact": 5, "low": 0, "high": 2**24 + 9}}, "rounds")
    yield "KW309-survives", casting("float32", "float16", {2: {"flushed": 1}})


def _constant() -> Iterator[tuple[str, Report]]:
    held, wanted = file(A, B), model(A, B)
    zero = {"low": 0.0, "high": 0.0, "zeros": 160}
    yield "KW504", report(held, wanted, seen=seen(held, {0: zero, 1: zero}))
    held, wanted = _many(6)
    several = {2 * row: {"low": row / 2, "high": row / 2} for row in range(6)}
    yield "KW504-many", report(held, wanted, seen=seen(held, several))
    held, wanted = file(A, B), model(A, B)
    yield "KW504-two", report(held, wanted, seen=seen(held, {0: zero, 2: {"low": 0.5, "high": 0.5}}))
