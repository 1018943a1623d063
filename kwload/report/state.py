"""The state of optimizers and metrics: a file that holds nothing else, and how the state of an optimizer is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kwload.report.context import Context, finding
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.text import plural
from kwload.report.words import group_flag

CAUSES: Final = frozenset({301, 305, 306, 310, 316, 322})
"""Codes that say no more than that there are no weights."""

_SLOTS: Final = {"Adadelta": 2, "Adagrad": 1, "Adam": 2, "AdamW": 2, "Adamax": 2, "Ftrl": 2, "Lamb": 2, "Lion": 1}
"""Variables that an optimizer makes for each of the model's when it is built (keras.src.optimizers, 3.0 to 3.15)."""

_FIRST: Final = ("use_ema", "gradient_accumulation_steps")
"""Options with which every optimizer makes one more for each, before its own (keras.src.optimizers.base_optimizer)."""


def only_state(context: Context, raws: Sequence[Raw]) -> Finding | None:
    """KW310 of a file that holds nothing but state, of which a model that wants weights gets none."""
    state = group_flag("optimizer") | group_flag("metric")
    held = [row for row in range(len(context.groups)) if context.file_tensors(row)]
    wanted = context.plan.wanted if context.plan is not None else 0
    if not held or not wanted or any(not context.groups[row][2] & state for row in held):
        return None
    if all(raw.code != 310 for raw in raws):
        return None
    of_optimizer = any(context.groups[row][2] & group_flag("optimizer") for row in held)
    tensors = sum(len(context.file_tensors(row)) for row in held)
    whose = "optimizer" if of_optimizer else "metric"
    return finding(
        310,
        "error",
        headline=f"the file holds only {whose} state ({plural(tensors, 'tensor')}), no weights of a model",
        path=context.groups[held[0]][0] or None,
        expected=wanted,
        found=0,
        notes=[f"the model wants {plural(wanted, 'variable')}"],
        help=["load the file that `model.save_weights` or `model.save` wrote for the whole model"],
    )


def build_optimizer(context: Context, raw: Raw) -> list[str]:
    """What makes the variables of a compiled model's optimizer, when they are not there yet and would be as many as the
    file has; *raw* is the plan's finding about them."""
    row, model = raw.model_group, context.model
    objects = getattr(model, "objects", ())
    optimizer = objects[row] if 0 <= row < len(objects) else None
    if model is None or optimizer is None or getattr(optimizer, "built", True) is not False:
        return []
    blocks = _blocks(optimizer)
    state = group_flag("optimizer") | group_flag("metric")
    live: Sequence[object] = getattr(model, "variables", ())
    trainable = [variable[5] for group in model.groups for variable in group[4]]
    shapes: dict[int, tuple[int, ...]] = {}
    for number, variable in enumerate(context.variables):
        if trainable[number] and not model.groups[variable.group][3] & state:
            shapes.setdefault(id(live[number]) if live else number, variable.shape)
    made = [shape for block in blocks or () for shape in shapes.values() for _ in range(block)]
    saved = [tuple(tensor.shape) for tensor in context.file_tensors(raw.file_group)] if raw.file_group >= 0 else []
    if blocks is None or len(saved) != raw.b + len(made) or saved[raw.b :] != made:
        return []
    return ["`model.optimizer.build(model.trainable_variables)`, then load, to go on with the training"]


def _blocks(optimizer: Any) -> list[int] | None:
    """What it makes: in each block so many variables for each that it trains; None for a class that is not known."""
    kind = type(optimizer)
    if not kind.__module__.startswith("keras."):
        return None
    has = {name: bool(getattr(optimizer, name, None)) for name in ("momentum", "centered", "amsgrad", *_FIRST)}
    match kind.__name__:
        case "SGD":
            own = [int(has["momentum"])]
        case "RMSprop":
            own = [1, int(has["momentum"]), int(has["centered"])]
        case name if name in _SLOTS:
            own = [_SLOTS[name], int(has["amsgrad"])]
        case _:
            return None
    return [*(int(has[name]) for name in _FIRST), *own]
