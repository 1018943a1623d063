"""What an architecture leaves open: KW410, one finding for all of it, by the names of the layers."""

from __future__ import annotations

from collections.abc import Sequence

from kwload.report.context import Context, columns, entry, finding, listed, named
from kwload.report.escape import escape, literal, quote
from kwload.report.finding import Finding
from kwload.report.places import place_text
from kwload.report.text import plural
from kwload.spec.architecture import Unverified
from kwload.spec.architecture.things import Signed


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
            notes=[*_given(several), *(["all else was compared"] if len(several) < len(context.groups) else [])],
            help=_help([cls for cls in classes if not _has_signature(several, cls)], _at_hand(several)),
            related=[each.layer for each in several[1:]],
        )
    ]


def _given(several: Sequence[Unverified]) -> list[str]:
    """What is known of these classes, and tells nothing."""
    said = [_named_by(cls, signed) for cls, signed in {each.cls: each.signed for each in several}.items() if signed][:3]
    handed = {each.cls: each.given for each in several if each.given is not None and not _is_at_hand(each)}
    for cls, given in list(handed.items())[:3]:
        where = f" ({at})" if (at := place_text(given.place)) else ""
        if given.kind == "class":
            said.append(f"the class {quote(cls, 80)} {escape(given.why, 160)}{where}")
            continue
        if given.why:
            said.append(f"the signature of {quote(cls, 80)}, asked without a shape, {escape(given.why, 160)}{where}")
            continue
        is_function = given.kind == "function"
        what = "takes two parameters, config and input_shape" if is_function else "is a function (config, input_shape)"
        said.append(f"the {escape(given.kind, 40)} for {quote(cls, 80)}{where} was not asked: a signature {what}")
    return said


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


def _named_by(cls: str, signed: Signed) -> str:
    """That a signature names a class that nobody knows, and the one of Keras that may be meant."""
    from kwload import _core
    from kwload.spec import layers

    near = _core.nearest(cls, [name for rules in layers.rules() for name in rules], 1)
    where = f" ({at})" if (at := place_text(signed[1:])) else ""
    other = f"; Keras has {quote(near[0])}" if near else ""
    return f"{quote(cls, 80)} stands in the signature of {quote(signed[0], 80)}{where}{other}"


def _has_signature(several: Sequence[Unverified], cls: str) -> bool:
    """Whether a class has a signature, which the shape was not known to."""
    return any(each.cls == cls and each.given is not None and each.given.why for each in several)


def _at_hand(several: Sequence[Unverified]) -> list[str]:
    """The classes that are imported, and were not built."""
    return list(dict.fromkeys(each.cls for each in several if _is_at_hand(each)))


def _is_at_hand(each: Unverified) -> bool:
    return each.given is not None and each.given.kind == "class" and not each.given.why


def _help(classes: Sequence[str], at_hand: Sequence[str]) -> list[str]:
    if not classes:
        return ["kwload.check(model, …)  with the live model compares these too"]
    name = literal(classes[0])
    what = '[kwload.Var("w", (input_shape[-1],)), …]'
    declare = f"@kwload.signature({name})  above a function (config, input_shape) that returns {what}"
    build = f"kwload.check(…, build=True)  (--build) builds {named(at_hand, 3)} to find them: that runs their code"
    return [build, declare] if at_hand else [declare]
