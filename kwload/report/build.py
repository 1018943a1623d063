"""From facts as numbers to a report: the core's file and plan and the model's description in, sentences out.

The plan says *that* row 7 does not fit row 9 on axis 1; here this becomes a headline, the two shapes side by side, what
the axis means, what Keras does about it, and a call to paste.

The sentences are imported with the first report, so that ``import kwload`` stays light.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kwload import paths
from kwload.report.facts import ErrorFacts, FileFacts, ModelFacts, Options, PlanFacts, Seen, TensorFacts
from kwload.report.finding import Finding, Prediction, Report

if TYPE_CHECKING:
    from kwload.meaning import Meaning
    from kwload.report.context import Context
    from kwload.spec.confirm import Verdict
    from kwload.stamps.changed import Witness

_SEVERITIES: Final = {"error": 0, "warning": 1, "note": 2}
# What Keras does about a finding when it does not raise; some of it with one outcome only.
_SILENT: Final = {
    "KW301": ("", "leaves it as initialised, without a word"),
    "KW302": ("", "does not read it, and does not say so"),
    "KW304": ("loads_wrong", "loads the wrong weights, without a word"),
    "KW305": ("loads_wrong", "loads the wrong weights, without a word"),
    "KW307": ("", "leaves it as initialised"),
    "KW309": ("", "converts the values, without a word"),
    "KW310": ("loads_nothing", "returns normally, having loaded nothing"),
    "KW313": ("loads_wrong", "loads them in the wrong order, without a word"),
    "KW403": ("", "loads the weights into it, without a word"),
    "KW501": ("", "loads them, without a word"),
    "KW502": ("", "loads it, without a word"),
    "KW503": ("", "converts the values, without a word"),
}
_LOCKED: Final = "KW108"
"""Comes first: a file that is being written is another one soon."""
# These say themselves why Keras does not read a file that kwload reads.
_REFUSED: Final = frozenset({_LOCKED, "KW206", "KW314", "KW320"})
_CONVERTED: Final = 405
"""Of the plan's findings: weights that Keras does not convert, or those of an older Keras."""
# What Keras does, without a word, with a file that kwload loads rightly.
_OTHERWISE: Final = {
    "loads_wrong": "give variables the tensors of others",
    "loads_part": "load {got} of {wanted}",
    "loads_nothing": "load nothing",
}
_DAMAGE: Final = frozenset({"KW202", "KW203", "KW204", "KW207", "KW214"})


