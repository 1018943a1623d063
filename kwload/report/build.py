"""From facts as numbers to a report: the core's file and plan and the model's description in, sentences out.

The plan says *that* row 7 does not fit row 9 on axis 1; here this becomes a headline, the two shapes side by side, what
the axis means, what Keras does about it, and a call to paste.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from kwload import paths
from kwload.report import container, structure
from kwload.report.context import Context
from kwload.report.facts import ErrorFacts, FileFacts, ModelFacts, Options, PlanFacts, Raw, TensorFacts
from kwload.report.finding import Finding, Outcome, PredictedError, Prediction, Report
from kwload.report.text import plural

_SEVERITIES: Final = {"error": 0, "warning": 1, "note": 2}
_SILENT: Final[dict[str, str]] = {
    "loads": "loads it, without a word",
    "loads_wrong": "loads it, without a word",
    "loads_part": "leaves it out, without a word",
    "loads_nothing": "loads nothing, without a word",
}
# What Keras does not look at whatever it does otherwise.
_NO_CONCERN: Final = frozenset({"KW206", "KW210", "KW303", "KW316", "KW317", "KW318", "KW319", "KW404"})


def build_report(
    *,
    path: str | os.PathLike[str] | bytes,
    file: FileFacts,
    model: ModelFacts | None = None,
    plan: PlanFacts | None = None,
    options: Options = Options(),  # noqa: B008
    errors: Sequence[ErrorFacts] = (),
    times: Mapping[str, float] | None = None,
    loaded: bool = False,
) -> Report:
    """The report on an opened file.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        The file as the user gave it (a description such as ``"<bytes>"`` when it was no path).
    file : _core.File
        The opened file, damaged or not.
    model : spec.live.Model, optional
        The model; its ``groups`` are those that the plan was made from.
    plan : _core.Plan, optional
        The join; None when the file holds nothing that could be joined, or when there is no model.
    options : Options
        Of the call that the report speaks about.
    errors : sequence of _core.CoreError
        What went wrong after the file was opened (a checksum, a change of the file, a read that failed).
    times : mapping of str to float, optional
        Seconds by step.
    loaded : bool
        Whether the values were assigned.
    """
    shown = paths.text_of(path)
    context = Context(shown, file, model, plan, options)
    prediction = None if plan is None or options.own else _prediction(context, plan)
    found = [*container.container_findings(context), *(container.core_error(context, error) for error in errors)]
    disagreement = container.name_and_content(context, paths.suffix_of(shown)) if _is_path(shown) else None
    if disagreement is not None:
        found.append(disagreement)
    if plan is not None:
        found += structure.structure_findings(context, [Raw(*raw) for raw in plan.findings])
    if file.layout == "legacy-model" and not any(item.code == "KW210" for item in found):
        found.append(structure.whole_model(context))
    if model is not None:
        found += structure.untracked(model.untracked)
    if prediction is not None and plan is not None:
        found = _with_keras(context, found, prediction, plan)
    found.sort(key=lambda item: _SEVERITIES[item.severity])
    return Report(
        path=shown,
        format=_format(file),
        findings=tuple(found),
        pairs=_pairs(context),
        prediction=prediction,
        undecidable=_undecidable(context),
        counts=_counts(context, found),
        times=dict(times or {}),
        contents=container.contents(context),
        loaded=loaded,
    )


def path_report(
    path: str | os.PathLike[str] | bytes, error: ErrorFacts, *, times: Mapping[str, float] | None = None
) -> Report:
    """The report on a path that could not be opened: absent, denied, a directory, a link to nowhere, not a file.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        As the user gave it.
    error : _core.CoreError
        What opening it raised.
    times : mapping of str to float, optional
        Seconds by step.
    """
    found = paths.path_finding(path, error)
    return Report(
        path=paths.text_of(path),
        format="unknown",
        findings=(found,),
        counts={"errors": 1, "warnings": 0, "notes": 0},
        times=dict(times or {}),
    )


def tensor_report(
    path: str | os.PathLike[str] | bytes, file: FileFacts, tensor: TensorFacts, error: ErrorFacts
) -> Report:
    """The report on one tensor that could not be read, of a file that was opened.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        The file, as the user gave it.
    file : _core.File
        The opened file.
    tensor : _core.Tensor
        The tensor that was asked for.
    error : _core.CoreError
        What reading it raised.
    """
    context = Context(paths.text_of(path), file, None, None, Options())
    found = replace(
        container.core_error(context, error, tensor.path), layer=tensor.layer or None, variable=tensor.variable or None
    )
    return Report(
        path=context.path,
        format=_format(file),
        findings=(found,),
        counts={"tensors": len(context.tensors), "errors": 1, "warnings": 0, "notes": 0},
        contents=container.contents(context),
    )


def _format(file: FileFacts) -> str:
    return file.layout if file.layout not in ("", "unknown") else file.content


def _is_path(path: str) -> bool:
    return not (path.startswith("<") and path.endswith(">"))


def _pairs(context: Context) -> tuple[tuple[str, str], ...]:
    if context.plan is None:
        return ()
    return tuple((context.tensors[pair[0]].path, context.variables[pair[1]].path) for pair in context.plan.pairs)


def _undecidable(context: Context) -> tuple[tuple[str, ...], ...]:
    if context.plan is None:
        return ()
    return tuple(tuple(context.layer(group) for group in groups) for groups in context.plan.undecidable)


def _counts(context: Context, found: Iterable[Finding]) -> dict[str, int]:
    severities = [item.severity for item in found]
    counts = {f"{severity}s": severities.count(severity) for severity in ("error", "warning", "note")}
    plan = context.plan
    if plan is not None:
        matched = len({pair[1] for pair in plan.pairs})
        counts |= {"wanted": plan.wanted, "matched": matched, "missing": max(0, plan.wanted - matched)}
        counts["unused"] = plan.unused
    return {"tensors": len(context.tensors), **counts}


def _prediction(context: Context, plan: PlanFacts) -> Prediction:
    facts = plan.prediction
    outcome = cast("Outcome", facts["outcome"])
    right = {pair[1]: pair[0] for pair in plan.pairs}
    wrong = sum(right.get(pair[1], pair[0]) != pair[0] for pair in plan.keras_pairs)
    kind = facts.get("error_type")
    return Prediction(
        keras=context.keras,
        outcome=outcome,
        error=PredictedError(kind, facts.get("error_prefix") or "") if outcome == "raises" and kind else None,
        reason=facts.get("reason") if outcome == "unknown" else None,
        assigned=facts.get("assigned", 0) if outcome == "raises" else len({pair[1] for pair in plan.keras_pairs}),
        wrong=wrong,
    )


def _with_keras(context: Context, found: list[Finding], prediction: Prediction, plan: PlanFacts) -> list[Finding]:
    """Adds to each finding what Keras does about it, where that is certain."""
    errors = [item for item in found if item.severity == "error"]
    group = plan.prediction.get("error_group", -1)
    about = context.layer(group) if group >= 0 else None
    out = []
    for item in found:
        said = item.keras
        if said is None and item.code not in _NO_CONCERN and item.severity != "note":
            if prediction.outcome == "raises":
                named = about is not None and item.layer == about
                said = _raises(prediction) if named or (item in errors and len(errors) == 1) else None
            else:
                said = _SILENT.get(prediction.outcome)
                if item.severity == "warning" and item.code not in ("KW302", "KW304", "KW305", "KW309", "KW313"):
                    said = None
        out.append(replace(item, keras=f"{context.keras_short} {said}") if said and item.keras is None else item)
    return out


def _raises(prediction: Prediction) -> str:
    kind = prediction.error.type if prediction.error is not None else "an error"
    if prediction.assigned:
        return f"raises {kind} after overwriting {plural(prediction.assigned, 'variable')}"
    return f"raises {kind}"


__all__ = ["Options", "build_report", "path_report", "tensor_report"]
