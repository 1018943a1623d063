"""Sentences on users' signatures: what one contradicts, confirms, or fails to say of the layers of a live model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kwload.report.context import Context, columns, entry, finding, listed, named
from kwload.report.escape import escape, quote
from kwload.report.facts import Raw
from kwload.report.finding import Finding
from kwload.report.places import place_text
from kwload.report.text import plural
from kwload.spec.compared import Differs, agree
from kwload.spec.confirm import Verdict

if TYPE_CHECKING:
    from kwload.spec.architecture.things import Thing, Weight

_MOST_FINDINGS: Final = 6
_MOST_PLACES: Final = 3

_ON_VARIABLES: Final = frozenset(
    {"KW301", "KW302", "KW303", "KW306", "KW307", "KW308", "KW314", "KW321", "KW324", "KW326"}
)
"""Codes of findings that say which variables the model has."""


def signature_findings(context: Context, *, loads: bool) -> list[Finding]:
    """KW407, KW408 and KW409.

    Parameters
    ----------
    loads : bool
        Whether no error was found: a signature that agrees with the model is only then worth a word.
    """
    failed = [_failed(context, verdict) for verdict in context.signed if verdict.outcome == "failed"]
    differs = [_contradicts(context, verdict) for verdict in context.signed if verdict.outcome == "differs"]
    confirmed = [verdict for verdict in context.signed if verdict.outcome == "confirmed"]
    found = [*differs, *failed][:_MOST_FINDINGS]
    return found if found or not confirmed or not loads else [_confirms(confirmed)]


def with_signatures(context: Context, found: Sequence[Finding]) -> list[Finding]:
    """The findings, each with the user's signatures that say what the model, an architecture, has there."""
    told = _signed_layers(context)
    if not told:
        return list(found)
    return [
        replace(item, notes=(*item.notes, *_rest_on(item, told)))
        if item.code in _ON_VARIABLES and not (item.severity == "note" and item.code != "KW303")
        else item
        for item in found
    ]


def _signed_layers(context: Context) -> dict[str, str]:
    """Path of a layer or variable -> the signature that it rests on, with its place."""
    things: Sequence[Thing] = getattr(context.model, "things", ())
    weights: Sequence[Weight] = getattr(context.model, "variables", ()) if things else ()
    told: dict[str, str] = {}
    for weight, variable in zip(weights, context.variables, strict=False):
        if weight.signed is not None:
            for path in (variable.layer, variable.path, context.layer(variable.group)):
                told.setdefault(path, _signature(weight.signed))
    for group, thing in enumerate(things):
        if thing.signed is not None:
            told.setdefault(context.layer(group), _signature(thing.signed))
    return told


def _signature(signed: tuple[str, str | None, int | None]) -> str:
    name, file, line = signed
    return quote(name, 80) + (f" ({said})" if (said := place_text((file, line))) else "")


def _rest_on(item: Finding, told: Mapping[str, str]) -> list[str]:
    names = [item.layer or "", *item.related]
    found = list(dict.fromkeys(told[name] for name in names if name in told))
    if not found:
        return []
    if len(found) == 1:
        return [f"what the model has is what the signature of {found[0]} says"]
    shown, more = found[:_MOST_PLACES], len(found) - _MOST_PLACES
    which = f"{', '.join(shown)} and {more:,} more" if more > 0 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return [f"what the model has is what the signatures of {which} say"]


def _contradicts(context: Context, verdict: Verdict) -> Finding:
    """KW407: the class makes other variables than its signature says."""
    what = [each.what for each in verdict.differs]
    rows = [("", "signature", "class")]
    rows += [
        (escape(each.what, 60), escape(each.said, 60) or "-", escape(each.made, 60) or "-") for each in verdict.differs
    ]
    table = columns(rows)
    notes = [f"the signature is in {where}"] if (where := place_text(verdict.place)) else []
    if _file_agrees(context, verdict):
        notes.append("the file has what the signature says: the class changed since it was saved")
    return finding(
        407,
        "warning",
        headline=entry(407).say(layer=quote(verdict.kind, 80), what=named(what, 3)),
        layer=verdict.layers[0],
        variable=what[0],
        expected=[each.said for each in verdict.differs],
        found=[each.made for each in verdict.differs],
        body=[table[0], *listed(table[1:]), _in_layers(verdict.layers)],
        notes=notes,
        help=[helps] if (helps := _as_made(verdict.differs[0])) else [],
        related=verdict.layers[1:],
    )


def _as_made(differs: Differs) -> str:
    """What the signature would have to say, to paste."""
    if "/" in differs.what or not differs.right:
        return ""
    return f"if the class is right, the signature returns {differs.right}"