def build_report(
    *,
    path: str | os.PathLike[str] | bytes,
    file: FileFacts,
    model: ModelFacts | None = None,
    plan: PlanFacts | None = None,
    options: Options = Options(),  # noqa: B008
    errors: Sequence[ErrorFacts] = (),
    times: Mapping[str, float] | None = None,
    reader: str | None = None,
    writer: int | None = None,
    seen: Sequence[Seen] = (),
    meaning: Meaning | None = None,
    signed: Sequence[Verdict] = (),
    witness: Witness | None = None,
) -> Report:
    """The report on an opened file.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        The file as the user gave it (a description such as ``"<bytes>"`` when it was no path).
    file : _core.File
        The opened file, damaged or not.
    model : spec.described.Model, optional
        The model; its ``groups`` are those that the plan was made from.
    plan : _core.Plan, optional
        The join; None when the file holds nothing that could be joined, or when there is no model.
    options : Options
        Of the call that the report speaks about.
    errors : sequence of _core.CoreError
        What went wrong after the file was opened (a checksum, a change of the file, a read that failed).
    times : mapping of str to float, optional
        Seconds by step.
    reader : str, optional
        The Keras that the prediction is about, when it is not the model's own.
    writer : int, optional
        The other process that has locked the file for writing.
    seen : sequence of Seen
        What is known of the values that the call loads.
    meaning : Meaning, optional
        How the model computes otherwise than the one whose configuration the file records.
    signed : sequence of Verdict
        What users' signatures say of the layers of the model.
    witness : Witness, optional
        What the stamp beside the file says of the code of the model.
    """
    from kwload.report import container
    from kwload.report.context import Context, is_path

    shown = paths.text_of(path)
    failed = bool(errors)
    context = Context(
        shown,
        file,
        model,
        plan,
        options,
        failed=failed,
        reader=reader,
        writer=writer,
        seen=seen,
        signed=signed,
        witness=witness,
    )
    prediction = None
    if plan is not None and not options.own and is_path(shown):
        from kwload.report.foreseen import predicted

        prediction = predicted(context, plan, errors)
    found = [*container.container_findings(context), *(container.core_error(context, error) for error in errors)]
    disagreement = container.name_and_content(context, paths.suffix_of(shown)) if is_path(shown) else None
    if disagreement is not None:
        found.append(disagreement)
    if writer is not None:
        found.append(container.locked(context))
    damaged = any(item.code in _DAMAGE and item.severity == "error" for item in found)
    plain = _is_plain(context)
    if plan is not None and not _unread(file):
        from kwload.report import values

        lacking = damaged or container.has_links(context)
        if not plain:
            from kwload.report.structure import structure_findings

            found += structure_findings(context, values.judged(context), damaged=lacking)
        found += values.value_findings(context)
        live: Sequence[object] = getattr(context.model, "objects", ())
        if live and not damaged:
            from kwload.report.quantized import lora_reset

            found += lora_reset(context)
        if meaning is not None:
            from kwload.report.meaning import meaning_findings

            found += meaning_findings(context, meaning)
        if (meaning is None or meaning.stamped) and live and not damaged:
            from kwload.report import own_code

            found += own_code.of_layers(context)
        if witness is not None:
            from kwload.report.stamped import code_findings

            found += code_findings(context)
    if signed:
        from kwload.report.signatures import signature_findings

        found += signature_findings(context, loads=not any(item.severity == "error" for item in found))
    if found and hasattr(model, "things") and "kwload.spec.architecture.signed" in sys.modules:
        from kwload.report.signatures import with_signatures

        found = with_signatures(context, found)
    if damaged:  # what the file is matters no more
        found = [item for item in found if item.severity != "note"]
    elif file.layout == "legacy-model" and not any(item.code == "KW210" for item in found):
        found.append(container.whole_model())
    if any(item.severity == "error" and item.code != "KW206" for item in found):
        found = [container.without_the_call(item) for item in found]
    if model is not None:
        if model.untracked:
            from kwload.report.structure import untracked

            found += untracked(model.untracked)
        if not damaged:
            from kwload.report.rebuilt import version_findings

            found += version_findings(context)
    if getattr(model, "unverified", ()) and not damaged:
        from kwload.report.not_known import not_known

        found += not_known(context)
    if prediction is not None and plan is not None:
        found = _with_keras(context, found, prediction, plan)
    if plan is not None and not damaged and any(tensor.unmarked for tensor in context.tensors):
        from kwload.report.structure import with_unmarked

        found = with_unmarked(context, found)
    found.sort(key=lambda item: (item.code != _LOCKED, _SEVERITIES[item.severity]))
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
        values={context.tensors[item.tensor].path: item.values for item in seen},
        architecture=getattr(model, "said", None),
    )


def _is_plain(context: Context) -> bool:
    """Whether an architecture fits without a word: of a live model more is known, which may have to be said."""
    return context.plan is not None and not context.plan.findings and getattr(context.model, "said", None) is not None


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
    from kwload.report.place import path_finding

    found = path_finding(path, error)
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
    from kwload.report import container
    from kwload.report.context import Context

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


def _pairs(context: Context) -> tuple[tuple[str, str], ...]:
    from kwload.report.container import sound_pairs

    return tuple((context.tensors[old].path, context.variables[new].path) for old, new in sound_pairs(context))


def _undecidable(context: Context) -> tuple[tuple[str, ...], ...]:
    if context.plan is None:
        return ()
    return tuple(tuple(context.layer(group) for group in groups) for groups in context.plan.undecidable)


def _unread(file: FileFacts) -> bool:
    """True when nothing could be read: the faults say it all, and nothing fits what is not there."""
    return bool(file.faults) and not file.tensors


