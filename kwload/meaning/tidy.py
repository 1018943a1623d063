"""A net without what does not matter: what is left computes the same.

unreached      layers that no output depends on (the masks that Keras 3 records as operations)
identities     Dropout, noise, random augmentation, Activation("linear"): they pass their input on at inference
activations    Dense -> Activation("relu") is Dense(activation="relu"); ReLU() is Activation("relu")
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from kwload.meaning import effects, values
from kwload.meaning.net import INPUT, Net, Ref, Unit, words

_DEEPEST: Final = 16
_ACTIVATED: Final = frozenset(
    words(
        """
Dense EinsumDense Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D DepthwiseConv2D
SeparableConv1D SeparableConv2D LocallyConnected1D LocallyConnected2D
"""
    )
)


@dataclass(slots=True)
class Tidy:
    """A net and what is left of it.

    Attributes
    ----------
    net : Net
        The whole; the settings of a layer may have taken in an activation.
    kept : list of int
        The units that compute something, in order.
    passed : dict of int to Ref
        Units that are left out -> the reference that stands for their output.
    identities : list of int
        Those that act only in training.
    """

    net: Net
    kept: list[int] = field(default_factory=list)
    passed: dict[int, Ref] = field(default_factory=dict)
    identities: list[int] = field(default_factory=list)

    def follow(self, ref: Ref) -> Ref:
        """What a reference comes from, through what is left out."""
        start = ref
        for _ in range(len(self.passed) + 1):  # a file may join its layers in a circle
            through = self.passed.get(ref[0])
            if through is None:
                break
            ref = through
        if start[0] in self.passed:  # the next one who asks has a short way
            self.passed[start[0]] = ref
        return ref


def tidy(net: Net) -> Tidy:
    """The net without what does not matter at inference."""
    result = Tidy(net)
    reached = _reached(net)
    for row, unit in enumerate(net.units):
        if row not in reached:
            continue
        _as_activation(unit)
        only = _only_input(unit)
        if only is not None and acts_in_training_only(unit):
            result.passed[row] = only
            if unit.kind != "Activation":
                result.identities.append(row)
        else:
            result.kept.append(row)
    _take_in_activations(result)
    return result


def _reached(net: Net) -> set[int]:
    found: set[int] = set()
    todo = [ref[0] for ref in net.outputs]
    while todo:
        row = todo.pop()
        if row == INPUT or row in found:
            continue
        found.add(row)
        todo += [ref[0] for call in net.units[row].calls for ref in call.refs]
    return found


def _only_input(unit: Unit) -> Ref | None:
    if len(unit.calls) == 1 and len(unit.calls[0].refs) == 1:
        return unit.calls[0].refs[0]
    return None


def _as_activation(unit: Unit) -> None:
    """A ReLU, Softmax, ELU or LeakyReLU becomes the Activation that it is."""
    if unit.custom or unit.operation or unit.kind not in values.ACTIVATIONS or unit.config is None:
        return
    found = values.as_activation(unit.kind, unit.config)
    if found is not None:
        unit.said_by = unit.kind if unit.kind != "Activation" else ""
        kept: dict[str, Any] = {key: unit.config[key] for key in ("dtype", "trainable") if key in unit.config}
        unit.kind, unit.config = "Activation", {**kept, "activation": found}


def acts_in_training_only(unit: Unit, depth: int = 0) -> bool:
    """Whether a unit passes its input on when the model does not train; True for a model of nothing but such."""
    if unit.custom:
        return False
    if effects.is_identity(unit.kind):  # Keras 3 records training=True for an augmentation by itself
        return unit.kind.startswith("Random") or not any(call.literals.get("training") for call in unit.calls)
    if unit.kind == "Activation" and unit.config is not None:
        return bool(values.activation(unit.config.get("activation")) == "linear")
    if unit.kind not in ("Sequential", "Functional", "Model", "Pipeline") or depth > _DEEPEST:
        return False
    net = unit.net()
    return net is not None and bool(net.units) and all(acts_in_training_only(inner, depth + 1) for inner in net.units)


def _take_in_activations(result: Tidy) -> None:
    """Gives an activation on its own to the layer whose whole output it takes."""
    units = result.net.units
    uses: Counter[Ref] = Counter(
        result.follow(ref) for row in result.kept for call in units[row].calls for ref in call.refs
    )
    uses.update(result.follow(ref) for ref in result.net.outputs)
    for row in result.kept:
        unit = units[row]
        only = _only_input(unit)
        if unit.kind != "Activation" or only is None or unit.config is None:
            continue
        source = result.follow(only)
        if source[0] == INPUT or uses[source] != 1:
            continue
        before = units[source[0]]
        if before.kind not in _ACTIVATED or before.custom or len(before.calls) != 1:
            continue
        config = before.config
        if config is None or values.activation(config.get("activation")) != "linear":
            continue
        before.config = {**config, "activation": unit.config["activation"]}
        before.said_by = unit.name
        result.passed[row] = only
    result.kept = [row for row in result.kept if row not in result.passed]


def training_counts(result: Tidy) -> Counter[str]:
    """How many layers of each class act in training only."""
    return Counter(result.net.units[row].kind for row in result.identities)
