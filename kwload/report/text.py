"""A report as text: the verdict, every error in one line, details while there is room, then what Keras would do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final

from kwload.report.escape import escape, quote
from kwload.report.finding import Finding, Prediction, Report

BUDGET = 40
"""Lines of a report that was not asked for in full."""

_MOST_HEADLINES = 12
_WORDS = {"error": "errors", "warning": "warnings", "note": "notes"}


def plural(count: int, word: str) -> str:
    """``"1 layer"``, ``"1,200 layers"``."""
    return f"{count:,} {word if count == 1 else word + 's'}"


def megabytes(count: int) -> str:
    """Bytes for a person: ``"512 bytes"``, ``"4.8 kB"``, ``"503.4 MB"``."""
    if count < 1000:
        return plural(count, "byte")
    for unit, size in (("kB", 1e3), ("MB", 1e6)):
        if count < 999.95 * size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e9:.2f} GB"


def verdict(report: Report, *, strict: bool = False) -> str:
    """The first line: the file, how many variables match, how many findings; *strict* when warnings refuse."""
    name = escape(report.path)
    wanted, matched = report.counts.get("wanted"), report.counts.get("matched", 0)
    tally = ", ".join(
        f"{len(found)} {word if len(found) == 1 else _WORDS[word]}"
        for word, found in (("error", report.errors), ("warning", report.warnings), ("note", report.notes))
        if found
    )
    match_ = "match" if wanted != 1 else "matches"
    if strict and report.ok and report.warnings:
        said = "refused: warnings are errors here"
    elif not wanted and (wanted is None or report.errors):
        said = _refusal(report.errors[0]) if report.errors else "ok"
    elif report.ok:
        done = "loaded," if report.loaded else _fits(report) if matched == wanted else "ok,"
        unchecked = report.counts.get("unchecked", 0)
        share = "all" if matched == wanted != 1 and not unchecked else f"{max(0, matched - unchecked):,} of"
        said = f"{done} {share} {plural(wanted, 'variable')} {match_}"
        said += f", {unchecked:,} could not be checked" if unchecked else ""
    elif not matched and (counts := _layer_counts(report)) is not None:
        said = f"{plural(counts[0], 'layer')} in the file, {counts[1]:,} in the model: order matches none"
    elif matched < wanted:
        said = f"{matched:,} of {plural(wanted, 'variable')} {match_}"
    else:
        said = f"refused, though all {plural(wanted, 'variable')} find a tensor"
    return f"{name}: {said}; {tally}" if tally else f"{name}: {said}"


def _fits(report: Report) -> str:
    """``"ok,"``, or that Keras does not load a file which fits."""
    foreseen = report.prediction
    if foreseen is None or foreseen.outcome != "raises":
        return "ok,"
    return f"fits, but {foreseen.keras} refuses it:"


def _layer_counts(report: Report) -> tuple[int, int] | None:
    """How many layers with weights file and model have, when that they are not as many is all that is wrong: then no
    layer is matched, although some may fit."""
    one = report.errors[0]
    of_layers = one.code == "KW305" or (one.code == "KW306" and one.layer is None)
    if len(report.errors) > 1 or not of_layers or not report.format.startswith("legacy"):
        return None
    return (one.found, one.expected) if isinstance(one.found, int) and isinstance(one.expected, int) else None


_REFUSALS: Final = {
    "KW107": "could not be read",
    "KW205": "wrong checksum",
    "KW207": "a shard is missing",
    "KW208": "cannot be read",
    "KW212": "no Keras weights",
    "KW402": "cannot be loaded as a model",
    "KW405": "cannot be loaded as a model",
    "KW406": "cannot be loaded as a model",
    "KW412": "cannot be verified",
}


def _refusal(finding: Finding) -> str:
    """What the verdict says of a file that could not be matched with anything."""
    if finding.code >= "KW600":
        return "not safe to read"
    return _REFUSALS.get(finding.code, finding.slug.replace("-", " "))


def headline(finding: Finding) -> str:
    """``error[KW307] shape-mismatch: `dense_1/kernel` has another shape in the file``."""
    return f"{finding.severity}[{finding.code}] {finding.slug}: {finding.headline}"


def detail(finding: Finding, report: Report) -> list[str]:
    """The lines of one finding, headline first."""
    lines = [headline(finding)]
    if finding.path is not None:
        name = report.path if report.path.startswith("<") else os.path.basename(report.path) or report.path
        lines.append(f"  --> {escape(name)} : {escape(finding.path)}")
    lines += [f"   |  {line}".rstrip() for line in finding.body]
    lines += [f"   = note: {note}" for note in finding.notes]
    if finding.cause:
        lines.append(f"   = cause: {finding.cause}")
    if finding.keras:
        lines.append(f"   = keras: {finding.keras}")
    lines += [f"   = {'help' if not i else '  or'}: {line}" for i, line in enumerate(finding.help)]
    return lines


def prediction(report: Report) -> str | None:
    """The last line: what Keras would do with this call."""
    foreseen = report.prediction
    if foreseen is None:
        return None
    if foreseen.call == "load_model":
        said = "would load it" if foreseen.outcome == "loads" else _outcome(foreseen, 0)
        return f"load_model of {foreseen.keras} {said}"
    return f"{foreseen.keras} {_outcome(foreseen, report.counts.get('wanted', 0), _stays_within(report))}"


def _stays_within(report: Report) -> bool:
    """Whether all that is wrong is the order of single layers' own weights."""
    owners = [
        {str(name).rpartition("/")[0] for name in finding.expected} if isinstance(finding.expected, list) else set()
        for finding in report.errors
    ]
    alone = all(finding.code == "KW313" for finding in report.errors)
    return bool(owners) and alone and all(len(several) == 1 for several in owners)


