"""Findings about values (KW501 to KW504): what is not finite, what was lost, what a cast loses, what never varies.

The core counts; here it is decided what a person should look at, and said so once for all variables of one cause.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypedDict

from kwload.report.context import Context, columns, entry, finding, listed, named
from kwload.report.escape import escape, literal, quote
from kwload.report.facts import Raw, Seen
from kwload.report.finding import Finding, Values
from kwload.report.text import plural
from kwload.report.words import rows_of

FLUSHED_SHARE: Final = 0.01
"""Values that become zero are worth a look from this share on."""

_SMALLEST: Final = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126}
_SMALLEST_8: Final = {"float8_e4m3fn": 2.0**-6, "float8_e5m2": 2.0**-14}
"""The smallest number of a type that has all its digits (IEEE 754-2019 table 3.5; OCP 8-bit floating point 1.0)."""

_REFUSE: Final = 'values="error"'

_VARIANCES: Final = ("moving_variance", "variance")
_EPSILON: Final = 1e-3
"""What BatchNormalization adds to the variance when nothing else is known (Keras 2 and 3)."""


def value_findings(context: Context) -> list[Finding]:
    """All findings about values, the worst first."""
    makers: tuple[Callable[[Context], Iterator[Finding]], ...] = (_not_finite, _negative, _lost, _lossy, _constant)
    return [found for make in makers for found in make(context)]


# ---- names and places -----------------------------------------------------------------------------------------------


def _name(context: Context, seen: Seen) -> str:
    """The variable, or the tensor when a layer's own code takes it."""
    return context.variables[seen.variable].path if seen.variable >= 0 else context.tensors[seen.tensor].path


def _in_file_order(context: Context, wanted: Callable[[Seen], bool]) -> list[Seen]:
    return sorted((seen for seen in context.seen if wanted(seen)), key=lambda seen: seen.tensor)


def index_text(flat: int, shape: Sequence[int]) -> str:
    """A flat index of a tensor in C order as one of its shape: ``"[3, 17]"``."""
    index = []
    for length in reversed(shape):
        flat, at = divmod(flat, length)
        index.append(at)
    return f"[{', '.join(map(str, reversed(index)))}]"


def _at(context: Context, seen: Seen, flat: int | None) -> str:
    shape = context.tensors[seen.tensor].shape
    return f" at {index_text(flat, shape)}" if flat is not None and shape else ""


def _what(context: Context, several: Sequence[Seen]) -> str:
    return quote(_name(context, several[0])) if len(several) == 1 else plural(len(several), "variable")


class _Place(TypedDict):
    layer: str | None
    variable: str | None
    path: str | None


def _about(context: Context, several: Sequence[Seen]) -> _Place:
    """Where a finding is: the first of its variables."""
    first = several[0]
    variable = context.variable(first.variable)
    tensor = context.tensors[first.tensor]
    return {
        "layer": variable.layer if variable is not None else tensor.layer or None,
        "variable": variable.name if variable is not None else None,
        "path": tensor.path,
    }


def _related(context: Context, several: Sequence[Seen]) -> list[str]:
    return [_name(context, seen) for seen in several[1:]]


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _range(values: Values) -> str:
    return f"{_number(values.low)} to {_number(values.high)}"


# ---- KW501 ----------------------------------------------------------------------------------------------------------


def _not_finite(context: Context) -> Iterator[Finding]:
    several = _in_file_order(context, lambda seen: bool(seen.values.nan or seen.values.inf))
    if not several:
        return
    nan, inf = (sum(getattr(seen.values, kind) for seen in several) for kind in ("nan", "inf"))
    counts = " and ".join([*([f"{nan:,} NaN"] if nan else []), *([f"{inf:,} infinite"] if inf else [])])
    refuses = context.options.refuse_values
    yield finding(
        501,
        "error" if refuses else "warning",
        headline=entry(501).say(
            what=_what(context, several), verb="has" if len(several) == 1 else "have", counts=counts
        ),
        **_about(context, several),
        found={"nan": nan, "inf": inf},
        body=listed(columns([(escape(_name(context, seen)), _odd(context, seen)) for seen in several])),
        help=[] if refuses else [f"{context.again(_REFUSE)}  refuses what is not finite"],
        related=_related(context, several),
    )


def _odd(context: Context, seen: Seen) -> str:
    """``128 of 8,192 NaN, first at [3, 17]``."""
    values, parts = seen.values, []
    for count, at, what in ((values.nan, values.nan_at, "NaN"), (values.inf, values.inf_at, "infinite")):
        if count == values.size > 1:
            parts.append(f"all {count:,} {what}")
        elif count:
            of = "" if parts else f" of {values.size:,}"
            where = _at(context, seen, at)
            first = ", first" if where and count > 1 else ""
            parts.append(f"{count:,}{of} {what}{first}{where}")
    return "; ".join(parts)


