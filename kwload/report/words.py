"""Phrases that several findings share: what a layer wants, what the file has, the calls to paste."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kwload.report.context import (
    MOST_CHARS,
    Context,
    shape_text,
    values,
)
from kwload.report.escape import escape, literal, quote
from kwload.report.facts import Raw
from kwload.report.finding import Severity
from kwload.report.rules import option_of
from kwload.report.text import plural


def severity_of(raw: Raw) -> Severity:
    return "error" if raw.severity == "error" else "warning" if raw.severity == "warning" else "note"


def rows_of(raw: Raw) -> list[int]:
    """Rows of the model's variables that a finding is about."""
    own = [raw.model_tensor] if raw.model_tensor >= 0 else []
    return own + [row for row in raw.related if row != raw.model_tensor]


def layers_of(context: Context, raws: Sequence[Raw]) -> list[str]:
    """The model layers that findings are about, each once, in order."""
    names = [context.layer(raw.model_group) for raw in raws if raw.model_group >= 0]
    names += [context.variables[row].layer for raw in raws if raw.model_group < 0 for row in rows_of(raw)]
    return list(dict.fromkeys(names))


def name_list(names: Sequence[str]) -> str:
    return f"[{', '.join(map(literal, names))}]"


_MOST_NAMES: Final = 6


_LONGEST: Final = 240
"""Characters of an option that is written out."""


def load_the_rest(context: Context) -> list[str]:
    """The call that loads what is left without all the layers that are in the way, when something is left: the shorter
    of what to skip and what to load, or ``skip_mismatch``."""
    names = context.in_the_way
    if not names:
        return []
    for option, some in (("skip", names), ("only", _not_in_the_way(context, names))):
        if 0 < len(some) <= _MOST_NAMES:
            said = f"{option}={name_list(some)}"
            if len(said) <= _LONGEST and max(map(len, some)) <= MOST_CHARS:
                return [f"load the rest with {context.again(said)}"]
    doubtful = any(raw.code == 308 and raw.severity != "error" for raw in context.raws)  # it would not be skipped
    other = context.model is None or context.model.keras.flavour != "keras" or context.options.skip_mismatch
    return [] if doubtful or other else [f"load the rest with {context.again('skip_mismatch=True')}"]


def _not_in_the_way(context: Context, names: Sequence[str]) -> list[str]:
    """The other layers that are loaded, by the names that ``only`` takes; none where one of them holds a layer that is
    in the way."""
    plan = context.plan
    groups = dict.fromkeys(context.variables[pair[1]].group for pair in (plan.pairs if plan is not None else ()))
    kept = list(dict.fromkeys(context.selectable(group) for group in groups))
    kept = [name for name in kept if name not in names]
    inside = any(f"{name}/".startswith(f"{one}/") or f"{one}/".startswith(f"{name}/") for name in names for one in kept)
    return [] if inside or len(kept) > _MOST_NAMES else kept


def match_them(context: Context, pairs: Sequence[tuple[int, int]]) -> list[str]:
    """The call that maps layers of the file to layers of the model that have other names, when that loads them all."""
    option = option_of(context, pairs)
    settled = {new for _, new in pairs}
    errors = (raw for raw in context.raws if raw.severity == "error")
    if option is None or context.failed or context.file.faults:
        return []
    if any(raw.code not in (301, 303, 310) or not settled.issuperset(context.groups_of(raw)) for raw in errors):
        return []
    return [f"match them: {context.again(option)}"] if all(context.fits(*pair) for pair in pairs) else []


def wants(context: Context, name: str, rows: Sequence[int]) -> str:
    """``dense_2: kernel (64, 10), bias (10,)``."""
    variables = [context.variables[row] for row in rows]
    said = ", ".join(f"{escape(item.name)} {shape_text(item.shape)}" for item in variables[:4])
    more = f" and {len(variables) - 4} more" if len(variables) > 4 else ""
    return f"{escape(name)}: {said}{more}"


def has(context: Context, group: int) -> str:
    """``layers/dense_2 (named `z`): 2 tensors, 20 values``."""
    path, name = context.groups[group][:2]
    tensors = context.file_tensors(group)
    if not tensors and path:  # what is inside of it, in the Keras 3 layout
        below = (row for row, other in enumerate(context.groups) if other[0].startswith(f"{path}/"))
        tensors = [tensor for row in below for tensor in context.file_tensors(row)]
    label = escape(path) if not name or name == path.rpartition("/")[2] else f"{escape(path)} (named {quote(name)})"
    return f"{label}: {plural(len(tensors), 'tensor')}, {plural(values(tensors), 'value')}"


def group_flag(name: str) -> int:
    from kwload import _core

    return _core.GROUP_FLAGS[name]


def file_layers(context: Context) -> list[int]:
    """The groups of the file that are layers, not state of an optimizer or a metric."""
    state = group_flag("optimizer") | group_flag("metric")
    return [row for row, group in enumerate(context.groups) if not group[2] & state]
