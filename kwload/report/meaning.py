"""Sentences on what the configuration of a file, or of its stamp, records: layers that compute otherwise than when the
file was saved, or stamped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kwload.meaning.net import Change, Effect, GraphChange, LayerChange, Meaning
from kwload.meaning.values import UNKNOWN, Obj
from kwload.report.context import Context, finding, listed, named
from kwload.report.custom import changed_classes
from kwload.report.escape import escape, literal, quote
from kwload.report.finding import Finding
from kwload.report.own_code import not_recorded
from kwload.report.text import plural

_MOST_FINDINGS: Final = 6
_CHANGES: Final[frozenset[Effect]] = frozenset({"output", "may"})


def meaning_findings(context: Context, meaning: Meaning) -> list[Finding]:
    """KW401 and KW404. Where not all of the model is loaded from all of the file, only the layers that are loaded are
    spoken of: the others are meant to differ."""
    whole, record = _is_whole(context), _record(context, meaning)
    layers = [item for item in meaning.settings if whole or item.loaded]
    found = _settings(record, layers)
    if whole and meaning.graph:
        found.append(_graph(record, meaning.graph))
    found += _precision(record, layers)
    harmless = _harmless(record, layers, meaning.training_only if whole else {})
    if harmless:
        found.append(
            finding(
                401,
                "note",
                headline=f"what acts in training only differs from the {record.done} model: the output is the same",
                path=record.path,
                body=harmless,
                notes=record.notes,
            )
        )
    return [*found, *_not_known(context, meaning, record)]


def _is_whole(context: Context) -> bool:
    plan = context.plan
    if plan is None or context.options.own or plan.unused or any(raw.severity == "error" for raw in context.raws):
        return False
    return len({pair[1] for pair in plan.pairs}) == plan.wanted


@dataclass(frozen=True, slots=True)
class _Record:
    """What records the configuration: ``"file"`` and ``"saved"``, or ``"stamp"`` and ``"stamped"``; where in the file;
    what is said of it, and how it is made anew."""

    side: str
    done: str
    path: str | None = None
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()


def _record(context: Context, meaning: Meaning) -> _Record:
    if not meaning.stamped or context.witness is None:
        return _Record("file", "saved", "model_config" if context.file.layout.startswith("legacy") else "config.json")
    from kwload.report.stamped import which

    again = f"kwload.stamp(model, {literal(context.path)})  # when the model is right as it is now"
    return _Record("stamp", "stamped", notes=(which(context.witness),), help=(again,))


# --- values ----------------------------------------------------------------------------------------------------------


def value_text(value: Any) -> str:
    """A setting as one would type it: ``"relu"``, ``2``, ``[1, 2]``, ``LeakyReLU(negative_slope=0.3)``."""
    if isinstance(value, str):
        return f'"{escape(value, 48)}"'
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, (int, float)):
        return f"{value:.8g}" if isinstance(value, float) else escape(str(value), 24)
    if isinstance(value, Obj):
        said = [f"{escape(key, 24)}={value_text(item)}" for key, item in value.config.items() if _is_said(key, item)]
        return f"{escape(value.kind, 48)}({', '.join(said[:3])})"
    if isinstance(value, list):
        whole = f"[{', '.join(map(value_text, value))}]" if len(value) <= 8 else ""
        return whole if whole and len(whole) <= 60 else f"a list of {len(value):,}"
    return "something else" if value is UNKNOWN else "a dict"


def _is_said(key: str, value: Any) -> bool:
    return key not in ("name", "dtype", "trainable") and isinstance(value, (bool, int, float, str))


def _typed(changes: Sequence[Change], live: bool) -> str:
    """``activation="relu", padding="same"``."""
    said = [f"{escape(c.key, 48)}={value_text(c.live if live else c.stored)}" for c in changes[:4]]
    return ", ".join([*said, *([f"and {len(changes) - 4} more"] if len(changes) > 4 else [])])


# --- settings --------------------------------------------------------------------------------------------------------


def _grouped(layers: Iterable[LayerChange], effects: frozenset[Effect]) -> list[tuple[list[Change], list[LayerChange]]]:
    """The layers that have the same changes of these effects, together."""
    groups: dict[str, tuple[list[Change], list[LayerChange]]] = {}
    for layer in layers:
        changes = [change for change in layer.changes if change.effect in effects]
        if changes:
            key = f"{_typed(changes, False)}\n{_typed(changes, True)}\n{[change.effect for change in changes]}"
            groups.setdefault(key, (changes, []))[1].append(layer)
    return list(groups.values())


def _settings(record: _Record, layers: Sequence[LayerChange]) -> list[Finding]:
    groups = _grouped(layers, _CHANGES)
    shown = groups if len(groups) <= _MOST_FINDINGS + 1 else groups[:_MOST_FINDINGS]
    found = [_setting(record, changes, members) for changes, members in shown]
    rest = [member for _, members in groups[len(shown) :] for member in members]
    if rest:
        found.append(
            finding(
                401,
                "warning",
                headline=f"{plural(len(rest), 'more layer')} had other settings when the file was {record.done}",
                layer=rest[0].layer,
                path=record.path,
                body=listed([_line(record, member) for member in rest]),
                notes=record.notes,
                related=[member.layer for member in rest[1:]],
            )
        )
    return found


def _line(record: _Record, member: LayerChange) -> str:
    changes = [change for change in member.changes if change.effect in _CHANGES]
    return f"{escape(member.layer)}: {record.side} {_typed(changes, False)}; model {_typed(changes, True)}"


def _setting(record: _Record, changes: list[Change], members: list[LayerChange]) -> Finding:
    one = members[0]
    who = quote(one.layer) if len(members) == 1 else f"{len(members):,} layers"
    body = [f"{record.side:7}{_typed(changes, False)}", f"model  {_typed(changes, True)}"]
    if len(members) > 1:
        body.append(f"in     {named([member.layer for member in members])}")
    return finding(
        401,
        "warning",
        headline=_headline(record, who, changes, len(members)),
        layer=one.layer,
        path=record.path,
        expected={change.key: value_text(change.live) for change in changes},
        found={change.key: value_text(change.stored) for change in changes},
        body=body,
        notes=[_effect(changes, members), *record.notes],
        help=[*_restore(record, who if len(members) == 1 else "them", changes), *record.help],
        related=[member.layer for member in members[1:]],
    )


def _headline(record: _Record, who: str, changes: list[Change], count: int) -> str:
    if len(changes) > 1:
        keys = [change.key for change in changes]
        return f"{who} had another {named(keys)} when the file was {record.done}"
    change, verb = changes[0], "has" if count == 1 else "have"
    key, was, now = escape(change.key, 48), value_text(change.stored), value_text(change.live)
    if change.key.startswith("argument "):
        return f"{who} was called with {was} when the file was {record.done}, and is called with {now} now"
    return f"{who} had {key} {was} when the file was {record.done}, and {verb} {now} now"


def _effect(changes: list[Change], members: list[LayerChange]) -> str:
    if any(change.effect == "output" for change in changes):
        return "this changes the output, though the weights fit"
    kinds = list(dict.fromkeys(member.kind for member in members))
    return f"this may change the output: only the code of {named(kinds, 2)} knows"


def _restore(record: _Record, who: str, changes: list[Change]) -> list[str]:
    keys = [change.key.rpartition(".")[2] for change in changes]
    if not all(map(str.isidentifier, keys)) or any(" = " in str(change.stored) for change in changes):
        return []
    said = dict.fromkeys(f"{escape(c.key.rpartition('.')[2], 48)}={value_text(c.stored)}" for c in changes[:4])
    return [f"build {who} with {', '.join(said)} to compute what was {record.done}"]


def _precision(record: _Record, layers: Sequence[LayerChange]) -> list[Finding]:
    """Notes on another dtype policy."""
    found = []
    for changes, members in _grouped(layers, frozenset({"precision"}))[:2]:
        who = quote(members[0].layer) if len(members) == 1 else f"{len(members):,} layers"
        was, now = escape(str(changes[0].stored), 48), escape(str(changes[0].live), 48)
        found.append(
            finding(
                401,
                "note",
                headline=f"{who} computed in {was} when the file was {record.done}, and in {now} now: rounding differs",
                layer=members[0].layer,
                path=record.path,
                notes=record.notes,
                related=[member.layer for member in members[1:]],
            )
        )
    return found


def _harmless(record: _Record, layers: Sequence[LayerChange], training_only: dict[str, int]) -> list[str]:
    """What changes only how the model trains, a line each."""
    lines = []
    for kind, count in training_only.items():
        where = "in the model" if count > 0 else f"in the {record.side}"
        lines.append(f"{escape(kind)}: {plural(abs(count), 'layer')} more {where}")
    for changes, members in _grouped(layers, frozenset({"training"})):
        who = escape(members[0].layer) if len(members) == 1 else f"{len(members):,} layers"
        lines.append(f"{who}: {record.side} {_typed(changes, False)}; model {_typed(changes, True)}")
    return listed(lines, 6)


# --- the graph -------------------------------------------------------------------------------------------------------


def _graph(record: _Record, changes: Sequence[GraphChange]) -> Finding:
    first = changes[0]
    sure = any(change.sure for change in changes)
    headline = _sentence(record, first)
    if len(changes) > 1:
        headline = f"{len(changes):,} layers or connections of the model are not those of the {record.done} one"
    return finding(
        401,
        "warning",
        headline=headline,
        layer=first.layer or None,
        path=record.path,
        body=[*_sides(record, first)] if len(changes) == 1 else listed([_sentence(record, item) for item in changes]),
        notes=[f"this {'changes' if sure else 'may change'} the output, though the weights fit", *record.notes],
        help=record.help,
        related=[change.layer for change in changes[1:] if change.layer],
    )


def _sentence(record: _Record, change: GraphChange) -> str:
    done = record.done
    who, old, new = quote(change.layer) if change.layer else "the model", change.stored, change.live
    match change.kind:
        case "added":
            return f"the model has {who} ({escape(new[0], 48)}){_behind(new[1])}, the {done} one had no such layer"
        case "removed":
            return f"the {done} model had {who} ({escape(old[0], 48)}){_behind(old[1])}, the model has no such layer"
        case "replaced":
            return f"{who} was {escape(old[0], 48)} in the {done} model, and is {escape(new[0], 48)} now"
        case "calls":
            return f"{who} was called {_times(old[0])} in the {done} model, and is called {_times(new[0])} now"
        case "inputs":
            return f"{who} takes {_other(change, 'inputs')} than in the {done} model"
        case "outputs":
            return f"{who} gives {_other(change, 'outputs')} than the {done} one"
        case "model-inputs":
            return f"{who} takes {_other(change, 'inputs')} than the {done} one"


def _other(change: GraphChange, what: str) -> str:
    if sorted(change.stored) == sorted(change.live):
        return f"its {what} in another order"
    return f"other {what}"


def _behind(name: str) -> str:
    return f" behind {quote(name)}" if name else ""


def _times(count: str) -> str:
    return "once" if count == "1" else f"{count} times"


def _sides(record: _Record, change: GraphChange) -> list[str]:
    if change.kind not in ("inputs", "outputs", "model-inputs"):
        return []
    return [f"{record.side:7}{_list(change.stored)}", f"model  {_list(change.live)}"]


def _list(names: Sequence[str]) -> str:
    return ", ".join([*(escape(name, 48) for name in names[:6]), *(["…"] if len(names) > 6 else [])]) or "nothing"


# --- what cannot be known --------------------------------------------------------------------------------------------


def _not_known(context: Context, meaning: Meaning, record: _Record) -> list[Finding]:
    found, changed = [], changed_classes(context)
    changed |= {name.rpartition(".")[2] for name in getattr(context.witness, "compared", ())}  # the stamp tells
    code = [name for name in meaning.code if name.rpartition(">")[2] not in changed]
    if code and not meaning.stamped:  # what a stamp does not tell of the code is said with the code
        found.append(not_recorded(context, code))
    if meaning.mute:
        verb = "does" if len(meaning.mute) == 1 else "do"
        headline = f"{named(meaning.mute)} {verb} not say how it is configured, so that it was not compared"
        found.append(finding(404, "note", headline=headline, layer=meaning.mute[0], related=meaning.mute[1:]))
    if meaning.unread:
        found.append(
            finding(
                404,
                "note",
                headline=f"the configuration in the {record.side} was not compared with the model: {meaning.unread}",
            )
        )
    return found
