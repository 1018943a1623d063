"""KW405: layers in lists inside lists, which Keras 3.15 and newer save, and the model's older Keras does not look for.

keras/src/saving/saving_lib.py: ``_save_container_state`` of 3.15 goes into lists in lists, as ``container``,
``container_1``; before, they were passed over.
"""

from __future__ import annotations

import re
from typing import Final

from kwload.report import heads
from kwload.report.context import V3, Context, finding, listed, named
from kwload.report.finding import Finding
from kwload.report.replaced import CAUSES
from kwload.report.rules import option_of
from kwload.report.text import plural
from kwload.report.words import file_layers, wants

_CONTAINER: Final = re.compile(r"(?:^|/)container(?:_\d+)?(?:/|$)")
_SINCE: Final = (3, 15, 0)


def unreached(context: Context) -> Finding | None:
    """The one finding on such layers, which stands for all of ``CAUSES``; None where they are not all that is wrong."""
    plan, model = context.plan, context.model
    if plan is None or model is None or context.options.own or context.options.by_name or context.reader is not None:
        return None
    if context.file.layout not in V3 or model.keras.flavour != "keras" or tuple(model.keras.version) >= _SINCE:
        return None
    if any(raw.severity != "note" and raw.code not in CAUSES for raw in context.raws):
        return None
    taken = {context.group_of_tensor.get(pair[0], -1) for pair in plan.pairs}
    left = [row for row in file_layers(context) if context.file_tensors(row) and row not in taken]
    held = [row for row in left if _CONTAINER.search(context.groups[row][0])]
    paired = {pair[1] for pair in plan.pairs}
    lost = [row for row in heads.model_layers(context) if not paired.issuperset(context.rows_of[row])]
    if not held or held != left or len(held) != len(lost):
        return None
    names = [context.layer(row) for row in lost]
    what = named(names, 3) if len(names) < 4 else plural(len(names), "layer")
    return finding(
        405,
        "error",
        headline=f"{context.keras} does not look into lists inside lists, where the file has the weights of {what}",
        layer=names[0],
        path=context.groups[held[0]][0],
        expected=context.keras,
        found="Keras 3.15 or newer",
        body=listed([wants(context, context.layer(row), context.rows_of[row]) for row in lost]),
        notes=["Keras 3.15 and newer save such layers, and find them again"],
        help=[*_mapped(context, held, lost), 'upgrade: pip install "keras>=3.15"'],
        related=names[1:],
    )


def _mapped(context: Context, held: list[int], lost: list[int]) -> list[str]:
    """The call that maps the layers by the names that the file records, when each has one of its own."""
    rows = {context.groups[row][1]: row for row in held}
    wanted = [(rows.get(_name(context, row), -1), row) for row in lost]
    if len(rows) != len(held) or len({old for old, _ in wanted}) != len(held) or min(wanted)[0] < 0:
        return []
    option = option_of(context, wanted) if all(context.fits(*pair) for pair in wanted) else None
    return [context.again(option)] if option is not None else []


def _name(context: Context, group: int) -> str | None:
    return context.model.groups[group][1] if context.model is not None else None


__all__ = ["unreached"]