def _file_agrees(context: Context, verdict: Verdict) -> bool:
    """Whether the tensors of the file for each of these layers are those that the signature says, and not the class."""
    plan, objects = context.plan, getattr(context.model, "objects", ())
    if plan is None:
        return False
    rows = [row for row, made in enumerate(objects) if id(made) in verdict.own and row < len(plan.source_group)]
    there = [(row, plan.source_group[row]) for row in rows]
    return bool(rows) and all(
        says_the_file(context, verdict, *pair) and not context.fits(*pair[::-1]) for pair in there
    )


def says_the_file(context: Context, verdict: Verdict, group: int, file_group: int) -> bool:
    """Whether a group of the file has the tensors that the signature says of a layer of the model."""
    if not 0 <= file_group < len(context.groups):
        return False
    key = id(getattr(context.model, "objects", ())[group])
    shapes = [tensor.shape for tensor in context.file_tensors(file_group)]
    return any(key in said and agree(said[key], shapes) for said in (verdict.own, verdict.whole))


def changed(context: Context, raw: Raw) -> str | None:
    """What signatures tell of a layer whose variables are not those of the file; None when that is nothing."""
    row, owners = raw.model_tensor, getattr(context.model, "owners", ())
    made = owners[row] if 0 <= row < len(owners) else getattr(context.model, "objects", ())[raw.model_group]
    verdict = next((verdict for verdict in context.signed if id(made) in verdict.own), None)
    if verdict is None:
        return None
    file_group = raw.file_group if raw.file_group >= 0 else context.group_of_tensor.get(raw.file_tensor, -1)
    if says_the_file(context, verdict, raw.model_group, file_group) or _says_the_tensor(context, verdict, raw):
        other = verdict if verdict.outcome == "differs" else _inside(context, verdict)
        return (
            f"the class {quote(other.kind)} changed: the file has what its signature says{_at(other)}"
            if other
            else None
        )
    if verdict.outcome == "differs":
        return None
    kind = quote(verdict.kind)
    return (
        f"{kind} makes what its signature says{_at(verdict)}: the file was saved with other code or arguments of {kind}"
    )


def _at(verdict: Verdict) -> str:
    return f" ({where})" if (where := place_text(verdict.place)) else ""


def _says_the_tensor(context: Context, verdict: Verdict, raw: Raw) -> bool:
    """Whether one tensor of the file has the shape that the signature says of its variable."""
    tensor, variable = context.tensor(raw.file_tensor), context.variable(raw.model_tensor)
    if tensor is None or variable is None:
        return False
    said = [var for several in verdict.own.values() for var in several if var.name == variable.name]
    return any(agree([var], [tensor.shape]) for var in said)


def _inside(context: Context, outer: Verdict) -> Verdict | None:
    """The verdict on a class of which a layer stands in one of these, and that contradicts its signature."""
    paths = tuple(f"{layer}/" for layer in outer.layers)
    inner = (verdict for verdict in context.signed if verdict.outcome == "differs")
    return next((verdict for verdict in inner if any(layer.startswith(paths) for layer in verdict.layers)), None)


def _failed(context: Context, verdict: Verdict) -> Finding:
    """KW408: the signature raised, or returned what describes no layer; or the class could not be built."""
    where = place_text(verdict.place)
    # Of an architecture nobody else knows the variables.
    alone = hasattr(context.model, "unverified")
    return finding(
        408,
        "warning",
        headline=entry(408).say(
            whose="the class" if verdict.is_class else "the signature of",
            layer=quote(verdict.name, 80),
            reason=escape(verdict.failed or "", 240),
        ),
        layer=verdict.layers[0],
        body=[*([where] if where else []), _in_layers(verdict.layers)],
        notes=["what variables these layers have was not checked"]
        if alone
        else ["these layers were compared with the file all the same, and not with the signature"],
        related=verdict.layers[1:],
    )


def _confirms(confirmed: Sequence[Verdict]) -> Finding:
    """KW409: the class has the variables that the user declared."""
    kinds = list(dict.fromkeys(verdict.kind for verdict in confirmed))
    layers = [layer for verdict in confirmed for layer in verdict.layers]
    return finding(
        409,
        "note",
        headline=entry(409).say(
            what=named(kinds),
            verb="has" if len(kinds) == 1 else "have",
            signature="its signature says" if len(kinds) == 1 else "their signatures say",
        ),
        layer=layers[0],
        body=[_in_layers(layers)],
        related=layers[1:],
    )


def _in_layers(layers: Sequence[str]) -> str:
    return f"in {plural(len(layers), 'layer')}: {named(list(layers), 3)}"


__all__ = ["changed", "signature_findings", "with_signatures"]
