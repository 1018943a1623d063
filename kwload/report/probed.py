"""KW413: what a model computes, held against what it computed when its weights were stamped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from kwload.report.context import columns, entry, finding, listed
from kwload.report.escape import escape, literal, quote
from kwload.report.finding import Finding
from kwload.report.text import plural

if TYPE_CHECKING:
    from kwload.stamps.probe import Difference, Held, Probe

_MOST: Final = 6


def probe_finding(path: str, sidecar: str, held: Held) -> Finding:
    """An error with the outputs that are others; a note when all are as then."""
    then, now = held.then, held.now
    where = escape(os.path.basename(sidecar), 80)
    allowed = f"allowed is {held.tolerance:.0e} of the largest value: {then.precision}, {_places(then, now)}"
    if held.ok:
        many = len(held.differences)
        return finding(
            413,
            "note",
            headline=f"the model computes what it computed when the file was stamped: {plural(many, 'output')} within "
            f"{held.worst:.0e}",
            expected=held.tolerance,
            found=held.worst,
            notes=[allowed],
        )
    wrong = [item for item in held.differences if not item.size <= held.tolerance]
    by = f": by {held.worst:.1e} of the largest value" if held.worst < float("inf") else ""
    what = "the outputs of the model" if len(held.differences) != 1 else "the output of the model"
    return finding(
        413,
        "error",
        headline=entry(413).say(
            what=what,
            verb="are" if len(held.differences) != 1 else "is",
            whose="they were" if len(held.differences) != 1 else "it was",
            by=by,
        ),
        expected=held.tolerance,
        found=held.worst,
        body=listed(columns([_row(item) for item in wrong]), _MOST)
        if held.differences
        else [f"{plural(len(then.outputs), 'output')} then, {len(now.outputs)} now"],
        notes=[allowed, f"the probe is in {where}"],
        keras="loads the weights, and computes otherwise, without a word",
        help=[
            f"kwload.check(model, {literal(path)})  # names the code or setting that changed, if the stamp knows it",
            f"kwload.stamp(model, {literal(path)}, probe=True)  # when the model is right as it is now",
        ],
    )


def unusable_probe(path: str, sidecar: str, why: str) -> Finding:
    """KW412: there is no probe that could be run."""
    return finding(
        412,
        "error",
        headline=f"the probe in {quote(os.path.basename(sidecar), 80)} cannot be used: {escape(why, 300)}",
        help=[f"kwload.stamp(model, {literal(path)}, probe=True)  # with a model that is known to be right"],
    )


def not_run(path: str, why: str) -> Finding:
    """KW413: there is a probe, and it does not run with this model and these inputs."""
    return finding(
        413,
        "error",
        headline=f"what the model computes cannot be held against the stamp: {escape(why, 300)}",
        help=[f"kwload.load_weights(model, {literal(path)})  # without the probe"],
    )


def _places(then: Probe, now: Probe) -> str:
    if then.where == now.where:
        return escape(then.where, 80)
    return f"{escape(then.where, 80)} then, {escape(now.where, 80)} now"


def _row(item: Difference) -> tuple[str, str, str]:
    name = f"output {quote(item.place, 40)}" if item.place else "output"
    return (name, f"then {_shown(item.then)}, now {_shown(item.now)}", _size(item.size))


def _shown(value: float | tuple[int, ...]) -> str:
    return f"{value:.6g}" if isinstance(value, (int, float)) else f"shape {value}"


def _size(size: float) -> str:
    return f"{size:.1e} of the largest value" if size < float("inf") else ""
