"""KW214: what a map of shards says, and what the shards hold (keras.src.saving.saving_lib.ShardedH5IOStore)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kwload.report.context import Context, entry, finding, listed, named
from kwload.report.escape import escape, quote
from kwload.report.finding import Finding
from kwload.report.text import plural
from kwload.report.words import layers_of

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
    others = {fault[3]: _of_another(context, fault[3], faults) for fault in faults}
    lacking = [fault for fault in faults if fault[4] or others[fault[3]]]
    first = (lacking or faults)[0]
    what = f"{quote(first[3])} does not hold what the map says"
    if not lacking:
        what = f"{quote(first[3])} holds {plural(first[5], 'tensor')} that the map does not list"
    for owner, held in others[first[3]].items():
        what = f"{quote(first[3])} holds what belongs to {quote(owner)}: {', '.join(map(escape, held[:3]))}"
        what += f" and {len(held) - 3:,} more" if len(held) > 3 else ""
        break
    if len(faults) > 1:
        what = f"{plural(len(faults), 'shard')} do not hold what the map says"
    plan = context.plan
    complete = plan is not None and len({pair[1] for pair in plan.pairs}) >= plan.wanted
    return finding(
        214,
        "error" if lacking and not complete else "warning",
        headline=entry(214).say(what=what),
        path=first[3],
        body=listed([_line(fault, others[fault[3]]) for fault in faults])
        if len(faults) > 1 or not others[first[3]]
        else [],
        notes=["every variable of the model finds its tensor all the same"] if complete else _lost_layers(context),
        keras=_keras(context, bool(lacking), complete),
        help=["put the map and all its shards from one save into one folder"],
        related=[fault[3] for fault in faults if fault is not first],
    )


_ABSENT: Final = " is not in it"
"""How the core ends its sentence on the first object that a shard lacks."""


def _of_another(context: Context, shard: str, faults: Sequence[Fault]) -> dict[str, list[str]]:
    """Shard -> the objects whose tensors it has, and this one too, where the map does not list them."""
    owners: dict[str, str] = {}
    for group in context.groups:
        for _, row in group[3]:
            if row >= 0:
                owners.setdefault(group[0], os.path.basename(context.tensors[row].file))
    for _, _, detail, owner, absent, _ in faults:
        if absent and detail.endswith(_ABSENT):
            owners.setdefault(detail.removesuffix(_ABSENT), owner)
    held: dict[str, dict[str, None]] = {}
    for row, tensor in enumerate(context.tensors):
        if row in context.group_of_tensor or os.path.basename(tensor.file) != shard:
            continue
        place = tensor.path.rpartition("/vars/")[0]
        owner = owners.get(place, shard)
        if owner != shard:
            held.setdefault(owner, {})[place] = None
    return {owner: list(places) for owner, places in held.items()}


def _lost_layers(context: Context) -> list[str]:
    """The layers of the model that find nothing."""
    names = layers_of(context, [raw for raw in context.raws if raw.code == 301])
    return [f"without weights: {named(names)}"] if names else []


def _keras(context: Context, lacking: bool, complete: bool) -> str | None:
    """What Keras does; nothing here where the report says what it raises."""
    outcome = context.plan.prediction.get("outcome") if context.plan is not None else None
    if lacking and outcome == "raises" and not complete:
        return None
    return "finds no weights for these layers" if lacking else "does not read them"


def _line(fault: Fault, others: Mapping[str, Sequence[str]]) -> str:
    """``m_00000.weights.h5: layers/dense is not in it, and 2 more; it has 4 tensors that the map does not list``."""
    _, _, detail, shard, absent, strays = fault
    parts = [escape(detail) + (f", and {absent - 1:,} more" if absent > 1 else "")] if absent else []
    if others:
        parts += [f"it holds what belongs to {quote(owner)}: {escape(held[0])}" for owner, held in others.items()][:1]
    elif strays:
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


def lost_with_it(context: Context) -> list[str]:
    """KW207: the layers that the map gives to a shard that is not there, as the model calls them where there is one."""
    groups = context.model.groups if context.model is not None else ()
    layers = {group[0]: context.layer(row) for row, group in enumerate(groups)}
    paths = [group[0] for group in context.groups if group[4] is not None and group[4][0] == 207]
    names = list(dict.fromkeys(layers.get(path, path) for path in paths))
    return [f"lost with it: {named(names, 8)}"] if names else []