def _negative(context: Context) -> Iterator[Finding]:
    """A variance below zero: the square root that is taken of it is NaN."""
    several = _in_file_order(context, lambda seen: _is_negative_variance(context, seen))
    if not several:
        return
    one = len(several) == 1
    low = min(seen.values.low or 0 for seen in several)
    lines = [(escape(_name(context, seen)), f"from {_range(seen.values)}") for seen in several]
    yield finding(
        501,
        "warning",
        headline=f"{_what(context, several)} {'makes NaN of what it scales' if one else 'make NaN of what they scale'}"
        f": {'a variance' if one else 'variances'} below zero, down to {_number(low)}",
        **_about(context, several),
        found={"min": low},
        body=listed(columns(lines)) if not one else [],
        notes=["training gives no such variance: these are other weights, or not the bytes that were saved"],
        related=_related(context, several),
    )


def _is_negative_variance(context: Context, seen: Seen) -> bool:
    if seen.variable < 0 or seen.values.low is None or context.variables[seen.variable].name not in _VARIANCES:
        return False
    objects = getattr(context.model, "objects", ())
    group = context.variables[seen.variable].group
    epsilon = getattr(objects[group], "epsilon", _EPSILON) if group < len(objects) else _EPSILON
    return seen.values.low < -(epsilon if isinstance(epsilon, float) else _EPSILON)


# ---- KW502 ----------------------------------------------------------------------------------------------------------


def _lost(context: Context) -> Iterator[Finding]:
    several = _in_file_order(context, lambda seen: seen.values.lost is not None)
    if not several:
        return
    lost = [seen.values.lost for seen in several if seen.values.lost is not None]
    nbytes = sum(block.nbytes for block in lost)
    lines = []
    for seen, block in zip(several, lost, strict=True):
        where = f", byte {block.offset:,} of the file" if block.offset is not None else ""
        at = _at(context, seen, block.first).replace(" at ", " from ") + " on"
        count = "all its values" if block.size == seen.values.size else plural(block.size, "value")
        lines.append((escape(_name(context, seen)), f"{count}{at}{where}"))
    yield finding(
        502,
        "warning",
        headline=entry(502).say(
            what=_what(context, several),
            verb="has" if len(several) == 1 else "have",
            detail=plural(nbytes, "byte"),
        ),
        **_about(context, several),
        found=nbytes,
        body=listed(columns(lines)),
        notes=["its edges are those of a block on a disk or in a copy, not of rows: lost, not pruned or padded"],
        help=[f"compare it with another copy: delete {literal(context.path)} and download or copy it again"],
        related=_related(context, several),
    )


# ---- KW503 and what it leaves of KW309 ------------------------------------------------------------------------------


def _types(context: Context, seen: Seen) -> tuple[str, str]:
    return context.tensors[seen.tensor].dtype, context.variables[seen.variable].dtype


def _is_lossy(context: Context, seen: Seen) -> bool:
    """Whether a cast loses more than digits.

    Small numbers that become zero are rounded like all others as long as the greatest have all their digits: what is
    lost is less than those lose.
    """
    values = seen.values
    if seen.variable < 0:
        return False
    if values.overflow or values.inexact:
        return True
    if not values.flushed:
        return False
    smallest = (_SMALLEST | _SMALLEST_8).get(_types(context, seen)[1], 0.0)
    greatest = max(abs(values.low or 0), abs(values.high or 0))
    return greatest < smallest or values.flushed >= FLUSHED_SHARE * (values.size - values.zeros)


def _lossy(context: Context) -> Iterator[Finding]:
    together: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for seen in _in_file_order(context, lambda seen: _is_lossy(context, seen)):
        together[_types(context, seen)].append(seen)
    for (old, new), several in together.items():
        overflow = any(seen.values.overflow for seen in several)
        refuses = context.options.refuse_values and overflow and new.startswith(("float", "bfloat", "complex"))
        lines = [
            (escape(_name(context, seen)), _effect(seen.values, old, new), f"range {_range(seen.values)}")
            for seen in several
        ]
        yield finding(
            503,
            "error" if refuses else "warning",
            headline=entry(503).say(
                what=_what(context, several),
                effect=_effects([seen.values for seen in several], old, new),
                found=escape(old),
                expected=escape(new),
            ),
            **_about(context, several),
            expected=new,
            found=old,
            body=listed(columns(lines)),
            help=[f'give the layers of the model `dtype="{escape(old)}"`, as the file has it']
            if _is_float(old, new)
            else [],
            related=_related(context, several),
        )


