"""Sentences on stamps: code of the user's own that is not what it was, and files that are not what they were."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kwload import paths
from kwload.report.context import Context, columns, entry, finding, is_path, listed, named
from kwload.report.escape import escape, literal, quote
from kwload.report.finding import Contents, Finding, Report
from kwload.report.text import plural

if TYPE_CHECKING:
    from kwload.stamps.changed import CodeChange, Witness
    from kwload.stamps.stamp import Stamp
    from kwload.stamps.verify import Verified

_MOST_FINDINGS: Final = 6
_MOST_LINES: Final = 12


def code_findings(context: Context) -> list[Finding]:
    """KW403 for code that changed, KW404 for code of which that cannot be known, KW412 for a stamp of no use."""
    seen: Witness | None = context.witness
    if seen is None:
        return []
    if seen.problem:
        return [_useless(seen.path, seen.problem, "warning")]
    if seen.stale:
        why = "the file was saved again since, or is another one"
        again = [f"kwload.stamp(model, {literal(context.path)})"] if is_path(context.path) else []
        return [_useless(seen.path, why, "note", help=again)]
    grouped: dict[tuple[Any, ...], list[CodeChange]] = {}
    for item in seen.changes:
        if item.change.any:
            grouped.setdefault((item.change.changed, item.change.added, item.change.removed), []).append(item)
    found = [_changed(context, seen, several) for several in list(grouped.values())[:_MOST_FINDINGS]]
    silent = [item for item in seen.changes if item.change.unknown and not item.change.any]
    return [*found, _unknown(seen, silent)] if silent else found


def _changed(context: Context, seen: Witness, several: Sequence[CodeChange]) -> Finding:
    """KW403: one or more classes with the same changes in what they are made of."""
    first = several[0]
    change, old, new = first.change, first.old.fingerprint, first.new.fingerprint
    rows = [(quote(name, 80), "changed") for name in change.changed]
    rows += [(quote(name, 80), "was not there") for name in change.added]
    rows += [(quote(name, 80), "is not there any more") for name in change.removed]
    body = listed(columns(rows))
    body += _difference(old.source, new.source, change.changed)
    layers = list(dict.fromkeys(name or item.new.fingerprint.name for item in several for name in item.new.layers))
    body.append(f"used in {plural(len(layers), 'layer')}: {named(layers)}")
    notes = [which(seen)]
    if old.name != new.name:
        notes.append(f"the class was called {quote(old.name, 80)}")
    names = list(dict.fromkeys(_called(item) for item in several))
    return finding(
        403,
        "warning",
        headline=entry(403).say(layer=named(names)),
        layer=layers[0],
        expected=sorted(name for name in (*change.changed, *change.added)),
        found=sorted(name for name in (*change.changed, *change.removed)),
        body=body,
        notes=notes,
        help=[f"kwload.stamp(model, {literal(context.path)})  # when the model is right as it is now"],
        related=layers[1:],
    )


def _called(item: CodeChange) -> str:
    """``"Scale"``, or ``"dense.activation"`` for a function that a layer was given."""
    code = item.new
    return f"{code.layers[0]}.{code.attribute}" if code.attribute and code.layers else code.fingerprint.name


def which(seen: Witness) -> str:
    """The note that says which stamp it was, and what made it if that is another now."""
    made = f", made with {escape(' and '.join(seen.versions), 200)}" if seen.versions else ""
    return f"the stamp is {escape(os.path.basename(seen.path))}{made}"


def _difference(old: Mapping[str, str], new: Mapping[str, str], changed: Sequence[str]) -> list[str]:
    """The lines that differ, when both sides were kept."""
    lines: list[str] = []
    for name in changed:
        if name not in old or name not in new:
            continue
        delta = difflib.unified_diff(old[name].splitlines(), new[name].splitlines(), n=0, lineterm="")
        lines += [f"{line[0]} {escape(line[1:].strip(), 100)}" for line in list(delta)[2:] if line[:1] in "+-"]
    return listed(lines, _MOST_LINES)


def _unknown(seen: Witness, several: Sequence[CodeChange]) -> Finding:
    """KW404: code that cannot be compared."""
    names = [_called(item) for item in several]
    rows = [
        f"{quote(name, 80) + ': ' if name else ''}{escape(why, 160)}"
        for item in several
        for name, why in item.change.unknown.items()
    ]
    return finding(
        404,
        "note",
        headline=f"whether the code of {named(names)} changed cannot be known from the stamp",
        layer=several[0].new.layers[0] if several[0].new.layers else None,
        body=listed(list(dict.fromkeys(rows))),
        notes=[which(seen)],
    )


# --- verify ----------------------------------------------------------------------------------------------------------


def _useless(where: str, why: str, severity: Any, *, help: Sequence[str] = ()) -> Finding:
    """KW412."""
    return finding(
        412,
        severity,
        headline=entry(412).say(stamp=quote(os.path.basename(where), 80), why=escape(why, 200)),
        help=help,
    )


def unusable(path: str, where: str, why: str | OSError) -> Report:
    """The report on a file whose stamp is absent, damaged, or something else."""
    shown = paths.text_of(path)
    said = why if isinstance(why, str) else (why.strerror or type(why).__name__).lower()
    absent = isinstance(why, FileNotFoundError)
    made = finding(
        412,
        "error",
        headline=f"there is no stamp {quote(os.path.basename(where), 80)} beside the file"
        if absent
        else entry(412).say(stamp=quote(os.path.basename(where), 80), why=escape(said, 200)),
        help=[f"kwload stamp {escape(shown)}  # writes down what the file is now"],
    )
    return _report(shown, "unknown", [made])


def _report(shown: str, layout: str, found: Sequence[Finding], same: int | None = None) -> Report:
    counts = {f"{word}s": sum(item.severity == word for item in found) for word in ("error", "warning", "note")}
    more = {} if same is None else {"same": same}
    return Report(path=shown, format=layout, findings=tuple(found), counts={**counts, **more})


def verified_report(path: str, where: str, found: Verified) -> Report:
    """The report on a file that was held against its stamp."""
    shown, stamp = paths.text_of(path), found.stamp
    if found.ok:
        return replace(_report(shown, stamp.layout, [], found.same), contents=_stamped(stamp))
    if found.other:
        named_ = f" than {quote(stamp.file, 80)}" if stamp.file != os.path.basename(shown) else ""
        why = f"nothing agrees with the file, which is another one{named_} or was saved again"
        return _report(shown, stamp.layout, [_useless(where, why, "error")], found.same)
    return _report(shown, stamp.layout, [_differs(shown, found)], found.same)


def _stamped(stamp: Stamp) -> Contents:
    """What a file holds of which each byte is as it was."""
    made = stamp.manifest
    return Contents(
        phrase=f"each byte as it was when kwload {escape(stamp.kwload, 40)} stamped it",
        written_by=made.written_by if made is not None else None,
        tensors=len(stamp.tensors),
        parameters=sum(math.prod(tensor.shape) for tensor in stamp.tensors),
        nbytes=sum(tensor.nbytes for tensor in stamp.tensors),
        size=sum(part.size for part in stamp.parts),
    )


def _differs(shown: str, found: Verified) -> Finding:
    """KW411: what changed, in one finding."""
    touched = [*found.changed, *found.gone, *found.new, *found.unreadable]
    rows = [(quote(path, 100), "has other values") for path in found.changed]
    rows += [(quote(path, 100), "is not there any more") for path in found.gone]
    rows += [(quote(path, 100), "was not there") for path in found.new]
    rows += [(quote(path, 100), "cannot be read") for path in found.unreadable]
    body = listed(columns(rows))
    for file, was, now in found.sizes:
        name = escape(os.path.basename(file), 80)
        body.append(f"{name} has {now:,} bytes, and had {was:,}" if now >= 0 else f"{name} is not there any more")
    outside = [_place(file, off, length, found) for file, off, length in _joined(found.outside)]
    body += listed(outside)
    return finding(
        411,
        "error",
        headline=_headline(found, touched),
        path=touched[0] if len(touched) == 1 else None,
        body=body,
        notes=[f"{plural(found.same, 'tensor')} {'has' if found.same == 1 else 'have'} the values of then"],
        help=[f"kwload scan {escape(shown)}  # whether it is cut short"]
        if any(n < was for _, was, n in found.sizes)
        else [],
        related=touched[1:],
    )


def _headline(found: Verified, touched: Sequence[str]) -> str:
    if not touched and found.sizes:
        return "the file has another length than when it was stamped, and the same values"
    if not touched:
        return "bytes outside of any tensor changed since the file was stamped"
    verb = "is" if len(touched) == 1 else "are"
    if len(touched) == 1 and touched == found.changed:
        return f"{quote(touched[0], 100)} changed since the file was stamped"
    return (
        f"{named(touched)} {verb} not what {'it was' if len(touched) == 1 else 'they were'} when the file was stamped"
    )


def _joined(places: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Stretches that follow one another as one."""
    out: list[tuple[str, int, int]] = []
    for file, off, length in places:
        if out and out[-1][0] == file and out[-1][1] + out[-1][2] == off:
            out[-1] = (file, out[-1][1], out[-1][2] + length)
        else:
            out.append((file, off, length))
    return out


def _place(file: str, off: int, length: int, found: Verified) -> str:
    of = f"{escape(os.path.basename(file), 80)}: " if len(found.stamp.parts) > 1 else ""
    return f"{of}bytes {off:,} to {off + length - 1:,}: outside of any tensor"
