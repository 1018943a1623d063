"""What Keras would do with a file and a model, from the prediction of a plan: the outcome, the error and its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from kwload import locks, paths
from kwload.report.context import Context
from kwload.report.facts import ErrorFacts, PlanFacts
from kwload.report.finding import Outcome, PredictedError, Prediction
from kwload.report.words import group_flag

_COMPLETE: Final = {
    "A total of ": "A total of {a} objects could not be loaded…",
    "You are trying to load a weight file containing ": (
        "You are trying to load a weight file containing {b} layers into a model with {a} layers."
    ),
    "Layer count mismatch when loading weights from file. Model expected ": (
        "Layer count mismatch when loading weights from file. Model expected {a} layers, found {b} saved layers."
    ),
}

_UNREAD: Final = "what it reads is damaged, or could not be read"


def predicted(context: Context, plan: PlanFacts, errors: Sequence[ErrorFacts]) -> Prediction:
    """The prediction of a plan, as far as what is not known of the model, or could not be read, leaves it."""
    facts = plan.prediction
    outcome = cast("Outcome", facts["outcome"])
    if context.file.content == "keras" and any(error.code == 205 for error in errors):
        bad = PredictedError("BadZipFile", "Bad CRC-32 for file ", "Bad CRC-32 for file…")
        return Prediction(context.keras, "raises", bad)
    if context.writer is not None and context.file.content == "hdf5" and _opens_hdf5(context):
        return Prediction(context.keras, "raises", PredictedError("BlockingIOError", "", ""))
    if errors and outcome != "raises":  # how Keras ends on bytes that cannot be read depends on the place
        return Prediction(context.keras, "unknown", reason=_UNREAD)
    if _is_open(context, plan):
        return Prediction(context.keras, "unknown", reason=getattr(context.model, "unsure", None))
    right = {pair[1]: pair[0] for pair in plan.pairs}
    wrong = sum(right.get(pair[1]) != pair[0] for pair in plan.keras_pairs)
    return Prediction(
        keras=context.keras,
        outcome=outcome,
        error=_predicted_error(context, facts) if outcome == "raises" else None,
        reason=facts.get("reason") if outcome == "unknown" else None,
        assigned=_overwritten(context, plan, state=outcome == "raises"),
        wrong=wrong if outcome == "loads_wrong" else 0,
    )


def _is_open(context: Context, plan: PlanFacts) -> bool:
    """Whether what an architecture leaves open decides what Keras does: also where it raises for that very layer."""
    if getattr(context.model, "unsure", None) is None:
        return False
    rows: frozenset[int] | None = getattr(context.model, "open_rows", None)
    return plan.prediction["outcome"] != "raises" or rows is None or plan.prediction["error_group"] in rows


def _overwritten(context: Context, plan: PlanFacts, *, state: bool) -> int:
    """How many variables Keras overwrites, *state* when that of an optimizer counts too.

    One that two layers list (SpectralNormalization and its layer) is one.
    """
    assigned = {pair[1] for pair in plan.keras_pairs}
    rows = assigned if state else weights_in(context, assigned)
    live: Sequence[object] = getattr(context.model, "variables", ())
    return len({id(live[row]) for row in rows}) if live else len(rows)


def _opens_hdf5(context: Context) -> bool:
    """Whether Keras gives the path to libhdf5, which finds the lock of another process."""
    return locks.hdf5_locks() and paths.suffix_of(context.path) in ("h5", "weights.h5")


def _predicted_error(context: Context, facts: Mapping[str, Any]) -> PredictedError | None:
    kind, prefix = facts.get("error_type"), facts.get("error_prefix") or ""
    if not kind:
        return None
    if prefix == "Layer '":  # a name comes next, which says something, or the text says nothing
        group = facts.get("error_group", -1)
        name = context.layer(group).rpartition("/")[2] if group >= 0 else ""
        return PredictedError(kind, prefix, f"Layer '{name}' …" if name else "")
    whole = _COMPLETE.get(prefix, "").format(a=facts.get("a", 0), b=facts.get("b", 0))
    cut = "" if not prefix or prefix.endswith(".") else "…"
    return PredictedError(kind, prefix, whole or prefix.strip() + cut)


def weights_in(context: Context, rows: Iterable[int]) -> list[int]:
    """Those of the variables that are weights: the state of an optimizer or of metrics is loaded, and not counted."""
    state = group_flag("optimizer") | group_flag("metric")
    groups = context.model.groups if context.model is not None else ()
    return [row for row in rows if not groups[context.variables[row].group][3] & state]
