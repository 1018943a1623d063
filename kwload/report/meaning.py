"""Sentences on what the file's configuration records: layers that compute otherwise than when the file was saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from kwload.meaning.net import Change, Effect, GraphChange, LayerChange, Meaning
from kwload.meaning.values import UNKNOWN, Obj
from kwload.report.context import Context, finding, listed, named
from kwload.report.custom import changed_classes
from kwload.report.escape import escape, quote
from kwload.report.finding import Finding
from kwload.report.own_code import not_recorded
from kwload.report.text import plural

_MOST_FINDINGS: Final = 6
_CHANGES: Final[frozenset[Effect]] = frozenset({"output", "may"})


def meaning_findings(context: Context, meaning: Meaning) -> list[Finding]:
    """KW401 and KW404. Where not all of the model is loaded from all of the file, only the layers that are loaded are
    spoken of: the others are meant to differ."""
    whole = _is_whole(context)
    layers = [item for item in meaning.settings if whole or item.loaded]
    found = _settings(context, layers)
    if whole and meaning.graph:
        found.append(_graph(context, meaning.graph))
    found += _precision(context, layers)
    harmless = _harmless(layers, meaning.training_only if whole else {})
    if harmless:
        found.append(
            finding(
                401,
                "note",
                headline="what acts in training only differs from the saved model: the output is the same",
                path=_where(context),
                body=harmless,
            )
        )
    return [*found, *_not_known(context, meaning)]


def _is_whole(context: Context) -> bool:
    plan = context.plan
    if plan is None or context.options.own or plan.unused or any(raw.severity == "error" for raw in context.raws):
        return False
    return len({pair[1] for pair in plan.pairs}) == plan.wanted


def _where(context: Context) -> str:
    """Where the file keeps its configuration."""
    return "model_config" if context.file.layout.startswith("legacy") else "config.json"


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


def _settings(context: Context, layers: Sequence[LayerChange]) -> list[Finding]:
    groups = _grouped(layers, _CHANGES)
    shown = groups if len(groups) <= _MOST_FINDINGS + 1 else groups[:_MOST_FINDINGS]
    found = [_setting(context, changes, members) for changes, members in shown]
    rest = [member for _, members in groups[len(shown) :] for member in members]
    if rest:
        found.append(
            finding(
                401,
                "warning",
                headline=f"{plural(len(rest), 'more layer')} had other settings when the file was saved",
                layer=rest[0].layer,
                path=_where(context),
                body=listed([_line(member) for member in rest]),
                related=[member.layer for member in rest[1:]],
            )
        )
    return found


def _line(member: LayerChange) -> str:
    changes = [change for change in member.changes if change.effect in _CHANGES]
    return f"{escape(member.layer)}: file {_typed(changes, False)}; model {_typed(changes, True)}"


def _setting(context: Context, changes: list[Change], members: list[LayerChange]) -> Finding:
    one = members[0]
    who = quote(one.layer) if len(members) == 1 else f"{len(members):,} layers"
    body = [f"file   {_typed(changes, False)}", f"model  {_typed(changes, True)}"]
    if len(members) > 1:
        body.append(f"in     {named([member.layer for member in members])}")
    return finding(
        401,
        "warning",
        headline=_headline(who, changes, len(members)),
        layer=one.layer,
        path=_where(context),
        expected={change.key: value_text(change.live) for change in changes},
        found={change.key: value_text(change.stored) for change in changes},
        body=body,
        notes=[_effect(changes, members)],
        help=_restore(who if len(members) == 1 else "them", changes),
        related=[member.layer for member in members[1:]],
    )


def _headline(who: str, changes: list[Change], count: int) -> str:
    if len(changes) > 1:
        keys = [change.key for change in changes]
        return f"{who} had another {named(keys)} when the file was saved"
    change, verb = changes[0], "has" if count == 1 else "have"
    key = escape(change.key, 48)
    if change.key.startswith("argument "):
        was, now = value_text(change.stored), value_text(change.live)
        return f"{who} was called with {was} when the file was saved, and is called with {now} now"
    return (
        f"{who} had {key} {value_text(change.stored)} when the file was saved, and {verb} {value_text(change.live)} now"
    )


def _effect(changes: list[Change], members: list[LayerChange]) -> str:
    if any(change.effect == "output" for change in changes):
        return "this changes the output, though the weights fit"
    kinds = list(dict.fromkeys(member.kind for member in members))
    return f"this may change the output: only the code of {named(kinds, 2)} knows"


def _restore(who: str, changes: list[Change]) -> list[str]:
    keys = [change.key.rpartition(".")[2] for change in changes]
    if not all(map(str.isidentifier, keys)) or any(" = " in str(change.stored) for change in changes):
        return []
    said = dict.fromkeys(f"{escape(c.key.rpartition('.')[2], 48)}={value_text(c.stored)}" for c in changes[:4])
    return [f"build {who} with {', '.join(said)} to compute what was saved"]


def _precision(context: Context, layers: Sequence[LayerChange]) -> list[Finding]:
    """Notes on another dtype policy."""
    found = []
    for changes, members in _grouped(layers, frozenset({"precision"}))[:2]:
        who = quote(members[0].layer) if len(members) == 1 else f"{len(members):,} layers"
        was, now = escape(str(changes[0].stored), 48), escape(str(changes[0].live), 48)
        found.append(
            finding(
                401,
                "note",
                headline=f"{who} computed in {was} when the file was saved, and in {now} now: rounding differs",
                layer=members[0].layer,
                path=_where(context),
                related=[member.layer for member in members[1:]],
            )
        )
    return found


def _harmless(layers: Sequence[LayerChange], training_only: dict[str, int]) -> list[str]:
    """What changes only how the model trains, a line each."""
    lines = []
    for kind, count in training_only.items():
        where = "in the model" if count > 0 else "in the file"
        lines.append(f"{escape(kind)}: {plural(abs(count), 'layer')} more {where}")
    for changes, members in _grouped(layers, frozenset({"training"})):
        who = escape(members[0].layer) if len(members) == 1 else f"{len(members):,} layers"
        lines.append(f"{who}: file {_typed(changes, False)}; model {_typed(changes, True)}")
    return listed(lines, 6)


# --- the graph -------------------------------------------------------------------------------------------------------


def _graph(context: Context, changes: Sequence[GraphChange]) -> Finding:
    first = changes[0]
    sure = any(change.sure for change in changes)
    headline = _sentence(first)
    if len(changes) > 1:
        headline = f"{len(changes):,} layers or connections of the model are not those of the saved one"
    return finding(
        401,
        "warning",
        headline=headline,
        layer=first.layer or None,
        path=_where(context),
        body=[*_sides(first)] if len(changes) == 1 else listed([_sentence(change) for change in changes]),
        notes=[f"this {'changes' if sure else 'may change'} the output, though the weights fit"],
        related=[change.layer for change in changes[1:] if change.layer],
    )


def _sentence(change: GraphChange) -> str:
    who, old, new = quote(change.layer) if change.layer else "the model", change.stored, change.live
    match change.kind:
        case "added":
            return f"the model has {who} ({escape(new[0], 48)}){_behind(new[1])}, the saved one had no such layer"
        case "removed":
            return f"the saved model had {who} ({escape(old[0], 48)}){_behind(old[1])}, the model has no such layer"
        case "replaced":
            return f"{who} was {escape(old[0], 48)} in the saved model, and is {escape(new[0], 48)} now"
        case "calls":
            return f"{who} was called {_times(old[0])} in the saved model, and is called {_times(new[0])} now"
        case "inputs":
            return f"{who} takes {_other(change, 'inputs')} than in the saved model"
        case "outputs":
            return f"{who} gives {_other(change, 'outputs')} than the saved one"
        case "model-inputs":
            return f"{who} takes {_other(change, 'inputs')} than the saved one"


def _other(change: GraphChange, what: str) -> str:
    if sorted(change.stored) == sorted(change.live):
        return f"its {what} in another order"
    return f"other {what}"


def _behind(name: str) -> str:
    return f" behind {quote(name)}" if name else ""


def _times(count: str) -> str:
    return "once" if count == "1" else f"{count} times"


def _sides(change: GraphChange) -> list[str]:
    if change.kind not in ("inputs", "outputs", "model-inputs"):
        return []
    return [f"file   {_list(change.stored)}", f"model  {_list(change.live)}"]


def _list(names: Sequence[str]) -> str:
    return ", ".join([*(escape(name, 48) for name in names[:6]), *(["…"] if len(names) > 6 else [])]) or "nothing"


# --- what cannot be known --------------------------------------------------------------------------------------------


def _not_known(context: Context, meaning: Meaning) -> list[Finding]:
    found, changed = [], changed_classes(context)
    changed |= {name.rpartition(".")[2] for name in getattr(context.witness, "compared", ())}  # the stamp tells
    code = [name for name in meaning.code if name.rpartition(">")[2] not in changed]
    if code:
        found.append(not_recorded(context, code))
    if meaning.mute:
        verb = "does" if len(meaning.mute) == 1 else "do"
        headline = f"{named(meaning.mute)} {verb} not say how it is configured, so that it was not compared"
        found.append(finding(404, "note", headline=headline, layer=meaning.mute[0], related=meaning.mute[1:]))
    if meaning.unread:
        found.append(
            finding(
                404, "note", headline=f"the configuration in the file was not compared with the model: {meaning.unread}"
            )
        )
    return found
