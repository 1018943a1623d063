"""The weights of a whole model held against its own architecture: what ``load_model`` makes of the two."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from kwload.report.container import sound_pairs
from kwload.report.context import Context, columns, finding, listed, named, shape_text
from kwload.report.escape import quote
from kwload.report.facts import PlanFacts
from kwload.report.finding import Finding, PredictedError, Prediction
from kwload.report.foreseen import predicted, weights_in
from kwload.report.structure import structure_findings
from kwload.report.text import plural
from kwload.spec.architecture.entries import (
    Raw,
    class_of,
    config_of,
    given_shape,
    is_graph,
    layers_of,
    name_of,
    one_shape,
)
from kwload.spec.architecture.itself import Itself, Stale
from kwload.spec.described import Flag
from kwload.spec.layers.rule import words
from kwload.spec.signature import Shape
from kwload.versions.reader import Reader
from kwload.versions.whole import Forecast

_STATE: Final = int(Flag.OPTIMIZER) | int(Flag.METRIC)
_MOST_LAYERS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Held:
    """What holding the two together showed.

    Attributes
    ----------
    prediction : Prediction or None
        What it makes of the forecast, where it is other than that.
    findings : list of Finding
    counts : mapping of str to int
        Variables that are wanted and matched, when not all are.
    """

    prediction: Prediction | None
    findings: list[Finding]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Joined:
    """A whole model's own architecture and weights, joined.

    Attributes
    ----------
    tree : mapping
        The architecture as it is stored.
    itself : Itself
        What it wants.
    plan : _core.Plan
        The join with the weights.
    """

    tree: Raw
    itself: Itself
    plan: PlanFacts


_NOTHING: Final = Held(None, [], {})

_CHECKED: Final = frozenset(
    words(
        """
        BatchNormalization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Dense DepthwiseConv1D
        DepthwiseConv2D SeparableConv1D SeparableConv2D
        """
    )
)
"""Layers that know the length of the last axis of their input, and say so when it is another (``InputSpec``)."""

_PLAIN: Final = _CHECKED | frozenset(
    words(
        """
        Activation ActivityRegularization AlphaDropout AveragePooling1D AveragePooling2D AveragePooling3D Dropout ELU
        Embedding Flatten GRU GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
        GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D InputLayer LSTM
        LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D ReLU SimpleRNN Softmax
        SpatialDropout1D SpatialDropout2D SpatialDropout3D
        """
    )
)
"""Layers of which nobody can doubt how long the last axis is that they return."""

_MISSING: Final = frozenset({301, 305})
"""Codes of layers that the file has not, or not at their place."""

_OF_LAYERS: Final = _MISSING | {306}
"""Codes of layers that are there or not, or have more weights or fewer: what they take and give has the same shapes."""


def held(context: Context, foreseen: Forecast | None, joined: Joined, reader: Reader) -> Held:
    """What the plan of a whole model's own architecture and weights shows.

    Parameters
    ----------
    context : Context
        Without model and plan.
    foreseen : Forecast or None
        Of ``load_model``, which does not fail before it comes to the weights; None when there is no path.
    joined : Joined
        Architecture and weights.
    reader : Reader
        Whose ``load_model``.
    """
    if foreseen is not None and foreseen.outcome == "unknown" and not foreseen.is_followed:
        return _NOTHING  # which model Keras makes is not known
    context = replace(context, model=joined.itself.model, plan=joined.plan)
    certain = foreseen is not None and foreseen.outcome != "unknown"
    made = replace(predicted(context, joined.plan, ()), call="load_model", assigned=0)
    if context.file.content == "keras-folder":
        made = _of_folder(context, made)
    if foreseen is not None and foreseen.error is not None and (made.outcome != "raises" or _is_open(context)):
        return _NOTHING
    if made.outcome == "unknown" or _is_open(context):
        unknown = replace(made, outcome="unknown", error=None, reason=made.reason or _unsure(context))
        return Held(unknown if certain and not _is_never_called(context) else None, [], {})
    found = [item for item in structure_findings(context, context.raws) if item.severity != "note"]
    found = [_reworded(context, item) for item in found]
    if made.error is not None and _is_of_shapes(context) and not _is_plain(joined):
        made = replace(made, error=replace(made.error, message="", said=""))  # layers may not fit one another before
    stale = joined.itself.stale
    if not stale and (changed := _changed_input(joined.tree)) is not None and not _is_chain(joined.tree):
        if made.outcome == "loads":
            reason = f"the input `{changed}` has another shape than the calls of it record"
            return Held(replace(made, outcome="unknown", reason=reason) if certain else None, found, {})
        made = replace(made, error=replace(made.error, message="", said="")) if made.error is not None else made
    if stale and joined.itself.is_made:
        if not _is_sure_until(stale[0].layer, joined.tree):
            reason = f"with which shape `{stale[0].layer}` is called is not sure"
            unknown = replace(made, outcome="unknown", error=None, reason=reason, wrong=0)
            return Held(unknown if certain else None, [_stale(context, stale, unknown)], {})
    elif stale:
        made = _called_otherwise(made, stale, reader, joined.tree)
        found.append(_stale(context, stale, made))
    errors = [item for item in found if item.severity == "error"]
    if len(errors) == 1:
        found[found.index(errors[0])] = _caused(context, errors[0], made, joined.tree)
    replaces = certain and (made.outcome != "loads" or bool(errors))
    return Held(made if replaces else None, found, _counts(context, joined.plan) if errors else {})


def _of_folder(context: Context, made: Prediction) -> Prediction:
    """Of an unzipped archive, which ``load_weights`` does not open and ``load_model`` of Keras 3.4 and newer does."""
    if _unsure(context) is not None:
        return replace(made, outcome="unknown", error=None, reason=_unsure(context))
    if all(raw.severity != "error" for raw in context.raws):
        return replace(made, outcome="loads", error=None)
    return replace(made, outcome="raises", error=PredictedError("ValueError", "", ""))


def _counts(context: Context, plan: PlanFacts) -> dict[str, int]:
    matched = len(weights_in(context, [variable for _, variable in sound_pairs(context)]))
    return {"wanted": plan.wanted, "matched": matched, "missing": max(0, plan.wanted - matched)}


def _unsure(context: Context) -> str | None:
    return getattr(context.model, "unsure", None)


def _is_open(context: Context) -> bool:
    """Whether what is not known of the architecture may be the cause, where no layer is."""
    facts = context.plan.prediction if context.plan is not None else {}
    return _unsure(context) is not None and facts.get("error_group", -1) < 0


def _is_never_called(context: Context) -> bool:
    """Whether it is a model without an input, which has no weights, nor has the file."""
    if any(slots for _, _, flags, slots, _ in context.groups if not flags & _STATE):
        return False
    return all(each.what == "shape" for each in getattr(context.model, "unverified", ()))


# ---- an architecture that is at odds with itself ----


def _called_otherwise(made: Prediction, stale: list[Stale], reader: Reader, tree: Raw) -> Prediction:
    """What Keras 3 says of layers that were built for other shapes than they are called with: some notice it at once,
    others when data comes."""
    first = stale[0]
    if first.cls not in _CHECKED or not _is_broken(first) or not _is_sure_until(first.layer, tree):
        reason = f"whether `{first.layer}` notices that it is called with another shape is not known"
        return made if made.error is not None else replace(made, outcome="unknown", reason=reason, wrong=0)
    begins = "Input 0 with name '" if reader.version >= (3, 13, 0) else 'Input 0 of layer "'
    said = f'Input 0 of layer "{first.layer}" is incompatible with the layer…'
    return replace(made, outcome="raises", error=PredictedError("ValueError", begins, said), reason=None, wrong=0)


def _is_sure_until(name: str, tree: Raw) -> bool:
    """Whether it is beyond doubt what a layer of a chain is called with."""
    if not _is_chain(tree):
        return False
    for layer in layers_of(tree) or []:
        if name_of(layer) == name:
            return True
        if class_of(layer) not in _PLAIN:
            return False
    return False


def _is_broken(each: Stale) -> bool:
    """Whether no operation takes both: a length of one fits every other."""
    pairs = zip(each.recorded, each.made, strict=False)
    return len(each.recorded) != len(each.made) or all(1 not in pair for pair in pairs if pair[0] != pair[1])


def _stale(context: Context, stale: list[Stale], made: Prediction) -> Finding:
    """KW406: layers that are built for other shapes than they are called with."""
    layers = list(dict.fromkeys(each.layer for each in stale))
    first = stale[0]
    what = quote(first.layer) if len(layers) == 1 else plural(len(layers), "layer")
    are = "is" if len(layers) == 1 else "are"
    rows = [
        (quote(f"{each.layer}/{each.variable}"), f"built as {_text(each.recorded)}", f"would be {_text(each.made)}")
        for each in stale
    ]
    fails = made.outcome == "raises"
    return finding(
        406,
        "error" if fails else "warning",
        headline=f"{what} {are} built for another input than the architecture gives {'it' if are == 'is' else 'them'}",
        layer=first.layer,
        expected=list(first.made),
        found=list(first.recorded),
        body=listed(columns(rows), 6),
        notes=[
            "what the configuration records of shapes is not what its layers make, as after a change by hand",
            *([] if fails else ["a model that Keras makes of it may fail when it is called"]),
        ],
        keras=f"{context.keras_short} raises ValueError on load_model" if fails else None,
        help=[f"build the model in code, then {context.load()}"],
        related=layers[1:],
    )


def _text(shape: Shape) -> str:
    return shape_text(tuple("?" if length is None else length for length in shape))  # type: ignore[misc]


def _is_of_shapes(context: Context) -> bool:
    """Whether something has another shape than the layers around it may expect."""
    return any(raw.severity == "error" and raw.code not in _OF_LAYERS for raw in context.raws)


def _is_plain(joined: Joined) -> bool:
    """Whether no layer can fail before it has its weights."""
    return not joined.itself.stale and _is_chain(joined.tree)


def _changed_input(tree: Raw) -> str | None:
    """The name of an input of a graph of Keras 3 with another shape than it had when the graph was written."""
    layers = layers_of(tree) or []
    inputs = {name_of(layer): given_shape(layer) for layer in layers if class_of(layer) == "InputLayer"}
    todo: list[Any] = [layer.get("inbound_nodes") for layer in layers] if is_graph(tree) else []
    for _ in range(_MOST_LAYERS):
        if not todo:
            break
        item = todo.pop()
        if isinstance(item, dict) and item.get("class_name") == "__keras_tensor__":
            history, shape = config_of(item).get("keras_history"), one_shape(config_of(item).get("shape"))
            name = history[0] if isinstance(history, list) and history and isinstance(history[0], str) else ""
            given = inputs.get(name)
            if given is not None and shape is not None and given != shape:
                return name
        elif isinstance(item, (list, dict)):
            todo += item if isinstance(item, list) else item.values()
    return None


def _is_chain(tree: Raw) -> bool:
    """Whether each layer takes what one other gives."""
    layers = layers_of(tree) or []
    if any(layers_of(layer) is not None for layer in layers):
        return False
    return not is_graph(tree) or all(_one_input(layer) for layer in layers)


def _one_input(layer: Raw) -> bool:
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list) or len(nodes) > 1:
        return False
    if not nodes:
        return True
    return json.dumps(nodes).count("__keras_tensor__") <= 1 if isinstance(nodes[0], dict) else len(nodes[0]) == 1


# ---- the findings of the plan ----


def _reworded(context: Context, item: Finding) -> Finding:
    """A finding on weights where a whole model is wanted: no option of ``load_weights`` mends that."""
    return replace(item, help=(f"build the model in code, then {context.load()}",))


def _caused(context: Context, item: Finding, made: Prediction, tree: Raw) -> Finding:
    """The one error, with what Keras does and, where it can be told, how it came about."""
    said = f"{context.keras_short} raises {made.error.type} on load_model" if made.error is not None else item.keras
    shared = _shared(context, tree)
    return replace(item, keras=said, cause=shared, notes=()) if shared is not None else replace(item, keras=said)


def _shared(context: Context, tree: Raw) -> str | None:
    """That one layer of the model which was saved is two in the architecture, when that explains what is missing."""
    names = _twice(tree)
    found: dict[str, None] = {}
    for raw in context.raws:
        if raw.code in _MISSING:
            parts = [part for group in context.groups_of(raw) for part in _outermost(context.layer(group), names)]
            if not parts:
                return None
            found.update(dict.fromkeys(parts))
    if not found:
        return None
    first, *others = found
    what = quote(first) if not others else named(list(found), 3)
    was = "was one layer" if not others else "were one layer each"
    makes = f"{context.keras} makes {'two of it' if names[first] == 2 else f'{names[first]} of it'}"
    stands = f"{'stands' if not others else 'stand'} {_times(names[first])} in the configuration"
    return (
        f"{what} {was} in the model that was saved, and {stands}: {makes if not others else 'Keras makes more of them'}"
    )


def _outermost(layer: str, names: Mapping[str, int]) -> list[str]:
    """The first part of a path that is the name of a shared layer."""
    return [part for part in layer.split("/") if part in names][:1]


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _twice(tree: Raw) -> dict[str, int]:
    """Layers by name that stand in the configuration more than once, of which one is marked as shared, and how often.

    Keras marks what it meets again while it saves (``shared_object_id``); the mark of what it met first is lost where
    that is inside another model.
    """
    counts: dict[tuple[str, str], int] = {}
    marked: set[tuple[str, str]] = set()
    todo: list[Mapping[str, Any]] = [tree]
    for _ in range(_MOST_LAYERS):
        if not todo:
            break
        raw = todo.pop()
        key = (class_of(raw), name_of(raw) or "")
        counts[key] = counts.get(key, 0) + 1
        if "shared_object_id" in raw:
            marked.add(key)
        inner = config_of(raw).get("layer")
        todo += [*(layers_of(raw) or ()), *([inner] if isinstance(inner, dict) else [])]
    return {name: counts[cls, name] for cls, name in marked if counts[cls, name] > 1 and cls != "InputLayer"}