def _counts(context: Context, found: Iterable[Finding]) -> dict[str, int]:
    severities = [item.severity for item in found]
    counts = {f"{severity}s": severities.count(severity) for severity in ("error", "warning", "note")}
    plan = context.plan
    if plan is not None and not _unread(context.file):
        from kwload.report.container import sound_pairs
        from kwload.report.foreseen import weights_in

        taken = {variable for _, variable in sound_pairs(context)}
        if not _is_plain(context):
            from kwload.report.shapes import left_with_others

            taken |= left_with_others(context)
        matched = len(weights_in(context, taken))
        counts |= {"wanted": plan.wanted, "matched": matched, "missing": max(0, plan.wanted - matched)}
        counts["unused"] = plan.unused
        if getattr(context.model, "unverified", ()):
            counts["unchecked"] = getattr(context.model, "unchecked", 0)
    return {"tensors": len(context.tensors), **counts}


def _with_keras(context: Context, found: list[Finding], prediction: Prediction, plan: PlanFacts) -> list[Finding]:
    """Adds to each finding what Keras does about it, where that is certain."""
    errors = sum(item.severity == "error" for item in found)
    told = any(item.code in _REFUSED for item in found) or any(
        raw.code == _CONVERTED and raw.severity != "note" for raw in context.raws
    )
    if prediction.outcome == "raises" and not errors and not told:
        found = [*found, _refuses(context, prediction)]
    elif prediction.outcome in _OTHERWISE and all(item.severity == "note" for item in found):
        found = [*found, _differs(context, prediction, plan)]
    group = plan.prediction.get("error_group", -1)
    about = context.layer(group) if group >= 0 else None
    out = []
    for item in found:
        said = None
        if prediction.outcome == "raises":
            concerned = errors == 1 or (about is not None and _inside(item.layer, about))
            if item.code == "KW108" or (item.severity == "error" and concerned):
                said = _raises(prediction)
        elif prediction.outcome != "unknown" and item.severity != "note":
            only, silent = _SILENT.get(item.code, ("", None))
            said = silent if only in ("", prediction.outcome) else None
        out.append(replace(item, keras=f"{context.keras_short} {said}") if said and item.keras is None else item)
    return out


def _inside(layer: str | None, about: str) -> bool:
    return layer is not None and f"{layer}/".startswith(f"{about}/")


def _refuses(context: Context, prediction: Prediction) -> Finding:
    """KW406: Keras raises for a file that fits."""
    from kwload.report.codes import CATALOGUE
    from kwload.report.context import finding
    from kwload.report.escape import escape

    error = prediction.error
    said = "an error" if error is None else f"{error.type}: {escape(error.said)}" if error.said else error.type
    return finding(
        406,
        "warning",
        headline=CATALOGUE[406].say(reader=context.keras, error=said),
        notes=[
            *_of_tf_2_12(context),
            *([f"{prediction.assigned:,} variables are overwritten by then"] if prediction.assigned > 1 else []),
        ],
        help=[f"{context.again()}  loads it"],
    )


def _of_tf_2_12(context: Context) -> list[str]:
    """Why Keras does not find the layers of a file that tf.keras 2.12 to 2.14 wrote."""
    if context.file.layout != "tf-2.12":
        return []
    said = "the layers of a model lie in `_layer_checkpoint_dependencies`, where later ones look for `layers`"
    return [f"tf.keras 2.12 to 2.14 wrote it: {said}"]


def _differs(context: Context, prediction: Prediction, plan: PlanFacts) -> Finding:
    """KW406: Keras returns normally, and has not loaded a file that fits."""
    from kwload.report.context import finding
    from kwload.report.text import plural

    does = _OTHERWISE[prediction.outcome].format(got=f"{prediction.assigned:,}", wanted=plural(plan.wanted, "variable"))
    return finding(
        406,
        "warning",
        headline=f"{context.keras} itself would {does}, though the file fits the model",
        notes=_of_tf_2_12(context),
        help=[f"{context.again()}  loads it"],
    )


def _raises(prediction: Prediction) -> str:
    kind = prediction.error.type if prediction.error is not None else "an error"
    if prediction.assigned:
        from kwload.report.text import plural

        return f"raises {kind} after overwriting {plural(prediction.assigned, 'variable')}"
    return f"raises {kind}"


__all__ = ["Options", "build_report", "path_report", "tensor_report"]
