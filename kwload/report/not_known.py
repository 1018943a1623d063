"""What an architecture leaves open: KW410, one finding for all of it, by the names of the layers."""

from __future__ import annotations

from collections.abc import Sequence

from kwload.report.context import Context, columns, entry, finding, listed, named
from kwload.report.escape import literal, quote
from kwload.report.finding import Finding
from kwload.report.text import plural
from kwload.spec.architecture import Unverified


def not_known(context: Context) -> list[Finding]:
    """KW410 for an architecture of which something is not known; nothing for a live model."""
    several: Sequence[Unverified] = getattr(context.model, "unverified", ())
    several = [each for each in several if each.what != "signature"]
    if not several:
        return []
    classes = list(dict.fromkeys(each.cls for each in several if each.what == "class"))
    whole = [each for each in several if each.what == "class"]
    rows = [(quote(each.layer), quote(each.cls), _what(each)) for each in several]
    return [
        finding(
            410,
            "note",
            headline=entry(410).say(what=_subject(whole or several), why=_why(classes, len(several))),
            layer=several[0].layer,
            body=listed(columns(rows)),
            notes=["all else was compared"] if len(several) < len(context.groups) else [],
            help=_help(classes),
            related=[each.layer for each in several[1:]],
        )
    ]


def _subject(several: Sequence[Unverified]) -> str:
    is_class = several[0].what == "class"
    whose = quote(several[0].layer) if len(several) == 1 else plural(len(several), "layer")
    return f"{'the variables of' if is_class else 'some lengths in'} {whose}"


def _why(classes: Sequence[str], count: int) -> str:
    if not classes:
        return f"the shape that {'it is' if count == 1 else 'they are'} called with is not recorded"
    makes = "makes" if len(classes) == 1 else "make"
    return f"which ones {named(classes, 3)} {makes} is not known here"


def _what(each: Unverified) -> str:
    if each.what == "shape":
        return "some lengths"
    if each.count is None:
        return "perhaps none"
    return f"{plural(each.count, 'tensor')} of the file, taken as they are" if each.count else "nothing in the file"


def _help(classes: Sequence[str]) -> list[str]:
    if not classes:
        return ["kwload.check(model, …)  with the live model compares these too"]
    name = literal(classes[0])
    what = '[kwload.Var("w", (input_shape[-1],)), …]'
    return [f"@kwload.signature({name})  above a function (config, input_shape) that returns {what}"]