def _is_float(*dtypes: str) -> bool:
    return all(dtype.startswith(("float", "bfloat")) for dtype in dtypes)


def _effect(values: Values, old: str, new: str) -> str:
    """``3 infinite of 8,192``."""
    parts = [f"{count:,} {what}" for count, what in _losses([values], old, new)]
    return f"{' and '.join(parts)} of {values.size:,}"


def _effects(several: Sequence[Values], old: str, new: str) -> str:
    """``3 values infinite and 12 zero``."""
    (count, what), *rest = _losses(several, old, new)
    return " and ".join([f"{plural(count, 'value')} {what}", *(f"{count:,} {what}" for count, what in rest)])


def _losses(several: Sequence[Values], old: str, new: str) -> list[tuple[int, str]]:
    """How many values a cast makes what."""
    to_float = new.startswith(("float", "bfloat", "complex"))
    out_of_range = "out of range" if not to_float else "NaN" if new == "float8_e4m3fn" else "infinite"
    inexact = "another number" if to_float else "True" if new == "bool" else "an integer"
    if old.startswith("complex") and not new.startswith("complex"):
        inexact = "real"
    counts = [sum(getattr(values, kind) for values in several) for kind in ("overflow", "flushed", "inexact")]
    return [(count, what) for count, what in zip(counts, (out_of_range, "zero", inexact), strict=True) if count]


def judged(context: Context) -> list[Raw]:
    """The plan's findings, those about types by what was seen: what survives is a note, what is lost is KW503's."""
    seen = {item.variable: item for item in context.seen if item.variable >= 0}
    return [raw for item in context.raws for raw in _judge(context, item, seen)] if seen else context.raws


def _judge(context: Context, raw: Raw, seen: dict[int, Seen]) -> list[Raw]:
    if raw.code != 309:
        return [raw]
    rows = rows_of(raw)
    if raw.severity == "error" or any(row not in seen for row in rows):
        return [raw]
    left = [row for row in rows if not _is_lossy(context, seen[row])]
    if not left:
        return []
    first = seen[left[0]].tensor
    return [raw._replace(severity="note", file_tensor=first, model_tensor=left[0], related=left[1:])]


def survival(context: Context, rows: Sequence[int], cast: str) -> str | None:
    """What a cast does to the values of these variables, when they were looked at and none is lost."""
    seen = {item.variable: item.values for item in context.seen}
    if cast not in ("rounds", "overflows") or not rows or any(row not in seen for row in rows):
        return None
    variable = context.variables[rows[0]]
    if not _is_float(variable.dtype):
        return "every value survives"
    file = {item.variable: context.tensors[item.tensor].dtype for item in context.seen}
    if not file[rows[0]].startswith(("float", "bfloat", "complex")):
        return "every value survives"
    zero = sum(seen[row].flushed for row in rows)
    return f"values are rounded{f', {zero:,} of them to zero' if zero else ''}, and none is out of range"


# ---- KW504 ----------------------------------------------------------------------------------------------------------


def _is_constant(context: Context, seen: Seen) -> bool:
    """Whether a tensor of two axes and more has one value; a bias of zeros (GRU, attention) is as it began."""
    values = seen.values
    if seen.variable >= 0 and context.variables[seen.variable].name.endswith("bias") and values.low == 0:
        return False
    finite = not values.nan and not values.inf and values.low is not None
    return finite and values.low == values.high and values.size > 1 and len(context.tensors[seen.tensor].shape) > 1


def _constant(context: Context) -> Iterator[Finding]:
    several = _in_file_order(context, lambda seen: _is_constant(context, seen))
    if not several:
        return
    together: dict[float, list[str]] = defaultdict(list)
    for seen in several:
        together[seen.values.low or 0].append(_name(context, seen))
    shown = [_number(value) for value in together]
    rest = shown[-1] if len(shown) < 4 else "others"
    value = shown[0] if len(shown) == 1 else f"{', '.join(shown[:3] if len(shown) > 3 else shown[:-1])} or {rest}"
    lines = [f"{_number(value)}: {named(names)}" for value, names in together.items()]
    yield finding(
        504,
        "note",
        headline=entry(504).say(what=_what(context, several), verb="has" if len(several) == 1 else "have", value=value),
        **_about(context, several),
        found=several[0].values.low if len(together) == 1 else None,
        body=listed(lines) if len(several) > 1 else [],
        related=_related(context, several),
    )


__all__ = ["index_text", "judged", "survival", "value_findings"]