def _outcome(foreseen: Prediction, wanted: int, within: bool = False) -> str:
    match foreseen.outcome:
        case "loads":
            return "would load it: each variable gets its own tensor"
        case "loads_wrong":
            if not foreseen.wrong:
                return "would load it without a word, wrongly"
            get = "gets" if foreseen.wrong == 1 else "get"
            wrong = plural(foreseen.wrong, "variable")
            other = "another weight of the same layer" if within else "the weights of another layer"
            return f"would load it without a word, wrongly: {wrong} {get} {other}"
        case "loads_part":
            return f"would load {foreseen.assigned:,} of {plural(wanted, 'variable')} and return normally"
        case "loads_nothing":
            return "would return normally, having loaded nothing"
        case "unknown":
            return f"may load it or not, which cannot be foreseen: {escape(foreseen.reason or 'not known')}"
        case "raises":
            return _raises(foreseen)


def _raises(foreseen: Prediction) -> str:
    error = foreseen.error
    said = "would raise an error" if error is None else f"would raise {error.type}"
    if error is not None and error.said:
        said += f": {escape(error.said)}"
    if foreseen.assigned:
        overwritten = plural(foreseen.assigned, "variable")
        said += f", with {overwritten} already overwritten"
    return said


def render(report: Report, *, all: bool = False, concise: bool = False, strict: bool = False) -> str:
    """The whole report.

    Parameters
    ----------
    all : bool
        No limit on lines.
    concise : bool
        Verdict, headlines of errors and warnings, prediction.
    strict : bool
        Warnings refuse too, and the verdict says so.
    """
    first = verdict(report, strict=strict)
    last = [line for line in (found(report), _architecture(report), prediction(report)) if line]
    alike = undecidable(report)
    if concise:
        pressing = [*report.errors, *report.warnings]
        return "\n".join([first, *_headlines(pressing, all), *last[-1:]])
    if not report.findings:
        return "\n".join([first, *(f"  {line}" for line in last + alike)])
    last += alike
    lines = [first]
    if len(report.errors) > 1:
        lines += _headlines(report.errors, all)
    room = None if all else BUDGET - len(lines) - (len(last) + 1 if last else 0)
    lines += _details(report, room)
    return "\n".join([*lines, "", *last] if last else lines)


def _architecture(report: Report) -> str | None:
    """What stands for the model, when no model was built."""
    return f"the model is the architecture in {report.architecture}" if report.architecture is not None else None


def _headlines(findings: Sequence[Finding], everything: bool) -> list[str]:
    shown = findings if everything else findings[:_MOST_HEADLINES]
    lines = [f"  {headline(finding)}" for finding in shown]
    if len(findings) > len(shown):
        lines.append(f"  and {len(findings) - len(shown):,} more")
    return lines


def _details(report: Report, room: int | None) -> list[str]:
    """The findings in order, each whole, as long as there is room (None: as there is need)."""
    lines: list[str] = []
    for i, finding in enumerate(report.findings):
        block = ["", *detail(finding, report)]
        # What is not shown is counted below, which takes two lines.
        if room is not None and len(lines) + len(block) > room - (2 if finding is not report.findings[-1] else 0):
            shown = lines or block[: max(room - 2, 2)]
            rest = report.findings[i if lines else i + 1 :]
            left_out = _tally(rest) or "the rest of this one"
            return [*shown, "", f"… not shown: {left_out} (all of it: `render(all=True)`, or `--all`)"]
        lines += block
    return lines


def _tally(findings: Iterable[Finding]) -> str:
    found = list(findings)
    counts = ((word, sum(finding.severity == word for finding in found)) for word in _WORDS)
    return ", ".join(plural(count, word) for word, count in counts if count)


def undecidable(report: Report) -> list[str]:
    """Of a report without errors: the layers that nothing tells apart, in one line; none where a finding says it."""
    groups = report.undecidable
    if not groups or not report.ok or any(finding.code == "KW319" for finding in report.findings):
        return []
    names = [quote(name) for name in groups[0]]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    more = f", nor the layers of {plural(len(groups) - 1, 'other group')}" if len(groups) > 1 else ""
    return [f"note: matched by order, and nothing tells apart {shown}{more}"]


def found(report: Report) -> str | None:
    """What the file holds, on a report without errors."""
    contents = report.contents
    if contents is None or not report.ok:
        return None
    parts = [contents.phrase, plural(contents.tensors, "tensor"), plural(contents.parameters, "parameter")]
    parts.append(megabytes(contents.nbytes))
    said = any(note.startswith("it was written by") for finding in report.findings for note in finding.notes)
    if contents.written_by and not said:
        parts.append(f"written by {escape(contents.written_by)}")
    return ", ".join(parts)
