"""Classes of the user's own: what a layer of one says when its variables are not those of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kwload.report.context import LEGACY, Context, columns, entry, finding, listed
from kwload.report.escape import escape, quote
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.text import plural

if TYPE_CHECKING:
    from kwload.spec.architecture.things import Thing

_KERAS: Final = ("keras", "tf_keras", "tensorflow")
_MADE: Final = frozenset({"", "variable", "Variable"})
"""Names of variables that nobody named."""


def own_class(context: Context, group: int) -> str | None:
    """The class of a layer of the model that is none of Keras's; None for those of Keras, and where it is not known."""
    if (made := _described(context, group)) is not None:
        return made.cls if made.signed is not None and made.signed[0].rpartition(">")[2] == made.cls else None
    objects = getattr(context.model, "objects", ())
    if not 0 <= group < len(objects) or objects[group] is None:
        return None
    kind = type(objects[group])
    return None if str(kind.__module__).partition(".")[0] in _KERAS else kind.__name__


def class_changed(context: Context, raw: Raw) -> list[str]:
    """Said where a layer of an own class has other variables than the file."""
    kind = own_class(context, raw.model_group)
    if kind is None or _described(context, raw.model_group) is not None:  # of a signature more is said
        return []
    if context.signed:
        from kwload.report.signatures import changed

        if (said := changed(context, raw)) is not None:
            return [said]
    tensor, variable = context.tensor(raw.file_tensor), context.variable(raw.model_tensor)
    longer = tensor is not None and variable is not None and len(tensor.shape) == len(variable.shape)
    what = "its code, its arguments or its input" if longer else "its code or its arguments"
    return [f"{quote(kind)} is a class of your own: {what} may have changed since the file was saved"]


def _described(context: Context, group: int) -> Thing | None:
    """The layer of a group, where the model is an architecture."""
    things: list[Thing] = getattr(context.model, "things", [])
    return things[group] if 0 <= group < len(things) else None


def changed_classes(context: Context) -> set[str]:
    """Own classes of which a layer has other variables in the file: no more need be said of their code."""
    raws = (raw for raw in context.raws if raw.severity == "error" and raw.code in (306, 307, 321))
    return {kind for raw in raws if (kind := own_class(context, raw.model_group)) is not None}


def renamed_variables(context: Context) -> Finding | None:
    """Variables of own classes that have other names in the file, in the same places (legacy): KW303.

    The layouts of Keras 3 do not record the names of variables.
    """
    if context.plan is None or context.file.layout not in LEGACY:
        return None
    rows: list[tuple[str, str, int]] = []
    by_group: dict[int, list[tuple[str, int]]] = {}
    for pair in context.plan.pairs:
        by_group.setdefault(context.variables[pair[1]].group, []).append((_leaf(context, pair[0]), pair[1]))
    for group, several in by_group.items():
        if own_class(context, group) is None or any("/" in name for name, _ in several):
            continue
        old, new = [name for name, _ in several], [_last(context.variables[row].name) for _, row in several]
        if set(old) & set(new) != {a for a, b in zip(old, new, strict=True) if a == b} or _is_unnamed([*old, *new]):
            continue
        rows += [(a, b, row) for a, b, (_, row) in zip(old, new, several, strict=True) if a != b]
    if not rows:
        return None
    first = context.variables[rows[0][2]]
    what = f"{quote(first.path)} is called {quote(rows[0][0])} in the file"
    if len(rows) > 1:
        layers = list(dict.fromkeys(context.layer(context.variables[row].group) for _, _, row in rows))
        of = f"of {quote(layers[0])}" if len(layers) == 1 else f"of {plural(len(layers), 'layer')}"
        what = f"{plural(len(rows), 'variable')} {of} have other names in the file"
    table = columns(
        [
            ("in the file", "", "in the model"),
            *((escape(a), "->", escape(context.variables[row].path)) for a, _, row in rows),
        ]
    )
    return finding(
        303,
        "note",
        headline=entry(303).say(what=what),
        layer=first.layer,
        variable=first.name,
        expected=[new for _, new, _ in rows],
        found=[old for old, _, _ in rows],
        body=[table[0], *listed(table[1:])] if len(rows) > 1 else [],
        notes=["matched by their places in the layer and their shapes; Keras does not look at these names"],
        related=[context.variables[row].path for _, _, row in rows[1:]],
    )


def _leaf(context: Context, row: int) -> str:
    return _last(context.tensors[row].variable)


def _last(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[0]


def _is_unnamed(names: list[str]) -> bool:
    return any(name.rstrip("0123456789").rstrip("_") in _MADE for name in names)


__all__ = ["changed_classes", "class_changed", "own_class", "renamed_variables"]
