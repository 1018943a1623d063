"""KW214: what a map of shards says, and what the shards hold (keras.src.saving.saving_lib.ShardedH5IOStore)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kwload.report.context import Context, entry, finding, listed
from kwload.report.escape import escape, quote
from kwload.report.finding import Finding
from kwload.report.text import plural

Fault = tuple[int, int | None, str, str, int, int]
"""``(code, at, detail, shard or nothing, a, b)``: groups that the shard lacks and tensors that it has beside the map;
of the map itself the bytes that it says and those of all tensors."""


def mismatches(context: Context, faults: Sequence[Fault]) -> Iterator[Finding]:
    """One finding for all shards that do not hold what the map says, one for a wrong total."""
    wrong = [fault for fault in faults if fault[3]]
    if wrong:
        yield _contents(context, wrong)
    for fault in faults:
        if not fault[3]:
            yield _total(fault)


def _contents(context: Context, faults: Sequence[Fault]) -> Finding:
    lacking = [fault for fault in faults if fault[4]]
    first = (lacking or faults)[0]
    what = f"{quote(first[3])} does not hold what the map says"
    if not lacking:
        what = f"{quote(first[3])} holds {plural(first[5], 'tensor')} that the map does not list"
    if len(faults) > 1:
        what = f"{plural(len(faults), 'shard')} do not hold what the map says"
    plan = context.plan
    complete = plan is not None and len({pair[1] for pair in plan.pairs}) >= plan.wanted
    return finding(
        214,
        "error" if lacking and not complete else "warning",
        headline=entry(214).say(what=what),
        path=first[3],
        body=listed([_line(fault) for fault in faults]),
        notes=["every variable of the model finds its tensor all the same"] if complete else [],
        keras="finds no weights for these layers" if lacking else "does not read them",
        help=["put the map and all its shards from one save into one folder"],
        related=[fault[3] for fault in faults if fault is not first],
    )


def _line(fault: Fault) -> str:
    """``m_00000.weights.h5: layers/dense is not in it, and 2 more; it has 4 tensors that the map does not list``."""
    _, _, detail, shard, absent, strays = fault
    parts = [escape(detail) + (f", and {absent - 1:,} more" if absent > 1 else "")] if absent else []
    if strays:
        parts.append(f"it has {plural(strays, 'tensor')} that the map does not list there")
    return f"{escape(shard)}: {'; '.join(parts)}"


def _total(fault: Fault) -> Finding:
    _, _, detail, _, said, total = fault
    return finding(
        214,
        "warning",
        headline=entry(214).say(what=f"{escape(detail)}, the shards hold {total:,}"),
        expected=said,
        found=total,
        keras="does not look at it",
        help=["put the map and all its shards from one save into one folder"],
    )
